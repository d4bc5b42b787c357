"""One run, and the Python API on it: the same output for any number of jobs, and wherever it was stopped."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import random
import signal
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from normcompletion import Completion, arrow
from normcompletion.batch import (
    BudgetError,
    Converting,
    IncompleteInput,
    IncompleteInputError,
    Interrupted,
    Listener,
    OutputRefusedError,
    Reject,
    RejectError,
    Report,
    Signals,
    Survey,
    SurveyError,
    UsageError,
    WorkerError,
    convert,
    engine,
    iter_records,
    survey,
    workers,
)
from normcompletion.batch.options import Options
from normcompletion.envelopes.options import Envelopes
from tests.conftest import contents, json_lines, slow

BROKEN = b'{"choices":['
BLOCK = 700  # bytes, so that a small log has many blocks


def body(number: int) -> bytes:
    """One line of a log: mostly chats, some of them with vendor keys, failed calls, pages, blank and broken lines."""
    match number % 13:
        case 3:
            return BROKEN
        case 5:
            return b""
        case 7:
            return b'{"error":{"message":"busy","code":%d}}' % (500 + number % 3)
        case 11:
            return b'{"data":[{"organization_id":"o","response":%b},{"organization_id":"o","response":7}]}' % chat(
                number
            )
    return chat(number)


def chat(number: int) -> bytes:
    more: dict[str, Any] = {"vendor": number} if number % 4 == 0 else {}
    message = {"role": "assistant", "content": "é" * (number % 50)}
    usage = {"prompt_tokens": number, "completion_tokens": 1, "total_tokens": number + 1, "cost": number / 1000}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({"id": f"c-{number}", "choices": [choice], "usage": usage, **more}).encode()


LOGS = {
    "a.jsonl": b"\n".join(map(body, range(100))) + b"\n",
    "b.jsonl.gz": gzip.compress(b"\n".join(map(body, range(100, 160)))),
    "c.json": b"[" + b",\n".join(map(chat, range(160, 170))) + b"]",
    "d.jsonl": b"\xef\xbb\xbf" + b"\r\n".join(map(body, range(170, 190))) + b"\r\n",
    "e.jsonl": b"",
    "f.json": chat(190),
}


@pytest.fixture
def logs(tmp_path, monkeypatch) -> Path:
    """A folder of logs of every kind; they are cut into small blocks, and compressed outputs into small frames."""
    monkeypatch.setattr(engine, "BLOCK_BYTES", BLOCK)
    monkeypatch.setattr("normcompletion.batch.outputs.text.FRAME_BYTES", 20 * BLOCK)
    folder = tmp_path / "logs"
    folder.mkdir()
    for name, data in LOGS.items():
        (folder / name).write_bytes(data)
    return folder


class StopAt(Signals):
    """A signal that comes when it is looked for so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def check(self) -> None:
        self.times -= 1
        if self.times < 0:
            raise Interrupted(signal.SIGTERM)


OUTPUTS: dict[str, dict[str, Any]] = {
    "out.jsonl": {},
    "out.jsonl.gz": {},
    "out.jsonl.zst": {},
    "out.parquet": {},
    "flat.parquet": {"layout": "flat"},
    "columns.parquet": {"layout": "flat", "columns": ("total_tokens", "id", "content")},
    "parts/": {"rows_per_part": 40},
}


def run(logs: Path, name: str, folder: Path, **options: Any) -> Report:
    """Convert the logs into a folder, with everything a run can write."""
    folder.mkdir(exist_ok=True)
    written = {"rejects": folder / "rejects.jsonl", "report": folder / "report.json"}
    return convert(logs, f"{folder}/{name}", **written, **OUTPUTS[name], **options)


QUICK = ["parts/"]


@pytest.mark.parametrize("name", QUICK + slow(*(name for name in OUTPUTS if name not in QUICK)))
def test_the_number_of_jobs_changes_nothing(logs, tmp_path, name):
    """Output, rejects and report are the same bytes with one process and with two."""
    reports = [run(logs, name, tmp_path / f"{jobs}", jobs=jobs) for jobs in (1, 2)]
    assert reports[0] == reports[1]
    one, two = (contents(tmp_path / f"{jobs}") for jobs in (1, 2))
    assert one == two
    assert json.loads(one["report.json"]) == reports[0].to_builtins()
    assert not [path for path in one if "partial" in path or "checkpoint" in path]


