"""Who reads completion responses: this library, parsers, and the clients that people use instead.

Each contender is one file with the same three names:

* `LABEL`: what it is, in a few words, without its version.
* `read(texts, kind)`: an iterator of its answers, one for each text, lazy and in order. It is what is timed, and raises
  where it refuses a text.
* `facts(answer)`: what the answer says, as fields of `benchmarks.corpora.Truth`, but only those that it gives.

A file whose libraries are not installed is skipped, by name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from .places import Kind

NAMES = (
    "normcompletion_detected",
    "normcompletion_named",
    "normcompletion_many",
    "normcompletion_extra",
    "msgspec_struct",
    "msgspec_any",
    "orjson_loads",
    "orjson_inside",
    "json_loads",
    "openai_validate",
    "openai_construct",
    "openrouter_sdk",
    "atoma_sdk",
    "litellm_convert",
)
BASELINE = "orjson_loads"
# Those that only read one source's bodies.
MEANT_FOR = {"openrouter_sdk": "openrouter", "atoma_sdk": "atoma", "orjson_inside": "log10"}


class Contender(NamedTuple):
    """One file of this folder."""

    name: str
    label: str
    read: Callable[[Iterable[bytes], Kind], Iterator[Any]]
    facts: Callable[[Any], dict[str, Any]]


def load(name: str) -> Contender:
    """One contender by its name. Raises `ImportError` where it is not installed."""
    file = importlib.import_module(f"{__name__}.{name}")
    return Contender(name, file.LABEL, file.read, file.facts)


def load_all(names: Iterable[str] = NAMES) -> tuple[list[Contender], list[str]]:
    """Those that are installed, and the names of those that are not."""
    found, missing = [], []
    for name in names:
        try:
            found.append(load(name))
        except ImportError:
            missing.append(name)
    return found, missing


__all__ = ["BASELINE", "MEANT_FOR", "NAMES", "Contender", "Kind", "load", "load_all"]
