"""Events to one completion: chunks are merged, errors are reported, and nothing else is dropped or invented."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from copy import copy
from typing import Any

import msgspec

from ..decoding.detection import unmarked
from ..dialect import adapt, wire
from ..dialect.failures import fits, form_of
from ..envelopes import wrappers
from ..errors import AmbiguousPayloadError, MalformedPayloadError, NormalizeError, UnknownPayloadError
from ..findings import Findings
from ..model import Chunk, Completion, ServiceError, to_json
from ..payload import (
    BLANKS,
    REFUSALS,
    duplicate_keys,
    escape_surrogates,
    parse_checked,
    replace_surrogates,
)
from ..pointer import escape
from .chunks import VARIANTS, ChunkReader, as_wire
from .events import DONE, Event, frames, iter_events
from .merging import MAX_NAMES, Merged, Owners, owner_of
from .result import completed
from .runs import Other, Reading

_ERROR_WORDS = re.compile(rb"\W*(?:error|exception|traceback|internal server error)\b:?\s*", re.IGNORECASE)
_NO_EVENT = Event(b"")
_STATED = ("message", "detail", "title", "reason")  # where errors without a form of their own have a sentence


class Assembly(Merged, eq=False):
    """The completion in the making: events read as chunks, which are merged.

    `skip_broken` goes on behind an event that is not JSON, with a note.
    """

    skip_broken: bool = False
    events: int = 0  # how many there were
    cut: tuple[int, Event, MalformedPayloadError] | None = None  # an event that may be cut off, its number
    refusal: NormalizeError | None = None  # of the first event that is not a chunk
    text: str | None = None  # the first event that was a sentence
    # What was not a chunk, by name; the last value is kept.
    others: dict[str, Any] = msgspec.field(default_factory=dict)
    body: bytes | None = None  # a JSON body in place of a stream
    is_closed: bool = False  # whether the answer is over: what follows is another one
    raw: bytes | None = None  # the whole stream, as long as its events are added without their offsets

    # -- events

    def add(self, events: Iterable[bytes | Event], raw: bytes | None = None) -> None:
        """Go on with events, or just their data; `raw` is the whole stream, where their offsets are not known.

        Raises `UnknownPayloadError` with the code `streams` for the first with which another answer starts, and
        `MalformedPayloadError` for one in the middle that is not JSON.
        """
        self.raw = self.raw if raw is None else raw
        remaining, reading = iter(events), (self.reader.decode, self._opened, self.add_usage)
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
                self.guard()
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
            self.guard()

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
            self.guard()
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
                self.add_extra(loosened.extra, owners)
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
            self.set_error(ServiceError(message=text))
            return
        if self.text is None:
            self.text = text
        self._keep_event(name or "text", text)

    def _add_error(self, tree: Any) -> None:
        """The JSON of an event that is called `error`, whatever it holds."""
        if not isinstance(tree, dict):
            text = self._whole(tree) if isinstance(tree, str) else to_json(tree).decode()
            self.set_error(ServiceError(message=text))
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
                code = next((code for code in codes if fits("code", code)), None)
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
        if name in self.others or len(self.others) < MAX_NAMES:
            self.others[name] = value

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
            self.set_error(chunk.error)
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
            owner, rest = owner_of(note.path, owners)
            if note.code == "source_conflict":
                self.named.add(note.before)
            elif note.code == "cumulative_delta" and owner is not None:
                owner.cumulative = wire.ATOMA_ENGINE
            elif note.code != "python_arguments":  # of a fragment; the whole text is looked at in the end
                (self.extra if owner is None else owner.extra).note(note.code, rest, note.before)
        self.add_extra(extra, owners)

    # -- the result

    def completion(self, findings: Findings, *, final: bool) -> Completion:
        """The response so far, below the prefix of some findings.

        `final` says that the stream is over: what is missing then is noted. Raises `NormalizeError` where no event was
        a chunk.
        """
        self.end_run()
        if final and self.body is not None and not self.extra.notes:  # a body in place of a stream
            findings.source, findings.default_source = self.place.source, self.place.default_source
            return self.reader.engine.read_inside(self.body, findings)
        error = self.error if self.has_chunks else self._nothing()
        for name, value in self.others.items():
            if self.has_chunks or name != "text":  # a sentence alone is the error
                findings.extra[f"{findings.prefix}/events/{escape(name)}"] = value
        rest = None if self.cut is None else self.cut[1].data.decode("utf-8", "replace")
        return completed(self, error, findings, final=final, rest=rest)

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
