"""What a run leaves on disk so that a later one can go on: the checkpoint file, `NAME.checkpoint`.

Its first line is the `Header`: what is converted, and how. Each line behind it is a `Checkpoint`, written at the end of
a part of the input, when all that came of it is synced. The file is only ever appended to, and a line that a crash cut
off does not count. The last checkpoint of a run is `done`: everything was written, and only names are missing.

Every output of a run has such a file, and the run that writes it holds a lock on it. The first output's holds the
checkpoints; it is empty before the first of them, and those of the others always are.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import msgspec

from . import durable
from .blocks import Position
from .durable import OutputError
from .inputs import STDIN, Input, InputError
from .outputs.naming import OutputRefusedError, final_path, is_stream, restore

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: no locks there
    fcntl = None

VERSION = 2
HASHED_BYTES = 64 << 10  # at the beginning of an input, and at its end
_START_OVER = "start over without --resume"


class Fingerprint(msgspec.Struct, frozen=True):
    """By what an input is known again: its size in bytes, when it was modified in ns, and its first and last 64 KiB."""

    path: str
    size: int
    modified: int
    sha256: str


class Header(msgspec.Struct, kw_only=True):
    """What must be the same in a run that resumes another.

    `program` is the version that wrote it, `options` what was asked for, `inputs` of what.
    """

    version: int = VERSION
    program: str
    options: dict[str, Any]
    inputs: list[Fingerprint]


class Checkpoint(msgspec.Struct, kw_only=True):
    """How far a run has come.

    `position` is where the next part begins, `lengths` are those of the outputs by name (bytes of a file, files of a
    folder), `report` is `Report.to_builtins` of all parts so far, `broken` has the inputs that broke off before
    `position`: place in the list, name, offset, reason. With `done` nothing is left but to rename; `replaces` says
    that the output is a folder that takes the place of another.
    """

    position: Position
    report: dict[str, Any]
    lengths: dict[str, int] = {}
    broken: list[tuple[int, str, int, str]] = []
    done: bool = False
    replaces: bool = False


class _Version(msgspec.Struct):
    version: int


class Journal:
    """The checkpoints of a run, and its right to write some outputs while it is entered.

    `outputs` are named as the user named them; streams have no checkpoint, and where all are streams nothing is kept.

    Raises:
        OutputRefusedError: on entering: another run is writing one of them.
        OutputError: on entering: a directory is missing or may not be written.

    """

    def __init__(self, outputs: Sequence[str], header: Header) -> None:
        locks: dict[Path, _Lock] = {}
        for output in outputs:
            if not is_stream(output):
                locks.setdefault(final_path(output), _Lock(output))  # that two are one is for `check_outputs` to say
        self._locks = list(locks.values())
        self._header = header
        self._length = 0  # of the lines that count
        self.holds_checkpoint = False
        """Whether there is something to resume from, also where `append` raised: keep what it refers to."""

    def __enter__(self) -> Self:
        """Take the locks."""
        with contextlib.ExitStack() as stack:
            for lock in self._locks:
                lock.acquire()
                stack.callback(lock.release)
            self.holds_checkpoint = bool(self._locks and self._locks[0].read())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the locks back; a checkpoint stays, files that hold none are removed."""
        if self._locks:
            self._locks[0].keep = self.holds_checkpoint
        self._stack.close()

    def load(self) -> Checkpoint | None:
        """The last checkpoint, `None` where there is none.

        Raises:
            OutputRefusedError: the file is not a checkpoint, one of another format, or of another run.

        """
        first, *checkpoints = self._lines() or [b""]
        if not first:
            return None
        path = self._locks[0].path
        try:
            version = msgspec.json.decode(first, type=_Version).version
            if version != VERSION:
                raise OutputRefusedError(f"{path} has format {version}, this program reads {VERSION}; {_START_OVER}")
            check_unchanged(msgspec.json.decode(first, type=Header), self._header)
            saved = msgspec.json.decode(checkpoints[-1], type=Checkpoint) if checkpoints else None
        except msgspec.DecodeError as error:
            raise OutputRefusedError(f"{path} is not a checkpoint; {_START_OVER}") from error
        self._length = len(first) + 1 + sum(len(line) + 1 for line in checkpoints)
        return saved

    def _lines(self) -> list[bytes]:
        """The lines of the file; what a crash cut off is left out."""
        return self._locks[0].read().split(b"\n")[:-1] if self._locks else []

    def start_over(self) -> None:
        """Forget all checkpoints: before anything they refer to is touched. A folder that was moved away comes back.

        Raises:
            OutputError: it cannot be done.

        """
        if self._locks:
            with contextlib.suppress(IndexError, msgspec.DecodeError):  # no checkpoint, or not of this format
                if msgspec.json.decode(self._lines()[1:][-1], type=Checkpoint).replaces:
                    restore(self._locks[0].output)
            self._locks[0].write(b"", 0)
        self._length = 0
        self.holds_checkpoint = False

    def append(self, checkpoint: Checkpoint) -> None:
        """Add a checkpoint. What it refers to must be synced.

        Raises:
            OutputError: it cannot be written; the one before it counts.

        """
        if self._locks:
            header = b"" if self._length else msgspec.json.encode(self._header) + b"\n"
            text = header + msgspec.json.encode(checkpoint) + b"\n"
            self._locks[0].write(text, self._length)
            self._length += len(text)
            self.holds_checkpoint = True

    def remove(self) -> None:
        """Remove the files, the checkpoints last: nothing is left to do.

        Raises:
            OutputError: one cannot be removed.

        """
        for lock in reversed(self._locks):
            lock.remove()
        self.holds_checkpoint = False


