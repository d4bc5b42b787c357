"""From bytes to a `Completion`.

A payload goes to the typed decoder that took the last one, then to those that its refusals lead to (`decoder.py`), and
last to the lenient decode (`lenient.py`). Nothing else is remembered, and results do not depend on it. Every path ends
in the adapter of the source that wrote the body. `extra` is collected when it is first read (`unknown.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..dialect import wire
from ..dialect.failures import form_of
from ..dialect.variant import Variant
from ..envelopes import wrappers
from ..envelopes.unsupported import recognise
from ..errors import InvalidPayloadError, MalformedPayloadError, UnknownPayloadError
from ..findings import Findings
from ..model import Choice, Completion, Envelope, FinishReason
from ..payload import (
    BLANKS,
    REFUSALS,
    check_depth,
    decode_exactly,
    holds_stream,
    is_utf8,
    looks_like_stream,
    parse,
    parse_checked,
)
from ..pointer import escape
from .decoder import Decoder, Decoders, Registry, both_spellings, only_without_choices, shape_markers
from .detection import Detector, ambiguous, note_conflict, only_canonical, unmarked
from .lenient import Walk
from .record import from_record
from .unknown import CONTAINERS, extra_of

ReadStream = Callable[[bytes | list[Any], Findings], Completion]

TREES = frozenset(CONTAINERS)
MOST_TRIES = range(4)  # decoders that one payload is given to


class Engine:
    """Reads payloads with the variants of one registry; safe to share between threads.

    `read_stream` assembles an event stream that is in place of a response.
    """

    def __init__(self, registry: Registry, read_stream: ReadStream | None = None) -> None:
        self.registry = registry
        self.read_stream = read_stream
        self.shapes = [
            (both_spellings(shape_markers(variant)), only_without_choices(variant), variant)
            for variant in registry.shapes
        ]
        self.shape_keys = frozenset(key for keys, _, _ in self.shapes for key in keys)
        self.decoders = Decoders(registry, self.shape_keys)
        self.canonical = self.decoders.canonical
        self.canonical.compile()  # adapters convert to its leaves, in any thread
        self.first = self.canonical  # the decoder to try first
        dialect = {name: registry.dialect.get(name, registry.dialect["openai"]) for name in registry.sources}
        self.adapters = {name: variant.adapt for name, variant in dialect.items()}
        self.placeholders = {
            name: placeholders_of(variant) for name, variant in dialect.items() if variant.placeholders
        }
        self.detector = Detector(registry.bodies, registry.signs)
        self.canonical_detector = Detector(only_canonical(registry.bodies), registry.signs)
        self.error_detector = Detector(registry.errors, registry.signs)
        # Whose bodies the canonical decoder can tell from those of others.
        self.canonical_sources = self.canonical_detector.decisive_sources
        self.reader = self.read_inside  # bound once

    # -- from bytes

    def read(self, raw: bytes, source: str | None = None, default_source: str | None = None) -> Completion:
        """One whole response; a reported error is a completion with `error` set.

        `source` overrides detection, `default_source` is for a body that nothing else decides. Raises `NormalizeError`
        for what is not a completion.
        """
        decoder: Decoder | None = self.first
        if decoder is self.canonical:
            completion, decoder = self._read_canonical(raw, source, default_source)
            if completion is not None:
                return completion
        findings = Findings("", source, default_source, self.reader)
        completion = self._read_typed(raw, findings, decoder)
        if completion is None:
            self.first = self.canonical
            completion = self._lenient(raw, findings)
        return completion

    def read_whole(self, raw: bytes, source: str | None = None, default_source: str | None = None) -> Completion:
        """As `read`, for a caller that wants `extra` of every record: what is not in canonical words is parsed once."""
        decoder: Decoder | None = self.first
        if decoder is self.canonical or decoder is self.decoders.snake:
            completion, decoder = self._read_canonical(raw, source, default_source)
            if completion is not None:
                return completion
        try:
            tree = decode_exactly(raw)
        except REFUSALS:
            return self.read(raw, source, default_source)
        completion = self._read_typed(tree, Findings("", source, default_source, self.reader), decoder)
        return self.read(raw, source, default_source) if completion is None else completion

    def read_inside(self, value: Any, findings: Findings) -> Completion:
        """One whole response inside a payload, or on its own with a prefix: its tree, its bytes or its text."""
        findings.read = self.read_inside
        if isinstance(value, str):
            value = value.encode("utf-8", "surrogatepass")
            findings.depth = 0  # a text of its own
        if not isinstance(value, bytes) and not findings.is_clean:
            return self.from_tree(value, findings)
        completion = self._read_typed(value, findings, self.decoders.snake)
        return self._lenient(value, findings) if completion is None else completion

    def _read_canonical(
        self, raw: bytes, source: str | None, default_source: str | None
    ) -> tuple[Completion | None, Decoder | None]:
        """A body in canonical words; where it is none, the decoder to try next, or `None` for the lenient decode."""
        try:
            sent = self.canonical.decode(raw)
        except REFUSALS as refusal:
            return None, self.decoders.following(self.canonical, str(refusal))
        return self._finished(sent, source, default_source), self.decoders.snake

    def _read_typed(self, payload: Any, findings: Findings, decoder: Decoder | None) -> Completion | None:
        """A response, by a decoder or those that its refusals lead to; `None` where none of them takes it."""
        is_text = payload.__class__ is bytes
        for _ in MOST_TRIES:
            if decoder is None:
                return None
            try:
                decoded = decoder.decode(payload) if is_text else msgspec.convert(payload, decoder.struct)
            except REFUSALS as refusal:
                decoder = self.decoders.following(decoder, str(refusal))
                continue
            if is_text and not (payload.isascii() or is_utf8(payload)):
                return None
            if decoder.variant is None:
                return self._from_typed(decoder, decoded, payload, findings)
            return self._from_shape(decoder, decoder.variant, decoded, payload, findings)
        return None

    def _finished(self, sent: Any, source: str | None, default_source: str | None) -> Completion | None:
        """A body in canonical words, which needs no copy; `None` where the general path must note or change something.

        The Structs have the layout of the canonical ones: they become those by assigning `__class__`.
        """
        if not sent.choices:
            return None
        for choice in sent.choices:
            calls = choice.message.tool_calls
            if calls is not None and not _are_plain(calls):
                return None
            choice.__class__ = Choice
        if source is None:
            source = self.canonical_detector.source_of(sent)
            if source is not None:
                sent.source, sent.source_basis = source, "marker"
            elif default_source is not None:
                sent.source, sent.source_basis = default_source, "caller"
        else:
            if self.canonical_detector.contradicting(source, sent, None):
                return None
            sent.source, sent.source_basis = source, "caller"
        if sent.source in self.placeholders:
            return None
        sent.__class__ = Completion
        return sent  # type: ignore[no-any-return]

    def _from_typed(self, decoder: Decoder, body: Any, payload: Any, findings: Findings) -> Completion | None:
        """The completion of a body that a form of `wire.Body` gave; `None` where it is a chunk or may be an error."""
        choices = body.choices
        if not choices:
            return None  # it may report an error, in one of many forms
        if (choices[0].message is None or body.object != "chat.completion") and is_chunk(body):
            return None
        if len(choices) > 1 or choices[0].error is not None:
            check_depth(payload, findings.depth)
        findings.camel = decoder.camel
        findings.pending.append((findings.prefix, payload, decoder.schema))
        completion = self._from_body(body, findings, payload)
        has_canonical = not decoder.camel and completion.source in self.canonical_sources
        self.first = self.canonical if has_canonical else decoder.strict
        return completion

    def _from_body(self, body: Any, findings: Findings, payload: Any) -> Completion:
        """A body, by the adapter of its source; `payload` is the text or the tree that it was decoded from."""
        if not body.choices:
            findings.note("no_choices", [], "choices")
        if body.object == "chat.completion.chunk":  # which a whole body may be called
            findings.keep(body.object, "object")
        source, why = findings.source, "caller"
        if source is None:
            source, why = self.detector.source_of(body, findings.prefix, payload), "marker"
            if source is None:
                source, why = unmarked(findings)
        else:
            note_conflict(self.detector, body, payload, findings)
        completion = self.adapters[source](body, findings)
        if source in self.placeholders:
            apply_placeholders(completion, self.placeholders[source], findings)
        completion.source = source
        completion.source_basis = why  # type: ignore[assignment]
        completion.extra = extra_of(findings)
        return completion

    def _from_shape(
        self, decoder: Decoder, variant: Variant, decoded: Any, payload: Any, findings: Findings
    ) -> Completion | None:
        """An object of a shape; `None` where no marker of the shape holds."""
        if findings.source not in (None, variant.source):
            return None
        for holds in decoder.tests:
            if holds(decoded):
                break
        else:
            return None
        if not TREES.isdisjoint(map(type, decoder.trees(decoded))):
            check_depth(payload, findings.depth)
        findings.camel = decoder.camel
        findings.pending.append((findings.prefix, payload, decoder.schema))
        completion = _with_basis(variant.adapt(decoded, findings), findings, "marker")
        self.first = decoder
        return completion

    # -- from a parsed tree

    def _lenient(self, payload: Any, findings: Findings) -> Completion:
        """A payload that no typed decoder took: parsed, recognised, and read key by key."""
        findings.read = self.read_inside
        if not isinstance(payload, bytes):
            return self.from_tree(payload, findings)
        if payload[:1] != b"{" and self.read_stream is not None and looks_like_stream(payload):
            return self.read_stream(payload, findings)
        try:
            tree, findings.is_clean = parse_checked(payload, depth=findings.depth)
        except ValueError:
            if self.read_stream is not None and (holds_stream(payload) or _is_one_chunk_a_line(payload)):
                return self.read_stream(payload, findings)
            raise
        return self.from_tree(tree, findings)

    def from_tree(self, tree: Any, findings: Findings) -> Completion:
        """Any JSON value as a completion, by the lenient decode."""
        if not isinstance(tree, dict):
            return self._from_other(tree, findings)
        if wrappers.is_canonical(tree):
            return from_record(tree, findings)
        variant = self.shape_of(tree, findings)
        if variant is not None:
            return self.walked(variant, tree, findings)
        choices = tree.get("choices")
        if not isinstance(choices, list) or wrappers.is_chunk(tree):
            wrapper = wrappers.unwrap(tree)
            if wrapper is not None:
                return self._unwrapped(tree, *wrapper, findings)
            raise self._of_another(tree, findings) or not_a_body(tree, findings.prefix)
        walk = Walk(findings)
        body = walk.by_key(tree, self.decoders.snake.struct, findings.prefix)
        walk.note_spelling(tree)
        return self._from_body(body, findings, tree)

    def _from_other(self, tree: Any, findings: Findings) -> Completion:
        """A JSON value that is not an object: a stream as a list of chunks or as text, or a mistake."""
        where = findings.prefix or None
        if isinstance(tree, list):
            if self.read_stream is not None and wrappers.are_chunks(tree):
                return self.read_stream(tree, findings)
            if len(tree) == 1 and isinstance(tree[0], dict) and form_of(tree[0]) is not None:
                return self.from_tree(tree[0], findings.at(f"{findings.prefix}/0", 1))  # Gemini's form of an error
            raise UnknownPayloadError(
                "the payload is a list; normalize_many() yields its records", code="list", path=where
            )
        if isinstance(tree, str) and self.read_stream is not None:  # a log may hold the stream as text
            text = tree.encode("utf-8", "surrogatepass")
            if looks_like_stream(text):
                return self.read_stream(text, findings)
        raise UnknownPayloadError(
            f"the payload is {json_word(tree)}, not an object; hand in the response body",
            code="not_object",
            path=where,
        )

    def shape_of(self, tree: dict[str, Any], findings: Findings) -> Variant | None:
        """The shape or the error variant that an object has; `None` where it is neither."""
        if not self.shape_keys.isdisjoint(tree):
            has_choices = bool(tree.get("choices"))
            found = {
                variant.source: variant
                for keys, without_choices, variant in reversed(self.shapes)
                if findings.source in (None, variant.source)
                and not (has_choices and without_choices)
                and not keys.isdisjoint(tree)
                and any(marker.holds(tree) for marker in variant.markers)
            }
            if len(found) > 1:
                raise ambiguous(sorted(found), findings.prefix)
            if found:
                return next(iter(found.values()))
        if form_of(tree) is None:
            return None
        source = findings.source or self.error_detector.of_tree(tree, findings.prefix)
        return self.registry.failed.get(source or "openai") or self.registry.failed["openai"]

    def _of_another(self, tree: dict[str, Any], findings: Findings) -> UnknownPayloadError | None:
        """The error for an object of a shape that is not of the source that the caller named; `None` for any other."""
        variant = None if findings.source is None else self.shape_of(tree, Findings())
        if variant is None:
            return None
        return UnknownPayloadError(
            f"the payload is a {variant.name} of {variant.source}, and source= names {findings.source}; "
            "leave out source=, or give it as default_source=",
            path=findings.prefix or None,
        )

    def finish_words(self, source: str) -> Mapping[str, FinishReason]:
        """The finish words of a source."""
        return (self.registry.dialect.get(source) or self.registry.dialect["openai"]).finish_words

    def walked(self, variant: Variant, tree: dict[str, Any], findings: Findings) -> Completion:
        """An object of a shape, by the lenient decode."""
        walk = Walk(findings)
        decoded = walk.by_key(tree, variant.wire, findings.prefix)
        walk.note_spelling(tree)
        completion = variant.adapt(decoded, findings)
        if variant.wire is not wire.Failed:
            return _with_basis(completion, findings, "marker")
        if findings.source is not None:
            note_conflict(self.error_detector, tree, tree, findings)
            return _with_basis(completion, findings, "caller")
        if variant.source != "openai":
            return _with_basis(completion, findings, "marker")
        completion.source, why = unmarked(findings)
        return _with_basis(completion, findings, why)

    def _unwrapped(self, tree: dict[str, Any], kind: str, key: str, findings: Findings) -> Completion:
        """The response under a key of a wrapper; what is beside it goes to `extra`."""
        for name, value in tree.items():
            if name != key and value is not None:
                findings.extra[f"{findings.prefix}/{escape(name)}"] = value
        completion = self.from_tree(tree[key], findings.member(key))
        if completion.envelope is None:
            completion.envelope = Envelope(kind=kind)
        return completion


def not_a_body(tree: dict[str, Any], at: str) -> UnknownPayloadError | InvalidPayloadError:
    """The error for an object at a pointer that holds no answer; it says what the object is."""
    if wrappers.members(tree) is not None:
        return UnknownPayloadError(
            "the payload is a page of records; normalize_many() yields each", code="list", path=at or None
        )
    name = recognise(tree)
    if name is None and tree.get("choices") is not None:
        return InvalidPayloadError(
            f"`choices` is {json_word(tree['choices'])}, not a list; hand in the body as it was sent",
            path=f"{at}/choices",
        )
    if name is not None:
        text = f"the payload is {name}"
    elif "choices" in tree:
        text = "`choices` is null, and there is no error: the service answered nothing"
    else:
        text = "the payload has neither `choices` nor an error; hand in the response body"
    return UnknownPayloadError(text, path=at or None)


def _with_basis(completion: Completion, findings: Findings, why: str) -> Completion:
    """A completion with `extra`, and with why it has its source where no response inside it said so."""
    if completion.source_basis == "dialect":
        completion.source_basis = why  # type: ignore[assignment]
    completion.extra = extra_of(findings)
    return completion


def _are_plain(calls: list[Any]) -> bool:
    """Whether the arguments of all calls can stay as they are; see `adapt.tool_calls` for those that get a note."""
    for call in calls:
        function = call.function
        if function is not None and (text := function.arguments) is not None and text[:2] == "{'":
            return False
    return True


def is_chunk(body: Any) -> bool:
    """Whether a decoded body is one chunk of a streamed chat; one with a message and no delta is whole."""
    word = body.object
    if any(item.message is not None for item in body.choices) and all(item.delta is None for item in body.choices):
        return False
    if word is not None and word.endswith(".chunk"):
        return True
    choices = body.choices
    return (
        bool(choices)
        and choices[0].delta is not None
        and choices[0].message is None
        and word not in wrappers.REBUILT_OBJECTS
    )


Placeholders = dict[str, list[tuple[str, Any]]]  # the part of a completion ("" is itself), its members and their values


def placeholders_of(variant: Variant) -> Placeholders:
    """The placeholders of a variant by the part of the completion that they are in."""
    parts: Placeholders = {}
    for path, value in variant.placeholders.items():
        part, _, name = path.rpartition(".")
        parts.setdefault(part, []).append((name, value))
    return parts


def apply_placeholders(completion: Completion, placeholders: Placeholders, findings: Findings) -> None:
    """Read the values that a source writes for "not known" as `None`, with a remark."""
    for name, members in placeholders.items():
        part = getattr(completion, name) if name else completion
        if part is None:
            continue
        for member, placeholder in members:
            if getattr(part, member) == placeholder:
                findings.note("placeholder", placeholder, *([name] if name else []), member)
                setattr(part, member, None)


def _is_one_chunk_a_line(raw: bytes) -> bool:
    """Whether a text that is not JSON has one chunk on each line."""
    if b"\n" not in raw:  # a million brackets need not be copied
        return False
    lines = raw.lstrip(BLANKS).split(b"\n", 4)
    if len(lines) < 2 or not lines[0].startswith(b"{"):
        return False
    items = []
    for line in lines[:4]:
        try:
            items.append(parse(line))
        except MalformedPayloadError:
            break
    return wrappers.are_chunks(items)


def json_word(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    words: dict[type, str] = {str: "a string", dict: "an object", list: "a list"}
    return words.get(type(value), "a number")
