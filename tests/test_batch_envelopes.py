"""What a log puts around a response."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import pickle
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normcompletion import (
    AmbiguousPayloadError,
    Completion,
    InvalidPayloadError,
    NormalizeError,
    SourceReportedError,
    normalize,
)
from normcompletion.audit import lost
from normcompletion.batch import iter_records
from normcompletion.envelopes.encodings import ENCODINGS
from normcompletion.envelopes.fragments import FRAGMENTS
from normcompletion.envelopes.opener import Opener
from normcompletion.envelopes.options import Envelopes
from normcompletion.envelopes.registry import known_envelopes
from tests.conftest import FIXTURES, examples

PRESETS = known_envelopes()


def rows(name: str) -> list[Any]:
    """The rows of a log among the fixtures."""
    return [json.loads(line) for line in (FIXTURES / "forms" / name).read_bytes().splitlines()]


BATCH, FAILED_BATCH, *_ = rows("openai_batch.jsonl")
BODY, REFUSED = BATCH["response"]["body"], FAILED_BATCH["response"]["body"]
REQUEST = rows("openai_pair.jsonl")[0][0]
LITELLM, LITELLM_TEXT, LITELLM_CHUNKS, SPEND, FAILURE, *_ = rows("litellm.jsonl")
(CHUNK,) = LITELLM_CHUNKS["response"]
TABLE, LEGACY_TABLE, GATEWAY_TABLE, STREAM_TABLE, *_ = rows("databricks.jsonl")
STREAM = STREAM_TABLE["response"]
LOG10 = {"id": "r", "organization_id": "o", "kind": "chat", "status": "finished", "request": REQUEST, "response": BODY}

# A unit for each shape of each envelope that is read: the preset, the unit, and where the body is.
SAMPLES: dict[str, tuple[str, Any, str]] = {
    "bare": ("bare", BODY, ""),
    "log10 record": ("log10", LOG10, "/response"),
    "batch line": ("openai_batch", BATCH, "/response/body"),
    "batch line with its number as id": ("openai_batch", {**BATCH, "custom_id": 7}, "/response/body"),
    "pair": ("openai_pair", [REQUEST, BODY], "/1"),
    "pair with metadata": ("openai_pair", [REQUEST, BODY, {"row": 4}], "/1"),
    "litellm": ("litellm", LITELLM, "/response"),
    "litellm, response as text": ("litellm", LITELLM_TEXT, "/response"),
    "litellm spend log": ("litellm", SPEND, "/response"),
    "databricks": ("databricks", TABLE, "/response"),
    "databricks, custom models": ("databricks", LEGACY_TABLE, "/response"),
    "databricks, AI gateway": ("databricks", GATEWAY_TABLE, "/response"),
}


def unit(tree: Any) -> bytes:
    return tree if isinstance(tree, bytes) else json.dumps(tree).encode()


def read(tree: Any, *, strict: bool = False, source: str | None = None, **options: Any) -> list[Any]:
    places = options.pop("body", ())
    body = (places,) if isinstance(places, str) else places
    return list(Opener(Envelopes(body=body, **options), strict=strict, source=source).records(unit(tree)))


def one(tree: Any, **options: Any) -> Any:
    (record,) = read(tree, **options)
    return record


def refused(tree: Any, **options: Any) -> tuple[str, str | None, str]:
    """Code, path and text of the one error."""
    error = one(tree, **options)
    assert isinstance(error, NormalizeError)
    return error.code, error.path, str(error)


def failed(tree: Any, **options: Any) -> Completion:
    """The record of a failed call."""
    error = one(tree, **options)
    assert isinstance(error, SourceReportedError)
    return error.completion


# -- the presets


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("named", [False, True])
def test_every_envelope_gives_the_body_and_loses_nothing(name, named):
    """Named or detected, an envelope gives what the bare body gives, its pointers below it, and every leaf."""
    preset, tree, at = SAMPLES[name]
    record = one(tree, envelope=preset if named else "auto")
    assert isinstance(record, Completion)
    assert lost(tree, record) == []
    assert record.extra[f"{at}/choices/0/vendor"] == {"x": [1]}
    bare = normalize(json.dumps(BODY).encode(), source="log10" if preset == "log10" else None)
    assert (record.choices, record.id, record.source, record.variant) == (
        bare.choices,
        bare.id,
        bare.source,
        bare.variant,
    )
    if preset == "bare":
        assert record == bare
    else:
        assert record.envelope.kind == {"log10": "log10_record"}.get(preset, preset)


def test_an_error_beside_a_body_is_kept():
    """Where body and envelope both report an error, the body's is the record's and the envelope's is in `extra`."""
    line = {**BATCH, "response": {"status_code": 400, "body": REFUSED}, "error": {"code": "outer", "message": "m"}}
    record = failed(line)
    assert record.error.code == "bad_model"
    assert record.extra["/error"] == {"code": "outer", "message": "m"}
    record = failed({**BATCH, "error": {"code": "outer", "message": "m"}})
    assert (record.text, record.error.code) == ("hé", "outer")


