"""How much memory `normalize_many` holds over a long log: none that grows.

    python -m benchmarks.memory --records 1000000

The records are made as they are read, from all sources and spellings, refused ones among them; no file is needed.
Prints the resident memory after each tenth of the run, and exits with 1 where the second half of the run added more
than `GROWTH` to it.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from normcompletion import NormalizeError, normalize_many

from .corpora import parse_mix, records
from .footprint import resident

MIX = "openrouter=35,openai=35,atoma=20,log10=10"
STEPS = 10
GROWTH = 4_000_000  # bytes; a thousandth of what a million records weigh


class Step(NamedTuple):
    """After so many records: resident bytes, how many were refused so far, bytes of input so far, seconds so far."""

    records: int
    resident: int
    refused: int
    bytes: int
    seconds: float


def run(count: int, *, seed: int = 1, show: Callable[[Step], object] = lambda _step: None) -> list[Step]:
    """Read `count` records, each answer dropped at once; gives the steps."""
    read = 0

    def bodies() -> Iterator[bytes]:
        nonlocal read
        for record in records(parse_mix(MIX), seed=seed, stop=count):
            read += len(record.body)
            yield record.body

    steps: list[Step] = []
    refused, start = 0, time.perf_counter()
    due = max(1, count // STEPS)
    for number, answer in enumerate(normalize_many(bodies(), on_error="yield"), 1):
        refused += isinstance(answer, NormalizeError)
        if number % due == 0:
            gc.collect()
            steps.append(Step(number, resident(), refused, read, time.perf_counter() - start))
            show(steps[-1])
    return steps


def grown(steps: list[Step]) -> int:
    """Bytes that the second half of a run added to the resident memory."""
    return steps[-1].resident - steps[len(steps) // 2].resident


def _show(step: Step) -> None:
    print(
        f"{step.records:>12,}{step.bytes / 1e6:>10,.0f}{step.refused:>10,}{step.resident / 1e6:>12.1f}"
        f"{step.seconds:>10.0f}",
        flush=True,
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the steps; 1 where memory grew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__.split("\n")[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    print(f"{'records':>12}{'MB':>10}{'refused':>10}{'resident MB':>12}{'seconds':>10}")
    steps = run(given.records, seed=given.seed, show=_show)
    more = grown(steps)
    flat = more <= GROWTH
    print(f"{'flat' if flat else 'grown'}: the second half of the records added {more / 1e6:+.1f} MB")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
