"""All roads lead to one completion: the typed and the salvage road, bytes and objects, fresh and practised readers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import pytest

from normcompletion import Completion, normalize, normalize_chunk
from normcompletion.ledger import Ledger
from normcompletion.parse import parse
from normcompletion.stream_chunks import ChunkReader, as_chunk
from tests.conftest import (
    CHUNKS,
    CORPUS,
    PAIRS,
    WHOLE,
    Outcome,
    Pair,
    canonical,
    fresh_reader,
    outcome,
    read_outcome,
    recorded,
)

needs_corpus = pytest.mark.skipif(CORPUS is None, reason="the recorded bodies are not here")
Read = Callable[[bytes], Outcome]
JSON_OBJECTS = [pair for pair in WHOLE if isinstance(pair.tree, dict)]


def name(pair: Pair) -> str:
    return pair.name


SALVAGER = fresh_reader()  # `from_tree` without the text learns nothing, so one is as fresh as another


def salvage(raw: bytes) -> Completion:
    """What the salvage road alone makes of a payload, and of every response inside it."""

    def read(inner: bytes, ledger: Ledger) -> Completion:
        return SALVAGER.from_tree(parse(inner), ledger)

    return read(raw, Ledger(read=read))


def disagreements(bodies: Iterable[tuple[str, bytes]], one: Read, other: Read) -> list[str]:
    """The names of the bodies that two ways of reading read differently."""
    found = []
    for name, raw in bodies:
        here, there = one(raw), other(raw)
        if told(here) != told(there):
            found.append(name)
    return found


def told(found: Outcome) -> tuple[object, ...]:
    """An outcome in values that compare: the class of error, its code and path, and the completion as text."""
    return found.error, found.refusal, canonical(found.completion)


@pytest.mark.parametrize("pair", JSON_OBJECTS, ids=name)
def test_the_salvage_road_agrees_with_normalize(pair: Pair) -> None:
    """`normalize` and the salvage road alone give the same completion, or the same error, code and path."""
    fast, slow = outcome(lambda: normalize(pair.raw)), read_outcome(lambda: salvage(pair.raw))
    assert told(fast) == told(slow)


@pytest.mark.parametrize("pair", CHUNKS, ids=name)
def test_the_salvage_road_agrees_with_normalize_chunk(pair: Pair) -> None:
    """`normalize_chunk`, of bytes and of a mapping, and the salvage road alone give the same chunk."""
    reader = ChunkReader(fresh_reader())
    slow = as_chunk(reader.from_tree(pair.tree, Ledger(read=reader.whole)))
    if slow.error is not None and slow.extra.get("/object") == "chat.completion.chunk":
        del slow.extra["/object"]  # as `ChunkReader.chunk` does it on either road
    assert canonical(normalize_chunk(pair.raw)) == canonical(slow)
    assert canonical(normalize_chunk(pair.tree)) == canonical(slow)


@needs_corpus
def test_the_salvage_road_agrees_with_normalize_on_recorded_bodies() -> None:
    """Over all recorded chat and text bodies, both roads give the same completion, or the same error, code and path."""
    found = disagreements(
        recorded("chat", "text", "log_record", "error"),
        lambda raw: outcome(lambda: normalize(raw)),
        lambda raw: read_outcome(lambda: salvage(raw)),
    )
    assert found == []


@pytest.mark.parametrize("pair", JSON_OBJECTS, ids=name)
def test_a_mapping_gives_what_its_bytes_give(pair: Pair) -> None:
    """`normalize(mapping)` equals `normalize(bytes)` for every payload that a mapping can hold."""
    if pair.name.endswith("/surrogate_half"):  # JSON text can say it, a mapping with it cannot be written
        assert outcome(lambda: normalize(pair.tree)).error == "MalformedPayloadError"
        return
    from_bytes, from_mapping = outcome(lambda: normalize(pair.raw)), outcome(lambda: normalize(pair.tree))
    if from_bytes.error == "MalformedPayloadError":  # NaN in a text is a fault of syntax; in a mapping it has a path
        from_bytes, from_mapping = from_bytes._replace(refusal=None), from_mapping._replace(refusal=None)
    assert told(from_bytes) == told(from_mapping)


@needs_corpus
def test_a_recorded_mapping_gives_what_its_bytes_give() -> None:
    """`normalize(mapping)` equals `normalize(bytes)` for all recorded chat and text bodies."""
    found = disagreements(
        recorded("chat", "text"),
        lambda raw: outcome(lambda: normalize(raw)),
        lambda raw: outcome(lambda: normalize(json.loads(raw))),
    )
    assert found == []


@pytest.mark.parametrize("pair", PAIRS, ids=name)
def test_text_and_buffers_give_what_bytes_give(pair: Pair) -> None:
    """bytearray, memoryview and, where the bytes are UTF-8, str are read as the bytes are."""
    expected = outcome(lambda: normalize(pair.raw))
    inputs: list[object] = [bytearray(pair.raw), memoryview(pair.raw)]
    try:
        inputs.append(pair.raw.decode())
    except UnicodeDecodeError:
        assert expected.error == "MalformedPayloadError" or pair.is_stream  # a stream may be cut inside a character
    for payload in inputs:
        got = outcome(lambda payload=payload: normalize(payload))  # type: ignore[misc]
        assert told(got) == told(expected)


def test_learned_shapes_read_what_a_fresh_reader_reads() -> None:
    """A reader that met every fixture three times reads each as a reader that met none, and it did learn shapes."""
    practised = fresh_reader()
    for pair in JSON_OBJECTS:
        for _ in range(3):
            read_outcome(lambda pair=pair: practised.read(pair.raw, Ledger(read=practised.read)))  # type: ignore[misc]
    assert practised.wide_shapes > 0

    def read_practised(raw: bytes) -> Outcome:
        return read_outcome(lambda: practised.read(raw, Ledger(read=practised.read)))

    def read_fresh(raw: bytes) -> Outcome:
        reader = fresh_reader()
        return read_outcome(lambda: reader.read(raw, Ledger(read=reader.read)))

    assert disagreements([(pair.name, pair.raw) for pair in JSON_OBJECTS], read_practised, read_fresh) == []


@needs_corpus
def test_learned_shapes_read_recorded_bodies_as_the_salvage_road_does() -> None:
    """At the second pass over the recorded bodies, with shapes learned at the first, nothing reads differently."""
    practised = fresh_reader()
    bodies = list(recorded("chat", "text"))

    def read(raw: bytes) -> Outcome:
        return read_outcome(lambda: practised.read(raw, Ledger(read=practised.read)))

    for _, raw in bodies:
        read(raw)
    assert practised.wide_shapes > 0
    assert disagreements(bodies, read, lambda raw: read_outcome(lambda: salvage(raw))) == []
