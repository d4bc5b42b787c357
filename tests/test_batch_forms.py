"""Forms of files that are neither JSON nor Parquet, as units."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normcompletion import normalize
from normcompletion.batch import Reject, iter_records
from normcompletion.batch.forms import cassette, chunks, copy_text, inspect_eval, prefixed, separated, sqlite
from normcompletion.batch.inputs import IncompleteInput, InputError
from normcompletion.batch.units import Unit

LIMIT = 1 << 20
BODY = '{"id": "gen-1", "choices": [{"index": 0, "message": {"content": "a \\"b\\"\\nc"}, "finish_reason": "stop"}]}'
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


def lines(text: bytes) -> Iterator[Unit]:
    """The lines of a text as units."""
    offset = 0
    for number, line in enumerate(text.splitlines(keepends=True) if b"\n" in text else [text], 1):
        yield Unit(number, offset, len(line), line.removesuffix(b"\n"))
        offset += len(line)


def texts(units: Iterator[Unit]) -> list[Any]:
    """The JSON of units; one that is not JSON is its own text."""
    found: list[Any] = []
    for unit in units:
        try:
            found.append(None if unit.text is None else json.loads(unit.text))
        except ValueError:
            found.append(unit.text)
    return found


def table(text: bytes, name: str = "", limit: int = LIMIT) -> list[Unit]:
    dialect = separated.sniff(text, name)
    return list(separated.rows(io.BytesIO(text).read, dialect, limit=limit))


def written(rows: list[list[str]], delimiter: str) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    return out.getvalue().encode()


# -- CSV


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_the_rows_of_a_table_are_objects_of_its_columns(delimiter: str) -> None:
    """Each row of a CSV file is a JSON object of its columns, whatever the delimiter, at the line where it begins."""
    text = written([["id", "response"], ["1", BODY], ["2", "two\nlines"]], delimiter)
    units = table(text)
    assert texts(iter(units)) == [{"id": "1", "response": BODY}, {"id": "2", "response": "two\nlines"}]
    assert [unit.line for unit in units] == [2, 3]
    assert b"".join(text[unit.offset : unit.offset + unit.length] for unit in units) == text[units[0].offset :]


def test_a_table_without_names_has_rows_that_are_lists() -> None:
    """`COPY … CSV` without HEADER gives rows that are lists."""
    assert texts(iter(table(written([["7", BODY]], ",")))) == [["7", BODY]]


def test_a_table_may_have_one_column_and_an_index_without_a_name() -> None:
    """One column of quoted JSON is a table, and so is what pandas writes with its index."""
    assert texts(iter(table(written([["response"], [BODY]], ",")))) == [{"response": BODY}]
    assert texts(iter(table(written([["", "response"], ["0", BODY]], ",")))) == [{"": "0", "response": BODY}]


@pytest.mark.parametrize(
    "text",
    [
        BODY.encode(),
        b"some words\n" + BODY.encode(),
        b"HTTP/2 200\nContent-Type: application/json, x\n\n" + BODY.encode(),
        b'2026-01-02 10:00:01,123 INFO x: {"a": "{}"}\n',
        b'2026-01-02T10:00:01Z\ttag\t{"a": ["{}"]}\n',
        b"data: " + BODY.encode() + b"\n\n",
        b"a,b\n1,2\n",
        b"",
    ],
)
def test_what_is_no_table_is_not_taken_for_one(text: bytes) -> None:
    """JSON, streams, headers, prefixed lines and tables without JSON are not detected as tables by their text."""
    assert separated.sniff(text) is None


def test_a_table_without_json_is_detected_by_its_name() -> None:
    """A file called .csv is a table also where no JSON is in sight."""
    assert separated.sniff(b"a,b\n1,2\n", "log.csv.gz") == separated.Dialect(",", named=True)


def test_a_row_that_does_not_fit_is_its_own_text() -> None:
    """A row with too many cells, or a quote in a wrong place, is a unit of its own text; those around it are read."""
    text = b'id,response\n1,"{}"\n2,"{}",x\n3,"{}"x\n4,"{}"\n\n5,"never closed\n'
    units = table(text)
    assert texts(iter(units)) == [
        {"id": "1", "response": "{}"},
        b'2,"{}",x\n',
        b'3,"{}"x\n',
        {"id": "4", "response": "{}"},
        b"",
        b'5,"never closed\n',
    ]


def test_a_row_that_does_not_fit_is_refused_as_one(tmp_path: Path) -> None:
    """The reason for refusing a row of a wrong number of cells says so, also where its text would be read as JSON."""
    log = tmp_path / "log.csv"
    log.write_text('response\n"{""choices"": []}"\n"{""choices"": []}",x\n3\n')
    items = list(iter_records(log, on_error="yield"))
    reasons = [item.reason if isinstance(item, Reject) else "" for item in items]
    assert reasons[:1] == [""]
    assert "more or fewer cells than the first one" in reasons[1]


def test_a_row_that_is_too_long_is_passed_over() -> None:
    """A row longer than a record may be has no text, and the next one is read."""
    text = b'id,response\n1,"{}"\n2,"' + b"x" * 4000 + b'"\n3,"{}"\n'
    units = table(text, limit=1000)
    assert texts(iter(units)) == [{"id": "1", "response": "{}"}, None, {"id": "3", "response": "{}"}]
    assert sum(unit.length for unit in units) == len(text) - len(b"id,response\n")


def test_bytes_that_are_not_utf8_stay_in_the_row() -> None:
    """A cell with bytes that are not UTF-8 keeps them, so that whoever reads the row can say where they are."""
    (unit,) = table(b'id,response\n\xff,"{}"\n')
    assert unit.text is not None
    assert b"\xff" in unit.text


@given(rows=st.lists(st.tuples(CELLS, CELLS), max_size=5), delimiter=st.sampled_from(",\t;|"))
def test_a_table_comes_back_as_it_was_written(rows: list[tuple[str, str]], delimiter: str) -> None:
    """What the csv module writes is read cell by cell, blank rows apart."""
    text = written([["id", "response"], ["", BODY], *map(list, rows)], delimiter)
    found = [tuple(row.values()) for row in texts(iter(table(text))) if isinstance(row, dict)]
    assert found == [("", BODY), *rows]


# -- COPY


def test_the_cells_of_copy_are_between_tabs() -> None:
    r"""A row of several cells is a list, or an object of the names in the first line; `\N` is null, `\.` the end."""
    text = b"1\t\\N\t{}\n\\.\n"
    assert texts(copy_text.rows(lines(text))) == [["1", None, "{}"], b""]
    assert texts(copy_text.rows(lines(b"id\tx\tresponse\n" + text))) == [{"id": "1", "x": None, "response": "{}"}, b""]
    assert texts(copy_text.rows(lines(b"id\tresponse\n1\t2\t3\n"))) == [b"1\t2\t3"]


@pytest.mark.parametrize(
    ("cell", "meaning"),
    [
        (rb"\b\f\n\r\t\v\\", b"\b\f\n\r\t\v\\"),
        (rb"\101\x41\x4a\8", b"AAJ8"),
        (rb"\N", None),
        (rb"a\Nb", b"aNb"),
    ],
)
def test_each_escape_of_copy_has_its_meaning(cell: bytes, meaning: bytes | None) -> None:
    """Letters, octal and hexadecimal digits mean what Postgres says; any other character means itself."""
    assert copy_text.unescaped(cell) == meaning


# -- SQLite


def database(path: Path, *statements: str) -> str:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return str(path)


def test_the_rows_of_an_sqlite_table_are_objects_of_its_columns(tmp_path: Path) -> None:
    """The only table of an SQLite file is read in the order of its rows, text, numbers, null and bytes."""
    path = database(
        tmp_path / "a.db",
        "CREATE TABLE log (id INTEGER PRIMARY KEY, response TEXT, cost REAL, raw BLOB)",
        "INSERT INTO log VALUES (2, '{}', NULL, x'ff'), (1, '{\"a\":1}', 0.5, x'41')",
    )
    assert texts(sqlite.rows(path, "a.db", None, LIMIT)) == [
        {"id": 1, "response": '{"a":1}', "cost": 0.5, "raw": "A"},
        {"id": 2, "response": "{}", "cost": None, "raw": "/w=="},
    ]


def test_the_table_of_an_sqlite_file_is_named_where_there_are_several(tmp_path: Path) -> None:
    """Of several tables the caller names one; the log of `llm` needs no name, and a table that is not there is said."""
    path = database(
        tmp_path / "a.db", "CREATE TABLE a (x)", 'CREATE TABLE "b ""c" (x)', 'INSERT INTO "b ""c" VALUES (1)'
    )
    with pytest.raises(InputError, match="--table: a, b"):
        list(sqlite.rows(path, "a.db", None, LIMIT))
    with pytest.raises(InputError, match="no table z; it has a, b"):
        list(sqlite.rows(path, "a.db", "z", LIMIT))
    assert texts(sqlite.rows(path, "a.db", 'b "c', LIMIT)) == [{"x": 1}]
    llm = database(
        tmp_path / "b.db",
        "CREATE TABLE conversations (id)",
        "CREATE TABLE responses (id TEXT PRIMARY KEY, response_json TEXT, datetime_utc TEXT)",
        "INSERT INTO responses VALUES ('a', '{}', 't')",
    )
    assert texts(sqlite.rows(llm, "b.db", None, LIMIT)) == [{"id": "a", "response_json": "{}", "datetime_utc": "t"}]


def test_an_sqlite_table_without_row_numbers_is_read(tmp_path: Path) -> None:
    """A table without rowid is read in the order of its key."""
    path = database(
        tmp_path / "a.db", "CREATE TABLE a (x INTEGER PRIMARY KEY) WITHOUT ROWID", "INSERT INTO a VALUES (2), (1)"
    )
    assert texts(sqlite.rows(path, "a.db", None, LIMIT)) == [{"x": 1}, {"x": 2}]


def test_reading_an_sqlite_file_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """A file with a write-ahead log that nobody writes to is read without a file beside it."""
    path = database(tmp_path / "a.db", "PRAGMA journal_mode=WAL", "CREATE TABLE a (x)", "INSERT INTO a VALUES (1)")
    assert texts(sqlite.rows(path, "a.db", None, LIMIT)) == [{"x": 1}]
    assert [each.name for each in tmp_path.iterdir()] == ["a.db"]


def test_what_is_in_a_write_ahead_log_is_read(tmp_path: Path) -> None:
    """Rows that are still in the write-ahead log of a file are read."""
    path = tmp_path / "a.db"
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE a (x)")
    writer.execute("INSERT INTO a VALUES (7)")
    writer.commit()
    assert texts(sqlite.rows(str(path), "a.db", None, LIMIT)) == [{"x": 7}]
    writer.close()


def test_a_damaged_sqlite_file_is_named(tmp_path: Path) -> None:
    """A file that only begins as SQLite breaks off; one without tables says that."""
    broken = tmp_path / "broken.db"
    broken.write_bytes(sqlite.MAGIC + b"\0" * 600)
    with pytest.raises(IncompleteInput, match=r"broken.db"):
        list(sqlite.rows(str(broken), "broken.db", None, LIMIT))
    path = database(tmp_path / "a.db", "CREATE TABLE a (x)", "DROP TABLE a")
    with pytest.raises(InputError, match="without a table"):
        list(sqlite.rows(path, "a.db", None, LIMIT))


def test_a_row_of_a_table_that_is_too_long_is_passed_over(tmp_path: Path) -> None:
    """A row that is longer than a record may be has no text."""
    path = database(tmp_path / "a.db", "CREATE TABLE a (x)", f"INSERT INTO a VALUES ('{'x' * 100}'), ('y')")
    assert texts(sqlite.rows(path, "a.db", None, 50)) == [None, {"x": "y"}]


# -- Inspect


def archive(path: Path, **members: Any) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, value in members.items():
            file.writestr(name.replace("__", "/") + ".json", json.dumps(value))
    return str(path)


def test_another_zip_archive_is_not_inspects(tmp_path: Path) -> None:
    """An archive without samples, and a file that is no archive, are not taken for Inspect's."""
    assert not inspect_eval.is_eval(archive(tmp_path / "a.zip", a={}))
    assert not inspect_eval.is_eval(io.BytesIO(b"PK\x03\x04 and no more"))


