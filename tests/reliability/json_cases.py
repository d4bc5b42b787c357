r"""JSON texts of every class of JSONTestSuite (structure, numbers, strings, UTF-8, marks, depth), with our verdicts.

Our own texts, no copies. `code` is `None` where RFC 8259 admits the text and we read it, else the code of the
`MalformedPayloadError` it gives inside a completion body. Where the RFC leaves the choice to the parser (`i_` of the
suite: lone surrogates, huge numbers, a byte-order mark, depth) the table is the truth on every Python version.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Case(NamedTuple):
    """One text; `code` is why it is refused inside a body, `alone` why it is when it is the whole payload.

    `STRUCTURE` stands for one of its three codes: what follows in the body decides how the text goes wrong.
    """

    name: str
    text: bytes
    code: str | None = None
    alone: str | None = None


STRUCTURE = "structure"
STRUCTURE_CODES = ("syntax", "truncated", "trailing_data")


def _cases(rows: Iterable[list[str]]) -> list[Case]:
    """Cases of rows of `json_cases.json`, whose letters are the bytes of a text (Latin-1)."""
    return [Case(name, text.encode("latin-1"), *rest) for name, text, *rest in rows]


def _deep(levels: int, opening: bytes = b"[", closing: bytes = b"]", inner: bytes = b"") -> bytes:
    return opening * levels + inner + closing * levels


_ROWS = json.loads(Path(__file__).with_suffix(".json").read_bytes())
_NOT_UTF8 = _cases(_ROWS["not_utf8"])

ACCEPTED = [
    *_cases(_ROWS["accepted"]),
    Case("y_object_long_key", b'{"' + b"k" * 600 + b'":1}'),
    Case("y_number_400_digits", b"1" + b"0" * 399),
    Case("y_number_4300_digits", b"9" * 4300),
    Case("y_number_800_digit_fraction", b"0." + b"123456789" * 89),
    Case("y_string_long", b'"' + b"x" * 70_000 + b'"'),
    # i_: depth up to the limit
    Case("i_depth_120_arrays", _deep(120)),
    Case("i_depth_120_objects", _deep(120, b'{"a":', b"}", b"1")),
]

REFUSED = [
    *_cases(_ROWS["refused"]),
    # i_: more digits than Python reads, more nesting than the limit
    Case("i_number_4301_digits", b"9" * 4301, "number_range"),
    Case("i_depth_200_arrays", _deep(200), "too_deep"),
    Case("i_depth_200_objects", _deep(200, b'{"a":', b"}", b"1"), "too_deep"),
    Case("i_depth_1000_arrays", _deep(1000), "too_deep"),
    Case("i_depth_100000_arrays", _deep(100_000), "too_deep"),
    *(Case(f"n_utf8_{name}", b'"a' + text + b'b"', "not_utf8") for name, text, *_ in _NOT_UTF8),
    *(Case(f"n_utf8_key_{name}", b'{"' + text + b'":1}', "not_utf8") for name, text, *_ in _NOT_UTF8),
]

CASES = [*ACCEPTED, *REFUSED]
