"""JSON Pointers (RFC 6901) and the two spellings of a key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

Path = tuple[str | int, ...]

_WORD = re.compile(r"_([a-z0-9])")


def escape(key: str | int) -> str:
    """One reference token."""
    if not isinstance(key, str):
        return str(key)
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key


def unescape(token: str) -> str:
    """The key of a reference token."""
    return token.replace("~1", "/").replace("~0", "~") if "~" in token else token


@lru_cache(maxsize=4096)
def pointer(path: Path) -> str:
    """The pointer of a path; the root is the empty string."""
    return "".join(["/" + escape(key) for key in path])


@lru_cache(maxsize=4096)
def camel(key: str) -> str:
    """`finish_reason` → `finishReason`, the way TypeScript SDKs re-case their keys."""
    return _WORD.sub(lambda found: found[1].upper(), key)


def spelled(key: str, members: Mapping[str, Any]) -> str:
    """A snake_case key as an object spells it; camelCase counts where the key itself is absent or null."""
    return camel(key) if members.get(key) is None and camel(key) in members else key
