"""A log of Inspect, or one sample of it: the response of each model event.

A long text of a sample is kept once, under `attachments`, and `attachment://HASH` is wherever it was; it is put back
here, as Inspect's own `resolve_sample_attachments` does.

Seen: https://inspect.aisi.org.uk/eval-logs.html, and `EvalLog`, `ModelEvent` and `ModelCall` (`request`, `response`,
`time` in seconds) in https://inspect.aisi.org.uk/reference/inspect_ai.event.html;
`log/_condense.py` of UKGovernmentBEIS/inspect_ai.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import UnknownPayloadError
from ..payload import parse
from ..pointer import escape
from .calls import where
from .preset import Opened, Preset, has

_MARKERS = (b'"attachment://', b'"tc://')


def _places(name: str) -> tuple[str, str]:
    """Where a member of an event is, in a log and in a sample."""
    return f"/samples/*/events/*/{name}", f"/events/*/{name}"


def _resolve(opened: Opened) -> None:
    """Put attachments back into the response and the request; the references to them go to `extra`."""
    around, envelope = opened.around, opened.envelope
    raw = next(filter(None, map(around.raw, ("/samples/*/attachments", "/attachments"))), None)
    texts = {} if raw is None else parse(raw)
    extra = around.findings.extra
    if opened.body is not None and any(marker in opened.body for marker in _MARKERS):
        opened.body = msgspec.json.encode(_with_texts(parse(opened.body), texts, opened.at, extra))
        if any(marker in opened.body for marker in _MARKERS):
            raise UnknownPayloadError(
                "a text of the response is not among the attachments; convert the .eval file itself",
                code="fragment",
                path=opened.at,
            )
    if envelope is not None and texts:
        at = opened.at.removesuffix("/response") + "/request"
        envelope.request = _with_texts(envelope.request, texts, at, extra)


def _with_texts(value: Any, texts: Mapping[str, Any], at: str, extra: dict[str, Any]) -> Any:
    """A value with attachments in the place of what refers to them; an unknown reference stays."""
    if isinstance(value, str) and value.startswith(("attachment://", "tc://")):
        text = texts.get(value.partition("://")[2])
        if text is None:
            return value
        extra[at] = value
        return text
    if isinstance(value, dict):
        return {key: _with_texts(each, texts, f"{at}/{escape(key)}", extra) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_texts(each, texts, f"{at}/{place}", extra) for place, each in enumerate(value)]
    return value


PRESET = Preset(
    name="inspect",
    about="a log of Inspect, or a sample of one: the call of each model event",
    detected_by=(has("eval", "samples", "plan"), has("id", "epoch", "events"), has("id", "output", "events")),
    body=_places("call/response"),
    fields={
        "id": _places("uuid"),
        "created_at": _places("timestamp"),
        "duration": _places("call/time"),
        "request": _places("call/request"),
    },
    error_parts={"message": _places("error")},
    is_call=where(_places("event"), "model"),
    adjust=_resolve,
    missing="run Inspect with --log-model-api, which keeps the calls",
    partial="a call of a model that does not answer in OpenAI's words, which is not read here",
    example={"id": 1, "epoch": 1, "events": [{"event": "model", "call": {"response": {"choices": []}}}]},
)
