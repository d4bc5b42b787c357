"""Runs that are killed or failed at one durable step after the other, each in a fork, and resumed in another.

What a run leaves after it was resumed must be what one that nobody disturbed leaves: no byte more, no file more.
"""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.conftest import contents
from tests.crash.command import Command, Wrong, differences
from tests.crash.faults import DISKS, KILLED, Fault


def forked(directory: Path, call: Callable[[], object]) -> int:
    """Do something in a fork that works in a directory, and return its exit code."""
    child = os.fork()
    if not child:
        code = 101
        try:
            os.chdir(directory)
            call()
            code = 0
        except BaseException:  # noqa: BLE001 - it is reported, and then the fork ends
            traceback.print_exc()
        finally:
            os._exit(code)  # it must not go on as its parent
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Disturbed:
    """Disturbed runs of a subject over what `old` says was there before."""

    def __init__(self, subject: Command, root: Path, old: dict[str, bytes] | None = None) -> None:
        self.old = old or {}
        self.runs = 0
        self._subject = subject
        self._root = root
        os.environ["CRASH_BACKUPS"] = str(root)
        directory = self._fresh()
        steps = root / "steps"

        def count() -> None:
            fault = Fault().install()
            assert subject.convert(overwrite=bool(self.old), resume=False)
            steps.write_text("\n".join(fault.steps))

        if forked(directory, count):
            raise Wrong("the run that nobody disturbed failed")
        self.steps = steps.read_text().split("\n")
        self.expected = contents(directory)

    def _fresh(self) -> Path:
        self.runs += 1
        directory = self._root / str(self.runs)
        directory.mkdir(parents=True)
        self._subject.prepare(directory)
        for name, content in self.old.items():
            path = directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        return directory

    def killed(self, at: int, *, again: int = 0, **fault: Any) -> None:
        """Kill a run at a step, and the run that resumes it, or starts over, at `again`; resume to the end; compare."""
        directory = self._fresh()

        def die() -> None:
            Fault(at, **fault).install()
            self._subject.convert(overwrite=bool(self.old), resume=False)

        def die_again() -> None:
            Fault(again, **fault).install()
            self._subject.convert(overwrite=True, resume=again % 3 > 0)

        code = forked(directory, die)
        if code not in (KILLED, 0):
            raise Wrong(f"the run ended with {code}")
        self._check_names(directory)
        here = contents(directory)
        published = not self.expected.keys() - self.old.keys() - here.keys()
        finished = published and not self.old and f"{self._subject.output}.checkpoint" not in here
        if finished and fault.get("disk") == "kept" and here != self.expected:
            raise Wrong(f"no checkpoint, but {differences(here, self.expected)}")
        if again and forked(directory, die_again) not in (KILLED, 0):
            raise Wrong("the resumed run failed")
        self._check_names(directory)
        self._resume(directory)

    def failed(self, at: int, error: int) -> None:
        """Let a step of a run fail; resume; compare."""
        directory = self._fresh()
        well = self._root / "well"

        def fail() -> None:
            Fault(at, error=error).install()
            well.write_text(str(self._subject.convert(overwrite=bool(self.old), resume=False)))

        if forked(directory, fail):
            raise Wrong("the run ended with a traceback")
        self._check_names(directory)
        here = contents(directory)
        checkpoint = here.get(f"{self._subject.output}.checkpoint")
        new = [name for name in here if name not in self.old and ".checkpoint" not in name]
        if well.read_text() == "False" and not checkpoint and new:
            raise Wrong(f"nothing to resume, but left over: {new}")
        self._resume(directory)

    def _check_names(self, directory: Path) -> None:
        """Under a final name there is nothing, what was there before, or what belongs there."""
        here = contents(directory)
        for name in here.keys() & {*self.expected, *self.old}:
            if here[name] not in (self.expected.get(name), self.old.get(name)):
                raise Wrong(f"{name} is half done")
        replaced = any(".replaced" in name for name in here)
        if self.old and not replaced and not here.keys() & {*self.expected, *self.old}:
            raise Wrong("what was there before is gone")

    def _resume(self, directory: Path) -> None:
        def resume() -> None:
            assert self._subject.convert(overwrite=True, resume=True)

        if forked(directory, resume):
            raise Wrong("resuming failed")
        if wrong := differences(contents(directory), self.expected):
            raise Wrong(f"after resuming, {wrong}")


def disturb(subject: Command, root: Path, *, again: bool = False, stride: int = 1) -> Iterator[str]:
    """Disturb a subject at every step, or at every one in `stride`; yields what was wrong.

    `again` puts an older output where it writes.
    """
    old: dict[str, bytes] | None = None
    if again:
        expected = Disturbed(subject, root / "before").expected
        old = {name: content[:-1] + b"?" for name, content in expected.items()}
        if any("/part-" in name for name in old):
            old[f"{subject.output}/part-77777.parquet"] = b"of an older and longer run"
    disturbed = Disturbed(subject, root, old)
    points = range(1, len(disturbed.steps) + 2)

    def each(what: str, call: Callable[..., None], *arguments: Any, **keywords: Any) -> Iterator[str]:
        try:
            call(*arguments, **keywords)
        except Wrong as wrong:
            yield f"{subject.output}: {what}: {wrong}"

    for at in points[::stride]:
        step = f"step {at} ({disturbed.steps[at - 1]})" if at <= len(disturbed.steps) else "the end"
        disk = DISKS[at % len(DISKS)]
        yield from each(f"killed before {step}, {disk}", disturbed.killed, at, disk=disk)
        if "(write)" in step:
            yield from each(f"killed in {step}", disturbed.killed, at, torn=True)
        if not at % 5:
            second = 1 + at * 7 % len(points)
            what = f"killed before {step}, then before step {second}"
            yield from each(what, disturbed.killed, at, again=second, disk="forgotten")
        error = (errno.ENOSPC, errno.EIO)[at % 2]
        yield from each(f"{step} failed with {errno.errorcode[error]}", disturbed.failed, at, error)