def test_the_size_of_blocks_changes_nothing(logs, tmp_path, monkeypatch):
    """Whether a file is cut in many blocks or stays whole, the output is the same."""
    run(logs, "out.jsonl", tmp_path / "small")
    monkeypatch.setattr(engine, "BLOCK_BYTES", 1 << 20)
    run(logs, "out.jsonl", tmp_path / "large")
    assert contents(tmp_path / "small") == contents(tmp_path / "large")


def test_nothing_is_lost(logs, tmp_path):
    """Every unit is converted, rejected or blank, in the order of the inputs, and every reject says where it is."""
    report = run(logs, "out.jsonl", tmp_path / "out")
    assert report.units == 100 + 60 + 10 + 20 + 1 == report.converted + report.rejected + report.blank
    rows = json_lines(tmp_path / "out" / "out.jsonl")
    assert len(rows) == report.records
    numbers = [int(row["id"][2:]) for row in rows if row["id"]]
    in_lines = (0, *range(160), *range(170, 190))
    assert numbers == [at for at in range(191) if at not in in_lines or body(at) == chat(at) or at % 13 == 11]
    assert sum(row["usage"]["total_tokens"] for row in rows if row["usage"]) == report.total_tokens
    rejects = json_lines(tmp_path / "out" / "rejects.jsonl")
    assert len(rejects) == report.rejects.total()
    texts = {**LOGS, "b.jsonl.gz": gzip.decompress(LOGS["b.jsonl.gz"])}
    for reject in rejects:
        data = texts[Path(reject["source"]).name]
        unit = data[reject["offset"] : reject["offset"] + reject["length"]]
        assert unit.strip().startswith(BROKEN if reject["code"] == "truncated" else b'{"data":[')
        assert data[: reject["offset"]].count(b"\n") == reject["line"] - 1
        assert unit.rstrip(b"\n") == data.split(b"\n")[reject["line"] - 1]


@pytest.mark.parametrize(
    ("name", "jobs"),
    [
        ("out.jsonl.gz", 2),
        *slow(("out.jsonl", 1), ("out.jsonl", 2), ("out.jsonl.gz", 1), ("parts/", 1), ("parts/", 2)),
    ],
)
def test_a_run_that_is_stopped_again_and_again_gives_the_same(logs, tmp_path, name, jobs):
    """Stopped after every few tasks and resumed each time, with one more or fewer jobs, a run writes the same bytes."""
    run(logs, name, tmp_path / "whole", checkpoint_every=BLOCK)
    chance = random.Random(f"{name} {jobs}")
    for _ in range(200):
        signals = StopAt(chance.randrange(2, 20) * jobs)
        try:
            run(logs, name, tmp_path / "cut", resume=True, jobs=jobs, checkpoint_every=BLOCK, signals=signals)
        except Interrupted as stop:
            assert stop.signal == signal.SIGTERM
            assert not (tmp_path / "cut" / name).exists()
            jobs = 3 - jobs
        else:
            break
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_what_cannot_be_resumed_leaves_nothing(logs, tmp_path):
    """A single Parquet file starts over, so that nothing of it is left when the run is stopped."""
    with pytest.raises(Interrupted):
        run(logs, "out.parquet", tmp_path / "out", signals=StopAt(9))
    assert contents(tmp_path / "out") == {}


def stopped(logs: Path, folder: Path, **options: Any) -> None:
    """A run that is stopped on its way, and can be resumed."""
    with pytest.raises(Interrupted) as stop:
        run(logs, "out.jsonl", folder, signals=StopAt(20), checkpoint_every=BLOCK, **options)
    assert "--resume" in stop.value.__notes__[0]


