"""The command line: `normcompletion convert | detect | explain | verify | sources`.

Exit codes: 0 done, 1 done with rejects (or, for `verify`, with losses), 2 wrong usage, 3 input cannot be read,
5 output cannot be written.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from . import __version__
from .accounting import lost
from .batch import Report, convert, lines, open_input, open_output, records, reject_line
from .errors import NormalizeError, UnknownSourceError, excerpt
from .normalize import default_reader, detect, explain
from .parse import MAX_RECORD_BYTES, parse

DONE, REJECTS, USAGE, INPUT, OUTPUT = 0, 1, 2, 3, 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except UnknownSourceError as error:
        return _fail(USAGE, str(error))
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); nothing more can be said there.
        sys.stdout = None
        return OUTPUT
    except OSError as error:
        wrote = isinstance(error, _OutputError)
        return _fail(OUTPUT if wrote else INPUT, f"{error.filename or options.file}: {error.strerror or error}")
    return code


class _OutputError(OSError):
    """An error of the operating system while writing."""


def _fail(code: int, message: str) -> int:
    print(f"normcompletion: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="normcompletion",
        description="Completion responses of Atoma, log10, OpenRouter and the OpenAI dialect, as one canonical model.",
    )
    parser.add_argument("--version", action="version", version=f"normcompletion {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about)
        added.set_defaults(run=run)
        return added

    added = command("convert", _convert, "turn a log of responses, one JSON text a line, into canonical JSON lines")
    added.add_argument("file", help="the log; - for standard input")
    added.add_argument("-o", "--output", default="-", help="where to write; - (the default) for standard output")
    added.add_argument("--source", help="who wrote the responses; detected line by line otherwise")
    added.add_argument("--strict", action="store_true", help="refuse lines that need a repair")
    added.add_argument("--rejects", help="write refused lines here, as JSON lines with line, offset, code and reason")
    added = command("detect", _detect, "say who wrote each response of a file, in which shape, and why")
    added.add_argument("file", help="one JSON text, or one a line; - for standard input")
    added = command("explain", _explain, "say where every leaf of each response of a file goes")
    added.add_argument("file", help="one JSON text, or one a line; - for standard input")
    added = command("verify", _verify, "prove, line by line, that converting a log loses nothing")
    added.add_argument("file", help="the log; - for standard input")
    added.add_argument("--source", help="who wrote the responses; detected line by line otherwise")
    added = command("sources", _sources, "list the variants this installation reads")
    added.set_defaults(file="-")
    return parser


def _convert(options: argparse.Namespace) -> int:
    default_reader().registry.check(options.source, None)
    report = Report()
    with ExitStack() as stack:
        stream = stack.enter_context(open_input(options.file))
        try:
            output = stack.enter_context(open_output(options.output))
            rejects = stack.enter_context(open_output(options.rejects, 0o600)) if options.rejects else None
        except OSError as error:
            raise _OutputError(error.errno, error.strerror, error.filename) from None
        for reject in convert(
            stream, output, name=options.file, report=report, source=options.source, strict=options.strict
        ):
            if rejects is None:
                print(f"{reject.source}:{reject.line}: {reject.code}: {reject.reason}", file=sys.stderr)
            else:
                rejects.write(reject_line(reject))
    print(
        f"{report.units} lines: {report.converted} converted, {report.rejected} rejected, {report.blank} blank; "
        f"{report.records} records, {report.errors} of them failed calls",
        file=sys.stderr,
    )
    return REJECTS if report.rejected else DONE


def _payloads(path: str) -> Iterator[tuple[str, bytes]]:
    """The JSON texts of a file with their names: the whole file where it is one text, else its lines."""
    with open_input(path) as stream:
        head = stream.read(MAX_RECORD_BYTES)
        if len(head) < MAX_RECORD_BYTES:
            try:
                parse(head)
            except NormalizeError:
                pass
            else:
                yield path, head
                return
        for number, text in enumerate(head.split(b"\n") + stream.read().split(b"\n"), 1):
            if text.strip():
                yield f"{path}:{number}", text


def _each(options: argparse.Namespace, show: Callable[[bytes], Iterator[str]]) -> int:
    code = DONE
    for name, text in _payloads(options.file):
        try:
            shown = list(show(text))
        except NormalizeError as error:
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
            code = REJECTS
            continue
        for line in shown:
            print(f"{name}: {line}" if line[:1] != " " else line)
    return code


def _detect(options: argparse.Namespace) -> int:
    def show(text: bytes) -> Iterator[str]:
        found = detect(text)
        if found.certain:
            why = "; ".join(found.evidence)
        else:
            why = f"no service's mark; may also be {', '.join(found.candidates)}"
        yield f"{found.source} {found.variant} ({found.spelling}): {why}"

    return _each(options, show)


def _explain(options: argparse.Namespace) -> int:
    def show(text: bytes) -> Iterator[str]:
        told = explain(text)
        yield f"{told.detection.source} {told.detection.variant} ({told.detection.spelling})"
        for placement in told.placements:
            yield f"  {placement.path}  →  {placement.place}  {excerpt(placement.value)!r}"
        for note in told.notes:
            yield f"  note {note.code} at {note.path or '/'}: was {excerpt(note.before)!r}"

    return _each(options, show)


def _verify(options: argparse.Namespace) -> int:
    default_reader().registry.check(options.source, None)
    counts: Counter[str] = Counter()
    with open_input(options.file) as stream:
        for line in lines(stream):
            if line.text is None or not line.text.strip():
                counts["rejected" if line.text is None else "blank"] += 1
                continue
            items = list(records(line, source=options.source))
            refusals = [item for item in items if isinstance(item, NormalizeError)]
            for refusal in refusals:
                print(f"{options.file}:{line.number}: {refusal.code}: {refusal}", file=sys.stderr)
            if refusals:
                counts["rejected"] += 1
                continue
            counts["verified"] += 1
            _verify_line(options.file, line.number, parse(line.text), items, counts)
    records_ = counts["records"]
    print(
        f"{counts['verified']} lines verified, {counts['rejected']} rejected, {counts['blank']} blank; "
        f"{counts['leaves']} leaves lost"
    )
    print(
        f"{records_} records: {_share(counts['plain'], records_)} with neither extra nor note, "
        f"{_share(counts['without_note'], records_)} without a note"
    )
    return REJECTS if counts["leaves"] or counts["rejected"] else DONE


def _verify_line(name: str, number: int, tree: Any, items: list[Any], counts: Counter[str]) -> None:
    for item in items:
        counts["records"] += 1
        counts["plain"] += not item.extra and not item.notes
        counts["without_note"] += not item.notes
    if len(items) == 1:
        for pointer in lost(tree, items[0]):
            counts["leaves"] += 1
            print(f"{name}:{number}: lost {excerpt(pointer)}", file=sys.stderr)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"


def _sources(_: argparse.Namespace) -> int:
    rows = [
        (variant.source, variant.name, " ".join(variant.spellings), variant.about)
        for variant in default_reader().registry.variants
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + f"  {row[3]}")
    return DONE
