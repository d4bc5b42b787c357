"""What an assembled stream says, rule by rule; what real servers send is among the fixtures."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from normcompletion import (
    AmbiguousPayloadError,
    Assembler,
    Completion,
    Event,
    InvalidPayloadError,
    MalformedPayloadError,
    NormalizeError,
    SourceReportedError,
    UnknownPayloadError,
    assemble,
    iter_events,
    normalize,
    normalize_chunk,
    normalize_many,
)
from normcompletion.model import ServiceError
from tests.conftest import END, both, chat, piece, refusal, reported, saved


def test_a_repeated_key_in_a_chunk_is_a_fault_in_strict_mode() -> None:
    """Strict assembly refuses a stream with a repeated key; lenient assembly reads the last value."""
    chunk = b'{"model":"a","model":"b","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}'
    assert assemble([chunk]).model == "b"
    with pytest.raises(InvalidPayloadError) as caught:
        assemble([chunk], strict=True)
    assert [fault.code for fault in caught.value.faults] == ["duplicate_key"]


def test_the_words_of_a_chunk_whose_time_is_in_milliseconds_stand() -> None:
    """The second chunk's other id is remarked where the first one's time is in milliseconds, or was refused."""
    for created in (1_700_000_000_000, 9_007_199_254_740_993):
        first = {**piece({"content": "hi"}), "id": "one", "created": created}
        completion = both(first, {**END, "id": "two", "created": 1_700_000_001})
        assert completion.id == "one"
        assert [note.path for note in completion.notes if note.before == "two"] == ["/id"]


def test_the_first_name_of_an_answer_is_kept() -> None:
    """A message's name is the first one that a chunk gives."""
    completion = both(piece({"name": "ann", "content": "a"}), piece({"name": "bob", "content": "b"}), END)
    assert completion.choices[0].message.name == "ann"


def test_an_empty_text_is_a_text() -> None:
    """Content and reasoning that are empty in every chunk are empty, not absent."""
    for delta, name in (
        ({"content": ""}, "content"),
        ({"content": [{"type": "text", "text": ""}]}, "content"),
        ({"reasoning": ""}, "reasoning"),
        ({"reasoning_content": ""}, "reasoning"),
        ({"content": [{"type": "thinking", "thinking": ""}]}, "reasoning"),
    ):
        message = both(piece(delta), END).choices[0].message
        assert getattr(message, name) == ""
        assert getattr(message, "reasoning" if name == "content" else "content") is None


@pytest.mark.parametrize("name", ["reasoning_content", "reasoningContent"])
def test_a_second_reasoning_is_joined_like_the_first(name: str) -> None:
    """`reasoning_content`, in either spelling, that differs from the `reasoning` beside it is joined like that."""
    completion = both(piece({"reasoning": "a", name: "b"}), piece({"reasoning": "c", name: "d"}), END)
    assert completion.choices[0].message.reasoning == "ac"
    assert completion.extra == {f"/choices/0/delta/{name}": "bd"}


def test_what_follows_the_message_so_far_is_kept() -> None:
    """Perplexity's message so far is left out where it says the same, and vendor keys beside it are kept."""
    message = {"role": "assistant", "content": "hi"}
    completion = both(piece(message, message=message, rank=3, finish_reason="stop"))
    assert completion.extra == {"/choices/0/rank": 3}


@pytest.mark.parametrize(
    "around",
    [
        '{"id":"r","organization_id":"o","kind":"chat","status":"finished","response":BODY}',
        '{"provider":BODY,"choices":null}',
        '{"message":"m","partial_response":BODY}',
        '{"id":"r","organization_id":"o","kind":"chat","status":"finished","response":{"provider":BODY,"choices":null}}',
    ],
)
@pytest.mark.parametrize("member", ['"created":1.0,"id":7,"x":DEEP', '"error":{"metadata":{"a":DEEP}}'])
def test_a_response_inside_counts_the_depth_around_it(around: str, member: str) -> None:
    """Where a tree is built, the limit of 128 containers counts from the root of what was handed in."""
    body = '{"choices":[{"index":0,"message":{"content":"a"}}],MEMBER}'.replace("MEMBER", member)
    text = around.replace("BODY", body)
    above = text[: text.index("DEEP")]
    room = 128 - (above.count("{") + above.count("[") - above.count("}") - above.count("]"))
    for levels, is_refused in ((room, False), (room + 1, True)):
        raw = text.replace("DEEP", "[" * levels + "]" * levels).encode()
        code = ""
        try:
            normalize(raw)
        except NormalizeError as error:
            code = error.code
        assert (code == "too_deep") == is_refused


