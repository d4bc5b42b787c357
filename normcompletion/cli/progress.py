"""A progress bar on a terminal: compressed bytes of input, records a second, rejects, time left."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self

from ..batch.engine import Listener
from ..batch.inputs import STDIN, Input
from ..batch.report import Reject, Report

Progress = Literal["auto", "on", "off"]
SHOWN_REASONS = 20
_MAX_REASONS = 10_000  # that are counted separately
SHAPE: dict[str, Any] = {
    "unit": "B",
    "unit_scale": True,
    "unit_divisor": 1024,
    "bar_format": "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {remaining}{postfix}",
}
"""How the bar looks; on a line of 80 characters it has a fifth of them."""


class Terminal(Listener):
    """Says on standard error what a run has to say; a context manager.

    The bar is drawn where standard error is a terminal and tqdm is installed, or always with `progress="on"`. At the
    end it says why units were refused, and how many for each reason: the commonest `SHOWN_REASONS`.
    """

    def __init__(self, inputs: Iterable[Input], progress: Progress) -> None:
        self._bar = _bar(inputs) if progress == "on" or (progress == "auto" and sys.stderr.isatty()) else None
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], Reject] = {}
        self._first_record: int | None = None

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away, and say why units were refused."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        for key, count in self._reasons.most_common(SHOWN_REASONS):
            first = self._first[key]
            times = f" ({count:,} times)" if count > 1 else ""
            self._say(f"{first}{times}")
        hidden = len(self._reasons) - SHOWN_REASONS
        if hidden > 0:
            self._say(f"… and {hidden:,} more reasons; --rejects FILE keeps every refusal")

    def notice(self, text: str) -> None:
        """Say a sentence."""
        self._say(f"normcompletion: {text}")

    def reject(self, reject: Reject) -> None:
        """Count why, by file."""
        key = reject.source, reject.kind
        if key in self._first or len(self._first) < _MAX_REASONS:
            self._first.setdefault(key, reject)
            self._reasons[key] += 1

    def progress(self, consumed: int, report: Report) -> None:
        """Move the bar."""
        if self._bar is None:
            return
        if self._first_record is None:
            self._first_record = report.records
        seconds = self._bar.format_dict["elapsed"]
        rate = (report.records - self._first_record) / seconds if seconds else 0
        self._bar.set_postfix_str(counts(report.records, rate, report.rejected), refresh=False)
        self._bar.update(consumed - self._bar.n)

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.clear()
        sys.stderr.write(f"{text}\n")
        if self._bar is not None:
            self._bar.refresh()


def counts(records: int, rate: float, rejected: int) -> str:
    """What is beside the bar: records, records a second, rejected units."""
    return f"{_short(records)} rec, {_short(rate)}/s, {_short(rejected)} rej"


def _short(number: float) -> str:
    """A number in at most five characters, as it fits beside the bar on a line of 80."""
    for unit in ("", "k", "M"):
        if number < 999.5:
            return f"{number:.0f}{unit}" if not unit or number >= 99.95 else f"{number:.1f}{unit}"
        number /= 1000
    return f"{number:.0f}G"


def _bar(inputs: Iterable[Input]) -> Any:
    """A bar as long as all inputs together, without an end where one of them is not a file; `None` without tqdm."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    total: int | None = 0
    for source in inputs:
        path = Path(source.path)
        if total is None or source.path == STDIN or not path.is_file():
            total = None
        else:
            with suppress(OSError):
                total += path.stat().st_size
    shape = SHAPE if total is not None else {**SHAPE, "bar_format": None}
    return tqdm(total=total, **shape, file=sys.stderr, leave=False)
