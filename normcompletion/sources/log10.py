"""log10: a logging service; its clients rebuild most answers into something like OpenAI's.

Wire: log10-io/log10 462a441 (Python), log10-io/log10ts 946d5a1 (openapi.yaml, the wrapper), and the SDK page of
`CreateChatCompletionResponse`. Variants: chat, text (both also bare), and log_record, the row around a response.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Raw, field

from .. import dialect, wire
from ..errors import MalformedPayloadError, NormalizeError, UnknownPayloadError
from ..ledger import Ledger
from ..model import Completion, Envelope, Number, ServiceError
from ..parse import parse_unclean
from ..variant import Variant

SOURCE = "log10"

MOCK_FINGERPRINT = "log10_mock_chat_completion"


def mark(body: wire.Body | wire.Chat, extra: Mapping[str, Any]) -> str | None:  # noqa: ARG001 - the marks' signature
    """The evidence that a log10 client rebuilt a body: shapes that nobody else writes."""
    word = body.object
    if word is not None and word != "chat.completion":
        if word == "completion":
            return '`object` is "completion"'
        if word == "chat" and body.created is None:
            return '`object` is "chat", without `created`'
    fingerprint = body.system_fingerprint
    if fingerprint is not None:
        if fingerprint == MOCK_FINGERPRINT:
            return "the mock's `system_fingerprint`"
        if fingerprint == "" and body.created == 0:
            return "`created` 0 and an empty `system_fingerprint`"
    usage = body.usage
    if usage is not None and usage.total_tokens == -1 and usage.prompt_tokens == -1:
        return "usage of -1"
    if body.__class__ is wire.Body and any(choice.function_call is not None for choice in body.choices):
        return "`function_call` on the choice"
    return None


def from_body(body: wire.Body, ledger: Ledger) -> Completion:
    """A response as log10's clients store it."""
    return dialect.completion(body, ledger, source=SOURCE)


def settle(completion: Completion, ledger: Ledger) -> None:
    """Read the placeholders for 'not known' as None: `created` 0 (streams), usage -1 (Bedrock)."""
    if completion.created == 0:
        ledger.note("placeholder", 0, "created")
        completion.created = None
    usage = completion.usage
    if usage is not None and -1 in (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens):
        for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
            if getattr(usage, name) == -1:
                ledger.note("placeholder", -1, "usage", name)
                setattr(usage, name, None)


class Record(wire.Wire, kw_only=True):
    """One completion record, as written to either API, as read back, exported or kept in BigQuery."""

    id: str | None = None
    organization_id: str | None = None
    kind: str | None = None
    status: str | None = None
    tags: list[str] | None = None
    request: Raw = field(default_factory=Raw)
    response: Raw = field(default_factory=Raw)
    stacktrace: Raw = field(default_factory=Raw)
    stack_trace: Raw = field(default_factory=Raw)
    session_id: str | None = None
    duration: Number | None = None
    failure_kind: str | None = None
    failure_reason: str | None = None
    orig_module: str | None = None
    orig_qualname: str | None = None
    created_at: str | None = None
    tagResolved: Raw = field(default_factory=Raw)  # noqa: N815 - a camelCase key inside a snake_case body
    user_id: str | None = None


class TextRecord(Record, kw_only=True):
    """A record of the first API, which writes JSON as text."""

    request: str | None = None  # type: ignore[assignment]
    response: str | None = None  # type: ignore[assignment]
    stacktrace: str | None = None  # type: ignore[assignment]
    stack_trace: str | None = None  # type: ignore[assignment]
    tagResolved: str | None = None  # type: ignore[assignment]  # noqa: N815


def claims_record(tree: Mapping[str, Any]) -> str | None:
    """Keys that only a log10 record has."""
    if "choices" in tree:
        return None
    for key in ("organization_id", "organizationId", "orig_qualname", "failure_kind", "failureKind", "tagResolved"):
        if key in tree:
            return f"`{key}`"
    if tree.get("kind") in ("chat", "prompt", "completion") and ("request" in tree or "response" in tree):
        return "`kind` beside `request` or `response`"
    return None


def is_record(record: Record) -> bool:
    """The same of a decoded record: its Struct has a field for each of these keys."""
    return (
        record.organization_id is not None
        or record.orig_qualname is not None
        or record.failure_kind is not None
        or bool(record.tagResolved)
        or (record.kind in ("chat", "prompt", "completion") and bool(record.request or record.response))
    )


