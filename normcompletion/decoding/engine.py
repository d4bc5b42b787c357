"""From bytes to a `Completion`: which decoder reads a payload, and who wrote it.

A body is tried with up to three typed decoders, and then read by the lenient decode:

1. the canonical decoder takes chat completions in canonical words, straight into their final place (`_finished`);
2. a form of `wire.Body` in either spelling takes whatever else is a body without a fault, with vendor keys in the body,
   its choices, their messages and usage; a looser form takes those with vendor keys deeper down;
3. the form of a shape, such as a log10 record, takes objects of that shape.

The key at which a decoder refuses a payload tells which one to try next (`_following`). The decoder that took the last
payload is tried first; nothing else is remembered, and results do not depend on it.

Every path ends in the adapter of the source that wrote the body. `extra` is collected when it is first read
(`unknown.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from operator import attrgetter
from typing import Any, Protocol

import msgspec

from ..dialect import wire
from ..dialect.failures import form_of
from ..dialect.variant import Marker, Variant
from ..envelopes import wrappers
from ..envelopes.unsupported import recognise
from ..errors import InvalidPayloadError, MalformedPayloadError, UnknownPayloadError, excerpt
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
from ..pointer import camel, escape
from .detection import Detector, ambiguous
from .detection import compiled as compiled_marker
from .lenient import Walk
from .spelling import Form, Spelling, compiled, formed, keys_of
from .unknown import extra_of, schema_of

ReadStream = Callable[[bytes | list[Any], Findings], Completion]
SPELLINGS: tuple[Spelling, Spelling] = ("snake", "camel")


class Registry(Protocol):
    """What the engine asks of the registry of variants (`sources/registry.py`)."""

    variants: tuple[Variant, ...]
    sources: tuple[str, ...]
    bodies: tuple[Variant, ...]
    errors: tuple[Variant, ...]
    shapes: tuple[Variant, ...]
    dialect: dict[str, Variant]
    failed: dict[str, Variant]
    signs: tuple[Marker, ...]

    def source_of_object(self, value: object) -> str | None:
        """The source whose SDK an object's class comes from."""

    def check(self, source: str | None, variant: str | None) -> None:
        """Raise `UnknownSourceError` for a name that is not registered."""


class Decoder:
    """One form of a wire Struct; compiled when it is first needed. `variant` is the shape that it reads, if any.

    `decode` gives the Struct of a JSON text, and raises `REFUSALS`.
    """

    def __init__(self, original: type[msgspec.Struct], form: Form, variant: Variant | None = None) -> None:
        self.original = original
        self.form = form
        self.variant = variant
        self.tests = [] if variant is None else [compiled_marker(marker) for marker in variant.markers]
        # What may hold trees; of a single name, `attrgetter` would give the value without a tuple around it.
        trees = [item.name for item in msgspec.structs.fields(original) if item.type is Any]
        self.trees: Callable[[Any], Any] = attrgetter(*trees, *trees[:1]) if trees else lambda _: ()
        self.camel = form.spelling == "camel"
        self.schema = schema_of(original, form.spelling)  # which keys the canonical model has a field for
        self.decode: Callable[[bytes], Any] = self._compile_and_decode
        self.is_compiled = False

    @cached_property
    def struct(self) -> type[msgspec.Struct]:
        """The Struct that is decoded."""
        if self.original is wire.CanonicalCompletion:
            return self.original
        struct = formed(self.original, self.form)
        compiled(struct)  # by one thread, before anybody converts to it
        return struct

    def compile(self) -> None:
        """Compile the decoder, where that was not done yet."""
        if not self.is_compiled:
            self.decode = compiled(self.struct)
            self.is_compiled = True

    def _compile_and_decode(self, raw: bytes) -> Any:
        self.compile()
        return self.decode(raw)


