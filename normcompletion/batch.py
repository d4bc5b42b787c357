"""Logs to canonical JSON lines: reading, converting, rejecting, writing. Knows no source.

The unit is a line. Every unit is converted, rejected or blank, and the report says how many were which; a converted
line gives one record, or, where it is a page of records, each of them. Failed, pending and encrypted calls are
records with `error` set.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from .errors import EncryptedPayloadError, MalformedPayloadError, NormalizeError, SourceReportedError
from .model import Completion, ServiceError
from .normalize import normalize_many
from .parse import MAX_RECORD_BYTES, looks_like_stream

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_encode = msgspec.json.Encoder().encode


class Line(NamedTuple):
    """One line of a log: its number from 1, its byte offset, its length, and its text unless that is too long."""

    number: int
    offset: int
    length: int
    text: bytes | None


@dataclass(slots=True)
class Reject:
    """One refused unit; `offset` and `length` are bytes in the input."""

    source: str
    line: int
    offset: int
    length: int
    code: str
    path: str | None
    reason: str


@dataclass(slots=True)
class Report:
    """What a conversion did: `units == converted + rejected + blank`."""

    units: int = 0
    converted: int = 0
    rejected: int = 0
    blank: int = 0
    records: int = 0
    variants: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    errors: int = 0

    def count(self, completion: Completion) -> None:
        """Count one record."""
        self.records += 1
        self.variants[f"{completion.source} {completion.variant}"] += 1
        self.errors += completion.error is not None
        for note in completion.notes:
            self.notes[note.code] += 1


def lines(stream: BinaryIO, limit: int = MAX_RECORD_BYTES) -> Iterator[Line]:
    """The lines of a stream, cut at LF only; at most one line of `limit` bytes is held at a time.

    A byte-order mark at byte 0 is dropped. A saved event stream is one unit, the whole file.
    """
    number = offset = 0
    while chunk := stream.readline(limit + 1):
        number += 1
        if number == 1 and looks_like_stream(chunk):
            chunk += stream.read(limit + 1 - len(chunk))
            yield Line(1, 0, len(chunk), chunk if len(chunk) <= limit else None)
            return
        text: bytes | None = chunk
        length = len(chunk)
        if length > limit and not chunk.endswith(b"\n"):
            text = None
            while chunk := stream.readline(1 << 16):
                length += len(chunk)
                if chunk.endswith(b"\n"):
                    break
        if number == 1 and text is not None and text.startswith(_BOM):
            text = text[len(_BOM) :]
        yield Line(number, offset, length, text)
        offset += length


def records(line: Line, *, source: str | None = None, strict: bool = False) -> Iterator[Completion | NormalizeError]:
    """The records of one line, failed calls among them; an error for each that is refused."""
    if line.text is None:
        yield MalformedPayloadError(
            f"{line.length} bytes are more than a record may have; split it", code="too_long", offset=0
        )
        return
    for item in normalize_many([line.text], on_error="yield", source=source, strict=strict):
        if isinstance(item, SourceReportedError):
            yield item.completion
        elif isinstance(item, EncryptedPayloadError):
            item.completion.error = ServiceError(code="encrypted", message="the body is encrypted")
            yield item.completion
        else:
            yield item


def convert(
    stream: BinaryIO,
    output: BinaryIO,
    *,
    name: str,
    report: Report,
    source: str | None = None,
    strict: bool = False,
) -> Iterator[Reject]:
    """Write the canonical JSON lines of a log; yields what was refused, in order, and counts into the report."""
    for line in lines(stream):
        report.units += 1
        if line.text is not None and not line.text.strip(_BLANK):
            report.blank += 1
            continue
        refused = False
        for item in records(line, source=source, strict=strict):
            if isinstance(item, NormalizeError):
                refused = True
                yield Reject(name, line.number, line.offset, line.length, item.code, item.path, str(item))
            else:
                report.count(item)
                output.write(_encode(item) + b"\n")
        report.rejected += refused
        report.converted += not refused


@contextmanager
def open_input(path: str) -> Iterator[BinaryIO]:
    """A file, or standard input for `-`."""
    if path == "-":
        yield sys.stdin.buffer
    else:
        with Path(path).open("rb") as stream:
            yield stream


@contextmanager
def open_output(path: str, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file that appears under its name only when it is complete and on disk; standard output for `-`."""
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    final = Path(path)
    partial = final.with_name(final.name + ".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(final)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def reject_line(reject: Reject) -> bytes:
    """A reject as one JSON line."""
    built: Any = reject
    return _encode(built) + b"\n"
