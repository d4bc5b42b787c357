"""What a log holds: its variants, words, notes, keys that the canonical model has no field for, and refusals.

Each is an *entry* of a *section*, with how often it was seen and where first. `new_entries` says which of them are new:
against an earlier survey, or, without one, the keys and words that this library does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..errors import excerpt
from ..model import Completion
from .conversion import Conversion
from .engine import Listener, Reader
from .folders import Inputs
from .options import Options
from .report import OTHER_CODES, Outcome, Report
from .signals import Signals
from .units import Block

SECTIONS: Mapping[str, str] = {
    "variants": "who wrote the responses, in which shape",
    "envelopes": "what stood around them",
    "finish_reasons": "why the answers ended",
    "native_finish_reasons": "the same in the upstream's own words",
    "unknown_words": "finish words and roles that are in no table",
    "extra_keys": "keys that the canonical model has no field for, by source and variant",
    "notes": "repairs, by code and place",
    "errors": "codes of failed calls",
    "rejects": "codes of refused units",
    "reasons": "why units were refused, and what to do about it",
}
UNKNOWN_SECTIONS = ("unknown_words", "extra_keys")
"""What is new even without an earlier survey to compare with."""

MAX_ENTRIES = 10_000  # of a section; what comes later is counted as one
FORMAT = 1
_INDEX = re.compile(r"/\d+(?=/|$)")


class SurveyError(ValueError):
    """A file that should hold an earlier survey does not; the text says what to do.

    >>> try:
    ...     Survey.from_json(b"{}]")
    ... except SurveyError as error:
    ...     print(error)
    it holds no survey; write one with: normcompletion survey --json LOG
    """


class Entry(msgspec.Struct):
    """How often something was seen, and where first: `input:line`."""

    count: int
    first: str


class Survey(msgspec.Struct, kw_only=True):
    """What a log holds, section by section. `report` has the counts of a conversion of the same log.

    >>> found = Survey()
    >>> found.add("extra_keys", "openai chat /vendor", 3, "log.jsonl:1")
    >>> found.new_entries()
    {'extra_keys': ['openai chat /vendor']}
    """

    format: int = FORMAT
    report: dict[str, Any] = {}
    variants: dict[str, Entry] = {}
    envelopes: dict[str, Entry] = {}
    finish_reasons: dict[str, Entry] = {}
    native_finish_reasons: dict[str, Entry] = {}
    unknown_words: dict[str, Entry] = {}
    extra_keys: dict[str, Entry] = {}
    notes: dict[str, Entry] = {}
    errors: dict[str, Entry] = {}
    rejects: dict[str, Entry] = {}
    reasons: dict[str, Entry] = {}

    def to_json(self) -> bytes:
        """The survey as an indented JSON text, entries in the order of their names."""
        return msgspec.json.format(msgspec.json.encode(self, order="sorted"), indent=2) + b"\n"

    @classmethod
    def from_json(cls, text: bytes) -> Survey:
        """What `to_json` gave. Raises `SurveyError`."""
        try:
            survey = msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise SurveyError("it holds no survey; write one with: normcompletion survey --json LOG") from None
        if survey.format != FORMAT:
            raise SurveyError(f"it is a survey of format {survey.format}, and this is format {FORMAT}; write it anew")
        return survey

    def add(self, section: str, name: str, count: int, first: str) -> None:
        """Count an entry; the first of its places stays."""
        entries: dict[str, Entry] = getattr(self, section)
        if name not in entries and len(entries) >= MAX_ENTRIES:
            name = OTHER_CODES
        entries.setdefault(name, Entry(0, first)).count += count

    def new_entries(self, known: Survey | None = None) -> dict[str, list[str]]:
        """The names of new entries by section, for sections that have some."""
        found = {}
        for section in UNKNOWN_SECTIONS if known is None else SECTIONS:
            names = getattr(self, section).keys()
            if known is not None:
                names -= getattr(known, section).keys()
            if names:
                found[section] = sorted(names)
        return found

    def to_html(self, title: str = "Survey of completion logs") -> str:
        """The survey as one HTML page, for people; the numbers are those of `to_json`."""
        from .page import page

        return page(title, Report.from_builtins(self.report), {name: getattr(self, name) for name in SECTIONS})

    def __str__(self) -> str:
        """For a terminal, several lines without a last line feed."""
        rows = []
        for section, about in SECTIONS.items():
            entries: dict[str, Entry] = getattr(self, section)
            if entries:
                rows.append(f"{section.replace('_', ' ')}: {about}")
                ranked = sorted(entries.items(), key=lambda item: (-item[1].count, item[0]))
                rows += [f"  {entry.count:>10,}  {name}  (first: {entry.first})" for name, entry in ranked]
        return "\n".join(rows)


@dataclass(slots=True)
class Surveyed(Outcome):
    """What was seen in a task."""

    survey: Survey = field(default_factory=Survey)


class Surveyor:
    """Turns tasks into what was seen in them."""

    def __init__(self, options: Options) -> None:
        self._conversion = Conversion(options)

    def __call__(self, blocks: Iterable[Block], limit: int | None = None) -> Surveyed:
        """What is seen in some blocks, or in their first `limit` units."""
        found = self._conversion(blocks, limit)
        survey = Survey()
        for completion, (file, line, _) in zip(found.completions, found.origins, strict=True):
            for section, name in seen(completion):
                survey.add(section, name, 1, f"{file}:{line}")
        for _, reject in found.rejects:
            survey.add("rejects", reject.code, 1, f"{reject.source}:{reject.line}")
            survey.add("reasons", reject.kind, 1, f"{reject.source}:{reject.line}")
        return Surveyed(found.report, found.broken, survey)


def seen(completion: Completion) -> Iterator[tuple[str, str]]:
    """The entries of one completion, as section and name."""
    source = completion.source
    kind = f"{source} {completion.variant}"
    yield "variants", kind
    if completion.envelope is not None:
        yield "envelopes", completion.envelope.kind
    for choice in completion.choices:
        if choice.finish_reason is not None:
            yield "finish_reasons", f"{source} {choice.finish_reason}"
        if choice.native_finish_reason is not None:
            yield "native_finish_reasons", f"{source} {excerpt(choice.native_finish_reason)}"
            if choice.finish_reason == "unknown":
                yield "unknown_words", f"{source} finish reason {excerpt(choice.native_finish_reason)}"
    for note in completion.notes:
        yield "notes", f"{note.code} {_pattern(note.path)}"
        if note.code == "unknown_role":
            yield "unknown_words", f"{source} role {excerpt(note.before)}"
    for pointer in completion.extra:
        yield "extra_keys", f"{kind} {_pattern(pointer)}"
    if completion.error is not None:
        code = completion.error.code
        yield "errors", f"{source} {'(none)' if code is None else excerpt(code)}"


def _pattern(pointer: str) -> str:
    """A pointer with `*` for the places in lists."""
    text = _INDEX.sub("/*", pointer)
    return text if len(text) <= 200 else text[:199] + "…"


def survey_inputs(inputs: Inputs, options: Options, listener: Listener, signals: Signals) -> Survey:
    """The survey of some inputs.

    Raises:
        Interrupted: a signal stopped it.
        InputError: an input cannot be read.
        IncompleteInput: an input breaks off.
        WorkerError: a worker process died.

    """
    survey, report = Survey(), inputs.report()
    reader = Reader(inputs, options, listener)
    with closing(reader.results(Surveyor, signals)) as every:
        for task, surveyed in every:
            for section in SECTIONS:
                for name, entry in getattr(surveyed.survey, section).items():
                    survey.add(section, name, entry.count, entry.first)
            report.add(surveyed.report)
            listener.progress(task.consumed, report)
    reader.check_whole()
    survey.report = report.to_builtins()
    return survey
