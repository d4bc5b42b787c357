"""What a stream costs in memory is the answer's size, not that of its comments, keep-alives and repeated keys."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from normcompletion import Assembler, Completion, assemble, iter_events, normalize
from tests.conftest import memory_of, saved

SIZE = 1 << 19  # bytes of noise
FIRST = {"id": "a", "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Fog "}}]}
LAST = {"id": "a", "model": "m", "choices": [{"index": 0, "delta": {"content": "lifts."}, "finish_reason": "stop"}]}
QUIET: dict[str, object] = {
    "id": "a",
    "model": "m",
    "signature": "s",
    "response_hash": "h",
    "vendor": {"deep": [1, 2]},
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "", "reasoning": ""}, "stop_reason": None}],
}

NOISE = {
    "keep_alives": b": keep-alive\n\n" * 200,
    "bare_comments": b":\n:\r\n\r\n" * 400,
    "long_comments": (b": " + b"x" * 4_000 + b"\n\n") * 4,
    "one_comment_without_end": b": " + b"x" * 64_000,
    "fields_without_data": (b"event: ping\nid: " + b"7" * 2_000 + b"\nunknown: y\n\n") * 8,
    "comments_as_data": (b"data: : " + b"x" * 4_000 + b"\n\n") * 4,
}


def noisy_stream(noise: bytes, size: int) -> Iterator[bytes]:
    """A stream with noise of some size between its two chunks, in pieces that are not held."""
    yield saved(FIRST)
    for _ in range(size // len(noise)):
        yield noise
    yield b"\n\n" + saved(LAST) + b"data: [DONE]\n\n"


@pytest.mark.parametrize("name", sorted(NOISE))
def test_noise_costs_no_memory(name: str) -> None:
    """Comments, keep-alives and fields without data take less than a quarter of their size and change nothing."""
    assemble(iter_events(noisy_stream(b": warm\n\n", 100)))
    found: list[Completion] = []
    _, peak = memory_of(lambda: found.append(assemble(iter_events(noisy_stream(NOISE[name], SIZE)))))
    assert found[0].text == "Fog lifts."
    assert peak < SIZE // 4


def held_after(chunks: int, quiet: dict[str, object]) -> int:
    """The bytes that an assembler holds after some chunks without text."""
    texts = [json.dumps({**quiet, "signature": f"s{turn}"}).encode() for turn in range(10)]
    assembler = Assembler()
    for text in texts:  # decoders are compiled here
        assembler.feed(text)

    def fed() -> None:
        for turn in range(chunks):
            assembler.feed(texts[turn % 10])

    held, _ = memory_of(fed)
    assert assembler.finish().choices[0].message.content == ""
    return held


def test_chunks_without_text_are_not_held() -> None:
    """Ten times as many chunks that say nothing new leave an assembler no larger."""
    few = held_after(500, QUIET)
    assert held_after(5_000, QUIET) - few < 16_384


def test_extra_and_notes_do_not_grow_with_the_chunks() -> None:
    """Of a key in every chunk the last value is in `extra`, of a repair in every chunk one note is left."""
    chunks = [
        {
            **QUIET,
            "id": f"a{turn}",
            "created": f"{1_700_000_000 + turn}",
            "signature": f"s{turn}",
            "vendor": {"deep": [turn]},
            "choices": [{"index": 0.0, "delta": {"role": "model", "content": "x", "mark": turn}, "stop_reason": turn}],
        }
        for turn in range(2_000)
    ]
    for completion in (normalize(saved(*chunks)), assemble(chunks)):
        assert completion.text == "x" * 2_000
        assert completion.id == "a0"
        assert completion.extra == {
            "/signature": "s1999",
            "/response_hash": "h",
            "/vendor": {"deep": [1_999]},
            "/choices/0/stop_reason": 1_999,
            "/choices/0/delta/mark": 1_999,
        }
        assert sorted((note.code, note.path) for note in completion.notes) == [
            ("conflicting_value", "/choices/0/delta/mark"),
            ("conflicting_value", "/choices/0/stop_reason"),
            ("conflicting_value", "/created"),
            ("conflicting_value", "/id"),
            ("conflicting_value", "/vendor/deep"),
            ("float_as_integer", "/choices/0/index"),
            ("incomplete_stream", "/choices/0/finish_reason"),
            ("text_as_integer", "/created"),
            ("unknown_role", "/choices/0/delta/role"),
        ]
