"""`msgspec` into Structs written for the purpose: the least that any typed reader built on it can cost.

The Structs have the members that OpenAI and OpenRouter document, in snake_case, and skip all others without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from .places import Kind, attribute, facts_at_places

LABEL = "msgspec, hand-written Structs"


class _Part(Struct, gc=False):
    """Base of the Structs."""


class Function(_Part):
    """The function of a call."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(_Part):
    """One call."""

    id: str | None = None
    type: str | None = None
    function: Function | None = None
    index: int | None = None


class ReasoningDetail(_Part):
    """A piece of reasoning."""

    type: str | None = None
    text: str | None = None
    summary: str | None = None
    data: str | None = None
    signature: str | None = None
    format: str | None = None
    id: str | None = None
    index: int | None = None


class Message(_Part):
    """A message."""

    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    tool_calls: list[ToolCall] | None = None


class TopLogprob(_Part):
    """An alternative."""

    token: str | None = None
    logprob: float | None = None
    bytes: list[int] | None = None


class TokenLogprob(TopLogprob):
    """A token."""

    top_logprobs: list[TopLogprob] | None = None


class Logprobs(_Part):
    """Log-probs, in both forms."""

    content: list[TokenLogprob] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None
    text_offset: list[int] | None = None


class Choice(_Part):
    """A choice of a chat or a text completion."""

    index: int | None = None
    message: Message | None = None
    text: str | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    logprobs: Logprobs | None = None


class PromptDetails(_Part):
    """Parts of the prompt's tokens."""

    cached_tokens: int | None = None
    audio_tokens: int | None = None


class CompletionDetails(_Part):
    """Parts of the answer's tokens."""

    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class Usage(_Part):
    """Token counts."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cost: float | None = None
    is_byok: bool | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class Completion(_Part):
    """A whole answer."""

    choices: list[Choice]
    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    provider: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    usage: Usage | None = None


_decode = msgspec.json.Decoder(Completion).decode


def read(texts: Iterable[bytes], kind: Kind) -> Iterator[Completion]:  # noqa: ARG001 - it reads either kind
    """A Struct of each text."""
    return map(_decode, texts)


def facts(answer: Completion) -> dict[str, Any]:
    """What OpenAI and OpenRouter document."""
    return facts_at_places(answer, attribute, "provider", "native_finish_reasons", "reasonings", "cost")
