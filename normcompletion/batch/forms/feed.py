"""Reading on in an input, to its end or its break."""

from __future__ import annotations

from collections.abc import Iterator

from ..blocks import Unit
from ..inputs import Decoded, IncompleteInput

READ = 1 << 20  # bytes that are read at once
BOM = b"\xef\xbb\xbf"


class Feed:
    """Reads on. A fault ends the reading and is kept until all that stood before it was given."""

    __slots__ = ("failure", "source")

    def __init__(self, source: Decoded) -> None:
        self.source = source
        self.failure: IncompleteInput | None = None

    def __call__(self, size: int | None = None) -> bytes:
        """The next bytes; none at the end."""
        if self.failure is not None:
            return b""
        try:
            return self.source.read(READ if size is None else size)
        except IncompleteInput as failure:
            self.failure = failure
            return b""

    def pass_mark(self) -> int:
        """Pass over a byte-order mark, and say where the text begins."""
        mark = len(BOM) if self.source.peek(len(BOM)) == BOM else 0
        self.source.skip(mark)
        return mark

    def to_its_end(self, units: Iterator[Unit]) -> Iterator[Unit]:
        """The units that are made of what is read, and then the fault."""
        yield from units
        if self.failure is not None:
            raise self.failure
