"""A third party's source, installed through the entry point."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from normcompletion import AmbiguousPayloadError, Variant, equals, key, lacks, pattern
from normcompletion.dialect import adapt, wire
from normcompletion.dialect.variant import Marker
from normcompletion.envelopes import registry as envelopes
from normcompletion.envelopes.preset import Preset, has
from normcompletion.sources import openai, openrouter
from normcompletion.sources import registry as sources
from normcompletion.testing import outcome, reader
from tests.conftest import PAIRS, fresh_engine, python

MODULE = """
import msgspec
from normcompletion import Choice, Completion, Message, Variant, key


class Answer(msgspec.Struct, kw_only=True):
    acme_id: str
    said: str | None = None


def adapt(answer, findings):
    choice = Choice(message=Message(content=answer.said))
    return Completion(id=answer.acme_id, source="acme", variant="answer", choices=[choice], notes=findings.notes)


VARIANTS = (Variant(source="acme", name="answer", wire=Answer, adapt=adapt, markers=(key("acme_id"),)),)
"""

SCRIPT = """
from normcompletion import UnknownSourceError, detect, normalize
ours = normalize(b'{"acme_id":"7","said":"hello","mood":{"glad":true}}')
assert (ours.source, ours.variant, ours.id, ours.text) == ("acme", "answer", "7", "hello"), ours
assert ours.extra == {"/mood": {"glad": True}}, ours
assert detect(b'{"acme_id":"7"}').evidence == ("acme: `acme_id`",)
openai = normalize(b'{"choices":[{"message":{"content":"x"}}]}')
assert (openai.source, openai.text) == ("openai", "x")
router = normalize(b'{"provider":"P","choices":[{"native_finish_reason":"STOP","message":{"content":"x"}}]}')
assert router.source == "openrouter"
dressed = normalize(b'{"choices":[],"acme_id":"8"}')
assert dressed.source == "acme" and dressed.extra == {"/choices": []}
camel = normalize(b'{"acmeId":"9","said":"hi"}')
assert (camel.source, camel.id, camel.text) == ("acme", "9", "hi"), camel
assert camel.source_basis == "marker" and openai.source_basis == "dialect"
"""


def package(folder: Path, group: str, module: str) -> None:
    """A package in a folder whose metadata names a module as the plugin `acme` of a group."""
    info = folder / "acme_normcompletion-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-normcompletion\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\nacme = {module}\n")


@pytest.mark.parametrize("is_zipped", [False, True])
def test_an_installed_source_is_read_like_a_built_in_one(is_zipped, tmp_path):
    """A package that offers the entry point, also in an archive, adds its variants, and every older verdict holds."""
    folder = tmp_path / "packages"
    package(folder, "normcompletion.sources", "acme_normcompletion")
    (folder / "acme_normcompletion.py").write_text(MODULE)
    where = shutil.make_archive(str(tmp_path / "packages"), "zip", folder) if is_zipped else str(folder)
    script = f"import sys; sys.path.insert(0, {where!r})\n{textwrap.dedent(SCRIPT)}"
    done = python("-W", "error", "-c", script)
    assert (done.returncode, done.stderr) == (0, "")


class Answer(msgspec.Struct, kw_only=True):
    acme_id: str


def variant(**members) -> Variant:
    """A variant of `acme`: a body in the OpenAI dialect, unless the members say something else."""
    given = {"name": "chat", "wire": wire.Body, "adapt": partial(adapt.completion, source="acme")}
    return Variant(source="acme", **given | members)


def error_variant(*markers: Marker) -> Variant:
    """The error bodies of `acme`."""
    return variant(name="error", wire=wire.Failed, adapt=partial(adapt.failed, source="acme"), markers=markers)


CHAT = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "x"}}
MARKED = {
    "acme_region": {"acme_region": "eu"},
    "acme.region": {"acme": {"region": "eu"}},
    "acme.region.zone": {"acme": {"region": {"zone": 1}}},
    "acme_parts.*": {"acme_parts": []},
    "choices.acme": {"choices": [{**CHAT, "acme": 1}]},
    "choices.acme.*": {"choices": [{**CHAT, "acme": [1]}]},
    "choices.message.acme": {"choices": [{**CHAT, "message": {**CHAT["message"], "acme": 1}}]},
    "usage.acme": {"usage": {"total_tokens": 3, "acme": 2}},
    "usage.acme.cents": {"usage": {"total_tokens": 3, "acme": {"cents": 2}}},
}


@pytest.mark.parametrize("alone", [True, False], ids=["beside openai", "beside all sources"])
@pytest.mark.parametrize("path", MARKED)
def test_a_marker_may_be_any_key_of_a_body(path, alone):
    """A gateway is detected by a key at any place, known or not; bodies with other values there are read as well."""
    read = fresh_engine([*(openai.VARIANTS if alone else sources.built_in()), variant(markers=(key(path),))]).read
    assert read(json.dumps({"choices": [CHAT], **MARKED[path]}).encode()).source == "acme"
    for members in (*MARKED.values(), {"acme": 7, "acme_parts": 7}, {"acme": [], "acme_parts": {}}):
        assert read(json.dumps({"choices": [CHAT], **members}).encode()).choices


@pytest.mark.parametrize(
    "variants",
    [
        openai.VARIANTS,
        (*openai.VARIANTS, *openrouter.VARIANTS),
        (*openai.VARIANTS, error_variant(key("error.acme_code"))),
        (*openai.VARIANTS, variant(name="text", markers=(key("acme_region"),))),
        (*openai.VARIANTS, variant(name="answer", wire=Answer, markers=(key("acme_id"),))),
        (*sources.built_in(), *(variant(name=f"chat{n}", markers=(key(f"acme{n}"),)) for n in range(9))),
    ],
    ids=["openai", "two", "errors only", "text only", "shape only", "many"],
)
def test_any_set_of_sources_works(variants):
    """With any set of sources, every fixture gives a completion or a `NormalizeError`."""
    engine = fresh_engine(variants)
    given = [outcome(lambda raw=pair.raw: engine.read(raw)).completion for pair in PAIRS]
    names = {each.source for each in variants}
    assert {each.source for each in given if each is not None and each.source_basis == "marker"} <= names


def test_errors_of_a_source_without_bodies_are_its_own():
    """A plugin with an error variant alone is the source of its errors, and of nothing else."""
    engine = fresh_engine([*sources.built_in(), error_variant(key("error.acme_code"))])
    assert engine.read(b'{"error": {"message": "busy", "acme_code": 7}}').source == "acme"
    assert engine.read(b'{"choices": [{"text": "x"}], "acme_code": 7}').source == "openai"


def test_a_copied_marker_makes_bodies_ambiguous():
    """Where a plugin has a marker of another source, a body with that marker names both."""
    engine = fresh_engine([*sources.built_in(), variant(markers=openrouter.MARKERS)])
    with pytest.raises(AmbiguousPayloadError, match="acme and openrouter"):
        engine.read(b'{"id": "x", "provider": "P", "choices": [{"native_finish_reason": "stop", "text": "x"}]}')


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("acme", "VARIANTS holds str objects; it must be a tuple"),
        (variant(wire=dict), "the wire of acme/chat is not a subclass of msgspec.Struct"),
        (variant(markers=key("acme_id")), r'write markers=\(key\("acme_id"\),\)'),
        (variant(markers=("acme_id",)), "are not a tuple of markers"),
        (variant(markers=(lacks("model"),)), "names only what is absent; join it with &"),
        (variant(markers=(key(""),)), "is not of names with dots between them"),
        (variant(markers=(key("x-acme"),)), "is not of names with dots between them"),
        (
            variant(markers=(equals("object", ["acme"]),)),
            "compares with something else than a text, a number or a flag",
        ),
        (variant(name="answer", wire=Answer), "acme/answer has no markers"),
        (variant(name="answer", wire=Answer, markers=(pattern("id", "a", "b", "c"),)), "Answer does not declare id"),
        (variant(placeholders={"usage.tokens": 0}), "a placeholder at usage.tokens, which `Completion` does not have"),
        (variant(finish_words={"done": "ended"}), "reads the finish word 'done' as 'ended'; use one of stop, length"),
    ],
)
def test_a_variant_that_cannot_work_is_refused(wrong, words):
    """A mistake in a variant is refused when it is registered, with the variant's name and what to change."""
    with pytest.raises((TypeError, ValueError), match=words):
        reader([wrong])


