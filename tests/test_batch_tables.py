"""The rows of tables as units."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from normcompletion.batch.blocks import Position
from normcompletion.batch.forms import parquet as form
from normcompletion.batch.inputs import IncompleteInput, Input, InputError, open_decoded
from normcompletion.batch.units import Block, Unit, blocks, units_of
from normcompletion.envelopes.options import Envelopes

BODY = json.dumps({"id": "a", "choices": [{"index": 0, "message": {"content": "hé"}}]})


@pytest.fixture
def table(tmp_path):
    """Writes a Parquet file and opens it."""

    def write(columns: dict[str, Any], **options: Any) -> Any:
        path = tmp_path / "table.parquet"
        parquet.write_table(pa.table(columns), path, **options)
        return open_decoded(Input("table.parquet", str(path)))

    return write


def cut(source: Any, *, body: tuple[str, ...] = (), carry: dict[str, str] | None = None, **options: Any) -> list[Block]:
    with source:
        return list(blocks(source, envelopes=Envelopes(body=body, carry=carry or {}), **options))


def rows(source: Any, **options: Any) -> list[Unit]:
    return [unit for block in cut(source, **options) for unit in units_of(block)]


def body_of(source: Any, **options: Any) -> tuple[str, ...] | None:
    (block,) = cut(source, **options)
    return block.body


def test_the_rows_of_a_table_are_units(table):
    """Each row is a unit, as a JSON object with all columns, and the place of the body goes with it."""
    source = table({"n": [1, 2], "response": [BODY, None], "t": [None, 2.5]})
    (block,) = cut(source)
    assert block.body == ("/response",)
    assert [(unit.line, unit.offset, json.loads(unit.text)) for unit in units_of(block)] == [
        (1, 0, {"n": 1, "response": BODY, "t": None}),
        (2, 0, {"n": 2, "response": None, "t": 2.5}),
    ]


def test_values_without_a_json_type_are_texts(table):
    """Times, decimal numbers and bytes are written as text, bytes that are not UTF-8 in base64."""
    import datetime
    import decimal

    columns = {
        "at": [datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)],
        "cost": [decimal.Decimal("0.10")],
        "raw": [b"\xff"],
        "body": [BODY.encode()],
    }
    (unit,) = rows(table(columns))
    assert json.loads(unit.text or b"") == {
        "at": "2026-01-02T03:04:05+00:00",
        "cost": "0.10",
        "raw": "/w==",
        "body": BODY,
    }


@pytest.mark.parametrize(
    ("columns", "body"),
    [
        ({"response": ["text"], "raw_response": [BODY]}, ("/raw_response",)),
        ({"prompt": ["p"], "answer": [None, BODY]}, ("/answer",)),
        ({"prompt": ["p"], "a/b": [BODY.encode()]}, ("/a~1b",)),
        ({"prompt": ["p"], "s": [json.loads(BODY)]}, ("/s",)),
        ({"prompt": ["p"], "sse": [f"data: {BODY}"]}, ("/sse",)),
        ({"prompt": ["p"], "response": [None]}, ("/response",)),
        ({"prose": ["p"], "n": [1]}, ("/prose",)),
        ({"id": ["a"], "choices": [json.loads(BODY)["choices"]]}, ()),
        ({"id": ["a"], "custom_id": ["b"], "response": [BODY], "error": ["x"]}, ()),
    ],
)
def test_the_body_column_is_the_one_that_holds_responses(table, columns, body):
    """The column is the one whose cells are responses, else the one with a known name or the only text.

    Rows that are responses or envelopes themselves need none.
    """
    height = max(len(column) for column in columns.values())
    assert (
        body_of(table({name: column * height if len(column) == 1 else column for name, column in columns.items()}))
        == body
    )


def test_two_columns_of_responses_are_not_chosen_between(table):
    """Where two columns can be the body the error lists them; the one that is named is taken."""
    columns = {"first": [BODY], "second": [BODY], "n": [1]}
    with pytest.raises(InputError, match="--body /COLUMN: first, second"):
        rows(table(columns))
    with pytest.raises(InputError, match="--body /COLUMN: a, b"):
        rows(table({"a": ["x"], "b": ["y"], "n": [1]}))
    assert body_of(table(columns), body=("/second/x",)) == ("/second/x",)


def test_a_column_that_is_not_there_is_reported(table):
    """A pointer whose first token is not a column is refused with those that there are."""
    columns = {"response": [BODY], "n": [1]}
    with pytest.raises(InputError, match="has no column absent; it has response, n"):
        rows(table(columns), body=("/absent",))
    with pytest.raises(InputError, match="has no column user"):
        rows(table(columns), carry={"user": "/user/id"})


def test_a_table_is_cut_in_blocks_and_can_begin_anywhere(table):
    """Blocks hold the rows up to a number of bytes; from any row on they are those of the whole."""
    columns = {"response": ["x" * (number % 7) for number in range(100)]}
    whole = cut(source := table(columns, row_group_size=9), block_bytes=80)
    assert source.consumed == source.size
    assert len(whole) > 5
    assert [unit.line for block in whole for unit in units_of(block)] == list(range(1, 101))
    for place, block in enumerate(whole):
        assert cut(table(columns, row_group_size=9), start=Position(line=block.line), block_bytes=80) == whole[place:]


def test_a_row_that_is_too_long_is_no_text(table):
    """A row over the limit is a unit without text."""
    found = rows(table({"response": ["x" * 50, "y"]}), max_record_bytes=20)
    assert [(unit.line, unit.text) for unit in found] == [(1, None), (2, b'{"response":"y"}')]


def test_a_damaged_table_is_incomplete(table, tmp_path):
    """A Parquet file without its end, or inside an archive, is reported."""
    table({"response": ["x"]}).close()
    path = tmp_path / "table.parquet"
    raw = path.read_bytes()
    path.write_bytes(raw[:-10])
    with pytest.raises(IncompleteInput, match="damaged or was cut off"):
        rows(open_decoded(Input("table", str(path))))
    path.write_bytes(gzip.compress(raw))
    with pytest.raises(InputError, match="give the file itself"):
        rows(open_decoded(Input("table", str(path))))


def test_rows_before_a_damaged_row_group_are_given(table, tmp_path):
    """A Parquet file with damage in its second row group gives the rows of the first, and then the error."""
    table({"response": [f"{number}" for number in range(20)]}, row_group_size=10).close()
    path = tmp_path / "table.parquet"
    place = parquet.ParquetFile(path).metadata.row_group(1).column(0).dictionary_page_offset
    raw = bytearray(path.read_bytes())
    raw[place : place + 20] = bytes(20)
    path.write_bytes(raw)
    found = []
    with open_decoded(Input("table", str(path))) as source, pytest.raises(IncompleteInput, match="damaged"):
        for block in blocks(source):
            found += units_of(block)
    assert [unit.line for unit in found] == list(range(1, 11))


def test_without_pyarrow_the_error_names_the_extra(monkeypatch, tmp_path):
    """A Parquet file on a machine without pyarrow is refused with the extra to install."""

    def absent(name):
        raise ImportError(name)

    path = tmp_path / "table"
    path.write_bytes(b"PAR1" + bytes(20))
    monkeypatch.setattr(form, "import_module", absent)
    with pytest.raises(InputError, match=r"pip install 'normcompletion\[batch\]'"):
        rows(open_decoded(Input("table", str(path))))
