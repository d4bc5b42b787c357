"""Why a payload is refused: code, path, offset, and words that name what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from normcompletion import AmbiguousPayloadError, MalformedPayloadError, UnknownPayloadError, normalize
from tests.conftest import PAIRS, for_each, refusal

# Each refused fixture without a completion: its code, path, offset, and the words that name what it is.
REFUSED = json.loads(Path(__file__).with_name("refused.json").read_bytes())
WITHOUT_COMPLETION = {
    pair.name.removeprefix("rejected/"): pair.raw for pair in PAIRS if pair.error is not None and pair.expected is None
}


@pytest.mark.parametrize("name", WITHOUT_COMPLETION)
def test_a_refused_fixture_is_called_by_its_name(name: str) -> None:
    """The error of a refused fixture has the code, path and offset of the table, and its text names what it is."""
    expected = REFUSED[name]
    error = refusal(WITHOUT_COMPLETION[name])
    assert (error.code, error.path or None, error.offset) == tuple(map(expected.get, ("code", "path", "offset")))
    assert expected["words"] in str(error)


CALLED: dict[str, list[object]] = {
    "an embedding": [{"object": "embedding"}, {"data": [{"object": "embedding"}]}, {"data": [{"embedding": [0.5]}]}],
    "images": [{"data": [{"b64_json": "x"}]}, {"data": [{"url": "x"}]}],
    "acknowledgement": [{"completionID": "c"}, {"sessionID": "s"}, {"session": {}}],
    "benchmark": [{"completion_id": "c", "prompt_messages": []}],
    "generation record": [
        *({key: 1} for key in ("tokens_prompt", "native_tokens_prompt", "tokensPrompt", "nativeTokensPrompt")),
        *({key: "g"} for key in ("generation_id", "generationId")),
    ],
    "stored generation content": [{"input": {}, "output": {}}],
    "Responses API": [{"object": "response"}, {"output": []}],
    "Responses or Messages stream": [
        *({"type": f"message_{word}"} for word in ("start", "delta", "stop")),
        *({"type": f"content_block_{word}"} for word in ("start", "delta", "stop")),
        *({"type": word} for word in ("response.created", "ping")),
    ],
    "Anthropic": [{"type": "message", "content": []}],
    "batch": [{"object": "batch"}],
    "one chunk": [{"object": "chat.completion.chunk"}, {"choices": [{"delta": {"content": "x"}}]}],
    "a bool": [True],
    "a boolean": [b"true"],
    "neither": [
        *({"data": [{"id": "m"}]}, {"session": {}, "more": 1}, {"completion_id": "c"}, {"prompt_messages": []}),
        *({"input": {}}, {"type": "message"}),
    ],
}


@for_each((payload, words) for words, payloads in CALLED.items() for payload in payloads)
def test_what_is_no_completion_is_called_by_its_name(payload: Any, words: str) -> None:
    """The text of `UnknownPayloadError` says what the payload is, by the fewest members that tell."""
    error = refusal(payload)
    assert isinstance(error, UnknownPayloadError)
    assert words in str(error)


def test_the_last_delta_that_log10_rebuilt_is_a_whole_response() -> None:
    """A choice with only a delta is a response under the words of rebuilt streams, and a chunk under any other."""
    for word in ("chat.completion", "completion"):
        for vendor in ({}, {"vendor": 1}):
            body = {"object": word, "choices": [{"delta": {"content": "hi"}}], **vendor}
            assert normalize(body).text == "hi"
    assert "one chunk" in str(refusal({"object": "chat", "choices": [{"delta": {"content": "hi"}}], "vendor": 1}))


@pytest.mark.parametrize("key", ["choices", "tagResolved", "organization_id", "response"])
def test_a_page_is_detected_by_the_keys_of_its_records(key: str) -> None:
    """A list under `data` is a page where each member has a key of a record, and `object` is absent or `list`."""
    assert refusal({"data": [{key: None}]}).code == "list"
    assert refusal({"object": "list", "data": [{key: None}, {key: None}]}).code == "list"
    assert refusal({"object": "list", "data": [{key: None}, {"id": "m"}]}).code == "unknown_shape"
    assert refusal({"object": "search", "data": [{key: None}]}).code == "unknown_shape"


def test_an_ambiguous_error_names_the_place_of_the_response() -> None:
    """`path` of an ambiguous error body is where it is: `None` at the root, a pointer inside a wrapper."""
    error = {
        "error": {"message": "no", "metadata": {"provider_name": "P"}},
        "signature": "s",
        "response_hash": "h",
    }
    bare, wrapped = refusal(error), refusal({"data": error})
    assert isinstance(bare, AmbiguousPayloadError)
    assert isinstance(wrapped, AmbiguousPayloadError)
    assert (bare.path, wrapped.path) == (None, "/data")
    assert set(bare.candidates) == {"atoma", "openrouter"}


@pytest.mark.parametrize(
    ("payload", "code", "offset"),
    [
        (b" \t\r\n ", "empty", None),
        (b'{"choices":[],"a":"\\ud83d","b":1e999}', "number_range", None),
        ('{"a":1}'.encode("utf-16-le"), "utf16", None),
        ('{"a":"é","b":}'.encode(), "syntax", 14),
        ('{"a":"é"} {}'.encode(), "trailing_data", 11),
        (b"\xff\xfe{\x00}\x00", "utf16", 0),
        (b"\xfe\xff\x00{\x00}", "utf16", 0),
        (b"<html>", "syntax", 0),
    ],
)
def test_broken_text_has_its_code_and_offset(payload: Any, code: str, offset: int | None) -> None:
    """The code says how a text is broken, the offset where, in bytes."""
    error = refusal(payload)
    assert isinstance(error, MalformedPayloadError)
    assert (error.code, error.offset) == (code, offset)
