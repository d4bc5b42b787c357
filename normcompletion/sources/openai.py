"""The unmarked dialect: what OpenAI writes and about fifty compatible services write almost identically.

Wire: https://platform.openai.com/docs/api-reference/chat/object (read 2026-11), and recorded bodies of the services.
Variants: chat, text, error. A body without any service's mark is `source="openai"`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import dialect, wire
from ..ledger import Ledger
from ..model import Completion
from ..variant import Variant

SOURCE = "openai"


def from_body(body: wire.Body, ledger: Ledger) -> Completion:
    """A chat or text completion."""
    return dialect.completion(body, ledger, source=SOURCE)


def claims_error(tree: Mapping[str, Any]) -> str | None:
    """Whether an object reports an error, in any form that services use."""
    return dialect.error_form(tree)


def from_error(failed: wire.Failed, ledger: Ledger) -> Completion:
    """An error body; a partial completion beside the error is kept."""
    return dialect.failed(failed, ledger, source=SOURCE)


VARIANTS = (
    Variant(
        source=SOURCE,
        name="chat",
        wire=wire.Body,
        adapt=from_body,
        finish_words=dialect.FINISH_WORDS,
        about="chat completion of OpenAI and compatible services",
    ),
    Variant(
        source=SOURCE, name="text", wire=wire.Body, adapt=from_body, about="legacy text completion: `choices[].text`"
    ),
    Variant(
        source=SOURCE,
        name="error",
        wire=wire.Failed,
        adapt=from_error,
        claims=claims_error,
        claim_keys=("error",),
        about="`error` object or string, flat, `detail`, partial",
    ),
)
