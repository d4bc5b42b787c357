"""The framing of event streams: bytes or text, in any cut, to events. No I/O, no JSON of any service.

Server-sent events as the WHATWG describes them (https://html.spec.whatwg.org/multipage/server-sent-events.html), and
what logs and servers put in their place: recorders that drop the blank lines, one chunk a line without `data:`, a JSON
body or an HTML page between streams, a field `error:` (llama.cpp), lines that a client has already separated.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

import msgspec

from ..errors import MalformedPayloadError
from ..payload import BLANKS, MAX_RECORD_BYTES, guarded, parse

DONE = b"[DONE]"

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r)")
_FIELDS = (b"data", b"event", b"id", b"retry", b"error", b"")
_FIELD_STARTS = (b"data:", b"event:", b"id:", b"retry:", b"error:", b":", b"{", DONE)
_UNKNOWN_FIELD = re.compile(rb"[A-Za-z][A-Za-z0-9_-]*:")
_PLAIN, _NEWLINE = (b"{", DONE), b"\n"[0]
_BOM = b"\xef\xbb\xbf"
_LONGEST_COMMENT = 200
_check = guarded(msgspec.json.Decoder(msgspec.Raw).decode)


class Event(msgspec.Struct, frozen=True):
    r"""One event: its data, and its name where an `event:` line gave one or its field was `error:`.

    `ended` is false where the stream ended in the middle of the event's last line. A `bare` event is text without
    `data:`: a chunk on a line of its own, a JSON body, or foreign text. A `broken` one is data that went on in lines
    which no field starts. `offset` is where it starts in the stream, with the comments before it, in bytes; `comment`
    is the last of those.

    >>> next(iter_events([b'data: {"choices": []}\n\n'])).data
    b'{"choices": []}'
    """

    data: bytes
    name: str | None = None
    ended: bool = True
    bare: bool = False
    broken: bool = False
    offset: int = 0
    comment: str | None = None


class EventReader:
    r"""Feeds on pieces of a stream and gives its events as soon as they are complete.

    Pieces that have no line ends and are whole lines, as `httpx.Response.iter_lines()` gives them, are read as lines.
    Keep-alives and unknown fields are dropped at once: memory is bounded by `max_event_bytes`, whatever the length of
    the stream. Raises `MalformedPayloadError` for a longer event.

    >>> reader = EventReader()
    >>> [event.data for event in reader.feed(b"data: one\n\ndata: two")]
    [b'one']
    """

    def __init__(self, max_event_bytes: int = MAX_RECORD_BYTES, *, are_lines: bool | None = None) -> None:
        self.max_event_bytes = max_event_bytes
        self._pending: list[bytes] = []  # pieces of the line that has no end yet
        self._pending_size = 0
        self._are_lines = are_lines  # whether pieces are lines; not known at first
        self._data: list[bytes] = []  # the `data:` lines of the event that has no end yet
        self._block: list[bytes] = []  # lines without a field: JSON over several lines, or foreign text
        self._balance: int | None = None  # open brackets of a block; `None` where it is not JSON
        self._size = 0  # of the event that has no end yet
        self._name: str | None = None
        self.comment: str | None = None
        self._broken = False
        self.is_fresh = True  # whether nothing came yet
        self._at = 0  # where the next line starts
        self._start: int | None = None  # where the event starts

    @property
    def is_open(self) -> bool:
        """Whether what comes next may belong to something that came before it."""
        return bool(self._pending or self._data or self._block or self.comment is not None)

    def feed(self, piece: bytes | str) -> list[Event]:
        """The events that this piece completes."""
        text = piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else bytes(piece)
        events: list[Event] = []
        has_end = b"\n" in text or b"\r" in text
        if self._are_lines is None:
            self._are_lines = self._told(text, has_end=has_end)
            if self._are_lines:
                lines, self._pending, self._pending_size = self._pending, [], 0
                for line in lines:
                    self._line(line, len(line) + 1, events)
        if self._are_lines and not has_end:
            self._line(text, len(text) + 1, events)
            return events
        held = self._pending and self._pending[-1].endswith(b"\r")  # the other half of a CRLF may follow
        if not held and not has_end:
            self._hold(text)
            return events
        self._pending.append(text)
        self._separate(b"".join(self._pending), events)
        return events

    def _told(self, text: bytes, *, has_end: bool) -> bool | None:
        """Whether pieces are lines: none has an end, and one starts a field anew; `None` as long as nothing tells.

        In a stream that was cut anywhere, no field follows an empty line, or JSON that is not cut inside of a string,
        without a line end between them; no object follows another one that is whole.
        """
        if has_end:
            return False
        if not text and (self._pending or self._at):
            self._pending.append(text)
        if not text.strip(BLANKS):
            return None
        before = next((piece for piece in reversed(self._pending) if piece.strip(BLANKS)), b"")
        if not text.removeprefix(_BOM).startswith(_FIELD_STARTS):
            return None if before.startswith(_FIELD_STARTS[1:4]) and _UNKNOWN_FIELD.match(text) else False
        if text.startswith((b"{", DONE, b":")):  # a colon may be inside of JSON
            return True if before.startswith(b"{") and is_json(before) else None
        has_json = before.startswith(b"data:") and before[5:].lstrip(BLANKS).startswith((b"{", b"["))
        is_new = self._pending[-1:] == [b""] or (has_json and not _ends_in_string(before))
        return True if before and is_new else None

    def _hold(self, text: bytes) -> None:
        if not text:
            return
        self._pending.append(text)
        self._pending_size += len(text)
        if self._pending[0].startswith(b":") and self._are_lines is False:
            if self._pending_size > _LONGEST_COMMENT:  # it may go on for ever
                self._pending = [b"".join(self._pending)[:_LONGEST_COMMENT], text[-1:]]
                self._pending_size = _LONGEST_COMMENT
        else:
            self._limit(self._pending_size)

    def _separate(self, text: bytes, events: list[Event]) -> None:
        """The lines of a text that has some ends; what is behind the last one waits."""
        self._pending, self._pending_size = [], 0
        if b"\r" in text:
            end = 0
            last = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1  # behind it the pattern would look for an end in vain
            for found in _LINE.finditer(text, 0, last):
                if found.end() == len(text) and text.endswith(b"\r"):
                    break  # a line feed may follow
                end = found.end()
                self._line(found[0].rstrip(b"\r\n"), len(found[0]), events)
            self._hold(text[end:])
        else:
            *lines, rest = text.split(b"\n")
            for line in lines:
                self._line(line, len(line) + 1, events)
            self._hold(rest)

    def close(self) -> list[Event]:
        """The events that the end of the stream completes: the last one may lack its blank line."""
        events: list[Event] = []
        pending = self._pending
        self._pending = []
        if self._are_lines is None and len(pending) > 1 and all(map(_may_be_line, pending)):
            for line in pending:
                self._line(line, len(line) + 1, events)
            pending = []
        last = b"".join(pending)
        ended = not last or self._are_lines is True
        if last:
            self._line(last.removesuffix(b"\r"), len(last), events, ended=ended)
        self._end(events, ended=ended)
        return events

    def _line(self, line: bytes, size: int, events: list[Event], *, ended: bool = True) -> None:
        start, self._at = self._at, self._at + size
        if self.is_fresh:
            line = line.removeprefix(_BOM).lstrip(BLANKS)  # one recorder indents the first line
            self.is_fresh = not line
        if not line:
            if self._block:
                self._block.append(line)
            else:
                self._end(events)
                self._name = None
                self._start = self._start if self.comment else None
            return
        field, colon, value = line.partition(b":")
        # No line inside of JSON starts with a field, but one may start with a colon.
        if colon and field in _FIELDS and (field or not (self._block and self._balance)):
            if self._block:
                self._end(events)
            self._start = self._begun(start)
            if field == b"error" or (field == b"event" and self._name is not None):
                self._end_whole(start, events)
            if field == b"data" or (field == b"error" and not self._data):
                self._take(value.removeprefix(b" "), start, events)
                if field == b"error":
                    self._name = "error"
            elif field == b"event":
                self._name = value.removeprefix(b" ").decode("utf-8", "replace") or None
            elif field == b"" and value.strip(BLANKS):
                self.comment = value[:_LONGEST_COMMENT].decode("utf-8", "replace").strip()
        elif (bare := line.strip(BLANKS)) and not (
            # Readers ignore unknown fields (WHATWG); outside of an event, a line like that is a header or other text.
            self._start is not None and not self._block and _UNKNOWN_FIELD.match(line)
        ):
            self._bare(line, bare, start, events, ended=ended)

    def _take(self, value: bytes, start: int, events: list[Event]) -> None:
        bare = value.lstrip(BLANKS)
        if bare.startswith(b":"):  # a gateway put `data: ` before a comment (mnfst/llm-gateway#2053)
            self.comment = bare[1:_LONGEST_COMMENT].decode("utf-8", "replace").strip()
            return
        if self._data and self._starts_anew(bare):
            self._end(events)
            self._start = start
        self._data.append(value)
        self._grow(len(value) + 1)

    def _starts_anew(self, bare: bytes) -> bool:
        """Whether data starts another event: the blank line between them was dropped.

        No JSON text goes on with `{` or `[` behind a `}`, and no sentence does; none goes on behind its end, which is
        looked for in the first line alone (in each of many it would take quadratic time).
        """
        if bare.startswith((b"{", b"[")):
            is_sentence = not self._data[0].lstrip(BLANKS).startswith((b"{", b"[", b'"'))
            return _may_end(self._data[-1]) or is_sentence or bare.rstrip(BLANKS) == DONE
        return bool(bare) and len(self._data) == 1 and _may_end(self._data[0]) and is_json(self._data[0])

    def _end_whole(self, start: int, events: list[Event]) -> None:
        """End an event that may be whole where another one starts: the blank line between them was dropped."""
        if self._data and _may_end(self._data[-1]):
            self._end(events)
            self._start = start

    def _bare(self, line: bytes, bare: bytes, start: int, events: list[Event], *, ended: bool) -> None:
        """A line that no field starts."""
        if self._block and self._balance:  # JSON over several lines
            self._extend(line, events)
        elif self._broken or (self._data and not bare.startswith(b"{") and not is_json(b"\n".join(self._data))):
            self._data.append(line)
            self._broken = True
            self._grow(len(line) + 1)
        elif bare == DONE or (bare.startswith(b"{") and is_json(bare)):
            self._end(events)
            events.append(Event(bare, self._name, ended, bare=True, offset=self._begun(start), comment=self.comment))
            self._reset()
        else:
            if self._data or bare.startswith((b"{", b"[")):
                self._end(events)
            if not self._block:
                self._start = self._begun(start)
                self._balance = 0 if bare.startswith((b"{", b"[")) else None
            self._extend(line, events)

    def _begun(self, start: int) -> int:
        return start if self._start is None else self._start

    def _extend(self, line: bytes, events: list[Event]) -> None:
        self._block.append(line)
        self._grow(len(line) + 1)
        if self._balance is not None:
            self._balance += line.count(b"{") + line.count(b"[") - line.count(b"}") - line.count(b"]")
            if self._balance <= 0:
                if is_json(b"\n".join(self._block)):
                    self._end(events)
                else:
                    self._balance = None

    def _end(self, events: list[Event], *, ended: bool = True) -> None:
        """Give the event that is open, if one is: its data, or a block of lines."""
        if self._data or self._block:
            text, name = b"\n".join(self._data), self._name
            if self._block:
                text, name = b"\n".join(self._block).strip(BLANKS), None
            is_bare = bool(self._block)
            events.append(Event(text, name, ended, is_bare, self._broken, self._start or 0, self.comment))
            self._reset()

    def _reset(self) -> None:
        self._data, self._block, self._balance = [], [], None
        self._size, self._name, self.comment = 0, None, None
        self._start, self._broken = None, False

    def _grow(self, size: int) -> None:
        self._size += size
        self._limit(self._size)

    def _limit(self, size: int) -> None:
        if size > self.max_event_bytes:
            raise MalformedPayloadError(
                f"one event has more than max_event_bytes={self.max_event_bytes}; raise the limit", code="too_long"
            )


def _may_end(line: bytes) -> bool:
    return line.rstrip(BLANKS).endswith((b"}", b"]"))


def is_json(text: bytes) -> bool:
    """Whether a text is JSON, with or without halves of surrogate pairs."""
    try:
        _check(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        if b"\\u" not in text:
            return False
        try:
            parse(text)  # with half of a surrogate pair
        except MalformedPayloadError:
            return False
    return True


def is_line(piece: bytes) -> bool:
    """Whether a piece is a line of an event stream, and no JSON."""
    bare = piece.removeprefix(_BOM).lstrip(BLANKS)
    return not bare or bare.startswith(_FIELD_STARTS[:6])


def _may_be_line(piece: bytes) -> bool:
    """Whether a piece may be a whole line of an event stream."""
    value = piece.removeprefix(b"data:").strip(BLANKS)
    is_whole = not value.startswith((b"{", b"[")) or value == DONE or is_json(value)
    return is_whole and (not value or b":" in piece[:6])


def _ends_in_string(text: bytes) -> bool:
    """Whether JSON that was cut ends inside of a string."""
    return text.replace(rb"\\", b"").replace(rb"\"", b"").count(b'"') % 2 == 1


def frames(raw: bytes) -> Iterator[bytes | Event]:
    """The events of a whole stream; of one that is a single line with an object, only the data, without its offset."""
    if b"\r" in raw or not raw.endswith(b"\n"):
        yield from iter_events((raw,))
        return
    before, *pieces = (b"\n\n" + raw.rstrip(b"\n")).split(b"\n\ndata: ")
    reader = EventReader(len(raw))
    if before:
        yield from reader.feed(before[2:] + b"\n\n")
    is_open = reader.is_open
    reader.is_fresh = False
    for piece in pieces:
        if is_open or _NEWLINE in piece or not piece.startswith(_PLAIN):
            yield from reader.feed(b"data: " + piece + b"\n\n")
            is_open = reader.is_open
        else:
            yield piece
    if is_open:
        yield from reader.close()


def iter_events(pieces: Iterable[bytes | str]) -> Iterator[Event]:
    r"""The events of a stream that comes in pieces, such as `httpx.Response.iter_bytes()` or `iter_lines()` gives.

    >>> [event.data for event in iter_events([b"data: o", b"ne\n\n"])]
    [b'one']
    """
    reader = EventReader()
    for piece in pieces:
        yield from reader.feed(piece)
    yield from reader.close()


async def aiter_events(pieces: AsyncIterable[bytes | str]) -> AsyncIterator[Event]:
    r"""`iter_events` for an asynchronous iterable.

    >>> import asyncio
    >>> async def pieces():
    ...     yield b"data: one\n\n"
    >>> async def read():
    ...     return [event.data async for event in aiter_events(pieces())]
    >>> asyncio.run(read())
    [b'one']
    """
    reader = EventReader()
    async for piece in pieces:
        for event in reader.feed(piece):
            yield event
    for event in reader.close():
        yield event
