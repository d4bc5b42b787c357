"""A report as one HTML page: no script, no network, light and dark, tables that a screen reader reads.

The numbers are those of the JSON report: each is in a `<data value="…">`. Bars and lines are inline SVG that only
repeats what the table beside it says, so that it is hidden from screen readers.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from html import escape
from typing import Any

from ..findings import NOTES
from .breakdown import DIMENSIONS, NONE, SECONDS, Breakdown, Latency, Sums, plain
from .report import REJECT_CODES, Report, dollars

_SHOWN = 30  # rows of a table; the JSON report has all
_MAX_DAYS = 400
_CHART_HEIGHT = 100
_TITLES = {
    "source": "By source",
    "model": "By model",
    "day": "By day",
    "finish_reason": "By finish reason",
}
_REMEDIES = {
    "truncated": "look at the raw units: normcompletion convert LOG --rejects rejects.jsonl --rejects-raw",
    "utf16": "iconv -f UTF-16 -t UTF-8 LOG | normcompletion convert -",
    "too_long": "normcompletion convert LOG --max-record-bytes 64M",
    "ambiguous": "normcompletion convert LOG --source NAME",
    "unknown_shape": "normcompletion convert LOG --body /POINTER/OF/THE/RESPONSE",
    "missing_response": "nothing to convert: the log has no response there",
}
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #57606a; --paper: #fff; --line: #d0d7de; --bar: #2f6fb0;
  --bad: #b3362b; --panel: #f6f8fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --faint: #9da7b3; --paper: #0d1117; --line: #30363d;
  --bar: #6cb0f0; --bad: #ff8f80; --panel: #161b22; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 70rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); }
h1 { font-size: 1.5rem; margin: .5rem 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0 .75rem; } .faint, caption, th { color: var(--faint); }
a.skip { position: absolute; left: -100rem; } a.skip:focus { position: static; }
a { color: var(--bar); }
:focus-visible { outline: 3px solid var(--bar); outline-offset: 2px; }
dl.totals { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .5rem; margin: 1rem 0; }
dl.totals div { background: var(--panel); border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .75rem; }
dl.totals dt { color: var(--faint); font-size: .85rem; }
dl.totals dd { margin: 0; font-size: 1.2rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; padding: .25rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .5rem; border-bottom: 1px solid var(--line); }
thead th { font-weight: 600; font-size: .85rem; } tbody th { font-weight: 400; color: var(--ink); min-width: 9rem;
  overflow-wrap: anywhere; width: 40%; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } td { overflow-wrap: anywhere; }
code { font-size: .9em; overflow-wrap: anywhere; }
svg { display: block; width: 100%; } svg.bar { height: .4rem; margin-top: .25rem; }
svg.days { height: 9rem; border-bottom: 1px solid var(--line); }
.ends { display: flex; justify-content: space-between; color: var(--faint); font-size: .85rem; }
.fill { fill: var(--bar); } .bad { fill: var(--bad); }
.tokens { fill: none; stroke: var(--ink); stroke-width: 2px; vector-effect: non-scaling-stroke; }
summary { cursor: pointer; padding: .35rem 0; }
"""


