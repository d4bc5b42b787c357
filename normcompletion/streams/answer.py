"""One choice in the making: fragments are gathered as they come, and joined when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from ..dialect import wire
from ..dialect.adapt import joined, leaf, leaves
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
    to_json,
)
from .calls import Calls
from .values import UNNOTED, Values

Whole = TypeVar("Whole", Annotation, Image)

_MORE = [name for name in Part.__struct_fields__ if name not in ("type", "text", "thinking")]
_NO_MORE = (None,) * len(_MORE)
_more = attrgetter(*_MORE)
# Rarer members of a choice, and of its delta.
_beside, _NOTHING_BESIDE = attrgetter("text", "logprobs", "message"), (None,) * 3
_rare, _NOTHING_RARE = attrgetter("refusal", "annotations", "images", "audio", "function_call"), (None,) * 5
_vendor, _NO_VENDOR = attrgetter(*wire.VENDOR_MEMBERS), (None,) * len(wire.VENDOR_MEMBERS)
_NOT_OVER = (None, *PLACEHOLDERS)
DETAIL_TEXTS = ("text", "summary", "data")


class Detail(msgspec.Struct, eq=False):
    """One member of `reasoning_details` in the making; its texts are cut over chunks, its words are not."""

    place: int
    words: ReasoningDetail = msgspec.field(default_factory=ReasoningDetail)
    texts: dict[str, list[str]] = {}

    def add(self, fragment: ReasoningDetail, values: Values) -> None:
        """Go on with a fragment: the last one of each word is kept, and another is noted (but for a signature)."""
        for name in ReasoningDetail.__struct_fields__:
            value = getattr(fragment, name)
            if value is None:
                continue
            if name in DETAIL_TEXTS:
                self.texts.setdefault(name, []).append(value)
                continue
            held = getattr(self.words, name)
            if value != held:
                if held is not None and name not in UNNOTED:
                    values.note("conflicting_value", f"/delta/reasoning_details/{self.place}/{name}", held)
                setattr(self.words, name, value)

    def whole(self, join: Callable[[list[str]], str]) -> ReasoningDetail:
        """The member so far; `join` joins its text."""
        texts = {name: join(pieces) if name == "text" else "".join(pieces) for name, pieces in self.texts.items()}
        return msgspec.structs.replace(self.words, **texts)


def continues(part: Part, before: Part) -> bool:
    """Whether a part of a content list is the next fragment of the text, or the thought, of the part before."""
    if part.type != before.type or _more(part) != _NO_MORE or _more(before) != _NO_MORE:
        return False
    has_text, has_thought = part.text is not None, part.thinking is not None
    return has_text != has_thought and (before.text is not None, before.thinking is not None) == (has_text, has_thought)


def _whole_part(fragments: list[Part]) -> Part:
    part = leaf(fragments[0], Part)
    text, thinking = part.text, part.thinking
    if text is not None:
        text = "".join([each.text or "" for each in fragments])
    if thinking is not None:
        thoughts = [thought for each in fragments for thought in _thoughts(each)]
        whole = "".join([thought.text or "" for thought in thoughts])
        if isinstance(thinking, str):
            thinking = whole
        elif all(thought.type == "text" for thought in thoughts):
            thinking = [ThinkingText(type="text", text=whole)]
        else:
            thinking = thoughts
    return msgspec.structs.replace(part, text=text, thinking=thinking)


def _thoughts(part: Part) -> list[ThinkingText]:
    return [ThinkingText(text=part.thinking)] if isinstance(part.thinking, str) else part.thinking or []


_EMPTY = wire.ChunkDelta()


class Answer(msgspec.Struct, eq=False):
    """One choice in the making.

    `content` and `reasoning` are the fragments of its text. Notes and values without a field are in `extra`, by pointer
    below the choice.
    """

    index: int | None
    deltas: int = 0
    roles: int = 0  # how many deltas had one
    has_delta: bool = False  # also where every fragment was empty, as `has_content` and `has_reasoning`
    has_content: bool = False
    has_reasoning: bool = False
    has_text: bool = False  # text without a delta, as text completions have it
    has_calls: bool = False
    has_function: bool = False  # calls in the old form
    has_logprobs: bool = False
    is_over: bool = False  # whether a finish word came
    role: str | None = None
    name: str | None = None
    content: list[str] = []
    reasoning: list[str] = []
    refusal: list[str] = []
    aliases: list[str] = []  # `reasoning_content` that differs from the `reasoning` beside it
    parts: list[list[Part]] | None = None  # the fragments of each
    details: dict[tuple[str | None, int | None], Detail] | None = None
    annotations: list[Annotation] | None = None
    images: list[Image] | None = None
    seen: dict[bytes, int] = {}  # annotations and images, by their JSON, and their places
    audio: dict[str, Any] | None = None
    logprobs: list[TokenLogprob] | None = None
    refusal_logprobs: list[TokenLogprob] | None = None
    last_logprobs: int = 0  # where those of the last chunk start
    finishes: dict[tuple[str | None, str | None], None] = {}  # words and native words, in order
    error: ServiceError | None = None
    messages: list[wire.ChunkDelta] = []  # whole messages, as long as there was no delta
    differing: Any = None  # the last whole message that is not what the deltas say
    cumulative: str | None = None  # where a chunk has the mark of a service that sends the whole text so far
    origins: list[Answer] = []  # the answers that this one was made of
    places: dict[str, list[int]] = {}  # to which the members of lists of the last chunk went, by member
    extra: Values = msgspec.field(default_factory=Values)  # by pointer below the choice
    ending: Values = msgspec.field(default_factory=Values)  # the notes of the finish words so far
    calls: Calls = msgspec.field(default_factory=Calls)

    # -- fragments

    def has_mostly_roles(self) -> bool:
        """Whether at least half of the deltas had a role."""
        return self.roles * 2 >= self.deltas

    def add(self, choice: wire.ChunkChoice) -> bool:
        """Go on with what a chunk says of this choice; whether there was nothing rare that may come again."""
        self.places = {}
        delta = choice.delta
        is_plain = True
        if delta is not None:
            self.add_delta(delta)
        if _beside(choice) != _NOTHING_BESIDE:
            is_plain = False
            self._add_beside(choice)
        if delta is not None:
            if _rare(delta) != _NOTHING_RARE:
                is_plain = False
                self._add_rare(delta)
            self._add_words(delta)
        if choice.finish_reason is not None or choice.native_finish_reason is not None:
            finish = choice.finish_reason, choice.native_finish_reason
            self.finishes.pop(finish, None)
            self.finishes[finish] = None
            self.is_over = self.is_over or choice.finish_reason not in _NOT_OVER
        if choice.error is not None:
            self.error = choice.error
        if _vendor(choice) != _NO_VENDOR:
            for name in wire.VENDOR_MEMBERS:
                if (value := getattr(choice, name)) is not None:
                    self.extra.add(f"/{name}", value)
        return is_plain

    def add_delta(self, delta: wire.ChunkDelta) -> None:
        """Go on with the texts of a delta and its fragments of tool calls."""
        self.deltas += 1
        self.has_delta = self.has_delta or delta != _EMPTY  # an object of nulls says nothing
        if (content := delta.content) is not None:
            if isinstance(content, str):
                self.has_content = True
                if content:
                    self.content.append(content)
                    if self.parts is not None:
                        self._add_parts([Part(type="text", text=content)])
            elif content:
                self._add_content(content, delta)
            else:
                self.parts = self.parts or []
        if delta.reasoning is not None or delta.reasoning_content is not None:
            self.add_reasoning(delta.reasoning, delta.reasoning_content)
        if delta.tool_calls is not None:
            self.has_calls = True
            self.places["tool_calls"] = self.calls.take(delta.tool_calls, self.extra)

    def add_reasoning(self, thought: str | None, alias: str | None) -> None:
        """Go on with the reasoning of a delta, under either name; where the two differ, one is kept apart."""
        self.has_reasoning = True
        if text := thought or alias:
            self.reasoning.append(text)
            if alias and alias != text:
                self.aliases.append(alias)

    def _add_words(self, delta: wire.ChunkDelta) -> None:
        if (role := delta.role) is not None:
            self.roles += bool(role)
            if not role:
                self.extra.note("placeholder", "/delta/role", role)
            elif self.role is None:
                self.role = role
            elif role != self.role:
                self.extra.note("conflicting_value", "/delta/role", role)
        if delta.name is not None and self.name is None:
            self.name = delta.name
        if delta.reasoning_details is not None:
            self.places["reasoning_details"] = self._add_details(delta.reasoning_details)
        if delta.channel is not None:
            self.extra.add("/delta/channel", delta.channel)

    def _add_content(self, parts: Sequence[Part], delta: wire.ChunkDelta) -> None:
        """The parts of a delta, with their texts and thoughts."""
        self.places["content"] = self._add_parts(parts)
        text, thought = joined(parts)
        if text is not None:
            self.has_content = True
            self.content.append(text)
        if thought is not None and not delta.reasoning and not delta.reasoning_content:
            self.has_reasoning = True
            self.reasoning.append(thought)

    def _add_details(self, fragments: list[ReasoningDetail]) -> list[int]:
        """Fragments of `reasoning_details`, merged by type and index; gives the place of each."""
        self.details = {} if self.details is None else self.details
        places = []
        for fragment in fragments:
            detail = self.detail_of(fragment)
            detail.add(fragment, self.extra)
            self.cumulative = self.cumulative or wire.CUMULATIVE_FORMATS.get(fragment.format or "")
            places.append(detail.place)
        return places

    def detail_of(self, fragment: ReasoningDetail) -> Detail:
        """The reasoning detail to which a fragment belongs."""
        assert self.details is not None
        key = fragment.type, fragment.index
        detail = self.details.get(key)
        if detail is None:
            detail = self.details[key] = Detail(len(self.details))
        return detail

    def _add_beside(self, choice: wire.ChunkChoice) -> None:
        """What is beside the delta, which is said already."""
        if choice.text is not None:
            if choice.delta is None:
                self.has_text = True
            if (
                choice.delta is None or choice.text != choice.delta.content
            ):  # Together says the text of a chat here, too
                self.has_content = True
                self.content += [choice.text] if choice.text else []
        if choice.logprobs is not None:
            self._add_logprobs(choice.logprobs)
        if choice.message is not None:
            self._add_message(choice.message, choice.delta or _EMPTY)

    def _add_rare(self, delta: wire.ChunkDelta) -> None:
        if delta.function_call is not None:
            self._add_function(delta.function_call)
        if delta.refusal is not None:
            self.refusal.append(delta.refusal)
        if delta.annotations is not None:
            self.annotations = [] if self.annotations is None else self.annotations
            self.places["annotations"] = self._add_whole(delta.annotations, self.annotations)
        if delta.images is not None:
            self.images = [] if self.images is None else self.images
            self.places["images"] = self._add_whole(delta.images, self.images)
        if delta.audio is not None:
            self._add_audio(delta.audio)

    def _add_function(self, function: FunctionCall) -> None:
        """The old form of a call; one of empty texts is none, one beside calls in the new form is kept apart."""
        if function.name or function.arguments:
            if self.calls.calls and not self.has_function:
                self.extra.add("/delta/function_call", msgspec.to_builtins(function), is_delta=True)
            else:
                self.has_calls = self.has_function = True
                self.calls.take([ToolCall(type="function", function=function)], self.extra)

    def _add_whole(self, items: list[Whole], held: list[Whole]) -> list[int]:
        """Annotations or images, which come whole and may come again; gives the place of each."""
        places = []
        for item in items:
            key = to_json(item)
            place = self.seen.get(key)
            if place is None:
                place = self.seen[key] = len(held)
                held.append(item)
            places.append(place)
        return places

    def _add_audio(self, fragment: Audio) -> None:
        """A fragment of audio; `data` and `transcript` are cut over chunks."""
        audio = self.audio = {} if self.audio is None else self.audio
        for name in Audio.__struct_fields__:
            value = getattr(fragment, name)
            if value is not None and name in ("data", "transcript"):
                audio.setdefault(name, []).append(value)
            elif value is not None:
                audio[name] = value

    def _add_parts(self, parts: Sequence[Part]) -> list[int]:
        """Parts of a content list; fragments of one text or thought become one part. Gives the place of each."""
        if self.parts is None:
            self.parts = [[Part(type="text", text="".join(self.content))]] if self.content else []
        places = []
        for part in parts:
            if self.parts and continues(part, self.parts[-1][0]):
                self.parts[-1].append(part)
            else:
                self.parts.append([part])
            places.append(len(self.parts) - 1)
        self._keep_closed(parts, places, "delta")
        return places

    def _keep_closed(self, parts: Sequence[Part], places: Iterable[int], key: str) -> None:
        """Keep what says of parts whether they are closed (Mistral), which no canonical part does."""
        for part, place in zip(parts, places, strict=False):
            if isinstance(part, wire.ChunkPart) and part.closed is not None:
                self.extra.add(f"/{key}/content/{place}/closed", part.closed)

    def _add_logprobs(self, logprobs: Logprobs) -> None:
        """Log-probs of a chunk's tokens."""
        self.has_logprobs = True
        if logprobs.content is not None:
            self.logprobs = [] if self.logprobs is None else self.logprobs
            self.last_logprobs = len(self.logprobs)
            self.logprobs.extend(logprobs.content)
        if logprobs.refusal is not None:
            self.refusal_logprobs = [] if self.refusal_logprobs is None else self.refusal_logprobs
            self.refusal_logprobs.extend(logprobs.refusal)
        self.places["logprobs"] = [self.last_logprobs]

    # -- whole messages

    def _add_message(self, message: wire.ChunkDelta, said: wire.ChunkDelta) -> None:
        """A whole message beside or behind the deltas: what they said already adds nothing, the rest is appended."""
        if message.channel is not None:
            self.extra.add("/message/channel", message.channel)
            message.channel = None
        if isinstance(message.content, list):
            self._keep_closed(message.content, range(len(message.content)), "message")
            message.content = leaves(message.content, Part)  # type: ignore[arg-type]
        if not self.has_delta:
            self.messages.append(message)
            return
        (text, thinking), (said_text, said_thought) = _texts(message), _texts(said)
        agrees = [
            self._agrees(text, said_text, self.content, "content"),
            self._agrees(thinking, said_thought, self.reasoning, "reasoning"),
            self._agrees(message.refusal, None, self.refusal, "refusal"),
            not message.tool_calls
            or message.tool_calls == said.tool_calls
            or self.calls.agree(message.tool_calls, self.extra),
            message.reasoning_details is None or message.audio is None,
        ]
        self.has_calls = self.has_calls or bool(self.calls.calls)
        self.role = self.role or message.role
        self.name = self.name or message.name
        self._add_rare(wire.ChunkDelta(annotations=message.annotations, images=message.images))
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

    def assembled(self) -> Answer:
        """The answer itself; where it never had a delta, one with its whole messages as fragments."""
        if self.has_delta or not self.messages:
            return self
        built = Answer(self.index)
        built.absorb(self)
        built.origins = [self]
        for message in self.messages:
            built.add(wire.ChunkChoice(delta=message))
        built.extra.note("whole_in_stream", "/message", None)
        return built

    def absorb(self, other: Answer) -> None:
        """Go on with what another answer has."""
        said = other.message()
        delta = wire.ChunkDelta(**{name: getattr(said, name) for name in wire.DELTA_MEMBERS})
        delta.content = said.content if said.parts is None else said.parts  # type: ignore[assignment]
        delta.role = other.role
        choice = wire.ChunkChoice(delta=delta)
        choice.logprobs, choice.error = other.whole_logprobs(), other.error  # type: ignore[assignment]
        self.add(choice)
        self.aliases += other.aliases
        self.has_delta, self.has_text = self.has_delta or other.has_delta, self.has_text or other.has_text
        self.finishes |= other.finishes
        self.is_over = self.is_over or other.is_over
        self.cumulative = self.cumulative or other.cumulative
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
            content=self._joined(self.content) if self.content or self.has_content else None,
            reasoning=self._joined(self.reasoning) if self.reasoning or self.has_reasoning else None,
            refusal="".join(self.refusal) if self.refusal else None,
            parts=None if self.parts is None else [_whole_part(fragments) for fragments in self.parts],
            reasoning_details=None
            if self.details is None
            else [item.whole(self._joined) for item in self.details.values()],
            tool_calls=[call.whole() for call in self.calls.calls] if self.has_calls else None,
            annotations=None if self.annotations is None else list(self.annotations),
            images=None if self.images is None else list(self.images),
            audio=None if audio is None else Audio(**audio),
        )

    def _joined(self, pieces: list[str]) -> str:
        """The text of fragments. Of a service that sends the whole text so far in each chunk, the last one is it."""
        return pieces[-1] if self.cumulative and is_cumulative(pieces) else "".join(pieces)

    def cumulative_texts(self) -> list[str]:
        """The names of the texts whose last fragment is the whole."""
        least = 1 if self.cumulative == wire.ATOMA_ENGINE else 2
        texts = {"content": self.content, "reasoning": self.reasoning} if self.cumulative else {}
        return [name for name, pieces in texts.items() if len(pieces) >= least and is_cumulative(pieces)]

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
