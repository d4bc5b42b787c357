"""Every path gives the same completion: canonical, typed and lenient decode, bytes and objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from normcompletion import Completion, normalize, normalize_chunk
from normcompletion.findings import Findings
from normcompletion.payload import parse
from tests.conftest import (
    CHUNKS,
    PAIRS,
    WHOLE,
    Outcome,
    Pair,
    canonical,
    for_each,
    fresh_engine,
    invented,
    outcome,
    read_outcome,
    recorded,
)

Read = Callable[[bytes], Outcome]
JSON_OBJECTS = [pair for pair in WHOLE if isinstance(pair.tree, dict)]
ENGINE = fresh_engine()


def by_default(raw: bytes) -> Outcome:
    return outcome(lambda: normalize(raw))


def by_lenient_decode(raw: bytes) -> Outcome:
    """What the lenient decode makes of a payload, key by key, and of every response inside it."""

    def read(value: object, findings: Findings) -> Completion:
        findings.read = read
        is_text = isinstance(value, str)
        return ENGINE.from_tree(parse(value.encode("utf-8", "surrogatepass")) if is_text else value, findings)

    return read_outcome(lambda: ENGINE.from_tree(parse(raw), Findings(is_clean=False, read=read)))


def by_typed_decode(raw: bytes) -> Outcome:
    """What the typed decoders make of a payload when the canonical one is not tried."""
    return read_outcome(lambda: ENGINE.read_inside(raw, Findings()))


def by_one_parse(raw: bytes) -> Outcome:
    """What bulk conversion makes of a payload where it wants `extra` of every record."""
    return read_outcome(lambda: ENGINE.read_whole(raw))


def by_mapping(raw: bytes) -> Outcome:
    return outcome(lambda: normalize(json.loads(raw)))


def disagreements(bodies: Iterable[tuple[str, bytes]], one: Read, other: Read) -> list[str]:
    """The names of the bodies that two ways of reading read differently."""
    return [name for name, raw in bodies if compared(one(raw)) != compared(other(raw))]


def compared(found: Outcome) -> tuple[object, ...]:
    """An outcome in values that compare: the class of error, its code and path, and the completion as text."""
    return found.error, found.refusal, canonical(found.completion)


@pytest.mark.parametrize("path", [by_lenient_decode, by_typed_decode, by_one_parse])
@for_each(JSON_OBJECTS)
def test_every_path_agrees_with_normalize(pair: Pair, path: Read) -> None:
    """`normalize` and each path alone give the same completion, or the same error, code and path."""
    assert compared(by_default(pair.raw)) == compared(path(pair.raw))


@pytest.mark.parametrize("path", [by_lenient_decode, by_typed_decode, by_one_parse, by_mapping])
def test_every_path_agrees_on_invented_bodies(path: Read) -> None:
    """Over all invented bodies, in the shapes of recorded ones, each path gives what `normalize` gives."""
    assert len(invented()) == 800
    assert disagreements(invented(), by_default, path) == []


@pytest.mark.corpus
@pytest.mark.parametrize("path", [by_lenient_decode, by_typed_decode, by_one_parse, by_mapping])
def test_every_path_agrees_on_recorded_bodies(path: Read, corpus: Path) -> None:
    """Over all recorded chat and text bodies, each path gives what `normalize` gives."""
    assert disagreements(recorded(corpus, "chat", "text", "log_record", "error"), by_default, path) == []


@for_each(CHUNKS)
def test_a_chunk_is_the_same_from_bytes_and_from_a_mapping(pair: Pair) -> None:
    """`normalize_chunk` gives the expected chunk for bytes and for a mapping."""
    assert pair.expected is not None
    assert canonical(normalize_chunk(pair.raw)) == canonical(normalize_chunk(pair.tree))


@for_each(JSON_OBJECTS)
def test_a_mapping_gives_what_its_bytes_give(pair: Pair) -> None:
    """`normalize(mapping)` equals `normalize(bytes)` for every payload that a mapping can hold."""
    if pair.name.endswith("/surrogate_half"):  # JSON text can hold it, a mapping with it cannot be written
        assert outcome(lambda: normalize(pair.tree)).error == "MalformedPayloadError"
        return
    from_bytes, from_mapping = by_default(pair.raw), outcome(lambda: normalize(pair.tree))
    if from_bytes.error == "MalformedPayloadError":  # NaN in a text is a fault of syntax; in a mapping it has a path
        from_bytes, from_mapping = from_bytes._replace(refusal=None), from_mapping._replace(refusal=None)
    assert compared(from_bytes) == compared(from_mapping)


@for_each(PAIRS)
def test_text_and_buffers_give_what_bytes_give(pair: Pair) -> None:
    """bytearray, memoryview and, where the bytes are UTF-8, str are read as the bytes are."""
    expected = by_default(pair.raw)
    inputs: list[object] = [bytearray(pair.raw), memoryview(pair.raw)]
    try:
        inputs.append(pair.raw.decode())
    except UnicodeDecodeError:
        assert expected.error == "MalformedPayloadError" or pair.is_stream  # a stream may be cut inside a character
    for payload in inputs:
        got = outcome(lambda payload=payload: normalize(payload))  # type: ignore[misc]
        assert compared(got) == compared(expected)
