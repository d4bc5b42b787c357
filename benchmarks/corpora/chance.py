"""Chance that is the same everywhere: a hash of seed and name, drawn from in whole numbers.

What a record is depends on the seed and on the record's number, on nothing else: not on the records before it, nor on
the Python that runs this, nor on the machine. So any piece of a corpus can be made by itself.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, count, pairwise
from typing import Generic, TypeVar

Item = TypeVar("Item")

_WORDS = struct.Struct("<64I")
_SLOTS = 1024


class Chance:
    """Draws decided by a seed and a name; `draw` gives the next 32 bits."""

    __slots__ = ("draw",)

    draw: Callable[[], int]

    def __init__(self, seed: int, name: str | int) -> None:
        self.draw = chain.from_iterable(_blocks(f"{seed} {name}")).__next__

    def below(self, stop: int) -> int:
        """A whole number from 0 up to, not including, `stop`."""
        return self.draw() * stop >> 32

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + (self.draw() * (high - low + 1) >> 32)

    def happens(self, per_mille: int) -> bool:
        """Whether something comes to pass that does so in so many cases of a thousand."""
        return self.draw() * 1000 >> 32 < per_mille

    def pick(self, items: Sequence[Item]) -> Item:
        """One of some items, each as likely."""
        return items[self.draw() * len(items) >> 32]


def _blocks(name: str) -> Iterator[tuple[int, ...]]:
    for number in count():
        yield _WORDS.unpack(hashlib.shake_128(f"{name} {number}".encode()).digest(_WORDS.size))


class Shares(Generic[Item]):
    """Items by their shares, which may be counts of any kind: `Shares({"stop": 419, "length": 131})`."""

    __slots__ = ("slots",)

    def __init__(self, shares: Mapping[Item, int]) -> None:
        total, upto = sum(shares.values()), 0
        slots: list[Item] = []
        for item, share in shares.items():
            upto += share
            slots += [item] * (upto * _SLOTS // total - len(slots))
        self.slots = slots

    def pick(self, chance: Chance) -> Item:
        """One item; rounded to 1/1024."""
        return self.slots[chance.draw() >> 22]


class Spread:
    """A whole number that is spread as recorded ones are, from points such as `{0: 453, 50: 973, 100: 28_683}`.

    The points are percentiles; between two of them every number is as likely.
    """

    __slots__ = ("ranges",)

    def __init__(self, points: Mapping[int, int]) -> None:
        places = sorted(points.items())
        self.ranges = Shares({(low, high): upper - lower for (lower, low), (upper, high) in pairwise(places)})

    def pick(self, chance: Chance) -> int:
        """One number."""
        return chance.between(*self.ranges.pick(chance))