def test_resuming_needs_the_same_call_and_inputs(logs, tmp_path):
    """A run is resumed only with the options and the inputs with which it began, and otherwise says what differs."""
    out = tmp_path / "out"
    stopped(logs, out)
    kept = contents(out)
    for options in ({"strict": True}, {"source": "openai"}, {"max_record_bytes": 9}, {"envelope": "bare"}):
        with pytest.raises(OutputRefusedError, match="cannot resume"):
            run(logs, "out.jsonl", out, resume=True, checkpoint_every=BLOCK, **options)
    with (logs / "a.jsonl").open("ab") as log:
        log.write(chat(7) + b"\n")
    with pytest.raises(OutputRefusedError, match=r"a\.jsonl had"):
        run(logs, "out.jsonl", out, resume=True, checkpoint_every=BLOCK)
    assert contents(out) == kept


def test_nothing_to_resume_is_a_beginning(logs, tmp_path):
    """With `resume` and no checkpoint, a run begins at the beginning, and says so."""
    heard = Heard()
    run(logs, "out.jsonl", tmp_path / "out", resume=True, listener=heard)
    run(logs, "out.jsonl", tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert "nothing to resume" in heard.notices[0]


def test_a_single_parquet_file_is_written_from_the_beginning(logs, tmp_path):
    """Who resumes a run that writes one Parquet file is answered with the folder that could be resumed."""
    heard = Heard()
    run(logs, "out.parquet", tmp_path / "out", resume=True, listener=heard)
    assert "can be resumed: -o " in heard.notices[0]


def test_a_file_with_a_wrong_name_is_read_with_a_notice(tmp_path):
    """A plain log that is called `.gz` is converted, and the listener is called with what it is."""
    (tmp_path / "a.jsonl.gz").write_bytes(chat(1))
    heard = Heard()
    assert convert(tmp_path, tmp_path / "out.jsonl", listener=heard).records == 1
    assert "a.jsonl.gz" in heard.notices[0]


class Heard(Listener):
    """Remembers what a run says."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.rejects: list[Reject] = []
        self.consumed: list[int] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def reject(self, reject: Reject) -> None:
        self.rejects.append(reject)

    def progress(self, consumed: int, report: Report) -> None:
        self.consumed.append(consumed)


@pytest.mark.parametrize("jobs", [1, *slow(2)])
def test_a_listener_is_called_with_everything(logs, tmp_path, jobs):
    """The listener gets each reject in order, and progress in bytes on disk up to the size of all inputs."""
    heard = Heard()
    report = run(logs, "out.jsonl", tmp_path / "out", listener=heard, jobs=jobs)
    assert b"".join(reject.to_json() for reject in heard.rejects) == (tmp_path / "out" / "rejects.jsonl").read_bytes()
    assert len(heard.rejects) == report.rejects.total()
    assert heard.consumed == sorted(heard.consumed)
    assert heard.consumed[-1] == sum(map(len, LOGS.values()))


def test_progress_counts_on_when_resumed(logs, tmp_path):
    """A resumed run reports progress in all bytes, those that the first run has read included."""
    stopped(logs, tmp_path / "out")
    heard = Heard()
    run(logs, "out.jsonl", tmp_path / "out", listener=heard, resume=True, checkpoint_every=BLOCK)
    assert heard.consumed[0] > BLOCK
    assert heard.consumed[-1] == sum(map(len, LOGS.values()))


@pytest.mark.parametrize("limit", [0, 1, 99, 100, 107, 171, 5000])
def test_a_limit_is_the_first_units(logs, tmp_path, limit):
    """With a limit, the first units are read and no more, whatever the number of jobs."""
    whole = run(logs, "out.jsonl", tmp_path / "whole")
    report = run(logs, "out.jsonl", tmp_path / "out", limit=limit, jobs=3)
    assert report.units == min(limit, whole.units)
    assert (tmp_path / "whole" / "out.jsonl").read_bytes().startswith((tmp_path / "out" / "out.jsonl").read_bytes())


def test_options_are_those_of_a_run():
    """Every option that a caller can give has its member in the object that workers get, or is around the responses."""
    given = Converting.__annotations__.keys()
    members = {field.name for field in fields(Options)} - {"envelopes", "breakdown"}
    around = {field.name for field in fields(Envelopes)} - {"encoding", "fields"} | {"body_encoding", "envelope_fields"}
    assert members | around == given


def test_an_option_that_is_not_known_is_refused(logs):
    """A mistyped option, and one of another function, raise a TypeError that names what was meant."""
    with pytest.raises(TypeError, match="no option 'souce'; did you mean 'source'"):
        convert(logs, "-", souce="openai")
    with pytest.raises(TypeError, match="no option 'rejects'"):
        survey(logs, rejects="a.jsonl")


def test_a_dry_run_writes_nothing(logs, tmp_path):
    """A dry run gives the report of the real one, and leaves no file."""
    report = run(logs, "out.jsonl", tmp_path / "dry", dry_run=True)
    assert contents(tmp_path / "dry") == {}
    assert report == run(logs, "out.jsonl", tmp_path / "out")


@pytest.mark.parametrize("jobs", [1, *slow(2)])
def test_too_many_rejects_stop_a_run(logs, tmp_path, jobs):
    """More rejects than allowed end the run without an output, and what was refused can be looked at."""
    out = tmp_path / "out"
    with pytest.raises(BudgetError, match="5 of") as stop:
        run(logs, "out.jsonl", out, max_errors=4, jobs=jobs)
    assert not (out / "out.jsonl").exists()
    notes = " ".join(stop.value.__notes__)
    assert "rejects.jsonl.partial" in notes
    assert (out / "rejects.jsonl.partial").read_bytes().count(b"\n") >= 5
    # Who then allows more goes on from there.
    run(logs, "out.jsonl", out, max_errors=400, resume=True, jobs=jobs)
    run(logs, "out.jsonl", tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")


def test_a_rate_is_judged_over_enough_units(logs, tmp_path, monkeypatch):
    """A share of rejects is counted from 1,000 units on, and in the end over all there are."""
    total = run(logs, "out.jsonl", tmp_path / "whole")
    rate = total.rejected / total.units
    run(logs, "out.jsonl", tmp_path / "same", max_error_rate=rate)
    with pytest.raises(BudgetError, match=f"of {total.units} units"):
        run(logs, "out.jsonl", tmp_path / "less", max_error_rate=rate * 0.99)
    monkeypatch.setattr("normcompletion.batch.run.RATE_UNITS", 10)
    with pytest.raises(BudgetError) as stop:
        run(logs, "out.jsonl", tmp_path / "soon", max_error_rate=0.01)
    assert f"of {total.units} units" not in str(stop.value)


@pytest.mark.parametrize("jobs", [1, *slow(2)])
def test_an_archive_that_breaks_off_is_no_success(logs, tmp_path, jobs):
    """A truncated archive ends the run with an error; all that could be read of all inputs is in the partial output."""
    run(logs, "out.jsonl", tmp_path / "whole")
    (logs / "b.jsonl.gz").write_bytes(LOGS["b.jsonl.gz"][:-9])
    with pytest.raises(IncompleteInputError) as broken:
        run(logs, "out.jsonl", tmp_path / "out", jobs=jobs)
    assert [each.name for each in broken.value.broken] == [str(logs / "b.jsonl.gz")]
    assert "out.jsonl.partial" in broken.value.__notes__[0]
    whole = (tmp_path / "whole" / "out.jsonl").read_bytes().splitlines()
    kept = (tmp_path / "out" / "out.jsonl.partial").read_bytes().splitlines()
    assert kept[: len(kept) - 5] == whole[: len(kept) - 5]
    assert set(kept) <= set(whole)
    assert kept[-1] == whole[-1]
    assert sorted(contents(tmp_path / "out")) == ["out.jsonl.partial", "rejects.jsonl.partial", "report.json.partial"]


def test_a_break_is_remembered_by_a_resumed_run(logs, tmp_path):
    """A run that is stopped behind an input that breaks off still ends with an error when it is resumed."""
    (logs / "b.jsonl.gz").write_bytes(LOGS["b.jsonl.gz"][:-9])
    out = tmp_path / "out"
    times = 2
    while True:
        try:
            run(logs, "out.jsonl", out, resume=True, checkpoint_every=1, signals=StopAt(times))
        except Interrupted:
            times += 1
        except IncompleteInputError as broken:
            assert [each.name for each in broken.broken] == [str(logs / "b.jsonl.gz")]
            break
    assert (out / "out.jsonl.partial").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_worker_is_reported(logs, tmp_path):
    """When a worker process is killed the run ends with an error that says so, and leaves no process."""
    pids = []
    before = children()  # a pool that another test has started may keep a helper

    class Killing(Heard):
        def progress(self, consumed: int, report: Report) -> None:
            if not pids:
                pids.extend(pid for pid in children() if pid not in before)
                if not pids:
                    pytest.skip("this system does not list processes in /proc")
                os.kill(pids[0], signal.SIGKILL)

    with pytest.raises(WorkerError, match="ended by itself"):
        run(logs, "out.jsonl", tmp_path / "out", jobs=2, listener=Killing())
    run(logs, "out.jsonl", tmp_path / "out", resume=True)
    run(logs, "out.jsonl", tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


class Faulty:
    """A converter that ends its process, or fails in it."""

    def __init__(self, what: str) -> None:
        if what == "exit":
            os._exit(9)

    def __call__(self, task: object) -> object:
        raise ZeroDivisionError(f"no way with {task}")


def test_a_worker_that_does_not_start_or_fails_is_an_error():
    """A worker that ends at once, and one that fails, each give an error that says so, for every task."""
    with workers.Workers(1, Faulty, "exit") as others:
        for _ in range(3):
            with pytest.raises(WorkerError, match="ended by itself; if memory ran out, use fewer --jobs"):
                others.result(others.submit(1))
    with (
        workers.Workers(2, Faulty, "fail") as others,
        pytest.raises(WorkerError, match="ZeroDivisionError: no way with 1"),
    ):
        others.result(others.submit(1))


def test_large_tasks_and_results_pass(tmp_path):
    """Tasks and results larger than a pipe come through, whatever their order."""
    with workers.Workers(2, Echo, None) as others:
        sizes = [1 << 20, 5, 1 << 20, 1 << 16, 7, 1 << 18] * 2
        futures = [others.submit(b"x" * size) for size in sizes]
        assert [len(others.result(future)) for future in futures] == sizes


class Echo:
    """A converter that gives back what it gets."""

    def __init__(self, _: object) -> None:
        pass

    def __call__(self, task: bytes) -> bytes:
        return task


def children() -> list[int]:
    """The workers of this process that still run; none where the system does not list them in /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        command = (folder / "cmdline").read_bytes() if fields[0] != "Z" else b""
        if int(fields[1]) == os.getpid() and command and b"resource_tracker" not in command:
            found.append(int(folder.name))
    return found


@pytest.mark.slow
def test_no_process_is_left(logs, tmp_path):
    """Whether a run succeeds, fails or is stopped, its worker processes are gone when it returns."""
    before = set(children())
    run(logs, "out.jsonl", tmp_path / "1", jobs=2)
    with pytest.raises(BudgetError):
        run(logs, "out.jsonl", tmp_path / "2", jobs=2, max_errors=0)
    with pytest.raises(Interrupted):
        run(logs, "out.jsonl", tmp_path / "3", jobs=2, signals=StopAt(9))
    assert set(children()) <= before


USAGE: dict[str, dict[str, Any]] = {
    "Parquet to standard output": {"output": "-", "to": "parquet"},
    "JSON lines into a folder": {"output": "out/", "to": "jsonl"},
    "parts of JSON lines": {"to": "jsonl", "rows_per_part": 5},
    "flat JSON lines": {"layout": "flat"},
    "columns of JSON lines": {"columns": ["id"]},
    "no columns": {"output": "out.parquet", "columns": []},
    "what goes along without its column": {"output": "out.parquet", "columns": ["id"], "carry": {"n": "/n"}},
    "resuming what goes to standard output": {"output": "-", "resume": True},
    "no jobs": {"jobs": -1},
    "a negative limit": {"limit": -1},
    "parts of no rows": {"output": "out/", "rows_per_part": 0},
    "no checkpoints": {"checkpoint_every": 0},
    "a rate of percents": {"max_error_rate": 5},
    "an unknown envelope": {"envelope": "x"},
    "a body that is no pointer": {"body": "response"},
    "an encoding without a body": {"body_encoding": "sse"},
}


@pytest.mark.parametrize("options", USAGE.values(), ids=USAGE)
def test_a_call_that_does_not_fit_together_is_refused(logs, tmp_path, options, monkeypatch):
    """A call that contradicts itself is refused before anything is read or written."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        convert(logs, **{"output": "out.jsonl", **options})
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


@pytest.mark.parametrize("layout", ["nested", "flat"])
def test_columns_are_those_of_the_whole_output(logs, tmp_path, layout):
    """With `columns` the output has these alone, in the order given, with the values that they have among others."""
    wanted = ["created", "id", "carried", "extra"]
    whole, some = tmp_path / "whole.parquet", tmp_path / "some.parquet"
    every = [*arrow.schema(flat=layout == "flat").names, *["extra"] * (layout == "flat")]
    convert(logs, whole, layout=layout, carry={"n": "/n"}, columns=every)
    convert(logs, some, layout=layout, carry={"n": "/n"}, columns=wanted)
    found = parquet.read_table(some)
    assert found.column_names == wanted
    assert found.equals(parquet.read_table(whole).select(wanted), check_metadata=True)


def test_unknown_columns_are_refused_with_their_names(logs, tmp_path):
    """A column that the layout does not have is named, with those that it has, before anything is written."""
    with pytest.raises(UsageError, match=r"no columns contents; .*choose from id, source, .*choices"):
        convert(logs, tmp_path / "out.parquet", columns=["id", "contents"])
    with pytest.raises(UsageError, match=r"no columns content; .*choose from id"):
        convert(logs, tmp_path / "out.parquet", columns=["id", "content"], layout="nested")
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_a_column_of_the_flat_layout_implies_it(logs, tmp_path):
    """`columns` with a name that only the flat layout has gives that layout; others give the nested one."""
    for number, columns in enumerate((["id", "model", "content"], ["id", "choices"], ["id", "_line"])):
        path = tmp_path / f"{number}.parquet"
        convert(logs, path, columns=columns)
        assert parquet.read_schema(path).names == columns


@pytest.mark.parametrize("name", ["a.parq", "a.jsonl.bz2", "a.txt"])
def test_an_unknown_extension_is_refused(logs, tmp_path, name):
    """An output whose name does not say what is written is refused with those that do, unless `to` says it."""
    with pytest.raises(UsageError, match=r"the extension of .* is not known; use \.jsonl, .*\.parquet, or say --to"):
        convert(logs, tmp_path / name)
    assert convert(logs, tmp_path / name, to="jsonl").records
    assert convert(logs, tmp_path / "none", overwrite=True).records


def test_what_is_there_is_not_replaced_unasked(logs, tmp_path):
    """An output that exists is replaced only on request, and an input never."""
    out = tmp_path / "out"
    run(logs, "out.jsonl", out)
    kept = contents(out)
    with pytest.raises(OutputRefusedError, match="--overwrite"):
        run(logs, "out.jsonl", out)
    with pytest.raises(OutputRefusedError, match="is an input"):
        convert(logs, logs / "a.jsonl", overwrite=True)
    assert contents(out) == kept
    assert contents(logs) == LOGS
    run(logs, "out.jsonl", out, overwrite=True)
    assert contents(out) == kept


# -- one by one


def test_records_come_lazily_and_in_order(logs, tmp_path):
    """`iter_records` gives the records of `convert`, and with `on_error="yield"` the rejects in their places."""
    run(logs, "out.jsonl", tmp_path / "out", rejects_raw=True)
    items = list(iter_records(logs, on_error="yield"))
    rejects = [item for item in items if isinstance(item, Reject)]
    completions = [item for item in items if isinstance(item, Completion)]
    assert b"".join(reject.to_json() for reject in rejects) == (tmp_path / "out" / "rejects.jsonl").read_bytes()
    rows = (tmp_path / "out" / "out.jsonl").read_bytes().splitlines()
    assert [item.id for item in completions] == [json.loads(row)["id"] for row in rows]
    places = [-1 if isinstance(item, Reject) else item.id for item in items[:12]]
    assert places == ["c-0", "c-1", "c-2", -1, "c-4", "c-6", None, "c-8", "c-9", "c-10", "c-11", -1]
    first = iter_records([logs, tmp_path / "out" / "out.jsonl"])
    assert next(first).id == "c-0"


def test_a_refused_unit_is_an_error_in_its_place(logs):
    """By default `iter_records` raises at the first refused unit, with the reject."""
    records = iter_records(logs)
    assert [next(records).id for _ in range(3)] == ["c-0", "c-1", "c-2"]
    with pytest.raises(RejectError) as error:
        next(records)
    assert (error.value.reject.line, error.value.code, error.value.reject.raw) == (4, "truncated", BROKEN)
    assert pickle.loads(pickle.dumps(error.value)).reject == error.value.reject


def test_iterating_gives_all_before_a_break(logs):
    """`iter_records` raises `IncompleteInput` after everything that could be read."""
    (logs / "b.jsonl.gz").write_bytes(LOGS["b.jsonl.gz"][:-9])
    items = iter_records(logs, on_error="yield")
    seen = []
    with pytest.raises(IncompleteInput):
        seen.extend(items)
        for item in items:
            seen.append(item)  # noqa: PERF402
    with pytest.raises(UsageError):
        iter_records(logs, on_error="skip")


# -- surveys


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_survey_counts_what_is_there_and_where_first(logs, jobs):
    """A survey counts variants, words, unknown keys, errors and rejects, each with where it was first seen."""
    found = survey(logs, jobs=jobs)
    a = f"{logs}/a.jsonl"
    assert found.variants["openai chat"].first == f"{a}:1"
    assert {name: entry.first for name, entry in found.extra_keys.items()} == {
        "openai chat /vendor": f"{a}:1",
        "log10 chat /data/*/organization_id": f"{a}:12",
        "log10 chat /data/*/response/vendor": f"{a}:25",
    }
    assert (found.errors["openai 501"].first, found.rejects["truncated"].first) == (f"{a}:8", f"{a}:4")
    assert found.finish_reasons.keys() == {"openai stop", "log10 stop"}
    assert sum(entry.count for entry in found.variants.values()) == found.report["records"]
    assert found == survey(logs)


def test_new_entries_are_distinguished(logs, tmp_path):
    """Against an earlier survey everything else is new; without one, the keys and words the library does not know."""
    known = Survey.from_json(survey(logs).to_json())
    assert known.new_entries(known) == {}
    assert known.new_entries() == {"extra_keys": sorted(known.extra_keys)}
    log = tmp_path / "more.jsonl"
    log.write_bytes(
        b'{"choices":[{"index":0,"finish_reason":"bored","message":{"role":"oracle","content":"a"}}],"usage":{"joules":3}}'
    )
    found = survey([logs, log])
    assert found.new_entries(known) == {
        "finish_reasons": ["openai unknown"],
        "native_finish_reasons": ["openai bored"],
        "unknown_words": ["openai finish reason bored", "openai role oracle"],
        "extra_keys": ["openai chat /usage/joules"],
        "notes": ["unknown_finish_reason /choices/*/finish_reason", "unknown_role /choices/*/message/role"],
    }
    assert found.new_entries().keys() == {"unknown_words", "extra_keys"}


def test_a_survey_file_must_be_one():
    """What is no survey is refused with a word on how to write one."""
    for text in (b"{", b"[]", b'{"format": 99}', b'{"variants": {"a": 1}}'):
        with pytest.raises(SurveyError):
            Survey.from_json(text)


def test_a_survey_counts_no_more_than_a_bounded_number_of_entries(logs, monkeypatch):
    """Beyond the bound what is new is counted under one name, and nothing is left out of the sum."""
    whole = survey(logs)
    monkeypatch.setattr(sys.modules[Survey.__module__], "MAX_ENTRIES", 1)
    found = survey(logs)
    assert len(found.extra_keys) == 2
    assert sum(entry.count for entry in found.extra_keys.values()) == sum(
        entry.count for entry in whole.extra_keys.values()
    )
