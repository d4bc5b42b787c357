"""Who reads completion responses, how fast, and what is lost: this library beside parsers and clients.

    python -m benchmarks.compare                                  everything that is installed, on every workload
    python -m benchmarks.compare --only openrouter,all --rounds 31
    python -m benchmarks.compare --file log.jsonl                 on a log of one's own, one body a line
    python -m benchmarks.compare --json result.json               keep the result
    python -m benchmarks.compare --against result.json            and compare a later one with it
    python -m benchmarks.compare --compare old.json new.json      two results; 1 where something became slower
    python -m benchmarks.compare --show a.json b.json --svg chart.svg

The bodies are made by `benchmarks.corpora`, with the truth about each. Before any clock starts, each contender reads
all of them, and what it says is compared with the truth: what it refuses, what it gets wrong and what it does not say
are columns of the table.

A number is CPU time as a ratio to `orjson.loads` on the same bytes, in one process. Contenders take turns, round by
round, each beside `orjson.loads` on those texts that the contender accepts: the median of the rounds' ratios is shown,
with an interval that holds the true median in 95 of 100 runs. Ratios travel between machines, times do not. SDKs whose
requirements exclude one another are measured in environments of their own; `--show` puts the results side by side.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from importlib import metadata
from itertools import cycle, islice, zip_longest
from math import comb
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import msgspec

from . import corpora
from .chart import chart
from .contenders import BASELINE, MEANT_FOR, Contender, Kind, load, load_all
from .contenders import NAMES as CONTENDERS
from .corpora.files import cached, truth_path
from .footprint import footprint_of

DISTRIBUTIONS = ("normcompletion", "msgspec", "orjson", "pydantic", "openai", "litellm", "openrouter", "atoma-sdk")
OWN_BYTES = 200_000_000  # no more is read of one's own log
SLOWER = 0.05  # of a ratio: what two builds of the same code differ by
SHOWN = 3  # wrong fields of a row in the table; the result has all


class Workload(NamedTuple):
    """Bodies to read: a mix of the corpora, and what a caller who named its source would say."""

    about: str
    mix: str
    kind: Kind


def _chats(about: str, path: str) -> Workload:
    return Workload(about, path, Kind(path.partition("/")[0], "chat"))


WORKLOADS = {
    "openrouter": _chats("OpenRouter chat", "openrouter/chat/snake"),
    "openrouter-small": _chats("OpenRouter chat under 800 bytes", "openrouter/chat/snake/small"),
    "openrouter-camel": _chats("OpenRouter chat, camelCase", "openrouter/chat/camel"),
    "openai": _chats("OpenAI-compatible chat of a dozen hosts, vendor keys included", "openai/chat/snake"),
    "logprobs": _chats("chat with 100 log-probs, 5 alternatives each", "openai/chat/snake//logprobs"),
    "repair": _chats("OpenRouter chat with one fault to repair", "openrouter/chat/snake//repair"),
    "atoma": _chats("Atoma chat", "atoma/chat/snake"),
    "atoma-camel": _chats("Atoma chat, camelCase", "atoma/chat/camel"),
    "atoma-text": Workload("Atoma text completion", "atoma/text/snake", Kind("atoma", "text")),
    "atoma-text-camel": Workload("Atoma text completion, camelCase", "atoma/text/camel", Kind("atoma", "text")),
    "log10": _chats("log10 chat", "log10/chat/snake"),
    "log10-camel": _chats("log10 chat, camelCase", "log10/chat/camel"),
    "log10-record": _chats("log10 record around a response", "log10/log_record"),
    "log10-text": _chats("log10 record, JSON in strings", "log10/log_text"),
    "all": Workload(
        "all sources and spellings, shuffled",
        "openrouter/chat=30,openai/chat=30,atoma/chat=20,log10/chat=10,log10/log_record=10",
        Kind(None, "chat"),
    ),
}


class Checked(NamedTuple):
    """What came of a contender's answers: the texts it accepts, and what is wrong with its answers to them."""

    accepted: list[bytes]
    refused: int
    why: str | None  # of the first refusal
    wrong: dict[str, int]  # field -> in how many answers it differs from the truth
    unsaid: list[str]  # fields that some truth has and that it does not give


