"""What mutation testing (`tests/mutation.py`) found untested: tables word by word, verdicts by name, limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from normcompletion import (
    AmbiguousPayloadError,
    Chunk,
    Completion,
    Event,
    InvalidPayloadError,
    MalformedPayloadError,
    NormalizeError,
    SourceReportedError,
    UnknownPayloadError,
    UnknownSourceError,
    assemble,
    detect,
    dialect,
    explain,
    iter_events,
    normalize,
    normalize_chunk,
    normalize_many,
)
from normcompletion.accounting import lost
from normcompletion.ledger import NOTES, Ledger, in_order
from normcompletion.model import ServiceError
from normcompletion.reader import Reader
from normcompletion.registry import Registry, built_in
from normcompletion.sources.log10 import Record
from normcompletion.stream_events import EventReader
from normcompletion.variant import Variant
from normcompletion.wire import Body, Chat, Wire
from tests.conftest import PAIRS, canonical, fresh_reader


def chat(**members: Any) -> dict[str, Any]:
    """A small chat completion with more members."""
    return {"id": "a", "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}], **members}


def refusal(payload: object, **options: Any) -> NormalizeError:
    """The error that a payload raises."""
    with pytest.raises(NormalizeError) as caught:
        normalize(payload, **options)
    return caught.value


def reported(payload: object) -> Completion:
    """The completion of a call that the service says failed."""
    error = refusal(payload)
    assert isinstance(error, SourceReportedError)
    return error.completion


# -- why a payload is refused

UNKNOWN = "UnknownPayloadError"
MALFORMED = "MalformedPayloadError"
# Each refused fixture without a completion: its code, path, offset, and the words that name what it is.
REFUSED: dict[str, tuple[str, str | None, int | None, str]] = {
    "AmbiguousPayloadError/openrouter_and_node": ("ambiguous", None, None, "atoma and openrouter"),
    "AmbiguousPayloadError/stream_openrouter_and_node": ("ambiguous", None, None, "atoma and openrouter"),
    "InvalidPayloadError/choice_is_text": ("wrong_type", "/choices/0", None, "a choice is no object"),
    "InvalidPayloadError/choices_object": ("wrong_type", "/choices", None, "is an object"),
    "InvalidPayloadError/choices_string": ("wrong_type", "/choices", None, "is a string"),
    "InvalidPayloadError/stream_choices_object": ("wrong_type", "/choices", None, "is an object"),
    f"{MALFORMED}/bom": ("bom", None, 0, "byte-order mark"),
    f"{MALFORMED}/empty": ("empty", None, None, "empty"),
    f"{MALFORMED}/html": ("syntax", None, 0, "HTML"),
    f"{MALFORMED}/latin1": ("not_utf8", None, 26, "invalid UTF-8 at byte 26"),
    f"{MALFORMED}/nan": ("syntax", None, None, "NaN"),
    f"{MALFORMED}/number_range": ("number_range", None, None, "64-bit float"),
    f"{MALFORMED}/padding_only": ("empty", None, None, "empty"),
    f"{MALFORMED}/stream_bom": ("bom", None, 0, "byte-order mark"),
    f"{MALFORMED}/stream_event_in_the_middle": ("syntax", None, 34, "no JSON at byte 34"),
    f"{MALFORMED}/stream_only_event_cut": ("truncated", None, 60, "ends too early"),
    f"{MALFORMED}/too_deep": ("too_deep", None, None, "128 nested"),
    f"{MALFORMED}/truncated": ("truncated", None, 88, "ends too early"),
    f"{MALFORMED}/two_values": ("trailing_data", None, 15, "a second value starts at byte 15"),
    f"{MALFORMED}/utf16": ("utf16", None, 0, "UTF-16"),
    f"{UNKNOWN}/batch": ("unknown_shape", None, None, "batch"),
    f"{UNKNOWN}/choices_null": ("unknown_shape", None, None, "`choices` null"),
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
    f"{UNKNOWN}/string": ("not_object", None, None, "a string"),
}
WITHOUT_COMPLETION = {
    pair.name.removeprefix("rejected/"): pair.raw for pair in PAIRS if pair.error is not None and pair.expected is None
}


@pytest.mark.parametrize("name", WITHOUT_COMPLETION)
def test_a_refused_fixture_says_what_it_is(name: str) -> None:
    """The error of a refused fixture has the code, path and offset of the table, and its text names what it is."""
    code, path, offset, words = REFUSED[name]
    error = refusal(WITHOUT_COMPLETION[name])
    assert (error.code, error.path or None, error.offset) == (code, path, offset)
    assert words in str(error)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"object": "embedding"}, "an embedding"),
        ({"data": [{"object": "embedding"}]}, "an embedding"),
        ({"data": [{"embedding": [0.5]}]}, "an embedding"),
        ({"data": [{"b64_json": "x"}]}, "images"),
        ({"data": [{"url": "x"}]}, "images"),
        ({"data": [{"id": "m"}]}, "neither"),
        ({"completionID": "c"}, "acknowledgement"),
        ({"sessionID": "s"}, "acknowledgement"),
        ({"session": {}}, "acknowledgement"),
        ({"session": {}, "more": 1}, "neither"),
        ({"completion_id": "c", "prompt_messages": []}, "benchmark"),
        ({"completion_id": "c"}, "neither"),
        ({"prompt_messages": []}, "neither"),
        ({"tokens_prompt": 1}, "generation record"),
        ({"native_tokens_prompt": 1}, "generation record"),
        ({"tokensPrompt": 1}, "generation record"),
        ({"nativeTokensPrompt": 1}, "generation record"),
        ({"generation_id": "g"}, "generation record"),
        ({"generationId": "g"}, "generation record"),
        ({"input": {}, "output": {}}, "stored generation content"),
        ({"input": {}}, "neither"),
        ({"object": "response"}, "Responses API"),
        ({"output": []}, "Responses API"),
        ({"type": "response.created"}, "Responses or Messages stream"),
        ({"type": "message_start"}, "Responses or Messages stream"),
        ({"type": "message_delta"}, "Responses or Messages stream"),
        ({"type": "message_stop"}, "Responses or Messages stream"),
        ({"type": "content_block_start"}, "Responses or Messages stream"),
        ({"type": "content_block_delta"}, "Responses or Messages stream"),
        ({"type": "content_block_stop"}, "Responses or Messages stream"),
        ({"type": "ping"}, "Responses or Messages stream"),
        ({"type": "message", "content": []}, "Anthropic"),
        ({"type": "message"}, "neither"),
        ({"object": "batch"}, "batch"),
        ({"object": "chat.completion.chunk"}, "one chunk"),
        ({"choices": [{"delta": {"content": "x"}}]}, "one chunk"),
        (True, "a bool"),
        (b"true", "a boolean"),
    ],
)
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
def test_a_page_is_told_by_the_keys_of_its_records(key: str) -> None:
    """A list under `data` is a page where each member has a key of a record, and `object` is absent or `list`."""
    assert refusal({"data": [{key: None}]}).code == "list"
    assert refusal({"object": "list", "data": [{key: None}, {key: None}]}).code == "list"
    assert refusal({"object": "list", "data": [{key: None}, {"id": "m"}]}).code == "unknown_shape"
    assert refusal({"object": "search", "data": [{key: None}]}).code == "unknown_shape"


def test_an_ambiguous_error_names_the_place_of_the_response() -> None:
    """`path` of an ambiguous error body is where it stands: `None` at the root, a pointer inside a wrapper."""
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


# -- the tables

FAULTS: dict[str, Any] = {
    "wrong_type": chat(usage="much"),
    "out_of_range": chat(usage={"prompt_tokens": 2**64}),
    "float_as_integer": chat(usage={"prompt_tokens": 3.0}),
    "text_as_integer": chat(usage={"prompt_tokens": "3"}),
    "text_as_number": chat(usage={"cost": "0.5"}),
    "number_as_text": chat(model=4),
    "object_as_text": {"choices": [{"message": {"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}}]},
    "text_as_object": {"choices": [{"message": {"images": [{"type": "image_url", "image_url": "https://x"}]}}]},
    "uneven_logprobs": {"choices": [{"text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": []}}]},
    "lone_surrogate": b'{"choices":[{"message":{"content":"\\ud83d"}}]}',
    "whole_in_stream": b'data: {"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    "duplicate_key": b'{"model":"a","model":"b","choices":[{"message":{"content":"hi"}}]}',
}
REMARKS: dict[str, Any] = {
    "fractional_time": chat(created=1.5),
    "text_time": chat(created="2026-11-21T00:00:00Z"),
    "milliseconds": chat(created=1_700_000_000_000),
    "unknown_finish_reason": {"choices": [{"message": {"content": "hi"}, "finish_reason": "odd"}]},
    "unknown_role": {"choices": [{"message": {"role": "bard", "content": "hi"}}]},
    "placeholder": {"choices": [{"message": {"content": "hi"}, "finish_reason": ""}]},
    "incomplete_stream": b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n',
    "conflicting_value": b'data: {"model":"a","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
    b'data: {"model":"b","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    "cumulative_delta": b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"logprobs":[{"1":{"logprob":-1}}],'
    b'"finish_reason":"stopped"}]}\n\n',
    "python_arguments": {
        "choices": [{"message": {"tool_calls": [{"function": {"name": "f", "arguments": "{'a': 1}"}}]}}]
    },
}


def test_every_repair_is_a_fault_or_a_remark_here() -> None:
    """The two tables of this module hold every code of `NOTES`, each on the right side."""
    assert {code: kind for code, (kind, _) in NOTES.items()} == {
        **dict.fromkeys(FAULTS, "fault"),
        **dict.fromkeys(REMARKS, "remark"),
    }


@pytest.mark.parametrize("code", FAULTS)
def test_strict_mode_refuses_each_fault(code: str) -> None:
    """A payload with one fault is read leniently with its note, and refused in strict mode with its code."""
    notes = [note.code for note in normalize(FAULTS[code]).notes]
    assert notes == ([] if code == "duplicate_key" else [code])
    error = refusal(FAULTS[code], strict=True)
    assert isinstance(error, InvalidPayloadError)
    assert [fault.code for fault in error.faults] == [error.code] == [code]


@pytest.mark.parametrize("code", REMARKS)
def test_strict_mode_lets_each_remark_pass(code: str) -> None:
    """A payload with a remark has its note, in strict mode too."""
    assert code in {note.code for note in normalize(REMARKS[code], strict=True).notes}


SHARED_WORDS = {
    **dict.fromkeys(("stop", "end_turn", "stop_sequence", "STOP"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "MAX_TOKENS"), "length"),
    **dict.fromkeys(("tool_calls", "function_call", "tool_use"), "tool_calls"),
    **dict.fromkeys(("content_filter", "refusal"), "content_filter"),
    **dict.fromkeys(("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"), "content_filter"),
    **dict.fromkeys(("safety", "recitation", "blocklist", "prohibited_content", "spii"), "content_filter"),
    **dict.fromkeys(("error", "MALFORMED_FUNCTION_CALL", "malformed_function_call"), "error"),
}
WORDS = [
    *(("openai", word, read) for word, read in SHARED_WORDS.items()),
    *(("openrouter", word, "stop") for word in ("completed", "eos")),
    *(("openrouter", word, "length") for word in ("max_output_tokens", "model_length")),
    ("openrouter", "SPII", "content_filter"),
    ("atoma", "stopped", "stop"),
    ("atoma", "length_capped", "length"),
    ("atoma", "SPII", "content_filter"),
]


@pytest.mark.parametrize(("source", "word", "read"), WORDS)
def test_each_finish_word_means_one_thing(source: str, word: str, read: Any) -> None:
    """Each finish word of the tables is read without a note, and stays readable where it is another's."""
    body = {"choices": [{"message": {"content": "hi"}, "finish_reason": word}]}
    (choice,) = (completion := normalize(body, source=source)).choices
    assert (choice.finish_reason, choice.native_finish_reason) == (read, None if word == read else word)
    assert completion.notes == []


