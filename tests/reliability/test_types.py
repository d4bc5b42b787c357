"""The types that decoders are made of hold none of the shapes that are known to be quadratic or unsafe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta, inspect

from normcompletion import model
from normcompletion.decoding.spelling import Form, formed
from normcompletion.dialect import wire
from normcompletion.sources.registry import built_in

# Where any JSON may be.
FREE_FORM = {
    ("Completion", "extra"),
    ("Chunk", "extra"),
    ("Note", "before"),
    ("ServiceError", "metadata"),
    ("Envelope", "request"),
    ("Choice", "error"),
    *(("Failed", name) for name in set(wire.Failed.__struct_fields__) - set(wire.Body.__struct_fields__)),
    *(("Record", name) for name in ("request", "response", "stacktrace", "stack_trace", "tagResolved")),
    *(("Confidential", name) for name in ("nonce", "ciphertext", "response_hash", "signature")),
    *(("Nested", name) for name in ("provider", "error")),
}
STRUCT_TYPES = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType, inspect.NamedTupleType)


def structs_of(*modules: Any) -> list[type[msgspec.Struct]]:
    """Every Struct that modules define."""
    return [
        item
        for module in modules
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, msgspec.Struct) and item.__module__ == module.__name__
    ]


WIRE = [*structs_of(wire), *(variant.wire for variant in built_in() if variant.wire is not None)]
FORMS = [Form("snake"), Form("camel")]
WHOLE = [item for item in WIRE if issubclass(item, wire.Wire) and not item.__name__.startswith("Chunk")]
DECODED = [*WIRE, *(formed(struct, form) for struct in WHOLE for form in FORMS)]  # chunks are decoded as written
CANONICAL = structs_of(model)


def children(kind: inspect.Type) -> Iterator[tuple[str, inspect.Type]]:
    """The types directly inside a type, with the field they are of."""
    if isinstance(kind, inspect.UnionType):
        yield from (("", item) for item in kind.types)
    elif isinstance(kind, inspect.ListType):
        yield "", kind.item_type
    elif isinstance(kind, inspect.DictType):
        yield "", kind.key_type
        yield "", kind.value_type
    elif isinstance(kind, STRUCT_TYPES):
        yield from ((field.name, field.type) for field in kind.fields)


def faults(root: inspect.Type) -> set[str]:
    """What is wrong in a tree of types, in words, with the Struct and the field."""
    found: set[str] = set()

    def visit(kind: inspect.Type, struct: str, field: str, above: tuple[type, ...]) -> None:
        here = f"{struct}.{field}"
        if isinstance(kind, inspect.Metadata):
            kind = kind.type
        if isinstance(kind, inspect.AnyType) and (struct, field) not in FREE_FORM:
            found.add(f"{here}: Any")
        if isinstance(kind, inspect.SetType | inspect.FrozenSetType | inspect.VarTupleType):
            found.add(f"{here}: set or tuple")
        if isinstance(kind, inspect.DictType) and type(kind.key_type) is not inspect.StrType:
            found.add(f"{here}: dict with keys that are no str")
        if getattr(kind, "pattern", None) is not None:
            found.add(f"{here}: pattern")
        if isinstance(kind, inspect.UnionType):
            tagged = [item for item in kind.types if isinstance(item, inspect.StructType) and item.tag is not None]
            if len(tagged) > 1:
                found.add(f"{here}: tagged union")
        if isinstance(kind, STRUCT_TYPES):
            if kind.cls in above:
                found.add(f"{here}: recursive")
                return
            above = (*above, kind.cls)
            struct = kind.cls.__name__
        for name, child in children(kind):
            visit(child, struct, name or field, above)

    visit(root, "", "", ())
    return found


def test_no_decoder_has_a_dangerous_type() -> None:
    """No wire or canonical Struct holds sets, maps with other keys than text, patterns, recursion or free JSON."""
    assert len(DECODED) >= 40
    assert len(CANONICAL) > 25
    for struct in [*DECODED, *CANONICAL]:
        assert faults(inspect.type_info(struct)) == set(), struct.__name__


class Node(msgspec.Struct):
    child: Node | None = None


class Inner(msgspec.Struct, tag="inner"):
    x: int


class Other(msgspec.Struct, tag="other"):
    x: int


PLANTED = [
    (Any, "Any"),
    (list[Any], "Any"),
    (dict[str, Any], "Any"),
    (set[int], "set or tuple"),
    (list[frozenset[str]], "set or tuple"),
    (tuple[int, ...], "set or tuple"),
    (dict[int, str], "dict with keys that are no str"),
    (dict[float, str] | None, "dict with keys that are no str"),
    (Annotated[str, Meta(pattern="^(a+)+$")] | None, "pattern"),
    (Inner | Other, "tagged union"),
    (list[Inner | Other], "tagged union"),
]


@pytest.mark.parametrize(("kind", "word"), PLANTED, ids=str)
def test_the_walk_finds_each_dangerous_type(kind: Any, word: str) -> None:
    """A dangerous type is found where it is planted, and named."""
    struct = msgspec.defstruct("Planted", [("field", kind)])
    assert faults(inspect.type_info(struct)) == {f"Planted.field: {word}"}


def test_the_walk_finds_recursion() -> None:
    """A Struct that holds itself is found."""
    assert faults(inspect.type_info(Node)) == {"Node.child: recursive"}
