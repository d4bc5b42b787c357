"""A run of LangSmith whose outputs are a whole response, as its wrapper of the OpenAI client records it.

A function that is traced with `run_type="llm"` and returns a response has it under `output`. Seen:
https://docs.langchain.com/langsmith/run-data-format (`run_type`, `inputs`, `outputs`, `total_cost`, `tags`),
https://github.com/langchain-ai/langsmith-sdk `python/langsmith/run_helpers.py` (`{"output": …}`).
"""

from __future__ import annotations

from .calls import where
from .preset import Preset, has

PRESET = Preset(
    name="langsmith",
    about="a run of LangSmith whose outputs are a response",
    detected_by=(has("run_type", "outputs"), has("run_type", "inputs")),
    body=("/outputs", "/outputs/output"),
    fields={
        "id": ("/id",),
        "status": ("/status",),
        "created_at": ("/start_time",),
        "ended_at": ("/end_time",),
        "request": ("/inputs",),
        "session_id": ("/extra/metadata/session_id", "/extra/metadata/thread_id"),
        "tags": ("/tags",),
        "cost": ("/total_cost",),
    },
    error_parts={"message": ("/error",)},
    is_call=where(("/run_type",), "llm"),
    partial="a LangSmith run that holds messages or a chain's outputs, and no whole response; "
    "convert the runs of wrap_openai",
    example={"run_type": "llm", "inputs": {}, "outputs": {"choices": []}},
)
