"""What may be accepted, by the standard library alone: RFC 8259, and the two limits that the package adds to it.

Strict UTF-8, no NaN; a key may stand twice, and half a surrogate pair may stand as an escape: both are grammar. A
byte-order mark at byte 0 and a `data: [DONE]` at the end are no part of the text. The limits are 128 nested containers
and numbers that a 64-bit float can hold; integers are exact up to the 4,300 digits that Python reads.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

MAX_DEPTH = 128
MAX_DIGITS = 4300
BLANKS = b" \t\r\n"

# A string without an end takes the rest, or a text with many quotes in one would be looked through from each of them.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


class Verdict(NamedTuple):
    """What a text is; `reason` says why it may not be accepted."""

    kind: Literal["object", "list", "string", "scalar", "invalid"]
    reason: str = ""


def classify(raw: bytes) -> Verdict:
    """Whether a text is JSON within the limits, and of which kind."""
    try:
        text = raw.decode("utf-8", "strict")
    except UnicodeDecodeError:
        return Verdict("invalid", "not_utf8")
    text = text.removeprefix("\ufeff")
    end = text.rstrip(" \t\r\n")
    if end.endswith(("data: [DONE]", "data:[DONE]")) and not end.startswith("data"):
        text = end[: end.rindex("data")]
    if depth(raw) > MAX_DEPTH:
        return Verdict("invalid", "too_deep")
    try:
        tree = parse(text)
    except _NumberRangeError:
        return Verdict("invalid", "number_range")
    except ValueError:
        return Verdict("invalid", "syntax")
    if isinstance(tree, dict):
        return Verdict("object")
    if isinstance(tree, list):
        return Verdict("list")
    return Verdict("string" if isinstance(tree, str) else "scalar")


def parse(text: str, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The value of a text; raises `ValueError` where it is no JSON or has a number beyond the limits.

    `pairs` makes the value of an object, as `object_pairs_hook` of `json.loads` does.
    """
    return json.loads(
        text, parse_constant=_no_constant, parse_float=_finite, parse_int=_integer, object_pairs_hook=pairs
    )


def depth(raw: bytes) -> int:
    """How deep containers nest, counted outside strings."""
    level = deepest = 0
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return 0
    for found in _STRING_OR_BRACKET.finditer(raw):
        bracket = found[0]
        if bracket in (b"[", b"{"):
            level += 1
            deepest = max(level, deepest)
        elif bracket in (b"]", b"}"):
            level -= 1
    return deepest


def classify_events(events: Sequence[bytes], *, may_be_cut: bool) -> str:
    """Why a stream may not be accepted; empty where it may.

    The data of each event must be JSON, unless it does not start like an object, a list or a string: that is a
    sentence, and kept as text. The last one may be cut off where the completion says so.
    """
    used = [event.strip(BLANKS) for event in events]
    used = [event for event in used if event and event != b"[DONE]" and not event.startswith(b":")]
    for place, event in enumerate(used):
        if not event.startswith((b"{", b"[", b'"')) or (may_be_cut and place == len(used) - 1):
            continue
        verdict = classify(event)
        if verdict.kind == "invalid":
            return verdict.reason
    return ""


class _NumberRangeError(ValueError):
    """A number beyond the limits."""


def _no_constant(word: str) -> None:
    raise ValueError(word)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _NumberRangeError(digits)
    return number


def _integer(digits: str) -> int:
    if len(digits.removeprefix("-")) > MAX_DIGITS:
        raise _NumberRangeError(digits[:20])
    return int(digits)
