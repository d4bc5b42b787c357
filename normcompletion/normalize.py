"""The public verbs: `normalize`, `normalize_many`, `detect`, `explain`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any, Literal, overload

import msgspec

from . import dialect, envelope
from .accounting import LOST, Placement, placements
from .errors import (
    EncryptedPayloadError,
    InvalidPayloadError,
    MalformedPayloadError,
    NormalizeError,
    SourceReportedError,
    UnknownPayloadError,
    excerpt,
)
from .ledger import Ledger, in_order, is_fault
from .model import Choice, Chunk, Completion, Logprobs, Note
from .parse import BLANKS, MAX_RECORD_BYTES, duplicate_keys, looks_like_stream, parse, to_bytes
from .reader import Reader, Refusal, Shape, spelling_of, tidy
from .registry import installed
from .salvage import Salvage
from .stream_assembly import Assembly
from .stream_chunks import ChunkReader
from .stream_events import iter_events
from .wire import Body, TightCompletion

_reader: Reader | None = None


@cache
def default_reader() -> Reader:
    """The reader of the built-in sources and of those that installed packages offer; made at the first call."""
    global _reader  # noqa: PLW0603 - a global is the cheapest thing to read on every payload
    _reader = Reader(installed())
    _reader.stream = read_stream
    return _reader


@cache
def default_chunk_reader() -> ChunkReader:
    """The reader of single chunks; made when the first stream comes."""
    return ChunkReader(default_reader())


def read_stream(payload: bytes | list[Any], ledger: Ledger) -> Completion:
    """A saved stream that stands in place of a response: its text, or the list of its chunks, parsed or as texts."""
    assembly = Assembly(default_chunk_reader(), source=ledger.source, fallback=ledger.fallback)
    if isinstance(payload, bytes):
        assembly.add_stream(payload)
    elif isinstance(payload[0], bytes):
        assembly.add_texts(payload)
    else:
        for chunk in payload:
            assembly.add_tree(chunk)
    return assembly.completion(ledger, final=True)


def normalize(  # noqa: PLR0915 - the two quick roads stand here: a call costs as much as a mark
    payload: object,
    source: str | None = None,
    variant: str | None = None,
    strict: bool = False,  # noqa: FBT001, FBT002 - keyword-only defaults cost 90 ns a call (3.11)
    max_record_bytes: int = MAX_RECORD_BYTES,
) -> Completion:
    """Any whole completion response as one canonical `Completion`.

    Args:
        payload: JSON as bytes, bytearray, memoryview or str; a mapping; or an SDK object (a pydantic model, a msgspec
            Struct, a dataclass). A `Completion`, or its JSON, is read as that.
        source: who wrote the payload, where the caller knows; it is believed. Detected otherwise.
        variant: the only shape to accept, such as `"text"`.
        strict: raise one `InvalidPayloadError` that names every fault, instead of repairing with notes.
        max_record_bytes: refuse longer texts.

    Raises:
        NormalizeError: and nothing else; `errors.py` draws the tree.

    """
    reader = _reader
    chat: Any = None
    shape: Shape | None = None
    tried: list[Shape] | None = None
    refused = ""
    if variant is not None or strict or reader is None:
        pass
    elif (decode := reader.decode_first) is not None:
        # One choice in canonical words, by far the most frequent payload, needs no ledger and no copy. Every line here
        # is paid each time: measure before adding one. Whatever goes wrong goes wrong again, with words, in `read`.
        try:
            if len(payload) > max_record_bytes:  # type: ignore[arg-type]
                raise ValueError  # noqa: TRY301 - caught below, as what is no text is
            chat = decode(payload)  # type: ignore[arg-type]
            (choice,) = chat.choices
        except Refusal as refusal:
            refused = str(refusal)
            tried, shape = reader.following(refused)
        except (TypeError, ValueError, BufferError):
            pass  # no bytes and no text; too long; or not one choice
        else:
            gateway = reader.gateway
            name: str | None = gateway
            if source is None:
                if choice.native_finish_reason is None or chat.provider is None:
                    name = reader.quick_source(chat)
            elif source is not gateway:
                name = source if source in reader.quick_sources else None
            if (calls := choice.message.tool_calls) is not None:
                for call in calls:  # as `has_python_arguments`; the comparison alone settles most of them
                    if (
                        (function := call.function) is not None
                        and (text := function.arguments) is not None
                        and text >= "{'"
                        and text[:2] == "{'"
                    ):
                        name = None
            if name is not None:
                if ((logprobs := choice.logprobs) is not None and logprobs.__class__ is not Logprobs) or (
                    choice.error is not None
                ):
                    ledger = Ledger()
                    tidy(choice, 0, ledger)
                    chat.extra, chat.notes = ledger.extra, ledger.notes
                choice.__class__ = Choice  # same layout: see wire.TightChoice
                chat.__class__ = Completion
                if name is not gateway:
                    chat.source = name
                return chat  # type: ignore[no-any-return]
    else:
        shape = reader.quick_hint
    if shape is not None and reader is not None and (source is None or source in reader.sources):
        # The same with vendor keys, in camelCase, or with other finish words; and text completions.
        wide = None
        try:
            if len(payload) <= max_record_bytes:  # type: ignore[arg-type]
                wide = shape.decode(payload)  # type: ignore[arg-type]
        except Refusal as refusal:
            refused = str(refusal)
            tried = [*(tried or ()), shape]
        except (TypeError, ValueError, BufferError):
            pass
        if wide is not None:
            quick = (reader.quick if shape.is_chat else reader.quick_text)(shape, wide, source)
            if quick is not None:
                if tried:
                    reader.set_hint(payload, shape, wide, quick, tried)  # type: ignore[arg-type]
                elif quick.extra:
                    reader.needed += 1
                elif not shape.is_telling:
                    reader.doubt_hint(payload)
                return quick
            refused = ""
            tried = [*(tried or ()), shape]
    raw = to_bytes(payload)
    if len(raw) > max_record_bytes:
        raise too_long(len(raw), max_record_bytes)
    return read(raw, source=source, variant=variant, strict=strict, tried=tried, refused=refused, decoded=chat)


def too_long(length: int, limit: int) -> MalformedPayloadError:
    """The error for a record over the limit."""
    return MalformedPayloadError(
        f"{length} bytes are more than max_record_bytes={limit}; raise the limit or split the record",
        code="too_long",
        offset=limit,
    )


def read(
    raw: bytes,
    *,
    source: str | None = None,
    variant: str | None = None,
    strict: bool = False,
    tried: list[Shape] | None = None,
    refused: str = "",
    decoded: TightCompletion | None = None,
) -> Completion:
    """`normalize` for bytes within the limit, by the whole road.

    Where shapes were tried, `refused` is why the last did not fit; `decoded` is what the tight one gave.
    """
    completion = read_any(raw, source=source, variant=variant, tried=tried, refused=refused, decoded=decoded)
    return answered(completion, _texts(raw) if strict else (), strict=strict)


def answered(completion: Completion, texts: Iterable[bytes], *, strict: bool) -> Completion:
    """The completion of a call that succeeded; raises for faults in strict mode, a failed call, an encrypted body."""
    if strict:
        check(completion, texts)
    if completion.error is not None:
        raise reported(completion)
    if completion.variant == "confidential":
        raise encrypted(completion)
    return completion


def read_any(
    raw: bytes,
    *,
    source: str | None = None,
    variant: str | None = None,
    tried: list[Shape] | None = None,
    refused: str = "",
    decoded: TightCompletion | None = None,
) -> Completion:
    """`read`, with failed and encrypted calls as completions instead of errors: what bulk conversion wants."""
    reader = default_reader()
    if source is not None or variant is not None:
        reader.registry.check(source, variant)
    completion = reader.read(raw, Ledger(source=source, read=reader.read_inside), tried, refused, decoded)
    completion.extra = in_order(completion.extra)
    if variant is not None and completion.variant != variant and not _is_envelope(completion, variant):
        raise InvalidPayloadError(
            f"the payload is {completion.source} {completion.variant}, not {excerpt(variant)}; leave out variant=",
            code="unknown_shape",
            source=completion.source,
            variant=completion.variant,
        )
    return completion


def _is_envelope(completion: Completion, variant: str) -> bool:
    kinds = {"log_record": "log10_record", "nested": "nested_provider"}
    return completion.envelope is not None and completion.envelope.kind == kinds.get(variant)


def _texts(raw: bytes) -> Iterator[bytes]:
    """The JSON texts of a payload: itself, or those of a saved stream."""
    for event in iter_events([raw]):
        if event.data.lstrip(BLANKS).startswith((b"{", b"[{")):
            yield event.data


def check(completion: Completion | Chunk, texts: Iterable[bytes]) -> None:
    """Raise one `InvalidPayloadError` for all faults of a completion, and for a repeated key in its texts."""
    faults = [note for note in completion.notes if is_fault(note)]
    if not faults and any(duplicate_keys(text) for text in texts):
        faults = [Note(code="duplicate_key", path="", before=None)]
    if not faults:
        return
    places = ", ".join(f"{note.code} at {excerpt(note.path) or '/'}" for note in faults[:5])
    more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
    error = InvalidPayloadError(
        f"{len(faults)} faults: {places}{more}; call without strict to repair them",
        code=faults[0].code,
        path=faults[0].path,
        source=completion.source,
        variant=completion.variant,
    )
    error.faults = tuple(faults)
    raise error


def reported(completion: Completion) -> SourceReportedError:
    """The error for a call that the service says failed."""
    assert completion.error is not None
    failure = completion.error
    what = " ".join(excerpt(word) for word in (failure.code, failure.type, failure.message) if word is not None)
    error = SourceReportedError(
        f"{completion.source} reports: {what or 'an error without a message'}; see .error and .completion",
        source=completion.source,
        variant=completion.variant,
    )
    error.error = failure
    error.completion = completion
    return error


def encrypted(completion: Completion) -> EncryptedPayloadError:
    """The error for a confidential envelope."""
    error = EncryptedPayloadError(
        "the body is encrypted; decrypt it with the request's key, then normalise the text; see .completion.usage",
        source=completion.source,
        variant=completion.variant,
    )
    error.completion = completion
    return error


@overload
def normalize_many(
    payloads: Iterable[object],
    *,
    on_error: Literal["raise"] = "raise",
    source: str | None = None,
    variant: str | None = None,
    strict: bool = False,
    max_record_bytes: int = MAX_RECORD_BYTES,
) -> Iterator[Completion]: ...


@overload
def normalize_many(
    payloads: Iterable[object],
    *,
    on_error: Literal["yield"],
    source: str | None = None,
    variant: str | None = None,
    strict: bool = False,
    max_record_bytes: int = MAX_RECORD_BYTES,
) -> Iterator[Completion | NormalizeError]: ...


def normalize_many(
    payloads: Iterable[object],
    *,
    on_error: Literal["raise", "yield"] = "raise",
    source: str | None = None,
    variant: str | None = None,
    strict: bool = False,
    max_record_bytes: int = MAX_RECORD_BYTES,
) -> Iterator[Completion | NormalizeError]:
    """Completions of many payloads, lazily and in order; a page of records yields each of them.

    With `on_error="yield"` a payload that fails gives its error in its place. The error's `.index` is the payload's
    position, in either mode; its `.path` says which record of a page it was.
    """
    if on_error not in ("raise", "yield"):
        raise ValueError(f"on_error is 'raise' or 'yield', not {excerpt(on_error)!r}")
    options: dict[str, Any] = {"source": source, "variant": variant, "strict": strict}
    return _many(payloads, on_error, max_record_bytes, options)


def _many(
    payloads: Iterable[object], on_error: str, max_record_bytes: int, options: dict[str, Any]
) -> Iterator[Completion | NormalizeError]:
    source, variant, strict = options["source"], options["variant"], options["strict"]
    for index, payload in enumerate(payloads):
        try:
            yield normalize(payload, source, variant, strict, max_record_bytes)  # keywords cost a fifth of a body
            continue
        except NormalizeError as refusal:
            error = refusal.with_traceback(None)  # which holds this frame, and so the payload
        error.index = index
        found = _members(payload) if isinstance(error, UnknownPayloadError) and error.code == "list" else None
        if found is not None:
            for item in _records(found, options):
                if isinstance(item, NormalizeError):
                    item.index = index
                    if on_error == "raise":
                        raise item
                yield item
        elif on_error == "raise":
            try:
                raise error
            finally:
                del error
        else:
            yield error


def _members(payload: object) -> Iterator[tuple[str, Any]] | None:
    """The records of a page with their pointers; `None` for what is none, such as a stream with a list in it."""
    try:
        return envelope.members(parse(to_bytes(payload)))
    except NormalizeError:
        return None


def _records(found: Iterator[tuple[str, Any]], options: dict[str, Any]) -> Iterator[Completion | NormalizeError]:
    """The records of a page, each as `normalize` would give it, with pointers from the page's root."""
    reader = default_reader()
    for pointer, item in found:
        ledger = Ledger(pointer, source=options["source"], read=reader.read_inside)
        try:
            completion = reader.from_tree(item, ledger)
            completion.extra = in_order(completion.extra)
            yield answered(completion, (), strict=options["strict"])
        except NormalizeError as error:
            error.path = pointer if not error.path else error.path
            yield error.with_traceback(None)


