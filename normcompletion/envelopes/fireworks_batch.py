"""A line of a Fireworks batch inference output, where the response itself is under `response`.

Seen: https://docs.fireworks.ai/guides/batch-inference.
"""

from __future__ import annotations

from .preset import Preset, has

PRESET = Preset(
    name="fireworks_batch",
    about="a line of a Fireworks batch output, with the response under `response`",
    detected_by=(has("custom_id", "response/choices", lacks=("result",)),),
    body="/response",
    fields={"id": ("/custom_id",)},
    error=("/error",),
    example={"custom_id": "row-1", "response": {"choices": []}},
)
