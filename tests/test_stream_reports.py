"""What real servers, proxies and loggers do to streams, each in the shape in which it was reported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from normcompletion import (
    Completion,
    MalformedPayloadError,
    SourceReportedError,
    ToolCall,
    assemble,
    iter_events,
    normalize,
)
from tests.conftest import saved


def chunk(delta: Any = None, finish: str | None = None, **choice: Any) -> dict[str, Any]:
    """A chunk of one choice."""
    return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **choice}]}


def read(*chunks: Any) -> Completion:
    """The completion of a stream, the same saved, live, in single bytes, and in lines without ends."""
    raw = saved(*chunks)
    whole = normalize(raw)
    calls: list[Callable[[], Completion]] = [
        lambda: assemble(iter_events([raw])),
        lambda: assemble(iter_events(raw[at : at + 1] for at in range(len(raw)))),
        lambda: assemble(iter_events(raw.decode().split("\n"))),
        lambda: assemble(raw.decode().split("\n")),
        lambda: assemble(raw.splitlines()),
    ]
    for call in calls:
        assert call().to_json() == whole.to_json()
    return whole


def codes(completion: Completion) -> list[str]:
    """The codes of the notes."""
    return [note.code for note in completion.notes]


def calls_of(completion: Completion) -> list[tuple[str | None, str | None]]:
    """The names and arguments of the tool calls."""
    functions = [call.function for call in completion.tool_calls]
    return [(function.name, function.arguments) for function in functions if function is not None]


def call(index: int, name: str | None = None, arguments: str = "", id: str | None = None) -> dict[str, Any]:  # noqa: A002
    """A delta with a fragment of a tool call."""
    fragment: dict[str, Any] = {"index": index, "function": {"arguments": arguments}}
    if name is not None:
        fragment["function"]["name"] = name
    return {"tool_calls": [fragment if id is None else {**fragment, "id": id}]}


END = chunk({}, "stop")


def test_texts_without_a_field_are_joined_at_any_depth() -> None:
    """Fragments of unknown texts in a delta are joined, what every chunk repeats is kept once, labels keep the last."""
    deltas = [
        {"reasoning_text": word, "channel": "analysis", "blocks": [{"index": 0, "delta": {"thinking": word}}]}
        for word in ("Let me", " think")
    ]
    assert read(*map(chunk, deltas), END).extra == {
        "/choices/0/delta/reasoning_text": "Let me think",
        "/choices/0/delta/channel": "analysis",
        "/choices/0/delta/blocks": [{"index": 0, "delta": {"thinking": "Let me think"}}],
    }


def test_results_outside_of_deltas_are_merged_by_key() -> None:
    """Objects that come in parts are merged, and a displaced value has one note."""
    parts = ({"hate": {"filtered": False}}, {"code": {"filtered": True}}, {"hate": {"filtered": True}})
    completion = read(*(chunk({"content": "a"}, content_filter_results=part) for part in parts), END)
    results = {"hate": {"filtered": True}, "code": {"filtered": True}}
    assert completion.extra == {"/choices/0/content_filter_results": results}
    assert codes(completion) == ["conflicting_value"]


def test_usage_in_parts_is_merged() -> None:
    """Members of usage that come in two chunks are all kept; a zero replaces no count."""
    usages = ({"prompt_tokens": 25}, {"completion_tokens": 15, "prompt_tokens": None}, {"prompt_tokens": 0})
    completion = read(*({**chunk({"content": "a"}), "usage": usage} for usage in usages), END)
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (25, 15)
    assert codes(completion) == ["conflicting_value"]


@pytest.mark.parametrize(
    ("text", "content", "code"),
    [("Low tide", "Low tide", []), ("Low tide.", "Low tide.", ["continued_text"]), ("High", "Low tide", [])],
)
def test_a_whole_message_behind_deltas_adds_what_they_lack(text: str, content: str, code: list[str]) -> None:
    """What the deltas said is not said again; what goes on is appended with a note; what differs goes to `extra`."""
    last = {"id": "c", "choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}]}
    completion = read(chunk({"content": "Low "}), chunk({"content": "tide"}), last)
    assert (completion.text, codes(completion)) == (content, code)
    assert ("/choices/0/message" in completion.extra) == (text == "High")


def test_messages_are_fragments_where_there_is_no_delta() -> None:
    """Where a choice never had a delta, its messages are the fragments."""
    assert read(chunk(message={"content": "Lo"}), chunk(message={"content": "w"}, finish="stop")).text == "Low"


def test_half_a_character_in_each_of_two_chunks_is_one() -> None:
    """The halves of a surrogate pair in two chunks are joined, without a note."""
    completion = read(chunk({"content": "a \ud83d"}), chunk({"content": "\ude00"}), END)
    assert (completion.text, completion.notes) == ("a \U0001f600", [])


@pytest.mark.parametrize("broken", ['{"id": "c", "choi', '{"id": nope}', "{\n"])
def test_a_broken_event_costs_itself_alone(broken: str) -> None:
    """The error names the event and its offset and holds what came before; skipping goes on behind it with a note."""
    before, behind = saved(chunk({"content": "Low"})), saved(chunk({"content": " tide"}), END)
    raw = before + f"data: {broken}\n\n".encode() + behind
    for fails in (lambda: normalize(raw), lambda: assemble(iter_events([raw]))):
        with pytest.raises(MalformedPayloadError, match=f"event 2, at byte {len(before)}") as caught:
            fails()
        assert "cut off" not in str(caught.value)
        assert caught.value.offset == len(before)
        assert caught.value.completion.text == "Low"
    for completion in (normalize(raw, on_broken="skip"), assemble(iter_events([raw]), on_broken="skip")):
        assert (completion.text, codes(completion)) == ("Low tide", ["broken_event"])


@pytest.mark.parametrize(
    ("event", "code", "message"),
    [
        ('error: {"code":400,"message":"too long"}', 400, "too long"),
        ('event: error\ndata: {"errors":[{"code":"x","message":"went away"}]}', "x", "went away"),
        ('event: error\ndata: {"status":503,"detail":"unreachable"}', 503, "unreachable"),
        ('event: error\ndata: {"odd":1,"detail":"no"}', None, "no"),
        ("event: error\ndata: 3", None, "3"),
        ("data: error: out of memory", None, "error: out of memory"),
        ('data: {"choices":null,"base_resp":{"status_code":1027,"status_msg":"sensitive"}}', 1027, "sensitive"),
    ],
)
def test_an_error_in_a_stream_is_an_error(event: str, code: int | str | None, message: str) -> None:
    """However a server says that it failed, `SourceReportedError` has what it says and the text before."""
    raw = saved(chunk({"content": "half"})) + event.encode() + b"\n\ndata: [DONE]\n\n"
    for fails in (lambda: normalize(raw), lambda: assemble(iter_events([raw])), lambda: assemble(raw.splitlines())):
        with pytest.raises(SourceReportedError) as caught:
            fails()
        assert (caught.value.error.code, caught.value.error.message) == (code, message)
        assert caught.value.completion.text == "half"


def test_the_source_is_decided_by_what_the_wire_sent() -> None:
    """A word that we translate is no marker; a comment of OpenRouter is one."""
    answer = {**chunk({"content": "a"}, "end_turn"), "provider": "anthropic"}
    assert read(answer).source == "openai"
    assert normalize(b": OPENROUTER PROCESSING\n\n" + saved(answer)).source == "openrouter"


def test_the_native_word_belongs_to_the_word_that_stays() -> None:
    """A word in place of null, and one that another displaces, leave no native word behind."""
    for word in ("null", "eos"):
        choice = read(chunk({"content": "a"}, word), END).choices[0]
        assert (choice.finish_reason, choice.native_finish_reason) == ("stop", None)


def test_a_chunk_without_an_index_belongs_to_the_only_choice() -> None:
    """An error's chunk without `index` ends the choice that there is."""
    last = {"id": "c", "choices": [{"delta": {"content": ""}, "finish_reason": "overloaded_error"}]}
    (choice,) = read(chunk({"content": "half"}), last).choices
    assert (choice.index, choice.message.content, choice.finish_reason is None) == (0, "half", False)


