"""What a log puts around a response: units to completions, with everything around the body kept.

A *preset* knows one envelope. Which one stands around a unit is told by its keys, and never guessed:

* A unit that the core reads as it is, is bare; so are log10's records and pages, which the core knows.
* A unit that it refuses, or that reports an error, is looked at: the presets and the known *fragments*, which hold no
  whole response, each have keys of their own. One that matches is taken, and a fragment is refused with a word on what
  to do; where two match, the unit is refused until one is named.

`Envelopes(body=...)` reads everything else, by the place of the body alone. Pointers in `extra`, in notes and in errors
are those in the unit: `/response/body/choices/0/index`. What an opener remembers makes it faster and never changes what
it gives.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import msgspec

from ..api import answered, default_engine, normalize
from ..dialect.adapt import error_form, service_error
from ..envelopes.wrappers import members
from ..errors import (
    AmbiguousPayloadError,
    EncryptedPayloadError,
    InvalidPayloadError,
    MalformedPayloadError,
    NormalizeError,
    SourceReportedError,
    UnknownPayloadError,
    excerpt,
)
from ..extra import Extra
from ..findings import Findings
from ..model import Completion, Envelope, Note, ServiceError
from ..payload import MAX_RECORD_BYTES, REFUSALS, in_range, looks_like_stream, parse
from ..pointer import escape, pointer, unescape
from ..sources.registry import BUILT_IN
from ..streams.events import iter_events
from .units import Unit

Encoding = Literal["auto", "object", "string", "sse", "base64"]
Preset = Literal["auto", "bare", "log10", "openai_batch", "openai_pair", "litellm", "databricks"]
Members = dict[str, msgspec.Raw]

ENCODINGS: Mapping[str, str] = {
    "auto": "JSON, or JSON or an event stream in a string",
    "object": "JSON",
    "string": "JSON in a string",
    "sse": "a saved event stream in a string",
    "base64": "any of these, base64-encoded in a string",
}
"""How a body can be written."""

PRESETS: Mapping[str, str] = {
    "auto": "told by the keys of each unit",
    "bare": "nothing: each unit is a response",
    "log10": "a log10 completion record, or a page of them",
    "openai_batch": "a line of an OpenAI Batch output or error file, and of its clones",
    "openai_pair": "`[request, response]`, with metadata or without, as openai-cookbook's parallel processor writes",
    "litellm": "LiteLLM's standard logging payload, or a row of its spend logs",
    "databricks": "a row of a Databricks inference table",
}
"""The envelopes that are read by name."""

REJECT_CODES: Mapping[str, str] = {
    "unknown_envelope": "not the envelope that was named, or one that is not known",
    "ambiguous_envelope": "the keys of two envelopes; name one with --envelope",
    "fragment": "a record of a known tool that holds no whole response",
    "no_body": "an envelope without a body, or nothing where --body points",
    "wrong_encoding": "a body that is not written as --body-encoding says",
    "redacted": "the logger removed the response",
}
"""The codes with which units are refused here, beside those of the core."""

_decode_members = msgspec.json.Decoder(Members).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


# -- what the caller knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelopes:
    """What stands around the responses of a log, as far as the caller knows; picklable.

    `envelope` is one of `PRESETS`. `body` is the JSON Pointer of the response in each unit, for everything that no
    preset knows, and `encoding` how it is written; in a table the pointer begins with the name of the column. `carry`
    has names and the pointers of values that go along with each record. Raises `ValueError`.
    """

    envelope: Preset = "auto"
    body: str | None = None
    encoding: Encoding = "auto"
    carry: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.envelope not in PRESETS:
            raise ValueError(f"no envelope {excerpt(self.envelope)!r}; known are {', '.join(PRESETS)}")
        if self.encoding not in ENCODINGS:
            raise ValueError(f"no encoding {excerpt(self.encoding)!r}; known are {', '.join(ENCODINGS)}")
        if self.encoding != "auto" and self.body is None:
            raise ValueError("an encoding is that of the body; name the body's place too, '' for the whole unit")
        if self.body is not None and self.envelope != "auto":
            raise ValueError(f"the envelope {self.envelope} knows where its body is; name the envelope or the body")
        for place in (self.body, *self.carry.values()):
            if place:
                _tokens(place)

    @property
    def may_be_bare(self) -> bool:
        """Whether a unit that the core reads as it is, is a response."""
        return self.body is None and self.envelope in ("auto", "bare")

    def identity(self) -> dict[str, Any]:
        """The same as plain values: what a run must have been called with, to be resumed."""
        return {"envelope": self.envelope, "body": self.body, "encoding": self.encoding, "carry": dict(self.carry)}

    def columns(self) -> dict[str, Any]:
        """What `units.blocks` wants to know of a table: its columns `column` and `carry`, and `whole_rows`."""
        carry = dict.fromkeys(_tokens(place)[0] for place in self.carry.values() if place)
        return {
            "column": _tokens(self.body)[0] if self.body else None,
            "carry": tuple(carry),
            "whole_rows": self._reads_rows,
        }

    def opener(
        self, max_record_bytes: int = MAX_RECORD_BYTES, *, source: str | None = None, strict: bool = False
    ) -> Opener:
        """What opens units; `source` and `strict` are those of `normalize`."""
        return Opener(self, max_record_bytes, source=source, strict=strict)

    def _reads_rows(self, names: list[str]) -> bool:
        """Whether the rows of a table with these columns are envelopes."""
        if self.body is not None or self.envelope == "bare":
            return False
        if self.envelope != "auto":
            return True
        row: Members = dict.fromkeys(names, msgspec.Raw(b"{}"))
        return bool(_named(row)) or _is_native(dict.fromkeys(names, True))


def _tokens(place: str) -> list[str]:
    """The tokens of a JSON Pointer. Raises `ValueError`."""
    if not place.startswith("/"):
        raise ValueError(f"{excerpt(place)!r} is not a JSON Pointer; one begins with a slash, such as /response/body")
    return [unescape(token) for token in place[1:].split("/")]


# -- one opened unit


@dataclass(slots=True)
class Opened:
    """A unit taken apart.

    `body` is the response as it stands in the unit at the pointer `at`: JSON or an event stream. Where there is none,
    `missing` says what to do about it. `envelope` is what is known of what is around, `taken` where it was, and
    `findings` hold all the rest. `failure` is what the envelope tells of a failed call, from the pointers `told`.
    `cost` is what the logger says that the call cost, in US dollars, with its pointer.
    """

    envelope: Envelope | None
    findings: Findings
    at: str
    body: bytes | None
    taken: dict[str, Any]
    failure: ServiceError | None = None
    told: tuple[str, ...] = ()
    cost: tuple[str, float] | None = None
    missing: str = "log the response too"


class _Around:
    """The members of an envelope at a pointer; each is taken once, and what nobody took goes to `extra`."""

    def __init__(self, members: Members, findings: Findings, at: str, taken: dict[str, Any] | None = None) -> None:
        self.members = members
        self.findings = findings
        self.taken: dict[str, Any] = {} if taken is None else taken
        self._at = at

    def at(self, key: str) -> str:
        """The pointer of a member."""
        return f"{self._at}/{escape(key)}"

    def raw(self, key: str) -> bytes | None:
        """A member as it stands, `None` for null."""
        value = bytes(self.members.pop(key, b""))
        return None if value in (b"", b"null") else value

    def value(self, key: str) -> Any:
        """A member, JSON in a string opened."""
        raw = self.raw(key)
        if raw is None:
            return None
        at = self.at(key)
        value = self.taken[at] = _opened_value(raw, at)
        return value

    def text(self, *keys: str, digits: bool = False) -> str | None:
        """The first of some members that is a string or a number; `digits` says that a number is what is meant.

        Such a number goes to `extra` too, for it is one.
        """
        for key in keys:
            raw = bytes(self.members.get(key, b""))
            if not _starts_scalar(raw):
                continue
            at = self.at(key)
            value = parse(raw)
            if digits and not isinstance(value, str):
                return raw.decode()
            del self.members[key]
            self.taken[at] = value
            if isinstance(value, str):
                return self.findings.text(value, at)
            self.findings.notes.append(Note(code="number_as_text", path=at, before=value))
            return raw.decode()
        return None

    def number(self, key: str) -> float | None:
        """A member that is a number in range; anything else stays."""
        raw = bytes(self.members.get(key, b""))
        if raw[:1] == b'"' or not _starts_scalar(raw):
            return None
        value: float = parse(raw)
        if isinstance(value, int) and not in_range(value):
            return None
        del self.members[key]
        self.taken[self.at(key)] = value
        return value

    def within(self, key: str) -> _Around | None:
        """A member that is an object; anything else stays."""
        inner = _members(bytes(self.members.get(key, b"")))
        if inner is None:
            return None
        del self.members[key]
        return _Around(inner, self.findings, self.at(key), self.taken)

    def close(self) -> None:
        """Put what nobody took into `extra`."""
        for key, raw in self.members.items():
            _keep(bytes(raw), self.at(key), self.findings)
        self.members = {}


def _keep(raw: bytes, at: str, findings: Findings) -> None:
    if raw != b"null":
        findings.extra[at] = parse(raw, depth=at.count("/"))


def _starts_scalar(raw: bytes) -> bool:
    """Whether a JSON value is a string or a number."""
    return raw[:1].isdigit() or raw[:1] in (b'"', b"-")


def _members(raw: bytes) -> Members | None:
    """The members of an object, each as it stands; `None` for anything else."""
    if not raw.lstrip(_SPACE).startswith(b"{"):
        return None
    try:
        return _decode_members(raw)
    except REFUSALS:
        return None


def _items(raw: bytes) -> list[msgspec.Raw] | None:
    """The elements of an array, each as it stands; `None` for anything else."""
    if not raw.lstrip(_SPACE).startswith(b"["):
        return None
    try:
        return _decode_items(raw)
    except REFUSALS:
        return None


def _opened_value(raw: bytes, at: str) -> Any:
    """A value that is JSON or JSON in a string; a string that holds none stays one."""
    value = parse(raw, depth=at.count("/"))
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return parse(value.encode("utf-8", "surrogatepass"), depth=at.count("/"))
        except NormalizeError:
            return value
    return value


# -- the presets


def _open_batch(around: _Around) -> Opened:
    """`{"id", "custom_id", "response": {"status_code", "request_id", "body"}, "error"}`."""
    envelope = Envelope(kind="openai_batch", id=around.text("custom_id"))
    at, body = around.at("response"), None
    response = around.within("response")
    if response is not None:
        at, body = response.at("body"), response.raw("body")
        envelope.status = response.text("status_code", digits=True)
        response.close()
    failure, told = _by_status(envelope.status), None
    if bytes(around.members.get("error", b"null")) not in _NO_ERROR:
        told = around.at("error")
        failure = service_error(around.value("error"), around.findings, "error")
    around.close()
    return Opened(envelope, around.findings, at, body, around.taken, failure, (told,) if told else ())


def _open_litellm(around: _Around) -> Opened:
    """LiteLLM's `StandardLoggingPayload`, or a row of `LiteLLM_SpendLogs`."""
    envelope = Envelope(
        kind="litellm",
        id=around.text("id", "request_id"),
        status=around.text("status"),
        duration=around.number("response_time"),
    )
    tags = around.value("request_tags")
    if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags):
        envelope.tags = tags
    elif tags is not None:
        around.findings.extra[around.at("request_tags")] = tags
    key = "response_cost" if "response_cost" in around.members else "spend"
    cost = around.number(key)
    at, body = around.at("response"), around.raw("response")
    if body in (b"{}", b"[]", b'""', b'"{}"', b'"[]"'):
        body = None
    if body is not None and b"by" in body and b"litellm" in body:
        _refuse_redacted(body, at)
    failure, told = (None, ()) if envelope.status != "failure" else _litellm_failure(around)
    around.close()
    return Opened(
        envelope,
        around.findings,
        at,
        body,
        around.taken,
        failure,
        told,
        None if cost is None else (around.at(key), cost),
        "LiteLLM leaves it out where message logging or store_prompts_in_spend_logs is off",
    )


