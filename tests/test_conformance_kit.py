"""The conformance kit for sources of third parties: it passes a good source, and finds what a bad one does."""

from __future__ import annotations

import json

import msgspec
import pytest

from normcompletion import Choice, Completion, Message, Variant, key
from normcompletion.testing import checks, own_fixtures, reader
from tests.conftest import PAIRS, python

BODY = b'{"acme_id": "7", "said": "hello", "tide_level": 3, "mood": {"glad": true}}'


class Answer(msgspec.Struct, kw_only=True):
    acme_id: str
    said: str | None = None
    tide_level: int | None = None


class Greedy(Answer, kw_only=True):
    acme_id: str = ""
    id: str | None = None


def adapt(answer, findings):
    if answer.tide_level is not None:
        findings.keep(answer.tide_level, "tide_level")
    choice = Choice(message=Message(content=answer.said))
    return Completion(
        id=answer.acme_id, source="acme", variant="answer", choices=[choice], extra=findings.extra, notes=findings.notes
    )


def losing(answer, findings):
    """An adapter that forgets the level."""
    return adapt(Answer(acme_id=answer.acme_id, said=answer.said), findings)


def source(adapt=adapt, marker="acme_id", wire=Answer):
    return (Variant(source="acme", name="answer", wire=wire, adapt=adapt, markers=(key(marker),)),)


@pytest.fixture
def folder(tmp_path):
    """One fixture of a good source."""
    (tmp_path / "hello.json").write_bytes(BODY)
    completion = reader(source())(BODY)
    (tmp_path / "hello.expected.json").write_bytes(completion.to_json())
    return tmp_path


def failures(folder, variants):
    """The checks that fail, each with its sentence."""
    found = {}
    for check in checks(folder, variants):
        try:
            check()
        except AssertionError as error:
            found[str(check)] = str(error)
    return found


def test_a_good_source_passes(folder):
    """A source that keeps the promises passes every check: expected, lost, spelling, order and others."""
    assert [str(check) for check in checks(folder, source())] == [
        "hello: gives what is expected",
        "hello: nothing is lost",
        "hello: in camelCase as well",
        "in any order",
        "no body of others is taken",
    ]
    assert failures(folder, source()) == {}


def test_a_lost_value_is_found(folder):
    """An adapter that forgets a value fails, and the pointer of the value is named."""
    found = failures(folder, source(losing))
    assert found["hello: nothing is lost"] == "hello loses /tide_level"
    assert "hello: gives what is expected" in found


def test_a_body_of_others_is_found(folder):
    """A marker that holds for other services' bodies fails, and one of those bodies is named."""
    found = failures(folder, source(marker="id", wire=Greedy))
    assert "of normcompletion's own fixtures gives something else" in found["no body of others is taken"]


def test_a_payload_without_expectation_must_be_refused(folder):
    """A payload without an expected completion beside it has to be an error."""
    (folder / "bad.json").write_bytes(b'{"acme_id": "8"}')
    assert list(failures(folder, source())) == ["bad: gives what is expected"]
    (folder / "bad.json").write_bytes(b'{"acme": "8"}')
    assert failures(folder, source()) == {}


def test_an_empty_folder_is_refused(tmp_path):
    """A folder without payloads checks nothing, and says so."""
    with pytest.raises(ValueError, match="holds no payloads"):
        checks(tmp_path)


def test_the_own_fixtures_come_with_the_kit():
    """The kit has this library's own fixtures."""
    assert [pair.name for pair in own_fixtures()] == [pair.name for pair in PAIRS]


def test_missing_expectations_can_be_written(tmp_path):
    """`python -m normcompletion.testing` writes the expected completions that are missing, which then pass."""
    (tmp_path / "chat.json").write_bytes(b'{"id": "a", "choices": [{"message": {"content": "x"}}]}')
    done = python("-m", "normcompletion.testing", str(tmp_path))
    assert "look it through" in done.stdout
    assert json.loads((tmp_path / "chat.expected.json").read_bytes())["id"] == "a"
    for check in checks(tmp_path)[:2]:
        check()
    (tmp_path / "bad.json").write_bytes(b"{}")
    assert python("-m", "normcompletion.testing", str(tmp_path)).stdout == ""
    assert "usage:" in python("-m", "normcompletion.testing").stderr
