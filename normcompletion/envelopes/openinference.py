"""A span of OpenInference (Phoenix, Arize), flat or nested, whose `output.value` is a whole response.

Seen: https://arize-ai.github.io/openinference/spec/semantic_conventions.html (`output.value`, `input.value`,
`session.id`, `tag.tags`, `llm.cost.total`), https://arize.com/docs/phoenix (`get_spans_dataframe`: flat columns).
"""

from __future__ import annotations

from .preset import Preset, has


def _places(name: str) -> tuple[str, ...]:
    """Where an attribute is: in a column of its own, under its whole name, or nested."""
    return (f"/attributes.{name}", f"/attributes/{name}", f"/attributes/{name.replace('.', '/')}")


PRESET = Preset(
    name="openinference",
    about="a span of OpenInference (Phoenix, Arize) whose output is a response",
    detected_by=(
        has("attributes.output.value"),
        has("attributes/output.value"),
        has("attributes/output/value"),
        has("attributes.llm.model_name"),
        has("attributes.openinference.span.kind"),
        has("attributes/openinference.span.kind"),
    ),
    body=_places("output.value"),
    fields={
        "id": ("/context.span_id", "/context/span_id", "/span_id"),
        "status": ("/status_code",),
        "created_at": ("/start_time",),
        "ended_at": ("/end_time",),
        "request": _places("input.value"),
        "session_id": _places("session.id"),
        "tags": _places("tag.tags"),
        "cost": _places("llm.cost.total"),
    },
    error_parts={"message": ("/status_message",)},
    failed=frozenset({"ERROR"}),
    partial="an OpenInference span whose output is not a whole response; log the response bodies themselves",
    example={"attributes.output.value": '{"choices": []}', "start_time": "2026-01-02T10:00:00Z"},
)
