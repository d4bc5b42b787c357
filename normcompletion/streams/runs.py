"""Most chunks of a stream differ from the one before in one text alone: they are taken in a few steps.

What such a chunk adds is what its text adds; everything else in it was said by the chunk before.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from ..dialect import wire
from .answer import Answer

# Members of a choice, and of its delta, that add something each time they come, beside texts and calls.
_adding, _NOTHING_ADDED = attrgetter("text", "logprobs", "message"), (None,) * 3
_growing, _NOTHING_GROWS = attrgetter("refusal", "annotations", "images", "audio", "function_call"), (None,) * 5


class Run:
    """Chunks that differ in one text of the delta of their only choice, whose answer it is.

    `head` is one of them without what differs: the member `name` of the delta, and the padding.
    """

    __slots__ = ("answer", "head", "name", "outer", "padding", "texts")

    def __init__(self, head: wire.Chunk, answer: Answer, name: str, outer: str = "") -> None:
        self.head = head
        self.answer = answer
        self.name = name
        self.outer = outer
        self.texts: list[str | None] = []
        self.padding: str | None = None

    def takes(self, chunk: wire.Chunk) -> bool:
        """Whether a chunk goes on with the run; then it is taken."""
        choices = chunk.choices
        if len(choices) != 1 or (delta := choices[0].delta) is None:
            return False
        name = self.name
        text, padding = getattr(delta, name), chunk.obfuscation
        if text.__class__ is str:  # and not a list of parts
            setattr(delta, name, None)
        if padding is not None:
            chunk.obfuscation = None
        if self._is_same(chunk, delta) if self.outer else chunk == self.head:
            self.texts.append(text)
            if padding is not None:
                self.padding = padding
            return True
        setattr(delta, name, text)
        chunk.obfuscation = padding
        return False

    def _is_same(self, chunk: wire.Chunk, delta: wire.ChunkDelta) -> bool:
        """Whether a chunk, its text taken out, is the head of the run; then what is inside of its delta is taken."""
        raise NotImplementedError

    def close(self) -> None:
        """Give the answer what was taken."""
        if not self.texts:
            return
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


class InnerRun(Run):
    """A run of chunks that differ also in a text of their only reasoning detail, or the arguments of their only call.

    That is the member `inner` of the only item of the list `outer`; `pieces` are what was said of it so far.
    """

    __slots__ = ("inner", "pieces")

    inner: str
    pieces: list[str]

    def _is_same(self, chunk: wire.Chunk, delta: wire.ChunkDelta) -> bool:
        holder = _holder(delta, self.outer)
        if holder is None:
            return False
        text = getattr(holder, self.inner)
        setattr(holder, self.inner, None)
        if chunk == self.head:
            if text is not None:
                self.pieces.append(text)
            return True
        setattr(holder, self.inner, text)
        return False


def run_after(chunk: wire.Chunk, answer: Answer) -> Run | None:
    """The run that may start with a chunk, which was added to the answer; `None` where something else of it grows."""
    choice = chunk.choices[0]
    delta = choice.delta
    if delta is None or answer.parts is not None:
        return None
    if _adding(choice) != _NOTHING_ADDED or _growing(delta) != _NOTHING_GROWS:
        return None
    if (delta.reasoning or delta.reasoning_content) and (
        delta.content or (delta.reasoning and delta.reasoning_content)
    ):
        return None
    name = "reasoning" if delta.reasoning else "reasoning_content" if delta.reasoning_content else "content"
    run: Run | None = Run(chunk, answer, name)
    if delta.reasoning_details or delta.tool_calls:
        run = _inner_run(chunk, answer, name, delta)
    setattr(delta, name, None)
    chunk.obfuscation = None
    return run


def _inner_run(chunk: wire.Chunk, answer: Answer, name: str, delta: wire.ChunkDelta) -> InnerRun | None:
    """A run of chunks with a reasoning detail or a fragment of a tool call; `None` for several of them."""
    run = InnerRun(chunk, answer, name, "tool_calls" if delta.tool_calls else "reasoning_details")
    holder = _holder(delta, run.outer)
    if holder is None or (delta.tool_calls and delta.reasoning_details):
        return None
    if delta.tool_calls:
        sent, call = delta.tool_calls[0], answer.calls.calls[answer.places["tool_calls"][0]]
        if call.arguments is None or (sent.id or call.id) != call.id or (holder.name or call.name) != call.name:
            return None
        run.inner, run.pieces = "arguments", call.arguments
    else:
        texts = answer.detail_of(holder).texts
        said = [name for name in ("text", "summary", "data") if getattr(holder, name) is not None]
        if len(said) != 1:
            return None
        run.inner, run.pieces = said[0], texts[said[0]]
    setattr(holder, run.inner, None)
    return run


def _holder(delta: wire.ChunkDelta, outer: str) -> Any:
    """What holds the text inside the only item of a list of a delta."""
    items: Any = getattr(delta, outer)
    if not items or len(items) != 1:
        return None
    return items[0].function if outer == "tool_calls" else items[0]
