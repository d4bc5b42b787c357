"""However a stream is cut, framed or fed, its completion is the same one, and it is that of the whole response.

The streams are the fixtures' own, and those that `splitting` makes of whole responses.
"""

from __future__ import annotations

import copy
import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from normcompletion import Assembler, Completion, NormalizeError, assemble, iter_events, normalize, normalize_chunk
from normcompletion.model import Note, Part, ThinkingText
from tests.conftest import FIXTURES, PAIRS, canonical, examples, for_each, saved
from tests.fuzz.mutations import BYTES, IN_STRINGS, NUMBERS, mutant
from tests.splitting import Tree, as_streamed, cut, is_cumulative, is_splittable, split, to_text, write

# What log10's clients rebuilt was never a stream in that form, so the markers of such bodies do not count in one.
RESPONSES = {
    pair.name: pair.tree
    for pair in PAIRS
    if pair.error is None and is_splittable(pair.tree) and normalize(pair.raw).source != "log10"
}
# `normalize` refuses a byte-order mark; an event reader drops it, as the WHATWG says.
SAVED = {
    path.relative_to(FIXTURES).as_posix(): path.read_bytes()
    for path in sorted(FIXTURES.rglob("*.sse"))
    if not path.read_bytes().startswith(b"\xef\xbb\xbf")
}
responses = st.sampled_from(sorted(RESPONSES))
randoms = st.integers(0, 2**32 - 1).map(Random)


# -- what a stream cannot carry


def as_assembled(whole: Completion, payload: Tree) -> Completion:
    """The completion that the stream of a response must give, from that of the response itself.

    Beside what `as_streamed` says otherwise in the payload, these differences are allowed, and no others:

    * pointers say `/delta/` in place of `/message/`: that is where the value stood;
    * neighbouring parts of text, and the pieces of one thought, are one part: nothing marks where one ends;
    * an answer without a finish word has a note `incomplete_stream`, one without choices in place of `no_choices`;
    * the engine that repeats the text so far has a note `cumulative_delta`;
    * a body that is called a chunk says no more than its chunks do;
    * `chat.completion` where a text is (OpenRouter) is `chat.completion.chunk` in `extra` too.
    """
    built = copy.deepcopy(whole)
    for at, choice in enumerate(built.choices):
        base = f"/choices/{at}"
        if choice.message.parts is not None:
            choice.message.parts, places = _joined(choice.message.parts)
            content = re.compile(rf"{base}/message/content/(\d+)")
            built.extra = {
                content.sub(lambda found: f"{base}/message/content/{places[int(found[1])]}", pointer): value  # noqa: B023
                for pointer, value in built.extra.items()
            }
        if choice.finish_reason is None and choice.error is None:
            word = "finishReason" if "finishReason" in payload["choices"][at] else "finish_reason"
            built.notes.append(Note(code="incomplete_stream", path=f"{base}/{word}"))
        if is_cumulative(payload["choices"][at]):
            built.notes.append(Note(code="cumulative_delta", path=f"{base}/delta/content"))
    if not built.choices:
        built.notes = [note for note in built.notes if note.code != "no_choices"]
        built.notes.append(Note(code="incomplete_stream", path="/choices"))
    if built.extra.get("/object") == "chat.completion.chunk":
        built.extra = {pointer: value for pointer, value in built.extra.items() if pointer != "/object"}
    if built.extra.get("/object") == "chat.completion":
        built.extra = {**built.extra, "/object": "chat.completion.chunk"}
    built.extra = {_in_delta(pointer): value for pointer, value in built.extra.items()}
    for note in built.notes:
        note.path = _in_delta(note.path)
    return built


def _in_delta(pointer: str) -> str:
    return re.sub(r"^(/choices/\d+)/message(?=/|$)", r"\1/delta", pointer)


def _joined(parts: list[Part]) -> tuple[list[Part], list[int]]:
    """Parts with neighbouring texts joined, and the new place of each."""
    joined: list[Part] = []
    places = []
    for part in parts:
        if isinstance(part.thinking, list) and all(piece.type == "text" for piece in part.thinking):
            part.thinking = [ThinkingText(type="text", text="".join(piece.text or "" for piece in part.thinking))]
        last = joined[-1] if joined else None
        is_text = part.text is not None and part == Part(type=part.type, text=part.text)
        if is_text and last is not None and last.text and last == Part(type=part.type, text=last.text):
            last.text += part.text or ""
        else:
            joined.append(part)
        places.append(len(joined) - 1)
    return joined, places


