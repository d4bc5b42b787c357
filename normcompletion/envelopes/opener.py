"""Units of a log to completions, with everything around the body kept.

Which envelope is around a unit is told by its keys, and never guessed:

* A unit that the core reads as it is, is bare; so are log10's records and pages, which the core knows.
* A unit that it refuses, or that reports an error, is looked at: the presets and the known *fragments*, which hold no
  whole response, each have keys of their own. One that matches is taken, and a fragment is refused with a word on what
  to do; where two match, the unit is refused until one is named.

`Envelopes(body=...)` reads everything else, by the place of the body alone. Pointers in `extra`, in notes and in errors
are those in the unit: `/response/body/choices/0/index`. What an opener remembers makes it faster and never changes what
it gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any, TypeVar

import msgspec

from ..api import add_beside, answered, default_chunk_reader, default_engine, normalize
from ..dialect.failures import form_of
from ..errors import (
    AmbiguousPayloadError,
    EncryptedPayloadError,
    InvalidPayloadError,
    MalformedPayloadError,
    NormalizeError,
    SourceReportedError,
    UnknownPayloadError,
    did_you_mean,
    excerpt,
)
from ..extra import Extra
from ..findings import Findings
from ..model import Completion, Envelope, Note, ServiceError, Usage
from ..payload import MAX_RECORD_BYTES, parse
from ..pointer import escape
from ..sources.registry import BUILT_IN
from ..streams.events import iter_events
from ..streams.splitting import split_streams
from . import extended
from .encodings import ENCODINGS, Encoding, decoded_body, opened_layers, without_copy_escapes
from .hints import advice, looks_like_response, option
from .members import Members, checked, found, items_of, members_of, refuse_malformed
from .preset import FIELDS, LOG_IT, Fragment, Opened, Preset, opened_by, read_error
from .registry import known_envelopes, named, named_list, presets
from .spread import EACH, Place, Route, route_of, spread
from .wrappers import beside_members, members

NOT_A_CALL = "not_a_call"
"""The code of an entry that is no completion, of a unit with several: it is counted, and is no reject."""
REJECT_CODES: Mapping[str, str] = {
    "unknown_envelope": "not the envelope that was named, or one that is not known",
    "ambiguous_envelope": "the keys of two envelopes; name one with --envelope",
    "fragment": "a record of a known tool that holds no whole response",
    "no_body": "an envelope without a body, or nothing where --body points",
    "one_of_several": "--body points at one of several responses of the same kind",
    "wrong_encoding": "a body that is not written as --body-encoding says",
    "redacted": "the logger removed the response",
}
"""The codes with which units are refused here, beside those of the core."""


# -- what the caller knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelopes:
    """What is around the responses of a log, as far as the caller knows; picklable.

    `envelope` is one of `known_envelopes()`. `body` are JSON Pointers of the responses in each unit, for everything
    that no preset knows: `*` stands for each element of a list or member of an object, and `GLOB=POINTER` is for the
    files that match alone. `encoding` is how a body is written there; in a table a pointer begins with the name of the
    column. `line_prefix` is a regular expression of what is before the JSON of each line, `copy_escapes` says that
    lines have the backslashes of COPY, `table` names the table of an SQLite file. `fields` has pointers for members of
    the envelope, by their names in `preset.FIELDS`. `carry` has names and the pointers of values that go along with
    each record. Raises `ValueError`.
    """

    envelope: str = "auto"
    body: tuple[str, ...] = ()
    encoding: Encoding = "auto"
    line_prefix: str | None = None
    copy_escapes: bool = False
    table: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    carry: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.envelope not in known_envelopes():
            known = ", ".join(known_envelopes())
            hint = did_you_mean(self.envelope, known_envelopes())
            raise ValueError(f"no envelope {excerpt(self.envelope)!r}; {hint}known are {known}")
        if self.encoding not in ENCODINGS:
            hint = did_you_mean(self.encoding, ENCODINGS)
            raise ValueError(f"no encoding {excerpt(self.encoding)!r}; {hint}known are {', '.join(ENCODINGS)}")
        for name in self.fields:
            if name not in FIELDS:
                hint = did_you_mean(name, FIELDS)
                raise ValueError(f"no field {excerpt(name)!r} of an envelope; {hint}known are {', '.join(FIELDS)}")
        if self.line_prefix is not None:
            try:
                re.compile(self.line_prefix.encode())
            except re.error as error:
                raise ValueError(f"{excerpt(self.line_prefix)!r} is not a regular expression: {error}") from None
        if not self.body and (self.encoding != "auto" or self.fields):
            what = "an encoding" if self.encoding != "auto" else "an envelope's field"
            raise ValueError(f"{what} goes with a body; name the body's place too, '' for the whole unit")
        if self.body and self.envelope != "auto":
            raise ValueError(f"the envelope {self.envelope} knows where its body is; name the envelope or the body")
        pointers = (rule.partition("=")[2] if _is_glob(rule) else rule for rule in self.body)
        for place in (*pointers, *self.fields.values(), *self.carry.values()):
            route_of(place)

    @property
    def may_be_bare(self) -> bool:
        """Whether a unit that the core reads as it is, is a response."""
        return not self.body and self.envelope in ("auto", "bare")

    def of_file(self, path: str) -> Envelopes:
        """The same for one file: its rules of `body` alone, without their globs."""
        if not any(map(_is_glob, self.body)):
            return self
        matching = tuple(
            pointer
            for rule in self.body
            if _is_glob(rule)
            for glob, _, pointer in [rule.partition("=")]
            if PurePath(path).match(glob)
        )
        body = matching or tuple(rule for rule in self.body if not _is_glob(rule))
        return self.with_body(body)

    def with_body(self, body: tuple[str, ...]) -> Envelopes:
        """The same, with other places of the body."""
        if body:
            return replace(self, body=body)
        return replace(self, body=(), encoding="auto", fields={})

    def opener(
        self,
        *,
        source: str | None = None,
        default_source: str | None = None,
        strict: bool = False,
        limit: int = MAX_RECORD_BYTES,
    ) -> Opener:
        """What opens units; the sources, `strict` and the limit of bytes are those of `normalize`."""
        return Opener(self, source=source, default_source=default_source, strict=strict, limit=limit)


def _is_glob(rule: str) -> bool:
    return "=" in rule and not rule.startswith("/")


def rows_are_units(names: list[str]) -> bool:
    """Whether the rows of a table with these columns are envelopes or responses that are known by their keys."""
    row = dict.fromkeys(names, msgspec.Raw(b"{}"))
    return "choices" in row or bool(named(row)) or _is_native(dict.fromkeys(names, True))


# -- opening


class Opener:
    """Opens units and gives their records; made by `Envelopes.opener`, one for each thread."""

    def __init__(
        self, envelopes: Envelopes, *, source: str | None, default_source: str | None, strict: bool, limit: int
    ) -> None:
        self._limit = limit
        self._source = source
        self._default_source = default_source
        self._strict = strict
        self._envelope = envelopes.envelope
        self._custom = _custom(envelopes)
        self._routes = [route_of(place) for place in envelopes.body]
        self._encoding = envelopes.encoding
        self._carry = {name: route_of(place) for name, place in envelopes.carry.items()}
        # Where the last unit was in an envelope, the keys of the next one are looked at first: that spares the core's
        # vain attempt, and gives the same.
        self._was_wrapped = False
        self._keys_decide = all(variant.source in BUILT_IN for variant in default_engine().registry.shapes)

    def _findings(self, at: str, *, default_source: str | None = None, is_clean: bool = True) -> Findings:
        """The findings of a response that is at a pointer; `default_source` is that of its envelope."""
        source = default_source or self._default_source
        return Findings(prefix=at, source=self._source, default_source=source, is_clean=is_clean)

    def carried(self, text: bytes | None) -> dict[str, Any] | None:
        """The values that go along with a unit's records, `None` where nothing was asked for."""
        if not self._carry:
            return None
        try:
            tree = parse(text or b"")
        except NormalizeError:
            tree = None
        return {name: found(tree, list(route)) for name, route in self._carry.items()}

    def records(self, text: bytes) -> Iterator[Completion | NormalizeError]:
        """The records of a unit, and an error for each that is refused, as `normalize_many(on_error="yield")`.

        A failed call is a `SourceReportedError`, an encrypted body an `EncryptedPayloadError`; both have the record in
        `completion`.
        """
        text = text.removeprefix(b"\x1e")
        try:
            if self._routes:
                yield from self._placed(checked(text))
            elif self._envelope in ("auto", "bare", "log10"):
                yield from self._core(text)
            else:
                yield from self._known(presets()[self._envelope], checked(text), "", text)
        except NormalizeError as error:
            yield error.with_traceback(None)  # which holds this frame, and so the unit

    # -- by the place of the body

    def _placed(self, text: bytes) -> Iterator[Completion | NormalizeError]:
        """The records at the places that the caller named."""
        given: set[str] = set()
        for place in spread(text, self._routes):
            try:
                if place.error is not None:
                    raise place.error
                self._refuse_one_of_several(place)
                opened = opened_by(self._custom, place) if place.at else _whole(place)
                if opened.body is None:
                    _read_error_beside(opened)
                else:
                    opened.body = decoded_body(opened.body, self._encoding, opened.at)
                yield from self._beside(opened, text, given)
            except NormalizeError as error:
                error.path = error.path or place.at or None
                yield error.with_traceback(None)

    def _beside(
        self, opened: Opened, text: bytes, given: set[str], source: str | None = None
    ) -> Iterator[Completion | NormalizeError]:
        """The records of one of the bodies of a unit, with what is around it and no record before has."""
        large = opened.around.close(given)
        for item in self._read(opened, text, source):
            if isinstance(item, Completion):
                given.update(large)
            yield item

    def _refuse_one_of_several(self, place: Place) -> None:
        """Refuse a place that was named alone, where others beside its way lead to a response as well."""
        route = route_of(place.at)
        for at, raw in place.around.items():
            if b"choices" not in raw:
                continue
            beside = route_of(at)
            rest = list(route[len(beside) :])
            if looks_like_response(found(parse(raw), rest)):
                each = "".join(f"/{escape(token)}" for token in (*route[: len(beside) - 1], EACH, *rest))
                raise UnknownPayloadError(
                    f"another response is beside it, at {excerpt(at)}; give {option(each)} to read each of them, "
                    "or take the others out",
                    code="one_of_several",
                    path=place.at,
                )

    # -- by the keys of the unit

    def _core(self, text: bytes) -> Iterator[Completion | NormalizeError]:
        """The records of a unit that the core reads as it is, or that it must be told what it is."""
        auto = self._envelope == "auto"
        if auto and self._was_wrapped:
            unit = members_of(text)
            if unit is not None and _CORE_KEYS.isdisjoint(unit):
                choice = _choice(text, unit=unit)
                if isinstance(choice, Preset):
                    yield from self._known(choice, checked(text), "", text)
                    return
        self._was_wrapped = False
        result: Completion | NormalizeError
        try:
            result = normalize(text, self._source, None, self._strict, self._limit, self._default_source)
        except NormalizeError as refusal:
            result = refusal.with_traceback(None)
        if isinstance(result, UnknownPayloadError | MalformedPayloadError) or is_extended(result, text):
            inner = opened_layers(text)
            inner = extended.plain(inner) or inner
            if inner is not text:
                yield from self._core(inner)
                return
        if auto and self._is_doubtful(result):
            choice = _choice(text)
            if isinstance(choice, Fragment):
                raise UnknownPayloadError(f"the unit is {choice.says}", code="fragment")
            if choice is not None:
                self._was_wrapped = self._keys_decide
                yield from self._known(choice, checked(text), "", text)
                return
            result = _with_hint(result, text)
        elif auto and isinstance(result, MalformedPayloadError):
            result = _with_line_hint(result, text)
        if isinstance(result, UnknownPayloadError) and result.code == "list":
            tree = parse(text)
            beside = beside_members(tree)
            for at, item in members(tree) or ():
                for record in self._member(item, at, text):
                    add_beside(record, beside)
                    yield record
        else:
            yield self._wanted(result)

    def _is_doubtful(self, result: Completion | NormalizeError) -> bool:
        """Whether the keys of a unit must be looked at, after what the core made of it."""
        if isinstance(result, Completion):
            return result.envelope is not None or may_be_quiz(result)
        if isinstance(result, EncryptedPayloadError):
            return False
        return not isinstance(result, MalformedPayloadError) or result.path is not None

    def _wanted(self, result: Completion | NormalizeError) -> Completion | NormalizeError:
        """The record, or the refusal of one that is not in the envelope that was named."""
        if self._envelope != "log10":
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
            if self._envelope == "auto" and isinstance(item, dict) and "choices" not in item:
                raw = _written(item)
                choice = None if raw is None else _choice(raw, at)
                if isinstance(choice, Fragment):
                    raise UnknownPayloadError(f"the unit is {choice.says}", code="fragment", path=at)
                if choice is not None and raw is not None:
                    yield from self._known(choice, raw, at, text)
                    return
            completion = default_engine().read_inside(item, self._findings(at, is_clean=False))
            yield self._wanted(answered(completion, (), strict=self._strict))
        except NormalizeError as error:
            refusal = error.with_traceback(None)
            if self._envelope == "auto" and isinstance(refusal, UnknownPayloadError):
                refusal = _with_hint(refusal, item, (*route_of(at)[:-1], EACH))
            refusal.path = refusal.path or at
            yield self._wanted(refusal)

    def _known(self, preset: Preset, raw: bytes, at: str, text: bytes) -> Iterator[Completion | NormalizeError]:
        """The records of a unit, or of a member of one at `at`, that is in the envelope of a preset."""
        items = items_of(raw)
        if items is not None and not at and preset.match_list is None:  # a page of them
            for number, item in enumerate(items):
                try:
                    yield from self._known(preset, bytes(item), f"/{number}", text)
                except NormalizeError as error:
                    error.path = error.path or f"/{number}"
                    yield error.with_traceback(None)
            return
        if not _can_be(preset, raw, items):
            refuse_malformed(raw, at)
            if preset.partial is not None and preset.match(members_of(raw) or {}):
                raise UnknownPayloadError(f"the unit is {preset.partial}", code="fragment", path=at or None)
            raise UnknownPayloadError(
                f"the unit is not a {preset.name} envelope; name another one, or the body's place with --body",
                code="unknown_envelope",
                path=at or None,
            )
        given: set[str] = set()
        for place in spread(raw, preset.routes, at):
            try:
                yield from self._entry(preset, place, at, text, given)
            except NormalizeError as error:
                error.path = error.path or place.at or None
                yield error.with_traceback(None)

    def _entry(
        self, preset: Preset, place: Place, at: str, text: bytes, given: set[str]
    ) -> Iterator[Completion | NormalizeError]:
        """The records at one of the places where a preset knows a body."""
        if place.error is not None:
            raise place.error
        opened = opened_by(preset, place._replace(around=dict(place.around)) if preset.inner else place, at)
        if preset.is_call is not None and not preset.is_call(opened):
            raise _not_a_call(preset, place, at)
        if opened.body is not None:
            opened.body = decoded_body(opened.body, "auto", opened.at)
            if preset.inner:
                yield from self._inner(preset, opened, place, text, given)
                return
        elif opened.failure is None and preset.partial is not None and preset.missing == LOG_IT:
            raise UnknownPayloadError(f"the unit is {preset.partial}", code="fragment", path=opened.at)
        for item in self._beside(opened, text, given, preset.source):
            if preset.partial is not None and _is_no_response(item, opened):
                raise UnknownPayloadError(f"the unit is {preset.partial}", code="fragment", path=opened.at)
            yield item

    def _inner(
        self, preset: Preset, opened: Opened, place: Place, text: bytes, given: set[str]
    ) -> Iterator[Completion | NormalizeError]:
        """The records of a unit that a log line holds: in an envelope of its own, or a response at a known place."""
        unit, at = opened.body or b"", opened.around.findings.prefix
        choice = _choice(unit, opened.at)
        if isinstance(choice, Fragment):
            raise UnknownPayloadError(f"the unit is {choice.says}", code="fragment", path=opened.at)
        if choice is not None:
            opened.around.close()
            for item in self._known(choice, unit, opened.at, text):
                yield _within(item, opened)
            return
        members_inside = members_of(unit) or {}
        is_native = "response" in members_inside and _is_native(parse(unit))
        routes: list[Route] = [()] if is_native else [route_of(each) for each in preset.inner]
        for inside in spread(unit, routes, opened.at, place.around, place.each):
            for item in self._entry(replace(preset, inner=(), is_call=None), inside, at, text, given):
                yield item if isinstance(item, Completion) else _with_hint(item, text)

    # -- the records

    def _read(self, opened: Opened, text: bytes, source: str | None = None) -> Iterator[Completion | NormalizeError]:
        """The records of an opened unit; `text` is the whole unit, `source` that of a response which nothing tells."""
        body = opened.body
        if opened.encrypted is not None:
            raise self._encrypted(opened)
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
            completion = engine.read_inside(body, self._findings(opened.at, default_source=source))
        except NormalizeError as refusal:
            error = refusal.with_traceback(None)
            if (plain := extended.plain(body)) is not None:
                yield from self._read(replace(opened, body=plain), text, source)
                return
        else:
            if is_extended(completion, body) and (plain := extended.plain(body)) is not None:
                yield from self._read(replace(opened, body=plain), text, source)
                return
            yield self._finished(completion, opened, texts)
            return
        if error.code == "streams":
            yield from self._answers(body, opened, texts)
            return
        tree = parse(body) if error.code == "list" else None
        if tree is not None and (page := members(tree)) is not None:
            for place, value in beside_members(tree).items():
                opened.around.findings.extra[opened.at + place] = value
            for place, item in page:
                at = opened.at + place
                try:
                    completion = engine.read_inside(item, self._findings(at, is_clean=False))
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

    def _answers(self, body: bytes, opened: Opened, texts: tuple[bytes, ...]) -> Iterator[Completion | NormalizeError]:
        """The answers of a body with several; the text between two is noted in the second."""
        between: list[Note] = []
        for unit in split_streams(default_chunk_reader(), body):
            text = body[unit.start : unit.end]
            if unit.kind == "foreign":
                before = text.decode("utf-8", "replace").strip()
                between.append(Note(code="foreign_text", path=opened.at, before=before))
                continue
            try:
                completion = default_engine().read_inside(text, self._findings(opened.at))
                completion.notes += between
                yield self._finished(completion, opened, texts)
            except NormalizeError as refusal:
                refusal.path = refusal.path or opened.at
                yield refusal.with_traceback(None)
            between = []

    def _failed(self, opened: Opened) -> Completion:
        source = self._source or self._default_source or "openai"
        return Completion(source=source, variant="error", error=opened.failure)

    def _encrypted(self, opened: Opened) -> EncryptedPayloadError:
        """The error for an encrypted body, with what is around it in clear."""
        completion = Completion(source=self._source or "openai", variant="error", envelope=opened.envelope)
        completion.notes = opened.around.findings.notes
        completion.extra = Extra.of({**opened.around.findings.extra, opened.at: _any_value(opened.body or b"")})
        error = EncryptedPayloadError(f"{opened.encrypted}; see .completion", path=opened.at)
        error.completion = completion
        return error

    def _finished(self, completion: Completion, opened: Opened, texts: tuple[bytes, ...]) -> Completion:
        """A record with what was around it; raises as `normalize` does."""
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
            extra.update((at, taken[at]) for at in opened.told)
        if opened.envelope is not None:
            inner = completion.envelope
            if inner is None or inner == Envelope(kind=inner.kind):
                completion.envelope = opened.envelope
            else:  # a record inside a record: the inner one says more about the response
                extra.update(taken)
        completion.extra = Extra.later(_merged, extra, completion.extra) if extra else completion.extra
        return answered(completion, texts, strict=self._strict)


