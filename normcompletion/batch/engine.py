"""One run: inputs to tasks, tasks to records in as many processes as were asked for, records to outputs in order.

A task is one block, or several small ones. Tasks are cut by what the inputs hold and written in their order, so what a
run writes does not depend on the number of processes, nor on where it was stopped and resumed.
"""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..envelopes.opener import Envelopes
from ..payload import MAX_RECORD_BYTES
from .conversion import ORIGIN, Converted, Converter, ConverterOptions, Layout, arrow_schema, csv_header, units
from .durable import OutputError
from .folders import Inputs
from .inputs import STDIN, Decoded, IncompleteInput, Input, InputError, open_decoded
from .journal import Checkpoint, Fingerprint, Header, Journal, Position, fingerprint
from .outputs import (
    Kind,
    Sink,
    can_resume,
    check_outputs,
    final_path,
    is_stream,
    open_sink,
    partial_path,
    publish,
    replaces,
)
from .page import page
from .report import Reject, Report
from .signals import Signals
from .units import BLOCK_BYTES, Block, Range, Unit, blocks
from .workers import Workers
from .written import To, Unfinished, WithoutRequest, Writing

Result = TypeVar("Result")

PART_BYTES: dict[Kind, int] = {"jsonl": 64 << 20, "parquet_parts": 256 << 20}  # of input, where none are given
RATE_UNITS = 1000
_NOTICES = 10  # of files in folders that are not read
_EXTENSIONS = (
    *(kind + packed for kind in (".jsonl", ".ndjson", ".json", ".csv") for packed in ("", ".gz", ".zst")),
    ".parquet",
)
_TASK_BLOCKS = 1024
_AHEAD = 3  # tasks under way, for each worker
_KEPT = "what is written so far is kept; go on with --resume"


class UsageError(ValueError):
    """The call does not fit together; the text says what to change.

    >>> from normcompletion.batch import convert
    >>> try:
    ...     convert("fixtures/log.jsonl", "-", limit=-1)
    ... except UsageError as error:
    ...     print(error)
    --limit is -1; give 0 or more
    """


class BudgetError(Exception):
    """More units were refused than the call allows.

    >>> issubclass(BudgetError, Exception)  # raised by convert(…, max_errors=…)
    True
    """