def comparable(completion: Completion) -> str | None:
    """`canonical`, but that a note about half a character says where it was and not what was around it there."""
    for note in completion.notes:
        if note.code == "lone_surrogate":
            note.before = None
    return canonical(completion)


@for_each(sorted(RESPONSES))
@examples(2)
@given(random=randoms)
def test_a_response_and_the_stream_of_it_give_one_completion(name: str, random: Random) -> None:
    """The chunks of a response, one by one or as a saved stream, give what `normalize` gives for the response."""
    payload = as_streamed(RESPONSES[name])
    expected = comparable(as_assembled(normalize(to_text(payload)), payload))
    chunks = split(payload, random)
    assert comparable(assemble(map(to_text, chunks))) == expected
    assert comparable(normalize(write(chunks, random))) == expected


def test_the_splitter_meets_most_responses() -> None:
    """All accepted fixtures with choices at their root are split, but log10's and two that no service streams."""
    trees = {pair.name: pair.tree for pair in PAIRS if pair.error is None and isinstance(pair.tree, dict)}
    trees = {name: tree for name, tree in trees.items() if not name.startswith("log10/")}
    left_out = {name for name, tree in trees.items() if isinstance(tree.get("choices"), list)} - RESPONSES.keys()
    assert left_out == {"openai/text/text_beside_message", "openai/chat/split_without_index"}


# -- cuts, frames and chunks


class Result(NamedTuple):
    """What a call gave: the class and the code of the error, if any, and the completion."""

    error: str | None
    code: str | None
    completion: str | None


def result(call: Callable[[], Completion]) -> Result:
    """The result of a call; anything but a completion or a `NormalizeError` fails the test."""
    try:
        return Result(None, None, canonical(call()))
    except NormalizeError as error:
        return Result(type(error).__name__, error.code, canonical(getattr(error, "completion", None)))


def by_chunks(raw: bytes, *, strict: bool) -> Completion:
    """A saved stream, fed as canonical chunks; what is none of them is fed as the event that it is."""
    assembler = Assembler(strict=strict)
    for event in iter_events([raw]):
        try:
            chunk = normalize_chunk(event.data)
        except NormalizeError:
            assembler.feed(event)
        else:
            assembler.feed(chunk)
    return assembler.finish()


def in_snake(got: Result) -> Result:
    """A result whose pointers say `finish_reason` in either spelling: a canonical `Chunk` has none of its own."""
    return got._replace(completion=got.completion and got.completion.replace("/finishReason", "/finish_reason"))


def a_stream(name: str, random: Random) -> bytes:
    """A saved stream by its name, or one that is made of a response."""
    if name in SAVED:
        return SAVED[name]
    return write(split(as_streamed(RESPONSES[name]), random), random)


streams = st.builds(a_stream, st.sampled_from(sorted(SAVED) + sorted(RESPONSES)), randoms)


def assert_cuts_agree(raw: bytes, random: Random, *, strict: bool) -> None:
    """Whole, in single bytes and cut anywhere, a stream has one result."""
    whole = result(lambda: normalize(raw, strict=strict))
    single = [raw[at : at + 1] for at in range(len(raw))]
    for pieces in ([raw], single, cut(raw, random), cut(raw, random, pieces=60)):
        assert result(lambda pieces=pieces: assemble(iter_events(pieces), strict=strict)) == whole  # type: ignore[misc]


@pytest.mark.parametrize("strict", [False, True])
@for_each(sorted(SAVED))
def test_a_saved_stream_has_one_result_in_any_cut(name: str, strict: bool) -> None:  # noqa: FBT001
    """Each fixture gives one completion, or one class and code of error, whole, byte by byte and re-cut."""
    assert_cuts_agree(SAVED[name], Random(1), strict=strict)


@examples(80)
@given(raw=streams, random=randoms, strict=st.booleans())
def test_a_stream_has_one_result_in_any_cut(raw: bytes, random: Random, strict: bool) -> None:  # noqa: FBT001
    """Streams in every framing give one result whole, byte by byte and re-cut."""
    assert_cuts_agree(raw, random, strict=strict)


@pytest.mark.parametrize("vendor", [b'"totalTokens":""', b'"x":{"finishReason":[]}'])
def test_a_vendor_key_in_camel_case_decides_the_spelling_on_every_path(vendor: bytes) -> None:
    """A stream whose camelCase key is a vendor's has one result in any cut, also when the key has been learned."""
    chunk = b'data: {"id":"c-1","choices":[{"index":0,"delta":{"role":"assistant","content":"a",%b}}]}\n\n' % vendor
    for _ in range(3):
        assert_cuts_agree(chunk, Random(1), strict=False)


