"""The pieces in which inputs are converted: units, and bounded blocks of them."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

BLOCK_BYTES = 1 << 20
UnitKind: TypeAlias = Literal["", "headers", "foreign", "misfit"]


class Unit(NamedTuple):
    """One piece of an input that is converted as a whole.

    `line` counts from 1 in the decoded input and is where the unit starts; for a row of a table it is the row's number.
    `offset` is where it starts, in bytes of the decoded input (0 for a row), `length` its bytes, its line feed
    included. `text` is `None` where it is longer than `max_record_bytes`: it was passed over without being held. A row
    of a table is a JSON object. `kind` says what a text among event streams is if not a response: `headers` of
    an HTTP message as `curl -i` and `curl -v` show them, or `foreign`; and of the text of a row of a table, that it is
    a `misfit` among the others.
    """

    line: int
    offset: int
    length: int
    text: bytes | None
    kind: UnitKind = ""


class Range(NamedTuple):
    """The lines of a plain file that start at a byte from `start` to before `stop`."""

    path: str
    start: int
    stop: int


class Position(NamedTuple):
    """Where reading begins: the input's place in the list, a byte of it, decoded, and the line that is there."""

    input: int = 0
    offset: int = 0
    line: int = 1


BEGINNING = Position()


class Block(NamedTuple):
    """A bounded piece of one input.

    `input` is the input's place in the list, `line` the number of the first unit, `offset` where it starts (for a
    table, how many rows stand before it). `data` is whole lines (bytes), or units, or a range that has yet to be read.
    `body` are the pointers of the responses in its units; `None` says that they are the caller's. `name` is that
    of the input.
    """

    input: int
    line: int
    offset: int
    data: bytes | list[Unit] | Range
    body: tuple[str, ...] | None = None
    name: str = ""

    @property
    def size(self) -> int:
        """Its bytes."""
        if isinstance(self.data, Range):
            return self.data.stop - self.data.start
        return len(self.data) if isinstance(self.data, bytes) else sum(unit.length for unit in self.data)
