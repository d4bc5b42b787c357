"""The results of a promptfoo evaluation, with the raw response of each.

Of its outputs, JSON is one document and JSON lines are one result each. An `error` there is that of an assertion, not
of a call. `cost` is in US dollars. Seen: https://www.promptfoo.dev/docs/configuration/outputs/,
https://www.promptfoo.dev/docs/configuration/reference/ (`ProviderResponse.raw`).
"""

from __future__ import annotations

from .preset import Preset, has


def _places(*names: str) -> tuple[str, ...]:
    """Where members of a result are, in a document and on a line."""
    return tuple(f"{result}/{name}" for name in names for result in ("/results/results/*", ""))


PRESET = Preset(
    name="promptfoo",
    about="the results of a promptfoo evaluation, with raw responses",
    detected_by=(has("evalId", "results/results"), has("testIdx", "response/output", "latencyMs")),
    body=_places("response/raw"),
    fields={
        "id": _places("id"),
        "created_at": ("/results/timestamp",),
        "duration_ms": _places("latencyMs"),
        "request": _places("prompt/raw"),
        "cost": _places("cost", "response/cost"),
    },
    error_parts={"message": _places("response/error")},
    missing="promptfoo keeps the raw response of a provider that gives one",
    partial="a promptfoo result whose raw output is not a response",
    example={"evalId": "1", "results": {"results": [{"response": {"raw": {"choices": []}}}]}},
)
