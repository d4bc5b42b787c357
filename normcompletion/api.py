"""The public verbs: `normalize`, `normalize_many`, `detect`, `explain`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, Literal, overload

import msgspec

from .audit import LOST, Placement, placements
from .decoding.engine import Engine
from .decoding.spelling import spelling_of
from .envelopes import wrappers
from .errors import (
    EncryptedPayloadError,
    InvalidPayloadError,
    MalformedPayloadError,
    NormalizeError,
    SourceReportedError,
    UnknownPayloadError,
    excerpt,
)
from .extra import Extra
from .findings import Findings, is_fault
from .model import Chunk, Completion, Note, ServiceError
from .payload import BLANKS, MAX_RECORD_BYTES, duplicate_keys, is_one, looks_like_stream, parse, to_bytes
from .sources.registry import installed
from .streams.assembly import read_stream
from .streams.chunks import ChunkReader
from .streams.events import iter_events
from .streams.splitting import framed, split_streams

# The built-in names are spelled out for type checkers and editors; packages may bring others.
SourceName = Literal["openai", "atoma", "log10", "openrouter"] | str  # noqa: PYI051


@cache
def default_engine() -> Engine:
    """The engine of the built-in sources and of those that installed packages offer; made at the first call."""
    return Engine(installed(), lambda payload, findings: read_stream(default_chunk_reader(), payload, findings))


@cache
def default_chunk_reader() -> ChunkReader:
    """The reader of single chunks; made when the first stream comes."""
    return ChunkReader(default_engine())


def normalize(  # noqa: PLR0917 - keyword-only defaults cost 90 ns a call (3.11)
    payload: object,
    source: SourceName | None = None,
    variant: str | None = None,
    strict: bool = False,  # noqa: FBT001, FBT002
    max_record_bytes: int = MAX_RECORD_BYTES,
    default_source: SourceName | None = None,
    on_broken: Literal["raise", "skip"] = "raise",
) -> Completion:
    """Any whole completion response as one canonical `Completion`.

    Args:
        payload: JSON as bytes, bytearray, memoryview or str; a mapping; or an SDK object (a pydantic model, a msgspec
            Struct, a dataclass). A `Completion`, or its JSON, is read as that.
        source: who wrote the payload, where the caller knows: it overrides detection, with a remark (`source_conflict`)
            where a marker of another source is there. By default it is detected, or is that of an SDK object's class.
        variant: the only shape to accept, such as `"text"`.
        strict: raise one `InvalidPayloadError` that names every fault, instead of repairing with notes.
        max_record_bytes: refuse longer texts.
        default_source: the source of a payload that nothing else decides.
        on_broken: `"skip"` goes on behind an event of a saved stream that is not JSON, with the note `broken_event`.

    Raises:
        NormalizeError: and nothing else; `normcompletion.errors` draws the tree.


    >>> completion = normalize('{"choices": [{"message": {"content": "High tide."}, "finish_reason": "stop"}]}')
    >>> completion.text, completion.source, completion.choices[0].finish_reason
    ('High tide.', 'openai', 'stop')

    """
    raw = payload if type(payload) is bytes else to_bytes(payload)
    if len(raw) > max_record_bytes:
        raise too_long(len(raw), max_record_bytes)
    if on_broken != "raise" and check_on_broken(on_broken):
        completion = _read_skipping(raw, source, variant, default_source)
    elif source is None and type(payload) not in _TEXTS and (kind := source_of_object(payload)) is not None:
        completion = by_class(read_any(raw, kind, variant))
    elif source is variant is default_source is None:
        completion = default_engine().read(raw)
    else:
        completion = read_any(raw, source, variant, default_source)
    if strict or completion.error is not None or completion.variant == "confidential":
        return answered(completion, json_texts(raw) if strict else (), strict=strict)
    return completion


_TEXTS = frozenset({bytes, str, dict, list, bytearray, memoryview})


def source_of_object(payload: object) -> str | None:
    """The source whose SDK gave an object, by its class; `None` for anything else."""
    return default_engine().registry.source_of_object(payload)


def by_class(completion: Completion) -> Completion:
    """A completion whose source is that of the class of an object."""
    if completion.source_basis == "caller":
        completion.source_basis = "object"
    return completion


def check_on_broken(on_broken: str) -> bool:
    """Whether broken events are skipped; raises `ValueError` for an unknown word."""
    if on_broken not in ("raise", "skip"):
        raise ValueError(f"on_broken is 'raise' or 'skip', not {excerpt(on_broken)!r}")
    return on_broken == "skip"


def _read_skipping(raw: bytes, source: str | None, variant: str | None, default_source: str | None) -> Completion:
    """`read_any`; a stream with a broken event is read without it."""
    try:
        return read_any(raw, source, variant, default_source)
    except MalformedPayloadError:
        pass
    findings = Findings(source=source, default_source=default_source, read=default_engine().read_inside)
    return read_stream(default_chunk_reader(), raw, findings, skip_broken=True)


def too_long(length: int, limit: int) -> MalformedPayloadError:
    """The error for a record over the limit."""
    return MalformedPayloadError(
        f"{length} bytes are more than max_record_bytes={limit}; raise the limit or split the record",
        code="too_long",
        offset=limit,
    )


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
    raw: bytes, source: str | None = None, variant: str | None = None, default_source: str | None = None
) -> Completion:
    """`normalize` for bytes, with failed and encrypted calls as completions instead of errors: for bulk conversion."""
    engine = default_engine()
    if source is not None or variant is not None or default_source is not None:
        engine.registry.check(source, variant)
        engine.registry.check(default_source, None)
    completion = engine.read(raw, source, default_source)
    check_variant(completion, variant)
    return completion


def check_variant(completion: Completion, variant: str | None) -> None:
    """Raise `InvalidPayloadError` for a completion of another variant than the only one that a caller accepts."""
    if variant is not None and completion.variant != variant and not _is_envelope(completion, variant):
        raise InvalidPayloadError(
            f"the payload is {completion.source} {completion.variant}, not {excerpt(variant)}; leave out variant=",
            code="unknown_shape",
            source=completion.source,
            variant=completion.variant,
        )


def _is_envelope(completion: Completion, variant: str) -> bool:
    kinds = {"log_record": "log10_record", "nested": "nested_provider"}
    return completion.envelope is not None and completion.envelope.kind == kinds.get(variant)


def json_texts(raw: bytes) -> Iterator[bytes]:
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
    number = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    error = InvalidPayloadError(
        f"{number}: {places}{more}; call without strict to repair them",
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
        "the body is encrypted; decrypt it with the request's key, then normalize the text; see .completion.usage",
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
    source: SourceName | None = None,
    variant: str | None = None,
    strict: bool = False,
    max_record_bytes: int = MAX_RECORD_BYTES,
    default_source: SourceName | None = None,
) -> Iterator[Completion]: ...


@overload
def normalize_many(
    payloads: Iterable[object],
    *,
    on_error: Literal["yield"],
    source: SourceName | None = None,
    variant: str | None = None,
    strict: bool = False,
    max_record_bytes: int = MAX_RECORD_BYTES,
    default_source: SourceName | None = None,
) -> Iterator[Completion | NormalizeError]: ...


def normalize_many(
    payloads: Iterable[object],
    *,
    on_error: Literal["raise", "yield"] = "raise",
    source: SourceName | None = None,
    variant: str | None = None,
    strict: bool = False,
    max_record_bytes: int = MAX_RECORD_BYTES,
    default_source: SourceName | None = None,
) -> Iterator[Completion | NormalizeError]:
    """Completions of many payloads, lazily and in order; a page of records yields each of them.

    With `on_error="yield"` a payload that fails gives its error in its place. The error's `.index` is the payload's
    position, in either mode; its `.path` says which record of a page it was.

    >>> [completion.text for completion in normalize_many(['{"choices": [{"text": "Sure"}]}'])]
    ['Sure']
    """
    if on_error not in ("raise", "yield"):
        raise ValueError(f"on_error is 'raise' or 'yield', not {excerpt(on_error)!r}")
    if is_one(payloads):
        raise UnknownPayloadError(
            f"normalize_many() takes several payloads, and a {type(payloads).__name__} is one; "
            "normalize_many([payload]) reads a payload that holds several, normalize(payload) one response",
            code="not_many",
        )
    options: dict[str, Any] = {
        "source": source,
        "variant": variant,
        "strict": strict,
        "default_source": default_source,
    }
    return _many(payloads, on_error, max_record_bytes, options)


def _many(
    payloads: Iterable[object], on_error: str, max_record_bytes: int, options: dict[str, Any]
) -> Iterator[Completion | NormalizeError]:
    source, variant, strict, default = options.values()
    for index, payload in enumerate(payloads):
        try:
            yield normalize(
                payload, source, variant, strict, max_record_bytes, default
            )  # keywords cost a fifth of a body
            continue
        except NormalizeError as refusal:
            error = refusal.with_traceback(None)  # which holds this frame, and so the payload
        error.index = index
        items = _several(payload, error, options) if isinstance(error, UnknownPayloadError) else None
        if items is not None:
            for item in items:
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


def _several(
    payload: object, error: UnknownPayloadError, options: dict[str, Any]
) -> Iterator[Completion | NormalizeError] | None:
    """What is in a payload that `normalize` refused because it holds several responses; `None` for any other."""
    if error.code not in ("streams", "list"):
        return None
    raw, strict = to_bytes(payload), options["strict"]
    if error.code == "streams" and (error.offset is not None or framed(raw) is not None):

        def read_answer(text: bytes, notes: list[Note]) -> Completion:
            completion = read_any(text, options["source"], options["variant"], options["default_source"])
            completion.notes += notes
            notes.clear()
            return answered(completion, json_texts(text) if strict else (), strict=strict)

        return answers_of(raw, read_answer)
    try:
        tree = parse(raw)
    except NormalizeError:  # such as a stream with a list in it
        return None
    if wrappers.members(tree) is None:
        return None
    engine = default_engine()

    def read_member(item: Any, pointer: str) -> Iterator[Completion]:
        findings = Findings(
            prefix=pointer,
            source=options["source"],
            default_source=options["default_source"],
            is_clean=False,
            read=engine.read_inside,
        )
        completion = engine.from_tree(item, findings)
        check_variant(completion, options["variant"])
        yield answered(completion, (), strict=strict)

    return records_of_page(tree, read_member)


def answers_of(
    raw: bytes, read: Callable[[bytes, list[Note]], Completion], at: str = ""
) -> Iterator[Completion | NormalizeError]:
    """The answers in a text, or in a list of chunks, with several; `at` is the pointer of the text.

    `read` takes notes of the foreign texts before an answer out of the list that it gets; the text behind the last
    answer is noted in that.
    """
    held: Completion | NormalizeError | None = None
    between: list[Note] = []
    stream = framed(raw)
    whole = raw if stream is None else stream
    for unit in split_streams(default_chunk_reader(), whole):
        text = whole[unit.start : unit.end]
        if unit.kind == "foreign":
            between.append(Note(code="foreign_text", path=at, before=text.decode("utf-8", "replace").strip()))
            continue
        if held is not None:
            yield held
        try:
            held = read(text, between)
        except NormalizeError as error:
            held = error.with_traceback(None)
            held.offset = unit.start + (error.offset or 0) if stream is None else None
            held.path = held.path or at or None
    if isinstance(held, Completion):
        held.notes += between
    if held is not None:
        yield held


def records_of_page(
    tree: Any, read: Callable[[Any, str], Iterator[Completion | NormalizeError]], at: str = ""
) -> Iterator[Completion | NormalizeError]:
    """The records of a page, each with what the page says beside them; `at` is the pointer of the page.

    `read` gives the records of a member at a pointer, and may raise the error of one that is refused.
    """
    beside = {at + place: value for place, value in wrappers.beside_members(tree).items()}
    for place, item in wrappers.members(tree) or ():
        try:
            for record in read(item, at + place):
                add_beside(record, beside)
                yield record
        except NormalizeError as error:
            error.path = error.path or at + place
            add_beside(error, beside)
            yield error.with_traceback(None)


def add_beside(record: Completion | NormalizeError, beside: dict[str, Any]) -> None:
    """Put what is said beside a record into its `extra`."""
    whole = record if isinstance(record, Completion) else getattr(record, "completion", None)
    if beside and isinstance(whole, Completion):
        whole.extra = Extra.of({**beside, **whole.extra})


def failed_call(error: NormalizeError) -> Completion | None:
    """The row that a failed, pending or encrypted call is in bulk, with `error` set; `None` for any other error."""
    if isinstance(error, EncryptedPayloadError):
        error.completion.error = ServiceError(code="encrypted", message="the body is encrypted")
        return error.completion
    if not isinstance(error, SourceReportedError):
        return None
    if error.error.code == "pending":
        error.code = "pending"
    return error.completion


class Detection(msgspec.Struct, frozen=True):
    """What a payload is, and why.

    `certain` is false where no marker decided: the body is the unmarked dialect, `candidates` then lists the sources
    that also write such bodies. `evidence` names the markers that hold, source by source.

    >>> detect('{"choices": []}').certain
    False
    """

    source: str
    variant: str
    spelling: Literal["snake", "camel"]
    certain: bool
    evidence: tuple[str, ...]
    candidates: tuple[str, ...]


def detect(payload: object) -> Detection:
    """Who wrote a payload, and in which shape; raises as `normalize` does for what is not a completion.

    A failed call and an encrypted body are detected like any other.

    >>> detect('{"choices": [], "signature": "AKy", "response_hash": "dxc="}').source
    'atoma'
    """
    raw = to_bytes(payload)
    if len(raw) > MAX_RECORD_BYTES:
        raise too_long(len(raw), MAX_RECORD_BYTES)
    engine = default_engine()
    kind = None if type(payload) in _TEXTS else source_of_object(payload)
    completion = read_any(raw) if kind is None else by_class(read_any(raw, kind))
    tree = next((parse(text) for text in json_texts(raw)), None)
    if isinstance(tree, list):
        tree = tree[0]
    evidence = tuple(evidence_of(engine, tree, completion))
    if completion.source_basis == "object":
        evidence = (f"{kind}: an object of `{type(payload).__module__.partition('.')[0]}`", *evidence)
    marked = {line.split(":", 1)[0] for line in evidence}
    certain = completion.source in marked
    others = () if certain else tuple(name for name in engine.registry.sources if name != completion.source)
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


def evidence_of(engine: Engine, tree: Any, completion: Completion) -> Iterator[str]:
    """The markers that hold, as `source: marker`."""
    if not isinstance(tree, dict):
        return
    if wrappers.is_canonical(tree):
        yield f"{completion.source}: `source` of a canonical record"
        return
    for variant in engine.registry.shapes:
        for marker in variant.markers:
            if marker.holds(tree):
                yield f"{variant.source}: {marker.evidence}"
    response = _response(tree, completion)
    detector = engine.detector if isinstance(response.get("choices"), list) else engine.error_detector
    for source, marker in detector.evidence(response):
        yield f"{source}: {marker.evidence}"


class Explanation(msgspec.Struct, frozen=True):
    """Where every leaf of a payload went, and what was repaired on the way.

    >>> explain('{"choices": [{"text": "Sure"}], "created": 1.5}').notes
    [Note(code='fractional_time', path='/created', before=1.5)]
    """

    detection: Detection
    placements: list[Placement]
    notes: list[Note]

    @property
    def lost(self) -> list[str]:
        """Pointers of leaves that are nowhere; empty, or this library has a bug."""
        return [placement.path for placement in self.placements if placement.place == LOST]


def explain(payload: object, *, source: str | None = None) -> Explanation:
    """Leaf by leaf, where a payload went; raises as `detect` does, and `UnknownPayloadError` for a saved stream.

    >>> [placement.place for placement in explain('{"choices": [], "id": "a", "vendor": 1}').placements]
    ['/id', 'extra']
    """
    raw = to_bytes(payload)
    if looks_like_stream(raw):
        raise UnknownPayloadError(
            "the payload is a saved event stream (SSE), whose leaves are joined; explain() takes one JSON body",
            code="sse",
        )
    detection = detect(raw)
    completion = read_any(raw, source=source)
    return Explanation(detection, placements(parse(raw), completion), completion.notes)
