"""A unit to its bodies: what is at some pointers, and for each of them what is around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from ..errors import MalformedPayloadError, NormalizeError, excerpt
from ..pointer import escape, pointer, unescape
from .members import items_of, members_of, refuse_malformed, text_inside

EACH = "*"
"""The token of a pointer that stands for each element of a list, or each member of an object that can hold a body."""

Path = tuple[str, ...]


def path_of(place: str) -> Path:
    """The tokens of a JSON Pointer. Raises `ValueError`."""
    if not place:
        return ()
    if not place.startswith("/"):
        raise ValueError(f"{excerpt(place)!r} is not a JSON Pointer; one begins with a slash, such as /response/body")
    return tuple(unescape(token) for token in place[1:].split("/"))


class Place(NamedTuple):
    """Where a body is, or should be.

    `at` is its pointer, `body` its JSON as it is written (`None` where there is none, or null), `around` every value
    beside its way, by pointer, `each` what `*` stood for. `error` says why the way to it cannot be followed.
    """

    at: str
    body: bytes | None
    around: dict[str, bytes]
    each: tuple[str, ...] = ()
    error: NormalizeError | None = None


def spread(
    raw: bytes, paths: list[Path], at: str = "", around: dict[str, bytes] | None = None, each: tuple[str, ...] = ()
) -> Iterator[Place]:
    """The places of the bodies at some paths, in the order of the unit; one without a body where there are none.

    Of two paths the longer one counts where both lead somewhere. A list at `*` without elements gives none at all.
    """
    around = around or {}
    longer = [path for path in paths if path]
    here = Place(at, None if raw == b"null" else raw, around, each)
    if not longer:
        yield here
        return
    try:
        members = _opened(raw, at)
    except MalformedPayloadError as error:
        yield here if len(longer) < len(paths) else here._replace(body=None, error=error.with_traceback(None))
        return
    branches = _branches(members, longer)
    if branches:
        beside = {f"{at}/{escape(key)}": bytes(value) for key, value in members.items() if key not in branches}
        for key, (is_each, rests) in branches.items():
            known = (*each, key) if is_each else each
            yield from spread(bytes(members[key]), rests, f"{at}/{escape(key)}", {**around, **beside}, known)
    elif len(longer) < len(paths):
        yield here
    elif members or longer[0][0] != EACH:
        beside = {f"{at}/{escape(key)}": bytes(value) for key, value in members.items()} or {at: raw}
        yield Place(f"{at}{pointer(longer[0])}", None, {**around, **beside}, each)


def _branches(members: dict[str, Any], paths: list[Path]) -> dict[str, tuple[bool, list[Path]]]:
    """The members on some paths, each with what is left of them, and whether `*` led there."""
    branches: dict[str, tuple[bool, list[Path]]] = {}
    for head, *rest in paths:
        if head != EACH or head in members:
            keys = [head] if head in members else []
        elif isinstance(members, _Items):
            keys = list(members)
        else:
            keys = [key for key, value in members.items() if _leads_on(bytes(value), rest)]
        for key in keys:
            branches.setdefault(key, (head == EACH, []))[1].append(tuple(rest))
    order = list(members)
    return dict(sorted(branches.items(), key=lambda item: order.index(item[0]))) if len(branches) > 1 else branches


def _leads_on(raw: bytes, rest: list[str]) -> bool:
    """Whether a member of an object can hold a body at the rest of a path."""
    if not rest:
        return raw.startswith((b"{", b"[", b'"{', b'"[', b'"data:'))
    try:
        members = _opened(raw, "")
    except MalformedPayloadError:
        return False
    return rest[0] in members or (rest[0] == EACH and bool(members))


class _Items(dict[str, msgspec.Raw]):
    """The elements of a list by their place."""


def _opened(raw: bytes, at: str) -> dict[str, msgspec.Raw]:
    """The members of an object or a list, also of one that is written in a string; none for anything else.

    Raises `MalformedPayloadError` for what is not JSON.
    """
    text = text_inside(raw, at)[0]
    members = members_of(text)
    if members is not None:
        return members
    items = items_of(text)
    if items is not None:
        return _Items((str(place), item) for place, item in enumerate(items))
    refuse_malformed(text, at)
    return {}
