"""Where a response is inside a unit that is in no known envelope, as a pointer that `--body` takes."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import NormalizeError
from ..payload import looks_like_stream, parse
from ..pointer import pointer
from .encodings import is_one_event, opened_layers
from .spread import EACH, Path
from .wrappers import are_chunks

MAX_DEPTH = 12
_MAX_VALUES = 20_000  # of a unit that are looked at
_MAX_PLACES = 3  # that are named
_MAX_POINTER = 150
_CHOICE_KEYS = frozenset({"message", "delta", "finish_reason", "finishReason", "index"})

Patterns = Counter[Path]


def looks_like_response(value: Any, *, errors: bool = False) -> bool:
    """Whether a value is a response, a list of chunks, or the text of one; with `errors`, an error body counts too.

    A choice has a message, a delta, a finish word or an index: a quiz has choices, too.
    """
    if isinstance(value, str):
        return _is_stream(value) or ((tree := _tree(value)) is not None and looks_like_response(tree, errors=errors))
    if isinstance(value, list):
        return _are_events(value) or (bool(value) and are_chunks(value) and looks_like_response(value[0]))
    if not isinstance(value, dict):
        return False
    if errors and isinstance(error := value.get("error"), dict):
        return any(error.get(key) not in (None, "") for key in ("message", "code", "type"))
    choices = value.get("choices")
    if not isinstance(choices, list):
        return False
    if not choices:
        return any(value.get(key) for key in ("object", "usage", "model"))
    return any(isinstance(choice, dict) and not _CHOICE_KEYS.isdisjoint(choice) for choice in choices)


def _are_events(value: list[Any]) -> bool:
    """Whether a list holds the events of a stream as texts."""
    return any(isinstance(each, str) and _is_stream(each) for each in value[:2]) and all(
        isinstance(each, str) and is_one_event(each) for each in value
    )


def _is_stream(text: str) -> bool:
    return "choices" in text and looks_like_stream(text.encode("utf-8", "surrogatepass"))


def _tree(text: str) -> Any:
    """The JSON object or list in a string, also in base64 or gzip; or `None`."""
    try:
        inner = opened_layers(text.encode("utf-8", "surrogatepass"))
        return parse(inner) if inner.lstrip()[:1] in (b"{", b"[") else None
    except NormalizeError:
        return None


class _Search:
    """The places of responses in one unit, as patterns with `*`; looks at a bounded number of values."""

    def __init__(self, *, errors: bool) -> None:
        self._errors = errors
        self._left = _MAX_VALUES

    def patterns(self, value: Any, depth: int = MAX_DEPTH) -> Patterns:
        self._left -= 1
        if self._left < 0:
            return Patterns()
        if depth < MAX_DEPTH and looks_like_response(value, errors=self._errors):
            return Patterns({(): 1})
        if isinstance(value, str):
            value = _tree(value)
        if not depth or not isinstance(value, dict | list):
            return Patterns()
        by_rest: dict[Path, list[tuple[str, int]]] = {}
        for key, member in _containers(value):
            for rest, count in self.patterns(member, depth - 1).items():
                by_rest.setdefault(rest, []).append((key, count))
        found = Patterns()
        for rest, keys in _joined(by_rest).items():
            if len(keys) > 1 or (isinstance(value, list) and _is_each(value, rest)):
                found[EACH, *rest] = sum(count for _, count in keys)
            else:
                found[keys[0][0], *rest] = keys[0][1]
        return found


def _joined(by_rest: Mapping[Path, list[tuple[str, int]]]) -> Mapping[Path, list[tuple[str, int]]]:
    """The same with the paths that are cases of another one, with `*`, put to that."""
    joined: dict[Path, list[tuple[str, int]]] = {}
    for rest in sorted(by_rest, key=lambda rest: -rest.count(EACH)):
        wider = next((known for known in joined if _is_case(rest, known)), rest)
        joined.setdefault(wider, []).extend(by_rest[rest])
    return joined


def _is_case(path: Path, of: Path) -> bool:
    """Whether a path with the same last key is one of those that another one, with `*`, stands for."""
    is_alike = len(path) == len(of) > 1 and of[-1] != EACH
    return is_alike and all(each in (EACH, token) for token, each in zip(path, of, strict=True))


def _containers(value: Any) -> Iterator[tuple[str, Any]]:
    """The members of an object or a list that can hold a response."""
    members = value.items() if isinstance(value, dict) else enumerate(value)
    return ((str(key), member) for key, member in members if isinstance(member, dict | list | str) and member)


def _is_each(items: list[Any], rest: Path) -> bool:
    """Whether a response in one element of a list is said to be in each."""
    return len(items) == 1 or (bool(rest) and all(isinstance(item, dict) for item in items))


def advice(tree: Any, *, errors: bool = True, beside: frozenset[str] = frozenset(), at: Path = ()) -> str | None:
    """Where the responses inside a unit are, with what to give `--body`; `None` where there are none.

    Error bodies count where there is no response, and `errors`. `beside` are members of the unit that do not. `at` is
    the path to a member of a list of units.
    """
    if isinstance(tree, Mapping):
        tree = {key: value for key, value in tree.items() if key not in beside}
    what = "response"
    found = _Search(errors=False).patterns(tree)
    if not found and errors:
        what, found = "error body", _Search(errors=True).patterns(tree)
    ranked = [(pointer((*at, *path)), count) for path, count in found.most_common()]
    places = [(place, count) for place, count in ranked if len(place) <= _MAX_POINTER]
    if not places:
        return None
    if len(places) == 1:
        ((place, count),) = places
        plural = {"response": "responses", "error body": "error bodies"}[what]
        return (
            f"{f'a {what} is' if what == 'response' else f'an {what} is'} at {place}; give {option(place)}"
            if count == 1
            else f"{count} {plural} are at {place}; give {option(place)}"
        )
    shown = ", ".join(f"{place} ({count})" for place, count in places[:_MAX_PLACES])
    more = f" and {len(places) - _MAX_PLACES} more places" if len(places) > _MAX_PLACES else ""
    return f"responses are at {shown}{more}; give {option(places[0][0])}, or more of them with --body again"


def option(place: str) -> str:
    """`--body` with a pointer, as a shell takes it."""
    return f"--body {shlex.quote(place)}"
