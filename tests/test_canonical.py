"""Records that this library wrote, read again: they come back as they were."""

from __future__ import annotations

import copy
import json

import pytest

from normcompletion import (
    Completion,
    EncryptedPayloadError,
    InvalidPayloadError,
    SourceReportedError,
    detect,
    explain,
    normalize,
)
from normcompletion.batch import convert
from normcompletion.errors import NormalizeError
from tests.conftest import PAIRS, completion_of, fresh_engine, recorded

SIGNED = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"created":1.5,'
SIGNED += b'"signature":"s","response_hash":"h","vendor":{"a/b":[1,99999999999999999999]}}'


def comes_back(completion: Completion) -> bool:
    """Whether a completion, and its JSON, are read as that completion."""
    before = copy.deepcopy(completion)
    return completion_of(completion) == before == completion_of(completion.to_json()) == completion


def test_what_was_written_comes_back():
    """The completion of every fixture, read again from its JSON or as an object, is the same completion."""
    found = [(pair.name, each) for pair in PAIRS if (each := completion_of(pair.raw)) is not None]
    assert len(found) > 300
    assert [name for name, completion in found if not comes_back(completion)] == []


@pytest.mark.corpus
def test_what_was_written_of_recorded_bodies_comes_back(corpus):
    """The completion of every recorded body, read again from its JSON, is the same completion."""
    kinds = ("chat", "text", "error", "log_record")
    found = [(name, each) for name, raw in recorded(corpus, *kinds) if (each := completion_of(raw)) is not None]
    assert len(found) > 1000
    assert [name for name, completion in found if not comes_back(completion)] == []


def test_a_call_that_failed_still_has():
    """The record of a failed call raises what the call did, and that of an encrypted body too."""
    with pytest.raises(SourceReportedError) as failed:
        normalize(b'{"error":{"message":"busy","code":503}}')
    with pytest.raises(SourceReportedError) as again:
        normalize(failed.value.completion)
    assert again.value.completion == failed.value.completion
    assert again.value.error == failed.value.error
    with pytest.raises(EncryptedPayloadError) as encrypted:
        normalize(b'{"nonce":"n","ciphertext":"c","usage":{"total_tokens":3}}')
    with pytest.raises(EncryptedPayloadError):
        normalize(encrypted.value.completion.to_json())


def test_converting_again_changes_nothing(tmp_path):
    """Converting canonical lines gives the same bytes, those of failed and encrypted calls included."""
    log, once, twice = (tmp_path / name for name in ("log.jsonl", "once.jsonl", "twice.jsonl"))
    trees = [pair.tree for pair in PAIRS if completion_of(pair.raw) is not None]
    log.write_text("".join(json.dumps(tree) + "\n" for tree in trees if tree is not None))
    first = convert(log, once)
    second = convert(once, twice)
    assert first.records > 100
    assert (second.records, second.rejected) == (first.records, 0)
    assert twice.read_bytes() == once.read_bytes()
    assert second.sources == first.sources


def test_no_decoder_takes_it_for_another_body():
    """A canonical record is read as one, and a body with the same keys of a vendor's is not."""
    engine = fresh_engine()
    body = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],%s}'
    record = normalize(SIGNED).to_json()
    for vendor in (
        b'"source":"x","variant":null,"extra":{"a":1},"notes":[1],"envelope":null,"error":null',
        b'"source":"x","variant":"y","extra":"z","notes":[],"envelope":{"a":1},"error":null',
    ):
        for _ in range(40):
            assert engine.read(body % vendor).source == "openai"
            assert engine.read(record).source == "atoma"


def test_what_was_put_beside_goes_to_extra():
    """A key that somebody added to a canonical record is in `extra`, beside what was there."""
    completion = normalize(SIGNED)
    record = {**completion.to_dict(), "carried": {"day": 1}}
    again = normalize(record)
    assert again.extra == {**completion.extra, "/carried": {"day": 1}}
    assert again.notes == completion.notes


def test_a_record_in_an_envelope_is_read_as_one():
    """A canonical record in place of a response keeps its source, and has the envelope that is around it."""
    completion = normalize(SIGNED)
    enveloped = {"data": completion.to_dict()}
    found = normalize(enveloped)
    assert (found.source, found.variant, found.envelope.kind) == ("atoma", "chat", "data")
    assert found.extra == completion.extra
    assert explain(enveloped).lost == []


def test_a_named_source_overrides_detection():
    """`source` overrides that of a canonical record too, and another `variant` is refused."""
    record = normalize(SIGNED).to_json()
    assert normalize(record, source="openrouter").source == "openrouter"
    with pytest.raises(InvalidPayloadError, match="the payload is atoma chat, not text"):
        normalize(record, variant="text")


def test_a_record_that_was_changed_is_refused():
    """A canonical record with another type or a new key inside is refused, and the message says what to do."""
    for wrong in ({"prompt_tokens": "many"}, {"tokens": 1}, {"cost_details": {"mine": 1}}):
        record = {**normalize(SIGNED).to_dict(), "usage": wrong}
        with pytest.raises(InvalidPayloadError, match=r"(tokens|mine).*; convert the response itself") as refused:
            normalize(record)
        assert refused.value.code == "wrong_type"
    record = normalize(SIGNED).to_dict()
    record["notes"][0]["mine"] = 1
    with pytest.raises(InvalidPayloadError, match="mine"):
        normalize(record)


def test_half_a_surrogate_pair_in_a_record_is_replaced():
    """Half a surrogate pair in a canonical record is replaced with a note, and strict mode refuses it."""
    record = normalize(SIGNED).to_json().replace(b'"content":"hi"', b'"content":"\\ud800"')
    found = normalize(record)
    assert found.text == "\N{REPLACEMENT CHARACTER}"
    assert [(note.code, note.path) for note in found.notes][:1] == [("lone_surrogate", "/choices/0/message/content")]
    with pytest.raises(NormalizeError, match="lone_surrogate"):
        normalize(record, strict=True)


def test_half_a_surrogate_pair_in_what_was_kept_as_sent_stays():
    """The metadata of an error, a logged request, extra and notes may hold halves, and come back as they were."""
    failed = {"error": {"message": "no", "metadata": {"raw": "\ud83d"}, "\ud83d": 1}}
    asked = {"organization_id": "o", "request": {"model": "\ud83d"}, "response": {"choices": [{"text": "a\ud83d"}]}}
    for payload in (failed, asked):
        completion = completion_of(json.dumps(payload))
        assert completion_of(completion.to_json()) == completion


def test_detect_and_explain_know_it():
    """`detect` is certain of a canonical record's source, and `explain` finds a place for each of its leaves."""
    record = normalize(SIGNED).to_json()
    assert detect(record).certain
    assert detect(record).evidence == ("atoma: `source` of a canonical record",)
    assert explain(record).lost == []
    assert {"extra", "notes", "/source"} <= {placement.place for placement in explain(record).placements}
