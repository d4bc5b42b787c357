"""A line of APISIX's logging plugins with `include_resp_body`, for a route with `ai-proxy`.

Times are in milliseconds, `start_time` since 1970. Seen: https://apisix.apache.org/docs/apisix/plugins/http-logger/,
https://apisix.apache.org/docs/apisix/plugins/ai-proxy/ (`logging.summaries`: `llm_summary`).
"""

from __future__ import annotations

from .preset import Preset, has

PRESET = Preset(
    name="apisix",
    about="a line of APISIX's logs, with response bodies",
    detected_by=(has("llm_summary", "response"), has("response/body", "request", "start_time", "client_ip")),
    body="/response/body",
    fields={
        "id": ("/request_id", "/request/headers/x-request-id"),
        "status": ("/response/status",),
        "created_at": ("/start_time",),
        "duration_ms": ("/latency", "/llm_summary/duration"),
        "request": ("/request/body",),
    },
    missing="turn on include_resp_body of the logging plugin",
    example={"llm_summary": {}, "start_time": 0, "response": {"status": 200, "body": '{"choices": []}'}},
)
