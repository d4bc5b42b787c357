"""Our own reader, with the source named: `normalize(text, source="openrouter")`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from normcompletion import Completion, normalize

from .places import Kind

LABEL = "normcompletion, source named"


def read(texts: Iterable[bytes], kind: Kind) -> Iterator[Completion]:
    """A completion of each text."""
    source = kind.source
    return (normalize(text, source=source) for text in texts)


def facts(answer: Completion) -> dict[str, Any]:
    """Every field but the source, which is named."""
    from benchmarks.corpora import facts_of

    found = facts_of(answer)
    del found["source"]
    return found
