"""Whether anything grows: many inputs, good and bad, read over and over, resident memory before and after.

    python -m tests.reliability.soak [--inputs 300] [--calls 20000] [--leak BYTES]

Each input is read `calls` times, most of them by `normalize` in either mode, some by the other verbs; the exceptions
are dropped. The first tenth, which fills caches, does not count. Prints a table and exits with 1 where resident memory
grows by more than 300 KB after it. `--leak` plants a leak of so many bytes a call, to see it found.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from normcompletion import assemble, detect, explain, iter_events, normalize, normalize_chunk, normalize_many
from normcompletion.errors import NormalizeError
from tests.reliability.inputs import SEED, payloads

LIMIT = 300_000
LONGEST = 3_000  # longer inputs only take time
ROUNDS = 100  # how often all inputs take turns
WARM_UP = 0.1


def resident() -> int:
    """Resident memory of this process, in bytes."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


VERBS: list[Callable[[bytes], Any]] = [
    normalize,
    normalize,
    lambda raw: normalize(raw, strict=True),
    normalize_chunk,
    lambda raw: list(normalize_many([raw], on_error="yield")),
    lambda raw: assemble(iter_events([raw])),
]
SELDOM: list[Callable[[bytes], Any]] = [detect, explain]  # a millisecond each
EVERY = 251


def chosen(count: int) -> list[bytes]:
    """Inputs of every kind, the same each time."""
    found = [raw for raw in payloads().values() if len(raw) <= LONGEST]
    random.Random(SEED).shuffle(found)
    return found[:count]


def read(raw: bytes, times: int, start: int) -> None:
    """Read an input by the verbs in turn; errors are dropped."""
    for number in range(start, start + times):
        try:
            VERBS[number % len(VERBS)](raw)
            if number % EVERY == 0:
                SELDOM[number % len(SELDOM)](raw)
        except NormalizeError:
            pass
        except Exception:  # noqa: BLE001 - a foreign exception is for other tests to find
            pass


def soak(inputs: list[bytes], calls: int, leak: int = 0) -> list[tuple[float, int]]:
    """Read each input `calls` times; the resident memory at some parts of the way, the first one warmed up."""
    leaked = []
    found: list[tuple[float, int]] = []
    rounds = min(ROUNDS, calls)
    for number in range(rounds):
        for raw in inputs:
            read(raw, calls // rounds, number * (calls // rounds))
            if leak:
                leaked.append(bytes(leak * (calls // rounds)))
        share = (number + 1) / rounds
        if share >= WARM_UP and (number + 1) % max(1, rounds // 10) == 0:
            found.append((share, resident()))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="resident memory over many calls")
    parser.add_argument("--inputs", type=int, default=300)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--leak", type=int, default=0)
    options = parser.parse_args()
    if os.environ.get("PYTHONMALLOC") != "malloc":  # Python's own allocator takes memory by the megabyte
        os.environ["PYTHONMALLOC"] = "malloc"
        os.execv(sys.executable, [sys.executable, "-m", "tests.reliability.soak", *sys.argv[1:]])
    inputs = chosen(options.inputs)
    started = time.perf_counter()
    found = soak(inputs, options.calls, options.leak)
    first = found[0][1]
    print(f"Python {sys.version.split()[0]}, {len(inputs)} inputs x {options.calls} calls, rss in KB")
    for share, size in found:
        print(f"{share:6.0%} {size / 1000:10.0f} {(size - first) / 1000:+8.0f}")
    growth = found[-1][1] - first
    print(f"growth {growth / 1000:+.0f} KB in {time.perf_counter() - started:.0f} s")
    sys.exit(growth > LIMIT)


if __name__ == "__main__":
    main()
