"""Our own reader, without a named source, and `extra` of each completion read: `len(normalize(text).extra)`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from normcompletion import Completion, normalize

from .places import Kind

LABEL = "normcompletion, `extra` read"


def _with_extra(text: bytes) -> Completion:
    completion = normalize(text)
    len(completion.extra)  # which is collected now
    return completion


def read(texts: Iterable[bytes], kind: Kind) -> Iterator[Completion]:  # noqa: ARG001 - it finds out
    """A completion of each text, with everything collected."""
    return map(_with_extra, texts)


def facts(answer: Completion) -> dict[str, Any]:
    """Every field there is."""
    from benchmarks.corpora import facts_of

    return facts_of(answer)
