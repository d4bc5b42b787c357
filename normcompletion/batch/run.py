"""One run of `convert`: inputs and options checked, records written to outputs in order, parts and their checkpoints.

What is written does not depend on the number of processes, nor on where a run was stopped and resumed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from .blocks import BEGINNING, Block, Position
from .durable import OutputError
from .engine import Listener, Reader, Task
from .folders import Inputs
from .inputs import IncompleteInput
from .journal import Checkpoint, Header, Journal, fingerprint
from .options import Kind, Options, UsageError
from .outputs import Sink, open_sink
from .outputs.naming import can_resume, check_outputs, final_path, is_stream, partial_path, publish, replaces
from .page import page
from .report import Report
from .signals import Signals
from .written import Converted, Converter, arrow_schema, csv_rows

if TYPE_CHECKING:
    import pyarrow as pa

PART_BYTES: dict[Kind, int] = {"jsonl": 64 << 20, "parquet_parts": 256 << 20}  # of input, where none are given
RATE_UNITS = 1000
_KEPT = "what is written so far is kept; go on with --resume"


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


# -- writing


class Writer:
    """The outputs of a run, in parts: at the end of each, what was written is made durable and a checkpoint says so.

    A part ends with the task that brings it to `checkpoint_every` bytes of input, decompressed.
    """

    def __init__(self, run: Run, journal: Journal, saved: Checkpoint | None, signals: Signals) -> None:
        begun = saved or Checkpoint(position=BEGINNING, report=run.inputs.report().to_builtins())
        self.start = begun.position
        self.report = Report.from_builtins(begun.report)
        self._run = run
        self._journal = journal
        self._signals = signals
        self._part = 0  # bytes of input
        self._sinks: dict[str, Sink] = {}
        try:
            for name, (path, kind) in run.outputs.items():
                with self._writing(name):
                    self._sinks[name] = open_sink(
                        path,
                        kind=kind,
                        resume=begun.lengths.get(name),
                        mode=0o600 if name == "rejects" else 0o666,
                        schema=run.schema,
                        rows_per_part=run.options.rows_per_part,
                        threads=run.options.jobs or os.cpu_count() or 1,
                    )
            if saved is None:
                self._put("output", run.header)
        except BaseException:
            self.stop()
            raise

    def write(self, task: Task, converted: Converted) -> None:
        """Write what came of a task; end a part before it where that is full. Raises `OutputError`."""
        if self._run.part_bytes is not None and self._part >= self._run.part_bytes:
            self._end_part(task.blocks[0])
        self._part += sum(block.size for block in task.blocks)
        for reject in converted.rejects:
            self._run.listener.reject(reject)
        self.report.add(converted.report)
        self._put("output", converted.data)
        self._put("rejects", b"".join([reject.to_json() for reject in converted.rejects]))

    def _put(self, name: str, data: bytes | pa.RecordBatch) -> None:
        """Write to one of the outputs, if it is wanted and there is something to write."""
        if name in self._sinks and len(data):
            with self._writing(name):
                self._sinks[name].write(data)

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
            else:
                sink.stop(keep=kept)
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

        self.inputs = inputs
        self.options = options = options.for_output(output)
        self.listener = listener
        kind = options.kind(output)
        self.header = b""
        try:
            self.schema = None if options.layout is None else arrow_schema(options)
        except ValueError as error:
            raise UsageError(f"--columns: {error}") from None
        if self.schema is not None and options.to == "csv":
            self.header = csv_rows(self.schema.empty_table(), header=True)
        self.outputs: dict[str, tuple[str, Kind]] = {}
        if not options.dry_run:
            self.outputs["output"] = (output, kind)
            for name, path in (("rejects", options.rejects), ("report", options.report)):
                if path is not None:
                    self.outputs[name] = (path, "jsonl")
        known = [] if options.dry_run or is_stream(output) else [fingerprint(source) for source in inputs]
        fingerprints = [each for each in known if each is not None]
        self._header = Header(
            program=__version__, options={"output": output, **options.identity()}, inputs=fingerprints
        )
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
                incomplete = IncompleteInputError([each for _, each in sorted(self.broken.items())])
                self._note_partial(incomplete, "output", "what could be read")
                raise incomplete
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
        if isinstance(error, BudgetError):
            self._note_partial(error, "rejects", "what was refused")

    def _note_partial(self, error: BaseException, name: str, what: str) -> None:
        """Tell with an error where an output is."""
        if name in self.outputs and not is_stream(self.outputs[name][0]):
            error.add_note(f"{what} is in {partial_path(final_path(self.outputs[name][0]))}")

    def _convert(self, writer: Writer, signals: Signals) -> None:
        reader = Reader(self.inputs, self.options, self.listener)
        reader.broken = self.broken
        with closing(reader.results(Converter, signals, writer.start, writer.report.units)) as every:
            for task, converted in every:
                writer.write(task, converted)
                self._check_budget(writer.report, finished=False)
                self.listener.progress(task.consumed, writer.report)
        self._check_budget(writer.report, finished=True)

    def _check_budget(self, report: Report, *, finished: bool) -> None:
        options = self.options
        refused = f"{report.rejected:,} of {report.units:,} units were refused, more than"
        if options.max_errors is not None and report.rejected > options.max_errors:
            raise BudgetError(f"{refused} --max-errors {options.max_errors:,}; see why, or allow more")
        rate = options.max_error_rate
        is_enough = finished or report.units >= RATE_UNITS
        if rate is not None and is_enough and report.rejected / max(report.units, 1) > rate:
            raise BudgetError(f"{refused} --max-error-rate {rate:g}; see why, or allow more")
