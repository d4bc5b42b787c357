"""What the README says about speed: the goals with what was measured, and the peers; written between two markers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .goals import Reached, reached

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
RESULT = Path(__file__).parent / "result.json"
CHART = Path(__file__).parent / "chart.svg"
PEERS = "openrouter"  # the workload that the chart shows, which most contenders read


def markers(name: str) -> tuple[str, str]:
    """The lines before and behind a part of the README that a command writes."""
    return f"<!-- {name} -->", f"<!-- /{name} -->"


BEGIN, END = markers("benchmarks")

_READER = {"detected": "`normalize(body)`", "named": "`normalize(body, source=…)`", "many": "`normalize_many`"}
_BESIDE = {
    "orjson_loads": "`orjson.loads`",
    "orjson_inside": "`orjson.loads`, on the inner texts too",
    "openai_validate": "`openai`, `model_validate_json`",
    "openai_construct": "`openai`, as its client does",
    "litellm_convert": "`litellm`, response converter",
}


def section(result: dict[str, Any]) -> str:
    """The Markdown between the markers."""
    rows = reached(result)
    lines = ["| bodies | read by | beside | CPU time | 95 % within | floor | goal |", "|" + " --- |" * 7]
    lines += [_line(row) for row in rows if row.goal.peer is None]
    peers = [row for row in rows if row.goal.peer is not None and row.median is not None]
    if peers:
        lines += ["", "| bodies | reader | takes | 95 % within | goal |", "| --- | --- | --- | --- | --- |"]
        lines += [
            f"| {row.about} | {_BESIDE[str(row.goal.peer)]} | {row.median:.1f} times as long | "
            f"{row.low:.1f} to {row.high:.1f} | ≥ {row.goal.limit:g}{_unmet(row)} |"
            for row in peers
        ]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    where = "{python}, {system}, {processor}, {cores} cores".format(**result["machine"])
    picture = "![CPU time of each reader as a ratio to orjson.loads](benchmarks/chart.svg)"
    lines += ["", picture, "", f"{versions}; {where}; {result['rounds']} rounds, seed {result['seed']}."]
    return "\n".join(lines) + "\n"


def _line(row: Reached) -> str:
    goal = row.goal
    if row.median is None:
        measured, within = "not measured", ""
    else:
        measured, within = f"{row.median:.2f}", f"{row.low:.2f} to {row.high:.2f}"
    floor = "" if row.floor is None else f"{row.floor:.2f}"
    return (
        f"| {row.about} | {_READER[goal.reader]} | {_BESIDE[goal.beside]} | {measured} | {within} | {floor} | "
        f"≤ {goal.limit:.2f}{_unmet(row)} |"
    )


def _unmet(row: Reached) -> str:
    return ", not met" if row.met is False else ""


def written(text: str, result: dict[str, Any]) -> str:
    """The README's text with the section renewed. Raises `ValueError` where the markers are missing."""
    return renewed(text, "benchmarks", section(result))


def renewed(text: str, name: str, body: str) -> str:
    """A text with what stands between the markers of a name replaced. Raises `ValueError` where they are missing."""
    begin, end = markers(name)
    between = re.compile(f"{begin}\n.*{end}", re.DOTALL)
    if not between.search(text):
        raise ValueError(f"the README lacks the lines {begin} and {end}; put them where the tables belong")
    return between.sub(lambda _: f"{begin}\n{body}{end}", text)
