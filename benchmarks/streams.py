"""Streams: what one costs beside `orjson.loads`, whether the cost is linear, and who reads it right.

    python -m benchmarks.streams [--rounds 7] [--seed 1] [--file recorded.jsonl.gz] [--only speed|linearity|peers]

Costs are CPU times, the best of the rounds, contenders interleaved round by round, in one process; ratios travel
between machines, times do not. A generated stream is compared with its facts before any clock starts. With `--file`
the speed is taken on the user's own streams: JSON lines with the stream as text in `body`, `"encoding": "sse"`, and
`family` to group them by.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import gzip
import platform
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
import orjson

import normcompletion
from normcompletion import NormalizeError, iter_events, normalize

from .generate_streams import SOURCES, Facts, GeneratedStream, Shape, draw_streams, every_shape, generate
from .stream_readers import StreamReader, our_facts, readers

STREAMS = 60  # generated for each source
SIZES = (100, 1_000, 10_000, 100_000)  # chunks of the streams that show linearity
PEER_SIZE = 1_000  # peers take seconds for more
FEW = 10  # families with fewer streams share a row
LONG = {
    "openrouter, text": Shape("openrouter", repeated_role=True, usage="behind"),
    "openrouter, reasoning": Shape("openrouter", repeated_role=True, usage="behind", reasoning=True),
    "openrouter, arguments": Shape("openrouter", repeated_role=True, usage="behind", tools="index"),
    "atoma, text": Shape("atoma"),
    "openai, text": Shape("openai"),
    "compatible, usage": Shape("compatible", repeated_role=True, usage="every"),
}

Key = TypeVar("Key")
Item = TypeVar("Item")


def best_times(contenders: Mapping[Key, Callable[[], object]], rounds: int) -> dict[Key, int]:
    """The best CPU time of each contender, in nanoseconds."""
    best: dict[Key, int] = {}
    for _ in range(rounds):
        for name, function in contenders.items():
            gc.collect()
            start = time.process_time_ns()
            function()
            taken = time.process_time_ns() - start
            best[name] = min(best.get(name, taken), taken)
    return best


def each(function: Callable[[Item], object], items: Iterable[Item]) -> None:
    """Call a function with each item."""
    for item in items:
        function(item)


# -- speed


class Saved(NamedTuple):
    """A stream as bytes, and the JSON texts in it."""

    body: bytes
    payloads: tuple[bytes, ...]


def generated(seed: int) -> Iterator[tuple[str, list[Saved]]]:
    """Streams of each source, each read right."""
    for source in SOURCES:
        streams = list(draw_streams(source, STREAMS, seed))
        for stream in streams:
            if our_facts(normalize(stream.body)) != stream.facts:
                raise SystemExit(f"normalize() does not say what `{stream.shape}` says; run the tests first")
        yield source, [Saved(stream.body, stream.payloads) for stream in streams]


def recorded(path: Path) -> Iterator[tuple[str, list[Saved]]]:
    """The streams of a file that `normalize` and `orjson` can read, by family."""
    families: defaultdict[str, list[Saved]] = defaultdict(list)
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        for line in lines:
            record = orjson.loads(line)
            if record.get("encoding") == "sse" and record.get("kind", "chunk_stream") == "chunk_stream":
                saved = separated(record["body"].encode("utf-8", "surrogatepass"))
                if saved is not None:
                    families[record.get("family") or "(unnamed)"].append(saved)
    others: list[Saved] = []
    for family, streams in sorted(families.items()):
        if len(streams) < FEW:
            others += streams
        else:
            yield family, streams
    yield "(others)", others


def separated(body: bytes) -> Saved | None:
    """A stream with its JSON texts; `None` where `normalize` raises or `orjson` cannot be a contender."""
    try:
        normalize(body)
        payloads = tuple(event.data for event in iter_events([body]) if event.data.strip() != b"[DONE]")
        each(orjson.loads, payloads)
        by_hand(body)
    except (NormalizeError, ValueError):
        return None
    return Saved(body, payloads)


def by_hand(body: bytes) -> list[object]:
    """What people write in place of a library: the chunks as plain JSON, kept, and nothing put together yet."""
    return [
        orjson.loads(line[5:])
        for line in body.split(b"\n")
        if line.startswith(b"data:") and not line.startswith(b"data: [DONE]")
    ]


def kept(payloads: tuple[bytes, ...]) -> list[object]:
    """The trees of a stream's chunks, all at once: they cost the garbage collector's time as well."""
    return [orjson.loads(payload) for payload in payloads]


def speed(groups: Iterable[tuple[str, list[Saved]]], rounds: int) -> None:
    """Print the ratios to `orjson.loads`."""
    print(
        "\nspeed: CPU time as a ratio to orjson.loads over the chunks, already separated, each tree dropped at once"
        "\n(kept: orjson.loads again, with the trees of a stream in a list; by hand: the same, from the bytes)"
    )
    print(
        f"{'streams of':14}{'streams':>9}{'chunks':>10}{'kB':>9}{'orjson us/chunk':>17}"
        f"{'kept':>8}{'by hand':>9}{'normalize':>11}"
    )
    whole: Counter[str] = Counter()
    for name, streams in groups:
        payloads = [stream.payloads for stream in streams]
        bodies = [stream.body for stream in streams]
        chunks = [chunk for stream in payloads for chunk in stream]
        if not chunks:
            continue
        row = Counter(
            best_times(
                {
                    "orjson": partial(each, orjson.loads, chunks),
                    "kept": partial(each, kept, payloads),
                    "by hand": partial(each, by_hand, bodies),
                    "normalize": partial(each, normalize, bodies),
                },
                rounds,
            )
        )
        row.update(streams=len(streams), chunks=len(chunks), bytes=sum(map(len, bodies)))
        whole.update(row)
        print(_speed_row(name, row))
    print(_speed_row("all", whole))


def _speed_row(name: str, row: Counter[str]) -> str:
    base, chunks = row["orjson"] or 1, row["chunks"] or 1
    return (
        f"{name:14}{row['streams']:9,}{row['chunks']:10,}{row['bytes'] // 1000:9,}{base / 1000 / chunks:17.2f}"
        f"{row['kept'] / base:8.2f}{row['by hand'] / base:9.2f}{row['normalize'] / base:11.2f}"
    )


# -- linearity


def linearity(contenders: list[StreamReader], rounds: int, seed: int) -> None:
    """Print what a chunk costs in streams of different lengths."""
    print("\nlinearity: CPU time per chunk in microseconds, by the chunks of the stream")
    print(f"{'stream':23}{'reader':32}" + "".join(f"{size:>10,}" for size in SIZES))
    for name, shape in LONG.items():
        streams = [generate(dataclasses.replace(shape, chunks=size), seed) for size in SIZES]
        for reader in contenders:
            runs = {}
            for stream in streams:
                size = stream.shape.chunks
                if reader.ours:
                    _check(reader, stream)
                    runs[size] = partial(_repeat, reader, stream, max(1, 10_000 // size))
                elif size <= PEER_SIZE:
                    runs[size] = partial(_repeat, reader, stream, 1)
            best = best_times(runs, rounds)
            costs = [best[size] / run.args[2] / size / 1000 for size, run in runs.items()]
            print(f"{name:23}{reader.name:32}" + "".join(f"{cost:10.2f}" for cost in costs))


def _check(reader: StreamReader, stream: GeneratedStream) -> None:
    if reader.facts(reader.read(stream)) != stream.facts:
        raise SystemExit(f"{reader.name} does not say what `{stream.shape}` says; run the tests first")


def _repeat(reader: StreamReader, stream: GeneratedStream, repeats: int) -> None:
    for _ in range(repeats):
        reader.read(stream)


# -- who reads it right

FAULTS = {
    "refused": "streams that raise",
    "role": "role is another word",
    "id or model": "id or model is another",
    "provider": "provider lost",
    "usage invented": "usage invented",
    "usage": "usage lost or changed",
    "finish invented": "finish reason invented",
    "finish": "finish reason lost or changed",
    "calls": "tool calls glued or lost",
    "content": "text differs",
    "reasoning": "reasoning differs",
}


def faults(said: Facts, read: Facts) -> set[str]:
    """What is wrong with the facts that somebody read."""
    found = {
        "role": read.role != said.role,
        "id or model": (read.id, read.model) != (said.id, said.model),
        "provider": read.provider != said.provider,
        "usage invented": said.usage is None and read.usage is not None,
        "usage": said.usage is not None and read.usage != said.usage,
        "finish invented": said.finish_reason is None and read.finish_reason is not None,
        "finish": said.finish_reason is not None and read.finish_reason != said.finish_reason,
        "calls": read.tool_calls != said.tool_calls,
        "content": read.content != said.content,
        "reasoning": read.reasoning != said.reasoning,
    }
    return {name for name, wrong in found.items() if wrong}


def possible(said: Facts) -> set[str]:
    """The faults that a reader of a stream could make."""
    return {*FAULTS} - {
        "" if said.provider else "provider",
        "usage invented" if said.usage else "usage",
        "finish invented" if said.finish_reason else "finish",
        "" if said.tool_calls else "calls",
        "" if said.reasoning else "reasoning",
    }


def shortcomings(reader: StreamReader, stream: GeneratedStream) -> set[str]:
    """What a reader does wrong with one stream."""
    try:
        read = reader.facts(reader.read(stream))
    except Exception:  # noqa: BLE001 - whatever a library raises is its answer
        return {"refused"}
    return faults(stream.facts, read)


def _judge_each(reader: StreamReader, streams: list[GeneratedStream]) -> None:
    for stream in streams:
        shortcomings(reader, stream)


def peers(contenders: list[StreamReader], missing: list[str], rounds: int, seed: int, chunks: int = 40) -> None:
    """Print how many streams each reader gets wrong, of those where it could."""
    streams = [generate(shape, seed) for shape in every_shape(chunks)]
    print(f"\npeers: streams read wrong, of {len(streams)} generated ones, each shape once, {chunks} chunks and a few")
    for name in missing:
        print(f"({name} is not installed and has no column)")
    could = Counter(fault for stream in streams for fault in possible(stream.facts))
    wrong: dict[str, Counter[str]] = {}
    examples: dict[tuple[str, str], Shape] = {}
    for reader in contenders:
        counted = wrong[reader.name] = Counter()
        for stream in streams:
            found = shortcomings(reader, stream)
            counted.update(found, right=not found)
            for fault in found:
                examples.setdefault((reader.name, fault), stream.shape)
    best = best_times({reader.name: partial(_judge_each, reader, streams) for reader in contenders}, rounds)
    cost = {name: time / 1000 / sum(len(stream.payloads) for stream in streams) for name, time in best.items()}
    print(f"{'':32}{'could':>7}" + "".join(f"{name:>26}" for name in cost))
    for fault, words in FAULTS.items():
        print(f"{words:32}{could[fault]:7}" + "".join(f"{wrong[name][fault]:26}" for name in cost))
    print(f"{'everything right':32}{len(streams):7}" + "".join(f"{wrong[name]['right']:26}" for name in cost))
    print(f"{'CPU time, us/chunk':39}" + "".join(f"{cost[name]:26.2f}" for name in cost))
    print("\nthe first stream of each fault:")
    for (name, fault), shape in examples.items():
        print(f"  {name}: {FAULTS[fault]}: {shape}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="normcompletion on streams: speed, linearity, and peers")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", type=Path, help="JSON lines with recorded streams, for the speed")
    parser.add_argument("--only", choices=("speed", "linearity", "peers"))
    args = parser.parse_args()
    print(
        f"normcompletion {normcompletion.__version__}, msgspec {msgspec.__version__}, orjson {orjson.__version__}, "
        f"Python {platform.python_version()}, {platform.machine()}; {args.rounds} rounds, seed {args.seed}"
    )
    contenders, missing = readers() if args.only != "speed" else ([], [])
    if args.only in (None, "speed"):
        speed(generated(args.seed) if args.file is None else recorded(args.file), args.rounds)
    if args.only in (None, "linearity"):
        linearity(contenders, args.rounds, args.seed)
    if args.only in (None, "peers"):
        peers(contenders, missing, args.rounds, args.seed)


if __name__ == "__main__":
    main()
