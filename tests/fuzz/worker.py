"""Blocks of mutants, checked in order, here or in a child process.

Every block starts with new readers: what one mutant does depends on those before it in its block, and on no others.
"""

from __future__ import annotations

import faulthandler
import resource
import signal
import warnings
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tests.fuzz.check import Library, Result, Violation, check, target_of
from tests.fuzz.mutations import Mutant, mutant

BLOCK = 2000
LIBRARY = "tests.fuzz.check:Library"
MEMORY_LIMIT = 4 << 30  # of address space, so that a blow-up is an exception here and not the end of the machine
HANG_SECONDS = 60.0


class Plan(NamedTuple):
    """What makes a run repeatable."""

    seed: int = 1
    target: str = LIBRARY

    def mutant(self, index: int) -> Mutant:
        """The mutant of an index."""
        return mutant(self.seed, index)


class Block(NamedTuple):
    """What a block of mutants gave: how often each answer, and the mutants that broke a promise in each way."""

    labels: Counter[str]
    ways: dict[Violation, list[int]]


def run_block(plan: Plan, target: Library, start: int, stop: int, begin: Callable[[int], None] | None = None) -> Block:
    """Check the mutants of a block, in order; `begin` is called with the index of each."""
    labels: Counter[str] = Counter()
    ways: dict[Violation, list[int]] = {}
    target.forget()
    for index in range(start, stop):
        case = plan.mutant(index)
        if begin is not None:
            begin(index)
        result = check(case, target)
        labels[f"{case.kind} {result.label}"] += 1
        for violation in result.violations:
            ways.setdefault(violation, []).append(index)
    return Block(labels, ways)


def serve(plan: Plan, pipe: Connection, position: Any, log: Path, hang_seconds: float) -> None:
    """Check each block that comes through a pipe; a mutant that takes too long ends the process with SIGALRM.

    Where it stands is in `position`, and what it was doing when it died is in the log.
    """

    def begin(index: int) -> None:
        position.value = index
        signal.setitimer(signal.ITIMER_REAL, hang_seconds)

    warnings.simplefilter("error")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    target = target_of(plan.target)
    with log.open("w") as file:
        faulthandler.enable(file)
        faulthandler.register(signal.SIGALRM, file, chain=True)
        while block := pipe.recv():
            start, stop = block
            done = run_block(plan, target, start, stop, begin)
            signal.setitimer(signal.ITIMER_REAL, 0)
            pipe.send(done)


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


def shrunk(found: Found, violation: Violation, target: Library, tries: int = 3000) -> bytes:
    """A payload, as short as may be found, that breaks the same promise in the same way."""

    def breaks(raw: bytes, *, is_new: bool) -> bool:
        case = found.case._replace(raw=raw)
        result = _after(found.before, case, target) if is_new else check(case, target)
        return violation in result.violations

    target.forget()  # once, for it takes longer than many tries, unless what was read before matters
    has_past = bool(found.before)
    raw = _reduced(found.case.raw, lambda shorter: breaks(shorter, is_new=has_past), tries)
    return raw if breaks(raw, is_new=True) else found.case.raw


def _after(before: list[Mutant], case: Mutant, target: Library) -> Result:
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
