"""Tables to units: each row is a unit, as a JSON object, so that no column is lost.

Where the responses are, is what the caller says; else the columns are an envelope or a response that is known by its
keys; else it is the one column whose cells look like responses, or the one with a name in `BODY_COLUMNS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from ..envelopes.choice import rows_are_units
from ..envelopes.hints import looks_like_response
from ..envelopes.options import Envelopes
from ..envelopes.spread import EACH, route_of
from ..errors import excerpt
from ..pointer import escape
from .blocks import Block, Unit
from .forms.rows import row_text
from .inputs import Decoded, IncompleteInput, InputError

BODY_COLUMNS = ("response", "response_body", "raw_response", "body", "completion", "payload", "value")
"""The names by which a table's body column is known, where none is given and no cell shows it."""

ROWS = 256  # of a table, read at once
_BUFFER = 1 << 16


def parquet(
    source: Decoded, index: int, offset: int, *, limit: int, window: int, envelopes: Envelopes
) -> Iterator[Block]:
    """The blocks of a Parquet file from row `offset` on.

    Raises `InputError`, and `IncompleteInput` after everything before the break.
    """
    if not source.is_plain_file:
        raise InputError(f"{source.name} is Parquet in a pipe or an archive; give the file itself")
    try:
        arrow, reader = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise InputError(f"{source.name} is Parquet; to read it, pip install normcompletion[batch]") from None
    held: list[Unit] = []
    weight = row = 0
    body: tuple[str, ...] | None = None
    failure = None
    try:
        with reader.ParquetFile(source.path, pre_buffer=False, buffer_size=_BUFFER) as table:
            first = next(table.iter_batches(ROWS), None)
            sample = [] if first is None else first.to_pylist(maps_as_pydicts="lossy")
            texts = [field.name for field in table.schema_arrow if _may_be_body(str(field.type))]
            body = body_of_table(source.name, table.schema_arrow.names, texts, sample, envelopes)
            row, groups = _groups(table.metadata, offset)
            for batch in table.iter_batches(ROWS, row_groups=groups):
                for values in batch.to_pylist(maps_as_pydicts="lossy"):
                    row += 1
                    if row > offset:
                        unit = row_unit(row, values, limit)
                        held.append(unit)
                        weight += unit.length
                        if weight >= window:
                            yield Block(index, held[0].line, held[0].line - 1, held, body, source.name)
                            held, weight = [], 0
                source.consumed = int((source.size or 0) * row / table.metadata.num_rows)
    except InputError:
        raise
    except (arrow.ArrowException, OSError) as error:
        reason = f"the Parquet file is damaged or was cut off ({excerpt(error)}); fetch or write it again"
        failure = IncompleteInput(source.name, row, reason)
    if held:
        yield Block(index, held[0].line, held[0].line - 1, held, body, source.name)
    if failure is not None:
        raise failure


def _groups(metadata: Any, offset: int) -> tuple[int, list[int]]:
    """The row groups that hold the rows from `offset` on, and how many rows stand before them."""
    before = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if before + rows > offset:
            return before, list(range(group, metadata.num_row_groups))
        before += rows
    return before, []


def _may_be_body(arrow_type: str) -> bool:
    return re.match(r"(large_)?(string|binary)|struct|extension<arrow.json", arrow_type) is not None


def body_of_table(
    name: str, columns: list[str], texts: list[str], sample: Sequence[dict[str, Any]], envelopes: Envelopes
) -> tuple[str, ...]:
    """The pointers of the responses in the rows of a table; none where a row is a unit that is known by its keys.

    `texts` are the columns that can hold a response, `sample` are the first rows. Raises `InputError` for a column
    that is not there, and where nothing says which column it is.
    """
    for place in (*envelopes.body, *envelopes.fields.values(), *envelopes.carry.values()):
        route = route_of(place)
        if route and route[0] not in columns and route[0] != EACH:
            raise InputError(f"{name} has no column {excerpt(route[0])}; it has {_listed(columns)}")
    if envelopes.body or envelopes.envelope != "auto" or rows_are_units(columns):
        return envelopes.body
    shown = [column for column in texts if any(looks_like_response(_text(row[column])) for row in sample)]
    candidates = shown or [column for column in columns if column in BODY_COLUMNS] or texts
    if len(candidates) != 1:
        raise InputError(
            f"{name}: which column holds the responses? Name it with --body /COLUMN: {_listed(candidates or columns)}"
        )
    return (f"/{escape(candidates[0])}",)


def _text(cell: Any) -> Any:
    """A cell as the text that it may be."""
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else cell


def _listed(names: list[str]) -> str:
    return ", ".join(map(excerpt, names[:20])) + (" …" if len(names) > 20 else "")


def row_unit(row: int, values: dict[str, Any], limit: int) -> Unit:
    """The unit of one row: the row as a JSON object."""
    text = row_text(list(values), list(values.values()))
    return Unit(row, 0, len(text), text if len(text) <= limit else None)
