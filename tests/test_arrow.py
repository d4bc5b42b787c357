"""Completions as Arrow rows and back, raw bodies to rows, and what other engines read from the Parquet."""

from __future__ import annotations

import copy
import gc
import json
import pickle
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_type_hints

import duckdb
import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from normcompletion import (
    Completion,
    EncryptedPayloadError,
    NormalizeError,
    Note,
    ServiceError,
    SourceReportedError,
    Usage,
    arrow,
    model,
    normalize,
)
from normcompletion.model import Choice, CostDetails, Envelope, Message, to_json
from tests.conftest import PAIRS, completion_of, examples, recorded

EVERY = [found for pair in PAIRS if (found := completion_of(pair.raw)) is not None]
BODIES = [pair.raw for pair in PAIRS]
CHAT = b'{"id":"%s","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'


def bodies(values: Iterable[bytes | None], kind: Any = None, **columns: Any) -> Any:
    """A batch with a column of bodies."""
    array = pa.array(list(values), pa.binary())
    return pa.RecordBatch.from_pydict({"body": array.cast(kind) if kind is not None else array, **columns})


def expected_row(completion: Completion) -> dict[str, Any]:
    """The nested row of a completion all of whose numbers fit, said a second time and one row at a time."""
    row = completion.to_dict()

    def text(value: Any) -> str | None:
        return None if value is None else to_json(value).decode()

    def error(tree: dict[str, Any]) -> None:
        if tree["error"] is not None:
            code = tree["error"]["code"]
            tree["error"]["code_number"] = code if isinstance(code, int) else None
            tree["error"]["code"] = None if code is None else str(code)
            tree["error"]["metadata"] = text(tree["error"]["metadata"])

    def dollars(tree: dict[str, Any]) -> None:
        for name, value in tree.items():
            if name.endswith("cost"):
                tree[name] = None if value is None else Decimal(repr(value))

    row["created"] = None if row["created"] is None else row["created"] * 1_000_000
    row["extra"], row["notes"] = text(row["extra"]), text(row["notes"])
    error(row)
    for choice in row["choices"]:
        error(choice)
        choice["logprobs"] = text(choice["logprobs"])
        for name in ("annotations", "audio", "images", "parts"):
            choice["message"][name] = text(choice["message"][name])
    if row["usage"] is not None:
        dollars(row["usage"])
        dollars(row["usage"]["cost_details"] or {})
    if row["envelope"] is not None:
        row["envelope"]["request"] = text(row["envelope"]["request"])
    return row


def expected_flat_row(completion: Completion) -> dict[str, Any]:
    """The flat row of the same, cut from the nested one; money is a double, and `extra` is left out."""
    row = expected_row(completion)
    first = min(row["choices"], key=lambda choice: choice["index"] or 0, default=None)
    tree = {**row, "choices": len(row["choices"]), "first": first}
    flat = {}
    for name, path in arrow.FLAT_COLUMNS.items():
        value: Any = tree
        for key in path.split("."):
            value = None if value is None else value.get(key)
        flat[name] = to_json(value).decode() if isinstance(value, list) else value
        if isinstance(value, Decimal):
            flat[name] = float(value)
    del flat["extra"]
    return flat


some_completions = st.lists(st.sampled_from(EVERY), max_size=40)


# -- the schema


