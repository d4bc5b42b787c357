"""One line for each payload of `inputs`: its name, the mode, a digest of what became of it, the offset of an error.

    python -m tests.reliability.digest > digest-3.11.txt
    python -m tests.reliability.digest --container str --depth 800 --stack 1048576 --threads 8 --many

Whatever the options and the Python, the lines of a payload are the same: `diff` finds the ones that are not. A payload
that a container cannot hold has no line. (The offset is the only thing that may differ between Pythons.)
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from normcompletion import (
    Chunk,
    Completion,
    NormalizeError,
    UnknownPayloadError,
    normalize,
    normalize_chunk,
    normalize_many,
)
from tests.reliability.inputs import Fate, as_mapping, fate, payloads

Result = Completion | Chunk
Call = Callable[[], Result]


def as_text(raw: bytes) -> str | None:
    """A payload as text, `None` where it is no UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


CONTAINERS: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "str": as_text,
    "mapping": as_mapping,
}


def below(depth: int, call: Callable[[], Fate]) -> Fate:
    """What a call gives with `depth` frames above it."""
    return call() if depth == 0 else below(depth - 1, call)


def one_of_many(payload: object, *, strict: bool) -> Completion:
    """What `normalize_many` gives for one payload; of what it opens (a page, several streams) what `normalize` says."""
    items = list(normalize_many([payload], strict=strict, on_error="yield"))
    try:
        normalize(payload)
    except UnknownPayloadError as error:
        if error.code in ("list", "streams"):
            raise
    except NormalizeError:
        pass
    (item,) = items
    if isinstance(item, NormalizeError):
        raise item
    return item


def readings(payload: Any, *, many: bool) -> dict[str, Call]:
    """The ways to read a payload, by mode."""
    whole = one_of_many if many else normalize
    return {
        "lenient": lambda: whole(payload, strict=False),
        "strict": lambda: whole(payload, strict=True),
        "chunk": lambda: normalize_chunk(payload),
        "chunk_strict": lambda: normalize_chunk(payload, strict=True),
    }


def lines(options: argparse.Namespace, turn: int) -> list[str]:
    """The sorted lines of all payloads, which are read from the one at `turn` eighths on."""
    found = list(payloads().items())[:: options.every]
    start = len(found) * (turn % 8) // 8
    report = []
    for name, raw in [*found[start:], *found[:start]]:
        payload = CONTAINERS[options.container](raw)
        if payload is None:
            continue
        for mode, call in readings(payload, many=options.many).items():
            report.append(f"{name}\t{mode}\t{described(call, options.depth)}")
    return sorted(report)


def described(call: Call, depth: int) -> str:
    """Class and code, digest and offset of what a call gives; `FOREIGN` and the class of an exception not ours."""
    try:
        got = below(depth, lambda: fate(call))
    except Exception as error:  # noqa: BLE001 - what this program is here to find
        return f"FOREIGN:{type(error).__name__}\t\t"
    digest = hashlib.sha256(got.text().encode("utf-8", "surrogatepass")).hexdigest()[:20]
    kind = "Completion" if got.error is None else f"{type(got.error).__name__}:{got.error.code}"
    return f"{kind}\t{digest}\t{'' if got.offset is None else got.offset}"


def in_threads(options: argparse.Namespace) -> list[str]:
    """The lines that every thread gave; the word `DIFFERENT` where two threads differ."""
    threading.stack_size(options.stack)
    with ThreadPoolExecutor(options.threads or 1) as threads:
        results = list(threads.map(partial(lines, options), range(options.threads or 1)))
    differing = {line for result in results for line in set(result) ^ set(results[0])}
    return [*results[0], *(f"DIFFERENT\t{line}" for line in sorted(differing))]


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description="a digest of what becomes of every payload of the reliability tests")
    parser.add_argument("--container", choices=CONTAINERS, default="bytes")
    parser.add_argument("--depth", type=int, default=0, help="frames above each call")
    parser.add_argument("--stack", type=int, default=0, help="bytes of stack of the reading thread")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--many", action="store_true", help="through normalize_many")
    parser.add_argument("--every", type=int, default=1, help="only each N-th payload")
    options = parser.parse_args()
    report = in_threads(options) if options.stack or options.threads else lines(options, 0)
    sys.stdout.write("".join(line + "\n" for line in report))


if __name__ == "__main__":
    main()
