"""Chunks to one completion: every piece of text is kept, no word is glued, nothing invented.

What is a word (id, model, role, finish reason, a call's id and name) is never concatenated; what is text always is.
Null never overwrites. Time and memory are linear in the chunks: fragments are joined once, at the end.

Two roads lead in. `add` takes a canonical `Chunk`. `add_stream` and `add_texts` take a saved stream and fold chunks in
canonical words without making a `Chunk` of each; whatever they cannot read goes through the reader, to `add`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from operator import length_hint
from typing import Any, NamedTuple

import msgspec

from . import dialect, envelope, wire
from .errors import AmbiguousPayloadError, MalformedPayloadError, UnknownPayloadError
from .ledger import Ledger
from .model import (
    Annotation,
    Choice,
    Chunk,
    Completion,
    FinishReason,
    Image,
    Message,
    Note,
    Part,
    Role,
    ServiceError,
    Usage,
)
from .parse import BLANKS, duplicate_keys
from .pointer import camel, escape
from .reader import Refusal, Shape, ambiguous
from .recast import Fold, Recast, fold, gather
from .spelling import camel_twin, converted, keys_of
from .stream_chunks import VARIANTS, ChunkReader, is_foldable, is_odd
from .stream_events import DATA, DONE, Event, EventReader, is_dropped, lines_of
from .stream_parts import Answer, canonical
from .stream_template import (
    MAX_GAPS,
    MAX_KNOWN,
    Gap,
    Known,
    Template,
    decode_text,
    gaps_of,
    padding_of,
    retimed,
    template_of,
)
from .widen import WHOLE, Plan

# A key in camelCase; quotes inside a string are escaped, so only a key can look so.
_CAMEL_KEY = re.compile(rb'"([a-z]+(?:[A-Z][a-z]+)+)"\s*:')
_CAMEL_KEYS = frozenset(camel(key).encode() for key in keys_of(wire.Body) if camel(key) != key)

_MAX_EVENT_NAMES = 64
_PATIENCE = 4  # chunks in a row from which a template is made in vain
PAYS_FROM = 12  # chunks to come, for which a template pays
_NO_PADDING: dict[str, str] = {}
_WRAPPER = b'{"data":'


class Placed(NamedTuple):
    """Where the members of one choice of a chunk went: the answer, and the places inside its lists."""

    answer: Answer
    places: dict[str, list[int]]


_LISTS = {
    "tool_calls": "tool_calls",
    "toolCalls": "tool_calls",
    "reasoning_details": "reasoning_details",
    "reasoningDetails": "reasoning_details",
    "content": "content",
    "annotations": "annotations",
    "images": "images",
}


def _owner(pointer: str, placed: list[Placed], root: str) -> tuple[Answer | None, str]:
    """Whose a pointer into a chunk is, and where it points in the assembled body, below that choice."""
    if root and pointer.startswith(root + "/"):
        pointer = pointer[len(root) :]
    steps = pointer.split("/")
    if len(steps) < 3 or steps[1] != "choices" or not steps[2].isdigit() or int(steps[2]) >= len(placed):
        return None, pointer
    answer, places = placed[int(steps[2])]
    rest = steps[3:]
    if len(rest) > 2 and rest[0] == "delta" and rest[1] in _LISTS and rest[2].isdigit():
        held = places.get(_LISTS[rest[1]], [])
        if int(rest[2]) < len(held):
            rest[2] = str(held[int(rest[2])])
    elif len(rest) > 2 and rest[:2] == ["logprobs", "content"] and rest[2].isdigit() and "logprobs" in places:
        rest[2] = str(int(rest[2]) + places["logprobs"][0])
    return answer, "".join(f"/{step}" for step in rest)


class Kept:
    """The places of what the vendor keys of a chunk hold: what was there before, and what is new."""

    __slots__ = ("other", "same")

    def __init__(self) -> None:
        self.same: list[str] = []
        self.other: list[str] = []

    def hear(self, place: str, extra: dict[str, Any], value: Any) -> None:
        """A value that goes to a place in `extra`."""
        (self.same if place in extra and _is_same(extra[place], value) else self.other).append(place)


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are one in every digit; lists and objects are not looked into."""
    return one.__class__ is other.__class__ and one.__class__ in (str, bool, int) and bool(one == other)


@dataclass(slots=True)  # whose attributes are read faster than those of a named tuple
class Added:
    """The fields of a widened chunk: what moves them, and the attributes and pointers of those that stand alone."""

    fold: Fold
    top: tuple[tuple[str, str], ...]
    delta: tuple[tuple[str, str], ...]  # with pointers below the choice
    part: bool  # whether the parts of content lists have some
    aliased: bool  # whether a choice may have a message and a text beside its delta
    tells_spelling: bool  # whether one of them, or what it holds, can have a schema key in camelCase


