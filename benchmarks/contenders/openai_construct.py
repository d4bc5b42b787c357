"""The `openai` client's own path from a response to its model: `json.loads`, then `construct_type`, unvalidated."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from openai import types
from openai._models import construct_type

from .places import Kind, attribute, facts_at_places

LABEL = "openai, as its client does"


def read(texts: Iterable[bytes], kind: Kind) -> Iterator[Any]:
    """A model of each text; who calls the client knows which one it is."""
    model: Any = types.Completion if kind.variant == "text" else types.chat.ChatCompletion
    return (construct_type(type_=model, value=json.loads(text)) for text in texts)


def facts(answer: Any) -> dict[str, Any]:
    """What the models declare."""
    return facts_at_places(answer, attribute)
