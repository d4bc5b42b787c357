"""camelCase twins of the wire Structs, derived and never written twice.

A twin has the attribute names of its original and the keys that TypeScript SDKs print. msgspec's `rename` does not
reach inherited fields and then decodes camelCase into the defaults without a word, so a twin is rebuilt field by
field, all the way down. Maps whose keys are data (legacy `top_logprobs`) keep their keys: only Structs are re-cased.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from functools import cache
from threading import RLock
from typing import Annotated, Any, TypeGuard, TypeVar, Union, get_args, get_origin

import msgspec

from .pointer import camel

Child = Callable[[type[msgspec.Struct]], type[msgspec.Struct]]
Kind = TypeVar("Kind", bound=msgspec.Struct)

_compiling = RLock()


def compiled(struct: type[msgspec.Struct]) -> Callable[[bytes], Any]:
    """The decoder of a Struct.

    Only one thread compiles at a time: msgspec (0.22) shows a Struct's members to other threads before it has worked
    out their types, and who decodes with such a Struct takes the process down.
    """
    with _compiling:
        return msgspec.json.Decoder(struct).decode


_known = cache(compiled)


def converted(leaf: Any, kind: type[Kind]) -> Kind:
    """A Struct as another kind of Struct, by the names of its fields; other threads may do the same."""
    _known(kind)
    return msgspec.convert(leaf, kind, from_attributes=True)


@cache
def camel_twin(original: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The Struct that decodes the camelCase form of `original`: itself, where no key in it is written otherwise."""
    if all(camel(item.encode_name) == item.encode_name and not has_twins(item.type) for item in fields_of(original)):
        return original
    twin = rebuild(original, original.__name__ + "Camel", camel, camel_twin)
    _originals[twin] = original
    return twin


def has_twins(annotation: Any) -> bool:
    """Whether a Struct in a type has another form in camelCase."""
    if is_struct(annotation):
        return camel_twin(annotation) is not annotation
    return any(has_twins(argument) for argument in get_args(annotation))


_originals: dict[type[msgspec.Struct], type[msgspec.Struct]] = {}


def original_of(struct: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The Struct that a twin is of; any other is its own original."""
    return _originals.get(struct, struct)


def rebuild(
    original: type[msgspec.Struct],
    name: str,
    rename: Callable[[str], str],
    child: Child | None,
    more: tuple[Any, ...] = (),
    replaced: Mapping[str, Any] = types.MappingProxyType({}),
) -> type[msgspec.Struct]:
    """`original` with its keys renamed, the Structs inside replaced by `child(struct)`, and `more` fields added.

    `replaced` names, by key, fields that get another type.
    """
    fields: list[Any] = []
    for item in fields_of(original):
        kind = replaced.get(item.encode_name)
        if kind is None:
            kind = item.type if child is None else map_structs(item.type, child)
        default = default_of(item)
        if is_struct(default.get("default_factory")):
            default["default_factory"] = kind
        fields.append((item.name, kind, msgspec.field(name=rename(item.encode_name), **default)))
    return msgspec.defstruct(
        name,
        [*fields, *more],
        bases=(_root_of(original),),
        module=__name__,
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,
    )


def _root_of(original: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The nearest ancestor without fields: who has the same one and the same fields has the same layout."""
    return next(base for base in original.__mro__ if is_struct(base) and not getattr(base, "__struct_fields__", ()))


def is_struct(kind: object) -> TypeGuard[type[msgspec.Struct]]:
    """Whether a type is a Struct."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


@cache
def fields_of(original: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """The fields of a Struct that stands in a module, or of its twin; msgspec works them out at each call."""
    return msgspec.structs.fields(original)


def default_of(item: msgspec.structs.FieldInfo) -> dict[str, Any]:
    """The default of a field, as `msgspec.field` takes it."""
    if item.default is not msgspec.NODEFAULT:
        return {"default": item.default}
    if item.default_factory is not msgspec.NODEFAULT:
        return {"default_factory": item.default_factory}
    return {}


def map_structs(annotation: Any, child: Child) -> Any:
    """A type with every Struct in it replaced by `child(struct)`."""
    if is_struct(annotation):
        return child(annotation)
    origin = get_origin(annotation)
    if origin is Annotated or origin is None:
        return annotation
    arguments = tuple(map_structs(argument, child) for argument in get_args(annotation))
    if origin in (Union, types.UnionType):
        return Union[arguments]
    if origin in (list, dict):
        return origin[arguments]
    return annotation


def keys_of(struct: type[msgspec.Struct]) -> set[str]:
    """Every key in a tree of Structs."""
    found: set[str] = set()

    def visit(item: type[msgspec.Struct]) -> type[msgspec.Struct]:
        for field in msgspec.structs.fields(item):
            found.add(field.encode_name)
            map_structs(field.type, visit)
        return item

    visit(struct)
    return found


@cache
def raw_keys_of(struct: type[msgspec.Struct]) -> tuple[tuple[str | None, bytes], ...]:
    """The keys of a Struct, and of those inside it, whose values are only skipped over (`Raw`), as JSON has them.

    Each with the name of its field, or `None` where it stands in a Struct inside.
    """
    found: dict[str, str | None] = {}

    def visit(inner: type[msgspec.Struct]) -> type[msgspec.Struct]:
        for item in msgspec.structs.fields(inner):
            if item.type is msgspec.Raw:
                found[item.encode_name] = item.name if inner is struct and item.encode_name not in found else None
            else:
                map_structs(item.type, visit)
        return inner

    visit(struct)
    return tuple((name, f'"{key}"'.encode()) for key, name in sorted(found.items()))
