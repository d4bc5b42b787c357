"""A line of the output of a batch inference job of Amazon Bedrock, for a model that answers in OpenAI's words.

Seen: https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-results.html (`recordId`, `modelOutput`).
"""

from __future__ import annotations

from .preset import Preset, has

PRESET = Preset(
    name="bedrock_batch",
    about="a line of the output of a Bedrock batch job",
    detected_by=(has("recordId", "modelOutput"), has("recordId", "error", "modelInput")),
    body="/modelOutput",
    fields={"id": ("/recordId",), "request": ("/modelInput",)},
    error_parts={"code": ("/error/errorCode",), "message": ("/error/errorMessage",)},
    partial="a Bedrock record of a model that does not answer in OpenAI's words, which is not read here",
    example={"recordId": "1", "modelInput": {}, "modelOutput": {"choices": []}},
)