def test_a_list_of_records_is_no_pair():
    """Lists of responses, or of records that look like requests, give their members one by one."""
    assert [record.text for record in read([BODY, BODY])] == ["hé", "hé"]
    assert [record.envelope.kind for record in read([LITELLM, LITELLM])] == ["litellm", "litellm"]
    assert [record.envelope.kind for record in read([BATCH, BATCH, BATCH])] == ["openai_batch"] * 3
    assert [record.envelope.kind for record in read([LOG10, LOG10])] == ["log10_record"] * 2
    refusal, *answers_of_one = read([REQUEST, BODY, BODY])
    assert (refusal.path, [record.text for record in answers_of_one]) == ("/0", ["hé", "hé"])


def test_members_of_a_list_are_opened_each():
    """In a mixed list each member is read for what it is, with pointers from the root of the list."""
    records = read([BATCH, BODY, 5, {"resourceSpans": []}])
    assert [getattr(record, "code", None) for record in records] == [None, None, "not_object", "fragment"]
    assert records[0].extra["/0/response/request_id"] == "req_1"
    assert records[1].extra == {"/1/choices/0/vendor": {"x": [1]}}
    assert [record.path for record in records[2:]] == ["/2", "/3"]
    records = read([BATCH, 5], envelope="openai_batch")
    assert (records[0].envelope.id, records[1].code, records[1].path) == ("row-7", "unknown_envelope", "/1")


def test_litellm_reports_the_cost():
    """LiteLLM's cost becomes that of a usage without one, and stays in `extra` beside one that has it."""
    assert "/response_cost" not in one(LITELLM).extra
    record = one({**LITELLM, "response": {**BODY, "usage": {**BODY["usage"], "cost": 0.5}}})
    assert (record.usage.cost, record.extra["/response_cost"]) == (0.5, 0.0125)


def test_failed_litellm_calls_are_records():
    """LiteLLM's error information is the record's error."""
    error = failed(FAILURE).error
    assert (error.code, error.type, error.message, error.provider) == ("429", "RateLimitError", "slow down", "openai")
    assert failed({**FAILURE, "error_information": {"error_code": 429}}).error.code == 429


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ("redacted-by-litellm", "redacted"),
        ({"text": "redacted-by-litellm"}, "redacted"),
        (
            "{'id': 'chatcmpl-1', 'choi...(truncated by litellm, this logger does not support large content)",
            "truncated",
        ),
        (None, "no_body"),
        ({}, "no_body"),
        ("{}", "no_body"),
    ],
)
def test_what_litellm_left_out_is_reported(response, code):
    """A response that LiteLLM redacted, cut or left out is refused with what to change."""
    assert refused({**LITELLM, "response": response})[:2] == (code, "/response")


def test_litellm_text_that_only_speaks_of_it_is_a_response():
    """A response that quotes the mark of redaction is still one; one that has it as every text was redacted."""
    body = copy.deepcopy(BODY)
    body["choices"][0]["message"]["content"] = "it says redacted-by-litellm"
    assert one({**LITELLM, "response": body}).text == "it says redacted-by-litellm"
    body["choices"][0]["message"]["content"] = "redacted-by-litellm"
    assert refused({**LITELLM, "response": body})[:2] == ("redacted", "/response")
    assert refused({**LITELLM, "response": json.dumps(body)})[:2] == ("redacted", "/response")
    assert refused(body)[0] == refused({"data": [body]})[0] == refused({"r": body}, body="/r")[0] == "redacted"
    body["choices"].append({**BODY["choices"][0], "index": 1})
    assert len(one({**LITELLM, "response": body}).choices) == 2


def test_milliseconds_of_databricks_become_seconds():
    """Milliseconds of a row become seconds with a remark."""
    notes = one(TABLE, strict=True).notes
    assert [(note.code, note.path, note.before) for note in notes] == [("milliseconds", "/execution_duration_ms", 1500)]


