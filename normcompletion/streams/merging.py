"""Chunks merged: the answers of all choices, and what the chunks say about the whole.

What is a word (id, model, role, finish reason, a call's id) is never joined to another; what is text always is. Null
never overwrites. Time and memory are linear in the chunks: fragments are joined once, at the end.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET

from ..dialect import adapt, wire
from ..findings import Findings
from ..model import ServiceError, Usage
from .answer import Answer
from .chunks import CHUNK_WORDS, ChunkReader
from .runs import Run, run_after
from .values import Values, merged_usage

MAX_NAMES = 64  # of ids and kinds of events that are remembered
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
_words = attrgetter(*wire.WORDS, "object")
_IMPLIED = frozenset().union(*CHUNK_WORDS.values())
Owners = list[tuple[Answer, dict[str, list[int]]]]  # the answer of each choice, and the places of the last chunk in it


class Merged(msgspec.Struct, eq=False):
    """What the chunks of one stream say, of any number of choices.

    `place` are the findings of the place where the stream is: what the caller named, and what an unmarked one there is.
    """

    reader: ChunkReader
    place: Findings = msgspec.field(default_factory=Findings)
    strict: bool = False
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
    has_chunks: bool = False
    has_native: bool = False  # whether the wire had `native_finish_reason`
    has_maps: bool = False  # whether log-probs were lists of token maps
    has_halves: bool = False  # whether a text may hold half of a surrogate pair
    named: set[str] = set()  # the sources of errors, of comments, and of canonical chunks of the caller
    is_sealed: bool = False  # whether the stream is confidential
    is_guarded: bool = False  # whether each event needs a look before it is merged
    extra: Values = msgspec.field(default_factory=Values)  # by pointer into the assembled body

    def merge(self, chunk: wire.Chunk, owners: Owners | None = None) -> None:
        """Go on with a chunk; adds where it went, choice by choice, to `owners`."""
        self.end_run()
        if chunk.usage is not None:
            self.add_usage(chunk.usage)
        self._add_padding(chunk)
        self._add_words(chunk)
        of = len(chunk.choices)
        for at, choice in enumerate(chunk.choices):
            answer = self._answer(choice.index, of, at)
            if choice.camel_finish is not UNSET:
                self._respell(choice, answer)
            is_plain = answer.add(choice)
            if choice.finish_reason is not None or choice.native_finish_reason is not None:
                self.has_native = self.has_native or choice.native_finish_reason is not None
                self.is_guarded = self.is_guarded or answer.is_over
            if owners is not None:
                owners.append((answer, answer.places))
        if of == 1 and is_plain and not self.is_guarded and not self.strict:
            self.run = run_after(chunk, answer)

    def _respell(self, choice: wire.ChunkChoice, answer: Answer) -> None:
        """Spell the finish word of a choice in snake_case; where it is there in both spellings, one is kept apart."""
        if choice.finish_reason is None:
            self.camel += 1
            choice.finish_reason = choice.camel_finish  # type: ignore[assignment]  # it is set
        elif choice.camel_finish is not None:
            answer.extra.add("/finishReason", choice.camel_finish)
        choice.camel_finish = None

    def _add_padding(self, chunk: wire.Chunk) -> None:
        if chunk.obfuscation is not None:
            self.padding["obfuscation"] = chunk.obfuscation
        if chunk.p is not None:
            self.padding["p"] = chunk.p

    def guard(self) -> None:
        """From now on, have a look at each event before it is merged."""
        self.end_run()
        self.is_guarded = True

    def end_run(self) -> None:
        """Go on without a run."""
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
        if chunk.id and len(self.ids) < MAX_NAMES:
            self.ids[chunk.id] = None
        if chunk.object in _IMPLIED:
            self.objects[chunk.object] = None
        elif chunk.object:
            self.extra.add("/object", chunk.object)
            if chunk.object == "error":  # some services tell their errors by this word
                self.set_error(ServiceError())
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

    def add_usage(self, usage: Usage) -> None:
        """Merge the usage of a chunk."""
        if self.usage is None:
            self.usage = usage
        elif usage != self.usage:
            merged_usage(self.usage, usage, "/usage", self.extra.note)

    def add_extra(self, extra: dict[str, Any], owners: Owners) -> None:
        """What the model has no field for, where it belongs in the assembled body."""
        for pointer, value in extra.items():
            if pointer[1:] in wire.PADDING:
                self.padding[pointer[1:]] = value
                continue
            owner, rest = owner_of(pointer, owners)
            values = self.extra if owner is None else owner.extra
            values.add(rest, value, is_delta=rest.startswith(_FRAGMENTED))

    def set_error(self, error: ServiceError) -> None:
        """Keep the first error that was reported; another one is noted."""
        self.has_chunks = True
        if self.error is None:
            self.error = error
        elif self.error != error:
            self.extra.note("conflicting_value", "/error", msgspec.to_builtins(error))


def owner_of(pointer: str, owners: Owners) -> tuple[Answer | None, str]:
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
