"""What a source file declares: its variants, and the markers that tell its bodies from all others.

A third party ships a source as a module with a `VARIANTS` tuple, named in the entry-point group
`normcompletion.sources`:

    [project.entry-points."normcompletion.sources"]
    acme = "acme_normcompletion"
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..findings import Findings
from ..model import Completion, FinishReason
from ..pointer import camel
from .finish import FINISH_WORDS

Adapt = Callable[[Any, Findings], Completion]
Keys = tuple[str, ...]


class Condition(msgspec.Struct, frozen=True):
    """What one member must be for a marker to hold: there and not null, one of some values, or a text of a pattern.

    `path` is a path of snake_case keys. A list in it counts as its first
    member; `*` at the end says that the member is a list.
    """

    path: Keys
    values: tuple[Any, ...] = ()
    pattern: re.Pattern[str] | None = None
    prefix: str = ""
    absent: bool = False

    @property
    def key(self) -> Keys:
        """The path of the member that the condition is about."""
        return self.path[:-1] if self.path[-1] == "*" else self.path

    def holds(self, body: Any) -> bool:
        """Whether the condition holds for a body: a wire Struct or a parsed tree, in either spelling."""
        value: Any = body
        for key in self.path:
            if key == "*":
                return isinstance(value, list)
            if isinstance(value, list):
                value = value[0] if value else None
            value = member(value, key)
            if value is None:
                return self.absent
        if self.absent:
            return bool(value in ([], ""))
        if self.pattern is not None:
            return isinstance(value, str) and self.pattern.fullmatch(value) is not None
        return not self.values or value in self.values


def member(value: Any, key: str) -> Any:
    """A member of a Struct or of a parsed object, by its snake_case key; `None` where there is none."""
    if isinstance(value, dict):
        found = value.get(key)
        return value.get(camel(key)) if found is None and "_" in key else found
    return getattr(value, key, None) if isinstance(value, msgspec.Struct) else None


class Marker(msgspec.Struct, frozen=True):
    """Evidence of a source: all its conditions hold. `evidence` says so in words.

    A `decisive` marker is the service's own: where it holds, the source is known. Others only count where no decisive
    marker of another source holds. For `equals(path, list)` and the like see the functions below.

    >>> (key("acme_id") & lacks("choices")).evidence
    '`acme_id` and no `choices`'
    """

    evidence: str
    conditions: tuple[Condition, ...]
    decisive: bool = True
    copied: bool = False

    def holds(self, body: Any) -> bool:
        """Whether the marker holds for a body: a wire Struct or a parsed tree."""
        return all(condition.holds(body) for condition in self.conditions)

    def __and__(self, other: Marker) -> Marker:
        """A marker that holds where both do."""
        return Marker(
            f"{self.evidence} and {other.evidence}",
            self.conditions + other.conditions,
            self.decisive and other.decisive,
            self.copied or other.copied,
        )


def key(path: str, *, decisive: bool = True, copied: bool = False) -> Marker:
    """A member that is there and not null; its path is dotted, such as `usage.cost_details`.

    >>> key("acme_id").holds({"acme_id": "7"})
    True
    """
    return Marker(f"`{path}`", (Condition(_keys(path)),), decisive, copied)


def both(first: str, second: str, *, decisive: bool = True) -> Marker:
    """Two members that are there and not null.

    >>> both("provider", "choices.native_finish_reason").evidence
    '`provider` and `choices.native_finish_reason`'
    """
    return Marker(f"`{first}` and `{second}`", (Condition(_keys(first)), Condition(_keys(second))), decisive)


def lacks(path: str) -> Marker:
    """A member that is absent, null or empty: a condition on another marker, joined to it by `&`.

    >>> lacks("choices").holds({"choices": []})
    True
    """
    return Marker(f"no `{path}`", (Condition(_keys(path), absent=True),))


def equals(path: str, *values: Any, words: str = "", decisive: bool = True) -> Marker:
    """A member that has one of some values; `words` describe them where they are many.

    >>> equals("object", "acme.answer").holds({"object": "acme.answer"})
    True
    """
    words = words or " or ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in values)
    return Marker(f"`{path}` is {words}", (Condition(_keys(path), values=values),), decisive)


def pattern(path: str, prefix: str, regex: str, words: str, *, decisive: bool = True) -> Marker:
    """A text that starts with `prefix` and goes on as a regular expression says; `words` describe it.

    >>> pattern("id", "acme-", "[0-9]+", "`acme-` and digits").holds({"id": "acme-7"})
    True
    """
    whole = re.compile(re.escape(prefix) + f"(?:{regex})")
    return Marker(f"`{path}` is {words}", (Condition(_keys(path), pattern=whole, prefix=prefix),), decisive)


def _keys(path: str) -> Keys:
    return tuple(path.split("."))


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One response shape of one source.

    `wire` mirrors what the source writes, every key optional that may be absent; `adapt` makes a `Completion` of it
    and records in the findings what the model has no field for. `markers` tell the bodies of this variant:

    * where `wire` is `wire.Body`, they tell the source of a body in the OpenAI dialect;
    * where it is `wire.Failed`, they tell the source of an error body;
    * a Struct of its own makes a shape of its own: an object for which one of the markers holds.

    `finish_words` are the source's words for why an answer ended. `placeholders` are values that this source writes
    for "not known", by dotted path in the canonical model. `packages` are the Python packages of the source's SDKs:
    the class of an object from there says who wrote it. `streams` says whether the source also sends its bodies in
    chunks; `comments` are comment lines of its event streams. `about` is one line for people.

    >>> from normcompletion.sources import openrouter
    >>> [variant.name for variant in openrouter.VARIANTS]
    ['chat', 'text', 'error', 'nested']
    """

    source: str
    name: str
    wire: type[msgspec.Struct]
    adapt: Adapt
    markers: tuple[Marker, ...] = ()
    finish_words: Mapping[str, FinishReason] = msgspec.field(default_factory=lambda: FINISH_WORDS)
    placeholders: Mapping[str, Any] = types.MappingProxyType({})
    streams: bool = True
    comments: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ("snake", "camel")
    about: str = ""
