"""Where OpenAI's documentation says that things are, for all who keep its names: trees, Structs, SDK models."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

Get = Callable[[Any, str], Any]  # a member of a node, or None where there is none


class Kind(NamedTuple):
    """What a caller knows of the texts: who wrote them (None where several did), and whether it is chat or text."""

    source: str | None
    variant: str


def member(node: Any, name: str) -> Any:
    """A member of a tree."""
    return node.get(name) if isinstance(node, dict) else None


def attribute(node: Any, name: str) -> Any:
    """A member of an object; a placeholder for "not set" is None."""
    value = getattr(node, name, None)
    return None if type(value).__name__ == "Unset" else value


def facts_at_places(answer: Any, get: Get, *more: str, without: Iterable[str] = ()) -> dict[str, Any]:
    """The fields that OpenAI documents; `more` of those that gateways add, `without` some that are not there."""
    choices = get(answer, "choices")
    choices = choices if isinstance(choices, list) else []
    messages = [get(choice, "message") for choice in choices]
    usage = get(answer, "usage")
    found = {
        "id": get(answer, "id"),
        "model": get(answer, "model"),
        "created": get(answer, "created"),
        "finish_reasons": [get(choice, "finish_reason") for choice in choices],
        "contents": [
            get(choice, "text") if message is None else get(message, "content")
            for choice, message in zip(choices, messages, strict=True)
        ],
        "refusals": [get(message, "refusal") for message in messages],
        "tool_calls": [
            [
                (get(call, "id"), get(get(call, "function"), "name"), get(get(call, "function"), "arguments"))
                for call in get(message, "tool_calls") or ()
            ]
            for message in messages
        ],
        "logprobs": [_logprobs(get(choice, "logprobs"), get) for choice in choices],
        "prompt_tokens": get(usage, "prompt_tokens"),
        "completion_tokens": get(usage, "completion_tokens"),
        "total_tokens": get(usage, "total_tokens"),
        "cached_tokens": get(get(usage, "prompt_tokens_details"), "cached_tokens"),
        "reasoning_tokens": get(get(usage, "completion_tokens_details"), "reasoning_tokens"),
    }
    gateways: dict[str, Callable[[], Any]] = {
        "provider": lambda: get(answer, "provider"),
        "native_finish_reasons": lambda: [get(choice, "native_finish_reason") for choice in choices],
        "reasonings": lambda: [_reasoning(message, get) for message in messages],
        "cost": lambda: get(usage, "cost"),
    }
    found |= {name: gateways[name]() for name in more}
    return {name: value for name, value in found.items() if name not in without}


def _reasoning(message: Any, get: Get) -> Any:
    """The reasoning under either of its names."""
    text = get(message, "reasoning")
    return get(message, "reasoning_content") if text is None else text


def _logprobs(logprobs: Any, get: Get) -> list[tuple[Any, Any]] | None:
    tokens = get(logprobs, "content")
    if tokens is not None:
        return [(get(token, "token"), get(token, "logprob")) for token in tokens]
    texts = get(logprobs, "tokens")
    if texts is None:
        return None
    return list(zip(texts, get(logprobs, "token_logprobs") or [None] * len(texts), strict=True))
