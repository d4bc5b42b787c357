"""Chunks, events and the assembler: each rule of DESIGN for streams, by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

import msgspec
import pytest

from normcompletion import (
    Assembler,
    Chunk,
    Completion,
    EncryptedPayloadError,
    Event,
    EventReader,
    InvalidPayloadError,
    MalformedPayloadError,
    NormalizeError,
    SourceReportedError,
    UnknownPayloadError,
    aiter_events,
    assemble,
    assemble_async,
    detect,
    iter_events,
    normalize,
    normalize_chunk,
)
from normcompletion.audit import lost_in_text
from tests.conftest import CHUNKS, FIXTURES, STREAMS, Pair, canonical, for_each, outcome, saved

SSE = [path for path in sorted(FIXTURES.rglob("*.sse")) if not path.read_bytes().startswith(b"\xef\xbb\xbf")]
Item = TypeVar("Item")


def chunk(content: str | None = None, *, index: int = 0, finish: str | None = None, **body: Any) -> dict[str, Any]:
    """One chunk of one choice."""
    delta = {} if content is None else {"content": content}
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "choices": [choice], **body}


def of_delta(**delta: Any) -> dict[str, Any]:
    """One chunk whose delta has these members."""
    return {"id": "c1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]}


ANSWER = [chunk("Low "), chunk("tide"), chunk(finish="stop")]
ERROR = {"error": {"message": "no", "code": 502}}


async def later(items: Iterable[Item]) -> AsyncIterator[Item]:
    """Items that come one by one."""
    for item in items:
        await asyncio.sleep(0)
        yield item


# -- chunks


@for_each(CHUNKS)
def test_a_chunk_fixture_gives_its_expected_chunk(pair: Pair) -> None:
    """The chunk, encoded, is the expected one to the last note, and strict mode reads it so where it has no fault."""
    assert pair.expected is not None
    expected = msgspec.json.decode(pair.expected, type=Chunk)
    assert canonical(normalize_chunk(pair.raw)) == canonical(expected)
    if not pair.name.endswith("/repairs"):
        assert canonical(normalize_chunk(pair.raw, strict=True)) == canonical(expected)


def test_chunk_fixtures_exist_for_every_source_and_variant() -> None:
    """Chunk fixtures are there for each source that streams and for each variant that a chunk can have."""
    chunks = [normalize_chunk(pair.raw) for pair in CHUNKS]
    assert {found.source for found in chunks} == {"openai", "atoma", "openrouter"}
    assert {found.variant for found in chunks} == {"chunk", "text_chunk", "error"}


def test_a_chunk_of_a_confidential_stream_is_refused_with_its_usage() -> None:
    """An encrypted chunk raises `EncryptedPayloadError`, whose completion holds the usage."""
    with pytest.raises(EncryptedPayloadError) as caught:
        normalize_chunk({"ciphertext": "Y2lwaA==", "nonce": "bm9uY2U=", "usage": {"prompt_tokens": 4}})
    assert caught.value.completion.usage.prompt_tokens == 4


def test_a_chunk_over_the_limit_is_refused() -> None:
    """A chunk longer than `max_record_bytes` is refused before it is read."""
    raw = json.dumps(chunk("a")).encode()
    assert normalize_chunk(raw, max_record_bytes=len(raw)).choices[0].delta.content == "a"
    with pytest.raises(MalformedPayloadError) as caught:
        normalize_chunk(raw, max_record_bytes=len(raw) - 1)
    assert caught.value.code == "too_long"


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"3", b'{"object":"response","output":[]}', b'{"type":"ping"}'])
def test_what_is_no_chunk_is_refused(payload: bytes) -> None:
    """JSON that is no chunk, and no JSON at all, raise a `NormalizeError`."""
    with pytest.raises(NormalizeError) as caught:
        normalize_chunk(payload)
    assert type(caught.value) is (UnknownPayloadError if payload else MalformedPayloadError)


# -- events


@for_each(SSE)
def test_the_events_of_a_stream_assemble_to_what_normalize_gives(path: Any) -> None:
    """`assemble(iter_events(…))`, byte by byte and at once, and `assemble_async` give what `normalize` gives."""
    raw = path.read_bytes()
    expected = outcome(lambda: normalize(raw))
    calls: list[Callable[[], Completion]] = [
        lambda: assemble(iter_events([raw])),
        lambda: assemble(iter_events(raw[at : at + 1] for at in range(len(raw)))),
        lambda: asyncio.run(assemble_async(aiter_events(later([raw[:40], raw[40:]])))),
    ]
    for call in calls:
        got = outcome(call)
        assert (got.error, got.refusal) == (expected.error, expected.refusal)
        assert canonical(got.completion) == canonical(expected.completion)


def test_events_have_the_name_of_their_event_line() -> None:
    """An event has the name of an `event:` line before or behind its data; the next event does not inherit it."""
    events = list(iter_events(["event: ping\ndata: 1\n\ndata: 2\n", "event:pong\n\n", "data: 3\n\n"]))
    assert [(event.name, event.data) for event in events] == [("ping", b"1"), ("pong", b"2"), (None, b"3")]


@pytest.mark.parametrize("line", [b"broken", b"\x0c", b'"text"'])
def test_no_line_between_chunks_is_dropped(line: bytes) -> None:
    """A line that is no chunk, in a text of one chunk a line, is an event too."""
    chunk = b'{"id":"c-1","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}'
    joined = b"\n".join(event.data for event in iter_events([chunk + b"\n\n" + line + b"\n\n" + chunk]))
    assert joined == chunk + b"\n" + line + b"\n" + chunk


def test_blank_lines_between_chunks_say_nothing() -> None:
    """Lines of white space between chunks, one a line, change nothing, and neither does white space before one."""
    chunk = b'{"id":"c-1","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}'
    assert normalize(chunk + b"\n \t\n  " + chunk) == normalize(chunk + b"\n" + chunk)


def test_data_over_several_lines_is_one_event() -> None:
    """Lines of data are joined by a line feed until a blank line comes."""
    assert [event.data for event in iter_events(["data: a\ndata:\ndata:  b\n\n"])] == [b"a\n\n b"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_events_end_at_any_line_end(end: str) -> None:
    """LF, CRLF and CR end lines alike, in any cut."""
    raw = f": hello{end}data: 1{end}{end}: {end}data: 2{end}{end}"
    for size in range(1, len(raw) + 1):
        events = iter_events(raw[at : at + size] for at in range(0, len(raw), size))
        assert [event.data for event in events] == [b"1", b"2"]


def test_an_event_is_given_as_soon_as_it_is_complete() -> None:
    """The blank line gives the event at once; `close` gives the last one, which may lack it."""
    reader = EventReader()
    assert reader.feed("data: 1\n") == []
    assert [event.data for event in reader.feed("\n")] == [b"1"]
    assert reader.feed("data: 2") == []
    assert [(event.data, event.ended) for event in reader.close()] == [(b"2", False)]
    assert reader.close() == []


def test_an_event_over_the_limit_is_refused() -> None:
    """More than `max_event_bytes` in one event, of one line, of many or of one document, is `too_long`."""
    assert EventReader(max_event_bytes=100).feed(b"data: " + b"1" * 90 + b"\n\n")
    for pieces in (
        *([b"data: " + b"1" * 200], [b"data: 1\n"] * 200, [b"data: 1234"] * 50),
        *([b"data: {\n"] + [b"data: 1\n"] * 120, [b"[\n"] + [b"1,\n"] * 120, [b"data: "] + [b"1"] * 120),
    ):
        reader = EventReader(max_event_bytes=100)
        with pytest.raises(MalformedPayloadError) as caught:
            for piece in pieces:
                reader.feed(piece)
        assert caught.value.code == "too_long"


def test_comments_of_any_length_are_no_event_and_break_no_limit() -> None:
    """Comments count towards no limit, neither many nor one that never ends."""
    reader = EventReader(max_event_bytes=100)
    for _ in range(1000):
        assert reader.feed(b": keep-alive\n\n") == []
    for _ in range(1000):
        assert reader.feed(b": " + b"x" * 50) == []
    assert [event.data for event in reader.feed(b"\n\ndata: 1\n\n")] == [b"1"]


def test_many_small_events_break_no_limit() -> None:
    """The limit holds for each event, not for the stream."""
    reader = EventReader(max_event_bytes=100)
    assert sum(len(reader.feed(b"data: 12345\n\n")) for _ in range(1000)) == 1000


# -- saved streams


def test_a_saved_stream_may_be_cut_at_any_byte() -> None:
    """Cut anywhere behind its first event, a stream gives the text so far and a note that it is incomplete."""
    last = {**of_delta(refusal=None), "created": 1774000001.5, "x": True, "y": [False, -1e-3]}
    raw = saved(*ANSWER[:1], chunk("tidé \U0001f30a"), last).replace(b"\\u00e9", "é".encode())
    for end in range(raw.index(b"\n\n") + 2, len(raw)):
        completion = normalize(raw[:end])
        assert completion.text in ("Low ", "Low tidé \U0001f30a")
        assert "incomplete_stream" in [note.code for note in completion.notes]


@for_each([pair for pair in STREAMS if pair.expected is not None and pair.raw[:1] not in b"[{"])
def test_no_leaf_of_a_stream_is_lost(pair: Pair) -> None:
    """Every leaf of every chunk is in the completion, in `extra` or in a note."""
    completion = outcome(lambda: normalize(pair.raw)).completion
    assert completion is not None
    assert lost_in_text(pair.raw, completion) == []


@for_each([pair for pair in STREAMS if pair.expected is not None])
def test_detect_names_the_source_and_variant_of_a_saved_stream(pair: Pair) -> None:
    """`detect` gives the `source` and `variant` that are in the completion of a saved stream."""
    completion = outcome(lambda: normalize(pair.raw)).completion
    found = detect(pair.raw)
    assert (found.source, found.variant) == (completion.source, completion.variant)


# -- the assembler


def forms(payload: dict[str, Any]) -> list[object]:
    """Everything that `Assembler.feed` takes for a chunk."""
    raw = json.dumps(payload).encode()
    return [payload, raw, raw.decode(), bytearray(raw), Event(raw), Event(raw, "message"), normalize_chunk(raw)]


def test_the_assembler_takes_chunks_in_every_form() -> None:
    """A mapping, bytes, text, an `Event` and a canonical `Chunk` add the same to the answer."""
    expected = canonical(assemble(ANSWER))
    for same in zip(*map(forms, ANSWER), strict=True):
        assert canonical(assemble(same)) == expected
    assert normalize(saved(*ANSWER)) == assemble(ANSWER)


def test_assemble_async_gives_what_assemble_gives() -> None:
    """Chunks that come one by one give the same completion, or raise the same error, with the same options."""
    got = asyncio.run(assemble_async(later(ANSWER), source="atoma"))
    assert canonical(got) == canonical(assemble(ANSWER, source="atoma"))
    assert got.source == "atoma"
    with pytest.raises(SourceReportedError):
        asyncio.run(assemble_async(later([*ANSWER, ERROR])))
    with pytest.raises(InvalidPayloadError):
        asyncio.run(assemble_async(later([{**ANSWER[0], "created": "1"}]), strict=True))


def test_a_snapshot_stays_as_it_is() -> None:
    """What is in a snapshot stays so, whatever comes or is done to it, and the result is that without snapshots."""
    assembler = Assembler()
    seen = []
    for item in ANSWER:
        assembler.feed(item)
        seen.append(assembler.snapshot())
    assert [part.text for part in seen] == ["Low ", "Low tide", "Low tide"]
    assert [part.choices[0].finish_reason for part in seen] == [None, None, "stop"]
    seen[-1].choices[0].message.content = "spoilt"
    seen[-1].extra = {"/spoilt": True}
    assert assembler.finish() == assemble(ANSWER)


def test_a_snapshot_shares_no_list_with_the_assembly() -> None:
    """Lists of a snapshot can be changed without harm to what follows."""
    assembler = Assembler()
    assembler.feed(
        of_delta(
            content="a",
            tool_calls=[{"index": 0, "id": "call_a", "function": {"name": "f", "arguments": "{"}}],
            annotations=[{"type": "file", "file": {"hash": "h"}}],
            images=[{"type": "image_url", "image_url": {"url": "u"}}],
            reasoning_details=[{"type": "reasoning.text", "text": "r", "index": 0}],
        )
    )
    message = assembler.snapshot().choices[0].message
    whole = msgspec.json.encode(message)
    for name in ("tool_calls", "annotations", "images", "reasoning_details"):
        getattr(message, name).clear()
    assert msgspec.json.encode(assembler.finish().choices[0].message) == whole


def test_a_snapshot_of_a_running_stream_has_no_note_about_its_end() -> None:
    """Only `finish` notes that a stream is incomplete."""
    assembler = Assembler()
    assembler.feed(ANSWER[0])
    assert assembler.snapshot().notes == []
    assert [(note.code, note.path) for note in assembler.finish().notes] == [
        ("incomplete_stream", "/choices/0/finish_reason")
    ]


def test_an_assembler_that_was_fed_nothing_has_no_completion() -> None:
    """`snapshot` and `finish` raise `UnknownPayloadError` where no event was a chunk."""
    assembler = Assembler()
    for call in (assembler.snapshot, assembler.finish, lambda: assemble([Event(b"[DONE]")])):
        with pytest.raises(UnknownPayloadError) as caught:
            call()
        assert caught.value.code == "empty"


def test_finish_raises_a_reported_error_with_the_partial_completion() -> None:
    """`SourceReportedError` holds the text that came before; a snapshot shows the error without raising."""
    assembler = Assembler()
    for item in (*ANSWER[:2], ERROR):
        assembler.feed(item)
    partial = assembler.snapshot()
    assert (partial.text, partial.error.code) == ("Low tide", 502)
    with pytest.raises(SourceReportedError) as caught:
        assembler.finish()
    assert caught.value.completion == partial
    assert caught.value.error is caught.value.completion.error


def test_what_is_no_chunk_is_refused_and_harms_nothing() -> None:
    """Broken JSON in the middle raises `MalformedPayloadError`; what was fed before and comes after is kept."""
    assembler = Assembler()
    assembler.feed(ANSWER[0])
    with pytest.raises(MalformedPayloadError):
        assembler.feed(Event(b'{"id": nope}'))
    with pytest.raises(InvalidPayloadError):
        assembler.feed({"choices": {"index": 0}, "object": "chat.completion.chunk"})
    for item in ANSWER[1:]:
        assembler.feed(item)
    assert assembler.finish() == assemble(ANSWER)


def test_strict_finish_names_every_fault_of_the_stream() -> None:
    """`Assembler(strict=True)` takes every chunk and refuses them all at the end, in one error."""
    faulty = {**chunk("a", finish="stop"), "created": "1774000001"}
    with pytest.raises(InvalidPayloadError) as caught:
        assemble([faulty, {**chunk(), "usage": {"prompt_tokens": "3"}}], strict=True)
    assert {fault.path for fault in caught.value.faults} == {"/created", "/usage/prompt_tokens"}


def test_unknown_events_are_kept_by_name_and_bounded() -> None:
    """Of a thousand names of events at most 64 are kept; the last value of each wins."""
    assembler = Assembler()
    assembler.feed(ANSWER[0])
    for value in (1, 2):
        for at in range(1000):
            assembler.feed(Event(json.dumps({"n": value}).encode(), f"tick{at}"))
    assert assembler.finish().extra == {f"/events/tick{at}": {"n": 2} for at in range(64)}


def test_a_chat_whose_text_is_beside_its_deltas_too_is_a_chat() -> None:
    """A chunk with a delta is one of a chat, saved or not, though Together says its text in `text` as well."""
    chunks = [chunk("Low "), chunk("tide", finish="stop")]
    for item in chunks:
        item["choices"][0]["text"] = item["choices"][0]["delta"]["content"]
    assert normalize_chunk(chunks[0]).variant == "chunk"
    for completion in (assemble(chunks), normalize(saved(*chunks))):
        assert (completion.variant, completion.text, completion.extra) == ("chat", "Low tide", {})
