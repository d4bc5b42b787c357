"""Whether `normalize` became slower than `benchmarks/baseline.json` says: what every change must pass.

    python -m benchmarks.gate             1 where it became slower, with the workloads
    python -m benchmarks.gate --write     renew the baseline of these versions, after a change that was meant

Each workload runs in a process of its own. Where `perf` counts instructions and the baseline has such counts, they
decide; elsewhere CPU time does, as a ratio to `orjson.loads` on the same bytes. A workload over the margin is measured
again, and only what is over it each time fails. A ratio moves with Python and with both parsers: where their versions
are not those of the baseline, the margin is wider, and a Python version that the baseline lacks has the highest number.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from . import compare
from .contenders import load

BASELINE = Path(__file__).parent / "baseline.json"
WORKLOADS = ("openrouter", "openai", "atoma", "log10-text", "all", "logprobs", "repair")
READER, BESIDE = "normcompletion_detected", "orjson_loads"
RECORDS, ROUNDS, SEED = 300, 9, 1
ATTEMPTS = 3
# How much more than the baseline is no noise: other processes and machines change times, but hardly any count.
MARGINS = {"cpu": 1.5, "instructions": 1.10}
ELSEWHERE = 2.0  # where the versions differ: 3.13 beside 3.11 alone is up to 1.25
PASSES = 5  # over the texts, whose instructions are counted
ROOT = Path(__file__).parent.parent

Numbers = dict[str, dict[str, float]]  # unit → workload → ratio
Baseline = dict[str, Numbers]  # versions → numbers


def cpu(workload: str) -> float:
    """The ratio of CPU times, in this process; its texts are read once before."""
    about = compare.WORKLOADS[workload]
    _, texts, _ = compare.generated(about, SEED, RECORDS)
    reader, beside = load(READER), load(BESIDE)
    compare.timed(reader, texts, about.kind)
    ratios, _ = compare.measure({READER: (reader, texts)}, beside, about.kind, ROUNDS)
    return ratios[READER].median


def repeat(workload: str, name: str, passes: int) -> None:
    """Read the texts so many times: what `perf` counts."""
    about = compare.WORKLOADS[workload]
    _, texts, _ = compare.generated(about, SEED, RECORDS)
    contender = load(name)
    compare.timed(contender, texts, about.kind)
    for _ in range(passes):
        compare.timed(contender, texts, about.kind)


def counted(workload: str, name: str, passes: int, perf: str = "perf") -> int | None:
    """Instructions of a process that reads so many times; `None` where `perf` cannot count them."""
    if shutil.which(perf) is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "counts"
        command = [perf, "stat", "-x,", "-e", "instructions:u", "-o", str(out), sys.executable, "-m", "benchmarks.gate"]
        command += ["--repeat", workload, name, str(passes)]
        done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True)
        if done.returncode or not out.exists():
            return None
        counts = [line.split(",")[0] for line in out.read_text().splitlines() if "instructions" in line]
    return int(counts[0]) if counts and counts[0].isdigit() else None


def instructions(workload: str, perf: str = "perf") -> float | None:
    """The ratio of instructions, start and end of the processes apart; `None` where they cannot be counted."""
    found = []
    for name in (READER, BESIDE):
        none, some = counted(workload, name, 0, perf), counted(workload, name, PASSES, perf)
        if none is None or some is None:
            return None
        found.append(max(some - none, 1))
    return found[0] / found[1]


def measured(workload: str, unit: str) -> float | None:
    """The ratio of a workload in a unit, measured in processes of its own. Raises `SystemExit` where one fails."""
    if unit == "instructions":
        return instructions(workload)
    command = [sys.executable, "-m", "benchmarks.gate", "--cpu", workload]
    done = subprocess.run(command, check=False, cwd=ROOT, stdout=subprocess.PIPE)
    if done.returncode:
        raise SystemExit(f"{workload} could not be measured; run: {' '.join(command)}")
    return float(done.stdout)


def version() -> str:
    """The versions that ratios move with, as the baseline has them."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"Python {python}, msgspec {metadata.version('msgspec')}, orjson {metadata.version('orjson')}"


def limits(baseline: Baseline, unit: str) -> dict[str, float]:
    """The highest ratio that passes, by workload; none where the baseline has nothing in that unit."""
    own = baseline.get(version(), {}).get(unit)
    known = [own] if own else [numbers[unit] for numbers in baseline.values() if unit in numbers]
    margin = MARGINS[unit] if own else ELSEWHERE
    return {
        name: margin * max(numbers[name] for numbers in known if name in numbers)
        for name in WORKLOADS
        if any(name in numbers for numbers in known)
    }


def gate(baseline: Baseline) -> int:
    """Measure what the baseline has; 1 where a workload is over its limit in every attempt."""
    counts = version() in baseline and bool(limits({version(): baseline[version()]}, "instructions"))
    unit = "instructions" if counts and instructions(WORKLOADS[0]) is not None else "cpu"
    allowed = limits(baseline, unit)
    print(f"{unit}, as ratios to orjson.loads; {version()}")
    slower = []
    for name, limit in allowed.items():
        tried: list[float] = []
        while len(tried) < ATTEMPTS and (not tried or tried[-1] > limit):
            ratio = measured(name, unit)
            if ratio is None:
                raise SystemExit(f"{name}: perf counted before and does not now; run python -m benchmarks.gate again")
            tried.append(ratio)
        over = tried[-1] > limit
        slower += [name] * over
        print(f"{name:14}{' '.join(f'{ratio:.2f}' for ratio in tried):>16}   at most {limit:.2f}{'  SLOWER' * over}")
    if slower:
        print(f"slower: {', '.join(slower)}; see python -m benchmarks.stages, or renew the baseline with --write")
    return 1 if slower else 0


def renewed(baseline: Baseline) -> Baseline:
    """The baseline with the numbers of these versions measured anew: the median of `ATTEMPTS`."""
    own: Numbers = {"cpu": {}}
    for name in WORKLOADS:
        ratios = sorted(ratio for ratio in (measured(name, "cpu") for _ in range(ATTEMPTS)) if ratio is not None)
        own["cpu"][name] = round(ratios[len(ratios) // 2], 3)
        count = measured(name, "instructions")
        if count is not None:
            own.setdefault("instructions", {})[name] = round(count, 3)
    return dict(sorted({**baseline, version(): own}.items()))


def read_baseline() -> Baseline:
    """What is committed."""
    found: Baseline = json.loads(BASELINE.read_bytes()) if BASELINE.exists() else {}
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="renew the baseline of these versions")
    parser.add_argument("--cpu", metavar="WORKLOAD", help=argparse.SUPPRESS)
    parser.add_argument("--repeat", nargs=3, metavar=("WORKLOAD", "READER", "PASSES"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.cpu:
        print(cpu(given.cpu))
        return 0
    if given.repeat:
        repeat(given.repeat[0], given.repeat[1], int(given.repeat[2]))
        return 0
    if given.write:
        BASELINE.write_text(json.dumps(renewed(read_baseline()), indent=1) + "\n")
        print(f"written: {BASELINE.relative_to(ROOT).as_posix()}")
        return 0
    baseline = read_baseline()
    if not baseline:
        raise SystemExit("there is no baseline; make one with python -m benchmarks.gate --write")
    return gate(baseline)


if __name__ == "__main__":
    sys.exit(main())