def leaves(fields: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The path and the type of each column that holds values, `[]` for a list."""
    for field in fields:
        name, kind = path + field.name, field.type
        while pa.types.is_list(kind):
            name, kind = name + "[]", kind.value_type
        if pa.types.is_struct(kind):
            yield from leaves(kind, name + ".")
        else:
            yield name, str(kind)


def listing() -> str:
    """What `tests/arrow_schema.txt` holds: `python -c "from tests.test_arrow import *; print(end=listing())"`."""
    layouts = {"nested": arrow.SCHEMA, "flat": arrow.FLAT_SCHEMA, "reject": arrow.REJECT}
    lines = [f"{layout} {name} {kind}" for layout, fields in layouts.items() for name, kind in leaves(fields)]
    return "\n".join([f"version {arrow.SCHEMA_VERSION}", *lines, ""])


def test_the_schema_is_the_one_that_was_released():
    """Both schemas are the committed ones: a column that went or changed its type needs another version."""
    committed = (Path(__file__).parent / "arrow_schema.txt").read_text()
    assert listing() == committed


def test_every_field_of_the_model_has_a_column():
    """Each field of a Struct that is a column of its own has a column, and the others are named as JSON text."""

    def check(struct: type, fields: Any) -> None:
        names = {field.name for field in fields}
        hints = get_type_hints(struct)
        assert set(hints) == names - {"code_number", "overflow", "carried"}, struct
        for field in fields:
            kind = field.type.value_type if pa.types.is_list(field.type) else field.type
            if pa.types.is_struct(kind):
                check(struct_in(hints[field.name]), kind)

    def struct_in(hint: Any) -> type:
        found = [hint, *get_args(hint), *(inner for outer in get_args(hint) for inner in get_args(outer))]
        return next(kind for kind in found if isinstance(kind, type) and issubclass(kind, msgspec.Struct))

    check(Completion, arrow.SCHEMA)


def test_the_types_are_those_that_every_engine_reads():
    """No column is a dictionary, a view, a large string, a map or a time in other units than microseconds UTC."""
    found = {kind for whole in (arrow.SCHEMA, arrow.FLAT_SCHEMA) for _, kind in leaves(whole)}
    assert found == {"string", "int64", "double", "bool", "timestamp[us, tz=UTC]", "decimal128(38, 24)"}
    assert not any(pa.types.is_nested(field.type) for field in arrow.FLAT_SCHEMA)


def test_the_version_is_in_the_file(tmp_path):
    """A Parquet file says which version of the schema it has, and which layout."""
    for flat, layout in ((False, b"nested"), (True, b"flat")):
        pq.write_table(pa.Table.from_batches([arrow.record_batch(EVERY, flat=flat)]), tmp_path / "a.parquet")
        metadata = pq.read_schema(tmp_path / "a.parquet").metadata
        assert metadata[b"normcompletion.schema"] == b"1"
        assert metadata[b"normcompletion.layout"] == layout


# -- completions to rows and back


@given(some_completions)
@example(EVERY)
@examples(50)
def test_rows_are_those_of_from_pylist(completions: list[Completion]):
    """Columns built at once hold what pyarrow makes of one dictionary per row, nested and flat."""
    nested = pa.RecordBatch.from_pylist([expected_row(each) for each in completions], arrow.SCHEMA)
    flat = pa.RecordBatch.from_pylist([expected_flat_row(each) for each in completions], arrow.FLAT_SCHEMA)
    for built, expected in (
        (arrow.record_batch(completions), nested),
        (arrow.record_batch(completions, flat=True), flat),
    ):
        built.validate(full=True)
        assert built.equals(expected, check_metadata=True)


@given(some_completions)
@example(EVERY)
@examples(50)
def test_the_way_back_gives_equal_completions(completions: list[Completion]):
    """Completions written as rows and read back are equal, and so is their JSON but for whole floats."""
    back = list(arrow.completions(arrow.record_batch(completions)))
    assert back == completions
    texts = [json.loads(each.to_json()) for each in (*back, *completions)]
    assert texts[: len(back)] == texts[len(back) :]


def test_the_way_back_leads_through_parquet(tmp_path):
    """A Parquet file has the very schema of the batch, and gives equal completions."""
    pq.write_table(pa.Table.from_batches([arrow.record_batch(EVERY)]), tmp_path / "a.parquet", compression="zstd")
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.schema.equals(arrow.SCHEMA, check_metadata=True)
    assert list(arrow.completions(table)) == EVERY


@pytest.mark.corpus
def test_recorded_bodies_survive_the_way_there_and_back(corpus):
    """Every recorded body's completion is equal after a way through Arrow."""
    found = [
        each
        for _, raw in recorded(corpus, "chat", "text", "error", "log_record")
        if (each := completion_of(raw)) is not None
    ]
    assert len(found) > 1000
    assert list(arrow.completions(arrow.record_batch(found))) == found


def test_building_rows_changes_no_completion():
    """The completions are after `record_batch` what they were before, those with overflow too."""
    before = [*EVERY, Completion(source="openai", variant="chat", created=10**13, usage=Usage(cost=1e-30))]
    after = copy.deepcopy(before)
    arrow.record_batch(after)
    arrow.record_batch(after, flat=True)
    assert after == before


def test_chosen_columns_are_the_same_columns():
    """With `columns` the batch has only those, in that order, as they are in the whole batch; others are refused."""
    whole = arrow.record_batch(EVERY, flat=True)
    names = ["content", "cost", "id", "overflow"]
    assert arrow.record_batch(EVERY, flat=True, columns=names).equals(whole.select(names), check_metadata=True)
    assert arrow.record_batch(EVERY, columns=["usage"]).equals(arrow.record_batch(EVERY).select(["usage"]))
    with pytest.raises(ValueError, match="no columns content; choose from id, source"):
        arrow.record_batch(EVERY, columns=["id", "content"])
    with pytest.raises(ValueError, match="named twice"):
        arrow.record_batch(EVERY, columns=["id", "id"])


@pytest.mark.parametrize(
    ("layout", "columns"),
    [
        ("nested", None),
        ("nested", ["overflow", "id", "usage"]),
        ("flat", None),
        ("flat", ["overflow", "content", "cost", "created"]),
    ],
)
def test_rows_may_come_in_pieces(layout: str, columns: list[str] | None):
    """Completions added piece by piece give the rows that they give at once, with overflow and what is carried."""
    flat = layout == "flat"
    beyond = Completion(source="openai", variant="chat", created=10**13, usage=Usage(cost=1e-30))
    every = [*EVERY, beyond, *EVERY]
    carried = [{"place": place} for place in range(len(every))]
    rows = arrow.Rows(flat=flat, columns=columns)
    for start in range(0, len(every), 7):
        rows.add(every[start : start + 7])
    whole = arrow.record_batch(every, flat=flat, columns=columns, carried=carried)
    assert rows.batch(carried).equals(whole, check_metadata=True)
    with pytest.raises(ValueError, match=f"1 carried for {len(every)} completions"):
        rows.batch(carried[:1])


def test_what_is_carried_is_json_text():
    """`carried` gives each row its JSON text or null, and must be as long as the completions."""
    batch = arrow.record_batch(EVERY[:2], carried=[{"day": "1", "n": Decimal("0.10")}, None])
    assert batch.column("carried").to_pylist() == ['{"day":"1","n":"0.10"}', None]
    assert list(arrow.completions(batch)) == EVERY[:2]
    with pytest.raises(ValueError, match="1 carried for 2 completions"):
        arrow.record_batch(EVERY[:2], carried=[None])


# -- numbers


DOLLARS = st.one_of(st.floats(min_value=1e-8, max_value=99999999999999), st.integers(0, 10**14 - 1))


@given(DOLLARS, st.sampled_from([1, -1]))
@example(0.00014104999999999999, 1)
@example(1.2345678901234567e-8, 1)
@example(99999999999999.98, -1)
@examples(50)
def test_a_cost_is_exact(cost: float, sign: int):
    """Every cost from 0.00000001 to 14 whole digits is in its column digit by digit, and nothing overflows."""
    completion = Completion(source="openrouter", variant="chat", usage=Usage(cost=sign * cost))
    row = arrow.record_batch([completion]).to_pylist()[0]
    assert row["usage"]["cost"] == Decimal(repr(sign * cost))
    assert row["overflow"] is None


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1), max_size=5))
@example([3.641021326054042e16, 1.7e-147])  # which pyarrow 26 casts to other decimals, without a word
@examples(50)
def test_no_number_is_rounded(numbers: list[float]):
    """Whatever the numbers, each is in its column exactly, or null there and in `overflow`, and comes back equal."""
    completions = [
        Completion(
            source="openrouter",
            variant="chat",
            created=int(number) if -(2**63) <= number < 2**63 else None,
            usage=Usage(cost=number, cost_details=CostDetails(upstream_inference_cost=number)),
            envelope=Envelope(kind="log10_record", duration=number),
        )
        for number in numbers
    ]
    batch = arrow.record_batch(completions)
    assert list(arrow.completions(batch)) == completions
    for row, completion in zip(batch.to_pylist(), completions, strict=True):
        overflow = json.loads(row["overflow"] or "{}")
        cost = row["usage"]["cost"]
        assert (cost is None) == ("/usage/cost" in overflow)
        assert cost is None or cost == Decimal(repr(completion.usage.cost))
        duration = row["envelope"]["duration"]
        assert duration == completion.envelope.duration or "/envelope/duration" in overflow
    flat = arrow.record_batch(completions, flat=True)
    for row, completion in zip(flat.to_pylist(), completions, strict=True):
        assert row["cost"] == completion.usage.cost or "/usage/cost" in json.loads(row["overflow"])
    assert flat.column("envelope_duration").to_pylist() == [row["envelope"]["duration"] for row in batch.to_pylist()]


