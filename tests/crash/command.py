"""`normcompletion convert`, killed and interrupted; and the logs it converts meanwhile.

Each check yields what was wrong. Runs are processes of their own, each in a session of its own, so that whatever they
leave running can be found and counted against them.
"""

from __future__ import annotations

import gc
import gzip
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.corpora import parse_mix, records
from tests.conftest import contents, zstd

ROOT = Path(__file__).parent.parent.parent
ELSEWHERE = "elsewhere"  # a directory of its own for the rejects: one is synced without the other
DONE_WITH_REJECTS, USAGE, OUTPUT = 1, 2, 5
FOREVER = 300.0  # seconds for a run: what takes longer hangs


class Wrong(Exception):  # noqa: N818 - it is a finding
    """A promise that was not kept."""


def differences(here: dict[str, bytes], expected: dict[str, bytes]) -> str:
    """The names of files that are missing, left over, or not what they should be; nothing where all is well."""
    found = []
    for name in sorted(here.keys() | expected.keys()):
        if here.get(name) != expected.get(name):
            how = "left over" if name not in expected else "missing" if name not in here else "different"
            found.append(f"{name} is {how}")
    return ", ".join(found)


def write_log(path: Path, size: int) -> None:
    """A log of at least so many bytes: chats, failed calls, broken and blank lines; compressed by its suffix."""
    data = bytearray()
    for record in records(parse_mix("openai/chat//small=98,openai/error=2"), seed=1):
        line = record.body
        if record.number % 10 == 0:
            line = line[: len(line) // 2]
        elif record.number % 100 == 1:
            line = b""
        data += line + b"\n"
        if len(data) > size:
            break
    if path.suffix == ".gz":
        data = gzip.compress(data, 1)
    elif path.suffix == ".zst":
        data = zstd().compress(data)
    path.write_bytes(data)


class Setting(NamedTuple):
    """What is converted to what, in how many processes."""

    log: Path
    output: str
    jobs: int = 1
    checkpoint_every: int = 1 << 20
    rows_per_part: int = 1000
    rejects: str = f"{ELSEWHERE}/rejects.jsonl"

    def __str__(self) -> str:
        """For a finding."""
        return f"{self.log.name} to {self.output}, {self.jobs} jobs"

    @property
    def name(self) -> str:
        """The output without a slash."""
        return self.output.rstrip("/")

    def arguments(self, *options: str) -> list[str]:
        """The arguments of the command."""
        call = ["convert", str(self.log), "-o", self.output, "--rejects", self.rejects, "--report", "report.json"]
        call += ["--jobs", str(self.jobs), "--checkpoint-every", str(self.checkpoint_every), *options]
        return [*call, "--rows-per-part", str(self.rows_per_part)] if self.output.endswith("/") else call


# -- at every step


class Command:
    """The command in this process, with small blocks, frames and row groups, so that little input makes many steps."""

    def __init__(self, setting: Setting) -> None:
        from normcompletion.batch import engine, units
        from normcompletion.batch.outputs import parquet, text

        engine_module: Any = engine
        self.setting = setting
        self.output = setting.name
        assert units.blocks.__kwdefaults__ is not None
        units.blocks.__kwdefaults__["block_bytes"] = 4000
        engine_module.BLOCK_BYTES = 4000
        text.FRAME_BYTES = parquet.BUFFER_BYTES = 3000
        parquet.ROWS_PER_GROUP = 15
        self._warm()

    def _warm(self) -> None:
        """Import what the forks would have to import one by one, and share it with them."""
        import concurrent.futures.thread  # noqa: F401

        import normcompletion.cli

        if "jsonl" not in self.output:
            import normcompletion.arrow  # noqa: F401
        gc.freeze()

    def prepare(self, directory: Path) -> None:
        (directory / ELSEWHERE).mkdir()

    def convert(self, *, overwrite: bool, resume: bool) -> bool:
        from normcompletion.cli import main

        os.environ["NORMCOMPLETION_TRACEBACK"] = "1"
        chosen = ["--overwrite"] * overwrite + ["--resume"] * resume
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            code = main(self.setting.arguments(*chosen))
        if code not in (DONE_WITH_REJECTS, OUTPUT):
            raise Wrong(f"exit code {code}")
        return code == DONE_WITH_REJECTS


# -- as a process


class Ended(NamedTuple):
    """How a process ended: its exit code as a shell has it, and what it said."""

    code: int
    said: str


class Run:
    """The command as a process in a directory."""

    def __init__(self, setting: Setting, directory: Path, *options: str) -> None:
        code = "import sys; from normcompletion.cli import main; sys.exit(main())"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *setting.arguments(*options)],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
            text=True,
        )

    def end(self) -> Ended:
        """Wait for the end of the process and of all that it started."""
        try:
            code = self.process.wait(FOREVER)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise Wrong("it hangs") from None
        deadline = time.monotonic() + 10
        while alive := _session(self.process.pid):
            if time.monotonic() > deadline:
                for process in alive:
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                raise Wrong(f"it left {len(alive)} processes running")
            time.sleep(0.02)
        assert self.process.stderr is not None
        said = self.process.stderr.read()
        self.process.stderr.close()
        if "Traceback" in said:
            raise Wrong(f"a traceback: … {said[-300:]}")
        return Ended(code if code >= 0 else 128 - code, said)


