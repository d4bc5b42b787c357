"""`normcompletion detect`, `explain` and `verify`: what is in each unit of a log, and where it went."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import TYPE_CHECKING

from .console import DONE, REJECTS, fail, print_json
from .options import Commands, add_envelopes, add_inputs, add_running, add_source, given

if TYPE_CHECKING:
    from ..batch.examination import Line

_ABOUT = {
    "detect": "say who wrote each response of a log, in which shape, and why",
    "explain": "say where every leaf of each response of a log goes",
    "verify": "prove, unit by unit, that converting a log loses nothing",
}


def add(command: Commands) -> None:
    """Add the commands."""
    for name, about in _ABOUT.items():
        added = command(name, run, about, usage=f"normcompletion {name} INPUT... [options]")
        added.set_defaults(command=name)
        add_inputs(added)
        add_envelopes(added)
        group = added.add_argument_group("reading the responses")
        add_source(group)
        add_running(added)
        added.add_argument(
            "--json", action="store_true", help="write JSON: a line for each response (verify: one line in all)"
        )


def run(options: argparse.Namespace) -> int:
    """Look at each unit."""
    import msgspec

    from .. import batch
    from ..batch import examination
    from .progress import Terminal

    kind = {"detect": examination.Detector, "explain": examination.Explainer, "verify": examination.Verifier}[
        options.command
    ]
    inputs = batch.expand(options.inputs, options.files_from, strict=options.strict_inputs)
    counts: Counter[str] = Counter()
    with Terminal(inputs, options.progress) as terminal, batch.Signals() as signals:
        try:
            chosen = given(options, batch.Running)
            for examined in batch.examine(inputs, kind, listener=terminal, signals=signals, **chosen):
                counts += examined.counts
                counts["rejected"] += examined.report.rejected
                counts["blank"] += examined.report.blank
                for line in examined.lines:
                    if line.is_wrong:
                        print(f"{line.place}: {line.text}", file=sys.stderr)
                    elif options.json:
                        print_json(msgspec.json.encode(line.row) + b"\n")
                    else:
                        _print(line)
        except batch.Interrupted as stop:
            return fail(128 + stop.signal, stop)
    if options.command == "verify":
        if options.json:
            names = ("units", "streams", "rejected", "blank", "lost", "records", "plain", "without_note")
            print_json(msgspec.json.encode({name: counts[name] for name in names}) + b"\n")
        else:
            _print_verified(counts)
    return REJECTS if counts["lost"] or counts["rejected"] else DONE


def _print(line: Line) -> None:
    first, *others = line.text.split("\n")
    print("\n".join([f"{line.place}: {first}", *others]))


def _print_verified(counts: Counter[str]) -> None:
    records = counts["records"]
    from ..batch.report import counted

    streams = f" ({counted(counts['streams'], 'saved stream')} among them)" if counts["streams"] else ""
    print(
        f"{counted(counts['units'], 'unit')} verified{streams}, {counts['rejected']} rejected, "
        f"{counts['blank']} blank; {counts['lost']} leaves lost"
    )
    print(
        f"{counted(records, 'record')}: {_share(counts['plain'], records)} with neither extra nor note, "
        f"{_share(counts['without_note'], records)} without a note"
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"