# -- which one it is


@pytest.mark.parametrize("preset", [name for name in PRESETS if name not in ("auto", "bare")])
def test_a_named_envelope_is_not_guessed(preset):
    """A unit that is not the envelope that was named is refused, though it could be read as another."""
    assert refused(BODY, envelope=preset)[0] == "unknown_envelope"


def test_bare_is_bare():
    """With `bare` nothing is unwrapped by its keys."""
    assert refused(BATCH, envelope="bare")[0] == "unknown_shape"
    assert read([BODY, BODY], envelope="bare")[1].text == "hé"


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        ({**LITELLM, **BATCH}, ("openai_batch", "litellm")),
        ({**TABLE, "custom_id": "x"}, ("databricks", "openai_batch")),
        ({**LOG10, **TABLE}, ("log10", "databricks")),
        ({**BATCH, "organization_id": "o", "kind": "chat"}, ("log10", "openai_batch")),
        ({**LITELLM, "run_type": "llm", "outputs": {}}, ("litellm", "langsmith")),
    ],
)
def test_two_envelopes_are_not_chosen_between(tree, names):
    """Where the keys of two envelopes are there the unit is refused with both names; naming one decides."""
    error = one(tree)
    assert isinstance(error, AmbiguousPayloadError)
    assert error.code == "ambiguous_envelope"
    assert set(error.candidates) == set(names)
    name = next(name for name in names if name in PRESETS and name != "log10")
    assert one(tree, envelope=name).envelope.kind == name


TEXT = json.dumps(BODY)


@pytest.mark.parametrize("message", [TEXT, f"  {TEXT}", f"\n{TEXT}\n", json.dumps({"level": "INFO", "response": BODY})])
def test_a_message_of_cloudwatch_is_read_with_blanks_around_it(message, tmp_path):
    """JSON in a message is read, whatever blanks are around it; a message that is not JSON is passed over."""
    events = [{"id": "1", "message": message}, {"id": "2", "message": "[INFO] hello"}]
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps({"logGroup": "g", "logEvents": events}))
    assert [record.id for record in iter_records(log)] == [BODY["id"]]


@pytest.mark.parametrize(
    "before", ["2026-01-02T10:00:00.000Z\ta-1\tINFO\t", "[INFO]\t2026-01-02T10:00:00Z\t", "root: "]
)
def test_a_message_with_text_before_its_response_is_never_passed_over(before, tmp_path):
    """A response behind what a runtime writes is refused with the command that reads it, which does."""
    code, _, words = refused({"logGroup": "g", "logEvents": [{"id": "1", "message": before + TEXT}]})
    assert code == "leading_text"
    assert "jq -r '.logEvents[].message' LOG | normcompletion convert - --line-prefix '[^{]*'" in words
    assert "jq -r '.log' LOG" in refused({"log": before + TEXT, "stream": "stdout", "time": ""})[2]
    lines = tmp_path / "messages.log"
    lines.write_text(before + TEXT + "\n")
    (record,) = iter_records(lines, line_prefix="[^{]*")
    assert (record.id, record.extra["/prefix"]) == (BODY["id"], before)


def test_choices_make_a_unit_bare():
    """A response with keys of an envelope beside its choices is a response."""
    record = one({**BODY, "custom_id": "x", "response": None})
    assert record.envelope is None
    assert record.extra["/custom_id"] == "x"


FOUND = {
    "otlp": [{"resourceSpans": []}, {"traceId": "t", "spanId": "s", "attributes": []}],
    "braintrust": [{"id": "i", "span_id": "s", "root_span_id": "s", "_xact_id": "1", "output": BODY["choices"]}],
    "openrouter_generation": [{"data": {"id": "g", "native_tokens_prompt": 3}}, {"id": 5, "generation_id": "gen-1"}],
    "openrouter_broadcast_row": [{"TRACE_ID": "", "INPUT": "", "OUTPUT": ""}],
    "cloudflare_list": [{"result": [{"id": "1"}], "result_info": {"count": 1}, "success": True}],
    "openai_batch_request": [{"custom_id": "x", "method": "POST", "url": "/v1/chat/completions", "body": REQUEST}],
    "anthropic_batch": [{"custom_id": "x", "result": {"type": "succeeded", "message": {}}}],
}


