"""What a variant must be before it is registered: a plugin's mistake is refused at once, with what to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from ..dialect import wire
from ..dialect.variant import Marker, Variant
from ..model import Completion, FinishReason


def check(variant: object) -> None:
    """Raise `TypeError` or `ValueError` for a variant that cannot be used.

    >>> check(Variant(source="acme", name="answer", wire=wire.Groq, adapt=print))
    Traceback (most recent call last):
    ValueError: acme/answer has no markers, so that nothing is ever read as one; give it some, such as key("acme_id")
    """
    if not isinstance(variant, Variant):
        raise TypeError(f"VARIANTS holds {type(variant).__name__} objects; it must be a tuple of Variant(…)")
    name = f"{variant.source}/{variant.name}"
    if not (isinstance(variant.wire, type) and issubclass(variant.wire, msgspec.Struct)):
        raise TypeError(f"the wire of {name} is not a subclass of msgspec.Struct; declare one")
    if not isinstance(variant.markers, tuple) or not all(isinstance(marker, Marker) for marker in variant.markers):
        raise TypeError(f'the markers of {name} are not a tuple of markers; write markers=(key("acme_id"),)')
    for problem in _problems(variant):
        raise ValueError(f"{name} {problem}")


def _problems(variant: Variant) -> Iterator[str]:
    """What is wrong with a variant whose members have the right types."""
    is_shape = variant.wire not in (wire.Body, wire.Failed)
    if is_shape and not variant.markers:
        yield 'has no markers, so that nothing is ever read as one; give it some, such as key("acme_id")'
    declared = {item.encode_name for item in wire.fields_of(variant.wire)}
    for marker in variant.markers:
        has = f"has the marker {marker.evidence}, "
        present = [condition for condition in marker.conditions if not condition.absent]
        if not present:
            yield f"{has}which names only what is absent; join it with & to a key that is there"
        if is_shape and (unknown := {condition.path[0] for condition in present} - declared):
            yield f"{has}and {variant.wire.__name__} does not declare {', '.join(sorted(unknown))}; declare it there"
        for condition in marker.conditions:
            if not all(key.isidentifier() or key == "*" for key in condition.path):
                yield f"{has}whose path is not of names with dots between them; choose another key"
            if not all(isinstance(value, str | int | float) for value in condition.values):
                yield f"{has}which compares with something else than a text, a number or a flag; use those"
    for path in variant.placeholders:
        if not _is_field(path):
            yield f"has a placeholder at {path}, which `Completion` does not have; give the dotted path of a field"
    known = get_args(FinishReason)
    for word, reason in variant.finish_words.items():
        if reason not in known:
            yield f"reads the finish word {word!r} as {reason!r}; use one of {', '.join(known)}"


def _is_field(path: str) -> bool:
    """Whether a dotted path leads to a field of `Completion`."""
    kind: Any = Completion
    for name in path.split("."):
        structs = [
            each for each in (kind, *get_args(kind)) if isinstance(each, type) and issubclass(each, msgspec.Struct)
        ]
        kinds = {item.name: item.type for struct in structs for item in wire.fields_of(struct)}
        if name not in kinds:
            return False
        kind = kinds[name]
    return True