def test_the_depth_of_vendor_values_is_that_of_the_payload() -> None:
    """A vendor value in a chunk may nest as deep as the limit of 128 lets it, and no deeper."""
    for levels, fits in ((100, True), (124, True), (126, False)):
        deep: Any = 1
        for _ in range(levels):
            deep = [deep]
        chunks = [piece({"content": "hi"}, rank=deep, finish_reason="stop")] * 3
        if fits:
            assert both(*chunks).extra == {"/choices/0/rank": deep}
        else:
            assert refusal(saved(*chunks)).code == "too_deep"


@pytest.mark.parametrize(("name", "camel"), [("tool_calls", "toolCalls"), ("reasoning_details", "reasoningDetails")])
def test_vendor_keys_in_lists_keep_their_place(name: str, camel: str) -> None:
    """A vendor key of a call or a detail goes to that member's place in the assembled body, in either spelling."""
    for key in (name, camel):
        items = [{"index": at, "id": f"t{at}", "type": f"t{at}", "function": {"arguments": "{}"}} for at in range(2)]
        completion = both(piece({key: items[:1]}), piece({key: [{**items[1], "mood": "glad"}]}), END)
        assert completion.extra[f"/choices/0/delta/{key}/1/mood"] == "glad"


def test_the_framing_reads_what_recorders_write() -> None:
    """An indented first line, a name that is no UTF-8 and half a surrogate pair in text are read, not refused."""
    assert list(iter_events([b'  data: {"a":1}\n\n'])) == [Event(b'{"a":1}')]
    assert list(iter_events([b"event: \xff\ndata: x\n\n"])) == [Event(b"x", "\ufffd")]
    assert list(iter_events(["data: \ud83d\n\n"])) == [Event("\ud83d".encode("utf-8", "surrogatepass"))]


def test_a_tool_call_is_detected_by_its_name() -> None:
    """Under one index the same name again goes on with the call, another name opens one, an empty name stays."""
    first, again, other = ({"index": 0, "function": {"name": name, "arguments": "1"}} for name in ("f", "f", "g"))
    for calls, found in (
        ([first, again], [("f", "11")]),
        ([first, other], [("f", "1"), ("g", "1")]),
        ([{"index": 0, "function": {"name": "", "arguments": "1"}}], [("", "1")]),
    ):
        completion = both(*(piece({"tool_calls": [call]}) for call in calls), piece({}, finish_reason="tool_calls"))
        functions = [call.function for call in completion.choices[0].message.tool_calls or ()]
        assert [(function and function.name, function and function.arguments) for function in functions] == found


def test_every_text_of_a_reasoning_detail_is_joined() -> None:
    """Text, summary and data of one member of `reasoning_details` are joined over chunks without a word between."""
    for name in ("text", "summary", "data"):
        details = [{"type": "t", "index": 0, name: word} for word in ("a", "b")]
        completion = both(*(piece({"reasoning_details": [detail]}) for detail in details), END)
        found = completion.choices[0].message.reasoning_details or []
        assert [getattr(detail, name) for detail in found] == ["ab"]


def test_a_named_variant_is_the_only_one_that_is_read() -> None:
    """`variant=` lets its shape pass, an envelope too, and refuses every other with both names."""
    text = {"choices": [{"text": "hi"}]}
    record = {"kind": "chat", "status": "finished", "response": chat()}
    nested = {"provider": chat(), "choices": None, "id": None}
    for payload, variant in (
        (chat(), "chat"),
        (text, "text"),
        (record, "log_record"),
        (record, "chat"),
        (nested, "nested"),
    ):
        assert normalize(payload, variant=variant).text == "hi"
    for payload, variant in ((chat(), "text"), (text, "chat"), (chat(), "log_record"), (record, "nested")):
        error = refusal(payload, variant=variant)
        assert isinstance(error, InvalidPayloadError)
        assert (error.code, error.variant) == ("unknown_shape", "text" if payload is text else "chat")


