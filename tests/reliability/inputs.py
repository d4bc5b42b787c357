"""The payloads of the reliability tests: fixtures, JSON texts in every position, and seeded damage to fixtures."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, NamedTuple

from normcompletion import Chunk, Completion, EncryptedPayloadError, NormalizeError, SourceReportedError
from tests.conftest import FOUND, canonical
from tests.reliability.json_cases import CASES

SEED = 6
BODIES = (
    b'{"model":%s,"choices":[]}',
    b'{"vendor":%s,"choices":[]}',
    b'{"choices":[{"error":{"metadata":{"a":%s},"message":"m"},"index":0}]}',
    b'{"choices":[{"message":{"content":"c","tool_calls":[{"id":%s}]}}]}',
)
_SCALARS = [b"null", b"true", b"-1", b"0.5", b"1e999", b"9223372036854775808", b'"text"', b'"\\ud83d"', b"[]", b"{}"]
_MARKS = b'{}[]":,\\'


def payloads() -> dict[str, bytes]:
    """Every payload by its name; the same on every Python."""
    found = {pair.name: pair.raw for pair in FOUND}
    for case in CASES:
        found[f"json/alone/{case.name}"] = case.text
        for at, body in enumerate(BODIES):
            found[f"json/{at}/{case.name}"] = body.replace(b"%s", case.text)
    for pair in FOUND:
        for at in range(4):
            found[f"damaged/{at}/{pair.name}"] = damaged(pair.raw, random.Random(f"{SEED} {at} {pair.name}"))
    return found


def damaged(raw: bytes, chance: random.Random) -> bytes:
    """A payload with one to three faults in it: cut, a byte changed, a piece doubled, a value replaced."""
    text = bytearray(raw)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(text) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            del text[at:]
        elif kind == 1 and at < len(text):
            text[at] = chance.choice((chance.randrange(256), chance.choice(_MARKS)))
        elif kind == 2:
            text[at:at] = text[at : at + chance.randrange(60)]
        elif kind == 3:
            del text[at : at + chance.randrange(60)]
        else:
            colon = text.find(b":", at)
            end = min((place for mark in b",}]" if (place := text.find(mark, colon)) >= 0), default=-1)
            if colon >= 0 and end >= 0:
                text[colon + 1 : end] = chance.choice(_SCALARS)
    return bytes(text)


class Fate(NamedTuple):
    """What became of a payload: the class, code, path and offset of the error, and the completion."""

    error: NormalizeError | None
    completion: Completion | Chunk | None

    def text(self) -> str:
        """The whole outcome but the offset, equal where and only where two outcomes are."""
        error = self.error
        head = [None] if error is None else [type(error).__name__, error.code, error.path]
        return json.dumps([*head, canonical(self.completion)])

    @property
    def offset(self) -> int | None:
        """The byte offset of an error."""
        return None if self.error is None else self.error.offset


def fate(call: Callable[[], Completion | Chunk]) -> Fate:
    """What a call gives; anything but a completion, a chunk or an error of ours goes through."""
    try:
        return Fate(None, call())
    except (SourceReportedError, EncryptedPayloadError) as error:
        return Fate(error, error.completion)
    except NormalizeError as error:
        return Fate(error, None)


def as_mapping(raw: bytes) -> dict[str, Any] | None:
    """A payload as the mapping that says exactly the same, `None` where no mapping does."""
    repeated = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(items)
        if len(built) < len(items):
            repeated.append(items)
        return built

    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        tree = json.loads(raw.decode(), object_pairs_hook=pairs, parse_constant=refuse)
        written = json.dumps(tree, ensure_ascii=False, allow_nan=False).encode()  # refuses half surrogate pairs
    except (ValueError, RecursionError):
        return None
    return tree if isinstance(tree, dict) and not repeated and written else None
