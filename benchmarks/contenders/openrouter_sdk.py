"""The `openrouter` SDK, reading as its client does: `unmarshal_json(text, ChatResult)`."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from typing import Any

from .places import Kind, attribute, facts_at_places

LABEL = "openrouter SDK"

_MODEL: Any = importlib.import_module("openrouter.components").ChatResult
_unmarshal: Any = importlib.import_module("openrouter.utils").unmarshal_json


def read(texts: Iterable[bytes], kind: Kind) -> Iterator[Any]:  # noqa: ARG001 - it has one model for chats
    """A model of each text."""
    return (_unmarshal(text.decode(), _MODEL) for text in texts)


def facts(answer: Any) -> dict[str, Any]:
    """What its models declare: neither the provider nor its finish word."""
    return facts_at_places(answer, attribute, "reasonings", "cost")
