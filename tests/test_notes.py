"""Every repair is a fault or a remark, and every word means one thing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from normcompletion import InvalidPayloadError, NormalizeError, normalize, normalize_chunk
from normcompletion.dialect.finish import WORDS
from normcompletion.findings import NOTES
from tests.conftest import FOUND, Pair, for_each, outcome, refusal, reported

BROKEN = b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: {1}\n\n'


@for_each(FOUND)
def test_strict_mode_refuses_faults_and_lets_remarks_pass(pair: Pair) -> None:
    """Strict mode refuses a fixture with all faults that lenient mode notes, and a repeated key, but for no remark."""
    call = normalize_chunk if pair.is_chunk else normalize
    completion = outcome(lambda: call(pair.raw)).completion
    if completion is None:
        return
    faults = {note.code for note in completion.notes if NOTES[note.code][0] == "fault"}
    faults |= {"duplicate_key"} if pair.name.endswith("/duplicate_key") else set()
    found = []
    try:
        call(pair.raw, strict=True)
    except InvalidPayloadError as error:
        found = [fault.code for fault in error.faults]
        assert error.code == found[0]
    except NormalizeError:  # a failed call
        pass
    assert set(found) == faults


def test_every_note_is_in_a_fixture() -> None:
    """Every code of `NOTES` is a note of a fixture, but for those that need an option or are for strict mode alone."""
    noted = set()
    for pair in FOUND:
        expected = json.loads(pair.expected or b"{}")
        noted |= {note["code"] for note in expected.get("notes", ())}
    assert noted == NOTES.keys() - {"duplicate_key", "broken_event", "source_conflict"}


def test_a_skipped_event_is_a_fault_and_a_contradicted_source_a_remark() -> None:
    """Strict mode refuses a broken event that is skipped, and lets the marker of another source than the named pass."""
    assert [note.code for note in normalize(BROKEN, on_broken="skip").notes] == ["broken_event"]
    assert refusal(BROKEN, on_broken="skip", strict=True).code == "broken_event"
    body = {"choices": [{"message": {"content": "hi"}}], "openrouter_metadata": {"a": 1}}
    assert [note.code for note in normalize(body, source="openai", strict=True).notes] == ["source_conflict"]


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
