"""How the cost of a body grows with its size and with its log-probs, and that of a log with its records.

    python -m benchmarks.scaling [--rounds 9]

Each line is CPU time as a ratio to `orjson.loads` on the same bytes, with the interval of its median, and nanoseconds
of `normalize` for a byte. How memory behaves over a million records is `python -m benchmarks.memory`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import NamedTuple

from . import compare
from .contenders import Contender, Kind, load
from .corpora import parse_mix, records
from .corpora.answer import LOGPROB_ALTERNATIVES
from .corpora.chance import Chance
from .corpora.mix import material
from .corpora.shape import SIZES
from .corpora.writing import COMPACT

TOKENS = (0, 1, 10, 100, 250)
COUNTS = (10, 100, 1_000, 10_000)
BODIES = 100  # of one size
KIND = Kind("openrouter", "chat")


class Point(NamedTuple):
    """Some bodies, and what is read of them by whom."""

    what: str
    reader: str
    texts: list[bytes]


def sizes(count: int = BODIES, seed: int = 1) -> Iterator[Point]:
    """Chats of each class of size."""
    for name, (_, upto) in SIZES.items():
        made = records(parse_mix(f"openrouter/chat/snake/{name}/plain"), seed=seed, stop=count)
        yield Point(f"{name}, under {upto:,} bytes", "normcompletion_detected", [record.body for record in made])


def tokens(count: int = BODIES, seed: int = 1) -> Iterator[Point]:
    """Chats with so many log-probs."""
    for length in TOKENS:
        texts = []
        for number in range(count):
            run = material(seed).tokens.run(Chance(seed, number), length, LOGPROB_ALTERNATIVES)
            choice = COMPACT.object(
                {
                    "index": "0",
                    "logprobs": run.chat(COMPACT) if length else "null",
                    "finish_reason": '"stop"',
                    "message": COMPACT.object({"role": '"assistant"', "content": run.content}),
                }
            )
            body = {"id": f'"c-{number}"', "object": '"chat.completion"', "model": '"tide-2"'}
            texts.append(COMPACT.object({**body, "choices": COMPACT.array([choice])}).encode())
        yield Point(f"{length} tokens with {LOGPROB_ALTERNATIVES} alternatives", "normcompletion_detected", texts)


def counts(seed: int = 1) -> Iterator[Point]:
    """Logs of so many chats, read by `normalize_many`."""
    made = [record.body for record in records(parse_mix("openrouter/chat/snake"), seed=seed, stop=COUNTS[-1])]
    for count in COUNTS:
        yield Point(f"{count:,} records", "normcompletion_many", made[:count])


def line(point: Point, beside: Contender, rounds: int) -> str:
    """A point, measured."""
    reader, texts = load(point.reader), point.texts
    timed = texts * max(1, 200 // len(texts))
    compare.timed(reader, timed, KIND)
    ratios, micros = compare.measure({"ours": (reader, timed)}, beside, KIND, rounds)
    found = ratios["ours"]
    size = sum(map(len, timed)) / len(timed)
    within = f"{found.low:.2f} - {found.high:.2f}"
    return f"  {point.what:36}{size:12,.0f}{found.median:8.2f}{within:>16}{1000 * micros['ours'] / size:10.2f}"


def main(arguments: list[str] | None = None) -> int:
    """Print the three tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args(arguments).rounds
    beside = load("orjson_loads")
    for title, points in (("body size", sizes()), ("log-probs", tokens()), ("records of a log", counts())):
        print(f"{title:38}{'mean bytes':>12}{'ratio':>8}{'95 % within':>16}{'ns a byte':>10}")
        for point in points:
            print(line(point, beside, rounds), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
