"""OpenRouter: one API in front of many inference providers.

Wire: https://openrouter.ai/docs/api-reference/overview and recorded bodies of 2024-11 to 2026-08.
Variants: chat, text, error, nested. A string `provider` beside `native_finish_reason` is its own word for the upstream.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Raw, field

from .. import dialect, wire
from ..dialect import FinishWords
from ..ledger import Ledger
from ..model import Completion, Envelope
from ..variant import Variant

SOURCE = "openrouter"

# Until 2024-11 the raw word of the upstream stood in `finish_reason`; these are words of recorded
# `native_finish_reason` values that the shared table does not have.
FINISH_WORDS: FinishWords = {
    **dialect.FINISH_WORDS,
    "completed": "stop",
    "eos": "stop",
    "max_output_tokens": "length",
    "model_length": "length",
}

_ID = re.compile(r"gen-(batch-)?\d{10}-[A-Za-z0-9]{20}")


def mark(body: wire.Body | wire.Chat, extra: Mapping[str, Any]) -> str | None:
    """The evidence that OpenRouter wrote a body; any one is enough."""
    if body.provider is not None and (choices := body.choices) and choices[0].native_finish_reason is not None:
        return "`provider` and `native_finish_reason`"
    if (identity := body.id) is not None and identity[:4] == "gen-" and _ID.fullmatch(identity):
        return "`id` is gen-<seconds>-<20 characters>"
    usage = body.usage
    if usage is not None and (usage.is_byok is not None or usage.cost_details is not None):
        return "`usage.is_byok` or `usage.cost_details`"
    if extra and ("/openrouter_metadata" in extra or "/openrouterMetadata" in extra):
        return "`openrouter_metadata`"
    return None


def from_body(body: wire.Body, ledger: Ledger) -> Completion:
    """A chat or text completion; the text endpoint answers with any `object` (typescript-sdk#101)."""
    return dialect.completion(body, ledger, source=SOURCE, finish_words=FINISH_WORDS)


def claims_error(tree: Mapping[str, Any]) -> str | None:
    """Marks of OpenRouter's error bodies: the account, the upstream's name, the limit that was hit."""
    if dialect.error_form(tree) is None or claims_nested(tree) is not None:
        return None
    account = tree.get("user_id", tree.get("userId"))
    if isinstance(account, str) and account.startswith(("user_", "org_")):
        return "`user_id` beside `error`"
    if tree.get("openrouter_metadata") or tree.get("openrouterMetadata"):
        return "`openrouter_metadata` beside `error`"
    choices = tree.get("choices")
    if (
        isinstance(tree.get("provider"), str)
        and isinstance(choices, list)
        and choices
        and isinstance(choices[0], dict)
        and any(choices[0].get(key) is not None for key in ("native_finish_reason", "nativeFinishReason"))
    ):
        return "`provider` and `native_finish_reason` beside `error`"
    identity = tree.get("id")
    if isinstance(identity, str) and _ID.fullmatch(identity):
        return "`id` is gen-<seconds>-<20 characters>"
    error = tree.get("error")
    if isinstance(error, dict) and (error.get("error_type") is not None or isinstance(error.get("availability"), dict)):
        return "`error.error_type` or `error.availability`"
    metadata = error.get("metadata") if isinstance(error, dict) else tree.get("metadata")
    if isinstance(metadata, dict):
        for key in ("provider_name", "providerName", "limit_source", "remedy_hint", "error_type"):
            if metadata.get(key) is not None:
                return f"`metadata.{key}`"
    return None


def from_error(sent: wire.Failed, ledger: Ledger) -> Completion:
    """An error body, also under HTTP 200."""
    return dialect.failed(sent, ledger, source=SOURCE, finish_words=FINISH_WORDS)


class Nested(wire.Wire, kw_only=True):
    """A malformed reply: all members null and `provider` an object, the real completion (pydantic-ai#3994)."""

    provider: Raw
    error: Raw = field(default_factory=Raw)


def claims_nested(tree: Mapping[str, Any]) -> str | None:
    """`provider` is an object with choices, and there are none outside."""
    provider = tree.get("provider")
    if isinstance(provider, dict) and "choices" in provider and not tree.get("choices"):
        return "`provider` holds the completion"
    return None


def from_nested(sent: Nested, ledger: Ledger) -> Completion:
    """The completion inside `provider`, partial where an error stands beside it."""
    assert ledger.read is not None
    completion = ledger.read(bytes(sent.provider), ledger.below("provider", fallback=SOURCE))
    completion.envelope = completion.envelope or Envelope(kind="nested_provider")
    if sent.error:
        error = ledger.parsed(bytes(sent.error), ledger.pointer("error"))
        completion.error = dialect.service_error(error, ledger, "error") or completion.error
    return completion


VARIANTS = (
    Variant(
        source=SOURCE,
        name="chat",
        wire=wire.Body,
        adapt=from_body,
        finish_words=FINISH_WORDS,
        mark=mark,
        gateway=True,
        about="chat completion with provider, reasoning, annotations, images, cost",
    ),
    Variant(
        source=SOURCE,
        name="text",
        wire=wire.Body,
        adapt=from_body,
        about="legacy text completion, recognised by `choices[].text`",
    ),
    Variant(
        source=SOURCE,
        name="error",
        wire=wire.Failed,
        adapt=from_error,
        claims=claims_error,
        claim_keys=("error",),
        about="error body under any status, also 200",
    ),
    Variant(
        source=SOURCE,
        name="nested",
        wire=Nested,
        adapt=from_nested,
        claims=claims_nested,
        claim_keys=("provider", "error"),
        about="`provider` as an object that holds the real completion",
    ),
)