@pytest.mark.parametrize(
    "members",
    [
        {"user_id": "user_1"},
        {"userId": "org_1"},
        {"openrouter_metadata": {"a": 1}},
        {"openrouterMetadata": {"a": 1}},
        {"provider": "P", "choices": [{"native_finish_reason": "x", "message": {}}]},
        {"provider": "P", "choices": [{"nativeFinishReason": "x", "message": {}}]},
        {"id": "gen-1700000000-ABCDEFGHIJKLMNOPQRST"},
        {"error": {"message": "no", "error_type": "t"}},
        {"error": {"message": "no", "availability": {}}},
        *(
            {"error": {"message": "no", "metadata": {key: "x"}}}
            for key in ("provider_name", "providerName", "limit_source", "remedy_hint", "error_type")
        ),
    ],
    ids=str,
)
def test_each_marker_of_an_error_of_openrouter_is_one(members: dict[str, Any]) -> None:
    """Each member that only OpenRouter puts into an error names it; other words in its place do not."""
    assert reported({"error": {"message": "no"}, **members}).source == "openrouter"
    others: dict[str, Any] = {key: "x" if key in ("user_id", "userId", "id") else None for key in members}
    others["error"] = {"message": "no", "metadata": {"reason": "x"}}
    assert reported(others).source == "openai"


def test_an_error_beside_a_nested_completion_points_to_itself() -> None:
    """What an error beside a nested completion holds goes to `extra` under `/error`."""
    completion = reported({"provider": chat(), "error": {"message": "no", "hint": "x"}})
    assert completion.text == "hi"
    assert completion.extra == {"/error/hint": "x"}
    halved = reported(b'{"provider":{"choices":[{"message":{"content":"hi"}}]},"error":{"message":"\\ud83d"}}')
    assert [(note.code, note.path) for note in halved.notes] == [("lone_surrogate", "/error/message")]


def test_an_overwritten_value_is_read_all_the_same() -> None:
    """A value that a later one of the same key replaces must be JSON that can be read, in free-form members too."""
    whole = b'{"kind":"chat","organization_id":"o","request":%s,"request":{},"response":null,"status":"failed"}'
    assert reported(whole % b"{}").source == "log10"
    assert refusal(whole % b'"\xff"').code == "not_utf8"


@pytest.mark.parametrize("last", [b"null", b"{}", b'{"metadata":1}', b'{"message":"x"}'])
def test_an_overwritten_error_of_a_choice_is_read_all_the_same(last: bytes) -> None:
    """The error of a choice that a later one replaces must be JSON that can be read."""
    whole = b'{"choices":[{"error":{"metadata":%s},"error":' + last + b',"message":{"content":"a"}}]}'
    assert normalize(whole % b"{}").text == "a"
    for broken, code in ((b'"\xff"', "not_utf8"), (b"[NaN]", "syntax")):
        assert refusal(whole % broken).code == code


def test_a_sentence_in_place_of_a_stream_may_be_broken() -> None:
    """A sentence that is no UTF-8 is the message of an error, with U+FFFD for what it lacks."""
    assert reported(b"data: out of m\xffmory\n\n").error == ServiceError(message="out of m\ufffdmory")


def test_an_ambiguous_stream_names_its_candidates() -> None:
    """A stream with the markers of two sources names both, however it came."""
    marks = {"provider": "P", "signature": "s", "response_hash": "h"}
    chunk = piece({"content": "hi"}, native_finish_reason="x") | marks
    calls: list[Callable[[], Completion]] = [
        lambda: normalize(saved(chunk)),
        lambda: assemble([chunk]),
        lambda: assemble(iter_events([saved(chunk)])),
    ]
    for call in calls:
        with pytest.raises(AmbiguousPayloadError) as caught:
            call()
        assert tuple(caught.value.candidates) == ("atoma", "openrouter")


def test_parts_of_another_type_stay_apart() -> None:
    """Fragments of one type become one part; a part of another type, or with more than text, stays its own."""
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, {"type": "other", "text": "c"}]
    image = {"type": "text", "text": "d", "image_url": {"url": "u"}}
    completion = both(*(piece({"content": [part]}) for part in (*parts, image, parts[0])), END)
    found = completion.choices[0].message.parts or []
    assert [(part.type, part.text) for part in found] == [("text", "ab"), ("other", "c"), ("text", "d"), ("text", "a")]