def _litellm_failure(around: _Around) -> tuple[ServiceError, tuple[str, ...]]:
    """The error of a failed call, and the pointers it came from."""
    before = len(around.taken)
    failure = ServiceError()
    information = around.within("error_information")
    if information is not None:
        code = information.number("error_code")
        failure.code = code if isinstance(code, int) else information.text("error_code") or None
        failure.message = information.text("error_message") or None
        failure.type = information.text("error_class") or None
        failure.provider = information.text("llm_provider") or None
        information.close()
    if failure.message is None:
        failure.message = around.text("error_str") or None
    return failure, tuple(around.taken)[before:]


def _refuse_redacted(body: bytes, at: str) -> None:
    """Refuse what LiteLLM writes in place of a response: a mark, or a text that it cut."""
    value = parse(body)
    text = value.get("text") if isinstance(value, dict) and len(value) == 1 else value
    if text == "redacted-by-litellm":
        raise UnknownPayloadError(
            "LiteLLM removed the response from its log; turn off turn_off_message_logging", code="redacted", path=at
        )
    if isinstance(text, str) and "truncated by litellm" in text:
        raise UnknownPayloadError(
            "LiteLLM cut the response short for this logger; log to one that keeps it whole", code="truncated", path=at
        )


def _open_databricks(around: _Around) -> Opened:
    """A row of an inference table, whose `request` and `response` are JSON in strings."""
    envelope = Envelope(
        kind="databricks",
        id=around.text("databricks_request_id", "invocation_id", "request_id"),
        status=around.text("status_code", digits=True),
        created_at=around.text("request_time", "event_time", "timestamp_ms", digits=True),
        request=around.value("request"),
    )
    for key in ("execution_duration_ms", "execution_time_ms", "latency_ms"):
        milliseconds = around.number(key)
        if milliseconds is not None:
            around.findings.notes.append(Note(code="milliseconds", path=around.at(key), before=milliseconds))
            envelope.duration = milliseconds / 1000
            break
    at, body = around.at("response"), around.raw("response")
    around.close()
    return Opened(
        envelope,
        around.findings,
        at,
        body,
        around.taken,
        _by_status(envelope.status),
        missing="Databricks leaves it out where it is too long; see logging_error_codes",
    )


