"""Where each leaf of a payload went, and by which markers it was detected."""

from __future__ import annotations

from typing import Any

import pytest

from normcompletion import detect, explain, normalize
from normcompletion.audit import lost
from tests.conftest import chat


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


def test_a_broken_text_under_a_broken_key_is_in_extra() -> None:
    """A text with half a surrogate pair is placed in `extra`, under a key that has one too."""
    found = places(b'{"choices":[{"message":{"content":"hi"}}],"k\\ud83d":"v\\ud83d"}')
    assert found["/k\ud83d"] == "extra"


def test_the_accounting_distinguishes_a_flag_and_a_number() -> None:
    """A flag and a number that Python calls equal do not stand for each other, and a missing one is lost."""
    completion = normalize(chat(usage={"prompt_tokens": 1, "is_byok": False}))
    assert lost({"usage": {"prompt_tokens": 1, "is_byok": False}}, completion) == []
    assert lost({"usage": {"prompt_tokens": True}}, completion) == ["/usage/prompt_tokens"]
    assert lost({"usage": {"prompt_tokens": 2}}, completion) == ["/usage/prompt_tokens"]


@pytest.mark.parametrize(
    ("payload", "evidence"),
    [
        (
            {"kind": "chat", "status": "finished", "response": chat()},
            ('log10: `kind` is "chat" or "prompt" or "completion" and `response` and no `choices`',),
        ),
        ({"nonce": "n", "ciphertext": "c"}, ("atoma: `ciphertext` and `nonce`",)),
        (
            {"error": {"code": "LOCKED"}},
            ("atoma: `error.code` is one of the proxy's or the node's and no `error.type`",),
        ),
        (chat(object="completion"), ('log10: `object` is "completion"',)),
        (chat(object="chat"), ('log10: `object` is "chat" and no `created`',)),
        (chat(created=0, system_fingerprint=""), ('log10: `system_fingerprint` is "" and `created` is 0',)),
        (
            chat(system_fingerprint="log10_mock_chat_completion"),
            ('log10: `system_fingerprint` is "log10_mock_chat_completion"',),
        ),
        (
            chat(usage={"total_tokens": -1, "prompt_tokens": -1}),
            ("log10: `usage.total_tokens` is -1 and `usage.prompt_tokens` is -1",),
        ),
        ({"choices": [{"function_call": {"name": "f"}}]}, ("log10: `choices.function_call`",)),
        (chat(usage={"is_byok": True}), ("openrouter: `usage.is_byok`",)),
        (chat(signature="s", response_hash="h"), ("atoma: `signature` and `response_hash`",)),
        (chat(object="chat.completions"), ('atoma: `object` is "chat.completions"',)),
        (chat(), ()),
    ],
)
def test_detect_names_every_marker_that_holds(payload: Any, evidence: tuple[str, ...]) -> None:
    """The evidence names each marker that holds, by the source whose marker it is."""
    found = detect(payload)
    assert found.evidence == evidence
    assert found.certain is bool(evidence)


def test_detect_gives_the_spelling() -> None:
    """The spelling is camel where more schema keys are in camelCase, and snake where none is."""
    assert detect({"choices": [{"finishReason": "stop", "message": {"content": "hi"}}]}).spelling == "camel"
    assert detect(chat()).spelling == "snake"
    assert detect(chat(vendorKey=1)).spelling == "snake"