def test_the_input_of_a_custom_tool_is_joined() -> None:
    """The input of OpenAI's custom tools is text that is cut over chunks, and is whole in `extra`."""
    calls = [
        {"index": 0, "id": "a", "type": "custom", "custom": {"name": "n", "input": "x"}},
        {"index": 0, "custom": {"input": "y"}},
    ]
    completion = both(*(piece({"tool_calls": [call]}) for call in calls), piece({}, finish_reason="tool_calls"))
    assert completion.extra == {"/choices/0/delta/tool_calls/0/custom": {"name": "n", "input": "xy"}}


def test_a_name_starts_a_call_where_nothing_else_does() -> None:
    """Fragments without index and id go on with the last call until one has a name again."""
    fragments = [{"name": "f", "arguments": "1"}, {"arguments": "2"}, {"name": "f", "arguments": "3"}]
    completion = both(*(piece({"tool_calls": [{"function": item}]}) for item in fragments), END)
    functions = [call.function for call in completion.choices[0].message.tool_calls or ()]
    assert [function and function.arguments for function in functions] == ["12", "3"]


def test_text_before_the_first_list_of_parts_is_one_part() -> None:
    """Text that came as plain fragments before a content list is that list's first part."""
    parts = [{"type": "other", "text": "c"}]
    completion = both(piece({"content": "a"}), piece({"content": "b"}), piece({"content": parts}), END)
    found = completion.choices[0].message.parts or []
    assert [(part.type, part.text) for part in found] == [("text", "ab"), ("other", "c")]


def test_an_overwritten_vendor_value_in_a_stream_is_read_all_the_same() -> None:
    """A broken value that a later one of the same key replaces is refused in a stream whose keys were learned."""
    chunk = b'{"choices":[{"index":0,"delta":{"content":"a"}}],%s"twice":1}'
    learned = b"data: " + b"\n\ndata: ".join([chunk % b""] * 4)
    assert normalize(learned + b"\n\n").extra == {"/twice": 1}
    broken = learned + b"\n\ndata: " + chunk % b'"twice":"\xff",' + b"\n\ndata: " + chunk % b"" + b"\n\n"
    assert refusal(broken).code == "not_utf8"


HALF = "T\ud83d"
HALVES = {
    "annotation": {"annotations": [{"type": "url_citation", "url_citation": {"title": HALF}}]},
    "image": {"images": [{"type": "image_url", "image_url": {"url": HALF}}]},
    "audio": {"audio": {"id": HALF, "data": HALF}},
    "reasoning": {"reasoning_details": [{"type": "reasoning.text", "text": HALF}]},
    "tool call": {"tool_calls": [{"index": 0, "id": HALF, "function": {"name": HALF, "arguments": HALF}}]},
    "old call": {"function_call": {"name": HALF, "arguments": HALF}},
    "parts": {"content": [{"type": "text", "text": HALF}]},
    "refusal": {"refusal": HALF},
}


@pytest.mark.parametrize("delta", HALVES.values(), ids=HALVES)
def test_half_a_pair_in_any_member_of_a_delta_is_replaced(delta: dict[str, Any]) -> None:
    """Half a surrogate pair in what comes whole or in fragments is no crash: the answer is read and can be written."""
    half = piece(delta)
    for chunks in ([half, END], [END, half], [half, half, END]):
        completion = normalize(saved(*chunks))
        assert "lone_surrogate" in {note.code for note in completion.notes}
        assert b"\\ud83d" not in completion.to_json().partition(b'"notes"')[0]


@pytest.mark.parametrize(
    "data", [r'"T\ud83d"', r'{"detail":"T\ud83d"}', r'{"code":"\ud83d"}', r'{"errors":[{"title":"\ud83d"}]}']
)
def test_half_a_pair_in_an_error_event_is_replaced(data: str) -> None:
    """The message and the code of an event that is called `error` have no half of a surrogate pair; a note has it."""
    with pytest.raises(SourceReportedError) as caught:
        normalize(f"event: error\ndata: {data}\n\n")
    assert "lone_surrogate" in {note.code for note in caught.value.completion.notes}
    assert f"{caught.value.error.message}{caught.value.error.code}".encode()


def test_a_comment_behind_data_tells_a_source_however_it_is_indented():
    """A comment that a gateway put behind `data:` is a comment, in a saved stream as in events."""
    chunk = b'data: {"choices": [{"index": 0, "delta": {"content": "Low tide"}, "finish_reason": "stop"}]}\n\n'
    for start in (b"data: :", b"data:  :", b"data:\t:"):
        raw = chunk.replace(b'"stop"', b"null") + start + b" OPENROUTER PROCESSING\n\n" + chunk
        assert normalize(raw).source == assemble(iter_events([raw])).source == "openrouter"


