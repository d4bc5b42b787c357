"""Our own reader over an iterable: `normalize_many(texts)`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from normcompletion import Completion, normalize_many

from .places import Kind

LABEL = "normcompletion, many"


def read(texts: Iterable[bytes], kind: Kind) -> Iterator[Completion]:  # noqa: ARG001 - it finds out
    """A completion of each text."""
    return normalize_many(texts)


def facts(answer: Completion) -> dict[str, Any]:
    """Every field there is."""
    from benchmarks.corpora import facts_of

    return facts_of(answer)
