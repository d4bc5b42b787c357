"""The `openrouter` SDK as referee, reading as its client does."""

from __future__ import annotations

from typing import Any

import pytest
from refereeing import RECORDED, check, fixture_bodies, recorded_bodies, reported_after

components = pytest.importorskip(
    "openrouter.components", reason="openrouter is not installed; pip install normcompletion[referee-openrouter]"
)
utils = pytest.importorskip("openrouter.utils")
recordings = pytest.mark.skipif(not RECORDED.exists(), reason="the recorded bodies are not at hand")


def chat(raw: bytes) -> Any:
    """The SDK's chat result; a `ValueError` where it refuses the body."""
    return utils.unmarshal_json(raw.decode(), components.ChatResult)


def test_chat_fixtures() -> None:
    """Every field that the SDK reads from a chat fixture is the same here."""
    check(fixture_bodies(), chat)


@recordings
def test_recorded_chat_bodies() -> None:
    """Every field that the SDK reads from a recorded chat body is the same here."""
    check(recorded_bodies("chat"), chat)


def test_a_wrong_reading_is_reported() -> None:
    """A field that is read otherwise, lost or invented here is reported with its pointer."""

    def change(completion: Any) -> None:
        completion.created += 1
        completion.choices[0].message.content = None
        completion.choices[0].message.name = completion.choices[0].message.refusal = "invented"
        completion.usage.prompt_tokens = 0

    assert reported_after(change, chat) == [
        "/choices/0/message/content",
        "/choices/0/message/name",
        "/choices/0/message/refusal",
        "/created",
        "/usage/prompt_tokens",
    ]
