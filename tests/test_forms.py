"""The decodable forms of the wire Structs refuse the other spelling, level by level."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import msgspec
import pytest

from normcompletion.decoding.decoder import refused_key
from normcompletion.decoding.spelling import Form, Spelling, formed, is_struct
from normcompletion.dialect import wire
from normcompletion.payload import REFUSALS
from normcompletion.pointer import camel
from normcompletion.sources.registry import built_in
from tests.conftest import for_each

STRUCTS = list(dict.fromkeys([wire.Body, *(variant.wire for variant in built_in() if variant.wire is not wire.Failed)]))


def required(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The smallest object that a Struct accepts."""
    return {item.encode_name: [] for item in msgspec.structs.fields(struct) if item.required}


def inner(annotation: Any, around: Any) -> Iterator[tuple[type[msgspec.Struct], Any]]:
    """The Structs inside a type, each with a function that puts an object of it in its place."""
    if is_struct(annotation):
        yield annotation, around
        return
    origin = get_origin(annotation)
    for argument in get_args(annotation):
        if origin is list:
            yield from inner(argument, lambda value: around([value]))
        elif origin is dict:
            yield from inner(argument, lambda value: around({"7": value}))
        else:
            yield from inner(argument, around)


def levels(struct: type[msgspec.Struct], spelling: Spelling, place: str = "", around: Any = lambda value: value) -> Any:
    """Every level of a Struct: its pointer pattern, its Struct, and a function that builds a body around an object."""
    yield place, struct, around
    form = Form(spelling)
    for item in msgspec.structs.fields(struct):
        key = form.key(item.encode_name)
        base = {form.key(name): value for name, value in required(struct).items()}
        for child, put in inner(item.type, lambda value: value):
            yield from levels(
                child,
                spelling,
                f"{place}/{key}",
                lambda value, put=put, key=key, base=base: around({**base, key: put(value)}),
            )


CASES = [
    (struct, spelling, inside, around)
    for struct in STRUCTS
    for spelling in ("snake", "camel")
    for place, inside, around in levels(struct, spelling)
]


@pytest.mark.parametrize("strict", [False, True])
@for_each(CASES)
def test_a_level_refuses_the_keys_of_the_other_spelling(
    struct: Any, spelling: Any, inside: Any, around: Any, strict: Any
) -> None:
    """A known key in the other spelling is refused, whatever it holds: null, twice, escaped, in text and in a tree."""
    form = Form(spelling, strict=strict)
    kind = formed(struct, form)
    decode = msgspec.json.Decoder(kind).decode
    base = {form.key(name): value for name, value in required(inside).items()}
    decode(json.dumps(around(base)).encode())
    for name in (item.encode_name for item in msgspec.structs.fields(inside)):
        other = name if spelling == "camel" else camel(name)
        if other == form.key(name):
            continue
        for value in (None, 1, "x", [], {}):
            tree = around({**base, other: value})
            with pytest.raises(REFUSALS) as refusal:
                decode(json.dumps(tree).encode())
            assert refused_key(str(refusal.value)) == other
            with pytest.raises(REFUSALS):
                msgspec.convert(tree, kind)
        text = json.dumps(around({**base, other: 1})).replace(f'"{other}"', f'"\\u{ord(other[0]):04x}{other[1:]}"')
        with pytest.raises(REFUSALS):
            decode(text.encode())


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b'{"choices":[],"vendor":1}', "vendor"),
        (b'{"choices":[],"":1}', ""),
        (b'{"choices":[],"a `b`\\n":1}', "a `b`\n"),
        (b'{"choices":[{"message":{"vendor":1}}]}', "vendor"),
        (b'{"choices":[{"finish_reason":"odd"}]}', "finish_reason"),
        (b'{"choices":[{"message":{"content":[]}}]}', "content"),
        (b'{"choices":{}}', "choices"),
        (b'{"choices":[3]}', "choices"),
        (b'{"choices":[],"object":"odd"}', "object"),
        (b'{"choices":[],"usage":{"cost":"x"}}', "cost"),
        (b"{}", None),
        (b"[]", None),
        (b"{", None),
    ],
)
def test_the_refused_key_is_read_from_the_error(text: bytes, key: str | None) -> None:
    """The key at which msgspec refuses a text is found in the text of its error, and none where it names none."""
    with pytest.raises(REFUSALS) as refusal:
        msgspec.json.decode(text, type=wire.CanonicalCompletion)
    assert refused_key(str(refusal.value)) == key


def test_a_form_keeps_defaults_and_other_containers() -> None:
    """A form of a Struct has the defaults of its fields, and members of any type that holds no Struct."""

    class Odd(msgspec.Struct):
        pair_of_numbers: tuple[int, ...] = ()
        some_names: list[str] = msgspec.field(default_factory=lambda: ["a"])

    form = formed(Odd, Form("camel"))
    assert form().some_names == ["a"]
    assert msgspec.json.decode(b'{"pairOfNumbers":[1,2]}', type=form).pair_of_numbers == (1, 2)
