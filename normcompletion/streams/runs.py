"""Most chunks of a stream differ from the one before in their texts alone: they are taken in a few steps.

What such a chunk adds is what its texts add; everything else in it was said by the chunk before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from typing import Any

from ..dialect import wire
from ..dialect.adapt import TEXT_PARTS
from ..model import Part, Usage
from ..payload import REFUSALS
from .answer import DETAIL_TEXTS, Answer, continues
from .events import Event

# How an event becomes a chunk: the decoder, what gives the data of an event, and where usage goes.
Reading = tuple[Callable[[bytes], wire.Chunk], Callable[[Event], bytes], Callable[[Usage], None]]
Other = tuple[bytes | Event, wire.Chunk | None]  # an event, and its chunk where it is one without a fault


class Run:
    """Chunks that differ from `head` in texts, padding and usage alone; its only choice is that of `answer`.

    `head` was merged. It gets the texts of each chunk, so that one comparison tells whether all the rest is the same.
    Where a text grows in the only item of a list of the delta, `find` gives what holds the text `name`, and `holder` is
    that of the head; `pieces` are its fragments so far, `parts` those of a content part.
    """

    __slots__ = ("answer", "count", "delta", "find", "head", "holder", "name", "parts", "pieces", "with_role")

    def __init__(self, head: wire.Chunk, answer: Answer) -> None:
        delta = head.choices[0].delta
        assert delta is not None
        self.head = head
        self.delta = delta
        self.answer = answer
        self.count = 0  # of chunks that were taken
        self.with_role = 0  # how many of them had a role, where the head has none any more
        self.find: Callable[[wire.ChunkDelta], Any] | None = None
        self.holder: Any = None
        self.name = ""
        self.pieces: list[str] = []
        self.parts: list[Part] | None = None

    def take(self, events: Iterator[bytes | Event], reading: Reading) -> Other | None:
        """Take chunks as long as they go on with the run; gives the first event that does not."""
        decode, opened, add_usage = reading
        head, held, answer, has_item = self.head, self.delta, self.answer, self.find is not None
        add_text, add_reasoning = answer.content.append, answer.add_reasoning
        for event in events:
            try:
                chunk = decode(event if event.__class__ is bytes else opened(event))  # type: ignore[arg-type]
            except REFUSALS:
                return event, None
            choices = chunk.choices
            if not choices or (delta := choices[0].delta) is None:
                return event, chunk
            if (content := delta.content) is not held.content and content.__class__ is not list:
                held.content = content
            if (thought := delta.reasoning) is not held.reasoning:
                held.reasoning = thought
            if (alias := delta.reasoning_content) is not held.reasoning_content:
                held.reasoning_content = alias
            if chunk.obfuscation is not None:
                head.obfuscation = chunk.obfuscation
            if chunk.p is not None:
                head.p = chunk.p
            if (usage := chunk.usage) is not None:
                head.usage = usage
            if (has_item or chunk != head) and not self._takes_item(chunk, delta):
                return event, chunk
            if usage is not None:
                add_usage(usage)
            self.count += 1
            if content.__class__ is str:
                if content:
                    add_text(content)
                else:
                    answer.has_content = True
            if thought is not None or alias is not None:
                add_reasoning(thought, alias)
        return None

    def _takes_item(self, chunk: wire.Chunk, delta: wire.ChunkDelta) -> bool:
        """Whether a chunk goes on with the run where an item of a list or the role differs; takes the item's text."""
        text = None
        if self.find is not None:
            holder = self.find(delta)
            if holder is None:
                return False
            text = getattr(holder, self.name)
            setattr(self.holder, self.name, text)
        if chunk != self.head and not self._goes_on_without_role(chunk, delta):
            return False
        if self.parts is not None:
            self.parts += delta.content  # type: ignore[arg-type]
        if text is not None:
            self.pieces.append(text)
        return True

    def _goes_on_without_role(self, chunk: wire.Chunk, delta: wire.ChunkDelta) -> bool:
        """Whether a chunk is like the head but for the role, which most services give in the first chunk alone."""
        if delta.role is not None or self.delta.role is None:
            return False
        self.with_role, self.delta.role = self.count, None
        return chunk == self.head

    def close(self) -> None:
        """Count what was taken."""
        self.answer.deltas += self.count
        self.answer.roles += self.count if self.delta.role else self.with_role


