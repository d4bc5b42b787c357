"""What `verify`, `detect` and `explain` say of the units of a log, in as many processes as `convert` uses."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from .. import audit
from ..api import detect
from ..errors import NormalizeError, excerpt
from ..model import Completion
from ..payload import parse
from .blocks import Block, Unit
from .conversion import Conversion, Found, units
from .engine import Listener, Reader
from .folders import Inputs
from .inputs import IncompleteInput
from .options import Options
from .report import Outcome, Report
from .signals import Signals


@dataclass(slots=True)
class Line:
    """What is said of a unit: where it starts, text for people, the same as JSON values, and whether it is wrong."""

    place: str
    text: str
    row: dict[str, Any]
    is_wrong: bool = False


@dataclass(slots=True)
class Examined(Outcome):
    """What was said of the units of a task, and counts of them."""

    lines: list[Line] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


class Examiner:
    """Turns tasks into what is said of their units; a subclass says it."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._conversion = Conversion(options)
        self.counts: Counter[str] = Counter()  # of the task at hand

    def __call__(self, blocks: Iterable[Block], limit: int | None = None) -> Examined:
        """What is said of the units of some blocks, or of their first `limit` units."""
        examined = Examined()
        self.counts = examined.counts
        for block in blocks:
            try:
                for unit in units(block, self._options.max_record_bytes):
                    if limit is not None and examined.report.units >= limit:
                        return examined
                    found = self._conversion([block._replace(data=[unit])])
                    examined.report.add(found.report)
                    for _, reject in found.rejects:
                        row = {"file": reject.source, "line": reject.line, "code": reject.code, "reason": reject.reason}
                        text = f"{reject.code}: {reject.reason}"
                        examined.lines.append(Line(f"{reject.source}:{reject.line}", text, row, is_wrong=True))
                    if found.report.converted:
                        examined.lines += self.look(unit, found, f"{block.name}:{unit.line}")
            except IncompleteInput as broken:
                examined.broken.append((block.input, broken))
        return examined

    def look(self, unit: Unit, found: Found, place: str) -> Iterator[Line]:
        """What is said of a unit that was converted."""
        raise NotImplementedError


class Verifier(Examiner):
    """Says which leaves of a unit are nowhere in its records."""

    def look(self, unit: Unit, found: Found, place: str) -> Iterator[Line]:
        """The lost leaves of a unit."""
        self.counts["units"] += 1
        for completion in found.completions:
            self.counts["records"] += 1
            self.counts["plain"] += not completion.extra and not completion.notes
            self.counts["without_note"] += not completion.notes
        assert unit.text is not None
        try:
            tree = parse(unit.text.removeprefix(b"\x1e"))
        except NormalizeError:
            self.counts["streams"] += 1
            lost = audit.lost_in_text(unit.text, *found.completions)
        else:
            lost = audit.lost(tree, *found.completions, beside=found.passed) if found.completions else []
        for pointer in lost if found.completions else ():
            self.counts["lost"] += 1
            yield Line(place, f"lost {excerpt(pointer)}", {"place": place, "lost": pointer}, is_wrong=True)


class Detector(Examiner):
    """Says who wrote each record, in which shape, and why."""

    def look(self, unit: Unit, found: Found, place: str) -> Iterator[Line]:
        """What each record of a unit is."""
        for completion in found.completions:
            what, row = _detected(unit, completion)
            yield Line(place, what, {"place": place, **row})


def _detected(unit: Unit, completion: Completion) -> tuple[str, dict[str, Any]]:
    """Who wrote a record and why: by the markers of a bare body, by what is around it otherwise."""
    row: dict[str, Any] = {
        "source": completion.source,
        "variant": completion.variant,
        "basis": completion.source_basis,
        "envelope": None if completion.envelope is None else completion.envelope.kind,
    }
    try:
        detected = detect(unit.text)
    except NormalizeError:
        detected = None
    if detected is None or detected.source != completion.source:
        around = f" in the envelope {row['envelope']}" if row["envelope"] else ""
        return f"{completion.source} {completion.variant}{around}: by {completion.source_basis}", row
    row |= {"spelling": detected.spelling, "certain": detected.certain, "evidence": list(detected.evidence)}
    others = f"no service's marker; may also be {', '.join(detected.candidates)}"
    why = "; ".join(detected.evidence) if detected.certain else others
    return f"{detected.source} {detected.variant} ({detected.spelling}): {why}", row


class Explainer(Examiner):
    """Says where every leaf of a unit went, record by record."""

    def look(self, unit: Unit, found: Found, place: str) -> Iterator[Line]:
        """The placements of a unit's leaves; of several records each has those that are its own."""
        assert unit.text is not None
        for completion in found.completions:
            what, row = _detected(unit, completion)
            try:
                placements = audit.placements(parse(unit.text.removeprefix(b"\x1e")), completion)
            except NormalizeError:
                text = f"{what}\n  a saved event stream, whose leaves are joined"
                yield Line(place, text, {"place": place, **row})
                continue
            own = [each for each in placements if len(found.completions) == 1 or each.place != audit.LOST]
            lines = [f"  {each.path}  →  {each.place}  {_shown(each.value)}" for each in own]
            lines += [
                f"  note {note.code} at {note.path or '/'}: was {_shown(note.before)}" for note in completion.notes
            ]
            row |= {
                "placements": [{"path": each.path, "place": each.place} for each in own],
                "notes": [{"code": note.code, "path": note.path} for note in completion.notes],
            }
            yield Line(place, "\n".join([what, *lines]), {"place": place, **row})


def _shown(value: Any) -> str:
    """At most 64 characters of a JSON value: a text in quotes, anything else as JSON."""
    return repr(excerpt(value)) if isinstance(value, str) else excerpt(json.dumps(value, default=str))


def examine_inputs(
    inputs: Inputs, kind: type[Examiner], options: Options, listener: Listener, signals: Signals
) -> Iterator[Examined]:
    """What is said of the units of some inputs, task by task, in order.

    Raises `Interrupted`, `InputError`, `IncompleteInput` and `WorkerError`, as `survey` does.
    """
    report = Report()
    reader = Reader(inputs, options, listener)
    with closing(reader.results(kind, signals)) as every:
        for task, examined in every:
            report.add(examined.report)
            yield examined
            listener.progress(task.consumed, report)
    reader.check_whole()
