"""The payloads of the reliability tests: fixtures, JSON texts in every position, and mutants of fixtures."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from normcompletion import Chunk, Completion, EncryptedPayloadError, NormalizeError, SourceReportedError
from tests.conftest import FOUND, canonical
from tests.fuzz.mutations import mutant
from tests.fuzz.oracle import MAX_DEPTH, depth, parse
from tests.reliability.json_cases import CASES

SEED = 6
MUTANTS = 1_000
BODIES = (
    b'{"model":%s,"choices":[]}',
    b'{"vendor":%s,"choices":[]}',
    b'{"choices":[{"error":{"metadata":{"a":%s},"message":"m"},"index":0}]}',
    b'{"choices":[{"message":{"content":"c","tool_calls":[{"id":%s}]}}]}',
)


def payloads() -> dict[str, bytes]:
    """Every payload by its name; the same on every Python."""
    found = {pair.name: pair.raw for pair in FOUND}
    for case in CASES:
        found[f"json/alone/{case.name}"] = case.text
        for at, body in enumerate(BODIES):
            found[f"json/{at}/{case.name}"] = body.replace(b"%s", case.text)
    for index in range(MUTANTS):
        case = mutant(SEED, index)
        if depth(case.raw) <= MAX_DEPTH:  # how deep a value may nest where no tree is built is the decoder's affair
            found[f"mutant/{index}/{case.fixture}"] = case.raw
    return found


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

    try:
        tree = parse(raw.decode(), pairs)
        written = json.dumps(tree, ensure_ascii=False, allow_nan=False).encode()  # refuses half surrogate pairs
    except (ValueError, RecursionError):
        return None
    return tree if isinstance(tree, dict) and not repeated and written else None