def check(contender: Contender, texts: Sequence[bytes], truths: Sequence[corpora.Truth], kind: Kind) -> Checked:
    """Read every text, and hold what the contender reads against the truth, where there is one."""
    accepted, why, wrong = [], None, Counter[str]()
    claimed: set[str] = set()
    for text, truth in zip_longest(texts, truths):
        try:
            (answer,) = contender.read([text], kind)
        except Exception as error:  # noqa: BLE001 - whatever a library raises is its answer
            why = why or " ".join(f"{type(error).__name__}: {error}".split())[:200]
            continue
        accepted.append(text)
        if truth is not None:
            facts = contender.facts(answer)
            claimed |= facts.keys()
            wrong.update(name for name, value in facts.items() if value != getattr(truth, name))
    unsaid = [name for name in _SAID if name not in claimed and any(map(_says(name), truths))] if accepted else []
    return Checked(accepted, len(texts) - len(accepted), why, dict(wrong), unsaid)


_ABOUT_RECORD = ("number", "shape", "body")  # not about what it says
_SAID = [name for name in corpora.Truth.__struct_fields__ if name not in _ABOUT_RECORD]


def _says(name: str) -> Any:
    """Whether a truth says anything in a field."""
    return lambda truth: getattr(truth, name) not in (None, "", [], [None], [[]], [None, None], [[], []])


def timed(contender: Contender, texts: list[bytes], kind: Kind) -> int:
    """CPU time in nanoseconds to read all texts, each answer dropped at once."""
    gc.collect()
    start = time.process_time_ns()
    deque(contender.read(texts, kind), maxlen=0)
    return time.process_time_ns() - start


