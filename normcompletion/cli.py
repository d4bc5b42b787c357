"""The command line: `normcompletion convert | survey | detect | explain | verify | bench | sources`.

Exit codes: 0 done; 1 done with rejects (`verify`: with losses; `survey --fail-on-new`: with something new); 2 wrong
usage; 3 an input is missing, unreadable or of a kind that is not read; 4 an input breaks off; 5 an output cannot be
written; 6 more rejects than allowed; 70 a defect of this program, or a worker process that was killed; 130 and 143
stopped by SIGINT and SIGTERM.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from . import __version__
from .errors import NormalizeError, UnknownSourceError, excerpt

if TYPE_CHECKING:
    from .batch.units import Unit

DONE, REJECTS, USAGE, INPUT, INCOMPLETE, OUTPUT, BUDGET, DEFECT = 0, 1, 2, 3, 4, 5, 6, 70
TRACEBACK = "NORMCOMPLETION_TRACEBACK"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _open_standard_streams()
    messages: Any = _Messages(sys.stderr)
    with redirect_stderr(messages):
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    if sys.stdout is None and (options.run is not _convert or (options.output == "-" and not options.dry_run)):
        return _fail(OUTPUT, "standard output is closed; open it, or name a file with -o")
    try:
        code: int = options.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        return _reader_gone()
    except UnknownSourceError as error:
        return _fail(USAGE, error)
    except KeyboardInterrupt:
        return _fail(130, "interrupted")
    except Exception as error:  # whatever it is, the user gets one line and an exit code
        code = _code(error)
        if code == DEFECT and os.environ.get(TRACEBACK):
            raise
        return code
    return code


def _open_standard_streams() -> None:
    """Put the null device where a standard stream is closed, so that no file we open is taken for one."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if isinstance(sys.stdout, io.TextIOWrapper):  # what its encoding lacks is shown as an escape, as on standard error
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - until the end of the process


class _Messages:
    """Standard error: where it cannot be written, messages are lost and nothing else."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError:  # its reader has ended, its disk is full, its terminal was closed
            _silence(self._stream)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            _silence(self._stream)


def _silence(stream: Any) -> None:
    """Let what is still written to a stream go nowhere, also when the process ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _reader_gone() -> int:
    """Whoever read our output has ended (`| head`): nothing more is said there."""
    _silence(sys.stdout)
    return OUTPUT


def _code(error: Exception) -> int:
    """The exit code of an error, which is told on standard error."""
    import errno

    from . import batch

    match error:
        case batch.OutputError(errno=errno.EPIPE, filename="standard output"):
            return _reader_gone()
        case batch.OutputError():
            return _fail(OUTPUT, error)
        case batch.InputError():
            return _fail(INPUT, error)
        case batch.IncompleteInputError() | batch.IncompleteInput():
            return _fail(INCOMPLETE, error)
        case batch.BudgetError():
            return _fail(BUDGET, error)
        case batch.UsageError() | batch.OutputRefusedError() | batch.SurveyError() | ImportError():
            return _fail(USAGE, error)
        case batch.WorkerError():
            return _fail(DEFECT, error)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EFBIG | errno.EIO, filename=None):  # print() failed
            _silence(sys.stdout)
            return _fail(OUTPUT, batch.OutputError(error.errno, error.strerror, "standard output"))
        case MemoryError():
            return _fail(DEFECT, "there is not enough memory; use fewer --jobs or a smaller --max-record-bytes")
    what = f"{type(error).__name__}: {excerpt(error)}"
    return _fail(DEFECT, f"a defect of this program: {what}; please report it, with what {TRACEBACK}=1 shows")


