"""The decodable forms of a wire Struct: snake_case and camelCase, derived and never written twice.

A form has the attributes of its original, under the keys of one spelling, and skips unknown keys. The keys that the
original has in the other spelling are declared with a type that no value has, so that a body in the other spelling is
refused instead of skipped; so are `isUnknown`, by which an SDK marks a member that it did not know, and the keys that
the caller names. msgspec's `rename` does not reach inherited fields and then decodes camelCase into the defaults
without an error, so a form is built field by field, all the way down. Maps whose keys are data (`top_logprobs` of text
completions) keep their keys: only Structs are re-cased.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from functools import cache
from threading import RLock
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin

import msgspec

from ..dialect.wire import Failed, Nothing, fields_of
from ..model import Leaf
from ..payload import guarded
from ..pointer import camel

Spelling = Literal["snake", "camel"]
Keys = tuple[str, ...]

REFUSED = "refused_"  # how the attributes of refused keys start

_compiling = RLock()


def compiled(struct: type[msgspec.Struct]) -> Callable[[bytes], Any]:
    """The decoder of a Struct.

    Only one thread compiles at a time: msgspec (0.22) shows a Struct's members to other threads before it has worked
    out their types, and a decode with such a Struct crashes the process.
    """
    with _compiling:
        decode = msgspec.json.Decoder(struct).decode
    return decode if is_bounded(struct) else guarded(decode)


def is_bounded(annotation: Any) -> bool:
    """Whether what is decoded into a type cannot nest deeper than the type: it skips no keys, and no value is `Any`."""
    if is_struct(annotation):
        is_strict = annotation.__struct_config__.forbid_unknown_fields
        return is_strict and all(is_bounded(item.type) for item in fields_of(annotation))
    return annotation is not Any and all(map(is_bounded, get_args(annotation)))


class Form(msgspec.Struct, frozen=True):
    """Which form of a Struct: its spelling, and the keys that it has beside those of the Struct.

    `refused` are keys that it refuses unless they are null, `watched` those that only markers look at, each as a path
    of snake_case keys. The leaves of a `strict` form refuse unknown keys and have the layout of the canonical leaves,
    so that nothing of them has to be copied (`adapt.leaf`); few bodies have vendor keys there.
    """

    spelling: Spelling
    refused: frozenset[str] = frozenset()
    watched: frozenset[Keys] = frozenset()
    strict: bool = False

    def key(self, name: str) -> str:
        """A snake_case key in this spelling."""
        return camel(name) if self.spelling == "camel" else name

    def inside(self, name: str) -> Form:
        """The form of a Struct that is the member `name` of a Struct in this form."""
        watched = frozenset(path[1:] for path in self.watched if path[:1] == (name,) and path[1:])
        return Form(self.spelling, watched=watched, strict=self.strict)


@cache
def formed(original: type[msgspec.Struct], form: Form) -> type[msgspec.Struct]:
    """The form of a wire Struct."""
    if form.strict and issubclass(original, Leaf):
        return original if form.spelling == "snake" else _camel_leaf(original)
    fields: list[Any] = []
    keys: set[str] = set()
    for item in fields_of(original):
        inside = form.inside(item.encode_name)
        kind = map_structs(item.type, lambda struct, inside=inside: formed(struct, inside))  # type: ignore[misc]
        fields.append((item.name, kind, msgspec.field(name=form.key(item.encode_name), **_default(item))))
        keys.add(form.key(item.encode_name))
    known = {item.encode_name for item in fields_of(original)}
    for name in sorted({path[0] for path in form.watched} - known):
        fields.append((name, Any, msgspec.field(name=form.key(name), default=None)))
        keys.add(form.key(name))
    for number, (key, kind) in enumerate(_refusals(original, form)):
        if key not in keys:
            keys.add(key)
            fields.append((f"{REFUSED}{number}", kind, msgspec.field(name=key, default=None)))
    watched = {path[0] for path in form.watched} - known
    namespace = {"ORIGINAL": original, "KEPT": getattr(original, "KEPT", frozenset()) | watched}
    return msgspec.defstruct(original.__name__, fields, namespace=namespace, module=__name__, kw_only=True, gc=False)


@cache
def _camel_leaf(original: type[Leaf]) -> type[msgspec.Struct]:
    """A canonical leaf under camelCase keys, with the same layout: all its fields are renamed, none is added."""
    fields: list[Any] = []
    for item in fields_of(original):
        kind = map_structs(item.type, _camel_leaf)
        fields.append((item.name, kind, msgspec.field(name=camel(item.encode_name), **_default(item))))
    return msgspec.defstruct(
        original.__name__,
        fields,
        bases=(original,),
        namespace={"ORIGINAL": original},
        module=__name__,
        kw_only=True,
        gc=False,
        forbid_unknown_fields=True,
    )


def _refusals(original: type[msgspec.Struct], form: Form) -> Iterable[tuple[str, Any]]:
    """The keys that a form refuses: those of the other spelling whatever they hold, others unless they are null."""
    for item in fields_of(original):
        name = item.encode_name
        yield (name if form.spelling == "camel" else camel(name)), Nothing
    yield "isUnknown", None
    for name in sorted(form.refused):
        yield name, None


def _default(item: msgspec.structs.FieldInfo) -> dict[str, Any]:
    """The default of a field, as `msgspec.field` takes it."""
    if item.default is not msgspec.NODEFAULT:
        return {"default": item.default}
    if item.default_factory is not msgspec.NODEFAULT:
        return {"default_factory": item.default_factory}
    return {}


def is_struct(kind: object) -> TypeGuard[type[msgspec.Struct]]:
    """Whether a type is a Struct."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def map_structs(annotation: Any, change: Callable[[type[msgspec.Struct]], type[msgspec.Struct]]) -> Any:
    """A type with every Struct in it replaced by `change(struct)`."""
    if is_struct(annotation):
        return change(annotation)
    origin = get_origin(annotation)
    if origin is Annotated or origin is None:
        return annotation
    arguments = tuple(map_structs(argument, change) for argument in get_args(annotation))
    if origin in (Union, types.UnionType):
        return Union[arguments]
    if origin in (list, dict):
        return origin[arguments]
    return annotation


@cache
def keys_of(struct: type[msgspec.Struct]) -> frozenset[str]:
    """Every key in a tree of Structs."""
    found: set[str] = set()

    def visit(item: type[msgspec.Struct]) -> type[msgspec.Struct]:
        for field in fields_of(item):
            found.add(field.encode_name)
            map_structs(field.type, visit)
        return item

    visit(struct)
    return frozenset(found)


def spelling_of(tree: Any) -> Spelling:
    """The spelling of a payload: whether more of its keys are schema keys in camelCase than in snake_case."""
    snake = {key for key in keys_of(Failed) if camel(key) != key}
    camels = {camel(key) for key in snake}
    balance = 0
    stack = [tree]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            balance += len(value.keys() & camels) - len(value.keys() & snake)
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
    return "camel" if balance > 0 else "snake"
