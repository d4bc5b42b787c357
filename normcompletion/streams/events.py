"""The framing of event streams: bytes or text, in any cut, to events. No I/O, no JSON of any service.

Server-sent events as the WHATWG describes them (https://html.spec.whatwg.org/multipage/server-sent-events.html), and
what logs hold in their place: recorders that drop the blank lines, one chunk a line without `data:`, one JSON document
for the whole stream, plain text where a stream was expected.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

import msgspec

from ..errors import MalformedPayloadError
from ..payload import BLANKS, MAX_RECORD_BYTES

DONE = b"[DONE]"

_LINE_END = re.compile(rb"\r\n|\n|\r")
_FIELDS = (b"data", b"event", b"id", b"retry")
_BOM = b"\xef\xbb\xbf"
_check = msgspec.json.Decoder(msgspec.Raw).decode


class Event(msgspec.Struct, frozen=True):
    """One event: its data, and its name where an `event:` line gave one.

    `ended` is false where the stream ended in the middle of the event's last line.
    """

    data: bytes
    name: str | None = None
    ended: bool = True


class EventReader:
    """Feeds on pieces of a stream and gives its events as soon as they are complete.

    Comments, keep-alives and unknown fields are dropped at once: memory is bounded by `max_event_bytes`, whatever the
    length of the stream. Raises `MalformedPayloadError` for a longer event.
    """

    __slots__ = ("_data", "_document", "_mode", "_name", "_pending", "_pending_size", "_size", "max_event_bytes")

    def __init__(self, max_event_bytes: int = MAX_RECORD_BYTES) -> None:
        self.max_event_bytes = max_event_bytes
        self._pending: list[bytes] = []  # pieces of the line that has no end yet
        self._pending_size = 0
        self._data: list[bytes] = []  # the `data:` lines of the event that has no end yet
        self._size = 0
        self._name: str | None = None
        self._document: list[bytes] = []  # all lines, where the stream is one document
        self._mode = ""  # then "events", "lines" or "document"

    def feed(self, piece: bytes | str) -> list[Event]:
        """The events that this piece completes."""
        text = piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else bytes(piece)
        events: list[Event] = []
        held = self._pending and self._pending[-1].endswith(b"\r")  # the other half of a CRLF may follow
        if not held and b"\n" not in text and b"\r" not in text:
            self._hold(text)
            return events
        self._pending.append(text)
        text = b"".join(self._pending)
        lines = _LINE_END.split(text) if b"\r" in text else text.split(b"\n")
        rest = lines.pop()
        if not rest and text.endswith(b"\r"):
            rest = lines.pop() + b"\r"
        self._pending.clear()
        self._pending_size = 0
        self._hold(rest)
        for line in lines:
            self._line(line, events)
        return events

    def _hold(self, text: bytes) -> None:
        if self._mode in ("", "events") and self._pending and self._pending[0].startswith(b":"):
            self._pending[1:] = [text[-1:]]  # a comment may go on for ever
        elif text:
            self._pending.append(text)
            self._pending_size += len(text)
            self._limit(self._pending_size)

    def close(self) -> list[Event]:
        """The events that the end of the stream completes: the last one may lack its blank line."""
        events: list[Event] = []
        last = b"".join(self._pending)
        self._pending.clear()
        if last:
            self._line(last.removesuffix(b"\r"), events)
        self._dispatch(events, ended=not last)
        if self._document:
            document = b"\n".join(self._document).strip(BLANKS)
            self._document.clear()
            if document:
                events.append(Event(document, ended=not last))
        return events

    def _line(self, line: bytes, events: list[Event]) -> None:
        if not self._mode:
            line = line.removeprefix(_BOM)
            bare = line.lstrip(BLANKS)
            if not bare:
                return
            self._mode = _mode_of(bare)
            if self._mode == "events":
                line = bare  # one recorder indents the first line
        if self._mode == "document":
            self._document.append(line)
            self._size += len(line) + 1
            self._limit(self._size)
        elif not line:
            self._dispatch(events)
        else:
            field, _, value = line.partition(b":")
            if field == b"data":
                self._take(value.removeprefix(b" "), events)
            elif field == b"event":
                self._name = value.removeprefix(b" ").decode("utf-8", "replace") or None
            elif line.startswith(b"{") or line == DONE:
                self._take(line, events)
            elif self._mode == "lines" and not line.startswith(b":") and line.strip(BLANKS):
                self._take(line, events)  # no field of an event that may be dropped

    def _take(self, value: bytes, events: list[Event]) -> None:
        if value.lstrip(BLANKS).startswith(b":"):  # a gateway put `data: ` before a comment (mnfst/llm-gateway#2053)
            return
        if self._data and _may_end(self._data[-1]) and value.lstrip(BLANKS).startswith((b"{", b"[")):
            # No JSON text goes on with `{` or `[` behind a `}`: the blank line between two events was dropped.
            self._dispatch(events)
        self._data.append(value)
        self._size += len(value) + 1
        self._limit(self._size)

    def _dispatch(self, events: list[Event], *, ended: bool = True) -> None:
        if self._data:
            events.append(Event(b"\n".join(self._data), self._name, ended))
            self._data.clear()
            self._size = 0
        self._name = None

    def _limit(self, size: int) -> None:
        if size > self.max_event_bytes:
            raise MalformedPayloadError(
                f"one event has more than max_event_bytes={self.max_event_bytes}; raise the limit", code="too_long"
            )


def _may_end(line: bytes) -> bool:
    return line.rstrip(BLANKS).endswith((b"}", DONE))


def _mode_of(line: bytes) -> str:
    """What a stream is, by its first line that is not empty."""
    if line.partition(b":")[0] in (b"", *_FIELDS):
        return "events"
    if line.startswith(b"{"):
        try:
            _check(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return "document"
        return "lines"
    return "document"


def iter_events(pieces: Iterable[bytes | str]) -> Iterator[Event]:
    """The events of a stream that comes in pieces, such as `httpx.Response.iter_bytes()` gives."""
    reader = EventReader()
    for piece in pieces:
        yield from reader.feed(piece)
    yield from reader.close()


async def aiter_events(pieces: AsyncIterable[bytes | str]) -> AsyncIterator[Event]:
    """`iter_events` for an asynchronous iterable."""
    reader = EventReader()
    async for piece in pieces:
        for event in reader.feed(piece):
            yield event
    for event in reader.close():
        yield event