def _by_status(status: str | None) -> ServiceError | None:
    """The error that an HTTP status tells of, `None` for that of an answered call."""
    return ServiceError(code=int(status)) if status in _FAILED_STATUSES else None


def _open_pair(items: list[msgspec.Raw], base: str) -> Opened:
    """`[request, response]` or `[request, ["error", …]]`, each with metadata behind it or without."""
    findings = Findings(prefix=base)
    request_at, at = f"{base}/0", f"{base}/1"
    envelope = Envelope(kind="openai_pair", request=_opened_value(bytes(items[0]), request_at))
    answer = bytes(items[1])
    opened = Opened(envelope, findings, at, answer, {request_at: envelope.request})
    if answer[:1] == b"[":
        errors = parse(answer)
        if all(isinstance(error, str) for error in errors):
            opened.body = None
            opened.failure = ServiceError(message=errors[-1] if errors else None)
            if len(errors) > 1:
                findings.extra[at] = errors
    for place in range(2, len(items)):
        _keep(bytes(items[place]), f"{base}/{place}", findings)
    return opened


def _open_place(raw: bytes, tokens: list[str], base: str) -> Opened:
    """The value at a pointer, with everything beside its way."""
    findings = Findings(prefix=base)
    at = base
    for token in tokens:
        raw = _text_inside(raw, at)[0]
        members, items = _members(raw), None
        if members is None and (items := _items(raw)) is not None:
            members = {str(place): item for place, item in enumerate(items)}
        if members is None:
            _refuse_malformed(raw, at)
        if members is None or token not in members:
            raise UnknownPayloadError(
                f"there is nothing at {excerpt(pointer(tokens))}; point --body at the response",
                code="no_body",
                path=f"{at}/{escape(token)}",
            )
        for key, value in members.items():
            if key != token:
                _keep(bytes(value), f"{at}/{escape(key)}", findings)
        raw = bytes(members[token])
        at = f"{at}/{escape(token)}"
    envelope = Envelope(kind="custom") if tokens else None
    return Opened(envelope, findings, at, None if raw == b"null" else raw, {})


