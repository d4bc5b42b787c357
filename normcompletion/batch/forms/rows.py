"""Rows of tables as JSON, whatever their cells are."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import orjson


def row_text(names: Sequence[str] | None, cells: Sequence[Any]) -> bytes:
    """A row as a JSON object of its columns, or as a list where they have no names.

    Bytes that are not UTF-8, which a text file can hold in a cell, stay as they are: whoever reads the text refuses it
    at the byte where they are.
    """
    row = list(cells) if names is None else dict(zip(names, cells, strict=True))
    try:
        return orjson.dumps(row, default=plain)
    except TypeError:  # half a surrogate pair, which stands for such a byte, or an integer beyond 64 bits
        import json

        return json.dumps(row, ensure_ascii=False, default=plain).encode("utf-8", "surrogateescape")


def plain(value: Any) -> Any:
    """What JSON has no type for, as a table may hold it: bytes as text or base64, all else as text."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return str(value)
