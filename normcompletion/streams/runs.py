"""Most chunks of a stream differ from the one before in their texts alone: they are taken in a few steps.

What such a chunk adds is what its texts add; everything else in it was said by the chunk before.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from ..dialect import wire
from ..dialect.adapt import TEXT_PARTS
from ..model import Part, Usage
from .answer import Answer, continues


class Run:
    """Chunks that differ from `head` in texts, padding and usage alone; its only choice is that of `answer`.

    `head` was merged. It gets the texts of each chunk, so that one comparison tells whether all the rest is the same.
    Where its delta has one fragment of a tool call, one reasoning detail or one part, in the list `outer`, `holder` is
    what has the text `inner` of that, `pieces` are the fragments of this text so far, `parts` those of the part.
    """

    __slots__ = ("add_usage", "answer", "count", "delta", "head", "holder", "inner", "outer", "parts", "pieces")

    def __init__(self, head: wire.Chunk, answer: Answer, add_usage: Callable[[Usage], None]) -> None:
        delta = head.choices[0].delta
        assert delta is not None
        self.head = head
        self.delta = delta
        self.answer = answer
        self.add_usage = add_usage
        self.count = 0  # of chunks whose deltas and roles the answer has not counted yet
        self.outer = self.inner = ""
        self.holder: Any = None
        self.pieces: list[str] = []
        self.parts: list[Part] = []

    def takes(self, chunk: wire.Chunk) -> bool:
        """Whether a chunk goes on with the run; then it is taken."""
        choices = chunk.choices
        delta = choices[0].delta if choices else None
        if delta is None:
            return False
        head, held, text = self.head, self.delta, None
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
        if chunk.usage is not None:
            head.usage = chunk.usage
        if self.outer:
            if (holder := _holder(delta, self.outer)) is None:
                return False
            text = getattr(holder, self.inner)
            setattr(self.holder, self.inner, text)
        if chunk != head and not self._goes_on_without_role(chunk, delta):
            return False
        self.count += 1
        answer = self.answer
        if content.__class__ is list:
            self.parts += content  # type: ignore[arg-type]
        elif content:
            answer.content.append(content)  # type: ignore[arg-type]
        elif content is not None:
            answer.has_content = True
        if thought is not None or alias is not None:
            answer.add_reasoning(thought, alias)
        if text is not None:
            self.pieces.append(text)
        if chunk.usage is not None:
            self.add_usage(chunk.usage)
        return True

    def _goes_on_without_role(self, chunk: wire.Chunk, delta: wire.ChunkDelta) -> bool:
        """Whether a chunk is like the head but for the role, which most services give in the first chunk alone."""
        if delta.role is not None or self.delta.role is None:
            return False
        self.close()
        self.delta.role = None
        return chunk == self.head

    def close(self) -> None:
        """Count what was taken."""
        self.answer.deltas += self.count
        self.answer.roles += self.count if self.delta.role else 0
        self.count = 0


def run_after(chunk: wire.Chunk, answer: Answer, add_usage: Callable[[Usage], None]) -> Run | None:
    """The run that may start with a chunk without anything rare, which was added to the answer.

    `None` where something in it grows in another way than a text.
    """
    delta = chunk.choices[0].delta
    if delta is None or not answer.has_delta:
        return None
    run = Run(chunk, answer, add_usage)
    is_list = delta.content.__class__ is list
    if answer.parts is not None and not is_list:
        return None
    if (is_list or delta.reasoning_details or delta.tool_calls) and not _finds_inner(run, delta):
        return None
    return run


def _finds_inner(run: Run, delta: wire.ChunkDelta) -> bool:
    """Set what grows inside of a delta; false where that is not one text."""
    lists = [name for name in ("content", "tool_calls", "reasoning_details") if getattr(delta, name).__class__ is list]
    if len(lists) != 1:
        return False
    run.outer = lists[0]
    if run.outer == "content":
        return _finds_in_part(run, delta)
    run.holder = holder = _holder(delta, run.outer)
    if holder is None:
        return False
    if run.outer == "tool_calls":
        call = run.answer.calls.calls[run.answer.places["tool_calls"][0]]
        if call.arguments is None or delta.tool_calls[0].id or holder.name:  # type: ignore[index]
            return False  # the next one may be another call
        run.inner, run.pieces = "arguments", call.arguments
        return True
    texts = run.answer.detail_of(holder).texts
    said = [name for name in ("text", "summary", "data") if getattr(holder, name) is not None]
    run.inner = said[0] if said else ""
    run.pieces = texts[run.inner] if said else []
    return len(said) == 1


def _finds_in_part(run: Run, delta: wire.ChunkDelta) -> bool:
    """Set what grows in the only part of a delta: its text or its thought."""
    answer, parts = run.answer, delta.content
    assert isinstance(parts, list)
    if len(parts) != 1 or not answer.parts or delta.reasoning or delta.reasoning_content:
        return False
    part = copy(parts[0])  # the answer keeps the other one
    delta.content, run.parts = [part], answer.parts[-1]
    if not continues(part, part):
        return False
    run.inner, run.pieces = ("text", answer.content) if part.text is not None else ("thinking", answer.reasoning)
    if isinstance(part.thinking, list):
        part.thinking, run.inner = list(map(copy, part.thinking)), "text"
    run.holder = _holder(delta, "content")
    return run.holder is not None and (part.thinking is not None or part.type in TEXT_PARTS)


def _holder(delta: wire.ChunkDelta, outer: str) -> Any:
    """What holds the text inside the only item of a list of a delta."""
    items: Any = getattr(delta, outer)
    if items.__class__ is not list or len(items) != 1:
        return None
    if outer == "tool_calls":
        return items[0].function
    if outer == "content" and items[0].thinking.__class__ is list:
        return items[0].thinking[0] if len(items[0].thinking) == 1 else None
    return items[0]
