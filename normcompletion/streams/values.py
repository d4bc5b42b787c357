"""Values of chunks for which the canonical model has no field, merged into those of one answer.

In a delta, texts are fragments and are joined, unless every chunk gives the same one; lists are continued, and members
of lists that have the same `index` are one. Labels and signatures (`LABELS`) are whole each time: the last one is kept.
Outside of deltas, texts and lists are whole, too. Objects are merged key by key, everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from ..dialect.wire import PADDING
from ..model import Note
from ..pointer import escape

# Members that are whole each time they come, by their key.
LABELS = frozenset(
    {
        "channel",
        "finish_reason",
        "format",
        "id",
        "index",
        "model",
        "name",
        "object",
        "responseHash",
        "response_hash",
        "role",
        "signature",
        "status",
        "thought_signature",
        "type",
    }
)
# Of these a change means nothing: signatures and encrypted texts of single chunks, and padding.
UNNOTED = frozenset(
    {"ciphertext", "nonce", "responseHash", "response_hash", "signature", "thought_signature", *PADDING}
)


class Values(msgspec.Struct, eq=False):
    """Values by pointer, each with all its fragments until somebody asks; and the notes of their place.

    There is one note for each code and pointer, with the first value that was displaced there.
    """

    notes: dict[tuple[str, str], Note] = {}
    held: dict[str, Any] = {}

    def note(self, code: str, path: str, before: Any) -> None:
        """Record a repair at a pointer."""
        if (code, path) not in self.notes:
            self.notes[code, path] = Note(code=code, path=path, before=before)

    def add(self, pointer: str, value: Any, *, is_delta: bool = False) -> None:
        """Merge a value."""
        key = pointer.rpartition("/")[2]
        self.held[pointer] = self._merged(self.held.get(pointer), value, key, pointer, is_delta=is_delta)

    def set(self, pointer: str, value: Any) -> None:
        """Keep a value in place of any other."""
        self.held[pointer] = value

    def items(self) -> Iterator[tuple[str, Any]]:
        """Pointers and merged values."""
        for pointer, value in self.held.items():
            yield pointer, _whole(value)

    def _merged(self, held: Any, value: Any, key: str, at: str, *, is_delta: bool) -> Any:
        if value is None:
            return held
        if held is None:
            return _opened(value, key, is_delta=is_delta)
        if isinstance(held, dict) and isinstance(value, dict):
            for name, item in value.items():
                below = f"{at}/{escape(name)}"
                held[name] = self._merged(held.get(name), item, name, below, is_delta=is_delta)
            return held
        if is_delta and key not in LABELS:
            if isinstance(held, _Fragments) and isinstance(value, str):
                held.append(value)
                return held
            if type(held) is list and isinstance(value, list):
                for item in value:
                    place = _place_of(item, held)
                    before = None if place == len(held) else held.pop(place)
                    held.insert(place, self._merged(before, item, "", f"{at}/{place}", is_delta=True))
                return held
        before = _whole(held)
        if before != value and key not in UNNOTED and before not in ({}, [], ""):
            self.note("conflicting_value", at, before)
        return _opened(value, key, is_delta=is_delta)


class _Fragments(list[str]):
    """The fragments of one text."""


def _opened(value: Any, key: str, *, is_delta: bool) -> Any:
    """A value in a form that others can be merged into.

    Here and below loops stand for comprehensions, which cost a second frame for each level before CPython 3.12.
    """
    if isinstance(value, dict):
        members = {}
        for name, item in value.items():
            members[name] = _opened(item, name, is_delta=is_delta)
        return members
    if is_delta and key not in LABELS:
        if isinstance(value, list):
            items = []
            for item in value:
                items.append(_opened(item, "", is_delta=True))  # noqa: PERF401
            return items
        if isinstance(value, str):
            return _Fragments([value])
    return value


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        members = {}
        for name, item in value.items():
            members[name] = _whole(item)
        return members
    if isinstance(value, _Fragments):  # what every chunk repeats is said once
        return value[0] if len(set(value)) == 1 else "".join(value)
    if isinstance(value, list):
        items = []
        for item in value:
            items.append(_whole(item))  # noqa: PERF401
        return items
    return value


def _place_of(item: Any, held: list[Any]) -> int:
    """Where a list holds the member that has the same `index` as an item; behind its end where none has."""
    if isinstance(item, dict) and item.get("index") is not None:
        for place, each in enumerate(held):
            if isinstance(each, dict) and each.get("index") == item["index"]:
                return place
    return len(held)


def merged_usage(held: Any, later: Any, path: str, note: Callable[[str, str, Any], None]) -> None:
    """Put later usage, or its details, into earlier one: null never overwrites, a zero never replaces a count."""
    for name in later.__struct_fields__:
        value, before = getattr(later, name), getattr(held, name)
        if value is None or value == before:
            continue
        if isinstance(before, msgspec.Struct):
            merged_usage(before, value, f"{path}/{name}", note)
        elif before and not value and not isinstance(value, bool):
            note("conflicting_value", f"{path}/{name}", value)
        else:
            setattr(held, name, value)
