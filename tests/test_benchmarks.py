"""The generator of streams that the benchmarks use."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from benchmarks.generate_streams import SOURCES, Shape, draw, every_shape, generate
from benchmarks.stream_readers import cut, our_facts
from benchmarks.streams import faults, possible
from normcompletion import assemble, iter_events, normalize
from tests.conftest import for_each

SHAPES = [*every_shape(chunks=11), *(draw(source, seed) for source in SOURCES for seed in range(6))]


@for_each(SHAPES)
def test_a_generated_stream_is_read_as_it_was_meant(shape):
    """Saved or live, the facts and the source come back; only a missing finish reason is noted."""
    stream = generate(shape, 5)
    for completion in (normalize(stream.body), assemble(iter_events(cut(stream.body)))):
        assert our_facts(completion) == stream.facts
        assert completion.source == ("openai" if shape.source == "compatible" else shape.source)
        assert [note.code for note in completion.notes] == ([] if shape.finish else ["incomplete_stream"])


@pytest.mark.parametrize("source", SOURCES)
def test_the_same_seed_gives_the_same_bytes(source):
    """A stream is decided by its shape and its seed."""
    shape = Shape(source, reasoning=True, tools="index")
    assert generate(shape, 1).body == generate(shape, 1).body != generate(shape, 2).body
    assert draw(source, 1) == draw(source, 1)


def test_a_stream_is_its_payloads_in_frames():
    """The payloads are the JSON of the events, one for each piece and a few to open and close."""
    for shape in SHAPES:
        stream = generate(shape, 5)
        events = [event.data for event in iter_events([stream.body]) if event.data != b"[DONE]"]
        assert events == [*stream.payloads]
        assert shape.chunks <= len(stream.payloads) <= shape.chunks + 4
        for payload in stream.payloads:
            msgspec.json.decode(payload)


def test_a_fault_is_seen_and_was_possible():
    """Facts that differ in one field have one fault, among those that the stream allows."""
    said = generate(Shape("openrouter", reasoning=True, tools="index", usage="missing", finish=False), 5).facts
    changed = {"usage invented": {"usage": (0, 1, 1)}, "finish invented": {"finish_reason": "stop"}}
    changed |= {"provider": {"provider": None}, "role": {"role": "assistantassistant"}, "calls": {"tool_calls": ()}}
    for fault, change in changed.items():
        assert faults(said, dataclasses.replace(said, **change)) == {fault} <= possible(said)
