"""The regression gate, the stages and the scaling of the benchmarks."""

from __future__ import annotations

import pytest

from benchmarks import compare, gate, stages
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


def test_the_gate_measures_in_processes_of_its_own(tmp_path, monkeypatch):
    """A ratio of a real workload comes back; a process that fails ends the gate with its command."""
    monkeypatch.setenv("NORMCOMPLETION_BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(gate, "RECORDS", 10)
    assert gate.cpu("openrouter") > 0
    with pytest.raises(SystemExit, match=r"could not be measured; run: .* --cpu nothing"):
        gate.measured("nothing", "cpu")


def test_the_stages_add_up():
    """The shares of the stages are the whole, and a fault is repaired by the lenient decode."""
    made = records(parse_mix("openrouter/chat/snake//repair"), seed=3, stop=30)
    found = stages.measure(compare.WORKLOADS["repair"], [record.body for record in made], 0.3, rounds=2)
    assert found.stages.keys() == {*stages.STAGES}
    assert sum(found.stages.values()) == pytest.approx(found.whole)
    assert found.stages["lenient"] > 0
    assert found.encode > 0
    assert found.samples > 1