def test_a_boolean_in_an_error_event_is_no_code():
    """An event that is called `error` has no code where its status is true or false; the message is kept."""
    with pytest.raises(SourceReportedError) as caught:
        normalize('event: error\ndata: {"status": false, "detail": "unreachable"}\n\n')
    error = caught.value.error
    assert (error.code, error.message) == (None, "unreachable")


@pytest.mark.parametrize(
    "payload",
    [b'data: [{"choices":[]},{"choices":[]}]\n\n: x\n\ndat', b"data: [1]\n\ndata: [2]\n\n", b"data: [[]]\n\n"],
)
def test_a_stream_with_a_list_in_it_is_no_page(payload: bytes) -> None:
    """Where a list is in a stream that holds no chunk, `normalize_many` gives the one error of `normalize`."""
    (item,) = normalize_many([payload], on_error="yield")
    assert isinstance(item, NormalizeError)
    assert (type(item), item.code) == (type(refusal(payload)), refusal(payload).code)


def test_words_in_object_that_no_variant_implies_follow_the_rule_of_values() -> None:
    """Of two such words the last one stays and the first is noted, also where one is a number or was read by itself."""
    for first, second in (("a", "b"), (5, "b"), ("a", 5)):
        chunks = [{**piece({"content": "hi"}), "object": first}, {**END, "object": second}]
        completion = both(*chunks)
        assert assemble(map(normalize_chunk, chunks)).to_json() == completion.to_json()
        assert completion.extra["/object"] == str(second)
        assert ("/object", str(first)) in {(note.path, note.before) for note in completion.notes}


def test_a_chunk_that_calls_itself_an_error_is_one() -> None:
    """A chunk whose `object` is `error` reports an error, before and behind others, saved and chunk by chunk."""
    error = {"choices": [], "object": "error"}
    for chunks in ([error, piece({"content": "hi"}), END], [piece({"content": "hi"}), error]):
        for call in (lambda chunks=chunks: normalize(saved(*chunks)), lambda chunks=chunks: assemble(chunks)):
            with pytest.raises(SourceReportedError) as caught:
                call()
            assert caught.value.completion.text == "hi"


def test_only_a_text_has_an_offset_of_the_second_answer() -> None:
    """The error for the first chunk of another answer has an offset where events were fed, and none for chunks."""
    chunks = [{**END, "id": "one"}, {**piece({"content": "hi"}), "id": "two"}]
    for feed, offset in ((chunks, None), (iter_events([saved(*chunks)]), len(saved(chunks[0])))):
        with pytest.raises(UnknownPayloadError) as caught:
            assemble(feed)
        assert caught.value.offset == offset


def test_only_the_first_mark_of_the_byte_order_is_dropped() -> None:
    """A byte-order mark behind the first event is foreign text, saved as well as live."""
    mark = b"\xef\xbb\xbf"
    raw = mark + b"\n\n" + saved(piece({"content": "hi"}), END) + mark + b"\n\n"
    for completion in (normalize(raw), assemble(iter_events([raw]))):
        assert [(note.code, note.before) for note in completion.notes] == [("foreign_text", "\ufeff")]


def test_another_word_of_a_reasoning_detail_is_noted() -> None:
    """Of the ids of one detail the last stays and the first is noted; signatures change without a note."""
    first = {"type": "reasoning.text", "index": 0, "text": "a", "id": "one", "signature": "s"}
    completion = both(
        piece({"reasoning_details": [first]}),
        piece({"reasoning_details": [{**first, "id": "two", "signature": "t"}]}, finish_reason="stop"),
    )
    (detail,) = completion.choices[0].message.reasoning_details or ()
    assert (detail.id, detail.signature, detail.text) == ("two", "t", "aa")
    assert [(note.path, note.before) for note in completion.notes] == [
        ("/choices/0/delta/reasoning_details/0/id", "one")
    ]


def test_chunks_in_lines_without_ends_are_lines() -> None:
    """Chunks without `data:`, one a line, are read in any cut, with the ends of the lines and without."""
    lines = [json.dumps(piece({"content": text})) for text in ("Low ", "tide")] + [json.dumps(END), "[DONE]"]
    for pieces in (lines, ["\n".join(lines)], list("\n".join(lines)), [line + "\n" for line in lines]):
        assert assemble(iter_events(pieces)).text == "Low tide"


