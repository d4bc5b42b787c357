"""The quick form of the fuzzer, and proof that it sees what it is there to see."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.conftest import slow
from tests.fuzz import __main__ as command
from tests.fuzz import faults
from tests.fuzz.check import Library, Target, Violation
from tests.fuzz.mutations import _Edit, corpus, mutant
from tests.fuzz.oracle import classify, classify_events
from tests.fuzz.run import HANG_SECONDS, Report, fuzz, to_text
from tests.fuzz.worker import Plan, reproduce, run_block, shrunk

MUTANTS = 2_000
FAULTS: list[tuple[type[Target], str]] = [
    (faults.Foreign, "foreign"),
    (faults.WrongType, "foreign"),
    (faults.AcceptsInvalid, "accepted_invalid"),
    (faults.RefusesValid, "refused_valid"),
    (faults.StrictIsLaxer, "strict_disagrees"),
    (faults.StrictDiffers, "strict_disagrees"),
    (faults.StrictRefusesWithoutFaults, "strict_disagrees"),
    (faults.LosesAPiece, "pieces_disagree"),
    (faults.Unwritable, "no_round_trip"),
    (faults.Talkative, "long_text"),
    (faults.HoldsForeign, "holds_foreign"),
]


@pytest.fixture(scope="module")
def report() -> Report:
    return fuzz(Plan(), MUTANTS, is_quiet=True)


def test_no_mutant_breaks_a_promise(report: Report) -> None:
    """Two thousand mutants give a completion or an error of ours, and what is accepted is JSON."""
    assert report.is_clean, to_text(report)
    assert report.mutants == MUTANTS


def test_the_mutants_reach_every_outcome(report: Report) -> None:
    """The mutants are neither all refused nor all accepted: every class of answer is among theirs."""
    seen: Counter[str] = Counter()
    for label, count in report.labels.items():
        seen[label.partition("/")[0]] += count
    for kind, answer in (("body", "Completion"), ("chunk", "Chunk"), ("stream", "Completion")):
        assert seen[f"{kind} {answer}"] > MUTANTS // 100
        for error in ("MalformedPayloadError", "UnknownPayloadError", "InvalidPayloadError"):
            assert seen[f"{kind} {error}"]
    assert any(label.endswith("AmbiguousPayloadError") for label in seen)  # rare: one of two fixtures, marked twice
    for kind in ("body", "stream"):
        assert seen[f"{kind} SourceReportedError"]
        assert seen[f"{kind} EncryptedPayloadError"]


def test_every_fixture_has_mutants() -> None:
    """Among a few thousand mutants are some of nearly every fixture, in both spellings."""
    found = corpus()
    names = {name for name, _ in found.bodies + found.chunks} | {name for name, _ in found.streams + found.texts}
    mutated = {mutant(1, index).fixture for index in range(4000)}
    assert mutated <= names
    assert len(mutated) > 0.9 * len(names)
    assert any(name.endswith("(camel)") for name in mutated)


def test_a_mutant_depends_on_seed_and_index_alone() -> None:
    """The same seed and index give the same mutant, in any order; another seed gives others."""
    forwards = [mutant(7, index) for index in range(200)]
    backwards = [mutant(7, index) for index in reversed(range(200))]
    assert forwards == backwards[::-1]
    assert [mutant(8, index).raw for index in range(200)] != [case.raw for case in forwards]
    assert all(b"".join(case.pieces()) == case.raw for case in forwards)


# -- what the fuzzer must see


def ways(target: Target) -> set[Violation]:
    block = run_block(Plan(), target, 0, 150)
    return {violation for violation, _ in block.counts}


@pytest.fixture(scope="module")
def unplanted() -> set[Violation]:
    return ways(Library())


@pytest.mark.parametrize(("fault", "kind"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_a_planted_fault_is_seen(fault: type[Target], kind: str, unplanted: set[Violation]) -> None:
    """A fault planted in the library is reported as what it is."""
    assert kind in {violation.kind for violation in ways(fault()) - unplanted}


@pytest.mark.parametrize(
    ("fault", "kind", "word"),
    slow(("Crashes", "crash", "SIGSEGV"), ("Hangs", "hang", "over 10 s")),
)
def test_a_deadly_mutant_is_found_and_the_others_still_run(fault: str, kind: str, word: str) -> None:
    """A mutant that kills or stops its process is named, and every other one is still checked."""
    plan = Plan(target=f"tests.fuzz.faults:{fault}")
    deadly = [index for index in range(60) if faults.is_chosen(plan.mutant(index).raw, faults.DEADLY)]
    assert deadly
    found = fuzz(plan, 60, hang_seconds=10.0 if kind == "hang" else HANG_SECONDS, is_quiet=True)
    assert found.mutants == 60
    assert found.violations[kind] == len(deadly)
    (way,) = (way for way in found.ways if way["kind"] == kind)
    assert word in way["verb"]
    assert way["detail"].endswith("in normalize")
    assert [example["index"] for example in way["first"]] == deadly[:3]


def test_a_violation_is_reproduced_and_shrunk() -> None:
    """A violation comes again from its index alone, and from a payload that is shorter."""
    plan = Plan(target="tests.fuzz.faults:Foreign")
    chosen = (index for index in range(1000) if faults.is_chosen(plan.mutant(index).raw))
    index = next(index for index in chosen if len(plan.mutant(index).raw) > 200)  # with room to shrink
    found = reproduce(plan, index)
    wanted = Violation("foreign", "normalize", "KeyError at unknown")
    assert wanted in found.result.violations
    assert not found.before
    short = shrunk(found, wanted, faults.Foreign())
    assert faults.is_chosen(short)
    assert len(short) < len(found.case.raw) / 4


@pytest.mark.parametrize(("target", "code"), [("Refuses", 0), *slow(("Foreign", 1))])
def test_the_exit_code_is_that_of_the_findings(
    target: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The command ends with 0 where nothing was broken and with 1 where something was; the report says it too."""
    written = tmp_path / "report.json"
    options = ["--target", f"tests.fuzz.faults:{target}", "--mutants", "120", "--report", str(written)]
    monkeypatch.setattr(sys, "argv", ["fuzz", *options])
    assert command.main() == code
    said = json.loads(written.read_text())
    assert said["mutants"] == 120
    assert bool(said["ways"]) == bool(code)
    assert f"{said['violations']['foreign']:>10,}  foreign" in capsys.readouterr().out
    if code:
        index = said["ways"][0]["first"][0]["index"]
        monkeypatch.setattr(sys, "argv", ["fuzz", *options[:2], "--only", str(index)])
        assert command.main() == 1


