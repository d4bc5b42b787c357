"""A call of W&B Weave, as its API and exports give it, where the traced function gave a whole response.

Seen: https://docs.wandb.ai/weave/reference/service-api (calls: `op_name`, `inputs`, `output`, `summary.weave`).
"""

from __future__ import annotations

from .preset import Opened, Preset, has


def _is_call(opened: Opened) -> bool:
    """Whether a call is one of a model: by its output, or by its name where it failed."""
    return opened.body is not None or "completion" in (opened.around.raw("/op_name") or b"").decode()


PRESET = Preset(
    name="weave",
    about="a call of W&B Weave whose output is a response",
    detected_by=(has("op_name", "output", "started_at"),),
    body="/output",
    fields={
        "id": ("/id",),
        "status": ("/summary/weave/status",),
        "created_at": ("/started_at",),
        "duration_ms": ("/summary/weave/latency_ms",),
        "ended_at": ("/ended_at",),
        "request": ("/inputs",),
        "session_id": ("/thread_id",),
    },
    error_parts={"message": ("/exception",)},
    is_call=_is_call,
    partial="a Weave call whose output is not a response; convert the calls of chat.completions.create",
    example={"op_name": "openai.chat.completions.create", "started_at": "", "inputs": {}, "output": {"choices": []}},
)
