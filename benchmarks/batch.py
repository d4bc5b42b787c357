"""A log of generated responses to Parquet and to JSON lines, beside what else people would use.

    python -m benchmarks.batch [--bytes 430MB] [--rounds 2] [--only WORD] [--mix MIX] [--write]
    python -m benchmarks.batch --stages [--bytes 430MB] [--rounds 2]

There are two logs: all variants and spellings of three sources as they come, and the chats in snake_case among them,
which DuckDB, the OpenAI models and the floor can read too.

Each contender is a process of its own, started in turn; what counts is the CPU time of all its processes, the wall
time, and the peak of the memory that they hold together (where /proc tells). The Parquet contenders write the same nine
columns (`COLUMNS`) with zstd level 1, and must agree on the rows and on the token sums. The ratios are to DuckDB with
one thread for Parquet, and to a loop of `orjson.loads` and `orjson.dumps` for JSON lines. The floor is `msgspec` into
hand-written Structs of those columns, which skip what they do not know: no reader that makes objects in Python, one for
each record, can take less, however little it keeps.

`--stages` says where the time of a conversion with one job goes: each stage is a process that does what the one before
it does, and one thing more.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.corpora.files import cached, parse_bytes
from benchmarks.corpora.mix import DEFAULT, parse_mix
from benchmarks.readme import DETAILS, renewed

CHATS = "openrouter/chat/snake=40,openai/chat/snake=40,atoma/chat/snake=20"
MIXES = {DEFAULT: "all variants and spellings", CHATS: "chats in snake_case"}
COLUMNS = (
    *("id", "model", "created", "finish_reason", "content", "tool_calls"),
    *("prompt_tokens", "completion_tokens", "total_tokens"),
)
BLOCK = 4 << 20
ROWS = 8192


class Cost(NamedTuple):
    """What a run took: seconds of CPU, seconds on the wall, the peak of memory in megabytes (0 where unknown)."""

    cpu: float
    wall: float
    memory: float


# -- the contenders, each in a process of its own


def duckdb_parquet(log: str, output: str, jobs: int) -> None:
    """DuckDB with an explicit schema: it projects, and looks at nothing else."""
    import duckdb

    connection = duckdb.connect(config={"threads": jobs})
    connection.execute(
        f"""
        COPY (
            SELECT id, model, created, choices[1].finish_reason AS finish_reason,
                   choices[1].message.content AS content, choices[1].message.tool_calls AS tool_calls,
                   usage.prompt_tokens AS prompt_tokens, usage.completion_tokens AS completion_tokens,
                   usage.total_tokens AS total_tokens
            FROM read_json('{log}', format='newline_delimited', maximum_object_size=16777216, columns={{
                id: 'VARCHAR', model: 'VARCHAR', created: 'VARCHAR',
                choices: 'STRUCT(finish_reason VARCHAR, message STRUCT(content VARCHAR, tool_calls JSON))[]',
                usage: 'STRUCT(prompt_tokens BIGINT, completion_tokens BIGINT, total_tokens BIGINT)'}})
        ) TO '{output}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)
        """
    )


def openai_parquet(log: str, output: str, jobs: int) -> None:  # noqa: ARG001 - it has but one
    """The same loop over the pydantic models of the `openai` client."""
    import msgspec
    from openai.types.chat import ChatCompletion

    encode = msgspec.json.Encoder().encode

    def row(line: bytes) -> tuple[Any, ...]:
        body = ChatCompletion.model_validate_json(line)
        choice, usage = body.choices[0], body.usage
        calls = choice.message.tool_calls
        tokens = (None,) * 3 if usage is None else (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
        text = None if calls is None else encode([call.model_dump() for call in calls])
        return (body.id, body.model, body.created, choice.finish_reason, choice.message.content, text, *tokens)

    _rows_to_parquet(log, output, row)


def floor_parquet(log: str, output: str, jobs: int) -> None:  # noqa: ARG001 - it has but one
    """The same loop over hand-written Structs of the nine columns."""
    import msgspec

    word, number = (str | None, None), (int | None, None)
    nulls = msgspec.Raw(b"null")
    usage_kind = msgspec.defstruct("Usage", [(name, *number) for name in COLUMNS[-3:]])
    message = msgspec.defstruct("Message", [("content", Any, None), ("tool_calls", msgspec.Raw, nulls)])
    choice = msgspec.defstruct("Choice", [("message", message), ("finish_reason", *word)])
    members = [("choices", list[choice]), ("id", *word), ("model", *word), ("created", *number)]
    decode = msgspec.json.Decoder(msgspec.defstruct("Body", [*members, ("usage", usage_kind | None, None)])).decode
    nothing = usage_kind()

    def row(line: bytes) -> tuple[Any, ...]:
        body = decode(line)
        first, usage = body.choices[0], body.usage or nothing
        content, calls = first.message.content, first.message.tool_calls
        return (
            body.id,
            body.model,
            body.created,
            first.finish_reason,
            content if isinstance(content, str) else None,
            None if calls == nulls else bytes(calls).decode(),
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.total_tokens,
        )

    _rows_to_parquet(log, output, row)


def _rows_to_parquet(log: str, output: str, row: Callable[[bytes], tuple[Any, ...]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    gc.disable()
    text, number = pa.string(), pa.int64()
    kinds = (text, text, number, text, text, text, number, number, number)
    schema = pa.schema(list(zip(COLUMNS, kinds, strict=True)))
    blank = (None,) * len(COLUMNS)
    with parquet.ParquetWriter(output, schema, compression="zstd", compression_level=1) as writer:
        for lines in _blocks(log):
            rows = []
            for line in lines:
                try:
                    rows.append(row(line))
                except ValueError:  # what it refuses
                    rows.append(blank)
            for start in range(0, len(rows), ROWS):
                columns = zip(*rows[start : start + ROWS], strict=True)
                arrays = [pa.array(list(column), kind) for column, kind in zip(columns, kinds, strict=True)]
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def _blocks(log: str) -> Iterator[list[bytes]]:
    with Path(log).open("rb") as stream:
        while lines := stream.readlines(BLOCK):
            yield lines


def ours_parquet(log: str, output: str, jobs: int) -> None:
    """`convert` with the same columns."""
    from normcompletion.batch import convert

    convert(log, output, jobs=jobs, **LAYOUTS["parquet"])


def ours_nested(log: str, output: str, jobs: int) -> None:
    """`convert` as it is by default: everything."""
    from normcompletion.batch import convert

    convert(log, output, jobs=jobs)


def orjson_lines(log: str, output: str, jobs: int) -> None:  # noqa: ARG001 - it has but one
    """Nothing but reading and writing: `orjson.loads` and `orjson.dumps` of each line."""
    import orjson

    gc.disable()
    with Path(output).open("wb") as target:
        target.writelines(orjson.dumps(orjson.loads(line)) + b"\n" for lines in _blocks(log) for line in lines)


def ours_lines(log: str, output: str, jobs: int) -> None:
    """`convert` to canonical JSON lines."""
    from normcompletion.batch import convert

    convert(log, output, jobs=jobs)


# -- the stages of a conversion, each with all before it

LAYOUTS: dict[str, dict[str, Any]] = {"parquet": {"layout": "flat", "columns": COLUMNS}, "jsonl": {}}


def start(log: str, layout: str) -> None:  # noqa: ARG001 - it reads nothing
    """Start Python, and import what the conversion needs."""
    import_module("normcompletion.batch")
    if layout == "parquet":
        import_module("normcompletion.arrow")
        import_module("pyarrow.parquet")


def read(log: str, layout: str) -> None:
    """Read the file and cut it into lines."""
    from normcompletion.batch.conversion import units

    start(log, layout)
    for task in _tasks(log, layout):
        for block in task:
            for _ in units(block, BLOCK):
                pass


def count(log: str, layout: str) -> None:
    """Make completions, count what the report says of them, and drop them."""
    from normcompletion.batch.conversion import Conversion, Found

    start(log, layout)
    convert = Conversion(_options(layout))
    for task in _tasks(log, layout):
        found = Found()
        for _ in convert.pieces(task, found):
            found.drop_records()


def build(log: str, layout: str) -> None:
    """Make canonical lines or rows of them, and drop these."""
    from normcompletion.batch.written import Converter

    start(log, layout)
    convert = Converter(_options(layout))
    for task in _tasks(log, layout):
        convert(task)


def _options(layout: str) -> Any:
    """What `convert` would be asked to do."""
    from normcompletion.batch.options import Options

    return Options(**LAYOUTS[layout]).for_output(f"canonical.{layout}")


def _tasks(log: str, layout: str) -> Iterator[list[Any]]:
    """The log in the pieces that `convert` makes of it."""
    from normcompletion.batch import Listener, expand
    from normcompletion.batch.engine import Reader

    gc.disable()
    for task in Reader(expand([log]), _options(layout), Listener()).tasks():
        yield task.blocks


STAGES = {
    "start Python, import": start,
    "read, cut into lines": read,
    "normalize, count": count,
    "columns, or JSON text": build,
}


class Contender(NamedTuple):
    """A function, its name in the table, how many processors it uses, what its output is called, what it needs.

    Those for chats only do not know the words of the other variants and spellings.
    """

    run: Callable[[str, str, int], None]
    label: str
    jobs: int
    suffix: str
    needs: str | None = None
    chats_only: bool = False


CONTENDERS = {
    "duckdb-1": Contender(duckdb_parquet, "DuckDB, 1 thread", 1, ".parquet", "duckdb", chats_only=True),
    "duckdb-2": Contender(duckdb_parquet, "DuckDB, 2 threads", 2, ".parquet", "duckdb", chats_only=True),
    "parquet-1": Contender(ours_parquet, "normcompletion, 1 job", 1, ".parquet", "pyarrow"),
    "parquet-2": Contender(ours_parquet, "normcompletion, 2 jobs", 2, ".parquet", "pyarrow"),
    "nested-1": Contender(ours_nested, "normcompletion, everything, 1 job", 1, ".parquet", "pyarrow"),
    "nested-2": Contender(ours_nested, "normcompletion, everything, 2 jobs", 2, ".parquet", "pyarrow"),
    "floor": Contender(floor_parquet, "floor: msgspec, pyarrow", 1, ".parquet", "pyarrow", chats_only=True),
    "openai": Contender(openai_parquet, "openai models, pyarrow", 1, ".parquet", "openai", chats_only=True),
    "orjson": Contender(orjson_lines, "orjson.loads, orjson.dumps", 1, ".jsonl"),
    "lines-1": Contender(ours_lines, "normcompletion, 1 job", 1, ".jsonl"),
    "lines-2": Contender(ours_lines, "normcompletion, 2 jobs", 2, ".jsonl"),
}

# -- the runner


def measure(name: str, log: Path, output: Path) -> Cost:
    """Run a contender."""
    output.unlink(missing_ok=True)
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.batch", "--run", name, str(log), str(output)])
    peak = [0.0]
    watch = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
    watch.start()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{name} failed; its message is above")
    watch.join()
    return Cost(used.ru_utime + used.ru_stime, wall, peak[0])


def _watch(root: int, peak: list[float]) -> None:
    """Keep the highest sum of the resident memory of a process and its children, in megabytes."""
    while True:
        total = sum(map(_resident, _family(root)))
        if not total:
            return
        peak[0] = max(peak[0], total / 1e6)
        time.sleep(0.05)  # to ask costs milliseconds


def _family(root: int) -> list[int]:
    found = [root]
    for process in found:
        try:
            for children in Path(f"/proc/{process}/task").glob("*/children"):
                found += map(int, children.read_text().split())
        except OSError:
            continue
    return found


def _resident(process: int) -> int:
    """The bytes of memory that a process holds, its part of what it shares (libraries above all) included."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def totals(output: Path) -> tuple[int, int, int]:
    """Rows, and the sums of the prompt and completion tokens, of what was written."""
    import pyarrow.compute as pc
    from pyarrow import parquet

    table = parquet.read_table(output)
    usage = table
    if "usage" in table.column_names:
        usage = table.select(["usage"]).flatten().rename_columns([f.name for f in table.schema.field("usage").type])
    prompt, completion = (pc.sum(usage.column(name)).as_py() for name in ("prompt_tokens", "completion_tokens"))
    return table.num_rows, prompt, completion


