"""Blocks to what is written: canonical JSON lines, rows of Parquet or CSV, lines of other shapes."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ..export.record import plain
from ..model import Completion, to_json, to_json_lines
from .blocks import Block
from .conversion import Carried, Conversion, Found, Origin
from .inputs import IncompleteInput
from .options import ORIGIN, Options
from .report import Reject, Report

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class Converted:
    """What came of a task: `data` is what is written of its records. The rest is as in `Found`."""

    data: bytes | pa.RecordBatch
    rejects: list[Reject]
    report: Report
    broken: list[tuple[int, IncompleteInput]]


class Converter:
    """Turns tasks into what is written: canonical JSON lines, or Arrow rows."""

    def __init__(self, options: Options) -> None:
        self._conversion = Conversion(options)
        self._options = options

    def __call__(self, blocks: Iterable[Block], limit: int | None = None) -> Converted:
        """What comes of some blocks, or of their first `limit` units."""
        options = self._options
        written: _Lines | _Rows = _Lines(omit_null=options.omit_null) if options.layout is None else _Rows(options)

        def drain(found: Found) -> None:
            written.add(found)
            found.completions.clear()
            found.carried.clear()
            found.exported.clear()
            found.origins.clear()

        found = self._conversion(blocks, limit, drain)
        data = written.data()
        if options.to == "csv" and not isinstance(data, bytes):
            data = csv_rows(data)
        return Converted(data, [reject for _, reject in found.rejects], found.report, found.broken)


class _Lines:
    """Canonical JSON lines in the making."""

    def __init__(self, *, omit_null: bool) -> None:
        self._texts: list[bytes] = []
        self._omit_null = omit_null

    def add(self, found: Found) -> None:
        """Add the records that were found."""
        self._texts += found.exported or [_json_lines(found, omit_null=self._omit_null)]

    def data(self) -> bytes:
        """All of them."""
        return b"".join(self._texts)


def _json_lines(found: Found, *, omit_null: bool) -> bytes:
    """The records; what goes along is under the key `carried`, where each is from under those of `ORIGIN`."""
    if not (found.carried or found.origins or omit_null):
        return to_json_lines(found.completions)
    lines = (
        [*map(without_nulls, found.completions)] if omit_null else to_json_lines(found.completions).split(b"\n")[:-1]
    )
    for place, carried in enumerate(found.carried):
        if carried is not None:
            lines[place] = b'%b,"carried":%b}' % (lines[place][:-1], to_json(carried))
    name, encoded = None, b""
    for place, (file, line, offset) in enumerate(found.origins):
        if file != name:
            name, encoded = file, msgspec.json.encode(file)
        lines[place] = b'%b,"_file":%b,"_line":%d,"_offset":%d}' % (lines[place][:-1], encoded, line, offset)
    return b"\n".join([*lines, b""])


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
