"""Dask and Ray Data convert raw bodies with `normcompletion.arrow.convert_batch`, each in two processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from normcompletion import arrow
from tests.conftest import PAIRS

BODIES = [pair.raw for pair in PAIRS]
COLUMNS = ["number", "id", "source", "model", "finish_reason", "total_tokens", "cost", "notes", "reject"]


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """A folder of four Parquet files: the bodies of all fixtures, numbered."""
    folder: Path = tmp_path_factory.mktemp("raw")
    table = pa.table({"number": range(len(BODIES)), "body": pa.array(BODIES, pa.binary())})
    size = len(BODIES) // 4 + 1
    for part in range(4):
        pq.write_table(table.slice(part * size, size), folder / f"{part}.parquet")
    return folder


@pytest.fixture(scope="module")
def expected(raw) -> list[dict[str, Any]]:
    """The rows that one call in this process gives."""
    return rows(arrow.convert_batch(pq.read_table(raw), "body", carry=["number"], flat=True))


def rows(table: Any) -> list[dict[str, Any]]:
    """The compared columns of a table, row by row, in the order in which the bodies were numbered."""
    found: list[dict[str, Any]] = pa.table(table.select(COLUMNS)).to_pylist()
    return sorted(found, key=lambda row: (row["number"], str(row)))


@pytest.mark.filterwarnings("ignore")  # those of Ray
def test_ray_data_gives_the_same_rows(raw, expected, monkeypatch):
    """`map_batches` of Ray Data, in two workers, gives the rows that one call in this process gives."""
    ray = pytest.importorskip("ray", reason="no ray; pip install 'ray[data]'")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        dataset = ray.data.read_parquet(str(raw)).map_batches(
            arrow.convert_batch,
            batch_format="pyarrow",
            fn_kwargs={"body": "body", "carry": ["number"], "flat": True},
        )
        tables = ray.get(dataset.to_arrow_refs())
    finally:
        ray.shutdown()
    assert rows(pa.concat_tables(tables)) == expected


@pytest.mark.filterwarnings("ignore")  # those of Dask
def test_a_dask_dataframe_gives_the_same_rows(raw, expected):
    """A Dask data frame with a partition a file, in two processes, has the rows that one call in this process gives."""
    dataframe = pytest.importorskip("dask.dataframe", reason="no dask; pip install 'dask[dataframe]'")

    def converted(path: str) -> Any:
        table = arrow.convert_batch(pq.read_table(path), "body", carry=["number"], flat=True)
        return pa.table(table).to_pandas(types_mapper=pandas.ArrowDtype)

    frame = dataframe.from_map(converted, [str(path) for path in sorted(raw.glob("*.parquet"))])
    found = frame.compute(scheduler="processes", num_workers=2)
    assert rows(pa.Table.from_pandas(found, preserve_index=False)) == expected