class Detection(msgspec.Struct, frozen=True):
    """What a payload is, and why.

    `certain` is false where no mark decided: the body is the unmarked dialect, `candidates` then lists the sources
    that also write such bodies. `evidence` names the marks that hold, source by source.
    """

    source: str
    variant: str
    spelling: Literal["snake", "camel"]
    certain: bool
    evidence: tuple[str, ...]
    candidates: tuple[str, ...]


def detect(payload: object) -> Detection:
    """Who wrote a payload, and in which shape; raises as `normalize` does for what is no completion.

    A failed call and an encrypted body are detected like any other.
    """
    raw = to_bytes(payload)
    if len(raw) > MAX_RECORD_BYTES:
        raise too_long(len(raw), MAX_RECORD_BYTES)
    reader = default_reader()
    completion = read_any(raw)
    tree = next((parse(text) for text in _texts(raw)), None)
    if isinstance(tree, list):
        tree = tree[0]
    evidence = tuple(evidence_of(reader, tree, completion))
    marked = {line.split(":", 1)[0] for line in evidence}
    certain = completion.source in marked
    others = () if certain else tuple(name for name in reader.registry.sources if name != completion.source)
    return Detection(
        source=completion.source,
        variant=completion.variant,
        spelling=spelling_of(tree),
        certain=certain,
        evidence=evidence,
        candidates=others,
    )


