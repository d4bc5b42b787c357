"""The lines of a text, one by one, without holding more than one that is as long as a record may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..blocks import Unit

_READ = 1 << 20


class Lines:
    """The lines of a text, counted: `number` and `offset` are where the next one begins."""

    def __init__(self, read: Callable[[int], bytes], offset: int, limit: int) -> None:
        self.number = 1
        self.offset = offset
        self._read = read
        self._limit = limit
        self._data = b""

    def next(self) -> bytes:
        """The next line, its line feed included; a piece of one that is too long; none at the end."""
        parts = [self._data]
        held, end = len(self._data), self._data.find(b"\n") + 1
        while not end and held <= self._limit and (more := self._read(_READ)):
            found = more.find(b"\n") + 1
            end = held + found if found else 0
            parts.append(more)
            held += len(more)
        data = b"".join(parts)
        line, self._data = (data[:end], data[end:]) if end else (data, b"")
        self.number += line.endswith(b"\n")
        self.offset += len(line)
        return line

    def skip(self, line: bytes) -> None:
        """Pass over the rest of the line that began with a piece of it."""
        while line and not line.endswith(b"\n"):
            line = self.next()


def units(read: Callable[[int], bytes], *, offset: int, limit: int) -> Iterator[Unit]:
    """The lines of a text as units; `read` gives the next bytes, which start at `offset`."""
    lines = Lines(read, offset, limit)
    while True:
        number, start = lines.number, lines.offset
        line = lines.next()
        if not line:
            return
        if len(line) > limit + 1:
            lines.skip(line)
            yield Unit(number, start, lines.offset - start, None)
        else:
            yield Unit(number, start, len(line), line.removesuffix(b"\n"))
