"""Units of a log to completions, with everything around the body kept.

Which envelope is around a unit is detected by its keys, and never guessed:

* A unit that the core reads as it is, is bare; so are log10's records and pages, which the core knows.
* A unit that it refuses, or that reports an error, is looked at: the presets and the known *fragments*, which hold no
  whole response, each have keys of their own. One that matches is taken, and a fragment is refused with a word on what
  to do; where two match, the unit is refused until one is named.

`Envelopes(body=...)` reads everything else, by the place of the body alone. Pointers in `extra`, in notes and in errors
are those in the unit: `/response/body/choices/0/index`. What an opener remembers makes it faster and never changes what
it gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from ..api import add_beside, answered, answers_of, default_engine, normalize, records_of_page
from ..errors import (
    EncryptedPayloadError,
    MalformedPayloadError,
    NormalizeError,
    SourceReportedError,
    UnknownPayloadError,
    excerpt,
)
from ..model import Completion, Note
from ..payload import MAX_RECORD_BYTES, parse
from ..pointer import escape
from ..sources.registry import BUILT_IN
from . import extended
from .choice import CORE_KEYS, can_be, choice_of, is_doubtful, is_extended, is_native, refuse_redacted
from .encodings import decoded_body, opened_layers
from .hints import looks_like_response, option
from .members import checked, found, items_of, members_of, refuse_malformed
from .options import Envelopes
from .preset import LOG_IT, Fragment, Opened, Preset, opened_by, read_error
from .records import BodyReader
from .refusals import with_hint, with_line_hint
from .registry import presets
from .spread import EACH, Path, Place, path_of, spread

NOT_A_CALL = "not_a_call"
"""The code of an entry that is not a completion, of a unit with several: it is counted, and is not a reject."""
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


class Opener:
    """Opens units and gives their records, one for each thread.

    The sources, `strict` and the limit of bytes are those of `normalize`.
    """

    def __init__(
        self,
        envelopes: Envelopes,
        *,
        source: str | None = None,
        default_source: str | None = None,
        strict: bool = False,
        limit: int = MAX_RECORD_BYTES,
    ) -> None:
        self._limit = limit
        self._source = source
        self._default_source = default_source
        self._strict = strict
        self._read = BodyReader(source, default_source, strict=strict)
        self._envelope = envelopes.envelope
        self._custom = _custom(envelopes)
        self._paths = [path_of(place) for place in envelopes.body]
        self._encoding = envelopes.encoding
        self._carry = {name: path_of(place) for name, place in envelopes.carry.items()}
        # Where the last unit was in an envelope, the keys of the next one are looked at first: that spares the core's
        # vain attempt, and gives the same.
        self._was_wrapped = False
        self._keys_decide = all(variant.source in BUILT_IN for variant in default_engine().registry.shapes)

    def carried(self, text: bytes | None) -> dict[str, Any] | None:
        """The values that go along with a unit's records, `None` where nothing was asked for."""
        if not self._carry:
            return None
        try:
            tree = parse(text or b"")
        except NormalizeError:
            tree = None
        return {name: found(tree, list(path)) for name, path in self._carry.items()}

    def records(self, text: bytes) -> Iterator[Completion | NormalizeError]:
        """The records of a unit, and an error for each that is refused, as `normalize_many(on_error="yield")`.

        A failed call is a `SourceReportedError`, an encrypted body an `EncryptedPayloadError`; both have the record in
        `completion`.
        """
        text = text.removeprefix(b"\x1e")
        try:
            if self._paths:
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
        for place in spread(text, self._paths):
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

    def _beside(self, opened: Opened, text: bytes, given: set[str]) -> Iterator[Completion | NormalizeError]:
        """The records of one of the bodies of a unit, with what is around it and no record before has."""
        large = opened.around.close(given)
        for item in self._read(opened, text):
            if isinstance(item, Completion):
                given.update(large)
            yield item

    def _refuse_one_of_several(self, place: Place) -> None:
        """Refuse a place that was named alone, where others beside its way lead to a response as well."""
        path = path_of(place.at)
        for at, raw in place.around.items():
            if b"choices" not in raw:
                continue
            beside = path_of(at)
            rest = list(path[len(beside) :])
            if looks_like_response(found(parse(raw), rest)):
                each = "".join(f"/{escape(token)}" for token in (*path[: len(beside) - 1], EACH, *rest))
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
            if unit is not None and CORE_KEYS.isdisjoint(unit):
                choice = choice_of(text, unit=unit)
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
            choice = choice_of(text)
            if isinstance(choice, Fragment):
                raise UnknownPayloadError(f"the unit is {choice.description}", code="fragment")
            if choice is not None:
                self._was_wrapped = self._keys_decide
                yield from self._known(choice, checked(text), "", text)
                return
            result = with_hint(result, text)
        elif auto and isinstance(result, MalformedPayloadError):
            result = with_line_hint(result, text)
        if isinstance(result, UnknownPayloadError) and result.code == "list":
            yield from records_of_page(parse(text), lambda item, at: self._member(item, at, text))
        elif isinstance(result, UnknownPayloadError) and result.code == "streams" and result.path is None:
            yield from map(self._wanted, answers_of(text, self._answer))
        else:
            yield self._wanted(result)

    def _answer(self, text: bytes, notes: list[Note]) -> Completion:
        """One of several answers in a unit, with the notes of the texts before it."""
        completion = normalize(text, self._source, None, self._strict, self._limit, self._default_source)
        completion.notes += notes
        notes.clear()
        return completion

    def _is_doubtful(self, result: Completion | NormalizeError) -> bool:
        """Whether the keys of a unit must be looked at, after what the core made of it."""
        if isinstance(result, Completion):
            return result.envelope is not None or is_doubtful(result)
        if isinstance(result, EncryptedPayloadError):
            return False
        return not isinstance(result, MalformedPayloadError) or result.path is not None

    def _wanted(self, result: Completion | NormalizeError) -> Completion | NormalizeError:
        """The record, or the refusal of one that is not in the envelope that was named, or was removed."""
        if isinstance(result, Completion):
            refuse_redacted(result)
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
                choice = None if raw is None else choice_of(raw, at)
                if isinstance(choice, Fragment):
                    raise UnknownPayloadError(f"the unit is {choice.description}", code="fragment", path=at)
                if choice is not None and raw is not None:
                    yield from self._known(choice, raw, at, text)
                    return
            completion = default_engine().read_inside(item, self._read.findings(at, is_clean=False))
            yield self._wanted(answered(completion, (), strict=self._strict))
        except NormalizeError as error:
            refusal = error.with_traceback(None)
            if self._envelope == "auto" and isinstance(refusal, UnknownPayloadError):
                refusal = with_hint(refusal, item, (*path_of(at)[:-1], EACH))
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
        if not can_be(preset, raw, items):
            refuse_malformed(raw, at)
            if preset.partial is not None and preset.match(members_of(raw) or {}):
                raise UnknownPayloadError(f"the unit is {preset.partial}", code="fragment", path=at or None)
            raise UnknownPayloadError(
                f"the unit is not a {preset.name} envelope; name another one, or the body's place with --body",
                code="unknown_envelope",
                path=at or None,
            )
        given: set[str] = set()
        for place in spread(raw, preset.paths, at):
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
        for item in self._beside(opened, text, given):
            if preset.partial is not None and _is_no_response(item, opened):
                raise UnknownPayloadError(f"the unit is {preset.partial}", code="fragment", path=opened.at)
            yield item

    def _inner(
        self, preset: Preset, opened: Opened, place: Place, text: bytes, given: set[str]
    ) -> Iterator[Completion | NormalizeError]:
        """The records of a unit that a log line holds: in an envelope of its own, or a response at a known place."""
        unit, at = opened.body or b"", opened.around.findings.prefix
        choice = choice_of(unit, opened.at)
        if isinstance(choice, Fragment):
            raise UnknownPayloadError(f"the unit is {choice.description}", code="fragment", path=opened.at)
        if choice is not None:
            opened.around.close()
            for item in self._known(choice, unit, opened.at, text):
                yield _within(item, opened)
            return
        members_inside = members_of(unit) or {}
        is_whole = "response" in members_inside and is_native(parse(unit))
        paths: list[Path] = [()] if is_whole else [path_of(each) for each in preset.inner]
        for inside in spread(unit, paths, opened.at, place.around, place.each):
            for item in self._entry(replace(preset, inner=(), is_call=None), inside, at, text, given):
                yield item if isinstance(item, Completion) else with_hint(item, text)


