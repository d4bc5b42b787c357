"""A row of Helicone's request export, or of its query API.

Costs are in US dollars, times in milliseconds. Seen: https://docs.helicone.ai/tools/export,
https://docs.helicone.ai/rest/request/post-v1requestquery-clickhouse (`HeliconeRequest`).
"""

from __future__ import annotations

from .preset import Preset, has

PRESET = Preset(
    name="helicone",
    about="a row of a Helicone export",
    detected_by=(
        has("response_body", "request_body", "request_id"),
        has("response_body", "response_status", "request_id"),
        has("response_body", "response_id", "response_status"),
    ),
    body="/response_body",
    fields={
        "id": ("/request_id", "/response_id"),
        "status": ("/response_status",),
        "created_at": ("/request_created_at", "/response_created_at"),
        "duration_ms": ("/delay_ms", "/latency"),
        "request": ("/request_body",),
        "properties": ("/request_properties", "/properties"),
        "session_id": ("/request_properties/Helicone-Session-Id", "/properties/Helicone-Session-Id"),
        "cost": ("/cost", "/costUSD", "/cost_usd"),
    },
    missing="Helicone exports bodies with --include-body, and keeps large ones at signed_body_url",
    example={"request_id": "1", "response_status": 200, "request_body": {}, "response_body": {"choices": []}},
)
