"""What `convert` writes beside canonical records: OpenAI bodies, lines to train on, CSV, pages."""

from __future__ import annotations

import csv
import gzip
import json

import pytest

from normcompletion import batch, normalize, read
from normcompletion.arrow import FLAT_SCHEMA
from normcompletion.cli import main
from normcompletion.export import to_frame, to_openai
from tests.conftest import completion_of, invented, json_lines, slow
from tests.test_report_page import Page

WHOLE = {"id": "a", "model": "m", "created": 1, "object": "chat.completion"}
ANSWER = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": 'He said "hi",\nand left.'}}
ASKED = {"messages": [{"role": "user", "content": "?"}]}
ROWS = [
    {"organization_id": "o", "request": ASKED, "response": {**WHOLE, "choices": [ANSWER]}},
    {
        "organization_id": "o",
        "request": ASKED,
        "response": {**WHOLE, "choices": [{**ANSWER, "finish_reason": "length"}]},
    },
    {"error": {"message": "busy", "code": 503}},
    {
        "choices": [
            {"message": {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}, "finish_reason": "stop"}
        ]
    },
]


@pytest.fixture
def log(tmp_path):
    """A whole answer, a cut one, a failed call, a tool call without an id, and a line that is no JSON."""
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS) + "{\n")
    return path


def check_sums(report):
    """Every unit and every record is accounted for."""
    assert report.units == report.converted + report.rejected + report.blank


def test_lines_to_train_on_hold_whole_answers_alone(log, tmp_path):
    """`messages` writes the request and the answer; failed and cut answers are rejects with their codes."""
    out = tmp_path / "train.jsonl"
    report = batch.convert(log, out, to="messages")
    assert json_lines(out) == [
        {"messages": [*ASKED["messages"], {"role": "assistant", "content": ANSWER["message"]["content"]}]}
    ]
    assert report.rejects == {"unfinished": 1, "provider_error": 1, "missing_members": 1, "truncated": 1}
    assert (report.records, report.skipped) == (1, 0)
    check_sums(report)


def test_unfinished_answers_can_be_skipped(log, tmp_path, capsys):
    """With `--unfinished skip` failed and cut answers are left out and counted; what is wrong stays a reject."""
    out = tmp_path / "train.jsonl"
    path = tmp_path / "report.json"
    arguments = ["--to", "messages", "--unfinished", "skip", "--report", str(path)]
    assert main(["convert", str(log), "-o", str(out), *arguments]) == 1
    assert len(json_lines(out)) == 1
    report = json.loads(path.read_text())
    assert (report["skipped"], report["records"], report["empty_pages"]) == (2, 1, 0)
    assert report["rejects"] == {"missing_members": 1, "truncated": 1}
    assert "1 record: 1 answer; 2 skipped" in capsys.readouterr().err


def test_answers_without_a_request_are_refused_skipped_or_written(tmp_path, capsys):
    """Without a logged request an answer is a reject; `--without-request` skips and counts it, or writes it alone."""
    log, out = tmp_path / "log.jsonl", tmp_path / "train.jsonl"
    alone = {**WHOLE, "choices": [ANSWER]}
    log.write_text("".join(json.dumps(row) + "\n" for row in (ROWS[0], alone)))
    report = batch.convert(log, out, to="messages")
    assert (len(json_lines(out)), report.rejects) == (1, {"no_request": 1})
    arguments = ["convert", str(log), "-o", str(out), "--to", "messages", "--overwrite", "--without-request"]
    assert main([*arguments, "skip"]) == 0
    assert "1 record: 1 answer; 1 skipped" in capsys.readouterr().err
    assert main([*arguments, "write"]) == 0
    answer = {"role": "assistant", "content": ANSWER["message"]["content"]}
    assert json_lines(out) == [{"messages": [*ASKED["messages"], answer]}, {"messages": [answer]}]


def test_openai_bodies_are_those_of_the_function(tmp_path):
    """`openai` writes what `to_openai` gives, with `fill` and `extras`; without `fill` the incomplete are rejects."""
    log, out = tmp_path / "log.jsonl", tmp_path / "bodies.jsonl.gz"
    log.write_text("\n".join(json.dumps(json.loads(raw)) for _, raw in invented()))
    answers = [each for _, raw in invented() if (each := completion_of(raw)) is not None and each.error is None]
    expected = [json.loads(json.dumps(to_openai(each, fill=True, extras=True))) for each in answers]
    report = batch.convert(log, out, to="openai", fill=True, extras=True, jobs=2)
    assert [json.loads(line) for line in gzip.decompress(out.read_bytes()).splitlines()] == expected
    assert set(report.rejects) == {"provider_error"}
    report = batch.convert(log, tmp_path / "strict.jsonl", to="openai")
    assert report.records + report.rejected == len(invented())
    check_sums(report)


