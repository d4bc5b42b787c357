"""Most chunks of a stream differ from the one before in one text alone: they are taken in a few steps.

What such a chunk adds is what its text adds; everything else in it was said by the chunk before.
"""

from __future__ import annotations

from typing import Any

from ..dialect import wire
from .answer import Answer


class Run:
    """Chunks that differ in one text of the delta of their only choice, whose answer it is.

    `head` is one of them without what differs: the member `name` of the delta, and the padding. Where the delta has one
    reasoning detail or one fragment of a tool call, in the list `outer`, the text `inner` of that differs as well;
    `pieces` are what was said of it so far.
    """

    __slots__ = ("answer", "head", "inner", "name", "outer", "padding", "pieces", "texts")

    def __init__(self, head: wire.Chunk, answer: Answer, name: str) -> None:
        self.head = head
        self.answer = answer
        self.name = name
        self.outer = self.inner = ""
        self.pieces: list[str] = []
        self.texts: list[str | None] = []
        self.padding: str | None = None

    def takes(self, chunk: wire.Chunk) -> bool:
        """Whether a chunk goes on with the run; then it is taken."""
        choices = chunk.choices
        if len(choices) != 1 or (delta := choices[0].delta) is None:
            return False
        name, inner_text = self.name, None
        text, padding = getattr(delta, name), chunk.obfuscation
        if text.__class__ is str:  # and not a list of parts
            setattr(delta, name, None)
        if padding is not None:
            chunk.obfuscation = None
        holder = _holder(delta, self.outer) if self.outer else None
        if holder is not None:
            inner_text = getattr(holder, self.inner)
            setattr(holder, self.inner, None)
        if chunk == self.head:
            self.texts.append(text)
            if inner_text is not None:
                self.pieces.append(inner_text)
            if padding is not None:
                self.padding = padding
            return True
        setattr(delta, name, text)
        chunk.obfuscation = padding
        if holder is not None:
            setattr(holder, self.inner, inner_text)
        return False

    def close(self) -> None:
        """Give the answer what was taken."""
        answer, delta = self.answer, self.head.choices[0].delta
        assert delta is not None
        answer.deltas += len(self.texts)
        answer.roles += len(self.texts) if delta.role else 0
        said = [text for text in self.texts if text is not None]
        if said and self.name == "content":
            answer.has_content = True
            answer.content += filter(None, said)
        elif said:
            answer.has_reasoning = True
            answer.reasoning += filter(None, said)


def run_after(chunk: wire.Chunk, answer: Answer) -> Run | None:
    """The run that may start with a chunk without anything rare, which was added to the answer.

    `None` where more than one text of it grows.
    """
    delta = chunk.choices[0].delta
    if delta is None or answer.parts is not None:
        return None
    names = [name for name in ("content", "reasoning", "reasoning_content") if getattr(delta, name)] or ["content"]
    if len(names) > 1:
        return None
    run = Run(chunk, answer, names[0])
    if (delta.reasoning_details or delta.tool_calls) and not _finds_inner(run, delta):
        return None
    setattr(delta, run.name, None)
    chunk.obfuscation = None
    return run


def _finds_inner(run: Run, delta: wire.ChunkDelta) -> bool:
    """Set what grows inside of a delta; false where that is not one text."""
    run.outer = "tool_calls" if delta.tool_calls else "reasoning_details"
    holder = _holder(delta, run.outer)
    if holder is None or (delta.tool_calls and delta.reasoning_details):
        return False
    if delta.tool_calls:
        sent, call = delta.tool_calls[0], run.answer.calls.calls[run.answer.places["tool_calls"][0]]
        if call.arguments is None or sent.id or holder.name:  # the next one may be another call
            return False
        run.inner, run.pieces = "arguments", call.arguments
    else:
        texts = run.answer.detail_of(holder).texts
        said = [name for name in ("text", "summary", "data") if getattr(holder, name) is not None]
        if len(said) != 1:
            return False
        run.inner, run.pieces = said[0], texts[said[0]]
    setattr(holder, run.inner, None)
    return True


def _holder(delta: wire.ChunkDelta, outer: str) -> Any:
    """What holds the text inside the only item of a list of a delta."""
    items: Any = getattr(delta, outer)
    if not items or len(items) != 1:
        return None
    return items[0].function if outer == "tool_calls" else items[0]
