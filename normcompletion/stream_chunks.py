"""One chunk of a stream: the reader of whole responses, with the few rules that differ for a piece of one.

A chunk is read as a response whose messages are its deltas, by the same shapes, the same salvage and the same
adapters; `as_chunk` then gives it its own form.
"""

from __future__ import annotations

from typing import Any

from . import dialect, envelope, wire
from .ledger import Ledger
from .model import Choice, Chunk, ChunkChoice, Completion, Message
from .reader import Reader, has_python_arguments

VARIANTS = {"chat": "chunk", "text": "text_chunk"}


class ChunkReader(Reader):
    """Reads chunks with the variants of one registry."""

    __slots__ = ("whole",)
    tight_struct = wire.Chunk

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader.registry)
        self.whole = reader.read  # for a whole response inside an error

    def chunk(self, raw: bytes, ledger: Ledger) -> Chunk:
        """One event, whatever it reports. Raises `NormalizeError` for what is no chunk."""
        return as_chunk(self.read(raw, ledger))

    def from_tight(self, chunk: Any, ledger: Ledger) -> Completion | None:
        """A chunk that came in canonical words; `None` where it holds what the open road must note."""
        choices = []
        for at, item in enumerate(chunk.choices):
            delta = item.delta
            if delta is None:
                message = Message()
            else:
                if delta.tool_calls is not None and has_python_arguments(delta.tool_calls):
                    return None
                message = Message(
                    content=delta.content,
                    reasoning=reasoning(delta, ledger, at),
                    reasoning_details=delta.reasoning_details,
                    refusal=delta.refusal,
                    role=delta.role,
                    tool_calls=delta.tool_calls,
                    annotations=delta.annotations,
                    audio=delta.audio,
                    images=delta.images,
                )
            choices.append(
                Choice(
                    index=item.index,
                    message=message,
                    finish_reason=item.finish_reason,
                    native_finish_reason=item.native_finish_reason,
                    logprobs=item.logprobs,
                )
            )
        return Completion(
            id=chunk.id,
            source=ledger.source or self.judge(chunk, ledger),
            variant="chat",
            model=chunk.model,
            provider=chunk.provider,
            created=chunk.created,
            choices=choices,
            usage=chunk.usage,
            system_fingerprint=chunk.system_fingerprint,
            service_tier=chunk.service_tier,
            extra=ledger.extra,
            notes=ledger.notes,
        )

    def from_open(self, body: wire.Body, ledger: Ledger) -> Completion | None:
        """A chunk of the open form."""
        return self.from_body(body, ledger)

    def from_body(self, body: wire.Body, ledger: Ledger) -> Completion:
        """A chunk of the open form, by the adapter of its source; its deltas are its messages."""
        for at, choice in enumerate(body.choices):
            if choice.delta is not None and choice.message is not None:
                # Perplexity repeats the message so far beside each delta; the assembly drops it where it says the same.
                ledger.keep(dialect.sent_members(choice.message, ledger), "choices", at, "message")
                choice.message = None
        return super().from_body(body, ledger)

    def from_tree(
        self, tree: Any, ledger: Ledger, raw: bytes | None = None, tried: list[Any] | None = None
    ) -> Completion:
        """Any JSON value as a chunk, by the salvage road."""
        if isinstance(tree, dict) and isinstance(tree.get("choices"), list):
            tree = {**tree, "choices": [_with_token_list(choice) for choice in tree["choices"]]}
        return super().from_tree(tree, ledger, raw, tried)

    def stranger(self, tree: dict[str, Any]) -> str | None:
        """What an object is, in words, when it is no chunk."""
        if "choices" in tree or envelope.is_chunk(tree):  # `choices: null` says nothing (seen at OpenRouter and v0)
            return None
        return envelope.recognise(tree) or "an object without `choices` or an error; hand in the chunks as they came"


def _with_token_list(choice: Any) -> Any:
    """mistral.rs streams one token in place of the list of tokens (`logprobs.token`)."""
    if isinstance(choice, dict):
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict) and "token" in logprobs and "content" not in logprobs:
            return {**choice, "logprobs": {"content": [logprobs]}}
    return choice


def reasoning(delta: wire.Delta, ledger: Ledger, at: int) -> str | None:
    """The reasoning of a delta under either name, as `dialect.message` settles it."""
    text = delta.reasoning or delta.reasoning_content
    if text is None:
        text = delta.reasoning if delta.reasoning is not None else delta.reasoning_content
    if delta.reasoning_content and delta.reasoning_content != text:
        ledger.keep(delta.reasoning_content, "choices", at, "delta", "reasoning_content")
    return text


def as_chunk(read: Completion) -> Chunk:
    """A response that holds one chunk, in the form of a chunk."""
    return Chunk(
        id=read.id,
        source=read.source,
        variant=VARIANTS.get(read.variant, read.variant) if read.error is None else "error",
        model=read.model,
        provider=read.provider,
        created=read.created,
        choices=[
            ChunkChoice(
                index=choice.index,
                delta=choice.message,
                finish_reason=choice.finish_reason,
                native_finish_reason=choice.native_finish_reason,
                logprobs=choice.logprobs,
                error=choice.error,
            )
            for choice in read.choices
        ],
        usage=read.usage,
        system_fingerprint=read.system_fingerprint,
        service_tier=read.service_tier,
        error=read.error,
        extra=read.extra,
        notes=read.notes,
    )
