"""Out of the canonical model: OpenAI's shape, messages, telemetry, tables."""

from __future__ import annotations

import json
import re
from functools import cache

import msgspec
import orjson
import pytest

from normcompletion import Completion, NormalizeError, batch, normalize, read
from normcompletion.export import (
    FRAME_LEAVES_OUT,
    MESSAGE_LEAVES_OUT,
    OPENAI_LEAVES_OUT,
    OTEL_LEAVES_OUT,
    ExportError,
    to_frame,
    to_message,
    to_openai,
    to_otel,
    to_training_line,
)
from tests.conftest import PAIRS, ROOT, completion_of, invented, python

CHAT = {
    "id": "gen-1",
    "object": "chat.completion",
    "created": 1764877383,
    "model": "tide-2",
    "provider": "Harbour",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "native_finish_reason": "STOP",
            "message": {"role": "assistant", "content": "High tide.", "reasoning": "The moon."},
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "cost": 0.5, "carbon_grams": 0.02},
}


@cache
def completions() -> list[tuple[str, Completion]]:
    """What all fixtures and invented bodies give that are completions."""
    found = []
    for name, raw in [*((pair.name, pair.raw) for pair in PAIRS if pair.error is None), *invented()]:
        try:
            found.append((name, normalize(raw)))
        except NormalizeError:
            continue  # a failed call among the invented ones
    return found


def leaves(value, path=""):
    """What is not null in plain JSON, by pointer."""
    if isinstance(value, dict):
        return {below: item for key in value for below, item in leaves(value[key], f"{path}/{key}").items()}
    if isinstance(value, list):
        return {below: item for at in range(len(value)) for below, item in leaves(value[at], f"{path}/{at}").items()}
    return {} if value is None else {path: value}


def differing(completion, body):
    """The pointers at which a body, read again, gives another completion, less those that the export names."""
    one, two = leaves(completion.to_dict()), leaves(normalize(body).to_dict())
    named = [*body.left_out, "/source", "/source_basis", "/variant", "/notes", "/envelope", "/extra"]
    for path in body.filled:
        named += [path, path.removesuffix("/text") + "/message/content"]
        named += [re.sub(r"logprobs/token_logprobs/(\d+)", r"logprobs/content/\1/logprob", path)]
    shown = [re.escape(each).replace(r"\*", r"\d+") for each in named]
    return sorted(
        path
        for path in one.keys() | two.keys()
        if one.get(path) != two.get(path) and not any(re.match(f"{each}(/|$)", path) for each in shown)
    )


@pytest.mark.parametrize("extras", [False, True])
def test_an_openai_body_is_read_as_the_same_fields(extras):
    """What `to_openai` writes of any completion is read as the same canonical fields, but for what it names."""
    assert len(completions()) > 1000
    found = {name: differing(each, to_openai(each, extras=extras, fill=True)) for name, each in completions()}
    assert {name: paths for name, paths in found.items() if paths} == {}


def test_extras_bring_the_whole_body_back():
    """With `extras` an OpenRouter body comes back member by member."""
    body = to_openai(normalize(CHAT), extras=True)
    assert leaves(body) == leaves(CHAT)
    assert (body.filled, body.left_out) == ([], [])


def test_what_openai_has_no_place_for_is_named():
    """Without `extras` the shape holds OpenAI's members alone, and `left_out` names the others."""
    body = to_openai(normalize(CHAT))
    assert set(body) == {"id", "object", "created", "model", "choices", "usage"}
    assert body.left_out == [
        "/provider",
        "/choices/0/native_finish_reason",
        "/choices/0/message/reasoning",
        "/usage/cost",
        "/extra",
    ]


def test_extras_never_bring_a_known_member_back_in_the_other_spelling():
    """A member that was displaced by the one in the other spelling is named as left out, and read as it was."""
    usage = {**CHAT["usage"], "is_byok": False, "isByok": True, "costDetails": None}
    completion = normalize({**CHAT, "usage": usage})
    body = to_openai(completion, extras=True)
    assert "isByok" not in body["usage"]
    assert body.left_out == ["/extra/usage/isByok"]
    assert differing(completion, body) == []


def test_what_a_text_completion_has_beside_its_text_is_named():
    """A text completion has no place for a role, and `left_out` names it."""
    choice = {"index": 0, "text": "Hi", "finish_reason": "stop", "role": "assistant", "refusal": ""}
    completion = normalize({**CHAT, "object": "text_completion", "choices": [choice]})
    completion.choices[0].message.role, completion.choices[0].message.refusal = "assistant", ""
    assert "/choices/0/message/role" in to_openai(completion).left_out
    assert "/choices/0/message/refusal" in to_openai(completion).left_out