@pytest.mark.parametrize(("name", "tree"), [(name, tree) for name, trees in FOUND.items() for tree in trees])
def test_fragments_are_refused_with_what_to_do(name, tree):
    """What a known tool writes without a whole response is refused with what it is and what to do."""
    fragment = next(fragment for fragment in FRAGMENTS if fragment.name == name)
    assert refused(tree) == ("fragment", None, f"the unit is {fragment.description}")


def test_every_fragment_has_a_sample():
    """The table of fragments and the samples of this test name the same tools."""
    assert set(FOUND) == {fragment.name for fragment in FRAGMENTS}


def test_a_body_in_a_fragment_can_be_named():
    """With the place of the body, what an envelope or a fragment holds there is read."""
    assert one({"run_type": "chain", "inputs": {}, "outputs": BODY}, body="/outputs").text == "hé"
    assert one({"TRACE_ID": "", "INPUT": "", "OUTPUT": BODY}, body="/OUTPUT").text == "hé"


@pytest.mark.parametrize("tree", [{"version": 1, "interactions": []}, {"log": {"version": "1.2", "entries": []}}])
def test_a_page_without_entries_gives_nothing(tree):
    """A cassette and a HAR file without entries are empty pages."""
    assert read(tree) == []


@pytest.mark.parametrize(
    ("tree", "what", "place"),
    [
        ({"log": {"rows": [{"answer": BODY}]}}, "a response", "/log/rows/*/answer"),
        ({"request": "x", "body": json.dumps(BODY)}, "a response", "/body"),
        ({"request": "x", "body": STREAM}, "a response", "/body"),
        ({"request": "x", "events": STREAM.split("\n\n")[:-1]}, "a response", "/events"),
        ({"body": json.dumps(REFUSED), "n": 1}, "an error body", "/body"),
        ({"results": [{"r": BODY}, {"r": BODY}, {"r": None}]}, "2 responses", "/results/*/r"),
        ({"task/0": BODY, "task/1": BODY, "run": 1}, "2 responses", "/*"),
        ({"data": [["p", BODY], ["q", BODY]], "columns": []}, "2 responses", "/data/*/1"),
        ({"log": json.dumps({"msg": {"response": BODY}})}, "a response", "/log/msg/response"),
        ({"prompt": '{"choices": ["3", "4"]}', "raw": BODY}, "a response", "/raw"),
        ({"a": {"b": {"c": {"d": {"e": BODY}}}}}, "a response", "/a/b/c/d/e"),
        ({"error": "AssertionError: 3 != 4", "response": BODY}, "a response", "/response"),
        ({"choices": ["3", "4"], "response": BODY}, "a response", "/response"),
        ({"choices": [{"label": "A", "text": "3"}], "r": BODY}, "a response", "/r"),
        ({"a": {"1": {"out": BODY}, "2": {"out": BODY}}, "b": {"1": {"out": BODY}}}, "3 responses", "/*/*/out"),
    ],
)
def test_an_unknown_envelope_is_refused_with_the_places_of_responses(tree, what, place):
    """A unit in no known envelope is refused with how many responses are inside, and with what reads each of them."""
    is_or_are = "are" if what[0].isdigit() else "is"
    words = f"no known envelope, but {what} {is_or_are} at {place}; give --body {shlex.quote(place)}"
    code, _, text = refused(tree)
    assert (code, text) == ("unknown_envelope", words)
    found = [each for each in read(tree, body=place) if not isinstance(each, NormalizeError)]
    assert len(found) == (int(what[0]) if what[0].isdigit() else what == "a response")


def test_places_of_several_kinds_are_all_named():
    """Where responses are at places that no one pointer covers, each place is named with how many it has."""
    text = refused({"draft": {"r": BODY}, "turns": [BODY, BODY]})[2]
    places = "responses are at /turns/* (2), /draft/r (1); give --body '/turns/*', or more of them with --body again"
    assert text == f"no known envelope, but {places}"


@pytest.mark.parametrize("tree", [{"hello": "world"}, {"choices": ["3", "4"], "model": "m"}, {"a": '{"choices": [1]}'}])
def test_no_hint_is_given_where_no_response_is(tree):
    """A unit that holds no response is refused as what it is."""
    assert refused(tree)[0] in ("unknown_shape", "wrong_type")


