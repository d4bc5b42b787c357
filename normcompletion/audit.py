"""Where every leaf of a payload went: the proof of the second promise, that nothing is lost.

A leaf is a number, a boolean or a non-empty string. It is accounted for when it is in `extra` or in a note under
its pointer, or when the canonical fields hold its value; numbers and booleans are matched one to one. JSON inside a
string (tool arguments, a log row's response) is accounted for when the text is kept or all its leaves are. The word
in `object` that a variant implies needs no place. What a canonical record has in `extra` and `notes` belongs there.

The chunks of a stream are joined: a text is accounted for when it is within any text of the record. Of values that are
whole each time, the last one counts, of the words about the whole answer the first: another one has a note at most.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from .dialect.adapt import IMPLIED_OBJECTS
from .dialect.wire import PADDING, WORDS
from .envelopes.wrappers import are_chunks, is_canonical
from .errors import NormalizeError
from .model import Completion
from .payload import BLANKS, escape_surrogates, looks_like_stream, parse, replace_surrogates
from .pointer import camel, escape
from .streams.events import DONE, iter_events
from .streams.values import LABELS

LOST = "lost"


class Placement(msgspec.Struct, frozen=True):
    """One leaf: its pointer in the payload, its value, and where it went.

    `place` is a pointer into the canonical completion, `extra`, `notes`, `implied`, `text` (its text is kept whole),
    or `lost`.

    >>> from normcompletion import explain
    >>> explain('{"choices": [], "model": "tide-2"}').placements
    [Placement(path='/model', value='tide-2', place='/model')]
    """

    path: str
    value: Any
    place: str


def placements(payload: Any, completion: Completion) -> list[Placement]:
    """Where each leaf of a parsed payload went in its completion."""
    return _placements(payload, [completion])


def _placements(payload: Any, completions: Sequence[Completion], beside: tuple[str, ...] = ()) -> list[Placement]:
    from .envelopes.extended import plain_tree  # not everybody who imports this module asks

    kept = _Places(completions)
    payload = plain_tree(payload)
    for path, record in _records(payload):
        kept.adopt(path, record)
    return [
        Placement(path, value, kept.place(path, value))
        for path, value in _expanded(payload, kept)
        if not beside or not _within(path, beside)
    ]


def lost(payload: Any, *completions: Completion, beside: Sequence[str] = ()) -> list[str]:
    """The pointers of the leaves that are nowhere in what came of a payload, which can be several completions.

    What is at the pointers `beside` is not part of them, and not looked for.
    """
    from .envelopes.extended import plain_tree

    tree, kept = plain_tree(payload), _Streamed(completions)
    in_chunks = [path + below for path, chunks in _streams(tree, _Places(completions)) for below in kept.lost(chunks)]
    found = [
        each.path
        for each in _placements(payload, completions, tuple(beside))
        if each.place == LOST and not _is_done(each.value)
    ]
    return found + [path for path in in_chunks if not _within(path, tuple(beside))]


def _is_done(value: Any) -> bool:
    """Whether a leaf is the end of a stream that is kept as a list of texts."""
    return isinstance(value, str) and value.strip().removeprefix("data:").strip() == DONE.decode()


def lost_in_text(text: bytes, *completions: Completion) -> list[str]:
    """`lost` for a text: JSON or a saved stream, in base64 or gzip or not. In a stream, the event comes first."""
    from .envelopes.encodings import opened_layers

    opened = opened_layers(text)
    try:
        tree = parse(opened)
    except NormalizeError:
        return _Streamed(completions).lost(_chunks(opened))
    return lost(tree, *completions)


def _chunks(text: bytes) -> Iterator[Any]:
    """What the events of a saved stream are: JSON, or a text."""
    for event in iter_events([text]):
        data = event.data.strip(BLANKS)
        while data.startswith(b"data:"):
            data = data[5:].strip(BLANKS)
        if data != DONE:
            try:
                yield parse(data)
            except NormalizeError:
                yield data.decode("utf-8", "replace")


def _streams(tree: Any, kept: _Places, path: str = "") -> Iterator[tuple[str, Iterable[Any]]]:
    """The saved streams in a payload, each with its pointer: lists of chunks, and texts that are not kept as texts."""
    if isinstance(tree, list) and are_chunks(tree):
        yield path, tree
    elif isinstance(tree, dict | list):
        for below, item in _members(tree, path):
            yield from _streams(item, kept, below)
    elif isinstance(tree, str) and "choices" in tree and kept.place(path, tree) == LOST:
        text = tree.encode("utf-8", "surrogatepass")
        if looks_like_stream(text):
            yield path, _chunks(text)
        elif (inner := _inside(tree)) is not None:
            yield from _streams(inner, kept, path)


_FIRST = {*(f"/{name}" for name in WORDS), *(f"/{camel(name)}" for name in WORDS)}
_FRAGMENTS = ("/delta/", "/message/", "/text", "/logprobs/")
_CALLS = ("/tool_calls/", "/toolCalls/")


class _Streamed:
    """What is in the records of a stream, for the leaves of its chunks."""

    def __init__(self, completions: Sequence[Completion]) -> None:
        values = [value for completion in completions for _, value in leaves(completion.to_dict())]
        self.text = "\0".join(value for value in values if isinstance(value, str))
        self.others = {_number(value) for value in values if not isinstance(value, str)}

    def lost(self, chunks: Iterable[Any]) -> list[str]:
        """The leaves of chunks that are nowhere."""
        found = []
        whole: dict[str, tuple[str, Any]] = {}
        for number, chunk in enumerate(chunks, 1):
            for path, value in leaves(_by_index(chunk)):
                key = path.rpartition("/")[2]
                if key in PADDING:
                    continue
                is_label = key in LABELS and not any(name in path for name in _CALLS)
                is_fragment = isinstance(value, str) and any(name in path for name in _FRAGMENTS) and not is_label
                if is_fragment or "/logprobs/" in path:
                    if not self._has(value):
                        found.append(f"/{number}{path}")
                elif path in _FIRST or key in ("role", "name"):
                    whole.setdefault(path, (f"/{number}{path}", value))
                else:
                    whole[path] = f"/{number}{path}", value
        return found + [at for path, (at, value) in whole.items() if not (self._has(value) or _is_implied(path, value))]

    def _has(self, value: Any) -> bool:
        if isinstance(value, str):
            return all(piece in self.text for piece in _HALVES.split(value))
        return _number(value) in self.others


_HALVES = re.compile("[\ud800-\udfff]")  # halves of surrogate pairs are replaced or joined


def _by_index(chunk: Any) -> Any:
    """A chunk whose choices are under their indexes, so that a pointer means the same in each one."""
    choices = chunk.get("choices") if isinstance(chunk, dict) else None
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        return chunk
    members = [({**choice, "index": None}, choice.get("index", at)) for at, choice in enumerate(choices)]
    return {**chunk, "choices": {str(index): choice for choice, index in members}}


def _is_implied(path: str, value: Any) -> bool:
    return path.endswith("/object") and any(value in words for words in IMPLIED_OBJECTS.values())


class _Places:
    def __init__(self, completions: Sequence[Completion]) -> None:
        self.extra = {pointer for completion in completions for pointer in completion.extra}
        self.note_count = max(len(completion.notes) for completion in completions)
        self.adopted: dict[str, str] = {}
        self.implied = ["list", *(word for each in completions for word in IMPLIED_OBJECTS.get(each.variant, ()))]
        self.repaired = {note.path: note.before for completion in completions for note in completion.notes}
        self.reread = {path for path, before in self.repaired.items() if isinstance(before, dict | list)}
        self.texts: dict[str, list[str]] = {}
        self.numbers: dict[tuple[str, Any], list[str]] = {}
        for completion in completions:
            built: dict[str, Any] = completion.to_dict()
            del built["extra"], built["notes"]
            for path, value in leaves(built):
                if isinstance(value, str):
                    self.texts.setdefault(value, []).append(path)
                else:
                    self.numbers.setdefault(_number(value), []).append(path)

    def adopt(self, path: str, record: dict[str, Any]) -> None:
        """Take the `extra` and `notes` of a canonical record for accounted, where the completion has them."""
        self.adopted |= {f"{path}/extra/{escape(key)}": "extra" for key in record["extra"] if key in self.extra}
        notes = range(min(len(record["notes"]), self.note_count))
        self.adopted |= {f"{path}/notes/{place}": "notes" for place in notes}

    def place(self, path: str, value: Any) -> str:
        if self.adopted and (found := _within(path, self.adopted)):
            return self.adopted[found]
        if _within(path, self.extra):
            return "extra"
        if path in self.repaired or (self.reread and _within(path, self.reread)):
            return "notes"
        if isinstance(value, str):
            return self._text(path, value)
        places = self.numbers.get(_number(value))
        if not places:
            return LOST
        return places.pop(_best(places, path))

    def _text(self, path: str, value: str) -> str:
        places = self.texts.get(value) or self.texts.get(value.strip())
        if places:
            return places[_best(places, path)]
        if path.endswith("/object") and value in self.implied:
            return "implied"
        replaced = replace_surrogates(value)
        if replaced is not None and escape_surrogates(value) in self.repaired.values():
            return "notes"
        return LOST


def _expanded(tree: Any, kept: _Places) -> Iterator[tuple[str, Any]]:
    """Leaves, with JSON in a text, in base64 or gzip or not, opened where the text is not kept.

    Those of saved streams are left out: they are joined.
    """
    for path, value in _leaves_beside_chunks(tree):
        inner = None
        if isinstance(value, str) and kept.place(path, value) == LOST:
            if "choices" in value and looks_like_stream(value.encode("utf-8", "surrogatepass")):
                continue
            inner = _inside(value)
        if inner is None:
            yield path, value
        else:
            for below, item in _expanded(inner, kept):
                yield path + below, item


def _leaves_beside_chunks(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf with its pointer, but for those of chunks in a list, which are joined."""
    if isinstance(tree, dict | list):
        if isinstance(tree, dict) or not are_chunks(tree):
            for below, item in _members(tree, path):
                yield from _leaves_beside_chunks(item, below)
    elif tree is not None and tree != "":
        yield path, tree


