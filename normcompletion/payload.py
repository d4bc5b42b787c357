"""Payload to bytes, bytes to a generic tree, and foreign errors to ours. The only module that catches them.

Limits: a record of 16 MiB; where a tree is built, 128 nested containers (the root included) on every Python version,
whatever the stack of the caller.
"""

from __future__ import annotations

import datetime
import math
import os
import re
import sys
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, TypeVar

import msgspec
import orjson

from .errors import MalformedPayloadError, NormalizeError, UnknownPayloadError, excerpt
from .model import Chunk, Completion
from .pointer import pointer

Value = TypeVar("Value")

BLANKS = b" \t\r\n"  # what may be around JSON; `bytes.strip` takes more
MAX_RECORD_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 128
MOST_LEVELS = 1000  # that a decoder skips or reads where no tree is built

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_NOT_BRACKETS_OR_QUOTES = bytes(set(_NOT_BRACKETS) - set(b'"'))
_SURROGATES = re.compile("[\ud800-\udfff]")
_decode = msgspec.json.Decoder(strict=True).decode

# What msgspec raises for a text it does not take; the last two are not errors of its own.
REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def too_deep() -> MalformedPayloadError:
    """The error for more nesting than the limit."""
    return MalformedPayloadError(
        f"more than {MAX_DEPTH} nested arrays and objects; flatten the payload", code="too_deep"
    )


def nesting(raw: bytes) -> int:
    """How deep the containers of a text nest, counted up to one more than the limit."""
    depth = deepest = 0
    for bracket in _STRING.sub(b"", raw).translate(None, _NOT_BRACKETS):
        if bracket in b"[{":
            depth += 1
            if depth > deepest:
                deepest = depth
                if deepest > MAX_DEPTH:
                    break
        else:
            depth -= 1
    return deepest


def _openers(raw: bytes) -> int:
    """How many `[` and `{` a text has; `replace` looks for a byte with `memchr`, `count` at every byte in turn."""
    return 2 * len(raw) - len(raw.replace(b"[", b"")) - len(raw.replace(b"{", b""))


_HEAD = 1 << 12


def _is_deep_at_once(raw: bytes) -> bool:
    """Whether the first bytes alone nest beyond the limit, so that the others need not be read."""
    head = raw[:_HEAD]
    return _openers(head) > MAX_DEPTH and nesting(head) > MAX_DEPTH


_STARTS = b"{[" + BLANKS  # of a text that may have containers; any other is refused at its first byte


def guarded(decode: Callable[[bytes], Value]) -> Callable[[bytes], Value]:
    """A decoder that raises `RecursionError` for a thousand nested containers, on every Python.

    On CPython 3.12 and 3.13 C code may recurse 10,000 times whatever the stack, and msgspec needs about 300 bytes a
    level for a value of any type: a thread with a stack of 2 MiB dies. Other versions have limits that hold.
    """
    if not (3, 12) <= sys.version_info < (3, 14):
        return decode

    def decode_unless_deep(raw: bytes) -> Value:
        if len(raw) > MOST_LEVELS and raw[0] in _STARTS and _openers(raw) > MOST_LEVELS and may_nest_deep(raw):
            raise RecursionError("too many nested arrays and objects")
        return decode(raw)

    return decode_unless_deep


decode_exactly = guarded(_decode)
"""JSON text to dictionaries and lists, with integers of any size exact; raises what is in `REFUSALS`."""


def may_nest_deep(raw: bytes) -> bool:
    """Whether a text may have a thousand nested containers; where more than 16 nest it may say so wrongly."""
    unescaped = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    # Empty strings go first: two strings side by side become one, and few others hold brackets.
    brackets = _STRING.sub(b"", unescaped.translate(None, _NOT_BRACKETS_OR_QUOTES).replace(b'""', b""))
    for _ in range(16):
        if len(brackets) <= MOST_LEVELS:
            return False
        fewer = brackets.replace(b"[]", b"").replace(b"{}", b"")  # without the innermost containers
        if len(fewer) > len(brackets) * 0.99:  # one container in another, and so on
            return True
        brackets = fewer
    return len(brackets) > MOST_LEVELS


def check_depth(payload: Any, depth: int = 0) -> None:
    """Raise `MalformedPayloadError` for a text with more nested containers than the limit; a tree was looked at."""
    if not isinstance(payload, bytes):
        return
    if len(payload) > _HEAD and _is_deep_at_once(payload):
        raise too_deep()
    if _openers(payload) + depth > MAX_DEPTH and nesting(payload) + depth > MAX_DEPTH:
        raise too_deep()