@pytest.mark.parametrize(
    "code",
    [
        *("REQUEST_ERROR", "FIAT_PAYMENTS_ONLY", "AUTH_ERROR", "BALANCE_ERROR", "NOT_FOUND", "LOCKED"),
        *("UNAVAILABLE_STACK", "TOO_MANY_REQUESTS", "INTERNAL_ERROR", "NOT_IMPLEMENTED", "SERVICE_UNAVAILABLE"),
        *("MISSING_HEADER", "INVALID_HEADER", "INVALID_BODY", "MODEL_ERROR", "LOCKED_STACK_ERROR"),
        *("UNAVAILABLE_STACK_ERROR", "CHAT_COMPLETIONS_SERVICE_UNAVAILABLE"),
    ],
)
def test_each_error_code_of_atoma_is_its_mark(code: str) -> None:
    """A code of the proxy or the node names Atoma, unless the error has a type, which neither writes."""
    assert reported({"error": {"code": code, "message": "no"}}).source == "atoma"
    assert reported({"error": {"code": code, "type": "t", "message": "no"}}).source == "openai"


def test_an_internal_error_of_the_engine_has_a_request_id() -> None:
    """`internal_error` alone, or a request id alone, is no mark of Atoma's engine; both together are."""
    assert reported({"error": {"type": "internal_error", "request_id": "r"}}).source == "atoma"
    assert reported({"error": {"type": "internal_error"}}).source == "openai"
    assert reported({"error": {"type": "other", "request_id": "r"}}).source == "openai"


# -- members


@pytest.mark.parametrize(
    ("sent", "read", "notes"),
    [
        (10**11 - 1, 10**11 - 1, []),
        (10**11, 10**8, ["milliseconds"]),
        (2 * 10**11, 2 * 10**8, ["milliseconds"]),
        (10**14 - 1, 10**11 - 1, ["milliseconds"]),
        (10**14, None, ["out_of_range"]),
        (-(10**14) + 1, -(10**14) + 1, []),
        (-1.5, -2, ["fractional_time"]),
        ("1700000000", 1_700_000_000, ["text_as_integer"]),
        ("1970-01-01 00:00:01.5", 1, ["text_time"]),
        ("1970-01-01T01:00:00+01:00", 0, ["text_time"]),
        ("1970-13-01T00:00:00Z", None, ["wrong_type"]),
        ("1970-01-01", None, ["wrong_type"]),
    ],
)
def test_a_time_is_read_by_its_size(sent: Any, read: Any, notes: list[str]) -> None:
    """Times from 1e11 up are milliseconds, from 1e14 up they are refused; texts are digits or ISO 8601."""
    completion = normalize(chat(created=sent))
    assert completion.created == read
    assert [note.code for note in completion.notes] == notes


def test_the_text_of_a_content_list_is_that_of_its_text_parts() -> None:
    """Parts of type `text`, `output_text` and none are text; a part of another type is not."""
    parts = [{"type": kind, "text": kind or "none"} for kind in ("text", "output_text", None, "other")]
    completion = normalize({"choices": [{"message": {"content": parts}}]})
    assert completion.text == "textoutput_textnone"


