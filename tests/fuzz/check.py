"""One mutant through the library's verbs, and every promise that it broke."""

from __future__ import annotations

import importlib
import json
import re
import traceback
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from normcompletion import (
    Chunk,
    Completion,
    EncryptedPayloadError,
    MalformedPayloadError,
    NormalizeError,
    SourceReportedError,
    assemble,
    iter_events,
    normalize,
    normalize_chunk,
)
from normcompletion.api import default_chunk_reader, default_engine
from normcompletion.model import to_json
from tests.fuzz.mutations import Mutant, is_stream
from tests.fuzz.oracle import BLANKS, classify, classify_events

_decoders = {
    kind: lambda text, kind=kind: msgspec.convert(json.loads(text), kind)  # half a surrogate pair is legal JSON
    for kind in (Completion, Chunk)
}


class Library:
    """What is fuzzed: the library itself; `faults` has doubles of it, each with a planted fault."""

    def normalize(self, payload: bytes, *, source: str | None, strict: bool) -> Completion:
        return normalize(payload, source=source, strict=strict)

    def normalize_chunk(self, payload: bytes, *, source: str | None, strict: bool) -> Chunk:
        return normalize_chunk(payload, source=source, strict=strict)

    def assemble(self, pieces: Iterable[bytes], *, source: str | None) -> Completion:
        return assemble(iter_events(pieces), source=source)

    def forget(self) -> None:
        """Make a new engine at the next call, which has not seen any payload."""
        default_engine.cache_clear()
        default_chunk_reader.cache_clear()


def target_of(name: str) -> Library:
    """The target called `module:class`."""
    module, _, attribute = name.partition(":")
    built: Library = getattr(importlib.import_module(module), attribute)()
    return built


