"""The `openai` SDK as referee, its models validated strictly."""

from __future__ import annotations

from typing import Any

import pytest
from refereeing import RECORDED, check, fixture_bodies, recorded_bodies, reported_after

types = pytest.importorskip(
    "openai.types", reason="openai is not installed; pip install normcompletion[referee-openai]"
)
recordings = pytest.mark.skipif(not RECORDED.exists(), reason="the recorded bodies are not at hand")


def chat(raw: bytes) -> Any:
    """The SDK's chat completion; a `ValueError` where it refuses the body."""
    return types.chat.ChatCompletion.model_validate_json(raw, strict=True)


def text(raw: bytes) -> Any:
    """The SDK's text completion; a `ValueError` where it refuses the body."""
    return types.Completion.model_validate_json(raw, strict=True)


def test_chat_fixtures() -> None:
    """Every field that the SDK reads from a chat fixture is the same here."""
    check(fixture_bodies(), chat)


@recordings
def test_recorded_chat_bodies() -> None:
    """Every field that the SDK reads from a recorded chat body is the same here."""
    check(recorded_bodies("chat"), chat)


def test_text_fixtures() -> None:
    """Every field that the SDK reads from a text fixture is the same here."""
    check(fixture_bodies(), text)


@recordings
def test_recorded_text_bodies() -> None:
    """Every field that the SDK reads from a recorded text body is the same here."""
    check(recorded_bodies("text"), text)


def test_a_wrong_reading_is_reported() -> None:
    """A field that is read otherwise, lost or invented here is reported with its pointer."""

    def change(completion: Any) -> None:
        completion.created += 1
        completion.choices[0].message.content = None
        completion.choices[0].message.name = completion.choices[0].message.refusal = "invented"
        completion.usage.prompt_tokens = 0

    assert reported_after(change, chat) == [
        "/choices/0/message/content",
        "/choices/0/message/refusal",
        "/created",
        "/usage/prompt_tokens",
    ]