def test_parallel_log_probs_beside_the_list_of_tokens_are_kept() -> None:
    """Where log-probs come in both forms, the list of tokens is read and the parallel lists go to `extra`."""
    columns = {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": [{"a": -1.0}], "text_offset": [0]}
    sent = {"content": [{"token": "a", "logprob": -1.0}], **columns}
    completion = normalize({"choices": [{"text": "a", "logprobs": sent}]})
    logprobs = completion.choices[0].logprobs
    assert logprobs is not None
    assert [item.token for item in logprobs.content or ()] == ["a"]
    assert completion.extra == {f"/choices/0/logprobs/{name}": column for name, column in columns.items()}


@pytest.mark.parametrize("member", [{"code": 1}, {"type": "t"}, {"metadata": {}}, {"status": 500}, {"statusCode": 500}])
def test_a_message_with_a_member_of_an_error_is_one(member: dict[str, Any]) -> None:
    """`message` beside `code`, `type`, `metadata` or a status is an error body, whatever else is there."""
    completion = reported({"message": "no", "more": 1, **member})
    assert completion.error is not None
    assert completion.error.message == "no"
    assert refusal({"message": "no", "more": 1}).code == "unknown_shape"


def test_a_detail_alone_is_an_error() -> None:
    """`detail` is an error body where nothing else has a value."""
    for body in ({"detail": "no"}, {"detail": "no", "id": None}):
        completion = reported(body)
        assert completion.error is not None
        assert completion.error.message == "no"
    assert refusal({"detail": "no", "more": 1}).code == "unknown_shape"


@pytest.mark.parametrize(
    ("member", "fits"),
    [
        ({"code": 429}, True),
        ({"code": "busy"}, True),
        ({"code": True}, False),
        ({"code": 2**64}, False),
        ({"type": "t"}, True),
        ({"type": 4}, False),
        ({"metadata": {"a": 1}}, True),
        ({"metadata": "a"}, False),
    ],
)
def test_outer_members_fill_what_an_error_leaves_open(member: dict[str, Any], *, fits: bool) -> None:
    """A member beside an error that is a sentence becomes a field where its type fits, and else goes to `extra`."""
    completion = reported({"error": "no", **member})
    assert completion.error is not None
    ((name, value),) = member.items()
    assert getattr(completion.error, name) == (value if fits else None)
    assert completion.extra.get(f"/{name}") == (None if fits else value)


# -- where a payload went


def places(payload: object) -> dict[str, str]:
    """The place of each leaf, by its pointer."""
    return {placement.path: placement.place for placement in explain(payload).placements}


def test_equal_counts_are_said_to_be_in_their_own_fields() -> None:
    """Of equal numbers each is placed in the field of its name, in either spelling and any order."""
    for usage in (
        {"total_tokens": 5, "completion_tokens": 5, "prompt_tokens": 5},
        {"totalTokens": 5, "completionTokens": 5, "promptTokens": 5},
    ):
        found = places(chat(usage=usage))
        for key, name in zip(usage, ("total_tokens", "completion_tokens", "prompt_tokens"), strict=True):
            assert found[f"/usage/{key}"] == f"/usage/{name}"


def test_a_repaired_text_under_a_repaired_key_is_in_the_notes() -> None:
    """A text with half a surrogate pair is placed in `notes`, under a key that was repaired as well."""
    found = places(b'{"choices":[{"message":{"content":"hi"}}],"k\\ud83d":"v\\ud83d"}')
    assert found["/k\ud83d"] == "notes"


def test_the_accounting_tells_a_flag_from_a_number() -> None:
    """A flag and a number that Python calls equal do not stand for each other, and a missing one is lost."""
    completion = normalize(chat(usage={"prompt_tokens": 1, "is_byok": False}))
    assert lost({"usage": {"prompt_tokens": 1, "is_byok": False}}, completion) == []
    assert lost({"usage": {"prompt_tokens": True}}, completion) == ["/usage/prompt_tokens"]
    assert lost({"usage": {"prompt_tokens": 2}}, completion) == ["/usage/prompt_tokens"]


@pytest.mark.parametrize(
    ("payload", "evidence"),
    [
        ({"kind": "chat", "status": "finished", "response": chat()}, ("log10: `kind` beside `request` or `response`",)),
        ({"nonce": "n", "ciphertext": "c"}, ("atoma: `ciphertext` and `nonce`",)),
        ({"error": {"code": "LOCKED"}}, ("atoma: `error.code` is one of the proxy's or the node's",)),
        (chat(object="completion"), ('log10: `object` is "completion"',)),
        (chat(object="chat"), ('log10: `object` is "chat", without `created`',)),
        (chat(created=0, system_fingerprint=""), ("log10: `created` 0 and an empty `system_fingerprint`",)),
        (chat(system_fingerprint="log10_mock_chat_completion"), ("log10: the mock's `system_fingerprint`",)),
        (chat(usage={"total_tokens": -1, "prompt_tokens": -1}), ("log10: usage of -1",)),
        ({"choices": [{"function_call": {"name": "f"}}]}, ("log10: `function_call` on the choice",)),
        (chat(usage={"is_byok": True}), ("openrouter: `usage.is_byok` or `usage.cost_details`",)),
        (chat(signature="s", response_hash="h"), ("atoma: `signature` and `response_hash`",)),
        (chat(object="chat.completions"), ('atoma: `object` is "chat.completions"',)),
        (chat(), ()),
    ],
)
def test_detect_names_every_mark_that_holds(payload: Any, evidence: tuple[str, ...]) -> None:
    """The evidence names each mark that holds, by the source whose mark it is."""
    found = detect(payload)
    assert found.evidence == evidence
    assert found.certain is bool(evidence)


def test_detect_tells_the_spelling() -> None:
    """The spelling is camel where more schema keys are in camelCase, and snake where none is."""
    assert detect({"choices": [{"finishReason": "stop", "message": {"content": "hi"}}]}).spelling == "camel"
    assert detect(chat()).spelling == "snake"
    assert detect(chat(vendorKey=1)).spelling == "snake"


# -- roads: speed that can be seen


class Watched(Reader):
    """A reader that counts how often it takes the salvage road."""

    salvaged = 0

    def from_tree(self, *arguments: Any) -> Completion:
        self.salvaged += 1
        return super().from_tree(*arguments)

    def roads(self, payload: dict[str, Any], times: int) -> list[bool]:
        """Whether each reading of a payload took the salvage road; every one gives the same completion."""
        raw, found, read = json.dumps(payload).encode(), [], set()
        for _ in range(times):
            before = self.salvaged
            read.add(canonical(self.read(raw, Ledger(read=self.read))))
            found.append(self.salvaged > before)
        assert len(read) == 1
        return found


OPEN = {"choices": [{"message": {"reasoning_content": "hm", "content": "hi"}, "finish_reason": "end_turn"}]}
OPEN_CAMEL = {"choices": [{"message": {"reasoningContent": "hm", "content": "hi"}, "finishReason": "end_turn"}]}
TIGHT_CAMEL = {"choices": [{"message": {"content": "hi"}, "finishReason": "stop"}], "systemFingerprint": "f"}


@pytest.mark.parametrize(
    "payload", [chat(), OPEN, TIGHT_CAMEL, OPEN_CAMEL], ids=["tight", "open", "camel", "open camel"]
)
def test_known_keys_take_no_salvage_road(payload: Any) -> None:
    """A payload with known keys alone is read by a compiled shape at first sight, whatever came before it."""
    reader = Watched(Registry(built_in()))
    assert reader.roads(payload, 2) == [False, False]
    for other in (chat(), OPEN, TIGHT_CAMEL, OPEN_CAMEL):
        assert reader.roads(other, 1) == [False]
        assert reader.roads(payload, 1) == [False]


@pytest.mark.parametrize(
    "payload", [chat(), OPEN, TIGHT_CAMEL, OPEN_CAMEL], ids=["tight", "open", "camel", "open camel"]
)
def test_vendor_keys_are_learned_at_second_sight(payload: Any) -> None:
    """A payload with vendor keys takes the salvage road twice and then a shape of its own."""
    message = {**payload["choices"][0]["message"], "mood": {"glad": True}}
    reader = Watched(Registry(built_in()))
    dressed = {**payload, "vendor": 1, "choices": [{**payload["choices"][0], "message": message, "rank": None}]}
    assert reader.roads(dressed, 4) == [True, True, False, False]


@pytest.mark.parametrize("word", ["finish_reason", "finishReason"])
def test_vendor_keys_of_texts_are_learned_beside_those_of_chats(word: str) -> None:
    """Text completions with vendor keys take the salvage road twice, and so do chats that have them too."""
    reader = Watched(Registry(built_in()))
    text = {"choices": [{"text": "hi", word: "stop", "rank": 1}], "vendor": 1}
    other = {"choices": [{"text": "hi", word: "stop"}], "maker": {"a": 1}}
    spoken = {"choices": [{"message": {"content": "hi"}, word: "stop", "rank": 1}], "vendor": 1}
    for payload in (text, other, spoken):
        assert reader.roads(payload, 4) == [True, True, False, False]
    for payload in (text, other, spoken):
        assert reader.roads(payload, 2) == [False, False]


def test_learning_is_bounded() -> None:
    """A reader compiles at most 64 shapes of vendor keys, and remembers a bounded number of sightings."""
    reader = Watched(Registry(built_in()))
    for number in range(70):
        reader.roads(chat(**{f"vendor_{number}": 1}), 2)
    assert reader.wide_shapes == 64
    for number in range(300):
        Watched.roads(reader, chat(**{f"other_{number}": 1}), 1)
    assert len(reader.sighted) <= 256


def test_a_map_is_kept_whole_where_it_is_none() -> None:
    """What is no map where one is meant goes to `extra` with its note."""
    for value in ("a", 3, [1]):
        logprobs = {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": [value]}
        completion = normalize({"choices": [{"text": "a", "logprobs": logprobs}]})
        assert completion.extra == {"/choices/0/logprobs/top_logprobs/0": value}
        assert [note.code for note in completion.notes] == ["wrong_type"]


def test_what_an_sdk_does_not_know_needs_both_of_its_marks() -> None:
    """`isUnknown` without `raw`, and `raw` without `isUnknown`, are vendor keys like others."""
    image = {"image_url": {"url": "u"}}
    for marks, text in (({"isUnknown": True}, "u"), ({"raw": {"image_url": {"url": "v"}}}, "u")):
        message = normalize({"choices": [{"message": {"images": [{**image, **marks}]}}]}).choices[0].message
        assert message.images is not None
        assert message.images[0].image_url is not None
        assert message.images[0].image_url.url == text
    unknown = {"isUnknown": True, "raw": {"image_url": {"url": "v"}}, "type": "UNKNOWN"}
    message = normalize({"choices": [{"message": {"images": [unknown]}}]}).choices[0].message
    assert message.images is not None
    assert message.images[0].image_url is not None
    assert message.images[0].image_url.url == "v"


def test_many_gives_the_records_of_a_page_their_pointers() -> None:
    """A page yields its records, and the error of one of them has its pointer and the position of the page."""
    page = {"object": "list", "data": [chat(), {"choices": 3}]}
    first, second, third = normalize_many([page, chat()], on_error="yield")
    assert isinstance(first, Completion)
    assert isinstance(third, Completion)
    assert isinstance(second, InvalidPayloadError)
    assert (second.path, second.index) == ("/data/1/choices", 0)
    assert msgspec.json.encode(first) == msgspec.json.encode(normalize(chat()))


ODD_WORD = {"object": "chat.completion", "choices": [{"message": {"content": "hi"}, "finish_reason": "end_turn"}]}
ODD_CAMEL = {"choices": [{"message": {"content": "hi"}, "finishReason": "end_turn"}], "systemFingerprint": "f"}
RECORD = {"kind": "chat", "status": "finished", "organization_id": "o", "response": ODD_WORD}
TEXT = {"object": "text_completion", "choices": [{"text": "hi", "finish_reason": "end_turn"}]}
KNOWN = {
    "word": ODD_WORD,
    "camel": ODD_CAMEL,
    "record": RECORD,
    "camel record": {"kind": "chat", "status": "finished", "organizationId": "o", "response": ODD_CAMEL},
    "wrapped": {"data": ODD_WORD},
    "wrapped record": {"data": RECORD},
    "text": TEXT,
    "camel text": {"choices": [{"finishReason": "stop", "text": "hi"}], "systemFingerprint": "f"},
    "camel text, text first": {"choices": [{"text": "hi", "finishReason": "stop"}]},
}


@pytest.mark.parametrize("payload", KNOWN.values(), ids=KNOWN)
def test_known_words_and_envelopes_take_no_salvage_road(payload: Any) -> None:
    """A body in words of its own, and what may stand around one, are read by compiled shapes, whatever came before."""
    reader = Watched(Registry(built_in()))
    for other in KNOWN.values():
        assert reader.roads(payload, 2) == [False, False]
        assert reader.roads(other, 1) == [False]


NEARLY_CANONICAL: dict[str, Any] = {
    "a content list": {"choices": [{"message": {"content": [{"type": "text", "text": "hi"}]}}]},
    "an old function call": {"choices": [{"message": {"function_call": {"name": "f", "arguments": "{}"}}}]},
    "a delta beside the message": {"choices": [{"message": {"content": "hi"}, "delta": {"content": "i"}}]},
    "a time as text": {"choices": [{"message": {"content": "hi"}}], "created": "2025-01-01T00:00:00Z"},
    "milliseconds": {"choices": [{"message": {"content": "hi"}}], "created": 1760000000000},
    "an itemised cost": {"choices": [{"message": {"content": "hi"}}], "usage": {"cost": {"total_cost": 0.1}}},
    "a Python repr": {"choices": [{"message": {"tool_calls": [{"function": {"arguments": "{'a': 1}"}}]}}]},
}


@pytest.mark.parametrize("payload", NEARLY_CANONICAL.values(), ids=NEARLY_CANONICAL)
@pytest.mark.parametrize("more", [{}, {"vendor": 1}, {"object": "completion"}], ids=["bare", "vendor", "word"])
def test_a_member_that_needs_a_second_look_needs_no_open_form(
    payload: dict[str, Any], more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body with one member that is nearly canonical is read by a tight shape, and as the open form reads it."""
    raw = json.dumps({**payload, **more}).encode()
    by_salvage = Reader(Registry(built_in())).from_tree(json.loads(raw), Ledger())
    by_salvage.extra = in_order(by_salvage.extra)
    reader = Watched(Registry(built_in()))
    reader.roads({**payload, **more}, 2)  # learns the vendor's key
    monkeypatch.setattr(Reader, "from_open", None)
    completion = reader.read(raw, Ledger())
    completion.extra = in_order(completion.extra)
    assert msgspec.json.encode(completion) == msgspec.json.encode(by_salvage)


def test_two_sets_of_vendor_keys_are_learned_side_by_side() -> None:
    """Payloads of two services that come in turns are both learned at second sight."""
    reader = Watched(Registry(built_in()))
    one, other = chat(vendor=1), chat(maker=1)
    assert [road for _ in range(3) for payload in (one, other) for road in reader.roads(payload, 1)] == [
        *(True, True, True, True),
        *(False, False),
    ]


CALLED = {"choices": [{"message": {"role": "assistant"}, "function_call": {"name": "f"}, "vendor": 1}]}
BESIDE = {"choices": [{"message": {"content": "hi"}, "delta": {"mood": 1}, "finish_reason": "stop"}]}


def test_vendor_keys_that_only_the_open_form_has_a_place_for_leave_the_others_quick() -> None:
    """After a vendor key beside words that are not canonical, one in a body of canonical words has a tight shape."""
    reader = Watched(Registry(built_in()))
    assert reader.roads(BESIDE, 3) == [True, True, False]
    assert reader.roads(chat(maker=1), 3) == [True, True, False]
    assert reader.learned["maker"].original is Chat
    assert reader.learned_open["mood"].original is Body


def test_a_vendor_key_without_a_place_in_the_open_form_keeps_no_other_from_being_learned() -> None:
    """After a vendor key of log-probs, whose place the open form has not, one of a body in the open form is learned."""
    reader = Watched(Registry(built_in()))
    scored = chat()
    scored["choices"][0]["logprobs"] = {"content": [], "entropy": 0.5}
    assert reader.roads(scored, 3) == [True, True, False]
    assert reader.roads(BESIDE, 3) == [True, True, False]


def test_the_open_form_is_tried_first_where_nearly_all_need_it() -> None:
    """Two bodies in three that need the open form do not make it the first to be tried; all of a long run do."""
    reader = Watched(Registry(built_in()))
    for _ in range(100):
        reader.roads(CALLED, 2)
        reader.roads(chat(), 1)
        assert reader.hint.original is Chat
    for _ in range(40):
        reader.roads(CALLED, 1)
    assert reader.hint.original is Body


def test_what_stands_inside_a_payload_does_not_change_what_is_tried_first() -> None:
    """A run of records is read by the shape of records, and the responses inside by that of chats."""
    reader = Watched(Registry(built_in()))
    for _ in range(40):
        reader.read(json.dumps(RECORD).encode(), Ledger(read=reader.read_inside))
    assert (reader.hint.original, reader.inside["response"].hint.original) == (Record, Chat)


def test_a_flood_of_vendor_keys_is_not_learned() -> None:
    """A payload with more than 64 vendor keys, or with very long ones, takes the salvage road each time."""
    reader = Watched(Registry(built_in()))
    assert reader.roads(chat(**{f"vendor_{number}": 1 for number in range(64)}), 3) == [True, True, False]
    assert reader.roads(chat(**{f"maker_{number}": 1 for number in range(65)}), 3) == [True, True, True]
    assert reader.roads(chat(**{"k" * 5000: 1}), 3) == [True, True, True]


def test_a_decisive_mark_stands_before_a_weak_one() -> None:
    """OpenRouter's id decides against the words of log10's mock, on every road."""
    body = {"id": "gen-1700000000-ABCDEFGHIJKLMNOPQRST", "system_fingerprint": "log10_mock_chat_completion"}
    assert normalize(chat(**body)).source == "openrouter"
    assert normalize(chat(**body, vendor=1)).source == "openrouter"


def test_a_source_without_a_dialect_of_its_own_keeps_its_name() -> None:
    """A body of a named source that has no chat variant is read as the dialect, under the source's name."""

    def adapt(sent: Any, ledger: Ledger) -> Completion:
        return Completion(source="acme", variant="answer")

    acme = Variant(source="acme", name="answer", wire=Wire, adapt=adapt)
    reader = Reader(Registry((*built_in(), acme)))
    for body in (chat(), ODD_WORD, chat(vendor=1)):
        assert reader.read(json.dumps(body).encode(), Ledger(source="acme")).source == "acme"


@pytest.mark.parametrize("frame", [b"data: %b\n\n", b"event: message\ndata: %b\n\n", b'data: {"data":%b}\n\n'])
def test_a_third_party_claims_chunks_of_a_saved_stream_too(frame: bytes) -> None:
    """A claim that looks at what a chunk says is asked for each, in whatever frame the stream was saved."""
    acme = Variant(
        source="acme",
        name="chunk",
        wire=Body,
        adapt=lambda sent, ledger: dialect.completion(sent, ledger, source="acme"),
        claims=lambda tree: "`model`" if tree.get("model") == "acme-1" else None,
    )
    chunk = {"model": "acme-1", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}
    reader = fresh_reader((*built_in(), acme))
    assert reader.read(frame % json.dumps(chunk).encode() * 3, Ledger()).source == "acme"


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("body", [ODD_WORD, TEXT, chat(object="odd"), chat()], ids=["word", "text", "object", "tight"])
def test_finish_words_spare_the_adapter(body: Any, says: bool) -> None:  # noqa: FBT001
    """A source's adapter is asked about words that are not canonical, unless the source says all that it does."""
    asked = []

    def adapt(sent: Any, ledger: Ledger) -> Completion:
        asked.append(sent)
        return dialect.completion(sent, ledger, source="acme", finish_words=words)

    words: dialect.FinishWords = {**dialect.FINISH_WORDS, "end_turn": "length"}
    acme = Variant(source="acme", name="chat", wire=Body, adapt=adapt, finish_words=words if says else None)
    reader = Reader(Registry((*built_in(), acme)))
    read = reader.read(json.dumps(body).encode(), Ledger(source="acme"))
    sent = body["choices"][0]["finish_reason"]
    assert read.choices[0].finish_reason == ("length" if sent == "end_turn" else sent)
    assert bool(asked) == (not says and body != chat())


def test_a_wrong_type_is_kept_and_noted_in_every_kind_of_field() -> None:
    """A flag, a list and an object where a scalar is meant go to `extra` with a note; the field is `None`."""
    for value in (True, [1], {"a": 1}):
        for name in ("prompt_tokens", "cost"):
            if name == "cost" and isinstance(value, dict):
                continue  # Perplexity itemises its cost
            completion = normalize(chat(usage={name: value}))
            assert completion.usage is not None
            assert getattr(completion.usage, name) is None
            assert completion.extra == {f"/usage/{name}": value}
            assert [(note.code, note.path) for note in completion.notes] == [("wrong_type", f"/usage/{name}")]
        completion = normalize(chat(model=value))
        assert (completion.model, completion.extra) == (None, {"/model": value})
    completion = normalize(chat(usage={"is_byok": 1}))
    assert completion.extra == {"/usage/is_byok": 1}


def test_an_absent_position_among_token_maps_leaves_the_others() -> None:
    """A null among the maps of Atoma's engine is passed over."""
    maps = [{"1": {"logprob": -1.0, "decoded_token": "a"}}, None]
    logprobs = normalize({"choices": [{"text": "a", "logprobs": maps}]}, source="atoma").choices[0].logprobs
    assert logprobs is not None
    assert [item.token for item in logprobs.content or ()] == ["a"]


def test_an_error_may_nest_as_deep_as_any_payload() -> None:
    """The limit of 128 containers counts from the root, in an error too."""
    for levels, code in ((127, "provider_error"), (128, "too_deep")):
        assert refusal(b'{"error":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}").code == code


def test_a_record_may_have_sixteen_mebibytes() -> None:
    """A text of 16 MiB is read, and one byte more is too long."""
    padded = json.dumps(chat()).encode().ljust(16 * 2**20)
    assert normalize(padded).text == "hi"
    error = refusal(padded + b" ")
    assert (error.code, error.offset) == ("too_long", 16 * 2**20)


def test_a_reported_error_says_what_the_service_said() -> None:
    """The text of `SourceReportedError` has the code, the type and the message of the error."""
    assert "429 limit slow down" in str(refusal({"error": {"code": 429, "type": "limit", "message": "slow down"}}))
    assert "without a message" in str(refusal({"error": {}, "detail": "", "object": "error"}))


def test_extra_is_in_order_everywhere() -> None:
    """`extra` is sorted by pointer, in a response, a record of a page, a chunk and a stream."""
    vendor = {"z": 1, "b": 2, "a": 3}
    (record,) = normalize_many([{"data": [chat(**vendor)]}])
    found = (normalize(chat(**vendor)), record, normalize_chunk({**END, **vendor}), both({**END, **vendor}))
    for completion in found:
        assert list(completion.extra)[-3:] == sorted(completion.extra)[-3:]


def test_detect_looks_through_wrappers() -> None:
    """The marks of a response inside a wrapper are evidence as those of a bare one."""
    body = chat(id="gen-1700000000-ABCDEFGHIJKLMNOPQRST", usage={"prompt_tokens": 1, "completion_tokens": 2})
    for payload in (body, {"data": body}, {"success": True, "data": body}, {"ok": True, "value": body}):
        found = detect(payload)
        assert (found.source, found.certain) == ("openrouter", True)
        assert found.evidence == ("openrouter: `id` is gen-<seconds>-<20 characters>",)


# -- log10's records


@pytest.mark.parametrize(
    "member",
    [
        *({key: "x"} for key in ("organization_id", "organizationId", "orig_qualname", "failure_kind", "failureKind")),
        {"tagResolved": []},
        *({"kind": kind} for kind in ("chat", "prompt", "completion")),
    ],
    ids=str,
)
def test_each_mark_of_a_record_makes_one(member: dict[str, Any]) -> None:
    """Each key that only a record has makes one, as does each kind beside a response, however it is read."""
    for more in ({}, {"vendor": 1}):
        completion = reported({"status": "failed", "response": None, "request": {}, **member, **more})
        assert (completion.source, completion.variant) == ("log10", "log_record")
        assert detect({"status": "failed", "request": {}, **member, **more}).evidence[0].startswith("log10: `")
    if "failure" in str(member):
        return
    inside = normalize({"response": chat(), "status": "finished", **member})
    assert inside.envelope is not None
    assert (inside.text, inside.envelope.kind) == ("hi", "log10_record")


def test_a_kind_alone_makes_no_record() -> None:
    """A kind without request and response, another kind, and a request without a kind are no record."""
    for body in (
        {"id": "r", "status": "failed", "kind": "chat"},
        {"id": "r", "status": "failed", "kind": "other", "request": {}, "response": {}},
        {"id": "r", "status": "failed", "request": {}, "response": {}},
    ):
        assert refusal(body).code == "unknown_shape"


# -- streams


def saved(*chunks: Any) -> bytes:
    """A saved stream of chunks."""
    return b"".join(b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks)


def piece(delta: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A chunk with one choice."""
    return {"choices": [{"index": 0, "delta": delta, **members}]}


END = piece({}, finish_reason="stop")


def both(*chunks: Any, **options: Any) -> Completion:
    """The completion of a stream, the same whether it was saved or came chunk by chunk."""
    one, other = normalize(saved(*chunks), **options), assemble(chunks, **options)
    assert canonical(one) == canonical(other)
    return one


def test_comments_and_empty_events_are_no_chunks() -> None:
    """An assembler lets events pass that are empty or comments."""
    events = [Event(b""), Event(b" : keep-alive"), Event(saved(piece({"content": "hi"}))[6:]), Event(b"[DONE]")]
    completion = assemble(events)
    assert (completion.text, completion.extra) == ("hi", {})


def test_a_repeated_key_in_a_chunk_is_a_fault_in_strict_mode() -> None:
    """Strict assembly refuses a stream with a repeated key; lenient assembly reads the last value."""
    chunk = b'{"model":"a","model":"b","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}'
    assert assemble([chunk]).model == "b"
    with pytest.raises(InvalidPayloadError) as caught:
        assemble([chunk], strict=True)
    assert [fault.code for fault in caught.value.faults] == ["duplicate_key"]


def test_the_first_event_names_a_stream_without_chunks() -> None:
    """The error for a stream without a chunk is that of its first event."""
    assert "Responses or Messages" in str(refusal(saved({"type": "ping"}, {"object": "embedding"})))
    assert "an embedding" in str(refusal(saved({"object": "embedding"}, {"type": "ping"})))


def test_the_time_of_a_stream_may_be_in_milliseconds() -> None:
    """A stream's `created` in milliseconds is read as seconds, with one note."""
    chunks = [{**chunk, "created": 1_700_000_000_000} for chunk in (piece({"content": "hi"}), END)]
    completion = both(*chunks)
    assert completion.created == 1_700_000_000
    assert [note.code for note in completion.notes] == ["milliseconds"]


def test_the_words_of_a_chunk_whose_time_is_in_milliseconds_stand() -> None:
    """The second chunk's other id is remarked where the first one's time is in milliseconds, or was refused."""
    for created in (1_700_000_000_000, 9_007_199_254_740_993):
        first = {**piece({"content": "hi"}), "id": "one", "created": created}
        completion = both(first, {**END, "id": "two", "created": 1_700_000_001})
        assert completion.id == "one"
        assert [note.path for note in completion.notes if note.before == "two"] == ["/id"]


def test_a_second_value_of_a_word_is_remarked() -> None:
    """Of a finish word, its native form and a role the stream's other value is remarked."""
    finish = both(piece({"content": "hi"}, finish_reason="length"), END)
    assert finish.choices[0].finish_reason == "stop"
    native = both(
        piece({"content": "hi"}, native_finish_reason="A"), piece({}, finish_reason="stop", native_finish_reason="B")
    )
    assert native.choices[0].native_finish_reason == "B"
    role = both(piece({"role": "assistant", "content": "hi"}), piece({"role": "user"}, finish_reason="stop"))
    assert role.choices[0].message.role == "assistant"
    for completion, path, before in (
        (finish, "/choices/0/finish_reason", "length"),
        (native, "/choices/0/native_finish_reason", "A"),
        (role, "/choices/0/delta/role", "user"),
    ):
        assert [(note.code, note.path, note.before) for note in completion.notes] == [
            ("conflicting_value", path, before)
        ]


def test_the_first_name_of_an_answer_stands() -> None:
    """A message's name is the first one that a chunk gives."""
    completion = both(piece({"name": "ann", "content": "a"}), piece({"name": "bob", "content": "b"}), END)
    assert completion.choices[0].message.name == "ann"


def test_an_empty_text_is_a_text() -> None:
    """Content and reasoning that are empty in every chunk are empty, not absent."""
    for delta, name in (
        ({"content": ""}, "content"),
        ({"content": [{"type": "text", "text": ""}]}, "content"),
        ({"reasoning": ""}, "reasoning"),
        ({"reasoning_content": ""}, "reasoning"),
        ({"content": [{"type": "thinking", "thinking": ""}]}, "reasoning"),
    ):
        message = both(piece(delta), END).choices[0].message
        assert getattr(message, name) == ""
        assert getattr(message, "reasoning" if name == "content" else "content") is None


def test_chunks_before_a_named_event_count() -> None:
    """A chunk that was read before an event that is none makes a response."""
    raw = saved(piece({"content": "hi"}, finish_reason="stop")) + b'event: note\ndata: {"a":1}\n\n'
    completion = normalize(raw)
    assert (completion.text, completion.extra) == ("hi", {"/events/note": {"a": 1}})


def test_the_rules_of_a_source_hold_for_its_streams() -> None:
    """log10's zero time is a placeholder in a stream as in a whole response."""
    completion = both(*({**chunk, "created": 0} for chunk in (piece({"content": "hi"}), END)), source="log10")
    assert completion.created is None
    assert [note.code for note in completion.notes] == ["placeholder"]


def test_a_second_reasoning_is_joined_like_the_first() -> None:
    """`reasoning_content` that differs from the `reasoning` beside it is joined, without a word between."""
    deltas = [{"reasoning": "a", "reasoning_content": "b"}, {"reasoning": "c", "reasoning_content": "d"}]
    completion = both(*map(piece, deltas), END)
    assert completion.choices[0].message.reasoning == "ac"
    assert completion.extra == {"/choices/0/delta/reasoning_content": "bd"}


def test_what_stands_behind_the_message_so_far_is_kept() -> None:
    """Perplexity's message so far is left out where it says the same, and vendor keys beside it are kept."""
    message = {"role": "assistant", "content": "hi"}
    completion = both(piece(message, message=message, rank=3, finish_reason="stop"))
    assert completion.extra == {"/choices/0/rank": 3}


@pytest.mark.parametrize(
    "around",
    [
        '{"id":"r","organization_id":"o","kind":"chat","status":"finished","response":BODY}',
        '{"provider":BODY,"choices":null}',
        '{"message":"m","partial_response":BODY}',
        '{"id":"r","organization_id":"o","kind":"chat","status":"finished","response":{"provider":BODY,"choices":null}}',
    ],
)
@pytest.mark.parametrize("member", ['"x":DEEP', '"error":{"metadata":{"a":DEEP}}', '"usage":{"prompt_tokens":DEEP}'])
def test_a_response_inside_is_as_deep_as_it_stands(around: str, member: str) -> None:
    """The limit of 128 containers counts from the root of what was handed in, for a response inside it too."""
    body = '{"choices":[{"index":0,"message":{"content":"a"}}],MEMBER}'.replace("MEMBER", member)
    text = around.replace("BODY", body)
    above = text[: text.index("DEEP")]
    room = 128 - (above.count("{") + above.count("[") - above.count("}") - above.count("]"))
    for levels, is_refused in ((room, False), (room + 1, True)):
        raw = text.replace("DEEP", "[" * levels + "]" * levels).encode()
        code = ""
        try:
            normalize(raw)
        except NormalizeError as error:
            code = error.code
        assert (code == "too_deep") == is_refused


def test_the_depth_of_vendor_values_is_that_of_the_payload() -> None:
    """A vendor value in a chunk may nest as deep as the limit of 128 lets it, and no deeper."""
    for levels, fits in ((100, True), (124, True), (126, False)):
        deep: Any = 1
        for _ in range(levels):
            deep = [deep]
        for chunks in ([piece({"content": "hi"}, rank=deep, finish_reason="stop")] * 3,):
            if fits:
                assert both(*chunks).extra == {"/choices/0/rank": deep}
            else:
                assert refusal(saved(*chunks)).code == "too_deep"


def test_vendor_keys_in_lists_keep_their_place() -> None:
    """A vendor key of a tool call's fragment goes to the call's place in the assembled body, in either spelling."""
    for key in ("tool_calls", "toolCalls"):
        calls = [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}, "mood": "glad"}]
        first = [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]
        completion = both(piece({key: first}), piece({key: calls}), piece({}, finish_reason="tool_calls"))
        assert completion.extra == {f"/choices/0/delta/{key}/1/mood": "glad"}


def test_the_framing_reads_what_recorders_write() -> None:
    """An indented first line, a name that is no UTF-8 and half a surrogate pair in text are read, not refused."""
    assert list(iter_events([b'  data: {"a":1}\n\n'])) == [Event(b'{"a":1}')]
    assert list(iter_events([b"event: \xff\ndata: x\n\n"])) == [Event(b"x", "\ufffd")]
    assert list(iter_events(["data: \ud83d\n\n"])) == [Event("\ud83d".encode("utf-8", "surrogatepass"))]


@pytest.mark.parametrize("lines", [[b"data: {\n", b"data: 1\n"], [b"[\n", b"1,\n"], [b"data: ", b"1"]])
def test_no_event_is_longer_than_its_limit(lines: list[bytes]) -> None:
    """Many lines of one event, of one document, and one long line reach the limit alike."""
    reader = EventReader(max_event_bytes=100)
    reader.feed(lines[0])
    with pytest.raises(MalformedPayloadError) as caught:
        for _ in range(120):
            reader.feed(lines[1])
    assert caught.value.code == "too_long"


def test_a_tool_call_is_told_by_its_name() -> None:
    """Under one index the same name again goes on with the call, another name opens one, an empty name stays."""
    first, again, other = ({"index": 0, "function": {"name": name, "arguments": "1"}} for name in ("f", "f", "g"))
    for calls, found in (
        ([first, again], [("f", "11")]),
        ([first, other], [("f", "1"), ("g", "1")]),
        ([{"index": 0, "function": {"name": "", "arguments": "1"}}], [("", "1")]),
    ):
        completion = both(*(piece({"tool_calls": [call]}) for call in calls), piece({}, finish_reason="tool_calls"))
        functions = [call.function for call in completion.choices[0].message.tool_calls or ()]
        assert [(function and function.name, function and function.arguments) for function in functions] == found


def test_every_text_of_a_reasoning_detail_is_joined() -> None:
    """Text, summary and data of one member of `reasoning_details` are joined over chunks without a word between."""
    for name in ("text", "summary", "data"):
        details = [{"type": "t", "index": 0, name: word} for word in ("a", "b")]
        completion = both(*(piece({"reasoning_details": [detail]}) for detail in details), END)
        found = completion.choices[0].message.reasoning_details or []
        assert [getattr(detail, name) for detail in found] == ["ab"]


def test_a_named_variant_is_the_only_one_that_is_read() -> None:
    """`variant=` lets its shape pass, an envelope too, and refuses every other with both names."""
    text = {"choices": [{"text": "hi"}]}
    record = {"kind": "chat", "status": "finished", "response": chat()}
    nested = {"provider": chat(), "choices": None, "id": None}
    for payload, variant in (
        (chat(), "chat"),
        (text, "text"),
        (record, "log_record"),
        (record, "chat"),
        (nested, "nested"),
    ):
        assert normalize(payload, variant=variant).text == "hi"
    for payload, variant in ((chat(), "text"), (text, "chat"), (chat(), "log_record"), (record, "nested")):
        error = refusal(payload, variant=variant)
        assert isinstance(error, InvalidPayloadError)
        assert (error.code, error.variant) == ("unknown_shape", "text" if payload is text else "chat")


@pytest.mark.parametrize(
    "members",
    [
        {"user_id": "user_1"},
        {"userId": "org_1"},
        {"openrouter_metadata": {"a": 1}},
        {"openrouterMetadata": {"a": 1}},
        {"provider": "P", "choices": [{"native_finish_reason": "x", "message": {}}]},
        {"provider": "P", "choices": [{"nativeFinishReason": "x", "message": {}}]},
        {"id": "gen-1700000000-ABCDEFGHIJKLMNOPQRST"},
        {"error": {"message": "no", "error_type": "t"}},
        {"error": {"message": "no", "availability": {}}},
        *(
            {"error": {"message": "no", "metadata": {key: "x"}}}
            for key in ("provider_name", "providerName", "limit_source", "remedy_hint", "error_type")
        ),
    ],
    ids=str,
)
def test_each_mark_of_an_error_of_openrouter_is_one(members: dict[str, Any]) -> None:
    """Each member that only OpenRouter puts into an error names it; other words in its place do not."""
    assert reported({"error": {"message": "no"}, **members}).source == "openrouter"
    others: dict[str, Any] = {key: "x" if key in ("user_id", "userId", "id") else None for key in members}
    others["error"] = {"message": "no", "metadata": {"reason": "x"}}
    assert reported(others).source == "openai"


def test_an_error_beside_a_nested_completion_points_to_itself() -> None:
    """What an error beside a nested completion holds goes to `extra` under `/error`."""
    completion = reported({"provider": chat(), "error": {"message": "no", "hint": "x"}})
    assert completion.text == "hi"
    assert completion.extra == {"/error/hint": "x"}
    halved = reported(b'{"provider":{"choices":[{"message":{"content":"hi"}}]},"error":{"message":"\\ud83d"}}')
    assert [(note.code, note.path) for note in halved.notes] == [("lone_surrogate", "/error/message")]


def test_an_overwritten_value_is_read_all_the_same() -> None:
    """A value that a later one of the same key replaces must be JSON that can be read, in free-form members too."""
    whole = b'{"kind":"chat","organization_id":"o","request":%s,"request":{},"response":null,"status":"failed"}'
    assert reported(whole % b"{}").source == "log10"
    for broken, code in ((b"[" * 130 + b"]" * 130, "too_deep"), (b'"\xff"', "not_utf8")):
        assert refusal(whole % broken).code == code


@pytest.mark.parametrize("last", [b"null", b"{}", b'{"metadata":1}', b'{"message":"x"}'])
def test_an_overwritten_error_of_a_choice_is_read_all_the_same(last: bytes) -> None:
    """The error of a choice that a later one replaces must be JSON that can be read."""
    whole = b'{"choices":[{"error":{"metadata":%s},"error":' + last + b',"message":{"content":"a"}}]}'
    assert normalize(whole % b"{}").text == "a"
    for broken, code in ((b"[" * 130 + b"]" * 130, "too_deep"), (b'"\xff"', "not_utf8"), (b"[NaN]", "syntax")):
        assert refusal(whole % broken).code == code


def test_vendor_keys_of_reasoning_keep_their_place() -> None:
    """A vendor key of a member of `reasoning_details` goes to the member's place, in either spelling."""
    for key in ("reasoning_details", "reasoningDetails"):
        details = [{"type": "a", "index": 0, "text": "x"}, {"type": "b", "index": 1, "text": "y", "mood": "glad"}]
        completion = both(piece({key: details[:1]}), piece({key: details[1:]}), END)
        assert completion.extra == {f"/choices/0/delta/{key}/1/mood": "glad"}


def test_a_sentence_in_place_of_a_stream_may_be_broken() -> None:
    """A sentence that is no UTF-8 is the message of an error, with U+FFFD for what it lacks."""
    assert reported(b"data: out of m\xffmory\n\n").error == ServiceError(message="out of m\ufffdmory")


def test_an_ambiguous_stream_names_its_candidates() -> None:
    """A stream with the marks of two sources names both, however it came."""
    chunk = {
        **piece({"content": "hi"}, native_finish_reason="x"),
        "provider": "P",
        "signature": "s",
        "response_hash": "h",
    }
    calls: list[Callable[[], Completion]] = [
        lambda: normalize(saved(chunk)),
        lambda: assemble([chunk]),
        lambda: assemble(iter_events([saved(chunk)])),
    ]
    for call in calls:
        with pytest.raises(AmbiguousPayloadError) as caught:
            call()
        assert tuple(caught.value.candidates) == ("atoma", "openrouter")


def test_an_event_may_be_as_long_as_its_limit() -> None:
    """An event, a line and a document of exactly the limit are read."""
    limit = 20
    for text, read in (
        (b"data: " + b"1" * (limit - 1) + b"\n\n", b"1" * (limit - 1)),
        (b"[" * (limit - 1) + b"\n", None),
    ):
        reader = EventReader(max_event_bytes=limit)
        events = [*reader.feed(text), *reader.close()]
        assert [event.data for event in events] == [read or b"[" * (limit - 1)]


def test_parts_of_another_type_stay_apart() -> None:
    """Fragments of one type become one part; a part of another type, or with more than text, stays its own."""
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, {"type": "other", "text": "c"}]
    image = {"type": "text", "text": "d", "image_url": {"url": "u"}}
    completion = both(*(piece({"content": [part]}) for part in (*parts, image, parts[0])), END)
    found = completion.choices[0].message.parts or []
    assert [(part.type, part.text) for part in found] == [("text", "ab"), ("other", "c"), ("text", "d"), ("text", "a")]


def test_the_second_reasoning_has_two_spellings() -> None:
    """`reasoningContent` beside another `reasoning` is joined as `reasoning_content` is."""
    deltas = [{"reasoning": "a", "reasoningContent": "b"}, {"reasoning": "c", "reasoningContent": "d"}]
    completion = both(*map(piece, deltas), {"choices": [{"index": 0, "delta": {}, "finishReason": "stop"}]})
    assert completion.extra == {"/choices/0/delta/reasoningContent": "bd"}


def test_the_input_of_a_custom_tool_is_joined() -> None:
    """The input of OpenAI's custom tools is text that is cut over chunks, and stands whole in `extra`."""
    calls = [
        {"index": 0, "id": "a", "type": "custom", "custom": {"name": "n", "input": "x"}},
        {"index": 0, "custom": {"input": "y"}},
    ]
    completion = both(*(piece({"tool_calls": [call]}) for call in calls), piece({}, finish_reason="tool_calls"))
    assert completion.extra == {"/choices/0/delta/tool_calls/0/custom": {"name": "n", "input": "xy"}}


def test_a_name_starts_a_call_where_nothing_else_tells() -> None:
    """Fragments without index and id go on with the last call until one has a name again."""
    fragments = [{"name": "f", "arguments": "1"}, {"arguments": "2"}, {"name": "f", "arguments": "3"}]
    completion = both(*(piece({"tool_calls": [{"function": item}]}) for item in fragments), END)
    functions = [call.function for call in completion.choices[0].message.tool_calls or ()]
    assert [function and function.arguments for function in functions] == ["12", "3"]


def test_text_before_the_first_list_of_parts_is_one_part() -> None:
    """Text that came as plain fragments before a content list is that list's first part."""
    parts = [{"type": "other", "text": "c"}]
    completion = both(piece({"content": "a"}), piece({"content": "b"}), piece({"content": parts}), END)
    found = completion.choices[0].message.parts or []
    assert [(part.type, part.text) for part in found] == [("text", "ab"), ("other", "c")]


def test_a_learned_key_is_kept_where_another_is_absent() -> None:
    """A learned shape keeps each vendor key, whichever of the members that had some are null."""
    members = ("prompt_tokens_details", "completion_tokens_details", "cost_details")
    reader = Watched(Registry(built_in()))
    reader.roads(chat(usage={name: {"vendor": 1} for name in members}), 3)
    for present in members:
        usage = {name: {"vendor": 1} if name == present else None for name in members}
        completion = reader.read(json.dumps(chat(usage=usage)).encode(), Ledger())
        assert completion.extra == {f"/usage/{present}/vendor": 1}


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    """`UnknownSourceError.known` lists the registered names."""
    error = refusal(chat(), source="nobody")
    assert isinstance(error, UnknownSourceError)
    assert tuple(error.known) == ("openai", "atoma", "log10", "openrouter")


def test_an_overwritten_vendor_value_in_a_stream_is_read_all_the_same() -> None:
    """A broken value that a later one of the same key replaces is refused in a stream whose keys were learned."""
    chunk = b'{"choices":[{"index":0,"delta":{"content":"a"}}],%s"twice":1}'
    learned = b"data: " + b"\n\ndata: ".join([chunk % b""] * 4)
    assert normalize(learned + b"\n\n").extra == {"/twice": 1}
    broken = learned + b"\n\ndata: " + chunk % b'"twice":"\xff",' + b"\n\ndata: " + chunk % b"" + b"\n\n"
    assert refusal(broken).code == "not_utf8"


def written(completion: Completion | Chunk) -> bytes:
    """A result as JSON, which half a surrogate pair could not stand in."""
    return msgspec.json.encode(completion)


def test_half_a_pair_in_the_name_of_a_wrapper_s_member_is_replaced() -> None:
    """A member beside a wrapped completion is kept under a name without half a surrogate pair."""
    completion = normalize(b'{"success":true,"\\ud83d":0,"data":{"choices":[{"message":{"content":"a"}}]}}')
    assert completion.extra == {"/success": True, "/\ufffd": 0}
    assert [(note.code, note.path) for note in completion.notes] == [("lone_surrogate", "/\ufffd")]
    assert written(completion)


def test_half_a_pair_in_an_image_is_replaced_in_the_note_too() -> None:
    """A note about an image given as a string quotes it in a form that can be written."""
    completion = normalize(b'{"choices":[{"message":{"content":"a","images":[{"image_url":"https://x\\ud83d"}]}}]}')
    assert [note.before for note in completion.notes if note.code == "text_as_object"] == ["https://x\ufffd"]
    assert written(completion)


@pytest.mark.parametrize("name", ["zz", "zz\\ude00"])
def test_a_large_integer_in_an_error_is_noted_once(name: str) -> None:
    """An integer beyond 64 bits inside an error has one note, in chunks and in bodies."""
    raw = b'{"error":{"%s":111111111111111111111111111111,"message":"m"}}' % name.encode()
    chunk, completion = normalize_chunk(raw), reported(raw)
    assert [note.path for note in chunk.notes if note.code == "out_of_range"] == [
        f"/error/{name[:2]}{'�' * (len(name) > 2)}"
    ]
    assert completion.notes == chunk.notes
    assert written(completion)
    assert written(chunk)


def test_choices_of_one_index_in_one_chunk_keep_the_vendor_keys_of_each_part() -> None:
    """A chunk that repeats an index keeps the vendor keys of every content part, also once the keys are learned."""
    part = [{"type": "reference", "reference_ids": [1]}]
    one = {"index": 0, "delta": {"content": part}, "finish_reason": None}
    twice = {**piece({"content": part}), "choices": [one, one]}
    first = both(piece({"content": part}), twice, END).extra
    assert first == {f"/choices/0/delta/content/{place}/reference_ids": [1] for place in range(3)}
    assert all(both(piece({"content": part}), twice, END).extra == first for _ in range(3))


@pytest.mark.parametrize(
    "payload",
    [b'data: [{"choices":[]},{"choices":[]}]\n\n: x\n\ndat', b"data: [1]\n\ndata: [2]\n\n", b"data: [[]]\n\n"],
)
def test_a_stream_with_a_list_in_it_is_no_page(payload: bytes) -> None:
    """Where a list stands in a stream that holds no chunk, `normalize_many` gives the one error of `normalize`."""
    (item,) = normalize_many([payload], on_error="yield")
    assert isinstance(item, NormalizeError)
    assert (type(item), item.code) == (type(refusal(payload)), refusal(payload).code)
