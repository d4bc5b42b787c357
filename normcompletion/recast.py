"""What a shape decoded, as the Structs that adapters know: vendor keys into `extra`, camelCase twins into originals.

A Struct without vendor keys has the layout of its original and becomes one by assigning `__class__`; one with them is
copied. The functions are written as text, like the methods of a dataclass: walking the types for each payload takes
three times as long.
"""

from __future__ import annotations

import itertools
import re
import types
from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType
from typing import Any, Union, get_args, get_origin

import msgspec

from . import model
from .dialect import has_python_arguments, present_members
from .pointer import escape
from .spelling import fields_of, is_struct, original_of
from .widen import ALIAS, CALL, STALE, TEXT, WHOLE, Paths, Plan

Kind = type[msgspec.Struct]
Recast = Callable[[Any, str, dict[str, Any]], Any]
Hear = Callable[[str, dict[str, Any], Any], None]
Fold = Callable[[Any, dict[str, Any], Mapping[int | None, Any], Hear | None], bool]


class _Variable(str):
    """A piece of a pointer that is known only at run time, as an expression; the other pieces are text."""

    __slots__ = ()


class _Number(_Variable):
    """A place in a list."""

    __slots__ = ()


_AT = (_Variable("at"),)
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]+")


def gather(kind: Kind, plan: Plan | None, *, at_root: bool = False) -> Recast:
    """`gather(sent, pointer, extra)`: what vendor keys hold goes to `extra`, and the Structs inside become originals.

    What was sent is a `kind`, widened by a plan; it comes back as it is, or `None` comes where the open form must say
    what it is. With `at_root` the pointers start there, and the given one is not looked at.
    """
    writer = _Writer()
    writer.members(kind, plan, "sent", () if at_root else _AT, 1)
    return writer.function("sent, at, extra", "sent")


def narrow(kind: Kind, plan: Plan | None) -> Recast:
    """The same, and what was sent comes back as an original too."""
    writer = _Writer()
    writer.struct(kind, plan, "sent", _AT, 1, "sent")
    return writer.function("sent, at, extra", "sent")


def fold(plan: Plan, usage: Recast | None, logprobs: Recast | None) -> Fold:
    """`fold(chunk, extra, answers, hear)`: what vendor keys hold goes to `extra`; false where they hold nothing.

    What those of a choice hold goes to the `extra` of its answer, by pointers below the choice; the parts of a content
    list stand where its `part_places` say. `hear` is told each pointer, with `extra` as it was and the value, but for
    what `usage` and `logprobs` move, which `gather` gave.
    """
    writer = _Writer()
    writer.line(1, "found = False")
    writer.own(plan, "chunk", "extra", "", 1)
    if usage is not None:
        writer.line(1, "if chunk.usage is not None:")
        writer.line(2, "found = True")
        writer.line(2, f"{writer.known(usage)}(chunk.usage, '/usage', extra)")
    choice = _inner(plan, "choices")
    if choice is not None:
        below = "answers[choice.index].extra"
        writer.line(1, "for choice in chunk.choices:")
        writer.line(2, "pass")
        writer.own(choice, "choice", below, "", 2)
        if WHOLE in choice.special:
            writer.line(2, "if (message := choice.message) is not None:")
            writer.keep("present_members(message)", below, repr("/" + WHOLE), 3)
        if logprobs is not None:
            writer.line(2, "if choice.logprobs is not None:")
            writer.line(3, "found = True")
            writer.line(3, f"{writer.known(logprobs)}(choice.logprobs, '/logprobs', {below})")
        delta = _inner(choice, "delta")
        if delta is not None:
            writer.line(2, "if (delta := choice.delta) is not None:")
            writer.line(3, "pass")
            writer.own(delta, "delta", below, "/delta", 3)
            part = _inner(delta, "content")
            if part is not None:
                writer.line(3, "if delta.content.__class__ is list:")
                writer.line(4, "places = answers[choice.index].part_places")
                writer.line(4, "for part in delta.content:")  # a chunk may have several choices of one index
                writer.line(5, "at = f'/delta/content/{places.pop(0)}'")
                writer.own(part, "part", below, "", 5, "at + ")
    return writer.function("chunk, extra, answers, hear", "found")


def _inner(plan: Plan, name: str) -> Plan | None:
    return next((inner for each, _, inner in plan.inner if each == name), None)


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
    writer.line(1, f"sent.__class__ = {writer.known(_final(twin))}")
    return writer.function("sent", "None")


# What is done with the members that are no vendor's; lines with a further indent.
_SPECIAL: Mapping[str, tuple[tuple[int, str], ...]] = {
    ALIAS: (  # as in `dialect.reasoning`
        (0, "text = {owner}.reasoning = {owner}.reasoning or {value}"),
        (0, "if {value} and {value} != text:"),
        (1, "extra[{pointer}] = {value}"),
    ),
    STALE: (  # which is the message itself where there is no other
        (0, "if {owner}.message.role is None and {owner}.message.content is None:"),
        (1, "return None"),
        (0, "extra[{pointer}] = present_members({value})"),
    ),
    WHOLE: (  # which is the delta itself where there is no other
        (0, "if {owner}.delta is None:"),
        (1, "return None"),
        (0, "extra[{pointer}] = present_members({value})"),
    ),
    TEXT: (  # which the delta says too, where there is one
        (0, "if {owner}.delta is None or {owner}.delta.content != {value}:"),
        (1, "return None"),
    ),
    CALL: (  # which is remarked or kept in some cases
        (0, "if {owner}.tool_calls or has_python_arguments([call := ToolCall(type='function', function={value})]):"),
        (1, "return None"),
        (0, "{owner}.tool_calls = [call]"),
    ),
}


