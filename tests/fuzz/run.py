"""The parent process: hands blocks to workers, notices those that die or stand still, and adds everything up."""

from __future__ import annotations

import base64
import contextlib
import json
import platform
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path
from threading import Lock, Thread
from typing import Any, NamedTuple

import msgspec
import orjson

from tests.conftest import ROOT
from tests.fuzz.check import Violation, check, target_of
from tests.fuzz.worker import BLOCK, KEPT_SLOW, Block, Plan, Slow, block_of

HANG_SECONDS = 60.0
KEPT_PER_WAY = 3
SHOWN_BYTES = 2000
FATAL = ("crash", "hang")


class Death(NamedTuple):
    """The end of a worker: at which mutant, and why."""

    number: int
    violation: Violation


class Worker:
    """One child process."""

    def __init__(self, plan: Plan, folder: Path, hang_seconds: float) -> None:
        self.hang_seconds = hang_seconds
        self.position = folder / "position"
        self.position.write_bytes(bytes(8))
        self.log = folder / "log"
        command = [
            *(sys.executable, "-W", "error", "-m", "tests.fuzz.worker", "--seed", str(plan.seed)),
            *("--streams", str(plan.streams), "--target", plan.target, "--position", str(self.position)),
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        assert self.process.stdout is not None
        self.process.stdout.readline()  # it is ready, or it is dead, which `run` finds: starting is no hanging

    def run(self, start: int, stop: int) -> Block | Death:
        """A block, or how the worker died over it; then it must be replaced."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.position.write_bytes(start.to_bytes(8, "little"))
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{start} {stop}\n".encode())
            self.process.stdin.flush()
        index, since = start, time.monotonic()
        while not select.select([self.process.stdout], [], [], 0.5)[0]:
            now = self._index()
            if now != index:
                index, since = now, time.monotonic()
            elif time.monotonic() - since > self.hang_seconds:
                self.process.send_signal(signal.SIGABRT)  # faulthandler says where it was
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(30)  # it may have to wait for its turn
                self.process.kill()
                self.process.wait()
                where = _where_it_was(self.log)
                return Death(self._index(), Violation("hang", f"over {self.hang_seconds:g} s", where))
        line = self.process.stdout.readline()
        if line.endswith(b"\n"):
            return block_of(line)
        code = self.process.wait()
        word = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Death(self._index(), Violation("crash", word, _where_it_was(self.log)))

    def _index(self) -> int:
        return int.from_bytes(self.position.read_bytes()[:8], "little")

    def close(self) -> None:
        """Let the process end."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _where_it_was(log: Path) -> str:
    """The innermost frame that `faulthandler` wrote, or the last line of a traceback."""
    lines = log.read_text("utf-8", "replace").splitlines()
    frames = [line.strip() for line in lines if line.startswith("  File")]
    fault = "most recent call first" in "\n".join(lines)
    return (frames[0] if fault else lines[-1]) if frames else "no traceback"


class Report(msgspec.Struct, kw_only=True):
    """What a run found."""

    python: str
    msgspec: str
    orjson: str
    plan: dict[str, Any]
    mutants: int = 0
    wanted: int = 0
    seconds: float = 0.0
    accepted: int = 0
    labels: dict[str, int] = {}
    violations: dict[str, int] = {}  # by kind
    ways: list[dict[str, Any]] = []  # each way to break a promise, with its first mutants
    slowest: list[dict[str, float]] = []
    peak_kib: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether no promise was broken."""
        return not self.ways


class Tally:
    """The sum of all blocks; safe to share between threads."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.mutants = 0
        self.labels: Counter[str] = Counter()
        self.ways: Counter[Violation] = Counter()
        self.first: dict[Violation, list[int]] = {}
        self.slowest: list[Slow] = []
        self.peak = 0

    def add(self, block: Block) -> None:
        """One block more."""
        with self.lock:
            self.mutants += block.stop - block.start
            self.labels.update(block.labels)
            self.ways.update(dict(block.counts))
            for index, violation in block.violations:
                self._keep(index, violation)
            self.slowest = sorted([*self.slowest, *block.slowest], reverse=True)[:KEPT_SLOW]
            self.peak = max(self.peak, block.peak)

    def bury(self, death: Death) -> None:
        """One mutant that a worker did not survive."""
        with self.lock:
            self.mutants += 1
            self.ways[death.violation] += 1
            self._keep(death.number, death.violation)

    def new(self, reported: set[Violation]) -> list[tuple[Violation, int]]:
        """The ways that have not been reported yet, with the first mutant of each; now they have."""
        with self.lock:
            found = [(way, held[0]) for way, held in self.first.items() if way not in reported]
        reported.update(way for way, _ in found)
        return found

    def _keep(self, index: int, violation: Violation) -> None:
        held = self.first.setdefault(violation, [])
        if index not in held:
            held.append(index)
            held.sort()
            del held[KEPT_PER_WAY:]


def fuzz(
    plan: Plan,
    mutants: int,
    *,
    jobs: int = 1,
    seconds_limit: float | None = None,
    hang_seconds: float = HANG_SECONDS,
    is_quiet: bool = False,
) -> Report:
    """Check the first so many mutants of a plan in worker processes."""
    tally, began = Tally(), time.monotonic()
    blocks = deque((start, min(start + BLOCK, mutants)) for start in range(0, mutants, BLOCK))

    def work() -> None:
        worker: Worker | None = None
        with tempfile.TemporaryDirectory() as name:
            while blocks and (seconds_limit is None or time.monotonic() - began < seconds_limit):
                try:
                    start, stop = blocks.popleft()
                except IndexError:
                    break
                if worker is None:
                    worker = Worker(plan, Path(name), hang_seconds)
                done = worker.run(start, stop)
                if isinstance(done, Block):
                    tally.add(done)
                    continue
                worker.close()
                worker = None
                tally.bury(done)
                blocks.extendleft(part for part in ((done.number + 1, stop), (start, done.number)) if part[0] < part[1])
            if worker is not None:
                worker.close()

    threads = [Thread(target=work, daemon=True) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    _watch(threads, tally, mutants, began, is_quiet=is_quiet)
    return _report(plan, tally, mutants, time.monotonic() - began)


def _watch(threads: Iterable[Thread], tally: Tally, mutants: int, began: float, *, is_quiet: bool) -> None:
    said = began
    reported: set[Violation] = set()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)
            if is_quiet or time.monotonic() - said <= 5:
                continue
            said = time.monotonic()
            rate, broken = tally.mutants / (said - began), tally.ways.total()
            print(f"{tally.mutants:,} of {mutants:,}, {rate:,.0f}/s, {broken} violations", file=sys.stderr)
            for way, found in tally.new(reported):
                print(f"! {' · '.join(way)}: mutant {found}", file=sys.stderr)


def _report(plan: Plan, tally: Tally, wanted: int, seconds: float) -> Report:
    labels = dict(sorted(tally.labels.items(), key=lambda item: -item[1]))
    kinds: Counter[str] = Counter()
    for way, count in tally.ways.items():
        kinds[way.kind] += count
    return Report(
        python=platform.python_version(),
        msgspec=msgspec.__version__,
        orjson=orjson.__version__,
        plan=plan._asdict(),
        mutants=tally.mutants,
        wanted=wanted,
        seconds=round(seconds, 1),
        accepted=sum(count for label, count in labels.items() if _is_accepted(label)),
        labels=labels,
        violations=dict(kinds),
        ways=[_way(plan, way, count, tally.first.get(way, [])) for way, count in sorted(tally.ways.items())],
        slowest=_again(plan, tally) if not any(way.kind in FATAL for way in tally.ways) else [],
        peak_kib=tally.peak,
    )


def _is_accepted(label: str) -> bool:
    return label.partition(" ")[2].partition("/")[0] in (
        "Completion",
        "Chunk",
        "SourceReportedError",
        "EncryptedPayloadError",
    )


def _way(plan: Plan, way: Violation, count: int, first: list[int]) -> dict[str, Any]:
    examples = []
    for index in first:
        case = plan.mutant(index)
        payload = base64.b64encode(case.raw).decode() if len(case.raw) <= SHOWN_BYTES else None
        examples.append({"index": index, "fixture": case.fixture, "source": case.source, "base64": payload})
    return {**way._asdict(), "count": count, "first": examples}


def _again(plan: Plan, tally: Tally) -> list[dict[str, float]]:
    """The slowest mutants timed again, alone: what was slow for its own sake stays slow."""
    target = target_of(plan.target)
    found = []
    for slow in tally.slowest:
        case = plan.mutant(slow.number)
        times = []
        for _ in range(3):
            began = time.perf_counter()
            check(case, target)
            times.append(time.perf_counter() - began)
        milliseconds = {"first_ms": round(slow.seconds * 1e3, 2), "again_ms": round(min(times) * 1e3, 2)}
        found.append({"index": slow.number, "bytes": len(case.raw), **milliseconds})
    return found


def to_text(report: Report) -> str:
    """A report for people."""
    rate = report.mutants / max(report.seconds, 0.1)
    lines = [
        f"Python {report.python}, msgspec {report.msgspec}, orjson {report.orjson}, {report.plan}",
        (
            f"{report.mutants:,} of {report.wanted:,} mutants in {report.seconds} s, {rate:,.0f} a second; "
            f"{report.accepted:,} accepted; peak memory of a worker {report.peak_kib // 1024} MiB"
        ),
        "",
        *(f"{count:>10,}  {label}" for label, count in report.labels.items()),
        "",
        "slowest, in ms at first and again alone: "
        + ", ".join(
            f"#{slow['index']} {slow['first_ms']}/{slow['again_ms']} ({slow['bytes']} B)" for slow in report.slowest[:5]
        ),
        "",
    ]
    for kind in ("crash", "hang", "foreign", "accepted_invalid"):
        report.violations.setdefault(kind, 0)
    lines += [f"{count:>10,}  {kind}" for kind, count in sorted(report.violations.items())]
    for way in report.ways:
        indices = ", ".join(str(example["index"]) for example in way["first"])
        lines.append(f"! {way['count']:>6} {way['kind']} · {way['verb']} · {way['detail']}; --only {indices}")
    return "\n".join(lines)


def write(report: Report, path: Path) -> None:
    """A report for machines."""
    path.write_text(json.dumps(msgspec.to_builtins(report), indent=1) + "\n")