def _within(item: Completion | NormalizeError, outer: Opened) -> Completion | NormalizeError:
    """A record of an envelope that is inside another, with what the outer one says."""
    add_beside(item, {**outer.around.findings.extra, **outer.around.taken})
    record = item if isinstance(item, Completion) else getattr(item, "completion", None)
    if isinstance(record, Completion):
        record.notes = [*outer.around.findings.notes, *record.notes]
    return item


def _merged(around: dict[str, Any], inside: Mapping[str, Any]) -> dict[str, Any]:
    return {**around, **inside}


# -- what the caller named


def _custom(envelopes: Envelopes) -> Preset:
    """The envelope that the caller describes by pointers."""
    fields = {name: (place,) for name, place in envelopes.fields.items()}
    return Preset(name="custom", about="what --body and --envelope-field say", body="", fields=fields)


def _whole(place: Place) -> Opened:
    """A unit that is all body."""
    preset = Preset(name="custom", about="", body="")
    opened = opened_by(preset, place)
    opened.envelope = None
    return opened


def _read_error_beside(opened: Opened) -> None:
    """Where there is no response: the error nearest to its place is why the call failed."""
    route = route_of(opened.at)
    before = len(opened.around.taken)
    for depth in range(len(route) - 1, -1, -1):
        at = "".join(f"/{escape(token)}" for token in (*route[:depth], "error"))
        if (failure := read_error(opened.around, at)) is not None:
            opened.failure = failure
            opened.told = tuple(opened.around.taken)[before:]
            return