def _within(item: Completion | NormalizeError, outer: Opened) -> Completion | NormalizeError:
    """A record of an envelope that is inside another, with what the outer one says."""
    add_beside(item, {**outer.around.findings.extra, **outer.around.taken})
    record = item if isinstance(item, Completion) else getattr(item, "completion", None)
    if isinstance(record, Completion):
        record.notes = [*outer.around.findings.notes, *record.notes]
    return item


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
    path = path_of(opened.at)
    before = len(opened.around.taken)
    for depth in range(len(path) - 1, -1, -1):
        at = "".join(f"/{escape(token)}" for token in (*path[:depth], "error"))
        if (failure := read_error(opened.around, at)) is not None:
            opened.failure = failure
            opened.error_places = tuple(opened.around.taken)[before:]
            return


def _not_a_call(preset: Preset, place: Place, at: str) -> NormalizeError:
    """The refusal of what is not a call: one of several entries is passed over, the only one is a fragment."""
    if preset.has_several:
        path = next(path for path in preset.paths if path.count(EACH) == len(place.each))
        depth = len(path_of(at)) + len(path) - path[::-1].index(EACH)
        entry = "".join(f"/{escape(token)}" for token in path_of(place.at)[:depth])
        return UnknownPayloadError(f"an entry of {preset.name} that is not a completion", code=NOT_A_CALL, path=entry)
    return UnknownPayloadError(f"the unit is {preset.partial or preset.missing}", code="fragment")


def _is_no_response(item: Completion | NormalizeError, opened: Opened) -> bool:
    """Whether the body of an envelope is something else than a response."""
    if isinstance(item, UnknownPayloadError):
        return item.code in ("unknown_shape", "not_object", "list", "sse")
    is_text = opened.body is not None and not opened.body.lstrip().startswith((b"{", b"["))
    return isinstance(item, MalformedPayloadError) and is_text


def _written(item: dict[str, Any]) -> bytes | None:
    try:
        return msgspec.json.encode(item)
    except (UnicodeEncodeError, msgspec.MsgspecError):  # half a surrogate pair: the lenient decode reads it
        return None
