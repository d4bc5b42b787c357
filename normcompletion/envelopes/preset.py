"""What is known of an envelope: by which keys it is detected, and where the body and everything else is in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..dialect.failures import service_error
from ..errors import NormalizeError
from ..findings import Findings
from ..model import Envelope, Note, ServiceError
from ..payload import in_range, parse
from ..pointer import escape
from .members import Members, members_of, opened_value, text_inside
from .spread import EACH, Path, Place, path_of

EMPTY = (b"null", b"{}", b"[]", b'""', b'"{}"', b'"[]"', b'"null"', b"false")
"""How loggers write that there is nothing."""
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d{1,30})?(?:[eE][+-]?\d{1,2})?")
LOG_IT = "log the response too"
FAILED_STATUSES = frozenset(map(str, range(400, 600)))


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys that are there together; a slash is between the keys of objects inside one another."""

    has: tuple[str, ...]
    lacks: tuple[str, ...] = ()

    def match(self, unit: Members) -> bool:
        """Whether an object has all of them, and none of those that it must lack."""
        return all(_is_in(unit, key) for key in self.has) and not any(_is_in(unit, key) for key in self.lacks)


def has(*keys: str, lacks: tuple[str, ...] = ()) -> Keys:
    """Keys that tell an envelope: those it has, and those it lacks."""
    return Keys(keys, lacks)


def _is_in(unit: Members, key: str) -> bool:
    if key in unit or "/" not in key:
        return key in unit
    first, _, rest = key.partition("/")
    inner = members_of(bytes(unit[first])) if first in unit else None
    return inner is not None and _is_in(inner, rest)