def _added(shape: Shape) -> Added | None:
    """Where the vendor keys of a shape are; `None` where it has none."""
    if shape.plan is None:
        return None
    if shape.memo is None:
        tells = bool(shape.nested) or any(key.encode() in _CAMEL_KEYS for path in shape.paths for key in path)
        shape.memo = _find_added(shape.plan, is_camel=shape.camel, tells=tells)
    added: Added = shape.memo
    return added


def _find_added(whole: Plan, *, is_camel: bool, tells: bool) -> Added:
    found: dict[str, Plan] = {}
    inner = list(whole.inner)
    while inner:
        name, _, plan = inner.pop()
        found[name] = plan
        inner.extend(plan.inner)

    def inside(name: str, kind: type[msgspec.Struct]) -> Recast | None:
        return gather(camel_twin(kind) if is_camel else kind, found[name]) if name in found else None

    return Added(
        fold=fold(whole, inside("usage", wire.ChatUsage), inside("logprobs", wire.Logprobs)),
        top=whole.added,
        delta=tuple((name, "/delta" + place) for name, place in found["delta"].added) if "delta" in found else (),
        part="content" in found,
        aliased="choices" in found and WHOLE in found["choices"].special,
        tells_spelling=tells,
    )


def _are_texts(chunk: Any, *, aliased: bool) -> bool | None:
    """Whether a chunk is one of a text completion or of a chat; `None` where the long road must say what it is.

    It must where a choice without a delta has a message, which it is then; where a text is not what the delta says;
    and where there is neither, or a text, under an odd name.
    """
    word, texts = chunk.object, 0
    for choice in chunk.choices:
        text = choice.text if aliased else None
        if choice.delta is not None:
            if text is not None and text != choice.delta.content:
                return None
        elif aliased and choice.message is not None:
            return None
        elif text is not None:
            texts += 1
        elif is_odd(word):
            return None
    if not chunk.choices:
        return word in dialect.TEXT_OBJECTS or (None if is_odd(word) else False)
    if not texts:
        return False
    is_named_so = not word or word in dialect.IMPLIED_OBJECTS["text"]
    return True if is_named_so and texts == len(chunk.choices) else None


def _unwrapped(texts: list[bytes]) -> list[bytes]:
    """Chunks, each without the event object of an SDK around it, where that seems to hold nothing else.

    What is left of one that does is no JSON.
    """
    if not texts[0].lstrip(BLANKS).startswith(_WRAPPER):
        return texts
    bare = [text.strip(BLANKS) for text in texts]
    return [
        each[len(_WRAPPER) : -1] if each.startswith(_WRAPPER) and each.endswith(b"}") else text
        for each, text in zip(bare, texts, strict=True)
    ]


def _is_foldable(shape: Shape) -> bool:
    """Whether chunks of a shape can be folded as they are: vendor keys only where one value stands for all chunks."""
    return shape.original is wire.Chunk and all(is_foldable(path) for path in shape.paths)


