"""What every export gives: a dictionary that knows what was left out of it, or an error that names what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from ..errors import NormalizeError
from ..extra import Extra
from ..model import Completion

ALWAYS_SET = ("/source", "/source_basis", "/variant")
"""Members that every completion has; `Exported.left_out` does not repeat them."""


class ExportError(NormalizeError):
    """A completion cannot be written in the form that was asked for.

    `code` says why: `missing_members` (the form requires members that the completion does not have; `missing` names
    them by JSON Pointer), `provider_error` (the service reported an error), `encrypted`, `unfinished` (the answer was
    cut off, filtered or ended for a reason that nobody knows), `no_answer` (there is no choice, or nothing in it) or
    `no_request` (no request was logged with the answer).

    >>> from normcompletion import normalize
    >>> from normcompletion.export import to_openai
    >>> try:
    ...     to_openai(normalize('{"choices": [{"message": {"content": "Hi"}}], "model": "tide-2", "created": 1}'))
    ... except ExportError as error:
    ...     print(error.code, error.missing)
    missing_members ('/id', '/choices/0/finish_reason', '/choices/0/index', '/choices/0/message/role')
    """

    code = "missing_members"
    missing: tuple[str, ...] = ()


class Exported(dict[str, Any]):
    """A dictionary ready for `json.dumps`, `orjson.dumps` or `msgspec.json.encode`.

    `left_out` has the JSON Pointers, into the completion, of what the form cannot hold; `source`, `source_basis` and
    `variant` are never held and not repeated. `filled` has the pointers, into this dictionary, of what the form
    requires and the completion does not say: what is there was invented because you asked for it with `fill=True`.

    >>> from normcompletion import normalize
    >>> from normcompletion.export import to_message
    >>> message = to_message(normalize('{"choices": [{"message": {"content": "4", "reasoning": "2 + 2"}}]}'))
    >>> message, message.left_out
    ({'role': 'assistant', 'content': '4'}, ['/choices/0/message/reasoning'])
    """

    def __init__(self, members: Mapping[str, Any], filled: Iterable[str] = (), left_out: Iterable[str] = ()) -> None:
        super().__init__(members)
        self.filled = list(filled)
        self.left_out = list(left_out)


class Requirements:
    """Notes, while a body is built, which required members a completion does not have."""

    def __init__(self) -> None:
        self.missing: list[str] = []

    def need(self, pointer: str, value: Any, substitute: Any) -> Any:
        """A value, or its substitute where there is none."""
        if value is not None:
            return value
        self.missing.append(pointer)
        return substitute

    def check(self, form: str, advice: str) -> None:
        """Raise `ExportError` where something is missing."""
        if self.missing:
            names = ", ".join(self.missing[:8]) + (", …" if len(self.missing) > 8 else "")
            error = ExportError(f"{form} requires {names}; {advice}", path=self.missing[0])
            error.missing = tuple(self.missing)
            raise error


def refuse_failed(completion: Completion) -> None:
    """Raise `ExportError` for a call that failed or whose body is encrypted: neither is an answer."""
    if completion.error is not None:
        text = "the call failed, so that there is no answer to write; look at `completion.error`"
        raise ExportError(text, code="provider_error", path="/error")
    if completion.variant == "confidential" and not completion.choices:
        raise ExportError("the body is encrypted; decrypt it first", code="encrypted")


def present(members: Mapping[str, Any]) -> dict[str, Any]:
    """Members that are not null."""
    return {name: value for name, value in members.items() if value is not None}


def plain(value: Any) -> Any:
    """A Struct, or anything made of them, as plain values without nulls."""
    if isinstance(value, msgspec.Struct):
        return {name: plain(item) for name in value.__struct_fields__ if (item := getattr(value, name)) is not None}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return dict(value) if isinstance(value, Extra) else value


def left_out(completion: Completion, table: Mapping[str, str]) -> list[str]:
    """The pointers of a table (`*` for the places of a list) at which a completion has a value."""
    found: list[str] = []
    for pattern in table:
        if pattern not in ALWAYS_SET:
            found += _matching(completion, pattern.split("/")[1:], "")
    return found


def _matching(value: Any, tokens: list[str], path: str) -> Iterator[str]:
    if value is None:
        return
    if not tokens:
        if not isinstance(value, list | dict | Extra) or value:
            yield path
        return
    first, *rest = tokens
    if first == "*":
        for place, item in enumerate(value):
            yield from _matching(item, rest, f"{path}/{place}")
    else:
        yield from _matching(getattr(value, first, None), rest, f"{path}/{first}")
