"""The unmarked dialect: what OpenAI writes and about fifty compatible services write almost identically.

Wire: https://platform.openai.com/docs/api-reference/chat/object (read 2026-11), and recorded bodies of the services.
Variants: chat, text, error. A body without any service's marker is `source="openai"`.
"""

from __future__ import annotations

from ..dialect import adapt, wire
from ..dialect.variant import Variant
from ..findings import Findings
from ..model import Completion

SOURCE = "openai"


def from_error(failed: wire.Failed, findings: Findings) -> Completion:
    """An error body; a partial completion beside the error is kept."""
    return adapt.failed(failed, findings, source=SOURCE)


VARIANTS = (
    Variant(
        source=SOURCE,
        name="chat",
        wire=wire.Body,
        adapt=adapt.completion,
        about="chat completion of OpenAI and compatible services",
    ),
    Variant(
        source=SOURCE,
        name="text",
        wire=wire.Body,
        adapt=adapt.completion,
        about="legacy text completion: `choices[].text`",
    ),
    Variant(
        source=SOURCE,
        name="error",
        wire=wire.Failed,
        adapt=from_error,
        about="`error` object or string, flat, `detail`, partial",
    ),
)
