"""What is handed in by mistake is refused with a word about what to hand in."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from normcompletion import (
    Completion,
    MalformedPayloadError,
    UnknownPayloadError,
    assemble,
    assemble_async,
    detect,
    explain,
    normalize,
    normalize_chunk,
    normalize_many,
)
from tests.conftest import refusal

CHAT = b'{"id":"a","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'
BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize("payload", [BOM + CHAT, "\ufeff" + CHAT.decode(), bytearray(BOM + CHAT), BOM + b" \n" + CHAT])
def test_a_byte_order_mark_is_dropped_at_byte_0(payload: Any) -> None:
    """A body behind a byte-order mark is that body, in strict mode, `detect` and `explain` too."""
    assert normalize(payload).to_json() == normalize(payload, strict=True).to_json() == normalize(CHAT).to_json()
    assert detect(payload) == detect(CHAT)
    assert explain(payload).lost == []


@pytest.mark.parametrize("behind", [b"\n\ndata: [DONE]\n\n", b"data:[DONE]", b"\r\n \t", b"\n\n\ndata: [DONE]"])
def test_a_whole_body_before_the_end_of_a_stream_is_read(behind: bytes) -> None:
    """Blanks and `data: [DONE]` behind a whole body are no part of it; a second value is refused."""
    assert normalize(CHAT + behind, strict=True).to_json() == normalize(CHAT).to_json()
    assert explain(CHAT + behind).lost == []
    with pytest.raises(MalformedPayloadError) as caught:
        normalize(CHAT + CHAT + behind)
    assert caught.value.code == "trailing_data"


class Response:
    """As httpx and requests have it."""

    status_code = 200

    @property
    def content(self) -> bytes:
        raise AssertionError("nobody reads the content")


class Raw:
    """As urllib3 has it."""

    def read(self) -> bytes:
        raise AssertionError("nobody reads the content")


class SdkError(Exception):
    """As openai, litellm, openrouter and atoma-sdk have it."""

    def __init__(self, body: object = None, response: object = None) -> None:
        super().__init__("no")
        self.body, self.response = body, response


def stream() -> Iterator[bytes]:
    """Chunks."""
    yield CHAT


async def awaited() -> bytes:
    """A response that was not awaited."""
    return CHAT


async def pieces() -> AsyncIterator[bytes]:
    """Chunks that are awaited."""
    yield CHAT


def test_what_leads_to_a_payload_is_refused_with_the_attribute_to_hand_in(tmp_path: Path) -> None:
    """Responses, paths, files, exceptions, iterators and coroutines are refused with what to hand in instead."""
    assert ".read_bytes()" in str(refusal(tmp_path / "log.json"))
    assert ".content" in str(refusal(Response()))
    assert ".read()" in str(refusal(Raw()))
    for file in (io.BytesIO(CHAT), io.StringIO(CHAT.decode())):
        assert ".read()" in str(refusal(file))
    assert "its `.body`" in str(refusal(SdkError(body={"message": "no"})))
    assert "its `.response.content`" in str(refusal(SdkError(response=Response())))
    assert "assemble()" in str(refusal(stream()))
    assert "assemble()" in str(refusal(pieces()))
    coroutine = awaited()
    assert "awaiting" in str(refusal(coroutine))
    coroutine.close()
    assert "JSON text, a mapping or an SDK object" in str(refusal(object()))


@pytest.mark.parametrize(
    "payload", [CHAT, CHAT.decode(), bytearray(CHAT), memoryview(CHAT), json.loads(CHAT), normalize(CHAT)]
)
@pytest.mark.parametrize("on_error", ["raise", "yield"])
def test_one_payload_in_place_of_several_is_refused(payload: Any, on_error: Any) -> None:
    """`normalize_many` handed one payload says so, and how one that holds several is read."""
    with pytest.raises(UnknownPayloadError, match=r"normalize_many\(\[payload\]\)") as caught:
        normalize_many(payload, on_error=on_error)
    assert caught.value.code == "not_many"


@pytest.mark.parametrize("payload", [CHAT, CHAT.decode(), json.loads(CHAT), normalize(CHAT)])
def test_one_payload_in_place_of_chunks_is_refused(payload: Any) -> None:
    """`assemble` and `assemble_async` do not iterate the characters of a text or the keys of a mapping."""
    for call in (lambda: assemble(payload), lambda: asyncio.run(assemble_async(payload))):
        with pytest.raises(UnknownPayloadError, match="normalize") as caught:
            call()
        assert caught.value.code == "not_many"


def test_choices_without_an_index_give_the_first_text_and_the_first_calls() -> None:
    """Where no choice has an index, `text` and `tool_calls` are the first that are not empty, never joined."""
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    empty, text, calls = {"content": ""}, {"content": "a"}, {"content": None, "tool_calls": [call]}

    def read(*messages: dict[str, Any], **members: Any) -> Completion:
        return normalize({"choices": [{"message": message, **members} for message in messages]})

    split = read(empty, text, {"content": "b"}, calls)
    assert (split.text, [item.id for item in split.tool_calls]) == ("a", ["t"])
    assert (read(empty, empty).text, read(empty, empty).tool_calls) == ("", [])
    assert read(calls, calls).text is None
    indexed = read(empty, text, calls, index=0)
    assert (indexed.text, indexed.tool_calls) == ("", [])


def test_a_limit_and_a_wrong_word_are_refused_at_once() -> None:
    """`detect` and `explain` have the limit of a record, and `on_broken` is one of two words."""
    for call in (
        lambda: normalize(CHAT, on_broken="ignore"),  # type: ignore[arg-type]
        lambda: list(normalize_many([CHAT], on_error="ignore")),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError, match="'ignore'"):
            call()


def test_a_chunk_is_plain_data() -> None:
    """`Chunk.to_dict` holds what `to_json` does."""
    chunk = normalize_chunk({"choices": [{"index": 0, "delta": {"content": "a"}, "x": 1}]})
    assert chunk.to_dict() == json.loads(chunk.to_json())
    assert chunk.to_dict()["extra"] == {"/choices/0/x": 1}


@pytest.mark.parametrize("member", [{"x_groq": "\ud800"}, {"x_groq": {"usage": "\ud800"}}, {"x_groq": []}])
def test_what_is_no_usage_in_the_place_of_one_stays_in_extra(member: dict[str, Any]) -> None:
    """A member of the name that holds something else, half a surrogate pair too, costs neither stream nor value."""
    chunk = {"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}], **member}
    completion = assemble([json.dumps(chunk)])
    assert (completion.text, completion.usage) == ("hi", None)
    assert completion.extra["/x_groq"] == member["x_groq"]
