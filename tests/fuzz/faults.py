"""The library with one fault planted in it, to prove that each kind of violation is seen. Most payloads pass."""

from __future__ import annotations

import os
import signal
import time
import zlib
from collections.abc import Iterable

from normcompletion import Completion, InvalidPayloadError, MalformedPayloadError, NormalizeError, UnknownPayloadError
from tests.fuzz.check import Library

DEADLY = 20  # one payload of so many


def is_chosen(payload: bytes, of: int = 4) -> bool:
    """Whether a payload is one of those that meet the fault."""
    return zlib.crc32(payload) % of == 0


class Foreign(Library):
    """Lets a foreign exception out."""

    def normalize(self, payload: bytes, *, source: str | None, strict: bool) -> Completion:
        if is_chosen(payload):
            raise KeyError(source)
        return super().normalize(payload, source=source, strict=strict)


class Learns(Library):
    """Lets a foreign exception out at the second payload of a kind."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()

    def forget(self) -> None:
        super().forget()
        self.seen.clear()

    def normalize(self, payload: bytes, *, source: str | None, strict: bool) -> Completion:
        if is_chosen(payload):
            self.seen.add(payload)
            if len(self.seen) > 1:
                raise KeyError(source)
        return super().normalize(payload, source=source, strict=strict)


class WrongType(Library):
    """Gives back what is no completion."""

    def normalize(self, payload: bytes, *, source: str | None, strict: bool) -> Completion:
        if is_chosen(payload):
            return None  # type: ignore[return-value]
        return super().normalize(payload, source=source, strict=strict)


class AcceptsInvalid(Library):
    """Gives a completion for what is no JSON."""

    def normalize(self, payload: bytes, *, source: str | None, strict: bool) -> Completion:
        try:
            return super().normalize(payload, source=source, strict=strict)
        except MalformedPayloadError:
            return Completion(source="openai", variant="chat")


class RefusesValid(Library):
    """Calls JSON malformed."""

    def normalize(self, payload: bytes, *, source: str | None, strict: bool) -> Completion:
        if is_chosen(payload):
            raise MalformedPayloadError("no JSON")
        return super().normalize(payload, source=source, strict=strict)


class StrictIsLaxer(Library):
    """Accepts in strict mode what lenient mode refuses."""

    def normalize(self, payload: bytes, *, source: str | None, strict: bool) -> Completion:
        try:
            return super().normalize(payload, source=source, strict=strict)
        except UnknownPayloadError:
            if not strict:
                raise
            return Completion(source="openai", variant="chat")


class StrictDiffers(Library):
    """Reads otherwise in strict mode."""

    def normalize(self, payload: bytes, *, source: str | None, strict: bool) -> Completion:
        completion = super().normalize(payload, source=source, strict=strict)
        if strict:
            completion.id = "another"
        return completion


class StrictRefusesWithoutFaults(Library):
    """Refuses in strict mode and names no fault."""

    def normalize(self, payload: bytes, *, source: str | None, strict: bool) -> Completion:
        if strict and is_chosen(payload):
            raise InvalidPayloadError("no")
        return super().normalize(payload, source=source, strict=strict)


class LosesAPiece(Library):
    """Forgets the last piece of a stream."""

    def assemble(self, pieces: Iterable[bytes], *, source: str | None) -> Completion:
        return super().assemble(list(pieces)[:-1], source=source)


class Unwritable(Library):
    """Gives a completion that cannot be written as JSON."""

    def normalize(self, payload: bytes, *, source: str | None, strict: bool) -> Completion:
        completion = super().normalize(payload, source=source, strict=strict)
        completion.extra = {"/x": object()}
        return completion


class Talkative(Library):
    """Quotes the payload in an error."""

    def normalize(self, payload: bytes, *, source: str | None, strict: bool) -> Completion:
        try:
            return super().normalize(payload, source=source, strict=strict)
        except NormalizeError as error:
            error.args = (repr(payload),)
            raise


class HoldsForeign(Library):
    """Raises inside the handling of another exception, which holds the payload."""

    def normalize(self, payload: bytes, *, source: str | None, strict: bool) -> Completion:
        try:
            payload.decode("ascii")
        except UnicodeDecodeError:
            raise MalformedPayloadError("no JSON") from None
        return super().normalize(payload, source=source, strict=strict)


class Crashes(Library):
    """Dies."""

    def normalize(self, payload: bytes, *, source: str | None, strict: bool) -> Completion:
        if is_chosen(payload, DEADLY):
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().normalize(payload, source=source, strict=strict)


class Hangs(Library):
    """Never comes back."""

    def normalize(self, payload: bytes, *, source: str | None, strict: bool) -> Completion:
        if is_chosen(payload, DEADLY):
            time.sleep(600)
        return super().normalize(payload, source=source, strict=strict)


class Refuses(Library):
    """Breaks no promise: refuses everything, each time with the same words."""

    def normalize(self, payload: bytes, *, source: str | None, strict: bool) -> Completion:
        raise UnknownPayloadError("no")

    normalize_chunk = normalize  # type: ignore[assignment]

    def assemble(self, pieces: Iterable[bytes], *, source: str | None) -> Completion:
        raise UnknownPayloadError("no")
