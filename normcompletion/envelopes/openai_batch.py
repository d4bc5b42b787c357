"""A line of an OpenAI Batch output or error file; Azure, vLLM, Groq, Mistral and Together write the same.

Seen: https://platform.openai.com/docs/api-reference/batch/request-output.
"""

from __future__ import annotations

from .preset import Preset, has

PRESET = Preset(
    name="openai_batch",
    about="a line of an OpenAI Batch output or error file, and of its clones",
    detected_by=(
        has("custom_id", "response", lacks=("result", "response/choices")),
        has("custom_id", "error", lacks=("result", "response", "url")),
    ),
    body="/response/body",
    fields={"id": ("/custom_id",), "status": ("/response/status_code",)},
    error=("/error",),
    example={
        "id": "batch_req_1",
        "custom_id": "row-1",
        "response": {"status_code": 200, "request_id": "req_1", "body": {"choices": []}},
        "error": None,
    },
)
