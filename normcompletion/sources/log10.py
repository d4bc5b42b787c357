"""log10: a logging service; its clients rebuild most answers into something like OpenAI's.

Wire: log10-io/log10 462a441 (Python), log10-io/log10ts 946d5a1 (openapi.yaml, the wrapper), and the SDK page of
`CreateChatCompletionResponse`. Variants: chat, text (both also bare), and log_record, the row around a response.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ..dialect import adapt, wire
from ..dialect.variant import Variant, equals, key, lacks
from ..errors import MalformedPayloadError, NormalizeError, UnknownPayloadError
from ..findings import Findings
from ..model import Completion, Envelope, Number, ServiceError
from ..payload import parse

SOURCE = "log10"

# Shapes that only a log10 client writes, but that a body may have by chance; a decisive marker of another source wins.
MARKERS = (
    equals("object", "completion", decisive=False),
    equals("object", "chat", decisive=False) & lacks("created"),
    equals("system_fingerprint", "log10_mock_chat_completion", decisive=False),
    equals("system_fingerprint", "", decisive=False) & equals("created", 0),
    equals("usage.total_tokens", -1, decisive=False) & equals("usage.prompt_tokens", -1),
    key("choices.function_call", decisive=False),
)
# `created` of rebuilt streams, usage of Bedrock's answers.
PLACEHOLDERS = {
    "created": 0,
    "usage.prompt_tokens": -1,
    "usage.completion_tokens": -1,
    "usage.total_tokens": -1,
}
KINDS = ("chat", "prompt", "completion")
RECORD_MARKERS = (
    equals("kind", *KINDS) & key("response") & lacks("choices"),
    equals("kind", *KINDS) & key("request") & lacks("choices"),
    *(key(name) & lacks("choices") for name in ("organization_id", "orig_qualname", "failure_kind", "tagResolved")),
)


class Record(wire.Wire, kw_only=True):
    """One completion record, as written to either API, as read back, exported or kept in BigQuery.

    `request` and `response` are objects or JSON text. What is in `KEPT` has no canonical field and is in `extra`.
    """

    KEPT: ClassVar[frozenset[str]] = frozenset(
        {
            "kind",
            "organization_id",
            "orig_module",
            "orig_qualname",
            "stack_trace",
            "stacktrace",
            "tagResolved",
            "user_id",
        }
    )

    id: str | None = None
    organization_id: str | None = None
    kind: str | None = None
    status: str | None = None
    tags: list[str] | None = None
    request: Any = None
    response: Any = None
    stacktrace: Any = None
    stack_trace: Any = None
    session_id: str | None = None
    duration: Number | None = None
    failure_kind: str | None = None
    failure_reason: str | None = None
    orig_module: str | None = None
    orig_qualname: str | None = None
    created_at: str | None = None
    tagResolved: Any = None  # noqa: N815 - a camelCase key inside a snake_case body
    user_id: str | None = None


def from_record(record: Record, findings: Findings) -> Completion:
    """The response inside a record, with the record as its envelope.

    Raises `UnknownPayloadError` for a finished record without a response.
    """
    completion = _response(record, findings)
    completion.envelope = Envelope(
        kind="log10_record",
        id=record.id,
        status=record.status,
        tags=record.tags,
        duration=_seconds(record, findings),
        session_id=record.session_id,
        created_at=record.created_at,
        request=_request(record.request, findings),
    )
    if record.status == "failed" or record.failure_kind or record.failure_reason:
        if completion.error is None:
            completion.error = ServiceError(type=record.failure_kind or None, message=record.failure_reason or None)
        else:
            for name in ("failure_kind", "failure_reason"):
                if getattr(record, name):
                    findings.keep(getattr(record, name), name)
    elif completion.variant == "log_record":
        if record.status != "started":
            raise UnknownPayloadError(
                "the log10 record holds no response; fetch the record by its id",
                code="missing_response",
                source=SOURCE,
                variant="log_record",
                path=findings.pointer("response"),
            )
        completion.error = ServiceError(code="pending", message="the call has not finished")
    return completion


def _response(record: Record, findings: Findings) -> Completion:
    sent = record.response
    if sent is None or sent in ("", "null"):
        return Completion(source=SOURCE, variant="log_record", notes=findings.notes)
    try:
        return findings.inside(sent, "response", default_source=SOURCE)
    except MalformedPayloadError as error:  # the record is JSON; the text inside it is not
        error.path = error.path or findings.pointer("response")
        raise


def _request(sent: Any, findings: Findings) -> Any:
    """The request, parsed where it is JSON text; text that is not JSON stays text."""
    if not isinstance(sent, str):
        return sent
    if sent[:1] not in ("{", "["):
        return sent or None
    try:
        return parse(sent.encode("utf-8", "surrogatepass"), depth=findings.depth)
    except NormalizeError:
        return sent


def _seconds(record: Record, findings: Findings) -> float | None:
    """`/api/completions` writes whole milliseconds, `/api/v1/completions` seconds.

    The first also writes request and response as JSON text, the name of the patched function, and the kind
    `completion`; where a record has one of these, its whole-number duration is in milliseconds.
    """
    duration = record.duration
    if not duration or (isinstance(duration, float) and not _was_whole(findings)):
        return duration
    is_first_api = (
        isinstance(record.response, str)
        or (isinstance(record.request, str) and record.request[:1] in ("{", "["))
        or record.orig_module is not None
        or record.orig_qualname is not None
        or record.kind == "completion"
    )
    if not is_first_api:
        return duration
    findings.note("milliseconds", duration, "duration")
    return duration / 1000


def _was_whole(findings: Findings) -> bool:
    """Whether the duration was written as a whole number in a string, as tables write it."""
    at = findings.pointer("duration")
    return any(note.code == "text_as_number" and note.path == at and note.before.isdigit() for note in findings.notes)


VARIANTS = (
    Variant(
        source=SOURCE,
        name="chat",
        packages=("log10", "log10py"),
        wire=wire.Body,
        adapt=adapt.completion,
        markers=MARKERS,
        placeholders=PLACEHOLDERS,
        streams=False,
        about="`CreateChatCompletionResponse` and what the clients rebuild",
    ),
    Variant(
        source=SOURCE,
        name="text",
        wire=wire.Body,
        adapt=adapt.completion,
        about="text completion as the clients rebuild it",
    ),
    Variant(
        source=SOURCE,
        name="log_record",
        wire=Record,
        adapt=from_record,
        markers=RECORD_MARKERS,
        about="record around a response; request and response as objects or as JSON text",
    ),
)
