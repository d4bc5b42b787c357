"""Most chunks of a stream differ from the one before in one text alone: they are taken in a few steps.

What such a chunk adds is what its text adds; everything else in it was said by the chunk before.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from ..dialect import wire
from .answer import Answer

_TEXTS = ("content", "reasoning", "reasoning_content")
_texts = attrgetter(*_TEXTS)
# Members of a choice, and of its delta, that add something each time they come.
_adding, _NOTHING_ADDED = attrgetter("text", "logprobs", "message"), (None,) * 3
_growing, _NOTHING_GROWS = attrgetter("refusal", "annotations", "images", "audio", "function_call"), (None,) * 5


class Run:
    """Chunks that differ in one text of the delta of their only choice, whose answer it is.

    `head` is one of them without what differs: the member `name` of the delta, and the padding. Where a delta has one
    reasoning detail, its `text` is taken as well.
    """

    __slots__ = ("answer", "details", "has_detail", "head", "name", "padding", "texts")

    def __init__(self, head: wire.Chunk, answer: Answer, name: str, *, has_detail: bool) -> None:
        self.head = head
        self.answer = answer
        self.name = name
        self.has_detail = has_detail
        self.texts: list[str | None] = []
        self.details: list[str | None] = []
        self.padding: str | None = None

    def takes(self, chunk: wire.Chunk) -> bool:
        """Whether a chunk goes on with the run; then it is taken."""
        choices = chunk.choices
        if len(choices) != 1 or (delta := choices[0].delta) is None:
            return False
        name = self.name
        text, padding = getattr(delta, name), chunk.obfuscation
        setattr(delta, name, None)
        if padding is not None:
            chunk.obfuscation = None
        if (self._takes_detail(chunk, delta) if self.has_detail else chunk == self.head) and text.__class__ is not list:
            self.texts.append(text)
            if padding is not None:
                self.padding = padding
            return True
        setattr(delta, name, text)
        chunk.obfuscation = padding
        return False

    def _takes_detail(self, chunk: wire.Chunk, delta: wire.ChunkDelta) -> bool:
        details = delta.reasoning_details
        if not details:
            return False
        detail = details[0]
        text = detail.text
        detail.text = None
        if chunk == self.head:
            self.details.append(text)
            return True
        detail.text = text
        return False

    def close(self) -> None:
        """Give the answer what was taken."""
        answer: Any = self.answer
        delta: Any = self.head.choices[0].delta
        answer.deltas += len(self.texts)
        answer.roles += len(self.texts) if delta.role else 0
        said = [text for text in self.texts if text is not None]
        if said and self.name == "content":
            answer.has_content = True
            answer.content += filter(None, said)
        elif said:
            answer.has_reasoning = True
            answer.reasoning += filter(None, said)
        if self.details:
            said = [text for text in self.details if text is not None]
            answer.detail_of(delta.reasoning_details[0]).texts["text"] += said


def run_after(chunk: wire.Chunk, answer: Answer) -> Run | None:
    """The run that may start with a chunk, which was added to the answer; `None` where something else of it grows."""
    [choice] = chunk.choices
    delta = choice.delta
    if delta is None or delta.tool_calls or answer.parts is not None:
        return None
    if _adding(choice) != _NOTHING_ADDED or _growing(delta) != _NOTHING_GROWS:
        return None
    names = [name for name, text in zip(_TEXTS, _texts(delta), strict=True) if text]
    if len(names) > 1:
        return None
    name = names[0] if names else "content"
    if delta.reasoning_details:
        detail = delta.reasoning_details[0]
        if (
            len(delta.reasoning_details) > 1
            or detail.text is None
            or detail.summary is not None
            or detail.data is not None
        ):
            return None
        detail.text = None
    setattr(delta, name, None)
    chunk.obfuscation = None
    return Run(chunk, answer, name, has_detail=bool(delta.reasoning_details))
