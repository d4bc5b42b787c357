"""A record of Amazon Bedrock's model invocation log, for a model that answers in OpenAI's words.

Seen: https://docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html (`output.outputBodyJson`;
bodies above 100 KB are in S3).
"""

from __future__ import annotations

from .preset import Preset, has

PRESET = Preset(
    name="bedrock",
    about="a record of Amazon Bedrock's model invocation log",
    detected_by=(has("schemaType", "modelId", "requestId"),),
    body="/output/outputBodyJson",
    fields={
        "id": ("/requestId",),
        "created_at": ("/timestamp",),
        "request": ("/input/inputBodyJson",),
    },
    error_parts={"code": ("/errorCode",)},
    partial="a Bedrock record of a model or an operation that does not answer in OpenAI's words, and is not read here",
    missing="Bedrock keeps large bodies in S3, under outputBodyS3Path",
    example={"schemaType": "ModelInvocationLog", "modelId": "", "requestId": "", "output": {"outputBodyJson": {}}},
)
