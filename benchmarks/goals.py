"""How fast this library is meant to be, each goal beside what a result measured."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Ours = Literal["detected", "named", "many"]


class Goal(NamedTuple):
    """One goal.

    Attributes:
        workload: a key of `compare.WORKLOADS`.
        reader: which way of calling this library.
        limit: the highest CPU time, as a ratio to `beside` on the same bytes; for a `peer`, how many times the least.
        beside: the contender whose CPU time is 1.
        peer: the contender that must take `limit` times as long as ours, or more.

    """

    workload: str
    reader: Ours
    limit: float
    beside: str = "orjson_loads"
    peer: str | None = None


# The bounds of the design: a body in canonical words about 1, with vendor keys or signed 2, camelCase 2.3, all mixed
# 3.2, one fault 9.
GOALS = (
    Goal("openrouter", "named", 1.15),
    Goal("openrouter", "detected", 1.15),
    Goal("openrouter", "many", 1.15),
    Goal("openrouter-small", "detected", 1.25),
    Goal("openai", "detected", 2.00),
    Goal("atoma", "detected", 2.00),
    Goal("atoma-camel", "detected", 2.30),
    Goal("atoma-text", "detected", 2.00),
    Goal("atoma-text-camel", "detected", 2.30),
    Goal("log10", "detected", 2.00),
    Goal("log10-camel", "detected", 2.30),
    Goal("log10-text", "detected", 2.00, beside="orjson_inside"),
    Goal("all", "detected", 3.20),
    Goal("logprobs", "detected", 1.35),
    Goal("repair", "detected", 9.00),
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
