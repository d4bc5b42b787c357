"""Every repair is a fault or a remark, and every word means one thing."""

from __future__ import annotations

from typing import Any

import pytest

from normcompletion import InvalidPayloadError, normalize
from normcompletion.dialect.finish import WORDS
from normcompletion.findings import NOTES
from tests.conftest import chat, for_each, refusal, reported

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
    "broken_event": b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: {1}\n\n',
    "duplicate_key": b'{"model":"a","model":"b","choices":[{"message":{"content":"hi"}}]}',
}

OPTIONS: dict[str, Any] = {"broken_event": {"on_broken": "skip"}}

REMARKS: dict[str, Any] = {
    "fractional_time": chat(created=1.5),
    "text_time": chat(created="2026-11-21T00:00:00Z"),
    "milliseconds": chat(created=1_700_000_000_000),
    "unknown_finish_reason": {"choices": [{"message": {"content": "hi"}, "finish_reason": "odd"}]},
    "unknown_role": {"choices": [{"message": {"role": "bard", "content": "hi"}}]},
    "placeholder": {"choices": [{"message": {"content": "hi"}, "finish_reason": ""}]},
    "source_conflict": {"choices": [{"message": {"content": "hi"}}], "openrouter_metadata": {"a": 1}},
    "usage_elsewhere": {"choices": [{"message": {"content": "hi"}, "usage": {"total_tokens": 3}}]},
    "no_choices": {"id": "a", "object": "chat.completion", "choices": []},
    "incomplete_stream": b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n',
    "conflicting_value": b'data: {"model":"a","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
    b'data: {"model":"b","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    "continued_text": b'data: {"choices":[{"delta":{"content":"h"}}]}\n\n'
    b'data: {"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}\n\n',
    "counting_index": b"".join(
        b'data: {"choices":[{"index":%d,"delta":{"content":"a"},"finish_reason":%b}]}\n\n' % (at, word)
        for at, word in enumerate((b"null", b"null", b'"stop"'))
    ),
    "misplaced_fragment": b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f",'
    b'"arguments":"["}}]}}]}\n\ndata: {"choices":[{"delta":{"tool_calls":[{"index":1,"function":{"arguments":"]"}}]},'
    b'"finish_reason":"tool_calls"}]}\n\n',
    "repeated_field": b'data: data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n',
    "foreign_text": b'HTTP/1.1 200 OK\n\ndata: {"choices":[{"index":0,"delta":{"content":"hi"},'
    b'"finish_reason":"stop"}]}\n\n',
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
    notes = [note.code for note in normalize(FAULTS[code], **OPTIONS.get(code, {})).notes]
    assert notes == ([] if code == "duplicate_key" else [code])
    error = refusal(FAULTS[code], strict=True, **OPTIONS.get(code, {}))
    assert isinstance(error, InvalidPayloadError)
    assert [fault.code for fault in error.faults] == [error.code] == [code]


@pytest.mark.parametrize("code", REMARKS)
def test_strict_mode_lets_each_remark_pass(code: str) -> None:
    """A payload with a remark has its note, in strict mode too."""
    source = "openai" if code == "source_conflict" else None
    assert code in {note.code for note in normalize(REMARKS[code], source=source, strict=True).notes}


READ_AS: dict[str, tuple[str, ...]] = {
    "stop": (
        *("stop", "end_turn", "stop_sequence", "STOP", "completed", "stopped", "end", "eos", "eos_token", "normal"),
        *("FINISH", "FINISHED", "STOP_CRITERIA_MET", "COMPLETE", "STOP_SEQUENCE"),
    ),
    "length": (
        *("length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_length", "length_capped", "token_limit"),
        *("model_context_window_exceeded", "LENGTH", "ERROR_LIMIT"),
    ),
    "tool_calls": ("tool_calls", "function_call", "tool_use", "TOOL_CALL", "tool-calls"),
    "content_filter": (
        *("content_filter", "refusal", "content_filtered", "guardrail_intervened", "CONTENT_FILTERED", "sensitive"),
        *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "ERROR_TOXIC"),
        *("safety", "recitation", "blocklist", "prohibited_content", "spii", "content-filter"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "blacklist"),
    ),
    "error": (
        *("error", "MALFORMED_FUNCTION_CALL", "malformed_function_call", "malformed_model_output"),
        *("malformed_tool_use", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"),
        *("MISSING_THOUGHT_SIGNATURE", "ERROR", "TIMEOUT", "USER_CANCEL", "network_error"),
        *("insufficient_system_resource", "cancelled", "canceled", "abort", "aborted"),
    ),
    "unknown": ("unknown",),
}


def test_the_table_of_finish_words_is_the_one_above() -> None:
    """Every finish word of the table is read as this module says, once, and says where it was seen."""
    assert sorted((word, read) for read, words in READ_AS.items() for word in words) == sorted(
        (word, meaning) for word, meaning, _ in WORDS
    )
    assert all(citation for _, _, citation in WORDS)


@pytest.mark.parametrize("source", ["openai", "openrouter", "atoma", "log10"])
@for_each((word, read) for read, words in READ_AS.items() for word in words)
def test_each_finish_word_means_one_thing(word: str, read: Any, source: str) -> None:
    """Each finish word means the same for every source, and stays readable where it is not the canonical one."""
    body = {"choices": [{"message": {"content": "hi"}, "finish_reason": word}]}
    (choice,) = (completion := normalize(body, source=source)).choices
    assert (choice.finish_reason, choice.native_finish_reason) == (read, None if word == read else word)
    assert completion.notes == []


@pytest.mark.parametrize(
    "word", ["pause_turn", "repetition", "time_limit", "OTHER", "Stop", "stop ", "content_filter:"]
)
def test_a_word_that_means_nothing_canonical_is_unknown(word: str) -> None:
    """A finish word that no service explains, or not by a canonical word, is `unknown` with a remark."""
    completion = normalize({"choices": [{"message": {"content": "hi"}, "finish_reason": word}]})
    assert (completion.choices[0].finish_reason, completion.choices[0].native_finish_reason) == ("unknown", word)
    assert [note.code for note in completion.notes] == ["unknown_finish_reason"]


@pytest.mark.parametrize(
    "code",
    [
        *("REQUEST_ERROR", "FIAT_PAYMENTS_ONLY", "AUTH_ERROR", "BALANCE_ERROR", "NOT_FOUND", "LOCKED"),
        *("UNAVAILABLE_STACK", "TOO_MANY_REQUESTS", "INTERNAL_ERROR", "NOT_IMPLEMENTED", "SERVICE_UNAVAILABLE"),
        *("MISSING_HEADER", "INVALID_HEADER", "INVALID_BODY", "MODEL_ERROR", "LOCKED_STACK_ERROR"),
        *("UNAVAILABLE_STACK_ERROR", "CHAT_COMPLETIONS_SERVICE_UNAVAILABLE"),
    ],
)
def test_each_error_code_of_atoma_is_its_marker(code: str) -> None:
    """A code of the proxy or the node names Atoma, unless the error has a type, which neither writes."""
    assert reported({"error": {"code": code, "message": "no"}}).source == "atoma"
    assert reported({"error": {"code": code, "type": "t", "message": "no"}}).source == "openai"


def test_an_internal_error_of_the_engine_has_a_request_id() -> None:
    """`internal_error` alone, or a request id alone, is no marker of Atoma's engine; both together are."""
    assert reported({"error": {"type": "internal_error", "request_id": "r"}}).source == "atoma"
    assert reported({"error": {"type": "internal_error"}}).source == "openai"
    assert reported({"error": {"type": "other", "request_id": "r"}}).source == "openai"
