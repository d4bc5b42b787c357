"""A row of a Databricks inference table, whose `request` and `response` are JSON in strings.

Seen: https://docs.databricks.com/aws/en/machine-learning/model-serving/inference-tables (custom models, AI gateway).
"""

from __future__ import annotations

from .preset import Preset, has

_MARKERS = (
    "client_request_id",
    "event_time",
    "execution_duration_ms",
    "execution_time_ms",
    "invocation_id",
    "logging_error_codes",
    "sampling_fraction",
    "served_entity_id",
)

PRESET = Preset(
    name="databricks",
    about="a row of a Databricks inference table",
    detected_by=(
        has("databricks_request_id", "request", "response"),
        *(has(marker, "status_code", "request", "response") for marker in _MARKERS),
    ),
    body="/response",
    fields={
        "id": ("/databricks_request_id", "/invocation_id", "/request_id"),
        "status": ("/status_code",),
        "created_at": ("/request_time", "/event_time", "/timestamp_ms"),
        "request": ("/request",),
        "duration_ms": ("/execution_duration_ms", "/execution_time_ms", "/latency_ms"),
    },
    missing="Databricks leaves it out where it is too long; see logging_error_codes",
    example={"databricks_request_id": "1", "status_code": 200, "request": "{}", "response": '{"choices": []}'},
)