def test_what_only_breaks_after_others_is_reproduced_with_them() -> None:
    """A mutant that breaks a promise only after another one is shown with that one, and with no others."""
    plan = Plan(target="tests.fuzz.faults:Learns")
    chosen = [index for index in range(200) if faults.is_chosen(plan.mutant(index).raw)]
    found = reproduce(plan, chosen[3])
    assert found.result.violations[0].detail == "KeyError at unknown"
    assert [earlier.number for earlier in found.before] == [chosen[2]]
    assert not reproduce(plan, chosen[0]).result.violations


# -- the oracle


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        (b'{"a":[1,-0,1.5e3,"\\ud83d",null,true]}', "object", ""),
        (b'{"a":1,"a":2}', "object", ""),
        (b' \t\r\n["\xf0\x9f\x98\x80"] ', "list", ""),
        (b"[" * 128 + b"]" * 128, "list", ""),
        (b'["' + b"[" * 200 + b'\\""]', "list", ""),
        (b'"text"', "string", ""),
        (b"12345678901234567890123456789", "scalar", ""),
        (b"0.1e-400", "scalar", ""),
        (b"", "invalid", "syntax"),
        (b"[" * 129 + b"]" * 129, "invalid", "too_deep"),
        (b"[" * 100_000, "invalid", "too_deep"),
        (b'{"a":1e999}', "invalid", "number_range"),
        (b'{"a":-1e309}', "invalid", "number_range"),
        (b"1" * 4301, "invalid", "number_range"),
        (b'{"a":"\xff"}', "invalid", "not_utf8"),
        (b'{"\xc0\xaf":1}', "invalid", "not_utf8"),
        (b'["\xed\xa0\xbd"]', "invalid", "not_utf8"),
        (b"\xef\xbb\xbf{}", "object", ""),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "invalid", "syntax"),
        (b"{}\n\ndata: [DONE]\n", "object", ""),
        (b"{}{}", "invalid", "syntax"),
        (b'{"a":1,}', "invalid", "syntax"),
        (b"{'a':1}", "invalid", "syntax"),
        (b"[NaN]", "invalid", "syntax"),
        (b"[-Infinity]", "invalid", "syntax"),
        (b"[01]", "invalid", "syntax"),
        (b"[+1]", "invalid", "syntax"),
        (b"[1.]", "invalid", "syntax"),
        (b'["\t"]', "invalid", "syntax"),
        (b'["\\x41"]', "invalid", "syntax"),
        (b'["\\u12g4"]', "invalid", "syntax"),
        (b'["\\u 123"]', "invalid", "syntax"),
        (b"\xc2\xa0[]", "invalid", "syntax"),
        (b"[\x0c]", "invalid", "syntax"),
        ("[\uff11]".encode(), "invalid", "syntax"),
        (b"[1]\x00", "invalid", "syntax"),
    ],
)
def test_the_oracle_knows_json(text: bytes, kind: str, reason: str) -> None:
    """The oracle calls each text what RFC 8259 and the two limits say it is."""
    assert classify(text) == (kind, reason)


def test_a_marker_that_was_edited_is_a_text() -> None:
    """What an edit made of the placeholder of a raw token, and no token belongs to, is written as it is."""
    edit = _Edit([], Random(1))
    edit.root[0] = [edit.placeholder(b"1e9"), "@@12@@"]
    assert json.loads(edit.written()) == [1e9, "@@12@@"]


def test_the_oracle_looks_at_a_text_once() -> None:
    """A long string without an end, full of quotes, is classified in the time that one look takes."""
    text = b"[" * 129 + b'"' + b'\\"' * 1_000_000  # looked through from each quote, it would take a day
    assert classify(text) == ("invalid", "too_deep")


@pytest.mark.parametrize(
    ("events", "cut", "reason"),
    [
        ([b'{"a":1}', b" [DONE] "], "whole", ""),
        ([b": comment", b"", b"a sentence", b'{"a":1}'], "whole", ""),
        ([b'{"a":1}', b'{"a":'], "cut", ""),
        ([b'{"a":1}', b'{"a":'], "whole", "syntax"),
        ([b'{"a":', b'{"a":1}'], "cut", "syntax"),
        ([b'{"a":"\xff"}', b'{"a":1}'], "cut", "not_utf8"),
        ([b'{"a":1e999}', b'{"a":1}'], "cut", "number_range"),
    ],
)
def test_the_oracle_knows_streams(events: list[bytes], cut: str, reason: str) -> None:
    """The oracle wants JSON in every event that looks like it, but for a last one that was cut off."""
    assert classify_events(events, may_be_cut=cut == "cut") == reason
