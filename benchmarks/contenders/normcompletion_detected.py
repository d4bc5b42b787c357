"""Our own reader, without a named source: `normalize(text)`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from normcompletion import Completion, normalize

from .places import Kind

LABEL = "normcompletion, source detected"


def read(texts: Iterable[bytes], kind: Kind) -> Iterator[Completion]:  # noqa: ARG001 - it finds out
    """A completion of each text."""
    return map(normalize, texts)


def facts(answer: Completion) -> dict[str, Any]:
    """Every field there is."""
    from benchmarks.corpora import facts_of

    return facts_of(answer)