def test_a_citation_without_a_type_is_filled():
    """The type of a citation is what was sent; where none was, it is missing and filled."""
    citation = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 1}
    message = {"role": "assistant", "content": "a", "annotations": [{"url_citation": citation}]}
    completion = normalize({**CHAT, "choices": [{**CHAT["choices"][0], "message": message}]})
    assert to_openai(completion, fill=True).filled == ["/choices/0/message/annotations/0/type"]
    with pytest.raises(ExportError, match="annotations/0/type"):
        to_openai(completion)


def test_missing_members_are_named_or_filled():
    """What the shape requires and the completion lacks is an error that names it; with `fill` it is listed."""
    completion = normalize({"choices": [{"message": {"tool_calls": [{"function": {"name": "f"}}]}}], "usage": {}})
    with pytest.raises(ExportError) as caught:
        to_openai(completion)
    call = "/choices/0/message/tool_calls/0"
    assert sorted(caught.value.missing) == [
        "/choices/0/finish_reason",
        "/choices/0/index",
        "/choices/0/message/role",
        f"{call}/function/arguments",
        f"{call}/id",
        f"{call}/type",
        "/created",
        "/id",
        "/model",
        "/usage/completion_tokens",
        "/usage/prompt_tokens",
        "/usage/total_tokens",
    ]
    assert caught.value.code == "missing_members"
    body = to_openai(completion, fill=True)
    assert sorted(body.filled) == sorted(caught.value.missing)
    assert body["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("word", ["error", "a_word_that_nobody_knows", None])
def test_an_unknown_end_is_never_called_stop(word):
    """A finish reason that OpenAI does not have is missing, and is filled with `length`."""
    completion = normalize({**CHAT, "choices": [{**CHAT["choices"][0], "finish_reason": word}]})
    with pytest.raises(ExportError, match="/choices/0/finish_reason"):
        to_openai(completion)
    assert to_openai(completion, fill=True)["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("form", [to_openai, to_message, to_training_line])
@pytest.mark.parametrize("name", ["rejected/SourceReportedError", "rejected/EncryptedPayloadError"])
def test_a_failed_or_encrypted_call_is_no_answer(form, name):
    """Failed and encrypted calls are refused, also with `fill`: never an empty success."""
    refused = [pair for pair in PAIRS if pair.name.startswith(name)]
    assert refused
    for pair in refused:
        with pytest.raises(ExportError):
            form(completion_of(pair.raw), **({"fill": True} if form is to_openai else {}))


def test_exports_are_plain_json():
    """json, orjson and msgspec write what the exports give, and no null is in a message."""
    for form in (to_openai, to_message):
        body = form(normalize(CHAT))
        assert json.loads(json.dumps(body)) == orjson.loads(orjson.dumps(body)) == body
        assert msgspec.json.decode(msgspec.json.encode(body)) == body
    assert to_message(normalize(CHAT)) == {"role": "assistant", "content": "High tide."}


def test_a_message_takes_the_first_choice_and_its_reasoning_when_asked():
    """The message is that of the lowest index; `reasoning=True` sends the reasoning back."""
    two = {
        "choices": [{"index": 1, "message": {"content": "b"}}, {"index": 0, "message": CHAT["choices"][0]["message"]}]
    }
    message = to_message(normalize(two), reasoning=True)
    assert message == {"role": "assistant", "content": "High tide.", "reasoning": "The moon."}
    assert "/choices/0" in message.left_out
    assert "/choices/1/message/reasoning" in to_message(normalize(two)).left_out


def test_a_message_names_what_the_next_request_needs():
    """A tool call without an id cannot be answered, so there is no message; a missing type can only be `function`."""
    calls = [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]
    message = to_message(normalize({"choices": [{"message": {"tool_calls": calls}}]}))
    assert message["tool_calls"] == [{**calls[0], "type": "function"}]
    assert message.filled == ["/tool_calls/0/type"]
    del calls[0]["id"]
    with pytest.raises(ExportError, match="/choices/0/message/tool_calls/0/id"):
        to_message(normalize({"choices": [{"message": {"tool_calls": calls}}]}))


def test_a_training_line_is_the_request_and_the_answer():
    """The logged request's messages and tools come first; an answer that is not whole is refused."""
    tools = [{"type": "function", "function": {"name": "f"}}]
    record = {
        "organization_id": "o",
        "request": {"messages": [{"role": "user", "content": "?"}], "tools": tools},
        "response": CHAT,
    }
    line = to_training_line(normalize(record))
    assert line["messages"] == [{"role": "user", "content": "?"}, {"role": "assistant", "content": "High tide."}]
    assert line["tools"] == tools
    for word in ("length", "content_filter", "error", "nobody_knows", None):
        cut = {**CHAT, "choices": [{**CHAT["choices"][0], "finish_reason": word}]}
        with pytest.raises(ExportError, match="not whole") as caught:
            to_training_line(normalize({**record, "response": cut}))
        assert caught.value.code == "unfinished"


@pytest.mark.parametrize("request_logged", [None, {}, {"messages": []}, {"prompt": "?"}])
def test_an_answer_without_a_question_is_a_training_line_on_demand(request_logged):
    """Where no request with messages was logged, the answer alone is refused unless it is asked for."""
    record = {"organization_id": "o", "request": request_logged, "response": CHAT}
    with pytest.raises(ExportError, match="no request") as caught:
        to_training_line(normalize(record))
    assert (caught.value.code, caught.value.path) == ("no_request", "/envelope/request")
    line = to_training_line(normalize(record), answer_alone=True)
    assert line == {"messages": [{"role": "assistant", "content": "High tide."}]}


def test_telemetry_has_attributes_without_content():
    """Span attributes are scalars and lists of texts, and no text that was said is among them; the event has it."""
    for _, completion in completions():
        span = to_otel(completion)
        flat = [item for value in span.attributes.values() for item in (value if isinstance(value, list) else [value])]
        assert all(isinstance(item, str | int | float | bool) for item in flat)
        json.dumps(span.events[0].attributes)
    span = to_otel(normalize(CHAT))
    assert span.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openrouter",
        "gen_ai.response.id": "gen-1",
        "gen_ai.response.model": "tide-2",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 3,
    }
    assert span.events[0].attributes["gen_ai.output.messages"] == [
        {
            "role": "assistant",
            "parts": [{"type": "reasoning", "content": "The moon."}, {"type": "text", "content": "High tide."}],
            "finish_reason": "stop",
        }
    ]
    assert {"/provider", "/usage/cost", "/extra"} <= set(span.left_out)


def unnamed(completion, written, left_out):
    """The pointers of values of a completion that are neither in what was written nor named as left out."""
    values = {str(value) for value in leaves(written).values()}
    named = ("/source", "/source_basis", "/variant", "/notes", *left_out)
    return [
        path
        for path, value in leaves(completion.to_dict()).items()
        if str(value) not in values and not any(path == each or path.startswith(f"{each}/") for each in named)
    ]


def test_a_message_and_telemetry_name_whatever_they_leave_out():
    """Each value of a completion is in its message, or in its telemetry, or `left_out` has its pointer."""
    for name, completion in completions():
        span = to_otel(completion)
        missing = unnamed(completion, span.events[0].attributes, span.left_out)
        assert [path for path in missing if not path.endswith("/function/arguments")] == [], name  # those are parsed
        try:
            message = to_message(completion)
        except ExportError:
            continue
        assert unnamed(completion, message, message.left_out) == [], name


def test_telemetry_of_a_failed_call_has_its_code():
    """`error.type` is the service's code, or its type, or `_OTHER`."""
    for sent, expected in (({"code": 429, "message": "m"}, "429"), ({"type": "t", "message": "m"}, "t")):
        with pytest.raises(NormalizeError) as caught:
            normalize({"error": sent})
        assert to_otel(caught.value.completion).attributes["error.type"] == expected


def test_only_plain_parameters_of_a_request_are_attributes():
    """A parameter of the request is an attribute, in either spelling; one of a wrong type is named as left out."""
    request = {
        "model": "m",
        "maxTokens": 5,
        "temperature": "hot",
        "stop": ["a"],
        "seed": True,
        "top_p": 1,
        "logit/bias": {},
    }
    span = to_otel(normalize({"organization_id": "o", "request": request, "response": CHAT}))
    asked = {name: value for name, value in span.attributes.items() if name.startswith("gen_ai.request.")}
    assert asked == {
        "gen_ai.request.model": "m",
        "gen_ai.request.max_tokens": 5,
        "gen_ai.request.stop_sequences": ["a"],
        "gen_ai.request.top_p": 1,
    }
    assert span.left_out[-3:] == [f"/envelope/request/{key}" for key in ("temperature", "seed", "logit~1bias")]


def test_finish_reasons_of_telemetry_are_those_of_its_messages():
    """There is a finish reason for each choice, `unknown` where none was sent, or none at all."""
    words = ["stop", None, "length"]
    choices = [{**CHAT["choices"][0], "index": at, "finish_reason": word} for at, word in enumerate(words)]
    span = to_otel(normalize({**CHAT, "choices": choices}))
    assert span.attributes["gen_ai.response.finish_reasons"] == ["stop", "unknown", "length"]
    none = to_otel(normalize({**CHAT, "choices": choices[1:2]}))
    assert "gen_ai.response.finish_reasons" not in none.attributes


@pytest.mark.parametrize("library", ["arrow", "polars", "pandas"])
def test_a_frame_has_a_row_for_each_completion(library):
    """Each library gets the same rows, with integers as integers where some are null."""
    rows = [normalize(CHAT), normalize({"choices": []})]
    frame = to_frame(rows, library)
    got = frame.to_pylist() if library == "arrow" else None
    if library == "polars":
        got = frame.to_dicts()
    if library == "pandas":
        assert str(frame["total_tokens"].dtype) == "Int64"
        got = frame.astype(object).where(frame.notna(), None).to_dict("records")
    assert [(row["id"], row["total_tokens"], row["content"]) for row in got] == [
        ("gen-1", 12, "High tide."),
        (None, None, None),
    ]
    assert len(to_frame([], library)) == 0


def test_an_unknown_library_is_refused():
    """The error names the three libraries."""
    with pytest.raises(ValueError, match="'pandas', 'polars' or 'arrow'"):
        to_frame([], "numpy")


def test_a_missing_library_names_its_extra():
    """Without pandas the error says which extra to install."""
    code = (
        "import sys; sys.modules['pandas'] = None\nfrom normcompletion.export import to_frame\n"
        "try: to_frame([])\nexcept ImportError as error: print(error)"
    )
    assert "pip install 'normcompletion[pandas]'" in python("-c", code).stdout


@pytest.mark.parametrize("table", [OPENAI_LEAVES_OUT, MESSAGE_LEAVES_OUT, OTEL_LEAVES_OUT, FRAME_LEAVES_OUT])
def test_tables_of_what_is_left_out_name_fields_of_the_model(table):
    """Every pointer of such a table leads to a field of the canonical model."""
    fields = json.loads((ROOT / "tests" / "schema.json").read_text())["$defs"]

    def below(name, tokens):
        if not tokens:
            return
        schema = fields[name]["properties"][tokens[0]]
        rest = [token for token in tokens[1:] if token != "*"]
        if rest:
            refs = json.dumps(schema).split('"#/$defs/')[1:]
            below(refs[0].split('"')[0], rest)

    for pointer in table:
        below("Completion", pointer.split("/")[1:])


def test_read_gives_a_whole_log(tmp_path):
    """`read` gives all completions of a log; what is refused is raised, or collected with its line."""
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps(CHAT) + '\n{"choices": [\n' + json.dumps(CHAT) + "\n")
    with pytest.raises(batch.RejectError, match="truncated"):
        read(log)
    found = read(log, on_error="collect")
    assert list(found) == [normalize(CHAT)] * 2
    assert [(reject.line, reject.code) for reject in found.rejects] == [(2, "truncated")]
    with pytest.raises(batch.UsageError, match="'raise' or 'collect'"):
        read(log, on_error="skip")