def run_after(chunk: wire.Chunk, answer: Answer) -> Run | None:
    """The run that may start with a chunk without anything rare, which was added to the answer.

    `None` where something in it grows in another way than a text.
    """
    delta = chunk.choices[0].delta
    if delta is None or not answer.has_delta:
        return None
    has_parts = delta.content.__class__ is list
    if has_parts + bool(delta.tool_calls) + bool(delta.reasoning_details) > 1:
        return None
    run = Run(chunk, answer)
    if has_parts:
        is_one = _grows_in_part(run, delta)
    elif delta.tool_calls:
        is_one = _grows_in_call(run, delta)
    elif delta.reasoning_details:
        is_one = _grows_in_detail(run, delta)
    else:
        is_one = answer.parts is None
    return run if is_one else None


def _grows_in_part(run: Run, delta: wire.ChunkDelta) -> bool:
    """Set what grows in the only part of a delta, its text or its thought; false where it is not one text."""
    answer, parts = run.answer, delta.content
    assert isinstance(parts, list)
    if len(parts) != 1 or not answer.parts or delta.reasoning or delta.reasoning_content:
        return False
    part = copy(parts[0])  # the answer keeps the other one
    delta.content, run.parts = [part], answer.parts[-1]
    if not continues(part, part):
        return False
    run.name, run.pieces = ("text", answer.content) if part.text is not None else ("thinking", answer.reasoning)
    if isinstance(part.thinking, list):
        part.thinking, run.name = list(map(copy, part.thinking)), "text"
    run.find, run.holder = _in_part, _in_part(delta)
    return run.holder is not None and (part.thinking is not None or part.type in TEXT_PARTS)


def _grows_in_call(run: Run, delta: wire.ChunkDelta) -> bool:
    """As `_grows_in_part`, for the arguments of the only tool call; the next fragment may be another call."""
    run.find, run.holder, run.name = _in_call, _in_call(delta), "arguments"
    if run.holder is None or delta.tool_calls[0].id or run.holder.name:  # type: ignore[index]
        return False
    arguments = run.answer.calls.calls[run.answer.places["tool_calls"][0]].arguments
    run.pieces = arguments or []
    return arguments is not None


def _grows_in_detail(run: Run, delta: wire.ChunkDelta) -> bool:
    """As `_grows_in_part`, for the only reasoning detail."""
    run.find, run.holder = _in_detail, _in_detail(delta)
    said = [name for name in DETAIL_TEXTS if getattr(run.holder, name, None) is not None]
    if len(said) == 1:
        run.name = said[0]
        run.pieces = run.answer.detail_of(run.holder).texts[run.name]
    return len(said) == 1


def _in_part(delta: wire.ChunkDelta) -> Any:
    """What holds the text or the thought of the only part of a delta; `None` where there is no such one."""
    parts = delta.content
    if parts.__class__ is not list or len(parts) != 1:
        return None
    part: Any = parts[0]
    if part.thinking.__class__ is list:
        return part.thinking[0] if len(part.thinking) == 1 else None
    return part


def _in_call(delta: wire.ChunkDelta) -> Any:
    """What holds the arguments of the only tool call of a delta."""
    calls = delta.tool_calls
    return calls[0].function if calls and len(calls) == 1 else None


def _in_detail(delta: wire.ChunkDelta) -> Any:
    """The only reasoning detail of a delta."""
    details = delta.reasoning_details
    return details[0] if details and len(details) == 1 else None