class Engine:
    """Reads payloads with the variants of one registry; safe to share between threads.

    `read_stream` assembles an event stream that is in place of a response.
    """

    def __init__(self, registry: Registry, read_stream: ReadStream | None = None) -> None:
        self.registry = registry
        self.read_stream = read_stream
        watched = frozenset(path for row in registry.bodies for path in _paths(row) if path[0] not in _BODY_FIELDS)
        nested = frozenset(path for row in registry.bodies for path in _paths(row) if len(path) > 1)
        self.telling = [(_both_spellings(_telling_keys(variant)), variant) for variant in registry.shapes]
        self.telling_keys = frozenset[str]().union(*(keys for keys, _ in self.telling))
        shapes = self.telling_keys | {wrappers.CANONICAL_KEY, "error"}
        self.canonical = Decoder(wire.CanonicalCompletion, Form("snake"))
        self.bodies, self.loose = (
            {
                spelling: Decoder(wire.Body, Form(spelling, _both_spellings(shapes), watched | nested, strict))
                for spelling in SPELLINGS
            }
            for strict in (True, False)
        )
        self.shapes = [
            Decoder(
                variant.wire,
                Form(spelling, _both_spellings((shapes | {"choices"}) - keys_of(variant.wire))),
                variant,
            )
            for variant in registry.shapes
            for spelling in SPELLINGS
        ]
        self.routes = self._routes()
        self.first = self.canonical
        dialect = {name: registry.dialect.get(name, registry.dialect["openai"]) for name in registry.sources}
        self.adapters = {name: variant.adapt for name, variant in dialect.items()}
        self.placeholders = {
            name: placeholders_of(variant) for name, variant in dialect.items() if variant.placeholders
        }
        self.detector = Detector(registry.bodies, registry.signs)
        self.canonical_detector = Detector(_only_canonical(registry.bodies), registry.signs)
        self.error_detector = Detector(registry.errors, registry.signs)
        self.canonical_sources = self.canonical_detector.decisive_sources
        self.reader = self.read_inside  # bound once

    def _routes(self) -> dict[str, Decoder]:
        """Which decoder to try for a key that another one refused."""
        body_keys = keys_of(wire.Body)
        routes: dict[str, Decoder] = {}
        for decoder in self.shapes:
            for name in keys_of(decoder.original) - body_keys:
                routes.setdefault(decoder.form.key(name), decoder)
        routes |= {camel(name): self.bodies["camel"] for name in body_keys if camel(name) != name}
        routes |= {name: self.bodies["snake"] for name in body_keys if camel(name) != name}
        routes |= {item.encode_name: self.bodies["snake"] for item in msgspec.structs.fields(wire.Body)}
        return routes

    # -- from bytes

    def read(self, raw: bytes, source: str | None = None, default_source: str | None = None) -> Completion:
        """One whole response; a reported error is a completion with `error` set.

        `source` is believed, `default_source` is for a body that nothing else decides. Raises `NormalizeError` for what
        is not a completion.
        """
        decoder = self.first
        following = None
        completion = None
        findings = None
        try:
            decoded = decoder.decode(raw)
        except REFUSALS as refusal:
            following = self._following(decoder, str(refusal))
        else:
            if decoder is self.canonical:
                completion = self._finished(decoded, source, default_source)
                following = self.bodies["snake"]
            elif raw.isascii() or is_utf8(raw):
                findings = Findings("", source, default_source, self.reader)
                completion = self._adapted(decoder, decoded, raw, findings)
                if completion is not None and completion.source in self.canonical_sources:
                    self.first = self._preferred(decoder, completion)
            if completion is not None:
                return completion
        findings = findings or Findings("", source, default_source, self.reader)
        tried = [decoder]
        completion = self._read(raw, findings, following, tried)
        self.first = self._preferred(tried[-1], completion)
        return completion

    def read_whole(self, raw: bytes, source: str | None = None, default_source: str | None = None) -> Completion:
        """As `read`, for a caller that wants `extra` of every record: what is not in canonical words is parsed once."""
        decoder = self.first
        if decoder is self.canonical or decoder is self.bodies["snake"]:
            try:
                completion = self._finished(self.canonical.decode(raw), source, default_source)
            except REFUSALS as refusal:
                completion, following = None, self._following(self.canonical, str(refusal))
            else:
                following = self.bodies["snake"]
            if completion is not None:
                return completion
            if following is None:
                return self.read(raw, source, default_source)
            decoder = following
        else:
            self.canonical.compile()  # its leaves are what adapters convert to
        try:
            tree = decode_exactly(raw)
        except REFUSALS:
            return self.read(raw, source, default_source)
        findings = Findings("", source, default_source, self.reader)
        tried = [self.canonical]
        completion = self._typed(tree, findings, decoder, tried)
        if completion is None:
            return self.read(raw, source, default_source)
        self.first = self._preferred(tried[-1], completion)
        return completion

    def read_inside(self, value: Any, findings: Findings) -> Completion:
        """One whole response inside a payload, or on its own with a prefix: its tree, its bytes or its text."""
        findings.read = self.read_inside
        if isinstance(value, str):
            value = value.encode("utf-8", "surrogatepass")
            findings.depth = 0  # a text of its own
        if not isinstance(value, bytes) and not findings.is_clean:
            return self.from_tree(value, findings)
        self.canonical.compile()  # its leaves are what adapters convert to
        return self._read(value, findings, self.bodies["snake"], [])

    def _read(self, payload: Any, findings: Findings, decoder: Decoder | None, tried: list[Decoder]) -> Completion:
        """A response, by a decoder and those that its refusals lead to, else by the lenient decode."""
        completion = self._typed(payload, findings, decoder, tried)
        return self._lenient(payload, findings) if completion is None else completion

    def _typed(
        self, payload: Any, findings: Findings, decoder: Decoder | None, tried: list[Decoder]
    ) -> Completion | None:
        """A response, by a decoder and those that its refusals lead to; these are added to those that were `tried`."""
        is_text = isinstance(payload, bytes)
        while decoder is not None and decoder not in tried:
            tried.append(decoder)
            following = None
            try:
                decoded = decoder.decode(payload) if is_text else msgspec.convert(payload, decoder.struct)
            except REFUSALS as refusal:
                following = self._following(decoder, str(refusal))
            else:
                if not is_text or payload.isascii() or is_utf8(payload):
                    completion = self._adapted(decoder, decoded, payload, findings)
                    if completion is not None:
                        return completion
            decoder = following
        return None

    def _following(self, decoder: Decoder, reason: str) -> Decoder | None:
        """The decoder to try after a refusal, or `None` for the lenient decode."""
        key = refused_key(reason)
        following = None if key is None else self.routes.get(key)
        if following is None and key is not None:  # a vendor key
            if decoder is self.canonical:
                return self.bodies["snake"]
            if decoder is self.bodies[decoder.form.spelling]:
                return self.loose[decoder.form.spelling]
        return following

    def _preferred(self, decoder: Decoder, completion: Completion) -> Decoder:
        """The decoder to start with next time: the canonical one for a source whose markers it can see."""
        if decoder.variant is not None:
            return decoder
        spelling = decoder.form.spelling
        if spelling == "snake" and completion.source in self.canonical_sources:
            return self.canonical
        return self.bodies[spelling]

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

    def _adapted(self, decoder: Decoder, decoded: Any, payload: Any, findings: Findings) -> Completion | None:
        """The completion of a Struct that a form gave, by the adapter of its source; `None` where it is not that."""
        if decoder.variant is not None:
            return self._from_shape(decoder, decoder.variant, decoded, payload, findings)
        choices = decoded.choices
        if not choices:
            return None  # it may report an error, in one of many forms
        if (choices[0].message is None or decoded.object != "chat.completion") and is_chunk(decoded):
            return None
        if len(choices) > 1 or choices[0].error is not None:
            check_depth(payload, findings.depth)
        if decoder.camel:
            findings.camel = True
        findings.pending.append((findings.prefix, payload, decoder.schema))
        return self._from_body(decoded, findings, payload)

    def _from_body(self, body: Any, findings: Findings, payload: Any) -> Completion:
        """A body, by the adapter of its source; `payload` is the text or the tree that it was decoded from."""
        source, why = findings.source, "caller"
        if not body.choices:
            findings.note("no_choices", [], "choices")
        if body.object == "chat.completion.chunk":  # which a whole body may be called
            findings.keep(body.object, "object")
        if source is not None:
            note_conflict(self.detector, body, payload, findings)
        else:
            source, why = self.detector.source_of(body, findings.prefix, payload), "marker"
            if source is None:
                source, why = ("openai", "dialect") if findings.default_source is None else unmarked(findings)
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
        for value in decoder.trees(decoded):
            if value.__class__ in (dict, list):
                check_depth(payload, findings.depth)
                break
        findings.camel = decoder.camel
        findings.pending.append((findings.prefix, payload, decoder.schema))
        return _with_basis(variant.adapt(decoded, findings), findings, "marker")

    # -- from a parsed tree

    def _lenient(self, payload: Any, findings: Findings) -> Completion:
        """A payload that no typed decoder took: parsed, told what it is, and read key by key."""
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
        body = walk.by_key(tree, self.bodies["snake"].struct, findings.prefix)
        findings.camel = walk.camel_keys > walk.snake_keys
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
        if not self.telling_keys.isdisjoint(tree):
            found = {
                variant.source: variant
                for keys, variant in reversed(self.telling)
                if findings.source in (None, variant.source)
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
        findings.camel = walk.camel_keys > walk.snake_keys
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


_BODY_FIELDS = frozenset(item.encode_name for item in msgspec.structs.fields(wire.Body))


def _paths(variant: Variant) -> list[tuple[str, ...]]:
    """The paths that the markers of a variant look at."""
    paths = [condition.path for marker in variant.markers for condition in marker.conditions]
    return [path[:-1] if path[-1] == "*" else path for path in paths]


def _telling_keys(variant: Variant) -> frozenset[str]:
    """Top-level keys without which no marker of a shape holds: the last one that each marker asks for."""
    present = [[condition for condition in marker.conditions if not condition.absent] for marker in variant.markers]
    return frozenset(conditions[-1].path[0] for conditions in present)


def _both_spellings(keys: frozenset[str]) -> frozenset[str]:
    """Keys in both spellings: a shape is told by either, whatever the spelling of the body."""
    return keys | frozenset(map(camel, keys))


def _only_canonical(variants: tuple[Variant, ...]) -> list[Variant]:
    """Variants with the markers that can hold for a body in canonical words."""
    known = {item.encode_name: item for item in msgspec.structs.fields(wire.CanonicalCompletion)}
    known |= {"object": known["id"]}

    def can_hold(path: tuple[str, ...]) -> bool:
        if path[-1] == "*":
            return False  # log-probs are a Struct there
        if len(path) == 1:
            return path[0] in known
        parts: dict[str, type[msgspec.Struct]] = {"choices": wire.CanonicalChoice, "usage": wire.Usage}
        inner = parts.get(path[0])
        return inner is not None and path[1] in {item.encode_name for item in msgspec.structs.fields(inner)} - {"error"}

    return [
        msgspec.structs.replace(
            variant,
            markers=tuple(
                marker
                for marker in variant.markers
                if all(
                    can_hold(condition.path)
                    and (condition.path != ("object",) or "chat.completion" in condition.values)
                    for condition in marker.conditions
                )
            ),
        )
        for variant in variants
    ]


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


def refused_key(reason: str) -> str | None:
    """The key at which msgspec refused a text, from the text of its error; `None` where it names none.

    The texts are `Object contains unknown field `key``, `Object missing required field `key`` and `… - at
    `$.choices[...].key``. They are not an interface: a test holds this function against msgspec.
    """
    what, _, path = reason.rpartition(" - at `$")
    if reason[:_KEY_AT] == _UNKNOWN_FIELD:
        return (what or reason)[_KEY_AT:-1]
    if not what:
        return None
    return path[:-1].rpartition(".")[2].partition("[")[0] or None  # lists are shown as `[...]` or `[7]`


_UNKNOWN_FIELD = "Object contains unknown field `"
_KEY_AT = len(_UNKNOWN_FIELD)


def note_conflict(detector: Detector, body: Any, payload: Any, findings: Findings) -> None:
    """Remark that a body has the decisive marker of another source than the one that the caller named."""
    assert findings.source is not None
    for other in detector.contradicting(findings.source, body, payload):
        findings.note_at(findings.prefix, "source_conflict", other)


def unmarked(findings: Findings) -> tuple[str, str]:
    """The source of a response without a marker, and how it is known."""
    if findings.default_source is None:
        return "openai", "dialect"
    return findings.default_source, "envelope" if findings.in_envelope else "caller"


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


def from_record(tree: dict[str, Any], findings: Findings) -> Completion:
    """The completion of a record that this library wrote; what somebody put beside its members goes to `extra`."""
    beside = tree.keys() - frozenset(Completion.__struct_fields__)
    if not findings.is_clean:  # `extra` and the notes may hold half surrogate pairs, as they were sent
        free = ("extra", "notes", *beside)
        tree = {
            name: value if name in free else _without_halves(value, f"{findings.prefix}/{name}", findings)
            for name, value in tree.items()
        }
    try:
        completion = msgspec.convert(tree, Completion)  # only here, at the top, does it take unknown keys
    except msgspec.ValidationError as refusal:
        what, _, where = str(refusal).partition(" - at ")
        raise InvalidPayloadError(
            f"a canonical record was changed: {excerpt(what)} at {excerpt(where)}; convert the response itself",
            code="wrong_type",
            path=findings.prefix or None,
        ) from None
    if findings.source is not None:
        completion.source, completion.source_basis = findings.source, "caller"
    findings.extra.update(completion.extra)
    for name in beside:
        findings.extra[f"{findings.prefix}/{escape(name)}"] = tree[name]
    findings.notes += completion.notes
    completion.extra, completion.notes = extra_of(findings), findings.notes
    return completion


def _without_halves(value: Any, at: str, findings: Findings) -> Any:
    """A value of a canonical record with half surrogate pairs replaced and noted."""
    if isinstance(value, str):
        return findings.text(value, at)
    if isinstance(value, dict):
        return {key: _without_halves(item, f"{at}/{escape(key)}", findings) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_halves(item, f"{at}/{place}", findings) for place, item in enumerate(value)]
    return value


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
