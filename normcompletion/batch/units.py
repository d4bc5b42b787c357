"""An input to units, the pieces that are converted one by one, in bounded blocks.

`forms` knows how files hold responses; here the form is found and its units are put in blocks. Where these are cut
depends on the bytes behind the place at which reading begins, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from ..envelopes.options import Envelopes
from ..payload import MAX_RECORD_BYTES
from . import unreadable
from .blocks import BEGINNING, BLOCK_BYTES, Block, Position, Range, Unit, UnitKind
from .forms import jsonl, reading
from .forms.answers import answers
from .forms.detection import form_of, is_log
from .forms.feed import Feed
from .forms.jsonl import read_range
from .forms.rows import SAMPLE
from .forms.values import Values
from .inputs import Decoded, IncompleteInput, InputError

__all__ = ["BLOCK_BYTES", "Block", "Range", "Unit", "blocks", "form_of", "is_log", "read_range", "units_of"]

_EVENT = (b"data:", b"event:")  # how a line begins that is not a unit of its own
_HEAD = 512  # bytes that tell a file that is not read


def blocks(
    source: Decoded,
    start: Position = BEGINNING,
    *,
    max_record_bytes: int = MAX_RECORD_BYTES,
    block_bytes: int = BLOCK_BYTES,
    ranges: bool = False,
    envelopes: Envelopes | None = None,
) -> Iterator[Block]:
    """The blocks of an input that was just opened, in order.

    Args:
        source: the input.
        start: where to begin: its place in the list of inputs, the byte at which a unit starts (0 in a table), and the
            number of that unit.
        max_record_bytes: the text of a longer unit is not needed.
        block_bytes: a block has about as many.
        ranges: give lines of a plain file as ranges, for `read_range` in another process.
        envelopes: what the caller knows of them: where the responses of this input are.

    Raises:
        InputError: the input is of a form that is not read.
        IncompleteInput: after everything before the break.

    """
    index, offset, line = start
    broken: list[IncompleteInput] = []
    known = (envelopes or Envelopes()).of_file(source.path)
    body = None if envelopes is None else known.body
    found = reading.find(source, known, max_record_bytes, first_row=line)
    if found is not None:
        units, body = _until_break(found.units(), broken), known.body
        if found.is_table:
            sample = list(islice(units, SAMPLE))
            units = chain(sample, units)
            body = reading.body_of(found, source.name, sample, known)
    else:
        if (advice := unreadable.advice(source.peek(_HEAD), source.name)) is not None:
            raise InputError(advice)
        form, indent = form_of(source, max_record_bytes)
        feed = Feed(source)
        mark = feed.pass_mark()
        if form == "lines":
            source.skip(max(offset - mark, 0))
            at = Position(index, max(offset, mark), line)
            for block in jsonl.blocks(feed, at, window=block_bytes, limit=max_record_bytes, ranges=ranges):
                yield block._replace(body=body, name=source.name)
            return
        if form == "stream":
            units = answers(feed, mark, max_record_bytes)
        else:
            units = Values(feed, mark, max_record_bytes, indent).units(inside_arrays=form == "array")
        units = _until_break(feed.to_its_end(units), broken)
    behind = (unit for unit in units if (unit.line, unit.offset) >= (line, offset))
    for held in _grouped(behind, block_bytes):
        yield Block(index, held[0].line, held[0].offset, held, body, source.name)
    if broken:
        raise broken[0]
    source.consumed = source.size or source.consumed


def _until_break(units: Iterator[Unit], broken: list[IncompleteInput]) -> Iterator[Unit]:
    """The units before the break of an input; why it breaks off is added to `broken`."""
    try:
        yield from units
    except IncompleteInput as failure:
        broken.append(failure)


def _grouped(units: Iterator[Unit], window: int) -> Iterator[list[Unit]]:
    """Units in groups of about `window` bytes."""
    held: list[Unit] = []
    weight = 0
    for unit in units:
        held.append(unit)
        weight += unit.length
        if weight >= window:
            yield held
            held, weight = [], 0
    if held:
        yield held


def units_of(block: Block, limit: int = MAX_RECORD_BYTES) -> Iterator[Unit]:
    """The units of a block, with the numbers and places they have in the input, without the text of longer ones."""
    assert not isinstance(block.data, Range)
    if isinstance(block.data, list):
        yield from block.data
        return
    offset, end = block.offset, block.offset + len(block.data)
    lines = block.data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for number, text in enumerate(lines, block.line):
        length = min(len(text) + 1, end - offset)  # the last line of an input may have no line feed
        kind: UnitKind = "foreign" if text.startswith(_EVENT) else ""
        yield Unit(number, offset, length, text.removeprefix(b"\x1e") if len(text) <= limit else None, kind)
        offset += length