def parse(raw: bytes, *, depth: int = 0) -> Any:
    """JSON text to dictionaries and lists, with integers of any size exact.

    `depth` containers are around the text already. Half surrogate pairs are kept in the strings, for the lenient decode
    to replace. Raises `MalformedPayloadError`.
    """
    return parse_checked(raw, depth=depth)[0]


def parse_checked(raw: bytes, *, depth: int = 0) -> tuple[Any, bool]:
    """`parse`, and whether all texts are proved to have no half surrogate pair.

    A byte-order mark at byte 0, and the `data: [DONE]` that some servers write behind a whole body, are not part of it.
    """
    check_depth(raw, depth)
    try:
        return _decode(raw), True
    except REFUSALS as refusal:
        error = refusal.with_traceback(None)  # which holds this frame, and so the payload
    if b"\\u" in raw and not isinstance(error, UnicodeDecodeError):  # half a surrogate pair, which msgspec refuses
        import json  # only broken text comes here

        try:
            return json.loads(raw.decode(), parse_constant=_no_constant, parse_float=_finite), False
        except MalformedPayloadError:
            raise
        except (ValueError, RecursionError):
            pass
    if (bare := without_frame(raw)) is not raw:
        return parse_checked(bare, depth=depth)
    raise malformed(raw, error) from None


_BOM = b"\xef\xbb\xbf"
_DONE = (b"data: [DONE]", b"data:[DONE]")


def without_frame(raw: bytes) -> bytes:
    """A text with blanks in place of a byte-order mark, without the end of a stream; itself where it has neither.

    Offsets into it stay those of the text.
    """
    if raw.startswith(_BOM):
        raw = b"   " + raw[len(_BOM) :]
    end = raw.rstrip(BLANKS)
    return end[: end.rindex(b"data")].rstrip(BLANKS) if end.endswith(_DONE) and end[:1] != b"d" else raw


def parse_whatever(raw: bytes) -> Any:
    """A JSON text that a decoder accepted or skipped, as a tree. Never raises.

    A decoder that skips a value does not look at the range of a number or at half surrogate pairs: a number that a
    float cannot hold is kept as its text, half a pair as it is.
    """
    try:
        return _decode(raw)
    except REFUSALS:
        import json  # only texts with such values come here

        return json.loads(raw.decode("utf-8", "surrogatepass"), parse_float=_float_or_text, parse_int=_int_or_text)


