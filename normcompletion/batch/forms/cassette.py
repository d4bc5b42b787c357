"""Cassettes in YAML, as VCR.py and Ruby's VCR write them: a cassette is a unit, as the JSON that it would be.

Texts stay as they are written (a date is a text); `!!binary` is base64 in a string; a tag of Python or Ruby is passed
over and its value kept. The preset `vcr` reads what comes out, and cassettes that are JSON. Sources:
https://vcrpy.readthedocs.io/en/latest/usage.html, https://benoittgt.github.io/vcr/ (cassettes), PyYAML's documentation.
"""

from __future__ import annotations

import base64
import re
from importlib import import_module
from typing import Any

import orjson

from ...errors import excerpt
from ..blocks import Unit
from ..inputs import IncompleteInput, InputError

_START = re.compile(rb"(?:\s*#[^\n]*\n|\s*---[^\n]*\n|version:[^\n]*\n)*(?:http_)?interactions:\s", re.ASCII)
_GROWTH = 8  # a text may become so many times its length, through aliases, and no more


def is_cassette(head: bytes) -> bool:
    """Whether a text begins as a cassette in YAML."""
    return _START.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def cassette(data: bytes, name: str) -> Unit:
    """The unit of a cassette.

    Raises `InputError` where PyYAML is missing, and `IncompleteInput` for what is not YAML.
    """
    try:
        yaml = import_module("yaml")
    except ImportError:
        raise InputError(f"{name} is a cassette in YAML; to read it, run: pip install 'normcompletion[vcr]'") from None
    try:
        tree = yaml.load(data, _loader(yaml))
        text = orjson.dumps(_Plain(max(_GROWTH * len(data), 1 << 16)).of(tree))
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        reason = f"the cassette cannot be read as YAML ({excerpt(str(error))}); mend it, or record it again"
        raise IncompleteInput(name, 0, reason) from None
    return Unit(1, 0, len(data), text)


def _loader(yaml: Any) -> Any:
    """A safe loader, in C where there is one, that makes nothing but JSON's types and bytes."""

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # of either kind
        """Scalars that JSON has; other tags are passed over."""

    dates = "tag:yaml.org,2002:timestamp"
    resolvers = Loader.yaml_implicit_resolvers.items()
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in some if tag != dates] for first, some in resolvers
    }
    Loader.add_multi_constructor("", _untagged(yaml))
    return Loader


def _untagged(yaml: Any) -> Any:
    def construct(loader: Any, _: str, node: Any) -> Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return loader.construct_scalar(node)

    return construct


class _Plain:
    """Makes JSON of what YAML gives; raises `ValueError` where aliases make it too large."""

    def __init__(self, budget: int) -> None:
        self._left = budget

    def of(self, value: Any) -> Any:
        """A value as JSON has it."""
        self._left -= len(value) + 1 if isinstance(value, str | bytes) else 1
        if self._left < 0:
            raise ValueError("its aliases make it many times as large")
        if isinstance(value, dict):
            return {str(key): self.of(each) for key, each in value.items()}
        if isinstance(value, list | tuple | set):
            return [self.of(each) for each in value]
        if isinstance(value, bytes):
            return base64.b64encode(value).decode()
        return value if value is None or isinstance(value, bool | int | float | str) else str(value)