@pytest.mark.parametrize(
    ("tree", "place", "each"),
    [
        ({"results": [{"r": BODY}, {"r": BODY}]}, "/results/0/r", "'/results/*/r'"),
        ({"results": [{"r": None}, {"r": json.dumps(BODY)}, {"r": BODY}]}, "/results/1/r", "'/results/*/r'"),
        ({"task/0": BODY, "task/1": BODY}, "/task~10", "'/*'"),
    ],
)
def test_a_place_that_is_one_of_several_is_refused(tree, place, each):
    """A pointer at one of several responses of the same kind is refused with the one that reads all of them."""
    code, path, text = refused(tree, body=place)
    assert (code, path) == ("one_of_several", place)
    assert f"give --body {each} to read each" in text


def test_a_star_reads_each():
    """`*` gives a record for each element or member, each with what is around it and nothing of the others."""
    tree = {"run": 1, "results": [{"id": "a", "r": BODY}, {"id": "b", "r": None, "error": "timeout"}, {"id": "c"}]}
    records = read(tree, body="/results/*/r", fields={"id": "/results/*/id"})
    assert [type(record).__name__ for record in records] == ["Completion", "SourceReportedError", "UnknownPayloadError"]
    assert records[0].envelope.id == "a"
    assert records[0].extra == {"/results/0/r/choices/0/vendor": {"x": [1]}, "/run": 1}
    assert (records[1].error.message, records[1].completion.extra) == ("timeout", {"/run": 1})
    assert (records[2].code, records[2].path) == ("no_body", "/results/2/r")
    assert read({"results": []}, body="/results/*/r") == []


def test_several_places_are_read():
    """With several pointers each body of a unit is a record; of two that are inside one another the longer one is."""
    tree = {"draft": BODY, "judge": {**BODY, "id": "2"}, "n": 1}
    records = read(tree, body=("/draft", "/judge"))
    assert [record.id for record in records] == ["chatcmpl-1", "2"]
    assert all(record.extra["/n"] == 1 for record in records)
    for unit_ in ({"response": {"body": BODY}}, {"response": BODY}):
        assert one(unit_, body=("/response", "/response/body")).text == "hé"


def test_fields_of_an_envelope_are_named_by_pointers():
    """What the caller names goes into the envelope, and what has another type stays in `extra`."""
    tree = {
        "request": {"id": "r", "messages": [1]},
        "t": {"ms": 812, "at": "2026-01-01"},
        "status": 200,
        "labels": ["a"],
        "usd": 0.5,
        "response": BODY,
    }
    fields = {
        "id": "/request/id",
        "created_at": "/t/at",
        "duration_ms": "/t/ms",
        "status": "/status",
        "tags": "/labels",
    }
    record = one(tree, body="/response", fields={**fields, "cost": "/usd"})
    envelope = record.envelope
    assert (envelope.id, envelope.created_at, envelope.duration) == ("r", "2026-01-01", 0.812)
    assert (envelope.status, envelope.tags, record.usage.cost) == ("200", ["a"], 0.5)
    assert lost(tree, record) == []
    assert one(tree, body="/response", fields={"request": "/request"}).envelope.request == tree["request"]
    assert one(tree, body="/response", fields={"id": "/request"}).envelope.id is None


@pytest.mark.parametrize("response", [None, "", {}, [], "null"])
@pytest.mark.parametrize("error", ["timeout", {"message": "timeout"}])
def test_an_error_in_place_of_a_response_is_a_failed_call(response, error):
    """Where the body is empty, the error beside it is that of a failed call; an error beside an answer is kept."""
    tree = {"q": 1, "response": response, "error": error}
    record = failed(tree, body="/response")
    assert (record.error.message, record.extra) == ("timeout", {"/q": 1})
    assert one({**tree, "response": BODY}, body="/response").extra["/error"] == error
    assert failed({"q": 1, "error": error}, body="/response/body").error.message == "timeout"
    assert refused({**tree, "error": None}, body="/response")[0] == "no_body"


def test_a_spend_log_with_an_organization_is_litellm():
    """`organization_id`, which log10's records have too, does not make a row of LiteLLM ambiguous."""
    assert one({**SPEND, "organization_id": "o"}).envelope.kind == "litellm"


def test_log_rows_in_one_line_are_no_pair():
    """Two rows of a log in one list are no request with its response, and each says where its own response is."""
    row = {"ts": 1, "model": "m", "messages": [], "full_response": BODY}
    errors = read([row, row])
    assert [(error.code, error.path) for error in errors] == [("unknown_envelope", "/0"), ("unknown_envelope", "/1")]
    assert str(errors[0]).endswith("a response is at /*/full_response; give --body '/*/full_response'")
    assert [record.text for record in read([row, row], body="/*/full_response")] == ["hé", "hé"]


