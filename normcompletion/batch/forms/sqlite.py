"""A table of an SQLite file, such as the `responses` of the `llm` command's log: each row is a unit.

The file is opened for reading only, with the library that Python brings. A write-ahead log beside it is read too.
Sources: https://www.sqlite.org/fileformat2.html, https://llm.datasette.io/en/stable/logging.html (the schema).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import excerpt
from ..blocks import Unit
from ..inputs import IncompleteInput, InputError
from .rows import row_text

if TYPE_CHECKING:
    import sqlite3

MAGIC = b"SQLite format 3\x00"
_ROWS = 256  # that are read at once
_LISTED = 20


def rows(path: str, name: str, table: str | None, limit: int) -> Iterator[Unit]:
    """The rows of a table, in the order in which they were put there; `table` may be left out where there is one.

    Raises `InputError` where the table is not there, and `IncompleteInput` where the file cannot be read, after every
    row before the damage.
    """
    import sqlite3

    row = 0
    connection = None
    try:
        connection = sqlite3.connect(_uri(Path(path).absolute()), uri=True)
        connection.text_factory = _text
        chosen = _table(connection, name, table)
        cursor = _selected(connection, chosen)
        names = [column[0] for column in cursor.description]
        while some := cursor.fetchmany(_ROWS):
            for cells in some:
                row += 1
                text = row_text(names, cells)
                yield Unit(row, 0, len(text), text if len(text) <= limit else None)
    except sqlite3.Error as error:
        reason = f"the SQLite file cannot be read ({excerpt(str(error))}); recover it with: sqlite3 FILE .recover"
        raise IncompleteInput(name, row, reason) from None
    finally:
        if connection is not None:
            connection.close()


def _uri(path: Path) -> str:
    """How to open a file so that nothing is written beside it."""
    with path.open("rb") as file:
        header = file.read(20)
    # With write-ahead logging even a reader makes files beside it, unless nobody writes: then no log is there.
    idle = header[18:20] == b"\2\2" and not Path(f"{path}-wal").exists()
    return f"{path.as_uri()}?mode=ro{'&immutable=1' if idle else ''}"


def _selected(connection: sqlite3.Connection, table: str) -> sqlite3.Cursor:
    """All rows of a table, by row number where it has such."""
    import sqlite3

    quoted = '"' + table.replace('"', '""') + '"'
    try:
        return connection.execute(f"SELECT * FROM {quoted} ORDER BY rowid")  # noqa: S608 - quoted, and read only
    except sqlite3.OperationalError:  # a view, or WITHOUT ROWID
        return connection.execute(f"SELECT * FROM {quoted}")  # noqa: S608 - as above


def _table(connection: sqlite3.Connection, name: str, table: str | None) -> str:
    """The table to read: the one that was named, the log of `llm`, or the only one. Raises `InputError`."""
    kinds = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
    tables = [str(found[0]) for found in connection.execute(kinds)]
    listed = ", ".join(map(excerpt, tables[:_LISTED])) + (" …" if len(tables) > _LISTED else "")
    if table is not None:
        if table not in tables:
            raise InputError(f"{name} has no table {excerpt(table)}; it has {listed or 'none'}")
        return table
    if "responses" in tables:
        columns = {str(column[1]) for column in connection.execute("PRAGMA table_info(responses)")}
        if {"response_json", "datetime_utc"} <= columns:
            return "responses"
    if len(tables) == 1:
        return tables[0]
    if not tables:
        raise InputError(f"{name} is an SQLite file without a table; check who wrote it")
    raise InputError(f"{name}: which table holds the responses? Name it with --table: {listed}")


def _text(raw: bytes) -> Any:
    """A text, whose bytes need not be UTF-8."""
    return raw.decode("utf-8", "surrogateescape")
