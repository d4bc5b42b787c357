"""A real Spark, two executors on this machine: every record once, whatever is killed, and sums that agree."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from normcompletion import Completion, Usage, arrow
from tests.conftest import PAIRS, python

pytest.importorskip("pyspark", reason="no pyspark; pip install 'normcompletion[spark]'")


def java_version() -> int:
    """The number of the Java that Spark would start, 0 where there is none."""
    home = os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java")
    if java is None or not Path(java).exists():
        return 0
    text = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', text)
    return int(found[1]) if found else 0


pytestmark = pytest.mark.skipif(
    java_version() < 17, reason="no Java 17 or later, which Spark 4 needs; apt-get install openjdk-17-jre-headless"
)

COPIES = 8
COSTS = [n * 1.1e-7 for n in range(200)]
BODIES = [pair.raw for pair in PAIRS] * COPIES + [
    b'{"id":"gen-%d","provider":"P","choices":[],"usage":{"total_tokens":%d,"cost":%s}}' % (n, n, repr(cost).encode())
    for n, cost in enumerate(COSTS)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The folder of a finished run of `spark_job.py`."""
    made: Path = tmp_path_factory.mktemp("spark")
    (made / "raw").mkdir()
    raw = pa.table(
        {
            "number": range(len(BODIES)),
            "day": [f"2026-01-{1 + number % 3:02}" for number in range(len(BODIES))],
            "body": pa.array(BODIES, pa.binary()),
        }
    )
    for part in range(4):
        size = len(BODIES) // 4 + 1
        pq.write_table(raw.slice(part * size, size), made / "raw" / f"{part}.parquet")
    completions = [Completion(source="x", variant="chat", usage=Usage(cost=cost, total_tokens=3)) for cost in COSTS]
    for flat, name in ((False, "nested"), (True, "flat")):
        pq.write_table(pa.Table.from_batches([arrow.record_batch(completions, flat=flat)]), made / f"{name}.parquet")
    environment = {
        **os.environ,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_WORKER_DIR": str(made / "work"),
    }
    job = Path(__file__).with_name("spark_job.py")
    ran = subprocess.run(
        [sys.executable, str(job), str(made)],
        env=environment,
        cwd=made,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, "\n".join(line for line in ran.stderr.splitlines() if not line.startswith("\t"))[-3000:]
    return made


@pytest.fixture(scope="module")
def found(folder) -> dict[str, Any]:
    """What the run found."""
    findings: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return findings


@pytest.fixture(scope="module")
def expected() -> Any:
    """The same bodies converted by one call in this process."""
    return arrow.convert_batch(
        pa.table({"body": pa.array(BODIES, pa.binary()), "number": range(len(BODIES))}), carry=["number"]
    )


def test_every_record_is_there_once_though_workers_were_killed(folder, found, expected):
    """A Python worker and an executor are killed in the midst of the run, and every record is in the table once."""
    assert found["killed"] == ["executor", "worker"]
    assert found["partitions"] > 2
    assert (folder / "converted" / "_SUCCESS").exists()
    table = pq.read_table(folder / "converted").sort_by([("number", "ascending")])
    assert table.column("number").to_pylist() == expected.column("number").to_pylist()
    assert table.column("id").to_pylist() == expected.column("id").to_pylist()
    by_number = [("number", "ascending"), ("id", "ascending")]
    for name in ("usage", "choices", "error", "extra", "reject"):
        ours, theirs = (side.sort_by(by_number).column(name).to_pylist() for side in (expected, table))
        assert ours == theirs, name


def test_spark_gives_whole_completions_back(folder, expected):
    """What Spark wrote, partitioned by a carried column, gives the completions of a conversion without Spark."""
    table = pq.read_table(folder / "converted")
    assert set(table.column("day").to_pylist()) == {"2026-01-01", "2026-01-02", "2026-01-03"}

    def texts(rows: Any) -> list[str]:
        return sorted(map(repr, arrow.completions(rows)))

    assert texts(table) == texts(expected)


def test_rejects_are_a_second_output(folder, found, expected):
    """`split` parts records and rejects, and a reject has what was carried and why it was refused."""
    records, rejects = found["columns"]
    assert "reject" not in records
    assert rejects == ["number", "day", "code", "path", "offset", "reason"]
    table = pq.read_table(folder / "rejects")
    names = ["number", "code", "path", "offset", "reason"]
    _, refused = arrow.split(expected)
    assert sorted(map(str, table.select(names).to_pylist())) == sorted(map(str, refused.select(names).to_pylist()))
    assert table.num_rows > 40 * COPIES


def test_spark_adds_up_the_same(found, expected):
    """Spark reads its own table and files of ours with the counts and the sums that Python finds."""
    for name in ("nested", "flat"):
        count, tokens, _, choices = found[name]
        assert (int(count), int(tokens), int(choices)) == (200, 600, 0)
    # Nested costs are exact decimals. Flat ones are doubles, whose sum depends on the order in its last digits.
    dollars = sum(Decimal(repr(cost)) for cost in COSTS)
    assert Decimal(found["nested"][2]) == dollars
    assert float(found["flat"][2]) == pytest.approx(float(dollars), rel=1e-12)
    records, _ = arrow.split(expected)
    usage = records.column("usage")
    count, tokens, cost, choices = found["records"]
    assert int(count) == records.num_rows
    assert int(tokens) == pc.sum(pc.struct_field(usage, "total_tokens")).as_py()
    assert Decimal(cost) == pc.sum(pc.struct_field(usage, "cost")).as_py()
    assert int(choices) == pc.sum(pc.list_value_length(records.column("choices"))).as_py()


def test_the_ddl_is_that_of_the_arrow_schema(found):
    """The DDL names the types that Spark itself finds for the Arrow schema, nested and flat."""
    for made, arrows in found["schemas"]:
        assert made == arrows


def test_columns_can_be_chosen(found, expected):
    """With `columns` Spark gets only those, after what is carried; `completions_only` moves failed calls to rejects."""
    assert found["few"] == ["number", "cost", "id", "reject"]
    records, _ = arrow.split(expected)
    assert found["completions"] == records.column("error").null_count


def test_any_name_and_type_can_be_carried(found):
    """Names with dots, blanks and backticks work, and maps and timestamps go along as they were."""
    assert found["odd"] == [["x y", "tags", "at"], "dict_keys(['k'])", 0]


def test_a_wrong_call_is_refused_on_the_driver(found):
    """A column of numbers, an unknown source and a taken name are refused before any job starts."""
    number, source, taken = found["refusals"]
    assert number.startswith("TypeError: column 'number' is bigint, not text or binary")
    assert source.startswith("UnknownSourceError: no source 'nobody'")
    assert taken.startswith("ValueError: cannot carry id")


def test_without_pyspark_the_error_names_the_extra():
    """Importing the module where pyspark is missing says what to install."""
    code = "import sys; sys.modules['pyspark'] = None; import normcompletion.spark"
    ran = python("-c", code)
    assert ran.returncode == 1
    assert "pip install 'normcompletion[spark]'" in ran.stderr.strip().splitlines()[-1]