# -- which envelope it is


def _not_a_call(preset: Preset, place: Place, at: str) -> NormalizeError:
    """The refusal of what is no call: one of several entries is passed over, the only one is a fragment."""
    if preset.has_several:
        route = next(route for route in preset.routes if route.count(EACH) == len(place.each))
        depth = len(route_of(at)) + len(route) - route[::-1].index(EACH)
        entry = "".join(f"/{escape(token)}" for token in route_of(place.at)[:depth])
        return UnknownPayloadError(f"an entry of {preset.name} that is not a completion", code=NOT_A_CALL, path=entry)
    return UnknownPayloadError(f"the unit is {preset.partial or preset.missing}", code="fragment")


def _is_no_response(item: Completion | NormalizeError, opened: Opened) -> bool:
    """Whether the body of an envelope is something else than a response."""
    if isinstance(item, UnknownPayloadError):
        return item.code in ("unknown_shape", "not_object", "list", "sse")
    is_text = opened.body is not None and not opened.body.lstrip().startswith((b"{", b"["))
    return isinstance(item, MalformedPayloadError) and is_text


def _can_be(preset: Preset, raw: bytes, items: list[Any] | None) -> bool:
    """Whether a unit can be in an envelope that was named."""
    if preset.match_list is not None:
        return items is not None and len(items) > 1
    unit = members_of(raw)
    parts = (place for places in preset.error_parts.values() for place in places)
    heads = {route[0] for route in (*preset.routes, *map(route_of, (*preset.error, *parts)))}
    return unit is not None and (EACH in heads or not heads.isdisjoint(unit))