def main() -> None:
    """Make the logs, run the contenders in turn, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__.split("\n")[0])
    parser.add_argument("--bytes", type=parse_bytes, default=parse_bytes("430MB"))
    parser.add_argument("--mix", help="one log of this mix, in place of the two")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", help="only contenders with this in their names")
    parser.add_argument("--stages", action="store_true", help="where the time of a conversion goes")
    parser.add_argument("--write", action="store_true", help="write the tables into benchmarks/README.md too")
    parser.add_argument("--run", nargs=3, metavar=("NAME", "LOG", "OUTPUT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        name, log, output = given.run
        if name in CONTENDERS:
            CONTENDERS[name].run(log, output, CONTENDERS[name].jobs)
        else:
            stage, layout = name.split(":")
            STAGES[stage](log, layout)
        return
    tables = []
    for mix in [given.mix] if given.mix else [CHATS] if given.stages else MIXES:
        path = cached(parse_mix(mix), seed=1, count=None, size=given.bytes, jobs=os.cpu_count() or 1)
        if given.stages:
            stages(path, given.rounds)
            continue
        chosen = {name: each for name, each in CONTENDERS.items() if given.only in name and _is_there(each)}
        if mix != CHATS:
            chosen = {name: each for name, each in chosen.items() if not each.chats_only}
        title = f"{MIXES.get(mix, mix)}, {path.stat().st_size / 1e6:.0f} MB"
        tables.append(table(title, path, compared(path, chosen, given.rounds)))
        print(tables[-1])
    if given.write:
        text = "\n\n".join([*tables, f"{versions()}; {given.rounds} rounds."]) + "\n"
        DETAILS.write_text(renewed(DETAILS.read_text("utf-8"), "batch", text), "utf-8")


def compared(path: Path, chosen: dict[str, Contender], rounds: int) -> dict[str, Cost]:
    """The best of what each contender took; ends the program where they disagree on rows and tokens."""
    best: dict[str, Cost] = {}
    found: dict[str, tuple[int, int, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name, contender in chosen.items():
                output = Path(folder) / f"out{contender.suffix}"
                cost = measure(name, path, output)
                before = best.get(name, cost)
                best[name] = Cost(
                    min(cost.cpu, before.cpu), min(cost.wall, before.wall), max(cost.memory, before.memory)
                )
                if contender.suffix == ".parquet" and name != "openai":
                    found[name] = totals(output)
    if len(set(found.values())) > 1:
        raise SystemExit(f"the contenders disagree on rows and tokens: {found}")
    return best


def table(title: str, path: Path, best: dict[str, Cost]) -> str:
    """What the contenders took, beside DuckDB or the `orjson` loop."""
    lines = [f"| {title} | writes | CPU s | wall s | MB/s | memory MB | CPU | wall |", "|" + " --- |" * 8]
    for name, cost in best.items():
        contender = CONTENDERS[name]
        base = best.get("duckdb-1" if contender.suffix == ".parquet" else "orjson")
        beside = ["", ""] if base is None else [f"{cost.cpu / base.cpu:.2f}", f"{cost.wall / base.wall:.2f}"]
        rate = path.stat().st_size / 1e6 / cost.wall
        cells = [f"{cost.cpu:.2f}", f"{cost.wall:.2f}", f"{rate:.0f}", f"{cost.memory:.0f}", *beside]
        lines.append(f"| {contender.label} | {contender.suffix[1:]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def stages(path: Path, rounds: int) -> None:
    """Run the stages in turn, print what each adds, and what it all is beside DuckDB and the `orjson` loop."""
    runs = [f"{stage}:{layout}" for stage in STAGES for layout in LAYOUTS]
    best = dict.fromkeys([*runs, "parquet-1", "lines-1", "duckdb-1", "orjson"], float("inf"))
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name in best:
                output = Path(folder) / f"out{CONTENDERS[name].suffix if name in CONTENDERS else ''}"
                best[name] = min(best[name], measure(name, path, output).cpu)
    print(f"{path.stat().st_size / 1e6:.0f} MB, one job, CPU seconds; {versions()}")
    print(f"{'':32}{'parquet':>10}{'jsonl':>10}")
    before = [0.0, 0.0]
    for stage, so_far in [
        *((stage, [best[f"{stage}:{layout}"] for layout in LAYOUTS]) for stage in STAGES),
        ("compress, write", [best["parquet-1"], best["lines-1"]]),
    ]:
        print(f"{stage:32}" + "".join(f"{now - then:10.2f}" for now, then in zip(so_far, before, strict=True)))
        before = so_far
    print(f"{'all of it':32}" + "".join(f"{seconds:10.2f}" for seconds in before))
    print(f"{'DuckDB; the orjson loop':32}{best['duckdb-1']:10.2f}{best['orjson']:10.2f}")


def _is_there(contender: Contender) -> bool:
    try:
        return contender.needs is None or bool(importlib.metadata.version(contender.needs))
    except importlib.metadata.PackageNotFoundError:
        print(f"{contender.label}: left out, {contender.needs} is not installed")
        return False


def versions() -> str:
    """What was measured, and on what."""
    names = ("normcompletion", "msgspec", "orjson", "pyarrow", "duckdb", "openai")
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return f"Python {platform.python_version()}, " + ", ".join(found)


if __name__ == "__main__":
    main()