def _response(tree: dict[str, Any], completion: Completion) -> dict[str, Any]:
    """The object that holds the response, through the envelopes around it."""
    while "choices" not in tree and "error" not in tree:
        inner = next((value for value in tree.values() if isinstance(value, dict) and len(value) > 1), None)
        if inner is None or completion.envelope is None:
            break
        tree = inner
    return tree


def evidence_of(reader: Reader, tree: Any, completion: Completion) -> Iterator[str]:
    """The marks that hold, as `source: mark`."""
    if not isinstance(tree, dict):
        return
    if envelope.is_canonical(tree):
        yield f"{completion.source}: `source` of a canonical record"
        return
    for variant in reader.registry.claiming:
        claim = variant.claims(tree) if variant.claims is not None else None
        if claim is not None and variant.source != "openai":
            yield f"{variant.source}: {claim}"
    response = _response(tree, completion)
    if isinstance(response.get("choices"), list):
        ledger = Ledger()
        with suppress(NormalizeError):
            body = Salvage(ledger).struct(response, Body, "")
            for variant in reader.registry.marked:
                mark = variant.mark(body, ledger.extra) if variant.mark is not None else None
                if mark is not None:
                    yield f"{variant.source}: {mark}"


class Explanation(msgspec.Struct, frozen=True):
    """Where every leaf of a payload went, and what was repaired on the way."""

    detection: Detection
    placements: list[Placement]
    notes: list[Note]

    @property
    def lost(self) -> list[str]:
        """Pointers of leaves that are nowhere; empty, or this library has a bug."""
        return [placement.path for placement in self.placements if placement.place == LOST]


