"""What a shape decoded, as the Structs that adapters know: vendor keys into `extra`, camelCase twins into originals.

A Struct without vendor keys has the layout of its original and becomes one by assigning `__class__`; one with them is
copied. The functions are written as text, like the methods of a dataclass: walking the types for each payload takes
three times as long.
"""

from __future__ import annotations

import itertools
import re
import types
from collections.abc import Callable
from functools import cache
from typing import Any, Union, get_args, get_origin

import msgspec

from .pointer import escape
from .spelling import fields_of, is_struct, original_of
from .widen import ALIAS, Paths, Plan

Kind = type[msgspec.Struct]
Recast = Callable[[Any, str, dict[str, Any]], Any]


class _Variable(str):
    """A piece of a pointer that is known only at run time, as an expression; the other pieces are text."""

    __slots__ = ()


_AT = (_Variable("at"),)
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]+")


def gather(kind: Kind, plan: Plan | None) -> Recast:
    """`gather(sent, pointer, extra)`: what vendor keys hold goes to `extra`, and the Structs inside become originals.

    What was sent is a `kind`, widened by a plan; it comes back as it is.
    """
    writer = _Writer()
    writer.members(kind, plan, "sent", _AT, 1)
    return writer.function("sent, at, extra", "sent")


def narrow(kind: Kind, plan: Plan | None) -> Recast:
    """The same, and what was sent comes back as an original too."""
    writer = _Writer()
    writer.struct(kind, plan, "sent", _AT, 1, "sent")
    return writer.function("sent, at, extra", "sent")


def is_in_order(paths: Paths) -> bool:
    """Whether `gather` fills an empty `extra` in the order of its pointers, as long as no list has over ten members.

    The pointers of the keys are in order where no key sorts before the slash; a list inside a list is not looked at.
    """
    return all(path.count("*") < 2 and all(_PLAIN_KEY.fullmatch(key) for key in path if key != "*") for path in paths)


@cache
def _respelled(twin: Kind) -> Callable[[Any], None]:
    """A function that makes a twin, and all in it, originals in place."""
    writer = _Writer()
    writer.members(twin, None, "sent", (), 1)
    writer.line(1, f"sent.__class__ = {writer.known(original_of(twin))}")
    return writer.function("sent", "None")


class _Writer:
    """The text of one function; `at` are the pieces of a pointer, `depth` is how far a line is indented."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {"Struct": msgspec.Struct}
        self.count = 0

    def function(self, parameters: str, result: str) -> Callable[..., Any]:
        text = [f"def written({parameters}):", *self.lines, f"    return {result}"]
        exec("\n".join(text), self.names)  # noqa: S102 - names of fields and quoted text
        written: Callable[..., Any] = self.names["written"]
        return written

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def fresh(self, word: str) -> str:
        self.count += 1
        return f"{word}_{self.count}"

    def known(self, value: object) -> str:
        name = self.fresh("known")
        self.names[name] = value
        return name

    def members(self, kind: Kind, plan: Plan | None, owner: str, at: tuple[str, ...], depth: int) -> None:
        """What a Struct holds, in the order of the pointers: that of `extra`."""
        wide = {} if plan is None else {name: inner for name, _, inner in plan.inner}
        members: list[tuple[str, str, Any]] = (
            [] if plan is None else [(place, name, None) for name, place in plan.added]
        )
        members += [
            ("/" + escape(item.encode_name), item.name, item.type)
            for item in fields_of(kind)
            if item.name in wide or (original_of(kind) is not kind and _has_structs(item.type))
        ]
        alias = plan.alias if plan is not None else None
        if alias is not None:
            members.append(("/" + ALIAS, alias, None))
        for place, name, annotation in sorted(members, key=lambda member: member[0]):
            value, here = self.fresh("value"), (*at, place)
            self.line(depth, f"if ({value} := {owner}.{name}) is not None:")
            if annotation is not None:
                self.value(annotation, wide.get(name), value, here, depth + 1, f"{owner}.{name}")
                continue
            if name == alias:  # as in `dialect.reasoning`
                self.line(depth + 1, f"text = {owner}.reasoning = {owner}.reasoning or {value}")
                self.line(depth + 1, f"if {value} and {value} != text:")
            self.line(depth + 1 + (name == alias), f"extra[{_joined(here)}] = {value}")

    def value(  # noqa: PLR0917
        self, annotation: Any, plan: Plan | None, value: str, at: tuple[str, ...], depth: int, store: str
    ) -> None:
        """A value that is no null; `store` is where it came from."""
        test = "if"
        for kind in _alternatives(annotation):
            origin = get_origin(kind)
            if origin is list:
                number, item = self.fresh("number"), self.fresh("item")
                self.line(depth, f"{test} {value}.__class__ is list:")
                self.line(depth + 1, f"for {number}, {item} in enumerate({value}):")
                self.line(depth + 2, f"if {item} is not None:")
                here = (*at, "/", _Variable(f"str({number})"))
                self.value(get_args(kind)[0], plan, item, here, depth + 3, f"{value}[{number}]")
            elif origin is dict:
                item = self.fresh("item")
                self.line(depth, f"{test} {value}.__class__ is dict:")
                self.line(depth + 1, f"for {item} in {value}.values():")
                self.value(get_args(kind)[1], None, item, (), depth + 2, item)
            else:
                self.line(depth, f"{test} isinstance({value}, Struct):")
                self.struct(kind, plan, value, at, depth + 1, store)
            test = "elif"

    def struct(  # noqa: PLR0917
        self, kind: Kind, plan: Plan | None, value: str, at: tuple[str, ...], depth: int, store: str
    ) -> None:
        """A Struct, which becomes an original; one that is copied is put where it came from."""
        original = original_of(kind)
        if plan is None:
            if any(_has_structs(item.type) for item in fields_of(kind)):
                self.line(depth, f"{self.known(_respelled(kind))}({value})")
            else:
                self.line(depth, f"{value}.__class__ = {self.known(original)}")
            return
        self.members(kind, plan, value, at, depth)
        copied = ", ".join(f"{name}={value}.{name}" for name in original.__struct_fields__)
        self.line(depth, f"{store} = {self.known(original)}({copied})")


def _joined(at: tuple[str, ...]) -> str:
    """A pointer as an expression."""
    groups = itertools.groupby(at, key=type)
    return " + ".join(repr("".join(group)) if kind is str else " + ".join(group) for kind, group in groups)


def _alternatives(annotation: Any) -> list[Any]:
    """The members of a union that are Structs or hold some."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    return [kind for kind in kinds if _has_structs(kind)]


def _has_structs(annotation: Any) -> bool:
    return is_struct(annotation) or any(_has_structs(argument) for argument in get_args(annotation))