class _Lock:
    """One checkpoint file, locked from `acquire` to `release` where the system has such locks."""

    def __init__(self, output: str) -> None:
        final = final_path(output)
        self.path = final.with_name(final.name + ".checkpoint")
        self.keep = False
        self.output = output
        self._file: durable.File | None = None

    def acquire(self) -> None:
        """Open and lock the file: the one that has the name, not one that is just losing it."""
        while self._file is None:
            file = durable.File.open(self.path, self.output, 0o600)
            locked = _lock(file)
            if locked and file.has_name():
                self._file = file
            else:
                file.close()
            if not locked:
                raise OutputRefusedError(f"another run is writing {self.output}; wait for it or name another output")

    def release(self) -> None:
        """Give the lock back, and remove the file unless it is to be kept."""
        file, self._file = self._file, None
        assert file is not None
        with contextlib.suppress(OSError):
            if fcntl is None:
                file.close()  # Windows does not remove what is open
            if not self.keep and (fcntl is None or file.has_name()):
                durable.remove(self.path, self.output)
        with contextlib.suppress(OutputError):  # nothing of it is waiting to be written
            file.close()

    def read(self) -> bytes:
        """What the file holds."""
        return durable.perform("read", self.output, self.path.read_bytes)

    def write(self, text: bytes, length: int) -> None:
        """Write `text` behind the first `length` bytes, and wait until it is on disk."""
        assert self._file is not None
        if self.path.stat().st_size or text:
            self._file.cut(length)
            self._file.write(text)
            self._file.sync()
            durable.sync_directory(self.path.parent, self.output)

    def remove(self) -> None:
        """Remove the file, while it is locked."""
        if fcntl is None and self._file is not None:
            self._file.close()
        durable.remove(self.path, self.output)
        with contextlib.suppress(OutputError):  # all is done: if it comes back, resuming finds nothing left to do
            durable.sync_directory(self.path.parent, self.output)


def _lock(file: durable.File) -> bool:
    """Lock an open file; whether nobody else has it locked."""
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass  # a file system without locks: a run there is not kept from working
    return True


def fingerprint(source: Input) -> Fingerprint | None:
    """The fingerprint of an input; `None` where it is not a file: a run that reads a stream cannot be resumed.

    Raises:
        InputError: the file cannot be read.

    """
    path = Path(source.path)
    if source.path == STDIN or not path.is_file():
        return None
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            digest = hashlib.sha256(stream.read(HASHED_BYTES))
            if status.st_size > HASHED_BYTES:
                stream.seek(max(HASHED_BYTES, status.st_size - HASHED_BYTES))
                digest.update(stream.read(HASHED_BYTES))
    except OSError as error:
        raise InputError(f"{source.name} cannot be read: {error.strerror or error}; check its permissions") from None
    return Fingerprint(source.path, status.st_size, status.st_mtime_ns, digest.hexdigest())


def check_unchanged(saved: Header, now: Header) -> None:
    """Refuse to resume where the program, the options or the inputs are not those of the checkpoint.

    Raises:
        OutputRefusedError: the text names up to three differences.

    """
    found = list(_differences(saved, now))
    if found:
        more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
        raise OutputRefusedError(
            f"cannot resume: {'; '.join(found[:3])}{more}. Call it as the first time, or {_START_OVER}"
        )


def _differences(saved: Header, now: Header) -> Iterator[str]:
    if saved.program != now.program:
        yield f"version {saved.program} began, this is {now.program}"
    was, is_now = saved.options, msgspec.json.decode(msgspec.json.encode(now.options))  # lists, where tuples were
    for name in sorted(was.keys() | is_now.keys()):
        if was.get(name) != is_now.get(name):
            yield f"{name} was {was.get(name)!r:.64}, is {is_now.get(name)!r:.64}"
    before = {each.path: each for each in saved.inputs}
    after = {each.path: each for each in now.inputs}
    for path, old in before.items():
        new = after.get(path)
        if new is None:
            yield f"{path} is no longer an input"
        elif new.size != old.size:
            yield f"{path} had {old.size:,} bytes, has {new.size:,}"
        elif new != old:
            yield f"{path} was modified"
    for path in after:
        if path not in before:
            yield f"{path} is a new input"
    if before.keys() == after.keys() and [each.path for each in saved.inputs] != [each.path for each in now.inputs]:
        yield "the inputs come in another order"