def test_a_damaged_archive_gives_what_is_before_the_damage(tmp_path: Path) -> None:
    """An archive with a damaged sample gives those before it, and then says so."""
    path = archive(tmp_path / "a.eval", header={}, samples__1={"id": 1}, samples__2={"id": "x" * 999})
    data = bytearray(Path(path).read_bytes())
    with zipfile.ZipFile(path) as file:
        at = file.getinfo("samples/2.json").header_offset + 46
    data[at] ^= 0xFF
    Path(path).write_bytes(data)
    units = inspect_eval.samples(path, "a.eval", LIMIT)
    assert json.loads(next(units).text or b"") == {"id": 1}
    with pytest.raises(IncompleteInput, match="damaged"):
        next(units)


# -- cassettes


@pytest.mark.parametrize(
    "text", ["interactions:\n- a\nversion: 1\n", "version: 1\ninteractions: []\n", "# x\ninteractions:\n"]
)
def test_a_cassette_is_detected_by_its_first_keys(text: str) -> None:
    """A text that begins with the interactions, or with the version before them, is a cassette."""
    assert cassette.is_cassette(text.encode())
    assert not cassette.is_cassette(b"some: yaml\n" + text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "interactions: " + "[" * 5000,
        "interactions: [" + "[" * 900 + "]" * 900 + "]",
        "interactions: [}",
        "interactions:\n- 1\n"
        "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)),
    ],
)
def test_a_cassette_that_cannot_be_read_is_named(text: str) -> None:
    """Damage, deep nesting and aliases that grow without end are refused."""
    with pytest.raises(IncompleteInput, match="cannot be read as YAML"):
        cassette.cassette(text.encode(), "x")


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyYAML a cassette says what to install."""

    def missing(_: str) -> None:
        raise ImportError

    monkeypatch.setattr(cassette, "import_module", missing)
    with pytest.raises(InputError, match=r"normcompletion\[vcr\]"):
        cassette.cassette(b"interactions: []", "x")


# -- prefixed lines


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2026-01-02T10:00:01.5Z stdout F ", {"time": "2026-01-02T10:00:01.5Z", "stream": "stdout"}),
        ("2026-01-02T10:00:01+00:00\tllm.out\t", {"time": "2026-01-02T10:00:01+00:00", "tag": "llm.out"}),
        ("2026-01-02 10:00:01,123 INFO x: r=", {"time": "2026-01-02 10:00:01,123", "prefix": "INFO x: r="}),
        ("2026-01-02T10:00:01.123Z ", {"time": "2026-01-02T10:00:01.123Z"}),
        ("2026-01-02T10:00:01.123Z [INFO] x ", {"time": "2026-01-02T10:00:01.123Z", "prefix": "[INFO] x "}),
    ],
)
def test_what_is_before_the_json_of_a_line_is_known(line: str, said: dict[str, str]) -> None:
    """The prefixes of CRI, fluentd, logging and CloudWatch are detected, and what they say is beside the text."""
    text = f"{line}{BODY}\n{line}no json\n".encode()
    prefix = prefixed.known_prefix(text)
    assert prefix is not None
    assert texts(prefixed.units(lines(text), prefix)) == [{**said, "log": BODY}, f"{line}no json".encode()]


@pytest.mark.parametrize("text", [BODY, "hello", "hello\n" + BODY, "2026-01-02T10:00:01Z no json", ""])
def test_lines_without_a_known_prefix_are_left_alone(text: str) -> None:
    """JSON, words, and lines with a time and no JSON have no prefix."""
    assert prefixed.known_prefix(text.encode()) is None


def test_the_parts_of_a_long_line_are_put_together() -> None:
    """A runtime's parts of a line are one unit, also where another stream comes between them."""
    text = (
        b'2026-01-02T10:00:01Z stdout P {"a":\n2026-01-02T10:00:02Z stderr F {"b":1}\n'
        b"2026-01-02T10:00:03Z stdout F 1}\n2026-01-02T10:00:04Z stdout P [\n"
    )
    prefix = prefixed.known_prefix(text)
    assert prefix is not None
    assert texts(prefixed.units(lines(text), prefix)) == [
        {"time": "2026-01-02T10:00:01Z", "stream": "stdout", "log": '{"a":1}'},
        {"time": "2026-01-02T10:00:02Z", "stream": "stderr", "log": '{"b":1}'},
        {"time": "2026-01-02T10:00:04Z", "stream": "stdout", "log": "["},
    ]


