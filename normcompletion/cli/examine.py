"""`normcompletion detect`, `explain` and `verify`: what is in each unit of a log, and where it went."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..errors import NormalizeError, excerpt
from .console import DONE, REJECTS
from .options import Commands, add_source

if TYPE_CHECKING:
    from ..batch.units import Unit


def add(command: Commands) -> None:
    """Add the commands."""
    for name, run, about in (
        ("detect", _detect, "say who wrote each response of a file, in which shape, and why"),
        ("explain", _explain, "say where every leaf of each response of a file goes"),
    ):
        added = command(name, run, about)
        added.add_argument("file", help="one response, or a log; - for standard input")
    added = command("verify", _verify, "prove, unit by unit, that converting a log loses nothing")
    added.add_argument("file", help="the log; - for standard input")
    add_source(added)


def _units(path: str) -> Iterator[tuple[str, Unit]]:
    """The units of a file that are not blank, with their names."""
    from .. import batch

    for source, unit in batch.iter_units(path):
        if unit.text is None or unit.text.strip():
            yield f"{source.name}:{unit.line}", unit


def _each(options: argparse.Namespace, show: Callable[[bytes], Iterator[str]]) -> int:
    code = DONE
    for name, unit in _units(options.file):
        try:
            if unit.text is None:
                from ..api import too_long
                from ..payload import MAX_RECORD_BYTES

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
    from ..api import detect

    def show(text: bytes) -> Iterator[str]:
        found = detect(text)
        if found.certain:
            why = "; ".join(found.evidence)
        else:
            why = f"no service's mark; may also be {', '.join(found.candidates)}"
        yield f"{found.source} {found.variant} ({found.spelling}): {why}"

    return _each(options, show)


def _explain(options: argparse.Namespace) -> int:
    from ..api import explain

    def show(text: bytes) -> Iterator[str]:
        told = explain(text)
        yield f"{told.detection.source} {told.detection.variant} ({told.detection.spelling})"
        for placement in told.placements:
            yield f"  {placement.path}  →  {placement.place}  {excerpt(placement.value)!r}"
        for note in told.notes:
            yield f"  note {note.code} at {note.path or '/'}: was {excerpt(note.before)!r}"

    return _each(options, show)


def _verify(options: argparse.Namespace) -> int:
    from .. import batch
    from ..audit import lost
    from ..payload import parse

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


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"
