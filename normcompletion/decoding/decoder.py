"""The typed decoders of one registry, and which of them to try next.

* The canonical decoder takes chat completions in canonical words, straight into their final place.
* A form of `wire.Body` in either spelling takes whatever else is a body without a fault, with vendor keys in the body,
  its choices, their messages and usage; a looser form takes those with vendor keys deeper down.
* The form of a shape, such as a log10 record, takes objects of that shape.

The key at which a decoder refuses a payload tells which one to try next.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from operator import attrgetter
from typing import Any, Protocol

import msgspec

from ..dialect import wire
from ..dialect.variant import Marker, Variant
from ..envelopes import wrappers
from ..pointer import camel
from .detection import compiled as compiled_marker
from .spelling import Form, Spelling, compiled, formed, keys_of
from .unknown import schema_of

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

    `decode` gives the Struct of a JSON text, and raises `REFUSALS`. After it took a payload, the decoder `strict` is
    tried first: itself, or the strict form of a loose one.
    """

    def __init__(self, original: type[msgspec.Struct], form: Form, variant: Variant | None = None) -> None:
        self.original = original
        self.form = form
        self.variant = variant
        self.tests = [] if variant is None else [compiled_marker(marker) for marker in variant.markers]
        # What may hold trees; of a single name, `attrgetter` would give the value without a tuple around it.
        trees = [item.name for item in wire.fields_of(original) if item.type is Any]
        self.trees: Callable[[Any], Any] = attrgetter(*trees, *trees[:1]) if trees else lambda _: ()
        self.camel = form.spelling == "camel"
        self.strict: Decoder = self
        self.schema = schema_of(original, form.spelling)  # which keys the canonical model has a field for
        self.decode: Callable[[bytes], Any] = self._compile_and_decode

    @cached_property
    def struct(self) -> type[msgspec.Struct]:
        """The Struct that is decoded."""
        if self.original is wire.CanonicalCompletion:
            return self.original
        struct = formed(self.original, self.form)
        compiled(struct)  # by one thread, before anybody converts to it
        return struct

    def compile(self) -> None:
        """Compile the decoder now instead of when it is first used."""
        self.decode = compiled(self.struct)

    def _compile_and_decode(self, raw: bytes) -> Any:
        self.compile()
        return self.decode(raw)


class Decoders:
    """The decoders of one registry: `canonical`, the `bodies` and their `loose` forms by spelling, and the `shapes`.

    With one of the `shape_keys`, an object may be a shape: bodies that have one are refused.
    """

    def __init__(self, registry: Registry, shape_keys: frozenset[str]) -> None:
        paths = [path for variant in registry.bodies for path in marker_paths(variant)]
        watched = frozenset(path for path in paths if len(path) > 1 or path[0] not in _BODY_FIELDS)
        refused = both_spellings(shape_keys | {wrappers.CANONICAL_KEY, "error"})
        self.canonical = Decoder(wire.CanonicalCompletion, Form("snake"))
        self.bodies, self.loose = (
            {spelling: Decoder(wire.Body, Form(spelling, refused, watched, strict)) for spelling in SPELLINGS}
            for strict in (True, False)
        )
        for spelling in SPELLINGS:
            self.loose[spelling].strict = self.bodies[spelling]
        self.snake = self.bodies["snake"]
        self.shapes = [
            Decoder(
                variant.wire,
                Form(spelling, both_spellings((refused | {"choices"}) - keys_of(variant.wire))),
                variant,
            )
            for variant in registry.shapes
            for spelling in SPELLINGS
        ]
        self._by_key = self._decoders_by_key()

    def _decoders_by_key(self) -> dict[str, Decoder]:
        """The decoder that knows a key."""
        body_keys = keys_of(wire.Body)
        found: dict[str, Decoder] = {}
        for decoder in self.shapes:
            for name in keys_of(decoder.original) - body_keys:
                found.setdefault(decoder.form.key(name), decoder)
        for name in body_keys:
            if camel(name) != name:
                found |= {camel(name): self.bodies["camel"], name: self.snake}
        return found | dict.fromkeys(_BODY_FIELDS, self.snake)

    def following(self, decoder: Decoder, reason: str) -> Decoder | None:
        """The decoder to try after one refused with a reason, or `None` for the lenient decode."""
        key = refused_key(reason)
        if key is None:
            return None
        following = self._by_key.get(key)
        if following is None and decoder is self.canonical:  # a vendor key
            return self.snake
        if following is None and decoder is self.bodies[decoder.form.spelling]:
            return self.loose[decoder.form.spelling]
        return None if following is decoder else following


_BODY_FIELDS = frozenset(item.encode_name for item in wire.fields_of(wire.Body))


def marker_paths(variant: Variant) -> list[tuple[str, ...]]:
    """The paths that the markers of a variant look at."""
    return [condition.key for marker in variant.markers for condition in marker.conditions]


def shape_markers(variant: Variant) -> frozenset[str]:
    """Top-level keys without which no marker of a shape holds: the last one that each marker asks for."""
    present = [[condition for condition in marker.conditions if not condition.absent] for marker in variant.markers]
    return frozenset(conditions[-1].path[0] for conditions in present)


def only_without_choices(variant: Variant) -> bool:
    """Whether no object with choices is a shape."""
    return all(
        any(condition.absent and condition.path == ("choices",) for condition in marker.conditions)
        for marker in variant.markers
    )


def both_spellings(keys: frozenset[str]) -> frozenset[str]:
    """Keys in both spellings: a shape is recognised by either, whatever the spelling of the body."""
    return keys | frozenset(map(camel, keys))


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
