"""What stands around a response, and what looks like one and is none.

Gateways, SDKs and log10's API wrap a response in one more object; `unwrap` says under which key it is. Lists of
records are not one response: `members` says where they are, for `normalize_many`. `recognise` names what this library
knows and does not turn into a completion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Tree = Mapping[str, Any]

# log10 stores rebuilt streams under these words, as a choice that may have only the last delta: no chunk.
REBUILT_OBJECTS = ("chat.completion", "completion")


def unwrap(tree: Tree) -> tuple[str, str] | None:
    """The kind of wrapper an object is and the key of the response inside it, or `None`."""
    if "choices" in tree:
        return None
    if tree.get("success") is True and isinstance(tree.get("data"), dict):
        return "success_data", "data"  # router-for-me/CLIProxyAPI#4512
    if tree.get("ok") is True and isinstance(tree.get("value"), dict):
        return "sdk_result", "value"  # the Result of OpenRouter's TypeScript functions
    if "httpMeta" in tree and isinstance(tree.get("completion"), dict):
        return "sdk_call", "completion"  # log10ts call results
    if isinstance(tree.get("data"), dict) and all(value is None for key, value in tree.items() if key != "data"):
        return "data", "data"  # log10 GET /api/completions/{id}; events of Speakeasy SDKs
    return None


def members(tree: Any) -> Iterator[tuple[str, Any]] | None:
    """The records of a list envelope with their pointers, or `None` where the tree is none."""
    if isinstance(tree, list):
        return ((f"/{place}", item) for place, item in enumerate(tree))
    if not isinstance(tree, dict) or "choices" in tree:
        return None
    inner = tree.get("object")
    for prefix, holder in (("", tree), ("/object", inner if isinstance(inner, dict) else {})):
        completions = holder.get("completions")
        if isinstance(completions, list):  # GET /api/v1/completions/ungraded, LTS listUngraded
            return ((f"{prefix}/completions/{place}", item) for place, item in enumerate(completions))
    data = tree.get("data")
    if isinstance(data, list) and tree.get("object") in (None, "list") and all(map(_is_record, data)):
        return ((f"/data/{place}", item) for place, item in enumerate(data))  # GET /api/completions
    return None


def _is_record(item: Any) -> bool:
    return isinstance(item, dict) and (
        "choices" in item or "tagResolved" in item or "organization_id" in item or "response" in item
    )


CANONICAL_KEY = "variant"
"""A key that every record of this library has: no decoder of bodies may take its value for a vendor's."""


def is_canonical(tree: Any) -> bool:
    """Whether an object is a `Completion` as this library writes it."""
    return (
        isinstance(tree, dict)
        and isinstance(tree.get("source"), str)
        and isinstance(tree.get(CANONICAL_KEY), str)
        and isinstance(tree.get("extra"), dict)
        and isinstance(tree.get("notes"), list)
        and "choices" in tree
    )


def recognise(tree: Tree) -> str | None:
    """What an object is, in words, when it is known and no whole completion."""
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
            return "an OpenRouter generation record, which holds no text; normalise the completion it names"
        if isinstance(record, dict) and isinstance(record.get("input"), dict) and "output" in record:
            return "stored generation content, which is not supported"
    if word == "batch":
        return "a batch object; normalise the `response.body` of each result"
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


def is_chunk(tree: Tree) -> bool:
    """Whether an object is one chunk of a streamed chat; a chunk of a text completion looks like a whole one."""
    word = tree.get("object")
    if isinstance(word, str) and word.endswith(".chunk"):
        return True
    if isinstance(tree.get("data"), dict) and unwrap(tree) is not None:
        return is_chunk(tree["data"])
    return _first_choice_is_delta(tree)


def are_chunks(items: Sequence[Any]) -> bool:
    """Whether a list holds the chunks of a stream: one of the first does not look like a whole response."""
    return any(isinstance(item, dict) and is_chunk(item) for item in items[:4])


def _first_choice_is_delta(tree: Tree) -> bool:
    choices = tree.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return False
    first = choices[0]
    return first.get("delta") is not None and first.get("message") is None and tree.get("object") not in REBUILT_OBJECTS


def _is_embedding(item: Any) -> bool:
    return isinstance(item, dict) and (item.get("object") == "embedding" or "embedding" in item)
