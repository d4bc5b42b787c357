"""Inputs and outputs that are not what they should be: the right exit code, one line, and never half a file.

Crashes, full disks and signals at any moment are in `test_batch_crash.py`.
"""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from normcompletion.batch import IncompleteInputError, Interrupted, Signals, convert
from normcompletion.cli import main
from tests.conftest import json_lines, slow, zstd
from tests.reliability.planted import wrong

CHAT = b'{"id":"c-%d","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}]}\n'
LOG = b"".join(CHAT % number for number in range(40))
HANG = 300  # seconds: what takes longer hangs, on a busy machine too
LINUX = Path("/proc/self/status").exists()
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def names() -> list[str]:
    """What there is in the working directory."""
    return sorted(path.name for path in Path().iterdir())


def ids(path: str | Path = "out.jsonl") -> list[str]:
    return [row["id"] for row in json_lines(Path(path))]


def process(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """The command in a process of its own."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-m", "normcompletion", "convert", *arguments], **pipes | options)


def unreadable(path: Path) -> None:
    path.write_bytes(LOG)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root may read everything")


INPUTS = {
    "missing": (lambda path: None, 3),
    "a folder without logs": (Path.mkdir, 3),
    "unreadable": (unreadable, 3),
    "compressed twice": (lambda path: path.write_bytes(gzip.compress(gzip.compress(LOG))), 3),
    "empty": (lambda path: path.write_bytes(b""), 0),
    "an archive of nothing": (lambda path: path.write_bytes(gzip.compress(b"")), 0),
    "a compressed file with another name": (lambda path: path.write_bytes(gzip.compress(LOG)), 0),
    "no Parquet": (lambda path: path.write_bytes(b"PAR1" + bytes(100)), (3, 4)),
    "half an archive": (lambda path: path.write_bytes(gzip.compress(LOG)[:-20]), 4),
    "the head of an archive": (lambda path: path.write_bytes(gzip.compress(LOG)[:7]), 4),
    "text behind an archive": (lambda path: path.write_bytes(gzip.compress(LOG) + b"more"), 4),
    "binary": (lambda path: path.write_bytes(bytes(range(256)) * 40), 1),
}


@pytest.mark.parametrize("jobs", ["1", *slow("2")])
@pytest.mark.parametrize(("make", "code"), INPUTS.values(), ids=INPUTS)
def test_every_input_has_its_exit_code(make, code, jobs, capsys):
    """A faulty input ends with the exit code of its fault and a sentence; an output is there only with 0 and 1."""
    make(Path("log"))
    found = main(["convert", "log", "-o", "out.jsonl", "-j", jobs])
    assert found in (code if isinstance(code, tuple) else (code,))
    assert Path("out.jsonl").exists() == (found in (0, 1))
    err = capsys.readouterr().err
    assert "Traceback" not in err
    if found in (3, 4):
        assert "log" in err.splitlines()[0]
    if found == 3:
        assert names() == [name for name in ("log",) if Path("log").exists()]


@pytest.mark.parametrize(("name", "jobs"), [("log.jsonl", 2), *slow(("log.jsonl", 1), ("log.jsonl.gz", 1))])
def test_planted_faults_come_back(tmp_path, name, jobs):
    """Every planted fault comes back with its line, byte offset, length and code, and all units are counted."""
    assert list(wrong(tmp_path, name, lines=10_000, faults=500, jobs=jobs, seed=1)) == []


def test_all_inputs_are_looked_at_before_anything_is_written(capsys):
    """One missing input among many ends the run before it begins."""
    Path("log").write_bytes(LOG)
    assert main(["convert", "log", "absent", "-o", "out.jsonl"]) == 3
    assert "absent" in capsys.readouterr().err
    assert names() == ["log"]


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_an_archive_cut_anywhere_is_never_a_success(pack):
    """Cut at any byte, an archive gives the whole lines before the cut, under the partial name, and an error."""
    module = gzip if pack == "gzip" else zstd()
    first = module.compress(b"".join(CHAT % number for number in range(11)))
    data = first + module.compress(CHAT % 11)
    whole = [f"c-{number}" for number in range(12)]
    most = 0
    for end in {*range(1, len(data))} - {len(first)}:  # there it would be a whole archive
        Path("log").write_bytes(data[:end])
        with pytest.raises(IncompleteInputError):
            convert("log", "out.jsonl", rejects="rejects.jsonl")
        assert not Path("out.jsonl").exists()
        kept = ids("out.jsonl.partial")
        assert kept == whole[: len(kept)]
        most = max(most, len(kept))
    assert most in (11, 12)


def test_the_break_is_reported_with_its_place(capsys):
    """The message of a broken archive has its name, the decoded byte, the reason, and where the rest is."""
    Path("log.gz").write_bytes(gzip.compress(LOG)[:-9])
    assert main(["convert", "log.gz", "-o", "out.jsonl", "--rejects", "rejects.jsonl"]) == 4
    first, second = capsys.readouterr().err.splitlines()
    assert "log.gz: the input breaks off at byte" in first
    assert "out.jsonl.partial" in second
    assert names() == ["log.gz", "out.jsonl.partial", "rejects.jsonl.partial"]
    # What is left does not stand in the way of the next run.
    Path("log.gz").write_bytes(gzip.compress(LOG))
    assert main(["convert", "log.gz", "-o", "out.jsonl", "--rejects", "rejects.jsonl", "--resume"]) == 0
    assert names() == ["log.gz", "out.jsonl", "rejects.jsonl"]
    assert len(ids()) == 40


@POSIX
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_pipe_with_a_name_is_an_input(jobs):
    """A FIFO is read to its end like a file."""
    os.mkfifo("fifo")
    writer = threading.Thread(target=lambda: Path("fifo").write_bytes(LOG))
    writer.start()
    assert main(["convert", "fifo", "-o", "out.jsonl", "-j", jobs]) == 0
    writer.join()
    assert len(ids()) == 40


@POSIX
def test_a_reader_that_ends_is_no_drama():
    """Where the reader of standard output ends (`| head`), the run ends with exit code 5 and says nothing."""
    Path("log").write_bytes(LOG * 200)
    with process("log", stdin=subprocess.DEVNULL) as run:
        assert run.stdout.readline().startswith(b"{")
        run.stdout.close()
        assert run.stderr.read() == b""
        assert run.wait(HANG) == 5


OUTPUTS = {
    "a folder that is not there": ("absent/out.jsonl", 5),
    "a file in place of a folder": ("log/out.jsonl", 5),
    "a full disk": ("/dev/full", 5),
    "a folder": (".", 2),
    "the input": ("log", 2),
}


@POSIX
@pytest.mark.parametrize("jobs", ["1", *slow("2")])
@pytest.mark.parametrize(("output", "code"), OUTPUTS.values(), ids=OUTPUTS)
def test_every_output_has_its_exit_code(output, code, jobs, capsys):
    """An output that cannot be written ends with exit code 5, one that is refused with 2, and nothing is left."""
    if output == "/dev/full" and not Path(output).exists():
        pytest.skip("this system has no /dev/full")
    Path("log").write_bytes(LOG)
    assert main(["convert", "log", "-o", output, "--rejects", "rejects.jsonl", "-j", jobs]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("normcompletion: ")
    assert names() == ["log"]


@POSIX
def test_a_folder_that_may_not_be_written_is_exit_code_5(capsys):
    """A target in a read-only folder ends with exit code 5 and one line."""
    Path("log").write_bytes(LOG)
    Path("locked").mkdir(mode=0o500)
    if os.access("locked", os.W_OK):
        pytest.skip("root may write everywhere")
    assert main(["convert", "log", "-o", "locked/out.jsonl"]) == 5
    assert len(capsys.readouterr().err.splitlines()) == 1


def until(event: Callable[[], bool], run: subprocess.Popen[bytes]) -> None:
    """Wait for an event in a run that goes on."""
    deadline = time.monotonic() + HANG
    while not event():
        assert run.poll() is None, "the run ended"
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def has_begun() -> bool:
    """Whether a run has made its partial file."""
    return Path("out.jsonl.partial").exists()


def is_waiting(run: subprocess.Popen[bytes]) -> bool:
    """Whether a run has a handler for SIGTERM and its main thread sleeps, as Linux tells."""
    status = dict(line.split(":	", 1) for line in Path(f"/proc/{run.pid}/status").read_text().splitlines())
    return bool(int(status["SigCgt"], 16) >> (signal.SIGTERM - 1) & 1) and status["State"].startswith("S")


@POSIX
@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_waits_for_its_input_can_be_stopped(number, jobs):
    """A signal ends a run that waits for standard input, with its exit code and one line, and nothing is left."""
    run = process("-", "-o", "out.jsonl", "-j", jobs)
    until(has_begun, run)
    if LINUX:
        until(lambda: is_waiting(run), run)
    run.send_signal(number)
    _, err = run.communicate(timeout=HANG)
    assert run.returncode == 128 + number
    assert err == f"normcompletion: stopped by {number.name}\n".encode()
    assert names() == []


@pytest.mark.skipif(not LINUX, reason="only Linux tells what a process waits for")
@pytest.mark.parametrize("opened", [False, True])
def test_a_run_that_waits_for_a_reader_can_be_stopped(opened):
    """A signal ends a run whose output is a pipe that nobody reads, before it is opened and when it is full."""
    os.mkfifo("fifo")
    Path("log").write_bytes(LOG * 500)
    reader = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK) if opened else None
    run = process("log", "-o", "fifo", stdin=subprocess.DEVNULL)
    until(lambda: is_waiting(run), run)
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=HANG)
    assert (run.returncode, err) == (143, b"normcompletion: stopped by SIGTERM\n")
    if reader is not None:
        os.close(reader)


def test_a_second_signal_ends_a_run_at_once(monkeypatch):
    """The first signal waits for a place where the run can stop; the second ends the process there and then."""
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    before = signal.getsignal(signal.SIGTERM)
    with Signals() as signals:
        signal.raise_signal(signal.SIGTERM)
        assert ended == []
        with pytest.raises(Interrupted) as stop:
            signals.check()
        assert stop.value.signal == signal.SIGTERM
        signal.raise_signal(signal.SIGTERM)
        assert ended == [143]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_ends_a_wait():
    """Where the run only waits, a signal ends that at once, and one that came before is not forgotten."""
    with Signals() as signals:
        with pytest.raises(Interrupted), signals.waiting():
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted), signals.waiting():
            pytest.fail("the signal was forgotten")


@POSIX
def test_an_ignored_signal_stays_ignored():
    """Under `nohup` and in a shell's background, where SIGINT is ignored, it does not stop a run."""
    ignoring = "trap '' INT; exec " + f"{sys.executable} -m normcompletion convert - -o out.jsonl"
    run = subprocess.Popen(["sh", "-c", ignoring], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    until(has_begun, run)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(LOG, timeout=HANG)
    assert (run.returncode, len(ids())) == (0, 40)
    assert b"stopped" not in err


def test_only_one_run_writes_an_output(capsys):
    """While a run writes an output, another is refused with exit code 2."""
    if os.name != "posix":
        pytest.skip("needs locks on files")
    run = process("-", "-o", "out.jsonl")
    until(has_begun, run)
    Path("log").write_bytes(LOG)
    assert main(["convert", "log", "-o", "out.jsonl"]) == 2
    assert "another run" in capsys.readouterr().err
    _, err = run.communicate(LOG, timeout=HANG)
    assert run.returncode == 0, err
    assert len(ids()) == 40