class IncompleteInputError(Exception):
    """Some inputs break off; what could be read of them and of all others is in the partial output.

    >>> IncompleteInputError([]).broken  # the inputs that break off
    ()
    """

    def __init__(self, broken: Sequence[IncompleteInput]) -> None:
        super().__init__("\n".join(map(str, broken)))
        self.broken = tuple(broken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run is asked to do; `convert` says what each means."""

    to: To | None = None
    layout: Layout | None = None
    columns: tuple[str, ...] | None = None
    rows_per_part: int | None = None
    envelopes: Envelopes = field(default_factory=Envelopes)
    omit_null: bool = False
    extras: bool = False
    fill: bool = False
    unfinished: Unfinished = "refuse"
    without_request: WithoutRequest = "refuse"
    origin: bool = True
    source: str | None = None
    default_source: str | None = None
    strict: bool = False
    completions_only: bool = False
    jobs: int = 1
    rejects: str | None = None
    rejects_raw: bool = False
    report: str | None = None
    max_errors: int | None = None
    max_error_rate: float | None = None
    resume: bool = False
    overwrite: bool = False
    limit: int | None = None
    dry_run: bool = False
    checkpoint_every: int | None = None
    max_record_bytes: int = MAX_RECORD_BYTES

    def kind(self, output: str) -> Kind:
        """What is written to an output. Raises `UsageError` where options and name contradict one another."""
        folder = output.endswith(("/", os.sep))
        suffixes = Path(output).suffixes
        if not (self.to or folder or self.rows_per_part or output == STDIN or not suffixes or _is_known(suffixes)):
            raise UsageError(
                f"the extension of {output} is not known; use {', '.join(_EXTENSIONS)}, or say --to jsonl or parquet"
            )
        to = self.form(output)
        if to != "parquet":
            if folder:
                raise UsageError(f"{output} is a folder, and text goes to a file; name one, or use --to parquet")
            if self.rows_per_part is not None:
                raise UsageError("--rows-per-part is for Parquet; leave it out, or use --to parquet")
            if self.layout == "flat" and to != "csv":
                raise UsageError("--layout flat is for Parquet and CSV; leave it out, or use --to parquet")
            if self.columns is not None and to != "csv":
                raise UsageError("--columns is for Parquet and CSV; leave it out, or use --to parquet")
            return "jsonl"
        if output == STDIN and not self.dry_run:
            raise UsageError("Parquet does not go to standard output; name a file or a folder with -o")
        return "parquet_parts" if folder or self.rows_per_part is not None else "parquet"

    def form(self, output: str) -> To:
        """What is written: as asked for, or as the name of the output says."""
        if self.to is not None:
            return self.to
        if output.endswith(("/", os.sep, ".parquet")) or self.rows_per_part:
            return "parquet"
        return "csv" if output.endswith((".csv", ".csv.gz", ".csv.zst")) else "jsonl"

    def writing(self, output: str) -> Writing:
        """What to write of each completion. Raises `UsageError` for an option of another form."""
        to = self.form(output)
        for name, form in (
            ("omit_null", "jsonl"),
            ("extras", "openai"),
            ("fill", "openai"),
            ("unfinished", "messages"),
            ("without_request", "messages"),
        ):
            if getattr(self, name) not in {False, "refuse"} and to != form:
                raise UsageError(f"--{name.replace('_', '-')} is for --to {form}; leave it out, or use that")
        return Writing(
            to=to,
            omit_null=self.omit_null,
            extras=self.extras,
            fill=self.fill,
            unfinished=self.unfinished,
            without_request=self.without_request,
        )

    def layout_of(self, kind: Kind) -> Layout | None:
        """The layout of the Arrow rows to write; `None` for JSON lines. A name of the flat layout alone implies it."""
        if kind == "jsonl":
            return None
        if self.layout is not None:
            return self.layout
        nested, flat = (set(arrow_schema(layout, origin=self.origin).names) for layout in ("nested", "flat"))
        return "flat" if (flat - nested) & set(self.columns or ()) else "nested"

    def check(self) -> None:
        """Raise `UsageError` for a number that means nothing."""
        for name, least in (("limit", 0), ("max_errors", 0), ("rows_per_part", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"--{name.replace('_', '-')} is {value}; give {least} or more")
        if self.columns is not None and not self.columns:
            raise UsageError("--columns names none; name one or more, or leave it out for all of them")
        if self.columns is not None and self.envelopes.carry and "carried" not in self.columns:
            raise UsageError("--carry fills the column carried; name it in --columns too, or leave out --carry")
        for name in ("checkpoint_every", "max_record_bytes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name.replace('_', '-')} is {value}; give 1 or more")
        if self.jobs < 0:
            raise UsageError(f"--jobs is {self.jobs}; give 1 or more, or 0 for one for each processor")
        if self.max_error_rate is not None and not 0 <= self.max_error_rate <= 1:
            raise UsageError(f"--max-error-rate is {self.max_error_rate}; give a share from 0 to 1")

    def identity(self, output: str, kind: Kind) -> dict[str, Any]:
        """What must be the same in a run that resumes another."""
        return {
            "output": output,
            "kind": kind,
            "layout": self.layout,
            "columns": None if self.columns is None else list(self.columns),
            "rows_per_part": self.rows_per_part,
            "writing": list(astuple(self.writing(output))),
            "checkpoint_every": self.checkpoint_every,
            "envelopes": self.envelopes.identity(),
            "origin": self.origin,
            "source": self.source,
            "default_source": self.default_source,
            "strict": self.strict,
            "completions_only": self.completions_only,
            "rejects": self.rejects,
            "rejects_raw": self.rejects_raw,
            "report": self.report,
            "limit": self.limit,
            "max_record_bytes": self.max_record_bytes,
        }


def _is_known(suffixes: list[str]) -> bool:
    """Whether the end of a name says what is written."""
    return "".join(suffixes[-2:]).lower().endswith(_EXTENSIONS)


class Listener:
    """Hears of a run while it goes on; does nothing unless a method is given another.

    >>> class Loud(Listener):
    ...     def notice(self, text):
    ...         print(text)
    """

    def notice(self, text: str) -> None:
        """A sentence for the user."""

    def reject(self, reject: Reject) -> None:
        """One more reject, in the order of the inputs."""

    def progress(self, consumed: int, report: Report) -> None:
        """So many bytes of the inputs, as they are on disk, were read; what was written so far."""


def results(
    tasks: Iterator[Task],
    make: Callable[[ConverterOptions], Callable[..., Result]],
    options: ConverterOptions,
    *,
    jobs: int,
    signals: Signals,
    left: Callable[[], int | None] = lambda: None,
) -> Generator[tuple[Task, Result]]:
    """Each task with what `make(options)` gives for it, in order.

    With more than one job (0: one for each processor) other processes make them, a bounded number ahead of the caller.
    `left` says how many units may still come, which only a process alone can know. Between any two results a signal is
    looked for.
    """
    count = jobs or os.cpu_count() or 1
    if count > 1 and left() is None:
        return _in_processes(tasks, make, options, count, signals)
    return _alone(tasks, make, options, signals, left)


def _alone(
    tasks: Iterator[Task],
    make: Callable[[ConverterOptions], Callable[..., Result]],
    options: ConverterOptions,
    signals: Signals,
    left: Callable[[], int | None],
) -> Generator[tuple[Task, Result]]:
    with _without_collector():
        convert = make(options)
        while (limit := left()) is None or limit > 0:
            with signals.waiting():
                task = next(tasks, None)
            if task is None:
                return
            yield task, convert(task.blocks, limit)


def _in_processes(
    tasks: Iterator[Task],
    make: Callable[[ConverterOptions], Callable[..., Result]],
    options: ConverterOptions,
    count: int,
    signals: Signals,
) -> Generator[tuple[Task, Result]]:
    under_way: deque[tuple[Task, Future[Result]]] = deque()
    with Workers[list[Block], Result](count, make, options) as workers, _without_collector():
        while True:
            with signals.waiting():
                while len(under_way) < _AHEAD * count and (task := next(tasks, None)) is not None:
                    under_way.append((task, workers.submit(task.blocks)))
                if not under_way:
                    return
                task, future = under_way.popleft()
                wait([future])
            yield task, workers.result(future)


# -- reading


class Task(NamedTuple):
    """Some blocks, and how many bytes of all inputs were read up to their end."""

    blocks: list[Block]
    consumed: int


class Reader:
    """Cuts the inputs into tasks; `broken` has those that broke off, by their place in the list."""

    def __init__(self, inputs: Sequence[Input], options: ConverterOptions, listener: Listener) -> None:
        self.broken: dict[int, IncompleteInput] = {}
        self._inputs = inputs
        self._options = options
        self._listener = listener
        for told in inputs.notices[:_NOTICES] if isinstance(inputs, Inputs) else ():
            listener.notice(told)
        self._task_bytes = BLOCK_BYTES if options.layout is None else 4 * BLOCK_BYTES  # Arrow likes many rows

    def tasks(self, start: Position) -> Iterator[Task]:
        """The tasks from a position on. Raises `InputError`."""
        group: list[Block] = []
        size = 0
        before = sum(_file_size(source) for source in self._inputs[: start.input])
        for index in range(start.input, len(self._inputs)):
            at = start if index == start.input else Position(index)
            used = 0
            try:
                with open_decoded(self._inputs[index]) as source:
                    if source.notice is not None:
                        self._listener.notice(source.notice)
                    for block in self._blocks(source, at):
                        used = _end(block) if isinstance(block.data, Range) else source.consumed
                        group.append(block)
                        size += _size(block)
                        if size >= self._task_bytes or len(group) >= _TASK_BLOCKS:
                            yield Task(group, before + used)
                            group, size = [], 0
                    used = source.size or source.consumed
            except IncompleteInput as broken:
                self.broken[index] = broken
            before += used
        if group:
            yield Task(group, before)

    def units(self) -> Iterator[tuple[Input, Unit]]:
        """The units of all inputs, one by one. Raises `InputError`, and `IncompleteInput` at the end."""
        for task in self.tasks(Position()):
            for block in task.blocks:
                for unit in units(block, self._options.max_record_bytes):
                    yield self._inputs[block.input], unit
        if self.broken:
            raise self.broken[min(self.broken)]

    def _blocks(self, source: Decoded, at: Position) -> Iterator[Block]:
        return blocks(
            source,
            at.input,
            offset=at.offset,
            line=at.line,
            max_record_bytes=self._options.max_record_bytes,
            block_bytes=BLOCK_BYTES,
            ranges=True,
            envelopes=self._options.envelopes,
        )


def _file_size(source: Input) -> int:
    """The length of an input's file, 0 for what is none."""
    path = Path(source.path)
    return path.stat().st_size if source.path != STDIN and path.is_file() else 0


def _size(block: Block) -> int:
    if isinstance(block.data, Range):
        return block.data.stop - block.data.start
    if isinstance(block.data, bytes):
        return len(block.data)
    return sum(len(unit.text or b"") for unit in block.data)


def _end(block: Block) -> int:
    return block.data.stop if isinstance(block.data, Range) else block.offset + _size(block)


# -- writing


class Writer:
    """The outputs of a run, in parts: at the end of each, what was written is made durable and a checkpoint says so.

    A part ends with the task that brings it to `checkpoint_every` bytes of input, decompressed.
    """

    def __init__(self, run: Run, journal: Journal, saved: Checkpoint | None, signals: Signals) -> None:
        self.start = Position() if saved is None else saved.position
        self.report = run.inputs.report() if saved is None else Report.from_builtins(saved.report)
        self._run = run
        self._journal = journal
        self._signals = signals
        self._part = 0  # bytes of input
        self._sinks: dict[str, Sink] = {}
        lengths = {} if saved is None else saved.lengths
        try:
            for name, (path, kind) in run.outputs.items():
                with self._writing(name):
                    self._sinks[name] = open_sink(
                        path,
                        kind=kind,
                        resume=lengths.get(name),
                        mode=0o600 if name == "rejects" else 0o666,
                        schema=run.schema,
                        rows_per_part=run.options.rows_per_part,
                        threads=run.options.jobs or os.cpu_count() or 1,
                    )
            if saved is None and run.header and "output" in self._sinks:
                with self._writing("output"):
                    self._sinks["output"].write(run.header)
        except BaseException:
            self.stop()
            raise

    def write(self, task: Task, converted: Converted) -> None:
        """Write what came of a task; end a part before it where that is full. Raises `OutputError`."""
        if self._run.part_bytes is not None and self._part >= self._run.part_bytes:
            self._end_part(task.blocks[0])
        self._part += sum(map(_size, task.blocks))
        for reject in converted.rejects:
            self._run.listener.reject(reject)
        self.report.add(converted.report)
        if "output" in self._sinks and converted.report.records:
            with self._writing("output"):
                self._sinks["output"].write(converted.data)
        if converted.rejects and "rejects" in self._sinks:
            with self._writing("rejects"):
                self._sinks["rejects"].write(b"".join([reject.to_json() for reject in converted.rejects]))

    def _writing(self, name: str) -> AbstractContextManager[None]:
        """Around what writes: a signal must not cut that short, but where a reader may keep it waiting for ever."""
        return self._signals.waiting() if is_stream(self._run.outputs[name][0]) else nullcontext()

    def _end_part(self, following: Block) -> None:
        """Make durable what was written, and note that `following` begins the next part. Raises `OutputError`."""
        self._part = 0
        lengths = {name: sink.end_part() for name, sink in self._sinks.items() if name != "report"}
        position = Position(following.input, following.offset, following.line)
        self._journal.append(self._checkpoint(position, lengths=lengths))

    def _checkpoint(self, position: Position, **members: Any) -> Checkpoint:
        broken = [
            (index, each.name, each.offset, each.reason)
            for index, each in sorted(self._run.broken.items())
            if index < position.input
        ]
        return Checkpoint(position=position, report=self.report.to_builtins(), broken=broken, **members)

    def stop(self, *, keep_rejects: bool = False) -> bool:
        """End without finishing; whether there is something to resume from.

        Nothing is left otherwise, but for the rejects, where they are wanted.
        """
        kept = self._journal.holds_checkpoint
        for name, sink in self._sinks.items():
            if keep_rejects and name == "rejects":
                with suppress(OutputError):
                    sink.close()
            elif kept:
                sink.suspend()
            else:
                sink.discard()
        return kept

    def close(self) -> None:
        """Complete the contents of all outputs, under their partial names. Raises `OutputError`."""
        if "report" in self._sinks:
            is_page = self._run.outputs["report"][0].endswith(".html")
            text = page("Report of a conversion", self.report).encode() if is_page else self.report.to_json()
            self._sinks["report"].write(text)
        for sink in self._sinks.values():
            sink.close()

    def finish(self) -> None:
        """Note that all is written, and give the outputs their names. Raises `OutputError`."""
        replaced = any(replaces(path, kind) for path, kind in self._run.outputs.values())
        end = self._checkpoint(Position(len(self._run.inputs)), done=True, replaces=replaced)
        self._journal.append(end)
        self._run.publish(self._journal, end)


# -- the run


class Run:
    """Inputs, options and outputs of a run, checked as far as they can be before it begins.

    Raises:
        UsageError: options contradict one another.
        UnknownSourceError: there is no such source.
        InputError: an input cannot be read.
        ImportError: a library is missing; the text names the extra to install.

    """

    def __init__(self, inputs: Inputs, output: str, options: Options, listener: Listener) -> None:
        from .. import __version__

        options.check()
        kind = options.kind(output)
        self.inputs = inputs
        self.options = options
        self.listener = listener
        self.layout = options.layout_of(kind)
        self.header = b""
        writing = options.writing(output)
        origin = options.origin and writing.to not in ("openai", "messages")
        try:
            self.schema = None if self.layout is None else arrow_schema(self.layout, options.columns, origin=origin)
            if writing.to == "csv":
                self.header = csv_header(options.columns, origin=origin)
        except ValueError as error:
            raise UsageError(f"--columns: {error}") from None
        self.conversion = ConverterOptions(
            source=options.source,
            default_source=options.default_source,
            strict=options.strict,
            completions_only=options.completions_only,
            keep_raw=options.rejects_raw,
            max_record_bytes=options.max_record_bytes,
            envelopes=options.envelopes,
            layout=self.layout,
            columns=options.columns,
            writing=writing,
            breakdown=options.report is not None,
            origin=origin and (options.columns is None or not set(ORIGIN).isdisjoint(options.columns)),
        )
        self.conversion.check()
        self.outputs: dict[str, tuple[str, Kind]] = {}
        if not options.dry_run:
            self.outputs["output"] = (output, kind)
            for name, path in (("rejects", options.rejects), ("report", options.report)):
                if path is not None:
                    self.outputs[name] = (path, "jsonl")
        fingerprints = [] if options.dry_run or is_stream(output) else _fingerprints(inputs)
        self._header = Header(program=__version__, options=options.identity(output, kind), inputs=fingerprints)
        can_start = len(fingerprints) == len(inputs)
        if options.resume and not can_start:
            raise UsageError("only a run from files to a file can be resumed; leave out --resume")
        self.part_bytes = None
        """The bytes of input in a part; without parts nothing can be resumed."""
        if can_start and can_resume(output, kind):
            self.part_bytes = options.checkpoint_every or PART_BYTES[kind]
        self.broken: dict[int, IncompleteInput] = {}

    def __call__(self, signals: Signals) -> Report:
        """Do it, or what is left of it, and give the report.

        Raises:
            Interrupted: a signal stopped it.
            InputError: an input cannot be read.
            IncompleteInputError: an input breaks off.
            BudgetError: too many units were refused.
            WorkerError: a worker process died.
            OutputError: an output cannot be written.
            OutputRefusedError: an output exists, or what should be resumed is not what it was.

        """
        with Journal([path for path, _ in self.outputs.values()], self._header) as journal:
            saved = journal.load() if self.options.resume else None
            if saved is not None and saved.done:
                self.publish(journal, saved)
                return Report.from_builtins(saved.report)
            check_outputs(
                list(self.outputs.values()),
                inputs=[source.path for source in self.inputs],
                overwrite=self.options.overwrite,
            )
            self._say_where_it_begins(saved)
            if saved is None:
                journal.start_over()
            else:
                self.broken = {index: IncompleteInput(name, offset, why) for index, name, offset, why in saved.broken}
            writer = Writer(self, journal, saved, signals)
            try:
                self._convert(writer, signals)
                writer.close()
                if not self.broken:
                    writer.finish()
            except BaseException as error:
                self._stopped(writer, error)
                raise
            if self.broken:
                journal.start_over()
                raise self._incomplete()
            return writer.report

    def _say_where_it_begins(self, saved: Checkpoint | None) -> None:
        path, kind = self.outputs.get("output", ("", "jsonl"))
        if kind == "parquet" and (self.options.resume or self.options.checkpoint_every is not None):
            folder = path.removesuffix(".parquet") + "/"
            self.listener.notice(
                "a run that writes a single Parquet file starts over when it was stopped; "
                f"one that writes a folder of them can be resumed: -o {folder} --resume"
            )
        elif saved is not None:
            self.listener.notice(f"resuming behind {saved.report['units']:,} units")
        elif self.options.resume:
            self.listener.notice("there is nothing to resume; starting at the beginning")

    def publish(self, journal: Journal, saved: Checkpoint) -> None:
        """Give all outputs their names, the records last, and remove the checkpoint. Raises `OutputError`."""
        for path, kind in reversed(self.outputs.values()):
            if not is_stream(path):
                publish(path, replaces=saved.replaces and kind == "parquet_parts")
        journal.remove()

    def _stopped(self, writer: Writer, error: BaseException) -> None:
        """Keep what a later run can go on from, and tell the user with the error."""
        if writer.stop(keep_rejects=isinstance(error, BudgetError)):
            error.add_note(_KEPT)
        if isinstance(error, BudgetError) and "rejects" in self.outputs and not is_stream(self.outputs["rejects"][0]):
            error.add_note(f"what was refused is in {partial_path(final_path(self.outputs['rejects'][0]))}")

    def _incomplete(self) -> IncompleteInputError:
        error = IncompleteInputError([each for _, each in sorted(self.broken.items())])
        if "output" in self.outputs and not is_stream(self.outputs["output"][0]):
            error.add_note(f"what could be read is in {partial_path(final_path(self.outputs['output'][0]))}")
        return error

    def _convert(self, writer: Writer, signals: Signals) -> None:
        def left() -> int | None:
            return None if self.options.limit is None else self.options.limit - writer.report.units

        reader = Reader(self.inputs, self.conversion, self.listener)
        reader.broken = self.broken
        tasks = reader.tasks(writer.start)
        with closing(
            results(
                tasks,
                Converter,
                self.conversion,
                jobs=self.options.jobs,
                signals=signals,
                left=left,
            )
        ) as every:
            for task, converted in every:
                for index, broken in converted.broken:
                    self.broken.setdefault(index, broken)
                writer.write(task, converted)
                self._check_budget(writer.report, finished=False)
                self.listener.progress(task.consumed, writer.report)
        self._check_budget(writer.report, finished=True)

    def _check_budget(self, report: Report, *, finished: bool) -> None:
        options = self.options
        told = f"{report.rejected:,} of {report.units:,} units were refused, more than"
        if options.max_errors is not None and report.rejected > options.max_errors:
            raise BudgetError(f"{told} --max-errors {options.max_errors:,}; see why, or allow more")
        rate = options.max_error_rate
        if rate is not None and (finished or report.units >= RATE_UNITS) and _share(report) > rate:
            raise BudgetError(f"{told} --max-error-rate {rate:g}; see why, or allow more")


def _fingerprints(inputs: Sequence[Input]) -> list[Fingerprint]:
    """The fingerprints of the inputs that are files."""
    found = []
    for source in inputs:
        try:
            each = fingerprint(source.path)
        except OSError as error:
            raise InputError(
                f"{source.name} cannot be read: {error.strerror or error}; check its permissions"
            ) from None
        if each is not None:
            found.append(each)
    return found


@contextmanager
def _without_collector() -> Iterator[None]:
    """The cyclic garbage collector would look at every record again and again; `Conversion` calls it instead."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _share(report: Report) -> float:
    """Which share of the units was refused."""
    return report.rejected / report.units if report.units else 0.0
