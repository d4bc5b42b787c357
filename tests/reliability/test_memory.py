"""Nothing grows, and no completion keeps what it was made from."""

from __future__ import annotations

import gc
import random
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from normcompletion import (
    Assembler,
    NormalizeError,
    assemble,
    detect,
    explain,
    iter_events,
    normalize,
    normalize_chunk,
    normalize_many,
)
from tests.conftest import FOUND, Pair, memory_of, slow
from tests.reliability.inputs import BODIES, SEED, fate, payloads
from tests.reliability.json_cases import REFUSED

PADDING = b" " * 2_000_000
Verb = Callable[[Any], Any]
VERBS: list[Callable[[bytes], Any]] = [
    normalize,
    normalize,
    lambda raw: normalize(raw, strict=True),
    normalize_chunk,
    lambda raw: list(normalize_many([raw], on_error="yield")),
    lambda raw: assemble(iter_events([raw])),
]
SELDOM: list[Callable[[bytes], Any]] = [detect, explain]  # a millisecond each
EVERY = 251
SHORT = [raw for raw in payloads().values() if len(raw) <= 3_000]  # longer inputs only take time
INPUTS = random.Random(SEED).sample(SHORT, 150)


def read(raw: bytes, times: int, start: int) -> None:
    """Read an input by the verbs in turn; errors are dropped."""
    for number in range(start, start + times):
        try:
            VERBS[number % len(VERBS)](raw)
            if number % EVERY == 0:
                SELDOM[number % len(SELDOM)](raw)
        except NormalizeError:
            pass
        except Exception:  # noqa: BLE001 - a foreign exception is for other tests to find
            pass


@pytest.fixture(autouse=True)
def _few_objects() -> Iterator[None]:
    """Let the garbage collector look only at what a test makes."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@contextmanager
def no_collector() -> Iterator[None]:
    """Without the garbage collector: what is unreachable but in a cycle stays."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


LEAKED: list[bytearray] = []


def spell(calls: int, leak: int) -> int:
    """How many bytes Python holds more after so many calls with each input."""
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for raw in INPUTS:
        read(raw, calls, 1)
        LEAKED.extend(bytearray(leak) for _ in range(calls if leak else 0))
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - before


@pytest.mark.parametrize("calls", [12, *slow(240)])
def test_nothing_grows(calls: int) -> None:
    """Of some spells over 150 inputs one leaves less than 12 KB behind, and a planted leak shows."""
    for raw in INPUTS[:20]:
        for verb in SELDOM:
            fate(lambda raw=raw, verb=verb: verb(raw))  # type: ignore[misc]
    tracemalloc.start()
    try:
        # A cache may fill in one spell and not in each; a leak is in each. The smallest object has 16 bytes: lost at
        # every second of twelve calls it leaves 14 KB, and at every fortieth of 240.
        assert any(spell(calls, leak=0) < 12_000 for _ in range(4))
        assert spell(calls, leak=53) > 150 * calls * 53
    finally:
        tracemalloc.stop()
        LEAKED.clear()


def strict(payload: object) -> object:
    return normalize(payload, strict=True)


def verbs(pair: Pair) -> list[Verb]:
    """The verbs that take a fixture in any container."""
    return [normalize_chunk] if pair.is_chunk else [normalize, strict]


def keep(call: Verb, payload: object) -> object:
    """What a call gives; an error without the frames that it went through, which hold whatever they hold."""
    try:
        result = call(payload)
    except NormalizeError as error:
        result = error.with_traceback(None)
    completion = getattr(result, "completion", result)
    len(getattr(completion, "extra", ()))  # until it is read, `extra` holds the payload
    return result


def eventually(check: Callable[[], bool]) -> bool:
    """Whether something holds, at the latest when the garbage collector was here."""
    if not check():
        gc.collect()
    return check()


def resizable(buffer: bytearray) -> bool:
    """Whether nothing views a buffer."""
    try:
        buffer.append(0)
    except BufferError:
        return False
    return True


