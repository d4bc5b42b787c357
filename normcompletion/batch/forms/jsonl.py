"""Lines of JSON, in blocks of whole lines that need not be looked into: the fastest form."""

from __future__ import annotations

from collections.abc import Iterator

from ..blocks import Block, Position, Range, Unit
from ..inputs import IncompleteInput, Input, open_decoded
from .feed import Feed


def blocks(feed: Feed, start: Position, *, window: int, limit: int, ranges: bool) -> Iterator[Block]:
    """The blocks of the lines from a position on, at which a line begins; those of a plain file as ranges, if wanted.

    A block ends with the last line feed of `window` bytes, or with the first one behind them. A line that is longer
    than `limit`, and than the window, is a unit without text; it is never held. Raises `IncompleteInput` after
    everything before the break.
    """
    index, at, line = start
    source = feed.source
    # What is written to a log while it is read belongs to the next run.
    until = source.size if source.is_plain_file and source.size else None
    longest = limit + len(b"\r\n")
    data = b""
    while until is None or at < until:
        wanted = window if until is None else min(window, until - at)
        if len(data) < wanted:
            data += feed(wanted - len(data))
        end = data.rfind(b"\n", 0, wanted) + 1 or data.find(b"\n", wanted) + 1
        while not end and len(data) <= longest and (more := feed()):
            end = len(data) + found if (found := more.find(b"\n") + 1) else 0
            data += more
        if end > max(wanted, longest) or (not end and len(data) > longest):
            length, data = _pass_over(feed, data)
            yield Block(index, line, at, [Unit(line, at, length, None)])
            at += length
            line += 1
            continue
        text = data[:end] if end else data
        if not text:
            break
        data = data[len(text) :]
        following = at + len(text)
        is_range = ranges and until is not None
        yield Block(index, line, at, Range(source.path, at, following) if is_range else text)
        at = following
        line += text.count(b"\n")
    if feed.failure is not None:
        raise feed.failure


def _pass_over(feed: Feed, data: bytes) -> tuple[int, bytes]:
    """The length of the line that `data` begins, its line feed included, and what was read behind it."""
    length = 0
    while data:
        if end := data.find(b"\n") + 1:
            return length + end, data[end:]
        length += len(data)
        data = feed()
    return length, b""


def read_range(block: Block) -> Iterator[Block]:
    """The block of a range, any other as it is. Raises `IncompleteInput` after everything before the break."""
    part = block.data
    if not isinstance(part, Range):
        yield block
        return
    with open_decoded(Input(part.path, part.path)) as source:
        source.skip(part.start)
        data = source.read(part.stop - part.start)
    if data:
        yield block._replace(data=data)
    if len(data) < part.stop - part.start:
        reason = "the file was cut off while it was read; convert it again"
        raise IncompleteInput(part.path, part.start + len(data), reason)
