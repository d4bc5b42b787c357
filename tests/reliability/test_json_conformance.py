"""The JSON that is read is the JSON of RFC 8259, wherever in a body it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from normcompletion import Completion, MalformedPayloadError, SourceReportedError, UnknownPayloadError, normalize
from normcompletion.errors import NormalizeError
from tests.conftest import for_each
from tests.fuzz.oracle import classify, parse
from tests.reliability.json_cases import ACCEPTED, CASES, REFUSED, STRUCTURE, STRUCTURE_CODES, Case

# Each ends in the closing marks alone, or goes on: half of the texts go wrong only by what follows them.
POSITIONS = {
    "known": b'{"model":%s,"choices":[]}',
    "known_last": b'{"choices":[],"model":%s}',
    "unknown": b'{"vendor":%s,"choices":[]}',
    "unknown_last": b'{"choices":[],"vendor":%s}',
    "unknown_in_choice": b'{"choices":[{"index":0,"vendor":%s,"message":{"content":"c"}}]}',
    "free_form": b'{"choices":[{"error":{"metadata":{"a":%s},"message":"m"},"index":0}]}',
    "free_form_last": b'{"choices":[],"error":{"message":"m","metadata":{"a":%s}}}',
}
ARGUMENTS = b'{"choices":[{"message":{"tool_calls":[{"function":{"name":"f","arguments":%s}}]}}]}'


def read(payload: bytes, *, strict: bool = False) -> Completion:
    """The completion of a payload, that of a failed call included."""
    try:
        return normalize(payload, strict=strict)
    except SourceReportedError as error:
        return error.completion


def verdict(payload: bytes, *, strict: bool = False) -> str | None:
    """The code of the refusal as malformed, `None` where the text is taken for JSON."""
    try:
        read(payload, strict=strict)
    except MalformedPayloadError as error:
        return error.code
    except NormalizeError:
        return None
    return None


def without_surrogates(value: Any) -> Any:
    """A JSON value with U+FFFD for half surrogate pairs."""
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in value)
    if isinstance(value, list):
        return [without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    return value


def test_the_table_agrees_with_the_standard_library() -> None:
    """The oracle, which is the standard library made strict, accepts every `y_` text and refuses every `n_` text."""
    assert [case.name for case in ACCEPTED if case.name.startswith("y_") and classify(case.text).reason] == []
    for case in REFUSED:
        reason, code = classify(case.text).reason, case.alone or case.code
        assert reason or not case.name.startswith("n_"), case.name
        assert reason == code or code not in ("not_utf8", "number_range", "too_deep"), case.name
    assert len({case.name for case in CASES}) == len(CASES)


SKIPPED_CODES = ("number_range", "too_deep")


@for_each(CASES)
def test_the_verdict_is_the_same_in_every_position(case: Case) -> None:
    """A text is accepted, or refused with the table's code, in a known field, an unknown key and a free-form member.

    Under an unknown key, where no value is made of it, the range of a number and the depth do not matter.
    """
    for position, template in POSITIONS.items():
        payload = template.replace(b"%s", case.text)
        got = verdict(payload)
        if case.code is None:
            assert got is None, position
        elif position.startswith("unknown") and case.code in SKIPPED_CODES:
            assert got in (None, case.code), position
        elif case.code == STRUCTURE or position.endswith("_last"):
            assert got == case.code or (case.code in (STRUCTURE, "syntax") and got in STRUCTURE_CODES), position
        else:
            assert got == case.code, position
        if got is not None:
            assert verdict(payload, strict=True) == got, position


@for_each(CASES)
def test_the_verdict_of_a_text_alone(case: Case) -> None:
    """A text that is the whole payload is refused as no completion where it is JSON, else with the table's code."""
    wanted = case.alone or case.code
    with pytest.raises(NormalizeError) as caught:
        normalize(case.text)
    if wanted is None:
        assert isinstance(caught.value, UnknownPayloadError)
    else:
        assert isinstance(caught.value, MalformedPayloadError)
        assert caught.value.code == wanted


@for_each(ACCEPTED)
def test_an_accepted_text_keeps_its_value(case: Case) -> None:
    """What an accepted text says is in `extra`, digit for digit; in a field half a surrogate pair is U+FFFD."""
    wanted = parse(case.text.decode())
    for position, pointer in (("unknown", "/vendor"), ("unknown_in_choice", "/choices/0/vendor")):
        got = read(POSITIONS[position].replace(b"%s", case.text)).extra.get(pointer)
        assert repr(got) == repr(wanted), position
    completion = read(POSITIONS["free_form_last"].replace(b"%s", case.text))
    metadata = completion.error.metadata or {"a": None}
    assert repr(metadata["a"]) == repr(wanted)
    wanted = without_surrogates(wanted)
    field = read(POSITIONS["known"].replace(b"%s", case.text))
    if isinstance(wanted, str):
        assert field.model == wanted
    else:
        assert field.model is None or isinstance(wanted, int | float)


@for_each(CASES)
def test_tool_arguments_are_text_whatever_they_hold(case: Case) -> None:
    """A text inside tool arguments is kept letter by letter, legal JSON or not, unless its bytes are no UTF-8."""
    try:
        text = case.text.decode()
    except UnicodeDecodeError:
        raw = b'"' + case.text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        assert verdict(ARGUMENTS.replace(b"%s", raw)) == "not_utf8"
        return
    for escaped in (True, False):
        payload = ARGUMENTS.replace(b"%s", json.dumps(text, ensure_ascii=escaped).encode())
        for strict in (False, True):
            completion = read(payload, strict=strict)
            assert completion.tool_calls[0].function.arguments == text
            assert [note.code for note in completion.notes] == ["python_arguments"] * text.startswith("{'")
