"""Who is measured beside this library, how it is checked, and what the runner makes of it."""

from __future__ import annotations

import importlib
import json
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import msgspec
import orjson
import pytest

from benchmarks import contenders
from benchmarks.compare import WORKLOADS, Workload, check, main, measure, run
from benchmarks.contenders import BASELINE, MEANT_FOR, NAMES, Contender, Kind, load, load_all
from benchmarks.corpora import Truth, parse_mix, records

# Not ours to mend: pydantic from 2.14 warns of what litellm 1.106 declares (`ReadOnly` in a `TypedDict`).
pytestmark = pytest.mark.filterwarnings("ignore:Item '.*' on TypedDict class:UserWarning")

CHAT = Kind("openrouter", "chat")
FOUND, _ = load_all()
FOR_OPENROUTER = [contender for contender in FOUND if MEANT_FOR.get(contender.name, "openrouter") == "openrouter"]
PLACES = {"id", "model", "created", "finish_reasons", "contents", "prompt_tokens", "completion_tokens", "total_tokens"}


def corpus(mix: str = "openrouter/chat/snake", count: int = 40) -> tuple[list[bytes], list[Truth]]:
    made = list(records(parse_mix(mix), seed=7, stop=count))
    return [item.body for item in made], [msgspec.json.decode(item.truth(), type=Truth) for item in made]


def invented(name: str, read, facts=lambda answer: answer) -> Contender:
    return Contender(name, name.title(), read, facts)


def test_each_file_is_a_contender():
    """The folder holds those files that are named, and what they share."""
    files = {path.stem for path in Path(contenders.__file__).parent.glob("*.py")}
    assert files - {"__init__", "places"} == {*NAMES}
    assert {BASELINE, *MEANT_FOR} <= {*NAMES}


@pytest.mark.parametrize("contender", FOUND, ids=lambda contender: contender.name)
def test_a_contender_that_is_installed_has_the_same_three_names(contender):
    """A label, a lazy reader, and facts that are fields of the truth; it has a docstring that says what it is."""
    assert importlib.import_module(f"benchmarks.contenders.{contender.name}").__doc__
    assert contender.label
    texts, _ = corpus(count=3)
    answers = contender.read(iter(texts), CHAT)
    assert isinstance(answers, Iterator)
    facts = [contender.facts(answer) for answer in answers] if contender.name not in MEANT_FOR else []
    assert all(PLACES <= fact.keys() <= {*Truth.__struct_fields__} for fact in facts)


def test_a_contender_that_is_missing_is_named(monkeypatch):
    """What cannot be imported is no contender, and no error."""
    monkeypatch.setitem(sys.modules, "orjson", None)
    for name in ("orjson_loads", "json_loads"):
        monkeypatch.delitem(sys.modules, f"benchmarks.contenders.{name}", raising=False)
    found, missing = load_all(["orjson_loads", "json_loads"])
    assert ([contender.name for contender in found], missing) == (["json_loads"], ["orjson_loads"])


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("normcompletion")])
@pytest.mark.parametrize("workload", WORKLOADS)
def test_we_say_the_truth_on_every_workload(workload, name):
    """Each of our readers accepts every body and has every field right; the source is named or detected."""
    about = WORKLOADS[workload]
    texts, truths = corpus(about.mix, 15)
    found = check(load(name), texts, truths, about.kind)
    assert (found.accepted, found.refused, found.wrong) == (texts, 0, {})
    assert found.unsaid == (["source"] if name == "normcompletion_named" else [])


@pytest.mark.parametrize("contender", FOR_OPENROUTER, ids=lambda contender: contender.name)
def test_peers_agree_on_plain_chats(contender):
    """On OpenRouter chats with text and a finish word, all who accept a body say the same as the truth."""
    pairs = [
        (text, truth)
        for text, truth in zip(*corpus("openrouter/chat/snake//plain", 60), strict=True)
        if truth.finish_reasons != [None]
    ]
    texts, truths = [text for text, _ in pairs], [truth for _, truth in pairs]
    found = check(contender, texts, truths, CHAT)
    assert found.wrong == {}
    assert found.accepted


