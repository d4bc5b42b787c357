"""JSON, written member by member from texts that are JSON already, in the habits of whoever wrote the log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

Members = Mapping[str, str | None]  # key -> JSON text; None: the key is left out

NULL = "null"
_WORD = re.compile(r"_([a-z])")


def camel(key: str) -> str:
    """`finish_reason` → `finishReason`."""
    return _WORD.sub(lambda found: found[1].upper(), key)


class Writer:
    """One way to write objects.

    Attributes:
        camel: keys as a TypeScript SDK prints them.
        alphabetical: keys in the order of the alphabet (of their snake_case names), as SDKs and re-written logs have.
        spaced: a blank after each comma and colon, as Python's `json.dumps` has.

    """

    __slots__ = ("_comma", "_names", "alphabetical", "camel", "spaced")

    def __init__(self, *, camel: bool = False, alphabetical: bool = False, spaced: bool = False) -> None:
        self.camel = camel
        self.alphabetical = alphabetical
        self.spaced = spaced
        self._comma = ", " if spaced else ","
        self._names = _Names(self)

    def object(self, members: Members) -> str:
        """An object; members that are None are left out."""
        items: Iterable[tuple[str, str | None]] = members.items()
        if self.alphabetical:
            items = sorted(items)
        names = self._names
        return "{" + self._comma.join([names[key] + text for key, text in items if text is not None]) + "}"

    def array(self, items: Iterable[str]) -> str:
        """An array."""
        return "[" + self._comma.join(items) + "]"

    def value(self, value: Any) -> str:
        """Any plain value, keys as they are: for what is written once and used often."""
        separators = (", ", ": ") if self.spaced else (",", ":")
        return json.dumps(value, ensure_ascii=self.spaced, separators=separators, sort_keys=self.alphabetical)


class _Names(dict[str, str]):
    """Keys as they stand in the text, with quotes and colon."""

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self._writer = writer

    def __missing__(self, key: str) -> str:
        written = f'"{camel(key) if self._writer.camel else key}":{" " if self._writer.spaced else ""}'
        self[key] = written
        return written


COMPACT = Writer()
SORTED = Writer(alphabetical=True)
SPACED = Writer(spaced=True)
CAMEL = Writer(camel=True, alphabetical=True)


def quoted(text: str) -> str:
    """A JSON text as a JSON string that holds it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def number(value: float) -> str:
    """A float as Python and JavaScript write it: the shortest digits that give it back."""
    return repr(value)
