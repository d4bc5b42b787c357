"""Logs in bulk: `convert` writes canonical JSON lines, Parquet or CSV, `iter_records` gives one record after another.

    from normcompletion.batch import convert, iter_records

    report = convert("logs/*.jsonl.gz", "canonical.parquet", jobs=0, rejects="rejects.jsonl")
    print(report.records, report.cost)

    for completion in iter_records("log.jsonl"):
        print(completion.text)

`normcompletion convert` is the same on the command line. `survey` says what logs hold before anything is written.

**Units and records.** A log is cut into *units*: a line, an element of an array, a JSON value, a row of a table or a
file. A unit gives one record, or several where it is a page, a HAR file or the like. Every unit is converted, rejected
or blank, and the report says how many were which. Failed, pending and encrypted calls are records with `error` set.

>>> from normcompletion.batch import convert
>>> report = convert("fixtures/log.jsonl", "records.jsonl", dry_run=True)
>>> report.units == report.converted + report.rejected + report.blank
True

**What is refused** is a `Reject` with its line, byte offset, code and reason; `rejects=` writes them to a file, and
`REJECT_CODES` lists the codes. Where a response is in an envelope that is not known, the reason says which `body=` to
give. `max_errors=` and `max_error_rate=` end a run that refuses too much.

>>> from normcompletion.batch import iter_records
>>> [type(item).__name__ for item in iter_records("fixtures/log.jsonl", on_error="yield")][:2]
['Completion', 'Completion']

**Long runs.** The output appears under its name when it is complete. A run that was stopped goes on with `resume=True`
where its checkpoint is. What is written is the same for any number of `jobs`, and memory does not grow with the log.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Literal, TypeAlias, Unpack, overload

from ..envelopes import opener as _opener
from ..errors import CODES, NormalizeError
from ..model import Completion
from .conversion import Conversion
from .durable import OutputError
from .engine import Listener, Reader
from .examination import Examined, Examiner, examine_inputs
from .folders import Inputs, expand
from .inputs import IncompleteInput, Input, InputError
from .options import Converting, Options, Reading, Running, UsageError
from .outputs.naming import OutputRefusedError
from .report import Reject, Report
from .run import BudgetError, IncompleteInputError, Run
from .signals import Interrupted, Signals
from .survey import Survey, SurveyError, survey_inputs
from .units import Unit
from .workers import WorkerError

__all__ = [
    "REJECT_CODES",
    "BudgetError",
    "Converting",
    "IncompleteInput",
    "IncompleteInputError",
    "InputError",
    "Inputs",
    "Interrupted",
    "Listener",
    "OutputError",
    "OutputRefusedError",
    "Reading",
    "Reject",
    "RejectError",
    "Report",
    "Running",
    "Signals",
    "Survey",
    "SurveyError",
    "UsageError",
    "WorkerError",
    "convert",
    "examine",
    "expand",
    "iter_records",
    "iter_units",
    "survey",
]

Name: TypeAlias = str | os.PathLike[str]
Logs: TypeAlias = Name | Iterable[Name] | Inputs

REJECT_CODES: Mapping[str, str] = {**CODES, **_opener.REJECT_CODES}
"""Every code of a reject and what it means; `strict` adds the codes of `normcompletion.NOTES` that are faults.