def test_what_is_wrong_refused_or_unsaid_is_seen():
    """A reader that changes ids and refuses every second body is reported so, field by field."""

    def read(texts, kind):
        for text in texts:
            tree = orjson.loads(text)
            if tree["created"] % 2:
                raise RuntimeError("odd\nseconds")
            yield {"id": "other", "model": tree["model"]}

    texts, truths = corpus()
    odd = sum(truth.created % 2 for truth in truths)
    found = check(invented("liar", read), texts, truths, CHAT)
    assert (len(found.accepted), found.refused) == (len(texts) - odd, odd)
    assert found.why == "RuntimeError: odd seconds"
    assert found.wrong == {"id": len(texts) - odd}
    assert {"contents", "created", "provider", "cost"} <= {*found.unsaid}
    assert not {"id", "model", "error", "envelope"} & {*found.unsaid}
    assert check(invented("liar", read), texts, [], CHAT)._replace(accepted=[], refused=0, why=None)[3:] == ({}, [])


def test_no_clock_starts_while_we_are_wrong():
    """A reader of ours that says what is not true ends the run."""
    texts, truths = corpus(count=4)
    ours = invented("normcompletion_wrong", lambda texts, kind: ({"id": "other"} for _ in texts))
    with pytest.raises(SystemExit, match=r"wrong \{'id': 4\}"):
        run(Workload("", "mix", CHAT), texts, truths, [ours], load(BASELINE), 1)


def test_each_contender_reads_its_texts_in_each_round():
    """Those that a contender accepts are read by it and by the baseline, each round, and all answers are drained."""
    seen: dict[str, list[list[bytes]]] = {"baseline": [], "slow": [], "choosy": []}

    def reader(name: str) -> Contender:
        def read(texts, kind):
            seen[name].append([])
            for text in texts:
                seen[name][-1].append(text)
                yield text

        return invented(name, read)

    base, slow, choosy = map(reader, seen)
    ratios, micros = measure({"slow": (slow, [b"1", b"2"]), "choosy": (choosy, [b"2"])}, base, CHAT, 2)
    assert seen["slow"] == [[b"1", b"2"]] * 2
    assert seen["choosy"] == [[b"2"]] * 2
    assert seen["baseline"].count([b"1", b"2"]) == seen["baseline"].count([b"2"]) == 4  # once to warm up
    assert {*ratios} == {*micros} == {"slow", "choosy"}
    assert all(found.low <= found.median <= found.high for found in ratios.values())


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> dict:
    """A result of the command, as its file has it."""
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NORMCOMPLETION_BENCH_CACHE", str(folder))
        some = "normcompletion_detected,orjson_loads,msgspec_struct"
        options = ["--only", "openrouter,log10-text", "--contenders", some, "--records", "30", "--rounds", "2"]
        assert main([*options, "--no-footprint", "--json", str(folder / "result.json")]) == 0
    return json.loads((folder / "result.json").read_bytes())


def test_a_result_has_what_the_table_needs(result):
    """Versions, machine, and for each contender its ratio, what it refuses, and what it does not say."""
    assert {"msgspec", "orjson", "normcompletion"} <= result["versions"].keys()
    assert {*result["workloads"]} == {"openrouter", "log10-text"}
    rows = {row["name"]: row for row in result["workloads"]["openrouter"]["contenders"]}
    assert rows["normcompletion_detected"]["unsaid"] == []
    assert "provider" in rows["orjson_loads"]["unsaid"]
    refused = {row["name"]: row for row in result["workloads"]["log10-text"]["contenders"]}["msgspec_struct"]
    assert (refused["refused"], refused["accepted"], "median" in refused) == (30, 0, False)


def test_the_command_reads_ones_own_log(tmp_path, capsys, result):
    """With `--file` the bodies are the lines of a file, unchecked; `--against` and `--show` read results."""
    log, first, svg = tmp_path / "log.jsonl", tmp_path / "first.json", tmp_path / "chart.svg"
    log.write_bytes(b"\n".join(corpus(count=12)[0]) + b"\n\n")
    options = ["--file", str(log), "--contenders", "orjson_loads,normcompletion_many", "--rounds", "1"]
    assert main([*options, "--no-footprint", "--json", str(first)]) == 0
    shown = capsys.readouterr().out
    assert "12 bodies" in shown
    assert "not checked" in shown
    assert main(["--show", str(first), "--against", str(first), "--svg", str(svg)]) == 0
    assert "+0.0%" in capsys.readouterr().out
    assert ET.fromstring(svg.read_text()).tag.endswith("svg")
    log.write_bytes(b"\n")
    with pytest.raises(SystemExit, match="holds no lines"):
        main(options)
