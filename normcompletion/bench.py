"""How fast this library reads a log of one's own, beside the parsers: what `normcompletion bench` prints.

Needs nothing but the core dependencies, keeps the bodies in memory, and writes no file. A number is CPU time as a ratio
to `orjson.loads` on the same bytes: readers take turns, round by round, each beside `orjson.loads`; the median of the
rounds' ratios is shown, with the least and the greatest. Ratios travel between machines, times do not.
"""

from __future__ import annotations

import gc
import json
import platform
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from statistics import median
from typing import Any

import msgspec
import orjson

from .api import normalize, normalize_many
from .errors import NormalizeError, UnknownSourceError

BYTES = 200_000_000  # of bodies, at most, so that the memory of a laptop suffices
ROUNDS = 9
BODIES = 1_000  # that are timed at once, at least; of a short log each is read several times

Read = Callable[[Sequence[bytes]], Iterable[Any]]


class Row(msgspec.Struct, frozen=True):
    """One reader: its ratios to `orjson.loads` (median, least, greatest of the rounds) and microseconds for a body."""

    reader: str
    ratio: float
    low: float
    high: float
    micros: float


class Measured(msgspec.Struct, frozen=True):
    """One measurement.

    `bodies` are those that `normalize` and `orjson.loads` accept, of `size` bytes together, half of them up to `half`
    bytes; `refused` counts the others, by error code. `truncated` says that the log goes on beyond `BYTES`.
    """

    rows: tuple[Row, ...]
    bodies: int
    size: int
    half: int
    refused: dict[str, int]
    rounds: int
    truncated: bool
    versions: str

    def __str__(self) -> str:
        """The table."""
        whole = "the beginning of the log" if self.truncated else "the log"
        half = f"half of them up to {self.half:,} bytes"
        lines = [
            self.versions,
            f"{self.bodies:,} bodies of {whole}, {self.size / 1e6:,.1f} MB, {half}; {self.rounds} rounds",
        ]
        if self.refused:
            lines.append(f"left out, for they are refused: {_codes(self.refused)}; `normcompletion survey` shows them")
        lines.append(f"{'':36}{'ratio':>8}{'least - most':>16}{'us a body':>12}")
        for row in sorted(self.rows, key=lambda row: row.ratio):
            between = f"{row.low:.2f} - {row.high:.2f}"
            lines.append(f"{row.reader:36}{row.ratio:8.2f}{between:>16}{row.micros:12.2f}")
        return "\n".join(lines)


def measure(units: Iterable[bytes], *, source: str | None = None, rounds: int = ROUNDS) -> Measured:
    """Measure on JSON bodies; `source` names who wrote them, for the row of `normalize` with `source=`.

    Raises `ValueError` where no body is left to measure, and `UnknownSourceError` for a source there is not.
    """
    bodies, refused, truncated = _accepted(units, source)
    if not bodies:
        raise ValueError(
            f"no body can be measured ({_codes(refused) or 'the log is empty'}); "
            "give a log of whole responses, such as `normcompletion convert` takes"
        )
    readers: dict[str, Read] = {
        "normcompletion, source detected": partial(map, normalize),
        "normcompletion, normalize_many": normalize_many,
        "msgspec, dictionaries": partial(map, msgspec.json.Decoder().decode),
        "json.loads": partial(map, json.loads),
        "orjson.loads": partial(map, orjson.loads),
    }
    if source is not None:
        readers[f"normcompletion, source={source}"] = partial(map, partial(normalize, source=source))
    timed = bodies * -(-BODIES // len(bodies))
    ratios: dict[str, list[float]] = {name: [] for name in readers}
    times: dict[str, list[int]] = {name: [] for name in readers}
    base: Read = readers["orjson.loads"]
    gc.collect()
    gc.freeze()  # what is there by now would slow whoever makes most objects
    for number in range(rounds):
        for name, read in readers.items():
            if number % 2:  # whoever comes second finds warmer caches
                parsed, taken = _timed(base, timed), _timed(read, timed)
            else:
                taken, parsed = _timed(read, timed), _timed(base, timed)
            ratios[name].append(taken / max(parsed, 1))
            times[name].append(taken)
    gc.unfreeze()
    sizes = sorted(map(len, bodies))
    return Measured(
        rows=tuple(
            Row(name, median(found), min(found), max(found), median(times[name]) / 1000 / len(timed))
            for name, found in ratios.items()
        ),
        bodies=len(bodies),
        size=sum(sizes),
        half=sizes[len(sizes) // 2],
        refused=refused,
        rounds=rounds,
        truncated=truncated,
        versions=f"msgspec {msgspec.__version__}, orjson {orjson.__version__}, "
        f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} {platform.machine()}",
    )


def _accepted(units: Iterable[bytes], source: str | None) -> tuple[list[bytes], dict[str, int], bool]:
    """The bodies that every reader accepts, the others by code, and whether there are more than `BYTES`."""
    bodies: list[bytes] = []
    refused: dict[str, int] = {}
    left = BYTES
    for unit in units:
        if len(unit) > left:
            return bodies, refused, True
        left -= len(unit)
        try:
            normalize(unit, source=source)
            orjson.loads(unit)
        except UnknownSourceError:
            raise
        except NormalizeError as error:
            reason = error.code
        except ValueError:
            reason = "not_for_orjson"
        else:
            bodies.append(unit)
            continue
        refused[reason] = refused.get(reason, 0) + 1
    return bodies, refused, False


def _codes(refused: dict[str, int]) -> str:
    return ", ".join(f"{code} {count:,}" for code, count in sorted(refused.items()))


def _timed(read: Read, bodies: Sequence[bytes]) -> int:
    """CPU time in nanoseconds to read all bodies, each answer dropped at once."""
    gc.collect()
    start = time.process_time_ns()
    deque(read(bodies), maxlen=0)
    return time.process_time_ns() - start
