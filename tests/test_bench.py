"""`normcompletion bench`: the log of a user, measured beside the parsers."""

from __future__ import annotations

import json

import pytest

from normcompletion import UnknownSourceError, bench
from normcompletion.cli import main
from tests.conftest import python

GOOD = b'{"id":"c-%d","choices":[{"index":0,"message":{"role":"assistant","content":"High tide."}}]}'
BODIES = [GOOD % number for number in range(4)]


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """One reading of each body is enough to see what is printed."""
    monkeypatch.setattr(bench, "BODIES", 1)


def test_every_reader_has_a_row():
    """A row for each reader, the one that is given the source only where it is; a ratio lies within its bounds."""
    found = bench.measure(BODIES, rounds=3)
    assert [row.reader for row in found.rows] == [
        "normcompletion, source detected",
        "normcompletion, normalize_many",
        "msgspec, dictionaries",
        "json.loads",
        "orjson.loads",
    ]
    assert all(row.low <= row.ratio <= row.high and row.micros > 0 for row in found.rows)
    assert (found.bodies, found.size, found.half, found.rounds) == (4, sum(map(len, BODIES)), len(BODIES[0]), 3)
    assert "normcompletion, source=atoma" in [row.reader for row in bench.measure(BODIES, source="atoma").rows]


def test_what_is_refused_is_counted_and_not_measured():
    """Bodies that this library or orjson refuses are left out, by code."""
    lone = GOOD[:-4] % 5 + b'"x": "\\ud800"}}]}'
    found = bench.measure([*BODIES, b'{"error": "busy"}', b"{", lone.replace(b'."x"', b'.","x"')], rounds=1)
    assert found.bodies == 4
    assert sum(found.refused.values()) == 3
    assert found.refused["truncated"] == 1
    assert "left out, for they are refused: " in str(found)


def test_a_log_beyond_memory_is_measured_at_its_beginning(monkeypatch):
    """No more bytes are kept than the limit, and the table says so."""
    monkeypatch.setattr(bench, "BYTES", 2 * len(BODIES[0]))
    found = bench.measure(BODIES, rounds=1)
    assert (found.bodies, found.truncated) == (2, True)
    assert "2 bodies of the beginning of the log" in str(found)


def test_nothing_to_measure_is_reported():
    """Without a body the error says what the others were, and what to give."""
    with pytest.raises(ValueError, match=r"the log is empty.*give a log of whole responses"):
        bench.measure([])
    with pytest.raises(ValueError, match="truncated 2"):
        bench.measure([b"{", b"["])
    with pytest.raises(UnknownSourceError):
        bench.measure(BODIES, source="atomic")


def test_the_command_prints_a_table_or_json(tmp_path, capsys):
    """The fastest reader comes first; `--json` is the whole result; `--limit` reads the first bodies only."""
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\n".join(BODIES) + b"\n\n")
    assert main(["bench", str(log), "--rounds", "1", "--source", "openai"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].startswith("4 bodies of the log")
    ratios = [float(line[36:44]) for line in shown[3:]]
    assert len(ratios) == 6
    assert ratios == sorted(ratios)
    assert main(["bench", str(log), "--rounds", "1", "--limit", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bodies"] == 3


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["missing.jsonl"], 3, "does not exist"),
        (["LOG", "--rounds", "0"], 2, "--rounds 0: measure at least one round"),
        (["LOG", "--limit", "0"], 2, "--limit 0: measure at least one body"),
        (["LOG"], 3, "no body can be measured (unknown_shape 1); give a log of whole responses"),
        (["LOG", "--source", "atomic"], 2, "atomic"),
        ([], 3, "there is no input"),
    ],
)
def test_a_wrong_call_is_answered_with_what_to_do(tmp_path, capsys, arguments, code, words):
    """One line on standard error, and the exit code of its kind."""
    log = tmp_path / "log.jsonl"
    log.write_text("{}\n")
    arguments = [str(log) if word == "LOG" else word for word in arguments]
    assert main(["bench", *arguments]) == code
    assert words in capsys.readouterr().err


def test_nothing_that_is_optional_is_imported(tmp_path):
    """The command needs neither this repository's benchmarks nor pyarrow or tqdm."""
    log = tmp_path / "log.jsonl"
    log.write_bytes(BODIES[0])
    code = (
        "import sys; sys.modules |= dict.fromkeys(['benchmarks', 'pyarrow', 'tqdm', 'openai']);"
        "from normcompletion.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = python("-c", code, "bench", str(log), "--rounds", "1")
    assert (done.returncode, done.stderr) == (0, "")
