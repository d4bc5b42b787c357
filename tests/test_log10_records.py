"""What makes an object a log10 record."""

from __future__ import annotations

from typing import Any

import pytest

from normcompletion import detect, normalize
from tests.conftest import chat, refusal, reported


@pytest.mark.parametrize(
    "member",
    [
        *({key: "x"} for key in ("organization_id", "organizationId", "orig_qualname", "failure_kind", "failureKind")),
        {"tagResolved": []},
        *({"kind": kind} for kind in ("chat", "prompt", "completion")),
    ],
    ids=str,
)
def test_each_marker_of_a_record_makes_one(member: dict[str, Any]) -> None:
    """Each key that only a record has makes one, as does each kind beside a response, however it is read."""
    for more in ({}, {"vendor": 1}):
        completion = reported({"status": "failed", "response": None, "request": {}, **member, **more})
        assert (completion.source, completion.variant) == ("log10", "log_record")
        assert detect({"status": "failed", "request": {}, **member, **more}).evidence[0].startswith("log10: `")
    if "failure" in str(member):
        return
    inside = normalize({"response": chat(), "status": "finished", **member})
    assert (inside.text, inside.envelope.kind) == ("hi", "log10_record")


def test_a_kind_alone_makes_no_record() -> None:
    """A kind without request and response, another kind, and a request without a kind are no record."""
    for body in (
        {"id": "r", "status": "failed", "kind": "chat"},
        {"id": "r", "status": "failed", "kind": "other", "request": {}, "response": {}},
        {"id": "r", "status": "failed", "request": {}, "response": {}},
    ):
        assert refusal(body).code == "unknown_shape"


@pytest.mark.parametrize(("duration", "seconds"), [("812", 0.812), (812, 0.812), ("0.8", 0.8), (0.8, 0.8), ("0", 0.0)])
def test_a_duration_in_a_string_has_the_unit_of_the_number(duration: Any, seconds: float) -> None:
    """Whole numbers of the first API are milliseconds, also where a table wrote them as text; others are seconds."""
    record = {"id": "r", "organization_id": "o", "kind": "completion", "response": chat(), "duration": duration}
    envelope = normalize(record).envelope
    assert envelope.duration == seconds
