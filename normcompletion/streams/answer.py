"""One choice in the making: fragments are gathered as they come, and joined when somebody asks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from ..dialect import wire
from ..dialect.adapt import joined
from ..dialect.finish import PLACEHOLDERS
from ..model import (
    Annotation,
    Audio,
    FunctionCall,
    Image,
    Logprobs,
    Message,
    Part,
    ReasoningDetail,
    ServiceError,
    ThinkingText,
    TokenLogprob,
    ToolCall,
)
from .calls import Calls
from .merging import Values

Whole = TypeVar("Whole", Annotation, Image)
Places = dict[str, list[int]]  # by member, the places to which the members of a list of a chunk went

_encode = msgspec.json.Encoder().encode
_MORE = [name for name in Part.__struct_fields__ if name not in ("type", "text", "thinking")]
_NO_MORE = (None,) * len(_MORE)
_more = attrgetter(*_MORE)
# Members of a delta that add something each time they come; the others say the same again.
_adding = attrgetter("refusal", "annotations", "images", "audio", "function_call")
_NOTHING_ADDED = (None,) * 5
_NOT_OVER = (None, *PLACEHOLDERS)
_LONG = ("summary", "data")  # the members of a reasoning detail that are cut over chunks, beside its text


class Detail:
    """One member of `reasoning_details` in the making; its texts are cut over chunks, its words are not."""

    __slots__ = ("long", "place", "text", "words")

    def __init__(self, place: int) -> None:
        self.place = place
        self.words = ReasoningDetail()
        self.text: list[str] | None = None
        self.long: dict[str, list[str]] = {}

    def add(self, fragment: ReasoningDetail) -> None:
        """What a fragment has; of the words the last one stands (the signature comes on its own)."""
        for name in fragment.__struct_fields__:
            value = getattr(fragment, name)
            if value is None:
                continue
            if name == "text":
                self.text = [] if self.text is None else self.text
                self.text.append(value)
            elif name in _LONG:
                self.long.setdefault(name, []).append(value)
            else:
                setattr(self.words, name, value)

    def whole(self, join: Callable[[list[str]], str]) -> ReasoningDetail:
        """The member so far; `join` joins its text."""
        texts: dict[str, Any] = {name: "".join(pieces) for name, pieces in self.long.items()}
        text = None if self.text is None else join(self.text)
        return msgspec.structs.replace(self.words, text=text, **texts)


class Piece:
    """One part of a content list in the making."""

    __slots__ = ("part", "text", "thinking")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.text = None if part.text is None else [part.text]
        self.thinking = _thoughts(part)

    def add(self, part: Part) -> bool:
        """A fragment of this part; false where it is a part of its own."""
        if part.type != self.part.type or _more(part) != _NO_MORE or _more(self.part) != _NO_MORE:
            return False
        if self.text is not None and part.text is not None and self.thinking is None and part.thinking is None:
            self.text.append(part.text)
        elif self.thinking is not None and part.thinking is not None and self.text is None and part.text is None:
            self.thinking.extend(_thoughts(part) or ())
        else:
            return False
        return True

    def whole(self) -> Part:
        """The part so far."""
        thinking: str | list[ThinkingText] | None = None
        if self.thinking is not None:
            whole = "".join(item.text or "" for item in self.thinking)
            if isinstance(self.part.thinking, str):
                thinking = whole
            elif all(item.type == "text" for item in self.thinking):
                thinking = [ThinkingText(type="text", text=whole)]
            else:
                thinking = list(self.thinking)
        text = None if self.text is None else "".join(self.text)
        return msgspec.structs.replace(self.part, text=text, thinking=thinking)


def _thoughts(part: Part) -> list[ThinkingText] | None:
    return [ThinkingText(text=part.thinking)] if isinstance(part.thinking, str) else part.thinking and [*part.thinking]


_EMPTY = wire.ChunkDelta()


class Answer:
    """One choice in the making.

    `content` and `reasoning` are the fragments of its text; the assembly appends to them itself, and to those of the
    last reasoning detail. Notes and values without a field are in `extra`, by pointer below the choice.
    """

    has_delta = has_content = has_reasoning = False  # also where every fragment was empty
    has_text = False  # text without a delta, as text completions have it
    has_calls = has_function = has_logprobs = False  # `has_function`: calls in the old form
    is_over = False  # whether a finish word came
    role: str | None = None
    name: str | None = None
    parts: list[Piece] | None = None
    details: dict[tuple[str | None, int | None], Detail] | None = None
    annotations: list[Annotation] | None = None
    images: list[Image] | None = None
    audio: dict[str, Any] | None = None
    logprobs: list[TokenLogprob] | None = None
    refusal_logprobs: list[TokenLogprob] | None = None
    last_logprobs = 0  # where those of the last chunk start
    error: ServiceError | None = None
    differing: Any = None  # the last whole message that is not what the deltas say
    cumulative: str | None = None  # where a chunk has the mark of a service that sends the whole text so far
    roles = _runs = 0  # how many deltas had a role; how many fragments there were at the last count
    _has_role = False  # whether the last delta had one

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.origins: list[Answer] = []  # the answers that this one was made of
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.last_detail: list[str] = []
        self.refusal: list[str] = []
        self.aliases: list[str] = []  # `reasoning_content` that differs from the `reasoning` beside it
        self.seen: dict[bytes, int] = {}  # annotations and images, by their JSON, and their places
        self.finishes: dict[tuple[str | None, str | None], None] = {}  # words and native words, in order
        self.messages: list[wire.ChunkDelta] = []  # whole messages, as long as there was no delta
        self.extra = Values()  # by pointer below the choice
        self.calls = Calls(self.extra)

    # -- fragments

    def has_mostly_roles(self) -> bool:
        """Whether at least half of the deltas had a role."""
        self._count_roles()
        return self.roles * 2 >= self._runs

    def _count_roles(self) -> None:
        """Count the fragments since the last count: the deltas of all were like the last one that was looked at."""
        runs = len(self.content) + len(self.reasoning) + self.calls.count
        if self._has_role:
            self.roles += runs - self._runs
        self._runs = runs

    def add_delta(self, delta: wire.ChunkDelta, places: Places) -> bool:
        """What a chunk adds to the message; it is taken out of the delta.

        Adds, by member, the places to which the members of its lists went to `places`. Gives whether another delta
        that is like what is left, but for a text, adds no more than that text.
        """
        self._count_roles()
        self.has_delta = self.has_delta or delta != _EMPTY  # an object of nulls says nothing
        self._has_role = bool(delta.role)
        is_plain = self.parts is None and delta.content.__class__ is not list
        if delta.content is not None:
            self._add_content(delta, places)
        if delta.reasoning is not None or delta.reasoning_content is not None:
            self._add_reasoning(delta)
        if delta.role is not None and delta.role != self.role:
            if not delta.role:
                self.extra.note("placeholder", "/delta/role", delta.role)
            elif self.role is None:
                self.role = delta.role
            else:
                self.extra.note("conflicting_value", "/delta/role", delta.role)
        if delta.name is not None and self.name is None:
            self.name = delta.name
        if delta.reasoning_details is not None:
            is_plain = (
                self._add_details(delta.reasoning_details, places.setdefault("reasoning_details", [])) and is_plain
            )
        if delta.tool_calls is not None:
            self.has_calls = True
            is_plain = self.calls.add(delta.tool_calls, places.setdefault("tool_calls", [])) and is_plain
        if _adding(delta) != _NOTHING_ADDED:
            self._add_members(delta, places)
        return is_plain

    def _add_content(self, delta: wire.ChunkDelta, places: Places) -> None:
        content = delta.content
        if isinstance(content, list):
            places["content"] = self.add_parts(content)
            content, thought = joined(content)
            if thought is not None and not delta.reasoning and not delta.reasoning_content:
                self.has_reasoning = True
                self.reasoning.append(thought)
        elif content and self.parts is not None:
            self.add_parts([Part(type="text", text=content)])
        if content:
            self.content.append(content)
            delta.content = None
        self.has_content = self.has_content or content is not None

    def _add_reasoning(self, delta: wire.ChunkDelta) -> None:
        """The reasoning under either name; where they differ, one is kept apart."""
        first, second = delta.reasoning, delta.reasoning_content
        self.has_reasoning = True
        if first and second and first != second:
            self.aliases.append(second)
        if text := first or second:
            self.reasoning.append(text)
            delta.reasoning = delta.reasoning_content = None

    def _add_members(self, delta: wire.ChunkDelta, places: Places) -> None:
        """Members that add something each time; they are taken out of the delta."""
        if delta.function_call is not None:
            self._add_function(delta.function_call)
        if delta.refusal is not None:
            self.refusal.append(delta.refusal)
        if delta.annotations is not None:
            self.annotations = [] if self.annotations is None else self.annotations
            places["annotations"] = self._add_whole(delta.annotations, self.annotations)
        if delta.images is not None:
            self.images = [] if self.images is None else self.images
            places["images"] = self._add_whole(delta.images, self.images)
        if delta.audio is not None:
            self._add_audio(delta.audio)
        delta.function_call = delta.refusal = delta.annotations = delta.images = delta.audio = None

    def _add_function(self, function: FunctionCall) -> None:
        """The old form of a call; one of empty texts is none, one beside calls in the new form is kept apart."""
        if function.name or function.arguments:
            if self.calls.count and not self.has_function:
                self.extra.add("/delta/function_call", msgspec.to_builtins(function), is_delta=True)
            else:
                self.has_calls = self.has_function = True
                self.calls.add([ToolCall(type="function", function=function)], [])

    def _add_details(self, members: list[ReasoningDetail], places: list[int]) -> bool:
        """Fragments of `reasoning_details`, merged by type and index; adds the place of each to `places`.

        Gives whether a fragment like the one that was added, but for its text, adds no more than that.
        """
        details = self.details
        if details is None:
            details = self.details = {}
        detail = None
        for fragment in members:
            key = fragment.type, fragment.index
            detail = details.get(key)
            if detail is None:
                detail = details[key] = Detail(len(details))
            detail.add(fragment)
            self.cumulative = self.cumulative or wire.CUMULATIVE_FORMATS.get(fragment.format or "")
            places.append(detail.place)
        if not members:
            return True
        if len(members) > 1 or detail is None or detail.long or detail.text is None:
            return False
        self.last_detail, members[0].text = detail.text, None
        return True

    def _add_whole(self, items: list[Whole], held: list[Whole]) -> list[int]:
        """Annotations or images, which come whole and may come again; gives the place of each."""
        places = []
        for item in items:
            key = _encode(item)
            place = self.seen.get(key)
            if place is None:
                place = self.seen[key] = len(held)
                held.append(item)
            places.append(place)
        return places

    def _add_audio(self, fragment: Audio) -> None:
        """A fragment of audio; `data` and `transcript` are cut over chunks."""
        audio = self.audio
        if audio is None:
            audio = self.audio = {}
        for name in Audio.__struct_fields__:
            value = getattr(fragment, name)
            if value is not None:
                if name in ("data", "transcript"):
                    audio.setdefault(name, []).append(value)
                else:
                    audio[name] = value

    def add_parts(self, parts: list[Part]) -> list[int]:
        """Parts of a content list; fragments of one text or thought become one part. Gives the place of each."""
        if self.parts is None:
            self.parts = [Piece(Part(type="text", text="".join(self.content)))] if self.content else []
        places = []
        for part in parts:
            if not self.parts or not self.parts[-1].add(part):
                self.parts.append(Piece(part))
            places.append(len(self.parts) - 1)
        return places

    # -- around the delta

    def add_choice(self, choice: wire.ChunkChoice, said: Any, thought: str | None, places: Places) -> None:
        """What a choice of a chunk has beside its delta, whose texts were `said` and `thought`."""
        if choice.text is not None:
            if choice.delta is None:
                self.has_text = True
            if choice.delta is None or choice.text != said:  # Together says the text of a chat here as well
                self._add_content(wire.ChunkDelta(content=choice.text), places)
            choice.text = None
        if choice.logprobs is not None:
            places["logprobs"] = [self._add_logprobs(choice.logprobs)]
            choice.logprobs = None
        if choice.finish_reason is not None or choice.native_finish_reason is not None:
            finish = choice.finish_reason, choice.native_finish_reason
            self.finishes.pop(finish, None)
            self.finishes[finish] = None
            self.is_over = self.is_over or choice.finish_reason not in _NOT_OVER
        if choice.error is not None:
            self.error = choice.error
        if choice.message is not None:
            self._add_message(choice.message, said, thought)
            choice.message = None
        for name in wire.VENDOR_MEMBERS:
            value = getattr(choice, name)
            if value is not None:
                self.extra.add(f"/{name}", value)

    def _add_logprobs(self, logprobs: Logprobs) -> int:
        """Log-probs of a chunk's tokens; gives how many tokens came before."""
        before = 0
        self.has_logprobs = True
        if logprobs.content is not None:
            self.logprobs = [] if self.logprobs is None else self.logprobs
            before = self.last_logprobs = len(self.logprobs)
            self.logprobs.extend(logprobs.content)
        if logprobs.refusal is not None:
            self.refusal_logprobs = [] if self.refusal_logprobs is None else self.refusal_logprobs
            self.refusal_logprobs.extend(logprobs.refusal)
        return before

    # -- whole messages

    def _add_message(self, message: wire.ChunkDelta, said: str | None, thought: str | None) -> None:
        """A whole message beside or behind the deltas: what they said already adds nothing, the rest is appended."""
        if not self.has_delta:
            self.messages.append(message)
            return
        text, thinking = _texts(message)
        agrees = [
            self._agrees(text, said, self.content, "content"),
            self._agrees(thinking, thought, self.reasoning, "reasoning"),
            self._agrees(message.refusal, None, self.refusal, "refusal"),
            not message.tool_calls or self.calls.agree(message.tool_calls),
            message.reasoning_details is None or message.audio is None,
        ]
        self.has_calls = self.has_calls or bool(self.calls.calls)
        self.role = self.role or message.role
        self.name = self.name or message.name
        self._add_members(wire.ChunkDelta(annotations=message.annotations, images=message.images), {})
        if not all(agrees):
            self.differing = message

    def _agrees(self, text: str | None, said: str | None, pieces: list[str], name: str) -> bool:
        """Whether a text of a message is that of its chunk's delta, or continues the text so far."""
        if not text or text == said:
            return True
        so_far = "".join(pieces)
        if not text.startswith(so_far):
            return False
        if text != so_far:
            pieces.append(text[len(so_far) :])
            self.extra.note("continued_text", f"/message/{name}", text[len(so_far) :])
        elif not self.cumulative:
            pieces[:] = [so_far]
        return True

    def settled(self) -> Answer:
        """The answer itself; where it never had a delta, one with its whole messages as fragments."""
        if self.has_delta or not self.messages:
            return self
        built = Answer(self.index)
        built.absorb(self)
        built.origins = [self]
        for message in self.messages:
            built.add_delta(copy.deepcopy(message), {})
        self.extra.note("whole_in_stream", "/message", None)
        return built

    def absorb(self, other: Answer) -> None:
        """Go on with what another answer has."""
        self.content += other.content
        self.reasoning += other.reasoning
        self.refusal += other.refusal
        self.aliases += other.aliases
        self.role, self.name, self.error = self.role or other.role, self.name or other.name, self.error or other.error
        for name in ("has_delta", "has_content", "has_reasoning", "has_text", "has_calls", "has_logprobs", "is_over"):
            setattr(self, name, getattr(self, name) or getattr(other, name))
        self.calls.add([call.whole() for call in other.calls.calls], [])
        if other.logprobs is not None:
            self.logprobs = [*(self.logprobs or ()), *other.logprobs]
        self.finishes |= other.finishes
        self.differing = other.differing
        for pointer, value in other.extra.items():
            self.extra.add(pointer, value, is_delta=pointer.startswith("/delta/"))

    # -- the result

    def message(self) -> Message:
        """The message so far; its role is still the wire's word."""
        audio = self.audio
        if audio is not None:
            audio = {name: "".join(value) if isinstance(value, list) else value for name, value in audio.items()}
        return Message(
            name=self.name,
            content=self._joined(self.content, "content") if self.content or self.has_content else None,
            reasoning=self._joined(self.reasoning, "reasoning") if self.reasoning or self.has_reasoning else None,
            refusal="".join(self.refusal) if self.refusal else None,
            parts=None if self.parts is None else [part.whole() for part in self.parts],
            reasoning_details=None
            if self.details is None
            else [item.whole(self._joined) for item in self.details.values()],
            tool_calls=[call.whole() for call in self.calls.calls] if self.has_calls else None,
            annotations=None if self.annotations is None else list(self.annotations),
            images=None if self.images is None else list(self.images),
            audio=None if audio is None else Audio(**audio),
        )

    def _joined(self, pieces: list[str], name: str = "") -> str:
        """The text of fragments. Of a service that sends the whole text so far in each chunk, the last one is it."""
        if self.cumulative and is_cumulative(pieces):
            if name and (len(pieces) > 1 or self.cumulative == wire.ATOMA_ENGINE):
                self.extra.note("cumulative_delta", f"/delta/{name}", None)
            return pieces[-1]
        return "".join(pieces)

    def whole_logprobs(self) -> Logprobs | None:
        """The log-probs so far."""
        if not self.has_logprobs:
            return None
        tokens = self.logprobs
        if tokens is not None:
            tokens = tokens[self.last_logprobs :] if self.cumulative and is_cumulative(self.content) else list(tokens)
        refusal = None if self.refusal_logprobs is None else list(self.refusal_logprobs)
        return Logprobs(content=tokens, refusal=refusal)


def is_cumulative(pieces: list[str]) -> bool:
    """Whether each text begins with the whole text before it."""
    return bool(pieces) and all(later.startswith(text) for text, later in pairwise(pieces))


def _texts(message: wire.ChunkDelta) -> tuple[str | None, str | None]:
    """The text and the reasoning of a whole message."""
    text, thinking = message.content, message.reasoning or message.reasoning_content
    if isinstance(text, list):
        text, inner = joined(text)
        thinking = thinking or inner
    return text, thinking