class Spread(NamedTuple):
    """The median of some numbers, and an interval that holds the true one in 95 of 100 cases."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """The interval lies between two of the sorted numbers: by chance alone, how many lie below the median is binomial.

    With fewer than six numbers it is all of them, and surer of nothing.
    """
    ordered, count = sorted(values), len(values)
    outside, tail = 0, 1 / 2**count
    while tail <= 0.025 and outside < count // 2:
        outside += 1
        tail += comb(count, outside) / 2**count
    first = max(0, outside - 1)
    return Spread(median(ordered), ordered[first], ordered[count - 1 - first])


def measure(
    contenders: dict[str, tuple[Contender, list[bytes]]], baseline: Contender, kind: Kind, rounds: int
) -> tuple[dict[str, Spread], dict[str, float]]:
    """Of each contender on its texts: the ratio to the baseline on the same ones, and microseconds for a text."""
    ratios: dict[str, list[float]] = {name: [] for name in contenders}
    times: dict[str, list[int]] = {name: [] for name in contenders}
    gc.collect()
    gc.freeze()  # what is there by now, such as the modules of every SDK, would slow whoever makes most objects
    for number in range(rounds):
        for name in islice(cycle(contenders), number, number + len(contenders)):  # another one begins each time
            contender, texts = contenders[name]
            timed(baseline, texts, kind)  # whoever comes first finds the texts in the processor's cache as well
            if number % 2:
                base, taken = timed(baseline, texts, kind), timed(contender, texts, kind)
            else:
                taken, base = timed(contender, texts, kind), timed(baseline, texts, kind)
            ratios[name].append(taken / max(base, 1))
            times[name].append(taken)
    gc.unfreeze()
    micros = {name: median(taken) / 1000 / len(contenders[name][1]) for name, taken in times.items()}
    return {name: spread(values) for name, values in ratios.items()}, micros


def run(  # noqa: PLR0917 - all of them are needed, and none has a default
    workload: Workload,
    texts: list[bytes],
    truths: list[corpora.Truth],
    contenders: Iterable[Contender],
    baseline: Contender,
    rounds: int,
) -> dict[str, Any]:
    """One workload's part of the result. Raises `SystemExit` where this library says what is not true."""
    checks = {}
    for contender in contenders:
        if MEANT_FOR.get(contender.name, workload.kind.source) == workload.kind.source:
            checks[contender.name] = (contender, check(contender, texts, truths, workload.kind))
    for name, (_, found) in checks.items():
        if name.startswith("normcompletion") and truths and (found.wrong or found.refused):
            raise SystemExit(
                f"{name} on {workload.mix}: wrong {found.wrong}, refused {found.refused} ({found.why}); "
                "run tests/test_corpora.py first"
            )
    runs = {name: (contender, found.accepted) for name, (contender, found) in checks.items() if found.accepted}
    ratios, micros = measure(runs, baseline, workload.kind, rounds)
    sizes = sorted(map(len, texts))
    rows = []
    for name, (contender, found) in checks.items():
        row: dict[str, Any] = {"name": name, "label": contender.label, "accepted": len(found.accepted)}
        row |= {"refused": found.refused, "why": found.why, "wrong": found.wrong, "unsaid": found.unsaid}
        if name in ratios:
            row |= {"micros": round(micros[name], 3)}
            row |= {key: round(value, 4) for key, value in ratios[name]._asdict().items()}
        rows.append(row)
    about = {"about": workload.about, "mix": workload.mix, "records": len(texts), "bytes": sum(sizes)}
    return about | {"p50": sizes[len(sizes) // 2], "checked": bool(truths), "contenders": rows}


# -- results


def versions() -> dict[str, str]:
    """The versions of what is installed; this library may be run from its checkout."""
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            if name == "normcompletion":
                found[name] = __import__(name).__version__
    return found


def machine() -> dict[str, Any]:
    """What ran it."""
    try:
        model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
        processor = model.partition(":")[2].strip()
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    try:
        load_average = round(os.getloadavg()[0], 2)
    except OSError:
        load_average = None
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return {"python": python, "system": f"{platform.system()} {platform.machine()}", "processor": processor} | {
        "cores": os.cpu_count(),
        "load": load_average,
    }


def table(result: dict[str, Any]) -> str:
    """The result as text."""
    lines = [
        ", ".join(f"{name} {version}" for name, version in result["versions"].items()),
        "{python}, {system}, {processor}, {cores} cores, load {load}".format(**result["machine"])
        + f"; {result['rounds']} rounds, seed {result['seed']}",
    ]
    if result["missing"]:
        lines.append(f"not installed, so not here: {', '.join(result['missing'])}")
    for part in result["workloads"].values():
        lines += ["", f"{part['about']}: {part['records']:,} bodies, half of them up to {part['p50']:,} bytes"]
        lines.append(f"  {'':42}{'ratio':>8}{'95 % within':>17}{'us':>10}{'refuses':>9}  wrong; does not say")
        for row in sorted(part["contenders"], key=lambda row: row.get("median", float("inf"))):
            lines.append(_row(row, part))
    if result["footprints"]:
        lines += ["", f"  {'':42}{'import ms':>11}{'import MB':>11}{'kB an answer':>14}"]
        for name, found in result["footprints"].items():
            kept = "-" if found["kept_kb"] is None else f"{found['kept_kb']:.2f}"
            lines.append(f"  {name:42}{found['import_ms']:11.1f}{found['import_mb']:11.1f}{kept:>14}")
    return "\n".join(lines)


def _row(row: dict[str, Any], part: dict[str, Any]) -> str:
    refuses = f"{row['refused'] / part['records']:.1%}" if row["refused"] else "-"
    if "median" not in row:
        return f"  {row['label']:42}{'-':>8}{'':17}{'':10}{refuses:>9}  {row['why']}"[:160]
    interval = f"{row['low']:.2f} - {row['high']:.2f}"
    timing = f"{row['median']:8.2f}{interval:>17}{row['micros']:10.2f}"
    accepted = row["accepted"]
    most = sorted(row["wrong"].items(), key=lambda item: -item[1])
    wrong = ", ".join(f"{name} {count / accepted:.1%}" for name, count in most[:SHOWN])
    wrong += f" and {len(most) - SHOWN} more fields" if len(most) > SHOWN else ""
    loses = "; ".join(filter(None, (wrong, ", ".join(row["unsaid"])))) if part["checked"] else "not checked"
    return f"  {row['label']:42}{timing}{refuses:>9}  {loses or '-'}"


def merged(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Results of several environments as one; where two have a contender, the first stands."""
    whole: dict[str, Any] = json.loads(json.dumps(results[0]))
    for other in results[1:]:
        for name, version in other["versions"].items():
            known = whole["versions"].setdefault(name, version)
            if version not in known.split(" / "):
                whole["versions"][name] = f"{known} / {version}"
        whole["footprints"] = {**other["footprints"], **whole["footprints"]}
        whole["missing"] = [name for name in whole["missing"] if name in other["missing"]]
        for name, part in other["workloads"].items():
            mine = whole["workloads"].setdefault(name, part)
            if mine["mix"] != part["mix"] or mine["records"] != part["records"]:
                raise SystemExit(
                    f"the results have different bodies under {name!r}; measure them with the same options"
                )
            there = {row["name"] for row in mine["contenders"]}
            mine["contenders"] += [row for row in part["contenders"] if row["name"] not in there]
    return whole


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, float, bool]]:
    """Workload, contender, new ratio over old one, and whether the two intervals lie apart."""
    found = []
    for name, part in after["workloads"].items():
        known = {row["name"]: row for row in before["workloads"].get(name, {}).get("contenders", ())}
        for row in part["contenders"]:
            old = known.get(row["name"], {})
            if "median" in row and "median" in old:
                apart = row["low"] > old["high"] or row["high"] < old["low"]
                found.append((name, row["name"], row["median"] / old["median"], apart))
    return found


def read_result(path: Path) -> dict[str, Any]:
    """A result from its file. Raises `SystemExit` for what is none."""
    try:
        found = json.loads(path.read_bytes())
        if found["version"] == 1 and isinstance(found["workloads"], dict):
            return dict(found)
    except OSError as error:
        raise SystemExit(f"{path}: {error.strerror}; write a result with --json {path}") from None
    except (ValueError, KeyError, TypeError):
        pass
    raise SystemExit(f"{path} is no result of this version; write one with --json {path}")


def write_result(path: Path, result: dict[str, Any]) -> None:
    """Keep a result."""
    path.write_text(json.dumps(result, indent=1) + "\n")


def _show_changes(found: list[tuple[str, str, float, bool]]) -> None:
    for workload, name, change, apart in found:
        print(f"  {workload:20}{name:28}{change - 1:+8.1%}{' *' if apart else ''}")


def compare(old: Path, new: Path) -> int:
    """Print what changed from one result to another; 1 where a reader of ours became slower beyond its spread."""
    before, after = read_result(old), read_result(new)
    for path, result in ((old, before), (new, after)):
        print(f"{path}: {', '.join(f'{name} {version}' for name, version in result['versions'].items())}")
        print("  {python}, {system}, {processor}".format(**result["machine"]), f"; {result['rounds']} rounds", sep="")
    print("new ratio beside the old one, * where the intervals of the two lie apart")
    found = changes(before, after)
    _show_changes(found)
    if not found:
        raise SystemExit("the results have no workload in common; measure both with the same --only and --contenders")
    slower = [item for item in found if item[1].startswith("normcompletion") and item[3] and item[2] > 1 + SLOWER]
    print(f"{len(slower)} of {len(found)} became slower by more than {SLOWER:.0%} and beyond their spread, of ours")
    return 1 if slower else 0


# -- the command


def _own_log(path: Path) -> tuple[Workload, list[bytes]]:
    """The lines of a file."""
    with path.open("rb") as file:
        texts = [line for line in file.read(OWN_BYTES).splitlines() if line.strip()]
    if not texts:
        raise SystemExit(f"{path} holds no lines; give a file with one JSON body a line")
    return Workload(str(path), str(path), Kind(None, "chat")), texts


def generated(workload: Workload, seed: int, count: int) -> tuple[Path, list[bytes], list[corpora.Truth]]:
    """A workload's corpus: its file, its bodies, their truths."""
    path = cached(corpora.parse_mix(workload.mix), seed=seed, count=count)
    truths = msgspec.json.Decoder(corpora.Truth).decode_lines(truth_path(path).read_bytes())
    return path, path.read_bytes().splitlines(), truths


def main(arguments: list[str] | None = None) -> int:
    """Run the command; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", help=f"workloads, of {', '.join(WORKLOADS)}")
    parser.add_argument("--contenders", help=f"of {', '.join(CONTENDERS)}")
    parser.add_argument("--records", type=int, default=1_000, help="bodies of each workload")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", type=Path, help="JSON lines of one's own, in place of the workloads")
    parser.add_argument("--no-footprint", action="store_true", help="leave out import and memory, which take a while")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result")
    parser.add_argument(
        "--compare", type=Path, nargs=2, metavar=("OLD", "NEW"), help="measure nothing, look for what became slower"
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write a chart")
    parser.add_argument("--against", type=Path, metavar="FILE", help="an earlier result, to compare with")
    parser.add_argument(
        "--show", type=Path, nargs="+", metavar="FILE", help="measure nothing, show these results as one"
    )
    given = parser.parse_args(arguments)
    if given.compare:
        return compare(*given.compare)
    if given.show:
        result = merged([read_result(path) for path in given.show])
    else:
        only = given.only.split(",") if given.only else list(WORKLOADS)
        names = given.contenders.split(",") if given.contenders else list(CONTENDERS)
        for what, asked, there in (("workload", only, WORKLOADS), ("contender", names, CONTENDERS)):
            unknown = [name for name in asked if name not in there]
            if unknown:
                parser.error(f"no {what} {', '.join(unknown)}; there are {', '.join(there)}")
        result = _measured(given, only, names)
    print(table(result))
    if given.json is not None:
        write_result(given.json, result)
    if given.svg is not None:
        given.svg.write_text(chart(result))
    if given.against is not None:
        print(f"\nratios beside those of {given.against}, * where the intervals lie apart")
        _show_changes(changes(read_result(given.against), result))
    return 0


def _measured(given: argparse.Namespace, only: list[str], names: list[str]) -> dict[str, Any]:
    contenders, missing = load_all(names)
    baseline = load(BASELINE)
    about = {"versions": versions(), "machine": machine(), "rounds": given.rounds, "seed": given.seed}
    result: dict[str, Any] = {"version": 1, **about, "missing": missing, "workloads": {}, "footprints": {}}
    kind, path = Kind(None, "chat"), given.file
    if given.file is not None:
        workload, texts = _own_log(given.file)
        result["workloads"]["file"] = run(workload, texts, [], contenders, baseline, given.rounds)
    else:
        for name in only:
            print(f"{name} ...", file=sys.stderr, flush=True)
            workload = WORKLOADS[name]
            corpus, texts, truths = generated(workload, given.seed, given.records)
            result["workloads"][name] = run(workload, texts, truths, contenders, baseline, given.rounds)
            if path is None:
                kind, path = workload.kind, corpus
    if not given.no_footprint:
        for contender in contenders:
            if MEANT_FOR.get(contender.name, kind.source) == kind.source:
                result["footprints"][contender.name] = footprint_of(contender.name, path, kind)
    return result


if __name__ == "__main__":
    sys.exit(main())
