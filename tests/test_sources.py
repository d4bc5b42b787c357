"""Whose body it is: a service's own markers, the class of an SDK object, the caller, and a default for the rest."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest

from normcompletion import (
    UnknownPayloadError,
    UnknownSourceError,
    assemble,
    detect,
    normalize,
    normalize_chunk,
    normalize_many,
)
from normcompletion.api import SourceName
from normcompletion.sources.gateways import SIGNS, Sign
from normcompletion.sources.registry import BUILT_IN, Registry, built_in
from tests.conftest import reported, saved

OPENROUTER: dict[str, Any] = {
    "id": "gen-1786001072-Lamp72QuayFogBell00x",
    "provider": "Together",
    "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop", "native_finish_reason": "stop"}],
}
PLAIN: dict[str, Any] = {"id": "a", "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}


def placed(path: str, value: Any) -> dict[str, Any]:
    """A body with members that gateways copy from OpenRouter, and one value at a dotted path."""
    body = json.loads(json.dumps({**PLAIN, "usage": {"cost": 0.1, "is_byok": False, "cost_details": {}}}))
    *parents, name = path.split(".")
    holder = body
    for key in parents:
        holder = holder.setdefault(key, {})
        holder = holder[0] if isinstance(holder, list) else holder
    holder[name] = value
    return body


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: f"{sign.gateway}: {sign.marker.evidence}")
@pytest.mark.parametrize("form", ["text", "object"])
def test_a_copied_marker_is_no_proof_beside_a_gateways_sign(sign: Sign, form: str) -> None:
    """What OpenRouter and a gateway write is OpenRouter's alone, and nobody's beside that gateway's own sign."""
    (condition,) = sign.marker.conditions
    path = ".".join(condition.path)
    if path.startswith("choices.delta"):
        pytest.skip("of streams")
    body = placed(path, "gen_01KABC" if condition.pattern else {"a": 1})
    payload = json.dumps(body) if form == "text" else body
    assert sign.seen
    assert (normalize(payload).source, normalize(payload).source_basis) == ("openai", "dialect")
    assert not detect(payload).certain
    assert not any("openrouter" in line for line in detect(payload).evidence)
    own = {**body, "id": OPENROUTER["id"]}
    assert normalize(json.dumps(own)).source == normalize(own).source == "openrouter"


def test_copied_markers_alone_are_openrouters() -> None:
    """Without a gateway's sign, `is_byok` or `cost_details` alone name OpenRouter."""
    for name in ("is_byok", "cost_details"):
        body = {**PLAIN, "usage": {name: {"upstream_inference_cost": 1} if name == "cost_details" else True}}
        assert (normalize(body).source, normalize(json.dumps(body)).source) == ("openrouter", "openrouter")
    both = {**PLAIN, "usage": {"is_byok": True}, "signature": "s", "response_hash": "h"}
    with pytest.raises(Exception, match="atoma and openrouter"):
        normalize(both)


def sdk_class(module: str, base: type = msgspec.Struct) -> Any:
    """A class of an SDK's package that holds a body."""
    return msgspec.defstruct("Response", [("id", str), ("choices", list[Any])], module=module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("openrouter.components.chatresponse", "openrouter"),
        ("atoma_sdk.models.chatcompletionresponse", "atoma"),
        ("log10.completions", "log10"),
        ("log10py.models", "log10"),
        ("openai.types.chat", None),
        ("litellm.types.utils", None),
        ("openrouterish.models", None),
    ],
)
def test_the_class_of_an_sdk_object_settles_its_source(module: str, source: str | None) -> None:
    """An object of a source's SDK, or of a class made from it, has that source; openai and litellm say nothing."""
    kind = sdk_class(module)
    sent = kind(**PLAIN)
    completion = normalize(sent)
    expected = (source, "object") if source else ("openai", "dialect")
    assert (completion.source, completion.source_basis) == expected
    assert normalize(sent, source="openai").source_basis == "caller"
    assert detect(sent).certain == (source is not None)
    (other,) = normalize_many([sent])
    assert other == completion
    mine = type("Mine", (kind,), {"__module__": "mine"})(**PLAIN)
    assert normalize(mine).source == expected[0]


def test_the_class_of_stream_events_settles_their_source() -> None:
    """A stream of SDK objects has the source of their class, chunk by chunk and assembled."""
    kind = sdk_class("openrouter.components.chunk")
    chunks = [
        kind(id="a", choices=[{"index": 0, "delta": {"content": "h"}}]),
        kind(id="a", choices=[{"index": 0, "delta": {"content": "i"}, "finish_reason": "stop"}]),
    ]
    assert normalize_chunk(chunks[0]).source == "openrouter"
    completion = assemble(chunks)
    assert (completion.text, completion.source, completion.source_basis) == ("hi", "openrouter", "object")
    named = assemble(chunks[1:], source="atoma")
    assert (named.source, named.source_basis) == ("atoma", "caller")


@pytest.mark.parametrize("body", [OPENROUTER, {**OPENROUTER, "vendor": 1}, {**OPENROUTER, "created": 1.5}])
@pytest.mark.parametrize("form", ["text", "object"])
def test_a_named_source_overrides_detection_with_a_remark_where_a_marker_contradicts(body: Any, form: str) -> None:
    """`source=` overrides detection; a decisive marker of another source is remarked."""
    payload = json.dumps(body) if form == "text" else body
    completion = normalize(payload, source="atoma", strict=True)
    assert (completion.source, completion.source_basis) == ("atoma", "caller")
    assert [(note.path, note.before) for note in completion.notes if note.code == "source_conflict"] == [
        ("", "openrouter")
    ]
    assert not any(note.code == "source_conflict" for note in normalize(payload, source="openrouter").notes)
    assert not any(note.code == "source_conflict" for note in normalize(PLAIN, source="atoma").notes)


