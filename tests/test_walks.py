"""CONTRIBUTING.md follows four payloads from `normalize` to their completions, function by function."""

from __future__ import annotations

import json
import re
import sys
from types import FrameType
from typing import Any

import pytest

from normcompletion import normalize
from tests.conftest import ROOT

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "High tide."}}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
CANONICAL = ANSWER | {
    "provider": "Tides",
    "choices": [ANSWER["choices"][0] | {"native_finish_reason": "STOP"}],  # type: ignore[index]
}
CAMEL = {
    "object": "chat.completion",
    "choices": [{"index": 0, "finishReason": "stop", "message": {"role": "assistant", "content": "High tide."}}],
    "usage": {"promptTokens": 9, "completionTokens": 3, "totalTokens": 12},
    "signature": "c2ln",
    "responseHash": "aGFzaA==",
    "tideTable": {"harbour": "north"},
}
RECORD = {
    "kind": "chat",
    "status": "finished",
    "request": json.dumps({"model": "m"}),
    "response": json.dumps(ANSWER),
    "duration": 812,
}
FAULT = ANSWER | {"usage": {"prompt_tokens": 9.0, "completion_tokens": 3, "total_tokens": 12}}


def functions_called(payload: Any) -> list[str]:
    """The functions of the library that a payload passes after a canonical one, as `module.Class.name`."""
    normalize(json.dumps(CANONICAL))
    called: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.startswith("normcompletion."):
            called.append(f"{module.rpartition('.')[2]}.{frame.f_code.co_qualname}")

    text = json.dumps(payload)
    normalize(text)  # what is compiled at first use is no part of the walk
    normalize(json.dumps(CANONICAL))
    sys.setprofile(note)
    try:
        len(normalize(text).extra)
    finally:
        sys.setprofile(None)
    return called


@pytest.mark.parametrize(
    ("number", "payload"),
    [(1, CANONICAL), (2, CAMEL), (3, RECORD), (4, FAULT)],
    ids=["canonical", "camel", "record", "fault"],
)
def test_the_walks_of_the_guide_are_true(number, payload):
    """A payload passes the functions that CONTRIBUTING.md names, in that order and at most twenty-five of them."""
    guide = (ROOT / "CONTRIBUTING.md").read_text().partition("## Follow a payload")[2].partition("\n## ")[0]
    walk = re.split(r"^\d\. ", guide, flags=re.MULTILINE)[number]
    names = re.findall(r"`([\w.]+)`(?= →|[.,])|→\s+`([\w.]+)`", walk.partition(":\n")[2])
    expected = [first or second for first, second in names]
    assert 4 < len(expected) <= 25
    called = iter(functions_called(payload))
    for name in expected:
        assert any(call == name or call.endswith(f".{name}") for call in called), name
