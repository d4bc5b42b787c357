"""Corpora on disk: written once, in pieces that several processes make, and kept in a cache folder.

The cache is `benchmarks/cache/`, which git ignores; the environment variable `NORMCOMPLETION_BENCH_CACHE` names another
one. A file there is called after its mix, its seed and a digest of this package's source, so that no corpus outlives
the code that made it.
"""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, NamedTuple

from .mix import Mix, parse_mix, records

CACHE = Path(__file__).parent.parent / "cache"
SAMPLES = Path(__file__).parent.parent.parent / "fixtures" / "corpora"
SAMPLE_SEED = 1
SAMPLE_RECORDS = 24
# One small file for each source, so that a corpus can be looked at without making one.
SAMPLE_MIXES = {
    "openrouter": (
        "openrouter/chat/snake/small=3,openrouter/chat/snake/medium=5,openrouter/chat/camel/medium=2,"
        "openrouter/text//small=1,openrouter/error=1,openrouter/chat//medium/repair=1"
    ),
    "openai": (
        "openai/chat//small=3,openai/chat//medium=6,openai/text//small=1,openai/error=1,openai/batch//medium=2,"
        "openai/chat//medium/repair=1"
    ),
    "atoma": (
        "atoma/chat/snake/medium=5,atoma/chat/camel/medium=2,atoma/text/snake/medium=2,atoma/text/camel/medium=1,"
        "atoma/error=1"
    ),
    "log10": (
        "log10/chat/snake/small=4,log10/chat/camel/small=1,log10/text/snake/small=2,log10/log_record/snake/medium=3,"
        "log10/log_record/camel/medium=1,log10/log_text//medium=2,log10/error=1"
    ),
}

PIECE = 1_000  # records that one process makes at a time

_UNITS = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def parse_bytes(text: str) -> int:
    """A number of bytes from text such as `430MB` or `1GiB`. Raises `ValueError`, with the units there are."""
    found = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", text.strip())
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"{text!r} is not a size; write a whole number with one of {', '.join(filter(None, _UNITS))}")
    return int(found[1]) * _UNITS[found[2]]


class Size(NamedTuple):
    """How much of a corpus: records, and bytes without the truth."""

    records: int
    bytes: int


@contextmanager
def complete(path: Path) -> Iterator[BinaryIO]:
    """A new file that has its name only once it is complete; devices and pipes are written as they are."""
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            yield device
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(path.name + ".partial")
    try:
        with partial_path.open("wb") as file:
            yield file
        partial_path.replace(path)
    finally:
        partial_path.unlink(missing_ok=True)


def write_corpus(
    out: BinaryIO,
    mix: Mix,
    *,
    seed: int,
    count: int | None = None,
    size: int | None = None,
    truth: BinaryIO | None = None,
    jobs: int = 1,
    progress: Callable[[Size], object] = lambda _size: None,
) -> Size:
    """Write a corpus as JSON lines: `count` records, or as many as begin within the first `size` bytes, or the fewer.

    The bytes do not depend on `jobs`, the number of processes. `progress` is called with each piece that was written.
    """
    if count is None and size is None:
        raise ValueError("say how much: count= or size=")
    made, left = Size(0, 0), size
    for piece in _pieces(str(mix), seed, count, jobs, truth=truth is not None):
        kept = piece if left is None else piece[: _needed(piece, left)]
        wrote = out.write(b"".join([body + b"\n" for body, _ in kept]))
        if truth is not None:
            truth.write(b"".join([line + b"\n" for _, line in kept]))
        made = Size(made.records + len(kept), made.bytes + wrote)
        progress(Size(len(kept), wrote))
        if left is not None:
            left -= wrote
            if left <= 0:
                break
    return made


Piece = list[tuple[bytes, bytes]]  # body and truth of each record


def _needed(piece: Piece, size: int) -> int:
    """How many records of a piece begin within its first `size` bytes."""
    ends = accumulate(len(body) + 1 for body, _ in piece)
    return next((at for at, end in enumerate(ends, 1) if end >= size), len(piece))


def _pieces(mix: str, seed: int, count: int | None, jobs: int, *, truth: bool) -> Iterator[Piece]:
    make = partial(_piece, mix, seed, count, truth)
    starts = iter(itertools.count(0, PIECE) if count is None else range(0, count, PIECE))
    if jobs == 1:
        yield from map(make, starts)
        return
    # Not a `Pool`, whose end can wait for ever for a process that it killed in the middle of an answer; and not `map`,
    # which would run ahead of the disk without end.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        waiting = deque(pool.submit(make, start) for start in itertools.islice(starts, 2 * jobs))
        try:
            while waiting:
                piece = waiting.popleft().result()
                waiting.extend(pool.submit(make, start) for start in itertools.islice(starts, 1))
                yield piece
        finally:
            pool.shutdown(cancel_futures=True)


def _piece(mix: str, seed: int, count: int | None, truth: bool, start: int) -> Piece:  # noqa: FBT001 - for `partial`
    stop = start + PIECE if count is None else min(start + PIECE, count)
    made = records(parse_mix(mix), seed=seed, start=start, stop=stop)
    return [(record.body, record.truth() if truth else b"") for record in made]


def truth_path(path: Path) -> Path:
    """Where the truth of a corpus stands: `log.jsonl` → `log.truth.jsonl`."""
    return path.with_suffix(".truth" + path.suffix)


def cached(
    mix: Mix,
    *,
    seed: int,
    count: int | None = None,
    size: int | None = None,
    jobs: int = 1,
    progress: Callable[[Size], object] = lambda _size: None,
) -> Path:
    """A corpus in the cache, with its truth beside it; made where it is not there yet."""
    digest = hashlib.sha256(f"{mix} {seed} {count} {size}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    name = re.sub(r"[^a-z0-9]+", "-", str(mix))[:60].strip("-")
    much = "-".join(f"{value}{unit}" for value, unit in ((count, ""), (size, "B")) if value is not None)
    folder = Path(os.environ.get("NORMCOMPLETION_BENCH_CACHE", CACHE))
    path = folder / f"{name}-{much}-seed{seed}-{digest.hexdigest()[:10]}.jsonl"
    if not path.exists():
        with complete(truth_path(path)) as truth, complete(path) as out:
            write_corpus(out, mix, seed=seed, count=count, size=size, truth=truth, jobs=jobs, progress=progress)
    return path


def write_samples(folder: Path = SAMPLES) -> None:
    """Write the small files that are committed."""
    for name, mix in SAMPLE_MIXES.items():
        path = folder / f"{name}.jsonl"
        with complete(truth_path(path)) as truth, complete(path) as out:
            write_corpus(out, parse_mix(mix), seed=SAMPLE_SEED, count=SAMPLE_RECORDS, truth=truth)
