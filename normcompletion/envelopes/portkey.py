"""A row of a Portkey log export, whose costs are in US cents.

`response` is the body, or an object with the body and what HTTP says. Seen:
https://portkey.ai/docs/product/observability/logs-export (fields; `cost`: in cents).
"""

from __future__ import annotations

from .preset import Preset, has

PRESET = Preset(
    name="portkey",
    about="a row of a Portkey log export, whose cost is in cents",
    detected_by=(
        has("response", "ai_org"),
        has("response", "is_success", "response_status_code"),
        has("response", "ai_model", "req_units"),
    ),
    body=("/response/body", "/response"),
    fields={
        "id": ("/id",),
        "status": ("/response_status_code", "/response/status"),
        "created_at": ("/created_at",),
        "duration_ms": ("/response_time", "/response/response_time"),
        "request": ("/request/body", "/request"),
        "properties": ("/metadata",),
        "cost_cents": ("/cost",),
    },
    missing="name request and response among the fields of the export",
    example={"id": "1", "ai_org": "openai", "request": {}, "response": {"choices": []}, "cost": 0.03},
)
