"""The quick form of the fuzzer, and proof that it sees what it is there to see."""

from __future__ import annotations

import json
import sys
from collections import Counter
from random import Random

import pytest

from tests.conftest import slow
from tests.fuzz import __main__ as command
from tests.fuzz import faults
from tests.fuzz.check import Library, Violation
from tests.fuzz.mutations import _Edit, corpus, mutant
from tests.fuzz.oracle import classify, classify_events
from tests.fuzz.run import Report, fuzz
from tests.fuzz.worker import HANG_SECONDS, Plan, reproduce, run_block, shrunk

MUTANTS = 2_000
FAULTS: list[tuple[type[Library], str]] = [
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
    assert not report.ways, report
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


def ways(target: Library) -> set[Violation]:
    return set(run_block(Plan(), target, 0, 150).ways)


@pytest.fixture(scope="module")
def unplanted() -> set[Violation]:
    return ways(Library())


@pytest.mark.parametrize(("fault", "kind"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_a_planted_fault_is_seen(fault: type[Library], kind: str, unplanted: set[Violation]) -> None:
    """A fault planted in the library is reported as what it is."""
    assert kind in {violation.kind for violation in ways(fault()) - unplanted}


@pytest.mark.parametrize(("fault", "kind", "word"), slow(("Crashes", "crash", "SIGSEGV"), ("Hangs", "hang", "SIGALRM")))
def test_a_deadly_mutant_is_found_and_the_others_still_run(fault: str, kind: str, word: str) -> None:
    """A mutant that kills or stops its process is named, and every other one is still checked."""
    plan = Plan(target=f"tests.fuzz.faults:{fault}")
    deadly = [index for index in range(60) if faults.is_chosen(plan.mutant(index).raw, faults.DEADLY)]
    assert deadly
    found = fuzz(plan, 60, hang_seconds=10.0 if kind == "hang" else HANG_SECONDS, is_quiet=True)
    assert found.mutants == 60
    ((way, numbers),) = ((way, numbers) for way, numbers in found.ways.items() if way.kind == kind)
    assert (way.verb, numbers) == (word, deadly)
    assert way.detail.endswith("in normalize")


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
    target: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends with 0 where nothing was broken and with 1 where something was; what it prints says it too."""
    options = ["fuzz", "--target", f"tests.fuzz.faults:{target}"]
    monkeypatch.setattr(sys, "argv", [*options, "--mutants", "120"])
    assert command.main() == code
    said = capsys.readouterr().out
    assert "120 of 120 mutants" in said
    assert ("         0  foreign" in said) == (code == 0)
    if code:
        monkeypatch.setattr(sys, "argv", [*options, "--only", said.rpartition("--only ")[2].partition(",")[0]])
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
        (b"\xef\xbb\xbf{}", "object", ""),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "invalid", "syntax"),
        (b"{}\n\ndata: [DONE]\n", "object", ""),
    ],
)
def test_the_oracle_knows_json(text: bytes, kind: str, reason: str) -> None:
    """The oracle calls each text what RFC 8259 and the two limits say it is; `test_json_conformance` has many more."""
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
