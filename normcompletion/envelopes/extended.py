"""MongoDB's Extended JSON: numbers that are written as objects, as `mongoexport --jsonFormat=canonical` does.

`{"$numberLong": "1700000000"}` is a number to MongoDB, and an object to everybody else. Source:
https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/ (`$numberInt`, `$numberLong`, `$numberDouble`,
`$numberDecimal`). Dates and ids stay as they are.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import NormalizeError
from ..payload import parse

MARK = b'"$number'
_KINDS = {"$numberInt": int, "$numberLong": int, "$numberDouble": float, "$numberDecimal": float}


def plain(text: bytes) -> bytes | None:
    """A JSON text with plain numbers; `None` where it is not JSON, or has no number that is written as an object."""
    if MARK not in text:
        return None
    try:
        tree = parse(text)
        numbers = plain_tree(tree)
        return None if numbers == tree else msgspec.json.encode(numbers)
    except (NormalizeError, UnicodeEncodeError, msgspec.MsgspecError):
        return None


def plain_tree(value: Any) -> Any:
    """A value with plain numbers."""
    if isinstance(value, list):
        return [plain_tree(each) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, text),) = value.items()
        if key in _KINDS and isinstance(text, str):
            try:
                return _KINDS[key](text)
            except ValueError:
                return value
    return {key: plain_tree(each) for key, each in value.items()}