def _choice(raw: bytes, at: str = "", unit: Members | None = None) -> Preset | Fragment | None:
    """The one envelope that a unit's keys name; raises `AmbiguousPayloadError` where they name more."""
    items = None if unit is not None else items_of(raw)
    if items is not None:
        return named_list([bytes(item) for item in items])
    unit = members_of(raw) if unit is None else unit
    candidates = [] if unit is None else named(unit)
    if not candidates:
        return None
    names = [candidate.name for candidate in candidates]
    first = candidates[0]
    if isinstance(first, Preset):
        tree = parse(raw)
        for key in first.shared:
            tree.pop(key, None)
        if _is_native(tree):
            names.insert(0, "log10")
    if len(names) > 1:
        error = AmbiguousPayloadError(
            f"the keys of {' and '.join(names)} are there; name one with --envelope, or the body with --body",
            code="ambiguous_envelope",
            path=at or None,
        )
        error.candidates = tuple(names)
        raise error
    return first


def _is_native(tree: Mapping[str, Any]) -> bool:
    """Whether a source knows an object as its own envelope."""
    engine = default_engine()
    return any(marker.holds(tree) for variant in engine.registry.shapes for marker in variant.markers) or (
        form_of(tree) is not None and engine.error_detector.of_tree(tree) is not None
    )


