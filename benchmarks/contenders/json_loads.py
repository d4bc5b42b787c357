"""`json.loads`: plain dictionaries, from the standard library; nothing is checked and nothing converted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from .places import Kind, facts_at_places, member

LABEL = "json.loads, dictionaries"


def read(texts: Iterable[bytes], kind: Kind) -> Iterator[Any]:  # noqa: ARG001 - it is all the same to a parser
    """A tree of each text."""
    return map(json.loads, texts)


def facts(answer: Any) -> dict[str, Any]:
    """What is in the places that OpenAI documents."""
    return facts_at_places(answer, member)
