"""Rules that hold on every path."""

from __future__ import annotations

import json

from normcompletion import detect, normalize, normalize_chunk, normalize_many
from normcompletion.pointer import pointer
from tests.conftest import END, both, chat, piece, refusal


def test_a_map_is_kept_whole_where_it_is_none() -> None:
    """What is no map where one is meant goes to `extra` with its note."""
    for value in ("a", 3, [1]):
        logprobs = {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": [value]}
        completion = normalize({"choices": [{"text": "a", "logprobs": logprobs}]})
        assert completion.extra == {"/choices/0/logprobs/top_logprobs/0": value}
        assert [note.code for note in completion.notes] == ["wrong_type"]


def test_what_an_sdk_does_not_know_needs_both_of_its_markers() -> None:
    """`isUnknown` without `raw`, and `raw` without `isUnknown`, are vendor keys like others."""
    image = {"image_url": {"url": "u"}}
    for marks, text in (({"isUnknown": True}, "u"), ({"raw": {"image_url": {"url": "v"}}}, "u")):
        message = normalize({"choices": [{"message": {"images": [{**image, **marks}]}}]}).choices[0].message
        assert message.images[0].image_url.url == text
    unknown = {"isUnknown": True, "raw": {"image_url": {"url": "v"}}, "type": "UNKNOWN"}
    message = normalize({"choices": [{"message": {"images": [unknown]}}]}).choices[0].message
    assert message.images[0].image_url.url == "v"


def test_a_wrong_type_is_kept_and_noted_in_every_kind_of_field() -> None:
    """A flag, a list and an object where a scalar is meant go to `extra` with a note; the field is `None`."""
    for value in (True, [1], {"a": 1}):
        for name in ("prompt_tokens", "cost"):
            if name == "cost" and isinstance(value, dict):
                continue  # Perplexity itemises its cost
            completion = normalize(chat(usage={name: value}))
            assert completion.usage is not None
            assert getattr(completion.usage, name) is None
            assert completion.extra == {f"/usage/{name}": value}
            assert [(note.code, note.path) for note in completion.notes] == [("wrong_type", f"/usage/{name}")]
        completion = normalize(chat(model=value))
        assert (completion.model, completion.extra) == (None, {"/model": value})
    completion = normalize(chat(usage={"is_byok": 1}))
    assert completion.extra == {"/usage/is_byok": 1}


def test_an_absent_position_among_token_maps_leaves_the_others() -> None:
    """A null among the maps of Atoma's engine is passed over."""
    maps = [{"1": {"logprob": -1.0, "decoded_token": "a"}}, None]
    logprobs = normalize({"choices": [{"text": "a", "logprobs": maps}]}, source="atoma").choices[0].logprobs
    assert [item.token for item in logprobs.content or ()] == ["a"]


def test_an_error_may_nest_as_deep_as_any_payload() -> None:
    """The limit of 128 containers counts from the root, in an error too."""
    for levels, code in ((127, "provider_error"), (128, "too_deep")):
        assert refusal(b'{"error":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}").code == code


def test_a_record_may_have_sixteen_mebibytes() -> None:
    """A text of 16 MiB is read, and one byte more is too long."""
    padded = json.dumps(chat()).encode().ljust(16 * 2**20)
    assert normalize(padded).text == "hi"
    error = refusal(padded + b" ")
    assert (error.code, error.offset) == ("too_long", 16 * 2**20)


def test_a_reported_error_has_the_words_of_the_service() -> None:
    """The text of `SourceReportedError` has the code, the type and the message of the error."""
    assert "429 limit slow down" in str(refusal({"error": {"code": 429, "type": "limit", "message": "slow down"}}))
    assert "without a message" in str(refusal({"error": {}, "detail": "", "object": "error"}))


def test_extra_is_in_order_everywhere() -> None:
    """`extra` is sorted by pointer, in a response, a record of a page, a chunk and a stream."""
    vendor = {"z": 1, "b": 2, "a": 3}
    (record,) = normalize_many([{"data": [chat(**vendor)]}])
    found = (normalize(chat(**vendor)), record, normalize_chunk({**END, **vendor}), both({**END, **vendor}))
    for completion in found:
        assert list(completion.extra)[-3:] == sorted(completion.extra)[-3:]


def test_detect_looks_through_wrappers() -> None:
    """The markers of a response inside a wrapper are evidence as those of a bare one."""
    body = chat(id="gen-1700000000-ABCDEFGHIJKLMNOPQRST", usage={"prompt_tokens": 1, "completion_tokens": 2})
    for payload in (body, {"data": body}, {"success": True, "data": body}, {"ok": True, "value": body}):
        found = detect(payload)
        assert (found.source, found.certain) == ("openrouter", True)
        assert found.evidence == ("openrouter: `id` is gen-<seconds>-<20 characters>",)


def test_a_key_with_a_slash_is_escaped_in_pointers() -> None:
    """Pointers are RFC 6901: `~` and `/` in a key are `~0` and `~1`, in lists too, in bodies and in streams."""
    keys = {"a/b": 1, "c~d": 2}
    expected = {"/choices/0/a~1b": 1, "/choices/0/c~0d": 2}
    assert normalize({"choices": [{"message": {"content": "x"}, **keys}]}).extra == expected
    assert both(piece({"content": "x"}, **keys), END).extra == expected
    assert pointer(("a/b", 0, "c~d")) == "/a~1b/0/c~0d"