def test_an_error_code_is_text_and_number():
    """A numeric error code is there as text and as a number, a word only as text, and each comes back as it was."""
    completions = [
        Completion(source="x", variant="error", error=ServiceError(code=code)) for code in (429, "429", None)
    ]
    batch = arrow.record_batch(completions)
    errors = batch.column("error").to_pylist()
    assert [(error["code"], error["code_number"]) for error in errors] == [("429", 429), ("429", None), (None, None)]
    assert [each.error.code for each in arrow.completions(batch)] == [429, "429", None]


def test_absent_and_empty_stay_two_things():
    """A missing list is null and an empty one empty; a missing struct is null and one without members is none."""
    completions = [
        Completion(source="x", variant="chat", choices=[Choice(message=Message(tool_calls=calls))], usage=usage)
        for calls, usage in ((None, None), ([], Usage()), ([model.ToolCall()], Usage(cost=0)))
    ]
    rows = arrow.record_batch(completions).to_pylist()
    assert [row["choices"][0]["message"]["tool_calls"] for row in rows][:2] == [None, []]
    assert [row["usage"] is None for row in rows] == [True, False, False]
    assert list(arrow.completions(arrow.record_batch(completions))) == completions


def test_integers_of_any_size_survive_in_extra_and_notes():
    """An integer beyond 64 bits in `extra`, a note or a request is exact on the way there and back."""
    huge = 2**200
    completion = Completion(
        source="x",
        variant="chat",
        extra={"/n": huge},
        notes=[Note(code="out_of_range", path="/n", before=huge)],
        envelope=Envelope(kind="log10_record", request={"seed": huge}),
    )
    assert list(arrow.completions(arrow.record_batch([completion]))) == [completion]


