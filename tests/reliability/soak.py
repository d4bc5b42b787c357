"""Whether anything grows: many inputs, good and bad, read over and over, resident memory before and after.

    python -m tests.reliability.soak

Each input is read 20,000 times, most of them by `normalize` in either mode, some by the other verbs; the exceptions are
dropped. The first tenth, which fills caches, does not count. Exits with 1 where resident memory grows by more than
300 KB after it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from normcompletion import assemble, detect, explain, iter_events, normalize, normalize_chunk, normalize_many
from normcompletion.errors import NormalizeError
from tests.reliability.inputs import SEED, payloads

LIMIT = 300_000
LONGEST = 3_000  # longer inputs only take time
INPUTS, CALLS = 300, 20_000
ROUNDS = 100  # how often all inputs take turns


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


def main() -> None:
    """Tell how resident memory grows."""
    if os.environ.get("PYTHONMALLOC") != "malloc":  # Python's own allocator takes memory by the megabyte
        os.environ["PYTHONMALLOC"] = "malloc"
        os.execv(sys.executable, [sys.executable, "-m", "tests.reliability.soak"])
    inputs, times, first, growth = chosen(INPUTS), CALLS // ROUNDS, 0, 0
    for number in range(ROUNDS):
        for raw in inputs:
            read(raw, times, number * times)
        if number % 10 == 9:
            first = first or resident()
            growth = resident() - first
            print(f"{number + 1:4} % of {len(inputs)} inputs x {CALLS} calls: {growth / 1000:+.0f} KB", flush=True)
    sys.exit(growth > LIMIT)


if __name__ == "__main__":
    main()