def is_extended(result: Completion | NormalizeError, text: bytes) -> bool:
    """Whether a completion has repairs for numbers that MongoDB wrote as objects."""
    return isinstance(result, Completion) and bool(result.notes) and extended.MARK in text


def may_be_quiz(completion: Completion) -> bool:
    """Whether the choices of a completion may be those of a question: texts without index and finish word."""
    return (
        completion.variant == "text"
        and bool(completion.choices)
        and all(choice.index is None and choice.finish_reason is None for choice in completion.choices)
    )


Result = TypeVar("Result", Completion | NormalizeError, NormalizeError)


def _with_hint(result: Result, unit: Any, at: Route = ()) -> Result:
    """The same result, or a refusal that says where a response is inside the unit, where that is what was meant.

    `unit` is its text or its tree, `at` the route to it from the unit that is around it.
    """
    beside, errors = frozenset[str](), False
    if isinstance(result, Completion):
        if not may_be_quiz(result):
            return result
        beside = frozenset({"choices"})
    elif isinstance(result, SourceReportedError):
        if result.completion.choices:
            return result
        beside = frozenset({"error"})
    elif isinstance(result, InvalidPayloadError):
        beside = frozenset({"choices"})
    elif isinstance(result, UnknownPayloadError) and result.code == "unknown_shape":
        errors = True
    else:
        return result
    if isinstance(unit, bytes):
        if b"choices" not in unit and not errors:
            return result
        try:
            unit = parse(unit)
        except NormalizeError:
            return result
    told = advice(unit, errors=errors, beside=beside, at=at)
    if told is None:
        return result
    return UnknownPayloadError(f"no known envelope, but {told}", code="unknown_envelope")


def _with_line_hint(error: MalformedPayloadError, text: bytes) -> NormalizeError:
    """The same error, or one that says which option reads a line that is not JSON as it is."""
    start = text.find(b"{")
    if start > 0 and b"\t" in text[:start] and _is_object(without_copy_escapes(text[start:]).partition(b"\t")[0]):
        return MalformedPayloadError(
            f"cells are between tabs, and JSON begins at byte {start}; give --copy-escapes where Postgres's COPY wrote "
            "it, or --line-prefix '[^{]*' otherwise",
            code="syntax",
        )
    if start > 0 and error.code in ("syntax", "leading_text") and _is_object(text[start:]):
        return MalformedPayloadError(
            f"the JSON of the line begins at byte {start}; say what is before it: --line-prefix '[^{{]*'",
            code=error.code,
        )
    if b"\\\\" in text and _is_object(without_copy_escapes(text)):
        return MalformedPayloadError(
            "every backslash is there twice, as Postgres's COPY writes; give --copy-escapes", code="syntax"
        )
    return error


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(parse(text), dict)
    except NormalizeError:
        return False


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