def page(title: str, report: Report, sections: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """The page of a report; `sections` are the entries of a survey, for unseen keys and words."""
    breakdown = report.breakdown or Breakdown()
    parts = [_totals(report)]
    parts += [_dimension(name, breakdown.groups[name]) for name in DIMENSIONS if breakdown.groups[name]]
    parts += [_latency(breakdown.latency), _unseen(sections), _refusals(report, sections), _notes(report)]
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the numbers</a>\n'
        f'<header><h1>{escape(title)}</h1></header>\n<main id="main">\n'
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _totals(report: Report) -> str:
    answers = report.records - report.failed - report.pending - report.encrypted
    shown: list[tuple[str, int | decimal.Decimal]] = [
        ("units", report.units),
        ("converted", report.converted),
        ("rejected", report.rejected),
        ("blank", report.blank),
        ("records", report.records),
        ("answers", answers),
        ("failed calls", report.failed),
        ("pending calls", report.pending),
        ("encrypted", report.encrypted),
        ("prompt tokens", report.prompt_tokens),
        ("completion tokens", report.completion_tokens),
        ("total tokens", report.total_tokens),
        ("cost, US dollars", report.cost),
    ]
    tiles = "\n".join(f"<div><dt>{name}</dt><dd>{_data(value)}</dd></div>" for name, value in shown)
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
        f'<th scope="row">{escape(name)}{_bar(sums.records, sums.failed, max(most, sums.records))}</th>'
        + "".join(
            f'<td class="number">{_data(value)}</td>'
            for value in (sums.records, sums.failed, sums.prompt_tokens, sums.completion_tokens, sums.cost)
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
        body.append(
            f'<th scope="row">{escape(source)}{chart}</th><td class="number">{_data(each.calls)}</td>'
            f'<td class="number">{each.seconds / each.calls:.3g} s</td>'
            + "".join(f'<td class="number">{_bound(each.within(share))}</td>' for share in (0.5, 0.95, 0.99))
        )
    heads = ("source", "calls", "mean", "half within", "95 % within", "99 % within")
    bounds = ", ".join(map(str, SECONDS))
    about = f'<p class="faint">Durations that envelopes have. Columns: calls within {bounds} and more seconds.</p>'
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
        f'<th scope="row"><code>{escape(code)}</code></th><td class="number">{_data(count)}</td>'
        f"<td>{escape(REJECT_CODES.get(code, NOTES[code][1] if code in NOTES else ''))}</td>"
        f"<td>{_command(code)}</td><td>{escape(first[code].first) if code in first else ''}</td>"
        for code, count in sorted(report.rejects.items(), key=lambda item: (-item[1], item[0]))
    ]
    table = _table("reject-codes", ("code", "units", "what it means", "what helps", "first"), body, numbers=1)
    reasons = {} if sections is None else sections.get("reasons", {})
    return _section("refusals", "Refusals", table + (_entries("reasons", reasons) if reasons else ""))


def _command(code: str) -> str:
    default = "see each with: normcompletion convert LOG --rejects rejects.jsonl"
    return f"<code>{escape(_REMEDIES.get(code, default))}</code>"


def _notes(report: Report) -> str:
    body = [
        f'<th scope="row"><code>{escape(code)}</code></th><td class="number">{_data(count)}</td>'
        f"<td>{escape(NOTES[code][0])}</td><td>{escape(NOTES[code][1])}</td>"
        for code, count in sorted(report.notes.items(), key=lambda item: (-item[1], item[0]))
    ]
    table = _table("note-codes", ("code", "notes", "kind", "what was done"), body, numbers=1)
    return _section("notes", "Notes: what was repaired", table if body else "<p>None.</p>")


def _entries(name: str, entries: Mapping[str, Any]) -> str:
    """Entries of a survey: how often, and where first."""
    ranked = sorted(entries.items(), key=lambda item: (-item[1].count, item[0]))
    body = [
        f'<th scope="row"><code>{escape(text)}</code></th><td class="number">{_data(entry.count)}</td>'
        f"<td>{escape(entry.first)}</td>"
        for text, entry in ranked[: 10 * _SHOWN]
    ]
    more = len(ranked) - len(body)
    rest = f'<p class="faint">{more:,} more are in the JSON report.</p>' if more > 0 else ""
    return _table(f"survey-{name}", (name.replace("_", " "), "times", "first"), body, numbers=1) + rest


def _section(name: str, title: str, inner: str) -> str:
    return f'<section aria-labelledby="h-{name}"><h2 id="h-{name}">{title}</h2>{inner}</section>'


def _table(name: str, heads: Sequence[str], rows: Iterable[str], *, numbers: int) -> str:
    """A table in a frame that scrolls by keyboard; the columns behind the first hold `numbers` numbers."""
    cells = "".join(
        f'<th scope="col"{" class=number" if 0 < at <= numbers else ""}>{escape(head)}</th>'
        for at, head in enumerate(heads)
    )
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Table: {escape(heads[0])}"><table id="{name}">'
        f"<thead><tr>{cells}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _data(value: int | decimal.Decimal) -> str:
    shown = dollars(value) if isinstance(value, decimal.Decimal) else f"{value:,}"
    exact = plain(value) if isinstance(value, decimal.Decimal) else value
    return f'<data value="{exact}">{shown}</data>'