def _float_or_text(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _int_or_text(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:  # more digits than `int` converts
        return text


def is_utf8(raw: bytes) -> bool:
    """Whether a text is UTF-8, also in the values that msgspec skips."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def in_range(value: int | str) -> bool:
    """Whether an integer is a 64-bit one."""
    return isinstance(value, str) or -(2**63) <= value < 2**63


def _no_constant(word: str) -> None:
    raise ValueError(word)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _beyond_float()
    return number


def _beyond_float() -> MalformedPayloadError:
    return MalformedPayloadError("a number is beyond what a 64-bit float can hold", code="number_range")


def duplicate_keys(raw: bytes) -> list[str]:
    """The keys that occur more than once in one object of a text; none where it is not JSON."""
    import json

    found: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in items:
            if key in seen:
                found.append(key)
            seen.add(key)

    try:
        json.loads(without_frame(raw), object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return []
    return found


def malformed(raw: bytes, error: Exception) -> MalformedPayloadError:
    """The error for a text that is not JSON: a reason and a byte offset, never a quotation."""
    if not raw.strip(b" \t\r\n"):
        return MalformedPayloadError("the payload is empty; log the response body, not only its headers", code="empty")
    if isinstance(error, RecursionError):
        return too_deep()
    for prefix, code, name in _PREFIXES:
        if raw.startswith(prefix):
            return MalformedPayloadError(f"the payload is {name}", code=code, offset=0)
    try:
        text = raw.decode()
    except UnicodeDecodeError as fault:
        return MalformedPayloadError(
            f"invalid UTF-8 at byte {fault.start}; encode the payload as UTF-8", code="not_utf8", offset=fault.start
        )
    if "\x00" in text[:4]:
        return MalformedPayloadError("the payload looks like UTF-16 or UTF-32; encode it as UTF-8", code="utf16")
    import json

    try:
        json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as fault:
        offset = len(text[: fault.pos].encode())
        if fault.msg == "Extra data":
            if not text.lstrip().startswith(("{", "[")) and (leading := _leading_text(text)) is not None:
                return leading
            return MalformedPayloadError(
                f"a second value starts at byte {offset}; hand in one response at a time",
                code="trailing_data",
                offset=offset,
            )
        if not text[fault.pos :].strip() or fault.msg.startswith("Unterminated"):
            return MalformedPayloadError(
                "the JSON text ends too early; the body was cut off", code="truncated", offset=len(raw)
            )
        if not text.lstrip().startswith("{") and (leading := _leading_text(text)) is not None:
            return leading
        return MalformedPayloadError(
            f"no JSON at byte {offset} ({fault.msg}); log the body as it was sent", code="syntax", offset=offset
        )
    except ValueError as fault:
        if str(fault) in ("NaN", "Infinity", "-Infinity"):
            return MalformedPayloadError(f"{fault} is not a JSON number; log null or the text", code="syntax")
    except RecursionError:
        pass
    if "range" in str(error) or "digits" in str(error):
        return _beyond_float()
    if "surrogate" in str(error):
        return MalformedPayloadError("half a surrogate pair in a string", code="lone_surrogate")
    return MalformedPayloadError("no JSON text; log the body as it was sent", code="syntax")


_TRIED = 16  # places at which the JSON behind a text may start


def _leading_text(text: str) -> MalformedPayloadError | None:
    """The error for a text before an object or a list that is the rest of it, such as a line of a log."""
    import json

    for found in islice(re.finditer(r"[{\[]", text[:_HEAD]), _TRIED):
        try:
            value = json.loads(text[found.start() :]) if found.start() else None
        except (ValueError, RecursionError):
            continue
        if value and (isinstance(value, dict) or isinstance(value[0], dict)):
            at = len(text[: found.start()].encode())
            return MalformedPayloadError(
                f"text comes before the JSON, which starts at byte {at}; hand in what starts there",
                code="leading_text",
                offset=at,
            )
    return None


_PREFIXES = (
    (b"\xff\xfe", "utf16", "UTF-16; encode it as UTF-8"),
    (b"\xfe\xff", "utf16", "UTF-16; encode it as UTF-8"),
    (b"<", "syntax", "HTML or XML, not JSON; a gateway answered in place of the service"),
)


_FIELDS = (b"data:", b"event:", b":", b"id:", b"retry:", b"error: {", b"error:{")


def looks_like_stream(raw: bytes) -> bool:
    """Whether a text that is not JSON is a saved event stream."""
    return raw.startswith(_FIELDS) or raw[:4096].removeprefix(_BOM).lstrip(BLANKS).startswith(_FIELDS)


def holds_stream(raw: bytes) -> bool:
    """Whether a text that is not JSON has an event in it, behind a body or other text."""
    return b"\ndata:" in raw or b"\rdata:" in raw


def to_bytes(payload: object) -> bytes:
    """What was handed in as JSON bytes.

    bytes, bytearray, memoryview and str are the text itself; a mapping, a pydantic model (`model_dump`), a msgspec
    Struct or a dataclass is written as JSON. Raises `MalformedPayloadError` for what JSON cannot hold (NaN, a lone
    surrogate, a key that is not a string) and `UnknownPayloadError` for any other object.
    """
    if isinstance(payload, bytes):
        return payload
    if isinstance(payload, bytearray):
        return bytes(payload)
    if isinstance(payload, memoryview):
        try:
            return payload.tobytes()
        except ValueError:
            raise MalformedPayloadError("the memoryview was released; hand in its bytes", code="wrong_type") from None
    if isinstance(payload, str):
        try:
            return payload.encode()
        except UnicodeEncodeError as fault:
            raise MalformedPayloadError(
                "the text holds half a surrogate pair; decode it with errors='replace'",
                code="lone_surrogate",
                offset=fault.start,
            ) from None
    if isinstance(payload, Completion | Chunk):
        return payload.to_json()
    try:
        return _write(payload)
    except NormalizeError:
        raise
    except Exception:  # noqa: BLE001 - third-party code: whatever it raises, the object cannot be read
        raise MalformedPayloadError(
            f"a {type(payload).__name__} cannot be written as JSON; hand in its JSON text", code="wrong_type"
        ) from None


def is_one(payload: object) -> bool:
    """Whether an object is one payload, such as a text or a mapping, although it can be iterated."""
    return isinstance(payload, str | bytes | bytearray | memoryview | Mapping | msgspec.Struct) or hasattr(
        type(payload), "model_dump"
    )


def _write(payload: object) -> bytes:
    advice = None if isinstance(payload, dict | list) else _instead(payload)
    tree = plain(payload) if advice is None else None
    if not isinstance(tree, dict | list):
        advice = advice or "JSON text, a mapping or an SDK object"
        raise UnknownPayloadError(f"a {type(payload).__name__} is not a payload; hand in {advice}", code="not_object")
    tree = _writable(tree)
    try:
        return orjson.dumps(tree)
    except (orjson.JSONEncodeError, RecursionError):
        pass
    return msgspec.json.encode(tree)  # integers beyond 64 bits, exactly


def _instead(payload: object) -> str | None:
    """What to hand in instead of an object that only holds a payload, or leads to one; `None` for any other."""
    kind = type(payload)
    if isinstance(payload, os.PathLike):
        return "its `.read_bytes()`"
    if isinstance(payload, BaseException):  # of an SDK: openai, litellm, and those that Speakeasy makes
        if getattr(payload, "body", None) is not None:
            return "its `.body`"
        return (
            "its `.response.content`" if getattr(payload, "response", None) is not None else "the body of the response"
        )
    if callable(getattr(kind, "model_dump", None)) or isinstance(payload, Mapping | msgspec.Struct):
        return None
    if hasattr(kind, "content") and (hasattr(kind, "status_code") or hasattr(payload, "status_code")):
        return "its `.content`"  # of httpx and requests
    if callable(getattr(kind, "read", None)):
        return "what its `.read()` gives"
    if hasattr(kind, "__await__"):
        return "what awaiting it gives"
    if hasattr(kind, "__next__") or hasattr(kind, "__anext__"):
        return "it to assemble(), if it is a stream of chunks, or to normalize_many()"
    return None


def plain(value: Any) -> Any:
    """An SDK object as dictionaries and lists, by its wire names; anything else as it is."""
    if isinstance(value, dict | list):
        return value
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        try:
            return dump(mode="json", by_alias=True, exclude_unset=True)
        except NormalizeError:
            raise
        except Exception:  # noqa: BLE001 - third-party code: whatever it raises, the object cannot be read
            raise MalformedPayloadError(
                f"model_dump() of {type(value).__name__} failed; hand in its JSON text", code="wrong_type"
            ) from None
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    if hasattr(type(value), "__dataclass_fields__"):
        return {name: getattr(value, name) for name in type(value).__dataclass_fields__}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return list(value)
    return value


def _writable(tree: dict[str, Any] | list[Any]) -> Any:
    """A copy with nested objects made plain; refuses what JSON cannot hold or a writer would change silently."""
    root: Any = [None]
    stack: list[tuple[tuple[str | int, ...], Any, Any, Any]] = [((), tree, root, 0)]
    while stack:
        path, value, parent, key = stack.pop()
        if isinstance(value, dict | list):
            if len(path) >= MAX_DEPTH:
                raise too_deep()
            target: Any = {} if isinstance(value, dict) else [None] * len(value)
            parent[key] = target
            items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
            for name, item in items:
                if isinstance(value, dict):
                    if not isinstance(name, str):
                        raise _unwritable("a key that is not a string", path, "wrong_type")
                    target[name] = None  # keeps the order of the keys
                stack.append(((*path, name), item, target, name))
        else:
            parent[key] = _scalar(value, path)
            if parent[key] is _NOT_SCALAR:
                replaced = plain(value)
                if not isinstance(replaced, dict | list):
                    raise _unwritable(f"a {type(value).__name__}, which is not a JSON value,", path, "wrong_type")
                stack.append((path, replaced, parent, key))
    return root[0]


_NOT_SCALAR = object()


def _scalar(value: Any, path: tuple[str | int, ...]) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _unwritable("a number that is not finite", path, "number_range")
        return value
    if isinstance(value, str):
        if not value.isascii() and _SURROGATES.search(value):
            raise _unwritable("half a surrogate pair", path, "lone_surrogate")
        return value
    if type(value).__name__ == "Decimal" and value.is_finite():
        number: float = int(value) if value == value.to_integral_value() else float(value)
        if type(value)(repr(number)) != value:
            raise _unwritable("a decimal number with more digits than a float holds", path, "number_range")
        return number
    if isinstance(value, datetime.date):
        return value.isoformat()
    if type(value).__name__ == "UUID":
        return str(value)
    return _NOT_SCALAR


def _unwritable(what: str, path: tuple[str | int, ...], code: str) -> MalformedPayloadError:
    where = pointer(path)
    return MalformedPayloadError(
        f"{what} at {excerpt(where)!r}; JSON cannot hold it, hand in the response's own text", code=code, path=where
    )


def escape_surrogates(text: str) -> str:
    """The text with half surrogate pairs written as escapes, so that it can be shown."""
    return _SURROGATES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def replace_surrogates(text: str) -> str | None:
    """The text with U+FFFD for half surrogate pairs, or `None` where there is none."""
    if text.isascii() or not _SURROGATES.search(text):
        return None
    return _SURROGATES.sub("\ufffd", text)