@examples(80)
@given(name=responses, random=randoms)
def test_framing_changes_nothing(name: str, random: Random) -> None:
    """A stream's completion is that of its chunks, whatever line ends, comments and spaces are around them."""
    chunks = split(as_streamed(RESPONSES[name]), random)
    raw = write(chunks, random)
    assert result(lambda: normalize(raw)) == result(lambda: assemble(map(to_text, chunks)))


def is_in_lines(raw: bytes) -> bool:
    """Whether a stream is text, without JSON over several lines behind one `data:`."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return not any(event.broken for event in iter_events([raw]))


@for_each([name for name in sorted(SAVED) if is_in_lines(SAVED[name])])
def test_the_lines_of_a_stream_are_the_stream(name: str) -> None:
    """The lines of a response, as HTTP clients give them without their ends, give what the whole stream gives."""
    lines = re.split("\r\n|\n|\r", SAVED[name].decode())
    whole = result(lambda: normalize(SAVED[name]))
    for pieces in (lines, [line.encode() for line in lines], [line + "\n" for line in lines]):
        assert result(lambda pieces=pieces: assemble(pieces)) == whole  # type: ignore[misc]
        assert result(lambda pieces=pieces: assemble(iter_events(pieces))) == whole  # type: ignore[misc]


def can_be_read_by_chunks(raw: bytes) -> bool:
    """Whether each chunk of a stream says all by itself: none holds half a character, or JSON over lines of text."""
    return b"\\ud" not in raw.lower() and not any(event.broken for event in iter_events([raw]))


@pytest.mark.parametrize("strict", [False, True])
@for_each([name for name in sorted(SAVED) if can_be_read_by_chunks(SAVED[name])])
def test_a_saved_stream_read_chunk_by_chunk_is_the_same(name: str, strict: bool) -> None:  # noqa: FBT001
    """Each fixture gives the same completion, extra and notes, or the same error, when fed as canonical chunks."""
    raw = SAVED[name]
    assert in_snake(result(lambda: by_chunks(raw, strict=strict))) == in_snake(
        result(lambda: normalize(raw, strict=strict))
    )


@examples(80)
@given(raw=streams, strict=st.booleans())
def test_a_stream_read_chunk_by_chunk_is_the_same(raw: bytes, strict: bool) -> None:  # noqa: FBT001
    """Canonical chunks, fed one by one, give the completion, extra and notes of the saved stream."""
    assume(can_be_read_by_chunks(raw))
    assert in_snake(result(lambda: by_chunks(raw, strict=strict))) == in_snake(
        result(lambda: normalize(raw, strict=strict))
    )


def with_vendor_keys(chunks: list[Tree], random: Random) -> Tree:
    """Put vendor keys into some chunks, at every level, with another value each time; gives the last of each."""
    last: Tree = {}
    for turn, chunk in enumerate(chunks):
        for choice in chunk["choices"]:
            if random.random() < 0.2:
                choice["index"] = float(choice["index"])  # one of the chunks that need a repair
        for key in ("x_first", "x_second"):
            if random.random() < 0.6:
                last[f"/{key}"] = chunk[key] = [turn]
            if isinstance(chunk.get("usage"), dict) and random.random() < 0.5:
                last[f"/usage/{key}"] = chunk["usage"][key] = turn
            for choice in chunk["choices"]:
                base = f"/choices/{int(choice['index'])}"
                if random.random() < 0.3:
                    last[f"{base}/{key}"] = choice[key] = {"turn": turn}
                if random.random() < 0.3:
                    choice["delta"][key] = f"turn {turn} "
                    last[f"{base}/delta/{key}"] = last.get(f"{base}/delta/{key}", "") + choice["delta"][key]
    return last


@examples(50)
@given(random=randoms, name=st.sampled_from(["openai/chat/basic", "openrouter/chat/two_choices"]))
def test_of_a_vendor_key_the_last_value_is_kept_and_texts_of_a_delta_are_joined(random: Random, name: str) -> None:
    """However chunks are read, `extra` has the last value of a vendor key, and in a delta all its text."""
    chunks = split(as_streamed(RESPONSES[name]), random)
    last = with_vendor_keys(chunks, random)
    raw = saved(*chunks)
    for completion in (normalize(raw), assemble(iter_events([raw])), by_chunks(raw, strict=False)):
        assert completion.extra == last


WORDS = st.sampled_from(["", "a", "b", "stop", "assistant", "text", "{'", "é\u2028", "tool_calls", "error"])
SMALL: st.SearchStrategy[Any] = (
    st.none() | st.integers(-1, 2) | WORDS | st.just(1.0) | st.booleans() | st.just([]) | st.just({})
)


def members(of: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Tree]:
    """Objects with some of the members of a shape, each now and then of a wrong type."""
    return st.fixed_dictionaries({}, optional={key: value | value | value | SMALL for key, value in of.items()})


FUNCTIONS = members({"name": WORDS, "arguments": WORDS})
CALLS = members({"index": st.integers(0, 1), "id": WORDS, "type": WORDS, "function": FUNCTIONS, "x": SMALL})
PARTS = members(
    {
        "type": WORDS,
        "text": WORDS,
        "thinking": WORDS | st.just([{"type": "text", "text": "t"}]),
        "closed": st.booleans(),
        "x": SMALL,
    }
)
DETAILS = members({"type": WORDS, "index": st.integers(0, 1), "text": WORDS, "signature": WORDS, "data": WORDS})
ANNOTATIONS = members({"type": WORDS, "url_citation": members({"url": WORDS, "title": WORDS, "x": SMALL})})
IMAGES = members({"type": WORDS, "image_url": members({"url": WORDS}), "index": st.integers(0, 1)})
TOKENS = members({"token": WORDS, "logprob": st.floats(-2, 0), "bytes": st.none(), "top_logprobs": st.just([])})
LOGPROBS = members({"content": st.lists(TOKENS, max_size=2), "refusal": st.lists(TOKENS, max_size=1)})
COLUMNS = members({"tokens": st.lists(WORDS, max_size=2), "token_logprobs": st.lists(st.just(-0.5), max_size=2)})
DELTAS = members(
    {
        "role": st.just("assistant"),
        "content": WORDS | st.lists(PARTS, max_size=2),
        "reasoning": WORDS,
        "reasoning_content": WORDS,
        "refusal": WORDS,
        "reasoning_details": st.lists(DETAILS, max_size=2),
        "tool_calls": st.lists(CALLS, max_size=2),
        "function_call": FUNCTIONS,
        "annotations": st.lists(ANNOTATIONS, max_size=2),
        "images": st.lists(IMAGES, max_size=2),
        "audio": members({"id": WORDS, "data": WORDS, "transcript": WORDS}),
        "x": SMALL,
    }
)
CHOICES = members(
    {
        "index": st.integers(0, 1),
        "delta": DELTAS,
        "finish_reason": WORDS,
        "native_finish_reason": WORDS,
        "logprobs": LOGPROBS | COLUMNS,
        "error": members({"code": st.just(502), "message": WORDS}),
        "message": members({"role": WORDS, "content": WORDS}),
        "x": SMALL,
    }
)
CHUNKS = members(
    {
        "id": WORDS,
        "object": st.just("chat.completion.chunk"),
        "created": st.integers(0, 2),
        "model": WORDS,
        "provider": WORDS,
        "choices": st.lists(CHOICES, max_size=2),
        "usage": members({"prompt_tokens": st.integers(0, 2), "cost": st.just(0.5), "x": SMALL}),
        "x": SMALL,
        "x_other": SMALL,
    }
)


@examples(300)
@given(chunks=st.lists(CHUNKS, min_size=1, max_size=4), strict=st.booleans())
def test_every_path_reads_any_chunks_alike(chunks: list[Tree], strict: bool) -> None:  # noqa: FBT001
    """Chunks with any members, of right and wrong types, have one result as saved stream, as events and one by one."""
    raw = saved(*chunks)
    whole = result(lambda: normalize(raw, strict=strict))
    assert result(lambda: assemble(iter_events([raw]), strict=strict)) == whole
    assert result(lambda: by_chunks(raw, strict=strict)) == whole


ARGUMENTS = st.fixed_dictionaries({"index": st.just(0), "function": st.fixed_dictionaries({"arguments": WORDS})})
SUMMARIES = st.fixed_dictionaries({"type": st.just("reasoning.text"), "index": st.just(0), "text": WORDS})
TEXT_PARTS = st.fixed_dictionaries({"type": st.sampled_from(["text", "x"]), "text": WORDS})
THOUGHTS = st.fixed_dictionaries({"type": st.just("text"), "text": WORDS})
THINKING = st.fixed_dictionaries(
    {"type": st.just("thinking"), "closed": st.booleans(), "thinking": WORDS | st.lists(THOUGHTS, max_size=2)}
)
# What may differ in chunks that are else alike.
CHANGES = members(
    {
        "content": WORDS | st.lists(TEXT_PARTS | THINKING, min_size=1, max_size=2),
        "reasoning": WORDS,
        "reasoning_content": WORDS,
        "tool_calls": st.lists(ARGUMENTS, min_size=1, max_size=2),
        "reasoning_details": st.lists(SUMMARIES, min_size=1, max_size=2),
        "role": st.just("assistant"),
    }
)
BESIDE = members({"usage": members({"total_tokens": st.integers(0, 2)}), "obfuscation": WORDS, "p": WORDS})


@examples(500)
@given(choice=CHOICES, delta=DELTAS, changes=st.lists(st.tuples(CHANGES, BESIDE), min_size=2, max_size=6))
def test_chunks_that_differ_in_texts_say_what_each_says_by_itself(
    choice: Tree, delta: Tree, changes: list[tuple[Tree, Tree]]
) -> None:
    """Chunks that are alike but for texts, padding and usage give what they give when each is merged by itself."""
    assume(isinstance(choice, dict) and isinstance(delta, dict))
    raw = saved(*({"choices": [{**choice, "delta": {**delta, **texts}}], **beside} for texts, beside in changes))
    whole = result(lambda: normalize(raw))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("normcompletion.streams.merging.run_after", lambda chunk, answer: None)
        assert result(lambda: normalize(raw)) == whole


@examples(50)
@given(raw=streams, random=randoms, strict=st.booleans())
def test_a_stream_cut_off_anywhere_has_one_result(raw: bytes, random: Random, strict: bool) -> None:  # noqa: FBT001
    """A stream that ends behind its first event, in the middle of whatever it is, has one result in any cut."""
    first = re.search(rb"}[\r\n]", raw)
    assume(first is not None and first.end() < len(raw))
    assert_cuts_agree(raw[: random.randint(first.end(), len(raw))], random, strict=strict)


# -- hostile streams

streams_of_the_fuzzer = st.integers(0, 10**6).map(lambda index: mutant(1, index, streams=1.0).raw)
JUNK = [*NUMBERS, *IN_STRINGS, *BYTES, b"[" * 600, b'{"a":' * 600, b"[" * 200 + b"]" * 200]


@examples(200)
@given(raw=streams_of_the_fuzzer | st.binary(max_size=300), random=randoms, strict=st.booleans())
def test_any_bytes_in_any_cut_give_a_completion_or_a_normalize_error(
    raw: bytes,
    random: Random,
    strict: bool,  # noqa: FBT001
) -> None:
    """Any bytes raise nothing but a `NormalizeError`, and their events give one result in any cut."""
    result(lambda: normalize(raw, strict=strict))
    whole = result(lambda: assemble(iter_events([raw]), strict=strict))
    pieces = cut(raw, random, pieces=12)
    assert result(lambda: assemble(iter_events(pieces), strict=strict)) == whole


@examples(100)
@given(data=st.binary(max_size=200) | st.sampled_from(JUNK), strict=st.booleans())
def test_any_chunk_gives_a_chunk_or_a_normalize_error(data: bytes, strict: bool) -> None:  # noqa: FBT001
    """`normalize_chunk` raises nothing but a `NormalizeError`, whatever a chunk holds."""
    for raw in (data, b'{"choices":[{"index":0,"delta":{"content":' + data + b"}}]}"):
        try:
            chunk = normalize_chunk(raw, strict=strict)
        except NormalizeError as error:
            assert error.code
        else:
            assert chunk.variant in {"chunk", "text_chunk", "error", "confidential"}


# -- recorded streams


def recorded_streams(corpus: Path) -> Iterator[tuple[str, bytes]]:
    """The id and the bytes of each recorded stream of chunks."""
    with gzip.open(corpus, "rt", encoding="utf-8", errors="surrogatepass") as lines:
        for line in lines:
            if '"chunk_stream"' in line:
                record = json.loads(line)
                if record["kind"] == "chunk_stream" and record["encoding"] == "sse":
                    yield record["id"], record["body"].encode("utf-8", "surrogatepass")


@pytest.mark.corpus
def test_recorded_streams_have_one_result_however_they_are_fed(corpus: Path) -> None:
    """Recorded streams give one result whole, re-cut, and as canonical chunks."""
    random = Random(8)
    differ = []
    met = 0
    for name, raw in recorded_streams(corpus):
        if len(raw) > 40_000 or random.random() > 0.5:
            continue
        met += 1
        whole = result(lambda raw=raw: normalize(raw))  # type: ignore[misc]
        pieces = cut(raw, random, pieces=40)
        re_cut = result(lambda pieces=pieces: assemble(iter_events(pieces)))  # type: ignore[misc]
        if whole != re_cut or whole != result(lambda raw=raw: by_chunks(raw, strict=False)):  # type: ignore[misc]
            differ.append(name)
    assert differ == []
    assert met > 100
