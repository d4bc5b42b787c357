"""`python -m benchmarks`: goals, README, and what became slower."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import batch, compare, memory, readme
from benchmarks.compare import WORKLOADS, read_result
from benchmarks.contenders import NAMES
from benchmarks.goals import GOALS, reached

ROOT = Path(__file__).parent.parent


def row(name: str, median: float, spread: float = 0.1) -> dict:
    return {"name": name, "label": name, "median": median, "low": median - spread, "high": median + spread} | {
        "micros": 1.0,
        "accepted": 5,
        "refused": 0,
        "why": None,
        "wrong": {},
        "unsaid": [],
    }


def invented(**medians: float) -> dict:
    """A result in which each contender has this ratio on every workload."""
    part = {
        "records": 5,
        "bytes": 50,
        "p50": 10,
        "checked": True,
        "contenders": [row(*each) for each in medians.items()],
    }
    about = {name: {**part, "about": work.about, "mix": work.mix} for name, work in WORKLOADS.items()}
    machine = {"python": "P 1", "system": "S x", "processor": "C", "cores": 2, "load": 0.5}
    return {"version": 1, "versions": {"orjson": "1"}, "machine": machine, "rounds": 3, "seed": 1} | {
        "missing": [],
        "workloads": about,
        "footprints": {},
    }


FAST = invented(
    normcompletion_detected=0.8, normcompletion_named=0.8, normcompletion_many=0.8, orjson_loads=1.0, orjson_inside=2.0
)


def save(path: Path, result: dict) -> Path:
    path.write_text(json.dumps(result))
    return path


def test_each_goal_names_what_there_is():
    """Its workload and its contenders exist."""
    for goal in GOALS:
        assert goal.workload in WORKLOADS
        assert {f"normcompletion_{goal.reader}", goal.beside, goal.peer or goal.beside} <= {*NAMES}


def test_a_goal_is_a_quotient_where_it_is_not_beside_orjson():
    """Beside another reader the medians are divided, and the interval is the widest that the two allow."""
    found = {(each.goal.workload, each.goal.peer): each for each in reached(FAST)}
    assert found["repair", None][2:] == (0.8, 0.8 - 0.1, 0.8 + 0.1, None)
    inside = found["log10-text", None]
    assert inside[2:5] == pytest.approx((0.4, 0.7 / 2.1, 0.9 / 1.9))
    assert inside.floor is None
    assert inside.met is True
    assert found["openrouter", "litellm_convert"].met is None
    slow = invented(normcompletion_detected=2.0, openai_validate=6.0)
    peer = next(each for each in reached(slow) if each.goal.peer == "openai_validate")
    assert peer[2:5] == pytest.approx((3, 5.9 / 2.1, 6.1 / 1.9))
    assert peer.met is False
    assert [each.goal.workload for each in reached({"workloads": {}})] == []


def test_the_readme_has_the_numbers_of_the_result():
    """The committed result makes the tables of both documents as they are there, and the chart is well-formed."""
    result, text = read_result(readme.RESULT), readme.DETAILS.read_text()
    assert readme.written(text, result) == text
    shown = readme.README.read_text()
    assert readme.renewed(shown, "speed", readme.speed(result)) == shown
    assert {*result["workloads"]} == {*WORKLOADS}
    svg = ET.parse(readme.CHART).getroot()
    part = result["workloads"][readme.PEERS]["contenders"]
    assert len(svg.findall("{http://www.w3.org/2000/svg}rect")) == sum("median" in each for each in part)
    assert "python -m benchmarks" in text


def test_what_became_slower_is_reported(tmp_path, capsys):
    """A reader of ours beyond its spread and by more than a twentieth gives 1; a peer, or less, gives 0."""
    old = save(tmp_path / "old.json", invented(normcompletion_many=1.0, json_loads=1.0))
    slower = save(tmp_path / "slower.json", invented(normcompletion_many=1.3, json_loads=1.0))
    peer = save(tmp_path / "peer.json", invented(normcompletion_many=1.04, json_loads=9.0))
    assert compare.main(["--compare", str(old), str(slower)]) == 1
    printed = capsys.readouterr().out
    assert f"{len(WORKLOADS)} of {2 * len(WORKLOADS)} became slower" in printed
    assert re.search(r"openrouter +normcompletion_many +\+30\.0% \*", printed)
    assert command.main(["--compare", str(old), str(peer)]) == 0
    assert command.main(["--compare", str(slower), str(old)]) == 0


def test_one_command_does_it_all(tmp_path, monkeypatch, capsys):
    """Corpora, measurements in processes of their own, goals and result; `--only` writes no document."""
    monkeypatch.setenv("NORMCOMPLETION_BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(command, "NAMES", ["normcompletion_detected", "orjson_loads"])
    monkeypatch.setattr(command, "DETAILS", tmp_path / "no such file")
    some, out = ["--records", "20", "--rounds", "1"], tmp_path / "out.json"
    assert command.main([*some, "--only", "atoma,atoma-text", "--json", str(out)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("normcompletion, source detected") == 2
    assert re.search(r"Atoma chat +detected +[\d.]+ +[\d.]+ - [\d.]+ +<= 2\.00", shown)
    assert {*read_result(out)["workloads"]} == {"atoma", "atoma-text"}
    assert len(list(tmp_path.glob("atoma*.truth.jsonl"))) == 2


def test_the_documents_are_written_only_by_a_whole_run(tmp_path, monkeypatch, capsys):
    """A whole run writes the details, chart and result, and the README where it is asked to; a dry one nothing."""
    for name in ("README", "DETAILS", "CHART", "RESULT"):
        monkeypatch.setattr(command, name, tmp_path / name)
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "make_corpora", lambda only, **much: None)
    monkeypatch.setattr(command, "measured", lambda pythons, only, **much: FAST)
    begin, end = readme.markers("speed")
    (tmp_path / "DETAILS").write_text(f"{readme.BEGIN}\n{readme.END}\n")
    (tmp_path / "README").write_text(f"{begin}\n{end}\n")
    assert command.main(["--dry-run"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"DETAILS", "README"}
    assert command.main([]) == 0
    assert read_result(tmp_path / "RESULT") == FAST
    assert readme.section(FAST) in (tmp_path / "DETAILS").read_text()
    assert (tmp_path / "README").read_text() == f"{begin}\n{end}\n"
    assert command.main(["--write-readme"]) == 0
    assert readme.speed(FAST) in (tmp_path / "README").read_text()
    assert ET.parse(tmp_path / "CHART").getroot().tag.endswith("svg")


@pytest.mark.slow
def test_whoever_writes_parquet_finds_the_same_rows(tmp_path, monkeypatch, capsys):
    """DuckDB, the floor and this library agree on the rows and tokens of a log, and all contenders get to its end."""
    monkeypatch.setenv("NORMCOMPLETION_BENCH_CACHE", str(tmp_path))
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["batch", "--bytes", "200kB", "--rounds", "1"])
    batch.main()
    shown = capsys.readouterr().out
    for contender in batch.CONTENDERS.values():
        line = rf"^\| {re.escape(contender.label)} \| {contender.suffix[1:]}(?: \| \d+\.?\d*){{6}} \|$"
        assert re.search(line, shown, re.MULTILINE) or f"{contender.label}: left out" in shown


@pytest.mark.slow
def test_memory_is_flat_over_many_records(capsys):
    """A run tells its steps, and whether the second half of it added memory."""
    assert [step.records for step in memory.run(40)] == [*range(4, 41, 4)]
    flat = [memory.Step(number, 10**8, 0, 0, 0.0) for number in range(10)]
    assert memory.grown(flat) == 0
    assert memory.grown([*flat[:-1], flat[-1]._replace(resident=2 * 10**8)]) == 10**8