def _fail(code: int, error: BaseException | str) -> int:
    for text in (str(error), *getattr(error, "__notes__", ())):
        print(f"normcompletion: {text}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="normcompletion",
        description="Completion responses of Atoma, log10, OpenRouter and the OpenAI dialect, as one canonical model.",
        epilog="Exit codes: 0 done, 1 done with rejects, 2 wrong usage, 3 input missing or unreadable, 4 input breaks "
        "off, 5 output cannot be written, 6 too many rejects, 70 a defect, 130 and 143 stopped by a signal.",
    )
    parser.add_argument("--version", action="version", version=f"normcompletion {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], about: str, **more: Any) -> _Group:
        added = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.", **more)
        added.set_defaults(run=run)
        return added

    added = command(
        "convert",
        _convert,
        "turn logs of responses into canonical JSON lines or Parquet",
        usage="normcompletion convert INPUT... [-o OUT] [options]",
        epilog=_EXAMPLES,
    )
    added.formatter_class = argparse.RawDescriptionHelpFormatter
    _add_inputs(added)
    _add_outputs(added)
    _add_envelopes(added)
    group = added.add_argument_group("reading the responses")
    _add_source(group)
    group.add_argument(
        "--carry",
        metavar="NAME=POINTER",
        action="append",
        default=[],
        type=_pair,
        help="a value that goes along with each record, in `carried`; may be repeated",
    )
    group.add_argument("--strict", action="store_true", help="refuse what would need a repair")
    group.add_argument("--completions-only", action="store_true", help="refuse failed, pending and encrypted calls too")
    _add_running(added)
    group = added.add_argument_group("stopping and going on")
    group.add_argument("--resume", action="store_true", help="go on where a run that was stopped left its checkpoint")
    group.add_argument(
        "--checkpoint-every",
        metavar="BYTES",
        type=_size,
        default=64 << 20,
        help="of input, after which all that is written is made durable (64M)",
    )
    group.add_argument("--max-errors", metavar="N", type=int, help="stop when more units than this are refused")
    group.add_argument(
        "--max-error-rate",
        metavar="X",
        type=float,
        help="stop when a larger share is refused: 0.01 is one in a hundred",
    )

    added = command(
        "survey",
        _survey,
        "say which variants, words, unknown keys and refusals logs hold",
        usage="normcompletion survey INPUT... [options]",
    )
    _add_inputs(added)
    _add_envelopes(added)
    group = added.add_argument_group("reading the responses")
    _add_source(group)
    _add_running(added)
    group = added.add_argument_group("comparing")
    group.add_argument("--json", action="store_true", help="write the survey as JSON, such as --known takes")
    group.add_argument("--known", metavar="FILE", help="an earlier survey, as JSON, to compare with")
    group.add_argument(
        "--fail-on-new",
        action="store_true",
        help="exit with 1 where something is not in --known; without it, where a key or a word is not "
        "known to this library",
    )

    for name, run, about in (
        ("detect", _detect, "say who wrote each response of a file, in which shape, and why"),
        ("explain", _explain, "say where every leaf of each response of a file goes"),
    ):
        added = command(name, run, about)
        added.add_argument("file", help="one response, or a log; - for standard input")
    added = command("verify", _verify, "prove, unit by unit, that converting a log loses nothing")
    added.add_argument("file", help="the log; - for standard input")
    _add_source(added)
    added = command("bench", _bench, "measure how fast logs of yours are read, as ratios to orjson.loads")
    _add_inputs(added)
    _add_source(added)
    added.add_argument("--rounds", metavar="N", type=int, default=9, help="how often each reader reads the log (9)")
    added.add_argument("--json", action="store_true", help="write the result as JSON")
    command("sources", _sources, "list the variants this installation reads")
    return parser


_Group = Any  # argparse has no public name for what both parsers and groups are
_EXAMPLES = """examples:
  normcompletion convert log.jsonl -o canonical.jsonl --rejects rejects.jsonl
  normcompletion convert 'logs/**/*.jsonl.gz' -o canonical.parquet -j 0
  zcat log.gz | normcompletion convert - | jq .usage.cost
"""


def _add_inputs(parser: _Group) -> None:
    group = parser.add_argument_group("inputs")
    group.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="*",
        help="a log, a folder of logs, a quoted pattern (*, **), or - for standard input: JSON lines, "
        "JSON values, a JSON array, a saved event stream, Parquet; plain, gzip or zstd",
    )
    group.add_argument("--files-from", metavar="FILE", help="a file that names more inputs, one a line; - for stdin")
    group.add_argument("--limit", metavar="N", type=int, help="read the first N units and no more")


def _add_outputs(parser: _Group) -> None:
    group = parser.add_argument_group("outputs")
    group.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        default="-",
        help="a file (.jsonl, .jsonl.gz, .jsonl.zst, .parquet), a folder for Parquet in parts (with a "
        "slash at its end), or - (the default) for standard output",
    )
    group.add_argument("--to", choices=("jsonl", "parquet"), help="what to write, where OUT does not say it")
    group.add_argument(
        "--layout",
        choices=("nested", "flat"),
        default="nested",
        help="the columns of Parquet: everything (the default), or the first choice, for SQL",
    )
    group.add_argument(
        "--columns",
        metavar="NAME,NAME",
        type=_names,
        help="only these columns of Parquet, in this order: id,model,total_tokens",
    )
    group.add_argument("--rows-per-part", metavar="N", type=int, help="Parquet as a folder of parts of N rows each")
    group.add_argument(
        "--rejects",
        metavar="FILE",
        help="write what is refused here, as JSON lines with line, byte "
        "offset, code, path and reason; only you may read it",
    )
    group.add_argument("--rejects-raw", action="store_true", help="put the refused bytes there as well")
    group.add_argument("--report", metavar="FILE", help="write the summary here, as JSON")
    group.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    group.add_argument("--dry-run", action="store_true", help="convert and count, and write nothing")


