"""Completions as Arrow: one row per completion, nested (`SCHEMA`) or flat (`FLAT_SCHEMA`), and raw bodies to such rows.

`convert_batch` is the function to hand to an engine (Spark, Dask, Ray, DuckDB, …): a `RecordBatch` with raw bodies in,
a `RecordBatch` of canonical rows out, never an exception for a record. `record_batch` and `completions` go between
`Completion` objects and rows; the nested rows hold everything, so the way back gives equal completions.

The types are those which pyarrow, DuckDB, Polars, Spark and BigQuery all read from Parquet, and which Spark takes back
from Python: plain strings, 64-bit integers, doubles, microseconds UTC, decimals, lists and structs; no dictionaries, no
views, no maps. Every column may be null. What has no fixed shape is JSON text (`JSON_TEXT`).

Needs pyarrow: `pip install 'normcompletion[batch]'`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache, partial
from itertools import accumulate, chain
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeAlias, TypeVar

import msgspec

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError as missing:
    raise ImportError("normcompletion.arrow needs pyarrow; run: pip install 'normcompletion[batch]'") from missing

from .api import default_engine, failed_call, normalize, normalize_many
from .errors import MalformedPayloadError, NormalizeError, did_you_mean
from .extra import Extra
from .model import SCHEMA_VERSION, Completion, ServiceError, to_json
from .payload import MAX_RECORD_BYTES, looks_like_stream, parse

# -- the schema

# US dollars, exactly as reported. A 64-bit float has at most 17 significant digits, so 24 places hold every one from
# 0.00000001 up to 14 whole digits, with the noise of binary fractions (0.00014104999999999999) and without a rounding;
# what does not fit is in `overflow`. BigQuery reads it as BIGNUMERIC (--decimal_target_types=BIGNUMERIC).
MONEY = pa.decimal128(38, 24)
TIME = pa.timestamp("us", "UTC")

# Columns of JSON text, wherever they are: their shape is open, or too deep and too rare to be columns of their own.
JSON_TEXT = frozenset(
    {
        "annotations",
        "audio",
        "carried",
        "extra",
        "images",
        "logprobs",
        "metadata",
        "notes",
        "overflow",
        "parts",
        "request",
    }
)


def _list(item: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", item))  # Parquet's own word, so that a file gives the same schema back


_TEXT, _INTEGER, _NUMBER, _FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()

ERROR = pa.struct(
    {
        "code": _TEXT,  # as text, also where a number was sent
        "code_number": _INTEGER,  # where a number was sent
        "message": _TEXT,
        "type": _TEXT,
        "metadata": _TEXT,  # JSON
        "provider": _TEXT,
    }
)
TOOL_CALL = pa.struct(
    {
        "id": _TEXT,
        "type": _TEXT,
        "index": _INTEGER,
        "function": pa.struct({"name": _TEXT, "arguments": _TEXT}),
    }
)
REASONING_DETAIL = pa.struct(
    {
        "type": _TEXT,
        "text": _TEXT,
        "summary": _TEXT,
        "data": _TEXT,
        "format": _TEXT,
        "signature": _TEXT,
        "id": _TEXT,
        "index": _INTEGER,
        "tool_name": _TEXT,
        "arguments": _TEXT,
        "result": _TEXT,
        "tool_call_id": _TEXT,
    }
)
MESSAGE = pa.struct(
    {
        "role": _TEXT,
        "content": _TEXT,
        "reasoning": _TEXT,
        "refusal": _TEXT,
        "tool_calls": _list(TOOL_CALL),
        "reasoning_details": _list(REASONING_DETAIL),
        "name": _TEXT,
        "annotations": _TEXT,  # JSON
        "audio": _TEXT,  # JSON
        "images": _TEXT,  # JSON
        "parts": _TEXT,  # JSON
    }
)
CHOICE = pa.struct(
    {
        "index": _INTEGER,
        "finish_reason": _TEXT,
        "native_finish_reason": _TEXT,
        "message": MESSAGE,
        "logprobs": _TEXT,  # JSON
        "error": ERROR,
    }
)
USAGE = pa.struct(
    {
        "prompt_tokens": _INTEGER,
        "completion_tokens": _INTEGER,
        "total_tokens": _INTEGER,
        "prompt_tokens_details": pa.struct(
            {
                "cached_tokens": _INTEGER,
                "cache_write_tokens": _INTEGER,
                "audio_tokens": _INTEGER,
                "image_tokens": _INTEGER,
                "text_tokens": _INTEGER,
                "video_tokens": _INTEGER,
            }
        ),
        "completion_tokens_details": pa.struct(
            {
                "reasoning_tokens": _INTEGER,
                "audio_tokens": _INTEGER,
                "image_tokens": _INTEGER,
                "accepted_prediction_tokens": _INTEGER,
                "rejected_prediction_tokens": _INTEGER,
            }
        ),
        "cost": MONEY,
        "is_byok": _FLAG,
        "cost_details": pa.struct(
            {
                "upstream_inference_cost": MONEY,
                "upstream_inference_prompt_cost": MONEY,
                "upstream_inference_completions_cost": MONEY,
            }
        ),
    }
)
ENVELOPE = pa.struct(
    {
        "kind": _TEXT,
        "id": _TEXT,
        "status": _TEXT,
        "tags": _list(_TEXT),
        "duration": _NUMBER,
        "session_id": _TEXT,
        "created_at": _TEXT,
        "request": _TEXT,  # JSON
    }
)
SCHEMA = pa.schema(
    {
        "id": _TEXT,
        "source": _TEXT,
        "variant": _TEXT,
        "source_basis": _TEXT,
        "model": _TEXT,
        "provider": _TEXT,
        "created": TIME,
        "choices": _list(CHOICE),
        "usage": USAGE,
        "system_fingerprint": _TEXT,
        "service_tier": _TEXT,
        "error": ERROR,
        "envelope": ENVELOPE,
        "extra": _TEXT,  # JSON, `{}` where there is none
        "notes": _TEXT,  # JSON, `[]` where there are none
        "overflow": _TEXT,  # JSON: by pointer, the numbers that their columns cannot hold exactly, which are null there
        "carried": _TEXT,  # JSON: what was asked to go along
    },
    metadata={"normcompletion.schema": SCHEMA_VERSION, "normcompletion.layout": "nested"},
)
"""One row per completion: the canonical model, name by name."""

# The flat view: where each column comes from. `first` is the choice with the lowest index; lists are JSON text.
FLAT_COLUMNS: Mapping[str, str] = {
    "id": "id",
    "source": "source",
    "variant": "variant",
    "source_basis": "source_basis",
    "model": "model",
    "provider": "provider",
    "created": "created",
    "choice_count": "choices",
    "choice_index": "first.index",
    "finish_reason": "first.finish_reason",
    "native_finish_reason": "first.native_finish_reason",
    "role": "first.message.role",
    "content": "first.message.content",
    "reasoning": "first.message.reasoning",
    "refusal": "first.message.refusal",
    "tool_calls": "first.message.tool_calls",
    "prompt_tokens": "usage.prompt_tokens",
    "completion_tokens": "usage.completion_tokens",
    "total_tokens": "usage.total_tokens",
    "prompt_cached_tokens": "usage.prompt_tokens_details.cached_tokens",
    "prompt_cache_write_tokens": "usage.prompt_tokens_details.cache_write_tokens",
    "prompt_audio_tokens": "usage.prompt_tokens_details.audio_tokens",
    "prompt_image_tokens": "usage.prompt_tokens_details.image_tokens",
    "prompt_text_tokens": "usage.prompt_tokens_details.text_tokens",
    "prompt_video_tokens": "usage.prompt_tokens_details.video_tokens",
    "completion_reasoning_tokens": "usage.completion_tokens_details.reasoning_tokens",
    "completion_audio_tokens": "usage.completion_tokens_details.audio_tokens",
    "completion_image_tokens": "usage.completion_tokens_details.image_tokens",
    "accepted_prediction_tokens": "usage.completion_tokens_details.accepted_prediction_tokens",
    "rejected_prediction_tokens": "usage.completion_tokens_details.rejected_prediction_tokens",
    "cost": "usage.cost",
    "is_byok": "usage.is_byok",
    "upstream_inference_cost": "usage.cost_details.upstream_inference_cost",
    "upstream_inference_prompt_cost": "usage.cost_details.upstream_inference_prompt_cost",
    "upstream_inference_completions_cost": "usage.cost_details.upstream_inference_completions_cost",
    "system_fingerprint": "system_fingerprint",
    "service_tier": "service_tier",
    "error_code": "error.code",
    "error_code_number": "error.code_number",
    "error_message": "error.message",
    "error_type": "error.type",
    "error_metadata": "error.metadata",
    "error_provider": "error.provider",
    "choice_error_code": "first.error.code",
    "choice_error_message": "first.error.message",
    "envelope_kind": "envelope.kind",
    "envelope_id": "envelope.id",
    "envelope_status": "envelope.status",
    "envelope_tags": "envelope.tags",
    "envelope_duration": "envelope.duration",
    "envelope_session_id": "envelope.session_id",
    "envelope_created_at": "envelope.created_at",
    "envelope_request": "envelope.request",
    "extra": "extra",
    "notes": "notes",
    "overflow": "overflow",
    "carried": "carried",
}


_EVERYTHING = pa.struct([*SCHEMA, pa.field("first", CHOICE)])


def _type_at(path: str) -> pa.DataType:
    """The type, in the flat view, of the nested column at a path of `FLAT_COLUMNS`: for pandas, money is a double."""
    if path == "choices":
        return _INTEGER
    found: Any = _EVERYTHING
    for name in path.split("."):
        found = found.field(name).type
    if found == MONEY:
        return _NUMBER
    return _TEXT if pa.types.is_list(found) else found


_FLAT_WITH_EXTRA = pa.schema(
    {name: _type_at(path) for name, path in FLAT_COLUMNS.items()},
    metadata={"normcompletion.schema": SCHEMA_VERSION, "normcompletion.layout": "flat"},
)
FLAT_SCHEMA = _FLAT_WITH_EXTRA.remove(_FLAT_WITH_EXTRA.get_field_index("extra"))
"""One row per completion for pandas and SQL: its first choice, no structs or lists, and `extra` only on request."""

REJECT = pa.struct({"code": _TEXT, "path": _TEXT, "offset": _INTEGER, "reason": _TEXT})
"""Why a record was refused: `NormalizeError.code`, its JSON Pointer, its byte offset in the body, and words."""

# -- columns from objects

Values: TypeAlias = list[Any]
Make: TypeAlias = Callable[[Values], pa.Array]

_FIRST_YEAR, _LAST_YEAR = -62135596800, 253402300799  # the years 1 to 9999, which every reader can show


class _OverflowError(ValueError):
    """A number does not fit its column."""


class _Column:
    """One column: how to read its values off the objects that hold them, and how to make an array of the values."""

    __slots__ = ("kind", "make", "read")

    def __init__(self, name: str, kind: pa.DataType, make: Make) -> None:
        self.kind = kind
        self.make = make
        self.read = _reader_of(name)

    def build(self, holders: Values) -> pa.Array:
        """The array for some objects, none of which is None."""
        return self.array(self.read(holders))

    def array(self, values: Values) -> pa.Array:
        """The array of values that were read."""
        if not values or (values[0] is None and values.count(None) == len(values)):  # as in most columns
            return pa.nulls(len(values), self.kind)
        return self.make(values)


def _reader_of(name: str) -> Callable[[Values], Values]:
    """What lists one attribute of many objects."""
    get = attrgetter(name)
    return lambda holders: list(map(get, holders))


def _first(completions: Values) -> Values:
    return [each.choices[0] if len(each.choices) == 1 else each.first for each in completions]


def _array(values: Values, kind: pa.DataType) -> pa.Array:
    array = pa.array(values, kind)
    if isinstance(array, pa.ChunkedArray):
        raise ValueError("one column of a batch would exceed 2 GiB; hand in fewer completions at a time")  # noqa: TRY004
    return array


def _json(values: Values) -> pa.Array:
    return _array([None if value is None else to_json(value) for value in values], _TEXT)


def _book(values: Values, empty: bytes) -> pa.Array:
    """JSON text of what is empty nearly always, and never None."""
    if not any(values):
        return pa.repeat(pa.scalar(empty, _TEXT), len(values))
    return _array([to_json(value) if value else empty for value in values], _TEXT)


def _number(values: Values) -> pa.Array:
    try:
        return pa.array(values, _NUMBER)
    except pa.ArrowInvalid:  # an integer between two floats
        raise _OverflowError from None


def _money(values: Values) -> pa.Array:
    dollars = _number(values)
    size = pc.abs(dollars)
    tiny = pc.and_(pc.greater(size, 0), pc.less(size, 1e-24))
    if pc.any(pc.or_(tiny, pc.greater_equal(size, 1e14))).as_py():  # which the cast may take for other numbers
        raise _OverflowError
    try:
        # The shortest text of a float is the number that was meant; a cast from the float would show its binary tail.
        return dollars.cast(_TEXT).cast(MONEY)
    except pa.ArrowInvalid:
        raise _OverflowError from None


def _time(values: Values) -> pa.Array:
    seconds = pa.array(values, _INTEGER)
    bounds = pc.min_max(seconds).as_py()
    if not _FIRST_YEAR <= bounds["min"] <= bounds["max"] <= _LAST_YEAR:
        raise _OverflowError
    return seconds.cast(pa.timestamp("s", "UTC")).cast(TIME)


def _code(values: Values) -> pa.Array:
    return _array([None if value is None else str(value) for value in values], _TEXT)


def _code_number(values: Values) -> pa.Array:
    return pa.array([value if isinstance(value, int) else None for value in values], _INTEGER)


def _count(values: Values) -> pa.Array:
    return pa.array(list(map(len, values)), _INTEGER)


def _struct_of(kind: pa.DataType) -> Make:
    fields, columns, blank = list(kind), _columns(kind), _blank(kind)

    def make(values: Values) -> pa.Array:
        mask = None
        if not all(values):
            mask = pa.array([value is None for value in values], _FLAG)
            values = [blank if value is None else value for value in values]
        return pa.StructArray.from_arrays([column.build(values) for column in columns], fields=fields, mask=mask)

    return make


def _list_of(kind: pa.DataType) -> Make:
    item = kind.value_type
    make_items = _struct_of(item) if pa.types.is_struct(item) else partial(_array, kind=item)

    def make(values: Values) -> pa.Array:
        mask = None
        if not all(values):
            mask = pa.array([value is None for value in values], _FLAG)
            values = [value or () for value in values]
        offsets = pa.array(list(accumulate(map(len, values), initial=0)), pa.int32())
        items = make_items([each for value in values for each in value])
        return pa.ListArray.from_arrays(offsets, items, type=kind, mask=mask)

    return make


def _blank(kind: pa.DataType) -> SimpleNamespace:
    """A placeholder for an absent struct while its columns are built: all its members are absent."""
    return SimpleNamespace(**{field.name: None for field in kind})


def _column(field: pa.Field) -> _Column:
    name, kind = field.name, field.type
    special: dict[Any, Make] = {MONEY: _money, TIME: _time, _NUMBER: _number}
    make: Make
    if name == "code_number":
        return _Column("code", kind, _code_number)
    if name == "code":
        make = _code
    elif name in {"extra", "notes"}:
        make = partial(_book, empty=b"{}" if name == "extra" else b"[]")
    elif name in JSON_TEXT:
        make = _json
    elif pa.types.is_struct(kind):
        make = _struct_of(kind)
    elif pa.types.is_list(kind):
        make = _list_of(kind)
    else:
        make = special.get(kind) or partial(_array, kind=kind)
    return _Column(name, kind, make)


def _columns(fields: Iterable[pa.Field]) -> list[_Column]:
    return [_column(field) for field in fields]


@cache
def _nested_plan() -> dict[str, _Column]:
    return {field.name: _column(field) for field in SCHEMA if field.name not in _GIVEN}


_GIVEN = frozenset({"overflow", "carried"})  # the columns that are not read off the completions


class _FlatPlan:
    """What builds the flat view: each column with the path of the struct that it is in, and how to come to those."""

    def __init__(self) -> None:
        self.columns: dict[str, tuple[tuple[str, ...], _Column]] = {}
        self.structs: dict[tuple[str, ...], tuple[Callable[[Values], Values], SimpleNamespace]] = {}
        for name, path in FLAT_COLUMNS.items():
            if name in _GIVEN:
                continue
            *parents, last = path.split(".")
            kind = _EVERYTHING
            for depth, parent in enumerate(parents, 1):
                kind = kind.field(parent).type
                read = _first if parent == "first" else _reader_of(parent)
                self.structs[tuple(parents[:depth])] = (read, _blank(kind))
            column = _column(kind.field(last))
            if pa.types.is_list(column.kind):
                column.make = _count if name == "choice_count" else _json
            elif column.kind == MONEY:
                column.make = _number
            column.kind = _FLAT_WITH_EXTRA.field(name).type
            self.columns[name] = (tuple(parents), column)

    def read(self, completions: Values, columns: Mapping[str, Values]) -> None:
        """Add the values of some completions to columns of the view."""
        holders: dict[tuple[str, ...], Values] = {(): completions}
        for name, values in columns.items():
            path, column = self.columns[name]
            values.extend(column.read(self._at(path, holders)))

    def _at(self, path: tuple[str, ...], holders: dict[tuple[str, ...], Values]) -> Values:
        # No function inside `read`: one that calls itself is a cycle, which holds all completions until it is found.
        if path not in holders:
            read, blank = self.structs[path]
            holders[path] = [blank if value is None else value for value in read(self._at(path[:-1], holders))]
        return holders[path]


_flat_plan = cache(_FlatPlan)


def schema(*, flat: bool = False, columns: Iterable[str] | None = None) -> pa.Schema:
    """`SCHEMA` or `FLAT_SCHEMA`, or only some of its columns, in the order given; raises `ValueError` for others.

    The flat view has `extra` only where it is named: to find what it holds costs a second parse of most bodies.

    >>> schema(flat=True, columns=["id", "cost"]).names
    ['id', 'cost']
    """
    if columns is None:
        return FLAT_SCHEMA if flat else SCHEMA
    whole = _FLAT_WITH_EXTRA if flat else SCHEMA
    columns = list(columns)
    unknown = [name for name in columns if name not in whole.names]
    if unknown or len(set(columns)) < len(columns):
        wrong = f"there are no columns {', '.join(unknown)}" if unknown else "a column is named twice"
        hint = did_you_mean(unknown[0], whole.names) if unknown else ""
        raise ValueError(f"{wrong}; {hint}choose from {', '.join(whole.names)}")
    return pa.schema([whole.field(name) for name in columns], metadata=whole.metadata)


def record_batch(
    completions: Sequence[Completion],
    *,
    flat: bool = False,
    columns: Sequence[str] | None = None,
    carried: Sequence[Mapping[str, Any] | None] | None = None,
) -> pa.RecordBatch:
    """Completions as rows of `SCHEMA`, or of `FLAT_SCHEMA`; 2,000 to 8,000 at a time are fastest.

    Args:
        completions: failed and encrypted calls among them are rows like the others, with `error` set.
        flat: the flat view; it holds the first choice only, so it has no way back.
        columns: only these, in this order; what is left out costs nothing. Keep `overflow` where exact sums matter.
        carried: for each completion what goes along as JSON text in the column `carried`; dates, decimals and bytes
            are written as msgspec writes them (ISO 8601, digits in a string, base64).

    Raises:
        ValueError: one column would exceed 2 GiB, there is no such column, or `carried` has another length than
            `completions`.


    >>> record_batch([normalize('{"choices": [], "id": "a"}')], flat=True, columns=["id"]).to_pylist()
    [{'id': 'a'}]

    """
    rows = Rows(flat=flat, columns=columns)
    rows.add(completions)
    return rows.batch(carried)


class Rows:
    """Rows in the making, of `SCHEMA` or `FLAT_SCHEMA`: completions are added piece by piece.

    The flat view takes what its columns show while a piece is still in the processor's cache, and keeps no completions;
    the nested rows are built of them at the end. The arguments are those of `record_batch`.
    """

    def __init__(self, *, flat: bool = False, columns: Iterable[str] | None = None) -> None:
        self._schema = schema(flat=flat, columns=columns)
        self._flat = flat
        self._columns: dict[str, Values] = {name: [] for name in self._schema.names if name not in _GIVEN}
        self._completions: Values = []
        self._count = 0

    def add(self, completions: Iterable[Completion]) -> None:
        """Take in further completions."""
        added = list(completions)
        self._count += len(added)
        if self._flat:
            _flat_plan().read(added, self._columns)
        else:
            self._completions += added

    def batch(self, carried: Sequence[Mapping[str, Any] | None] | None = None) -> pa.RecordBatch:
        """The rows; raises `ValueError` as `record_batch` does."""
        if carried is not None and len(carried) != self._count:
            raise ValueError(f"{len(carried)} carried for {self._count} completions; hand in one for each, or None")
        overflow: list[dict[str, Any] | None] = []
        try:
            arrays = self._arrays()
        except _OverflowError:
            overflow = self._take_out_overflow()
            arrays = self._arrays()
        arrays["overflow"] = _json(overflow) if overflow else pa.nulls(self._count, _TEXT)
        arrays["carried"] = _json(list(carried)) if carried is not None else pa.nulls(self._count, _TEXT)
        return pa.RecordBatch.from_arrays([arrays[name] for name in self._schema.names], schema=self._schema)

    def _arrays(self) -> dict[str, pa.Array]:
        if self._flat:
            columns = _flat_plan().columns
            return {name: columns[name][1].array(values) for name, values in self._columns.items()}
        plan = _nested_plan()
        return {name: plan[name].build(self._completions) for name in self._columns}

    def _take_out_overflow(self) -> list[dict[str, Any] | None]:
        """Take out the numbers that do not fit their columns; for each row those, by JSON Pointer."""
        if not self._flat:
            pairs = [_without_overflow(completion) for completion in self._completions]
            self._completions = [completion for completion, _ in pairs]
            return [overflow for _, overflow in pairs]
        found: list[dict[str, Any] | None] = [None] * self._count
        for pointer in _LIMITED:
            name = _FLAT_NAMES[pointer]
            values, make = self._columns.get(name, []), _flat_plan().columns[name][1].make
            for row, value in enumerate(values):
                if not _fits(value, make):
                    values[row] = None
                    found[row] = {**(found[row] or {}), pointer: value}
        return found


_LIMITED: Mapping[str, Make] = {
    "/created": _time,
    "/usage/cost": _money,
    "/usage/cost_details/upstream_inference_cost": _money,
    "/usage/cost_details/upstream_inference_prompt_cost": _money,
    "/usage/cost_details/upstream_inference_completions_cost": _money,
    "/envelope/duration": _number,
}

_FLAT_NAMES = {"/" + path.replace(".", "/"): name for name, path in FLAT_COLUMNS.items()}


def _fits(value: Any, make: Make) -> bool:
    """Whether a column can hold a value exactly; `make` is what builds it."""
    try:
        if value is not None:
            make([value])
    except _OverflowError:
        return False
    return True


def _without_overflow(completion: Completion) -> tuple[Completion, dict[str, Any] | None]:
    """A completion all of whose numbers fit their columns, and by JSON Pointer those that did not."""
    overflow: dict[str, Any] = {}
    for path, make in _LIMITED.items():
        holder, name = _holder(completion, path)
        value = getattr(holder, name, None)
        if not _fits(value, make):
            overflow[path] = value
    if not overflow:
        return completion, None
    kept = copy.deepcopy(completion)
    for path in overflow:
        holder, name = _holder(kept, path)
        setattr(holder, name, None)
    return kept, overflow


def _holder(completion: Completion, path: str) -> tuple[Any, str]:
    """The struct that holds the field at a pointer, `None` where it is absent, and the name of the field."""
    *parents, name = path.split("/")[1:]
    holder: Any = completion
    for parent in parents:
        holder = getattr(holder, parent, None)
    return holder, name


# -- and back


def completions(batch: pa.RecordBatch | pa.Table) -> Iterator[Completion]:
    """The completions of rows of `SCHEMA`, equal to those they were made from; rejected rows are passed over.

    Further columns do not matter, and neither does an engine's own spelling of the types (large strings, another zone).

    Raises:
        ValueError: the rows are of the flat view, of another version of the schema, or no rows of ours.


    >>> rows = record_batch([normalize('{"choices": [], "id": "a"}')])
    >>> [completion.id for completion in completions(rows)]
    ['a']

    """
    metadata = batch.schema.metadata or {}
    version = metadata.get(b"normcompletion.schema", SCHEMA_VERSION.encode()).decode()
    if version != SCHEMA_VERSION:
        raise ValueError(f"the rows have version {version} of the schema, not {SCHEMA_VERSION}; upgrade normcompletion")
    missing = [name for name in SCHEMA.names if name not in (*batch.schema.names, "carried")]
    if missing:
        raise ValueError(
            f"no columns {', '.join(missing)}: only the nested rows, written without flat, hold whole completions"
        )
    batches = batch.to_batches() if isinstance(batch, pa.Table) else [batch]
    return chain.from_iterable(map(_completions, batches))


def _completions(batch: pa.RecordBatch) -> Iterator[Completion]:
    if "reject" in batch.schema.names:
        batch = batch.filter(pc.is_null(batch.column("reject")))
    names = [name for name in SCHEMA.names if name not in {"created", "carried"}]
    created = batch.column("created").cast(TIME).cast(_INTEGER).to_pylist()
    for row, time in zip(batch.select(names).to_pylist(), created, strict=True):
        overflow = row.pop("overflow")
        _restore(row)
        row["created"] = None if time is None else time // 1_000_000
        completion = msgspec.convert(row, Completion)
        completion.extra = Extra.of(completion.extra)
        for path, value in msgspec.json.decode(overflow).items() if overflow else ():
            holder, name = _holder(completion, path)
            setattr(holder, name, value)
        yield completion


def _restore(value: Any) -> None:
    """Make a row what `Completion.to_dict` gives: JSON text parsed, decimals as numbers, one code of an error."""
    if isinstance(value, list):
        for item in value:
            _restore(item)
    elif isinstance(value, dict):
        number = value.pop("code_number", None)
        if number is not None:
            value["code"] = number
        for name, item in value.items():
            if name in JSON_TEXT:
                value[name] = None if item is None else parse(item.encode())
            elif isinstance(item, Decimal):
                value[name] = int(item) if item == item.to_integral_value() else float(item)
            else:
                _restore(item)


# -- raw bodies to rows

PIECE_ROWS = 8192
PIECE_BYTES = 64 << 20
_BLANK = b" \t\r\n\x1e"
_ADDED_ROWS = 64  # of which the processor's cache holds all


RESERVED = frozenset({*SCHEMA.names, *FLAT_SCHEMA.names, "row", "reject"})
"""Names that a carried column may not have."""


def converted_schema(
    *, flat: bool = False, columns: Iterable[str] | None = None, carry: Iterable[pa.Field] = ()
) -> pa.Schema:
    """The schema of what `convert_batch` gives: the carried columns, `row`, those of `schema`, and `reject`.

    Carried columns keep their types, so the JSON text `carried` is not among them.
    """
    ours = schema(flat=flat, columns=columns)
    fields = [*carry, pa.field("row", _INTEGER), *(field for field in ours if field.name != "carried")]
    return pa.schema([*fields, pa.field("reject", REJECT)], metadata=ours.metadata)


class _Conversion(NamedTuple):
    """What to do with each batch."""

    body: str
    source: str | None
    default_source: str | None
    variant: str | None
    strict: bool
    carry: Sequence[str]
    flat: bool
    columns: Sequence[str] | None
    completions_only: bool
    max_record_bytes: int

    def check(self, given: pa.Schema) -> pa.Schema:
        """The schema of the result for a schema of the input; raises for a wrong call, never for a record."""
        default_engine().registry.check(self.source, self.variant)
        default_engine().registry.check(self.default_source, None)
        for name in (self.body, *self.carry):
            if given.get_field_index(name) < 0:
                raise ValueError(f"not one column is named {name!r}; the columns are {', '.join(given.names)}")
        kind = given.field(self.body).type
        if not _is_text(kind):
            raise TypeError(f"column {self.body!r} is {kind}, not text or binary; write the bodies as JSON text")
        result = converted_schema(
            flat=self.flat, columns=self.columns, carry=[given.field(name) for name in self.carry]
        )
        taken = [name for name in self.carry if name in RESERVED or self.carry.count(name) > 1]
        if taken:
            raise ValueError(
                f"cannot carry {', '.join(taken)}: the result has, or may have, such a column; rename yours"
            )
        return result

    def pieces(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """The batch in pieces of bounded size, at least one."""
        start = size = 0
        for place, length in enumerate(pc.binary_length(_bodies(batch.column(self.body))).to_pylist()):
            size += length or 0
            if place > start and (place - start == PIECE_ROWS or size > PIECE_BYTES):
                yield batch.slice(start, place - start)
                start, size = place, length or 0
        yield batch.slice(start)

    def convert(self, batch: pa.RecordBatch, first_row: int, result: pa.Schema) -> pa.RecordBatch:
        """The rows of a batch; `first_row` is the number of its first body."""
        built: list[Completion] = []
        places: list[int] = []
        rejects: dict[int, NormalizeError] = {}
        ours = [name for name in schema(flat=self.flat, columns=self.columns).names if name != "carried"]
        rows = Rows(flat=self.flat, columns=ours)
        source, variant, strict, limit = self.source, self.variant, self.strict, self.max_record_bytes
        default = self.default_source
        for place, body in enumerate(_bodies(batch.column(self.body)).to_pylist()):
            try:
                built.append(normalize(body or b"", source, variant, strict, limit, default))
                places.append(place)
            except NormalizeError as error:
                for item in self.others(body, error.with_traceback(None)):
                    if isinstance(item, NormalizeError):
                        completion = failed_call(item)
                        if completion is None or self.completions_only:
                            rejects[len(places)] = item
                        built.append(_refused(item) if completion is None else completion)
                    else:
                        built.append(item)
                    places.append(place)
            if len(built) >= _ADDED_ROWS:
                rows.add(built)
                built = []
        rows.add(built)
        taken = pa.array(places, _INTEGER)
        columns = [batch.column(name).take(taken) for name in self.carry]
        columns += [pc.add(taken, first_row), *rows.batch().columns, _rejects(rejects, len(places))]
        return pa.RecordBatch.from_arrays(columns, schema=result)

    def others(self, body: bytes | None, error: NormalizeError) -> Iterable[Completion | NormalizeError]:
        """What a body gives that is not one completion: its error, or the records of a page."""
        if body is None:
            code = "no_body"
            return [MalformedPayloadError("the body is null; choose the column that holds the responses", code=code)]
        if not body.strip(_BLANK):
            return [MalformedPayloadError("the body is blank; a log may have blank lines", code="blank")]
        if error.code != "list" or looks_like_stream(body):  # a stream with a list in it is not a page
            return [error]
        return normalize_many(
            [body],
            on_error="yield",
            source=self.source,
            default_source=self.default_source,
            variant=self.variant,
            strict=self.strict,
            max_record_bytes=self.max_record_bytes,
        )


def _is_text(kind: pa.DataType) -> bool:
    """Whether a column of a type can hold bodies; one without a single value may have no type."""
    if isinstance(kind, pa.BaseExtensionType):  # such as DuckDB's JSON
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    word = str(kind)
    return word.removeprefix("large_").removesuffix("_view") in {"string", "binary", "null"}


def _bodies(column: pa.Array) -> pa.Array:
    """A column of bodies as bytes, whatever text type it has: decoding starts from bytes."""
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.large_binary())


def _refused(error: NormalizeError) -> Completion:
    """The row of a refused record: nothing but the error, and who wrote it where that is known."""
    failure = ServiceError(code=error.code, message=str(error), type="normcompletion")
    return Completion(source=error.source, variant=error.variant, error=failure)  # type: ignore[arg-type]


def _rejects(rejects: Mapping[int, NormalizeError], count: int) -> pa.Array:
    if not rejects:
        return pa.nulls(count, REJECT)
    rows = [
        None
        if (error := rejects.get(row)) is None
        else {"code": error.code, "path": error.path, "offset": error.offset, "reason": str(error)}
        for row in range(count)
    ]
    return pa.array(rows, REJECT)


Batch = TypeVar("Batch", pa.RecordBatch, pa.Table)


def convert_batch(
    batch: Batch,
    body: str = "body",
    *,
    source: str | None = None,
    default_source: str | None = None,
    variant: str | None = None,
    strict: bool = False,
    carry: Sequence[str] = (),
    flat: bool = False,
    columns: Sequence[str] | None = None,
    completions_only: bool = False,
    max_record_bytes: int = MAX_RECORD_BYTES,
) -> Batch:
    """Raw bodies to canonical rows: the function to hand to an engine.

    Every record gives one row: a body is one record, a page of records as many as it has. Failed, pending and encrypted
    calls are rows with `error` set. What is refused is a row too, with `error.type` "normcompletion" and the struct
    `reject`, which is null in all other rows: `split` parts the two. `row` is the position of the body, from 0. The
    schema of the result is that of `converted_schema`, whatever the batch holds, also for none.

    The function keeps no state and is pickled by its name.

    Args:
        batch: a batch, or a table, which gives a table.
        body: the column of the bodies, text or binary (large, view and dictionary ones too). A null is a reject, and
            so is a blank line, with the code `blank`.
        source: as for `normalize`; so are `default_source`, `variant`, `strict` and `max_record_bytes`.
        default_source: the source where nothing decides.
        variant: the only shape to accept.
        strict: refuse what would need a repair.
        carry: columns that go along as they are, in front, repeated for each record of a page.
        flat: columns of `FLAT_SCHEMA` instead of `SCHEMA`.
        columns: only these of them, in this order.
        completions_only: failed, pending and encrypted calls are rejects as well.
        max_record_bytes: refuse longer bodies.

    Raises:
        ValueError: the call is wrong (no such column, a carried name that the result has too, an unknown source), or a
            column of a batch would exceed 2 GiB: hand in a table, or use `convert_batches`, which both cut. Never for a
            record.
        TypeError: the column is neither text nor binary.


    >>> raw = pa.RecordBatch.from_pydict({"body": ['{"choices": [{"text": "Sure"}]}', "{"]})
    >>> convert_batch(raw).to_pandas()["variant"].tolist()
    ['text', None]

    """
    conversion = _Conversion(
        body, source, default_source, variant, strict, tuple(carry), flat, columns, completions_only, max_record_bytes
    )
    result = conversion.check(batch.schema)
    if isinstance(batch, pa.RecordBatch):
        return conversion.convert(batch, 0, result)
    return pa.Table.from_batches(_convert_all(batch.to_batches(), conversion), schema=result)


def convert_batches(
    batches: Iterable[pa.RecordBatch],
    body: str = "body",
    *,
    source: str | None = None,
    default_source: str | None = None,
    variant: str | None = None,
    strict: bool = False,
    carry: Sequence[str] = (),
    flat: bool = False,
    columns: Sequence[str] | None = None,
    completions_only: bool = False,
    max_record_bytes: int = MAX_RECORD_BYTES,
) -> Iterator[pa.RecordBatch]:
    """`convert_batch` for a stream of batches, lazily: what Spark's `mapInArrow` and pyarrow's readers hand over.

    Large batches are cut, so that at most 8,192 bodies or 64 MiB of them are converted at once; `row` counts on from
    batch to batch.
    """
    conversion = _Conversion(
        body, source, default_source, variant, strict, tuple(carry), flat, columns, completions_only, max_record_bytes
    )
    return _convert_all(batches, conversion)


def _convert_all(batches: Iterable[pa.RecordBatch], conversion: _Conversion) -> Iterator[pa.RecordBatch]:
    row = 0
    for batch in batches:
        result = conversion.check(batch.schema)
        for piece in conversion.pieces(batch):
            yield conversion.convert(piece, row, result)
            row += piece.num_rows


def split(converted: pa.RecordBatch | pa.Table) -> tuple[Any, Any]:
    """What `convert_batch` gave, as records (without the column `reject`) and rejects.

    The rejects have the carried columns, `row`, and the members of `reject`: code, path, offset, reason.
    """
    refused = pc.is_valid(converted.column("reject"))
    records = converted.filter(pc.invert(refused)).drop_columns(["reject"])
    bad = pa.Table.from_batches([converted]) if isinstance(converted, pa.RecordBatch) else converted
    bad = bad.filter(refused)
    names = bad.column_names[: bad.column_names.index("row") + 1]
    rejects = bad.select([*names, "reject"]).flatten()
    return records, rejects.rename_columns([name.removeprefix("reject.") for name in rejects.column_names])
