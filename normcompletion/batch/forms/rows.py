"""Rows of tables as JSON, whatever their cells are, and the column of the responses in them.

Where the responses are, is what the caller says; else the columns are an envelope or a response that is known by its
keys; else it is the one column whose cells look like responses, or the one with a name in `BODY_COLUMNS`.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import orjson

from ...envelopes.choice import rows_are_units
from ...envelopes.hints import looks_like_response
from ...envelopes.options import Envelopes
from ...envelopes.spread import EACH, path_of
from ...errors import excerpt
from ...pointer import escape
from ..inputs import InputError

BODY_COLUMNS = ("response", "response_body", "raw_response", "body", "completion", "payload", "value")
"""The names by which a table's body column is known, where none is given and no cell shows it."""

SAMPLE = 256  # rows by which the column is detected


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


def body_of_table(
    name: str, columns: list[str], texts: list[str], sample: Sequence[dict[str, Any]], envelopes: Envelopes
) -> tuple[str, ...]:
    """The pointers of the responses in the rows of a table; none where a row is a unit that is known by its keys.

    `texts` are the columns that can hold a response, `sample` are the first rows. Raises `InputError` for a column
    that is not there, and where nothing says which column it is.
    """
    for place in (*envelopes.body, *envelopes.fields.values(), *envelopes.carry.values()):
        path = path_of(place)
        if path and path[0] not in columns and path[0] != EACH:
            raise InputError(f"{name} has no column {excerpt(path[0])}; it has {_listed(columns)}")
    if envelopes.body or envelopes.envelope != "auto" or rows_are_units(columns):
        return envelopes.body
    shown = [column for column in texts if any(looks_like_response(row.get(column)) for row in sample)]
    candidates = shown or [column for column in columns if column in BODY_COLUMNS] or texts
    if len(candidates) != 1:
        raise InputError(
            f"{name}: which column holds the responses? Name it with --body /COLUMN: {_listed(candidates or columns)}"
        )
    return (f"/{escape(candidates[0])}",)


def _listed(names: list[str]) -> str:
    return ", ".join(map(excerpt, names[:20])) + (" …" if len(names) > 20 else "")
