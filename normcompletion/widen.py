"""Wire Structs widened by the vendor keys that a process has met, so that they cost no salvage.

Half of the OpenAI-compatible services add keys of their own. A widened Struct has a field for each, of any scalar type,
or of any JSON up to `LEVELS` deep where an object or a list was met: the strict decode still proves that nothing was
skipped. `collect` moves what the fields hold to `extra`, as salvage would put it, and gives the Structs back as they
are without them.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

import msgspec

from .model import Integer
from .pointer import escape
from .spelling import map_structs, rebuild

Paths = frozenset[tuple[str, ...]]

LEVELS = 6  # deeper ones are for salvage, which no stack can overflow
Scalar = Integer | float | str | bool | None


def _nested(levels: int) -> Any:
    """JSON with so many levels of objects and lists; integers of 64 bits."""
    inner: Any = _nested(levels - 1) if levels > 1 else Scalar
    return Scalar | types.GenericAlias(dict, (str, inner)) | types.GenericAlias(list, inner)


NESTED = _nested(LEVELS)


def _below(paths: Iterable[tuple[str, ...]]) -> Paths:
    return frozenset(path[1:] if path[0] == "*" else path for path in paths)


class Plan(NamedTuple):
    """Where the added fields of a widened Struct are: its own, and those of the Structs inside it.

    Each has its attribute and its place as the end of a pointer. `narrow` makes the original of the widened Struct.
    """

    added: tuple[tuple[str, str], ...]
    inner: tuple[tuple[str, str, Plan], ...]
    narrow: Callable[[Any], Any]


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
        inner.append((item.name, "/" + escape(item.encode_name), plan))
    if deeper:
        raise ValueError(f"{original.__name__} has no field for {min(deeper)!r}")
    added = tuple((f"added_{place}", "/" + escape(key)) for place, key in enumerate(own))
    more = tuple(
        (
            name,
            None if (key,) in null_only else NESTED if (key,) in nested else Scalar,
            msgspec.field(name=key, default=None),
        )
        for (name, _), key in zip(added, own, strict=True)
    )
    wide = rebuild(original, original.__name__ + "Wide", str, lambda struct: struct, more, replaced)
    return wide, Plan(added, tuple(inner), narrowing(original))


@cache
def narrowing(original: type[msgspec.Struct]) -> Callable[[Any], Any]:
    """A function that copies the fields of `original` from any Struct that has them.

    Written as text once for each wire Struct, like the methods of a dataclass: four times as fast as `convert`.
    """
    fields = ", ".join(f"{name}=wide.{name}" for name in original.__struct_fields__)
    copy: Callable[[Any], Any] = eval(f"lambda wide: original({fields})", {"original": original})  # noqa: S307
    return copy


def collect(wide: Any, plan: Plan, at: str, extra: dict[str, Any]) -> Any:
    """Move what the added fields of a Struct at a pointer hold into `extra`; gives the Struct without them."""
    for name, place in plan.added:
        # A default is of the original Struct, which has no added field.
        if (value := getattr(wide, name, None)) is not None:
            extra[at + place] = value
    for name, place, inner in plan.inner:
        value = getattr(wide, name)
        if isinstance(value, list):
            here = at + place
            narrowed = [
                item if item is None else collect(item, inner, f"{here}/{number}", extra)
                for number, item in enumerate(value)
            ]
            setattr(wide, name, narrowed)
        elif isinstance(value, msgspec.Struct):
            setattr(wide, name, collect(value, inner, at + place, extra))
    return plan.narrow(wide)
