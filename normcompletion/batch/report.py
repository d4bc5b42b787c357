"""What a conversion did: one `Reject` for each refused piece, one `Report` for the whole run.

Both are the same for any number of jobs: they hold no times, no process ids and no names of outputs.
"""

from __future__ import annotations

import base64
import decimal
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import msgspec

from ..errors import excerpt
from ..model import Completion
from .breakdown import EXACT, Breakdown, plain
from .inputs import IncompleteInput

MAX_ERROR_CODES = 1000
OTHER_CODES = "(other)"
_encode = msgspec.json.Encoder().encode
_NUMBER = re.compile(r"(?<=[ (])\d[\d,.]*(?=[ ;,)]|$)")


@dataclass(slots=True)
class Reject:
    """One refused piece of an input.

    `line` counts from 1 in the decoded input, `offset` and `length` are bytes of it. `code` is one of `REJECT_CODES`,
    `path` a JSON Pointer into the unit. `raw` is the unit itself, only where it was asked for.

    >>> print(Reject("log.jsonl", 4, 120, 9, "truncated", None, "the JSON text ends too early"))
    log.jsonl:4: truncated: the JSON text ends too early
    """

    source: str
    line: int
    offset: int
    length: int
    code: str
    path: str | None
    reason: str
    raw: bytes | None = None

    @property
    def kind(self) -> str:
        """Code and reason, without the numbers that differ from unit to unit."""
        return f"{self.code}: {_NUMBER.sub('N', self.reason)}"

    def to_json(self) -> bytes:
        """One JSON line; `raw` as text, or as `raw_base64` where it is not UTF-8."""
        row = asdict(self)
        if (raw := row.pop("raw")) is not None:
            try:
                row["raw"] = raw.decode()
            except UnicodeDecodeError:
                row["raw_base64"] = base64.b64encode(raw).decode()
        return _encode(row) + b"\n"

    def __str__(self) -> str:
        """For a terminal: where, which code, and why."""
        return f"{self.source}:{self.line}: {self.code}: {self.reason}"


