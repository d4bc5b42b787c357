"""One chunk of a stream: a strict decode for canonical words, and the lenient decode for all others.

`ChunkReader.decode` gives a `wire.Chunk`, which the assembly merges as it is. Whatever it refuses is parsed and read
like a response whose messages are its deltas, by the same lenient decode and the same adapters, and becomes a `Chunk`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import msgspec

from ..decoding.detection import Detector
from ..decoding.engine import Engine, json_word, unmarked
from ..decoding.lenient import Walk
from ..decoding.spelling import compiled
from ..decoding.unknown import extra_of
from ..dialect import adapt, wire
from ..envelopes import wrappers
from ..envelopes.unsupported import recognise
from ..errors import AmbiguousPayloadError, InvalidPayloadError, UnknownPayloadError
from ..findings import Findings
from ..model import Chunk, ChunkChoice, Completion

# The variants of a whole response, and what its chunks are called.
VARIANTS = {"chat": "chunk", "text": "text_chunk"}


class ChunkReader:
    """Reads the chunks of the sources that an engine knows."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # log10 never streams what it rebuilds, and its markers (a zero time, an empty word) mean nothing in one chunk.
        self.detector = Detector([variant for variant in engine.registry.bodies if variant.streams])

    @cached_property
    def decode(self) -> Callable[[bytes], wire.Chunk]:
        """A chunk in canonical words; raises `REFUSALS` for any other text."""
        return compiled(wire.Chunk)

    @property
    def form(self) -> type[msgspec.Struct]:
        """The Struct that the lenient decode fills."""
        return self.engine.bodies["snake"].struct

    def read(self, tree: Any, findings: Findings, source: str | None = None) -> Chunk:
        """A parsed event, whatever it reports. `source` is that of the chunks before it.

        Raises `NormalizeError` for what is not a chunk, `AmbiguousPayloadError` for one with the markers of several
        sources.
        """
        if not isinstance(tree, dict):
            raise UnknownPayloadError(
                f"the event is {json_word(tree)}, not an object; hand in the chunks as they came", code="not_object"
            )
        variant = self.engine.shape_of(tree, findings)
        if variant is not None:
            return as_chunk(self.engine.walked(variant, tree, findings))
        wrapper = None if "choices" in tree else wrappers.unwrap(tree)
        if wrapper is not None:
            for name, value in tree.items():
                if name != wrapper[1] and value is not None:
                    findings.extra[f"{findings.prefix}/{name}"] = value
            return self.read(tree[wrapper[1]], findings.member(wrapper[1]), source)
        choices = tree.get("choices")
        if choices is None and "choices" not in tree and not wrappers.is_chunk(tree):
            name = recognise(tree) or "an object without `choices` or an error; hand in the chunks as they came"
            raise UnknownPayloadError(f"the payload is {name}", path=findings.prefix or None)
        if choices is not None and not isinstance(choices, list):
            raise InvalidPayloadError(
                f"`choices` is {json_word(choices)}, not a list; hand in the chunk as it was sent",
                path=f"{findings.prefix}/choices",
            )
        # `choices: null` says nothing (seen at OpenRouter and v0).
        return self._adapted({**tree, "choices": list(map(_with_token_list, choices or ()))}, findings, source)

    def _adapted(self, tree: dict[str, Any], findings: Findings, source: str | None) -> Chunk:
        walk = Walk(findings)
        body = walk.struct(tree, self.form, findings.prefix)
        findings.camel = walk.camel_keys > walk.snake_keys
        marked = findings.source or self.detector.source_of(body, findings.prefix)
        known = marked or source or unmarked(findings)[0]
        for at, item in enumerate(body.choices):
            if item.message is not None and item.delta is not None:
                # Perplexity repeats the message so far beside each delta; the assembly says what it means.
                findings.keep(adapt.sent_members(item.message, findings), "choices", at, "message")
                item.message = None
            elif item.message is not None:
                findings.note("whole_in_stream", None, "choices", at, "message")
            elif isinstance(item.logprobs, list) and item.delta is not None and item.delta.content:
                findings.note("cumulative_delta", None, "choices", at, "delta", "content")
        words = self.engine.finish_words(known)
        chunk = as_chunk(adapt.completion(body, findings, source=known, finish_words=words))
        chunk.extra = extra_of(findings)
        if marked is None and source is None:
            chunk.source = unmarked(findings)[0]
        return chunk

    def source_of(self, tree: dict[str, Any]) -> set[str]:
        """The sources whose decisive markers a parsed body has."""
        try:
            found = self.detector.of_tree(tree)
        except AmbiguousPayloadError as error:
            return set(error.candidates)
        return {found} if found else set()


def _with_token_list(choice: Any) -> Any:
    """mistral.rs streams one token in place of the list of tokens (`logprobs.token`)."""
    if isinstance(choice, dict):
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict) and "token" in logprobs and "content" not in logprobs:
            return {**choice, "logprobs": {"content": [logprobs]}}
    return choice


def as_chunk(read: Completion) -> Chunk:
    """A response that holds one chunk, in the form of a chunk."""
    if read.error is not None and read.extra.get("/object") == "chat.completion.chunk":
        read.extra = {name: value for name, value in read.extra.items() if name != "/object"}
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