# -- the place of the body


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("object", BODY),
        ("string", json.dumps(BODY)),
        ("sse", STREAM),
        ("base64", base64.encodebytes(json.dumps(BODY).encode()).decode()),
        ("base64", base64.b64encode(STREAM.encode()).decode()),
        ("auto", BODY),
        ("auto", json.dumps(BODY)),
        ("auto", STREAM),
        ("auto", [CHUNK]),
        ("sse", [CHUNK]),
    ],
)
def test_a_body_is_read_where_it_is_said_to_be(encoding, written):
    """A body in each encoding is found by its pointer, and everything beside the way is kept."""
    tree = {"a~/b": [0, {"body": written, "ms": 5}], "who": "x", "nothing": None}
    record = one(tree, body="/a~0~1b/1/body", encoding=encoding)
    assert record.text == "hé"
    assert {place: value for place, value in record.extra.items() if not place.startswith("/a~0~1b/1/body")} == {
        "/a~0~1b/0": 0,
        "/a~0~1b/1/ms": 5,
        "/who": "x",
    }
    assert record.envelope.kind == "custom"
    if written == BODY:
        assert record.extra["/a~0~1b/1/body/choices/0/vendor"] == {"x": [1]}


@pytest.mark.parametrize(
    ("encoding", "written"),
    [("object", json.dumps(BODY)), ("string", BODY), ("sse", json.dumps(BODY)), ("base64", "%"), ("base64", BODY)],
)
def test_a_wrong_encoding_is_reported(encoding, written):
    """A body that is not written as was said is refused, never read in another way."""
    code, path, text = refused({"body": written}, body="/body", encoding=encoding)
    assert (code, path) == ("wrong_encoding", "/body")
    assert ENCODINGS[encoding] in text


def test_what_cannot_be_opened_stays_as_it_is():
    """Extended JSON that holds no number is kept, half an archive and a dozen strings in one another are refused."""
    record = one(
        {"response": {**BODY, "created": {"$numberLong": "x"}}, "n": {"$numberDouble": "1.5"}}, body="/response"
    )
    assert record.extra["/response/created"] == {"$numberLong": "x"}
    assert record.extra["/n"] == {"$numberDouble": "1.5"}
    half = base64.b64encode(gzip.compress(json.dumps(BODY).encode())[:40]).decode()
    assert refused({"body": half}, body="/body")[:2] == ("not_utf8", "/body")
    text = json.dumps(BODY)
    for _ in range(12):
        text = json.dumps(text)
    assert refused({"body": text}, body="/body")[:2] == ("not_object", "/body")
    assert one({**TABLE, "request": '{"a":'}).envelope.request == '{"a":'


def test_a_place_goes_through_text():
    """A pointer continues through JSON in a string."""
    tree = {"log": json.dumps({"response": json.dumps(BODY), "x": 1})}
    record = one(tree, body="/log/response")
    assert record.extra == {"/log/response/choices/0/vendor": {"x": [1]}, "/log/x": 1}
    assert lost(tree, record) == []


def test_the_whole_unit_can_be_encoded():
    """The empty pointer is the whole unit, which can be base64 or a JSON string."""
    assert one(base64.b64encode(json.dumps(BODY).encode()), body="", encoding="base64").text == "hé"
    assert one(json.dumps(json.dumps(BODY)).encode(), body="", encoding="string").text == "hé"
    assert one(json.dumps(BODY).encode(), body="").envelope is None


@pytest.mark.parametrize(
    ("tree", "place", "code", "path"),
    [
        ({"a": {}}, "/a/b", "no_body", "/a/b"),
        ({"a": {"b": None}}, "/a/b", "no_body", "/a/b"),
        ({"a": [1]}, "/a/1", "no_body", "/a/1"),
        ({"a": 5}, "/a/b", "no_body", "/a/b"),
        ({"a": '{"b":'}, "/a/b", "truncated", "/a"),
        ({"a": '{"choices":'}, "/a", "truncated", "/a"),
        ({"a": {"choices": 5}}, "/a", "wrong_type", "/a/choices"),
        (b'{"a":', "/a", "truncated", None),
        (b"hello", "/a", "syntax", None),
        (b'{"a":{},"b":"\xff"}', "/a", "not_utf8", None),
        (b'{"b":1e999,"a":{"choices":[]}}', "/a", "number_range", "/b"),
    ],
)
def test_a_place_without_a_body_is_reported(tree, place, code, path):
    """What is at the pointer and is no response is refused with the place of the fault in the unit."""
    assert refused(tree, body=place)[:2] == (code, path)


