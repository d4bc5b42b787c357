"""How a body can be written at its place: JSON, or JSON or an event stream in a string, or base64 of these, or gzip.

Loggers write JSON in a string in a string, bytes as base64 (RFC 4648, also with the alphabet for addresses and without
padding), and compressed bytes as base64 of gzip. With `auto` such layers are opened as long as what is inside begins as
JSON, an event stream or gzip does: nothing else is taken for base64.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Mapping
from typing import Literal

from ..errors import InvalidPayloadError, NormalizeError
from ..payload import MAX_RECORD_BYTES, looks_like_stream, parse
from .members import text_inside

Encoding = Literal["auto", "object", "string", "sse", "base64"]

ENCODINGS: Mapping[str, str] = {
    "auto": "JSON, or JSON or an event stream in strings, or base64 or gzip of these",
    "object": "JSON",
    "string": "JSON in a string",
    "sse": "a saved event stream in a string",
    "base64": "any of these, base64-encoded in a string",
}
"""How a body can be written."""

_LAYERS = 4
_GZIP = b"\x1f\x8b"
_BASE64 = re.compile(rb"[A-Za-z0-9+/_\r\n -]{16,}={0,2}\s*")
_HEAD = 64
_DATA = re.compile("^data:", re.MULTILINE)
_EVENTS = re.compile(rb'\[\s*"(?:data|event)?:')


def decoded_body(raw: bytes, encoding: Encoding, at: str) -> bytes:
    """The response of a body that is written in one of `ENCODINGS`. Raises `NormalizeError`."""
    text, inside = text_inside(raw, at)
    is_json = not inside and raw[:1] in (b"{", b"[")
    if encoding == "auto":
        return (joined_events(text) or text) if is_json else opened_layers(text)
    if (encoding == "object" and is_json) or (encoding == "string" and (inside or not at)):
        return text
    if encoding == "sse" and (looks_like_stream(text) or raw[:1] == b"["):
        return text
    if encoding == "base64" and not is_json and (decoded := _from_base64(text)) is not None:
        return opened_layers(decoded)
    raise InvalidPayloadError(
        f"the body is not {ENCODINGS[encoding]}; leave out --body-encoding, or name another",
        code="wrong_encoding",
        path=at,
    )


def joined_events(text: bytes) -> bytes | None:
    """The event stream whose events, or lines of `data:`, are the strings of a list; `None` for anything else."""
    if not _EVENTS.match(text):
        return None
    try:
        items = parse(text)
    except NormalizeError:
        return None
    if not all(isinstance(item, str) and is_one_event(item) for item in items):
        return None
    return "".join(f"{item.strip()}\n\n" for item in items).encode("utf-8", "surrogatepass")


def is_one_event(text: str) -> bool:
    """Whether a text is one event of a stream, or a comment among them, and no stream."""
    return text.lstrip().startswith(("data:", "event:", ":")) and len(_DATA.findall(text)) < 2


def opened_layers(text: bytes) -> bytes:
    """What is inside strings, base64 and gzip around a text; the text itself where there is none of them."""
    for _ in range(_LAYERS):
        inner = _inside(text)
        if inner is None:
            break
        text = inner
    return text


def _inside(text: bytes) -> bytes | None:
    """What is in one layer, or `None` where a text is not such a layer."""
    if text.startswith(b'"'):
        try:
            value = parse(text)
        except NormalizeError:
            return None
        inner = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b""
        return inner if _begins_well(inner) or _inside(inner) is not None else None
    if text.startswith(_GZIP):
        return _unzipped(text)
    if not text[:1].isalnum() or _BASE64.fullmatch(text, 0, _HEAD) is None:
        return None
    decoded = _from_base64(text)
    return decoded if decoded is not None and _begins_well(decoded) else None


_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def without_copy_escapes(cell: bytes) -> bytes:
    """What a cell in the text form of Postgres's COPY stands for; see `batch/forms/copy_text.py`."""
    return _ESCAPE.sub(_meaning, cell)


def _meaning(match: re.Match[bytes]) -> bytes:
    escaped = match[1]
    if escaped[:1] == b"x" and len(escaped) > 1:
        return bytes([int(escaped[1:], 16)])
    if escaped[:1].isdigit() and escaped[0] < ord("8"):
        return bytes([int(escaped, 8) & 0xFF])
    return _LETTERS.get(escaped, escaped)


def _begins_well(text: bytes) -> bool:
    """Whether bytes begin as what a logger encodes."""
    return text.lstrip()[:1] in (b"{", b"[", b'"') or text.startswith(_GZIP) or looks_like_stream(text)


def _from_base64(text: bytes) -> bytes | None:
    if _BASE64.fullmatch(text) is None:
        return None
    plain = b"".join(text.split()).rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        return None


def _unzipped(text: bytes) -> bytes | None:
    """What is in a gzip text, where it is whole and no longer than a record may be."""
    decoder = zlib.decompressobj(wbits=31)
    try:
        data = decoder.decompress(text, MAX_RECORD_BYTES)
    except zlib.error:
        return None
    return data if decoder.eof else None
