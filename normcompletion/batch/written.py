"""Blocks to what is written: canonical JSON lines, rows of Parquet or CSV, lines of other shapes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import msgspec

from ..export.record import plain
from ..model import Completion, to_json
from .blocks import Block
from .conversion import Carried, Conversion, Found, Origin
from .options import ORIGIN, Options
from .report import Outcome, Reject

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class Converted(Outcome):
    """What came of a task: `data` is what is written of its records."""

    data: bytes | pa.RecordBatch = b""
    rejects: list[Reject] = field(default_factory=list)


class Converter:
    """Turns tasks into what is written: canonical JSON lines, or Arrow rows."""

    def __init__(self, options: Options) -> None:
        self._conversion = Conversion(options)
        self._options = options
        self._encode = without_nulls if options.omit_null else to_json

    def __call__(self, blocks: Iterable[Block], limit: int | None = None) -> Converted:
        """What comes of some blocks, or of their first `limit` units."""
        lines: list[bytes] = []
        rows = None if self._options.layout is None else _Rows(self._options)
        found = Found()
        for _ in self._conversion.pieces(blocks, found, limit):
            if rows is None:
                lines += found.exported or _json_lines(found, self._encode)
            else:
                rows.add(found)
            found.drop_records()
        data = b"\n".join([*lines, b""]) if rows is None else rows.data()
        if self._options.to == "csv" and not isinstance(data, bytes):
            data = csv_rows(data)
        return Converted(found.report, found.broken, data, [reject for _, reject in found.rejects])


def _json_lines(found: Found, encode: Callable[[Completion], bytes]) -> Iterator[bytes]:
    """The records; what goes along is under the key `carried`, where each is from under those of `ORIGIN`."""
    for completion, carried, origin in zip_longest(found.completions, found.carried, found.origins):
        line = encode(completion)
        if carried is not None:
            line = b'%b,"carried":%b}' % (line[:-1], to_json(carried))
        if origin is not None:
            file, number, offset = origin
            line = b'%b,"_file":%b,"_line":%d,"_offset":%d}' % (line[:-1], _name(file), number, offset)
        yield line


_name = cache(msgspec.json.encode)


class _Rows:
    """Arrow rows in the making, of the schema of some options."""

    def __init__(self, options: Options) -> None:
        from ..arrow import Rows

        self._schema = arrow_schema(options)
        self._names = [name for name in self._schema.names if name not in ORIGIN]
        self._rows = Rows(flat=options.layout == "flat", columns=self._names)
        self._carried: list[Carried] = []
        self._origins: list[Origin] = []

    def add(self, found: Found) -> None:
        """Add the records that were found."""
        self._rows.add(found.completions)
        self._carried += found.carried
        self._origins += found.origins

    def data(self) -> pa.RecordBatch:
        """All of them."""
        import pyarrow as pa

        batch = self._rows.batch(self._carried or None)
        if len(self._names) == len(self._schema):
            return batch
        arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
        for place, name in enumerate(ORIGIN):
            if name in self._schema.names:
                values = [origin[place] for origin in self._origins]
                arrays[name] = pa.array(values, self._schema.field(name).type)
        return pa.RecordBatch.from_arrays([arrays[name] for name in self._schema.names], schema=self._schema)


def arrow_schema(options: Options) -> pa.Schema:
    """The schema of a layout, or of some of its columns, with the columns of `ORIGIN` where they are wanted.

    Raises `ValueError` where there is no such column, `ImportError` where pyarrow is missing.
    """
    from ..arrow import schema

    columns, flat = options.columns, options.layout == "flat"
    if not options.origin:
        return schema(flat=flat, columns=columns)
    import pyarrow as pa

    whole = schema(flat=flat, columns=None if columns is None else [name for name in columns if name not in ORIGIN])
    fields = {field.name: field for field in whole}
    fields |= {name: pa.field(name, pa.string() if name == "_file" else pa.int64()) for name in ORIGIN}
    return pa.schema([fields[name] for name in columns or fields], metadata=whole.metadata)


def without_nulls(completion: Completion) -> bytes:
    """A canonical record less its null members; what the payload had itself, in `extra`, `before` and `request`, stays.

    It is read back as the same completion.
    """
    return to_json(plain(completion))


def csv_rows(batch: pa.RecordBatch | pa.Table, *, header: bool = False) -> bytes:
    """Rows as CSV (RFC 4180): texts in quotes, nulls empty; only the names of the columns with `header`."""
    from pyarrow import csv

    stream: Any = io.BytesIO()
    csv.write_csv(batch, stream, csv.WriteOptions(include_header=header))
    written: bytes = stream.getvalue()
    return written