def test_no_result_keeps_its_buffer() -> None:
    """A result never holds a buffer that was handed in, and its bytes only until `extra` is read."""
    found = []
    for pair in FOUND:
        for call in verbs(pair):
            for _ in range(2):
                buffer, text = bytearray(pair.raw), bytes(bytearray(pair.raw))
                owners = sys.getrefcount(text)
                kept = [keep(call, buffer), keep(call, memoryview(buffer)), keep(call, text)]
                free = eventually(lambda buffer=buffer: resizable(buffer))  # type: ignore[misc]
                eventually(lambda text=text, owners=owners: sys.getrefcount(text) <= owners + 2)  # type: ignore[misc]
                if not free or sys.getrefcount(text) != owners:
                    found.append(f"{pair.name}: {type(kept[0]).__name__}")
    assert found == []


@pytest.mark.slow
def test_a_result_holds_nothing_of_what_is_around_it() -> None:
    """A completion or error made from a payload with two megabytes of spaces behind it holds none of them."""
    found = []
    for pair in FOUND:
        if pair.is_stream:  # spaces make another stream of it
            continue
        for call in verbs(pair):
            keep(call, pair.raw + b"  ")
            tracemalloc.start()
            try:
                before = tracemalloc.get_traced_memory()[0]
                kept = keep(call, pair.raw + PADDING)
                limit = before + 60_000 + 20 * len(pair.raw)
                if not eventually(lambda limit=limit: tracemalloc.get_traced_memory()[0] < limit):  # type: ignore[misc]
                    found.append(f"{pair.name}: {type(kept).__name__}")
            finally:
                tracemalloc.stop()
    assert found == []


def test_a_payload_is_freed_at_once() -> None:
    """When a result or error is gone so is the payload, without the garbage collector: there is no reference cycle."""
    refused = [
        (f"{at} {case.name}", body.replace(b"%s", case.text)) for at, body in enumerate(BODIES) for case in REFUSED
    ]
    found = []
    with no_collector():
        for title, raw in [*((pair.name, pair.raw) for pair in FOUND), *refused]:
            for call in (normalize, strict, normalize_chunk):
                text = bytes(bytearray(raw))
                owners = sys.getrefcount(text)
                keep(call, text)
                if sys.getrefcount(text) != owners:
                    found.append(f"{call.__name__} {title}")
    assert found == []


def test_a_yielded_error_keeps_no_payload() -> None:
    """The errors that `normalize_many` yields can be collected without collecting the payloads."""
    payloads = [bytes(bytearray(pair.raw)) for pair in FOUND if not pair.is_chunk]
    owners = [sys.getrefcount(payloads[at]) for at in range(len(payloads))]
    items = list(normalize_many(payloads, on_error="yield"))
    for item in items:
        keep(lambda item: item, item)  # type: ignore[arg-type]
    gc.collect()
    errors = [item for item in items if isinstance(item, NormalizeError)]
    assert len(errors) > 50
    assert [sys.getrefcount(payloads[at]) for at in range(len(payloads))] == owners


def many_keys(number: int) -> bytes:
    """A payload with keys that no other has."""
    return b'{"choices":[],%s}' % b",".join(b'"v%d_%d":1' % (number, at) for at in range(5_000))


def long_key(number: int) -> bytes:
    """A payload with one long key that no other has."""
    return b'{"choices":[],"%s%d":1}' % (b"v" * 200_000, number)


@pytest.mark.parametrize("make", [many_keys, long_key])
def test_keys_that_were_seen_once_are_not_kept(make: Callable[[int], bytes]) -> None:
    """Of 15 payloads with thousands of new keys each, or with one huge one, less than half a megabyte is remembered."""

    def read() -> None:
        for number in range(1, 16):
            normalize(make(number))
            normalize(make(number))
        gc.collect()

    normalize(make(0))
    assert memory_of(read)[0] < 500_000


def test_an_assembly_keeps_no_piece_of_the_stream() -> None:
    """An assembler that is still open holds text and no buffers: the pieces it was fed can be resized."""
    streams = [pair.raw for pair in FOUND if pair.is_stream and pair.raw.startswith(b"data:")]
    assert len(streams) > 50
    for raw in streams:
        piece = bytearray(raw)
        assembler = Assembler()
        for event in iter_events([piece]):  # type: ignore[list-item]  # a buffer works as well
            fed = bytearray(event.data)
            keep(assembler.feed, event)
            keep(assembler.feed, fed)
            fed.clear()
        piece.clear()
