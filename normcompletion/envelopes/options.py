"""What the caller knows of the envelopes of a log: their name, or where the responses are in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from ..errors import did_you_mean, excerpt
from .encodings import ENCODINGS, Encoding
from .preset import FIELDS
from .registry import known_envelopes
from .spread import path_of


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
            path_of(place)

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


def _is_glob(rule: str) -> bool:
    return "=" in rule and not rule.startswith("/")
