"""Records, tokens, cost and latency of a log by source, model, day and finish reason: what a report page shows."""

from __future__ import annotations

import decimal
import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..model import Completion

DIMENSIONS = ("source", "model", "day", "finish_reason")
"""`day` is that of `created`, or else of the envelope's own time, in UTC; `finish_reason` that of the first choice."""

NONE = "(none)"
OTHER = "(other)"
SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)
"""Upper bounds of the classes of latency; longer calls are in one class more."""

MAX_GROUPS = 10_000  # of a dimension; what comes later is counted as one
_FIRST_DAY, _LAST_DAY = 0, 253402300799  # 1970 to 9999
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
EXACT = decimal.Context(prec=1000, traps=[decimal.Inexact])  # sums of 64-bit floats have fewer digits


@dataclass(slots=True)
class Sums:
    """What the records of one group add up to; `cost` is exact, in US dollars."""

    records: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cost: decimal.Decimal = decimal.Decimal(0)

    def add(self, other: Sums) -> None:
        """Add another group's."""
        self.records += other.records
        self.failed += other.failed
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.total_tokens += other.total_tokens
        self.cost = EXACT.add(self.cost, other.cost)


@dataclass(slots=True)
class Latency:
    """How long the calls of one source took: how many, seconds in all, and how many in each class of `SECONDS`."""

    calls: int = 0
    seconds: decimal.Decimal = decimal.Decimal(0)
    classes: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))

    def add(self, other: Latency) -> None:
        """Add another part's."""
        self.calls += other.calls
        self.seconds = EXACT.add(self.seconds, other.seconds)
        self.classes = [one + two for one, two in zip(self.classes, other.classes, strict=True)]

    def within(self, share: float) -> float | None:
        """The bound within which a share of the calls ended; `None` where that is beyond the last."""
        done = 0
        for bound, count in zip(SECONDS, self.classes, strict=False):
            done += count
            if done >= share * self.calls:
                return bound
        return None


@dataclass(slots=True)
class Breakdown:
    """The groups of each dimension by name, and latency by source, for responses whose envelope says a duration."""

    source: dict[str, Sums] = field(default_factory=dict)
    model: dict[str, Sums] = field(default_factory=dict)
    day: dict[str, Sums] = field(default_factory=dict)
    finish_reason: dict[str, Sums] = field(default_factory=dict)
    latency: dict[str, Latency] = field(default_factory=dict)

    @property
    def groups(self) -> dict[str, dict[str, Sums]]:
        """The groups by dimension."""
        return {name: getattr(self, name) for name in DIMENSIONS}

    def count(self, completions: Iterable[Completion]) -> None:
        """Count records."""
        every = (self.source, self.model, self.day, self.finish_reason)
        for each in completions:
            sums = _sums(each)
            for name, groups in zip(_names(each), every, strict=True):
                _group(groups, name).add(sums)
            duration = None if each.envelope is None else each.envelope.duration
            if duration is not None and duration >= 0:
                latency = self.latency.setdefault(each.source, Latency())
                latency.calls += 1
                latency.seconds = EXACT.add(latency.seconds, decimal.Decimal(repr(duration)))
                latency.classes[bisect_left(SECONDS, duration)] += 1

    def add(self, other: Breakdown) -> None:
        """Add what another piece of the same run counted."""
        for dimension, groups in other.groups.items():
            for name, sums in groups.items():
                _group(getattr(self, dimension), name).add(sums)
        for source, latency in other.latency.items():
            self.latency.setdefault(source, Latency()).add(latency)


def _sums(completion: Completion) -> Sums:
    sums = Sums(records=1, failed=int(completion.error is not None))
    if (usage := completion.usage) is not None:
        sums.prompt_tokens = usage.prompt_tokens or 0
        sums.completion_tokens = usage.completion_tokens or 0
        sums.total_tokens = usage.total_tokens or 0
        sums.cost = decimal.Decimal(repr(usage.cost or 0))
    return sums


def _names(completion: Completion) -> tuple[str, str, str, str]:
    """The groups that a record belongs to, by dimension."""
    choice = completion.first
    reason = NONE if choice is None else choice.finish_reason or NONE
    return completion.source, completion.model or NONE, _day(completion), reason


def _day(completion: Completion) -> str:
    if completion.created is not None and _FIRST_DAY < completion.created <= _LAST_DAY:
        return datetime.fromtimestamp(completion.created, UTC).date().isoformat()
    sent = None if completion.envelope is None else completion.envelope.created_at
    return sent[:10] if sent is not None and _DATE.match(sent) else NONE


def _group(groups: dict[str, Sums], name: str) -> Sums:
    if name not in groups and len(groups) >= MAX_GROUPS:
        name = OTHER
    return groups.setdefault(name, Sums())


def plain(number: decimal.Decimal) -> str:
    """Decimal text without an exponent and without zeros at its end."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
