"""How a body can be written at its place: JSON, or JSON or an event stream in a string, or base64 of these."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Literal

from ..errors import InvalidPayloadError
from ..payload import looks_like_stream
from .members import text_inside

Encoding = Literal["auto", "object", "string", "sse", "base64"]

ENCODINGS: Mapping[str, str] = {
    "auto": "JSON, or JSON or an event stream in a string",
    "object": "JSON",
    "string": "JSON in a string",
    "sse": "a saved event stream in a string",
    "base64": "any of these, base64-encoded in a string",
}
"""How a body can be written."""


def decoded_body(raw: bytes, encoding: Encoding, at: str) -> bytes:
    """The response of a body that is written in one of `ENCODINGS`. Raises `NormalizeError`."""
    text, inside = text_inside(raw, at)
    is_json = not inside and raw[:1] in (b"{", b"[")
    if encoding == "auto" or (encoding == "object" and is_json) or (encoding == "string" and (inside or not at)):
        return text
    if encoding == "sse" and (looks_like_stream(text) or raw[:1] == b"["):
        return text
    if encoding == "base64" and not is_json:
        try:
            return base64.b64decode(b"".join(text.split()), validate=True)
        except binascii.Error:
            pass
    raise InvalidPayloadError(
        f"the body is not {ENCODINGS[encoding]}; leave out --body-encoding, or name another",
        code="wrong_encoding",
        path=at,
    )
