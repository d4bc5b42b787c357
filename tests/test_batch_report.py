"""Rejects and reports: what they count, and how they are written."""

from __future__ import annotations

import base64
import io
import json
import pickle
import random
import re
from decimal import Decimal, localcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tqdm import tqdm

import normcompletion
from normcompletion import NOTES, Choice, Completion, Note, ServiceError, Usage
from normcompletion.batch import REJECT_CODES
from normcompletion.batch.report import MAX_ERROR_CODES, OTHER_CODES, Reject, Report, dollars
from normcompletion.cli.progress import SHAPE, counts

REJECT = Reject("a/log.jsonl", 7, 900, 13, "truncated", "/choices", "the JSON text ends too early")


def completion(**members: object) -> Completion:
    return Completion(**{"source": "openrouter", "variant": "chat", **members})


def counted(*completions: Completion) -> Report:
    report = Report()
    report.count(completions)
    return report


def test_a_reject_is_one_json_line():
    """A reject is a JSON line with source, line, offset, length, code, path and reason, and nothing else."""
    assert REJECT.to_json() == (
        b'{"source":"a/log.jsonl","line":7,"offset":900,"length":13,"code":"truncated","path":"/choices",'
        b'"reason":"the JSON text ends too early"}\n'
    )


@pytest.mark.parametrize("raw", [b'{"a":\xc3\xa9\r\n', b"\xff\x00\n", b""])
def test_raw_bytes_come_back(raw):
    """The bytes of a reject come back from its JSON, as text where they are UTF-8 and as base64 where not."""
    row = json.loads(Reject("log", 1, 0, len(raw), "syntax", None, "", raw).to_json())
    assert (row["raw"].encode() if "raw" in row else base64.b64decode(row["raw_base64"])) == raw


def test_a_reject_for_people_has_its_place_and_reason():
    """On a terminal a reject is one line with source, line, code and reason."""
    assert str(REJECT) == "a/log.jsonl:7: truncated: the JSON text ends too early"


def test_records_are_counted_by_what_they_are():
    """Sources, variants, finish reasons, notes and errors are counted, and failed calls by their kind."""
    report = counted(
        completion(choices=[Choice(finish_reason="stop"), Choice(finish_reason="length"), Choice()]),
        completion(variant="text", notes=[Note(code="text_time", path="/created")]),
        completion(source="log10", variant="log_record", error=ServiceError(code="pending")),
        completion(source="atoma", variant="confidential", error=ServiceError(code="encrypted")),
        completion(variant="error", error=ServiceError(code=503)),
        completion(variant="error", error=ServiceError(message="busy")),
    )
    assert (report.records, report.failed, report.pending, report.encrypted) == (6, 2, 1, 1)
    assert report.sources == {"openrouter": 4, "log10": 1, "atoma": 1}
    assert report.variants == {
        "openrouter chat": 1,
        "openrouter text": 1,
        "openrouter error": 2,
        "log10 log_record": 1,
        "atoma confidential": 1,
    }
    assert report.finish_reasons == {"stop": 1, "length": 1}
    assert report.notes == {"text_time": 1}
    assert report.errors == {"pending": 1, "encrypted": 1, "503": 1, "(none)": 1}


def test_tokens_and_cost_are_sums_of_what_was_reported():
    """What is not reported adds nothing, and the cost is the exact decimal sum, without an exponent."""
    report = counted(
        completion(usage=Usage(prompt_tokens=3, completion_tokens=4, total_tokens=9, cost=0.1)),
        completion(usage=Usage(prompt_tokens=2**62, cost=0.2)),
        completion(usage=Usage(prompt_tokens=2**62, cost=1e-12)),
        completion(usage=Usage(cost=7)),
        completion(),
    )
    assert (report.prompt_tokens, report.completion_tokens, report.total_tokens) == (2**63 + 3, 4, 9)
    assert report.to_builtins()["cost"] == "7.300000000001"


@given(st.lists(st.floats(min_value=-1e300, max_value=1e300) | st.integers(-(2**63), 2**63 - 1)), st.randoms())
def test_the_cost_does_not_depend_on_the_order(costs: list[float], chance: random.Random):
    """The same costs, in any order and in any pieces, give the same text."""
    texts = set()
    for _ in range(3):
        chance.shuffle(costs)
        cut = chance.randint(0, len(costs))
        report = counted(*[completion(usage=Usage(cost=cost)) for cost in costs[:cut]])
        report.add(counted(*[completion(usage=Usage(cost=cost)) for cost in costs[cut:]]))
        texts.add(report.to_builtins()["cost"])
    (text,) = texts
    with localcontext(prec=1000):
        assert Decimal(text) == sum((Decimal(repr(cost)) for cost in costs), Decimal(0))
    assert "E" not in text


