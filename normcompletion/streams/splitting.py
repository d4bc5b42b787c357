"""Where one stream ends and the next begins, in a text that may hold several answers.

A new answer starts after `[DONE]`; after a whole JSON body or foreign text; when every choice seen has ended and a
fragment that is not empty comes under an id that is not empty and was not seen; likewise under the same id with a
role, if earlier deltas mostly had none. `Assembly.add` knows the last two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from ..errors import NormalizeError
from ..payload import BLANKS, REFUSALS, guarded, parse
from .assembly import Assembly, is_foreign, is_whole
from .chunks import ChunkReader
from .events import DONE, Event, EventReader

_listed = guarded(msgspec.json.Decoder(list[msgspec.Raw]).decode)

Kind = Literal["stream", "body", "foreign"]


class Unit(msgspec.Struct, frozen=True):
    """One answer, or the foreign text between two, in a text: its kind, and where it is in bytes.

    A `body` is JSON without `data:` that is not a chunk. Units follow one another without a gap.
    """

    kind: Kind
    start: int
    end: int


class StreamSplitter:
    """Feeds on pieces of a text and gives its units as soon as the next one starts."""

    def __init__(self, reader: ChunkReader) -> None:
        self._reader = reader
        self._events = EventReader()
        self._assembly = Assembly(reader, skip_broken=True)
        self._kind: Kind | None = None
        self._start = 0
        self._size = 0

    def feed(self, piece: bytes) -> list[Unit]:
        """The units that end in this piece or before."""
        self._size += len(piece)
        return [unit for event in self._events.feed(piece) for unit in self._add(event)]

    def close(self) -> list[Unit]:
        """The units that the end of the text completes."""
        units = [unit for event in self._events.close() for unit in self._add(event)]
        if self._size > self._start:
            units.append(Unit(self._kind or "stream", self._start, self._size))
        return units

    def _add(self, event: Event) -> Iterator[Unit]:
        kind = _kind_of(event)
        if self._kind is None or (self._kind == "stream" and kind != "foreign"):
            is_taken = self._takes(event)
        else:
            is_taken = event.data == DONE
        if is_taken:
            self._kind = self._kind or kind
            return
        yield Unit(self._kind or "stream", self._start, event.offset)
        self._kind, self._start = kind, event.offset
        self._assembly = Assembly(self._reader, skip_broken=True)
        self._takes(event)

    def _takes(self, event: Event) -> bool:
        """Whether the answer goes on with an event; one that is refused does not end it."""
        try:
            self._assembly.add((event,))
        except NormalizeError as error:
            return error.code != "streams"
        return True


def _kind_of(event: Event) -> Kind:
    if not event.bare or event.data == DONE:
        return "stream"
    if is_foreign(event.data):
        return "foreign"
    try:
        tree = parse(event.data)
    except NormalizeError:
        return "stream"
    return "body" if is_whole(tree) else "stream"


def framed(payload: bytes) -> bytes | None:
    """A list of chunks as the text of a stream; `None` for any other payload."""
    try:
        items = _listed(payload) if payload.lstrip(BLANKS).startswith(b"[") else None
    except REFUSALS:
        return None
    # Line ends in JSON are blanks: those in its strings are escaped.
    return (
        None if items is None else b"".join(b"data: " + b" ".join(bytes(item).splitlines()) + b"\n\n" for item in items)
    )


def split_streams(reader: ChunkReader, text: bytes) -> Iterator[Unit]:
    """The answers in a text, and the foreign texts between them, in order and without a gap."""
    splitter = StreamSplitter(reader)
    yield from splitter.feed(text)
    yield from splitter.close()
