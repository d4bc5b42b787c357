"""Faults planted in a log, each of which must come back as a reject with its line, byte offset, length and code."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from normcompletion.batch import convert

CHAT = (
    b'{"id":"c-%d","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"answer"},"finish_reason":"stop"}],"usage":{"prompt_tokens":%d}}'
)
GOOD = CHAT % (7, 7)
DEEP = b'{"choices":' + b"[" * 200 + b"]" * 200 + b"}"

KINDS: tuple[tuple[bytes, str], ...] = (
    (GOOD[:40], "truncated"),
    (GOOD[:-1], "truncated"),
    (GOOD + b" x", "trailing_data"),
    (GOOD + GOOD, "trailing_data"),
    (b"{]", "syntax"),
    (b"<html>502 Bad Gateway</html>", "syntax"),
    (GOOD.replace(b'"created":1', b'"created":NaN'), "syntax"),
    (GOOD.replace(b'"created":1', b'"created":01'), "syntax"),
    (GOOD.replace(b"answer", b"an\x01swer"), "syntax"),
    (GOOD.replace(b"answer", b"\xff"), "not_utf8"),
    (GOOD[:-1] + b',"vendor":"\xff"}', "not_utf8"),
    (b"2026-11-01 INFO " + GOOD, "leading_text"),
    (b"null", "not_object"),
    (b"42", "not_object"),
    (b'"text"', "not_object"),
    (b'{"a":1}', "unknown_shape"),
    (b'{"choices":{}}', "wrong_type"),
    (DEEP, "too_deep"),
    (b'{"resourceSpans":[]}', "fragment"),
    (b"x" * 5000, "too_long"),
)
BLANKS = (b"", b"  ", b"\t\r")


class Fault(NamedTuple):
    """Where a fault was planted, and what it must be called."""

    line: int
    offset: int
    length: int
    code: str


def plant(path: Path, lines: int, faults: int, chance: random.Random) -> tuple[list[Fault], int]:
    """Write a log; its faults in order, and the number of its blank lines."""
    planted: list[Fault] = []
    places = set(chance.sample(range(1, lines + 1), faults))
    offset = blanks = 0
    with gzip.open(path, "wb", 1) if path.suffix == ".gz" else path.open("wb") as log:
        for number in range(1, lines + 1):
            text = CHAT % (number, number)
            if number in places:
                text, code = chance.choice(KINDS)
                planted.append(Fault(number, offset, len(text) + 1, code))
            elif chance.random() < 0.001:
                text = chance.choice(BLANKS)
                blanks += 1
            log.write(text + b"\n")
            offset += len(text) + 1
    return planted, blanks


def wrong(folder: Path, name: str, *, lines: int, faults: int, jobs: int, seed: int) -> Iterator[str]:
    """What a conversion of such a log gets wrong."""
    log, rejects = folder / name, folder / "rejects.jsonl"
    planted, blanks = plant(log, lines, faults, random.Random(seed))
    report = convert(log, folder / "out.jsonl", rejects=rejects, jobs=jobs, overwrite=True, max_record_bytes=4000)
    counts = (report.units, report.converted, report.rejected, report.blank)
    if counts != (lines, lines - faults - blanks, faults, blanks):
        yield f"{name}, {jobs} jobs: units, converted, rejected, blank are {counts}"
    found = [
        Fault(row["line"], row["offset"], row["length"], row["code"])
        for row in map(json.loads, rejects.read_bytes().splitlines())
    ]
    if len(found) != len(planted):
        yield f"{name}, {jobs} jobs: {len(found)} rejects of {len(planted)}"
    for fault, reject in zip(planted, found, strict=False):
        if fault != reject:
            yield f"{name}, {jobs} jobs: planted {fault}, got {reject}"
