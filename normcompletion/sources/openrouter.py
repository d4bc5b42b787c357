"""OpenRouter: one API in front of many inference providers.

Wire: https://openrouter.ai/docs/api-reference/overview and recorded bodies of 2024-11 to 2026-08.
Variants: chat, text, error, nested. A string `provider` beside `native_finish_reason` is its own word for the upstream.
"""

from __future__ import annotations

from typing import Any

from ..dialect import adapt, wire
from ..dialect.failures import service_error
from ..dialect.variant import Variant, both, key, lacks, pattern
from ..findings import Findings
from ..model import Completion, Envelope

SOURCE = "openrouter"

# Vercel's AI gateway writes the members of `usage` as well.
MARKERS = (
    both("provider", "choices.native_finish_reason"),
    pattern("id", "gen-", r"(batch-)?\d{10}-[A-Za-z0-9]{20}", "gen-<seconds>-<20 characters>"),
    key("usage.is_byok", copied=True),
    key("usage.cost_details", copied=True),
    key("openrouter_metadata"),
)
# The account, the upstream's name, and the limit that was hit.
ERROR_MARKERS = (
    *MARKERS,
    pattern("user_id", "user_", r".*", "an account of OpenRouter"),
    pattern("user_id", "org_", r".*", "an organization of OpenRouter"),
    key("error.error_type"),
    key("error.availability"),
    *(
        key(f"{place}metadata.{name}")
        for place in ("error.", "")
        for name in ("provider_name", "limit_source", "remedy_hint", "error_type")
    ),
)


def from_error(sent: wire.Failed, findings: Findings) -> Completion:
    """An error body, also under HTTP 200."""
    return adapt.failed(sent, findings, source=SOURCE)


class Nested(wire.Wire, kw_only=True):
    """A malformed reply: all members null and `provider` an object, the real completion (pydantic-ai#3994)."""

    provider: Any
    error: Any = None


def from_nested(sent: Nested, findings: Findings) -> Completion:
    """The completion inside `provider`, partial where an error is beside it."""
    completion = findings.inside(sent.provider, "provider", default_source=SOURCE)
    completion.envelope = completion.envelope or Envelope(kind="nested_provider")
    completion.error = service_error(sent.error, findings, "error") or completion.error
    return completion


VARIANTS = (
    Variant(
        source=SOURCE,
        name="chat",
        packages=("openrouter",),
        wire=wire.Body,
        adapt=adapt.completion,
        markers=MARKERS,
        comments=("OPENROUTER PROCESSING",),
        about="chat completion with provider, reasoning, annotations, images, cost",
    ),
    Variant(
        source=SOURCE,
        name="text",
        wire=wire.Body,
        adapt=adapt.completion,
        about="legacy text completion, recognised by `choices[].text`",
    ),
    Variant(
        source=SOURCE,
        name="error",
        wire=wire.Failed,
        adapt=from_error,
        markers=ERROR_MARKERS,
        about="error body under any status, also 200",
    ),
    Variant(
        source=SOURCE,
        name="nested",
        wire=Nested,
        adapt=from_nested,
        markers=(key("provider.choices") & lacks("choices"),),
        about="`provider` as an object that holds the real completion",
    ),
)
