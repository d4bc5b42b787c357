"""Log events of CloudWatch, as a subscription filter and the API give them: the JSON in each message.

Seen: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html (`logEvents`),
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html (`events`).
"""

from __future__ import annotations

from .calls import body_is_json, refuse_leading_text
from .log_line import BODIES
from .preset import Opened, Preset, has

_EVENTS = ("/logEvents/*", "/events/*")


def _refuse_leading_text(opened: Opened) -> None:
    """Refuse a message behind what a runtime of Lambda writes before it."""
    refuse_leading_text(opened, f".{opened.at.split('/')[1]}[].message")


PRESET = Preset(
    name="cloudwatch",
    about="log events of CloudWatch: the JSON in each message",
    detected_by=(has("logEvents", "logGroup"), has("events", "nextForwardToken"), has("events", "searchedLogStreams")),
    body=tuple(f"{event}/message" for event in _EVENTS),
    inner=BODIES,
    fields={
        "id": ("/logEvents/*/id", "/events/*/eventId"),
        "created_at": ("/logEvents/*/timestamp", "/events/*/timestamp"),
    },
    is_call=body_is_json,
    adjust=_refuse_leading_text,
    example={"logGroup": "g", "logEvents": [{"id": "1", "timestamp": 0, "message": '{"choices": []}'}]},
)