def _refuse_malformed(raw: bytes, at: str) -> None:
    """Say what is wrong with what is no JSON."""
    try:
        parse(raw)
    except MalformedPayloadError as error:
        error.path = at or None
        raise


def _text_inside(raw: bytes, at: str) -> tuple[bytes, bool]:
    """The text in a JSON string and true, or the JSON itself and false."""
    if not raw.startswith(b'"'):
        return raw, False
    try:
        return parse(raw).encode("utf-8", "surrogatepass"), True
    except MalformedPayloadError as error:
        error.path = at
        raise


def _decoded_body(raw: bytes, encoding: Encoding, at: str) -> bytes:
    """The response of a body that is written in one of `ENCODINGS`."""
    text, inside = _text_inside(raw, at)
    is_json = not inside and raw[:1] in (b"{", b"[")
    if encoding == "auto" or (encoding == "object" and is_json) or (encoding == "string" and (inside or not at)):
        return text
    if encoding == "sse" and (looks_like_stream(text) or raw[:1] == b"["):
        return text
    if encoding == "base64" and not is_json:
        try:
            return base64.b64decode(b"".join(text.split()), validate=True)
        except binascii.Error:
            pass
    raise InvalidPayloadError(
        f"the body is not {ENCODINGS[encoding]}; leave out --body-encoding, or name another",
        code="wrong_encoding",
        path=at,
    )


# -- which one it is


def _is_batch(unit: Members) -> bool:
    return (
        "custom_id" in unit and "result" not in unit and ("response" in unit or ("error" in unit and "url" not in unit))
    )


def _is_litellm(unit: Members) -> bool:
    keys = unit.keys()
    return "response" in unit and any(marks <= keys for marks in _LITELLM_MARKS)


def _is_databricks(unit: Members) -> bool:
    keys = unit.keys()
    return {"request", "response"} <= keys and (
        "databricks_request_id" in unit or ("status_code" in unit and not keys.isdisjoint(_DATABRICKS_MARKS))
    )


_LITELLM_MARKS = (
    frozenset({"response_cost", "model_map_information"}),
    frozenset({"litellm_call_id"}),
    frozenset({"spend", "call_type", "request_id"}),
)
_DATABRICKS_MARKS = frozenset(
    {
        "client_request_id",
        "event_time",
        "execution_duration_ms",
        "execution_time_ms",
        "invocation_id",
        "logging_error_codes",
        "sampling_fraction",
        "served_entity_id",
    }
)

_OPENERS: Mapping[str, tuple[Callable[[Members], bool], Callable[[_Around], Opened]]] = {
    "openai_batch": (_is_batch, _open_batch),
    "litellm": (_is_litellm, _open_litellm),
    "databricks": (_is_databricks, _open_databricks),
}


