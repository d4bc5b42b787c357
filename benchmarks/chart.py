"""A result as a chart: one panel for each workload, a bar for each contender, its interval as a whisker.

The scale is logarithmic, for the slowest takes a hundred times as long as the fastest; a line marks `orjson.loads`.
"""

from __future__ import annotations

from html import escape
from math import log10
from typing import Any

WIDTH = 860
LABELS = 300  # px for the names
VALUES = 60  # px for the numbers
ROW, BAR = 20, 12
HEAD = 34
TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200)

_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.about { font-weight: 600 }
.small { font-size: 10px; fill: #57606a }
.ours { fill: #0969da }
.other { fill: #afb8c1 }
.whisker { stroke: #57606a; stroke-width: 1.5 }
.grid { stroke: #d0d7de; stroke-width: 1 }
.one { stroke: #cf222e; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .small { fill: #8d96a0 }
  .ours { fill: #2f81f7 }
  .other { fill: #484f58 }
  .whisker { stroke: #8d96a0 }
  .grid { stroke: #30363d }
}
"""


def chart(result: dict[str, Any]) -> str:
    """The SVG."""
    parts = [(part, _rows(part)) for part in result["workloads"].values()]
    ratios = [row[end] for _, rows in parts for row in rows for end in ("low", "high")] or [1.0]
    ticks = [tick for tick in TICKS if min(ratios) / 2.5 <= tick <= max(ratios) * 2.5]
    low, high = min(0.9 * min(ratios), 0.5), max(1.1 * max(ratios), 2)

    def x(ratio: float) -> float:
        room = WIDTH - LABELS - VALUES
        return round(LABELS + room * (log10(ratio) - log10(low)) / (log10(high) - log10(low)), 1)

    drawn, top = [], 30
    for part, rows in parts:
        bottom = top + HEAD + ROW * len(rows)
        drawn.append(f'<text class="about" x="8" y="{top + 14}">{escape(part["about"])}</text>')
        drawn.append(
            f'<text class="small" x="8" y="{top + 28}">{part["records"]:,} bodies, half up to {part["p50"]:,} B</text>'
        )
        for tick in ticks:
            if low <= tick <= high:
                line = "one" if tick == 1 else "grid"
                drawn.append(
                    f'<line class="{line}" x1="{x(tick)}" x2="{x(tick)}" y1="{top + HEAD - 4}" y2="{bottom}"/>'
                )
                drawn.append(
                    f'<text class="small" x="{x(tick)}" y="{top + HEAD - 8}" text-anchor="middle">{tick:g}</text>'
                )
        for at, row in enumerate(rows):
            drawn += _bar(row, x, top + HEAD + ROW * at, low)
        top = bottom + 16
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    where = "{python}, {system}, {processor}".format(**result["machine"])
    foot = [versions, f"{where}; {result['rounds']} rounds; whiskers: 95 % interval of the median"]
    drawn += [
        f'<text class="small" x="8" y="{top + 12 + 14 * at}">{escape(line)}</text>' for at, line in enumerate(foot)
    ]
    title = "CPU time as a ratio to orjson.loads on the same bytes (left is faster, logarithmic)"
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 36}" role="img">'
    heading = f'<text class="about" x="8" y="20">{title}</text>'
    return "\n".join([opening, f"<title>{title}</title>", f"<style>{_STYLE}</style>", heading, *drawn, "</svg>\n"])


def _rows(part: dict[str, Any]) -> list[dict[str, Any]]:
    """The contenders that accepted something, the fastest first."""
    return sorted((row for row in part["contenders"] if "median" in row), key=lambda row: row["median"])


def _bar(row: dict[str, Any], x: Any, top: float, low: float) -> list[str]:
    middle = top + ROW / 2
    kind = "ours" if row["name"].startswith("normcompletion") else "other"
    refused = row["refused"] / (row["refused"] + row["accepted"])
    label = row["label"] + (f" (refuses {refused:.0%})" if refused >= 0.005 else "")
    start, end = x(low), x(row["median"])
    return [
        f'<text x="{LABELS - 8}" y="{middle + 4}" text-anchor="end">{escape(label)}</text>',
        f'<rect class="{kind}" x="{start}" y="{middle - BAR / 2}" width="{round(end - start, 1)}" height="{BAR}"/>',
        f'<line class="whisker" x1="{x(row["low"])}" x2="{x(row["high"])}" y1="{middle}" y2="{middle}"/>',
        f'<text x="{max(end, x(row["high"])) + 6}" y="{middle + 4}">{row["median"]:.2f}</text>',
    ]
