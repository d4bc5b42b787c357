"""One chunk of a stream: a strict decode for chunks without a fault, and two slower ways for all others.

`decode` gives a `wire.Chunk`, which the assembly merges. A chunk with unknown keys or in camelCase is parsed: `loosen`
takes those out of the tree and converts the rest to the same Struct. What still has a fault is read like a response
whose messages are its deltas, by the lenient decode and the adapters of whole responses (`ChunkReader.read`), and
becomes a canonical `Chunk`; so does every chunk for `normalize_chunk`. `as_wire` makes a `wire.Chunk` of that.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from ..decoding.detection import Detector, note_conflict, unmarked
from ..decoding.engine import Engine, json_word
from ..decoding.lenient import Walk
from ..decoding.spelling import compiled, keys_of
from ..decoding.unknown import Schema, extra_of, schema_of
from ..dialect import adapt, wire
from ..dialect.finish import PLACEHOLDERS, meaning
from ..envelopes import wrappers
from ..envelopes.unsupported import recognise
from ..errors import AmbiguousPayloadError, InvalidPayloadError, UnknownPayloadError
from ..findings import Findings
from ..model import Chunk, ChunkChoice, Completion, Note
from ..pointer import camel, escape

# The variants of a whole response, and what its chunks are called.
VARIANTS = {"chat": "chunk", "text": "text_chunk"}
CHUNK_WORDS = {name: adapt.IMPLIED_OBJECTS[name] for name in VARIANTS}  # in `object`, which the variant implies


class ChunkReader:
    """Reads the chunks of the sources that an engine knows."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # log10 never streams what it rebuilds, and its markers (a zero time, an empty word) mean nothing in one chunk.
        streaming = [variant for variant in engine.registry.bodies if variant.streams]
        self.detector = Detector(streaming, engine.registry.signs)
        self.comments = {comment: variant.source for variant in streaming for comment in variant.comments}
        self.with_natives = {
            variant.source
            for variant in streaming
            for marker in variant.markers
            if any(condition.path[-1] == "native_finish_reason" for condition in marker.conditions)
        }
        # With one of these keys, an object may be a shape or an error, in place of a chunk.
        self.other_keys = frozenset({wrappers.CANONICAL_KEY, *_ERROR_KEYS}) | engine.shape_keys

    @cached_property
    def decode(self) -> Callable[[bytes], wire.Chunk]:
        """A chunk without a fault or an unknown key; raises `REFUSALS` for any other text."""
        return compiled(wire.Chunk)

    @property
    def form(self) -> type[msgspec.Struct]:
        """The Struct that the lenient decode fills."""
        return self.engine.decoders.snake.struct

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
        if findings.source is not None:
            note_conflict(self.detector, body, tree, findings)
        marked = findings.source or self.detector.source_of(body, findings.prefix, tree)
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

    def sources_of(self, caller: str | None, tree: dict[str, Any], ids: list[str], *, is_camel: bool) -> set[str]:
        """The sources whose markers a body has, under any of some ids; beside a caller's word, the decisive ones."""
        body: Any = None
        if not is_camel:
            with suppress(msgspec.ValidationError, UnicodeEncodeError):  # a vendor's value has another type there
                body = msgspec.convert(tree, self.engine.decoders.loose["snake"].struct)
        found: set[str | None] = set()
        for identity in ids or [""]:
            tree["id"] = identity
            if body is not None:
                body.id = identity
            try:
                if caller is not None:
                    found.update(self.detector.contradicting(caller, tree if body is None else body, tree))
                else:
                    found.add(self.detector.of_tree(tree) if body is None else self.detector.source_of(body, "", tree))
            except AmbiguousPayloadError as error:
                found.update(error.candidates)
        return {source for source in found if source is not None}

    def loosen(self, tree: Any) -> Loosened | None:
        """A parsed chunk whose unknown keys are taken out of it, in snake_case; `None` where it has another fault.

        Changes the tree.
        """
        if not isinstance(tree, dict) or not isinstance(tree.get("choices"), list):
            return None
        if not self.other_keys.isdisjoint(tree):
            return None
        extra: dict[str, Any] = {}
        camel_keys = _take_unknown(tree, schema_of(wire.Chunk, "snake"), "", extra)
        if any(pointer.endswith("/isUnknown") for pointer in extra):  # an SDK changed it
            return None
        try:
            return Loosened(msgspec.convert(tree, wire.Chunk), extra, camel_keys)
        except (msgspec.ValidationError, UnicodeEncodeError):  # the latter where half a pair is in a key
            return None


_ERROR_KEYS = ("error", "errors", "base_resp", "success", "detail", "message", "code")


class Loosened(NamedTuple):
    """A chunk, the values of unknown keys that were taken out of it, and how many keys were in camelCase."""

    chunk: wire.Chunk
    extra: dict[str, Any]
    camel_keys: int


_RESPELLED = {camel(key): key for key in keys_of(wire.Chunk) if camel(key) != key}


