"""What was found while a payload was read: every repair, and the values that adapters could not place.

`NOTES` is the closed table of repairs, which `normcompletion notes` prints. A *fault* is a known member of a wrong type
or out of range; a *remark* is a reading that nobody need worry about (a fractional `created`, an unknown finish word, a
placeholder).

>>> from normcompletion import InvalidPayloadError, normalize
>>> body = '{"choices": [{"text": "Sure"}], "created": 1.5, "usage": {"prompt_tokens": "9"}}'
>>> sorted((note.code, note.path, note.before) for note in normalize(body).notes)
[('fractional_time', '/created', 1.5), ('text_as_integer', '/usage/prompt_tokens', '9')]

In strict mode the faults become one error that names them all, and remarks pass:

>>> try:
...     normalize(body, strict=True)
... except InvalidPayloadError as error:
...     print([note.path for note in error.faults])
['/usage/prompt_tokens']
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct, field

from .model import Completion, Note
from .payload import escape_surrogates, replace_surrogates
from .pointer import camel, escape, pointer, spelled

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
    "duplicate_key": ("fault", "a key occurs twice; the last one was read (only noted in strict mode)"),
    "fractional_time": ("remark", "`created` was written with a decimal point; it was cut to whole seconds"),
    "text_time": ("remark", "`created` was ISO 8601 text; it was read as Unix seconds"),
    "milliseconds": ("remark", "a time was in milliseconds; it was read as seconds"),
    "unknown_finish_reason": ("remark", "the finish reason is in no table; it is in `native_finish_reason`"),
    "unknown_role": ("remark", "the role is in no table; `before` holds the word"),
    "placeholder": ("remark", "a value that this source writes for 'not known' was read as None"),
    "source_conflict": ("remark", "a marker names another source, `before`; the one that the caller named was taken"),
    "usage_elsewhere": ("remark", "the usage was in a place of its own, which `path` names; the body had no other"),
    "no_choices": ("remark", "`choices` is an empty list: the service answered nothing, and reported no error"),
    "whole_in_stream": ("fault", "an event of a stream holds a whole response; it was read as one chunk"),
    "incomplete_stream": ("remark", "the stream ended before it said why; `before` is the text of an event cut off"),
    "conflicting_value": ("remark", "the stream gave two values; one was kept, `before` is the other"),
    "continued_text": ("remark", "a whole message in a stream went on where its deltas stopped; the rest was appended"),
    "counting_index": ("remark", "the indexes count the chunks; they were read as one answer, `before` is the last"),
    "misplaced_fragment": ("remark", "arguments under a new index, without id and name, continue the call before"),
    "repeated_field": ("remark", "an event starts with a second `data:`; what is behind it was read"),
    "broken_event": ("fault", "an event is not JSON and was skipped, as the caller asked; `before` holds it"),
    "foreign_text": ("remark", "text that is not an event is before, between or behind the events; `before` holds it"),
    "cumulative_delta": ("remark", "the engine sends the whole text so far in each chunk; the last one was kept"),
    "python_arguments": ("remark", "the tool arguments are a Python repr, not JSON; they were left as they are"),
}
"""Every note by its code: whether it is a fault or a remark, and what was done.

>>> NOTES["fractional_time"][0]
'remark'
"""


def is_fault(note: Note) -> bool:
    """Whether strict mode refuses a payload for this note."""
    return NOTES[note.code][0] == "fault"


class Findings(Struct, eq=False):
    """What adapters and the lenient decode record while they read one payload.

    Paths are given in the snake_case names of the wire Structs and written as pointers in the payload's own spelling,
    below `prefix`: the pointer at which the response is in what was handed in. `source` is what the caller named,
    `default_source` the source of an unmarked response in this place. `depth` containers are around this one;
    `is_clean` says that no text of the payload can hold half a surrogate pair.

    `camel` says that the payload is in camelCase; `mixed` is the tree of one in both spellings.

    `extra` holds values that an adapter displaced; `pending` says where the keys that no wire Struct declares are to
    be collected: `(prefix, payload, schema)` for each part that was decoded. `read` reads a response inside this one.
    """

    prefix: str = ""
    source: str | None = None
    default_source: str | None = None
    read: Callable[[Any, Findings], Completion] | None = None
    camel: bool = False
    mixed: Any = None
    in_envelope: bool = False
    depth: int = 0
    is_clean: bool = True
    extra: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    pending: list[tuple[str, Any, Any]] = field(default_factory=list)

    def pointer(self, *path: str | int) -> str:
        """The pointer of a path of wire names, in the payload's spelling."""
        if self.mixed is not None:
            path = _as_spelled(path, self.mixed)
        elif self.camel:
            path = tuple([camel(key) if isinstance(key, str) else key for key in path])
        return self.prefix + pointer(path)

    def keep(self, value: Any, *path: str | int) -> None:
        """Put a value that has no canonical field into `extra`."""
        self.extra[self.pointer(*path)] = value

    def note(self, code: str, before: Any, *path: str | int) -> None:
        """Record a repair."""
        self.notes.append(Note(code=code, path=self.pointer(*path), before=before))

    def drop(self, code: str, value: Any, *path: str | int) -> None:
        """Record a value without an honest reading: its field is None, the value goes to `extra` as it was."""
        self.drop_at(self.pointer(*path), code, value)

    def note_at(self, at: str, code: str, before: Any) -> None:
        """Record a repair at a pointer."""
        self.notes.append(Note(code=code, path=at, before=before))

    def drop_at(self, at: str, code: str, value: Any) -> None:
        """Record a value without an honest reading at a pointer."""
        self.extra[at] = value
        self.note_at(at, code, value)

    def text(self, value: str, at: str) -> str:
        """A known text at a pointer, without half surrogate pairs."""
        replaced = replace_surrogates(value)
        if replaced is None:
            return value
        self.note_at(at, "lone_surrogate", escape_surrogates(value))
        return replaced

    def inside(self, value: Any, *path: str | int, default_source: str | None = None) -> Completion:
        """The response that is inside this payload: a tree, or the JSON text of one.

        An unmarked response there has the source `default_source`, if given.
        """
        assert self.read is not None
        return self.read(value, self.at(self.pointer(*path), len(path), default_source))

    def member(self, key: str) -> Findings:
        """Findings of the response under a key, as the payload spells it."""
        return self.at(f"{self.prefix}/{escape(key)}", 1)

    def at(self, prefix: str, levels: int, default_source: str | None = None) -> Findings:
        """Findings of what is at a pointer, so many levels inside this payload; they share what is recorded."""
        return Findings(
            prefix=prefix,
            source=self.source if default_source is None else None,
            default_source=default_source or self.default_source,
            in_envelope=self.in_envelope or default_source is not None,
            depth=self.depth + levels,
            is_clean=self.is_clean,
            read=self.read,
            extra=self.extra,
            notes=self.notes,
            pending=self.pending,
        )


def _as_spelled(path: tuple[str | int, ...], tree: Any) -> tuple[str | int, ...]:
    """A path of wire names with each key as the objects of a tree spell it."""
    keys: list[str | int] = []
    for key in path:
        if isinstance(tree, dict) and isinstance(key, str):
            key = spelled(key, tree)  # noqa: PLW2901
            tree = tree.get(key)
        else:
            tree = tree[key] if isinstance(tree, list) and isinstance(key, int) and key < len(tree) else None
        keys.append(key)
    return tuple(keys)