def test_the_parts_of_docker_are_put_together() -> None:
    """Docker's lines without a line feed at their end are one unit with what follows in the same stream."""
    rows = [("{", "stdout"), ("x\n", "stderr"), ("}\n", "stdout"), ("y\n", "stdout")]
    text = b"".join(json.dumps({"log": log, "stream": stream, "time": "t"}).encode() + b"\n" for log, stream in rows)
    assert prefixed.is_docker(text)
    assert texts(prefixed.docker(lines(text))) == [
        {"log": log, "stream": stream, "time": "t"}
        for log, stream in [("{}\n", "stdout"), ("x\n", "stderr"), ("y\n", "stdout")]
    ]


def test_lines_among_others_that_are_not_of_their_form_stay_as_they_are() -> None:
    """A line without the prefix of the others, or no object of Docker's, is a unit in its place."""
    prefix = prefixed.PREFIXES["cri"]
    text = b'2026-01-02T10:00:01Z stdout P {"a":\nTraceback\n2026-01-02T10:00:02Z stdout F "\xff"}\n'
    first, second = prefixed.units(lines(text), prefix)
    assert first.text == b'{"time": "2026-01-02T10:00:01Z", "stream": "stdout", "log": "{\\"a\\":\\"\xff\\"}"}'
    assert second.text == b"Traceback"
    rows = b'{"log":"{","stream":"stdout"}\nTraceback\n[1]\n{"log":"}\\n","stream":"stdout"}\n'
    assert texts(prefixed.docker(lines(rows))) == [{"log": "{}\n", "stream": "stdout"}, b"Traceback", [1]]