def test_only_whole_rows_of_this_version_are_read_back():
    """Flat rows, parts of rows and rows of another version are refused with a word about what to do."""
    batch = arrow.record_batch(EVERY)
    with pytest.raises(ValueError, match="written without flat"):
        arrow.completions(arrow.record_batch(EVERY, flat=True))
    with pytest.raises(ValueError, match="no columns usage"):
        arrow.completions(batch.drop_columns(["usage"]))
    with pytest.raises(ValueError, match="version 2 of the schema, not 1; upgrade"):
        arrow.completions(batch.replace_schema_metadata({"normcompletion.schema": "2"}))


# -- raw bodies to rows


def is_page(raw: bytes) -> bool:
    try:
        normalize(raw)
    except ValueError as error:
        return error.code == "list"
    return False


def test_conversion_gives_the_rows_of_normalize():
    """A body that is not a page gives the completion of `normalize`, or the place and the words of its error."""
    raws = [raw for raw in BODIES if raw.strip() and not is_page(raw)]
    expected, refused = [], []
    for place, raw in enumerate(raws):
        try:
            expected.append((place, normalize(raw)))
        except (SourceReportedError, EncryptedPayloadError) as error:
            found = error.completion
            found.error = found.error or ServiceError(code="encrypted", message="the body is encrypted")
            expected.append((place, found))
        except NormalizeError as error:
            refused.append((place, error.code, error.path, error.offset, str(error)))
    records, rejects = arrow.split(arrow.convert_batch(bodies(raws)))
    assert list(zip(records.column("row").to_pylist(), arrow.completions(records), strict=True)) == expected
    assert [tuple(reject.values()) for reject in rejects.to_pylist()] == refused
    assert len(expected) > 300
    assert len(refused) > 40


@given(
    st.lists(st.none() | st.binary(max_size=30) | st.sampled_from(BODIES), max_size=20), st.booleans(), st.booleans()
)
@examples(50)
def test_no_record_stops_a_batch(raws: list[bytes | None], flat: bool, strict: bool):  # noqa: FBT001
    """Whatever bytes a batch holds, the result has the promised schema and at least one row for each body, in order."""
    converted = arrow.convert_batch(bodies(raws), flat=flat, strict=strict)
    converted.validate(full=True)
    assert converted.schema.equals(arrow.converted_schema(flat=flat), check_metadata=True)
    rows = converted.column("row").to_pylist()
    assert rows == sorted(rows)
    # A page without records is the one body that gives nothing.
    assert (
        {row for row, raw in enumerate(raws) if raw is None or not is_page(raw)} <= set(rows) <= set(range(len(raws)))
    )


