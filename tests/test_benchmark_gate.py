"""The regression gate, the stages and the scaling of the benchmarks."""

from __future__ import annotations

import pytest

from benchmarks import compare, gate, readme, stages
from benchmarks.corpora import parse_mix, records

ALL = dict.fromkeys(gate.WORKLOADS, 1.0)
HERE = {gate.version(): {"cpu": ALL}}


@pytest.fixture
def ratios(monkeypatch):
    """What is measured next, workload by workload; 1.0 where nothing is said."""
    said: dict[str, list[float]] = {}
    monkeypatch.setattr(gate, "measured", lambda name, unit: said[name].pop(0) if said.get(name) else 1.0)
    return said


def test_the_committed_baseline_has_every_workload():
    """Each of its versions has the CPU time of each workload of the gate, and all are workloads that there are."""
    baseline = gate.read_baseline()
    assert baseline
    assert {*gate.WORKLOADS} <= {*compare.WORKLOADS}
    for numbers in baseline.values():
        assert numbers["cpu"].keys() == ALL.keys()
        assert all(ratio > 0 for ratio in numbers["cpu"].values())


def test_what_is_slower_each_time_fails(ratios, capsys):
    """Within the margin, or over it once, passes; over it in every attempt gives 1 and the workload's name."""
    limit = gate.MARGINS["cpu"]
    ratios["openai"] = [limit - 0.01]
    ratios["all"] = [limit + 0.5, limit + 0.5, limit - 0.01]
    assert gate.gate(HERE) == 0
    ratios["repair"] = [limit + 0.01] * gate.ATTEMPTS
    assert gate.gate(HERE) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1].startswith("slower: repair;")
    assert "--write" in printed[-1]


def test_other_versions_have_a_wider_margin():
    """The highest number of any version counts there, with more room; the own one decides where there is one."""
    other = {"Python 2.0": {"cpu": ALL}, "Python 2.1": {"cpu": {**ALL, "all": 3.0}}}
    assert gate.limits(other, "cpu")["all"] == 3 * gate.ELSEWHERE
    assert gate.limits({**other, **HERE}, "cpu")["all"] == gate.MARGINS["cpu"] < gate.ELSEWHERE
    assert gate.limits(other, "instructions") == {}


def test_the_baseline_is_renewed_for_these_versions_alone(monkeypatch, ratios):
    """The median of the attempts stands; other versions keep their numbers."""
    ratios["all"] = [3.0, 1.0, 2.0]
    monkeypatch.setattr(gate, "ATTEMPTS", 3)
    new = gate.renewed({"Python 2.0": {"cpu": ALL}, gate.version(): {"cpu": {}}})
    assert new["Python 2.0"] == {"cpu": ALL}
    assert new[gate.version()]["cpu"] == {**ALL, "all": 2.0}


def test_the_gate_measures_in_processes_of_its_own(tmp_path, monkeypatch):
    """A ratio of a real workload comes back; a process that fails ends the gate with its command."""
    monkeypatch.setenv("NORMCOMPLETION_BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(gate, "RECORDS", 10)
    assert gate.cpu("openrouter") > 0
    with pytest.raises(SystemExit, match=r"could not be measured; run: .* --cpu nothing"):
        gate.measured("nothing", "cpu")


def test_without_a_baseline_there_is_no_gate(tmp_path, monkeypatch):
    """The error says how to make one."""
    monkeypatch.setattr(gate, "BASELINE", tmp_path / "baseline.json")
    with pytest.raises(SystemExit, match=r"make one with python -m benchmarks.gate --write"):
        gate.main([])


def test_the_stages_are_shown():
    """`benchmarks/README.md` has a row for each workload, as the command writes it."""
    found = stages.Found(2.0, dict.fromkeys(stages.STAGES, 0.4), 0.5, 100)
    assert "| OpenRouter chat with one fault to repair | 2.00 | 0.40 |" in stages.table({"repair": found})
    shown = readme.DETAILS.read_text("utf-8")
    begin, end = readme.markers("stages")
    rows = shown.partition(f"{begin}\n")[2].partition(end)[0].splitlines()[2:]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == [one.about for one in compare.WORKLOADS.values()]
    assert readme.renewed(f"{begin}\nold\n{end}\n", "stages", "new\n") == f"{begin}\nnew\n{end}\n"


def test_the_stages_add_up():
    """The shares of the stages are the whole, and a fault is repaired by the lenient decode."""
    made = records(parse_mix("openrouter/chat/snake//repair"), seed=3, stop=30)
    found = stages.measure(compare.WORKLOADS["repair"], [record.body for record in made], 0.3, rounds=2)
    assert found.stages.keys() == {*stages.STAGES}
    assert sum(found.stages.values()) == pytest.approx(found.whole)
    assert found.stages["lenient"] > 0
    assert found.encode > 0
    assert found.samples > 1
