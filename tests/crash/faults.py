"""What can go wrong at a durable step: the process dies before it, dies halfway through a write, or the step fails.

A `Fault` is in for `normcompletion.batch.durable.perform`. It numbers the steps from 1 and strikes at one of them.
A process that dies can leave several kinds of disk behind:

    kept         everything it did is there: the process was killed
    unsynced     data that was not synced is gone, names are as they were left: the usual loss of power
    half         half of the data that was not synced is gone
    forgotten    as `unsynced`, and names that changed in a directory that was not synced since are as before, all of
                 them or the last ones
    unordered    as `forgotten`, but only renames are: a file system may do a later step first
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from normcompletion.batch import durable

Disk = Literal["kept", "unsynced", "half", "forgotten", "unordered"]
DISKS: tuple[Disk, ...] = ("kept", "unsynced", "half", "forgotten", "unordered")
FORGETFUL = ("forgotten", "unordered")
KILLED = 137  # what a shell says of a process that got SIGKILL
GROWING = ("write", "open", "make directory", "sync")  # the steps that fail while a disk is full


class Fault:
    """Strikes at step `at`; `torn` writes half of the data first, `error` is an errno to fail with instead of dying."""

    def __init__(self, at: int = 0, *, disk: Disk = "kept", torn: bool = False, error: int | None = None) -> None:
        self.at = at
        self.disk = disk
        self.torn = torn
        self.error = error
        self.steps: list[str] = []
        self._struck = False
        self._lock = threading.RLock()
        self._files: dict[int, tuple[int, int]] = {}  # by descriptor
        self._synced: dict[tuple[int, int], int] = {}  # how many bytes of a file, by device and inode
        self._cut: dict[tuple[int, int], bytes] = {}  # what a file held that was cut back and not synced since
        self._undo: list[tuple[str, Path, Callable[[], object]]] = []  # how to take back steps on names in a directory
        self._backups = Path(tempfile.mkdtemp(dir=os.environ.get("CRASH_BACKUPS"))) if disk in FORGETFUL else None
        self._perform = durable.perform

    def install(self) -> Fault:
        """Take the place of `durable.perform`."""
        durable.perform = self.perform
        return self

    def perform(self, step: str, output: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Do a step, or strike."""
        with self._lock:  # one after the other, so that the model of the disk holds
            self.steps.append(step)
            if self.error is not None:
                return self._perform(step, output, self._failing(step, call), *arguments, **options)
            if len(self.steps) == self.at:
                if self.torn and step == "write":
                    os.write(arguments[0], arguments[1][: len(arguments[1]) // 2])
                self._die()
            self._before(step, call, arguments)
            result = self._perform(step, output, call, *arguments, **options)
            self._after(step, arguments, result)
            return result

    def _failing(self, step: str, call: Callable[..., Any]) -> Callable[..., Any]:
        full = self.error == errno.ENOSPC and self._struck and step in GROWING
        if len(self.steps) != self.at and not full:
            return call
        self._struck = True

        def fail(*arguments: Any, **options: Any) -> None:
            assert self.error is not None
            raise OSError(self.error, os.strerror(self.error))

        return fail

    # -- a model of what a disk may forget

    def _before(self, step: str, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        if step == "truncate":
            descriptor = os.open(f"/proc/self/fd/{arguments[0]}", os.O_RDONLY)
            self._cut[self._files[arguments[0]]] = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
            os.close(descriptor)
        if self._backups is None:
            return
        if step == "open":
            path = Path(arguments[0])
            if not path.exists():
                self._undo.append((step, path.parent, lambda: path.unlink(missing_ok=True)))
        elif step == "make directory":
            path = call.__self__  # type: ignore[attr-defined]
            if not path.exists():
                self._undo.append((step, path.parent, lambda: shutil.rmtree(path)))
        elif step == "remove directory":
            path = call.__self__  # type: ignore[attr-defined]
            self._undo.append((step, path.parent, path.mkdir))
        elif step == "remove":
            path = call.__self__  # type: ignore[attr-defined]
            self._keep(step, path)
        elif step == "rename":
            old, new = call.__self__, arguments[0]  # type: ignore[attr-defined]
            if new.is_file():
                self._keep(step, new)
            self._undo.append((step, new.parent, lambda: new.rename(old)))

    def _keep(self, step: str, path: Path) -> None:
        """Keep a file that is about to lose its name, so that it can have it back."""
        assert self._backups is not None
        if path.exists():
            backup = self._backups / str(len(self.steps))
            os.link(path, backup)

            def restore() -> None:
                if path.parent.is_dir():  # it may be gone for good
                    os.link(backup, path)

            self._undo.append((step, path.parent, restore))

    def _after(self, step: str, arguments: tuple[Any, ...], result: Any) -> None:
        if step == "open":
            status = os.fstat(result)
            self._files[result] = file = (status.st_dev, status.st_ino)
            self._synced.setdefault(file, status.st_size)
        elif step == "sync":
            file = self._files[arguments[0]]
            self._synced[file] = os.fstat(arguments[0]).st_size
            self._cut.pop(file, None)
        elif step == "sync directory":
            self._undo = [undo for undo in self._undo if undo[1] != arguments[0]]

    def _die(self) -> None:
        if self.disk != "kept":
            for root in {*self._roots()}:
                for path in root.rglob("*"):
                    status = path.lstat()
                    file = (status.st_dev, status.st_ino)
                    synced = self._synced.get(file, status.st_size)
                    if file in self._cut:
                        path.write_bytes(self._cut[file])
                    elif path.is_file() and synced < status.st_size:
                        os.truncate(path, (synced + status.st_size) // 2 if self.disk == "half" else synced)
        if self.disk in FORGETFUL and self._undo:
            first = 0 if self.disk == "unordered" or self.at % 4 == 0 else self.at * 7 % len(self._undo)
            for step, _, undo in reversed(self._undo[first:]):
                if self.disk == "forgotten" or step == "rename":
                    undo()
        os._exit(KILLED)

    def _roots(self) -> list[Path]:
        roots = [Path.cwd()]
        return [*roots, self._backups] if self._backups is not None else roots