def test_a_refused_body_is_a_row_with_its_reason():
    """A null, an empty text and a non-completion are rows with nothing but `error`, and structs that say why."""
    converted = arrow.convert_batch(bodies([None, b"", b'{"a":1}', CHAT % b"x", b'{"choices":7}']))
    codes = [None if reject is None else reject["code"] for reject in converted.column("reject").to_pylist()]
    assert codes == ["no_body", "blank", "unknown_shape", None, "wrong_type"]
    row = converted.to_pylist()[4]
    assert row["reject"]["path"] == "/choices"
    assert row["error"]["type"] == "normcompletion"
    assert (row["error"]["code"], row["error"]["message"]) == (row["reject"]["code"], row["reject"]["reason"])
    assert row["id"] is None and row["choices"] == [] and row["usage"] is None
    records, rejects = arrow.split(converted)
    assert records.column("id").to_pylist() == ["x"]
    assert "reject" not in records.schema.names
    assert rejects.column_names == ["row", "code", "path", "offset", "reason"]
    assert rejects.column("row").to_pylist() == [0, 1, 2, 4]
    assert [each.id for each in arrow.completions(converted)] == ["x"]


def test_failed_pending_and_encrypted_calls_are_rows():
    """Calls without an answer are records with `error` set, and rejects as well with `completions_only`."""
    found = [pair.raw for pair in PAIRS if pair.error in ("SourceReportedError", "EncryptedPayloadError")]
    converted = arrow.convert_batch(bodies(found))
    assert converted.num_rows == len(found) > 40
    assert converted.column("reject").null_count == len(found)
    assert converted.column("error").null_count == 0
    only = arrow.convert_batch(bodies([*found, CHAT % b"x"]), completions_only=True)
    assert arrow.split(only)[0].column("id").to_pylist() == ["x"]
    assert set(arrow.split(only)[1].column("code").to_pylist()) == {"provider_error", "pending", "encrypted"}
    assert only.slice(0, len(found)).column("error").equals(converted.column("error"))


def test_a_page_gives_each_of_its_records():
    """A page is a row for each of its records, what is carried repeated, with a reject for one that is none."""
    page = b'{"data":[%s,{"choices":7},%s]}' % (CHAT % b"a", CHAT % b"b")
    converted = arrow.convert_batch(
        bodies([CHAT % b"x", page], day=pa.array([1, 2], pa.int16()), tag=["p", "q"]), carry=["tag", "day"]
    )
    assert converted.column_names[:3] == ["tag", "day", "row"]
    assert converted.schema.field("day").type == pa.int16()
    assert converted.column("id").to_pylist() == ["x", "a", None, "b"]
    assert converted.column("row").to_pylist() == [0, 1, 1, 1]
    assert converted.column("tag").to_pylist() == ["p", "q", "q", "q"]
    _, rejects = arrow.split(converted)
    assert rejects.column("tag").to_pylist() == ["q"]
    assert rejects.column("path").to_pylist() == ["/data/1/choices"]


def test_bodies_of_every_text_type_give_the_same_rows():
    """Text, binary, their large and view forms, dictionaries, JSON extension columns and slices all give the same."""
    raws = [CHAT % b"a", None, '{"choices":[],"id":"ü"}'.encode(), CHAT % b"b"]
    expected = arrow.convert_batch(bodies(raws))
    kinds = [pa.string(), pa.large_string(), pa.large_binary(), pa.string_view(), pa.binary_view()]
    for kind in kinds:
        assert arrow.convert_batch(bodies(raws, kind)).equals(expected), kind
    text = pa.array(raws, pa.binary()).cast(pa.string())
    for column in (text.dictionary_encode(), pa.ExtensionArray.from_storage(pa.json_(), text)):
        assert arrow.convert_batch(pa.RecordBatch.from_pydict({"body": column})).equals(expected), column.type
    sliced = bodies([b"x", *raws]).slice(1)
    assert arrow.convert_batch(sliced).equals(expected)
    assert arrow.convert_batch(pa.RecordBatch.from_pydict({"body": pa.nulls(2)})).num_rows == 2


def test_the_schema_is_the_same_for_an_empty_batch():
    """No rows in, no rows out, and the same columns as ever; a table gives a table."""
    carried = [pa.field("n", pa.int32())]
    for flat in (False, True):
        empty = bodies([], n=pa.array([], pa.int32()))
        expected = arrow.converted_schema(flat=flat, carry=carried)
        assert arrow.convert_batch(empty, flat=flat, carry=["n"]).schema.equals(expected, check_metadata=True)
        table = arrow.convert_batch(pa.Table.from_batches([], empty.schema), flat=flat, carry=["n"])
        assert isinstance(table, pa.Table) and table.num_rows == 0
        assert table.schema.equals(expected, check_metadata=True)