def test_the_events_of_a_stream_may_be_texts_in_a_list():
    """Events, or lines of `data:`, that are the strings of a list are one answer; no leaf of them is lost."""
    tree = {"lines": [line for line in STREAM.split("\n") if line], "n": 1}
    (record,) = read(tree, body="/lines")
    assert (record.text, record.extra) == ("hé", {"/n": 1})
    assert lost(tree, record) == []


def test_a_body_that_is_a_python_literal_is_told():
    """The repr of a dictionary in a body's place is refused with what reads it."""
    code, path, text = refused({"response": "{'choices': []}"}, body="/response")
    assert (code, path) == ("syntax", "/response")
    assert "ast.literal_eval" in text


def test_a_place_can_hold_a_list():
    """A list of responses at the pointer gives each of them, with its own pointers and all that is around."""
    records = read({"answers": [BODY, REFUSED, 5], "who": "x"}, body="/answers")
    assert [type(record).__name__ for record in records] == ["Completion", "SourceReportedError", "UnknownPayloadError"]
    assert records[0].extra == {"/answers/0/choices/0/vendor": {"x": [1]}, "/who": "x"}
    assert records[1].completion.extra == {"/answers/1/error/param": "model", "/who": "x"}
    assert records[2].path == "/answers/2"


def test_a_body_can_hold_several_streams():
    """Streams in one string give a record each; text between two is noted in the second, the last text in the last."""
    records = read({"log": STREAM + "---\n" + STREAM + "bye\n", "n": 1}, body="/log")
    assert [(record.text, record.extra["/n"]) for record in records] == [("hé", 1), ("hé", 1)]
    assert [[(note.code, note.before) for note in record.notes] for record in records] == [
        [],
        [("foreign_text", "---"), ("foreign_text", "bye")],
    ]


