"""Every leaf of every payload is in a field, in `extra` or in a note; the accounting here is not the library's.

A leaf is a number, a boolean or a non-empty string. What stands in `extra` must be the value at its pointer; numbers
and booleans in fields are matched one to one, so that a count that was dropped is not hidden by an equal one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from normcompletion import Chunk, Completion, normalize, normalize_chunk
from normcompletion.testing.camelcase import in_camel_case
from tests.conftest import CHUNKS, WHOLE, Pair, for_each, invented, outcome, recorded, resolve, without_nulls

# The one word that a variant implies: a `chat` completion says so by being one.
IMPLIED = {
    "chat": "chat.completion",
    "text": "text_completion",
    "chunk": "chat.completion.chunk",
    "text_chunk": "text_completion",
    "error": "chat.completion.chunk",  # an error that is in a chunk
}
COMPLETIONS = [pair for pair in WHOLE if pair.expected is not None]


def leaves(tree: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, pointer + "/" + key.replace("~", "~0").replace("/", "~1"))
    elif isinstance(tree, list):
        for place, value in enumerate(tree):
            yield from leaves(value, f"{pointer}/{place}")
    elif tree is not None and tree != "":
        yield pointer, tree


def kind(value: Any) -> tuple[str, Any]:
    if isinstance(value, str):
        return "text", value
    return ("flag", value) if isinstance(value, bool) else ("number", value)


def above(pointer: str) -> Iterator[str]:
    """A pointer and all pointers above it, the root left out."""
    while pointer:
        yield pointer
        pointer = pointer.rpartition("/")[0]


def lost(tree: Any, completion: Completion | Chunk) -> list[str]:
    """The pointers of the leaves that are nowhere in a completion."""
    fields = json.loads(completion.to_json())
    extra, notes = fields.pop("extra"), fields.pop("notes")
    noted = {note["path"]: note["before"] for note in notes}
    texts = {value for _, value in leaves(fields) if isinstance(value, str)}
    numbers = Counter(kind(value) for _, value in leaves(fields) if not isinstance(value, str))
    missing = []
    waiting = list(leaves(tree))
    while waiting:
        pointer, value = waiting.pop()
        if any(place in extra or place in noted for place in above(pointer)):
            continue
        if isinstance(value, str):
            if value in texts or (pointer.endswith("/object") and value == IMPLIED.get(completion.variant)):
                continue
            try:
                inner = json.loads(value)
            except ValueError:
                inner = None
            if isinstance(inner, dict | list):  # JSON in text that was read: its leaves take its place
                waiting.extend(leaves(inner, pointer))
                continue
        elif numbers[kind(value)] > 0:
            numbers[kind(value)] -= 1
            continue
        missing.append(pointer)
    return missing


def changed(tree: Any, completion: Completion | Chunk) -> list[str]:
    """The pointers in `extra` and `notes` that do not lead into the payload, or to another value."""
    found = []
    # These say what a chunk is and where something was, not a value.
    notes = (note for note in completion.notes if note.code not in ("cumulative_delta", "usage_elsewhere"))
    entries = [*completion.extra.items(), *((note.path, note.before) for note in notes)]
    for pointer, value in entries:
        try:
            there = resolve(tree, pointer)
        except (KeyError, IndexError, TypeError, ValueError):
            found.append(pointer)
            continue
        if isinstance(there, str) and not isinstance(value, str):
            there = json.loads(there)
        same = json.dumps(without_nulls(there), sort_keys=True) == json.dumps(without_nulls(value), sort_keys=True)
        if not same and not (isinstance(there, str) and _has_half_pairs(there)):
            found.append(pointer)
    return found


def _has_half_pairs(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


@for_each(COMPLETIONS)
def test_no_leaf_of_a_fixture_is_lost_or_moved(pair: Pair) -> None:
    """Every leaf of the payload is in a field, in `extra` or in a note, and the pointers of both lead to its values."""
    completion = outcome(lambda: normalize(pair.raw)).completion
    assert (lost(pair.tree, completion), changed(pair.tree, completion)) == ([], [])


@for_each(COMPLETIONS)
def test_the_same_holds_in_camel_case(pair: Pair) -> None:
    """Nothing is lost or moved when the payload is spelled in camelCase."""
    tree, _ = in_camel_case(pair.tree)
    completion = outcome(lambda: normalize(json.dumps(tree).encode())).completion
    assert completion is not None
    assert (lost(tree, completion), changed(tree, completion)) == ([], [])


@for_each(CHUNKS)
def test_the_same_holds_for_a_chunk_in_either_spelling(pair: Pair) -> None:
    """Every leaf of a chunk is in a field, in `extra` or in a note, and every pointer leads to its value."""
    for tree in (pair.tree, in_camel_case(pair.tree)[0]):
        chunk = normalize_chunk(json.dumps(tree).encode())
        assert (lost(tree, chunk), changed(tree, chunk)) == ([], [])


def misplaced(bodies: Iterable[tuple[str, bytes]]) -> list[str]:
    """The names of the bodies of which a leaf is lost, or is in `extra` under a pointer that leads elsewhere."""
    found = []
    for identity, raw in bodies:
        completion = outcome(lambda raw=raw: normalize(raw)).completion  # type: ignore[misc]
        if completion is not None:
            tree = json.loads(raw)
            if lost(tree, completion) or changed(tree, completion):
                found.append(identity)
    return found


def test_no_leaf_of_an_invented_body_is_lost_or_moved() -> None:
    """Every leaf of the invented bodies is accounted for, and every pointer leads to its value."""
    assert misplaced(invented()) == []


@pytest.mark.corpus
def test_no_leaf_of_a_recorded_body_is_lost_or_moved(corpus: Path) -> None:
    """Every leaf of every recorded body is accounted for, and every pointer leads to its value."""
    assert misplaced(recorded(corpus, "chat", "text", "error", "log_record")) == []


def test_the_accounting_finds_what_is_missing() -> None:
    """A value taken out of a completion, or changed in `extra`, is found."""
    tree = {"choices": [{"index": 0, "message": {"content": "a"}}], "x": 5, "usage": {"prompt_tokens": 5}}
    whole = normalize(tree)
    assert (lost(tree, whole), changed(tree, whole)) == ([], [])
    whole.extra = {"/x": 6}
    assert changed(tree, whole) == ["/x"]
    whole.extra = {}
    assert len(lost(tree, whole)) == 1  # the usage count matches one of the two fives, not both
    whole.choices[0].message.content = None
    assert "/choices/0/message/content" in lost(tree, whole)
