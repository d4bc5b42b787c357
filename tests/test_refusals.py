"""Why a payload is refused: code, path, offset, and words that name what it is."""

from __future__ import annotations

from typing import Any

import pytest

from normcompletion import AmbiguousPayloadError, MalformedPayloadError, UnknownPayloadError, normalize
from tests.conftest import PAIRS, for_each, refusal

UNKNOWN = "UnknownPayloadError"

MALFORMED = "MalformedPayloadError"

# Each refused fixture without a completion: its code, path, offset, and the words that name what it is.
REFUSED: dict[str, tuple[str, str | None, int | None, str]] = {
    "AmbiguousPayloadError/openrouter_and_node": ("ambiguous", None, None, "atoma and openrouter"),
    "AmbiguousPayloadError/stream_openrouter_and_node": ("ambiguous", None, None, "atoma and openrouter"),
    "InvalidPayloadError/choice_is_text": ("wrong_type", "/choices/0", None, "a choice is not an object"),
    "InvalidPayloadError/choices_object": ("wrong_type", "/choices", None, "is an object"),
    "InvalidPayloadError/choices_string": ("wrong_type", "/choices", None, "is a string"),
    "InvalidPayloadError/stream_choices_object": ("wrong_type", "/choices", None, "is an object"),
    f"{MALFORMED}/empty": ("empty", None, None, "empty"),
    f"{MALFORMED}/html": ("syntax", None, 0, "HTML"),
    f"{MALFORMED}/leading_text": ("leading_text", None, 25, "the JSON, which starts at byte 25"),
    f"{MALFORMED}/latin1": ("not_utf8", None, 26, "invalid UTF-8 at byte 26"),
    f"{MALFORMED}/nan": ("syntax", None, None, "NaN"),
    f"{MALFORMED}/number_range": ("number_range", None, None, "64-bit float"),
    f"{MALFORMED}/padding_only": ("empty", None, None, "empty"),
    f"{MALFORMED}/stream_event_broken": ("syntax", None, 173, "event 2, at byte 173"),
    f"{MALFORMED}/stream_event_ends_too_early": ("syntax", None, 172, "event 2, at byte 172"),
    f"{MALFORMED}/stream_event_in_the_middle": ("syntax", None, 190, "event 2, at byte 190"),
    f"{MALFORMED}/stream_only_event_cut": ("truncated", None, 60, "ends too early"),
    f"{MALFORMED}/stream_pretty_events": ("syntax", None, 0, "goes on in lines without `data:`"),
    f"{MALFORMED}/too_deep": ("too_deep", None, None, "128 nested"),
    f"{MALFORMED}/truncated": ("truncated", None, 88, "ends too early"),
    f"{MALFORMED}/two_values": ("trailing_data", None, 15, "a second value starts at byte 15"),
    f"{MALFORMED}/utf16": ("utf16", None, 0, "UTF-16"),
    f"{UNKNOWN}/batch": ("unknown_shape", None, None, "batch"),
    f"{UNKNOWN}/choices_null": ("unknown_shape", None, None, "`choices` is null"),
    f"{UNKNOWN}/chunk": ("unknown_shape", None, None, "one chunk"),
    f"{UNKNOWN}/chunk_in_event": ("unknown_shape", "/data", None, "one chunk"),
    f"{UNKNOWN}/chunk_usage_only": ("unknown_shape", None, None, "one chunk"),
    f"{UNKNOWN}/chunk_without_object": ("unknown_shape", None, None, "one chunk"),
    f"{UNKNOWN}/embedding": ("unknown_shape", None, None, "an embedding"),
    f"{UNKNOWN}/empty_object": ("unknown_shape", None, None, "neither `choices` nor an error"),
    f"{UNKNOWN}/generation": ("unknown_shape", "/data", None, "generation record"),
    f"{UNKNOWN}/generation_camel": ("unknown_shape", "/data", None, "generation record"),
    f"{UNKNOWN}/generation_content": ("unknown_shape", "/data", None, "stored generation content"),
    f"{UNKNOWN}/images": ("unknown_shape", None, None, "images"),
    f"{UNKNOWN}/list_empty": ("list", None, None, "a list"),
    f"{UNKNOWN}/list_of_bodies": ("list", None, None, "a list"),
    f"{UNKNOWN}/log10_acknowledged": ("unknown_shape", None, None, "acknowledgement"),
    f"{UNKNOWN}/log10_benchmark_row": ("unknown_shape", None, None, "benchmark"),
    f"{UNKNOWN}/log10_finished_without_response": ("missing_response", "/response", None, "no response"),
    f"{UNKNOWN}/log10_list": ("list", None, None, "a page of records"),
    f"{UNKNOWN}/log10_list_empty": ("list", None, None, "a page of records"),
    f"{UNKNOWN}/log10_session": ("unknown_shape", None, None, "acknowledgement"),
    f"{UNKNOWN}/log10_session_v1": ("unknown_shape", None, None, "acknowledgement"),
    f"{UNKNOWN}/log10_ungraded": ("list", None, None, "a page of records"),
    f"{UNKNOWN}/log10_ungraded_call_result": ("list", None, None, "a page of records"),
    f"{UNKNOWN}/messages": ("unknown_shape", None, None, "Anthropic"),
    f"{UNKNOWN}/messages_event": ("unknown_shape", None, None, "Responses or Messages stream"),
    f"{UNKNOWN}/models_page": ("unknown_shape", None, None, "neither `choices` nor an error"),
    f"{UNKNOWN}/no_choices": ("unknown_shape", None, None, "neither `choices` nor an error"),
    f"{UNKNOWN}/null": ("not_object", None, None, "is null"),
    f"{UNKNOWN}/number": ("not_object", None, None, "a number"),
    f"{UNKNOWN}/responses": ("unknown_shape", None, None, "Responses API"),
    f"{UNKNOWN}/responses_event": ("unknown_shape", None, None, "Responses or Messages stream"),
    f"{UNKNOWN}/stream_messages": ("unknown_shape", None, None, "Responses or Messages stream"),
    f"{UNKNOWN}/stream_only_comments": ("empty", None, None, "no event with a chunk"),
    f"{UNKNOWN}/stream_only_done": ("empty", None, None, "no event with a chunk"),
    f"{UNKNOWN}/stream_responses": ("unknown_shape", None, None, "Responses or Messages stream"),
    f"{UNKNOWN}/stream_several_in_a_list": ("streams", None, None, "several answers follow one another"),
    f"{UNKNOWN}/stream_several_with_body": ("streams", None, 347, "the second starts at byte 347"),
    f"{UNKNOWN}/stream_several_with_done": ("streams", None, 347, "the second starts at byte 347"),
    f"{UNKNOWN}/stream_several_with_page": ("streams", None, 390, "the second starts at byte 390"),
    f"{UNKNOWN}/stream_several_without_done": ("streams", None, 333, "the second starts at byte 333"),
    f"{UNKNOWN}/string": ("not_object", None, None, "a string"),
}

WITHOUT_COMPLETION = {
    pair.name.removeprefix("rejected/"): pair.raw for pair in PAIRS if pair.error is not None and pair.expected is None
}


@pytest.mark.parametrize("name", WITHOUT_COMPLETION)
def test_a_refused_fixture_is_called_by_its_name(name: str) -> None:
    """The error of a refused fixture has the code, path and offset of the table, and its text names what it is."""
    code, path, offset, words = REFUSED[name]
    error = refusal(WITHOUT_COMPLETION[name])
    assert (error.code, error.path or None, error.offset) == (code, path, offset)
    assert words in str(error)


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