def test_a_record_inside_a_record_is_kept_whole():
    """A log10 record in another envelope keeps its own, and what the outer one said is in `extra`."""
    line = {**BATCH, "response": {"status_code": 200, "body": LOG10}}
    record = one(line)
    assert record.envelope.kind == "log10_record"
    assert record.extra["/custom_id"] == "row-7"
    assert lost(line, record) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"envelope": "acme"}, "no envelope 'acme'; known are auto, bare"),
        ({"encoding": "xml", "body": ("/a",)}, "no encoding 'xml'"),
        ({"encoding": "sse"}, "name the body's place"),
        ({"fields": {"id": "/id"}}, "name the body's place"),
        ({"body": ("/a",), "fields": {"name": "/id"}}, "no field 'name' of an envelope; known are id"),
        ({"envelope": "litellm", "body": ("/response",)}, "name the envelope or the body"),
        ({"body": ("*.jsonl=response",)}, "begins with a slash"),
        ({"carry": {"user": "user"}}, "begins with a slash"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(options, words):
    """Options that contradict one another raise before anything is read."""
    with pytest.raises(ValueError, match=words):
        Envelopes(**options)


def test_options_travel_between_processes():
    """Options can be pickled; the core reads units first where nothing names another envelope or a body."""
    options = Envelopes(body=("/a",), encoding="sse", fields={"id": "/i"}, carry={"user": "/u"})
    assert pickle.loads(pickle.dumps(options)) == options
    assert [Envelopes(envelope=name).may_be_bare for name in PRESETS] == [name in ("auto", "bare") for name in PRESETS]


def test_places_can_be_those_of_some_files():
    """A rule with a glob is for the files that match, and the others are for the rest."""
    options = Envelopes(body=("gateway/*.jsonl=/response", "*.json=", "/body"))
    assert options.of_file("logs/gateway/a.jsonl").body == ("/response",)
    assert options.of_file("a.json").body == ("",)
    assert options.of_file("a.jsonl").body == ("/body",)
    assert Envelopes(body=("b/*=/x",)).of_file("a/a.jsonl").may_be_bare


# -- what goes along


def test_chosen_values_go_along():
    """Values are carried by their pointers, through JSON in strings; what is absent is None."""
    opener = Opener(
        Envelopes(carry={"user": "/who/0", "model": "/request/model", "no": "/x/y", "all": "", "half": "/half"})
    )
    tree = {"who": ["me"], "request": json.dumps(REQUEST), "half": "\ud800"}
    assert opener.carried(unit(tree)) == {
        "user": "me",
        "model": "m",
        "no": None,
        "all": tree,
        "half": "\ud800",
    }
    assert opener.carried(unit(b"{")) == {"user": None, "model": None, "no": None, "all": None, "half": None}
    assert Opener(Envelopes()).carried(unit(tree)) is None


# -- strict mode, and what always holds


def test_strict_refuses_the_faults_of_envelope_and_body():
    """In strict mode a repair in the envelope or in the body, and a repeated key anywhere, refuses the unit."""
    assert isinstance(one(BATCH, strict=True), Completion)
    faulty = {**BATCH, "custom_id": 7}
    assert isinstance(one(faulty), Completion)
    error = one(faulty, strict=True)
    assert isinstance(error, InvalidPayloadError)
    assert (error.code, error.path) == ("number_as_text", "/custom_id")
    body = {**BODY, "created": "17"}
    error = one({**TABLE, "response": json.dumps(body)}, strict=True)
    assert (error.code, error.path) == ("text_as_integer", "/response/created")
    repeated = json.dumps(BATCH).encode().replace(b'"custom_id"', b'"custom_id": "x", "custom_id"')
    assert isinstance(one(repeated), Completion)
    assert one(repeated, strict=True).code == "duplicate_key"
    inside = json.dumps({**TABLE, "response": json.dumps(BODY).replace('"id"', '"id": "x", "id"')}).encode()
    assert one(inside, strict=True).code == "duplicate_key"


def test_a_named_source_overrides_detection():
    """The source that the caller names is that of every record, failed ones too."""
    assert one(BATCH, source="atoma").source == "atoma"
    assert failed([REQUEST, ["x"]], source="atoma").source == "atoma"


def everything() -> list[Any]:
    mixed = [tree for _, tree, _ in SAMPLES.values()]
    mixed += [tree for trees in FOUND.values() for tree in trees]
    mixed += [FAILURE, REFUSED, {**LOG10, **TABLE}, {**LITELLM, "kind": "chat"}, {**BATCH, "data": {"choices": []}}]
    mixed += [
        {**BATCH, "choices": None},
        {**TABLE, "value": BODY, "ok": True},
        {**LITELLM, "provider": {"choices": []}},
    ]
    return mixed + [{**BATCH, key: value} for key, value in LOG10.items() if key != "response"]


EVERYTHING = everything()


def answers(opener: Any, tree: Any) -> list[Any]:
    found = []
    for record in opener.records(unit(tree)):
        if isinstance(record, NormalizeError):
            whole = getattr(record, "completion", None)
            found.append((type(record), record.code, record.path, str(record), whole and whole.to_json()))
        else:
            found.append(record.to_json())
    return found


FRESH = [answers(Opener(Envelopes()), tree) for tree in EVERYTHING]


@examples(30)
@given(st.lists(st.sampled_from(range(len(EVERYTHING))), max_size=40))
def test_what_came_before_changes_nothing(order):
    """An opener gives for each unit what a new one gives, whatever it opened before."""
    opener = Opener(Envelopes())
    for place in order:
        assert answers(opener, EVERYTHING[place]) == FRESH[place]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.just(STREAM),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "response", "body", "error", "data", "custom_id", "id", "status", "message", "\ud800"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
OPTIONS = [Envelopes(envelope=name) for name in PRESETS] + [
    Envelopes(body=(place,), encoding=encoding)
    for place in ("", "/response", "/response/0/body", "/response/*")
    for encoding in ENCODINGS
]


@examples(100)
@given(
    st.sampled_from(OPTIONS),
    st.sampled_from([BATCH, LITELLM, TABLE, {}, [REQUEST, BODY]]),
    st.dictionaries(st.sampled_from(sorted({*BATCH, *LITELLM, *TABLE})), JSON, max_size=4),
    st.booleans(),
    st.tuples(st.binary(max_size=3), st.integers(0, 400)),
)
def test_any_json_in_an_envelope_gives_records_or_errors(options, base, changes, strict, noise):
    """Any JSON, and any bytes in it, give completions that can be written and errors of this library, nothing else."""
    tree = {**base, **changes} if isinstance(base, dict) else [*base[:1], *changes.values()]
    raw = json.dumps(tree).encode()
    raw = raw[: noise[1]] + noise[0] + raw[noise[1] :]
    for record in Opener(options, strict=strict).records(unit(raw)):
        if not isinstance(record, NormalizeError):
            assert isinstance(record, Completion)
            record.to_json()
        else:
            assert len(str(record)) <= 500