def test_a_line_in_parts_that_is_too_long_is_passed_over() -> None:
    """The parts of a line are not held beyond the length that a record may have."""
    text = b"".join(b"2026-01-02T10:00:01Z stdout P " + b"[" * 100 + b"\n" for _ in range(5))
    units = list(prefixed.units(lines(text), prefixed.PREFIXES["cri"], limit=200))
    assert [(unit.length, unit.text) for unit in units] == [(len(text), None)]


# -- chunks


def chunk(name: str, text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return json.dumps({"id": name, "object": "chat.completion.chunk", "created": 1, "choices": [choice]}).encode()


def test_chunks_belong_together_by_their_id() -> None:
    """Chunks of two calls in turn are two answers, and a response between them stays as it is."""
    text = b"\n".join(
        [chunk("a", "1"), chunk("b", "x"), BODY.encode(), chunk("a", "2", "stop"), chunk("b", "y", "stop"), b""]
    )
    units = list(chunks.answers(lines(text)))
    assert [unit.line for unit in units] == [1, 2, 3]
    assert [normalize(unit.text or b"").choices[0].message.content for unit in units] == ["12", "xy", 'a "b"\nc']
    assert sum(unit.length for unit in units) == len(text)


@pytest.mark.parametrize("text", [BODY, "[]", "{}", "null", '{"choices": [{"message": {}, "delta": {}}]}', "x"])
def test_a_response_is_not_a_chunk(text: str) -> None:
    """Whole responses and what is no object are not chunks."""
    assert not chunks.is_chunk(text.encode())


def test_chunks_without_an_id_follow_the_one_before() -> None:
    """Chunks without an id belong to the chunk before them."""
    text = b"\n".join([chunk("a", "1"), chunk("", "2"), chunk("", "3", "stop"), b""])
    (unit,) = chunks.answers(lines(text))
    assert len(json.loads(unit.text or b"")) == 3


def test_an_answer_in_chunks_that_is_too_long_is_passed_over() -> None:
    """Chunks are not held beyond the length that a record may have, nor answers for ever."""
    text = b"\n".join([chunk("a", "x" * 50)] * 9 + [b""])
    assert [unit.text for unit in chunks.answers(lines(text), limit=300)] == [None]
    many = b"\n".join([chunk(str(place % 300), "x") for place in range(600)] + [b""])
    assert len(list(chunks.answers(lines(many)))) == 600
