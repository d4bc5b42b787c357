"""The command line."""

from __future__ import annotations

import json
import stat
import subprocess
import sys

import pytest

from normcompletion.batch import lines
from normcompletion.cli import main

GOOD = '{"id":"%s","choices":[{"index":0,"message":{"role":"assistant","content":"a\u2028b"},"finish_reason":"stop"}]}'
LOG = "\n".join(
    [
        GOOD % 1,
        "",
        '{"error":{"message":"busy","code":503}}',
        '{"choices":[',
        '{"nonce":"n","ciphertext":"c","usage":{"total_tokens":3}}',
        '{"data":[{"organization_id":"o","response":%s},{"organization_id":"o","response":%s}]}' % (GOOD % 2, GOOD % 3),
        "[]",
        GOOD % 4,
    ]
)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(LOG)
    return path


def test_convert_writes_a_record_for_every_call(log, tmp_path, capsys):
    """Good, failed and encrypted calls are records; refused lines are counted with line and reason; exit code 1."""
    out = tmp_path / "out.jsonl"
    assert main(["convert", str(log), "-o", str(out)]) == 1
    records = [json.loads(line) for line in out.read_text().split("\n") if line]
    assert [record["id"] for record in records] == ["1", None, None, "2", "3", "4"]
    assert records[0]["choices"][0]["message"]["content"] == "a\u2028b"
    assert records[1]["error"]["code"] == 503
    assert records[2]["error"]["code"] == "encrypted"
    told = capsys.readouterr().err
    assert f"{log}:4: truncated" in told
    assert "8 lines: 6 converted, 1 rejected, 1 blank; 6 records, 2 of them failed calls" in told


def test_rejects_are_json_lines_for_the_owner_alone(log, tmp_path):
    """The reject file names line, byte offset, length, code and reason, and only its owner may read it."""
    rejects = tmp_path / "rejects.jsonl"
    main(["convert", str(log), "-o", str(tmp_path / "out.jsonl"), "--rejects", str(rejects)])
    (reject,) = map(json.loads, rejects.read_text().splitlines())
    raw = LOG.encode()
    start = raw.index(b'{"choices":[\n')
    assert (reject["line"], reject["offset"], reject["length"]) == (4, start, len(b'{"choices":[\n'))
    assert reject["code"] == "truncated"
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600


def test_convert_works_in_a_pipe(log):
    """`-` reads standard input and writes standard output, and nothing but records goes there."""
    done = subprocess.run(
        [sys.executable, "-m", "normcompletion", "convert", "-"],
        input=log.read_bytes(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert len([json.loads(line) for line in done.stdout.split(b"\n") if line]) == 6


def test_nothing_stands_under_the_final_name_after_a_failure(log, tmp_path):
    """An output that cannot be written ends with exit code 5 and leaves no file; a missing input with 3."""
    assert main(["convert", str(log), "-o", str(tmp_path / "absent" / "out.jsonl")]) == 5
    assert main(["convert", str(tmp_path / "absent.jsonl"), "-o", str(tmp_path / "out.jsonl")]) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl"]


def test_a_wrong_source_is_wrong_usage(log, capsys):
    """A source that is not registered ends with exit code 2 and the names that are."""
    assert main(["convert", str(log), "--source", "acme"]) == 2
    assert "openrouter" in capsys.readouterr().err


def test_verify_proves_that_nothing_is_lost(log, capsys):
    """`verify` reports no lost leaf and the shares of records without repair."""
    assert main(["verify", str(log)]) == 1
    told = capsys.readouterr().out
    assert "6 lines verified, 1 rejected, 1 blank; 0 leaves lost" in told
    assert "6 records: " in told


def test_detect_and_explain_speak_of_each_line(log, tmp_path, capsys):
    """`detect` gives source, variant and evidence, `explain` a line for every leaf."""
    one = tmp_path / "one.json"
    one.write_text(json.dumps({"provider": "P", "choices": [{"native_finish_reason": "S", "seed": 3}]}, indent=1))
    assert main(["detect", str(one)]) == 0
    assert "openrouter chat (snake): openrouter: `provider` and `native_finish_reason`" in capsys.readouterr().out
    assert main(["explain", str(one)]) == 0
    told = capsys.readouterr().out
    assert "/provider  →  /provider" in told
    assert "/choices/0/seed  →  extra" in told
    assert main(["detect", str(log)]) == 1
    assert f"{log}:1: openai chat" in capsys.readouterr().out


def test_sources_lists_every_variant(capsys):
    """`sources` prints a row for each registered variant."""
    assert main(["sources"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert any(row.split()[:2] == ["log10", "log_record"] for row in rows)


def test_lines_are_cut_at_line_feeds_only(tmp_path):
    """Lines end at LF alone; offsets and lengths are bytes; an over-long line is passed over, not held."""
    path = tmp_path / "x"
    path.write_bytes(b"\xef\xbb\xbfa\rb\n" + b"x" * 100 + b"\n\xe2\x80\xa8\n")
    with path.open("rb") as stream:
        got = list(lines(stream, limit=20))
    assert [(line.number, line.offset, line.length, line.text) for line in got] == [
        (1, 0, 7, b"a\rb\n"),
        (2, 7, 101, None),
        (3, 108, 4, b"\xe2\x80\xa8\n"),
    ]
