"""A row of the log of the `llm` command, from its SQLite file or from `llm logs --json`.

`response_json` is what the model's plugin kept: a whole response, or for a stream its chunks put together, the content
and the finish word in one object. In the file texts that are kept elsewhere are replaced by references. Seen:
https://llm.datasette.io/en/stable/logging.html (schema), `combine_chunks` of simonw/llm,
https://github.com/simonw/condense-json (`{"$": …}`, `{"$r": […]}`).
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from ..errors import UnknownPayloadError
from ..payload import parse
from .members import members_of, text_inside
from .preset import Opened, Preset, has

_REFERENCE = re.compile(rb'\{\s*"\$r?"\s*:')
_MESSAGE = ("content", "role", "tool_calls")


def _read_streamed(opened: Opened) -> None:
    """Refuse a response with references; make one of what a stream left."""
    if opened.body is None:
        return
    text = text_inside(opened.body, opened.at)[0]
    if _REFERENCE.search(text):
        raise UnknownPayloadError(
            "texts of the response are kept elsewhere in the file; convert the output of: llm logs --json -n 0",
            code="fragment",
            path=opened.at,
        )
    members = members_of(text)
    if members is None or "choices" in members or "content" not in members:
        return
    tree: dict[str, Any] = parse(text)
    choice: dict[str, Any] = {"message": {key: tree.pop(key) for key in _MESSAGE if key in tree}}
    choice |= {key: tree.pop(key) for key in ("finish_reason", "logprobs") if key in tree}
    opened.body = orjson.dumps({**tree, "object": "chat.completion", "choices": [choice]})


PRESET = Preset(
    name="llm",
    about="a row of the log of the llm command",
    detected_by=(has("response_json", "datetime_utc"),),
    body="/response_json",
    fields={
        "id": ("/id",),
        "created_at": ("/datetime_utc",),
        "duration_ms": ("/duration_ms",),
        "request": ("/prompt_json", "/prompt"),
        "session_id": ("/conversation_id",),
    },
    missing="the model's plugin kept no response_json",
    partial="a row of llm whose model does not answer in OpenAI's words, which is not read here",
    adjust=_read_streamed,
    example={"id": "1", "datetime_utc": "2026-01-02T10:00:00", "duration_ms": 560, "response_json": {"choices": []}},
)
