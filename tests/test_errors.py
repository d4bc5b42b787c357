"""Nothing but a Completion or a NormalizeError."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normcompletion import (
    Completion,
    InvalidPayloadError,
    NormalizeError,
    SourceReportedError,
    UnknownSourceError,
    normalize,
)
from tests.conftest import examples

CHAT = b'{"id":"a","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'
SECRET = "s3cr3t-" + "x" * 200


@pytest.mark.parametrize(
    "payload",
    [
        f'{{"error":{{"message":"{SECRET}","code":400}}}}'.encode(),
        f'{{"choices":[{{"message":{{"content":"{SECRET}"}}}}], "x": "{SECRET}'.encode(),
        f'{{"{SECRET}":1}}'.encode(),
        f'{{"choices":"{SECRET}"}}'.encode(),
        f'{{"choices":[{{"index":"{SECRET}"}}]}}'.encode(),
    ],
)
def test_no_message_holds_much_of_a_payload(payload):
    """No error text is longer than 500 characters or holds more than 64 of any value, in either mode."""
    for strict in (False, True):
        try:
            normalize(payload, strict=strict)
        except NormalizeError as error:
            assert len(str(error)) <= 500
            assert SECRET[:65] not in str(error)


def test_strict_names_every_fault():
    """Strict mode raises one error that holds every fault, and lets remarks and unknown keys pass."""
    payload = (
        b'{"id":3,"created":1.5,"vendor":1,"choices":[{"index":"0","message":{"content":"a"}}],"usage":{"cost":"1"}}'
    )
    with pytest.raises(InvalidPayloadError) as caught:
        normalize(payload, strict=True)
    assert {(fault.code, fault.path) for fault in caught.value.faults} == {
        ("number_as_text", "/id"),
        ("text_as_integer", "/choices/0/index"),
        ("text_as_number", "/usage/cost"),
    }
    passed = normalize(b'{"created":1.5,"vendor":1,"choices":[{"finish_reason":"odd"}]}', strict=True)
    assert [note.code for note in passed.notes] == ["fractional_time", "unknown_finish_reason"]


def test_unknown_names_are_the_callers_fault():
    """A source or variant that is not registered raises `UnknownSourceError` with those that are."""
    with pytest.raises(UnknownSourceError) as caught:
        normalize(CHAT, source="acme")
    assert tuple(caught.value.known) == ("openai", "atoma", "log10", "openrouter")
    with pytest.raises(UnknownSourceError):
        normalize(CHAT, source="openrouter", variant="confidential")
    with pytest.raises(InvalidPayloadError):
        normalize(CHAT, variant="text")


@given(st.binary(max_size=400))
@examples(100)
def test_any_bytes_give_a_completion_or_an_error_of_ours(payload):
    """Any bytes at all give a Completion or a NormalizeError."""
    _only_ours(payload)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["id", "choices", "message", "content", "error", "usage", "created", "tool_calls", "function", "arguments",
             "logprobs", "delta", "text", "provider", "data", "response", "request", "kind", "finishReason", "role",
             "reasoning_details", "annotations", "prompt_tokens", "cost", "index", "ciphertext", "nonce", "object"]
        )
        | st.text(max_size=5),
        inner,
        max_size=6,
    ),
    max_leaves=25,
)  # fmt: skip


@given(JSON)
@examples(150)
def test_any_json_gives_a_completion_or_an_error_of_ours(tree):
    """Any JSON made of the services' own keys gives a Completion or a NormalizeError, in both modes."""
    import msgspec

    payload = msgspec.json.encode({"choices": [], **tree} if isinstance(tree, dict) else tree)
    _only_ours(payload)


@pytest.mark.parametrize("error", ["[[], 0]", "[[[1]]]", "[" * 120 + "1" + "]" * 120])
def test_an_error_may_be_any_list(error):
    """An error that is a list of anything gives a `SourceReportedError`."""
    with pytest.raises(SourceReportedError):
        normalize(f'{{"error": {error}}}')


def _only_ours(payload):
    for strict in (False, True):
        try:
            assert isinstance(normalize(payload, strict=strict), Completion)
        except NormalizeError as error:
            assert len(str(error)) <= 500