@pytest.mark.slow
@given(st.lists(st.integers(1, 60), max_size=12))
@examples(50)
def test_how_the_input_is_cut_changes_nothing(sizes: Sequence[int]):
    """Streams of batches of any size give the rows of the whole, with `row` counting through."""
    whole = bodies(BODIES)
    cuts, start = [], 0
    for size in (*sizes, len(BODIES)):
        cuts.append(whole.slice(start, size))
        start += size
    found = pa.Table.from_batches(arrow.convert_batches(cuts))
    assert found.equals(pa.Table.from_batches([arrow.convert_batch(whole)]))
    table = arrow.convert_batch(pa.Table.from_batches(cuts))
    assert table.equals(found)


def test_a_large_batch_is_cut(monkeypatch):
    """No batch that comes out of `convert_batches` was made of more rows or bytes than the limits, one record apart."""
    monkeypatch.setattr(arrow, "PIECE_ROWS", 10)
    monkeypatch.setattr(arrow, "PIECE_BYTES", 1000)
    raws = [CHAT % b"a"] * 25 + [CHAT % (b"a" * 5000)] * 2 + [None] * 25
    found = list(arrow.convert_batches([bodies(raws)]))
    assert [row for batch in found for row in batch.column("row").to_pylist()] == list(range(len(raws)))
    sizes = [[len(raws[row] or b"") for row in batch.column("row").to_pylist()] for batch in found]
    assert all(len(size) <= 10 and (sum(size) <= 1000 or len(size) == 1) for size in sizes)


def test_a_wrong_call_is_refused_with_what_to_do():
    """A missing or doubled column, a taken name, an untyped body, an unknown source: each is named at once."""
    batch = bodies([CHAT % b"a"], n=[1], id=["x"])
    with pytest.raises(ValueError, match="not one column is named 'text'; the columns are body, n, id"):
        arrow.convert_batch(batch, "text")
    with pytest.raises(ValueError, match="not one column is named 'm'"):
        arrow.convert_batch(batch, carry=["m"])
    with pytest.raises(ValueError, match=r"cannot carry id: .* rename"):
        arrow.convert_batch(batch, carry=["id"])
    with pytest.raises(ValueError, match="cannot carry n, n"):
        arrow.convert_batch(batch, carry=["n", "n"])
    with pytest.raises(TypeError, match="column 'n' is int64, not text or binary"):
        arrow.convert_batch(batch, "n")
    with pytest.raises(ValueError, match="no source 'nobody'"):
        next(arrow.convert_batches([batch], source="nobody"))
    with pytest.raises(ValueError, match="choose from"):
        arrow.convert_batch(batch, columns=["nothing"])


def test_the_options_are_those_of_normalize():
    """`source`, `strict`, `variant` and `max_record_bytes` do what they do in `normalize`."""
    fault = b'{"choices":[],"usage":{"prompt_tokens":"7"}}'
    batch = bodies([CHAT % b"a", fault])
    assert arrow.convert_batch(batch, source="atoma").column("source").to_pylist() == ["atoma", "atoma"]
    assert arrow.convert_batch(batch, strict=True).column("reject")[1].as_py()["code"] == "text_as_integer"
    assert arrow.convert_batch(batch, variant="text").column("reject").null_count == 0
    assert arrow.convert_batch(batch, max_record_bytes=50).column("reject")[0].as_py()["code"] == "too_long"


def test_the_functions_are_pickled_by_name():
    """What an engine sends to its workers is a name and the options, a few hundred bytes."""
    sent = pickle.dumps(partial(arrow.convert_batches, carry=["n"], flat=True))
    assert len(sent) < 300
    assert pickle.loads(sent).func is arrow.convert_batches


# -- other readers


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """A nested and a flat Parquet file of every fixture and some made-up costs."""
    costly = [Completion(source="x", variant="chat", usage=Usage(cost=n * 1.1e-7, total_tokens=n)) for n in range(300)]
    folder = tmp_path_factory.mktemp("parquet")
    made = {}
    for layout in ("nested", "flat"):
        batch = arrow.record_batch([*EVERY, *costly], flat=layout == "flat")
        made[layout] = folder / f"{layout}.parquet"
        pq.write_table(pa.Table.from_batches([batch]), made[layout], compression="zstd")
    return made