def _add_envelopes(parser: _Group) -> None:
    group = parser.add_argument_group("what stands around the responses")
    group.add_argument(
        "--envelope",
        metavar="NAME",
        default="auto",
        help="auto (the default), bare, log10, openai_batch, openai_pair, litellm or databricks",
    )
    group.add_argument(
        "--body",
        metavar="POINTER",
        help="the JSON Pointer of the response, for any other log; in a table it begins with the "
        "column: /response/body",
    )
    group.add_argument(
        "--body-encoding",
        metavar="HOW",
        default="auto",
        help="how it is written there: auto (the default), object, string, sse or base64",
    )


def _add_source(parser: _Group) -> None:
    parser.add_argument("--source", metavar="NAME", help="who wrote the responses; detected one by one otherwise")


def _add_running(parser: _Group) -> None:
    group = parser.add_argument_group("running")
    group.add_argument(
        "-j",
        "--jobs",
        metavar="N",
        type=int,
        default=1,
        help="convert in N processes, 0 for one for each processor; what is written is the same",
    )
    group.add_argument(
        "--progress",
        choices=("auto", "on", "off"),
        default="auto",
        help="a progress bar on standard error; auto (the default) draws it on a terminal",
    )
    group.add_argument(
        "--max-record-bytes", metavar="BYTES", type=_size, default=16 << 20, help="refuse longer units (16M)"
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, pointer = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{excerpt(text)!r} is not NAME=POINTER, such as id=/custom_id")
    return name, pointer


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for each in text.split(",") if (name := each.strip()))


def _size(text: str) -> int:
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    try:
        return int(text[:-1]) * units[text[-1].upper()] if text[-1:].upper() in units else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{excerpt(text)!r} is not a number of bytes, such as 1000000 or 64M"
        ) from None


def _convert(options: argparse.Namespace) -> int:
    from . import batch
    from .batch.progress import Terminal

    inputs = batch.expand(options.inputs, options.files_from)
    with (
        Terminal(inputs, options.progress, show_rejects=options.rejects is None) as terminal,
        batch.Signals() as signals,
    ):
        try:
            report = batch.convert(
                [source.path for source in inputs],
                options.output,
                to=options.to,
                layout=options.layout,
                columns=options.columns,
                rows_per_part=options.rows_per_part,
                envelope=options.envelope,
                body=options.body,
                body_encoding=options.body_encoding,
                carry=dict(options.carry),
                source=options.source,
                strict=options.strict,
                completions_only=options.completions_only,
                jobs=options.jobs,
                rejects=options.rejects,
                rejects_raw=options.rejects_raw,
                report=options.report,
                max_errors=options.max_errors,
                max_error_rate=options.max_error_rate,
                resume=options.resume,
                overwrite=options.overwrite,
                limit=options.limit,
                dry_run=options.dry_run,
                checkpoint_every=options.checkpoint_every,
                max_record_bytes=options.max_record_bytes,
                listener=terminal,
                signals=signals,
            )
        except batch.Interrupted as stop:
            return _fail(128 + stop.signal, stop)
    print(report, file=sys.stderr)
    return REJECTS if report.rejected else DONE


def _survey(options: argparse.Namespace) -> int:
    from . import batch
    from .batch.progress import Terminal

    known = None
    if options.known is not None:
        try:
            with open(options.known, "rb") as file:  # noqa: PTH123 - the path is shown as it was written
                known = batch.Survey.from_json(file.read())
        except OSError as error:
            return _fail(INPUT, f"{options.known}: {error.strerror}; give the file that survey --json wrote")
        except batch.SurveyError as error:
            return _fail(USAGE, f"{options.known}: {error}")
    inputs = batch.expand(options.inputs, options.files_from)
    with (
        Terminal(inputs, options.progress, show_rejects=False) as terminal,
        batch.Signals() as signals,
    ):
        try:
            found = batch.survey(
                [source.path for source in inputs],
                envelope=options.envelope,
                body=options.body,
                body_encoding=options.body_encoding,
                source=options.source,
                jobs=options.jobs,
                limit=options.limit,
                max_record_bytes=options.max_record_bytes,
                listener=terminal,
                signals=signals,
            )
        except batch.Interrupted as stop:
            return _fail(128 + stop.signal, stop)
    if options.json:
        _print_json(found.to_json())
    else:
        report = batch.Report.from_builtins(found.report)
        print("\n".join(text for text in (str(report).split("\n")[0], str(found)) if text))
    new = found.new_entries(known) if options.fail_on_new or known is not None else {}
    for section, names in new.items():
        for name in names:
            first = getattr(found, section)[name].first
            print(f"new: {section.replace('_', ' ')}: {name} (first: {first})", file=sys.stderr)
    return REJECTS if new and options.fail_on_new else DONE