@pytest.mark.parametrize(
    ("deltas", "calls", "code"),
    [
        ([call(0, "f", '{"a"', "x"), call(1, None, ":1}")], [("f", '{"a":1}')], ["misplaced_fragment"]),
        ([call(0, "get_", '{"a"', "x"), call(0, "tide", ":1}", "x")], [("get_tide", '{"a":1}')], []),
        ([call(0, "f", '{"a"', "x"), call(0, "f", ":1}", "x")], [("f", '{"a":1}')], []),
        ([call(0, "f", "{}", "x"), call(0, "g", "{}", "x")], [("f", "{}"), ("g", "{}")], []),
    ],
)
def test_fragments_find_their_tool_call(
    deltas: list[dict[str, Any]], calls: list[tuple[str, str]], code: list[str]
) -> None:
    """A stray index, a name in pieces, a name again, and a second call under one id are distinguished."""
    completion = read(*map(chunk, deltas), chunk({}, "tool_calls"))
    assert (calls_of(completion), codes(completion)) == (calls, code)
    assert all(isinstance(item, ToolCall) for item in completion.tool_calls)


@pytest.mark.parametrize("start", [0, 1])
def test_an_index_that_counts_chunks_is_one_answer(start: int) -> None:
    """Three consecutive indexes of which only the last ends are one answer, two are not."""
    words = ("Low ", "ti", "de")
    chunks = [chunk({"content": word}, index=start + at) for at, word in enumerate(words)]
    chunks[-1]["choices"][0]["finish_reason"] = "stop"
    completion = read(*chunks)
    assert (len(completion.choices), completion.text, codes(completion)) == (1, "Low tide", ["counting_index"])
    assert len(read(*chunks[1:]).choices) == 2


