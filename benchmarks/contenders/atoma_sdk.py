"""The `atoma-sdk`, reading as its client does: `unmarshal_json(text, ChatCompletionResponse)`."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from typing import Any

from .places import Kind, attribute, facts_at_places

LABEL = "atoma-sdk"

_MODEL: Any = importlib.import_module("atoma_sdk.models").ChatCompletionResponse
_unmarshal: Any = importlib.import_module("atoma_sdk.utils").unmarshal_json


def read(texts: Iterable[bytes], kind: Kind) -> Iterator[Any]:  # noqa: ARG001 - it has one model for chats
    """A model of each text."""
    return (_unmarshal(text.decode(), _MODEL) for text in texts)


def facts(answer: Any) -> dict[str, Any]:
    """What its models declare: no tool calls, no refusal, no details of the counts."""
    missing = ("tool_calls", "refusals", "logprobs", "cached_tokens", "reasoning_tokens")
    return facts_at_places(answer, attribute, without=missing)
