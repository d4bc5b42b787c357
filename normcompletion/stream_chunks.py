"""One chunk of a stream: the reader of whole responses, with the few rules that differ for a piece of one.

A chunk is read as a response whose messages are its deltas, by the same shapes, the same salvage and the same
adapters; `as_chunk` then gives it its own form.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

from . import dialect, envelope, wire
from .ledger import Ledger, in_order
from .model import Choice, Chunk, ChunkChoice, Completion, Message, ReasoningDetail
from .reader import Reader, Shape, marks_of
from .spelling import converted
from .widen import TEXT, WHOLE, Paths

IDLE_STREAMS = 16
VARIANTS = {"chat": "chunk", "text": "text_chunk"}
# Where a vendor key has one value for all chunks, the last one: not in a list whose members are numbered anew.
_FOLDABLE = frozenset(
    {(), ("choices",), ("choices", "delta"), ("choices", "delta", "content"), ("choices", "logprobs")}
)


def is_foldable(path: tuple[str, ...]) -> bool:
    """Whether chunks with a vendor key in this place can be folded without making a `Chunk` of each."""
    place = tuple(step for step in path[:-1] if step != "*")
    return place in _FOLDABLE or place[0] == "usage"


def is_odd(word: str | None) -> bool:
    """Whether a chunk with deltas is called what such chunks are not."""
    return bool(word) and word not in dialect.IMPLIED_OBJECTS["chat"]


class ChunkReader(Reader):
    """Reads chunks with the variants of one registry."""

    __slots__ = ("idle", "stream_hint", "whole")
    tight_struct = wire.Chunk
    has_texts = False  # their chunks are read by the shape of chats, `aliases` has a place for the text
    # The others a delta has anyway.
    aliases: Mapping[tuple[str, ...], Any] = types.MappingProxyType(
        {("choices", "*", WHOLE): wire.Message | None, ("choices", "*", TEXT): str | None}
    )

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader.registry)
        self.stream_hint = self.tight  # what fitted the last streams
        self.idle = 0
        # What log10 rebuilds is never a stream, and its marks (a zero time, an empty word) mean nothing in one chunk.
        self.marks = marks_of(variant for variant in self.registry.marked if variant.streams)
        self.whole = reader.read_inside  # for a whole response inside an error

    def read_inside(self, raw: bytes, ledger: Ledger) -> Completion:
        """A chunk inside the event object of an SDK."""
        return self.read(raw, ledger)

    def chunk(self, raw: bytes, ledger: Ledger) -> Chunk:
        """One event, whatever it reports. Raises `NormalizeError` for what is no chunk."""
        chunk = self._chunk(self.read(raw, ledger))
        chunk.extra = in_order(chunk.extra)
        return chunk

    def _chunk(self, read: Completion) -> Chunk:
        if read.error is not None and read.extra.get("/object") == "chat.completion.chunk":
            del read.extra["/object"]  # says no more than that it stood in a stream
        return as_chunk(read)

    def settle(self, completion: Completion, ledger: Ledger) -> None:
        """Nothing: one chunk does not show what a whole response means."""

    def tree(self, tree: Any, ledger: Ledger) -> Chunk:
        """One event that was parsed already."""
        return self._chunk(self.from_tree(tree, ledger))

    def remember(self, shape: Shape, *, needed: bool) -> None:
        """Start the next stream with this shape, unless its vendor keys have not been seen for a while.

        Speed only: what a shape accepts it has read, whichever it is.
        """
        self.idle = 0 if needed else self.idle + 1
        self.stream_hint = shape if self.idle < IDLE_STREAMS and not shape.camel else self.tight

    def _widened(
        self, raw: bytes, paths: Paths, nested: Paths, related: list[Shape], *, camel_keys: bool
    ) -> Shape | None:
        """A shape for vendor keys; one that cannot be folded is only for the chunks that need it."""
        joined, branches = self._joined(paths, nested, related)
        for every, nests in dict.fromkeys(((joined, branches), (paths, nested))):
            foldable = frozenset(path for path in every if is_foldable(path))
            if foldable:
                shape = super()._widened(raw, foldable, nests & foldable, [], camel_keys=camel_keys)
                if shape is not None:
                    return shape
        if not all(map(is_foldable, joined)):
            special = super()._widened(raw, paths, nested, related, camel_keys=camel_keys)
            if special is not None:
                self.learned_open.update({path[-1]: special for path in special.paths})
        return None

    def from_tight(self, shape: Shape, chunk: Any, ledger: Ledger) -> Completion | None:
        """A chunk in canonical words, as a shape decoded it; `None` where it holds what the open road must note."""
        if shape.recast is not None and shape.recast(chunk, ledger.prefix, ledger.extra) is None:
            return None
        choices = []
        for at, item in enumerate(chunk.choices):
            delta = item.delta
            if delta is not None and delta.tool_calls is not None and dialect.has_python_arguments(delta.tool_calls):
                return None
            message = Message() if delta is None else message_of(delta, ledger, at)
            choices.append(
                Choice(
                    index=item.index,
                    message=message,
                    finish_reason=item.finish_reason,
                    native_finish_reason=item.native_finish_reason,
                    logprobs=dialect.logprobs(item.logprobs, ledger, "choices", at, "logprobs"),
                )
            )
        source = ledger.source or self.judge(chunk, ledger)
        if is_odd(chunk.object):
            if not choices or any(item.delta is None for item in chunk.choices):
                return None
            ledger.keep(chunk.object, "object")
        chunk.created = dialect.created(chunk.created, ledger)
        chunk.usage = dialect.usage(chunk.usage, ledger)
        chunk.choices = choices
        return self._built(shape, chunk, source, "chat", {}, ledger)

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
            elif choice.message is not None:
                ledger.note("whole_in_stream", None, "choices", at, "message")
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


def message_of(delta: wire.Delta, ledger: Ledger, at: int) -> Message:
    """A delta in canonical words as a message."""
    content, parts, thought = delta.content, None, None
    if isinstance(content, list):
        parts = content
        content, thought = dialect.joined(parts)
    details = delta.reasoning_details
    fragments = None if details is None else [converted(detail, ReasoningDetail) for detail in details]
    return Message(
        role=delta.role,
        content=content,
        parts=parts,
        reasoning=dialect.reasoning(delta, thought, ledger, "choices", at, "delta"),
        reasoning_details=fragments,
        refusal=delta.refusal,
        tool_calls=delta.tool_calls,
    )


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
