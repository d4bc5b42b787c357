"""What helps where a unit is refused: the option or the command that reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from ..errors import (
    InvalidPayloadError,
    MalformedPayloadError,
    NormalizeError,
    SourceReportedError,
    UnknownPayloadError,
)
from ..model import Completion
from ..payload import parse
from .choice import may_be_quiz
from .encodings import without_copy_escapes
from .hints import advice
from .spread import Path

# The types of values in DynamoDB's JSON, as an export to S3 and `aws dynamodb scan` write it:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
_DYNAMODB = {"S", "N", "M", "L", "BOOL", "NULL"}
_READ_DYNAMODB = (
    """python -c 'import json, sys; read = {"S": str, "N": json.loads, "M": dict, "L": list, "BOOL": bool, """
    """"NULL": lambda _: None}; plain = lambda o: read[[*o][0]](*o.values()) if len(o) == 1 and o.keys() <= """
    """read.keys() else o; [print(json.dumps(json.loads(line, object_hook=plain))) for line in sys.stdin]' < LOG"""
)
_LITERAL = re.compile(rb"\s*(?:\[\s*)?\{\s*'")
_RUN = "run: sed {} LOG | normcompletion convert -"
# By how a line that is not JSON is written: what it is, and what helps.
_LINES: Mapping[re.Pattern[bytes], str] = {
    _LITERAL: "the line is a Python literal, no JSON; run: python -c 'import ast, json, sys; [print(json.dumps("
    "ast.literal_eval(line))) for line in sys.stdin if line.strip()]' < LOG | normcompletion convert -",
    re.compile(
        rb"\s*(?:Parsed)?(?:Chat)?Completion(?:Chunk)?\(id="
    ): "the line is the repr of an SDK's object, which cannot be read back; log its model_dump_json()",
    re.compile(
        rb"\s*(?:INSERT INTO|CREATE TABLE)\b", re.IGNORECASE
    ): "the line is SQL; run, where the dump makes its tables: sqlite3 log.db < LOG && normcompletion convert log.db",
    re.compile(rb"\s*(?:var|let|const)\s+[\w$]+\s*=\s*[\[{]"): "JavaScript is around the JSON; "
    + _RUN.format("-E '1s/^[^[{]*//; $s/;[[:space:]]*$//'"),
    re.compile(rb"[^{]*\{\\x22"): "nginx wrote quotes as \\x22, where log_format lacks escape=json; "
    + _RUN.format(r"""-E 's/^[^{]*//; s/[^}]*$//; s/\\x22/"/g; s/\\x5C/\\/g'"""),
}
# The same, where a second value follows in the line.
_JOINED: Mapping[bytes, str] = {
    b"}HTTP/": "an HTTP message follows without a line feed; " + _RUN.format(r"'s#}HTTP/#}\nHTTP/#g'"),
    rb"}\n": r"line feeds are written as \n; " + _RUN.format(r"'s/}\\n/}\n/g'"),
}

Result = TypeVar("Result", Completion | NormalizeError, NormalizeError)


def with_hint(result: Result, unit: Any, at: Path = ()) -> Result:
    """The same result, or a refusal that says where a response is inside the unit, where that is what was meant.

    `unit` is its text or its tree, `at` the path to it from the unit that is around it.
    """
    beside, errors = frozenset[str](), False
    if isinstance(result, Completion):
        if not may_be_quiz(result):
            return result
        beside = frozenset({"choices"})
    elif isinstance(result, SourceReportedError):
        if result.completion.choices:
            return result
        beside = frozenset({"error"})
    elif isinstance(result, InvalidPayloadError):
        beside = frozenset({"choices"})
    elif isinstance(result, UnknownPayloadError) and result.code == "unknown_shape":
        errors = True
    else:
        return result
    if isinstance(unit, bytes):
        if b"choices" not in unit and not errors:
            return result
        try:
            unit = parse(unit)
        except NormalizeError:
            return result
    if (item := _plain_item(unit)) is not None:
        body = advice(item, errors=errors)
        place = "" if body is None else f" {body[body.rindex('--body') :]}"
        return UnknownPayloadError(
            f"DynamoDB's types are around its values; run: {_READ_DYNAMODB} | normcompletion convert -{place}",
            code="unknown_envelope",
        )
    hint = advice(unit, errors=errors, beside=beside, at=at)
    if hint is None:
        return result
    return UnknownPayloadError(f"no known envelope, but {hint}", code="unknown_envelope")


def with_line_hint(error: MalformedPayloadError, text: bytes) -> NormalizeError:
    """The same error, or one that says which option reads a line that is not JSON as it is."""
    message = next((message for pattern, message in _LINES.items() if pattern.match(text)), None)
    if message is None and error.code == "trailing_data":
        message = next((message for mark, message in _JOINED.items() if mark in text), None)
    if message is not None:
        return MalformedPayloadError(message, code=error.code)
    start = text.find(b"{")
    if start > 0 and b"\t" in text[:start] and _is_object(without_copy_escapes(text[start:]).partition(b"\t")[0]):
        return MalformedPayloadError(
            f"cells are between tabs, and JSON begins at byte {start}; give --copy-escapes where Postgres's COPY wrote "
            "it, or --line-prefix '[^{]*' otherwise",
            code="syntax",
        )
    if start > 0 and error.code in ("syntax", "leading_text") and _is_object(text[start:]):
        return MalformedPayloadError(
            f"the JSON of the line begins at byte {start}; say what is before it: --line-prefix '[^{{]*'",
            code=error.code,
        )
    if b"\\\\" in text and _is_object(without_copy_escapes(text)):
        return MalformedPayloadError(
            "every backslash is there twice, as Postgres's COPY writes; give --copy-escapes", code="syntax"
        )
    return error


def with_body_hint(error: NormalizeError, body: bytes) -> NormalizeError:
    """The same error, or one that says what a body is that is no JSON."""
    if not isinstance(error, MalformedPayloadError) or not _LITERAL.match(body):
        return error
    message = "it is a Python literal, no JSON; read it with ast.literal_eval and write it with json.dumps"
    return MalformedPayloadError(message, code="syntax", path=error.path)


def _plain_item(unit: Any) -> Any:
    """A line of DynamoDB's JSON without the types; `None` for anything else."""
    import json

    item = unit.get("Item") if isinstance(unit, dict) else None
    if not isinstance(item, dict) or not item or not all(map(_is_typed, item.values())):
        return None
    return json.loads(json.dumps(unit), object_hook=_without_type)


def _without_type(value: dict[str, Any]) -> Any:
    return next(iter(value.values())) if _is_typed(value) else value


def _is_typed(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and value.keys() <= _DYNAMODB


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(parse(text), dict)
    except NormalizeError:
        return False
