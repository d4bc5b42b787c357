"""A trace that OpenRouter broadcast: the text of each generation, with its counts of tokens and cost.

It has what a completion says and not its body; there is no finish word. Seen:
https://openrouter.ai/docs/guides/features/broadcast (input, output, usage, cost), in the words of Langfuse's traces.
"""

from __future__ import annotations

from typing import Any

import orjson

from ..payload import parse
from .preset import Opened, Preset, has

_OBSERVATION = "/observations/*"
_TOKENS = {"prompt_tokens": "input", "completion_tokens": "output", "total_tokens": "total"}


def _put_together(opened: Opened) -> None:
    """Make a completion of what an observation says."""
    output = None if opened.body is None else parse(opened.body)
    if not isinstance(output, dict) or "completion" not in output:
        return
    around = opened.around
    usage: dict[str, Any] = {}
    for name, place in _TOKENS.items():
        if (number := around.number(f"{_OBSERVATION}/usage/{place}")) is not None:
            usage[name] = number
    message = {"content": output.pop("completion"), "reasoning": output.pop("reasoning", None)}
    body = {**output, "choices": [{"message": message}], "usage": usage or None}
    body["model"] = around.text(f"{_OBSERVATION}/model")
    body["id"] = None if opened.envelope is None else opened.envelope.id
    opened.body = orjson.dumps(body)


PRESET = Preset(
    name="openrouter_broadcast",
    about="a trace that OpenRouter broadcast",
    detected_by=(has("observations", "sessionId"), has("observations", "userId")),
    body="/observations/*/output",
    fields={
        "id": ("/observations/*/id",),
        "created_at": ("/observations/*/startTime", "/timestamp"),
        "ended_at": ("/observations/*/endTime",),
        "request": ("/observations/*/input",),
        "session_id": ("/sessionId",),
        "tags": ("/tags",),
        "cost": ("/observations/*/totalCost",),
    },
    source="openrouter",
    adjust=_put_together,
    partial="a trace that OpenRouter broadcast without the text of its output; broadcast inputs and outputs too",
    example={"sessionId": "s", "observations": [{"id": "gen-1", "output": {"completion": "hello"}, "usage": {}}]},
)
