"""Wire Structs widened by the vendor keys that a process has met, so that they cost no salvage.

Half of the OpenAI-compatible services add keys of their own. A widened Struct has a field for each, of any scalar type,
or of any JSON up to six levels deep where an object or a list was met: the strict decode still proves that nothing was
skipped. What the fields hold goes to `extra`, as salvage would put it: see `recast.py`.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from .parse import Scalar, tree_type
from .pointer import escape
from .spelling import fields_of, map_structs, rebuild

Paths = frozenset[tuple[str, ...]]

ALIAS = "reasoning_content"
STALE = "delta"
CALL = "function_call"
WHOLE = "message"
TEXT = "text"
_SPECIAL = frozenset({ALIAS, STALE, CALL, WHOLE, TEXT})
_NO_TYPES: Mapping[tuple[str, ...], Any] = types.MappingProxyType({})
NESTED = tree_type(6)  # deeper ones are for salvage


def _below(paths: Iterable[tuple[str, ...]]) -> Paths:
    return frozenset(path[1:] if path[0] == "*" else path for path in paths)


class Plan(NamedTuple):
    """Where the added fields of a widened Struct are: its own, and those of the Structs inside it.

    Each has its attribute and its place as the end of a pointer. `special` are those that are no vendor's, attributes
    with the names of their keys: `ALIAS` (another name for `reasoning`), `STALE` (beside a message), `CALL` (before
    there were `tool_calls`), `WHOLE` and `TEXT` (beside a delta). What they all hold is moved by `recast.py`.
    """

    added: tuple[tuple[str, str], ...]
    inner: tuple[tuple[str, str, Plan], ...]
    special: frozenset[str]


def widen(
    original: type[msgspec.Struct], paths: Paths, nested: Paths, types_: Mapping[tuple[str, ...], Any] = _NO_TYPES
) -> tuple[type[msgspec.Struct], Plan]:
    """`original` with a field for the key at the end of each path (`*` stands for every index of a list).

    A path in `types_` has that type, one in `nested` may hold anything, the others any scalar.
    """
    own = sorted(path[0] for path in paths if len(path) == 1)
    deeper: dict[str, set[tuple[str, ...]]] = {}
    for path in paths:
        if len(path) > 1:
            deeper.setdefault(path[0], set()).add(path[1:])
    replaced: dict[str, Any] = {}
    inner = []
    for item in fields_of(original):
        rest = deeper.pop(item.encode_name, None)
        if rest is None:
            continue
        below = _below(rest)
        nested_below = _below(path[1:] for path in nested if path[0] == item.encode_name and len(path) > 1)
        types_below = {
            path[2:] if path[1] == "*" else path[1:]: kind
            for path, kind in types_.items()
            if path[0] == item.encode_name and len(path) > 1
        }
        plans: list[Plan] = []

        def child(
            struct: type[msgspec.Struct],
            below: Paths = below,
            nested_below: Paths = nested_below,
            types_below: Mapping[tuple[str, ...], Any] = types_below,
            plans: list[Plan] = plans,
        ) -> type[msgspec.Struct]:
            wide, plan = widen(struct, below, nested_below, types_below)
            plans.append(plan)
            return wide

        replaced[item.encode_name] = map_structs(item.type, child)
        (plan,) = plans  # one Struct a field, or there is nothing to widen
        inner.append((item.name, "/" + escape(item.encode_name), plan))
    if deeper:
        raise ValueError(f"{original.__name__} has no field for {min(deeper)!r}")
    special = frozenset(key for key in own if key in _SPECIAL and (key,) in types_)
    added = tuple((key if key in special else f"added_{place}", "/" + escape(key)) for place, key in enumerate(own))
    more = tuple(
        (
            name,
            types_.get((key,), NESTED if (key,) in nested else Scalar),
            msgspec.field(name=key, default=None),
        )
        for (name, _), key in zip(added, own, strict=True)
    )
    wide = rebuild(original, original.__name__ + "Wide", str, None, more, replaced)
    return wide, Plan(tuple(each for each in added if each[0] not in special), tuple(inner), special)
