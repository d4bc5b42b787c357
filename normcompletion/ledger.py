"""The ledger of one payload: what the canonical model has no field for, and every repair.

`NOTES` is the closed table of repairs. A *fault* is a known member of a wrong type or out of range, and refuses the
payload in strict mode; a *remark* is a reading that strict mode lets pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct, field

from .model import Completion, Note
from .parse import escape_surrogates, in_range, parse_unclean, replace_surrogates
from .pointer import camel, escape, pointer

Kind = Literal["fault", "remark"]

NOTES: dict[str, tuple[Kind, str]] = {
    "wrong_type": ("fault", "the value has no honest reading here; the field is None, the value is in `extra`"),
    "out_of_range": ("fault", "the number does not fit the field; the field is None, the exact value is in `extra`"),
    "float_as_integer": ("fault", "a whole float where an integer is meant was read as that integer"),
    "text_as_integer": ("fault", "digits in a string were read as an integer"),
    "text_as_number": ("fault", "a decimal number in a string was read as that number"),
    "number_as_text": ("fault", "a number where a string is meant was kept as its digits"),
    "object_as_text": ("fault", "JSON where a string is meant (tool arguments) was written as compact JSON text"),
    "text_as_object": ("fault", "a plain string where an object is meant was put into that object's main field"),
    "uneven_logprobs": ("fault", "the parallel lists of log-probs differ in length; they are in `extra`"),
    "lone_surrogate": ("fault", "half a surrogate pair was replaced by U+FFFD; `before` shows it escaped"),
    "duplicate_key": ("fault", "a key stood twice; the last one was read (only noted in strict mode)"),
    "fractional_time": ("remark", "`created` was written with a decimal point; it was cut to whole seconds"),
    "text_time": ("remark", "`created` was ISO 8601 text; it was read as Unix seconds"),
    "milliseconds": ("remark", "a time was in milliseconds; it was read as seconds"),
    "unknown_finish_reason": ("remark", "the finish word is in no table; it is in `native_finish_reason`"),
    "unknown_role": ("remark", "the role is in no table; `before` holds the word"),
    "placeholder": ("remark", "a value this source writes for 'not known' was read as None"),
    "whole_in_stream": ("fault", "an event of a stream holds a whole response; it was read as one chunk"),
    "incomplete_stream": ("remark", "the stream ended before it said why; `before` is the text of an event cut off"),
    "conflicting_value": ("remark", "the stream gave two values; one stands, `before` is the other"),
    "cumulative_delta": ("remark", "the engine sends the whole text so far in each chunk; the last one stands"),
    "python_arguments": ("remark", "the tool arguments are a Python repr, not JSON; they were left as they are"),
}


def is_fault(note: Note) -> bool:
    """Whether strict mode refuses a payload for this note."""
    return NOTES[note.code][0] == "fault"


def in_order(extra: dict[str, Any]) -> dict[str, Any]:
    """`extra` in the order of its pointers: the same bytes whichever road a payload took."""
    if len(extra) > 1:
        pointers = sorted(extra)
        if pointers != list(extra):
            return {pointer: extra[pointer] for pointer in pointers}
    return extra


def _is_clean(value: Any) -> bool:
    """Whether a value holds no half surrogate pair and no integer beyond 64 bits."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if not item.isascii() and replace_surrogates(item) is not None:
                return False
        elif isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
        elif isinstance(item, int) and not in_range(item):
            return False
    return True


class Ledger(Struct, eq=False):
    """Where adapters and salvage record what they could not place and what they repaired.

    Paths are given in the snake_case names of the wire Structs and written as pointers in the payload's own spelling,
    below `prefix`, the pointer at which the response stands in what was handed in. `source` is what the caller named;
    `fallback` is the source of an unmarked response here. `read` reads a response inside this one; `depth`
    containers stand around this one.
    """

    prefix: str = ""
    source: str | None = None
    fallback: str = "openai"
    read: Callable[[bytes, Ledger], Completion] | None = None
    depth: int = 0
    camel: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def pointer(self, *path: str | int) -> str:
        """The pointer of a path of wire names, in the payload's spelling."""
        if len(path) == 1 and (key := path[0]).__class__ is str and key.isidentifier():
            return f"{self.prefix}/{camel(key) if self.camel else key}"
        if self.camel:
            return self.prefix + pointer(camel(key) if isinstance(key, str) else key for key in path)
        return self.prefix + pointer(path)

    def keep(self, value: Any, *path: str | int) -> None:
        """Put a value that has no canonical field into `extra`."""
        self.extra[self.pointer(*path)] = value

    def note(self, code: str, before: Any, *path: str | int) -> None:
        """Record a repair."""
        self.notes.append(Note(code=code, path=self.pointer(*path), before=before))

    def drop(self, code: str, value: Any, *path: str | int) -> None:
        """Record a value without an honest reading: its field stays None, the value goes to `extra` as it was."""
        at = self.pointer(*path)
        self.extra[at] = value
        self.notes.append(Note(code=code, path=at, before=value))

    def clean(self, value: Any, at: str) -> Any:
        """A free-form value at a pointer, as it may be kept: half surrogate pairs replaced, in keys too.

        Integers beyond 64 bits stay exact; what was replaced and what is out of range gets its note.
        """
        if _is_clean(value):
            return value
        root: list[Any] = [None]
        stack: list[tuple[Any, str, Any, Any]] = [(value, at, root, 0)]
        while stack:  # no recursion: the caller may stand deep already
            item, here, holder, key = stack.pop()
            if isinstance(item, str):
                item = self.text(item, here)
            elif isinstance(item, list):
                children = item
                item = [None] * len(children)
                stack.extend(
                    (child, f"{here}/{place}", item, place) for place, child in reversed(list(enumerate(children)))
                )
            elif isinstance(item, dict):
                members = [(self.text(name, here), child) for name, child in item.items()]
                item = {name: None for name, _ in members}
                stack.extend((child, f"{here}/{escape(kept)}", item, kept) for kept, child in reversed(members))
            elif isinstance(item, int) and not in_range(item):
                self.notes.append(Note(code="out_of_range", path=here, before=item))
            holder[key] = item
        return root[0]

    def text(self, value: str, at: str) -> str:
        """A string at a pointer, without half surrogate pairs."""
        replaced = replace_surrogates(value)
        if replaced is None:
            return value
        at = replace_surrogates(at) or at
        self.notes.append(Note(code="lone_surrogate", path=at, before=escape_surrogates(value)))
        return replaced

    def member(self, name: str, at: str) -> str:
        """The pointer of a member of the object at a pointer; half a surrogate pair may stand in its name."""
        if not name.isascii():
            name = self.text(name, f"{at}/{escape(name)}")
        return f"{at}/{escape(name)}"

    def parsed(self, raw: bytes, at: str, depth: int = 1) -> Any:
        """Free-form JSON that stands at a pointer, `depth` containers deep, cleaned."""
        value, is_unclean = parse_unclean(raw, depth=self.depth + depth)
        return self.clean(value, at) if is_unclean else value

    def below(self, *path: str | int, fallback: str | None = None) -> Ledger:
        """A ledger for a response that stands inside this payload; it writes into the same books.

        An unmarked response there has the source `fallback`, if given.
        """
        return Ledger(
            self.pointer(*path),
            source=self.source if fallback is None else None,
            fallback=fallback or self.fallback,
            read=self.read,
            depth=self.depth + len(path),
            extra=self.extra,
            notes=self.notes,
        )
