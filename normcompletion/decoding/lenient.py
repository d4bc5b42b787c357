"""The lenient decode: any JSON object into a wire Struct, nothing lost and nothing silent.

It fills the same wire Structs as the typed decoders, from a parsed tree. A key that a Struct knows, in either
spelling, is read as its type says; a value with one other honest reading is coerced and noted; a value without one
goes to `extra` with a note, and its field is `None`; an unknown key goes to `extra`. Null is absence, everywhere.
"""

from __future__ import annotations

import math
import re
import types
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from ..dialect.adapt import NUMBERS
from ..dialect.wire import fields_of
from ..errors import InvalidPayloadError
from ..findings import Findings
from ..model import ImageURL, to_json
from ..payload import in_range
from ..pointer import camel, escape
from .spelling import REFUSED, is_struct
from .unknown import CONTAINERS, Schema, collect, schema_of

_INTEGER = re.compile(r"-?\d{1,19}")
_NUMBER = re.compile(r"-?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,3})?")
EXACT_FLOAT = 2**53

NO_SCALAR = (bool, *CONTAINERS)


class Field(NamedTuple):
    """How one key of a Struct is read; the value of one that is `kept` also goes to `extra`."""

    attribute: str
    key: str
    read: Callable[[Walk, Any, str], Any]
    kept: bool
    has_camel: bool


