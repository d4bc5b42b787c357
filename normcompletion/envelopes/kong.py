"""A line of Kong's logging plugins for an AI plugin that logs payloads (`logging.log_payloads`).

Times are in milliseconds, `started_at` since 1970; costs are in the currency of the plugin's `input_cost`, which is
documented as US dollars. Seen: https://developer.konghq.com/ai-gateway/ai-audit-log-reference/
(`ai.proxy.payload.response`, `ai.proxy.usage.cost`).
"""

from __future__ import annotations

from .preset import Preset, has

PRESET = Preset(
    name="kong",
    about="a line of Kong's logs, with the payloads of its AI plugins",
    detected_by=(has("ai", "started_at", "latencies"), has("ai/proxy/payload")),
    body="/ai/*/payload/response",
    fields={
        "id": ("/request/id",),
        "status": ("/response/status", "/upstream_status"),
        "created_at": ("/started_at",),
        "duration_ms": ("/latencies/request",),
        "request": ("/ai/*/payload/request",),
        "cost": ("/ai/*/usage/cost",),
    },
    missing="turn on logging.log_payloads of the AI plugin",
    example={"started_at": 0, "latencies": {}, "ai": {"proxy": {"payload": {"response": '{"choices": []}'}}}},
)
