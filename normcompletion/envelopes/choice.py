"""Which envelope a unit is in, by its keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..api import default_engine
from ..dialect.failures import form_of
from ..errors import AmbiguousPayloadError, NormalizeError, UnknownPayloadError
from ..model import Completion
from ..payload import parse
from . import extended
from .members import Members, items_of, members_of
from .preset import Fragment, Preset
from .registry import named, named_list
from .spread import EACH, path_of

# Keys by which the core reads, wraps or takes a unit, or by whose values a fragment is detected. Without one of them,
# the keys of a unit alone say what it is.
CORE_KEYS = frozenset(
    {
        "choices",
        "ciphertext",
        "completion",
        "completions",
        "data",
        "failureKind",
        "failure_kind",
        "httpMeta",
        "kind",
        "log",
        "object",
        "orig_qualname",
        "organizationId",
        "organization_id",
        "provider",
        "tagResolved",
        "value",
    }
)


def choice_of(raw: bytes, at: str = "", unit: Members | None = None) -> Preset | Fragment | None:
    """The one envelope that a unit's keys name; raises `AmbiguousPayloadError` where they name more."""
    items = None if unit is not None else items_of(raw)
    if items is not None:
        return named_list([bytes(item) for item in items])
    unit = members_of(raw) if unit is None else unit
    candidates = [] if unit is None else named(unit)
    if not candidates:
        return None
    names = [candidate.name for candidate in candidates]
    first = candidates[0]
    if isinstance(first, Preset):
        tree = parse(raw)
        for key in first.shared:
            tree.pop(key, None)
        if is_native(tree):
            names.insert(0, "log10")
    if len(names) > 1:
        error = AmbiguousPayloadError(
            f"the keys of {' and '.join(names)} are there; name one with --envelope, or the body with --body",
            code="ambiguous_envelope",
            path=at or None,
        )
        error.candidates = tuple(names)
        raise error
    return first


def rows_are_units(names: list[str]) -> bool:
    """Whether the rows of a table with these columns are envelopes or responses that are known by their keys."""
    row = dict.fromkeys(names, msgspec.Raw(b"{}"))
    return "choices" in row or bool(named(row)) or is_native(dict.fromkeys(names, True))


def is_native(tree: Mapping[str, Any]) -> bool:
    """Whether a source knows an object as its own envelope."""
    engine = default_engine()
    return any(marker.holds(tree) for variant in engine.registry.shapes for marker in variant.markers) or (
        form_of(tree) is not None and engine.error_detector.of_tree(tree) is not None
    )


def can_be(preset: Preset, raw: bytes, items: list[Any] | None) -> bool:
    """Whether a unit can be in an envelope that was named."""
    if preset.match_list is not None:
        return items is not None and len(items) > 1
    unit = members_of(raw)
    parts = (place for places in preset.error_parts.values() for place in places)
    heads = {path[0] for path in (*preset.paths, *map(path_of, (*preset.error, *parts)))}
    return unit is not None and (EACH in heads or not heads.isdisjoint(unit))


def is_extended(result: Completion | NormalizeError, text: bytes) -> bool:
    """Whether a completion has repairs for numbers that MongoDB wrote as objects."""
    return isinstance(result, Completion) and bool(result.notes) and extended.MARK in text


def is_failed_call(completion: Completion, text: bytes) -> bool:
    """Whether a unit without an answer is a failed call and nothing else: no envelope, no response at another place."""
    try:
        return not completion.choices and b"choices" not in text and choice_of(text) is None
    except AmbiguousPayloadError:
        return False


REDACTED = "redacted-by-litellm"
"""What LiteLLM writes in place of a text: redact_messages.py, `turn_off_message_logging`."""


def is_doubtful(completion: Completion) -> bool:
    """Whether what the core reads as a response may be none: a question with its choices, or what a logger removed."""
    if completion.variant == "text":
        return may_be_quiz(completion) or is_redacted(completion)
    message = completion.choices[0].message if completion.choices else None
    return message is not None and message.content == REDACTED and is_redacted(completion)


def is_redacted(completion: Completion) -> bool:
    """Whether LiteLLM's mark is in place of the text of every choice."""
    return bool(completion.choices) and all(
        choice.message is not None and choice.message.content == REDACTED for choice in completion.choices
    )


def refuse_redacted(completion: Completion, at: str = "") -> None:
    """Raise `UnknownPayloadError` where every text was removed."""
    if is_redacted(completion):
        raise UnknownPayloadError(
            "LiteLLM removed the response from its log; turn off turn_off_message_logging",
            code="redacted",
            path=at or None,
        )


def may_be_quiz(completion: Completion) -> bool:
    """Whether the choices of a completion may be those of a question: texts without index and finish word."""
    return (
        completion.variant == "text"
        and bool(completion.choices)
        and all(choice.index is None and choice.finish_reason is None for choice in completion.choices)
    )
