"""How fast this library is meant to be, each goal beside what a result measured."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Ours = Literal["detected", "named", "many"]


class Goal(NamedTuple):
    """One goal.

    Attributes:
        workload: a key of `compare.WORKLOADS`.
        reader: which road of ours.
        limit: the highest CPU time, as a ratio to `beside` on the same bytes; for a `peer`, how many times the least.
        beside: the contender whose CPU time is 1.
        peer: the contender that must take `limit` times as long as ours, or more.

    """

    workload: str
    reader: Ours
    limit: float
    beside: str = "orjson_loads"
    peer: str | None = None


GOALS = (
    Goal("openrouter", "named", 0.93),
    Goal("openrouter", "detected", 0.95),
    Goal("openrouter", "many", 0.85),
    Goal("openrouter-small", "named", 1.00),
    Goal("openrouter-small", "detected", 1.05),
    Goal("openai", "detected", 1.15),
    Goal("atoma", "detected", 1.00),
    Goal("atoma-camel", "detected", 1.00),
    Goal("atoma-text", "detected", 1.00),
    Goal("atoma-text-camel", "detected", 1.00),
    Goal("log10", "detected", 1.00),
    Goal("log10-camel", "detected", 1.00),
    Goal("log10-text", "detected", 1.10, beside="orjson_inside"),
    Goal("all", "detected", 1.30),
    Goal("logprobs", "detected", 0.90),
    Goal("repair", "detected", 5.00),
    Goal("openrouter", "detected", 4, peer="openai_validate"),
    Goal("openrouter", "detected", 20, peer="openai_construct"),
    Goal("openrouter", "detected", 20, peer="litellm_convert"),
)


class Reached(NamedTuple):
    """A goal and what was measured: median, with an interval; `None` where a contender was not there.

    `floor` is the median of `msgspec` with hand-written Structs, which skip what they do not know.
    """

    goal: Goal
    about: str
    median: float | None
    low: float | None
    high: float | None
    floor: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the goal."""
        if self.median is None:
            return None
        return self.median >= self.goal.limit if self.goal.peer else self.median <= self.goal.limit


def reached(result: dict[str, Any]) -> list[Reached]:
    """Every goal of the workloads that a result has.

    A quotient of two ratios has the widest interval that theirs allow.
    """
    found = []
    for goal in GOALS:
        part = result["workloads"].get(goal.workload)
        if part is None:
            continue
        rows = {row["name"]: row for row in part["contenders"] if "median" in row}
        ours = rows.get(f"normcompletion_{goal.reader}")
        over, under = (rows.get(goal.peer), ours) if goal.peer else (ours, rows.get(goal.beside))
        if ours is not None and goal.peer is None and goal.beside == "orjson_loads":  # it stood beside it in each round
            floor = rows.get("msgspec_struct", {}).get("median")
            found.append(Reached(goal, part["about"], ours["median"], ours["low"], ours["high"], floor))
        elif over is None or under is None:
            found.append(Reached(goal, part["about"], None, None, None))
        else:
            middle = over["median"] / under["median"]
            found.append(Reached(goal, part["about"], middle, over["low"] / under["high"], over["high"] / under["low"]))
    return found
