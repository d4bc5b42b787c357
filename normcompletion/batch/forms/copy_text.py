r"""The text form of Postgres's `COPY … TO`: cells between tabs, with backslash escapes, a row a line.

`\\` is a backslash, `\n` a line feed, `\N` alone null, `\.` alone the end. JSON in such a cell has every backslash
twice: read as JSON lines it is broken, or worse, a line feed in a text becomes a backslash and an `n`. Nothing in a
file says that it is one, so the caller must (`--copy-escapes`). A row of one cell is that cell; of several, a list, or
an object where the first line has names (`HEADER`).

Source: https://www.postgresql.org/docs/current/sql-copy.html (Text Format).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ...envelopes.encodings import without_copy_escapes
from ..blocks import Unit
from .rows import row_text

_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_ ]{0,62}")


def unescaped(cell: bytes) -> bytes | None:
    """What a cell stands for; `None` for null."""
    return None if cell == rb"\N" else without_copy_escapes(cell)


def rows(lines: Iterator[Unit]) -> Iterator[Unit]:
    """The rows on some lines, with the numbers and places of these; what is after the end is left to be refused."""
    names: Sequence[str] | None = None
    is_first = True
    for unit in lines:
        line = unit.text
        if line is None or not line.strip() or line.strip() == rb"\.":
            yield unit if line is None else unit._replace(text=b"")
            continue
        cells = line.removesuffix(b"\r").split(b"\t")
        if is_first and len(cells) > 1 and all(_NAME.fullmatch(cell) for cell in cells):
            names = [cell.decode() for cell in cells]
            is_first = False
            continue
        is_first = False
        yield unit._replace(text=_row(names, cells, line))


def _row(names: Sequence[str] | None, cells: Sequence[bytes], line: bytes) -> bytes:
    """The row of a line; where it has more or fewer cells than there are names, the line, which is refused."""
    values = [unescaped(cell) for cell in cells]
    if len(values) == 1 and names is None:
        return values[0] or b""
    if names is not None and len(names) != len(values):
        return line
    return row_text(names, [None if value is None else value.decode("utf-8", "surrogateescape") for value in values])