MARKED_CHUNKS = [
    {"id": "a", "provider": "Inc", "choices": [{"index": 0, "delta": {"content": "h"}, "native_finish_reason": None}]},
    {
        "id": "a",
        "provider": "Inc",
        "choices": [{"index": 0, "delta": {"content": "i"}, "finish_reason": "stop", "native_finish_reason": "end"}],
    },
]


def test_a_record_of_another_source_than_the_named_one_is_refused_with_that_reason() -> None:
    """An object in a shape of its own is read as its source only; the error says whose it is."""
    record = {"kind": "chat", "organization_id": "o", "status": "finished", "response": PLAIN}
    with pytest.raises(UnknownPayloadError, match="a log_record of log10, and source= names atoma"):
        normalize(record, source="atoma")
    assert normalize(record, default_source="atoma").source == "log10"


@pytest.mark.parametrize("member", [{}, {"vendor": 1}, {"created": "1"}], ids=["plain", "unknown key", "fault"])
def test_a_named_source_of_a_stream_overrides_detection_with_the_same_remark(member: dict[str, Any]) -> None:
    """A stream that is saved, fed live or read chunk by chunk has one remark, as the whole body has."""
    chunks = [{**chunk, **member} for chunk in MARKED_CHUNKS]
    raw = saved(*chunks)
    by_chunk = [normalize_chunk(chunk, source="atoma") for chunk in chunks]
    for completion in (
        normalize(raw, source="atoma"),
        *(assemble(each, source="atoma") for each in (chunks, by_chunk)),
    ):
        assert (completion.source, completion.source_basis) == ("atoma", "caller")
        assert [(note.path, note.before) for note in completion.notes if note.code == "source_conflict"] == [
            ("", "openrouter")
        ]
    assert not any(note.code == "source_conflict" for note in normalize(raw, source="openrouter").notes)


def test_a_default_source_is_that_of_a_stream_that_nothing_else_decides() -> None:
    """`assemble`, `Assembler` and `normalize_chunk` take a default source, and a marker wins over it."""
    plain = {"id": "a", "choices": [{"index": 0, "delta": {"content": "h"}, "finish_reason": "stop"}]}
    completion = assemble([plain], default_source="atoma")
    assert (completion.source, completion.source_basis) == ("atoma", "caller")
    assert assemble([plain]).source == "openai"
    assert assemble([normalize_chunk(plain, default_source="atoma")], default_source="atoma") == completion
    assert assemble(MARKED_CHUNKS, default_source="atoma").source == "openrouter"
    assert normalize_chunk(plain, default_source="atoma").source == "atoma"
    assert normalize_chunk(MARKED_CHUNKS[1], default_source="atoma").source == "openrouter"
    for refused in (assemble, normalize_chunk):
        with pytest.raises(UnknownSourceError, match="did you mean 'atoma'"):
            refused([plain], default_source="atmoa")  # type: ignore[operator]


def test_a_contradicting_marker_is_remarked_wherever_it_is() -> None:
    """A comment line, a single chunk, an error body and an error in a stream have the remark too."""
    stream = b': OPENROUTER PROCESSING\n\ndata: {"choices": [{"delta": {"content": "h"}, "finish_reason": "stop"}]}\n\n'
    error = {"error": {"code": 400, "message": "no"}, "user_id": "user_2a"}
    for found in (
        normalize(stream, source="log10"),
        normalize_chunk(MARKED_CHUNKS[1], source="atoma"),
        reported(error, source="atoma"),
        reported(saved(error), source="atoma"),
    ):
        assert [note.before for note in found.notes] == ["openrouter"]


def test_a_default_source_is_for_what_nothing_decides() -> None:
    """`default_source=` names the source of an unmarked body, in all verbs; a marker and an envelope win."""
    for payload in (PLAIN, json.dumps(PLAIN), json.dumps({**PLAIN, "vendor": 1})):
        completion = normalize(payload, default_source="atoma")
        assert (completion.source, completion.source_basis) == ("atoma", "caller")
    assert normalize(OPENROUTER, default_source="atoma").source == "openrouter"
    record = {"kind": "chat", "organization_id": "o", "request": {}, "response": PLAIN}
    assert normalize(record, default_source="atoma").source == "log10"
    assert [item.source for item in normalize_many([PLAIN, [PLAIN]], default_source="atoma")] == ["atoma", "atoma"]
    assert normalize(sdk_class("openrouter.x")(**PLAIN), default_source="atoma").source == "openrouter"


@pytest.mark.parametrize("option", ["source", "default_source"])
def test_a_name_that_is_no_source_is_refused_with_the_nearest(option: str) -> None:
    """A source that is not registered is refused, with the name that was probably meant."""
    options: dict[str, Any] = {option: "atom"}
    with pytest.raises(UnknownSourceError, match="did you mean 'atoma'"):
        normalize(PLAIN, **options)
    with pytest.raises(UnknownSourceError, match="did you mean 'atoma'"):
        list(normalize_many([PLAIN], **options))


def test_type_checkers_know_the_names_of_the_built_in_sources() -> None:
    """The names that the annotation spells out are those of the built-in sources, and plugins may have others."""
    literal, other = get_args(SourceName)
    assert set(get_args(literal)) == set(BUILT_IN)
    assert other is str


def test_a_registry_needs_the_shared_dialect_and_names_once() -> None:
    """A registry without the variants of `openai`, or with a name twice, is refused."""
    with pytest.raises(ValueError, match="needs the variants of `openai`"):
        Registry(variant for variant in built_in() if variant.source != "openai")
    with pytest.raises(ValueError, match="there are two variants"):
        Registry((*built_in(), *built_in()))