class Assembly:
    """The completion in the making, of any number of choices."""

    __slots__ = (
        "answers",
        "camel",
        "chunks",
        "created",
        "cut",
        "doubtful",
        "error",
        "events",
        "extra",
        "fallback",
        "id",
        "implied",
        "is_first",
        "model",
        "named",
        "named_source",
        "native",
        "noted",
        "notes",
        "provider",
        "reader",
        "refusal",
        "service_tier",
        "shape",
        "sources",
        "strict",
        "system_fingerprint",
        "text",
        "usage",
        "variants",
    )

    def __init__(
        self, reader: ChunkReader, *, source: str | None = None, fallback: str = "openai", strict: bool = False
    ) -> None:
        self.reader = reader
        self.strict = strict
        self.camel = False  # whether any chunk had a key in camelCase, but for the doubtful ones
        self.doubtful: list[bytes] = []  # chunks with vendor keys, which are looked at when the spelling matters
        self.named_source = source
        self.fallback = fallback
        self.shape: Shape = reader.stream_hint
        self.answers: dict[int | None, Answer] = {}
        self.is_first = True  # nothing was said of the whole response yet
        self.id: str | None = None
        self.model: str | None = None
        self.provider: str | None = None
        self.created: int | None = None
        self.system_fingerprint: str | None = None
        self.service_tier: str | None = None
        self.usage: Usage | None = None
        self.error: ServiceError | None = None
        self.native = False  # whether any chunk had the gateway's `native_finish_reason`
        self.sources: set[str] = set()  # whose marks hold
        self.named: set[str] = set()  # what canonical chunks say, where no mark does
        self.variants: set[str] = set()
        self.implied: set[str] = set()  # of chunks without choices
        self.chunks = 0
        self.cut: tuple[bytes, MalformedPayloadError] | None = None
        self.refusal: UnknownPayloadError | None = None
        self.text: bytes | None = None  # the first event that was a sentence
        self.events: dict[str, Any] = {}  # what was no chunk, by name; last value wins
        self.extra: dict[str, Any] = {}  # by pointer into the assembled body; last value wins
        self.notes: list[tuple[Answer | None, Note]] = []
        self.noted: set[tuple[int | None, str, str]] = set()

    # -- chunk by chunk

    def add_event(self, event: Event) -> None:
        """One event; raises `MalformedPayloadError` where one in the middle is no JSON."""
        data = event.data.strip(BLANKS)
        if data and data != DONE and not data.startswith(b":"):
            self.add_data(data, event.name, ended=event.ended)

    def add_data(self, data: bytes, name: str | None = None, *, ended: bool = True) -> None:
        """The text of one event."""
        if self.cut is not None:
            raise copy(self.cut[1])
        try:
            chunk = self._read(lambda ledger: self.reader.chunk(data, ledger))
        except MalformedPayloadError as refusal:
            if not data.startswith((b"{", b"[", b'"')):
                self._sentence(data, name)
            elif refusal.code == "truncated" or (not ended and refusal.code not in ("too_deep", "number_range")):
                self.cut = (data, refusal.with_traceback(None))  # which holds frames, and so the stream
            else:
                raise
        except UnknownPayloadError as refusal:
            tree = Ledger().parsed(data, "")
            if isinstance(tree, list) and envelope.are_chunks(tree):
                for item in tree:
                    self.add_tree(item)
            else:
                self._unknown(tree, name, refusal)
        else:
            if not self.camel:
                self._spelling(data)
            self.add(chunk)
            if self.strict and duplicate_keys(data):
                self.note("duplicate_key", "", None)

    def add_tree(self, tree: Any) -> None:
        """One member of a list of chunks."""
        try:
            chunk = self._read(lambda ledger: self.reader.tree(tree, ledger))
        except UnknownPayloadError as refusal:
            self._unknown(Ledger().clean(tree, ""), None, refusal)
        else:
            self.add(chunk)

    def _read(self, read: Callable[[Ledger], Chunk]) -> Chunk:
        """One chunk; where it has the marks of several sources, the completion will say so."""
        candidates: Iterable[str] = ()
        try:
            return read(Ledger(source=self.named_source, fallback=self.fallback, read=self.reader.whole))
        except AmbiguousPayloadError as error:
            candidates = error.candidates
        self.sources.update(candidates)
        return read(Ledger(source=self.fallback, fallback=self.fallback, read=self.reader.whole))

    def _spelling(self, data: bytes) -> None:
        self.camel = any(found[1] in _CAMEL_KEYS for found in _CAMEL_KEY.finditer(data))

    def _sentence(self, data: bytes, name: str | None) -> None:
        """An event that is plain text: an error where it is called one or stands alone (Atoma's old engine)."""
        text = data.decode("utf-8", "replace")
        if name == "error":
            self._set_error(ServiceError(message=text))
            self.chunks += 1
            return
        if self.text is None:
            self.text = data
        self._keep_event(name or "text", text)

    def _unknown(self, tree: Any, name: str | None, refusal: UnknownPayloadError) -> None:
        """An event that is JSON and no chunk."""
        if self.refusal is None:
            self.refusal = refusal.with_traceback(None)
        kind = tree.get("type") if isinstance(tree, dict) else None
        self._keep_event(name or (kind if isinstance(kind, str) else "unknown"), tree)

    def _keep_event(self, name: str, value: Any) -> None:
        if name in self.events or len(self.events) < _MAX_EVENT_NAMES:
            self.events[name] = value

    def add(self, chunk: Chunk) -> None:
        """One canonical chunk."""
        if self.cut is not None:
            raise copy(self.cut[1])
        self.chunks += 1
        self._head(chunk)
        if chunk.usage is not None:
            self.usage = chunk.usage
        if chunk.error is not None:
            self._set_error(chunk.error)
        if chunk.choices or chunk.variant not in VARIANTS.values():  # `object` alone is no proof
            self.variants.add(chunk.variant)
        else:
            self.implied.add(chunk.variant)
        if chunk.source != self.fallback:
            claimed = chunk.variant not in VARIANTS.values() or any(
                note.code == "cumulative_delta" for note in chunk.notes
            )
            (self.sources if claimed else self.named).add(chunk.source)
        placed = []
        cumulative = {note.path.removeprefix("/data") for note in chunk.notes if note.code == "cumulative_delta"}
        for at, choice in enumerate(chunk.choices):
            answer = self.answer(choice.index)
            if f"/choices/{at}/delta/content" in cumulative:
                answer.content.clear()
                answer.logprobs = None
            places = self._add_delta(answer, choice.delta)
            if choice.logprobs is not None:
                places["logprobs"] = [answer.add_logprobs(choice.logprobs)]
            if choice.finish_reason is not None:
                self._finish(answer, choice.finish_reason)
            if choice.native_finish_reason is not None:
                self._native(answer, choice.native_finish_reason)
            if choice.error is not None:
                answer.error = choice.error
            placed.append(Placed(answer, places))
        root = "/data" if "/data" not in chunk.extra else ""  # the event object of an SDK may be around the chunk
        for pointer, value in chunk.extra.items():
            owner, rest = _owner(pointer, placed, root)
            if owner is None:
                self.extra[rest] = value
            else:
                owner.keep(rest, value)
        for note in chunk.notes:
            if note.code != "python_arguments":  # of a fragment; the whole text is looked at in the end
                owner, rest = _owner(note.path, placed, root)
                self.note(note.code, rest, note.before, owner)

    def answer(self, index: int | None) -> Answer:
        """The choice with an index."""
        answer = self.answers.get(index)
        if answer is None:
            answer = self.answers[index] = Answer(index)
        return answer

    def note(self, code: str, path: str, before: Any, owner: Answer | None = None) -> None:
        """Record a repair, once for each place of the assembled body."""
        key = (None if owner is None else id(owner), code, path)
        if key not in self.noted:
            self.noted.add(key)
            self.notes.append((owner, Note(code=code, path=path, before=before)))

    def _set_error(self, error: ServiceError) -> None:
        if self.error is None:
            self.error = error
        elif self.error != error:
            self.note("conflicting_value", "/error", msgspec.to_builtins(error))

    def _head(self, chunk: Any) -> None:
        """The words of the whole response: the first that says something stands, another is remarked."""
        if (self.id and chunk.id and chunk.id != self.id) or (
            self.provider and chunk.provider and chunk.provider != self.provider
        ):
            self.sources |= self._judge(chunk.id, chunk.provider)
        is_first, self.is_first = self.is_first, False
        if is_first and (created := chunk.created or 0) < dialect.MILLISECONDS_FROM > -created:
            self.id, self.model, self.provider, self.created = chunk.id, chunk.model, chunk.provider, chunk.created
            self.system_fingerprint, self.service_tier = chunk.system_fingerprint, chunk.service_tier
            return
        for name, value, held in (
            ("id", chunk.id, self.id),
            ("model", chunk.model, self.model),
            ("provider", chunk.provider, self.provider),
            ("created", chunk.created, self.created),
            ("system_fingerprint", chunk.system_fingerprint, self.system_fingerprint),
            ("service_tier", chunk.service_tier, self.service_tier),
        ):
            if value is not None and value != held:
                self._word(name, value, held)

    def _word(self, name: str, value: Any, held: Any) -> None:
        """A word of the whole response beside the one that is held."""
        word, ledger = value, None
        if name == "created" and not -dialect.MILLISECONDS_FROM < value < dialect.MILLISECONDS_FROM:
            ledger = Ledger()
            word = dialect.created(value, ledger)
        if word and held and word != held:
            self.note("conflicting_value", f"/{name}", word)
        elif not held and word is not None:
            setattr(self, name, word)
        if ledger is not None:
            for note in ledger.notes:
                self.note(note.code, note.path, note.before)
            self.extra.update(ledger.extra)

    def _judge(self, identity: str | None, provider: str | None, *, usage: Usage | None = None) -> set[str]:
        """Whose marks these words have, with the vendor keys so far."""
        choices = [wire.ChunkChoice(native_finish_reason="" if self.native else None)]
        words = wire.Chunk(id=identity, provider=provider, usage=usage, choices=choices)  # type: ignore[arg-type]
        try:
            found = self.reader.marked(words, self.extra)
        except AmbiguousPayloadError as error:
            return set(error.candidates)
        return {found} if found else set()

    def _finish(self, answer: Answer, word: FinishReason) -> None:
        held = answer.finish_reason
        if held is not None and held != word:
            self.note("conflicting_value", "/finish_reason", held, answer)
        answer.finish_reason = word

    def _native(self, answer: Answer, word: str) -> None:
        self.native = True
        held = answer.native_finish_reason
        if held is not None and held != word:
            self.note("conflicting_value", "/native_finish_reason", held, answer)
        answer.native_finish_reason = word

    def _add_delta(self, answer: Answer, delta: Message) -> dict[str, list[int]]:
        places: dict[str, list[int]] = {}
        if delta.role is not None:
            self._role(answer, delta.role)
        if delta.name is not None and answer.name is None:
            answer.name = delta.name
        if delta.content is not None:
            answer.has_content = True
            if delta.parts is None and answer.parts is not None and delta.content:
                answer.add_parts([Part(type="text", text=delta.content)])
        if delta.parts is not None:
            places["content"] = answer.add_parts(delta.parts)
        if delta.content:
            answer.content.append(delta.content)
        if delta.reasoning is not None:
            answer.has_reasoning = True
            if delta.reasoning:
                answer.reasoning.append(delta.reasoning)
        if delta.reasoning_details is not None:
            places["reasoning_details"] = answer.add_details(delta.reasoning_details)
        self._add_rare(answer, delta, places)
        return places

    def _role(self, answer: Answer, role: Role) -> None:
        if answer.role is None:
            answer.role = role
        elif answer.role != role:
            self.note("conflicting_value", "/delta/role", role, answer)

    def _add_rare(self, answer: Answer, delta: Message, places: dict[str, list[int]]) -> None:
        """What most chunks have not; fills in the places of the members of lists."""
        if delta.refusal is not None:
            answer.refusal.append(delta.refusal)
        if delta.tool_calls is not None:
            places["tool_calls"] = answer.add_calls(delta.tool_calls)
        if delta.annotations is not None:
            if answer.annotations is None:
                answer.annotations = []
            places["annotations"] = answer.add_whole(delta.annotations, answer.annotations, Annotation)
        if delta.images is not None:
            if answer.images is None:
                answer.images = []
            places["images"] = answer.add_whole(delta.images, answer.images, Image)
        if delta.audio is not None:
            answer.add_audio(delta.audio)

    # -- a whole stream

    def add_stream(self, raw: bytes) -> None:
        """A whole saved stream."""
        lines = lines_of(raw)
        first = next((line for line in lines if line.startswith(DATA)), b"")
        if not first or first[len(DATA) :].lstrip(BLANKS).startswith(_WRAPPER):
            self._add_events([raw])
            return
        is_open = not raw.endswith(b"\n")  # then the last event may be cut off
        if lines[-1].startswith(DATA) and lines[-1][len(DATA) :].strip(BLANKS) == DONE:
            is_open = False
            del lines[-1]
        folded = self._fold(lines, lead=len(DATA), is_open=is_open)
        if folded < len(lines):
            self._add_events([b":\n", b"\n".join(lines[folded:])])  # which are those of events, whatever they look like

    def add_texts(self, texts: list[bytes]) -> None:
        """The chunks of a list, as JSON texts."""
        self._add_all([Event(text) for text in texts])

    def _add_events(self, pieces: Iterable[bytes]) -> None:
        reader = EventReader()
        for piece in pieces:
            self._add_all(reader.feed(piece))
        self._add_all(reader.close())

    def _add_all(self, events: list[Event]) -> None:
        if events and self.cut is None:
            events = events[self._fold(_unwrapped([event.data for event in events]), events) :]
        for event in events:
            self.add_event(event)

    def _fold(  # noqa: PLR0915 - inlined: a call costs as much as a chunk's words
        self, pieces: list[bytes], events: Sequence[Event] = (), *, lead: int = 0, is_open: bool = False
    ) -> int:
        """Chunks; those in canonical words are folded without making a `Chunk` of each.

        The pieces are what `_unwrapped` made of the data of these events; or lines of a stream with a `lead`, of which
        the last one may be cut off where `is_open` says so. Gives how many were taken: no line that `EventReader` must
        explain, and nothing behind a chunk that was cut.
        Every line of the loop is paid for each chunk: measure before adding one.
        """
        if self.reader.registry.outsiders:
            return 0  # whose claims must see each chunk
        shape = self.shape
        decode, added, proves = shape.decode, _added(shape), bool(shape.raw_keys)
        aliased = added is not None and added.aliased
        said: str | None = None  # the last `object`
        odd = False  # whether that is no name of the chunks of a chat
        answer: Answer | None = None
        others = 0  # pieces that were not folded here
        content: list[str] = []
        reasoning: list[str] = []
        fragments: list[wire.DetailFragment] = []
        blank = False
        known: list[Known] = []  # templates that still hold
        varied: set[str] = set()  # vendor keys that are gaps of a template
        idle: set[bytes] = set()  # chunks that said nothing, which come again byte for byte
        template: Template | None
        head: bytes | None = None  # of the template at hand
        middle: bytes | None = None
        tail, start, stop, after, clock, until, patience, padding = b"", 0, 0, 0, 0, 0, _PATIENCE, _NO_PADDING
        stamp = b""  # the digits of `created` that templates have
        restless = moved_at = 0  # chunks in a row whose second was another one; where the last of these was
        add_first = add_second = content.append
        identity = model = created = provider = fingerprint = tier = role = None
        index: int | None = None
        rest = iter(pieces)
        for piece in rest:
            if head is None or not (piece.startswith(head) and piece.endswith(tail)):
                head = None
                for template, _ in known:
                    if piece.startswith(template.head) and piece.endswith(template.tail):
                        head, middle, tail, start, stop, after, add_first, add_second, clock, until = template
                        break
                else:
                    if (
                        known
                        and piece[clock:until] != stamp
                        and restless < _PATIENCE
                        and (moved := retimed(known, piece, clock, until))
                    ):
                        template, known = moved
                        head, middle, tail, start, stop, after, add_first, add_second, clock, until = template
                        stamp = piece[clock:until]
                        created = int(stamp)
                        self._word("created", created, self.created)
                        idle.clear()
                        left = length_hint(rest)
                        restless = restless + 1 if left == moved_at - 1 else 0
                        moved_at = left
            if head is not None:
                try:
                    if middle is None:
                        add_first(decode_text(piece[start:stop]))
                    else:
                        at = piece.find(middle, start)
                        first, second = piece[start : at + 1], piece[at + after : stop]
                        text = decode_text(first)
                        other = text if second == first else decode_text(second)
                        add_first(text)
                        add_second(other)
                except (*Refusal, ValueError):
                    pass  # no text, or not one that may stand: whoever reads it all will say
                else:
                    patience = _PATIENCE
                    continue
            elif idle and piece in idle:
                continue
            chunk = head = texts = None
            data = piece
            if lead:
                if not piece.startswith(DATA):
                    if not is_dropped(piece):
                        at = len(pieces) - length_hint(rest) - 1
                        self.chunks += at - others
                        return at
                    others += 1
                    continue
                data = piece[lead:]
            try:
                chunk = decode(data)
                if proves:
                    shape.prove(data, chunk)
            except Refusal as refusal:
                reason = str(refusal)
            if chunk is not None:
                choices = chunk.choices
                if (
                    odd
                    or chunk.object is not said
                    or (aliased and (len(choices) != 1 or choices[0].delta is None or choices[0].text is not None))
                ) and (texts := _are_texts(chunk, aliased=aliased)) is None:
                    chunk, reason = None, WHOLE
            if chunk is None:
                known.clear()
                idle.clear()
                others += 1
                at = len(pieces) - length_hint(rest) - 1
                event = events[at] if events else Event(data, ended=not (is_open and at == len(pieces) - 1))
                whole = event.data.strip(BLANKS)
                if not whole or whole == DONE or whole.startswith(b":"):
                    continue
                found = self._reread(data, reason)
                if found is None:
                    self.add_data(whole, event.name, ended=event.ended)
                shape = self.shape
                decode, added, proves = shape.decode, _added(shape), bool(shape.raw_keys)
                aliased = added is not None and added.aliased
                answer, said, odd = None, None, False
                if self.cut is not None and at < len(pieces) - 1:
                    self.chunks += at + 1 - others
                    return at + 1
                if found is None:
                    continue
                others -= 1
                chunk, texts = found
            if chunk.object is not said:
                said = chunk.object
                odd = is_odd(said)
                known.clear()
                idle.clear()
            if texts:
                (self.variants if chunk.choices else self.implied).add(VARIANTS["text"])
            elif odd:
                self.extra["/object"] = said
            if (
                chunk.id != identity
                or chunk.created != created
                or chunk.model != model
                or ((word := chunk.provider) is not provider and word != provider)
                or ((word := chunk.system_fingerprint) is not fingerprint and word != fingerprint)
                or ((word := chunk.service_tier) is not tier and word != tier)
            ):
                self._head(chunk)
                known.clear()
                idle.clear()
                identity, model, created = chunk.id, chunk.model, chunk.created
                provider, fingerprint, tier = chunk.provider, chunk.system_fingerprint, chunk.service_tier
            if (usage := chunk.usage) is not None:
                self.usage = usage
            for choice in chunk.choices:
                if choice.index != index or answer is None:
                    index = choice.index
                    answer = self.answer(index)
                    content, reasoning, fragments = answer.content, answer.reasoning, answer.fragments
                    role, blank = answer.role, answer.has_content
                delta = choice.delta
                listed = answer.parts is not None
                if delta is not None:
                    if (text := delta.content) is not None:
                        if text.__class__ is not str or answer.parts is not None:
                            self._add_content(answer, text)
                        elif text:
                            content.append(text)
                        elif not blank:
                            answer.has_content = blank = True
                    if text := delta.reasoning:
                        reasoning.append(text)
                        if (alias := delta.reasoning_content) and alias != text:
                            answer.aliases.append(alias)
                    elif alias := delta.reasoning_content:
                        reasoning.append(alias)
                    elif text is not None or alias is not None:
                        answer.has_reasoning = True
                    if (word := delta.role) is not role and word is not None:
                        self._role(answer, word)
                        role = word
                    if details := delta.reasoning_details:
                        fragments.extend(details)
                    elif details is not None and answer.details is None:
                        answer.details = {}
                    if delta.tool_calls is not None:
                        answer.add_calls(delta.tool_calls)
                    if delta.refusal is not None:
                        answer.refusal.append(delta.refusal)
                elif texts:
                    self._add_written(answer, choice.text)
                if choice.finish_reason is not None:
                    self._finish(answer, choice.finish_reason)
                if choice.native_finish_reason is not None:
                    self._native(answer, choice.native_finish_reason)
                if choice.logprobs is not None:
                    self._add_logprobs(answer, choice.logprobs)
            pays = patience and usage is None and length_hint(rest) >= PAYS_FROM
            kept = Kept() if pays and added is not None else None
            hear = None if kept is None else kept.hear
            keeps = added is not None and added.fold(chunk, self.extra, self.answers, hear)
            if usage is not None and isinstance(usage.cost, msgspec.Struct):
                self._itemised(usage)
            if keeps and added is not None and added.tells_spelling:
                self.doubtful.append(piece)
            if known and kept is not None:
                known[:] = [each for each in known if each[1].isdisjoint(kept.other)]
            if not pays or answer is None or len(chunk.choices) != 1 or (gaps := gaps_of(chunk, answer)) is None:
                known.clear()
                idle.clear()
                continue
            padding = self._padding(chunk, added, answer, padding, gaps) if added is not None and keeps else _NO_PADDING
            if answer.parts is not None and not listed:
                known.clear()  # of texts that were no parts then
            if len(gaps) > MAX_GAPS:
                patience = max(0, patience - 2)  # those to come will have as many
            elif gaps:
                patience -= 1
                template = template_of(piece, gaps, decode, created or 0, lead)
                if template is not None:
                    head, middle, tail, start, stop, after, add_first, add_second, clock, until = template
                    stamp = piece[clock:until]
                    places = {gap.place for gap in gaps}
                    varied |= places
                    repeated = frozenset(kept.same + kept.other if kept is not None else ()) - places
                    delta = chunk.choices[0].delta
                    if (delta is None or delta.tool_calls is None) and repeated.isdisjoint(varied):
                        del known[: max(0, len(known) - MAX_KNOWN + 1)]
                        known.append((template, repeated))
            elif not keeps:
                idle.add(piece)
        self.chunks += len(pieces) - others
        needed = bool(self.extra) or any([answer.extra for answer in self.answers.values()])  # noqa: C419 - half the time
        self.reader.remember(self.shape, needed=needed)
        return len(pieces)

    def _itemised(self, usage: Any) -> None:
        """Perplexity's cost, in its parts."""
        ledger = Ledger(camel=self.shape.camel)
        usage.cost = dialect.cost(converted(usage.cost, wire.PerplexityCost), ledger)
        self.extra.update(ledger.extra)

    def _padding(
        self, chunk: Any, added: Added, answer: Answer, before: dict[str, str], gaps: list[Gap]
    ) -> dict[str, str]:
        """The texts under vendor keys, by pointer; those that were others before are gaps too (`obfuscation`)."""
        found = {}
        delta = chunk.choices[0].delta
        for owner, fields, extra in ((chunk, added.top, self.extra), (delta, added.delta, answer.extra)):
            for name, at in fields if owner is not None else ():
                if isinstance(value := getattr(owner, name), str):
                    found[at] = value
                    if before.get(at, value) != value:
                        gaps.append(padding_of(at, value, name, on_top=owner is chunk, extra=extra))
        return found

    def _add_written(self, answer: Answer, text: str) -> None:
        """A fragment of a text completion."""
        if answer.parts is not None:
            self._add_content(answer, text)
        elif text:
            answer.content.append(text)
        else:
            answer.has_content = True

    def _add_content(self, answer: Answer, content: str | list[Part]) -> None:
        """Content that comes as parts, or after some that did (Mistral's thinking models)."""
        thought = None
        if isinstance(content, str):
            text: str | None = content
            parts = [Part(type="text", text=content)] if content else []
        else:
            parts = content
            text, thought = dialect.joined(content)
        places = answer.add_parts(parts)
        if parts is content and (added := _added(self.shape)) is not None and added.part:
            answer.part_places += places
        if text:
            answer.content.append(text)
        elif text is not None:
            answer.has_content = True
        if thought:
            answer.reasoning.append(thought)
        elif thought is not None:
            answer.has_reasoning = True

    def _add_logprobs(self, answer: Answer, sent: wire.Logprobs) -> None:
        ledger = Ledger()
        ledger.camel = self.shape.camel
        if type(sent) is not wire.Logprobs:  # of another spelling
            sent = converted(sent, wire.Logprobs)
        logprobs = dialect.logprobs(sent, ledger)
        for pointer, value in ledger.extra.items():
            answer.keep("/logprobs" + pointer, value)
        for note in ledger.notes:
            self.note(note.code, "/logprobs" + note.path, note.before, answer)
        if logprobs is not None:
            answer.add_logprobs(logprobs)

    def _reread(self, data: bytes, reason: str) -> tuple[Any, bool] | None:
        """A chunk that the shape at hand refused, by a shape that fits, and whether it is one of a text completion.

        `None` where it must go the long road.
        """
        tried = [self.shape]
        following = self.reader.next_shape(self.shape, reason, tried)
        while following is not None and _is_foldable(following):
            try:
                chunk = following.decode(data)
                if following.raw_keys:
                    following.prove(data, chunk)
            except Refusal as refusal:
                tried.append(following)
                following = self.reader.next_shape(following, str(refusal), tried)
                continue
            added = _added(following)
            texts = _are_texts(chunk, aliased=added is not None and added.aliased)
            if texts is None:
                break
            if not self.camel:
                self._spelling(data)
            self.shape = following
            return chunk, texts
        return None

    # -- the result

    def completion(self, ledger: Ledger, *, final: bool) -> Completion:
        """The response so far, below a ledger's prefix and into its books.

        `final` says that the stream is over: what is missing then is noted. Raises `NormalizeError` where no event was
        a chunk.
        """
        answers = list(self.answers.values())
        if len(answers) > 1:
            answers.sort(key=lambda answer: answer.index or 0)
        error = self.error
        if not self.chunks:
            error = self._nothing()
        choices = [answer.whole() for answer in answers]
        completion = Completion(
            id=self.id,
            source=self._source(),
            variant=self._variant(choices, error),
            model=self.model,
            provider=self.provider,
            created=self.created,
            choices=choices,
            usage=self._usage(),
            system_fingerprint=self.system_fingerprint,
            service_tier=self.service_tier,
            error=error,
            extra=ledger.extra,
            notes=ledger.notes,
        )
        self._keep(completion, answers, ledger)
        self._note(completion, answers, ledger, final=final)
        settle = self.reader.settles.get(completion.source)
        if settle is not None and completion.variant in ("chat", "text"):
            settle(completion, ledger)
        return completion

    def _usage(self) -> Usage | None:
        usage = self.usage
        if type(usage) is wire.ChatUsage:
            usage.__class__ = Usage  # type: ignore[assignment]  # same layout
        return None if usage is None else canonical(usage, Usage)

    def _nothing(self) -> ServiceError:
        """What a stream without a chunk says: a sentence is an error, in place of a stream."""
        if self.text is not None:
            return ServiceError(message=self.text.decode("utf-8", "replace"))
        if self.cut is not None:
            raise copy(self.cut[1])
        if self.refusal is not None:
            raise copy(self.refusal)
        raise UnknownPayloadError(
            "the stream holds no event with a chunk; log the body, not only the keep-alives", code="empty"
        )

    def _source(self) -> str:
        """Who wrote the stream, by the marks of all chunks together."""
        if self.named_source is not None:
            return self.named_source
        found = self.sources | self._judge(self.id, self.provider, usage=self.usage)
        found = found or self.named
        if len(found) > 1:
            raise ambiguous(sorted(found))
        return next(iter(found), self.fallback)

    def _variant(self, choices: list[Choice], error: ServiceError | None) -> str:
        if "confidential" in self.variants and not choices:
            return "confidential"
        if error is not None and not choices:
            return "error"
        return "text" if "text_chunk" in (self.variants if choices else self.implied) else "chat"

    def _keep(self, completion: Completion, answers: list[Answer], ledger: Ledger) -> None:
        """Put what has no canonical field into the ledger."""
        root = ledger.prefix
        for name, value in self.events.items():
            if self.chunks or name != "text":  # a sentence alone is the error
                ledger.extra[f"{root}/events/{escape(name)}"] = value
        for pointer, value in self.extra.items():
            ledger.extra[root + pointer] = value
        for at, answer in enumerate(answers):
            if not answer.extra and not answer.aliases:
                continue
            base = f"{root}/choices/{at}"
            message = completion.choices[at].message
            if answer.aliases:
                ledger.extra[f"{base}/delta/{self._spelled('reasoning_content')}"] = "".join(answer.aliases)
            for pointer, value in answer.extra.items():
                if pointer == "/message" and value == {"role": message.role, "content": message.content}:
                    continue  # Perplexity's message so far, said in full
                ledger.extra[base + pointer] = value

    def _spelled(self, word: str) -> str:
        """A wire name, or a pointer of our own making, in the spelling of the stream."""
        if "_" not in word:
            return word
        while self.doubtful and not self.camel:
            self._spelling(self.doubtful.pop())
        return camel(word) if self.camel else word

    def _note(self, completion: Completion, answers: list[Answer], ledger: Ledger, *, final: bool) -> None:
        """Put the repairs into the ledger, with pointers into the assembled body."""
        if self.notes:
            bases = {id(answer): f"/choices/{at}" for at, answer in enumerate(answers)}
            for owner, note in self.notes:
                base = "" if owner is None else bases[id(owner)]
                path = self._spelled(note.path) if note.code == "conflicting_value" else note.path
                ledger.notes.append(Note(code=note.code, path=ledger.prefix + base + path, before=note.before))
        for at, choice in enumerate(completion.choices):
            for place, call in enumerate(choice.message.tool_calls or ()):
                if dialect.has_python_arguments([call]):
                    assert call.function is not None
                    calls = self._spelled("tool_calls")
                    path = f"{ledger.prefix}/choices/{at}/delta/{calls}/{place}/function/arguments"
                    ledger.notes.append(Note(code="python_arguments", path=path, before=call.function.arguments))
        if not final or completion.error is not None:
            return
        if self.cut is not None:
            text = self.cut[0].decode("utf-8", "replace")
            ledger.notes.append(Note(code="incomplete_stream", path=ledger.prefix, before=text))
        for at, choice in enumerate(completion.choices):
            if choice.finish_reason is None and choice.error is None:
                path = f"{ledger.prefix}/choices/{at}/{self._spelled('finish_reason')}"
                ledger.notes.append(Note(code="incomplete_stream", path=path))
        if not completion.choices and completion.variant != "confidential":
            ledger.notes.append(Note(code="incomplete_stream", path=f"{ledger.prefix}/choices"))
