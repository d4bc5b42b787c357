"""Raw bodies in a Spark DataFrame to canonical rows: `normcompletion.arrow.convert_batches` inside `mapInArrow`.

Spark does what a cluster needs: it spreads the partitions, repeats those whose worker died, and publishes an output
once. Every executor needs this package: `pip install 'normcompletion[spark]'`, and `PYSPARK_PYTHON` must name the
Python it was installed for, on the driver and on the executors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

try:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from pyspark.sql import functions as sql
    from pyspark.sql.types import BinaryType, StringType, StructType
except ImportError as missing:
    raise ImportError(
        "normcompletion.spark needs pyspark and pyarrow; run: pip install 'normcompletion[spark]'"
    ) from missing

from .arrow import MONEY, RESERVED, TIME, convert_batch, convert_batches, converted_schema
from .payload import MAX_RECORD_BYTES


def normalize(
    dataframe: DataFrame,
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
) -> DataFrame:
    """A DataFrame of raw bodies as one of canonical rows, lazily; `split` parts records and rejects.

    The columns are those of `carry`, as they were, those of `normcompletion.arrow.schema`, and `reject`, which is null
    unless the body was refused. No record fails the job. Carry what names a record, so that its reject can be found.

    Args:
        dataframe: any that has the column `body`, text or binary; `spark.read.text(paths)` has one named `value`.
        body: the column of the bodies.
        source: as for `normcompletion.normalize`; so are `variant`, `strict` and `max_record_bytes`.
        default_source: the source where nothing decides.
        variant: the only shape to accept.
        strict: refuse what would need a repair.
        carry: columns that go along, in front, repeated for each record of a page.
        flat: columns of `FLAT_SCHEMA` instead of `SCHEMA`.
        columns: only these of them, in this order.
        completions_only: failed, pending and encrypted calls are rejects as well.
        max_record_bytes: refuse longer bodies.

    Raises:
        AnalysisException: Spark knows no such column.
        ValueError: a carried name that the result has too, an unknown source or variant.
        TypeError: the column is neither text nor binary.

    """
    options: dict[str, Any] = {
        "source": source,
        "default_source": default_source,
        "variant": variant,
        "strict": strict,
        "flat": flat,
        "columns": columns,
        "completions_only": completions_only,
        "max_record_bytes": max_record_bytes,
    }
    given = dataframe.select(*map(_quoted, (body, *carry)))
    kind = given.schema.fields[0].dataType
    if not isinstance(kind, StringType | BinaryType):
        raise TypeError(
            f"column {body!r} is {kind.simpleString()}, not text or binary; write the bodies with to_json()"
        )
    nothing = pa.schema([pa.field(name, pa.string()) for name in dict.fromkeys((body, *carry))]).empty_table()
    convert_batch(nothing, body, carry=carry, **options)  # a wrong call is refused here, not by the workers later
    ours: Any = StructType.fromDDL(schema_ddl(flat=flat, columns=columns))
    result = StructType([*given.schema.fields[1:], *ours.fields])
    # Spark looks the columns of mapInArrow up by names that may hold no dots: they pass under others.
    passing = given.toDF(*(f"{_PASSING}{place}" for place in range(1 + len(carry))))
    return passing.mapInArrow(partial(_convert, names=result.names, options=options), result)


_PASSING = "normcompletion_"


def _convert(batches: Iterable[pa.RecordBatch], names: list[str], options: dict[str, Any]) -> Iterator[pa.RecordBatch]:
    """What runs on the workers: the first column is the body, the others are carried; `names` are those of the result.

    `row` goes: it would be a position in a partition, which means nothing to anyone.
    """
    for batch in batches:
        body, *carry = batch.schema.names
        for converted in convert_batches([batch], body, carry=carry, **options):
            yield converted.drop_columns(["row"]).rename_columns(names)


def split(converted: DataFrame) -> tuple[DataFrame, DataFrame]:
    """What `normalize` gave, as records (without the column `reject`) and rejects.

    The rejects have the carried columns and code, path, offset and reason; blank lines have the code `blank`. Whatever
    uses both converts the bodies twice, unless `converted` was persisted, or written and read back.
    """
    carried = [name for name in converted.columns if name not in RESERVED]
    reject = sql.col("reject")
    records = converted.where(reject.isNull()).drop("reject")
    return records, converted.where(reject.isNotNull()).select(*map(_quoted, carried), "reject.*")


def schema_ddl(*, flat: bool = False, columns: Sequence[str] | None = None) -> str:
    """The columns that `normalize` adds to the carried ones, as Spark DDL."""
    ours = [field for field in converted_schema(flat=flat, columns=columns) if field.name != "row"]
    return ", ".join(f"{_quoted(field.name)} {_ddl(field.type)}" for field in ours)


_WORDS = {
    pa.string(): "STRING",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    TIME: "TIMESTAMP",
    MONEY: f"DECIMAL({MONEY.precision}, {MONEY.scale})",
}


def _ddl(kind: pa.DataType) -> str:
    if pa.types.is_struct(kind):
        return f"STRUCT<{', '.join(f'{_quoted(field.name)}: {_ddl(field.type)}' for field in kind)}>"
    if pa.types.is_list(kind):
        return f"ARRAY<{_ddl(kind.value_type)}>"
    return _WORDS[kind]


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
