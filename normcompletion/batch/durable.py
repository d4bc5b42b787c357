"""Every step on a file that must outlive a crash, in one place: open, write, truncate, sync, rename, remove.

Each step goes through `perform`, which turns an error of the operating system into an `OutputError` that names the
output and what to do. Who wants to see the steps, as the crash tests do, puts another `perform` in its place.

What has to be true after a crash follows from three habits: a file is written under a partial name and renamed when it
is complete and synced; a directory is synced after a name in it has changed; and nothing on disk refers to a thing that
is not synced yet.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")

_BINARY = getattr(os, "O_BINARY", 0)  # without it, Windows would write CRLF
_NO_DIRECTORY_SYNC = (errno.EINVAL, errno.ENOTSUP)  # what network file systems say that need no such sync
_ADVICE = {
    errno.ENOSPC: "free some space or write elsewhere",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f) or write elsewhere",
    errno.EIO: "the disk reports a fault; write elsewhere",
    errno.EROFS: "write to a file system that is not read-only",
    errno.EACCES: "write where you have the permission to",
    errno.EPERM: "write where you have the permission to",
    errno.ENOENT: "make the directory first (mkdir -p {directory})",
    errno.ENOTDIR: "what stands for a directory in it is a file; name another output",
    errno.EISDIR: "a directory of that name is in the way; move it or name another output",
    errno.ENOTEMPTY: "the directory holds files of others; move them or name another output",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its symbolic links lead in a circle; name another output",
    errno.EPIPE: "the program that reads it has ended",
}
if hasattr(errno, "EDQUOT"):
    _ADVICE[errno.EDQUOT] = "free some of your quota or write elsewhere"


class OutputError(OSError):
    """An output cannot be written.

    `filename` is the output as the user named it, `errno` and `strerror` are the operating system's, `step` is what
    could not be done, and `written` how many bytes the file had, where that is known. The text says what to do next.

    >>> print(OutputError(28, "No space left on device", "records.jsonl"))
    records.jsonl: No space left on device; free some space or write elsewhere
    """

    step: str | None = None
    written: int | None = None

    @property
    def advice(self) -> str:
        """What to do next, without a full stop."""
        text = _ADVICE.get(self.errno or 0, "check the file system it is on")
        return text.format(directory=Path(self.filename).parent)

    def __str__(self) -> str:
        """Which output, what happened, what to do."""
        after = "" if self.written is None else f" after {self.written:,} bytes"
        return f"{self.filename}: {self.strerror}{after}; {self.advice}"


def perform(step: str, output: str, call: Callable[_P, _R], *arguments: _P.args, **options: _P.kwargs) -> _R:
    """Do one step for an output and return its result.

    `step` is one of "open", "write", "truncate", "sync", "close", "rename", "remove", "make directory",
    "remove directory" and "sync directory", or, where nothing is changed, "look", "list" and "read".

    Raises:
        OutputError: the step failed.

    """
    try:
        return call(*arguments, **options)
    except OSError as error:
        translated = OutputError(error.errno, error.strerror or str(error), output)
        translated.step = step
        raise translated from error


class File:
    """A file that is written from its start to its end, without a buffer.

    `path` is where it is, `output` the name its errors carry, `length` how many bytes it has.
    """

    __slots__ = ("_descriptor", "_failed", "_synced", "length", "output", "path")

    def __init__(self, path: Path, output: str, descriptor: int, length: int) -> None:
        self.path = path
        self.output = output
        self.length = length
        self._descriptor = descriptor
        self._synced = False
        self._failed: OutputError | None = None

    @classmethod
    def create(cls, path: Path, output: str, mode: int = 0o666) -> Self:
        """A new and empty file; what had its name before is removed, so that `mode` (less the umask) holds.

        Its name is not on disk before the directory is synced.
        """
        remove(path, output)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
        descriptor = perform("open", output, os.open, path, flags, mode)
        return cls(path, output, descriptor, 0)

    @classmethod
    def open(cls, path: Path, output: str, mode: int = 0o666) -> Self:
        """A file as it is; a new one if there is none. `cut` says where writing begins."""
        return cls(path, output, perform("open", output, os.open, path, os.O_WRONLY | os.O_CREAT | _BINARY, mode), 0)

    def cut(self, length: int) -> None:
        """Keep the first `length` bytes, and write behind them."""
        self._perform("truncate", os.ftruncate, self._descriptor, length)
        os.lseek(self._descriptor, length, os.SEEK_SET)
        self.length = length
        self._synced = False

    def fileno(self) -> int:
        """The descriptor of the open file."""
        return self._descriptor

    def has_name(self) -> bool:
        """Whether its name is still, or again, that of this file."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def write(self, data: bytes | bytearray) -> None:
        """Append all of `data`."""
        rest = memoryview(data)
        while rest:
            written = self._perform("write", os.write, self._descriptor, rest)
            self._synced = False
            self.length += written
            rest = rest[written:]

    def sync(self) -> None:
        """Wait until all that was written is on disk."""
        if not self._synced:
            self._perform("sync", os.fsync, self._descriptor)
            self._synced = True

    def _perform(self, step: str, call: Callable[_P, _R], *arguments: _P.args, **options: _P.kwargs) -> _R:
        # After an error nobody knows what is on disk, and a second sync would say that all is well.
        if self._failed is not None:
            raise self._failed
        try:
            return perform(step, self.output, call, *arguments, **options)
        except OutputError as error:
            error.written = self.length
            self._failed = error
            raise

    def close(self) -> None:
        """Close the file, which syncs nothing; a second time does nothing."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            perform("close", self.output, os.close, descriptor)


def exists(path: Path, output: str) -> bool:
    """Whether there is something of that name."""
    return perform("look", output, path.exists)


def rename(old: Path, new: Path, output: str) -> None:
    """Give a file or directory another name; a file that had the name, or an empty directory, is replaced."""
    perform("rename", output, old.replace, new)


def remove(path: Path, output: str) -> None:
    """Remove a file, if it is there."""
    perform("remove", output, path.unlink, missing_ok=True)


def make_directory(path: Path, output: str, mode: int = 0o777) -> None:
    """Make a directory, if it is not there."""
    perform("make directory", output, path.mkdir, mode, exist_ok=True)
    sync_directory(path.parent, output)


def remove_directory(path: Path, output: str) -> None:
    """Remove an empty directory."""
    perform("remove directory", output, path.rmdir)


def sync_directory(path: Path, output: str) -> None:
    """Wait until the names in a directory are on disk."""
    if os.name == "posix":  # elsewhere a directory cannot be opened
        perform("sync directory", output, _sync_directory, path)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_SYNC:
            raise
    finally:
        os.close(descriptor)
