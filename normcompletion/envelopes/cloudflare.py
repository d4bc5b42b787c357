"""An event of Cloudflare's AI Gateway that Logpush wrote, its bodies decrypted.

Logpush encrypts the bodies with the public key of the gateway: such an event is an encrypted response. A stream is kept
as `{"streamed_data": [chunks]}`. Seen: https://developers.cloudflare.com/ai-gateway/observability/logging/logpush/,
https://developers.cloudflare.com/logs/logpush/logpush-job/datasets/account/ai_gateway_events/ (`Metrics`, `Timestamp`).
"""

from __future__ import annotations

from .members import members_of
from .preset import Opened, Preset, has


def _mark_encrypted(opened: Opened) -> None:
    """Say that a body is encrypted, and how to read it."""
    body = None if opened.body is None else members_of(opened.body)
    if body is not None and bytes(body.get("type", b"")) == b'"encrypted"' and "data" in body:
        if opened.envelope is not None:
            opened.envelope.tags = None  # those are encrypted as well
        opened.encrypted = (
            "the body is encrypted with the gateway's key; decrypt the log with your private key first, as "
            "Cloudflare's page on Logpush says"
        )


PRESET = Preset(
    name="cloudflare",
    about="an event of Cloudflare's AI Gateway, as Logpush writes it",
    detected_by=(has("ResponseBody", "Gateway"), has("ResponseBody", "RequestBody", "StatusCode")),
    body=("/ResponseBody/streamed_data", "/ResponseBody"),
    fields={
        "status": ("/StatusCode",),
        "created_at": ("/Timestamp",),
        "duration_ms": ("/Metrics/durationMs",),
        "request": ("/RequestBody",),
        "properties": ("/Metadata",),
        "cost": ("/Metrics/cost",),
    },
    adjust=_mark_encrypted,
    example={"Gateway": "g", "StatusCode": 200, "RequestBody": "{}", "ResponseBody": '{"choices": []}'},
)