def from_record(record: Record, ledger: Ledger) -> Completion:
    """The response inside a record, with the record as its envelope.

    Raises `UnknownPayloadError` for a finished record without a response.
    """
    request = _json(record.request, ledger, "request")
    envelope = Envelope(
        kind="log10_record",
        id=record.id,
        status=record.status,
        tags=record.tags,
        duration=_seconds(record, request, ledger),
        session_id=record.session_id,
        created_at=record.created_at,
        request=request[0],
    )
    # In the order of the pointers, so that nobody need sort them.
    for name in ("kind", "organization_id", "orig_module", "orig_qualname"):
        if (value := getattr(record, name)) is not None:
            ledger.keep(value, name)
    completion = _response(record, ledger)
    completion.envelope = envelope
    for name in ("stack_trace", "stacktrace", "tagResolved"):
        if (sent := getattr(record, name)) and (value := _json(sent, ledger, name)[0]) is not None:
            ledger.keep(value, name)
    if record.user_id is not None:
        ledger.keep(record.user_id, "user_id")
    if record.status == "failed" or record.failure_kind or record.failure_reason:
        if completion.error is None:
            completion.error = ServiceError(type=record.failure_kind or None, message=record.failure_reason or None)
        else:
            for name in ("failure_kind", "failure_reason"):
                if getattr(record, name):
                    ledger.keep(getattr(record, name), name)
    elif completion.variant == "log_record":
        if record.status != "started":
            raise UnknownPayloadError(
                "the log10 record holds no response; fetch the record by its id",
                code="missing_response",
                source=SOURCE,
                variant="log_record",
                path=ledger.pointer("response"),
            )
        completion.error = ServiceError(code="pending", message="the call has not finished")
    return completion


def _response(record: Record, ledger: Ledger) -> Completion:
    sent: Raw | str | None = record.response
    text = _text(sent) if sent else None
    raw = bytes(record.response or b"") if text is None else text.encode("utf-8", "surrogatepass")
    if raw in (b"", b"null"):
        return Completion(source=SOURCE, variant="log_record", extra=ledger.extra, notes=ledger.notes)
    assert ledger.read is not None
    inner = ledger.below("response", fallback=SOURCE)
    if text is not None:
        inner.depth = 0
    try:
        return ledger.read(raw, inner)
    except MalformedPayloadError as error:  # the record is JSON; the text inside it is none
        error.path = error.path or inner.prefix
        raise


def _text(sent: Raw | str) -> str | None:
    """The text of a member that was sent as text."""
    if isinstance(sent, str):
        return sent
    raw = bytes(sent)
    text = parse_unclean(raw)[0] if raw[:1] == b'"' else None
    return text if isinstance(text, str) else None


def _json(sent: Raw | str | None, ledger: Ledger, name: str) -> tuple[Any, bool]:
    """A member that is JSON or JSON text, and whether it was text; text that is no JSON stays text."""
    if not sent:
        return None, False
    at = ledger.pointer(name)
    value = sent if isinstance(sent, str) else ledger.parsed(bytes(sent), at)
    if not isinstance(value, str):
        return value, False
    if value[:1] not in ("{", "["):
        return value or None, bool(value)
    try:
        return ledger.parsed(value.encode(), at), True
    except NormalizeError:
        return value, True


def _seconds(record: Record, request: tuple[Any, bool], ledger: Ledger) -> float | None:
    """`/api/completions` writes whole milliseconds, `/api/v1/completions` seconds.

    The first also writes request and response as JSON text, the name of the patched function, and the kind
    `completion`; where a record has one of these, its whole-number duration is in milliseconds.
    """
    duration = record.duration
    if duration is None or isinstance(duration, float) or duration == 0:
        return duration
    response: Raw | str | None = record.response
    first_api = (
        request[1]
        or (isinstance(response, str) or bytes(response or b"")[:1] == b'"')
        or record.orig_module is not None
        or record.orig_qualname is not None
        or record.kind == "completion"
    )
    if not first_api:
        return duration
    ledger.note("milliseconds", duration, "duration")
    return duration / 1000


VARIANTS = (
    Variant(
        source=SOURCE,
        name="chat",
        wire=wire.Body,
        adapt=from_body,
        finish_words=dialect.FINISH_WORDS,
        mark=mark,
        streams=False,
        decisive=False,
        settle=settle,
        about="`CreateChatCompletionResponse` and what the clients rebuild",
    ),
    Variant(
        source=SOURCE,
        name="text",
        wire=wire.Body,
        adapt=from_body,
        settle=settle,
        about="text completion as the clients rebuild it",
    ),
    Variant(
        source=SOURCE,
        name="log_record",
        wire=Record,
        adapt=from_record,
        claims=claims_record,
        typed=is_record,
        tight=TextRecord,
        about="record around a response; request and response as objects or as JSON text",
    ),
)
