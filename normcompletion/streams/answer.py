"""One choice in the making: fragments are gathered as they come, and joined once when somebody asks."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from ..dialect.adapt import joined
from ..model import (
    Annotation,
    Audio,
    Choice,
    FinishReason,
    FunctionCall,
    Image,
    Logprobs,
    Message,
    Part,
    ReasoningDetail,
    Role,
    ServiceError,
    ThinkingText,
    TokenLogprob,
    ToolCall,
)
from .merging import Values

Whole = TypeVar("Whole", Annotation, Image)

_encode = msgspec.json.Encoder().encode
_MORE = [name for name in Part.__struct_fields__ if name not in ("type", "text", "thinking")]
_NO_MORE = (None,) * len(_MORE)
_more = attrgetter(*_MORE)


class Call:
    """One tool call in the making."""

    __slots__ = ("arguments", "id", "index", "name", "place", "type")

    def __init__(self, index: int | None, place: int) -> None:
        self.index = index
        self.place = place
        self.id: str | None = None
        self.type: str | None = None
        self.name: str | None = None
        self.arguments: list[str] | None = None

    def whole(self) -> ToolCall:
        """The call so far; half of its arguments stays half."""
        arguments = None if self.arguments is None else "".join(self.arguments)
        function = (
            None if self.name is None and arguments is None else FunctionCall(name=self.name, arguments=arguments)
        )
        return ToolCall(id=self.id, type=self.type, index=self.index, function=function)


class Detail:
    """One member of `reasoning_details` in the making; its texts are cut over chunks, its words are not."""

    __slots__ = ("data", "index", "place", "summary", "text", "type", "words")

    def __init__(self, kind: str | None, index: int | None, place: int) -> None:
        self.type, self.index = kind, index
        self.place = place
        self.words = ReasoningDetail(type=kind, index=index)
        self.text: list[str] = []
        self.summary: list[str] | None = None
        self.data: list[str] | None = None

    def add(self, fragment: Any) -> None:
        """What a fragment has beside its text; of the words the last one stands (the signature comes on its own)."""
        if fragment.summary is not None:
            self.summary = self.summary or []
            self.summary.append(fragment.summary)
        if fragment.data is not None:
            self.data = self.data or []
            self.data.append(fragment.data)
        for name in ("signature", "format", "id", "tool_call_id", "tool_name", "arguments", "result"):
            if (value := getattr(fragment, name, None)) is not None:
                setattr(self.words, name, value)

    def whole(self) -> ReasoningDetail:
        """The member so far."""
        return msgspec.structs.replace(
            self.words,
            text="".join(self.text) if self.text else None,
            summary=None if self.summary is None else "".join(self.summary),
            data=None if self.data is None else "".join(self.data),
        )


class Piece:
    """One part of a content list in the making."""

    __slots__ = ("part", "text", "thinking", "thinks_in_text")

    def __init__(self, sent: Part) -> None:
        part = self.part = sent
        self.text = None if part.text is None else [part.text]
        self.thinks_in_text = isinstance(part.thinking, str)
        self.thinking = _thoughts(part)

    def add(self, part: Part) -> bool:
        """A fragment of this part; false where it is a part of its own."""
        if part.type != self.part.type or _has_more(part) or _has_more(self.part):
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
            thinking = self.thinking if not self.thinks_in_text else "".join(item.text or "" for item in self.thinking)
            if not isinstance(thinking, str) and all(item.type == "text" for item in thinking):
                thinking = [ThinkingText(type="text", text="".join(item.text or "" for item in thinking))]
        text = None if self.text is None else "".join(self.text)
        return msgspec.structs.replace(self.part, text=text, thinking=thinking)


def _thoughts(part: Part) -> list[ThinkingText] | None:
    return [ThinkingText(text=part.thinking)] if isinstance(part.thinking, str) else part.thinking and [*part.thinking]


def _has_more(part: Part) -> bool:
    """Whether a part holds anything that does not come in fragments."""
    return _more(part) != _NO_MORE


class Answer:
    """One choice in the making."""

    __slots__ = (
        "aliases",
        "annotations",
        "audio",
        "calls",
        "calls_by_id",
        "calls_by_index",
        "content",
        "details",
        "error",
        "extra",
        "finish_reason",
        "has_content",
        "has_logprobs",
        "has_reasoning",
        "images",
        "index",
        "is_cumulative",
        "logprobs",
        "name",
        "native_finish_reason",
        "parts",
        "reasoning",
        "refusal",
        "refusal_logprobs",
        "role",
        "seen",
    )

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.role: Role | None = None
        self.name: str | None = None
        self.content: list[str] = []
        self.has_content = False  # also where every fragment was empty
        self.reasoning: list[str] = []
        self.has_reasoning = False
        self.refusal: list[str] = []
        self.parts: list[Piece] | None = None
        self.details: dict[tuple[str | None, int | None], Detail] | None = None
        self.calls: list[Call] | None = None
        self.calls_by_index: dict[int, Call] = {}
        self.calls_by_id: dict[str, Call] = {}
        self.annotations: list[Annotation] | None = None
        self.images: list[Image] | None = None
        self.seen: dict[bytes, int] = {}  # annotations and images, by their JSON, and their places
        self.audio: dict[str, Any] | None = None
        self.has_logprobs = False
        self.logprobs: list[TokenLogprob] | None = None
        self.refusal_logprobs: list[TokenLogprob] | None = None
        self.finish_reason: FinishReason | None = None
        self.native_finish_reason: str | None = None
        self.error: ServiceError | None = None
        self.extra = Values()  # by pointer below the choice
        self.is_cumulative = False  # whether chunks have the whole text so far
        self.aliases: list[str] = []  # `reasoning_content` that differs from the `reasoning` beside it

    def restart(self) -> None:
        """Forget the text so far: the next chunk has the whole of it."""
        self.is_cumulative = True
        self.content.clear()
        self.logprobs = None

    def add_delta(self, delta: Any, note: Callable[[str, str, Any, Answer], None]) -> dict[str, list[int]]:
        """What a chunk adds to the message: a `wire.ChunkDelta` or a canonical `Message`.

        Gives, by member, the places to which the members of its lists went. `note` records what was displaced.
        """
        places: dict[str, list[int]] = {}
        content, role, thought = delta.content, delta.role, delta.reasoning
        if type(content) is list:
            places["content"] = self.add_parts(content)
            content, thought = joined(content)
            thought = delta.reasoning if thought is None else thought
        elif getattr(delta, "parts", None) is not None:
            places["content"] = self.add_parts(delta.parts)
        elif content and self.parts is not None:
            self.add_parts([Part(type="text", text=content)])
        if content is not None:
            self.add_content(content)
        if role is not None and role != self.role:
            if self.role is None:
                self.role = role
            else:
                note("conflicting_value", "/delta/role", role, self)
        alias = getattr(delta, "reasoning_content", None)
        if alias is not None:
            if not thought:
                thought = alias
            elif alias and alias != thought:
                self.aliases.append(alias)
        if thought is not None:
            self.has_reasoning = True
            if thought:
                self.reasoning.append(thought)
        if delta.tool_calls is not None:
            places["tool_calls"] = self.add_calls(delta.tool_calls)
        if delta.reasoning_details is not None:
            places["reasoning_details"] = self.add_details(delta.reasoning_details)
        self._add_rare(delta, places)
        return places

    def _add_rare(self, delta: Any, places: dict[str, list[int]]) -> None:
        """What few chunks have."""
        if delta.refusal is not None:
            self.refusal.append(delta.refusal)
        if delta.name is not None and self.name is None:
            self.name = delta.name
        if delta.annotations is not None:
            self.annotations = [] if self.annotations is None else self.annotations
            places["annotations"] = self.add_whole(delta.annotations, self.annotations)
        if delta.images is not None:
            self.images = [] if self.images is None else self.images
            places["images"] = self.add_whole(delta.images, self.images)
        if delta.audio is not None:
            self.add_audio(delta.audio)

    def add_content(self, content: str) -> None:
        """A fragment of the text."""
        if content:
            self.content.append(content)
        else:
            self.has_content = True

    def add_text(self, text: str) -> None:
        """A fragment of a text completion."""
        if self.parts is not None and text:
            self.add_parts([Part(type="text", text=text)])
        self.add_content(text)

    def add_calls(self, fragments: list[ToolCall]) -> list[int]:
        """Fragments of tool calls; gives the place of the call that each one belongs to.

        A fragment belongs to the call under its index, else under its id, else to the last one. A new id, or another
        name, under a key in use opens a new call (Gemini numbers every call 0).
        """
        calls = self.calls
        if calls is None:
            calls = self.calls = []
        places = []
        for fragment in fragments:
            index, identity, function = fragment.index, fragment.id or None, fragment.function
            name = function.name or None if function is not None else None
            call: Call | None
            if index is not None:
                call = self.calls_by_index.get(index)
            elif identity is not None:
                call = self.calls_by_id.get(identity)
            else:
                call = calls[-1] if calls else None
                if call is not None and name is not None and call.name is not None:
                    call = None  # a name starts a call
            if call is not None and (
                (identity is not None and call.id is not None and call.id != identity)
                or (name is not None and call.name is not None and call.name != name)
            ):
                call = None
            if call is None:
                call = Call(index, len(calls))
                calls.append(call)
                if index is not None:
                    self.calls_by_index[index] = call
            if identity is not None:
                call.id = identity
                self.calls_by_id[identity] = call
            elif fragment.id is not None and call.id is None:
                call.id = fragment.id
            if fragment.type is not None:
                call.type = fragment.type
            if function is not None:
                if name is not None or call.name is None:
                    call.name = name if name is not None else function.name
                if function.arguments is not None:
                    if call.arguments is None:
                        call.arguments = [function.arguments]
                    else:
                        call.arguments.append(function.arguments)
            places.append(call.place)
        return places

    def detail(self, kind: str | None, index: int | None) -> Detail:
        """The member of `reasoning_details` with a type and an index."""
        if self.details is None:
            self.details = {}
        detail = self.details.get((kind, index))
        if detail is None:
            detail = self.details[kind, index] = Detail(kind, index, len(self.details))
        return detail

    def add_details(self, members: list[ReasoningDetail]) -> list[int]:
        """Fragments of `reasoning_details`, merged by type and index; gives the place of each."""
        if self.details is None:
            self.details = {}
        places = []
        for fragment in members:
            detail = self.detail(fragment.type, fragment.index)
            if fragment.text is not None:
                detail.text.append(fragment.text)
            detail.add(fragment)
            places.append(detail.place)
        return places

    def add_whole(self, items: list[Whole], held: list[Whole]) -> list[int]:
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

    def add_audio(self, fragment: Audio) -> None:
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

    def add_logprobs(self, logprobs: Logprobs) -> int:
        """Log-probs of a chunk's tokens; gives how many tokens came before."""
        before = 0
        self.has_logprobs = True
        if logprobs.content is not None:
            if self.logprobs is None:
                self.logprobs = []
            before = len(self.logprobs)
            self.logprobs.extend(logprobs.content)
        if logprobs.refusal is not None:
            if self.refusal_logprobs is None:
                self.refusal_logprobs = []
            self.refusal_logprobs.extend(logprobs.refusal)
        return before

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

    def message(self) -> Message:
        """The message so far."""
        audio = self.audio
        if audio is not None:
            audio = {name: "".join(value) if isinstance(value, list) else value for name, value in audio.items()}
        return Message(
            role=self.role,
            name=self.name,
            content="".join(self.content) if self.content or self.has_content else None,
            reasoning="".join(self.reasoning) if self.reasoning or self.has_reasoning else None,
            refusal="".join(self.refusal) if self.refusal else None,
            parts=None if self.parts is None else [part.whole() for part in self.parts],
            reasoning_details=None if self.details is None else [item.whole() for item in self.details.values()],
            tool_calls=None if self.calls is None else [call.whole() for call in self.calls],
            annotations=None if self.annotations is None else list(self.annotations),
            images=None if self.images is None else list(self.images),
            audio=None if audio is None else Audio(**audio),
        )

    def whole(self) -> Choice:
        """The choice so far."""
        logprobs = None
        if self.has_logprobs:
            logprobs = Logprobs(
                content=None if self.logprobs is None else list(self.logprobs),
                refusal=None if self.refusal_logprobs is None else list(self.refusal_logprobs),
            )
        return Choice(
            index=self.index,
            message=self.message(),
            finish_reason=self.finish_reason,
            native_finish_reason=self.native_finish_reason,
            logprobs=logprobs,
            error=self.error,
        )
