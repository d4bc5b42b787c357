"""Signs of gateways that write members of another source: beside one of them, a marker that is copied is not proof.

A gateway that passes another's body on, such as LiteLLM's proxy, Portkey, Cloudflare's AI gateway, Helicone or new-api
in front of OpenRouter, leaves the id and the other markers of that source as they are: such a body is still its own.
"""

from __future__ import annotations

from typing import NamedTuple

from ..dialect.variant import Marker, key, pattern


class Sign(NamedTuple):
    """What only one gateway writes, and where it was seen."""

    gateway: str
    marker: Marker
    seen: str


_VERCEL = "https://vercel.com/docs/ai-gateway/sdks-and-apis/openai-chat-completions; public bug reports (`market_cost`)"

SIGNS: tuple[Sign, ...] = (
    Sign("Vercel AI Gateway", pattern("id", "gen_", r".+", "gen_<ULID>"), _VERCEL),
    Sign("Vercel AI Gateway", key("generation_id"), _VERCEL),
    Sign("Vercel AI Gateway", key("provider_metadata.gateway"), _VERCEL),
    Sign("Vercel AI Gateway", key("choices.provider_metadata.gateway"), _VERCEL),
    Sign("Vercel AI Gateway", key("choices.message.provider_metadata.gateway"), _VERCEL),
    Sign("Vercel AI Gateway", key("choices.delta.provider_metadata.gateway"), _VERCEL),
    Sign("Vercel AI Gateway", key("usage.market_cost"), _VERCEL),
    Sign(
        "LiteLLM proxy, which writes the cost of any upstream",
        key("choices.message.provider_specific_fields"),
        "https://docs.litellm.ai/docs/completion/output",
    ),
    Sign("Portkey", key("hook_results"), "Portkey-AI/gateway src/handlers/handlerUtils.ts"),
)


def signs() -> tuple[Marker, ...]:
    """The markers of all gateways."""
    return tuple(sign.marker for sign in SIGNS)
