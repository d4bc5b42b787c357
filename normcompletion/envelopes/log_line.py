"""A line of a container's or an application's log: what is logged, with what is around it.

This is how Docker's `json-file` driver writes lines, and what `batch/forms/prefixed.py` makes of lines that have a
prefix. A logger that writes JSON has the response in a member. Seen:
https://docs.docker.com/engine/logging/drivers/json-file/ (`log`, `stream`, `time`).
"""

from __future__ import annotations

from .calls import refuse_leading_text
from .preset import Opened, Preset, has

BODIES = ("/response", "/response_body", "/raw_response", "")
"""Where a response is in what is logged."""


def _refuse_leading_text(opened: Opened) -> None:
    """Refuse a line behind what the logger of an application writes before it."""
    refuse_leading_text(opened, ".log")


PRESET = Preset(
    name="log_line",
    about="a line of a log with a prefix, and a line of Docker's json-file",
    detected_by=(has("log", "time"), has("log", "prefix"), has("log", "stream")),
    body="/log",
    inner=BODIES,
    fields={"created_at": ("/time",)},
    adjust=_refuse_leading_text,
    example={"log": '{"choices": []}\n', "stream": "stdout", "time": "2026-01-02T10:00:00Z"},
)