def _session(leader: int) -> list[int]:
    """The processes of a session that are alive."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == leader and state != "Z":
                    found.append(int(entry.name))
    return found


class Undisturbed:
    """A run that nobody disturbs, with the files it leaves and the time it takes."""

    def __init__(self, setting: Setting, root: Path) -> None:
        self.setting = setting
        self._root = root
        self._runs = 0
        self.resumed = 0  # how many runs had a checkpoint to go on from
        directory = self.fresh()
        begin = time.monotonic()
        ended = Run(setting, directory).end()
        self.seconds = time.monotonic() - begin
        if ended.code != DONE_WITH_REJECTS:
            raise Wrong(f"the run that nobody disturbed ended with {ended}")
        self.expected = contents(directory)

    def fresh(self) -> Path:
        """A new directory."""
        if self._runs > 1:
            shutil.rmtree(self._root / str(self._runs), ignore_errors=True)
        self._runs += 1
        directory = self._root / str(self._runs)
        (directory / ELSEWHERE).mkdir(parents=True)
        return directory

    def check_names(self, directory: Path) -> None:
        """Under the final names there is nothing half."""
        here = contents(directory)
        for name in here.keys() & self.expected.keys():
            if here[name] != self.expected[name]:
                raise Wrong(f"{name} is half done")

    def has_checkpoint(self, directory: Path) -> bool:
        """Whether there is something to resume from."""
        path = directory / f"{self.setting.name}.checkpoint"
        return path.is_file() and path.stat().st_size > 0

    def check_offer(self, directory: Path, ended: Ended) -> None:
        """A run that stopped names --resume where there is a checkpoint, and leaves nothing where there is none."""
        resumable = self.has_checkpoint(directory)
        if resumable != ("--resume" in ended.said):
            raise Wrong(f"with{'' if resumable else 'out'} a checkpoint it said {ended.said!r}")
        if not resumable and (left := contents(directory)):
            raise Wrong(f"nothing to resume, but left over: {sorted(left)}")

    def resume(self, directory: Path) -> None:
        """Resume to the end, and compare; where all is done already there is nothing to resume."""
        complete = not self.expected.keys() - contents(directory).keys()
        self.resumed += self.has_checkpoint(directory)
        ended = Run(self.setting, directory, "--resume").end()
        if ended.code != (USAGE if complete and "--overwrite" in ended.said else DONE_WITH_REJECTS):
            raise Wrong(f"resuming ended with {ended}")
        if wrong := differences(contents(directory), self.expected):
            raise Wrong(f"after resuming, {wrong}")


def check(what: str, call: Callable[[], object]) -> Iterator[str]:
    """What was wrong with a call, if anything."""
    try:
        call()
    except Wrong as wrong:
        yield f"{what}: {wrong}"


def kills(settings: list[Undisturbed], count: int, chance: random.Random) -> Iterator[str]:
    """Kill runs at random moments, a third of them again while they resume."""
    for number in range(count):
        subject = settings[number % len(settings)]
        moments = [chance.uniform(0, subject.seconds * 1.05) for _ in range(2 if number % 3 == 0 else 1)]

        def kill(subject: Undisturbed = subject, moments: list[float] = moments) -> None:
            directory = subject.fresh()
            for again, moment in enumerate(moments):
                run = Run(subject.setting, directory, *["--resume"] * again)
                time.sleep(moment)
                run.process.kill()
                run.end()
                subject.check_names(directory)
            subject.resume(directory)

        after = " and ".join(f"{moment:.3f}" for moment in moments)
        yield from check(f"{subject.setting}: killed after {after} s of {subject.seconds:.3f}", kill)


def signals(settings: list[Undisturbed], count: int, chance: random.Random) -> Iterator[str]:
    """Interrupt and terminate runs at random moments once they have begun."""
    for number in range(count):
        subject = settings[number % len(settings)]
        sent = (signal.SIGINT, signal.SIGTERM)[number // len(settings) % 2]
        moment = chance.uniform(0, subject.seconds)

        def interrupt(subject: Undisturbed = subject, sent: signal.Signals = sent, moment: float = moment) -> None:
            directory = subject.fresh()
            run = Run(subject.setting, directory)
            checkpoint = directory / f"{subject.setting.name}.checkpoint"
            while not checkpoint.exists() and run.process.poll() is None:
                time.sleep(0.005)
            with suppress(subprocess.TimeoutExpired):
                run.process.wait(moment)
            with suppress(ProcessLookupError):
                # A terminal sends its signal to all processes of a session, `kill` to one.
                (os.killpg if sent == signal.SIGINT else os.kill)(run.process.pid, sent)
            ended = run.end()
            if ended.code not in (128 + sent, DONE_WITH_REJECTS):
                raise Wrong(f"it ended with {ended}")
            subject.check_names(directory)
            complete = not subject.expected.keys() - contents(directory).keys()  # it was about to end anyway
            if ended.code == 128 + sent and not complete:
                subject.check_offer(directory, ended)
            subject.resume(directory)

        yield from check(f"{subject.setting}: {sent.name} {moment:.3f} s after it began", interrupt)
