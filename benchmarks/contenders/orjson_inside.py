"""`orjson.loads` on log10 records, and again on the JSON that is in their strings: request and response."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from .places import Kind, facts_at_places, member

LABEL = "orjson.loads, and inside strings"


def _inside(text: bytes) -> Any:
    record = orjson.loads(text)
    inner = record.get("data", record)
    for name in ("request", "response", "stacktrace"):
        if isinstance(inner.get(name), str):
            inner[name] = orjson.loads(inner[name])
    return record


def read(texts: Iterable[bytes], kind: Kind) -> Iterator[Any]:  # noqa: ARG001 - it is all the same to a parser
    """A tree of each text."""
    return map(_inside, texts)


def facts(answer: Any) -> dict[str, Any]:
    """What is in the places that OpenAI documents, in a bare response or in that of a record."""
    record = answer.get("data", answer)
    return facts_at_places(record.get("response", record), member)
