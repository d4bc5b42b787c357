"""How long `normalize` takes on the fixtures, as a ratio to `orjson.loads` on the same bytes.

    python -m benchmarks [--rounds 40]

CPU time, the best of the rounds, contenders interleaved round by round, in one process. Ratios travel between machines,
times do not. A result is compared with the fixture's expected completion before any clock starts.
"""

from __future__ import annotations

import argparse
import gc
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import orjson

import normcompletion
from normcompletion import Completion, normalize

FIXTURES = Path(__file__).parent.parent / "fixtures"
SOURCES = ("openai", "atoma", "log10", "openrouter")


def bodies(source: str) -> list[bytes]:
    """The payloads of a source, compact as a service would send them, each normalised as expected."""
    found = []
    for expected in sorted((FIXTURES / source).rglob("*.expected.json")):
        if expected.parent.name in ("chunk", "stream"):  # `benchmarks.streams` has those
            continue
        raw = expected.with_name(expected.name.replace(".expected", "")).read_bytes()
        if normalize(raw) != msgspec.json.decode(expected.read_bytes(), type=Completion):
            raise SystemExit(f"{expected} is not what normalize() gives; run the tests first")
        try:
            found.append(orjson.dumps(orjson.loads(raw)))
        except ValueError:  # half a surrogate pair, a huge integer: orjson cannot be a contender there
            continue
    return found


def measure(contenders: dict[str, Callable[[bytes], Any]], texts: list[bytes], rounds: int) -> dict[str, float]:
    """The best CPU time of each contender over all texts, in nanoseconds."""
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, function in contenders.items():
            gc.collect()
            start = time.process_time_ns()
            for text in texts:
                function(text)
            best[name] = min(best[name], time.process_time_ns() - start)
    return best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="normalize() against orjson.loads on the fixtures")
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    print(
        f"normcompletion {normcompletion.__version__}, msgspec {msgspec.__version__}, orjson {orjson.__version__}, "
        f"Python {platform.python_version()}, {platform.machine()}"
    )
    print(f"{'source':12}{'bodies':>8}{'p50 bytes':>11}{'named':>8}{'detected':>10}   (ratios to orjson.loads)")
    for source in SOURCES:
        texts = bodies(source)
        best = measure(
            {
                "orjson": orjson.loads,
                "named": lambda text, source=source: normalize(text, source=source),
                "detected": normalize,
            },
            texts,
            rounds,
        )
        sizes = sorted(map(len, texts))
        print(
            f"{source:12}{len(texts):8}{sizes[len(sizes) // 2]:11}"
            f"{best['named'] / best['orjson']:8.2f}{best['detected'] / best['orjson']:10.2f}"
        )


if __name__ == "__main__":
    main()
