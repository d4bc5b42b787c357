"""A batch of events that a client sent to Langfuse, each generation with its output.

Seen: https://api.reference.langfuse.com (`POST /api/public/ingestion`: `batch`, `type`, `body`).
"""

from __future__ import annotations

from .calls import where
from .preset import Preset, has

PRESET = Preset(
    name="langfuse_ingestion",
    about="a batch of events that a client sent to Langfuse",
    detected_by=(has("batch", "metadata/sdk_name"), has("batch", "metadata/batch_size")),
    body="/batch/*/body/output",
    fields={
        "id": ("/batch/*/body/id",),
        "created_at": ("/batch/*/body/startTime", "/batch/*/timestamp"),
        "ended_at": ("/batch/*/body/endTime",),
        "request": ("/batch/*/body/input",),
        "session_id": ("/batch/*/body/sessionId",),
        "tags": ("/batch/*/body/tags",),
        "cost": ("/batch/*/body/usage/totalCost", "/batch/*/body/costDetails/total"),
    },
    is_call=where(("/batch/*/type",), "generation-create", "generation-update"),
    partial="a Langfuse event, which holds messages and no response; log the response bodies themselves",
    example={"batch": [{"type": "generation-create", "body": {"output": {}}}], "metadata": {"batch_size": 1}},
)
