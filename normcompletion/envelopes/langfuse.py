"""An observation of Langfuse whose output is a whole response.

Names are those of its exports and API, in snake_case or camelCase; costs are in US dollars. Seen:
https://langfuse.com/docs/api-and-data-platform/features/export-to-blob-storage, https://api.reference.langfuse.com
(`ObservationsView`).
"""

from __future__ import annotations

from .preset import Preset, has

PRESET = Preset(
    name="langfuse",
    about="an observation of Langfuse whose output is a response",
    detected_by=(
        has("traceId", "type", "usageDetails"),
        has("trace_id", "type", "usage_details"),
        has("traceId", "type", "costDetails"),
        has("trace_id", "type", "provided_model_name"),
        has("trace_id", "type", "start_time", "output"),
        has("traceId", "type", "startTime", "output"),
    ),
    body="/output",
    fields={
        "id": ("/id",),
        "created_at": ("/start_time", "/startTime"),
        "ended_at": ("/end_time", "/endTime"),
        "request": ("/input",),
        "session_id": ("/session_id", "/sessionId"),
        "tags": ("/tags",),
        "cost": ("/cost_details/total", "/costDetails/total", "/calculatedTotalCost"),
    },
    partial="a Langfuse observation, which holds messages and no response; log the response bodies themselves",
    example={"traceId": "1", "type": "GENERATION", "usageDetails": {}, "output": {"choices": []}},
)