class Fragment(NamedTuple):
    """A record of a known tool that holds no whole response: how it is told, what it is and what to do instead."""

    name: str
    matches: Callable[[Members], bool]
    says: str


def _keys(*alternatives: set[str]) -> Callable[[Members], bool]:
    """Whether all keys of one of some sets are there."""
    return lambda unit: any(keys <= unit.keys() for keys in alternatives)


def _any_key(*beginnings: str) -> Callable[[Members], bool]:
    return lambda unit: any(key.startswith(beginnings) for key in unit)


def _is_har(unit: Members) -> bool:
    log = _members(bytes(unit["log"])) if "log" in unit else None
    return log is not None and "entries" in log


def _is_generation(unit: Members) -> bool:
    record = _members(bytes(unit["data"])) if "data" in unit else unit
    return record is not None and "choices" not in record and not _GENERATION_KEYS.isdisjoint(record)


FRAGMENTS = (
    Fragment(
        "otlp",
        _keys(
            {"resourceSpans"},
            {"resource_spans"},
            {"resourceLogs"},
            {"scopeSpans"},
            {"traceId", "spanId", "attributes"},
            {"trace_id", "span_id", "attributes"},
        ),
        "OpenTelemetry data, whose spans hold pieces of a call; log the response bodies themselves",
    ),
    Fragment(
        "openinference",
        _any_key("attributes.llm.", "attributes.openinference.", "attributes.output."),
        "an OpenInference span; where it holds the whole response, give --body /attributes.output.value",
    ),
    Fragment(
        "langfuse",
        _keys(
            {"traceId", "type", "usageDetails"},
            {"trace_id", "type", "usage_details"},
            {"traceId", "type", "costDetails"},
            {"trace_id", "type", "provided_model_name"},
        ),
        "a Langfuse observation, which holds messages and no response; log the response bodies themselves",
    ),
    Fragment(
        "braintrust",
        _keys({"span_id", "root_span_id", "_xact_id"}, {"span_id", "root_span_id", "span_attributes"}),
        "a Braintrust span, which holds the choices without their response; log the response bodies themselves",
    ),
    Fragment(
        "langsmith",
        _keys({"run_type", "outputs"}, {"run_type", "inputs"}),
        "a LangSmith run, whose outputs are a response without its usage; give --body /outputs to read them as one",
    ),
    Fragment(
        "openrouter_generation",
        _is_generation,
        "an OpenRouter generation record, which holds no text; convert the completion that it names",
    ),
    Fragment(
        "openrouter_broadcast",
        _keys({"observations", "sessionId"}, {"observations", "userId"}, {"TRACE_ID", "INPUT", "OUTPUT"}),
        "a trace that OpenRouter broadcast, which holds messages and no response; log the response bodies themselves",
    ),
    Fragment(
        "vcr",
        _keys({"interactions", "version"}, {"interactions", "recorded_with"}),
        "a VCR cassette; first take its bodies out: jq -c '.interactions[].response.body.string | fromjson'",
    ),
    Fragment(
        "har", _is_har, "a HAR file; first take its bodies out: jq -c '.log.entries[].response.content.text | fromjson'"
    ),
    Fragment(
        "openai_batch_request",
        _keys({"custom_id", "method", "url", "body"}),
        "a line of a Batch input file, a request; convert the output file",
    ),
    Fragment(
        "anthropic_batch",
        _keys({"custom_id", "result"}),
        "a result of an Anthropic message batch, and the Messages API is not read here",
    ),
)
"""What is recognised and refused."""


def _named(unit: Members) -> list[str | Fragment]:
    """The presets, by name, and the fragments that an object's keys name."""
    if "choices" in unit:
        return []
    presets: list[str | Fragment] = [name for name, (matches, _) in _OPENERS.items() if matches(unit)]
    fragment = next((fragment for fragment in FRAGMENTS if fragment.matches(unit)), None)
    return presets if fragment is None else [*presets, fragment]


def _is_pair(items: list[msgspec.Raw]) -> bool:
    """Whether a list is a request with its response, or with the errors that came instead."""
    if not 2 <= len(items) <= 3:
        return False
    request = _members(bytes(items[0]))
    if request is None or not _ANSWER_KEYS.isdisjoint(request) or _REQUEST_KEYS.isdisjoint(request):
        return False
    answer = bytes(items[1])
    if answer[:1] == b"{":
        return True
    errors = _items(answer)
    return errors is not None and all(bytes(error)[:1] == b'"' for error in errors)


def _is_native(tree: Mapping[str, Any]) -> bool:
    """Whether a source knows an object as its own envelope."""
    engine = default_engine()
    return any(marker.holds(tree) for variant in engine.registry.shapes for marker in variant.markers) or (
        error_form(tree) is not None and engine.error_detector.of_tree(tree) is not None
    )