class _Writer:
    """The text of one function; `at` are the pieces of a pointer, `depth` is how far a line is indented."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {
            "Struct": msgspec.Struct,
            "ToolCall": model.ToolCall,
            "has_python_arguments": has_python_arguments,
            "present_members": present_members,
        }
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

    def own(self, plan: Plan, owner: str, extra: str, base: str, depth: int, at: str = "") -> None:  # noqa: PLR0917
        """What the vendor keys of a Struct itself hold; `at`, an expression, and `base` are before their pointers."""
        for name, place in plan.added:
            self.line(depth, f"if (value := {owner}.{name}) is not None:")
            self.keep("value", extra, at + repr(base + place), depth + 1)

    def keep(self, value: str, extra: str, pointer: str, depth: int) -> None:
        self.line(depth, f"found, kept, place = True, {extra}, {pointer}")
        self.line(depth, "if hear is not None:")
        self.line(depth + 1, f"hear(place, kept, {value})")
        self.line(depth, f"kept[place] = {value}")

    def members(self, kind: Kind, plan: Plan | None, owner: str, at: tuple[str, ...], depth: int) -> None:
        """What a Struct holds, in the order of the pointers: that of `extra`."""
        wide = {} if plan is None else {name: inner for name, _, inner in plan.inner}
        members: list[tuple[str, str, Any]] = (
            [] if plan is None else [(place, name, None) for name, place in plan.added]
        )
        members += [
            ("/" + escape(item.encode_name), item.name, item.type)
            for item in fields_of(kind)
            if item.name in wide or _has_twins(item.type)
        ]
        special = frozenset() if plan is None else plan.special
        members += [("/" + key, key, None) for key in special]
        last = CALL if CALL in special else None  # it goes where calls have been looked through by then
        for place, name, annotation in sorted(members, key=lambda member: (member[1] == last, member[0])):
            value, here = self.fresh("value"), (*at, place)
            self.line(depth, f"if ({value} := {owner}.{name}) is not None:")
            if annotation is not None:
                self.value(annotation, wide.get(name), value, here, depth + 1, f"{owner}.{name}")
            elif name not in special:
                self.line(depth + 1, f"extra[{_joined(here)}] = {value}")
            else:
                for deeper, text in _SPECIAL[name]:
                    self.line(depth + 1 + deeper, text.format(owner=owner, value=value, pointer=_joined(here)))

    def value(  # noqa: PLR0917
        self, annotation: Any, plan: Plan | None, value: str, at: tuple[str, ...], depth: int, store: str
    ) -> None:
        """A value that is no null; `store` is where it came from."""
        kinds = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
        kinds = tuple(kind for kind in kinds if kind is not NoneType)
        test = "if"
        for kind in kinds:
            if not (_has_twins(kind) if plan is None else _has_structs(kind)):
                continue
            origin = get_origin(kind)
            inside = depth
            if len(kinds) > 1:
                is_kind = (
                    f"isinstance({value}, Struct)" if origin is None else f"{value}.__class__ is {origin.__name__}"
                )
                self.line(depth, f"{test} {is_kind}:")
                inside, test = depth + 1, "elif"
            if origin is list:
                self.members_of_list(get_args(kind)[0], plan, value, at, inside)
            elif origin is dict:
                item = self.fresh("item")
                self.line(inside, f"for {item} in {value}.values():")
                self.value(get_args(kind)[1], None, item, (), inside + 1, item)
            else:
                self.struct(kind, plan, value, at, inside, store)

    def members_of_list(self, annotation: Any, plan: Plan | None, value: str, at: tuple[str, ...], depth: int) -> None:
        """The members of a list; `choices` mostly has one, whose pointers are known."""
        number, item = self.fresh("number"), self.fresh("item")
        if plan is not None and not any(isinstance(piece, _Number) for piece in at):
            self.line(depth, f"if len({value}) == 1:")
            self.line(depth + 1, f"if ({item} := {value}[0]) is not None:")
            self.value(annotation, plan, item, (*at, "/0"), depth + 2, f"{value}[0]")
            self.line(depth, "else:")
            depth += 1
        self.line(depth, f"for {number}, {item} in enumerate({value}):")
        self.line(depth + 1, f"if {item} is not None:")
        self.value(annotation, plan, item, (*at, "/", _Number(f"str({number})")), depth + 2, f"{value}[{number}]")

    def struct(  # noqa: PLR0917
        self, kind: Kind, plan: Plan | None, value: str, at: tuple[str, ...], depth: int, store: str
    ) -> None:
        """A Struct, which becomes an original; one that is copied is put where it came from."""
        original = _final(kind)
        if plan is None:
            if any(_has_twins(item.type) for item in fields_of(kind)):
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


def _final(kind: Kind) -> Kind:
    """What a Struct becomes: its original, or the canonical one whose layout that has (`wire.TightChoice`)."""
    original = original_of(kind)
    bases = (base for base in original.__mro__ if is_struct(base) and base.__module__ == model.__name__)
    return next((base for base in bases if base.__struct_fields__ == original.__struct_fields__), original)


def _has_structs(annotation: Any) -> bool:
    return is_struct(annotation) or any(_has_structs(argument) for argument in get_args(annotation))


def _has_twins(annotation: Any) -> bool:
    """Whether a type holds Structs that are not their own originals."""
    if is_struct(annotation):
        return original_of(annotation) is not annotation
    return any(_has_twins(argument) for argument in get_args(annotation))