class Answer(NamedTuple):
    """What a verb gave: a value, an error of ours that may hold one, or a foreign exception."""

    label: str  # the name of a class, and the code of an error
    value: Completion | Chunk | None = None
    error: NormalizeError | None = None
    foreign: str | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether the body was read."""
        return self.value is not None


class Violation(NamedTuple):
    """A broken promise. `detail` is equal for mutants that break it in one way."""

    kind: str
    verb: str
    detail: str


class Result(NamedTuple):
    """What the lenient call gave, and what was broken."""

    label: str
    violations: list[Violation]


def check(mutant: Mutant, target: Library) -> Result:
    """Call every verb that a mutant is meant for, and look at the answers."""
    raw, source = mutant.raw, mutant.source
    found: list[Violation] = []
    whole = _both("normalize", lambda strict: target.normalize(raw, source=source, strict=strict), raw, found)
    label = whole.label
    if mutant.kind == "chunk":
        label = _both(
            "normalize_chunk", lambda strict: target.normalize_chunk(raw, source=source, strict=strict), raw, found
        ).label
    if mutant.kind == "stream" and is_stream(raw):
        pieces = _ask(lambda: target.assemble(mutant.pieces(), source=source))
        _look("assemble", pieces, raw, found)
        if not whole.foreign and not pieces.foreign and (difference := _difference(whole, pieces)):
            found.append(Violation("pieces_disagree", "assemble", difference))
    return Result(label, found)


def _both(verb: str, call: Callable[[bool], Completion | Chunk], raw: bytes, found: list[Violation]) -> Answer:
    """The lenient answer, after a look at the strict one too."""
    lenient, strict = _ask(lambda: call(False)), _ask(lambda: call(True))  # noqa: FBT003
    _look(verb, lenient, raw, found)
    _look(f"{verb}(strict)", strict, raw, found)
    if lenient.foreign or strict.foreign:
        return lenient
    faults = strict.error is not None and bool(getattr(strict.error, "faults", ()))
    if (strict.is_accepted or not (lenient.is_accepted and faults)) and (difference := _difference(lenient, strict)):
        found.append(Violation("strict_disagrees", verb, difference))
    return lenient


def _ask(call: Callable[[], Completion | Chunk]) -> Answer:
    try:
        value = call()
    except NormalizeError as error:
        held = error.completion if isinstance(error, SourceReportedError | EncryptedPayloadError) else None
        return Answer(f"{type(error).__name__}/{error.code}", held, error)
    except Exception as error:  # noqa: BLE001 - to catch whatever comes is what this is for
        return Answer(type(error).__name__, foreign=_where(error))
    if not isinstance(value, Completion | Chunk):
        return Answer(type(value).__name__, foreign=f"a {type(value).__name__} came back")
    return Answer(type(value).__name__, value)


def _where(error: BaseException) -> str:
    """The class of an exception and the last lines of the package that it came through."""
    frames = [
        f"{frame.filename.rpartition('normcompletion/')[2]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "/normcompletion/" in frame.filename
    ]
    return f"{type(error).__name__} at {' < '.join(reversed(frames[-2:])) or 'unknown'}"


def _look(verb: str, answer: Answer, raw: bytes, found: list[Violation]) -> None:
    """What is wrong with one answer alone."""
    if answer.foreign is not None:
        found.append(Violation("foreign", verb, answer.foreign))
        return
    error = answer.error
    if error is not None:
        if len(str(error)) > 500:
            found.append(Violation("long_text", verb, answer.label))
        held = error.__cause__ or error.__context__
        while isinstance(held, NormalizeError):
            held = held.__cause__ or held.__context__
        if held is not None:  # it keeps the payload alive, and its text may hold it
            found.append(Violation("holds_foreign", verb, f"{answer.label} holds a {type(held).__name__}"))
    if answer.value is None:
        if isinstance(error, MalformedPayloadError) and (why := _refused_in_vain(raw, error)):
            found.append(Violation("refused_valid", verb, why))
        return
    if reason := _accepted_in_vain(raw, answer):
        found.append(Violation("accepted_invalid", verb, f"{reason} as {answer.label}"))
    if reason := _no_round_trip(answer.value):
        found.append(Violation("no_round_trip", verb, reason))


def _accepted_in_vain(raw: bytes, answer: Answer) -> str:
    """Why the oracle would not have accepted this; empty where it would."""
    verdict = classify(raw)
    if verdict.kind in ("object", "list"):
        return ""
    if verdict.kind == "scalar":
        return "a scalar"
    if verdict.reason in ("number_range", "too_deep"):  # JSON sets no limits: a value that is skipped may be any
        return ""
    text = raw
    if verdict.kind == "string":  # a stream that was logged as text
        logged, _ = json.JSONDecoder().raw_decode(
            raw.decode("utf-8-sig", "surrogatepass").lstrip()
        )  # `[DONE]` may follow
        text = logged.encode("utf-8", "surrogatepass")
    elif not is_stream(raw.removeprefix(b"\xef\xbb\xbf")) and not _is_lines(raw) and not _has_data_line(raw):
        return verdict.reason
    # Text around the events, which no field starts and which is no JSON, is in a note.
    events = [event for event in iter_events([text]) if not event.bare or event.data.startswith((b"{", b"["))]
    return classify_events([event.data for event in events], may_be_cut=_says_cut(answer))


def _has_data_line(raw: bytes) -> bool:
    """Whether a text has an event behind other text."""
    return b"\ndata:" in raw or b"\rdata:" in raw


def _is_lines(raw: bytes) -> bool:
    """Whether a text is one JSON object a line, at least in its first of several lines."""
    line, _, rest = raw.lstrip(BLANKS).partition(b"\n")
    return bool(rest.strip(BLANKS)) and classify(line).kind == "object"


def _says_cut(answer: Answer) -> bool:
    """Whether an answer says that its stream broke off: by a note that holds the rest, or by the error it carries."""
    value = answer.value
    if value is None or value.error is not None:
        return True
    return any(note.code == "incomplete_stream" and note.before is not None for note in value.notes)


def _refused_in_vain(raw: bytes, error: MalformedPayloadError) -> str:
    """Why the oracle would have accepted this; empty where it would not. Text inside strings is not its business."""
    verdict = classify(raw)
    if verdict.kind in ("invalid", "string") or error.path is not None:
        return ""
    return f"{verdict.kind} as {error.code}"


def _no_round_trip(value: Completion | Chunk) -> str:
    """Why a value is not the same after it has been written and read; empty where it is."""
    try:
        text = to_json(value)
    except Exception as error:  # noqa: BLE001 - whatever it is, the value could not be written
        return f"{type(error).__name__} when it is written"
    try:
        again = to_json(_decoders[type(value)](text))
    except Exception as error:  # noqa: BLE001 - whatever it is, what was written could not be read
        return f"{type(error).__name__} when it is read again: {re.sub('[0-9]+', 'N', str(error))[:120]}"
    return "" if text == again else "another value"


def _difference(first: Answer, second: Answer) -> str:
    """How two answers differ, in words; empty where they say the same."""
    if first.label != second.label:
        return f"{second.label}, not {first.label}"
    if first.value is None or second.value is None:
        if first.value is not second.value:
            return f"{second.label} with and without a value"
        return "" if _path(first) == _path(second) else f"{second.label} at another path"
    if _text(first.value) == _text(second.value):
        return ""
    names = [name for name in first.value.__struct_fields__ if _part(first.value, name) != _part(second.value, name)]
    return f"another {' and '.join(names)} in {first.label}" if names else ""


def _path(answer: Answer) -> str | None:
    """Where an error says that the fault is."""
    return answer.error.path if answer.error is not None else None


def _part(value: Completion | Chunk, name: str) -> bytes | list[bytes]:
    """One field, as text; the order of notes is no promise."""
    part = getattr(value, name)
    return sorted(map(_text, part)) if name == "notes" else _text(part)


def _text(value: Any) -> bytes:
    """A value as text that differs where two values differ; one that cannot be written is a violation of its own."""
    try:
        return to_json(value)
    except (ValueError, TypeError):
        return repr(value).encode("utf-8", "backslashreplace")