def _ambiguous(names: list[str], at: str) -> AmbiguousPayloadError:
    error = AmbiguousPayloadError(
        f"the keys of {' and '.join(names)} are there; name one with --envelope, or the body with --body",
        code="ambiguous_envelope",
        path=at or None,
    )
    error.candidates = tuple(names)
    return error


# -- opening


class Opener:
    """Opens units and gives their records; made by `Envelopes.opener`, one for each thread."""

    def __init__(self, envelopes: Envelopes, max_record_bytes: int, *, source: str | None, strict: bool) -> None:
        self._limit = max_record_bytes
        self._source = source
        self._strict = strict
        self._preset = envelopes.envelope
        self._encoding = envelopes.encoding
        self._place = None if envelopes.body is None else _tokens(envelopes.body) if envelopes.body else []
        self._carry = {name: _tokens(place) if place else [] for name, place in envelopes.carry.items()}
        # Which preset units with these keys are of: what spares the core's vain attempt.
        self._by_keys: dict[frozenset[str], str] = {}
        self._remembers = all(variant.source in BUILT_IN for variant in default_engine().registry.shapes)

    def carried(self, unit: Unit) -> dict[str, Any] | None:
        """The values that go along with a unit's records, `None` where nothing was asked for."""
        if not self._carry:
            return None
        tree: Any = unit.carried
        if tree is None:
            try:
                tree = parse(unit.text or b"")
            except NormalizeError:
                tree = None
        return {name: _found(tree, tokens) for name, tokens in self._carry.items()}

    def records(self, unit: Unit) -> Iterator[Completion | NormalizeError]:
        """The records of a unit, and an error for each that is refused, as `normalize_many(on_error="yield")`.

        A failed call is a `SourceReportedError`, an encrypted body an `EncryptedPayloadError`; both have the record in
        `completion`. A unit without text gives an error that says so.
        """
        if unit.text is None:
            yield MalformedPayloadError(
                f"{unit.length} bytes are more than a record may have; raise --max-record-bytes or split it",
                code="too_long",
            )
            return
        text = unit.text.removeprefix(b"\x1e")
        try:
            if self._place is not None:
                # A cell of a table was found by the first token already.
                tokens = self._place if unit.carried is None else self._place[1:]
                opened = _open_place(_checked(text), tokens, "")
                opened.body = None if opened.body is None else _decoded_body(opened.body, self._encoding, opened.at)
                yield from self._read(opened, text)
            elif self._preset in ("auto", "bare", "log10"):
                yield from self._core(text)
            else:
                yield from self._known(self._preset, _checked(text), "", text)
        except NormalizeError as error:
            yield error.with_traceback(None)  # which holds this frame, and so the unit

    def _core(self, text: bytes) -> Iterator[Completion | NormalizeError]:
        """The records of a unit that the core reads as it is, or that it must be told what it is."""
        auto = self._preset == "auto"
        if auto and self._by_keys and (unit := _members(text)) is not None:
            name = self._by_keys.get(frozenset(unit))
            if name is not None:
                yield from self._known(name, _checked(text), "", text)
                return
        result: Completion | NormalizeError
        try:
            result = normalize(text, self._source, None, self._strict, self._limit)
        except NormalizeError as refusal:
            result = refusal.with_traceback(None)
        if auto and self._doubtful(result, text):
            choice = _choice(text)
            if isinstance(choice, Fragment):
                raise UnknownPayloadError(f"the unit is {choice.says}", code="fragment")
            if choice is not None:
                self._remember(choice, text)
                yield from self._known(choice, _checked(text), "", text)
                return
            if isinstance(result, UnknownPayloadError) and result.code == "unknown_shape":
                result = _with_hint(result, text)
        if isinstance(result, UnknownPayloadError) and result.code == "list":
            found = members(parse(text))
            for at, item in found or ():
                yield from self._member(item, at, text)
        else:
            yield self._wanted(result)

    def _remember(self, name: str, text: bytes) -> None:
        """Know units with the same keys again, where the keys alone decide: none of them is one that the core reads."""
        unit = _members(text)
        if unit is not None and self._remembers and len(unit) <= _MOST_KEYS and _CORE_KEYS.isdisjoint(unit):
            if len(self._by_keys) >= _MOST_KEYS:
                self._by_keys.clear()
            self._by_keys[frozenset(unit)] = name

    def _doubtful(self, result: Completion | NormalizeError, text: bytes) -> bool:
        """Whether the keys of a unit must be looked at, after what the core made of it."""
        if isinstance(result, Completion):
            return result.envelope is not None and any(mark in text for mark in _MARKS)
        if isinstance(result, EncryptedPayloadError):
            return False
        return not isinstance(result, MalformedPayloadError) or result.path is not None

    def _wanted(self, result: Completion | NormalizeError) -> Completion | NormalizeError:
        """The record, or the refusal of one that is not in the envelope that was named."""
        if self._preset != "log10":
            return result
        reported = isinstance(result, SourceReportedError | EncryptedPayloadError)
        completion = result.completion if reported else result  # type: ignore[union-attr] # both have one
        if isinstance(completion, Completion) and (
            completion.envelope is None or completion.envelope.kind != "log10_record"
        ):
            return UnknownPayloadError("the unit is not a log10 record; leave out --envelope", code="unknown_envelope")
        return result

    def _member(self, item: Any, at: str, text: bytes) -> Iterator[Completion | NormalizeError]:
        """The records of a member of a list."""
        try:
            if self._preset == "auto" and isinstance(item, dict) and "choices" not in item:
                raw = _written(item)
                choice = None if raw is None else _choice(raw, at)
                if isinstance(choice, Fragment):
                    raise UnknownPayloadError(f"the unit is {choice.says}", code="fragment", path=at)
                if choice is not None and raw is not None:
                    yield from self._known(choice, raw, at, text)
                    return
            completion = default_engine().read_inside(item, Findings(prefix=at, source=self._source, is_clean=False))
            yield self._wanted(answered(completion, (), strict=self._strict))
        except NormalizeError as error:
            error.path = error.path or at
            yield self._wanted(error.with_traceback(None))

    def _known(self, name: str, raw: bytes, at: str, text: bytes) -> Iterator[Completion | NormalizeError]:
        """The records of a unit, or of a member of one at `at`, that stands in the envelope of a preset."""
        items = _items(raw)
        if items is not None and not at and name != "openai_pair":  # a page of them
            for place, item in enumerate(items):
                try:
                    yield from self._known(name, bytes(item), f"/{place}", text)
                except NormalizeError as error:
                    error.path = error.path or f"/{place}"
                    yield error.with_traceback(None)
            return
        unit = _members(raw)
        if name == "openai_pair" and items is not None and len(items) > 1:
            opened = _open_pair(items, at)
        elif name != "openai_pair" and unit is not None and ("response" in unit or "error" in unit):
            opened = _OPENERS[name][1](_Around(unit, Findings(prefix=at), at))
        else:
            _refuse_malformed(raw, at)
            raise UnknownPayloadError(
                f"the unit is not a {name} envelope; name another one, or the body's place with --body",
                code="unknown_envelope",
                path=at or None,
            )
        if opened.body is not None:
            opened.body = _text_inside(opened.body, opened.at)[0]
        yield from self._read(opened, text)

    def _read(self, opened: Opened, text: bytes) -> Iterator[Completion | NormalizeError]:
        """The records of an opened unit; `text` is the whole unit."""
        body = opened.body
        if body is None:
            if opened.failure is None:
                raise UnknownPayloadError(
                    f"the envelope holds no response; {opened.missing}",
                    code="no_body",
                    path=opened.at,
                )
            yield self._finished(self._failed(opened), opened, (text,))
            return
        texts = (text, *_texts(body)) if self._strict else ()
        engine = default_engine()
        try:
            completion = engine.read_inside(body, Findings(prefix=opened.at, source=self._source))
        except NormalizeError as refusal:
            error = refusal.with_traceback(None)
        else:
            yield self._finished(completion, opened, texts)
            return
        if error.code == "list" and (found := members(parse(body))) is not None:
            for place, item in found:
                at = opened.at + place
                try:
                    completion = engine.read_inside(item, Findings(prefix=at, source=self._source, is_clean=False))
                    yield self._finished(completion, opened, texts)
                except NormalizeError as refusal:
                    refusal.path = refusal.path or at
                    yield refusal.with_traceback(None)
        elif opened.failure is not None:
            completion = self._failed(opened)
            completion.extra = Extra.of({opened.at: _any_value(body)})
            yield self._finished(completion, opened, texts)
        else:
            error.path = error.path or opened.at
            yield error

    def _failed(self, opened: Opened) -> Completion:
        return Completion(source=self._source or "openai", variant="error", error=opened.failure)

    def _finished(self, completion: Completion, opened: Opened, texts: tuple[bytes, ...]) -> Completion:
        """A record with what stood around it; raises as `normalize` does."""
        findings = opened.findings
        extra = dict(findings.extra)
        completion.notes = [*findings.notes, *completion.notes]
        if opened.cost is not None:
            at, cost = opened.cost
            if completion.usage is not None and completion.usage.cost is None:
                completion.usage.cost = cost
            else:
                extra[at] = cost
        if completion.error is None:
            completion.error = opened.failure
        elif completion.error is not opened.failure:
            extra.update((at, opened.taken[at]) for at in opened.told)
        if opened.envelope is not None:
            inner = completion.envelope
            if inner is None or inner == Envelope(kind=inner.kind):
                completion.envelope = opened.envelope
            else:  # a record inside a record: the inner one says more about the response
                extra.update(opened.taken)
        completion.extra = Extra.later(_merged, extra, completion.extra) if extra else completion.extra
        return answered(completion, texts, strict=self._strict)


