"""Chunks of streams, one a line or one an element, as units: those of one answer together, as a list of chunks.

Some loggers write each chunk of a stream as a line of JSON, those of several calls in turn. Chunks belong together by
their `id`; those without one, with the chunk before them. Where one answer ends and another begins in a list is for
`streams/` to say. Seen: `openai` SDK users that log `chunk.model_dump_json()`, one a line.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator

import msgspec

from ...payload import MAX_RECORD_BYTES, REFUSALS, guarded, may_nest_deep
from ..blocks import Unit

_OPEN_ANSWERS = 64  # that wait for more chunks: one that had none for so many others is over


_LIST = re.compile(rb"\s*\[\s*(?=\{)")
_ABSENT = msgspec.Raw(b"")
_NOTHING = (b"", b"null")


class _Choice(msgspec.Struct):
    """What tells a chunk: a choice with a delta and no message."""

    delta: msgspec.Raw = _ABSENT
    message: msgspec.Raw = _ABSENT


class _Chunk(msgspec.Struct):
    """A chunk, as far as it must be known."""

    id: str | None = None
    object: str | None = None
    choices: list[_Choice] = []


_decode = guarded(msgspec.json.Decoder(_Chunk).decode)


def is_chunk(text: bytes) -> bool:
    """Whether a text is a chunk of a stream, and no whole response."""
    chunk = _chunk(text)
    return chunk is not None and _is_chunk(chunk)


def _is_chunk(chunk: _Chunk) -> bool:
    if any(bytes(choice.message) not in _NOTHING for choice in chunk.choices):
        return False
    is_named = chunk.object is not None and chunk.object.endswith(".chunk")
    return is_named or any(bytes(choice.delta) not in _NOTHING for choice in chunk.choices)


def is_list(head: bytes) -> bool:
    """Whether a text begins as a list of chunks."""
    match = _LIST.match(head)
    if match is None or may_nest_deep(head):
        return False
    import json  # msgspec does not read the first of several values

    try:
        element, _ = json.JSONDecoder().raw_decode(head[match.end() :].decode("utf-8", "ignore"))
    except (ValueError, RecursionError):
        return False
    return is_chunk(json.dumps(element).encode())


def answers(units: Iterator[Unit], *, limit: int = MAX_RECORD_BYTES) -> Iterator[Unit]:
    """The units of chunks, one for each answer, in the order of their first chunks; other units are left as they are.

    An answer whose chunks are longer than `limit` together has no text.
    """
    open_: OrderedDict[str, _Answer] = OrderedDict()
    queue: list[_Answer] = []
    last = ""
    for unit in units:
        chunk = None if unit.text is None else _chunk(unit.text)
        if chunk is None or not _is_chunk(chunk):
            queue.append(_Answer(unit, is_done=True))
        else:
            last = chunk.id or last
            answer = open_.get(last)
            if answer is None:
                answer = open_[last] = _Answer(unit)
                queue.append(answer)
            answer.add(unit, limit)
            open_.move_to_end(last)
            if len(open_) > _OPEN_ANSWERS:
                open_.popitem(last=False)[1].is_done = True
        while queue and (queue[0].is_done or len(queue) > 2 * _OPEN_ANSWERS):
            first = queue.pop(0)
            open_ = OrderedDict((key, each) for key, each in open_.items() if each is not first)
            yield first.unit()
    for answer in queue:
        yield answer.unit()


def _chunk(text: bytes) -> _Chunk | None:
    try:
        return _decode(text)
    except REFUSALS:
        return None


class _Answer:
    """The chunks of one answer so far, or a unit that is not a chunk."""

    __slots__ = ("_first", "_length", "_texts", "is_done")

    def __init__(self, first: Unit, *, is_done: bool = False) -> None:
        self._first = first
        self._texts: list[bytes] | None = []
        self._length = 0
        self.is_done = is_done

    def add(self, unit: Unit, limit: int) -> None:
        """Add a chunk."""
        self._length += unit.length
        if self._length > limit:
            self._texts = None
        if self._texts is not None and unit.text is not None:
            self._texts.append(unit.text)

    def unit(self) -> Unit:
        """The chunks as a list."""
        if not self._length:
            return self._first
        text = None if self._texts is None else b"[" + b",".join(self._texts) + b"]"
        return self._first._replace(length=self._length, text=text)