class Walk:
    """One lenient decode of one tree; it counts the keys of either spelling on the way."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.camel_keys = 0
        self.snake_keys = 0

    def struct(self, tree: dict[str, Any], wanted: type[msgspec.Struct], at: str) -> Any:
        """`tree`, which is at the pointer `at`, as a `wanted`: at once where it has no fault, else key by key."""
        if self.findings.is_clean:
            try:
                built = msgspec.convert(tree, wanted)
            except msgspec.ValidationError:
                pass  # an error that is raised further on must not hold this one
            else:
                _, _, schema, snake = _fields(wanted)
                self.snake_keys += len(snake & tree.keys())
                collect(tree, schema, at, self.findings.extra)
                return built
        return self.by_key(tree, wanted, at)

    def by_key(self, tree: dict[str, Any], wanted: type[msgspec.Struct], at: str) -> Any:
        """`struct` for an object that a typed decoder has refused already."""
        fields, camel_fields, _, _ = _fields(wanted)
        found: dict[str, Any] = {}
        for key, value in tree.items():
            field = fields.get(key)
            if field is None:
                field = camel_fields.get(key)
                if field is not None and tree.get(field.key) is not None:
                    field = None  # both spellings: the wire's own key is read, the other is kept
                if field is not None:
                    self.camel_keys += 1
            elif field.has_camel:
                self.snake_keys += 1
            if value is None:
                continue
            here = f"{at}/{key}" if field is not None else f"{at}/{escape(key)}"
            if field is None:
                self.findings.extra[here] = value
                continue
            found[field.attribute] = field.read(self, value, here)
            if field.kept:
                self._keep(value, here)
        try:
            return wanted(**{name: value for name, value in found.items() if value is not None})
        except TypeError:  # a required field; what was dropped from it has its note
            missing = [item.encode_name for item in fields_of(wanted) if item.required]
            raise InvalidPayloadError(
                f"{' or '.join(missing)} is missing; hand in the body as it was sent",
                code="missing_field",
                path=at or None,
            ) from None

    def note_spelling(self, tree: dict[str, Any]) -> None:
        """Put the spelling of the keys that were read into the findings."""
        self.findings.camel = self.camel_keys > self.snake_keys
        if self.camel_keys and self.snake_keys:
            self.findings.mixed = tree

    def _keep(self, value: Any, at: str) -> None:
        """Put a value into `extra` whole, in place of what was put there of its members."""
        extra = self.findings.extra
        if isinstance(value, dict):
            for inner in [pointer for pointer in extra if pointer.startswith(f"{at}/")]:
                del extra[inner]
        extra[at] = value


def _read_integer(walk: Walk, value: Any, at: str) -> int | None:
    if isinstance(value, NO_SCALAR):
        walk.findings.drop_at(at, "wrong_type", value)
    elif isinstance(value, int):
        if in_range(value):
            return value
        walk.findings.drop_at(at, "out_of_range", value)
    elif isinstance(value, float):
        if value.is_integer() and abs(value) < EXACT_FLOAT:
            walk.findings.note_at(at, "float_as_integer", value)
            return int(value)
        walk.findings.drop_at(at, "wrong_type", value)
    elif _INTEGER.fullmatch(value) and value.isascii() and in_range(int(value)):
        walk.findings.note_at(at, "text_as_integer", value)
        return int(value)
    else:
        walk.findings.drop_at(at, "wrong_type", value)
    return None


def _read_number(walk: Walk, value: Any, at: str) -> float | None:
    if isinstance(value, NO_SCALAR):
        walk.findings.drop_at(at, "wrong_type", value)
    elif isinstance(value, int):
        if in_range(value):
            return value
        walk.findings.drop_at(at, "out_of_range", value)
    elif isinstance(value, float):
        return value
    elif _NUMBER.fullmatch(value) and value.isascii() and math.isfinite(float(value)):
        walk.findings.note_at(at, "text_as_number", value)
        return float(value)
    else:
        walk.findings.drop_at(at, "wrong_type", value)
    return None


def _read_text(walk: Walk, value: Any, at: str) -> str | None:
    if isinstance(value, str):
        return value if walk.findings.is_clean else walk.findings.text(value, at)
    if isinstance(value, NUMBERS) and not isinstance(value, bool):
        walk.findings.note_at(at, "number_as_text", value)
        return msgspec.json.encode(value).decode()
    if isinstance(value, CONTAINERS) and at.endswith("/arguments"):
        walk.findings.note_at(at, "object_as_text", value)
        return to_json(value).decode()
    walk.findings.drop_at(at, "wrong_type", value)
    return None


def _read_flag(walk: Walk, value: Any, at: str) -> bool | None:
    if isinstance(value, bool):
        return value
    walk.findings.drop_at(at, "wrong_type", value)
    return None


def _read_scalar(walk: Walk, value: Any, at: str) -> float | str | None:
    if isinstance(value, NO_SCALAR):
        walk.findings.drop_at(at, "wrong_type", value)
    elif isinstance(value, int) and not in_range(value):
        walk.findings.drop_at(at, "out_of_range", value)
    elif isinstance(value, str):
        return walk.findings.text(value, at)
    else:
        return value  # type: ignore[no-any-return]  # int or float
    return None


def _read_any(walk: Walk, value: Any, at: str) -> Any:
    return value


def _struct_reader(wanted: type[msgspec.Struct]) -> Any:
    def read(walk: Walk, value: Any, at: str) -> Any:
        if isinstance(value, dict):
            if value.get("isUnknown") is True and isinstance(value.get("raw"), dict):
                return _sdk_unknown(walk, value, wanted, at)
            return walk.struct(value, wanted, at)
        if isinstance(value, str) and getattr(wanted, "ORIGINAL", wanted) is ImageURL and value:
            url = walk.findings.text(value, at)
            walk.findings.note_at(at, "text_as_object", url)
            return ImageURL(url=url)
        walk.findings.drop_at(at, "wrong_type", value)
        return None

    return read


def _sdk_unknown(walk: Walk, value: dict[str, Any], wanted: type[msgspec.Struct], at: str) -> Any:
    """What a Speakeasy SDK makes of a member it does not know: `{"raw": …, "type": "UNKNOWN", "isUnknown": true}`."""
    for key, item in value.items():
        if key != "raw" and item is not None:
            walk.findings.extra[f"{at}/{escape(key)}"] = item
    snake = walk.snake_keys
    built = walk.struct(value["raw"], wanted, f"{at}/raw")
    walk.snake_keys = snake  # what an SDK did not know it did not re-case
    return built


def _list_reader(item: Any, *, nullable: bool) -> Any:
    read_item = _reader(item)
    scalar = not _holds_struct(item)

    def read(walk: Walk, value: Any, at: str) -> Any:
        if not isinstance(value, list):
            walk.findings.drop_at(at, "wrong_type", value)
            return None
        if at.endswith("/choices"):
            for place, member in enumerate(value):
                if not isinstance(member, dict):
                    raise InvalidPayloadError(
                        "a choice is not an object; `choices` must be a list of objects", path=f"{at}/{place}"
                    )
        notes = len(walk.findings.notes)
        built = [
            None if member is None else read_item(walk, member, f"{at}/{place}") for place, member in enumerate(value)
        ]
        if nullable or None not in built:
            return built
        if not scalar:
            return [member for member in built if member is not None]
        # A gap in a list of numbers shifts all that follows: no honest reading.
        del walk.findings.notes[notes:]
        for place in range(len(value)):
            walk.findings.extra.pop(f"{at}/{place}", None)
        walk.findings.drop_at(at, "wrong_type", value)
        return None

    return read


def _map_reader(item: Any) -> Any:
    read_item = _reader(item)

    def read(walk: Walk, value: Any, at: str) -> Any:
        if not isinstance(value, dict):
            walk.findings.drop_at(at, "wrong_type", value)
            return None
        clean = {walk.findings.text(key, at): member for key, member in value.items() if member is not None}
        built = {key: read_item(walk, member, f"{at}/{escape(key)}") for key, member in clean.items()}
        return {key: member for key, member in built.items() if member is not None}

    return read


def _union_reader(options: tuple[Any, ...]) -> Any:
    """A union of the wire Structs: at most one scalar reading, one object and one list."""
    scalars = [option for option in options if get_origin(option) not in (list, dict) and not is_struct(option)]
    objects = [_reader(option) for option in options if is_struct(option)]
    lists = [_reader(option) for option in options if get_origin(option) is list]
    scalar = None
    if str in scalars and len(scalars) > 1:
        scalar = _read_scalar
    elif scalars:
        scalar = _reader(Union[tuple(scalars)])

    def read(walk: Walk, value: Any, at: str) -> Any:
        if isinstance(value, dict) and objects:
            return objects[0](walk, value, at)
        if isinstance(value, list) and lists:
            return lists[0](walk, value, at)
        if scalar is None:
            walk.findings.drop_at(at, "wrong_type", value)
            return None
        return scalar(walk, value, at)

    return read


def _holds_struct(annotation: Any) -> bool:
    return is_struct(annotation) or any(_holds_struct(argument) for argument in get_args(annotation))


def _reader(annotation: Any) -> Any:
    if annotation is Any:
        return _read_any
    options = tuple(option for option in _options(annotation) if option is not type(None))
    if len(options) > 1 and {_base(option) for option in options} == {int, float}:
        return _read_number
    if len(options) > 1 and not all(get_origin(option) is Literal for option in options):
        return _union_reader(options)
    (option,) = options[:1]
    base = _base(option)
    if base is int:
        return _read_integer
    if base is float:
        return _read_number
    if base is str or get_origin(option) is Literal:
        return _read_text
    if base is bool:
        return _read_flag
    if is_struct(option):
        return _struct_reader(option)
    if get_origin(option) is list:
        (item,) = get_args(option)
        return _list_reader(item, nullable=type(None) in _options(item))
    if get_origin(option) is dict:
        return _map_reader(get_args(option)[1])
    raise TypeError(f"a wire Struct may not hold {annotation!r}; use scalars, lists, string maps, Structs and Any")


def _options(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(inner for option in get_args(annotation) for inner in _options(option))
    return (annotation,)


def _base(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


@cache
def _fields(wanted: type[msgspec.Struct]) -> tuple[dict[str, Field], dict[str, Field], Schema, frozenset[str]]:
    """The fields of a Struct by wire key, those whose camelCase key differs by that, its schema, and their keys."""
    kept: frozenset[str] = getattr(wanted, "KEPT", frozenset())
    fields: dict[str, Field] = {}
    camel_fields: dict[str, Field] = {}
    for item in fields_of(wanted):
        if item.name.startswith(REFUSED):
            continue
        field = Field(
            item.name,
            item.encode_name,
            _reader(item.type),
            item.name in kept,
            camel(item.encode_name) != item.encode_name,
        )
        fields[item.encode_name] = field
        if camel(item.encode_name) != item.encode_name:
            camel_fields[camel(item.encode_name)] = field
    snake = frozenset(field.key for field in camel_fields.values())
    return fields, camel_fields, schema_of(getattr(wanted, "ORIGINAL", wanted), "snake"), snake