def _merged(around: dict[str, Any], inside: Mapping[str, Any]) -> dict[str, Any]:
    return {**around, **inside}


def _checked(text: bytes) -> bytes:
    """A unit whose every byte is UTF-8: also those that nobody reads."""
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            parse(text)
    return text


def _choice(raw: bytes, at: str = "") -> str | Fragment | None:
    """The one envelope that a unit's keys name; raises `AmbiguousPayloadError` where they name more."""
    items = _items(raw)
    if items is not None:
        return "openai_pair" if _is_pair(items) else None
    unit = _members(raw)
    found = [] if unit is None else _named(unit)
    if not found:
        return None
    names = [name if isinstance(name, str) else name.name for name in found]
    if isinstance(found[0], str) and _is_native(parse(raw)):
        names.insert(0, "log10")
    if len(names) > 1:
        raise _ambiguous(names, at)
    return found[0]


def _written(item: dict[str, Any]) -> bytes | None:
    try:
        return msgspec.json.encode(item)
    except (UnicodeEncodeError, msgspec.MsgspecError):  # half a surrogate pair: the lenient decode reads it
        return None


def _texts(body: bytes) -> Iterator[bytes]:
    """The JSON texts of a body: itself, or those of a saved stream."""
    return (event.data for event in iter_events([body]) if event.data.lstrip().startswith((b"{", b"[{")))


