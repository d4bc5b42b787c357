"""The form of a text of JSON or event streams, detected by its beginning.

* `lines`: one JSON text a line (JSONL). Lines end at a line feed and nowhere else; blank lines are units.
* `values`: JSON values one after the other, over several lines (pretty-printed) or many on one; or one of them.
* `array`: one JSON array; its elements are the units, and it is never held as a whole.
* `stream`: saved event streams, with whole bodies or foreign text between them or without; each answer is a unit, and
  so is each foreign text. A line of `data:` shows it, or the headers of an HTTP response (`curl -i`), or a line of
  text before a pretty-printed body.

A file whose first line is a whole JSON value is `lines`. One whose first line opens an object that goes on in the next
line is `values`; not so where the next line opens another one in its first column, for then the first line was cut
off. One that begins with `[` is an `array`, unless more text follows the closing bracket, or one line holds a request
with its response, or the chunks of a stream: these are lines.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from ...envelopes.hints import looks_like_response
from ...envelopes.members import items_of
from ...envelopes.registry import named_list
from ...envelopes.wrappers import is_chunk
from ...errors import NormalizeError
from ...payload import looks_like_stream, parse
from ..inputs import Decoded
from .feed import BOM
from .values import OPEN, QUOTE, SPACE, WORD, Nesting

Form = Literal["lines", "values", "array", "stream"]

LOOK = 1 << 16  # how many bytes the form is detected by, at first; then twice as many, up to a whole record
_BLANK = re.compile(rb"[ \t\r\n\x1e]*+")
# Events; an HTTP message; text, but no number on a line of its own, with JSON over several lines behind it.
_STREAMS = re.compile(
    rb"^data: ?[{\[]|\AHTTP/\d|\A(?!-?\d+(?:\.\d+)?[ \t\r]*\n)[^{\[\"\s][^\n]*\n(?:[^\n]*\n){0,20}?\{[ \t\r]*\n",
    re.MULTILINE,
)
_LOG = re.compile(
    rb"[ \t\r\n\x1e]*+(?:\{\s*+(?:[\"}]|\Z)|\[\s*+(?:[{\[\"\-\d\]]|\Z|true|false|null))|HTTP/"
    rb"|(?s:.*?)^(?:data: ?[{\[]|\{\s*+\")",
    re.MULTILINE,
)


def is_log(head: bytes) -> bool:
    """Whether a text that begins so can hold responses: JSON, event streams, HTTP messages with them."""
    return _LOG.match(head.removeprefix(BOM)) is not None


def form_of(source: Decoded, limit: int) -> tuple[Form, bytes | None]:
    """The form of an input, and the white space before a new value as `Values` wants it."""
    size = LOOK
    while True:
        head = source.peek(size)
        over = size > limit
        found = _detect(head, over=over, whole=len(head) < size)
        if found is not None:
            return found
        size = min(2 * size, limit + 1)


def _detect(head: bytes, *, over: bool, whole: bool) -> tuple[Form, bytes | None] | None:
    """The form of a text by its beginning, or `None` where more of it must be seen.

    `whole` says that the text ends with the beginning, `over` that the beginning is longer than a record may be.
    """
    last = whole or over
    start = len(BOM) if head.startswith(BOM) else 0
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
    nesting = Nesting()
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
    if first_column and head[following] in OPEN and (is_object or nesting.depth > 1):
        return "lines", None
    if is_object:
        return "values", None if first_column and head[following] == QUOTE else b""
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
    here = SPACE.match(head, start + 1, stop).end()  # type: ignore[union-attr] # matches nothing, too
    end = Nesting().scan(head, here, stop)[0] if head[here : here + 1] == b"{" else here
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
    if head[element] not in OPEN or indent.strip(b" \t"):
        return "array", None
    end, ended = Nesting().scan(head, element, stop)
    if ended:  # nobody who prints one element over several lines prints another, not empty, on one
        return "array", indent if end - element > len(b"{}") else None
    following = _BLANK.match(head, stop).end()  # type: ignore[union-attr] # as above
    if following == len(head):
        return ("array", None) if last else None
    # Without indentation the lines inside an element look like those between elements.
    is_indented = following - head.rfind(b"\n", 0, following) - 1 > len(indent)
    return "array", indent if is_indented else None


def _count_elements(head: bytes, start: int, stop: int) -> int:
    """How many elements an array has up to `stop`; it stops at more than three."""
    count, here = 0, start + 1
    while count < 4 and (here := SPACE.match(head, here, stop).end()) < stop:  # type: ignore[union-attr] # as above
        quoted = head[here] == QUOTE
        if quoted or head[here] in OPEN:
            here = Nesting(quoted=quoted).scan(head, here + quoted, stop)[0]
        else:
            here = max(WORD.match(head, here, stop).end(), here + 1)  # type: ignore[union-attr] # as above
        count += 1
    return count
