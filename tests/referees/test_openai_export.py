"""`to_openai` before the strict models of the `openai` SDK."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from normcompletion import NormalizeError, normalize
from normcompletion.export import ExportError, to_openai
from normcompletion.testing import resolve
from tests.conftest import recorded
from tests.referees.refereeing import Body, fixture_bodies


def accepts(body: dict[str, Any]) -> bool:
    """Whether the strict model of a body's kind accepts it."""
    types = pytest.importorskip("openai.types", reason="pip install 'normcompletion[referee-openai]'")
    model = types.Completion if body["object"] == "text_completion" else types.chat.ChatCompletion
    try:
        model.model_validate_json(msgspec.json.encode(body), strict=True)
    except ValueError:
        return False
    return True


def without(body: dict[str, Any], pointer: str) -> dict[str, Any]:
    """A body less one member; in a list a null is in its place."""
    left = copy.deepcopy(dict(body))
    above, _, name = pointer.rpartition("/")
    holder = resolve(left, above)
    if isinstance(holder, list):
        holder[int(name)] = None
    else:
        del holder[name]
    return left


def check_bodies(bodies: Iterable[Body]) -> int:
    """How many bodies gave what the strict models accept, with and without `fill` and `extras`."""
    checked = 0
    for name, raw in bodies:
        try:
            completion = normalize(raw)
        except NormalizeError:
            continue
        filled = to_openai(completion, fill=True)
        assert accepts(filled), name
        assert accepts(to_openai(completion, fill=True, extras=True)), name
        try:
            assert to_openai(completion) == filled, name
            assert filled.filled == [], name
        except ExportError as error:
            assert list(error.missing) == filled.filled != [], name
            wrong = [member for member in error.missing if accepts(without(filled, member))]
            assert wrong == [], name
        checked += 1
    return checked


def test_the_openai_models_accept_what_fixtures_give() -> None:
    """With `fill` every fixture's completion is accepted; without, those that lack nothing, and the names are right."""
    assert check_bodies(fixture_bodies()) > 200


@pytest.mark.corpus
def test_the_openai_models_accept_what_recorded_bodies_give(corpus: Path) -> None:
    """The same for every recorded body."""
    assert check_bodies(recorded(corpus, "chat", "text")) > 3000
