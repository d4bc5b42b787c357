"""The files to which outputs are written: under a partial name, or a stream."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from .. import durable
from ..durable import OutputError
from .naming import OutputRefusedError, file_type, final_path, is_stream, partial_path


class _Device(durable.File):
    """A device or a pipe, which can neither be synced nor cut back."""

    __slots__ = ()

    def sync(self) -> None:
        pass


class _StandardOutput(_Device):
    """Standard output, which stays open; each write is flushed."""

    __slots__ = ()

    def write(self, data: bytes | bytearray) -> None:
        durable.perform("write", "standard output", self._put, data)
        self.length += len(data)

    def _put(self, data: bytes | bytearray) -> None:
        rest = memoryview(data)
        while rest:  # with `python -u` there is no buffer, and a signal cuts a write short
            rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()


def open_target(path: str, resume: int | None, mode: int) -> durable.File:
    """The target of an output; `resume` is the length to which a file that is there is cut back.

    Raises `OutputError`, and `OutputRefusedError` where it is not there.
    """
    if path == "-":
        return _StandardOutput(Path(path), path, -1, 0)
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


def stop(target: durable.File, *, keep: bool) -> None:
    """Close a target as it is, and remove a file unless it is to be kept. Raises nothing."""
    with suppress(OutputError):
        target.close()
    if not keep and not isinstance(target, _Device):
        with suppress(OutputError):
            durable.remove(target.path, target.output)
