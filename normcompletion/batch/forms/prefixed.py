r"""Lines of JSON behind what a logger puts at their beginning; each is a unit, as the object that Docker would write.

    2026-01-02T10:00:01.5Z stdout F {"id": …}   ->   {"time": "2026-01-02T10:00:01.5Z", "stream": "stdout", "log": …}

What a prefix says, or the whole prefix, is beside `log`, the text of the rest of the line; the preset `log_line` reads
both. A container's runtime cuts long lines: the parts are put together again. A line without JSON is its own text.
Sources:
https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md (time, stream, `P` or `F`),
https://docs.docker.com/engine/logging/drivers/json-file/ and moby's `daemon/logger/copier.go` (lines of 16 KiB),
https://docs.fluentd.org/output/file (time, tag and record between tabs), https://docs.python.org/3/library/logging.html
(`asctime`), https://docs.aws.amazon.com/cli/latest/reference/logs/tail.html (time and stream, then the message).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from ...payload import MAX_RECORD_BYTES
from ..blocks import Unit

_ISO = rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
PREFIXES = {
    "cri": re.compile(rb"(?P<time>" + _ISO + rb") (?P<stream>stdout|stderr) (?P<part>[FP])(?::[^ ]*)? "),
    "fluentd": re.compile(rb"(?P<time>" + _ISO + rb")\t(?P<tag>[^\t{\[]+)\t"),
    "timestamp": re.compile(rb"\[?(?P<time>" + _ISO + rb")\]?[ \t]+(?P<prefix>[^{]*)"),
}
"""What loggers write before the JSON of a line: Kubernetes' runtimes, fluentd, and all that begin with a time."""

_DOCKER = re.compile(rb'\{\s*"log"\s*:\s*"')
_OPEN = (b"{", b"[", b'"')
_NAMES = ("time", "stream", "prefix")  # one of which the preset `log_line` looks for beside `log`
_PENDING = 64  # that wait for their last part, or for one before them


def known_prefix(head: bytes) -> re.Pattern[bytes] | None:
    """The prefix of the lines of a text by its beginning, or `None` where they have none that is known.

    The first line must have it, and in one of those that are seen JSON must be behind it.
    """
    lines = [line for line in head.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
    for prefix in PREFIXES.values():
        if lines and prefix.match(lines[0]) and any(_rest(prefix, line).startswith(b"{") for line in lines):
            return prefix
    return None


def is_docker(head: bytes) -> bool:
    """Whether a text begins as a file of Docker's `json-file` driver."""
    first = head.partition(b"\n")[0]
    return _DOCKER.match(first) is not None and b'"stream"' in first and b'"time"' in first


def _rest(prefix: re.Pattern[bytes], line: bytes) -> bytes:
    match = prefix.match(line)
    return b"" if match is None else line[match.end() :]


def units(lines: Iterator[Unit], prefix: re.Pattern[bytes], *, limit: int = MAX_RECORD_BYTES) -> Iterator[Unit]:
    """The units of lines with a prefix, in the order in which they begin; `(?P<part>P)` says that more is to come."""
    queue = _Queue(limit)
    for unit in lines:
        match = None if unit.text is None else prefix.match(unit.text)
        if unit.text is None or match is None or not match[0]:
            yield from queue.put(unit)
            continue
        said = {name: value.decode("utf-8", "replace") for name, value in match.groupdict().items() if value}
        if said.keys().isdisjoint(_NAMES):  # the groups of a caller's own expression have other names, if any
            said["prefix"] = match[0].decode("utf-8", "replace")
        more = said.pop("part", "F") == "P"
        rest = unit.text[match.end() :].removesuffix(b"\r")
        if more or queue.is_open(said.get("stream")) or rest.startswith(_OPEN):
            yield from queue.part(unit, said, rest, more=more)
        else:
            yield from queue.put(unit)
    yield from queue.close()


def docker(lines: Iterator[Unit], *, limit: int = MAX_RECORD_BYTES) -> Iterator[Unit]:
    """The units of a file of Docker's: its lines, those that belong together put together."""
    queue = _Queue(limit)
    for unit in lines:
        row = _row(unit.text)
        if row is None:
            yield from queue.put(unit)
            continue
        text = row.pop("log")
        more = not text.endswith("\n")
        if not more and not queue.is_open(row.get("stream")):
            yield from queue.put(unit)
        else:
            yield from queue.part(unit, row, text.encode("utf-8", "surrogatepass"), more=more)
    yield from queue.close()


def _row(text: bytes | None) -> dict[str, Any] | None:
    try:
        row = orjson.loads(text or b"")
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("log"), str) else None


@dataclass(slots=True)
class _Line:
    """A line in the making: its first part, what was said of it, and its text so far."""

    first: Unit
    said: dict[str, Any]
    parts: list[bytes]
    length: int
    count: int = 1
    is_done: bool = False

    def unit(self, limit: int) -> Unit:
        if self.count == 1 and not self.said and not self.parts:
            return self.first
        if self.length > limit:
            return self.first._replace(length=self.length, text=None)
        log = b"".join(self.parts).decode("utf-8", "surrogateescape")
        row = {**self.said, "log": log}
        try:
            text = orjson.dumps(row)
        except TypeError:  # bytes that are not UTF-8: whoever reads the text says where they are
            import json

            text = json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogateescape")
        return self.first._replace(length=self.length, text=text)


class _Queue:
    """Lines that wait for their last part, and those behind them, so that all come in the order of their beginnings."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lines: deque[_Line] = deque()
        self._open: dict[str | None, _Line] = {}

    def is_open(self, stream: str | None) -> bool:
        """Whether a line of a stream waits for more."""
        return stream in self._open

    def put(self, unit: Unit) -> Iterator[Unit]:
        """Add a unit that is whole."""
        self._lines.append(_Line(unit, {}, [], unit.length, is_done=True))
        return self._ready()

    def part(self, unit: Unit, said: dict[str, Any], text: bytes, *, more: bool) -> Iterator[Unit]:
        """Add a part of a line; `more` says that it is not the last one."""
        stream = said.get("stream")
        line = self._open.get(stream)
        if line is None:
            line = _Line(unit, said, [text], unit.length)
            self._lines.append(line)
        else:
            line.length += unit.length
            line.count += 1
            if line.length <= self._limit:
                line.parts.append(text)
            else:
                line.parts.clear()
        if more:
            self._open[stream] = line
        else:
            self._open.pop(stream, None)
            line.is_done = True
        return self._ready()

    def close(self) -> Iterator[Unit]:
        """All that is left: what waits for more is given as it is."""
        while self._lines:
            yield self._lines.popleft().unit(self._limit)

    def _ready(self) -> Iterator[Unit]:
        while self._lines and (self._lines[0].is_done or len(self._lines) > _PENDING):
            line = self._lines.popleft()
            self._open = {stream: each for stream, each in self._open.items() if each is not line}
            yield line.unit(self._limit)
