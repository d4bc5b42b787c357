"""The parent process: hands blocks to workers, notices those that die or hang, and adds everything up."""

from __future__ import annotations

import multiprocessing
import platform
import signal
import sys
import tempfile
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread
from typing import NamedTuple

import msgspec
import orjson

from tests.fuzz.check import Violation
from tests.fuzz.worker import BLOCK, HANG_SECONDS, Block, Plan, serve

SHOWN = 3  # mutants for each way to break a promise
FATAL = ("crash", "hang")


class Death(NamedTuple):
    """The end of a worker: at which mutant, and why."""

    number: int
    violation: Violation


class Worker:
    """One child process."""

    def __init__(self, plan: Plan, folder: Path, hang_seconds: float) -> None:
        processes = multiprocessing.get_context("spawn")
        self.log = folder / "log"
        self.position = processes.Value("q", lock=False)
        self.pipe, its_end = processes.Pipe()
        arguments = (plan, its_end, self.position, self.log, hang_seconds)
        self.process = processes.Process(target=serve, args=arguments, daemon=True)
        self.process.start()
        its_end.close()

    def run(self, start: int, stop: int) -> Block | Death:
        """A block, or how the worker died over it; then it must be replaced."""
        self.position.value = start
        try:
            self.pipe.send((start, stop))
            done: Block = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
        else:
            return done
        code = self.process.exitcode or 0
        word = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        kind = "hang" if code == -signal.SIGALRM else "crash"
        return Death(self.position.value, Violation(kind, word, _where_it_was(self.log)))

    def close(self) -> None:
        """Let the process end."""
        if self.process.is_alive():
            self.pipe.send(None)
        self.process.join()
        self.pipe.close()


def _where_it_was(log: Path) -> str:
    """The innermost frame that `faulthandler` wrote."""
    frames = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.startswith("  File")]
    return frames[0] if frames else "no traceback"


@dataclass
class Report:
    """The sum of all blocks; safe to share between threads."""

    plan: Plan
    wanted: int
    mutants: int = 0
    seconds: float = 0.0
    labels: Counter[str] = field(default_factory=Counter)
    ways: dict[Violation, list[int]] = field(default_factory=dict)  # the mutants for each way to break a promise
    lock: Lock = field(default_factory=Lock)

    def add(self, done: Block | Death) -> None:
        """One block more, or one mutant that a worker did not survive."""
        if isinstance(done, Death):
            done = Block(Counter({"died": 1}), {done.violation: [done.number]})
        with self.lock:
            self.mutants += done.labels.total()
            self.labels += done.labels
            for way, numbers in done.ways.items():
                self.ways[way] = sorted([*self.ways.get(way, []), *numbers])

    @property
    def kinds(self) -> Counter[str]:
        """How often a promise of each kind was broken."""
        found = Counter(dict.fromkeys((*FATAL, "foreign", "accepted_invalid"), 0))
        for way, numbers in self.ways.items():
            found[way.kind] += len(numbers)
        return found

    def __str__(self) -> str:
        """For people."""
        lines = [
            f"Python {platform.python_version()}, msgspec {msgspec.__version__}, orjson {orjson.__version__}",
            f"{self.mutants:,} of {self.wanted:,} mutants in {self.seconds:.0f} s, {self.plan}",
        ]
        for counts in (self.labels, self.kinds):
            lines += [*(f"{count:>10,}  {name}" for name, count in counts.most_common()), ""]
        for way, numbers in sorted(self.ways.items()):
            lines.append(f"! {len(numbers):>6} {' · '.join(way)}; --only {', '.join(map(str, numbers[:SHOWN]))}")
        return "\n".join(lines)


def fuzz(
    plan: Plan, mutants: int, *, jobs: int = 1, hang_seconds: float = HANG_SECONDS, is_quiet: bool = False
) -> Report:
    """Check the first so many mutants of a plan in worker processes."""
    report, began = Report(plan, mutants), time.monotonic()
    blocks = deque((start, min(start + BLOCK, mutants)) for start in range(0, mutants, BLOCK))

    def work() -> None:
        worker: Worker | None = None
        with tempfile.TemporaryDirectory() as folder:
            while blocks:
                try:
                    start, stop = blocks.popleft()
                except IndexError:
                    break
                worker = worker or Worker(plan, Path(folder), hang_seconds)
                done = worker.run(start, stop)
                report.add(done)
                if isinstance(done, Death):
                    worker.close()
                    worker = None
                    rest = ((done.number + 1, stop), (start, done.number))
                    blocks.extendleft(part for part in rest if part[0] < part[1])
            if worker is not None:
                worker.close()

    threads = [Thread(target=work, daemon=True) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(5)
            if not is_quiet:
                print(f"{report.mutants:,} of {mutants:,}, violations: {report.kinds.total()}", file=sys.stderr)
    report.seconds = time.monotonic() - began
    return report
