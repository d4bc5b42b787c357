"""Bytes to units, the pieces that are converted one by one, in bounded blocks. Knows JSON's brackets and no more.

A file is looked at once, at its beginning, for its *form*:

* `lines`: one JSON text a line (JSONL). Lines end at a line feed and nowhere else; blank lines are units.
* `values`: JSON values one after the other, over several lines (pretty-printed) or many on one; or one of them.
* `array`: one JSON array; its elements are the units, and it is never held as a whole.
* `stream`: saved event streams, with whole bodies or foreign text between them or without; each answer is a unit, and
  so is each foreign text. It is told by a line of `data:`, by the headers of an HTTP response (`curl -i`), or by a line
  of text before a pretty-printed body.
* `table`: Parquet; its rows are the units.

A file whose first line is a whole JSON value is `lines`. One whose first line opens an object that goes on in the next
line is `values`; not so where the next line opens another one in its first column, for then the first line was cut
off. One that begins with `[` is an `array`, unless more text follows the closing bracket, or one line holds a request
with its response, or the chunks of a stream: these are lines.

Where blocks are cut depends on the bytes alone: a block holds the units that start in one window of `block_bytes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from ..api import default_chunk_reader
from ..envelopes.hints import looks_like_response
from ..envelopes.members import items_of
from ..envelopes.options import Envelopes
from ..envelopes.registry import named_list
from ..envelopes.wrappers import is_chunk
from ..errors import NormalizeError
from ..payload import MAX_RECORD_BYTES, looks_like_stream, parse
from ..streams.splitting import StreamSplitter
from . import tables, unreadable
from .blocks import BLOCK_BYTES, Block, Range, Unit
from .forms import reading
from .inputs import Decoded, IncompleteInput, Input, InputError, open_decoded

__all__ = ["BLOCK_BYTES", "Block", "Form", "Range", "Unit", "blocks", "form_of", "read_range", "units_of"]

Form = Literal["lines", "values", "array", "stream", "table"]

_BOM = b"\xef\xbb\xbf"
_PARQUET = b"PAR1"
_LOOK = 1 << 16  # how many bytes the form is told by, at first; then twice as many, up to a whole record
_READ = 1 << 20
_TOLD_BY = 512  # bytes that tell a file that is not read
_QUOTE, _BACKSLASH, _OPEN = ord('"'), ord("\\"), b"{["
# The record separator stands before each text of a JSON text sequence (RFC 7464).
_SPACE = re.compile(rb"[ \t\r\n,\x1e]*+")
_BLANK = re.compile(rb"[ \t\r\n\x1e]*+")
# Both run over whole strings at once, the second also over arrays and objects that hold neither strings nor others.
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_TO_BRACKET = re.compile(
    rb'[^"{}\[\]]*+(?:(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"|\[[^"{}\[\]]*+\]|\{[^"{}\[\]]*+\})[^"{}\[\]]*+)*+', re.DOTALL
)
_WORD = re.compile(rb"[^,\] \t\r\n]*+")
_LINE = re.compile(rb"[^\n]*+")
# Events; an HTTP message; text, but no number on a line of its own, with JSON over several lines behind it.
_STREAMS = re.compile(
    rb"^data: ?[{\[]|\AHTTP/\d|\A(?!-?\d+(?:\.\d+)?[ \t\r]*\n)[^{\[\"\s][^\n]*\n(?:[^\n]*\n){0,20}?\{[ \t\r]*\n",
    re.MULTILINE,
)
# What `curl -i` and `curl -v` show of an HTTP message: its first line and its fields, or lines with a mark before them.
_HEADERS = re.compile(rb"(?:HTTP/\d[^\n]*\n(?:[\w-]+:[^\n]*\n)*(?:\r?\n)*|(?:[*<>{}](?: [^\n]*)?\r?\n|\r?\n)+)+")
_LOG = re.compile(
    rb"[ \t\r\n\x1e]*+(?:\{\s*+(?:[\"}]|\Z)|\[\s*+(?:[{\[\"\-\d\]]|\Z|true|false|null))|HTTP/"
    rb"|(?s:.*?)^(?:data: ?[{\[]|\{\s*+\")",
    re.MULTILINE,
)


def blocks(
    source: Decoded,
    index: int = 0,
    *,
    offset: int = 0,
    line: int = 1,
    max_record_bytes: int = MAX_RECORD_BYTES,
    block_bytes: int = BLOCK_BYTES,
    ranges: bool = False,
    envelopes: Envelopes | None = None,
) -> Iterator[Block]:
    """The blocks of an input that was just opened, in order.

    Args:
        source: the input.
        index: its place in the list of inputs.
        offset: where to begin: with the first unit that starts at this byte (this row of a table) or later.
        line: the number of that unit; only lines need it.
        max_record_bytes: a longer unit is passed over; it comes as a `Unit` without text.
        block_bytes: the units that start in one window of so many bytes make a block.
        ranges: give lines of a plain file as ranges, for `read_range` in another process.
        envelopes: what the caller knows of them: where the responses of this input are.

    Raises:
        InputError: the input is neither text nor a table that can be read.
        IncompleteInput: after everything before the break.

    """
    known = (envelopes or Envelopes()).of_file(source.path)
    limits = {"limit": max_record_bytes, "window": block_bytes}
    special = reading.find(source, known, max_record_bytes)
    if special is not None:
        yield from reading.blocks(special, source, index, offset, window=block_bytes, envelopes=known)
        return
    told = unreadable.advice(source.peek(_TOLD_BY), source.name)
    if told is not None:
        raise InputError(told)
    form, indent = _look(source, max_record_bytes)
    if form == "table":
        yield from tables.parquet(source, index, offset, envelopes=known, **limits)
        return
    body = None if envelopes is None else known.body
    mark = len(_BOM) if source.peek(len(_BOM)) == _BOM else 0
    start = 0 if offset <= mark else offset
    # What is written to a log while it is read belongs to the next run.
    until = source.size if source.is_plain_file and source.size else None
    feed = _Feed(source)
    if form == "lines" and ranges and until is not None:
        for at, number in _line_numbers(feed, start, line, until, block_bytes):
            part = Range(source.path, at, min(at - at % block_bytes + block_bytes, until))
            yield Block(index, number, at, part, body, source.name)
        return
    if form == "lines":
        source.skip(start - 1 if start else mark)
        data, at = _next_line(feed, start, until) if start else (b"", mark)
        found = _lines(feed, index, line, at, data, until=until, **limits)
    else:
        source.skip(mark)
        if form == "stream":
            units = _answers(feed, mark, max_record_bytes)
        else:
            units = _Values(feed, mark, max_record_bytes, indent).units(form)
        found = _grouped(units, index, start, block_bytes)
    for block in found:
        yield block._replace(body=body, name=source.name)
    if feed.failure is not None:
        raise feed.failure


def read_range(block: Block, max_record_bytes: int = MAX_RECORD_BYTES) -> Iterator[Block]:
    """The blocks of a range: one of lines, cut in pieces only by lines that are too long.

    Raises `IncompleteInput` after everything before the break.
    """
    part = block.data
    assert isinstance(part, Range)
    with open_decoded(Input(part.path, part.path)) as source:
        feed = _Feed(source)
        data, at = b"", 0
        if part.start:
            source.skip(part.start - 1)
            data, at = _next_line(feed, part.start, part.stop)
        elif source.peek(len(_BOM)) == _BOM:
            source.skip(len(_BOM))
            at = len(_BOM)
        yield from _lines(
            feed, block.input, block.line, at, data, until=part.stop, window=part.stop, limit=max_record_bytes
        )
    if feed.failure is None and source.size is not None and source.size < part.stop:
        raise IncompleteInput(part.path, source.size, "the file was cut off while it was read; convert it again")
    if feed.failure is not None:
        raise feed.failure


def units_of(block: Block) -> Iterator[Unit]:
    """The units of a block, with the numbers and places they have in the input."""
    data = block.data
    assert not isinstance(data, Range)
    if isinstance(data, list):
        yield from data
        return
    line, offset = block.line, block.offset
    texts = data.split(b"\n")
    last = texts.pop()
    separated = b"\x1e" in data
    for text in texts:
        length = len(text) + 1
        yield Unit(line, offset, length, text.removeprefix(b"\x1e") if separated else text)
        line += 1
        offset += length
    if last:
        yield Unit(line, offset, len(last), last.removeprefix(b"\x1e"))


def form_of(source: Decoded, max_record_bytes: int = MAX_RECORD_BYTES) -> Form:
    """The form of an input that was just opened; nothing of it is read."""
    return _look(source, max_record_bytes)[0]


def is_log(head: bytes) -> bool:
    """Whether a file that begins so can hold responses: JSON, event streams, HTTP messages with them, or Parquet."""
    return head.startswith(_PARQUET) or _LOG.match(head.removeprefix(_BOM)) is not None


class _Feed:
    """Reads on. A fault ends the reading and is kept until all that stood before it was given."""

    __slots__ = ("failure", "source")

    def __init__(self, source: Decoded) -> None:
        self.source = source
        self.failure: IncompleteInput | None = None

    def __call__(self, size: int) -> bytes:
        if self.failure is not None:
            return b""
        try:
            return self.source.read(size)
        except IncompleteInput as failure:
            self.failure = failure
            return b""


# -- lines


def _line_numbers(feed: _Feed, start: int, line: int, until: int, window: int) -> Iterator[tuple[int, int]]:
    """Where the windows from `start` on begin, each with the number of the first line that starts there or later."""
    feed.source.skip(max(start - 1, 0))
    while start < until:
        yield start, line
        following = start - start % window + window
        line += feed(following - max(start, 1)).count(b"\n") + (not start)
        start = following


def _next_line(feed: _Feed, offset: int, until: int | None) -> tuple[bytes, int]:
    """What was read behind the first line feed at `offset - 1` or later, and where it starts.

    The feed stands at `offset - 1`. The search ends at `until`.
    """
    at = offset - 1
    # With what most lines have behind the end: so a block need not be put together.
    size = _READ if until is None else min(_READ, until - at) + _LOOK
    while (until is None or at < until) and (data := feed(size)):
        found = data.find(b"\n")
        if found >= 0:
            return data[found + 1 :], at + found + 1
        at += len(data)
    return b"", at if until is None else max(at, until)


def _lines(
    feed: _Feed, index: int, line: int, at: int, data: bytes, *, until: int | None, window: int, limit: int
) -> Iterator[Block]:
    """The blocks of the lines that start before `until`; `data` starts at `at`, where line number `line` does."""
    while until is None or at < until:
        border = (at // window + 1) * window
        if until is not None:
            border = min(border, until)
        # The block ends with the first line that ends at the border or behind it.
        fence = border - 1 - at
        found = data.find(b"\n", fence)
        unfinished = 0
        while found < 0:
            unfinished = data.rfind(b"\n") + 1
            if len(data) - unfinished > limit:
                break
            # With the border, what most lines have behind it: so the block need not be put together.
            ahead = min(max(len(data) - unfinished, _LOOK), _READ)
            more = feed(max(fence + 1 - len(data), 0) + ahead)
            if not more:
                unfinished = len(data)
                break
            known = max(len(data), fence)
            data += more
            found = data.find(b"\n", known)
        end = found + 1 or unfinished
        text, data = data[:end], data[end:]
        if text:
            yield from _without_long(index, line, at, text, limit)
            at += len(text)
            if found < 0 or until is None or at < until:  # somebody wants to know: this costs as much as a copy
                line += text.count(b"\n")
        if found < 0:
            if not data:
                return
            length, data = _pass_over(feed, data)
            yield Block(index, line, at, [Unit(line, at, length, None)])
            at += length
            line += 1


def _without_long(index: int, line: int, at: int, text: bytes, limit: int) -> Iterator[Block]:
    """Lines as a block; those that are too long as units between blocks."""
    start = 0
    if len(text) > limit:
        place = 0
        while place < len(text):
            end = text.find(b"\n", place) + 1
            if (end - 1 if end else len(text)) - place > limit:
                if place > start:
                    piece = text[start:place]
                    yield Block(index, line, at + start, piece)
                    line += piece.count(b"\n")
                start = end or len(text)
                yield Block(index, line, at + place, [Unit(line, at + place, start - place, None)])
                line += 1
            place = end or len(text)
    if start < len(text):
        yield Block(index, line, at + start, text[start:])


def _pass_over(feed: _Feed, data: bytes) -> tuple[int, bytes]:
    """The length of the line that `data` begins, its line feed included, and what was read behind it."""
    length = len(data)
    while data := feed(_READ):
        found = data.find(b"\n")
        if found >= 0:
            return length + found + 1, data[found + 1 :]
        length += len(data)
    return length, b""


# -- values


class _Nesting:
    """Finds where a value ends, in as many pieces as it comes: an object, an array or a string."""

    __slots__ = ("depth", "quoted")

    def __init__(self, *, quoted: bool = False) -> None:
        self.depth = 0
        self.quoted = quoted

    def scan(self, data: bytes, here: int, stop: int) -> tuple[int, bool]:
        """Go on at `here`, not beyond `stop`: where the value ends and true, or where to go on and false."""
        depth = self.depth
        while here < stop:
            if self.quoted:
                here = _IN_STRING.match(data, here, stop).end()  # type: ignore[union-attr] # matches nothing, too
                if here == stop or data[here] == _BACKSLASH:  # half an escape
                    break
                here += 1
                self.quoted = False
                if not depth:
                    return here, True
            else:
                if depth:  # else the value's own bracket is here
                    here = _TO_BRACKET.match(data, here, stop).end()  # type: ignore[union-attr] # as above
                    if here == stop:
                        break
                byte = data[here]
                here += 1
                if byte == _QUOTE:
                    self.quoted = True
                elif byte in _OPEN:
                    depth += 1
                else:
                    depth -= 1
                    if depth <= 0:
                        return here, True
        self.depth = depth
        return here, False


class _Run:
    """Finds the end of what is not a value, by an expression that matches the whole of it."""

    __slots__ = ("_expression",)

    def __init__(self, expression: re.Pattern[bytes]) -> None:
        self._expression = expression

    def scan(self, data: bytes, here: int, stop: int) -> tuple[int, bool]:
        """As `_Nesting.scan`."""
        here = self._expression.match(data, here, stop).end()  # type: ignore[union-attr] # matches nothing, too
        return here, here < stop


class _Values:
    """The values of a text, one by one; holds no more than one of them.

    `indent` is the white space with which the line of a new value begins: what has not ended there was cut off. `None`
    where that cannot be told.
    """

    def __init__(self, feed: _Feed, offset: int, limit: int, indent: bytes | None) -> None:
        self._feed = feed
        self._limit = limit
        self._data = b""
        self._base = offset  # where `data` stands in the input
        self._at = 0  # what stands before is done
        self._line = 1  # the line of `at`
        self._ended = False
        self._mark = None if indent is None else re.compile(rb"\n" + re.escape(indent) + rb"[{\[]")
        self._mark_width = len(indent or b"") + 1
        self._next_mark = -1  # the next line that begins a value, where one was found
        self._unmarked = 0  # there is none before this place

    def units(self, form: Form) -> Iterator[Unit]:
        """The values: the elements of arrays where the form is `array`, else whole ones."""
        inside = False
        while self._pass_separators():
            byte = self._data[self._at]
            if form == "array" and byte in b"[]" and inside == (byte == ord("]")):
                inside = not inside
                self._advance(self._at + 1)
            elif byte in _OPEN:
                yield self._value(_Nesting(), 0)
            elif inside and byte == _QUOTE:
                yield self._value(_Nesting(quoted=True), 1)
            else:
                yield self._value(_Run(_WORD if inside else _LINE), 0)
        if inside and self._feed.failure is None:
            reason = "the JSON array is not closed: the file was cut off, or somebody still writes to it"
            self._feed.failure = IncompleteInput(self._feed.source.name, self._base + self._at, reason)

    def _value(self, end_of: _Nesting | _Run, known: int) -> Unit:
        """The value that starts here; its first `known` bytes need no look."""
        line, start = self._line, self._base + self._at
        here, held = self._at + known, True
        while True:
            stop, cut_off = self._horizon(here)
            here, ended = end_of.scan(self._data, here, stop)
            if ended:
                break
            if cut_off:
                here = stop
                break
            if here - self._at > self._limit:
                held = False
                self._advance(here)
            behind = here - self._at
            if not self._more():
                here = len(self._data)
                break
            here = self._at + behind
        length = self._base + here - start
        text = self._data[self._at : here] if held and length <= self._limit else None
        self._advance(here)
        return Unit(line, start, length, text)

    def _horizon(self, here: int) -> tuple[int, bool]:
        """How far a value may be looked for, and whether a new one begins there."""
        if self._mark is None:
            return len(self._data), False
        if self._next_mark < here:
            found = self._mark.search(self._data, max(here, self._unmarked))
            if found is None:
                self._next_mark = -1
                # The start of a mark may stand at the end.
                self._unmarked = max(here, len(self._data) - self._mark_width)
                return (len(self._data) if self._ended else self._unmarked), False
            self._next_mark = found.start()
        return self._next_mark, True

    def _pass_separators(self) -> bool:
        """Go to the next value; false at the end."""
        while True:
            self._advance(_SPACE.match(self._data, self._at).end())  # type: ignore[union-attr] # matches nothing, too
            if self._at < len(self._data):
                return True
            if not self._more():
                return False

    def _advance(self, to: int) -> None:
        self._line += self._data.count(b"\n", self._at, to)
        self._at = to

    def _more(self) -> bool:
        """Read on, and drop what is done; false when the end has been seen before."""
        if self._ended:
            return False
        more = self._feed(_READ)
        if not more:
            self._ended = True
            return True  # what stands at the end can now be read as the end
        done = self._at
        self._data = self._data[done:] + more
        self._base += done
        self._at = 0
        self._next_mark -= done
        self._unmarked = max(self._unmarked - done, 0)
        return True


def _grouped(units: Iterator[Unit], index: int, offset: int, window: int) -> Iterator[Block]:
    """Units in blocks, those before `offset` left out."""
    held: list[Unit] = []
    for unit in units:
        if unit.offset < offset:
            continue
        if held and unit.offset // window != held[0].offset // window:
            yield Block(index, held[0].line, held[0].offset, held)
            held = []
        held.append(unit)
    if held:
        yield Block(index, held[0].line, held[0].offset, held)


def _answers(feed: _Feed, offset: int, limit: int) -> Iterator[Unit]:
    """The answers in a text with event streams, whole bodies and foreign texts between them; holds one of them."""
    splitter = StreamSplitter(default_chunk_reader())
    held, base, line = b"", 0, 1  # what was read from byte `base` on, whose first line has that number
    start_line = 1
    data = None
    while data != b"":
        data = feed(_READ)
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


# -- the form


def _look(source: Decoded, limit: int) -> tuple[Form, bytes | None]:
    """The form of an input, and the white space before a new value as `_Values` wants it."""
    size = _LOOK
    while True:
        head = source.peek(size)
        over = size > limit
        found = _judge(head, over=over, whole=len(head) < size)
        if found is not None:
            return found
        size = min(2 * size, limit + 1)


def _judge(head: bytes, *, over: bool, whole: bool) -> tuple[Form, bytes | None] | None:
    """The form of a text by its beginning, or `None` where more of it must be seen.

    `whole` says that the text ends with the beginning, `over` that the beginning is longer than a record may be.
    """
    last = whole or over
    if head.startswith(_PARQUET):
        return "table", None
    start = len(_BOM) if head.startswith(_BOM) else 0
    if looks_like_stream(head[start:]) or _STREAMS.search(head, start):
        return "stream", None
    start = _BLANK.match(head, start).end()  # type: ignore[union-attr] # matches nothing, too
    if start == len(head) and not last:
        return None
    if head[start : start + 1] not in (b"{", b"["):
        return "lines", None
    stop = head.find(b"\n", start)
    one_line = stop < 0
    if one_line:
        stop = len(head)
    nesting = _Nesting()
    end, ended = nesting.scan(head, start, stop)
    is_object = head[start] == ord("{")
    if ended:
        return _after_value(head, end, stop, last=last) if is_object else _after_array(head, start, end, last=last)
    if one_line:  # the first line has not ended yet
        if not is_object and (last or _count_elements(head, start, stop) > 3):
            return None if not last and _begins_with_chunk(head, start, stop) else ("array", None)
        return ("lines", None) if last else None
    if nesting.quoted:  # a line feed in a string: this line was cut off
        return "lines", None
    following = _BLANK.match(head, stop).end()  # type: ignore[union-attr] # as above
    if following == len(head):
        return (("lines" if is_object else "array"), None) if last else None
    first_column = head[following - 1] == ord("\n")
    if first_column and head[following] in _OPEN and (is_object or nesting.depth > 1):
        return "lines", None
    if is_object:
        return "values", None if first_column and head[following] == _QUOTE else b""
    if nesting.depth > 1:
        return "array", None
    return _array_of_lines(head, following, last=last)


def _after_value(head: bytes, end: int, stop: int, *, last: bool) -> tuple[Form, bytes | None] | None:
    """The form of a text that begins with an object on one line."""
    rest = head[end:stop]
    behind = rest.lstrip(b" \t,")
    if behind[:1] in (b"{", b"[") or (b"," in rest[: len(rest) - len(behind)] and not behind.strip(b"\r")):
        return "values", b""
    return None if not behind and stop == len(head) and not last else ("lines", None)


def _after_array(head: bytes, start: int, end: int, *, last: bool) -> tuple[Form, bytes | None] | None:
    """The form of a text that begins with an array on one line."""
    following = _BLANK.match(head, end).end()  # type: ignore[union-attr] # matches nothing, too
    if following < len(head):
        return "lines", None
    if not last:
        return None
    return ("lines" if _is_one_unit(head[start:end]) else "array"), None


def _is_one_unit(array: bytes) -> bool:
    """Whether an array on one line is a request with its response, or the chunks of a stream."""
    items = items_of(array) or []
    if named_list([bytes(item) for item in items]) is not None:
        return True
    return bool(items) and looks_like_response(_parsed(array))


def _begins_with_chunk(head: bytes, start: int, stop: int) -> bool:
    """Whether the first element of an array is a chunk of a stream."""
    here = _SPACE.match(head, start + 1, stop).end()  # type: ignore[union-attr] # matches nothing, too
    end = _Nesting().scan(head, here, stop)[0] if head[here : here + 1] == b"{" else here
    tree = _parsed(head[here:end])
    return isinstance(tree, dict) and is_chunk(tree)


def _parsed(text: bytes) -> Any:
    try:
        return parse(text)
    except NormalizeError:
        return None


def _array_of_lines(head: bytes, element: int, *, last: bool) -> tuple[Form, bytes | None] | None:
    """The form of a text that begins with `[` on a line of its own; the first element is at `element`."""
    stop = head.find(b"\n", element)
    if stop < 0:
        return ("array", None) if last else None
    indent = head[head.rfind(b"\n", 0, element) + 1 : element]
    if head[element] not in _OPEN or indent.strip(b" \t"):
        return "array", None
    end, ended = _Nesting().scan(head, element, stop)
    if ended:  # nobody who prints one element over several lines prints another, not empty, on one
        return "array", indent if end - element > len(b"{}") else None
    following = _BLANK.match(head, stop).end()  # type: ignore[union-attr] # as above
    if following == len(head):
        return ("array", None) if last else None
    # Without indentation the lines inside an element look like those between elements.
    is_indented = following - head.rfind(b"\n", 0, following) - 1 > len(indent)
    return "array", indent if is_indented else None


def _count_elements(head: bytes, start: int, stop: int) -> int:
    """How many elements an array has up to `stop`; more than three are not told apart."""
    count, here = 0, start + 1
    while count < 4 and (here := _SPACE.match(head, here, stop).end()) < stop:  # type: ignore[union-attr] # as above
        quoted = head[here] == _QUOTE
        if quoted or head[here] in _OPEN:
            here = _Nesting(quoted=quoted).scan(head, here + quoted, stop)[0]
        else:
            here = max(_WORD.match(head, here, stop).end(), here + 1)  # type: ignore[union-attr] # as above
        count += 1
    return count