def totals() -> tuple[int, int, Decimal, int]:
    """Rows, tokens, dollars and choices in those files, added up by Python."""
    costs = [Decimal(repr(n * 1.1e-7)) for n in range(300)]
    costs += [Decimal(repr(each.usage.cost)) for each in EVERY if each.usage and each.usage.cost is not None]
    tokens = sum(each.usage.total_tokens or 0 for each in EVERY if each.usage) + sum(range(300))
    return len(EVERY) + 300, tokens, sum(costs), sum(len(each.choices) for each in EVERY)


def about(sums: tuple[int, int, Decimal, int]) -> tuple[Any, ...]:
    """The same with dollars as a sum of doubles."""
    return tuple(pytest.approx(float(each)) if isinstance(each, Decimal) else each for each in sums)


def test_no_fixture_has_a_cost_beyond_its_column():
    """The sums below miss nothing: no completion of a fixture has anything in `overflow`."""
    assert arrow.record_batch(EVERY).column("overflow").null_count == len(EVERY)


def test_pyarrow_adds_up_the_same(files):
    """Read by pyarrow, both files have the rows, tokens, dollars (the flat one as a double) and choices that we do."""
    nested, flat = pq.read_table(files["nested"]), pq.read_table(files["flat"])
    usage = nested.column("usage")
    sums = [pc.sum(pc.struct_field(usage, name)).as_py() for name in ("total_tokens", "cost")]
    assert (nested.num_rows, *sums, pc.sum(pc.list_value_length(nested.column("choices"))).as_py()) == totals()
    sums = [pc.sum(flat.column(name)).as_py() for name in ("total_tokens", "cost", "choice_count")]
    assert (flat.num_rows, *sums) == about(totals())


def test_duckdb_adds_up_the_same(files):
    """Read by DuckDB, both files have the rows, tokens, dollars and choices that Python counted."""
    query = "SELECT count(*), sum({}total_tokens)::BIGINT, sum({}cost), sum({})::BIGINT FROM '{}'"
    nested = query.format("usage.", "usage.", "len(choices)", files["nested"])
    assert duckdb.sql(nested).fetchall() == [totals()]
    flat = query.format("", "", "choice_count", files["flat"])
    assert duckdb.sql(flat).fetchall() == [about(totals())]


def test_polars_adds_up_the_same(files):
    """Read by Polars, both files have the rows, tokens, dollars and choices that Python counted."""
    usage = pl.col("usage").struct
    nested = pl.read_parquet(files["nested"]).select(
        pl.len(), usage.field("total_tokens").sum(), usage.field("cost").sum(), pl.col("choices").list.len().sum()
    )
    flat = pl.read_parquet(files["flat"]).select(
        pl.len(), *(pl.col(name).sum() for name in ("total_tokens", "cost", "choice_count"))
    )
    assert nested.row(0) == totals()
    assert flat.row(0) == about(totals())


def test_engines_hand_whole_completions_back(files):
    """Rows that went through DuckDB or Polars, types spelled their way, still give equal completions."""
    through_duckdb = duckdb.sql(f"SELECT * FROM '{files['nested']}'").to_arrow_table()
    through_polars = pl.read_parquet(files["nested"]).to_arrow()
    for table in (through_duckdb, through_polars):
        assert list(arrow.completions(table))[: len(EVERY)] == EVERY


def test_duckdb_hands_raw_bodies_over():
    """The result of a DuckDB query is converted as it is, a column of DuckDB's JSON type included."""
    text = (CHAT % b"a").decode()
    table = duckdb.sql(f"SELECT '{text}'::JSON AS body, '{text}' AS text").to_arrow_table()
    for column in ("body", "text"):
        assert arrow.convert_batch(table, column).column("id").to_pylist() == ["a"]


@pytest.mark.parametrize("flat", [False, True])
def test_rows_are_built_without_cycles(flat: bool) -> None:  # noqa: FBT001
    """Completions that became rows are freed at once: nothing waits for the garbage collector."""
    arrow.record_batch(EVERY, flat=flat)  # what is made once
    gc.collect()
    gc.disable()
    try:
        arrow.record_batch(EVERY, flat=flat)
        assert gc.collect() == 0
    finally:
        gc.enable()