def example() -> Report:
    report = counted(
        completion(choices=[Choice(finish_reason="stop")], usage=Usage(total_tokens=5, cost=0.25)),
        completion(error=ServiceError(code=503)),
    )
    report.units, report.converted, report.rejected, report.blank = 4, 2, 1, 1
    report.rejects["syntax"] += 1
    return report


def test_a_report_comes_back_from_json():
    """The JSON of a report gives an equal report, and so does a pickle."""
    report = example()
    assert Report.from_builtins(json.loads(report.to_json())) == report
    assert pickle.loads(pickle.dumps(report)) == report


def test_adding_counts_everything_once():
    """Every count, counter and sum of two reports is added."""
    report, other = example(), example()
    report.add(other)
    assert other == example()
    once, twice = example().to_builtins(), report.to_builtins()
    assert twice["cost"] == "0.5"
    for name in once.keys() - {"cost"}:
        expected = (
            {key: 2 * value for key, value in once[name].items()} if isinstance(once[name], dict) else 2 * once[name]
        )
        assert twice[name] == expected


def test_the_words_of_services_are_bounded():
    """However many error codes services invent, a bounded number is distinguished, each by at most 64 characters."""
    report = counted(*[completion(error=ServiceError(code=f"code {number}")) for number in range(MAX_ERROR_CODES + 5)])
    report.add(counted(completion(error=ServiceError(code="another")), completion(error=ServiceError(code="code 1"))))
    assert len(report.errors) == MAX_ERROR_CODES + 1
    assert (report.errors[OTHER_CODES], report.errors["code 1"]) == (6, 2)
    assert max(map(len, counted(completion(error=ServiceError(code="x" * 100))).errors)) == 64


def test_the_summary_is_for_people():
    """The summary says the counts of units and records, the counters, the sums, and nothing that is not there."""
    assert str(example()).split("\n") == [
        "4 units: 2 converted, 1 rejected, 1 blank",
        "2 records: 1 answer, 1 failed",
        "  variants  openrouter chat 2",
        "  finish    stop 1",
        "  errors    503 1",
        "  rejects   syntax 1",
        "  tokens    prompt 0, completion 0, total 5",
        "  cost      0.25 USD",
    ]
    assert str(Report()).split("\n") == ["0 units: 0 converted, 0 rejected, 0 blank", "0 records: 0 answers"]


@pytest.mark.parametrize(
    ("cost", "shown"),
    [
        ("0.00014104999999999999", "0.000141"),
        ("0.0123456", "0.01235"),
        ("0.5", "0.50"),
        ("7.300000000001", "7.30"),
        ("1234567.891", "1,234,567.89"),
        ("0", "0.00"),
    ],
)
def test_costs_are_shown_with_digits_that_matter(cost, shown):
    """A sum is shown to the cent, or with four digits where it is less than that."""
    assert dollars(Decimal(cost)) == shown


def test_every_code_is_in_the_table():
    """Each code that the package gives an error is in `REJECT_CODES`, or a note that strict mode refuses."""
    text = "".join(path.read_text() for path in Path(normcompletion.__file__).parent.rglob("*.py"))
    codes = set(re.findall(r'\bcode(?:: str)? ?= ?"(\w+)"', text))
    assert len(codes) > 20
    assert codes - REJECT_CODES.keys() <= NOTES.keys() | {"unknown_source"}


def test_the_bar_has_room_beside_the_counts():
    """On a terminal of 80 columns the counts and the rate are whole, and a fifth of the line at least is the bar."""
    assert counts(5e9, 9.0, 0).startswith("5G rec")
    bar = tqdm(total=100 << 30, **SHAPE, file=io.StringIO(), ncols=80)
    bar.set_postfix_str(counts(123_456_789, 99_999.0, 123_456), refresh=False)
    bar.update(50 << 30)
    shown = str(bar)
    assert len(shown) <= 80
    assert shown.endswith("123M rec, 100k/s, 123k rej")
    assert len(shown.split("|")[1]) >= 16
