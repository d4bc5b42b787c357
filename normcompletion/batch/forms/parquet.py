"""Parquet files: each row is a unit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module

from ...errors import excerpt
from ..blocks import Unit
from ..inputs import Decoded, IncompleteInput, InputError
from .rows import SAMPLE, row_text

MAGIC = b"PAR1"
_ROWS = 256  # that are read at once
_BUFFER = 1 << 16


class Table:
    """A Parquet file; `columns` and `texts` (those that can hold responses) are known when rows are read."""

    def __init__(self, source: Decoded) -> None:
        """Raises `InputError` where it is not a file of its own, and where pyarrow is missing."""
        if not source.is_plain_file:
            raise InputError(f"{source.name} is Parquet in a pipe or an archive; give the file itself")
        try:
            self._arrow, self._reader = import_module("pyarrow"), import_module("pyarrow.parquet")
        except ImportError:
            raise InputError(
                f"{source.name} is Parquet; to read it, run: pip install 'normcompletion[batch]'"
            ) from None
        self._source = source
        self.columns: list[str] = []
        self.texts: list[str] = []

    def rows(self, first: int, limit: int) -> Iterator[Unit]:
        """The first `SAMPLE` rows, and those from row number `first` on; between them, whole row groups are left out.

        Raises `IncompleteInput` after everything before the break.
        """
        row = 0
        try:
            with self._reader.ParquetFile(self._source.path, pre_buffer=False, buffer_size=_BUFFER) as table:
                self.columns = table.schema_arrow.names
                self.texts = [field.name for field in table.schema_arrow if _may_be_body(str(field.type))]
                for group in range(table.num_row_groups):
                    start, count = row, table.metadata.row_group(group).num_rows
                    is_needed = start + count >= first
                    for batch in table.iter_batches(_ROWS, row_groups=[group]):
                        if not is_needed and row >= SAMPLE:
                            break
                        for values in batch.to_pylist(maps_as_pydicts="lossy"):
                            row += 1
                            text = row_text(list(values), list(values.values()))
                            yield Unit(row, 0, len(text), text if len(text) <= limit else None)
                        self._source.consumed = int((self._source.size or 0) * row / table.metadata.num_rows)
                    row = start + count
        except (self._arrow.ArrowException, OSError) as error:
            reason = f"the Parquet file is damaged or was cut off ({excerpt(error)}); fetch or write it again"
            raise IncompleteInput(self._source.name, row, reason) from None


def _may_be_body(arrow_type: str) -> bool:
    return re.match(r"(large_)?(string|binary)|struct|extension<arrow.json", arrow_type) is not None
