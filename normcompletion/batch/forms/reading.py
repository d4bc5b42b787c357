"""Which form a file has, by its first bytes and by what the caller says of it, and its units in blocks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from ...envelopes.options import Envelopes
from ..blocks import Unit
from ..inputs import Decoded, InputError
from . import cassette, chunks, copy_text, inspect_eval, lines, parquet, prefixed, separated, sqlite
from .feed import BOM
from .parquet import Table
from .rows import body_of_table

_HEAD = 1 << 16
_READ = 1 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """The form of a file: its name, its units, and whether these are rows of a table, such as a Parquet file."""

    form: str
    units: Callable[[], Iterator[Unit]]
    is_table: bool = False
    parquet: Table | None = None


def find(source: Decoded, known: Envelopes, limit: int, *, first_row: int = 1) -> Found | None:
    """The form of an input that was just opened, or `None` where it is JSON or a stream.

    A large table may leave out rows before the first that is wanted. Raises `InputError` for a form that is only read
    from a file.
    """
    head = source.peek(_HEAD)
    if head.startswith(parquet.MAGIC):
        table = Table(source)
        return Found("parquet", lambda: table.rows(first_row, limit), is_table=True, parquet=table)
    if head.startswith(sqlite.MAGIC):
        path = _path(source, "SQLite")
        return Found("sqlite", lambda: sqlite.rows(path, source.name, known.table, limit), is_table=True)
    if head.startswith(inspect_eval.MAGIC) and source.is_plain_file and inspect_eval.is_eval(source.path):
        return Found("eval", lambda: inspect_eval.samples(source.path, source.name, limit))
    text = head.removeprefix(BOM)
    each_line = _Lines(source, len(head) - len(text), limit)
    if known.copy_escapes:
        return Found("copy", lambda: copy_text.rows(each_line()), is_table=True)
    if known.line_prefix is not None:
        prefix = re.compile(known.line_prefix.encode())
        return Found("prefixed", lambda: prefixed.units(each_line(), prefix, limit=limit))
    return _by_text(source, text, each_line, limit, whole=len(head) < _HEAD)


def _by_text(source: Decoded, text: bytes, each_line: _Lines, limit: int, *, whole: bool) -> Found | None:
    """The form that the beginning of a text tells."""
    if cassette.is_cassette(text):
        return Found("cassette", lambda: _whole(source, limit, lambda data: cassette.cassette(data, source.name)))
    if (known := prefixed.known_prefix(text)) is not None:
        return Found("prefixed", lambda: prefixed.units(each_line(), known, limit=limit))
    if prefixed.is_docker(text):
        return Found("docker", lambda: prefixed.docker(each_line(), limit=limit))
    if chunks.is_chunk(text.partition(b"\n")[0]):
        return Found("chunks", lambda: chunks.answers(each_line(), limit=limit))
    if chunks.is_list(text) and not _has_more_lists(source.peek(limit)):
        return Found("chunks", lambda: _whole(source, limit, lambda data: Unit(1, 0, len(data), data)))
    dialect = separated.sniff(text, source.name, whole=whole)
    if dialect is None:
        return None

    def rows() -> Iterator[Unit]:
        return separated.rows(each_line.read, dialect, offset=each_line.start(), limit=limit)

    return Found("csv", rows, is_table=True)


def _has_more_lists(text: bytes) -> bool:
    """Whether the list that a text begins with ends in its first line, and more lines follow: each is an answer."""
    first, _, rest = text.partition(b"\n")
    return first.rstrip().endswith(b"]") and bool(rest.strip())


class _Lines:
    """The lines of an input, from behind its byte-order mark."""

    def __init__(self, source: Decoded, mark: int, limit: int) -> None:
        self.read = source.read
        self._source = source
        self._mark = mark
        self._limit = limit

    def start(self) -> int:
        """Pass over the byte-order mark, and say where the text begins."""
        self._source.skip(self._mark)
        return self._mark

    def __call__(self) -> Iterator[Unit]:
        """The lines as units."""
        return lines.units(self.read, offset=self.start(), limit=self._limit)


def _path(source: Decoded, what: str) -> str:
    if not source.is_plain_file:
        raise InputError(f"{source.name} is {what} in a pipe or an archive; give the file itself")
    return source.path


def _whole(source: Decoded, limit: int, read: Callable[[bytes], Unit]) -> Iterator[Unit]:
    """A file as one unit; without text where it is longer than a record may be."""
    parts = []
    length = 0
    while data := source.read(_READ):
        length += len(data)
        parts.append(data)
        if length > limit:
            parts.clear()
    yield Unit(1, 0, length, None) if length > limit else read(b"".join(parts))


def body_of(found: Found, name: str, sample: list[Unit], envelopes: Envelopes) -> tuple[str, ...]:
    """Where the responses are in the rows of a table, as far as these are objects or lists."""
    rows = [row for unit in sample if (row := _columns(unit.text)) is not None]
    if not rows:
        return envelopes.body
    if found.parquet is not None:
        return body_of_table(name, found.parquet.columns, found.parquet.texts, rows, envelopes)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    texts = [name for name in columns if any(isinstance(row.get(name), str | dict | list) for row in rows)]
    return body_of_table(name, columns, texts, rows, envelopes)


def _columns(text: bytes | None) -> dict[str, Any] | None:
    """The cells of a row by the names or the places of their columns; `None` for what is not a row."""
    try:
        row = orjson.loads(text or b"null")
    except ValueError:
        return None
    if isinstance(row, list):
        return {str(place): cell for place, cell in enumerate(row)}
    return row if isinstance(row, dict) and "choices" not in row else None
