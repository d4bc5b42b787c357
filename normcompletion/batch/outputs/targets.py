"""What the bytes of one output are written to: a file under its partial name, or a stream."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from .. import durable
from ..durable import OutputError
from .naming import OutputRefusedError, file_type, final_path, is_stream, partial_path


class Target(Protocol):
    """A file under its partial name, or a stream, which can neither be synced nor cut back."""

    length: int

    def write(self, data: bytes | bytearray) -> None:
        """Append all of `data`."""

    def sync(self) -> None:
        """Wait until all that was written is on disk."""

    def close(self) -> None:
        """Close it."""


class _Device(durable.File):
    """A device or a pipe."""

    __slots__ = ()

    def sync(self) -> None:
        pass


class _StandardOutput:
    """Standard output; each write is flushed, and it stays open."""

    def __init__(self) -> None:
        self.length = 0

    def write(self, data: bytes | bytearray) -> None:
        durable.perform("write", "standard output", self._put, data)
        self.length += len(data)

    def _put(self, data: bytes | bytearray) -> None:
        rest = memoryview(data)
        while rest:  # with `python -u` there is no buffer, and a signal cuts a write short
            rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass


def open_target(path: str, resume: int | None, mode: int) -> Target:
    """The target of an output; `resume` is the length to which a file that is there is cut back.

    Raises `OutputError`, and `OutputRefusedError` where it is not there.
    """
    if path == "-":
        return _StandardOutput()
    if is_stream(path):
        return _Device(Path(path), path, durable.perform("open", path, os.open, path, os.O_WRONLY), 0)
    partial = partial_path(final_path(path))
    if resume is None:
        file = durable.File.create(partial, path, mode)
        try:
            durable.sync_directory(partial.parent, path)
        except OutputError:
            stop(file, keep=False)
            raise
        return file
    there = partial.stat().st_size if file_type(partial) == stat.S_IFREG else None
    if there is None or there < resume:
        found = "is missing" if there is None else f"has {there:,} bytes"
        raise OutputRefusedError(f"{partial} {found}, but {resume:,} bytes were written; start over without --resume")
    file = durable.File.open(partial, path)
    file.cut(resume)
    return file


def stop(target: Target, *, keep: bool) -> None:
    """Close a target as it is, and remove a file unless it is to be kept. Raises nothing."""
    with suppress(OutputError):
        target.close()
    if not keep and type(target) is durable.File:
        with suppress(OutputError):
            durable.remove(target.path, target.output)
