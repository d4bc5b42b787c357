"""JSON values one after the other, over several lines or many on one, and the elements of arrays.

Knows JSON's brackets and strings, and no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..blocks import Unit
from ..inputs import IncompleteInput
from .feed import Feed

QUOTE, _BACKSLASH, OPEN = ord('"'), ord("\\"), b"{["
# The record separator stands before each text of a JSON text sequence (RFC 7464).
SPACE = re.compile(rb"[ \t\r\n,\x1e]*+")
WORD = re.compile(rb"[^,\] \t\r\n]*+")
_LINE = re.compile(rb"[^\n]*+")
# Both run over whole strings at once, the second also over arrays and objects that hold neither strings nor others.
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_TO_BRACKET = re.compile(
    rb'[^"{}\[\]]*+(?:(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"|\[[^"{}\[\]]*+\]|\{[^"{}\[\]]*+\})[^"{}\[\]]*+)*+', re.DOTALL
)


class Nesting:
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
                if byte == QUOTE:
                    self.quoted = True
                elif byte in OPEN:
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
        """As `Nesting.scan`."""
        here = self._expression.match(data, here, stop).end()  # type: ignore[union-attr] # matches nothing, too
        return here, here < stop


class Values:
    """The values of a text, one by one; holds no more than one of them.

    `indent` is the white space with which the line of a new value begins: what has not ended there was cut off. `None`
    where that is not known.
    """

    def __init__(self, feed: Feed, offset: int, limit: int, indent: bytes | None) -> None:
        self._feed = feed
        self._limit = limit
        self._data = b""
        self._base = offset  # where `data` begins in the input
        self._at = 0  # what is before is done
        self._line = 1  # the line of `at`
        self._ended = False
        self._mark = None if indent is None else re.compile(rb"\n" + re.escape(indent) + rb"[{\[]")
        self._mark_width = len(indent or b"") + 1
        self._next_mark = -1  # the next line that begins a value, where one was found
        self._unmarked = 0  # there is none before this place

    def units(self, *, inside_arrays: bool) -> Iterator[Unit]:
        """The values, or the elements of arrays in place of these."""
        inside = False
        while self._pass_separators():
            byte = self._data[self._at]
            if inside_arrays and byte in b"[]" and inside == (byte == ord("]")):
                inside = not inside
                self._advance(self._at + 1)
            elif byte in OPEN:
                yield self._value(Nesting(), 0)
            elif inside and byte == QUOTE:
                yield self._value(Nesting(quoted=True), 1)
            else:
                yield self._value(_Run(WORD if inside else _LINE), 0)
        if inside and self._feed.failure is None:
            reason = "the JSON array is not closed: the file was cut off, or somebody still writes to it"
            self._feed.failure = IncompleteInput(self._feed.source.name, self._base + self._at, reason)

    def _value(self, end_of: Nesting | _Run, known: int) -> Unit:
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
            self._advance(SPACE.match(self._data, self._at).end())  # type: ignore[union-attr] # matches nothing, too
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
        more = self._feed()
        if not more:
            self._ended = True
            return True  # what is at the end can now be read as the end
        done = self._at
        self._data = self._data[done:] + more
        self._base += done
        self._at = 0
        self._next_mark -= done
        self._unmarked = max(self._unmarked - done, 0)
        return True
