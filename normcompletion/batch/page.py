"""A report as one HTML page: no script, no network, light and dark, tables that a screen reader reads.

The numbers are those of the JSON report: each is in a `<data value="…">`. Bars and lines are inline SVG that only
repeats what the table beside it says, so that it is hidden from screen readers.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from html import escape
from importlib.resources import files
from typing import Any

from ..errors import CODES
from ..findings import NOTES
from .breakdown import DIMENSIONS, NONE, SECONDS, Breakdown, Latency, Sums, plain
from .report import Report, dollars

_SHOWN = 30  # rows of a table; the JSON report has all
_MAX_DAYS = 400
_CHART_HEIGHT = 100
_TITLES = {
    "source": "By source",
    "model": "By model",
    "day": "By day",
    "finish_reason": "By finish reason",
}
_TOTALS = {"failed": "failed calls", "pending": "pending calls", "cost": "cost, US dollars"}
_REMEDIES = {
    "truncated": "look at the raw units: normcompletion convert LOG --rejects rejects.jsonl --rejects-raw",
    "utf16": "iconv -f UTF-16 -t UTF-8 LOG | normcompletion convert -",
    "too_long": "normcompletion convert LOG --max-record-bytes 64M",
    "ambiguous": "normcompletion convert LOG --source NAME",
    "unknown_shape": "normcompletion convert LOG --body /POINTER/OF/THE/RESPONSE",
    "missing_response": "nothing to convert: the log has no response there",
}
_DEFAULT_REMEDY = "see each with: normcompletion convert LOG --rejects rejects.jsonl"


def page(title: str, report: Report, sections: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """The page of a report; `sections` are the entries of a survey, for unseen keys and words."""
    breakdown = report.breakdown or Breakdown()
    parts = [_totals(report)]
    parts += [_dimension(name, breakdown.groups[name]) for name in DIMENSIONS if breakdown.groups[name]]
    parts += [_latency(breakdown.latency), _unseen(sections), _refusals(report, sections), _notes(report)]
    style = files(__package__).joinpath("page.css").read_text("utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the numbers</a>\n'
        f'<header><h1>{escape(title)}</h1></header>\n<main id="main">\n'
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _totals(report: Report) -> str:
    tiles = "\n".join(
        f"<div><dt>{_TOTALS.get(name, name.replace('_', ' '))}</dt><dd>{_data(getattr(report, name))}</dd></div>"
        for name in (
            *("units", "converted", "rejected", "blank", "records", "answers", "failed", "pending", "encrypted"),
            *("prompt_tokens", "completion_tokens", "total_tokens", "cost"),
        )
    )
    return f'<section aria-label="Totals"><dl class="totals" id="totals">\n{tiles}\n</dl></section>'


def _dimension(dimension: str, groups: Mapping[str, Sums]) -> str:
    if dimension == "day":
        ranked = sorted(groups.items())
        table = _group_table(dimension, ranked, len(ranked))
        inner = f"{_days(groups)}<details><summary>All days as a table</summary>{table}</details>"
    else:
        ranked = sorted(groups.items(), key=lambda item: (-item[1].records, item[0]))
        inner = _group_table(dimension, ranked, _SHOWN)
    return _section(dimension, _TITLES[dimension], inner)


def _group_table(dimension: str, ranked: Sequence[tuple[str, Sums]], shown: int) -> str:
    most = max(sums.records for _, sums in ranked)
    rows = [(name, sums) for name, sums in ranked[:shown]]
    if len(ranked) > shown:
        rest = Sums()
        for _, sums in ranked[shown:]:
            rest.add(sums)
        rows.append((f"({len(ranked) - shown} more)", rest))
    body = [
        (
            escape(name) + _bar(sums.records, sums.failed, max(most, sums.records)),
            *(sums.records, sums.failed, sums.prompt_tokens, sums.completion_tokens, sums.cost),
        )
        for name, sums in rows
    ]
    heads = (dimension.replace("_", " "), "records", "failed", "prompt tokens", "completion tokens", "cost, USD")
    return _table(f"group-{dimension}", heads, body, numbers=5)


def _bar(part: int, bad: int, whole: int) -> str:
    width, red = 100 * part / (whole or 1), 100 * bad / (whole or 1)
    return (
        '<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="fill" width="{width:.2f}" height="1"/><rect class="bad" width="{red:.2f}" height="1"/></svg>'
    )


def _days(groups: Mapping[str, Sums]) -> str:
    """Records as columns and tokens as a line, day by day; days without records are there as gaps."""
    known = sorted(name for name in groups if name != NONE)
    if not known:
        return ""
    days = _every_day(known)
    sums = [groups.get(day, Sums()) for day in days]
    most = max(each.records for each in sums) or 1
    most_tokens = max(each.total_tokens for each in sums) or 1
    columns, points = [], []
    for at, each in enumerate(sums):
        for name, count in (("fill", each.records), ("bad", each.failed)):
            height = _CHART_HEIGHT * count / most
            top = _CHART_HEIGHT - height
            columns.append(f'<rect class="{name}" x="{at + 0.1}" y="{top:.2f}" width=".8" height="{height:.2f}"/>')
        points.append(f"{at + 0.5},{_CHART_HEIGHT - 0.95 * _CHART_HEIGHT * each.total_tokens / most_tokens:.2f}")
    gaps = " Days without records are left out." if len(days) == len(known) > 2 else ""
    line = f'<polyline class="tokens" points="{" ".join(points)}"/>' if len(days) > 1 else ""
    return (
        f'<svg class="days" viewBox="0 0 {len(days)} {_CHART_HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
        f"{''.join(columns)}{line}</svg>"
        f'<div class="ends" aria-hidden="true"><span>{days[0]}</span><span>{days[-1]}</span></div>'
        f'<p class="faint">Columns: records, at most {most:,} a day, failed ones in red. '
        f"Line: tokens, at most {most_tokens:,} a day.{gaps}</p>"
    )


def _every_day(known: Sequence[str]) -> list[str]:
    try:
        first, last = date.fromisoformat(known[0]), date.fromisoformat(known[-1])
    except ValueError:  # a text of an envelope that only looks like a date
        return list(known)
    count = (last - first).days + 1
    return [(first + timedelta(at)).isoformat() for at in range(count)] if count <= _MAX_DAYS else list(known)


def _latency(latency: Mapping[str, Latency]) -> str:
    if not latency:
        return ""
    body = []
    for source, each in sorted(latency.items()):
        most = max(each.classes)
        bars = "".join(
            f'<rect class="fill" x="{at + 0.1}" y="{1 - count / most:.3f}" width=".8" height="{count / most:.3f}"/>'
            for at, count in enumerate(each.classes)
        )
        chart = (
            f'<svg class="bar" style="height: 2.5rem" viewBox="0 0 {len(each.classes)} 1" preserveAspectRatio="none" '
            f'aria-hidden="true">{bars}</svg>'
        )
        bounds = [_bound(each.within(share)) for share in (0.5, 0.95, 0.99)]
        body.append((escape(source) + chart, each.calls, f"{each.seconds / each.calls:.3g} s", *bounds))
    heads = ("source", "calls", "mean", "half within", "95 % within", "99 % within")
    classes = ", ".join(map(str, SECONDS))
    about = f'<p class="faint">Durations that envelopes have. Columns: calls within {classes} and more seconds.</p>'
    return _section("latency", "Latency", about + _table("latency-table", heads, body, numbers=5))


def _bound(seconds: float | None) -> str:
    return f"more than {SECONDS[-1]} s" if seconds is None else f"{seconds:g} s"


def _unseen(sections: Mapping[str, Mapping[str, Any]] | None) -> str:
    if sections is None:
        shown = "<p>They are listed by <code>normcompletion survey LOG --html report.html</code>.</p>"
        return _section("unseen", "Keys and words that are not known", shown)
    parts = []
    for name, about in (
        ("unknown_words", "Finish words and roles that are in no table; they were kept."),
        ("extra_keys", "Keys that the canonical model has no field for; their values are in <code>extra</code>."),
    ):
        if entries := sections.get(name):
            parts.append(f"<p>{about}</p>" + _entries(name, entries))
    return _section("unseen", "Keys and words that are not known", "".join(parts) or "<p>None.</p>")


def _refusals(report: Report, sections: Mapping[str, Mapping[str, Any]] | None) -> str:
    if not report.rejects:
        return _section("refusals", "Refusals", "<p>None.</p>")
    first = {} if sections is None else sections.get("rejects", {})
    body = [
        (
            *(_code(code), count, escape(CODES.get(code, NOTES[code][1] if code in NOTES else ""))),
            *(_code(_REMEDIES.get(code, _DEFAULT_REMEDY)), escape(first[code].first) if code in first else ""),
        )
        for code, count in _ranked(report.rejects)
    ]
    table = _table("reject-codes", ("code", "units", "what it means", "what helps", "first"), body, numbers=1)
    reasons = {} if sections is None else sections.get("reasons", {})
    return _section("refusals", "Refusals", table + (_entries("reasons", reasons) if reasons else ""))


def _ranked(counter: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _notes(report: Report) -> str:
    body = [(_code(code), count, *map(escape, NOTES[code])) for code, count in _ranked(report.notes)]
    table = _table("note-codes", ("code", "notes", "kind", "what was done"), body, numbers=1)
    return _section("notes", "Notes: what was repaired", table if body else "<p>None.</p>")


def _entries(name: str, entries: Mapping[str, Any]) -> str:
    """Entries of a survey: how often, and where first."""
    ranked = sorted(entries.items(), key=lambda item: (-item[1].count, item[0]))
    body = [(_code(text), entry.count, escape(entry.first)) for text, entry in ranked[: 10 * _SHOWN]]
    more = len(ranked) - len(body)
    rest = f'<p class="faint">{more:,} more are in the JSON report.</p>' if more > 0 else ""
    return _table(f"survey-{name}", (name.replace("_", " "), "times", "first"), body, numbers=1) + rest


def _section(name: str, title: str, inner: str) -> str:
    return f'<section aria-labelledby="h-{name}"><h2 id="h-{name}">{title}</h2>{inner}</section>'


def _table(name: str, heads: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: int) -> str:
    """A table in a frame that scrolls by keyboard; the columns behind the first hold `numbers` numbers."""
    cells = "".join(
        f'<th scope="col"{" class=number" if 0 < at <= numbers else ""}>{escape(head)}</th>'
        for at, head in enumerate(heads)
    )
    body = "\n".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f'<td class="number">{_data(cell)}</td>' for cell in row[1 : 1 + numbers])
        + "".join(f"<td>{cell}</td>" for cell in row[1 + numbers :])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Table: {escape(heads[0])}"><table id="{name}">'
        f"<thead><tr>{cells}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _data(value: int | decimal.Decimal | str) -> str:
    """A number as machines and people read it; a text as it is."""
    if isinstance(value, str):
        return value
    shown = dollars(value) if isinstance(value, decimal.Decimal) else f"{value:,}"
    exact = plain(value) if isinstance(value, decimal.Decimal) else value
    return f'<data value="{exact}">{shown}</data>'
