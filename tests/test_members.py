"""Members of a body in every form that services send them."""

from __future__ import annotations

from typing import Any

import pytest

from normcompletion import normalize
from tests.conftest import chat, refusal, reported


@pytest.mark.parametrize(
    ("sent", "read", "notes"),
    [
        (10**11 - 1, 10**11 - 1, []),
        (10**11, 10**8, ["milliseconds"]),
        (2 * 10**11, 2 * 10**8, ["milliseconds"]),
        (10**14 - 1, 10**11 - 1, ["milliseconds"]),
        (10**14, None, ["out_of_range"]),
        (-(10**14) + 1, -(10**14) + 1, []),
        (-1.5, -2, ["fractional_time"]),
        ("1700000000", 1_700_000_000, ["text_as_integer"]),
        ("1970-01-01 00:00:01.5", 1, ["text_time"]),
        ("1970-01-01T01:00:00+01:00", 0, ["text_time"]),
        ("1970-13-01T00:00:00Z", None, ["wrong_type"]),
        ("1970-01-01", None, ["wrong_type"]),
    ],
)
def test_a_time_is_read_by_its_size(sent: Any, read: Any, notes: list[str]) -> None:
    """Times from 1e11 up are milliseconds, from 1e14 up they are refused; texts are digits or ISO 8601."""
    completion = normalize(chat(created=sent))
    assert completion.created == read
    assert [note.code for note in completion.notes] == notes


def test_the_text_of_a_content_list_is_that_of_its_text_parts() -> None:
    """Parts of type `text`, `output_text` and none are text; a part of another type is not."""
    parts = [{"type": kind, "text": kind or "none"} for kind in ("text", "output_text", None, "other")]
    completion = normalize({"choices": [{"message": {"content": parts}}]})
    assert completion.text == "textoutput_textnone"


def test_parallel_log_probs_beside_the_list_of_tokens_are_kept() -> None:
    """Where log-probs come in both forms, the list of tokens is read and the parallel lists go to `extra`."""
    columns = {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": [{"a": -1.0}], "text_offset": [0]}
    sent = {"content": [{"token": "a", "logprob": -1.0}], **columns}
    completion = normalize({"choices": [{"text": "a", "logprobs": sent}]})
    logprobs = completion.choices[0].logprobs
    assert [item.token for item in logprobs.content or ()] == ["a"]
    assert completion.extra == {f"/choices/0/logprobs/{name}": column for name, column in columns.items()}


@pytest.mark.parametrize("member", [{"code": 1}, {"type": "t"}, {"metadata": {}}, {"status": 500}, {"statusCode": 500}])
def test_a_message_with_a_member_of_an_error_is_one(member: dict[str, Any]) -> None:
    """`message` beside `code`, `type`, `metadata` or a status is an error body, whatever else is there."""
    completion = reported({"message": "no", "more": 1, **member})
    assert completion.error.message == "no"
    assert refusal({"message": "no", "more": 1}).code == "unknown_shape"


@pytest.mark.parametrize(
    ("member", "fits"),
    [
        ({"code": 429}, True),
        ({"code": "busy"}, True),
        ({"code": True}, False),
        ({"code": 2**64}, False),
        ({"type": "t"}, True),
        ({"type": 4}, False),
        ({"metadata": {"a": 1}}, True),
        ({"metadata": "a"}, False),
    ],
)
def test_outer_members_fill_what_an_error_leaves_open(member: dict[str, Any], *, fits: bool) -> None:
    """A member beside an error that is a sentence becomes a field where its type fits, and else goes to `extra`."""
    completion = reported({"error": "no", **member})
    assert completion.error is not None
    ((name, value),) = member.items()
    assert getattr(completion.error, name) == (value if fits else None)
    assert completion.extra.get(f"/{name}") == (None if fits else value)


def test_reasoning_of_a_text_choice_is_that_of_its_message() -> None:
    """Reasoning beside a text or a message is the message's, or in `extra` where the message has another."""
    text = {"choices": [{"text": "a", "reasoning": "b"}]}
    assert normalize(text).choices[0].message.reasoning == "b"
    other = {"choices": [{"message": {"content": "a", "reasoning": "c"}, "reasoning": "b"}]}
    assert normalize(other).choices[0].message.reasoning == "c"
    assert normalize(other).extra == {"/choices/0/reasoning": "b"}
    empty = {"choices": [{"message": {"content": "a", "reasoning_content": ""}}]}
    assert normalize(empty).choices[0].message.reasoning == ""


def test_python_arguments_of_a_legacy_call_are_noted() -> None:
    """Arguments of a legacy call that are a Python repr stay as they are, with a note."""
    completion = normalize({"choices": [{"message": {"function_call": {"name": "f", "arguments": "{'a': 1}"}}}]})
    assert [(note.code, note.path) for note in completion.notes] == [
        ("python_arguments", "/choices/0/message/function_call/arguments")
    ]


@pytest.mark.parametrize(("levels", "deep"), [(60, False), (200, True)])
def test_tool_arguments_may_hold_many_brackets(levels: int, deep: bool) -> None:  # noqa: FBT001
    """Arguments are parsed by how deep they nest, not by how many brackets they hold."""
    arguments = "[" + ",".join(["[" * levels + "]" * levels] * 4) + "]"
    completion = normalize(
        {"choices": [{"message": {"tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}}]}
    )
    if deep:
        with pytest.raises(ValueError, match="nest"):
            completion.tool_calls[0].parse_arguments()
    else:
        assert len(completion.tool_calls[0].parse_arguments()) == 4


def test_a_repr_ends_at_sixteen_containers_in_each_other() -> None:
    """A completion shows itself however deep a value nests: what is sixteen containers down is not shown."""
    deep = "[" * 500 + "]" * 500
    shown = repr(normalize('{"choices": [{"message": {"content": "Hi"}, "vendor": ' + deep + "}]}"))
    assert shown.endswith("extra={'/choices/0/vendor': " + "[" * 15 + "[…]" + "]" * 15 + "})")