NO_BLANK_LINES = {
    "an error field": (b'error: {"code": 400, "message": "too long"}', "too long"),
    "a sentence": (b"data: error: out of memory", "error: out of memory"),
    "an error event": (b'event: error\ndata: {"message": "gone"}', "gone"),
}


@pytest.mark.parametrize("name", NO_BLANK_LINES)
def test_an_error_is_found_where_the_blank_lines_were_dropped(name: str) -> None:
    """An error behind a chunk is reported, also where a recorder dropped the blank lines around it."""
    event, message = NO_BLANK_LINES[name]
    raw = b"event: message\n" + saved(piece({"content": "half"})).rstrip() + b"\n" + event + b"\ndata: [DONE]\n"
    for call in (lambda: normalize(raw), lambda: assemble(iter_events([raw])), lambda: assemble(raw.splitlines())):
        with pytest.raises(SourceReportedError) as caught:
            call()
        assert (caught.value.error.message, caught.value.completion.text) == (message, "half")


def test_a_sentence_between_chunks_without_blank_lines_is_an_event_of_its_own() -> None:
    """A sentence is kept, and the chunks around it are read, where the blank lines between them were dropped."""
    raw = saved(piece({"content": "Low "})).rstrip() + b"\ndata: warming up\n" + saved(piece({"content": "tide"}), END)
    completion = normalize(raw)
    assert (completion.text, completion.extra) == ("Low tide", {"/events/text": "warming up"})


def test_an_event_behind_a_repeated_field_has_its_offset() -> None:
    """The error for a broken event has its offset, also behind an event that was read twice, or in one."""
    again = b"data: " + saved(piece({"content": "hi"}))
    for raw, offset in ((again + b"data: {bad}\n\n", len(again)), (again + b"data: data: {bad}\n\n", len(again))):
        for call in (lambda raw=raw: normalize(raw), lambda raw=raw: assemble(iter_events([raw]))):
            with pytest.raises(MalformedPayloadError) as caught:
                call()
            assert caught.value.offset == offset


def test_a_chunk_that_was_fed_is_left_as_it_is() -> None:
    """The chunk of the caller stays what it was, and feeding it twice adds it twice."""
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "1"}}
    detail = {"type": "reasoning.text", "index": 0, "text": "r"}
    delta = {"content": "c", "reasoning": "r", "tool_calls": [call], "reasoning_details": [detail], "refusal": "n"}
    chunk = normalize_chunk({**piece(delta), "usage": {"prompt_tokens": 1}})
    before = chunk.to_json()
    assembler = Assembler()
    assembler.feed(chunk)
    assembler.feed(chunk)
    assembler.feed({**END, "usage": {"prompt_tokens": 2}})
    assert chunk.to_json() == before
    message = assembler.finish().choices[0].message
    assert (message.content, message.reasoning, message.refusal) == ("cc", "rr", "nn")
    assert [call.function.arguments for call in message.tool_calls or () if call.function] == ["11"]


def test_a_snapshot_changes_nothing() -> None:
    """What a stream gives in the end is the same where a snapshot was taken after each chunk."""
    words = ("stop", "length", "stop")
    details = [{"reasoning_details": [{"type": "t", "format": "MiniMax-response-v1", "text": text}]} for text in "ab"]
    for chunks in (
        [piece({"content": word}, finish_reason=word) for word in words],
        [piece({"reasoning": "a", **details[0]}), piece({"reasoning": "b", **details[1]}), END],
        [{"choices": [{"index": 0, "message": {"content": ""}}]}, piece({"content": "hi"}), END],
        [{"choices": [{"index": at, "delta": {"content": "a"}}]} for at in range(3)] + [END],
    ):
        assembler = Assembler()
        for chunk in chunks:
            assembler.feed(chunk)
            assert assembler.snapshot() == assembler.snapshot()
        assert assembler.finish() == assemble(chunks)


def test_the_first_event_names_a_stream_without_chunks() -> None:
    """The error for a stream without a chunk is that of its first event."""
    assert "Responses or Messages" in str(refusal(saved({"type": "ping"}, {"object": "embedding"})))
    assert "an embedding" in str(refusal(saved({"object": "embedding"}, {"type": "ping"})))


