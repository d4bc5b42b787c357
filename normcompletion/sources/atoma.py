"""Atoma: a proxy and nodes that pass through what vLLM, SGLang, mistral.rs or Atoma's own engine answer.

Wire: atoma-network/atoma-proxy b996163, atoma-node c5e7a0a, atoma-infer 02aca05, and the SDK pages. Neither proxy nor
node types the body: the node adds `signature` and `response_hash` at the end, which only it writes.
Variants: chat, text, error, confidential. The experimental engine writes `object: "chat.completions"`, milliseconds,
its own finish words and log-prob maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Raw

from .. import dialect, wire
from ..dialect import FinishWords
from ..ledger import Ledger
from ..model import Completion
from ..variant import Variant

SOURCE = "atoma"

FINISH_WORDS: FinishWords = {
    **dialect.FINISH_WORDS,
    "stopped": "stop",  # atoma-infer server/src/api/chat_completions.rs
    "length_capped": "length",
}

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


def mark(body: wire.Body | wire.Chat, extra: Mapping[str, Any]) -> str | None:
    """The evidence that an Atoma node or engine wrote a body."""
    if "/signature" in extra and ("/response_hash" in extra or "/responseHash" in extra):
        return "`signature` and `response_hash`"
    if body.object == "chat.completions":
        return '`object` is "chat.completions"'
    if body.__class__ is wire.Body and body.choices and isinstance(body.choices[0].logprobs, list):
        return "`logprobs` is a list of token maps"
    return None


def from_body(body: wire.Body, ledger: Ledger) -> Completion:
    """A chat or text completion of any engine; the experimental one streams the whole text so far in each chunk."""
    for at, choice in enumerate(body.choices):
        if choice.delta is not None and choice.delta.content and isinstance(choice.logprobs, list):
            ledger.note("cumulative_delta", None, "choices", at, "delta", "content")
    return dialect.completion(body, ledger, source=SOURCE, finish_words=FINISH_WORDS)


def claims_error(tree: Mapping[str, Any]) -> str | None:
    """An error of the proxy or the node, or one that the node signed."""
    if dialect.error_form(tree) is None:
        return None
    if "signature" in tree and ("response_hash" in tree or "responseHash" in tree):
        return "`signature` and `response_hash` beside an error"
    error = tree.get("error")
    if not isinstance(error, dict):
        return None
    code = error.get("code")
    if isinstance(code, str) and code in ERROR_CODES and error.get("type") is None:
        return "`error.code` is one of the proxy's or the node's"
    if error.get("type") == "internal_error" and "request_id" in error:
        return "`error.type` is internal_error, with `request_id`"  # atoma-infer
    return None


def from_error(sent: wire.Failed, ledger: Ledger) -> Completion:
    """An error of proxy, node or engine."""
    return dialect.failed(sent, ledger, source=SOURCE, finish_words=FINISH_WORDS)


class Confidential(wire.Wire, kw_only=True):
    """The envelope of confidential compute: AES-256-GCM text, with usage in clear.

    `nonce` and `ciphertext` are base64, or, from nodes of December 2024, lists of byte values.
    """

    nonce: Raw
    ciphertext: Raw
    response_hash: str | None = None
    signature: str | None = None
    usage: wire.Usage | None = None


def claims_confidential(tree: Mapping[str, Any]) -> str | None:
    """`ciphertext` and `nonce` stand together nowhere else."""
    if tree.get("ciphertext") is not None and tree.get("nonce") is not None:
        return "`ciphertext` and `nonce`"
    return None


def from_confidential(sent: Confidential, ledger: Ledger) -> Completion:
    """What can be read of an encrypted body: usage, and the envelope's members in `extra`."""
    for name in ("nonce", "ciphertext"):
        ledger.keep(ledger.parsed(bytes(getattr(sent, name)), ledger.pointer(name)), name)
    for name in ("response_hash", "signature"):
        value = getattr(sent, name)
        if value is not None:
            ledger.keep(value, name)
    return Completion(
        source=SOURCE,
        variant="confidential",
        usage=dialect.usage(sent.usage, ledger),
        extra=ledger.extra,
        notes=ledger.notes,
    )


VARIANTS = (
    Variant(
        source=SOURCE,
        name="chat",
        wire=wire.Body,
        adapt=from_body,
        finish_words=FINISH_WORDS,
        mark=mark,
        mark_keys=("signature",),
        about="chat completion of vLLM, SGLang, mistral.rs or the experimental engine, signed by the node",
    ),
    Variant(source=SOURCE, name="text", wire=wire.Body, adapt=from_body, about="legacy text completion"),
    Variant(
        source=SOURCE,
        name="error",
        wire=wire.Failed,
        adapt=from_error,
        claims=claims_error,
        claim_keys=("error",),
        about="errors of proxy, node and engines",
    ),
    Variant(
        source=SOURCE,
        name="confidential",
        wire=Confidential,
        adapt=from_confidential,
        claims=claims_confidential,
        claim_keys=("ciphertext", "nonce"),
        about="encrypted envelope (raises `EncryptedPayloadError`; usage is kept)",
    ),
)
