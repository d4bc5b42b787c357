"""How fast completion responses are read, by this library and by its peers: makes corpora, checks, measures, writes.

    python -m benchmarks                     measure; write README.md, chart.svg and result.json in benchmarks/
    python -m benchmarks --write-readme      also write the table of the README
    python -m benchmarks --records 200 --rounds 5 --dry-run      a quick look; writes nothing
    python -m benchmarks --python ../sdk/bin/python              also with the SDKs that another environment has
    python -m benchmarks --show              the tables of the result that is there; measures nothing
    python -m benchmarks --compare old.json new.json             what became slower

Corpora are made by a seed and kept in `benchmarks/cache/`. Each workload is measured in a process of its own, so that
nothing learned from one helps or hinders another; there, every contender must agree with the truth before a clock
starts (see `benchmarks.compare`).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import compare
from .chart import chart
from .contenders import NAMES
from .corpora import parse_mix
from .corpora.__main__ import progress_bar
from .corpora.files import cached
from .goals import reached
from .readme import CHART, DETAILS, PEERS, README, RESULT, ROOT, renewed, speed, written


def make_corpora(only: list[str], *, seed: int, records: int) -> None:
    """Make what is not in the cache yet."""
    for name in only:
        with progress_bar(name, records) as progress:
            cached(parse_mix(compare.WORKLOADS[name].mix), seed=seed, count=records, progress=progress)


def measured(pythons: list[str], only: list[str], *, seed: int, records: int, rounds: int) -> dict[str, Any]:
    """The result of all workloads, each measured in a process of its own.

    The second interpreter and those behind it measure the contenders that those before them lack.

    Raises `SystemExit` where one fails; its message is above.
    """
    environments: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for python in pythons:
            parts = []
            lacking = compare.merged(environments)["missing"] if environments else list(NAMES)
            if not lacking:
                break
            for name in only:
                path = Path(folder) / "part.json"
                command = [python, "-m", "benchmarks.compare", "--only", name, "--json", str(path), "--seed", str(seed)]
                command += ["--records", str(records), "--rounds", str(rounds), "--contenders", ",".join(lacking)]
                command += [] if name == PEERS else ["--no-footprint"]
                search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
                done = subprocess.run(
                    command, check=False, cwd=ROOT, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": search}
                )
                if done.returncode:
                    raise SystemExit(f"{name} could not be measured; run: {' '.join(command)}")
                parts.append(compare.read_result(path))
            whole = parts[0]
            for part in parts[1:]:
                whole["workloads"].update(part["workloads"])
            environments.append(whole)
    return compare.merged(environments)


def goals(result: dict[str, Any]) -> str:
    """The goals as text."""
    lines = [f"{'':66}{'reader':>10}{'measured':>10}{'95 % within':>16}{'goal':>8}"]
    for row in reached(result):
        goal = row.goal
        about = row.about if goal.peer is None else f"{row.about}: times as long takes {goal.peer}"
        about += f", beside {goal.beside}" if goal.beside != "orjson_loads" else ""
        mark = {True: "", False: "  not met", None: "  not measured"}[row.met]
        value, within = ("-", "") if row.median is None else (f"{row.median:.2f}", f"{row.low:.2f} - {row.high:.2f}")
        lines.append(
            f"{about:66}{goal.reader:>10}{value:>10}{within:>16}{'>=' if goal.peer else '<=':>4}{goal.limit:5.2f}{mark}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=1_000, help="bodies of each workload")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help=f"workloads, of {', '.join(compare.WORKLOADS)}; implies --dry-run")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="FILE",
        help="one more interpreter, with other SDKs; repeatable",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result here as well")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    parser.add_argument("--write-readme", action="store_true", help="also write the table of the README")
    parser.add_argument("--show", action="store_true", help="measure nothing, print the result that is there")
    parser.add_argument(
        "--compare", type=Path, nargs=2, metavar=("OLD", "NEW"), help="measure nothing, compare results"
    )
    given = parser.parse_args(arguments)
    if given.compare:
        return compare.compare(*given.compare)
    if given.show:
        result = compare.read_result(RESULT)
    else:
        only = given.only.split(",") if given.only else list(compare.WORKLOADS)
        unknown = [name for name in only if name not in compare.WORKLOADS]
        if unknown:
            parser.error(f"no workload {', '.join(unknown)}; there are {', '.join(compare.WORKLOADS)}")
        if given.records < 1 or given.rounds < 1:
            parser.error("measure one body in one round at least: --records and --rounds are whole numbers from 1")
        make_corpora(only, seed=given.seed, records=given.records)
        pythons = [sys.executable, *given.python]
        result = measured(pythons, only, seed=given.seed, records=given.records, rounds=given.rounds)
    print(compare.table(result))
    print(f"\n{goals(result)}")
    if given.json is not None:
        compare.write_result(given.json, result)
    if not (given.show or given.dry_run or given.only):
        compare.write_result(RESULT, result)
        CHART.write_text(chart({**result, "workloads": {PEERS: result["workloads"][PEERS]}}))
        DETAILS.write_text(written(DETAILS.read_text(), result))
        files = [DETAILS, CHART, RESULT]
        if given.write_readme:
            README.write_text(renewed(README.read_text(), "speed", speed(result)))
            files.append(README)
        print(f"\nwritten: {', '.join(path.relative_to(ROOT).as_posix() for path in files)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
