"""JSON taken apart without being parsed: the members of an object or a list, each as it is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import MalformedPayloadError, NormalizeError
from ..payload import BLANKS, REFUSALS, guarded, parse

Members = Mapping[str, msgspec.Raw | bytes]

_decode_members = guarded(msgspec.json.Decoder(dict[str, msgspec.Raw]).decode)
_decode_items = guarded(msgspec.json.Decoder(list[msgspec.Raw]).decode)


def members_of(raw: bytes) -> dict[str, msgspec.Raw] | None:
    """The members of an object, each as it is written; `None` for anything else."""
    if not raw.lstrip(BLANKS).startswith(b"{"):
        return None
    try:
        return _decode_members(raw)
    except REFUSALS:
        return None


def items_of(raw: bytes) -> list[msgspec.Raw] | None:
    """The elements of a list, each as it is written; `None` for anything else."""
    if not raw.lstrip(BLANKS).startswith(b"["):
        return None
    try:
        return _decode_items(raw)
    except REFUSALS:
        return None


def checked(text: bytes) -> bytes:
    """A text whose every byte is UTF-8, also in the values that nobody reads. Raises `MalformedPayloadError`."""
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            parse(text)
    return text


def refuse_malformed(raw: bytes, at: str) -> None:
    """Raise `MalformedPayloadError` for what is not JSON."""
    try:
        parse(raw)
    except MalformedPayloadError as error:
        error.path = at or None
        raise


def text_inside(raw: bytes, at: str) -> tuple[bytes, bool]:
    """The text in a JSON string and true, or the JSON itself and false. Raises `MalformedPayloadError`."""
    if not raw.startswith(b'"'):
        return raw, False
    try:
        return parse(raw).encode("utf-8", "surrogatepass"), True
    except MalformedPayloadError as error:
        error.path = at
        raise


def opened_value(raw: bytes, at: str) -> Any:
    """A value that is JSON or JSON in a string; a string that holds none stays one."""
    value = parse(raw, depth=at.count("/"))
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return parse(value.encode("utf-8", "surrogatepass"), depth=at.count("/"))
        except NormalizeError:
            return value
    return value


def found(tree: Any, tokens: list[str]) -> Any:
    """The value at a pointer, through JSON in strings; `None` where there is none."""
    for token in tokens:
        if isinstance(tree, str):
            try:
                tree = parse(tree.encode("utf-8", "surrogatepass"))
            except NormalizeError:
                return None
        if isinstance(tree, dict):
            tree = tree.get(token)
        elif isinstance(tree, list) and token.isdecimal() and int(token) < len(tree):
            tree = tree[int(token)]
        else:
            return None
    return tree