@dataclass(frozen=True, slots=True)
class Fragment:
    """A record of a known tool that holds no whole response: its keys, what it is and what to do instead."""

    name: str
    detected_by: tuple[Keys, ...]
    description: str
    prefixes: tuple[str, ...] = ()

    def match(self, unit: Members) -> bool:
        """Whether an object is such a record: by its keys, or by the beginning of one of them."""
        return any(keys.match(unit) for keys in self.detected_by) or (
            bool(self.prefixes) and any(key.startswith(self.prefixes) for key in unit)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One envelope; `normcompletion/envelopes/__init__.py` says how to add one.

    `detected_by` are alternatives of keys. `shared` are keys that log10's records have too, where the others decide.
    `body` is the pointer of the response, or some, of which the longest that leads somewhere counts; `fields` are the
    pointers of what `FIELDS` lists, the first that is there. Where `inner` has pointers, what is at `body` is a unit of
    its own: in an envelope that is detected by its keys, or with a response at one of these.

    `error` are the pointers of what says that the call failed, whole; `error_parts` those of its code, message, type
    and provider. Where `failed` has words, they count only beside one of these as status. `missing` says what to do
    where there is no body, `partial` what the envelope is where its body is not a response. `is_call` says of an entry
    whether it is a call at all: of several in one unit the others are counted and passed over. `adjust` is called with
    what was opened, and may change it or raise a `NormalizeError`. `source` is who wrote a response that nothing else
    tells, where the envelope is that service's own.
    """

    name: str
    about: str
    body: str | tuple[str, ...]
    detected_by: tuple[Keys, ...] = ()
    shared: tuple[str, ...] = ()
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    error: tuple[str, ...] = ()
    error_parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()
    example: Any = None
    missing: str = LOG_IT
    inner: tuple[str, ...] = ()
    partial: str | None = None
    source: str | None = None
    match_list: Callable[[list[bytes]], bool] | None = None
    is_call: Callable[[Opened], bool] | None = None
    adjust: Callable[[Opened], None] | None = None

    def __post_init__(self) -> None:
        """Refuse what is not a tuple (`TypeError`), a field or a pointer (`ValueError`)."""
        for what, tuples in (("fields", self.fields.values()), ("error_parts", self.error_parts.values())):
            if any(isinstance(places, str) for places in tuples):
                raise TypeError(f'the {what} of the envelope {self.name} are tuples of pointers: ("/id",)')
        if isinstance(self.error, str):
            raise TypeError(f'the error of the envelope {self.name} is a tuple of pointers: ("/error",)')
        for name in self.fields:
            if name not in FIELDS:
                raise ValueError(f"the envelope {self.name} has no field {name!r}; known are {', '.join(FIELDS)}")
        places = (*self.fields.values(), *self.error_parts.values(), self.error)
        for place in (*self.bodies, *self.inner, *(each for some in places for each in some)):
            path_of(place)

    @property
    def bodies(self) -> tuple[str, ...]:
        """The pointers of the bodies."""
        return (self.body,) if isinstance(self.body, str) else self.body

    @property
    def paths(self) -> list[Path]:
        """Where the bodies are."""
        return [path_of(place) for place in self.bodies]

    @property
    def has_several(self) -> bool:
        """Whether a unit can have more than one body."""
        return any(EACH in path for path in self.paths)

    def match(self, unit: Members) -> bool:
        """Whether an object has the keys of this envelope."""
        return any(keys.match(unit) for keys in self.detected_by)


def check(preset: object) -> None:
    """Raise `TypeError` or `ValueError` for what a plugin offers and is not a preset that can be detected."""
    if not isinstance(preset, Preset):
        raise TypeError(f"PRESETS holds {type(preset).__name__} objects; it must be a tuple of Preset(…)")
    if not isinstance(preset.detected_by, tuple) or not all(
        isinstance(keys, Keys) and keys.has for keys in preset.detected_by
    ):
        raise ValueError(f'detected_by of the envelope {preset.name} is a tuple of keys: (has("acme_id"),)')


class Around:
    """The values around a body, by pointer; each is taken once, and what nobody took goes to `extra`."""

    def __init__(self, place: Place, findings: Findings) -> None:
        self.findings = findings
        self.taken: dict[str, Any] = {}
        self._values = place.around
        self._each = place.each

    def at(self, place: str) -> str:
        """The pointer of a value, with what `*` stands for at this body."""
        for token in self._each:
            place = place.replace("/*", "/" + escape(token), 1)
        return self.findings.prefix + place

    def raw(self, place: str) -> bytes | None:
        """A value as it is written, without taking it; `None` for null."""
        at = self.at(place)
        if at not in self._values:
            self._open_above(at)
        value = self._values.get(at, b"null")
        return None if value == b"null" else value

    def _open_above(self, at: str) -> None:
        """Put the members of the object that holds a value in the object's place, where it is there."""
        above, _, key = at.rpartition("/")
        if not above:
            return
        if above not in self._values:
            self._open_above(above)
        raw = self._values.get(above)
        members = None if raw is None else members_of(text_inside(raw, above)[0])
        if members is not None and key in {escape(name) for name in members}:
            del self._values[above]
            self._values.update((f"{above}/{escape(name)}", bytes(value)) for name, value in members.items())

    def take(self, place: str, value: Any) -> None:
        """Say that a value was read."""
        at = self.at(place)
        self.taken[at] = value
        self._values.pop(at, None)

    def value(self, place: str) -> Any:
        """A value, JSON in a string opened; it is taken."""
        raw = self.raw(place)
        if raw is None:
            return None
        value = opened_value(raw, self.at(place))
        self.take(place, value)
        return value

    def text(self, place: str, *, digits: bool = False) -> str | None:
        """A string or a number; anything else stays. `digits` says that a number is what is meant.

        Such a number goes to `extra` too, for it is one.
        """
        raw = self.raw(place)
        if raw is None or not _starts_scalar(raw):
            return None
        value = parse(raw)
        if digits and not isinstance(value, str):
            return raw.decode()
        self.take(place, value)
        if isinstance(value, str):
            return self.findings.text(value, self.at(place))
        self.findings.notes.append(Note(code="number_as_text", path=self.at(place), before=value))
        return raw.decode()

    def number(self, place: str) -> float | None:
        """A number in range; anything else stays. A number that is written as text, as in CSV, stays in `extra` too."""
        raw = self.raw(place)
        if raw is None or not _starts_scalar(raw):
            return None
        value: Any = parse(raw)
        at = self.at(place)
        if isinstance(value, str):
            text = value
            if _NUMBER.fullmatch(text) is None:
                return None
            value = parse(text.encode())
            self.findings.extra[at] = text
        if isinstance(value, int) and not in_range(value):
            self.findings.extra.pop(at, None)
            return None
        self.take(place, value)
        number: float = value
        return number

    def close(self, given: Container[str] = ()) -> list[str]:
        """Put what nobody took into `extra`, and give the pointers of the lists and objects among it.

        What is around several bodies is with each; of lists and objects, those that are `given` are left out. Raises
        `MalformedPayloadError`.
        """
        large = []
        for at, raw in self._values.items():
            if raw[:1] in (b"{", b"["):
                if at in given:
                    continue
                large.append(at)
            if raw != b"null":
                try:
                    self.findings.extra[at] = parse(raw, depth=at.count("/"))
                except NormalizeError as error:
                    error.path = at
                    raise
        self._values = {}
        return large


def _starts_scalar(raw: bytes) -> bool:
    """Whether a JSON value is a string or a number."""
    return raw[:1].isdigit() or raw[:1] in (b'"', b"-")


@dataclass(slots=True)
class Opened:
    """A unit taken apart.

    `body` is the response as it is written in the unit at the pointer `at`: JSON or an event stream. Where there is
    none, `missing` says what to do about it. `envelope` is what is known of what is around, and `around` holds the
    rest. `failure` is what the envelope says of a failed call, from the pointers `error_places`. `cost` is what the
    logger says that the call cost, in US dollars, with its pointer. `encrypted` says how to read a body that is
    encrypted, `source` who wrote a response that nothing else decides.
    """

    envelope: Envelope | None
    around: Around
    at: str
    body: bytes | None
    failure: ServiceError | None = None
    error_places: tuple[str, ...] = ()
    cost: tuple[str, float] | None = None
    missing: str = LOG_IT
    encrypted: str | None = None
    source: str | None = None


# -- the fields


def _text(name: str) -> Callable[[Opened, str], bool]:
    def read(opened: Opened, place: str) -> bool:
        text = opened.around.text(place, digits=name in ("status", "created_at"))
        setattr(opened.envelope, name, text)
        return text is not None

    return read


def _duration(opened: Opened, place: str, *, exponent: int = 0) -> bool:
    number = opened.around.number(place)
    if number is None:
        return False
    if exponent:
        at = opened.around.at(place)
        opened.around.findings.notes.append(Note(code="milliseconds", path=at, before=number))
    assert opened.envelope is not None
    opened.envelope.duration = _shifted(number, exponent)
    return True


def _milliseconds(opened: Opened, place: str) -> bool:
    return _duration(opened, place, exponent=-3)


def _shifted(number: float, exponent: int) -> float:
    """A number with its decimal point moved: 812.3 is 0.8123, where a division gives 0.8122999999999999."""
    return float(Decimal(repr(number)).scaleb(exponent)) if exponent else number


def _until(opened: Opened, place: str) -> bool:
    """The time between `created_at` and the end, which stays in `extra`; both must be ISO 8601."""
    envelope, raw = opened.envelope, opened.around.raw(place)
    if envelope is None or envelope.created_at is None or envelope.duration is not None or raw is None:
        return False
    try:
        begin, end = datetime.fromisoformat(envelope.created_at), datetime.fromisoformat(str(parse(raw)))
        envelope.duration = (end - begin).total_seconds()
    except (ValueError, TypeError):
        return False
    return True


def _request(opened: Opened, place: str) -> bool:
    assert opened.envelope is not None
    opened.envelope.request = opened.around.value(place)
    return opened.envelope.request is not None


def _tags(opened: Opened, place: str) -> bool:
    raw = opened.around.raw(place)
    tags = None if raw is None else opened_value(raw, opened.around.at(place))
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        return False
    assert opened.envelope is not None
    opened.envelope.tags = tags
    opened.around.take(place, tags)
    return True


def _properties(opened: Opened, place: str) -> bool:
    """The members of an object as tags, `name=value`; the object stays in `extra`."""
    raw = opened.around.raw(place)
    properties = None if raw is None else opened_value(raw, opened.around.at(place))
    if not isinstance(properties, dict) or not properties:
        return False
    tags = [f"{name}={value}" for name, value in properties.items() if isinstance(value, str)]
    assert opened.envelope is not None
    opened.envelope.tags = tags or opened.envelope.tags
    return True


def _cost(opened: Opened, place: str, *, exponent: int = 0) -> bool:
    number = opened.around.number(place)
    if number is None:
        return False
    at = opened.around.at(place)
    if exponent:
        opened.around.findings.extra[at] = number
    opened.cost = (at, _shifted(number, exponent))
    return True


def _cents(opened: Opened, place: str) -> bool:
    return _cost(opened, place, exponent=-2)


FIELDS: Mapping[str, Callable[[Opened, str], bool]] = {
    "id": _text("id"),
    "status": _text("status"),
    "created_at": _text("created_at"),
    "session_id": _text("session_id"),
    "duration": _duration,
    "duration_ms": _milliseconds,
    "ended_at": _until,
    "request": _request,
    "tags": _tags,
    "properties": _properties,
    "cost": _cost,
    "cost_cents": _cents,
}
"""What an envelope can say, by name; each reads a value and says whether it was one.

`duration` is in seconds, `duration_ms` in milliseconds; where there is neither, `ended_at` is the end of what began at
`created_at`. `properties` are tags with names. `cost` is in US dollars, `cost_cents` in
cents of these: what was written stays in `extra`.
"""


def opened_by(preset: Preset, place: Place, prefix: str = "") -> Opened:
    """What a preset says of a body and of what is around it."""
    around = Around(place, Findings(prefix=prefix))
    body = place.body if place.body is not None and place.body not in EMPTY else None
    opened = Opened(Envelope(kind=preset.name), around, place.at, body, missing=preset.missing, source=preset.source)
    for name, places in preset.fields.items():
        read = FIELDS[name]
        for each in places:
            if read(opened, each):
                break
    assert opened.envelope is not None
    status = opened.envelope.status
    if status in FAILED_STATUSES:
        opened.failure = ServiceError(code=int(status))
    if not preset.failed or status in preset.failed:
        _read_failure(preset, opened)
    if preset.adjust is not None:
        preset.adjust(opened)
    return opened


def _read_failure(preset: Preset, opened: Opened) -> None:
    """What an envelope says of a failed call."""
    around = opened.around
    before = len(around.taken)
    failure = next(filter(None, (read_error(around, place) for place in preset.error)), None)
    parts = {
        name: part
        for name, places in preset.error_parts.items()
        if (part := next(filter(None, (_part(around, name, place) for place in places)), None)) is not None
    }
    for name, part in parts.items():
        failure = failure or ServiceError()
        if getattr(failure, name) is None:
            setattr(failure, name, part)
    if failure is None and preset.failed:
        failure = ServiceError()
    if failure is not None:
        opened.failure = failure
        opened.error_places = tuple(around.taken)[before:]


def read_error(around: Around, place: str) -> ServiceError | None:
    """What a value says of a failed call, `None` where it says nothing."""
    raw = around.raw(place)
    if raw is None or raw in EMPTY:
        return None
    at = around.at(place).removeprefix(around.findings.prefix)
    return service_error(around.value(place), around.findings, *path_of(at))


def _part(around: Around, name: str, place: str) -> int | str | None:
    """One member of an error; its code can be a whole number."""
    is_text = (around.raw(place) or b"").startswith(b'"')
    code = around.number(place) if name == "code" and not is_text else None
    return code if isinstance(code, int) else around.text(place)
