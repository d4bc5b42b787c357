"""Values of chunks for which the canonical model has no field, merged into those of one answer.

In a delta, texts are fragments and are joined, unless every chunk gives the same one; lists are continued, objects are
merged key by key, and members of lists that have the same `index` are one. Labels and signatures (`LABELS`) are whole
each time: the last one is kept. Outside of deltas every value is whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Members that are whole each time they come, by their key.
LABELS = frozenset(
    {
        "channel",
        "finish_reason",
        "format",
        "id",
        "index",
        "message",
        "model",
        "name",
        "obfuscation",
        "object",
        "p",
        "responseHash",
        "response_hash",
        "role",
        "signature",
        "status",
        "type",
    }
)
# Of these a change means nothing: signatures and encrypted texts of single chunks, and padding that hides how long
# the tokens are (OpenAI's `obfuscation`, Mistral's `p`).
UNNOTED = frozenset(
    {"ciphertext", "message", "nonce", "obfuscation", "p", "responseHash", "response_hash", "signature"}
)


class Values:
    """Values by pointer, each with all its fragments until somebody asks."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[str, Any] = {}

    def add(self, pointer: str, value: Any, *, is_delta: bool) -> Any:
        """Merge a value; gives the one that it displaced, where that must be noted, else `None`."""
        key = pointer.rpartition("/")[2]
        held = self._held.get(pointer)
        if held is None:
            self._held[pointer] = _Fragments([value]) if is_delta and isinstance(value, str) else value
            return None
        if isinstance(held, _Fragments) and isinstance(value, str) and key not in LABELS:
            held.append(value)
            return None
        before = held[-1] if isinstance(held, _Fragments) else held
        if is_delta and key not in LABELS and isinstance(value, dict | list):
            self._held[pointer] = merged(before, value)
            return None
        self._held[pointer] = value
        return None if before == value or key in UNNOTED or before in ({}, [], "") else before

    def items(self) -> Iterator[tuple[str, Any]]:
        """Pointers and merged values."""
        for pointer, value in self._held.items():
            yield pointer, value.whole() if isinstance(value, _Fragments) else value


class _Fragments(list[str]):
    """The fragments of one text."""

    def whole(self) -> str:
        """The text; what every chunk repeats is said once."""
        return self[0] if len(set(self)) == 1 else "".join(self)


def merged(held: Any, value: Any) -> Any:
    """Two values of the same member of a delta as one."""
    if isinstance(held, str) and isinstance(value, str):
        return held + value
    if isinstance(held, dict) and isinstance(value, dict):
        both = dict(held)
        for key, item in value.items():
            is_whole = key in LABELS or both.get(key) is None
            both[key] = item if is_whole and item is not None else merged(both.get(key), item)
        return both
    if isinstance(held, list) and isinstance(value, list):
        joined = list(held)
        for item in value:
            place = _place_of(item, joined)
            if place is None:
                joined.append(item)
            else:
                joined[place] = merged(joined[place], item)
        return joined
    return held if value is None else value


def _place_of(item: Any, held: list[Any]) -> int | None:
    """Where a list holds the member that has the same `index` as an item."""
    if not isinstance(item, dict) or item.get("index") is None:
        return None
    return next(
        (place for place, each in enumerate(held) if isinstance(each, dict) and each.get("index") == item["index"]),
        None,
    )
