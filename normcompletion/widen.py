"""Wire Structs widened by the vendor keys that a process has met, so that they cost no salvage.

Half of the OpenAI-compatible services add keys of their own. A widened Struct has a field for each, of any scalar type,
or `Raw` where an object or a list was met: the strict decode still proves that nothing was skipped, and what the fields
hold goes to `extra`, as salvage would put it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from .ledger import Ledger
from .model import Integer
from .pointer import escape
from .spelling import map_structs, rebuild

Paths = frozenset[tuple[str, ...]]

Scalar = Integer | float | str | bool | None
NULL = msgspec.Raw(b"null")


def _below(paths: Iterable[tuple[str, ...]]) -> Paths:
    return frozenset(path[1:] if path[0] == "*" else path for path in paths)


class Plan(NamedTuple):
    """Where the added fields of a widened Struct are: its own, and those of the Structs inside it."""

    added: tuple[tuple[str, str, bool], ...]  # attribute, key, whether it is `Raw`
    inner: tuple[tuple[str, str, Plan], ...]


def widen(
    original: type[msgspec.Struct], paths: Paths, nested: Paths, null_only: Paths = frozenset()
) -> tuple[type[msgspec.Struct], Plan]:
    """`original` with a field for the key at the end of each path (`*` stands for every index of a list).

    A path that is also in `nested` may hold anything, one in `null_only` nothing but null, the others any scalar.
    """
    own = sorted(path[0] for path in paths if len(path) == 1)
    deeper: dict[str, set[tuple[str, ...]]] = {}
    for path in paths:
        if len(path) > 1:
            deeper.setdefault(path[0], set()).add(path[1:])
    replaced: dict[str, Any] = {}
    inner = []
    for item in msgspec.structs.fields(original):
        rest = deeper.pop(item.encode_name, None)
        if rest is None:
            continue
        below = _below(rest)
        nested_below = _below(path[1:] for path in nested if path[0] == item.encode_name and len(path) > 1)
        plans: list[Plan] = []

        def child(
            struct: type[msgspec.Struct],
            below: Paths = below,
            nested_below: Paths = nested_below,
            plans: list[Plan] = plans,
        ) -> type[msgspec.Struct]:
            wide, plan = widen(struct, below, nested_below)
            plans.append(plan)
            return wide

        replaced[item.encode_name] = map_structs(item.type, child)
        (plan,) = plans  # one Struct a field, or there is nothing to widen
        inner.append((item.name, item.encode_name, plan))
    if deeper:
        raise ValueError(f"{original.__name__} has no field for {min(deeper)!r}")
    added = tuple((f"added_{place}", key, (key,) in nested) for place, key in enumerate(own))
    more = tuple(
        (
            name,
            None if (key,) in null_only else msgspec.Raw if is_raw else Scalar,
            msgspec.field(name=key, default=None),
        )
        for name, key, is_raw in added
    )
    wide = rebuild(original, original.__name__ + "Wide", str, lambda struct: struct, more, replaced)
    return wide, Plan(added, tuple(inner))


def collect(decoded: Any, plan: Plan, at: str, ledger: Ledger, depth: int = 1) -> None:
    """Move what the added fields hold into `extra`, as salvage would put it."""
    for name, key, is_raw in plan.added:
        value = getattr(decoded, name, None)  # a default is of the original Struct, which has no added field
        if value is None or (is_raw and value == NULL):
            continue
        here = f"{at}/{escape(key)}"
        ledger.extra[here] = ledger.parsed(bytes(value), here, depth) if is_raw else value
    for name, key, inner in plan.inner:
        value = getattr(decoded, name)
        if value is None:
            continue
        here = f"{at}/{escape(key)}"
        if isinstance(value, list):
            for place, item in enumerate(value):
                if item is not None:
                    collect(item, inner, f"{here}/{place}", ledger, depth + 2)
        elif isinstance(value, msgspec.Struct):
            collect(value, inner, here, ledger, depth + 1)
