"""What `test_spark.py` runs in a process of its own: a small Spark cluster, two of whose processes are killed.

    python tests/spark_job.py FOLDER

The folder holds `raw/*.parquet` (columns `number`, `day`, `body`), `nested.parquet` and `flat.parquet`; the tables
`converted` and `rejects` and the findings, `found.json`, are written there.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from normcompletion import spark
from normcompletion.arrow import converted_schema


def session(folder: Path) -> SparkSession:
    """Two executors, each a process with one core, as on a cluster of two machines."""
    return (
        SparkSession.builder.master("local-cluster[2,1,1024]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.local.dir", str(folder / "local"))
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .config("spark.sql.files.maxPartitionBytes", "64k")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "40")
        .getOrCreate()
    )


def executor_of(process: int) -> int:
    """The executor, a Java process, that a Python worker belongs to."""
    while "CoarseGrainedExecutorBackend" not in Path(f"/proc/{process}/cmdline").read_text():
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return process


def striking(folder: str) -> Any:
    """A step that passes batches on, and, twice in the whole run, kills: its own Python worker, then an executor."""

    def strike(batches: Iterator[Any]) -> Iterator[Any]:
        for place, batch in enumerate(batches):
            yield batch
            for victim in ("worker", "executor") if place == 1 else ():  # in the midst of a partition
                try:
                    (Path(folder) / f"{victim}.killed").touch(exist_ok=False)
                except FileExistsError:
                    continue
                os.kill(os.getpid() if victim == "worker" else executor_of(os.getpid()), signal.SIGKILL)

    return strike


def sums(frame: DataFrame, *columns: str) -> list[str]:
    """The count of rows and the sums of some expressions, as text."""
    row = frame.selectExpr("count(*)", *(f"sum({column})" for column in columns)).collect()[0]
    return [str(value) for value in row]


def refusal(call: Any) -> str:
    """The words with which a call is refused."""
    try:
        call()
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return "not refused"


def main(folder: Path) -> None:
    """Write the tables and the findings."""
    cluster = session(folder)
    raw = cluster.read.parquet(str(folder / "raw"))
    found: dict[str, Any] = {"partitions": raw.rdd.getNumPartitions()}

    struck = raw.mapInArrow(striking(str(folder)), raw.schema)
    converted = spark.normalize(struck, carry=["number", "day"])
    converted.write.partitionBy("day").parquet(str(folder / "converted"))
    found["killed"] = sorted(path.stem for path in folder.glob("*.killed"))

    records, rejects = spark.split(cluster.read.parquet(str(folder / "converted")))
    rejects.write.parquet(str(folder / "rejects"))
    found["records"] = sums(records, "usage.total_tokens", "usage.cost", "size(choices)")
    found["columns"] = [records.columns, rejects.columns]

    nested, flat = (cluster.read.parquet(str(folder / f"{name}.parquet")) for name in ("nested", "flat"))
    found["nested"] = sums(nested, "usage.total_tokens", "usage.cost", "size(choices)")
    found["flat"] = sums(flat, "total_tokens", "cost", "choice_count")

    found["schemas"] = []
    for is_flat in (False, True):
        ours = [field for field in converted_schema(flat=is_flat) if field.name != "row"]
        expected = from_arrow_schema(converted_schema(flat=is_flat).empty_table().select([f.name for f in ours]).schema)
        made = spark.normalize(raw, flat=is_flat).schema
        found["schemas"].append([made.simpleString(), expected.simpleString()])
    few = spark.normalize(raw, flat=True, columns=["cost", "id"], carry=["number"], completions_only=True)
    found["few"] = few.columns
    found["completions"] = spark.split(few)[0].count()

    odd = raw.selectExpr("body AS `a.b ``c`", "number AS `x y`", "map('k', day) AS tags", "timestamp'2026-01-02' AS at")
    odd = spark.normalize(odd, "a.b `c", carry=["x y", "tags", "at"])
    found["odd"] = [
        odd.columns[:3],
        str(odd.limit(1).collect()[0]["tags"].keys()),
        odd.where("at <> '2026-01-02'").count(),
    ]
    found["refusals"] = [
        refusal(lambda: spark.normalize(raw, "number")),
        refusal(lambda: spark.normalize(raw, source="nobody")),
        refusal(lambda: spark.normalize(raw.withColumn("id", raw.day), carry=["id"])),
    ]
    cluster.stop()
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
