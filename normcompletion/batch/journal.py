"""What a run leaves on disk so that a later one can go on: the checkpoint, and what is left to rename.

    with Journal([output, rejects]) as journal:        # no other run has these outputs now
        saved = journal.load()
        if saved is not None and saved.phase == "finishing":
            journal.finish(saved)                      # everything was written; only names were missing
        else:
            now = Checkpoint(program=..., options=..., inputs=[fingerprint(path) for path in inputs])
            check_unchanged(saved, now)                # to go on, or journal.start_over()
            ...                                        # now and then: flush the sinks, journal.save(now)
            now.renames = [...]                        # the sinks are closed
            journal.finish(now)

A checkpoint is replaced as a whole, so there is always the old one or the new one; what it refers to is synced before.
Finishing is a phase of its own because a run can be killed between two renames: whoever resumes finds the list and does
those that are not done. The journal does not know what positions and counts mean; the engine does.

Every output has a checkpoint file, `NAME.checkpoint`, and the run that writes it holds a lock on that file. The first
output's holds the checkpoint; it is empty before the first `save`, and those of the others always are.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Literal, NamedTuple, Self

import msgspec

from . import durable
from .durable import OutputError
from .outputs import OutputRefusedError, final_path, is_stream, remove_parts

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: no locks there
    fcntl = None

VERSION = 1
HASHED_BYTES = 64 << 10  # at the beginning of an input, and at its end
_REPLACED = ".replaced"
_START_OVER = "start over without --resume"


class Fingerprint(msgspec.Struct, frozen=True):
    """By what an input is known again: its size in bytes, when it was modified in ns, and its first and last 64 KiB."""

    path: str
    size: int
    modified: int
    sha256: str


class Rename(NamedTuple):
    """An output that is to get its final name; a directory that has the name is moved to `replaced`, then removed."""

    partial: str
    final: str
    replaced: str | None = None


class Checkpoint(msgspec.Struct, kw_only=True):
    """How far a run has come.

    `program` is the version that wrote it, `options` what was asked for and `inputs` of what: a run that resumes must
    have the same. `sinks` holds the states of the outputs by name, `renames` what `finish` has to do. `position` and
    `counts` are the engine's, and JSON.
    """

    program: str
    options: dict[str, Any]
    inputs: list[Fingerprint]
    version: int = VERSION
    phase: Literal["converting", "finishing"] = "converting"
    position: Any = None
    counts: Any = None
    sinks: dict[str, dict[str, Any]] = {}
    renames: list[Rename] = []


class _Version(msgspec.Struct):
    version: int


class Journal:
    """The checkpoint of a run, and its right to write some outputs while it is entered.

    `outputs` are named as the user named them; streams have no checkpoint, and where all are streams nothing is kept.

    Raises:
        OutputRefusedError: on entering: another run is writing one of them.
        OutputError: on entering: a directory is missing or may not be written.

    """

    def __init__(self, outputs: Sequence[str]) -> None:
        locks: dict[Path, _Lock] = {}
        for output in outputs:
            if not is_stream(output):
                locks.setdefault(final_path(output), _Lock(output))  # that two are one is for `check_outputs` to say
        self._locks = list(locks.values())

    def __enter__(self) -> Self:
        """Take the locks."""
        with contextlib.ExitStack() as stack:
            for lock in self._locks:
                lock.acquire()
                stack.callback(lock.release)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the locks back; a checkpoint stays, files that hold none are removed."""
        self._stack.close()

    @property
    def holds_checkpoint(self) -> bool:
        """Whether there is something to resume from, also where `save` or `finish` raised: keep what it refers to."""
        return bool(self._locks) and self._locks[0].written

    def load(self) -> Checkpoint | None:
        """The checkpoint, `None` where there is none.

        Raises:
            OutputRefusedError: the file is not a checkpoint, or one of another format.

        """
        text = self._locks[0].read() if self._locks else b""
        if not text:
            return None
        path = self._locks[0].path
        try:
            version = msgspec.json.decode(text, type=_Version).version
            if version == VERSION:
                return msgspec.json.decode(text, type=Checkpoint)
        except msgspec.DecodeError as error:
            raise OutputRefusedError(f"{path} is not a checkpoint; {_START_OVER}") from error
        raise OutputRefusedError(f"{path} has format {version}, this program reads {VERSION}; {_START_OVER}")

    def start_over(self) -> None:
        """Forget the checkpoint: before anything it refers to is touched. A directory that was moved away comes back.

        Raises:
            OutputError: it cannot be done.

        """
        try:
            saved = self.load()
        except OutputRefusedError:
            saved = None
        for rename in saved.renames if saved is not None else []:
            _restore(rename)
        if self._locks:
            self._locks[0].empty()

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint. What it refers to must be synced.

        Raises:
            OutputError: the new one cannot be written; the old one is as it was.

        """
        if self._locks:
            self._locks[0].replace(msgspec.json.encode(checkpoint))

    def finish(self, checkpoint: Checkpoint) -> None:
        """Give every output its final name, in the order of `checkpoint.renames`, and remove the checkpoint.

        In phase `finishing` it does what is left of that.

        Raises:
            OutputError: a step failed; resuming does the rest.

        """
        if checkpoint.phase == "converting":
            checkpoint.phase = "finishing"
            checkpoint.renames = [_planned(rename) for rename in checkpoint.renames]
            self.save(checkpoint)
        for rename in checkpoint.renames:
            _publish(rename)
        for lock in reversed(self._locks):
            lock.remove()


class _Lock:
    """One checkpoint file, locked from `acquire` to `release` where the system has such locks."""

    def __init__(self, output: str) -> None:
        final = final_path(output)
        self.path = final.with_name(final.name + ".checkpoint")
        self._new = final.with_name(final.name + ".checkpoint.new")
        self._output = output
        self._held: durable.File | None = None
        self.written = False

    def acquire(self) -> None:
        """Open and lock the file: the one that has the name, not one that is just losing it."""
        while fcntl is not None and self._held is None:
            file = durable.File.open(self.path, self._output, 0o600)
            locked = _lock(file)
            if locked and file.has_name():
                self._held = file
            else:
                file.close()
            if not locked:
                raise OutputRefusedError(f"another run is writing {self._output}; wait for it or name another output")
        durable.remove(self._new, self._output)  # of a run that was killed
        self.written = bool(self.read())

    def release(self) -> None:
        """Give the lock back, and remove the file if it is empty."""
        with contextlib.suppress(OSError):
            if self._held is not None and self._held.has_name() and not self.written:
                durable.remove(self.path, self._output)
        self._hold(None)

    def _hold(self, file: durable.File | None) -> None:
        held, self._held = self._held, file
        if held is not None:
            with contextlib.suppress(OutputError):  # nothing of it is waiting to be written
                held.close()

    def read(self) -> bytes:
        """What the file holds."""
        try:
            return durable.perform("read", self._output, self.path.read_bytes)
        except OutputError as error:
            if error.errno == errno.ENOENT:
                return b""
            raise

    def empty(self) -> None:
        """Leave nothing in the file."""
        if self.written:
            file = durable.File.reopen(self.path, self._output, 0)
            file.sync()
            file.close()
            self.written = False

    def replace(self, text: bytes) -> None:
        """Put a new file with that text into the place of this one, and hold that instead."""
        file = durable.File.create(self._new, self._output, 0o600)
        try:
            file.write(text)
            file.sync()
            if fcntl is None:
                file.close()  # Windows does not rename what is open
            else:
                _lock(file)
            durable.rename(self._new, self.path, self._output)
        except OutputError:
            with contextlib.suppress(OutputError):
                file.close()
            with contextlib.suppress(OutputError):
                durable.remove(self._new, self._output)
            raise
        file.path = self.path
        self.written = True
        self._hold(file)
        durable.sync_directory(self.path.parent, self._output)

    def remove(self) -> None:
        """Remove the file, while it is locked."""
        durable.remove(self.path, self._output)
        with contextlib.suppress(OutputError):  # all is done: if it comes back, resuming finds nothing left to do
            durable.sync_directory(self.path.parent, self._output)


def _lock(file: durable.File) -> bool:
    """Lock an open file; whether nobody else has it locked."""
    assert fcntl is not None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks: a run there is not kept from working
    return True


def _planned(rename: Rename) -> Rename:
    """A rename with a place for what cannot be replaced in one step: where a directory is involved."""
    partial, final = Path(rename.partial), Path(rename.final)
    if partial.is_dir() and durable.exists(final, rename.final):
        return rename._replace(replaced=str(final.with_name(final.name + _REPLACED)))
    return rename


def _publish(rename: Rename) -> None:
    """Give an output its final name unless it has it."""
    partial, final = Path(rename.partial), Path(rename.final)
    replaced = None if rename.replaced is None else Path(rename.replaced)
    if durable.exists(partial, rename.final):
        if replaced is not None and durable.exists(final, rename.final):
            durable.rename(final, replaced, rename.final)
        durable.rename(partial, final, rename.final)
        durable.sync_directory(final.parent, rename.final)
    if replaced is not None:
        _remove_replaced(replaced, rename.final)


def _restore(rename: Rename) -> None:
    """Give back the final name to what `_publish` moved away, or remove that if there is a new one already."""
    if rename.replaced is not None:
        final, replaced = Path(rename.final), Path(rename.replaced)
        if durable.exists(replaced, rename.final) and not durable.exists(final, rename.final):
            durable.rename(replaced, final, rename.final)
            durable.sync_directory(final.parent, rename.final)
        _remove_replaced(replaced, rename.final)


def _remove_replaced(replaced: Path, output: str) -> None:
    if replaced.is_dir():
        remove_parts(replaced, output)
    else:
        durable.remove(replaced, output)


def fingerprint(path: str) -> Fingerprint | None:
    """The fingerprint of an input; `None` where it is not a file: a run that reads a stream cannot be resumed.

    Raises:
        OSError: the file cannot be read.

    """
    file = Path(path)
    if path == "-" or not file.is_file():
        return None
    with file.open("rb") as stream:
        status = os.fstat(stream.fileno())
        digest = hashlib.sha256(stream.read(HASHED_BYTES))
        if status.st_size > HASHED_BYTES:
            stream.seek(max(HASHED_BYTES, status.st_size - HASHED_BYTES))
            digest.update(stream.read(HASHED_BYTES))
    return Fingerprint(path, status.st_size, status.st_mtime_ns, digest.hexdigest())


def check_unchanged(saved: Checkpoint, now: Checkpoint) -> None:
    """Refuse to resume where the program, the options or the inputs are not those of the checkpoint.

    Raises:
        OutputRefusedError: the text names up to three differences.

    """
    found = [*_different_programs(saved, now), *_different_options(saved, now), *_different_inputs(saved, now)]
    if found:
        more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
        raise OutputRefusedError(
            f"cannot resume: {'; '.join(found[:3])}{more}. Call it as the first time, or {_START_OVER}"
        )


def _different_programs(saved: Checkpoint, now: Checkpoint) -> Iterator[str]:
    if saved.program != now.program:
        yield f"version {saved.program} began, this is {now.program}"


def _different_options(saved: Checkpoint, now: Checkpoint) -> Iterator[str]:
    before, after = saved.options, msgspec.json.decode(msgspec.json.encode(now.options))  # lists, where tuples were
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"{name} was {before.get(name)!r:.64}, is {after.get(name)!r:.64}"


def _different_inputs(saved: Checkpoint, now: Checkpoint) -> Iterator[str]:
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
