"""What a corpus is made of: shapes, and how often each of them comes.

A mix is written `openrouter=40,openai=40,atoma=20`: shapes with their weights. A shape is the path
`source/variant/spelling/size/trait`; parts that are empty or left out at the end are decided by chance, as recorded
bodies have them:

    openrouter/chat/snake/small     OpenRouter chats under 800 bytes
    openai/chat///logprobs          OpenAI chats with 100 log-probs and 5 alternatives each
    log10/log_text                  log10 records whose request and response are JSON in strings
    atoma//camel                    any variant of Atoma's as its TypeScript SDK prints it
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import accumulate, count
from typing import NamedTuple

from . import atoma, log10, openai, openrouter
from .answer import Material
from .chance import Chance
from .draft import Made
from .shape import SIZES, SPELLINGS, TRAITS, Shape, size_of
from .writing import COMPACT

DEFAULT = "openrouter=40,openai=40,atoma=20"
EPOCH = 1_760_000_000  # Unix seconds of the first record
A_SECOND = 20  # records of a second
ATTEMPTS = 16  # to hit a class of sizes: some records cannot, such as a small one around 100 log-probs


SOURCES = {
    "openrouter": openrouter.SOURCE,
    "openai": openai.SOURCE,
    "atoma": atoma.SOURCE,
    "log10": log10.SOURCE,
}


class Mix(NamedTuple):
    """Shapes with their weights, which are whole numbers."""

    shapes: tuple[Shape, ...]
    weights: tuple[int, ...]

    def __str__(self) -> str:
        """As it is written."""
        return ",".join(f"{shape}={weight}" for shape, weight in zip(self.shapes, self.weights, strict=True))


def parse_mix(text: str) -> Mix:
    """A mix from its text; a shape without a weight has the weight 1. Raises `ValueError`, with what is possible."""
    shapes, weights = [], []
    for item in text.split(","):
        path, _, weight = item.strip().partition("=")
        if not (weight or "1").isdecimal() or int(weight or "1") < 1:
            raise ValueError(f"{item!r}: the weight behind = is a whole number from 1")
        parts = path.split("/")
        if len(parts) > len(Shape._fields):
            raise ValueError(f"{path!r}: a shape is {'/'.join(Shape._fields)}")
        shape = Shape(*parts)
        _check("source", shape.source, tuple(SOURCES))
        _check("variant", shape.variant, ("", *SOURCES[shape.source].all_variants))
        _check("spelling", shape.spelling, ("", *SPELLINGS))
        _check("size", shape.size, ("", *SIZES))
        _check("trait", shape.trait, ("", *TRAITS))
        shapes.append(shape)
        weights.append(int(weight or "1"))
    return Mix(tuple(shapes), tuple(weights))


def _check(what: str, value: str, possible: tuple[str, ...]) -> None:
    if value not in possible:
        raise ValueError(f"{value!r} is no {what}; there are {', '.join(filter(None, possible))}")


class Record(NamedTuple):
    """One record: `body` is one line of JSON without its end, in UTF-8."""

    number: int
    shape: Shape
    body: bytes
    members: Callable[[], Made]

    def truth(self) -> bytes:
        """What a reader should find in it: one line of JSON, see `Truth`."""
        shape = self.shape._replace(size=size_of(self.body))
        return COMPACT.object({"number": str(self.number), "shape": f'"{shape}"', **self.members()}).encode()


@lru_cache(maxsize=4)
def material(seed: int) -> Material:
    """What the records of a seed are cut from; it takes a third of a second to make."""
    return Material(seed)


def records(mix: Mix, *, seed: int, start: int = 0, stop: int | None = None) -> Iterator[Record]:
    """The records of a corpus from number `start` up to, not including, `stop`; without `stop` there is no end."""
    cut_from = material(seed)
    upto = list(accumulate(mix.weights))
    for number in count(start) if stop is None else range(start, stop):
        chance = Chance(seed, number)
        shape = mix.shapes[bisect_right(upto, chance.below(upto[-1]))]
        source = SOURCES[shape.source]
        variant = shape.variant or source.variants.pick(chance)
        camel = chance.happens(source.camel)
        shape = shape._replace(variant=variant, spelling=shape.spelling or SPELLINGS[camel])
        created = EPOCH + number // A_SECOND + chance.below(5)
        written = source.write(shape, chance, cut_from, created)
        body = written.body.encode()
        for attempt in range(ATTEMPTS if shape.size else 0):
            if size_of(body) == shape.size:
                break
            written = source.write(shape, Chance(seed, f"{number} again {attempt}"), cut_from, created)
            body = written.body.encode()
        yield Record(number, shape, body, written.truth)
