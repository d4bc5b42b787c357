"""The `openai` client's models, validated by pydantic: `ChatCompletion.model_validate_json(text)`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from openai import types

from .places import Kind, attribute, facts_at_places

LABEL = "openai, model_validate_json"


def read(texts: Iterable[bytes], kind: Kind) -> Iterator[Any]:
    """A model of each text; who calls the client knows which one it is."""
    model: Any = types.Completion if kind.variant == "text" else types.chat.ChatCompletion
    return map(model.model_validate_json, texts)


def facts(answer: Any) -> dict[str, Any]:
    """What the models declare."""
    return facts_at_places(answer, attribute)
