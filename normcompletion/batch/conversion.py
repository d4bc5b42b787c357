"""Blocks to records and rejects: what one worker does, without knowing of files, order or other workers.

Lines are taken in pieces of `PIECE_UNITS`, so that what is made of a piece is written while it is in the cache.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from ..api import default_engine, normalize, too_long
from ..envelopes.opener import Envelopes, Opener, may_be_quiz
from ..errors import EncryptedPayloadError, NormalizeError, SourceReportedError
from ..model import Completion, ServiceError, to_json, to_json_lines
from ..payload import MAX_RECORD_BYTES
from .breakdown import Breakdown
from .inputs import IncompleteInput
from .report import Reject, Report
from .units import Block, Range, Unit, read_range
from .written import SKIPPED_CODES, Writing, csv_rows, without_nulls

if TYPE_CHECKING:
    import pyarrow as pa

Carried: TypeAlias = "dict[str, Any] | None"
Layout = Literal["nested", "flat"]

_BLANK = b" \t\r\n\x1e"
PIECE_UNITS = 64
_COLLECT_EVERY = 32  # tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class ConverterOptions:
    """What to make of each unit; the same for every worker.

    `source` and `strict` are those of `normalize`. With `completions_only` failed, pending and encrypted calls are
    rejects. `keep_raw` puts the bytes of a refused unit into its reject. `envelopes` says what stands around a
    response. `layout` is that of the Arrow rows to write, `columns` are those of its columns that are wanted, `None`
    for all; no layout stands for text, of which `writing` says more. With `keep_places` it is known from which line
    each record is. With `breakdown` the report has one.
    """

    source: str | None = None
    strict: bool = False
    completions_only: bool = False
    keep_raw: bool = False
    max_record_bytes: int = MAX_RECORD_BYTES
    envelopes: Envelopes = field(default_factory=Envelopes)
    layout: Layout | None = None
    columns: tuple[str, ...] | None = None
    writing: Writing = field(default_factory=Writing)
    keep_places: bool = False
    breakdown: bool = False

    def check(self) -> None:
        """Raise `UnknownSourceError` for a source that is not registered."""
        default_engine().registry.check(self.source, None)


@dataclass(slots=True)
class Found:
    """What was in some blocks.

    `carried` belongs to `completions` one by one, and is empty where nothing was asked to go along; so does `exported`,
    the lines that are written of them where they are no canonical records. `places` has
    a list for each block, empty unless asked for: the line of each completion. `rejects` has one too: each reject with
    the number of completions before it. Where a block does not know its own line, these lines count from its
    beginning. `lines` is how many units each block had. `broken` has the inputs that broke off in one of the blocks.
    """

    completions: list[Completion] = field(default_factory=list)
    carried: list[Carried] = field(default_factory=list)
    exported: list[bytes] = field(default_factory=list)
    places: list[list[int]] = field(default_factory=list)
    rejects: list[list[tuple[int, Reject]]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    report: Report = field(default_factory=Report)
    broken: list[tuple[int, IncompleteInput]] = field(default_factory=list)


class Part(NamedTuple):
    """A block that was read."""

    line: int
    offset: int
    data: bytes | list[Unit]


def parts(block: Block, max_record_bytes: int) -> Iterator[Part]:
    """What is in a block: in a range what is there in the file. Raises `IncompleteInput`."""
    for each in read_range(block, max_record_bytes) if isinstance(block.data, Range) else (block,):
        assert not isinstance(each.data, Range)
        yield Part(each.line, each.offset, each.data)


def units(block: Block, max_record_bytes: int) -> Iterator[Unit]:
    """The units of a block; their lines count from its beginning where it does not know its own. As `parts`."""
    for part in parts(block, max_record_bytes):
        if isinstance(part.data, bytes):
            offset = part.offset
            end = offset + len(part.data)  # the last line of an input may have no line feed
            for number, line in enumerate(_split(part.data), part.line):
                yield Unit(number, offset, min(len(line) + 1, end - offset), line)
                offset += len(line) + 1
        else:
            yield from part.data


def _split(data: bytes) -> list[bytes]:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


class Conversion:
    """Turns blocks into completions and rejects. Its state only makes it faster."""

    def __init__(self, options: ConverterOptions) -> None:
        options.check()
        self._options = options
        self._read = _reader(options)
        self._carries = bool(options.envelopes.carry)
        self._export = options.writing.line()
        self._openers: dict[tuple[str, ...] | None, Opener] = {}
        self._tasks = 0

    def _open_with(self, body: tuple[str, ...] | None) -> None:
        """Read the units that follow as a block says."""
        options = self._options
        known = options.envelopes if body is None else options.envelopes.with_body(body)
        if body not in self._openers:
            self._openers[body] = known.opener(
                source=options.source, strict=options.strict, limit=options.max_record_bytes
            )
        self._opener = self._openers[body]
        self._may_be_bare = self._bare = known.may_be_bare

    def __call__(
        self, blocks: Iterable[Block], limit: int | None = None, drain: Callable[[Found], None] | None = None
    ) -> Found:
        """What is in some blocks, or in their first `limit` units.

        `drain` gets what was found piece by piece, while it is still in the processor's cache (that saves a quarter of
        the time), and may empty `completions` and `carried`.
        """
        found = Found()
        if self._options.breakdown:
            found.report.breakdown = Breakdown()
        for block in blocks:
            found.rejects.append([])
            found.places.append([])
            before = found.report.units
            self._open_with(block.body)
            try:
                for part in parts(block, self._options.max_record_bytes):
                    left = None if limit is None else max(0, limit - found.report.units)
                    for _ in self._pieces(part, found, left):
                        if drain is not None:
                            found.report.count(found.completions)
                            drain(found)
            except IncompleteInput as broken:
                found.broken.append((block.input, broken))
            found.lines.append(found.report.units - before)
        if drain is None:
            found.report.count(found.completions)
        self._tasks += 1
        if self._tasks % _COLLECT_EVERY == 0 and not gc.isenabled():
            gc.collect(1)
        return found

    def _pieces(self, part: Part, found: Found, limit: int | None) -> Iterator[None]:
        """Take in a part; stops after every piece."""
        if not isinstance(part.data, bytes):
            for number, unit in enumerate(part.data[:limit], 1):
                self._unit(unit, found)
                if number % PIECE_UNITS == 0:
                    yield
            yield
            return
        lines = _split(part.data)[:limit]
        offset, end = part.offset, part.offset + len(part.data)
        for at in range(0, len(lines), PIECE_UNITS):
            some = lines[at : at + PIECE_UNITS]
            offset = self._one_by_one(some, part.line + at, offset, end, found)
            yield

    def _take(self, completions: list[Completion], lines: list[bytes], number: int, found: Found) -> int:
        """Take in what stands on some lines, one each, the first of them with a number; gives how long they are."""
        found.completions += completions
        found.report.units += len(lines)
        found.report.converted += len(lines)
        if self._options.keep_places:
            found.places[-1] += range(number, number + len(lines))
        return sum(map(len, lines)) + len(lines)

    def _one_by_one(self, lines: list[bytes], number: int, offset: int, end: int, found: Found) -> int:
        """Some lines, the first of them with a number and an offset; gives the offset behind them."""
        at = 0
        while at < len(lines):
            if self._bare and not self._carries and self._export is None:
                bodies = self._bare_bodies(lines[at:])
                offset += self._take(bodies, lines[at : at + len(bodies)], number + at, found)
                at += len(bodies)
                continue
            line = lines[at]
            length = min(len(line) + 1, end - offset)  # the last line of an input may have no line feed
            self._unit(Unit(number + at, offset, length, line), found)
            offset += length
            at += 1
        return offset

    def _unit(self, unit: Unit, found: Found) -> None:
        """One unit: its records, and a reject for each that is refused."""
        report = found.report
        report.units += 1
        if unit.text is not None and not unit.text.strip(_BLANK):
            report.blank += 1
            return
        carried = self._opener.carried(unit.text)
        before = len(found.rejects[-1])
        is_empty = True
        for item in self._records(unit):
            is_empty = False
            kept: Completion | NormalizeError | None = self._judged(item) if isinstance(item, NormalizeError) else item
            if self._export is not None and isinstance(kept, Completion):
                kept = self._exported(kept, self._export, found)
            if isinstance(kept, NormalizeError):
                self._refuse(unit, kept, found)
                continue
            if kept is None:
                continue
            found.completions.append(kept)
            if self._carries:
                found.carried.append(carried)
            if self._options.keep_places:
                found.places[-1].append(unit.line)
        if len(found.rejects[-1]) > before:
            report.rejected += 1
        else:
            report.converted += 1
            report.empty_pages += is_empty

    def _records(self, unit: Unit) -> Iterable[Completion | NormalizeError]:
        """The records of a unit. What the last one was alike is tried first: that is faster, and gives the same."""
        if unit.text is None:
            return [too_long(unit.length, self._options.max_record_bytes)]
        if self._bare and (bodies := self._bare_bodies([unit.text])):
            return bodies
        records = list(self._opener.records(unit.text))
        self._bare = self._may_be_bare and bool(records) and _is_bare(records[0])
        return records

    def _bare_bodies(self, texts: list[bytes]) -> list[Completion]:
        """The completions of the bodies in no envelope that stand first among some texts.

        Where they are not all, the opener must say what the next one is. Every line of the loop is paid for each:
        measure before adding one.
        """
        read, source, longest = self._read, self._options.source, self._options.max_record_bytes
        completions: list[Completion] = []
        for text in texts:
            try:
                completion = read(text, source) if len(text) <= longest else None
            except NormalizeError:
                break
            if completion is None or completion.error is not None or completion.variant == "confidential":
                break
            if completion.envelope is not None or may_be_quiz(completion):
                break
            completions.append(completion)
        self._bare = len(completions) == len(texts)
        return completions

    def _judged(self, error: NormalizeError) -> Completion | NormalizeError:
        """An error as the row that it is in bulk, or as it is."""
        if isinstance(error, EncryptedPayloadError):
            error.completion.error = ServiceError(code="encrypted", message="the body is encrypted")
        elif not isinstance(error, SourceReportedError):
            return error
        elif error.error.code == "pending":
            error.code = "pending"
        return error if self._options.completions_only else error.completion

    def _exported(
        self, completion: Completion, export: Callable[[Completion], bytes], found: Found
    ) -> Completion | NormalizeError | None:
        """A completion whose line was made; `None` for one that is left out, as was asked for."""
        try:
            found.exported.append(export(completion) + b"\n")
        except NormalizeError as error:
            if self._options.writing.unfinished == "refuse" or error.code not in SKIPPED_CODES:
                return error
            found.report.skipped += 1
            return None
        return completion

    def _refuse(self, unit: Unit, error: NormalizeError, found: Found) -> None:
        found.report.rejects[error.code] += 1
        raw = unit.text if self._options.keep_raw else None
        reject = Reject("", unit.line, unit.offset, unit.length, error.code, error.path, str(error), raw)
        found.rejects[-1].append((len(found.completions), reject))


def _reader(options: ConverterOptions) -> Callable[[bytes, str | None], Completion]:
    """What reads a body of a source; where `extra` is wanted of every record, it is parsed once."""
    if options.strict:
        return partial(normalize, strict=True)
    engine = default_engine()
    return engine.read if options.layout == "flat" else engine.read_whole


def _is_bare(record: Completion | NormalizeError) -> bool:
    return isinstance(record, Completion) and record.envelope is None


@dataclass(slots=True)
class Converted:
    """What came of a task: `data` is what is written of its records. The rest is as in `Found`."""

    data: bytes | pa.RecordBatch
    rejects: list[list[Reject]]
    lines: list[int]
    report: Report
    broken: list[tuple[int, IncompleteInput]]


class Converter:
    """Turns tasks into what is written: canonical JSON lines, or Arrow rows."""

    def __init__(self, options: ConverterOptions) -> None:
        self._conversion = Conversion(options)
        self._layout = options.layout
        self._writing = options.writing
        self._columns = options.columns

    def __call__(self, blocks: Iterable[Block], limit: int | None = None) -> Converted:
        """What comes of some blocks, or of their first `limit` units."""
        written: _Lines | _Rows
        if self._writing.to == "csv" or self._layout is not None:
            written = _Rows(self._layout or "flat", self._columns)
        else:
            written = _Lines(omit_null=self._writing.omit_null)

        def drain(found: Found) -> None:
            written.add(found)
            found.completions.clear()
            found.carried.clear()
            found.exported.clear()

        found = self._conversion(blocks, limit, drain)
        data = written.data()
        if self._writing.to == "csv" and not isinstance(data, bytes):
            data = csv_rows(data)
        rejects = [[reject for _, reject in each] for each in found.rejects]
        return Converted(data, rejects, found.lines, found.report, found.broken)


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
    """The records; what goes along is under the key `carried`."""
    if not found.carried and not omit_null:
        return to_json_lines(found.completions)
    lines = []
    for completion, carried in zip_longest(found.completions, found.carried):
        line = without_nulls(completion) if omit_null else to_json(completion)
        lines.append(line if carried is None else b'%b,"carried":%b}' % (line[:-1], to_json(carried)))
    return b"\n".join([*lines, b""])


class _Rows:
    """Arrow rows in the making, of `arrow_schema(layout, columns)`."""

    def __init__(self, layout: Layout, columns: tuple[str, ...] | None) -> None:
        from ..arrow import Rows

        self._rows = Rows(flat=layout == "flat", columns=columns)
        self._carried: list[Carried] = []

    def add(self, found: Found) -> None:
        """Add the records that were found."""
        self._rows.add(found.completions)
        self._carried += found.carried

    def data(self) -> pa.RecordBatch:
        """All of them."""
        return self._rows.batch(self._carried or None)


def csv_header(columns: tuple[str, ...] | None = None) -> bytes:
    """The first line of CSV. Raises as `arrow_schema` does."""
    return csv_rows(arrow_schema("flat", columns).empty_table(), header=True)


def arrow_schema(layout: Layout, columns: tuple[str, ...] | None = None) -> pa.Schema:
    """The schema of a layout, or of some of its columns.

    Raises `ValueError` where there is no such column, `ImportError` where pyarrow is missing.
    """
    from ..arrow import schema

    return schema(flat=layout == "flat", columns=columns)
