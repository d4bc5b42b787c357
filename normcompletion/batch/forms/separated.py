"""CSV and TSV (RFC 4180, and what `COPY … CSV`, pandas and spreadsheets write): each row is a unit.

`sniff` detects a table by the beginning of a file: names in the first row and JSON in the second, or quoted JSON in the
first where there are no names (`COPY … TO … CSV` without HEADER). Delimiters are the comma, the tab, the semicolon
and the vertical bar. Sources: https://www.rfc-editor.org/rfc/rfc4180,
https://www.postgresql.org/docs/current/sql-copy.html (CSV Format), https://docs.python.org/3/library/csv.html.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ...payload import MAX_RECORD_BYTES
from ..blocks import Unit
from .lines import Lines
from .rows import row_text

SUFFIXES = (".csv", ".tsv")
"""A file that is called so is a table also where no JSON is in sight."""

_DELIMITERS = ",\t;|"
_ROWS = 20  # by which a table is detected
_NAME = re.compile(r"[^\W\d][\w .:/()#%$-]{0,99}")
_JSON = ("{", "[", '"{', '"[', "data:")
# A cell of JSON whose quotes are doubled: nothing else is written so at the beginning of a cell.
_QUOTED_JSON = re.compile(rb'(?:^|[,;|\t])"[ ]*[\[{](?:""|[\]}]")', re.MULTILINE)


class Dialect(NamedTuple):
    """How a table is written: the delimiter of its cells, and whether its first row has names."""

    delimiter: str
    named: bool


def sniff(head: bytes, name: str = "", *, whole: bool = True) -> Dialect | None:
    """The dialect of a file by its beginning, or `None` where it is not such a table.

    `name` is what the file is called. `whole` says that the file ends with the beginning.
    """
    text = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    if text[:1] in ("", "{", "["):
        return None
    called = name.lower().removesuffix(".gz").removesuffix(".zst").endswith(SUFFIXES)
    line, _, rest = text.partition("\n")
    for delimiter in sorted(_DELIMITERS, key=lambda each: -line.count(each)):
        first, *others = _first_rows(text, delimiter) or [[]]
        if _are_names(first):
            last = [] if whole or not others else others.pop()  # which may be cut off
            fits = [row for row in others if len(row) == len(first)] + [last] * (0 < len(last) <= len(first))
            is_table = any(map(_holds_json, fits)) and (len(first) > 1 or _is_quoted_json(rest))
            if is_table or (called and len(first) > 1 and (fits or not others)):
                return Dialect(delimiter, named=True)
        elif _holds_json(first) and _is_quoted_json(line):
            return Dialect(delimiter, named=False)
    return None


def rows(
    read: Callable[[int], bytes], dialect: Dialect, *, offset: int = 0, limit: int = MAX_RECORD_BYTES
) -> Iterator[Unit]:
    """The rows of a table, each as JSON; `read` gives the next bytes, which start at `offset`.

    A row with more or fewer cells than there are names, or with a quote in a wrong place, is a unit of its own text
    and refused. One that is longer than `limit` has no text.
    """
    # The limit is the module's own, for all threads: it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), limit))
    lines = Lines(read, offset, limit)
    parts = _Rows(lines, limit)
    names: list[str] | None = None
    reader = csv.reader(parts, delimiter=dialect.delimiter, strict=True)
    while True:
        line, start = lines.number, lines.offset
        parts.begin()
        cells: list[str] | None = None
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLongError):  # what the reader held of the row is gone with it
            reader = csv.reader(parts, delimiter=dialect.delimiter, strict=True)
        length = lines.offset - start
        if cells and dialect.named and names is None:
            names = cells
            continue
        if length > limit:
            text = None
        elif cells is None or (cells and names is not None and len(cells) != len(names)):
            yield Unit(line, start, length, b"".join(parts.raw), "misfit")
            continue
        else:
            text = row_text(names, cells) if cells else b""
        yield Unit(line, start, length, text)


def _first_rows(text: str, delimiter: str) -> list[list[str]]:
    """The first rows that are not blank, as far as they can be read."""
    found: list[list[str]] = []
    lines = (match[0] for match in re.finditer(r"[^\n]*\n|[^\n]+", text))
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            if row:
                found.append(row)
            if len(found) == _ROWS:
                break
    except csv.Error:
        pass
    return found


def _are_names(row: list[str]) -> bool:
    """Whether cells are names, all different; pandas writes none over its index."""
    names = row[1:] if row[:1] == [""] else row
    return bool(names) and len(set(row)) == len(row) and all(_NAME.fullmatch(cell) for cell in names)


def _holds_json(row: list[str]) -> bool:
    return any(cell.lstrip().startswith(_JSON) for cell in row)


def _is_quoted_json(text: str) -> bool:
    return _QUOTED_JSON.search(text.partition("\n")[0].encode("utf-8", "surrogateescape")) is not None


class _TooLongError(Exception):
    """The lines of one row are longer than a record may be."""


class _Rows:
    """The lines of a text for `csv.reader`; `raw` has those of the row that is read."""

    def __init__(self, lines: Lines, limit: int) -> None:
        self.raw: list[bytes] = []
        self._lines = lines
        self._limit = limit
        self._held = 0

    def __iter__(self) -> _Rows:
        return self

    def __next__(self) -> str:
        line = self._lines.next()
        if not line:
            raise StopIteration
        self._held += len(line)
        if self._held > self._limit:
            self._lines.skip(line)
            raise _TooLongError
        self.raw.append(line)
        return line.decode("utf-8", "surrogateescape")

    def begin(self) -> None:
        """Forget the lines of the row before."""
        self.raw.clear()
        self._held = 0
