"""The forms in which services report an error are detected and read by one table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from normcompletion import UnknownPayloadError, normalize
from normcompletion.dialect.failures import ALONE, FORMS, Form, form_of
from tests.conftest import PAIRS, chat, reported

FORMS_OF_BODIES = (*FORMS, *ALONE)


def trees() -> list[dict[str, Any]]:
    """The fixtures that report an error in a body of their own."""
    found = []
    for pair in PAIRS:
        if pair.error == "SourceReportedError":
            try:
                tree = json.loads(pair.raw)
            except ValueError:
                continue
            found.append(tree[0] if isinstance(tree, list) else tree)
    return found


@pytest.mark.parametrize("form", FORMS_OF_BODIES, ids=lambda form: form.services)
def test_each_form_has_a_fixture_and_a_citation(form: Form) -> None:
    """Every row of the table is the form of a fixture, and says where it was seen."""
    assert any(form_of(tree) == form for tree in trees())
    assert form.seen


NO_ERRORS: dict[str, dict[str, Any]] = {
    "a code that means success": {"code": 0, "message": "success", "data": {"id": "a"}},
    "the HTTP status of success": {"status": 200, "message": "created"},
    "MiniMax's code of success": {"choices": None, "base_resp": {"status_code": 0, "status_msg": "success"}},
    "warnings of a call that succeeded": {"success": True, "errors": [{"message": "slow"}], "result": {}},
    "an empty list of errors": {"success": False, "errors": []},
    "a title and a detail": {"title": "A story", "detail": "It was night."},
    "a status below 400": {"status": 302, "title": "Moved"},
    "an error code of zero": {"error_code": 0, "message": "fine"},
    "a message and an id": {"message": "hello", "id": "m-1"},
    "an empty message": {"message": ""},
    "an error of nulls": {"error": {"code": None, "message": None}, "choices": None},
    "an empty list in place of an error": {"error": [], "choices": None},
}


@pytest.mark.parametrize("case", NO_ERRORS)
def test_what_reports_no_error_is_refused_as_unknown(case: str) -> None:
    """An object without choices that says nothing of an error is no failed call, and no completion either."""
    with pytest.raises(UnknownPayloadError):
        normalize(NO_ERRORS[case])


@pytest.mark.parametrize(
    "error",
    [{}, {"code": None, "message": None}, {"code": "", "message": ""}, {"param": "n"}, {"type": "t"}, [], "", False],
)
def test_an_error_without_code_or_message_does_not_spoil_an_answer(error: Any) -> None:
    """Beside choices, an `error` counts only with a code or a message; what it holds is in `extra`."""
    completion = normalize({**chat(), "error": error})
    assert completion.error is None
    assert completion.text == "hi"
    choice = normalize({"choices": [{**chat()["choices"][0], "error": error}]}).choices[0]
    assert choice.error is None


@pytest.mark.parametrize("error", [{"code": 0}, {"message": "no"}, {"errorCode": "x"}, "no", 503, [{"message": "no"}]])
def test_an_error_with_a_code_or_a_message_beside_an_answer_is_one(error: Any) -> None:
    """Beside choices, an `error` with a code or a message fails the call; its answer is in the completion."""
    completion = reported({**chat(), "error": error})
    assert completion.text == "hi"
    assert completion.error.code is not None or completion.error.message is not None


@pytest.mark.parametrize(
    "calls",
    [{"name": "", "arguments": ""}, {"name": None, "arguments": None}, {"name": "", "arguments": None}, {}],
)
def test_a_function_call_of_nothing_is_no_call(calls: dict[str, Any]) -> None:
    """A `function_call` of empty texts or nulls is no call, in a message and in a choice."""
    message = {"role": "assistant", "content": "hi", "function_call": calls}
    for body in ({"choices": [{"message": message}]}, {"choices": [{"text": "hi", "function_call": calls}]}):
        completion = normalize(body)
        assert completion.tool_calls == []
        assert completion.notes == []


def test_what_no_error_can_hold_stays_in_extra() -> None:
    """A partial response that is not an object, and a status of more than 64 bits, leave their fields empty."""
    partial = reported('{"message": "shape mismatch", "partial_response": "stop"}')
    assert (partial.extra["/partial_response"], partial.notes[0].code) == ("stop", "wrong_type")
    event = reported(b'event: error\ndata: {"status": 18446744073709551616, "detail": "unreachable"}\n\n')
    assert (event.error.code, event.error.message) == (None, "unreachable")
    assert event.extra["/error"]["status"] == 18446744073709551616
