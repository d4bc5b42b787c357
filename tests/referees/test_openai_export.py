"""`to_openai` before the strict models of the `openai` SDK."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from refereeing import Body, fixture_bodies, recorded_bodies

from normcompletion import NormalizeError, normalize
from normcompletion.export import ExportError, to_openai


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
    *parents, name = pointer.split("/")[1:]
    holder: Any = left
    for token in parents:
        holder = holder[int(token)] if isinstance(holder, list) else holder[token]
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
    assert sum(check_bodies(recorded_bodies(corpus, kind)) for kind in ("chat", "text")) > 3000
