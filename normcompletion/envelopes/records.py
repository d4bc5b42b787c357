"""A unit that was taken apart to its records: the response in it, with what is around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..api import answered, answers_of, default_engine, json_texts, records_of_page
from ..errors import EncryptedPayloadError, NormalizeError, UnknownPayloadError
from ..extra import Extra
from ..findings import Findings
from ..model import Completion, Envelope, Note, ServiceError, Usage
from ..payload import parse
from . import extended
from .choice import is_extended, refuse_redacted
from .preset import Opened
from .refusals import with_body_hint
from .wrappers import members


class BodyReader:
    """Reads the response of a unit that was taken apart; the sources and `strict` are those of `normalize`."""

    def __init__(self, source: str | None, default_source: str | None, *, strict: bool) -> None:
        self._source = source
        self._default_source = default_source
        self._strict = strict

    def findings(self, at: str, of_envelope: str | None = None, *, is_clean: bool = True) -> Findings:
        """The findings of a response at a pointer; `of_envelope` is the source that the envelope around it names."""
        return Findings(
            prefix=at,
            source=self._source,
            default_source=of_envelope or self._default_source,
            in_envelope=of_envelope is not None,
            is_clean=is_clean,
        )

    def __call__(self, opened: Opened, text: bytes) -> Iterator[Completion | NormalizeError]:
        """The records of an opened unit; `text` is the whole unit."""
        body = opened.body
        if opened.encrypted is not None:
            raise self._encrypted(opened)
        if body is None:
            if opened.failure is None:
                reason = f"the envelope holds no response; {opened.missing}"
                raise UnknownPayloadError(reason, code="no_body", path=opened.at)
            yield self._finished(self._without_response(opened, error=opened.failure), opened, (text,))
            return
        texts = (text, *json_texts(body)) if self._strict else ()
        completion, error = None, None
        try:
            completion = default_engine().read_inside(body, self.findings(opened.at, opened.source))
        except NormalizeError as refusal:
            error = refusal.with_traceback(None)
        if (completion is None or is_extended(completion, body)) and (plain := extended.plain(body)) is not None:
            yield from self(replace(opened, body=plain), text)
        elif completion is not None:
            yield self._finished(completion, opened, texts)
        elif error is not None:
            yield from self._several(body, error, opened, texts)

    def _several(
        self, body: bytes, error: NormalizeError, opened: Opened, texts: tuple[bytes, ...]
    ) -> Iterator[Completion | NormalizeError]:
        """The records of a body that is not a response: those of several streams, of a page, of a failed call."""

        def read_answer(text: bytes, notes: list[Note]) -> Completion:
            completion = default_engine().read_inside(text, self.findings(opened.at, opened.source))
            completion.notes += notes
            notes.clear()
            return self._finished(completion, opened, texts)

        def read_member(item: Any, at: str) -> Iterator[Completion]:
            completion = default_engine().read_inside(item, self.findings(at, opened.source, is_clean=False))
            yield self._finished(completion, opened, texts)

        tree = parse(body) if error.code == "list" else None
        if error.code == "streams":
            yield from answers_of(body, read_answer, opened.at)
        elif tree is not None and members(tree) is not None:
            yield from records_of_page(tree, read_member, opened.at)
        elif opened.failure is not None:
            completion = self._without_response(opened, error=opened.failure)
            completion.extra = Extra.of({opened.at: _any_value(body)})
            yield self._finished(completion, opened, texts)
        else:
            error.path = error.path or opened.at
            yield with_body_hint(error, body)

    def _without_response(self, opened: Opened, **members: Any) -> Completion:
        """The completion of a unit that holds no response, of the source that the caller or the envelope names."""
        completion = Completion(source="openai", variant="error", **members)
        if self._source is not None:
            completion.source, completion.source_basis = self._source, "caller"
        elif opened.source is not None:
            completion.source, completion.source_basis = opened.source, "envelope"
        elif self._default_source is not None:
            completion.source, completion.source_basis = self._default_source, "caller"
        return completion

    def _encrypted(self, opened: Opened) -> EncryptedPayloadError:
        """The error for an encrypted body, with what is around it in clear."""
        completion = self._without_response(opened, envelope=opened.envelope)
        completion.notes = opened.around.findings.notes
        completion.extra = Extra.of({**opened.around.findings.extra, opened.at: _any_value(opened.body or b"")})
        error = EncryptedPayloadError(f"{opened.encrypted}; see .completion", path=opened.at)
        error.completion = completion
        return error

    def _finished(self, completion: Completion, opened: Opened, texts: tuple[bytes, ...]) -> Completion:
        """A record with what was around it; raises as `normalize` does."""
        refuse_redacted(completion, opened.at)
        findings, taken = opened.around.findings, opened.around.taken
        extra = dict(findings.extra)
        completion.notes = [*findings.notes, *completion.notes]
        if opened.cost is not None:
            at, cost = opened.cost
            if completion.usage is None and completion.choices:
                completion.usage = Usage()
            if completion.usage is not None and completion.usage.cost is None:
                completion.usage.cost = cost
            else:
                extra.setdefault(at, cost)  # cents are there already, as they were written
        if completion.error is None or (completion.error == ServiceError() and opened.failure is not None):
            completion.error = opened.failure
        elif completion.error is not opened.failure:
            extra.update((at, taken[at]) for at in opened.error_places)
        if opened.envelope is not None:
            inner = completion.envelope
            if inner is None or inner == Envelope(kind=inner.kind):
                completion.envelope = opened.envelope
            else:  # a record inside a record: the inner one says more about the response
                extra.update(taken)
        completion.extra = Extra.later(_merged, extra, completion.extra) if extra else completion.extra
        return answered(completion, texts, strict=self._strict)


def _merged(around: dict[str, Any], inside: Mapping[str, Any]) -> dict[str, Any]:
    return {**around, **inside}


def _any_value(body: bytes) -> Any:
    """A body that is not a response, as it may be kept: JSON, or text."""
    try:
        return parse(body)
    except NormalizeError:
        return body.decode("utf-8", "replace")
