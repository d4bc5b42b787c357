"""`normcompletion survey`."""

from __future__ import annotations

import argparse
import io
import os
import sys

from .console import DONE, INPUT, REJECTS, USAGE, fail, print_json
from .options import Commands, add_default_source, add_envelopes, add_inputs, add_running, add_source, given


def add(command: Commands) -> None:
    """Add the command."""
    added = command(
        "survey",
        run,
        "say which variants, words, unknown keys and refusals logs hold",
        usage="normcompletion survey INPUT... [options]",
    )
    add_inputs(added)
    add_envelopes(added)
    group = added.add_argument_group("reading the responses")
    add_source(group)
    add_default_source(group)
    add_running(added)
    group = added.add_argument_group("writing")
    group.add_argument("--json", action="store_true", help="write the survey as JSON, such as --known takes")
    group.add_argument("--html", metavar="FILE", help="write the survey as an HTML page to this file")
    group = added.add_argument_group("comparing")
    group.add_argument("--known", metavar="FILE", help="an earlier survey, as JSON, to compare with")
    group.add_argument(
        "--fail-on-new",
        action="store_true",
        help="exit with 1 where the logs hold something that --known does not; without --known, a key or a word that "
        "this library does not know",
    )


def run(options: argparse.Namespace) -> int:
    """Survey logs."""
    from .. import batch
    from .progress import Terminal

    known = None
    if options.known is not None:
        try:
            with open(options.known, "rb") as file:  # noqa: PTH123 - the path is shown as it was written
                known = batch.Survey.from_json(file.read())
        except OSError as error:
            return fail(INPUT, f"{options.known}: {error.strerror}; give the file that survey --json wrote")
        except batch.SurveyError as error:
            return fail(USAGE, f"{options.known}: {error}")
    inputs = batch.expand(options.inputs, options.files_from, strict=options.strict_inputs)
    with (
        Terminal(inputs, options.progress) as terminal,
        batch.Signals() as signals,
    ):
        try:
            found = batch.survey(inputs, listener=terminal, signals=signals, **given(options, batch.Running))
        except batch.Interrupted as stop:
            return fail(128 + stop.signal, stop)
    if options.html is not None:
        _write_page(options.html, found.to_html())
    if options.json:
        print_json(found.to_json())
    else:
        report = batch.Report.from_builtins(found.report)
        print("\n".join(text for text in (str(report).split("\n")[0], str(found)) if text))
    new = found.new_entries(known) if options.fail_on_new or known is not None else {}
    for section, names in new.items():
        for name in names:
            first = getattr(found, section)[name].first
            print(f"new: {section.replace('_', ' ')}: {name} (first: {first})", file=sys.stderr)
    return REJECTS if new and options.fail_on_new else DONE


def _write_page(path: str, text: str) -> None:
    """Write a page; raises `UsageError` where something else would be replaced, `OutputError` where it cannot be."""
    from ..batch import UsageError, durable

    start = b"<!doctype html>"

    def write() -> None:
        with open(path, "rb") if os.path.exists(path) else io.BytesIO(start) as there:  # noqa: PTH110, PTH123
            is_page = there.read(len(start)) == start
        if not is_page:
            raise UsageError(f"{path} exists and is not the page of a survey; name another file")
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123
            file.write(text)

    durable.perform("write", path, write)
