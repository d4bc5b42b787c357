"""What CloudWatch hands to a subscribed Lambda function: a subscription's log events as base64 of gzip.

Seen: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html (`awslogs.data`).
"""

from __future__ import annotations

from .preset import Preset, has

PRESET = Preset(
    name="awslogs",
    about="what CloudWatch hands to a subscribed function: log events as base64 of gzip",
    detected_by=(has("awslogs/data"),),
    body="/awslogs/data",
    inner=("",),
    example={"awslogs": {"data": "H4sIAAAAAAAA/w=="}},
)
