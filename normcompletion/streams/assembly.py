"""Chunks to one completion: every piece of text is kept, no word is joined to another, nothing is invented.

What is a word (id, model, role, finish reason, a call's id) is never concatenated; what is text always is. Null never
overwrites. Time and memory are linear in the chunks: fragments are joined once, at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from copy import copy
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET

from ..decoding.detection import ambiguous, unmarked
from ..decoding.engine import apply_placeholders
from ..decoding.lenient import Walk
from ..decoding.unknown import extra_of
from ..dialect import adapt, wire
from ..dialect.failures import form_of
from ..envelopes import wrappers
from ..errors import AmbiguousPayloadError, MalformedPayloadError, NormalizeError, UnknownPayloadError
from ..findings import Findings
from ..model import Chunk, Completion, ServiceError, Usage, to_json
from ..payload import (
    BLANKS,
    REFUSALS,
    duplicate_keys,
    escape_surrogates,
    in_range,
    parse_checked,
    replace_surrogates,
)
from ..pointer import camel, escape
from .answer import Answer
from .chunks import VARIANTS, ChunkReader, as_wire
from .ending import as_one, choice_of, mend, merged_usage, paired
from .events import DONE, Event, frames, iter_events
from .merging import Values
from .runs import Other, Reading, Run, run_after

_MAX_NAMES = 64
_FRAGMENTED = ("/delta/", "/logprobs/", "/message/")  # where unknown values are fragments
_LISTS = {
    "tool_calls": "tool_calls",
    "toolCalls": "tool_calls",
    "reasoning_details": "reasoning_details",
    "reasoningDetails": "reasoning_details",
    "content": "content",
    "annotations": "annotations",
    "images": "images",
}
_SNAKE = {"/delta/function_call", *(f"/{name}" for name in wire.VENDOR_MEMBERS)}  # not spelled as they were sent
_words = attrgetter(*wire.WORDS, "object")
_CHUNK_WORDS = {name: adapt.IMPLIED_OBJECTS[name] for name in VARIANTS}
_IMPLIED = frozenset().union(*_CHUNK_WORDS.values())
_ERROR_WORDS = re.compile(rb"\W*(?:error|exception|traceback|internal server error)\b:?\s*", re.IGNORECASE)
_NO_EVENT = Event(b"")
Owners = list[tuple[Answer, dict[str, list[int]]]]  # the answer of each choice, and the places of the last chunk in it
_STATED = ("message", "detail", "title", "reason")  # where errors without a form of their own have a sentence


class Assembly(msgspec.Struct, eq=False):
    """The completion in the making, of any number of choices.

    `place` are the findings of the place where the stream is: what the caller named, and what an unmarked one there is.
    `skip_broken` goes on behind an event that is not JSON, with a note.
    """

    reader: ChunkReader
    place: Findings = msgspec.field(default_factory=Findings)
    strict: bool = False
    skip_broken: bool = False
    camel: int = 0  # how many keys were in camelCase
    answers: dict[Any, Answer] = {}
    words: dict[str, Any] = {}
    padding: dict[str, Any] = {}  # the last of each, by name
    run: Run | None = None
    said: tuple[Any, ...] = (None,) * (len(wire.WORDS) + 1)  # the words of the last chunk
    ids: dict[str, None] = {}
    objects: dict[str, None] = {}  # the words in `object` that a variant implies
    usage: Usage | None = None
    error: ServiceError | None = None
    has_native: bool = False  # whether the wire had `native_finish_reason`
    has_maps: bool = False  # whether log-probs were lists of token maps
    has_halves: bool = False  # whether a text may hold half of a surrogate pair
    named: set[str] = set()  # the sources of errors, of comments, and of canonical chunks of the caller
    is_sealed: bool = False  # whether the stream is confidential
    events: int = 0  # how many there were
    has_chunks: bool = False
    cut: tuple[int, Event, MalformedPayloadError] | None = None  # an event that may be cut off, its number
    refusal: NormalizeError | None = None  # of the first event that is not a chunk
    text: str | None = None  # the first event that was a sentence
    others: dict[str, Any] = {}  # what was not a chunk, by name; the last value is kept
    body: bytes | None = None  # a JSON body in place of a stream
    is_closed: bool = False  # whether the answer is over: what follows is another one
    is_guarded: bool = False  # whether each event needs a look before it is merged
    extra: Values = msgspec.field(default_factory=Values)  # by pointer into the assembled body
    raw: bytes | None = None  # the whole stream, as long as its events are added without their offsets

    # -- events

    def add(self, events: Iterable[bytes | Event], raw: bytes | None = None) -> None:
        """Go on with events, or just their data; `raw` is the whole stream, where their offsets are not known.

        Raises `UnknownPayloadError` with the code `streams` for the first with which another answer starts, and
        `MalformedPayloadError` for one in the middle that is not JSON.
        """
        self.raw = self.raw if raw is None else raw
        remaining, reading = iter(events), (self.reader.decode, self._opened, self._add_usage)
        while (found := self._next(remaining, reading)) is not None:
            self.events += 1
            event, chunk = found
            if chunk is None or self.is_guarded or self.strict:
                self._add_any(Event(event) if isinstance(event, bytes) else event, chunk)
            else:
                self.merge(chunk)

    def _next(self, events: Iterator[bytes | Event], reading: Reading) -> Other | None:
        """The next event that does not go on with a run, with its chunk."""
        if (run := self.run) is not None:
            before = run.count
            other = run.take(events, reading)
            self.events += run.count - before
            return other
        decode, opened, _ = reading
        for event in events:
            try:
                return event, decode(event if isinstance(event, bytes) else opened(event))
            except REFUSALS:
                return event, None
        return None

    def _opened(self, event: Event) -> bytes:
        """The data of an event; empty where it needs another look, whatever it is."""
        if event.comment is not None and event.comment in self.reader.comments:
            self.named.add(self.reader.comments[event.comment])
        return b"" if event.bare or event.broken or event.name == "error" else event.data

    def _add_any(self, event: Event, chunk: wire.Chunk | None) -> None:
        """An event that needs a look."""
        data = event.data.strip(BLANKS)
        if chunk is None and (not data or data == DONE or data.startswith(b":")):
            if data == DONE:
                self._end_cut()
                self._close()
                self._guard()
            return
        if chunk is None and event.bare and is_foreign(data):
            self.extra.note("foreign_text", "", data.decode("utf-8", "replace"))
            self._close()
            return
        if self.is_closed or (chunk is not None and self._starts_another(chunk)):
            raise self._several(event)
        self._end_cut()
        if chunk is not None:
            self.merge(chunk)
        elif data.startswith(b"data:"):  # seen at gateways that frame a second time (18.sse)
            self.extra.note("repeated_field", "", None)
            self.events -= 1
            self.add((msgspec.structs.replace(event, data=data[5:].strip(BLANKS)),))
            return
        else:
            self._add_parsed(event, data)
        if self.strict and duplicate_keys(data):
            self.extra.note("duplicate_key", "", None)

    def _close(self) -> None:
        """End the answer, if it has begun: what follows is another one."""
        if self.has_begun:
            self.is_closed = True
            self._guard()

    def _several(self, event: Event) -> UnknownPayloadError:
        """The error for an event with which a second answer starts."""
        offset = self._offset_of(event, self.events) or None
        where = "" if offset is None else f"; the second starts at byte {offset}"
        error = UnknownPayloadError(
            f"several answers follow one another{where}; normalize_many([payload]) reads a text that holds several",
            code="streams",
        )
        error.offset = offset
        return error

    def _offset_of(self, event: Event, number: int) -> int:
        return event.offset if self.raw is None else _offset_in(self.raw, number)

    @property
    def has_begun(self) -> bool:
        """Whether there was an event that said something."""
        return self.has_chunks or bool(self.others) or self.error is not None or self.cut is not None

    def _starts_another(self, chunk: Any) -> bool:
        """Whether a chunk is the first of another answer.

        Every choice has ended, and the chunk has a fragment under an id that was not seen, or with a role where
        earlier deltas mostly had none.
        """
        for answer in self.answers.values():
            if not answer.is_over:
                return False
        if not self.answers:
            return False
        if chunk.id and chunk.id not in self.ids and any(map(_has_fragment, chunk.choices)):
            return True
        return any(
            choice.delta is not None
            and choice.delta.role
            and choice.finish_reason is None
            and (held := self.answers.get(choice.index)) is not None
            and not held.has_mostly_roles()
            for choice in chunk.choices
        )

    def _add_parsed(self, event: Event, data: bytes) -> None:
        """An event that the strict decode refused."""
        try:
            tree, is_clean = parse_checked(data)
        except MalformedPayloadError as error:
            refusal = error.with_traceback(None)  # which holds frames, and so the stream
        else:
            if event.broken:
                self._break(self.events, event, MalformedPayloadError("its JSON goes on in lines without `data:`"))
            else:
                self._add_tree(tree, event, data, is_clean=is_clean)
            return
        if not data.startswith((b"{", b"[", b'"')):
            self._add_sentence(data, event.name)
        elif refusal.code == "truncated" or (not event.ended and refusal.code not in ("too_deep", "number_range")):
            self.cut = self.events, event, refusal
            self._guard()
        else:
            self._break(self.events, event, refusal)

    def _end_cut(self) -> None:
        """An event that ends too early was not the last one: it is broken."""
        if self.cut is not None:
            self._break(*self.cut)
            self.cut = None

    def _break(self, number: int, event: Event, refusal: MalformedPayloadError) -> None:
        """A broken event: an error that holds what came before, or a note."""
        if self.skip_broken:
            self.extra.note("broken_event", f"/events/{number}", event.data.decode("utf-8", "replace"))
            return
        offset = self._offset_of(event, number)
        reason = "its JSON ends too early" if refusal.code == "truncated" else str(refusal).partition(";")[0]
        error = MalformedPayloadError(
            f"event {number}, at byte {offset} of the stream, is broken: {reason}; "
            'its error has what came before in .completion, on_broken="skip" goes on behind it',
            code="syntax" if refusal.code in ("truncated", "leading_text") else refusal.code,
            offset=offset,
        )
        error.completion = self._so_far()
        raise error

    def _so_far(self) -> Completion | None:
        try:
            return self.completion(Findings(), final=False) if self.has_chunks else None
        except NormalizeError:
            return None

    def _add_tree(self, tree: Any, event: Event, data: bytes, *, is_clean: bool) -> None:
        """One event that was parsed, or a list of chunks."""
        is_body = event.bare and is_whole(tree)
        if isinstance(tree, list) and wrappers.are_chunks(tree):
            for item in tree:
                self.add((Event(to_json(item), offset=event.offset),))
            return
        if event.name == "error":
            self._add_error(tree)
            return
        if is_body and self.has_begun and not (isinstance(tree, dict) and form_of(tree)):
            raise self._several(event)
        self.has_halves = self.has_halves or not is_clean
        loosened = self.reader.loosen(tree)
        if loosened is None:
            self._add_faulty(parse_checked(data)[0], event, is_clean=is_clean)
        elif self._starts_another(loosened.chunk):
            raise self._several(event)
        else:
            self.camel += loosened.camel_keys
            if loosened.extra:
                owners: Owners = []
                self.merge(loosened.chunk, owners)
                self._add_extra(loosened.extra, owners)
            else:
                self.merge(loosened.chunk)
        if is_body and len(self.answers) and not self.others and self.events == 1:
            self.body = data
            self._close()

    def _add_faulty(self, tree: Any, event: Event, *, is_clean: bool) -> None:
        """An event that is not a chunk, or one with a fault."""
        try:
            chunk = self._read(tree, is_clean=is_clean)
        except UnknownPayloadError as refusal:
            if self.refusal is None:
                self.refusal = refusal.with_traceback(None)
            kind = tree.get("type") if isinstance(tree, dict) else None
            self._keep_event(event.name or (kind if isinstance(kind, str) else "unknown"), tree)
            return
        choices = tree.get("choices") if isinstance(tree, dict) else None
        natives = ("native_finish_reason", "nativeFinishReason")
        if not isinstance(choices, list) or not all(isinstance(each, dict) for each in choices):
            choices = []  # of a shape of its own
        sent = [each.get(name) for each in choices for name in natives]
        self.has_native = self.has_native or any(isinstance(word, str) and word for word in sent)
        # As the marker of Atoma's engine, which looks at the first choice.
        self.has_maps = self.has_maps or (bool(choices) and isinstance(choices[0].get("logprobs"), list))
        self.add_chunk(chunk, event, is_named=chunk.variant not in VARIANTS.values(), items=choices)

    def _read(self, tree: Any, *, is_clean: bool) -> Chunk:
        """One chunk; where it has the markers of several sources, the completion will say so."""
        try:
            return self._found(tree, self.place.source, is_clean=is_clean)
        except AmbiguousPayloadError as error:
            self.named.update(error.candidates)
            return self._found(tree, "openai", is_clean=is_clean)

    def _found(self, tree: Any, source: str | None, *, is_clean: bool) -> Chunk:
        findings = Findings(
            source=source,
            default_source=self.place.default_source,
            in_envelope=self.place.in_envelope,
            is_clean=is_clean,
            read=self.reader.engine.read_inside,
        )
        chunk = self.reader.read(tree, findings)
        self.camel += findings.camel
        return chunk

    def _add_sentence(self, data: bytes, name: str | None) -> None:
        """An event that is plain text: an error where it is called one or is alone (Atoma's old engine)."""
        text = data.decode("utf-8", "replace")
        start = _ERROR_WORDS.match(data)
        if name == "error" or (start is not None and self.has_begun):
            self._set_error(ServiceError(message=text))
            return
        if self.text is None:
            self.text = text
        self._keep_event(name or "text", text)

    def _add_error(self, tree: Any) -> None:
        """The JSON of an event that is called `error`, whatever it holds."""
        if not isinstance(tree, dict):
            text = self._whole(tree) if isinstance(tree, str) else to_json(tree).decode()
            self._set_error(ServiceError(message=text))
            return
        try:
            chunk = self._read(tree, is_clean=False)
        except NormalizeError:
            chunk = None
        if chunk is None or chunk.error is None:
            first = tree["errors"][0] if isinstance(tree.get("errors"), list) and tree["errors"] else tree
            stated = {**tree, **first} if isinstance(first, dict) else tree
            chunk = self._read({"error": tree}, is_clean=False)
            assert chunk.error is not None
            if chunk.error.message is None:
                texts = (stated.get(name) for name in _STATED)
                chunk.error.message = next((self._whole(text) for text in texts if isinstance(text, str)), None)
            if chunk.error.code is None:
                codes = (stated.get(name) for name in ("code", "status_code", "status"))
                code = next(
                    (code for code in codes if isinstance(code, str) or (isinstance(code, int) and in_range(code))),
                    None,
                )
                chunk.error.code = self._whole(code) if isinstance(code, str) else code
        self.add_chunk(chunk, is_named=True)

    def _whole(self, text: str) -> str:
        """A text of an error, without half surrogate pairs."""
        replaced = replace_surrogates(text)
        if replaced is None:
            return text
        self.extra.note("lone_surrogate", "/error", escape_surrogates(text))
        return replaced

    def _keep_event(self, name: str, value: Any) -> None:
        if name in self.others or len(self.others) < _MAX_NAMES:
            self.others[name] = value

    def _set_error(self, error: ServiceError) -> None:
        self.has_chunks = True
        if self.error is None:
            self.error = error
        elif self.error != error:
            self.extra.note("conflicting_value", "/error", msgspec.to_builtins(error))

    # -- chunks

    def add_chunk(self, chunk: Chunk, event: Event = _NO_EVENT, *, is_named: bool = True, items: Any = None) -> None:
        """One canonical chunk, and the event that it was.

        `is_named` says that the caller named its source, `items` are its choices as they were sent, if that is known.
        """
        sent, extra, notes = as_wire(chunk, has_natives=chunk.source in self.reader.with_natives)
        for choice, item in zip(sent.choices, items or (), strict=False):
            word = item.get("finish_reason", item.get("finishReason"))
            native = item.get("native_finish_reason", item.get("nativeFinishReason"))
            if isinstance(word, str) and (native is None or isinstance(native, str)):
                choice.finish_reason, choice.native_finish_reason = word, native
        if self.is_closed or self._starts_another(sent):
            raise self._several(event)
        self._end_cut()
        self.has_chunks = True
        if chunk.error is not None:
            self._set_error(chunk.error)
        if is_named and chunk.source != unmarked(self.place)[0]:
            self.named.add(chunk.source)
        self.is_sealed = self.is_sealed or chunk.variant == "confidential"
        owners: Owners = []
        for note in [note for note in notes if note.code == "usage_elsewhere"]:  # it is read when the stream is over
            if note.path.startswith("/choices"):  # what is in `x_groq` is in `extra` anyway
                extra[note.path] = adapt.sent_members(sent.usage, Findings(camel=self.camel > 0))
            sent.usage = None
            notes.remove(note)
        self.merge(sent, owners)
        for note in notes:
            owner, rest = _owner(note.path, owners)
            if note.code == "source_conflict":
                self.named.add(note.before)
            elif note.code == "cumulative_delta" and owner is not None:
                owner.cumulative = wire.ATOMA_ENGINE
            elif note.code != "python_arguments":  # of a fragment; the whole text is looked at in the end
                (self.extra if owner is None else owner.extra).note(note.code, rest, note.before)
        self._add_extra(extra, owners)

    def merge(self, chunk: wire.Chunk, owners: Owners | None = None) -> None:
        """Go on with a chunk; adds where it went, choice by choice, to `owners`."""
        self._end_run()
        if chunk.usage is not None:
            self._add_usage(chunk.usage)
        self._add_padding(chunk)
        self._add_words(chunk)
        of = len(chunk.choices)
        for at, choice in enumerate(chunk.choices):
            answer = self._answer(choice.index, of, at)
            if choice.camel_finish is not UNSET:
                self.camel += 1
                answer.respell(choice)
            is_plain = answer.add(choice)
            if choice.finish_reason is not None or choice.native_finish_reason is not None:
                self.has_native = self.has_native or choice.native_finish_reason is not None
                self.is_guarded = self.is_guarded or answer.is_over
            if owners is not None:
                owners.append((answer, answer.places))
        if of == 1 and is_plain and not self.is_guarded and not self.strict:
            self.run = run_after(chunk, answer)

    def _add_padding(self, chunk: wire.Chunk) -> None:
        if chunk.obfuscation is not None:
            self.padding["obfuscation"] = chunk.obfuscation
        if chunk.p is not None:
            self.padding["p"] = chunk.p

    def _guard(self) -> None:
        """From now on, have a look at each event before it is merged."""
        self._end_run()
        self.is_guarded = True

    def _end_run(self) -> None:
        if self.run is not None:
            self.run.close()
            self._add_padding(self.run.head)
            self.run = None

    def _answer(self, index: int | None, of: int, at: int) -> Answer:
        """The answer of a choice, by its index; without one, it is the only answer there is."""
        answers = self.answers
        key: Any = index
        if index is None and of > 1 and at > 0:
            key = f"#{at}"  # several without an index in one chunk
        found = answers.get(key)
        if found is None and len(answers) == 1 and (index is None or None in answers) and of == 1:
            found = next(iter(answers.values()))
            found.index = index if found.index is None else found.index
        if found is None:
            found = Answer(index)
        answers[key] = found
        return found

    def _add_words(self, chunk: wire.Chunk) -> None:
        """The words of the whole response: the first that says something is kept, another is remarked."""
        self.has_chunks = True
        said, before = _words(chunk), self.said
        if said == before:
            return
        self.said = said
        if chunk.id and len(self.ids) < _MAX_NAMES:
            self.ids[chunk.id] = None
        if chunk.object in _IMPLIED:
            self.objects[chunk.object] = None
        elif chunk.object:
            self.extra.add("/object", chunk.object)
            if chunk.object == "error":  # some services tell their errors by this word
                self._set_error(ServiceError())
        for name, sent, last in zip(wire.WORDS, said, before, strict=False):
            if sent is None or sent == last:
                continue
            is_time = name == "created" and not (sent.__class__ is int and sent < adapt.MILLISECONDS_FROM)
            value = self._seconds(sent) if is_time else sent
            held = self.words.get(name)
            if not held:
                self.words[name] = value
            elif value and value != held:
                self.extra.note("conflicting_value", f"/{name}", value)

    def _seconds(self, created: float | str) -> int | None:
        findings = Findings()
        seconds = adapt.created(created, findings)
        for note in findings.notes:
            self.extra.note(note.code, note.path, note.before)
        for pointer, value in findings.extra.items():
            self.extra.set(pointer, value)
        return seconds

    def _add_usage(self, usage: Usage) -> None:
        if self.usage is None:
            self.usage = usage
        elif usage != self.usage:
            merged_usage(self.usage, usage, "/usage", self.extra.note)

    def _add_extra(self, extra: dict[str, Any], owners: Owners) -> None:
        """What the model has no field for, where it belongs in the assembled body."""
        for pointer, value in extra.items():
            if pointer[1:] in wire.PADDING:
                self.padding[pointer[1:]] = value
                continue
            owner, rest = _owner(pointer, owners)
            values = self.extra if owner is None else owner.extra
            values.add(rest, value, is_delta=rest.startswith(_FRAGMENTED))

    # -- the result

    def completion(self, findings: Findings, *, final: bool) -> Completion:
        """The response so far, below the prefix of some findings.

        `final` says that the stream is over: what is missing then is noted. Raises `NormalizeError` where no event was
        a chunk.
        """
        self._end_run()
        if final and self.body is not None and not self.extra.notes:  # a body in place of a stream
            findings.source, findings.default_source = self.place.source, self.place.default_source
            return self.reader.engine.read_inside(self.body, findings)
        error = self.error if self.has_chunks else self._nothing()
        source, why = self._source(findings)
        findings.camel = self.camel > 0
        answers = self._assembled()
        words = self.reader.engine.finish_words(source)
        choices = [choice_of(answer, at, findings, words) for at, answer in enumerate(answers)]
        completion = Completion(
            source=source,
            source_basis=why,  # type: ignore[arg-type]
            variant=self._variant(answers, error),
            choices=choices,
            usage=copy(self.usage),
            error=error,
            notes=findings.notes,
            **self.words,
        )
        self._keep(completion, answers, findings)
        if findings.extra and (completion.usage is None or adapt.is_blank(completion.usage)):
            completion.usage = self._usage_elsewhere(len(choices), findings) or completion.usage
        findings.extra |= {f"{findings.prefix}/{name}": text for name, text in self.padding.items()}
        self._add_notes(completion, answers, findings, final=final)
        if self.has_halves:
            mend(completion, findings)
            findings.extra.update({pointer: paired(value) for pointer, value in findings.extra.items()})
        placeholders = self.reader.engine.placeholders.get(source)
        if placeholders and completion.variant in ("chat", "text"):
            apply_placeholders(completion, placeholders, findings)
        completion.extra = extra_of(findings)
        return completion

    def _assembled(self) -> list[Answer]:
        """The answers so far, in the order of their indexes."""
        answers = [*dict.fromkeys(self.answers.values())]  # one may have several keys
        if len(answers) == 1:
            return [answers[0].assembled()]
        answers.sort(key=lambda answer: answer.index or 0)
        return as_one([answer.assembled() for answer in answers])

    def _nothing(self) -> ServiceError:
        """What a stream without a chunk says: a sentence is an error, in place of a stream."""
        if self.text is not None and not self.extra.notes:  # no foreign text around it
            return ServiceError(message=self.text)
        if self.cut is not None:
            raise copy(self.cut[2])
        if self.refusal is not None:
            raise copy(self.refusal)
        raise UnknownPayloadError(
            "the stream holds no event with a chunk; log the body, not only the keep-alives", code="empty"
        )

    def _source(self, findings: Findings) -> tuple[str, str]:
        """Who wrote the stream, and how that is known: the caller, or the markers of what all chunks said together.

        Where a marker names another source than the caller, the findings say so.
        """
        caller = self.place.source
        found = self.reader.sources_of(caller, self._union(), list(self.ids), is_camel=self.camel > 0) | self.named
        # A chunk that was read may have had a marker of which nothing is left in it.
        if caller is not None:
            for other in sorted(found - {caller}):
                findings.note_at(findings.prefix, "source_conflict", other)
            return caller, "caller"
        if len(found) > 1:
            raise ambiguous(sorted(found))
        return (next(iter(found)), "marker") if found else unmarked(self.place)

    def _union(self) -> dict[str, Any]:
        """What the chunks said, as far as markers look at it: as one body."""
        tree: dict[str, Any] = {name: value for name, value in self.words.items() if value is not None}
        choice: dict[str, Any] = {"native_finish_reason": ""} if self.has_native else {}
        if self.has_maps:
            choice["logprobs"] = []
        tree["choices"] = [choice]
        if self.objects:
            tree["object"] = next(iter(self.objects))
        values = [*self.extra.items()]
        for answer in self.answers.values():
            values += [(f"/choices/0{pointer}", value) for pointer, value in answer.extra.items()]
        if self.usage is not None:
            tree["usage"] = msgspec.to_builtins(self.usage)
        for pointer, value in values:
            holder: Any = tree
            *parents, name = pointer.split("/")[1:]
            for parent in parents:
                holder = holder[0] if isinstance(holder, list) else holder.setdefault(parent, {})
                if not isinstance(holder, dict):
                    break
            else:
                holder.setdefault(name, value)
        return tree

    def _variant(self, answers: list[Answer], error: ServiceError | None) -> str:
        if answers:
            return "text" if any(answer.has_text for answer in answers) else "chat"
        if self.is_sealed:
            return "confidential"
        if error is not None:
            return "error"
        return "text" if "text_completion" in self.objects else "chat"

    def _keep(self, completion: Completion, answers: list[Answer], findings: Findings) -> None:
        """Put what has no canonical field into `extra`."""
        root = findings.prefix
        for name, value in self.others.items():
            if self.has_chunks or name != "text":  # a sentence alone is the error
                findings.extra[f"{root}/events/{escape(name)}"] = value
        implied = _CHUNK_WORDS.get(completion.variant, ())
        for word in self.objects:
            if word not in implied:
                findings.extra[f"{root}/object"] = word
        for pointer, value in self.extra.items():
            findings.extra[root + pointer] = value
        for at, answer in enumerate(answers):
            if answer.aliases:
                findings.keep("".join(answer.aliases), "choices", at, "delta", "reasoning_content")
            if answer.differing is not None:
                findings.keep(adapt.sent_members(answer.differing, findings), "choices", at, "message")
            for pointer, value in answer.extra.items():
                spelled = camel(pointer) if findings.camel and pointer in _SNAKE else pointer
                findings.extra[f"{root}/choices/{at}{spelled}"] = value

    def _usage_elsewhere(self, of: int, findings: Findings) -> Usage | None:
        """The usage that is in a place of its own, by the rule of whole bodies; so far it is in `extra`."""
        body: dict[str, Any] = {"choices": []}
        for at in range(of):
            sent = findings.extra.pop(findings.pointer("choices", at, "usage"), None)
            body["choices"].append({"usage": sent})
            if sent is not None:
                break
        else:
            name = camel("x_groq") if findings.camel else "x_groq"
            body[name] = findings.extra.get(findings.pointer("x_groq"))
            if body[name] is None:
                return None
        findings.is_clean = False  # values in `extra` may hold half a surrogate pair
        read = Walk(findings).struct(body, self.reader.form, findings.prefix)
        counts = adapt.usage_elsewhere(read, findings)
        return None if counts is None else adapt.usage(counts)

    def _add_notes(self, completion: Completion, answers: list[Answer], findings: Findings, *, final: bool) -> None:
        """Put the repairs into the findings, with pointers into the assembled body."""
        notes = {("", code, path): note for (code, path), note in self.extra.notes.items()}
        for at, answer in enumerate(answers):
            for each in (*answer.origins, answer):
                for note in (*each.extra.notes.values(), *each.ending.notes.values()):
                    if not (each.cumulative and note.path == "/logprobs"):  # they are those so far, too
                        notes.setdefault((f"/choices/{at}", note.code, note.path), note)
        for (base, code, path), note in notes.items():
            spelled = camel(path) if findings.camel and code == "conflicting_value" else path
            findings.note_at(findings.prefix + base + spelled, code, note.before)
        for at, choice in enumerate(completion.choices):
            if choice.message.tool_calls:  # which are canonical already: this notes what is odd in them
                adapt.tool_calls(choice.message.tool_calls, findings, "choices", at, "delta")
        if not final or completion.error is not None:
            return
        if self.cut is not None:
            findings.note_at(findings.prefix, "incomplete_stream", self.cut[1].data.decode("utf-8", "replace"))
        for at, choice in enumerate(completion.choices):
            if choice.finish_reason is None and choice.error is None:
                findings.note("incomplete_stream", None, "choices", at, "finish_reason")
        if not completion.choices and completion.variant != "confidential":
            findings.note("incomplete_stream", None, "choices")


def read_stream(
    reader: ChunkReader, payload: bytes | list[Any], findings: Findings, *, skip_broken: bool = False
) -> Completion:
    """A saved stream that is in place of a response: its text, or the list of its chunks.

    Raises `UnknownPayloadError` with the code `streams` for a text with several answers.
    """
    assembly = Assembly(reader, findings or Findings(), skip_broken=skip_broken)
    if isinstance(payload, bytes):
        assembly.add(frames(payload), payload)
    else:
        assembly.add(Event(to_json(chunk)) for chunk in payload)
    return assembly.completion(findings, final=True)


def _offset_in(raw: bytes, number: int) -> int:
    """Where the event of a number starts in a stream."""
    return next((event.offset for at, event in enumerate(iter_events((raw,)), 1) if at == number), 0)


def is_foreign(data: bytes) -> bool:
    """Whether a text without a field is neither JSON nor the beginning of it."""
    return not data.startswith((b"{", b"["))


def is_whole(tree: Any) -> bool:
    """Whether JSON is not a chunk: a body, an error, or something else."""
    return not (isinstance(tree, dict) and wrappers.is_chunk(tree)) and not (
        isinstance(tree, list) and wrappers.are_chunks(tree)
    )


def _has_fragment(choice: wire.ChunkChoice) -> bool:
    """Whether a choice of a chunk has a fragment that is not empty, or begins with a role."""
    delta = choice.delta
    return bool(choice.text) or (delta is not None and any(getattr(delta, name) for name in delta.__struct_fields__))


def _owner(pointer: str, owners: Owners) -> tuple[Answer | None, str]:
    """Whose a pointer into a chunk is, and where it points in the assembled body, below that choice."""
    if not pointer.startswith("/choices/"):
        return None, pointer
    steps = pointer.split("/")
    if not steps[2].isdigit() or int(steps[2]) >= len(owners):
        return None, pointer
    answer, places = owners[int(steps[2])]
    rest = steps[3:]
    if len(rest) > 2 and rest[0] == "delta" and rest[1] in _LISTS and rest[2].isdigit():
        held = places.get(_LISTS[rest[1]], [])
        if int(rest[2]) < len(held):
            rest[2] = str(held[int(rest[2])])
    elif len(rest) > 2 and rest[:2] == ["logprobs", "content"] and rest[2].isdigit() and "logprobs" in places:
        rest[2] = str(int(rest[2]) + places["logprobs"][0])
    return answer, "".join(f"/{step}" for step in rest)
