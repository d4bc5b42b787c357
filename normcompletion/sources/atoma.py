"""Atoma: a proxy and nodes that pass through what vLLM, SGLang, mistral.rs or Atoma's own engine answer.

Wire: atoma-network/atoma-proxy b996163, atoma-node c5e7a0a, atoma-infer 02aca05, and the SDK pages. Neither proxy nor
node types the body: the node adds `signature` and `response_hash` at the end, which only it writes.
Variants: chat, text, error, confidential. The experimental engine writes `object: "chat.completions"`, milliseconds,
its own finish words and log-prob maps.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ..dialect import adapt, wire
from ..dialect.variant import Condition, Marker, Variant, both, equals, key, lacks
from ..findings import Findings
from ..model import Completion

SOURCE = "atoma"

# The codes of atoma-proxy and atoma-node `error.rs`.
ERROR_CODES = frozenset(
    {
        "REQUEST_ERROR",
        "FIAT_PAYMENTS_ONLY",
        "AUTH_ERROR",
        "BALANCE_ERROR",
        "NOT_FOUND",
        "LOCKED",
        "UNAVAILABLE_STACK",
        "TOO_MANY_REQUESTS",
        "INTERNAL_ERROR",
        "NOT_IMPLEMENTED",
        "SERVICE_UNAVAILABLE",
        "MISSING_HEADER",
        "INVALID_HEADER",
        "INVALID_BODY",
        "MODEL_ERROR",
        "LOCKED_STACK_ERROR",
        "UNAVAILABLE_STACK_ERROR",
        "CHAT_COMPLETIONS_SERVICE_UNAVAILABLE",
    }
)


MARKERS = (
    both("signature", "response_hash"),
    equals("object", "chat.completions"),
    # The experimental engine's log-probs are a list of token maps.
    Marker("`logprobs` is a list of token maps", (Condition(("choices", "logprobs", "*")),)),
)
ERROR_MARKERS = (
    both("signature", "response_hash"),
    equals("error.code", *sorted(ERROR_CODES), words="one of the proxy's or the node's") & lacks("error.type"),
    equals("error.type", "internal_error") & key("error.request_id"),  # atoma-infer
)


def from_body(body: wire.Body, findings: Findings) -> Completion:
    """A chat or text completion of any engine; the experimental one streams the whole text so far in each chunk."""
    for at, choice in enumerate(body.choices):
        if choice.delta is not None and choice.delta.content and isinstance(choice.logprobs, list):
            findings.note("cumulative_delta", None, "choices", at, "delta", "content")
    return adapt.completion(body, findings, source=SOURCE)


def from_error(sent: wire.Failed, findings: Findings) -> Completion:
    """An error of proxy, node or engine."""
    return adapt.failed(sent, findings, source=SOURCE)


class Confidential(wire.Wire, kw_only=True):
    """The envelope of confidential compute: AES-256-GCM text, with usage in clear.

    `nonce` and `ciphertext` are base64, or, from nodes of December 2024, lists of byte values.
    """

    KEPT: ClassVar[frozenset[str]] = frozenset({"nonce", "ciphertext", "response_hash", "signature"})

    nonce: Any
    ciphertext: Any
    response_hash: Any = None
    signature: Any = None
    usage: wire.Usage | None = None


def from_confidential(sent: Confidential, findings: Findings) -> Completion:
    """What can be read of an encrypted body: usage; the envelope's members are in `extra`."""
    return Completion(
        source=SOURCE,
        variant="confidential",
        usage=None if sent.usage is None else adapt.usage(sent.usage),
        notes=findings.notes,
    )


VARIANTS = (
    Variant(
        source=SOURCE,
        name="chat",
        packages=("atoma_sdk",),
        wire=wire.Body,
        adapt=from_body,
        markers=MARKERS,
        about="chat completion of vLLM, SGLang, mistral.rs or the experimental engine, signed by the node",
    ),
    Variant(
        source=SOURCE,
        name="text",
        wire=wire.Body,
        adapt=from_body,
        about="legacy text completion",
    ),
    Variant(
        source=SOURCE,
        name="error",
        wire=wire.Failed,
        adapt=from_error,
        markers=ERROR_MARKERS,
        about="errors of proxy, node and engines",
    ),
    Variant(
        source=SOURCE,
        name="confidential",
        wire=Confidential,
        adapt=from_confidential,
        markers=(both("ciphertext", "nonce"),),
        about="encrypted envelope (raises `EncryptedPayloadError`; usage is kept)",
    ),
)
