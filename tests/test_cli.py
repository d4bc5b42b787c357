"""The command line."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import msgspec
import orjson
import pytest

import normcompletion
from normcompletion import arrow, batch
from normcompletion.cli import main
from tests.conftest import json_lines, python, slow

GOOD = '{"id":"%s","choices":[{"index":0,"message":{"role":"assistant","content":"a\u2028b"},"finish_reason":"stop"}]}'
LOG = "\n".join(
    [
        GOOD % 1,
        "",
        '{"error":{"message":"busy","code":503}}',
        '{"choices":[',
        '{"nonce":"n","ciphertext":"c","usage":{"total_tokens":3}}',
        '{"data":[{"organization_id":"o","response":%s},{"organization_id":"o","response":%s}]}' % (GOOD % 2, GOOD % 3),
        "42",
        GOOD % 4,
    ]
)


@pytest.fixture
def log(tmp_path) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_text(LOG)
    return path


def printed(capsys) -> list[str]:
    """What was written on standard error, line by line."""
    return capsys.readouterr().err.splitlines()


def test_convert_writes_a_record_for_every_call(log, tmp_path, capsys):
    """Good, failed and encrypted calls are records; refused lines are counted with line and reason; exit code 1."""
    out = tmp_path / "out.jsonl"
    assert main(["convert", str(log), "-o", str(out)]) == 1
    records = json_lines(out)
    assert [record["id"] for record in records] == ["1", None, None, "2", "3", "4"]
    assert records[0]["choices"][0]["message"]["content"] == "a\u2028b"
    assert records[1]["error"]["code"] == 503
    assert records[2]["error"]["code"] == "encrypted"
    assert printed(capsys) == [
        f"{log}:4: truncated: the JSON text ends too early; the body was cut off",
        f"{log}:7: not_object: the payload is a number, not an object; hand in the response body",
        "8 units: 5 converted, 2 rejected, 1 blank",
        "6 records: 4 answers, 1 failed, 1 encrypted",
        "  variants  log10 chat 2, openai chat 2, atoma confidential 1, openai error 1",
        "  finish    stop 4",
        "  errors    503 1, encrypted 1",
        "  rejects   not_object 1, truncated 1",
        "  tokens    prompt 0, completion 0, total 3",
    ]


def test_rejects_are_json_lines_for_the_owner_alone(log, tmp_path, capsys):
    """The reject file names line, byte offset, length, code and reason, and only its owner may read it."""
    rejects = tmp_path / "rejects.jsonl"
    main(["convert", str(log), "-o", str(tmp_path / "out.jsonl"), "--rejects", str(rejects), "--rejects-raw"])
    first, second = json_lines(rejects)
    raw = LOG.encode()
    start = raw.index(b'{"choices":[\n')
    assert (first["line"], first["offset"], first["length"]) == (4, start, len(b'{"choices":[\n'))
    assert (first["source"], first["code"], first["raw"]) == (str(log), "truncated", '{"choices":[')
    assert second["line"] == 7
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    assert "8 units: 5 converted, 2 rejected, 1 blank" in printed(capsys)


def test_refusals_are_reported_by_file_and_reason(tmp_path, capsys):
    """Each reason is shown once a file, with the line of its first refusal and how many there are, commonest first."""
    log, other = tmp_path / "log.jsonl", tmp_path / "other.jsonl"
    row = json.dumps({"answers": [{"choices": [{"index": 0, "message": {"content": "x"}}]}] * 2})
    log.write_text("x\n" + f"{row}\n" * 50)
    other.write_text("".join(f"{number} {number}\n" for number in range(10, 39)) + row)
    assert main(["convert", str(log), str(other), "-o", str(tmp_path / "out.jsonl")]) == 1
    hint = "unknown_envelope: no known envelope, but 2 responses are at /answers/*; give --body '/answers/*'"
    assert printed(capsys)[:4] == [
        f"{log}:2: {hint} (50 times)",
        f"{other}:1: trailing_data: a second value starts at byte 3; hand in one response at a time (29 times)",
        f"{log}:1: syntax: no JSON at byte 0 (Expecting value); log the body as it was sent",
        f"{other}:30: {hint}",
    ]
    assert main(["survey", str(log)]) == 0
    assert f"50  {hint.replace('2 resp', 'N resp')}  (first: {log}:2)" in capsys.readouterr().out


def test_only_the_commonest_reasons_are_shown(tmp_path, capsys):
    """Of many reasons the first are shown, and how many more there are."""
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps({f"k{number}": {"choices": []} | {"model": "m"}}) + "\n" for number in range(50)))
    assert main(["convert", str(log), "-o", str(tmp_path / "out.jsonl")]) == 1
    assert printed(capsys)[20] == "… and 30 more reasons; --rejects FILE keeps every refusal"


def test_convert_works_in_a_pipe(log):
    """`-` reads standard input and writes standard output, and nothing but records goes there."""
    done = subprocess.run(
        [sys.executable, "-m", "normcompletion", "convert", "-"],
        input=log.read_bytes(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert [json.loads(line)["id"] for line in done.stdout.split(b"\n") if line] == ["1", None, None, "2", "3", "4"]
    assert b"-:4: truncated" in done.stderr


def test_every_option_reaches_the_engine(log, tmp_path):
    """Inputs from a list, carried values, a named body, a report, limits and several jobs work together."""
    wrapped = tmp_path / "wrapped.jsonl.gz"
    wrapped.write_bytes(
        gzip.compress(b"".join(b'{"n":%d,"r":{"b":%b}}\n' % (at, (GOOD % at).encode()) for at in range(9)))
    )
    names = tmp_path / "names.txt"
    names.write_text(f"{wrapped}\n")
    report = tmp_path / "report.json"
    out = tmp_path / "out.jsonl"
    arguments = ["convert", f"--files-from={names}", f"-o{out}", f"--report={report}", "--body=/r/b", "--carry=n=/n"]
    arguments += ["--carry=m=/m", "-j2", "--source=atoma", "--checkpoint-every=1K", "--max-record-bytes=1M"]
    arguments += ["--max-errors=0", "--max-error-rate=0", "--progress=off"]
    assert main(arguments) == 0
    assert [row["carried"] for row in json_lines(out)] == [{"n": at, "m": None} for at in range(9)]
    assert json.loads(report.read_bytes())["variants"] == {"atoma chat": 9}
    assert main([*arguments, "--overwrite", "--limit", "4", "--strict", "--completions-only"]) == 0
    assert len(json_lines(out)) == 4


def test_progress_is_drawn_on_request(log, tmp_path, capsys):
    """With `--progress on` a bar with records and rejects is drawn on standard error; in a pipe there is none."""
    main(["convert", str(log), "-o", str(tmp_path / "1.jsonl"), "--progress", "on"])
    drawn = capsys.readouterr().err
    assert "records" in drawn
    assert "\r" in drawn
    main(["convert", str(log), "-o", str(tmp_path / "2.jsonl")])
    assert "\r" not in capsys.readouterr().err


WRONG = {
    "no input": ["convert"],
    "an unknown source": ["convert", "LOG", "--source", "acme"],
    "an unknown envelope": ["convert", "LOG", "--envelope", "letter"],
    "a carry without a pointer": ["convert", "LOG", "--carry", "n"],
    "a size in words": ["convert", "LOG", "--max-record-bytes", "large"],
    "an output that exists": ["convert", "LOG", "-o", "LOG"],
    "no command": [],
    "no survey to compare with": ["survey", "LOG", "--known", "LOG"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_wrong_usage_is_exit_code_2(log, capsys, arguments):
    """A call that cannot be meant ends with exit code 2 and a sentence, and changes nothing."""
    try:
        code = main([str(log) if argument == "LOG" else argument for argument in arguments])
    except SystemExit as stop:  # argparse's own
        code = stop.code
    assert code == (3 if arguments == ["convert"] else 2)
    assert printed(capsys)[-1].startswith("normcompletion")
    assert log.read_text() == LOG


def test_a_missing_library_is_named_with_its_extra(log, tmp_path, monkeypatch, capsys):
    """Where a library is missing, the message names the extra that has it."""
    monkeypatch.delitem(sys.modules, "normcompletion.arrow", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["convert", str(log), "-o", str(tmp_path / "out.parquet")]) == 2
    assert "normcompletion[batch]" in capsys.readouterr().err


def test_a_defect_is_reported_in_one_line(log, monkeypatch, capsys):
    """An error that should not be is one line and exit code 70, and raised where the developer asks for it."""

    def fail(*_, **__):
        raise ZeroDivisionError("x" * 1000)

    monkeypatch.setattr(batch, "convert", fail)
    assert main(["convert", str(log)]) == 70
    (line,) = printed(capsys)
    assert "ZeroDivisionError" in line
    assert len(line) < 300
    monkeypatch.setenv("NORMCOMPLETION_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        main(["convert", str(log)])


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (batch.Interrupted(15), 143), (MemoryError(), 70), (batch.WorkerError("gone"), 70)],
)
def test_exit_codes_of_what_cannot_be_helped(log, monkeypatch, capsys, error, code):
    """Signals, too little memory and dead workers have exit codes of their own and one line."""

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(batch, "convert", fail)
    assert main(["convert", str(log)]) == code
    assert len(printed(capsys)) == 1


# -- survey


def test_survey_fails_on_new(log, tmp_path, capsys):
    """With `--fail-on-new` the exit code is 1 where a log holds a key, word or variant that is new, which is named."""
    assert main(["survey", str(log), "--json", "-j", "2"]) == 0
    known = tmp_path / "survey.json"
    known.write_text(capsys.readouterr().out)
    assert main(["survey", str(log), "--known", str(known), "--fail-on-new"]) == 0
    assert main(["survey", str(log), "--fail-on-new"]) == 1
    assert "extra keys: log10 chat /data/*/organization_id" in capsys.readouterr().err
    log.write_text(f'{LOG}\n{{"choices":[{{"index":0}}],"joules":3}}\n')
    assert main(["survey", str(log), "--known", str(known)]) == 0
    assert main(["survey", str(log), "--known", str(known), "--fail-on-new"]) == 1
    assert printed(capsys)[-1] == f"new: extra keys: openai chat /joules (first: {log}:9)"
    assert main(["survey", str(log), "--known", str(tmp_path / "absent.json")]) == 3


# -- the other commands


def test_verify_proves_that_nothing_is_lost(log, capsys):
    """`verify` reports no lost leaf and the shares of records without repair."""
    assert main(["verify", str(log)]) == 1
    out = capsys.readouterr().out
    assert "5 units verified, 2 rejected, 1 blank; 0 leaves lost" in out
    assert "6 records: " in out


def test_verify_finds_what_was_lost(log, monkeypatch, capsys):
    """A leaf that is nowhere in the completion is named with its line, and the exit code is 1."""
    monkeypatch.setattr("normcompletion.audit.lost", lambda tree, *completions, beside: ["/lost"])
    log.write_text(GOOD % 1)
    assert main(["verify", str(log)]) == 1
    captured = capsys.readouterr()
    assert "1 leaves lost" in captured.out
    assert captured.err == f"{log}:1: lost /lost\n"


def test_verify_looks_at_every_unit(tmp_path, capsys):
    """A page is verified as a whole: what its records share, and what is beside them, is accounted for once."""
    log = tmp_path / "log.jsonl"
    answer = {"id": "a", "choices": [{"index": 0, "message": {"content": "x"}}], "usage": {"total_tokens": 5}}
    page = {"data": [answer, {**answer, "usage": {"total_tokens": 6}}], "total": 7777, "next": "n"}
    log.write_text(json.dumps(page) + "\n" + json.dumps({"run": {"n": 3}, "results": [answer, answer]}) + "\n")
    assert main(["verify", str(log), "--body", "/data/*", "--body", "/results/*", "-j", "2", "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["units"], counts["records"], counts["lost"]) == (2, 4, 0)
    log.write_text(json.dumps(page) + "\n")
    assert main(["convert", str(log), "-o", str(tmp_path / "out.jsonl")]) == 0
    assert [row["extra"] for row in json_lines(tmp_path / "out.jsonl")] == [{"/next": "n", "/total": 7777}] * 2
    assert main(["verify", str(log)]) == 0


def test_detect_and_explain_take_the_options_of_convert(tmp_path, capsys):
    """A body in a log is detected and explained where it is, also as JSON."""
    log = tmp_path / "log.jsonl"
    body = {"provider": "P", "choices": [{"native_finish_reason": "S", "message": {"content": "x"}}]}
    log.write_text(json.dumps({"n": 3, "r": body}) + "\n" + json.dumps({"n": 4}) + "\n")
    assert main(["detect", str(log), "--body", "/r", "--json"]) == 1
    captured = capsys.readouterr()
    row = json.loads(captured.out)
    assert (row["source"], row["envelope"], row["place"]) == ("openrouter", "custom", f"{log}:1")
    assert captured.err.startswith(f"{log}:2: no_body: ")
    assert main(["explain", str(log), "--body", "/r", "--limit", "1"]) == 0
    out = capsys.readouterr().out
    assert "/n  →  extra" in out
    assert "/r/provider  →  /provider" in out


def test_verify_looks_at_the_events_of_a_stream(tmp_path, monkeypatch, capsys):
    """The leaves of a saved stream are looked for in its record; one that is lost is named with its event."""
    log = tmp_path / "stream"
    log.write_text('data: {"id":"c","choices":[{"index":0,"delta":{"content":"ebb"},"finish_reason":"stop"}]}\n\n')
    assert main(["verify", str(log)]) == 0
    assert "1 unit verified (1 saved stream among them), 0 rejected" in capsys.readouterr().out
    monkeypatch.setattr("normcompletion.streams.answer.Answer.add_delta", lambda answer, delta: None)
    assert main(["verify", str(log)]) == 1
    assert "lost /1/choices/0/delta/content" in capsys.readouterr().err


def test_detect_and_explain_speak_of_each_unit(log, tmp_path, capsys):
    """`detect` gives source, variant and evidence, `explain` a line for every leaf."""
    one = tmp_path / "one.json"
    one.write_text(json.dumps({"provider": "P", "choices": [{"native_finish_reason": "S", "seed": 3}]}, indent=1))
    assert main(["detect", str(one)]) == 0
    assert (
        "openrouter chat (snake): openrouter: `provider` and `choices.native_finish_reason`" in capsys.readouterr().out
    )
    assert main(["explain", str(one)]) == 0
    out = capsys.readouterr().out
    assert "/provider  →  /provider" in out
    assert "/choices/0/seed  →  extra" in out
    assert main(["detect", str(log)]) == 1
    assert f"{log}:1: openai chat" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["detect", "explain", "verify", "survey"])
def test_every_command_knows_a_missing_file(command, tmp_path, capsys):
    """A missing file is exit code 3 and one line, whatever the command."""
    assert main([command, str(tmp_path / "absent")]) == 3
    (line,) = printed(capsys)
    assert "does not exist" in line


def test_help_is_quick():
    """Help imports neither the converter nor any library that only converting needs."""
    code = "import sys, normcompletion.cli as c\ntry: c.main(['--help'])\nfinally: print(*sys.modules)"
    loaded = python("-c", code).stdout.split()
    assert "normcompletion.cli" in loaded
    assert not {"normcompletion.batch", "pyarrow", "tqdm"} & set(loaded)


@pytest.mark.skipif(os.name != "posix", reason="streams are closed in another way here")
@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", *slow("<&-", ">&-", "2>&-")])
def test_closed_standard_streams_do_no_harm(log, tmp_path, closed):
    """With standard streams closed, the output file holds the records and nothing else."""
    out = tmp_path / "out.jsonl"
    command = f"{sys.executable} -m normcompletion convert {log} -o {out} --rejects {tmp_path}/rejects.jsonl {closed}"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 1
    assert [row["id"] for row in json_lines(out)] == ["1", None, None, "2", "3", "4"]
    assert len(json_lines(tmp_path / "rejects.jsonl")) == 2


@pytest.mark.parametrize(
    "command", ["convert", "survey", *slow("survey --json", "detect", "explain", "verify", "bench --json")]
)
def test_an_encoding_without_the_letters_does_no_harm(tmp_path, command):
    """On a standard output that knows ASCII alone, text has escapes for other letters, and JSON is UTF-8."""
    log = tmp_path / "größe.jsonl"
    log.write_text(2 * (GOOD[:-1] % "é" + ',"größe":1}\n'), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "normcompletion", *command.split(), str(log)],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    if command == "convert" or "--json" in command:
        assert json.loads(done.stdout.split(b"\n")[0] if command == "convert" else done.stdout)
    assert ("größe".encode() in done.stdout) == (command in {"convert", "survey --json"})
    assert (b"gr\\xf6\\xdfe" in done.stdout) == (command in {"survey", "detect", "explain"})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", ["convert", "sources", *slow("survey", "detect", "explain", "verify")])
def test_a_full_standard_output_is_no_defect(log, command):
    """With a full device as standard output every command says so and ends with exit code 5."""
    arguments = [sys.executable, "-m", "normcompletion", command, *([] if command == "sources" else [str(log)])]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 5
    expected = b"normcompletion: standard output: No space left on device; free some space or write elsewhere"
    assert expected in done.stderr.splitlines()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("behind", ["a full device", *slow("no reader")])
@pytest.mark.parametrize(
    ("more", "code"), [("--jobs=1", 1), ("--progress=on", 1), ("--max-errors=0", 6), ("--limit=-1", 2)]
)
def test_messages_that_cannot_be_written_do_no_harm(log, tmp_path, behind, more, code):
    """With a full device or no reader behind standard error, the output and the exit code are what they would be."""
    out = tmp_path / "out.jsonl"
    if behind == "a full device":
        nowhere = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, nowhere = os.pipe()
        os.close(reader)
    command = [sys.executable, "-m", "normcompletion", "convert", str(log), "-o", str(out), more]
    try:
        assert subprocess.run(command, stderr=nowhere, check=False).returncode == code
    finally:
        os.close(nowhere)
    assert out.exists() == (code == 1)
    if code == 1:
        assert [row["id"] for row in json_lines(out)] == ["1", None, None, "2", "3", "4"]


@pytest.mark.skipif(os.name != "posix", reason="streams are closed in another way here")
@pytest.mark.parametrize("command", ["convert", *slow("survey", "detect")])
def test_a_closed_standard_output_takes_no_records(log, command):
    """What would go to a closed standard output is an error with exit code 5, not lost without a word."""
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m normcompletion {command} {log} >&-"], capture_output=True, check=False
    )
    assert done.returncode == 5
    assert done.stderr.startswith(b"normcompletion: standard output is closed")


# -- to look things up


@pytest.mark.parametrize("command", ["sources", "notes", "columns", "columns --layout nested", "errors"])
def test_a_list_is_also_json(command, capsys):
    """Each list has a line and a JSON object for each entry, and no entry is without a description."""
    assert main(command.split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert main([*command.split(), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert len(listed) == len(lines) > 10
    assert all(row["about"] for row in listed)


def test_the_lists_are_what_the_library_has(capsys):
    """`notes`, `columns` and `errors` list all notes, flat columns and codes of rejects."""
    listed = {}
    for command in ("notes", "columns", "errors"):
        main([command, "--json"])
        listed[command] = {
            row.get("code") or row.get("column") or row["name"] for row in json.loads(capsys.readouterr().out)
        }
    assert listed["notes"] == set(normcompletion.NOTES)
    assert listed["columns"] == set(arrow.FLAT_SCHEMA.names)
    assert listed["errors"] > {*batch.REJECT_CODES, "SourceReportedError", "0", "143"}


def test_schema_is_the_schema_of_a_record(capsys):
    """`schema` writes the JSON Schema with `$id`, version and a description for every field."""
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema == normcompletion.json_schema()
    assert schema["$id"] == f"urn:normcompletion:completion:{schema['version']}"
    for name, struct in schema["$defs"].items():
        assert struct["description"], name
        assert [field for field, about in struct["properties"].items() if not about.get("description")] == [], name


def test_version_names_the_libraries_below(capsys):
    """`--version` says which msgspec and orjson are installed, for bug reports."""
    with pytest.raises(SystemExit):
        main(["--version"])
    expected = f"{normcompletion.__version__} (msgspec {msgspec.__version__}, orjson {orjson.__version__})"
    assert capsys.readouterr().out == f"normcompletion {expected}\n"


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["convrt", "LOG"], "convert"),
        (["convert", "LOG", "--jbos", "2"], "--jobs"),
        (["convert", "LOG", "--rejets=x"], "--rejects"),
        (["convert", "LOG", "--layout", "flt"], "flat"),
        (["convert", "LOG", "--source", "openruter"], "openrouter"),
        (["convert", "LOG", "--envelope", "litelm"], "litellm"),
        (["convert", "LOG", "-o", "OUT", "--layout", "flat", "--columns", "id,modle"], "model"),
    ],
)
def test_a_wrong_word_is_answered_with_what_was_meant(arguments, meant, log, tmp_path, capsys):
    """A mistyped command, option, choice, source or column is answered with the one that it is most like."""
    names = {"LOG": str(log), "OUT": str(tmp_path / "out.parquet")}
    try:
        code = main([names.get(argument, argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert f"did you mean '{meant}'?" in printed(capsys)[-1]


def test_a_saved_stream_is_explained_without_its_leaves(tmp_path, capsys):
    """`explain` names source and variant of a saved stream, whose leaves are joined, and counts it as one unit."""
    path = tmp_path / "answer.sse"
    path.write_text('data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n')
    assert main(["explain", str(path)]) == 0
    assert "a saved event stream, whose leaves are joined" in capsys.readouterr().out


def test_json_can_be_printed_on_any_text_stream(log):
    """What a command prints as JSON is the same on a standard output that was replaced by a text stream."""
    for command in ("detect", "explain"):
        out = io.StringIO()
        with redirect_stdout(out):
            main([command, str(log), "--json"])
        assert [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("command", ["verify", "detect", "explain", "survey"])
def test_a_broken_archive_is_no_success_of_any_command(command, tmp_path, capsys):
    """What looks at a log ends with exit code 4 where an archive breaks off, after all that could be read."""
    path = tmp_path / "log.jsonl.gz"
    path.write_bytes(gzip.compress((GOOD % 1 + "\n").encode() * 20)[:-9])
    assert main([command, str(path)]) == 4
    assert "log.jsonl.gz" in capsys.readouterr().err
