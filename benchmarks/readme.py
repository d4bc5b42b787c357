"""What the documents say about speed, written between markers.

`benchmarks/README.md` has the goals with what was measured, and the peers; the README has one table of readers.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .goals import Reached, reached

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DETAILS = Path(__file__).parent / "README.md"
RESULT = Path(__file__).parent / "result.json"
CHART = Path(__file__).parent / "chart.svg"
PEERS = "openrouter"  # the workload that the chart shows, which most contenders read


def markers(name: str) -> tuple[str, str]:
    """The lines before and behind a part of a document that a command writes."""
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


# The readers of the README's table, with what people call them.
READERS = {
    "normcompletion_detected": "`normcompletion.normalize`",
    "normcompletion_extra": "`normalize`, and `extra` read",
    "orjson_loads": "`orjson.loads`, dictionaries",
    "json_loads": "`json.loads`, dictionaries",
    "openai_validate": "`openai`, `ChatCompletion.model_validate_json`",
    "openai_construct": "`openai`, as its client reads",
    "litellm_convert": "`litellm`, its response converter",
}
MIXED = "all"


def speed(result: dict[str, Any]) -> str:
    """The README's table: what each reader takes, refuses, and does not say or gets wrong."""
    parts = {
        name: {row["name"]: row for row in result["workloads"][name]["contenders"] if "median" in row}
        for name in (PEERS, MIXED)
    }
    lines = ["| reader | OpenRouter chat | all sources | refuses | fields missing or wrong |", "|" + " --- |" * 5]
    for name, about in READERS.items():
        one, all_ = parts[PEERS].get(name), parts[MIXED].get(name)
        if one is not None and all_ is not None:
            refused = all_["refused"] / (all_["refused"] + all_["accepted"])
            faulty = len({*all_["unsaid"], *all_["wrong"]})
            lines.append(f"| {about} | {one['median']:.2f} | {all_['median']:.2f} | {refused:.0%} | {faulty} |")
    return "\n".join([*lines, "", _where(result)]) + "\n"


def _where(result: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    where = "{python}, {system}, {processor}, {cores} cores".format(**result["machine"])
    return f"{versions}; {where}; {result['rounds']} rounds, seed {result['seed']}."


def section(result: dict[str, Any]) -> str:
    """The goals and the peers, for `benchmarks/README.md`."""
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
    lines += ["", "![CPU time of each reader as a ratio to orjson.loads](chart.svg)", "", _where(result)]
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
    """The text of `benchmarks/README.md` with its section renewed. Raises `ValueError` without its markers."""
    return renewed(text, "benchmarks", section(result))


def renewed(text: str, name: str, body: str) -> str:
    """A text with what is between the markers of a name replaced. Raises `ValueError` where they are missing."""
    begin, end = markers(name)
    between = re.compile(f"{begin}\n.*{end}", re.DOTALL)
    if not between.search(text):
        raise ValueError(f"the document lacks the lines {begin} and {end}; put them where the tables belong")
    return between.sub(lambda _: f"{begin}\n{body}{end}", text)
