"""A trace of MLflow: the response of the trace, or those of its spans.

Where the trace's own `response` is one, its spans are what led to it, and in `extra`. Seen:
https://mlflow.org/docs/latest/genai/tracing/concepts/trace/ (`info`, `data.spans`, `mlflow.spanOutputs`), and
`mlflow.search_traces()` (`request`, `response`, `execution_duration` in milliseconds).
"""

from __future__ import annotations

from .calls import body_is_response, where
from .preset import Opened, Preset, has

_is_model = where(("/data/spans/*/attributes/mlflow.spanType",), '"CHAT_MODEL"', '"LLM"', "CHAT_MODEL", "LLM")


def _is_call(opened: Opened) -> bool:
    """The trace itself, a span of a model, and whatever has a response."""
    return opened.at.endswith("/response") or _is_model(opened) or body_is_response(opened)


PRESET = Preset(
    name="mlflow",
    about="a trace of MLflow whose outputs are responses",
    detected_by=(
        has("info/trace_id", "data/spans"),
        has("info/request_id", "data/spans"),
        has("trace_id", "response", "spans"),
    ),
    body=("/response", "/data/spans/*/attributes/mlflow.spanOutputs"),
    fields={
        "id": ("/trace_id", "/info/trace_id", "/info/request_id"),
        "status": ("/state", "/info/state", "/info/status"),
        "created_at": ("/request_time", "/info/request_time", "/info/timestamp_ms"),
        "duration_ms": (
            "/execution_duration",
            "/execution_time_ms",
            "/info/execution_duration_ms",
            "/info/execution_time_ms",
        ),
        "request": ("/request", "/data/spans/*/attributes/mlflow.spanInputs"),
        "session_id": ("/trace_metadata/mlflow.trace.session", "/info/trace_metadata/mlflow.trace.session"),
        "properties": ("/tags", "/info/tags"),
    },
    is_call=_is_call,
    partial="an MLflow trace whose outputs are not responses; convert the spans of type CHAT_MODEL",
    example={"trace_id": "1", "request": "{}", "response": '{"choices": []}', "spans": []},
)