def _inside(text: str) -> Any:
    """The object or list that a text holds, `None` where it holds none."""
    from .envelopes.encodings import opened_layers
    from .envelopes.extended import plain_tree

    try:
        inner = opened_layers(text.encode("utf-8", "surrogatepass"))
        return plain_tree(parse(inner)) if inner[:1] in (b"{", b"[") else None
    except NormalizeError:
        return None


def _records(tree: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The canonical records in a payload, each with its pointer."""
    if is_canonical(tree):
        yield path, tree
    else:
        for below, item in _members(tree, path):
            yield from _records(item, below)


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf with its pointer."""
    if isinstance(tree, dict | list):
        for below, item in _members(tree, path):
            yield from leaves(item, below)
    elif tree is not None and tree != "":
        yield path, tree


def _members(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The members of an object or a list at a pointer, each with its own; a leaf has none."""
    if isinstance(tree, dict):
        for key, item in tree.items():
            yield f"{path}/{escape(key)}", item
    elif isinstance(tree, list):
        for place, item in enumerate(tree):
            yield f"{path}/{place}", item


def _within(path: str, places: Container[str]) -> str | None:
    """The pointer, or the nearest one above it, that is among the places."""
    while path:
        if path in places:
            return path
        path = path.rpartition("/")[0]
    return None


def _number(value: Any) -> tuple[str, Any]:
    return ("flag", value) if isinstance(value, bool) else ("number", value)


def _best(places: list[str], path: str) -> int:
    """The place whose end is most like the path's, so that `usage.prompt_tokens` is said to be in its own field."""
    wanted = path.lower().replace("_", "").split("/")[::-1]

    def likeness(at: int) -> int:
        have = places[at].lower().replace("_", "").split("/")[::-1]
        return next((depth for depth, (a, b) in enumerate(zip(wanted, have, strict=False)) if a != b), len(have))

    return max(range(len(places)), key=likeness)