def _units(path: str) -> Iterator[tuple[str, Unit]]:
    """The units of a file that are not blank, with their names."""
    from . import batch

    for source, unit in batch.iter_units(path):
        if unit.text is None or unit.text.strip():
            yield f"{source.name}:{unit.line}", unit


def _each(options: argparse.Namespace, show: Callable[[bytes], Iterator[str]]) -> int:
    code = DONE
    for name, unit in _units(options.file):
        try:
            if unit.text is None:
                from .api import too_long
                from .payload import MAX_RECORD_BYTES

                raise too_long(unit.length, MAX_RECORD_BYTES)
            shown = list(show(unit.text))
        except NormalizeError as error:
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
            code = REJECTS
            continue
        for line in shown:
            print(f"{name}: {line}" if line[:1] != " " else line)
    return code


def _detect(options: argparse.Namespace) -> int:
    from .api import detect

    def show(text: bytes) -> Iterator[str]:
        found = detect(text)
        if found.certain:
            why = "; ".join(found.evidence)
        else:
            why = f"no service's mark; may also be {', '.join(found.candidates)}"
        yield f"{found.source} {found.variant} ({found.spelling}): {why}"

    return _each(options, show)


def _explain(options: argparse.Namespace) -> int:
    from .api import explain

    def show(text: bytes) -> Iterator[str]:
        told = explain(text)
        yield f"{told.detection.source} {told.detection.variant} ({told.detection.spelling})"
        for placement in told.placements:
            yield f"  {placement.path}  →  {placement.place}  {excerpt(placement.value)!r}"
        for note in told.notes:
            yield f"  note {note.code} at {note.path or '/'}: was {excerpt(note.before)!r}"

    return _each(options, show)


def _verify(options: argparse.Namespace) -> int:
    from . import batch
    from .audit import lost
    from .payload import parse

    convert = batch.unit_converter(options.source)
    counts: Counter[str] = Counter()
    for source, unit in batch.iter_units(options.file):
        found = convert(unit)
        counts["blank"] += found.report.blank
        counts["rejected"] += found.report.rejected
        for _, reject in found.rejects[0]:
            print(f"{source.name}:{reject.line}: {reject.code}: {reject.reason}", file=sys.stderr)
        if not found.report.converted:
            continue
        counts["verified"] += 1
        for completion in found.completions:
            counts["records"] += 1
            counts["plain"] += not completion.extra and not completion.notes
            counts["without_note"] += not completion.notes
        if len(found.completions) == 1:
            assert unit.text is not None
            try:
                tree = parse(unit.text)
            except NormalizeError:  # a saved stream, whose leaves are joined
                counts["streams"] += 1
                continue
            for pointer in lost(tree, found.completions[0]):
                counts["leaves"] += 1
                print(f"{source.name}:{unit.line}: lost {excerpt(pointer)}", file=sys.stderr)
    records = counts["records"]
    streams = f" ({counts['streams']} of them saved streams, which are only counted)" if counts["streams"] else ""
    print(
        f"{counts['verified']} units verified{streams}, {counts['rejected']} rejected, {counts['blank']} blank; "
        f"{counts['leaves']} leaves lost"
    )
    print(
        f"{records} records: {_share(counts['plain'], records)} with neither extra nor note, "
        f"{_share(counts['without_note'], records)} without a note"
    )
    return REJECTS if counts["leaves"] or counts["rejected"] else DONE


def _bench(options: argparse.Namespace) -> int:
    from . import batch
    from .bench import measure

    if options.rounds < 1:
        return _fail(USAGE, f"--rounds {options.rounds}: measure at least one round")
    if options.limit is not None and options.limit < 1:
        return _fail(USAGE, f"--limit {options.limit}: measure at least one body")
    inputs = batch.expand(options.inputs, options.files_from)
    texts = (
        unit.text
        for _, unit in batch.iter_units([source.path for source in inputs])
        if unit.text is not None and unit.text.strip()
    )
    try:
        found = measure(islice(texts, options.limit), source=options.source, rounds=options.rounds)
    except ValueError as error:
        if isinstance(error, NormalizeError | batch.InputError):
            raise
        return _fail(INPUT, error)
    if options.json:
        import msgspec

        _print_json(msgspec.json.encode(found) + b"\n")
    else:
        print(found)
    return DONE


def _print_json(text: bytes) -> None:
    """Write JSON to standard output: it is UTF-8, whatever the encoding of that."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.flush()
        sys.stdout.buffer.write(text)
    else:
        sys.stdout.write(text.decode())


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"


def _sources(_: argparse.Namespace) -> int:
    from .api import default_engine

    rows = [
        (variant.source, variant.name, " ".join(variant.spellings), variant.about)
        for variant in default_engine().registry.variants
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + f"  {row[3]}")
    return DONE
