"""`orjson.loads`: plain dictionaries, from the fastest general parser; nothing is checked and nothing converted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from .places import Kind, facts_at_places, member

LABEL = "orjson.loads, dictionaries"


def read(texts: Iterable[bytes], kind: Kind) -> Iterator[Any]:  # noqa: ARG001 - it is all the same to a parser
    """A tree of each text."""
    return map(orjson.loads, texts)


def facts(answer: Any) -> dict[str, Any]:
    """What is in the places that OpenAI documents."""
    return facts_at_places(answer, member)