@pytest.mark.parametrize("broken", ['{"id": "c", "choi', '{"id": nope}', "{\n"])
def test_a_broken_event_costs_itself_alone(broken: str) -> None:
    """The error names the event and its offset and holds what came before; skipping goes on behind it with a note."""
    before, behind = saved(piece({"content": "Low"})), saved(piece({"content": " tide"}), END)
    raw = before + f"data: {broken}\n\n".encode() + behind
    for fails in (lambda: normalize(raw), lambda: assemble(iter_events([raw]))):
        with pytest.raises(MalformedPayloadError, match=f"event 2, at byte {len(before)}") as caught:
            fails()
        assert "cut off" not in str(caught.value)
        assert (caught.value.offset, caught.value.completion.text) == (len(before), "Low")
    for completion in (normalize(raw, on_broken="skip"), assemble(iter_events([raw]), on_broken="skip")):
        assert (completion.text, [note.code for note in completion.notes]) == ("Low tide", ["broken_event"])


@pytest.mark.parametrize(
    ("fragments", "whole", "arguments", "codes"),
    [
        (["{", "}"], ["{}"], ["{}"], []),
        (["{", '"a":'], ['{"a":1}'], ['{"a":1}'], ["continued_text"]),
        ([], ["{}"], ["{}"], ["continued_text"]),
        (["{", "}"], ["[]"], ["{}"], []),
        (["{", "}"], ["{}", "{}"], ["{}"], []),
    ],
)
def test_calls_of_a_whole_message_behind_deltas_add_what_they_lack(
    fragments: list[str], whole: list[str], arguments: list[str], codes: list[str]
) -> None:
    """Calls of a whole message add what the deltas lack, with a note; one that has others goes to `extra`."""
    calls = [{"index": 0, "function": {"arguments": text}} for text in fragments]
    if calls:
        calls[0]["function"]["name"] = "f"  # type: ignore[index]
    said = [{"index": at, "function": {"name": "f", "arguments": text}} for at, text in enumerate(whole)]
    message = {"role": "assistant", "content": "a", "tool_calls": said}
    end = piece({}, finish_reason="tool_calls", message=message)
    completion = both(piece({"content": "a"}), *(piece({"tool_calls": [call]}) for call in calls), end)
    assert [call.function and call.function.arguments for call in completion.tool_calls] == arguments
    assert [note.code for note in completion.notes] == codes
    assert (completion.extra == {}) == (arguments == whole)


def test_details_of_usage_are_put_together() -> None:
    """Details of usage that come in two chunks are one object, with the members of both."""
    parts = [{"cached_tokens": 1}, {"audio_tokens": 3, "cached_tokens": None}]
    usages = [{"prompt_tokens": 4, "prompt_tokens_details": part} for part in parts]
    details = both(*({**END, "usage": usage} for usage in usages)).usage.prompt_tokens_details
    assert (details.cached_tokens, details.audio_tokens) == (1, 3)


def test_members_of_a_vendor_list_are_joined_by_their_index() -> None:
    """Objects of a vendor's list with the same `index` are one, and others are its next members."""
    lists = [[{"index": 0, "t": "a"}], [{"index": 1, "t": "x"}], [{"index": 0, "t": "b"}], [{"t": "y"}], ["z"]]
    joined = [{"index": 0, "t": "ab"}, {"index": 1, "t": "x"}, {"t": "y"}, "z"]
    completion = both(*(piece({"content": "", "x_list": items}) for items in lists), END)
    assert completion.extra == {"/choices/0/delta/x_list": joined}


def test_choices_of_one_index_in_one_chunk_keep_the_vendor_keys_of_each_part() -> None:
    """A chunk that repeats an index keeps the vendor keys of every content part."""
    part = [{"type": "reference", "reference_ids": [1]}]
    twice = {"choices": piece({"content": part})["choices"] * 2}
    for _ in range(3):
        extra = both(piece({"content": part}), twice, END).extra
        assert extra == {f"/choices/0/delta/content/{place}/reference_ids": [1] for place in range(3)}


def test_two_indexes_are_two_answers() -> None:
    """Two consecutive indexes of which only the last ends are two answers, though three such ones count chunks."""
    words = (("Low ", None), ("ti", None), ("de", "stop"))
    chunks = [piece({"content": word}, index=at, finish_reason=finish) for at, (word, finish) in enumerate(words)]
    assert [len(both(*some).choices) for some in (chunks, chunks[1:])] == [1, 2]
