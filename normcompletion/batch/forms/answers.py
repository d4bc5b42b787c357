"""Saved event streams, with whole bodies and foreign text between them: each is a unit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from ...api import default_chunk_reader
from ...streams.splitting import StreamSplitter
from ..blocks import Unit
from .feed import Feed

# What `curl -i` and `curl -v` show of an HTTP message: its first line and its fields, or lines with a mark before them.
_HEADERS = re.compile(rb"(?:HTTP/\d[^\n]*\n(?:[\w-]+:[^\n]*\n)*(?:\r?\n)*|(?:[*<>{}](?: [^\n]*)?\r?\n|\r?\n)+)+")


def answers(feed: Feed, offset: int, limit: int) -> Iterator[Unit]:
    """The answers in a text with event streams, whole bodies and foreign texts between them; holds one of them."""
    splitter = StreamSplitter(default_chunk_reader())
    held, base, line = b"", 0, 1  # what was read from byte `base` on, whose first line has that number
    start_line = 1
    data = None
    while data != b"":
        data = feed()
        held += data
        at = 0
        for start, end, kind in _found(splitter, data):
            stop = end - base
            text = held[at:stop] if start >= base and end - start <= limit else None
            line += held.count(b"\n", at, stop)
            yield Unit(start_line, offset + start, end - start, text, _kind_of(text) if kind == "foreign" else "")
            at, start_line = stop, line
        held, base = held[at:], base + at
        if len(held) > limit:  # of what is too long, only its length matters
            line += held.count(b"\n")
            base += len(held)
            held = b""


def _found(splitter: StreamSplitter, data: bytes) -> Iterator[tuple[int, int, str]]:
    for unit in splitter.feed(data) if data else splitter.close():
        yield unit.start, unit.end, unit.kind


def _kind_of(text: bytes | None) -> Literal["headers", "foreign"]:
    """What a text is that is neither an event nor JSON."""
    return "headers" if text is not None and _HEADERS.fullmatch(text) else "foreign"
