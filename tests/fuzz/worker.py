"""The child process: blocks of mutants in, one line of JSON a block out.

Where it stands is written to a file before each mutant, so that the parent knows which one killed or stopped it. Every
block starts with new readers: what one mutant does depends on those before it in its block, and on no others.
"""

from __future__ import annotations

import argparse
import faulthandler
import heapq
import json
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from tests.fuzz.check import Result, Target, Violation, check, target_of
from tests.fuzz.mutations import Mutant, mutant

BLOCK = 2000
LIBRARY = "tests.fuzz.check:Library"
MEMORY_LIMIT = 4 << 30  # of address space, so that a blow-up is an exception here and not the end of the machine
KEPT_SLOW = 20
KEPT_PER_BLOCK = 20  # violations; the others are counted


class Plan(NamedTuple):
    """What makes a run repeatable."""

    seed: int = 1
    streams: float = 0.3
    target: str = LIBRARY

    def mutant(self, index: int) -> Mutant:
        """The mutant of an index."""
        return mutant(self.seed, index, self.streams)


class Slow(NamedTuple):
    """How long a mutant took, in seconds."""

    seconds: float
    number: int


class Block(NamedTuple):
    """What a block of mutants gave."""

    start: int
    stop: int
    labels: dict[str, int]
    violations: list[tuple[int, Violation]]
    counts: list[tuple[Violation, int]]
    slowest: list[Slow]
    peak: int  # memory of the process so far, in KiB


def run_block(plan: Plan, target: Target, start: int, stop: int, position: int | None = None) -> Block:
    """Check the mutants of a block, in order; `position` is the descriptor of the file that says where it is."""
    labels: Counter[str] = Counter()
    counts: Counter[Violation] = Counter()
    violations: list[tuple[int, Violation]] = []
    slowest: list[Slow] = []
    target.forget()
    for index in range(start, stop):
        case = plan.mutant(index)
        if position is not None:
            os.pwrite(position, index.to_bytes(8, "little"), 0)
        began = time.perf_counter()
        result = check(case, target)
        slowest.append(Slow(time.perf_counter() - began, index))
        labels[f"{case.kind} {result.label}"] += 1
        for violation in result.violations:
            counts[violation] += 1
            if len(violations) < KEPT_PER_BLOCK:
                violations.append((index, violation))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Block(start, stop, dict(labels), violations, list(counts.items()), heapq.nlargest(KEPT_SLOW, slowest), peak)


class Found(NamedTuple):
    """A mutant that was run again; `before` is what had to be read before it to break what it does not break alone."""

    case: Mutant
    result: Result
    before: list[Mutant]


def reproduce(plan: Plan, number: int) -> Found:
    """One mutant again: alone, and where that breaks less, after those before it in its block."""
    target = target_of(plan.target)
    case = plan.mutant(number)
    alone = set(_after([], case, target).violations)
    before = [plan.mutant(index) for index in range(number - number % BLOCK, number)]
    wanted = set(_after(before, case, target).violations)
    if wanted <= alone:
        before.clear()
    before = _reduced(before, lambda fewer: wanted <= set(_after(fewer, case, target).violations), tries=300)
    return Found(case, _after(before, case, target), before)


def shrunk(found: Found, violation: Violation, target: Target, tries: int = 3000) -> bytes:
    """A payload, as short as may be found, that breaks the same promise in the same way."""

    def breaks(raw: bytes, *, is_new: bool) -> bool:
        case = found.case._replace(raw=raw)
        result = _after(found.before, case, target) if is_new else check(case, target)
        return violation in result.violations

    target.forget()  # once, for it takes longer than many tries, unless what was read before matters
    has_past = bool(found.before)
    raw = _reduced(found.case.raw, lambda shorter: breaks(shorter, is_new=has_past), tries)
    return raw if breaks(raw, is_new=True) else found.case.raw


def _after(before: list[Mutant], case: Mutant, target: Target) -> Result:
    target.forget()
    for earlier in before:
        check(earlier, target)
    return check(case, target)


Sequence = TypeVar("Sequence", bytes, list[Mutant])


def _reduced(items: Sequence, breaks: Callable[[Sequence], bool], tries: int) -> Sequence:
    """As few of the items as still break something, by leaving out ever shorter runs of them."""
    size = max(1, len(items) // 2)
    while size and tries > 0:
        at, count = 0, len(items)
        while at < len(items) and tries > 0:
            tries -= 1
            fewer = items[:at] + items[at + size :]
            if breaks(fewer):
                items = fewer
            else:
                at += size
        if size > 1 or len(items) == count:
            size //= 2
    return items


def to_json(value: Any) -> str:
    """A tuple of tuples, as one line of JSON."""
    return json.dumps(value, separators=(",", ":"))


def block_of(line: bytes | str) -> Block:
    """What `to_json` wrote."""
    start, stop, labels, violations, counts, slowest, peak = json.loads(line)
    found = [(index, Violation(*violation)) for index, violation in violations]
    ways = [(Violation(*way), count) for way, count in counts]
    return Block(start, stop, labels, found, ways, [Slow(*slow) for slow in slowest], peak)


def main() -> None:
    """Read `start stop` lines, write blocks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--streams", type=float, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--position", required=True)
    options = parser.parse_args()
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    plan = Plan(options.seed, options.streams, options.target)
    target = target_of(plan.target)
    position = os.open(options.position, os.O_WRONLY)
    print("ready", flush=True)
    for line in sys.stdin:
        start, stop = map(int, line.split())
        print(to_json(run_block(plan, target, start, stop, position)), flush=True)


if __name__ == "__main__":
    main()
