"""`msgspec.json.decode` without a type: plain dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from .places import Kind, facts_at_places, member

LABEL = "msgspec, dictionaries"

_decode = msgspec.json.Decoder().decode


def read(texts: Iterable[bytes], kind: Kind) -> Iterator[Any]:  # noqa: ARG001 - it is all the same to a parser
    """A tree of each text."""
    return map(_decode, texts)


def facts(answer: Any) -> dict[str, Any]:
    """What is in the places that OpenAI documents."""
    return facts_at_places(answer, member)
