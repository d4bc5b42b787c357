"""A line of Envoy's access log as JSON, with `%RESPONSE_BODY%`-like values put there by a filter.

The format is the user's own; these are the names of the documentation's examples. `duration` is in milliseconds. Seen:
https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage (JSON format, `DURATION`).
"""

from __future__ import annotations

from .preset import Preset, has

PRESET = Preset(
    name="envoy",
    about="a line of Envoy's access log as JSON, with response bodies",
    detected_by=(has("response_body", "response_code"),),
    body="/response_body",
    fields={
        "id": ("/x-request-id", "/request_id"),
        "status": ("/response_code",),
        "created_at": ("/start_time",),
        "duration_ms": ("/duration",),
        "request": ("/request_body",),
    },
    example={"start_time": "2026-01-02T10:00:00Z", "response_code": 200, "response_body": '{"choices": []}'},
)