def test_texts_so_far_are_detected_by_a_service_s_marker_alone() -> None:
    """Texts that begin with those before them are cumulative with MiniMax's mark, and fragments without it."""
    for format, text in (("MiniMax-response-v1", "aab"), ("x", "aaab")):  # noqa: A001
        details = {"reasoning_details": [{"type": "reasoning.text", "format": format, "index": 0}]}
        assert read(chunk({"content": "a", **details}), chunk({"content": "aab"}), END).text == text


def test_a_field_that_is_there_twice_is_read() -> None:
    """`data: data: {…}` is unwrapped, with a note."""
    completion = normalize(b"data: " + saved(chunk({"content": "a"}, "stop")))
    assert (completion.text, codes(completion)) == ("a", ["repeated_field"])


@pytest.mark.parametrize(
    ("fragments", "whole", "arguments", "code"),
    [
        (["{", "}"], ["{}"], ["{}"], []),
        (["{", '"a":'], ['{"a":1}'], ['{"a":1}'], ["continued_text"]),
        ([], ["{}"], ["{}"], ["continued_text"]),
        (["{", "}"], ["[]"], ["{}"], []),
        (["{", "}"], ["{}", "{}"], ["{}"], []),
    ],
)
def test_calls_of_a_whole_message_behind_deltas_add_what_they_lack(
    fragments: list[str], whole: list[str], arguments: list[str], code: list[str]
) -> None:
    """Calls of a whole message add what the deltas lack, with a note; one that has others goes to `extra`."""
    chunks = [chunk(call(0, "f" if at == 0 else None, text)) for at, text in enumerate(fragments)]
    calls = [{"index": at, "function": {"name": "f", "arguments": text}} for at, text in enumerate(whole)]
    message = {"role": "assistant", "content": "a", "tool_calls": calls}
    completion = read(chunk({"content": "a"}), *chunks, chunk({}, "tool_calls", message=message))
    assert [text for _, text in calls_of(completion)] == arguments
    assert codes(completion) == code
    assert (completion.extra == {}) == (arguments == whole)


def test_details_of_usage_are_put_together() -> None:
    """Details of usage that come in two chunks are one object, with the members of both."""
    parts = [{"cached_tokens": 1}, {"audio_tokens": 3, "cached_tokens": None}]
    usages = [{"prompt_tokens": 4, "prompt_tokens_details": part} for part in parts]
    completion = read(chunk({"content": "a"}), *({**chunk({}), "usage": usage} for usage in usages), END)
    assert completion.usage is not None and completion.usage.prompt_tokens_details is not None
    details = completion.usage.prompt_tokens_details
    assert (details.cached_tokens, details.audio_tokens) == (1, 3)


def test_members_of_a_vendor_list_are_joined_by_their_index() -> None:
    """Objects of a vendor's list with the same `index` are one, and others are its next members."""
    lists = [[{"index": 0, "t": "a"}], [{"index": 1, "t": "x"}], [{"index": 0, "t": "b"}], [{"t": "y"}], ["z"]]
    completion = read(*(chunk({"content": "", "x_list": items}) for items in lists), END)
    assert completion.extra == {
        "/choices/0/delta/x_list": [{"index": 0, "t": "ab"}, {"index": 1, "t": "x"}, {"t": "y"}, "z"]
    }
