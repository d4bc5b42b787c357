"""The answer of an AWS Lambda function to API Gateway: the body as a string, base64 or not.

Seen: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html (output).
"""

from __future__ import annotations

from .preset import Preset, has

PRESET = Preset(
    name="api_gateway",
    about="the answer of an AWS Lambda function to API Gateway",
    detected_by=(has("statusCode", "body", "isBase64Encoded"),),
    body="/body",
    fields={"status": ("/statusCode",)},
    example={"statusCode": 200, "headers": {}, "isBase64Encoded": False, "body": '{"choices": []}'},
)
