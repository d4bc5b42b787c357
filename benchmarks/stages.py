"""Where the time of `normalize` goes: decode, detect, adapt, the lenient decode, and the engine between them.

    python -m benchmarks.stages [--only openrouter,repair] [--records 500] [--seconds 2] [--write]

The whole is CPU time as a ratio to `orjson.loads` on the same bytes. Its parts are shares of samples: a timer of CPU
time looks at the stack, and the innermost function of this library that it finds says the stage. Nothing is wrapped, so
nothing is slowed; a share of `n` samples is right to about `1 / sqrt(n)`. Encoding the answers with
`Completion.to_json` is measured apart, as a ratio of its own.

| stage | what it is |
| --- | --- |
| decode | text to Structs or trees, refused attempts among them |
| detect | who wrote it |
| adapt | wire Structs to canonical ones |
| lenient | a tree, key by key, into wire Structs |
| engine | everything between: which decoder comes next, the checks of `normalize`, the loop |
| encode | canonical Structs to JSON, which is no part of the whole |
"""

from __future__ import annotations

import argparse
import linecache
import multiprocessing
import signal
import sys
import time
from collections import Counter, deque
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import orjson

import normcompletion
from normcompletion import Completion

from . import compare
from .contenders import load
from .readme import DETAILS, renewed

PACKAGE = str(Path(normcompletion.__file__).parent)
STAGES = ("decode", "detect", "adapt", "lenient", "engine")
INTERVAL = 0.001  # seconds of CPU; the system may look less often
ROUNDS = 9

_MODULES = {
    "payload": "decode",
    "detection": "detect",
    "adapt": "adapt",
    "unknown": "adapt",
    "extra": "adapt",
    "lenient": "lenient",
}


def stage_of(frame: FrameType | None) -> str:
    """The stage that a stack is in: that of the innermost frame whose module is one of a stage."""
    while frame is not None:
        path, line = frame.f_code.co_filename, frame.f_lineno or 0
        if path.startswith(PACKAGE):
            module = Path(path).stem
            if module == "engine" and ".decode(" in linecache.getline(path, line):
                return "decode"
            if Path(path).parent.name == "sources":
                return "adapt"
            if module in _MODULES:
                return _MODULES[module]
        frame = frame.f_back
    return "engine"


class Found(NamedTuple):
    """The ratio of the whole, that of each stage, that of encoding, and the number of samples."""

    whole: float
    stages: dict[str, float]
    encode: float
    samples: int


def measure(workload: compare.Workload, texts: list[bytes], seconds: float, rounds: int = ROUNDS) -> Found:
    """The stages of `normalize` on some texts, sampled for so many seconds of CPU time."""
    ours, beside = load("normcompletion_detected"), load("orjson_loads")
    compare.timed(ours, texts, workload.kind)
    ratios, _ = compare.measure({"ours": (ours, texts)}, beside, workload.kind, rounds)
    whole, encode = ratios["ours"].median, _encode(texts, rounds)
    # Linux reads CPU clocks coarsely from now on, in this process, to its end: nothing is timed after this.
    seen: Counter[str] = Counter()
    before = signal.signal(signal.SIGPROF, lambda _number, frame: seen.update([stage_of(frame)]))
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    try:
        until = time.process_time() + seconds
        while time.process_time() < until:
            deque(map(normcompletion.normalize, texts), maxlen=0)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    samples = max(1, seen.total())
    return Found(whole, {name: whole * seen[name] / samples for name in STAGES}, encode, samples)


def _encode(texts: list[bytes], rounds: int) -> float:
    """CPU time to encode the completions of the texts, as a ratio to `orjson.loads` on the texts."""
    completions = [normcompletion.normalize(text) for text in texts]
    encode, ratios = Completion.to_json, []
    for _ in range(rounds):
        start = time.process_time_ns()
        deque(map(encode, completions), maxlen=0)
        middle = time.process_time_ns()
        deque(map(orjson.loads, texts), maxlen=0)
        ratios.append((middle - start) / max(1, time.process_time_ns() - middle))
    return compare.spread(ratios).median


def one(name: str, seed: int, count: int, seconds: float) -> Found:
    """The stages of one workload. For a process of its own."""
    _, texts, _ = compare.generated(compare.WORKLOADS[name], seed, count)
    return measure(compare.WORKLOADS[name], texts, seconds)


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stages", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", help=f"workloads, of {', '.join(compare.WORKLOADS)}")
    parser.add_argument("--records", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=2, help="of CPU time that is sampled, for each workload")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write the table into benchmarks/README.md too")
    given = parser.parse_args(arguments)
    only = given.only.split(",") if given.only else list(compare.WORKLOADS)
    unknown = [name for name in only if name not in compare.WORKLOADS]
    if unknown:
        parser.error(f"no workload {', '.join(unknown)}; there are {', '.join(compare.WORKLOADS)}")
    rows: dict[str, Found] = {}
    print(f"{'':20}{'whole':>8}" + "".join(f"{name:>9}" for name in (*STAGES, "encode", "samples")))
    for name in only:
        compare.generated(compare.WORKLOADS[name], given.seed, given.records)
        with multiprocessing.get_context("spawn").Pool(1) as alone:
            found = alone.apply(one, (name, given.seed, given.records, given.seconds))
        rows[name] = found
        parts = "".join(f"{found.stages[stage]:9.2f}" for stage in STAGES)
        print(f"{name:20}{found.whole:8.2f}{parts}{found.encode:9.2f}{found.samples:9}", flush=True)
    if given.write:
        DETAILS.write_text(renewed(DETAILS.read_text("utf-8"), "stages", table(rows)), "utf-8")
        print("written: benchmarks/README.md")
    return 0


def table(rows: dict[str, Found]) -> str:
    """The stages of workloads as Markdown."""
    lines = ["| bodies | whole | " + " | ".join(STAGES) + " |", "|" + " --- |" * (len(STAGES) + 2)]
    for name, found in rows.items():
        parts = " | ".join(f"{found.stages[stage]:.2f}" for stage in STAGES)
        lines.append(f"| {compare.WORKLOADS[name].about} | {found.whole:.2f} | {parts} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