def test_csv_is_the_flat_layout(tmp_path):
    """CSV has the flat columns and the origin, texts with quotes and line feeds, and an empty cell for null."""
    log, out = tmp_path / "log.jsonl", tmp_path / "records.csv"
    log.write_text("\n".join(json.dumps(row) for row in ROWS))
    assert main(["convert", str(log), "-o", str(out)]) == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [*FLAT_SCHEMA.names, "_file", "_line", "_offset"]
    assert (rows[1]["_file"], rows[1]["_line"]) == (str(log), "2")
    frame = to_frame(read(log), "arrow")
    for name in ("content", "id", "finish_reason", "error_code", "tool_calls"):
        assert [row[name] or None for row in rows] == frame[name].to_pylist()
    assert rows[0]["content"] == ANSWER["message"]["content"]
    assert rows[0]["total_tokens"] == ""


@pytest.mark.parametrize("name", ["records.csv.gz", *slow("records.csv")])
def test_csv_does_not_depend_on_jobs_nor_on_a_resumed_run(tmp_path, name):
    """The header is written once, and the bytes are the same for any number of jobs and after `--resume`."""
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(json.dumps(json.loads(raw)) for _, raw in invented()) + "\n")
    one, two, cut = tmp_path / "1" / name, tmp_path / "2" / name, tmp_path / "3" / name
    for path in (one, two, cut):
        path.parent.mkdir()
    columns = ["id", "content", "total_tokens"]
    batch.convert(log, one, columns=columns, checkpoint_every=300_000)
    batch.convert(log, two, columns=columns, jobs=2, checkpoint_every=300_000)

    class Stop(batch.Listener):
        def progress(self, consumed, report):
            raise batch.Interrupted(15)

    with pytest.raises(batch.Interrupted):
        batch.convert(log, cut, columns=columns, checkpoint_every=300_000, listener=Stop())
    batch.convert(log, cut, columns=columns, checkpoint_every=300_000, resume=True)
    assert one.read_bytes() == two.read_bytes() == cut.read_bytes()


def test_records_without_nulls_are_the_same_records(tmp_path):
    """`--omit-null` leaves out nulls of the model and keeps those of the payload; the record is read back equal."""
    log, out = tmp_path / "log.jsonl", tmp_path / "small.jsonl"
    bodies = [json.loads(raw) for _, raw in invented()] + [{"choices": [], "vendor": {"a": None}}]
    log.write_text("\n".join(map(json.dumps, bodies)))
    batch.convert(log, out, omit_null=True)
    whole = tmp_path / "whole.jsonl"
    batch.convert(log, whole)
    small, large = out.read_text(), whole.read_text()
    assert len(small) < 0.85 * len(large)
    for one, two in zip(small.splitlines(), large.splitlines(), strict=True):
        if '"error":{' not in two:
            assert normalize(one) == normalize(two)
    assert ":null" not in small.splitlines()[0]
    assert json.loads(small.splitlines()[-1])["extra"] == {"/vendor": {"a": None}}


def test_carried_values_stay_beside_records_without_nulls(tmp_path):
    """`--carry` works with `--omit-null`, and what is carried keeps its nulls."""
    log, out = tmp_path / "log.jsonl", tmp_path / "out.jsonl"
    log.write_text('{"n": null, "response": {"choices": []}}\n')
    batch.convert(log, out, omit_null=True, body="/response", carry={"n": "/n"})
    assert json_lines(out)[0]["carried"] == {"n": None}


def test_a_report_can_be_a_page(log, tmp_path):
    """`--report report.html` writes the page of the same numbers that the JSON report has."""
    page, path = tmp_path / "report.html", tmp_path / "report.json"
    batch.convert(log, tmp_path / "1.jsonl", report=page)
    batch.convert(log, tmp_path / "2.jsonl", report=path)
    report, shown = json.loads(path.read_text()), Page(page.read_text())
    assert shown.totals["records"] == str(report["records"])
    assert shown.tables["group-finish_reason"] == {
        name: [str(sums[count]) for count in ("records", "failed", "prompt_tokens", "completion_tokens", "cost")]
        for name, sums in report["breakdown"]["finish_reason"].items()
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fill"], "--fill is for --to openai"),
        (["--extras", "--to", "messages"], "--extras is for --to openai"),
        (["--unfinished", "skip"], "--unfinished is for --to messages"),
        (["--without-request", "write"], "--without-request is for --to messages"),
        (["--omit-null", "--to", "openai"], "--omit-null is for --to jsonl"),
        (["--to", "openai", "--columns", "id"], "--columns is for Parquet and CSV"),
        (["--to", "csv", "--columns", "id,modle"], "did you mean 'model'?"),
    ],
)
def test_options_of_another_form_are_refused(log, arguments, words, capsys):
    """An option that the form of the output has no use for is wrong usage, with a sentence."""
    assert main(["convert", str(log), *arguments]) == 2
    assert words in capsys.readouterr().err