def _any_value(body: bytes) -> Any:
    """A body that is not a response, as it may be kept: JSON, or text."""
    try:
        return parse(body)
    except NormalizeError:
        return body.decode("utf-8", "replace")


def _found(tree: Any, tokens: list[str]) -> Any:
    """The value at a pointer, through JSON in strings; `None` where there is none."""
    for token in tokens:
        if isinstance(tree, str):
            try:
                tree = parse(tree.encode("utf-8", "surrogatepass"))
            except NormalizeError:
                return None
        if isinstance(tree, dict):
            tree = tree.get(token)
        elif isinstance(tree, list) and token.isdecimal() and int(token) < len(tree):
            tree = tree[int(token)]
        else:
            return None
    return tree


def _with_hint(error: UnknownPayloadError, text: bytes) -> UnknownPayloadError:
    """The same error, or a better one where a response stands somewhere inside."""
    try:
        place = _response_inside(parse(text))
    except NormalizeError:
        return error
    if not place:
        return error
    return UnknownPayloadError(
        f"no known envelope, but a response is at {excerpt(place)}; give --body {excerpt(place)}",
        code="unknown_envelope",
    )


def _response_inside(tree: Any, at: str = "", depth: int = 3) -> str | None:
    """Where a value holds a response, not deep inside; the root is the empty pointer."""
    if isinstance(tree, str) and '"choices"' in tree[:_HINT_CHARACTERS] and tree.lstrip()[:1] == "{":
        return at
    if isinstance(tree, dict) and isinstance(tree.get("choices"), list):
        return at
    if not depth or not isinstance(tree, dict | list):
        return None
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree[:_HINT_ITEMS])
    return next(
        filter(None, (_response_inside(value, f"{at}/{escape(key)}", depth - 1) for key, value in inside)), None
    )


_SPACE = b" \t\r\n"
_NO_ERROR = (b"null", b"{}", b'""', b"false")
_FAILED_STATUSES = frozenset(map(str, range(400, 600)))
_REQUEST_KEYS = frozenset({"messages", "prompt", "input", "model"})
_ANSWER_KEYS = frozenset({"choices", "response", "error"})
_HINT_CHARACTERS, _HINT_ITEMS = 4096, 4
_GENERATION_KEYS = frozenset(
    {"tokens_prompt", "native_tokens_prompt", "tokensPrompt", "nativeTokensPrompt", "generation_id", "generationId"}
)
_MOST_KEYS = 64
# Keys by which the core reads, wraps or claims a unit, or by whose values a fragment is told. Without one of them, the
# keys of a unit alone say what it is.
_CORE_KEYS = frozenset(
    {
        "choices",
        "ciphertext",
        "completion",
        "completions",
        "data",
        "failureKind",
        "failure_kind",
        "httpMeta",
        "kind",
        "log",
        "object",
        "orig_qualname",
        "organizationId",
        "organization_id",
        "provider",
        "tagResolved",
        "value",
    }
)
# What a unit of a preset has, as bytes: without one of them it is none.
_MARKS = (
    b'"custom_id"',
    b'"response_cost"',
    b'"litellm_call_id"',
    b'"spend"',
    b'"databricks_request_id"',
    b'"status_code"',
)
