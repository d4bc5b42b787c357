"""LiteLLM's standard logging payload, or a row of its spend logs.

Seen: litellm 1.106.2, `StandardLoggingPayload` in litellm/types/utils.py and `LiteLLM_SpendLogs` in schema.prisma.
"""

from __future__ import annotations

from ..errors import UnknownPayloadError
from .members import opened_value
from .preset import Opened, Preset, has

REDACTED = "redacted-by-litellm"


def _refuse_redacted(opened: Opened) -> None:
    """Refuse what LiteLLM writes in place of a response: a mark, or a text that it cut."""
    body = opened.body
    if body is None or b"by" not in body or b"litellm" not in body:
        return
    value = opened_value(body, opened.at)
    text = value.get("text") if isinstance(value, dict) and len(value) == 1 else value
    if text == REDACTED:
        raise UnknownPayloadError(
            "LiteLLM removed the response from its log; turn off turn_off_message_logging",
            code="redacted",
            path=opened.at,
        )
    if isinstance(text, str) and "truncated by litellm" in text:
        raise UnknownPayloadError(
            "LiteLLM cut the response short for this logger; log to one that keeps it whole",
            code="truncated",
            path=opened.at,
        )


PRESET = Preset(
    name="litellm",
    about="LiteLLM's standard logging payload, or a row of its spend logs",
    detected_by=(
        has("model_map_information", "response_cost", "response"),
        has("litellm_call_id", "response"),
        has("spend", "call_type", "request_id", "response"),
    ),
    shared=("organization_id",),
    body="/response",
    fields={
        "id": ("/id", "/request_id"),
        "status": ("/status",),
        "duration": ("/response_time",),
        "tags": ("/request_tags",),
        "cost": ("/response_cost", "/spend"),
    },
    error_parts={
        "code": ("/error_information/error_code",),
        "message": ("/error_information/error_message", "/error_str"),
        "type": ("/error_information/error_class",),
        "provider": ("/error_information/llm_provider",),
    },
    failed=frozenset({"failure"}),
    missing="LiteLLM leaves it out where message logging or store_prompts_in_spend_logs is off",
    example={"request_id": "1", "call_type": "acompletion", "spend": 0.01, "response": {"choices": []}},
    adjust=_refuse_redacted,
)
