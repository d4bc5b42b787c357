"""Blocks to records and rejects: what one worker does, without knowing of files, order or other workers.

Lines are taken in pieces of `PIECE_UNITS`, so that what is made of a piece is written while it is in the cache.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

import msgspec

from ..api import default_engine, failed_call, normalize, too_long
from ..envelopes.choice import is_doubtful, is_extended, is_failed_call
from ..envelopes.opener import NOT_A_CALL, Opener
from ..errors import MalformedPayloadError, NormalizeError, UnknownPayloadError
from ..model import Completion
from ..payload import escape_surrogates
from .blocks import Block, Unit
from .breakdown import Breakdown
from .exports import is_skipped, line_of
from .inputs import IncompleteInput
from .options import Options
from .report import Outcome, Reject
from .units import read_range, units_of

Carried: TypeAlias = "dict[str, Any] | None"

_BLANK = b" \t\r\n\x1e"
PIECE_UNITS = 64
_COLLECT_EVERY = 32  # tasks
# How a record ends that this library wrote: with where it is from.
_ORIGIN_MARK, _MARKED = b',"_offset":', 36
_ORIGIN_AT_END = re.compile(
    rb',"_file":(?P<file>"(?:[^"\\\\]|\\\\.)*"),"_line":(?P<line>\d{1,18}),"_offset":(?P<offset>\d{1,18})\}\s*\Z'
)
_LONGEST = 1 << 13  # bytes of that
_FOREIGN = "text among responses that is none, or a line of an event stream among lines of JSON; log each on its own"
_MISFIT = "the row has more or fewer cells than the first one, or a quote in a wrong place; mend the row"
_BOM = b"\xef\xbb\xbf"


Origin: TypeAlias = tuple[str, int, int]
"""Where a record is from: its input, and the line and the byte offset at which its unit starts."""


@dataclass(slots=True)
class Found(Outcome):
    """What was in some blocks.

    `carried` and `origins` belong to `completions` one by one, and are empty where they were not asked for; so does
    `exported`, the lines that are written of them where they are not canonical records. `rejects` has each reject with
    the number of completions before it. `passed` are the pointers of entries that are not completions.
    """

    completions: list[Completion] = field(default_factory=list)
    carried: list[Carried] = field(default_factory=list)
    exported: list[bytes] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    rejects: list[tuple[int, Reject]] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)

    def drop_records(self) -> None:
        """Forget the completions and what belongs to them."""
        for each in (self.completions, self.carried, self.exported, self.origins):
            each.clear()


def units(block: Block, max_record_bytes: int) -> Iterator[Unit]:
    """The units of a block. Raises `IncompleteInput`."""
    for part in read_range(block):
        yield from units_of(part, max_record_bytes)


class Conversion:
    """Turns blocks into completions and rejects. Its state only makes it faster."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._read = _reader(options)
        self._carries = bool(options.envelopes.carry)
        self._export = line_of(options)
        self._openers: dict[tuple[str, ...] | None, Opener] = {}
        self._tasks = 0

    def _open_with(self, body: tuple[str, ...] | None) -> None:
        """Read the units that follow as a block says."""
        options = self._options
        known = options.envelopes if body is None else options.envelopes.with_body(body)
        if body not in self._openers:
            self._openers[body] = Opener(
                known,
                source=options.source,
                default_source=options.default_source,
                strict=options.strict,
                limit=options.max_record_bytes,
            )
        self._opener = self._openers[body]
        self._may_be_bare = self._bare = known.may_be_bare

    def __call__(self, blocks: Iterable[Block], limit: int | None = None) -> Found:
        """What is in some blocks, or in their first `limit` units."""
        found = Found()
        for _ in self.pieces(blocks, found, limit):
            pass
        return found

    def pieces(self, blocks: Iterable[Block], found: Found, limit: int | None = None) -> Iterator[None]:
        """Add what is in some blocks, or in their first `limit` units, to `found`; stops after every piece.

        The caller may take and drop the records of a piece while it is still in the processor's cache: that saves a
        quarter of the time.
        """
        report = found.report
        if self._options.breakdown:
            report.breakdown = Breakdown()
        for block in blocks:
            self._open_with(block.body)
            self._name = escape_surrogates(block.name)
            try:
                for part in read_range(block):
                    units = units_of(part, self._options.max_record_bytes)
                    while some := [
                        *islice(units, PIECE_UNITS if limit is None else min(PIECE_UNITS, limit - report.units))
                    ]:
                        before = len(found.completions)
                        self._piece(some, found)
                        report.count(found.completions[before:])
                        yield
            except IncompleteInput as broken:
                found.broken.append((block.input, broken))
        self._tasks += 1
        if self._tasks % _COLLECT_EVERY == 0 and not gc.isenabled():
            gc.collect(1)

    def _piece(self, units: list[Unit], found: Found) -> None:
        """Add what is in some units."""
        at = 0
        while at < len(units):
            if self._bare and not self._carries and self._export is None:
                bodies = self._bare_bodies(units[at:])
                found.completions += bodies
                found.report.units += len(bodies)
                found.report.converted += len(bodies)
                if self._options.origin:
                    found.origins += [(self._name, unit.line, unit.offset) for unit in units[at : at + len(bodies)]]
                at += len(bodies)
            else:
                self._unit(units[at], found)
                at += 1

    def _unit(self, unit: Unit, found: Found) -> None:
        """One unit: its records, and a reject for each that is refused."""
        report = found.report
        report.units += 1
        if unit.kind == "headers" or (unit.text is not None and not unit.text.strip(_BLANK)):
            report.blank += 1
            return
        origin = self._name, unit.line, unit.offset
        if unit.text is not None and (written := _origin_at_end(unit.text)):
            unit, origin = _read_again(unit, written)
        carried = self._opener.carried(unit.text)
        before = len(found.rejects)
        is_empty = True
        for item in self._records(unit):
            is_empty = False
            if isinstance(item, UnknownPayloadError) and item.code == NOT_A_CALL:
                report.other_entries += 1
                found.passed.append(item.path or "")
                continue
            kept: Completion | NormalizeError | None = item
            if isinstance(item, NormalizeError):
                call = failed_call(item)
                kept = item if call is None or self._options.completions_only else call
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
            if self._options.origin:
                found.origins.append(origin)
        if len(found.rejects) > before:
            report.rejected += 1
        else:
            report.converted += 1
            report.empty_pages += is_empty

    def _records(self, unit: Unit) -> Iterable[Completion | NormalizeError]:
        """The records of a unit. What the last one was alike is tried first: that is faster, and gives the same."""
        if unit.text is None:
            return [too_long(unit.length, self._options.max_record_bytes)]
        if unit.kind == "foreign":
            return [UnknownPayloadError(_FOREIGN, code="foreign_text")]
        if unit.kind == "misfit":
            return [MalformedPayloadError(_MISFIT, code="syntax")]
        if unit.text.startswith(_BOM):
            return [MalformedPayloadError("a byte-order mark, where files were joined; take it out", code="bom")]
        if self._bare and (bodies := self._bare_bodies([unit])):
            return bodies
        records = list(self._opener.records(unit.text))
        first = records[0] if records else None
        self._bare = self._may_be_bare and isinstance(first, Completion) and first.envelope is None
        return records

    def _bare_bodies(self, units: list[Unit]) -> list[Completion]:
        """The completions of the bodies in no envelope that stand first among some units.

        Where they are not all, the opener must say what the next one is. Every line of the loop is paid for each:
        measure before adding one.
        """
        options = self._options
        read, source, default = self._read, options.source, options.default_source
        completions: list[Completion] = []
        for _, _, _, text, kind in units:
            if text is None or kind or not text.startswith(b"{") or text.find(_ORIGIN_MARK, -_MARKED) >= 0:
                break
            try:
                completion = read(text, source, default)
            except NormalizeError:
                break
            if completion.envelope is not None or completion.variant == "confidential":
                break
            if completion.error is not None and (options.completions_only or not is_failed_call(completion, text)):
                break
            if is_doubtful(completion) or (completion.notes and is_extended(completion, text)):
                break
            completions.append(completion)
        self._bare = len(completions) == len(units)
        return completions

    def _exported(
        self, completion: Completion, export: Callable[[Completion], bytes], found: Found
    ) -> Completion | NormalizeError | None:
        """A completion whose line was made; `None` for one that is left out, as was asked for."""
        try:
            found.exported.append(export(completion))
        except NormalizeError as error:
            if not is_skipped(error.code, self._options):
                return error
            found.report.skipped += 1
            return None
        return completion

    def _refuse(self, unit: Unit, error: NormalizeError, found: Found) -> None:
        found.report.rejects[error.code] += 1
        raw = unit.text if self._options.rejects_raw else None
        reject = Reject(self._name, unit.line, unit.offset, unit.length, error.code, error.path, str(error), raw)
        found.rejects.append((len(found.completions), reject))


def _reader(options: Options) -> Callable[[bytes, str | None, str | None], Completion]:
    """What reads a body of a source; where `extra` is wanted of every record, it is parsed once."""
    if options.strict:
        return lambda raw, source, default: normalize(raw, source, strict=True, default_source=default)
    engine = default_engine()
    return engine.read if options.layout == "flat" else engine.read_whole


def _origin_at_end(text: bytes) -> re.Match[bytes] | None:
    """The origin with which a record ends, if it does."""
    return _ORIGIN_AT_END.search(text, max(0, len(text) - _LONGEST)) if _ORIGIN_MARK in text[-_MARKED:] else None


def _read_again(unit: Unit, written: re.Match[bytes]) -> tuple[Unit, Origin]:
    """A canonical record that this library wrote, without its origin, and that."""
    assert unit.text is not None
    file = msgspec.json.decode(written["file"], type=str)
    return unit._replace(text=unit.text[: written.start()] + b"}"), (file, int(written["line"]), int(written["offset"]))
