"""Which entries of a page are calls: what `Preset.is_call` is made of."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..errors import MalformedPayloadError, NormalizeError
from ..payload import parse
from .hints import looks_like_response
from .members import opened_value, text_inside
from .preset import Opened

_JSON = re.compile(rb'\s*(?:\{|\[\s*[\[{"\]]|"[\[{])')  # a list of words, such as `[INFO]`, begins a line of a log
_COMPLETIONS = re.compile(r"/completions/?(?:[?#]|$)")

IsCall = Callable[[Opened], bool]


def where(places: tuple[str, ...], *words: str) -> IsCall:
    """Entries that have one of some words at the first of some pointers that is there."""

    def is_call(opened: Opened) -> bool:
        return _first(opened, places) in words

    return is_call


def of_completions(urls: tuple[str, ...], methods: tuple[str, ...]) -> IsCall:
    """Exchanges with the address of completions, those before a browser's request apart, and whatever is a response."""

    def is_call(opened: Opened) -> bool:
        if _COMPLETIONS.search(str(_first(opened, urls))) is not None:
            return str(_first(opened, methods)).upper() != "OPTIONS"
        return body_is_response(opened)

    return is_call


def body_is_response(opened: Opened) -> bool:
    """Entries whose body is a response."""
    try:
        return opened.body is not None and looks_like_response(opened_value(opened.body, opened.at))
    except NormalizeError:
        return False


def body_is_json(opened: Opened) -> bool:
    """Entries whose body is an object or a list, also one that is written in a string."""
    return opened.body is not None and _JSON.match(text_inside(opened.body, opened.at)[0]) is not None


def refuse_leading_text(opened: Opened, messages: str) -> None:
    """Refuse a message with text before a response, which `messages`, an expression of jq, makes a line of."""
    if opened.body is None or body_is_json(opened):
        return
    text, _ = text_inside(opened.body, opened.at)
    if b"{" in text and b'"choices"' in text:
        raise MalformedPayloadError(
            f"text comes before the JSON of the message; run: jq -r '{messages}' LOG | "
            "normcompletion convert - --line-prefix '[^{]*'",
            code="leading_text",
            path=opened.at,
        )


def _first(opened: Opened, places: tuple[str, ...]) -> Any:
    raw = next((raw for place in places if (raw := opened.around.raw(place)) is not None), None)
    return None if raw is None else parse(raw)
