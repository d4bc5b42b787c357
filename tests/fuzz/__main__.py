"""Fuzz the library: `python -m tests.fuzz --mutants 200000 --jobs 2`, from the root of the repository.

Exit code 0 where no promise was broken. What was broken is shown by index; `--only INDEX` runs that mutant again, with
the same `--seed`, and shrinks it.
"""

from __future__ import annotations

import argparse
import sys

from tests.fuzz.check import target_of
from tests.fuzz.run import fuzz
from tests.fuzz.worker import LIBRARY, Plan, reproduce, shrunk

SHRUNK_BYTES = 20_000


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--mutants", type=int, default=200_000)
    parser.add_argument("--jobs", type=int, default=1, help="worker processes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, metavar="INDEX", help="run one mutant, show it and shrink it")
    parser.add_argument("--target", default=LIBRARY, help="module:class to fuzz in place of the library")
    options = parser.parse_args()
    plan = Plan(options.seed, options.target)
    if options.only is not None:
        return _show(plan, options.only)
    report = fuzz(plan, options.mutants, jobs=options.jobs)
    print(report)
    return 1 if report.ways else 0


def _show(plan: Plan, number: int) -> int:
    found = reproduce(plan, number)
    case, result, before = found
    print(f"{case.kind} of {case.fixture}, source={case.source!r}, {len(case.raw)} bytes, {result.label}")
    if 0 < len(case.cuts) < 10:
        print(f"cut at {sorted(case.cuts)} for assemble")
    print(case.raw[:SHRUNK_BYTES])
    if result.violations and before:
        print("alone it breaks nothing; it does after these, in one process:")
        for earlier in before:
            print(f"   #{earlier.number} source={earlier.source!r} {earlier.raw[:SHRUNK_BYTES]!r}")
    for violation in result.violations:
        print("!", " · ".join(violation))
        if len(case.raw) <= SHRUNK_BYTES:
            print("  ", shrunk(found, violation, target_of(plan.target), 500 if before else 3000))
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main())