def test_messages_of_a_request_have_their_parts():
    """Input messages hold texts, parts of other kinds as they are, tool calls, and what a tool responded."""
    image = {"type": "image_url", "image_url": {"url": "u"}}
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "Look."}, image, 7]},
        {"role": "assistant", "content": None, "tool_calls": [call, "broken"]},
        {"role": "tool", "tool_call_id": "t", "content": "High tide."},
    ]
    span = to_otel(normalize({"organization_id": "o", "request": {"messages": messages}, "response": CHAT}))
    user, assistant, tool = span.events[0].attributes["gen_ai.input.messages"]
    assert user["parts"] == [{"type": "text", "content": "Look."}, image, {"type": "unknown", "value": 7}]
    assert assistant["parts"] == [
        {"type": "tool_call", "id": "t", "name": "f", "arguments": {}},
        {"type": "unknown", "value": "broken"},
    ]
    assert tool["parts"] == [{"type": "tool_call_response", "id": "t", "response": "High tide."}]


@pytest.mark.parametrize(
    ("choices", "path"),
    [
        ([], None),
        ([{"message": {}}], "/choices/0/message"),
        ([{"message": {"role": "user", "content": "a"}}], "/choices/0/message"),
    ],
)
def test_what_is_no_answer_of_the_assistant_is_no_message(choices, path):
    """A completion without choices, an empty message and one of another role are refused as no answer."""
    with pytest.raises(ExportError) as caught:
        to_message(normalize({"choices": choices}))
    assert (caught.value.code, caught.value.path) == ("no_answer", path)


def test_audio_of_an_answer_is_sent_back_by_its_id():
    """The next request names spoken audio by its id; an image without an address is a part of telemetry as it is."""
    message = {"role": "assistant", "audio": {"id": "a", "data": "x"}, "images": [{"type": "image_url"}]}
    completion = normalize({"choices": [{"message": message}]})
    assert to_message(completion)["audio"] == {"id": "a"}
    assert {"type": "image_url"} in to_otel(completion).events[0].attributes["gen_ai.output.messages"][0]["parts"]
