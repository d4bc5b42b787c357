"""What this library knows and does not turn into a completion, in words for the person who handed it in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .wrappers import is_chunk

Tree = Mapping[str, Any]


def recognise(tree: Tree) -> str | None:
    """What an object is, in words, when it is known and not a whole completion."""
    word = tree.get("object")
    kind = tree.get("type")
    if is_chunk(tree):
        return "one chunk of a stream; normalize_chunk() reads one, assemble() makes the response of all"
    if isinstance(tree.get("choices"), list):
        return None
    if word == "response" or isinstance(tree.get("output"), list):
        return "a Responses API object (/responses), which is not supported"
    if isinstance(kind, str) and (kind.startswith("response.") or kind in _MESSAGE_EVENTS):
        return "one event of a Responses or Messages stream, which is not supported"
    if kind == "message" and isinstance(tree.get("content"), list):
        return "an Anthropic-style message (/messages), which is not supported"
    for record in (tree, tree.get("data")):
        if isinstance(record, dict) and _GENERATION_KEYS & record.keys():
            return "an OpenRouter generation record, which holds no text; normalize the completion that it names"
        if isinstance(record, dict) and isinstance(record.get("input"), dict) and "output" in record:
            return "stored generation content, which is not supported"
    if word == "batch":
        return "a batch object; normalize the `response.body` of each result"
    data = tree.get("data")
    if word == "embedding" or (isinstance(data, list) and data and _is_embedding(data[0])):
        return "an embedding, not a completion"
    if isinstance(data, list) and data and isinstance(data[0], dict) and {"b64_json", "url"} & data[0].keys():
        return "generated images, not a completion"
    if {"completionID", "sessionID"} & tree.keys() or (len(tree) == 1 and "session" in tree):
        return "an acknowledgement of log10's API, not a completion"
    if "completion_id" in tree and "prompt_messages" in tree:
        return "a row of a log10 benchmark, not a response"
    return None


_MESSAGE_EVENTS = frozenset(
    {
        "message_start",
        "message_delta",
        "message_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "ping",
    }
)
_GENERATION_KEYS = frozenset(
    {"tokens_prompt", "native_tokens_prompt", "tokensPrompt", "nativeTokensPrompt", "generation_id", "generationId"}
)


def _is_embedding(item: Any) -> bool:
    return isinstance(item, dict) and (item.get("object") == "embedding" or "embedding" in item)