>>> REJECT_CODES["truncated"]
'the JSON text ends too early'
"""


class RejectError(NormalizeError):
    """A unit of a log was refused; `reject` says which and why.

    >>> RejectError(Reject("log.jsonl", 4, 0, 9, "truncated", None, "the JSON text ends too early")).reject.line
    4
    """

    def __init__(self, reject: Reject) -> None:
        super().__init__(str(reject), code=reject.code, path=reject.path, offset=reject.offset)
        self.reject = reject

    def __reduce__(self) -> tuple[type[RejectError], tuple[Reject]]:
        """How to pickle it."""
        return RejectError, (self.reject,)


def convert(
    inputs: Logs,
    output: Name,
    *,
    files_from: Name | None = None,
    strict_inputs: bool = False,
    listener: Listener | None = None,
    signals: Signals | None = None,
    **options: Unpack[Converting],
) -> Report:
    """Convert logs to one output, in the order of the inputs; what `normcompletion convert` does.

    There is nothing under the output's name until it is complete; until then it is `OUTPUT.partial`, with a checkpoint
    in `OUTPUT.checkpoint`. What is written does not depend on `jobs`, nor on where a run was stopped and resumed.
    A single Parquet file cannot be resumed; a folder of them can.

    Args:
        inputs: files, folders (all logs below them), patterns (`*`, `**`), or `-` for standard input; JSON lines,
            concatenated or pretty-printed JSON, a JSON array, a saved event stream, Parquet, CSV or TSV with a column
            of JSON, SQLite, Inspect's archives, VCR cassettes, JSON behind a logger's prefix; plain, gzip or zstd.
        output: a file, compressed where its name ends in `.gz` or `.zst`; a folder for Parquet in parts, with a slash
            at its end; `-` for standard output.
        files_from: a file that names more inputs, one a line.
        to: `"jsonl"`, `"parquet"` or `"csv"` (the flat layout); by the output's name otherwise. `"openai"` writes
            bodies in OpenAI's shape, `"messages"` lines to train on: the logged request's messages and the answer.
        layout: the columns of Parquet: `"nested"` holds everything, `"flat"` the first choice for SQL and pandas;
            flat where `columns` names one that only it has, else nested.
        columns: only these columns of the layout, in this order, for Parquet; what is left out costs little, and it
            is nowhere in the output.
        rows_per_part: Parquet as a folder of files with no more rows than this in each.
        envelope: what is around the responses, one of `normcompletion.envelopes.registry.known_envelopes()`.
        body: the JSON Pointer of the response in each unit, for what no preset knows; `*` stands for each element of a
            list or member of an object. Several are read one after another; `GLOB=POINTER` is for the files that match.
        body_encoding: how it is written there, one of `normcompletion.envelopes.encodings.ENCODINGS`.
        envelope_fields: what else of the envelope is read beside `body`: names in `envelopes.preset.FIELDS` and their
            JSON Pointers.
        line_prefix: a regular expression of what is before the JSON of each line, for prefixes that are not known; what
            its named groups match, or else the prefix, is beside the JSON, which is at `/log`.
        copy_escapes: lines are the text form of Postgres's COPY, with every backslash twice.
        table: the table to read of an SQLite file that has several.
        carry: values that go along with each record, in its member `carried`: names and their JSON Pointers.
        omit_null: leave null members out of canonical JSON lines; they are read back as the same.
        extras: with `to="openai"`, also write what that shape has no place for.
        fill: with `to="openai"`, write substitutes for what it requires; otherwise such answers are rejects.
        unfinished: with `to="messages"`, refuse failed calls and answers that are not whole, or skip and count them.
        without_request: with `to="messages"`, refuse answers with which no request was logged, skip and count them, or
            write the answer alone.
        origin: write for each record where it is from: `_file`, `_line` and `_offset`, the name of its input, and the
            line and the byte (decompressed) at which its unit starts; for a row of a table its number, and 0.
        strict_inputs: raise `InputError` where a folder holds files that are not logs, in place of passing them over.
        source: who wrote the responses, where the caller knows: it overrides detection.
        default_source: who wrote those that no marker and no envelope decides.
        strict: refuse what would need a repair.
        completions_only: refuse failed, pending and encrypted calls too.
        jobs: how many processes convert; 0 stands for one for each processor.
        rejects: a file for what is refused, as JSON lines that only its owner may read.
        rejects_raw: put the refused bytes there too, as they were: keys in them are not masked.
        report: a file for the report, as JSON, or as a page to look at where its name ends in `.html`.
        max_errors: stop when more units than this are refused.
        max_error_rate: stop when a larger share is refused, of 1,000 units or more, or of all in the end.
        resume: go on where a run that was stopped left its checkpoint.
        overwrite: replace outputs that exist.
        limit: read so many units and no more; in one process.
        dry_run: write nothing.
        checkpoint_every: the bytes of input in a part, at whose end all that is written is made durable, so that a
            run can go on there: 64 MiB, and 256 MiB for each file of a Parquet folder.
        max_record_bytes: refuse longer units.
        listener: hears of progress, rejects and notices.
        signals: what to stop at; entered, it makes SIGINT and SIGTERM end the run with a checkpoint.

    Raises:
        UsageError: options contradict one another, or say what cannot be.
        UnknownSourceError: there is no such source.
        InputError: an input is missing, unreadable, or of a kind that is not read.
        IncompleteInputError: an input breaks off; all that could be read is in `OUTPUT.partial`.
        OutputRefusedError: the output exists, or what should be resumed is not what it was.
        OutputError: an output cannot be written.
        BudgetError: more was refused than `max_errors` or `max_error_rate` allow.
        WorkerError: a worker process died.
        Interrupted: a signal came.
        ImportError: a library is missing; the text names the extra to install.


    >>> report = convert("fixtures/log.jsonl", "records.jsonl", dry_run=True)
    >>> report.units, report.records, report.rejected
    (6, 6, 0)

    """
    found = _inputs(inputs, files_from, strict=strict_inputs)
    run = Run(found, os.fspath(output), Options.of(Converting, options), listener or Listener())
    return run(signals or Signals())


@overload
def iter_records(
    inputs: Logs,
    *,
    on_error: Literal["raise"] = "raise",
    strict: bool = False,
    completions_only: bool = False,
    **options: Unpack[Reading],
) -> Iterator[Completion]: ...


@overload
def iter_records(
    inputs: Logs,
    *,
    on_error: Literal["yield"],
    strict: bool = False,
    completions_only: bool = False,
    **options: Unpack[Reading],
) -> Iterator[Completion | Reject]: ...


def iter_records(
    inputs: Logs,
    *,
    on_error: Literal["raise", "yield"] = "raise",
    strict: bool = False,
    completions_only: bool = False,
    **options: Unpack[Reading],
) -> Iterator[Completion | Reject]:
    """The records of logs, lazily and in order, a bounded piece of the input at a time.

    The arguments are those of `convert`. What is refused raises `RejectError`, or is yielded as a `Reject` in its place
    with `on_error="yield"`. Raises `InputError`, and `IncompleteInput` after everything that could be read.

    >>> next(iter_records("fixtures/log.jsonl")).source
    'openrouter'
    """
    if on_error not in ("raise", "yield"):
        raise UsageError(f"on_error is {on_error!r:.64}; give 'raise' or 'yield'")
    known = replace(
        Options.of(Reading, options), strict=strict, completions_only=completions_only, rejects_raw=True, origin=False
    )
    return _items(_inputs(inputs, None), known, raises=on_error == "raise")


def survey(
    inputs: Logs,
    *,
    files_from: Name | None = None,
    listener: Listener | None = None,
    signals: Signals | None = None,
    **options: Unpack[Running],
) -> Survey:
    """Which variants, words, notes, unknown keys and refusals logs hold, how often and where first.

    The arguments are those of `convert`, and so are the errors, but that an input that breaks off raises
    `IncompleteInput`.

    >>> survey("fixtures/log.jsonl").report["records"]
    6
    """
    known = replace(Options.of(Running, options), breakdown=True)
    return survey_inputs(_inputs(inputs, files_from), known, listener or Listener(), signals or Signals())


def iter_units(inputs: Logs, **options: Unpack[Reading]) -> Iterator[tuple[Input, Unit]]:
    """The units of logs, blank ones too, as they stand there, with their inputs. Errors are those of `iter_records`.

    >>> sum(1 for source, unit in iter_units("fixtures/log.jsonl"))
    6
    """
    return Reader(_inputs(inputs, None), Options.of(Reading, options), Listener()).units()


def examine(
    inputs: Logs,
    kind: type[Examiner],
    *,
    files_from: Name | None = None,
    listener: Listener | None = None,
    signals: Signals | None = None,
    **options: Unpack[Running],
) -> Iterator[Examined]:
    """What an `examination.Verifier`, `Detector` or `Explainer` says of each unit; arguments as for `survey`.

    >>> from normcompletion.batch.examination import Verifier
    >>> sum(found.counts["lost"] for found in examine("fixtures/log.jsonl", Verifier))
    0
    """
    known = Options.of(Running, options)
    return examine_inputs(_inputs(inputs, files_from), kind, known, listener or Listener(), signals or Signals())


def _inputs(inputs: Logs, files_from: Name | None, *, strict: bool = False) -> Inputs:
    if isinstance(inputs, Inputs):
        return inputs
    paths = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    return expand(paths, None if files_from is None else os.fspath(files_from), strict=strict)


def _items(inputs: Inputs, options: Options, *, raises: bool) -> Iterator[Completion | Reject]:
    reader = Reader(inputs, options, Listener())
    read = Conversion(options)
    for task in reader.tasks():
        found = read(task.blocks)
        done = 0
        for place, reject in found.rejects:
            yield from found.completions[done:place]
            done = place
            if raises:
                raise RejectError(reject)
            yield reject
        yield from found.completions[done:]
        reader.note(found.broken)
    reader.check_whole()
