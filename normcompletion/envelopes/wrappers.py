"""What is around a response: wrappers of SDKs, gateways and log10's API, pages of records, canonical records.

`unwrap` says under which key a wrapped response is. A list of records is not one response: `members` says where they
are, for `normalize_many`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..pointer import escape

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
    """The records of a list envelope with their pointers, or `None` where the tree is not one."""
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


def beside_members(tree: Any) -> dict[str, Any]:
    """What a list envelope says beside its records, by pointer; null is nothing, nor is that it is a list."""
    first = next(members(tree) or iter(()), None)
    if first is None or not isinstance(tree, dict):
        return {}
    beside: dict[str, Any] = {}
    at, inner = "", tree
    for key in first[0].split("/")[1:-1]:
        others = {name: value for name, value in inner.items() if name != key and value is not None}
        if others.get("object") == "list":
            del others["object"]
        beside |= {f"{at}/{escape(name)}": value for name, value in others.items()}
        at, inner = f"{at}/{key}", inner[key]
    return beside


def _is_record(item: Any) -> bool:
    return isinstance(item, dict) and (
        "choices" in item or "tagResolved" in item or "organization_id" in item or "response" in item
    )


# A key that every record of this library has: decoders of bodies refuse it.
CANONICAL_KEY = "variant"


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


def is_chunk(tree: Tree) -> bool:
    """Whether an object is one chunk of a streamed chat; a chunk of a text completion looks like a whole one.

    What has a message and no delta is whole, whatever its `object` says.
    """
    return is_streamed(tree) and not _is_whole(tree.get("choices"))


def _is_whole(choices: Any) -> bool:
    items = choices if isinstance(choices, list) else []
    members = [item for item in items if isinstance(item, dict)]
    return any(item.get("message") is not None for item in members) and all(
        item.get("delta") is None for item in members
    )


def is_streamed(tree: Tree) -> bool:
    """Whether an object is called a chunk, or its first choice is one."""
    word = tree.get("object")
    if isinstance(word, str) and word.endswith(".chunk"):
        return True
    if isinstance(tree.get("data"), dict) and unwrap(tree) is not None:
        return is_streamed(tree["data"])
    return _first_choice_is_delta(tree)


def are_chunks(items: Sequence[Any]) -> bool:
    """Whether a list holds the chunks of a stream: one of the first does not look like a whole response."""
    return any(isinstance(item, dict) and is_streamed(item) for item in items[:4])


def _first_choice_is_delta(tree: Tree) -> bool:
    choices = tree.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return False
    first = choices[0]
    return first.get("delta") is not None and first.get("message") is None and tree.get("object") not in REBUILT_OBJECTS