@pytest.mark.parametrize(
    ("group", "module", "words"),
    [
        ("sources", None, "ModuleNotFoundError"),
        ("sources", {}, "has no attribute 'VARIANTS'"),
        ("sources", {"VARIANTS": (variant(name="answer", wire=Answer),)}, "acme/answer has no markers"),
        ("sources", {"VARIANTS": openai.VARIANTS}, "there are two variants openai/chat"),
        ("envelopes", None, "ModuleNotFoundError"),
        ("envelopes", {"PRESETS": Preset(name="acme", about="", body="/a")}, "not iterable"),
        ("envelopes", {"PRESETS": ("acme",)}, "PRESETS holds str objects"),
        (
            "envelopes",
            {"PRESETS": (Preset(name="acme", about="", body="/a", detected_by=(has(),)),)},
            "a tuple of keys",
        ),
        (
            "envelopes",
            {"PRESETS": (Preset(name="acme", about="", body="/a", detected_by=has("a")),)},
            "a tuple of keys",
        ),
        ("envelopes", {"PRESETS": (Preset(name="har", about="", body="/a"),)}, "there are two envelopes har"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_named(group, module, words, monkeypatch, tmp_path):
    """What is wrong with an installed plugin is an `ImportError` that says it, never an error of the first payload."""
    monkeypatch.delitem(sys.modules, "acme_plugin", raising=False)
    if module is not None:
        monkeypatch.setitem(sys.modules, "acme_plugin", SimpleNamespace(**module))
    package(tmp_path, f"normcompletion.{group}", "acme_plugin")
    monkeypatch.syspath_prepend(tmp_path)
    load = sources.installed if group == "sources" else envelopes.presets.__wrapped__
    with pytest.raises(ImportError, match=words):
        load()


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"fields": {"id": "/id"}}, "the fields of the envelope acme are tuples of pointers"),
        ({"error_parts": {"code": "/code"}}, "the error_parts of the envelope acme are tuples of pointers"),
        ({"error": "/error"}, "the error of the envelope acme is a tuple of pointers"),
        ({"fields": {"identity": ("/id",)}}, "no field 'identity'; known are"),
        ({"body": "answer"}, "'answer' is not a JSON Pointer"),
    ],
)
def test_an_envelope_that_cannot_work_is_refused(members, words):
    """A mistake in a preset is refused where it is made, with the envelope's name and what to write."""
    with pytest.raises((TypeError, ValueError), match=words):
        Preset(**{"name": "acme", "about": "", "body": "/answer"} | members)