def explain(payload: object, *, source: str | None = None) -> Explanation:
    """Leaf by leaf, where a payload went; raises as `detect` does, and `UnknownPayloadError` for a saved stream."""
    raw = to_bytes(payload)
    if looks_like_stream(raw):
        raise UnknownPayloadError(
            "the payload is a saved event stream (SSE), whose leaves are joined; explain() takes one JSON body",
            code="sse",
        )
    detection = detect(raw)
    completion = read_any(raw, source=source)
    return Explanation(detection, placements(parse(raw), completion), completion.notes)


def normalize_lines(lines: list[bytes], source: str | None = None) -> list[Completion] | None:
    """What `normalize` gives for each of some lines, in one decode; `None` where `normalize` must be asked.

    The lines have no line feeds. A value cannot span lines that each start with a brace and end with one, and so as
    many values as lines are one on each.
    """
    reader = default_reader()
    if reader.registry.outsiders or not all(
        [line[:1] == b"{" and line[-1:] == b"}" for line in lines]  # noqa: C419 - a list is twice as fast
    ):
        return None
    gateway = reader.gateway
    if source is not None and source != gateway and source not in reader.quick_sources:
        return None
    decoder: Any = reader.decode_tight.__self__  # type: ignore[attr-defined]  # the method of a msgspec Decoder
    try:
        chats: list[Any] = decoder.decode_lines(b"\n".join(lines))
    except Refusal:
        return None
    if len(chats) != len(lines):
        return None
    for chat in chats:
        if len(chat.choices) != 1:
            return None
        (choice,) = chat.choices
        logprobs = choice.logprobs
        calls = choice.message.tool_calls
        if (
            choice.error is not None
            or (logprobs is not None and logprobs.__class__ is not Logprobs)
            or (calls is not None and dialect.has_python_arguments(calls))
        ):
            return None
        name = source
        if name is None:
            name = gateway
            if choice.native_finish_reason is None or chat.provider is None:
                name = reader.quick_source(chat)
                if name is None:
                    return None
        choice.__class__ = Choice
        chat.__class__ = Completion
        if name is not gateway:
            chat.source = name
    return chats