@dataclass(slots=True)
class Report:
    """What a conversion did; `units == converted + rejected + blank`, always.

    `files` are the inputs and the other files in their folders, `files_read` the inputs; `passed_over` counts the
    others by the end of their names.
    A unit (a line, an array element, a concatenated value, a table row, a file) is rejected when anything in it was
    refused; `records` counts the completions that were written, those of a partly refused page among them.
    `empty_pages` counts the converted units that hold no record (`[]`, `{"data": []}`), `other_entries` the entries of
    units with several (a HAR file, a cassette) that are not completions, `skipped` the calls that were left out of the
    output because that was asked for. `failed`,
    `pending` and `encrypted` are records with `error` set. The counters are by source, by "source variant", by finish
    reason of each choice, by code of each note, by code of each record's error, and by code of each reject. Tokens are
    sums of what was reported, `cost` an exact sum in US dollars. `breakdown` has records, tokens and cost by source,
    model, day and finish reason, where it was asked for.

    >>> print(Report(units=3, converted=2, rejected=1, records=2))
    3 units: 2 converted, 1 rejected, 0 blank
    2 records: 2 answers
    """

    files: int = 0
    files_read: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    units: int = 0
    converted: int = 0
    rejected: int = 0
    blank: int = 0
    empty_pages: int = 0
    skipped: int = 0
    other_entries: int = 0
    records: int = 0
    failed: int = 0
    pending: int = 0
    encrypted: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    variants: Counter[str] = field(default_factory=Counter)
    finish_reasons: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cost: decimal.Decimal = decimal.Decimal(0)
    breakdown: Breakdown | None = None

    @property
    def answers(self) -> int:
        """The records that are no failed, pending or encrypted calls."""
        return self.records - self.failed - self.pending - self.encrypted

    def count(self, completions: Iterable[Completion]) -> None:
        """Count records."""
        if self.breakdown is not None:
            self.breakdown.count(completions)
        # A record costs less than a microsecond here: one loop, and what is written in C behind it.
        kinds, words, costs, notes = [], [], [], []
        prompt_tokens = completion_tokens = total_tokens = 0
        for row in completions:
            kinds.append((row.source, row.variant))
            for choice in row.choices:
                if (word := choice.finish_reason) is not None:
                    words.append(word)  # noqa: PERF401 - for one choice a comprehension costs more
            if (usage := row.usage) is not None:
                prompt_tokens += usage.prompt_tokens or 0
                completion_tokens += usage.completion_tokens or 0
                total_tokens += usage.total_tokens or 0
                if cost := usage.cost:
                    costs.append(cost)
            if row.notes:
                notes += [note.code for note in row.notes]
            if row.error is not None:
                self._count_error(row.error.code)
        self.records += len(kinds)
        for (source, variant), number in Counter(kinds).items():
            self.sources[source] += number
            self.variants[f"{source} {variant}"] += number
        self.finish_reasons.update(words)
        self.notes.update(notes)
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        self.total_tokens += total_tokens
        with decimal.localcontext(EXACT):
            self.cost = sum(map(decimal.Decimal, map(repr, costs)), self.cost)

    def _count_error(self, code: int | str | None) -> None:
        if code == "pending":
            self.pending += 1
        elif code == "encrypted":
            self.encrypted += 1
        else:
            self.failed += 1
        self._add_errors({"(none)" if code is None else excerpt(code): 1})

    def _add_errors(self, errors: Mapping[str, int]) -> None:
        # The services' own words: they can be anything, so only so many are counted separately.
        for code, number in errors.items():
            known = code in self.errors or len(self.errors) < MAX_ERROR_CODES
            self.errors[code if known else OTHER_CODES] += number

    def add(self, other: Report) -> None:
        """Add what another piece of the same run counted, in the order of the input."""
        for each in fields(self):
            name, value = each.name, getattr(other, each.name)
            if name == "errors":
                self._add_errors(value)
            elif isinstance(value, Counter):
                getattr(self, name).update(value)
            elif isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)
        self.cost = EXACT.add(self.cost, other.cost)
        if other.breakdown is not None:
            self.breakdown = self.breakdown or Breakdown()
            self.breakdown.add(other.breakdown)

    def to_builtins(self) -> dict[str, Any]:
        """The report as plain values; `cost` as decimal text, counters in the order of their keys."""
        built = msgspec.to_builtins(self, order="deterministic", builtin_types=(decimal.Decimal,))
        if self.breakdown is None:
            del built["breakdown"]
        text: dict[str, Any] = _with_texts(built)
        return text

    @classmethod
    def from_builtins(cls, built: Mapping[str, Any]) -> Report:
        """What `to_builtins` gave; raises `msgspec.ValidationError` for anything else."""
        return msgspec.convert(built, cls, dec_hook=lambda _, counts: Counter(counts))

    def to_json(self) -> bytes:
        """The report as an indented JSON text with a line feed at its end."""
        return msgspec.json.format(_encode(self.to_builtins()), indent=2) + b"\n"

    def __str__(self) -> str:
        """The summary for a terminal, several lines without a last line feed."""
        calls = [
            f"{number:,} {name}"
            for number, name in ((self.failed, "failed"), (self.pending, "pending"), (self.encrypted, "encrypted"))
            if number
        ]
        rows = [
            f"{counted(self.units, 'unit')}: "
            + ", ".join(f"{getattr(self, name):,} {name}" for name in ("converted", "rejected", "blank"))
            + (f" ({counted(self.empty_pages, 'empty page')})" if self.empty_pages else "")
            + (f"; {self.other_entries:,} entries passed over: no completions" if self.other_entries else ""),
            f"{counted(self.records, 'record')}: "
            + ", ".join([counted(self.answers, "answer"), *calls])
            + (f"; {self.skipped:,} skipped" if self.skipped else ""),
        ]
        if self.passed_over:
            rows.append(
                f"{counted(self.files, 'file')}: {self.files_read:,} read, "
                f"{self.passed_over.total():,} passed over ({_listed(self.passed_over)})"
            )
        rows += [
            f"  {name.removesuffix('_reasons'):9} {_listed(counter)}"
            for name in ("variants", "finish_reasons", "notes", "errors", "rejects")
            if (counter := getattr(self, name))
        ]
        if self.total_tokens or self.prompt_tokens or self.completion_tokens:
            rows.append(
                f"  {'tokens':9} prompt {self.prompt_tokens:,}, completion {self.completion_tokens:,}, "
                f"total {self.total_tokens:,}"
            )
        if self.cost:
            rows.append(f"  {'cost':9} {dollars(self.cost)} USD")
        return "\n".join(rows)


@dataclass(slots=True)
class Outcome:
    """What came of a task, at least: a report, and the inputs that broke off in it, by their place in the list."""

    report: Report = field(default_factory=Report)
    broken: list[tuple[int, IncompleteInput]] = field(default_factory=list)


def _with_texts(value: Any) -> Any:
    """The same with decimal numbers as texts."""
    if isinstance(value, dict):
        return {name: _with_texts(each) for name, each in value.items()}
    return plain(value) if isinstance(value, decimal.Decimal) else value


_SHOWN = 8


def counted(number: int, what: str) -> str:
    """A number of things, such as `1 unit` and `2,000 units`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def dollars(cost: decimal.Decimal) -> str:
    """A sum of money for people: to the cent, or to four digits where that is more; `to_builtins` has it exactly."""
    places = max(2, 3 - cost.adjusted()) if cost else 2
    text = f"{cost:,.{places}f}"
    return text if places == 2 else f"{text.rstrip('0'):0<{text.index('.') + 3}}"


def _listed(counter: Counter[str]) -> str:
    ranked = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{name} {number:,}" for name, number in ranked[:_SHOWN])
    return shown + (f" and {len(ranked) - _SHOWN} more" if len(ranked) > _SHOWN else "")
