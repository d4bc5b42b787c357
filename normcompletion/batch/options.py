"""What a run is asked to do: one object, from the caller to the worker processes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

from ..api import default_engine
from ..envelopes.encodings import Encoding
from ..envelopes.options import Envelopes
from ..errors import did_you_mean
from ..payload import MAX_RECORD_BYTES
from .inputs import STDIN

To = Literal["jsonl", "parquet", "csv", "openai", "messages"]
Layout = Literal["nested", "flat"]
Unfinished = Literal["refuse", "skip"]
WithoutRequest = Literal["refuse", "skip", "write"]
Kind = Literal["jsonl", "parquet", "parquet_parts"]

ORIGIN = ("_file", "_line", "_offset")
"""The names under which it is written where a record is from: its input, and the line and byte of its unit."""

_EXTENSIONS = (
    *(kind + packed for kind in (".jsonl", ".ndjson", ".json", ".csv") for packed in ("", ".gz", ".zst")),
    ".parquet",
)
_LEAST = {"limit": 0, "max_errors": 0, "rows_per_part": 1, "checkpoint_every": 1, "max_record_bytes": 1}
_ONLY_FOR: dict[str, To] = {
    "omit_null": "jsonl",
    "extras": "openai",
    "fill": "openai",
    "unfinished": "messages",
    "without_request": "messages",
}
# What does not change what is written, so that a run that resumes another may differ in it.
_FREE = ("jobs", "max_errors", "max_error_rate", "resume", "overwrite", "dry_run")
_ENVELOPES = {
    **{name: name for name in ("envelope", "body", "line_prefix", "copy_escapes", "table", "carry")},
    "body_encoding": "encoding",
    "envelope_fields": "fields",
}
"""The options of `Envelopes`, by the names that they have here."""


class UsageError(ValueError):
    """The call does not fit together; the text says what to change.

    >>> from normcompletion.batch import convert
    >>> try:
    ...     convert("fixtures/log.jsonl", "-", limit=-1)
    ... except UsageError as error:
    ...     print(error)
    --limit is -1; give 0 or more
    """


class Reading(TypedDict, total=False):
    """Options of everything that reads logs; `convert` says what each means.

    >>> from normcompletion.batch import iter_records
    >>> options: Reading = {"default_source": "openrouter"}
    >>> next(iter_records("fixtures/log.jsonl", **options)).source
    'openrouter'
    """

    envelope: str
    body: str | Iterable[str] | None
    body_encoding: Encoding
    envelope_fields: Mapping[str, str]
    line_prefix: str | None
    copy_escapes: bool
    table: str | None
    source: str | None
    default_source: str | None
    max_record_bytes: int


class Running(Reading, total=False):
    """Options of `survey`, and of whatever else reads logs in several processes.

    >>> from normcompletion.batch import survey
    >>> options: Running = {"limit": 2}
    >>> survey("fixtures/log.jsonl", **options).report["units"]
    2
    """

    jobs: int
    limit: int | None


class Converting(Running, total=False):
    """Options of `convert`, which says what each means.

    >>> from normcompletion.batch import convert
    >>> options: Converting = {"to": "openai", "fill": True, "dry_run": True}
    >>> convert("fixtures/log.jsonl", "-", **options).records
    5
    """

    to: To | None
    layout: Layout | None
    columns: Iterable[str] | None
    rows_per_part: int | None
    carry: Mapping[str, str]
    omit_null: bool
    extras: bool
    fill: bool
    unfinished: Unfinished
    without_request: WithoutRequest
    origin: bool
    strict: bool
    completions_only: bool
    rejects: str | os.PathLike[str] | None
    rejects_raw: bool
    report: str | os.PathLike[str] | None
    max_errors: int | None
    max_error_rate: float | None
    resume: bool
    overwrite: bool
    dry_run: bool
    checkpoint_every: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run is asked to do, as `convert` says, with all that is around the responses in `envelopes`.

    With `breakdown` its report has one. Raises `UsageError` for what means nothing, `UnknownSourceError` for a source
    that is not registered.
    """

    envelopes: Envelopes = field(default_factory=Envelopes)
    source: str | None = None
    default_source: str | None = None
    max_record_bytes: int = MAX_RECORD_BYTES
    jobs: int = 1
    limit: int | None = None
    to: To | None = None
    layout: Layout | None = None
    columns: tuple[str, ...] | None = None
    rows_per_part: int | None = None
    omit_null: bool = False
    extras: bool = False
    fill: bool = False
    unfinished: Unfinished = "refuse"
    without_request: WithoutRequest = "refuse"
    origin: bool = True
    breakdown: bool = False
    strict: bool = False
    completions_only: bool = False
    rejects: str | None = None
    rejects_raw: bool = False
    report: str | None = None
    max_errors: int | None = None
    max_error_rate: float | None = None
    resume: bool = False
    overwrite: bool = False
    dry_run: bool = False
    checkpoint_every: int | None = None

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        for name in (self.source, self.default_source):
            default_engine().registry.check(name, None)
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"--{name.replace('_', '-')} is {value}; give {least} or more")
        if self.columns is not None and not self.columns:
            raise UsageError("--columns names none; name one or more, or leave it out for all of them")
        if self.columns is not None and self.envelopes.carry and "carried" not in self.columns:
            raise UsageError("--carry fills the column carried; name it in --columns too, or leave out --carry")
        if self.jobs < 0:
            raise UsageError(f"--jobs is {self.jobs}; give 1 or more, or 0 for one for each processor")
        if self.max_error_rate is not None and not 0 <= self.max_error_rate <= 1:
            raise UsageError(f"--max-error-rate is {self.max_error_rate}; give a share from 0 to 1")

    @classmethod
    def of(cls, known: type[Reading], given: Mapping[str, Any]) -> Options:
        """The options that a caller gave, by the names in `known`; raises `TypeError` for any other."""
        names = known.__annotations__
        for name in given:
            if name not in names:
                hint = did_you_mean(name, names).strip()
                raise TypeError(f"there is no option {name!r}; {hint or 'see the documentation of convert'}")
        around = {place: given[name] for name, place in _ENVELOPES.items() if given.get(name) is not None}
        rest = {name: value for name, value in given.items() if name not in _ENVELOPES}
        if isinstance(body := around.get("body", ()), str):
            body = (body,)
        for name in {"rejects", "report"} & rest.keys():
            rest[name] = None if rest[name] is None else os.fspath(rest[name])
        if rest.get("columns") is not None:
            rest["columns"] = tuple(rest["columns"])
        around |= {"body": tuple(body)} | {name: dict(around.get(name, ())) for name in ("fields", "carry")}
        try:
            envelopes = Envelopes(**around)
        except ValueError as error:
            raise UsageError(str(error)) from None
        return cls(envelopes=envelopes, **rest)

    def for_output(self, output: str) -> Options:
        """The same with all that the name of the output implies; `layout` is `None` where no Arrow rows are made.

        Raises `UsageError` where options and name contradict one another, `ImportError` where pyarrow is missing.
        """
        to = self._form(output)
        for name, form in _ONLY_FOR.items():
            if getattr(self, name) not in {False, "refuse"} and to != form:
                raise UsageError(f"--{name.replace('_', '-')} is for --to {form}; leave it out, or use that")
        if to != "parquet" and self.rows_per_part is not None:
            raise UsageError("--rows-per-part is for Parquet; leave it out, or use --to parquet")
        if to not in ("parquet", "csv"):
            if self.layout == "flat":
                raise UsageError("--layout flat is for Parquet and CSV; leave it out, or use --to parquet")
            if self.columns is not None:
                raise UsageError("--columns is for Parquet and CSV; leave it out, or use --to parquet")
        is_wanted = self.columns is None or not set(ORIGIN).isdisjoint(self.columns)
        return replace(
            self,
            to=to,
            layout="flat" if to == "csv" else self._parquet_layout() if to == "parquet" else None,
            origin=self.origin and is_wanted and to not in ("openai", "messages"),
            breakdown=self.report is not None,
        )

    def _form(self, output: str) -> To:
        """What is written: as asked for, or as the name of the output says."""
        is_folder = output.endswith(("/", os.sep))
        suffixes = Path(output).suffixes
        if self.to is not None:
            to = self.to
        elif is_folder or self.rows_per_part:
            to = "parquet"
        elif output != STDIN and suffixes and not "".join(suffixes[-2:]).lower().endswith(_EXTENSIONS):
            raise UsageError(
                f"the extension of {output} is not known; use {', '.join(_EXTENSIONS)}, or say --to jsonl or parquet"
            )
        elif output.lower().endswith(".parquet"):
            to = "parquet"
        else:
            to = "csv" if output.lower().endswith((".csv", ".csv.gz", ".csv.zst")) else "jsonl"
        if is_folder and to != "parquet":
            raise UsageError(f"{output} is a folder, and text goes to a file; name one, or use --to parquet")
        if output == STDIN and to == "parquet" and not self.dry_run:
            raise UsageError("Parquet does not go to standard output; name a file or a folder with -o")
        return to

    def _parquet_layout(self) -> Layout:
        """The layout of Parquet; a name of the flat layout alone implies it."""
        from ..arrow import schema

        if self.layout is not None:
            return self.layout
        nested, flat = (set(schema(flat=flat).names) for flat in (False, True))
        return "flat" if (flat - nested) & set(self.columns or ()) else "nested"

    def kind(self, output: str) -> Kind:
        """What `for_output` says is written there, as `outputs` calls it."""
        if self.to != "parquet":
            return "jsonl"
        return "parquet_parts" if output.endswith(("/", os.sep)) or self.rows_per_part is not None else "parquet"

    def identity(self) -> dict[str, Any]:
        """What must be the same in a run that resumes another, as plain values."""
        return {name: value for name, value in asdict(self).items() if name not in _FREE}