def _take_unknown(tree: dict[str, Any], schema: Schema, at: str, extra: dict[str, Any]) -> int:
    """Take the keys that are unknown out of an object at a pointer, and spell those of camelCase, which it counts."""
    keys, spelled = schema.keys, dict[str, str]()
    for key in sorted([key for key in tree if key not in keys]):
        value, snake = tree.pop(key), _RESPELLED.get(key)
        if snake in keys and tree.get(snake) is None:
            tree[snake], spelled[snake] = value, key
        elif value is not None:
            extra[f"{at}/{escape(key)}"] = value
    count = len(spelled)
    for key, value in tree.items():
        kind = value.__class__
        if (kind is not dict and kind is not list) or (inside := keys[key]) is None:
            continue
        pointer = f"{at}/{spelled.get(key, key)}"
        if kind is dict and inside.schema is not None:
            count += _take_unknown(value, inside.schema, pointer, extra)
        elif kind is list and inside.items is not None and inside.items.schema is not None:
            for place, item in enumerate(value):
                if item.__class__ is dict:
                    count += _take_unknown(item, inside.items.schema, f"{pointer}/{place}", extra)
    return count


def _with_token_list(choice: Any) -> Any:
    """mistral.rs streams one token in place of the list of tokens (`logprobs.token`)."""
    if isinstance(choice, dict):
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict) and "token" in logprobs and "content" not in logprobs:
            return {**choice, "logprobs": {"content": [logprobs]}}
    return choice


_OF_CHUNK = [name for name in Chunk.__struct_fields__ if name not in ("variant", "choices")]


def as_chunk(read: Completion) -> Chunk:
    """A response that holds one chunk, in the form of a chunk."""
    if read.error is not None and read.extra.get("/object") == "chat.completion.chunk":
        read.extra = {name: value for name, value in read.extra.items() if name != "/object"}
    choices = []
    for choice in read.choices:
        members = {name: getattr(choice, name) for name in ChunkChoice.__struct_fields__ if name != "delta"}
        choices.append(ChunkChoice(delta=choice.message, **members))
    variant = VARIANTS.get(read.variant, read.variant) if read.error is None else "error"
    return Chunk(variant=variant, choices=choices, **{name: getattr(read, name) for name in _OF_CHUNK})


def as_wire(chunk: Chunk, *, has_natives: bool) -> tuple[wire.Chunk, dict[str, Any], list[Note]]:
    """A canonical chunk as the wire had it, with what else it says: `extra`, and the notes that are of the chunk alone.

    Finish words and roles are those of the wire: what they mean is said when the stream is over. `has_natives` says
    whether the source writes native finish words; otherwise one that is there was the word itself.
    """
    extra = dict(chunk.extra)
    root = "/data" if "/data" not in extra else ""  # the event object of an SDK may be around the chunk
    if root:
        extra = {
            pointer.removeprefix(f"{root}") if pointer.startswith("/data/") else pointer: value
            for pointer, value in extra.items()
        }
    notes = {(note.code, _below(note.path, root)): note for note in chunk.notes}
    choices = []
    for at, choice in enumerate(chunk.choices):
        base = f"/choices/{at}"
        delta: wire.ChunkDelta | None = wire.ChunkDelta(
            **{name: getattr(choice.delta, name) for name in wire.DELTA_MEMBERS}
        )
        assert delta is not None
        parts: Any = choice.delta.parts
        delta.content = choice.delta.content if parts is None else parts
        roles = (f"{base}/delta/role", f"{base}/message/role")
        if (said := _said_before(notes, ("placeholder", "unknown_role"), roles)) is not None:
            delta.role = said
        sent = wire.ChunkChoice(index=choice.index, delta=delta)
        sent.logprobs, sent.error = choice.logprobs, choice.error  # type: ignore[assignment]  # more than the wire has
        sent.finish_reason, sent.native_finish_reason = _sent_words(choice, base, extra, notes, has_natives=has_natives)
        if notes.pop(("whole_in_stream", f"{base}/message"), None) is not None:
            sent.message, sent.delta = delta, None
        elif chunk.variant == "text_chunk":
            sent.text, delta.content = choice.delta.content, None
            sent.delta = None if delta == wire.ChunkDelta() else delta
        message = extra.get(f"{base}/message")
        if isinstance(message, dict):
            try:
                sent.message = msgspec.convert(message, wire.ChunkDelta)
                del extra[f"{base}/message"]
            except (msgspec.ValidationError, UnicodeEncodeError):
                pass
        choices.append(sent)
    built = wire.Chunk(choices=choices, usage=chunk.usage)
    for name in wire.WORDS:
        setattr(built, name, getattr(chunk, name))
    built.object = "text_completion" if chunk.variant == "text_chunk" else None
    return built, extra, list(notes.values())


def _below(path: str, root: str) -> str:
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def _said_before(notes: dict[tuple[str, str], Note], codes: tuple[str, ...], paths: tuple[str, ...]) -> Any:
    """What a wire member was before a note was made; the note is taken out."""
    for code in codes:
        for path in paths:
            note = notes.pop((code, path), None)
            if note is not None:
                return note.before
    return None


def _sent_words(
    choice: ChunkChoice, base: str, extra: dict[str, Any], notes: dict[tuple[str, str], Note], *, has_natives: bool
) -> tuple[str | None, str | None]:
    """The finish word and the native one as they were sent."""
    word, native = choice.finish_reason, choice.native_finish_reason
    paths = (f"{base}/finish_reason", f"{base}/finishReason")
    said = _said_before(notes, ("placeholder", "unknown_finish_reason"), paths)
    displaced = None
    for path in paths:  # a word beside a native one, and not one in the other spelling
        beside = extra.get(path)
        if native is not None and isinstance(beside, str) and (meaning(beside) or "unknown") == word:
            displaced = extra.pop(path)
    if not has_natives and said is displaced is None is not word and native != word and meaning(native or "") == word:
        said = native
    said = said if displaced is None else displaced
    if said is None:
        return word, native
    return said, None if said == native and said not in PLACEHOLDERS else native  # which no adapter copies
