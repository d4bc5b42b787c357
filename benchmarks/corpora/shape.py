"""What one record of a corpus is like."""

from __future__ import annotations

from typing import NamedTuple

# Classes of a body's size in bytes: from, up to.
SIZES = {"small": (400, 800), "medium": (800, 4_000), "large": (4_000, 32_000), "huge": (32_000, 256_000)}
SPELLINGS = ("snake", "camel")
TRAITS = ("plain", "tools", "reasoning", "logprobs", "repair")


class Shape(NamedTuple):
    """A record's shape; a part that is empty is left to chance.

    Attributes:
        source: who writes it: `openrouter`, `openai`, `atoma` or `log10`.
        variant: what is written, such as `chat` or `error`; `SOURCE`, at the end of the source's file, lists them.
        spelling: `snake` as on the wire, or `camel` as a TypeScript SDK prints it.
        size: the class of the body's size: `small`, `medium`, `large` or `huge`, see `SIZES`. Where it can be had:
            an error is never large and a log10 record hardly ever small.
        trait: what it must have: `plain` text alone, `tools`, `reasoning`, `logprobs` (100 tokens with 5 alternatives
            each, whatever the size), or `repair` (text with one fault that a reader can repair).

    """

    source: str
    variant: str = ""
    spelling: str = ""
    size: str = ""
    trait: str = ""

    def __str__(self) -> str:
        """As it is in a mix: `openrouter/chat/snake`."""
        return "/".join(self).rstrip("/")


def size_of(body: bytes) -> str:
    """The class of a body's size."""
    return next((name for name, (_, upto) in SIZES.items() if len(body) < upto), "huge")
