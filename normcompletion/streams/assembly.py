"""Chunks to one completion: every piece of text is kept, no word is joined to another, nothing is invented.

What is a word (id, model, role, finish reason, a call's id and name) is never concatenated; what is text always is.
Null never overwrites. Time and memory are linear in the chunks: fragments are joined once, at the end.

A chunk in canonical words is merged as the strict decode gives it; any other becomes a `Chunk` first. Both have the
same attributes, so that there is one way to merge them.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import msgspec

from ..decoding.detection import ambiguous
from ..decoding.engine import apply_placeholders, unmarked
from ..decoding.unknown import extra_of
from ..dialect import adapt, wire
from ..dialect.failures import form_of
from ..envelopes import wrappers
from ..errors import AmbiguousPayloadError, MalformedPayloadError, UnknownPayloadError
from ..findings import Findings
from ..model import Choice, Chunk, Completion, Note, ServiceError, Usage
from ..payload import BLANKS, REFUSALS, duplicate_keys, parse_checked
from ..pointer import camel, escape
from .answer import Answer
from .chunks import VARIANTS, ChunkReader
from .events import DONE, Event, iter_events
from .merging import Values

_MAX_EVENT_NAMES = 64
_WORDS = ("id", "model", "provider", "created", "system_fingerprint", "service_tier")
_IMPLIED = {name: adapt.IMPLIED_OBJECTS[whole] for whole, name in VARIANTS.items()}
_FRAGMENTED = ("/delta/", "/logprobs/")  # where unknown values are fragments
_LISTS = {
    "tool_calls": "tool_calls",
    "toolCalls": "tool_calls",
    "reasoning_details": "reasoning_details",
    "reasoningDetails": "reasoning_details",
    "content": "content",
    "annotations": "annotations",
    "images": "images",
}


class Assembly:
    """The completion in the making, of any number of choices.

    `source` is what the caller named; `findings` of the place where the stream is say what an unmarked one there is.
    """

    def __init__(self, reader: ChunkReader, findings: Findings | None = None, *, strict: bool = False) -> None:
        self.reader = reader
        self.strict = strict
        self.place = Findings() if findings is None else findings
        self.is_camel = False
        self.answers: dict[int | None, Answer] = {}
        self.words: dict[str, Any] = dict.fromkeys(_WORDS)
        self.usage: Usage | None = None
        self.error: ServiceError | None = None
        self.has_native = False  # whether any chunk had `native_finish_reason`
        self.marked: set[str] = set()  # the sources whose markers a chunk had
        self.named: set[str] = set()  # what canonical chunks of the caller say, where there is no marker
        self.pairs: dict[tuple[str | None, str | None], None] = {}  # ids and providers, which may hold markers
        self.variants: set[str] = set()
        self.implied: set[str] = set()  # of chunks without choices
        self.chunks = 0
        self.cut: tuple[bytes, MalformedPayloadError] | None = None
        self.refusal: UnknownPayloadError | None = None
        self.text: bytes | None = None  # the first event that was a sentence
        self.events: dict[str, Any] = {}  # what was not a chunk, by name; the last value is kept
        self.extra = Values()  # by pointer into the assembled body
        self.notes: list[tuple[Answer | None, Note]] = []
        self.noted: set[tuple[int | None, str, str]] = set()
        self.is_closed = False  # whether the answer is over: what follows is another one
        self.body: bytes | None = None  # the JSON body that stands in place of a stream
        self.roles = self.deltas = 0  # how many deltas had a role, of how many

    # -- events

    def add_event(self, event: Event) -> bool:
        """One event; false where another answer starts with it, which is then not added.

        Raises `MalformedPayloadError` where one in the middle is not JSON.
        """
        data = event.data
        chunk: wire.Chunk | None
        try:
            chunk = self.reader.decode(data)
        except REFUSALS:
            chunk = None
        if chunk is None:  # outside of the handler, whose error would hold this frame
            data = data.strip(BLANKS)
            if data == DONE:
                if self.cut is not None:
                    raise copy(self.cut[1])
                self.is_closed = self.is_closed or self.has_begun
            elif data and not data.startswith(b":"):
                return self._add_any(data, event)
            return True
        if self.is_closed or self._starts_another(chunk):
            return False
        if self.cut is not None:
            raise copy(self.cut[1])
        self.chunks += 1
        if chunk.choices:
            variant = self._merge(chunk)
            self.variants.add(variant)
            word = chunk.object
            if word and word not in _IMPLIED[variant]:
                self.extra.add("/object", word, is_delta=False)
        else:
            self.implied.add("text_chunk" if chunk.object == "text_completion" else "chunk")
            self._add_words(chunk)
        if self.strict and duplicate_keys(data):
            self.note("duplicate_key", "", None)
        return True

    @property
    def has_begun(self) -> bool:
        """Whether there was an event that said something."""
        return bool(self.chunks or self.events or self.cut is not None)

    def _add_any(self, data: bytes, event: Event) -> bool:
        """An event that the strict decode refused."""
        if event.bare and is_foreign(data):
            return self._add_foreign(data)
        if self.is_closed:
            return False
        if self.cut is not None:
            raise copy(self.cut[1])
        try:
            tree, is_clean = parse_checked(data)
        except MalformedPayloadError as refusal:
            if not data.startswith((b"{", b"[", b'"')):
                self._add_sentence(data, event.name)
            elif refusal.code == "truncated" or (not event.ended and refusal.code not in ("too_deep", "number_range")):
                self.cut = (data, refusal.with_traceback(None))  # which holds frames, and so the stream
            else:
                raise
            return True
        is_body = event.bare and is_whole(tree)
        if is_body and self.has_begun and not (isinstance(tree, dict) and form_of(tree)):
            return False
        if not self.add_tree(tree, event.name, is_clean=is_clean):
            return False
        if is_body and not self.events and self.chunks == 1:
            self.body, self.is_closed = data, True
        if self.strict and duplicate_keys(data):
            self.note("duplicate_key", "", None)
        return True

    def _add_foreign(self, data: bytes) -> bool:
        """Text between events that is neither: it ends an answer."""
        self.is_closed = self.is_closed or self.has_begun
        self.note("foreign_text", "", data.decode("utf-8", "replace"))
        return True

    def add_tree(self, tree: Any, name: str | None = None, *, is_clean: bool = False) -> bool:
        """One event that was parsed, or a list of chunks; false where another answer starts with it."""
        if isinstance(tree, list) and wrappers.are_chunks(tree):
            return all(self.add_tree(item, is_clean=is_clean) for item in tree)
        try:
            chunk = self._read(tree, is_clean=is_clean)
        except UnknownPayloadError as refusal:
            if self.refusal is None:
                self.refusal = refusal.with_traceback(None)
            kind = tree.get("type") if isinstance(tree, dict) else None
            self._keep_event(name or (kind if isinstance(kind, str) else "unknown"), tree)
        else:
            return self.add(chunk)
        return True

    def _starts_another(self, chunk: Any) -> bool:
        """Whether a chunk is the first of another answer.

        Every choice has ended, and the chunk has a fragment under an id that was not seen, or with a role where
        earlier deltas mostly had none.
        """
        if not self.answers or any(answer.finish_reason is None for answer in self.answers.values()):
            return False
        if chunk.id and any(map(_has_fragment, chunk.choices)) and all(chunk.id != seen for seen, _ in self.pairs):
            return True
        return self.roles * 2 < self.deltas and any(
            choice.delta is not None and choice.delta.role and choice.index in self.answers and _has_fragment(choice)
            for choice in chunk.choices
        )

    def _read(self, tree: Any, *, is_clean: bool) -> Chunk:
        """One chunk; where it has the markers of several sources, the completion will say so."""
        known = next(iter(self.marked)) if len(self.marked) == 1 else None
        try:
            return self._found(tree, self.place.source, known, is_clean=is_clean)
        except AmbiguousPayloadError as error:
            self.marked.update(error.candidates)
            return self._found(tree, "openai", known, is_clean=is_clean)

    def _found(self, tree: Any, source: str | None, known: str | None, *, is_clean: bool) -> Chunk:
        findings = Findings(
            source=source,
            default_source=self.place.default_source,
            in_envelope=self.place.in_envelope,
            is_clean=is_clean,
            read=self.reader.engine.read_inside,
        )
        chunk = self.reader.read(tree, findings, known)
        self.is_camel = self.is_camel or findings.camel
        return chunk

    def _add_sentence(self, data: bytes, name: str | None) -> None:
        """An event that is plain text: an error where it is called one or is alone (Atoma's old engine)."""
        text = data.decode("utf-8", "replace")
        if name == "error":
            self._set_error(ServiceError(message=text))
            self.chunks += 1
            return
        if self.text is None:
            self.text = data
        self._keep_event(name or "text", text)

    def _keep_event(self, name: str, value: Any) -> None:
        if name in self.events or len(self.events) < _MAX_EVENT_NAMES:
            self.events[name] = value

    # -- chunks

    def add(self, chunk: Chunk) -> bool:
        """One canonical chunk; false where another answer starts with it."""
        if self.is_closed or self._starts_another(chunk):
            return False
        if self.cut is not None:
            raise copy(self.cut[1])
        self.chunks += 1
        if chunk.error is not None:
            self._set_error(chunk.error)
        if chunk.choices or chunk.variant not in VARIANTS.values():  # `object` alone is no proof
            self.variants.add(chunk.variant)
        else:
            self.implied.add(chunk.variant)
        if chunk.source != unmarked(self.place)[0]:
            self.named.add(chunk.source)
        self._merge(chunk)
        return True

    def _merge(self, chunk: Any) -> str:
        """The words, the usage and the choices of a chunk; gives its variant."""
        self._add_words(chunk)
        variant = "chunk"
        cumulative = _cumulative(chunk)
        answers, places = [], []
        for at, choice in enumerate(chunk.choices):
            answer = self.answers.get(choice.index)
            if answer is None:
                answer = self.answers[choice.index] = Answer(choice.index)
            delta = choice.delta
            if delta is not None:
                self.deltas += 1
                self.roles += delta.role is not None
                if at in cumulative:
                    answer.restart()
                place = answer.add_delta(delta, self.note)
            else:
                place = {}
            text = getattr(choice, "text", None)
            if text is not None and (delta is None or text != delta.content):
                variant = "text_chunk" if delta is None else variant
                answer.add_text(text)
            if choice.logprobs is not None:
                place["logprobs"] = [answer.add_logprobs(choice.logprobs)]
            if choice.finish_reason is not None or choice.native_finish_reason is not None:
                self._finish(answer, choice)
            if getattr(choice, "error", None) is not None:
                answer.error = choice.error
            answers.append(answer)
            places.append(place)
        if isinstance(chunk, Chunk):
            self._add_findings(chunk, answers, places)
        return variant

    def _add_findings(self, chunk: Chunk, answers: list[Answer], places: list[dict[str, list[int]]]) -> None:
        """`extra` and `notes` of a chunk, where they belong in the assembled body."""
        root = "/data" if "/data" not in chunk.extra else ""  # the event object of an SDK may be around the chunk
        for pointer, value in chunk.extra.items():
            owner, rest = _owner(pointer, answers, places, root)
            values = self.extra if owner is None else owner.extra
            displaced = values.add(rest, value, is_delta=rest.startswith(_FRAGMENTED))
            if displaced is not None and not (owner is not None and owner.is_cumulative):
                self.note("conflicting_value", rest, displaced, owner)
        for note in chunk.notes:
            if note.code != "python_arguments":  # of a fragment; the whole text is looked at in the end
                owner, rest = _owner(note.path, answers, places, root)
                self.note(note.code, rest, note.before, owner)

    def _add_words(self, chunk: Any) -> None:
        """The words of the whole response: the first that says something is kept, another is remarked."""
        words = self.words
        pair = (chunk.id, chunk.provider)
        if pair not in self.pairs and len(self.pairs) < _MAX_EVENT_NAMES:
            self.pairs[pair] = None
        if chunk.usage is not None:
            self._add_usage(chunk.usage)
        for name in _WORDS:
            value = getattr(chunk, name)
            held = words[name]
            if value is None or value == held:
                continue
            if not held:
                words[name] = value
            elif value:
                self.note("conflicting_value", f"/{name}", value)

    def _add_usage(self, usage: Usage) -> None:
        """Usage that comes in parts: null never overwrites, a zero never replaces a count, and nothing is summed."""
        if self.usage is None:
            self.usage = usage
            return
        zeros: list[tuple[str, Any]] = []
        self.usage = merged_usage(self.usage, usage, "/usage", zeros)
        for path, zero in zeros:
            self.note("conflicting_value", path, zero)

    def _finish(self, answer: Answer, choice: Any) -> None:
        native = choice.native_finish_reason
        if native is not None:
            self.has_native = True
        word = choice.finish_reason
        if word is not None:
            if answer.finish_reason is not None and answer.finish_reason != word:
                self.note("conflicting_value", "/finish_reason", answer.finish_reason, answer)
            answer.finish_reason = word
        if native is not None:
            held = answer.native_finish_reason
            if held is not None and held != native:
                self.note("conflicting_value", "/native_finish_reason", held, answer)
            answer.native_finish_reason = native

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

    # -- the result

    def completion(self, findings: Findings, *, final: bool) -> Completion:
        """The response so far, below the prefix of some findings.

        `final` says that the stream is over: what is missing then is noted. Raises `NormalizeError` where no event was
        a chunk.
        """
        answers = sorted(self.answers.values(), key=lambda answer: answer.index or 0)
        error = self.error if self.chunks else self._nothing()
        choices = [answer.whole() for answer in answers]
        source, why = self._source()
        completion = Completion(
            source=source,
            source_basis=why,  # type: ignore[arg-type]
            variant=self._variant(choices, error),
            choices=choices,
            usage=self.usage,
            error=error,
            notes=findings.notes,
            **self.words,
        )
        self._keep(completion, answers, findings)
        self._add_notes(completion, answers, findings, final=final)
        placeholders = self.reader.engine.placeholders.get(source)
        if placeholders and completion.variant in ("chat", "text"):
            apply_placeholders(completion, placeholders, findings)
        completion.extra = extra_of(findings)
        return completion

    def _nothing(self) -> ServiceError:
        """What a stream without a chunk says: a sentence is an error, in place of a stream."""
        if self.text is not None and not self.notes:  # no foreign text around it
            return ServiceError(message=self.text.decode("utf-8", "replace"))
        if self.cut is not None:
            raise copy(self.cut[1])
        if self.refusal is not None:
            raise copy(self.refusal)
        raise UnknownPayloadError(
            "the stream holds no event with a chunk; log the body, not only the keep-alives", code="empty"
        )

    def _source(self) -> tuple[str, str]:
        """Who wrote the stream, by the markers of all chunks together, and how that is known."""
        if self.place.source is not None:
            return self.place.source, "caller"
        found = set(self.marked)
        choices = [{"native_finish_reason": ""}] if self.has_native else []
        usage = None if self.usage is None else msgspec.to_builtins(self.usage)
        for identity, provider in self.pairs or {(None, None): None}:
            found |= self.reader.source_of({"id": identity, "provider": provider, "choices": choices, "usage": usage})
        found = found or self.named
        if len(found) > 1:
            raise ambiguous(sorted(found))
        return (next(iter(found)), "marker") if found else unmarked(self.place)

    def _variant(self, choices: list[Choice], error: ServiceError | None) -> str:
        if "confidential" in self.variants and not choices:
            return "confidential"
        if error is not None and not choices:
            return "error"
        return "text" if "text_chunk" in (self.variants if choices else self.implied) else "chat"

    def _keep(self, completion: Completion, answers: list[Answer], findings: Findings) -> None:
        """Put what has no canonical field into `extra`."""
        root = findings.prefix
        for name, value in self.events.items():
            if self.chunks or name != "text":  # a sentence alone is the error
                findings.extra[f"{root}/events/{escape(name)}"] = value
        for pointer, value in self.extra.items():
            findings.extra[root + pointer] = value
        for at, answer in enumerate(answers):
            message = completion.choices[at].message
            if answer.aliases:
                name = self._spelled("reasoning_content")
                findings.extra[f"{root}/choices/{at}/delta/{name}"] = "".join(answer.aliases)
            for pointer, value in answer.extra.items():
                if pointer == "/message" and value == {"role": message.role, "content": message.content}:
                    continue  # Perplexity's message so far, said in full
                findings.extra[f"{root}/choices/{at}{pointer}"] = value

    def _spelled(self, word: str) -> str:
        """A wire name, or a pointer of our own making, in the spelling of the stream."""
        return camel(word) if self.is_camel else word

    def _add_notes(self, completion: Completion, answers: list[Answer], findings: Findings, *, final: bool) -> None:
        """Put the repairs into the findings, with pointers into the assembled body."""
        bases = {id(answer): f"{findings.prefix}/choices/{at}" for at, answer in enumerate(answers)}
        for owner, note in self.notes:
            path = self._spelled(note.path) if note.code == "conflicting_value" else note.path
            findings.note_at((findings.prefix if owner is None else bases[id(owner)]) + path, note.code, note.before)
        for at, choice in enumerate(completion.choices):
            for place, call in enumerate(choice.message.tool_calls or ()):
                text = None if call.function is None else call.function.arguments
                if text is not None and text.startswith("{'"):
                    path = f"/choices/{at}/delta/{self._spelled('tool_calls')}/{place}/function/arguments"
                    findings.note_at(findings.prefix + path, "python_arguments", text)
        if not final or completion.error is not None:
            return
        if self.cut is not None:
            findings.note_at(findings.prefix, "incomplete_stream", self.cut[0].decode("utf-8", "replace"))
        for at, choice in enumerate(completion.choices):
            if choice.finish_reason is None and choice.error is None:
                path = f"{findings.prefix}/choices/{at}/{self._spelled('finish_reason')}"
                findings.note_at(path, "incomplete_stream", None)
        if not completion.choices and completion.variant != "confidential":
            findings.note_at(f"{findings.prefix}/choices", "incomplete_stream", None)


def read_stream(reader: ChunkReader, payload: bytes | list[Any], findings: Findings) -> Completion:
    """A saved stream that is in place of a response: its text, or the list of its chunks.

    Raises `UnknownPayloadError` with the code `streams` for a text with several answers.
    """
    assembly = Assembly(reader, findings)
    if isinstance(payload, bytes):
        for event in iter_events((payload,)):
            if not assembly.add_event(event):
                raise several(event.offset)
        if assembly.body is not None and not assembly.notes:
            return reader.engine.read_inside(assembly.body, findings)
    elif not all(assembly.add_tree(chunk) for chunk in payload):
        raise several(None)
    return assembly.completion(findings, final=True)


def several(offset: int | None) -> UnknownPayloadError:
    """The error for a text in which a second answer starts at an offset."""
    where = "" if offset is None else f"; the second starts at byte {offset}"
    error = UnknownPayloadError(
        f"several answers follow one another{where}; normalize_many([payload]) reads a text that holds several",
        code="streams",
    )
    error.offset = offset
    return error


def is_foreign(data: bytes) -> bool:
    """Whether a text without a field is neither JSON nor the beginning of it."""
    return not data.startswith((b"{", b"["))


def is_whole(tree: Any) -> bool:
    """Whether JSON is no chunk: a body, an error, or something else."""
    return not (isinstance(tree, dict) and wrappers.is_chunk(tree)) and not (
        isinstance(tree, list) and wrappers.are_chunks(tree)
    )


def _has_fragment(choice: Any) -> bool:
    """Whether a choice of a chunk has a fragment that is not empty, or begins with a role."""
    delta = choice.delta
    return bool(getattr(choice, "text", None)) or (
        delta is not None and any(getattr(delta, name) for name in delta.__struct_fields__)
    )


def merged_usage(held: Any, later: Any, path: str, zeros: list[tuple[str, Any]]) -> Any:
    """Earlier and later usage, or their details, as one; adds each zero that did not replace a count to `zeros`."""
    changed: dict[str, Any] = {}
    for name in later.__struct_fields__:
        value, before = getattr(later, name), getattr(held, name)
        if value is None or value == before:
            continue
        if isinstance(before, msgspec.Struct):
            changed[name] = merged_usage(before, value, f"{path}/{name}", zeros)
        elif before and not value and not isinstance(value, bool):
            zeros.append((f"{path}/{name}", value))
        else:
            changed[name] = value
    return msgspec.structs.replace(held, **changed) if changed else held


def _cumulative(chunk: Any) -> set[int]:
    """The choices of a chunk whose delta is the whole text so far."""
    if not isinstance(chunk, Chunk) or not chunk.notes:
        return set()
    paths = {note.path.removeprefix("/data") for note in chunk.notes if note.code == "cumulative_delta"}
    return {at for at in range(len(chunk.choices)) if f"/choices/{at}/delta/content" in paths}


def _owner(
    pointer: str, answers: list[Answer], places: list[dict[str, list[int]]], root: str
) -> tuple[Answer | None, str]:
    """Whose a pointer into a chunk is, and where it points in the assembled body, below that choice."""
    if root and pointer.startswith(root + "/"):
        pointer = pointer[len(root) :]
    steps = pointer.split("/")
    if len(steps) < 3 or steps[1] != "choices" or not steps[2].isdigit() or int(steps[2]) >= len(answers):
        return None, pointer
    at = int(steps[2])
    rest = steps[3:]
    if len(rest) > 2 and rest[0] == "delta" and rest[1] in _LISTS and rest[2].isdigit():
        held = places[at].get(_LISTS[rest[1]], [])
        if int(rest[2]) < len(held):
            rest[2] = str(held[int(rest[2])])
    elif len(rest) > 2 and rest[:2] == ["logprobs", "content"] and rest[2].isdigit() and "logprobs" in places[at]:
        rest[2] = str(int(rest[2]) + places[at]["logprobs"][0])
    return answers[at], "".join(f"/{step}" for step in rest)
