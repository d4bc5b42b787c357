"""The checkpoints: appended, read with care, and for one run at a time."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from normcompletion.batch import durable, journal
from normcompletion.batch.blocks import Position
from normcompletion.batch.durable import OutputError
from normcompletion.batch.inputs import Input
from normcompletion.batch.journal import Checkpoint, Fingerprint, Header, Journal, check_unchanged, fingerprint
from normcompletion.batch.outputs.naming import OutputRefusedError

ROOT = Path(__file__).parent.parent


HEADER = Header(program="1.0", options={"strict": False}, inputs=[])


def journal_of(*outputs: str, header: Header = HEADER) -> Journal:
    return Journal(list(outputs), header)


def checkpoint(line: int = 1, **members: Any) -> Checkpoint:
    return Checkpoint(position=Position(0, 0, line), report={"units": 7}, **members)


def output(tmp_path: Path, name: str = "out.jsonl") -> str:
    return str(tmp_path / name)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


# -- the file


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """The last checkpoint comes back as it was, in this run and in a later one."""
    header = Header(program="1.0", options={}, inputs=[Fingerprint("in.jsonl", 10, 1234567890123456789, "ab")])
    saved = checkpoint(lengths={"output": 5}, broken=[(0, "a.gz", 9, "cut off")], done=True, replaces=True)
    with journal_of(output(tmp_path), header=header) as first:
        assert first.load() is None
        assert not first.holds_checkpoint
        first.append(checkpoint(2))
        first.append(saved)
        assert first.holds_checkpoint
        assert first.load() == saved
    assert names(tmp_path) == ["out.jsonl.checkpoint"]
    with journal_of(output(tmp_path), header=header) as second:
        assert second.holds_checkpoint
        assert second.load() == saved
        second.append(checkpoint(3))
    assert (tmp_path / "out.jsonl.checkpoint").read_bytes().count(b"\n") == 4


def test_a_run_without_checkpoints_leaves_nothing(tmp_path: Path) -> None:
    """A journal in which nothing was saved leaves no file, nor does one whose checkpoints were given up."""
    with journal_of(output(tmp_path), output(tmp_path, "rejects.jsonl")):
        assert names(tmp_path) == ["out.jsonl.checkpoint", "rejects.jsonl.checkpoint"]
    assert names(tmp_path) == []
    with journal_of(output(tmp_path)) as one:
        one.append(checkpoint())
        one.start_over()
        assert not one.holds_checkpoint
        assert one.load() is None
    assert names(tmp_path) == []
    with journal_of(output(tmp_path), output(tmp_path, "rejects.jsonl")) as one:
        one.append(checkpoint())
        one.remove()
        assert names(tmp_path) == []
    assert names(tmp_path) == []


def test_what_a_crash_cut_off_does_not_count(tmp_path: Path) -> None:
    """Cut at any byte, the file gives the last checkpoint that is whole, and the next one goes behind that."""
    with journal_of(output(tmp_path)) as one:
        one.append(checkpoint(1))
        one.append(checkpoint(2))
    path = tmp_path / "out.jsonl.checkpoint"
    whole = path.read_bytes()
    ends = [end for end in range(1, len(whole) + 1) if whole[:end].endswith(b"\n")]
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        with journal_of(output(tmp_path)) as two:
            loaded = two.load()
            complete = sum(each <= end for each in ends)
            assert (loaded is None) == (complete < 2)
            assert loaded is None or loaded.position.line == complete - 1
            two.append(checkpoint(9))
            again = two.load()
        assert again.position.line == 9
        assert path.read_bytes().count(b"\n") == max(complete, 1) + 1


def test_a_checkpoint_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Options and file names are nobody else's business: mode 0600."""
    with journal_of(output(tmp_path)) as one:
        one.append(checkpoint())
    assert (tmp_path / "out.jsonl.checkpoint").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("step", ["truncate", "write", "sync"])
def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Where a new checkpoint cannot be written the run resumes behind the old one, or the new one if it is whole."""
    with journal_of(output(tmp_path)) as one:
        one.append(checkpoint(1))
        perform = durable.perform

        def full(name: str, path: str, call: Any, *arguments: Any, **options: Any) -> Any:
            def fail(*_: Any, **__: Any) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

            return perform(name, path, fail if name == step else call, *arguments, **options)

        monkeypatch.setattr(durable, "perform", full)
        with pytest.raises(OutputError, match=r"out\.jsonl: No space left on device"):
            one.append(checkpoint(2))
        monkeypatch.undo()
        assert one.holds_checkpoint
    assert names(tmp_path) == ["out.jsonl.checkpoint"]
    with journal_of(output(tmp_path)) as two:
        loaded = two.load()
        assert loaded.position.line == (2 if step == "sync" else 1)
        two.append(checkpoint(3))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"no JSON\n", "is not a checkpoint"),
        (b"[]\n", "is not a checkpoint"),
        (b'{"version":2}\n', "is not a checkpoint"),
        (b'{"version":99}\n', "has format 99, this program reads 2"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, text: bytes, reason: str) -> None:
    """A file that is not a checkpoint of this format is refused, with what to do; starting over replaces it."""
    (tmp_path / "out.jsonl.checkpoint").write_bytes(text)
    with journal_of(output(tmp_path)) as one:
        with pytest.raises(OutputRefusedError, match=rf"{reason}; start over without --resume"):
            one.load()
        one.start_over()
        assert one.load() is None


def test_another_run_is_not_resumed(tmp_path: Path) -> None:
    """A checkpoint of a run with other options is refused."""
    with journal_of(output(tmp_path)) as one:
        one.append(checkpoint())
    other = Header(program="1.0", options={"strict": True}, inputs=[])
    with journal_of(output(tmp_path), header=other) as two, pytest.raises(OutputRefusedError, match="strict was False"):
        two.load()


def test_streams_have_no_checkpoint() -> None:
    """A run that writes to streams alone keeps nothing, and finishes without a file."""
    with journal_of("-", os.devnull) as one:
        one.start_over()
        one.append(checkpoint())
        assert one.load() is None
        assert not one.holds_checkpoint
        one.remove()


def test_starting_over_gives_back_what_was_moved_away(tmp_path: Path) -> None:
    """Where a run stopped while it replaced a folder, starting over leaves the old one whole."""
    for name in ("out.partial", "out.replaced"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part-00000.parquet").write_text(name)
    with journal_of(output(tmp_path, "out")) as one:
        one.append(checkpoint(done=True, replaces=True))
    with journal_of(output(tmp_path, "out")) as two:
        two.start_over()
    assert names(tmp_path) == ["out", "out.partial"]
    assert (tmp_path / "out" / "part-00000.parquet").read_text() == "out.replaced"


# -- one run at a time

HOLDER = """
import os, signal, sys
sys.path[:0] = [{root!r}]
from normcompletion.batch.blocks import Position
from normcompletion.batch.journal import Checkpoint, Header, Journal
with Journal({outputs!r}, Header(program="1.0", options={{"strict": False}}, inputs=[])) as journal:
    for number in range({saves}):
        journal.append(Checkpoint(position=Position(number), report={{}}))
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(outputs: list[str], saves: int) -> subprocess.Popen[str]:
    """Another process that has some outputs."""
    code = HOLDER.format(root=str(ROOT), outputs=outputs, saves=saves)
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


locks = pytest.mark.skipif(journal.fcntl is None, reason="no file locks here")


@locks
@pytest.mark.parametrize("saves", [0, 3])
def test_two_runs_do_not_write_one_output(tmp_path: Path, saves: int) -> None:
    """While a run has an output another is refused, before and after checkpoints; a killed run is in nobody's way."""
    mine, rejects = output(tmp_path), output(tmp_path, "rejects.jsonl")
    with holder([output(tmp_path, "theirs.jsonl"), rejects], saves) as other:
        for outputs in ([rejects], [mine, rejects], [output(tmp_path, "theirs.jsonl")]):
            with pytest.raises(OutputRefusedError, match=r"another run is writing .*; wait for it or name another"):
                Journal(outputs, HEADER).__enter__()
        with journal_of(mine):
            pass
        other.kill()
    with journal_of(mine, rejects):
        pass
    with journal_of(output(tmp_path, "theirs.jsonl")) as one:
        loaded = one.load()
        assert (loaded is None) == (saves == 0)
        assert loaded is None or loaded.position.input == saves - 1


@locks
def test_two_threads_do_not_write_one_output(tmp_path: Path) -> None:
    """One process does not write an output twice at a time either, and may once the first has ended."""
    with journal_of(output(tmp_path)) as one:
        one.append(checkpoint())
        with pytest.raises(OutputRefusedError, match="another run is writing"):
            journal_of(output(tmp_path)).__enter__()
        assert one.load() is not None
    with journal_of(output(tmp_path)):
        pass


def test_a_run_is_not_in_its_own_way(tmp_path: Path) -> None:
    """Outputs of one name, which are refused later, do not lock each other out."""
    with journal_of(output(tmp_path), output(tmp_path, "other.jsonl"), output(tmp_path, "./out.jsonl")) as one:
        one.append(checkpoint())
        assert names(tmp_path) == ["other.jsonl.checkpoint", "out.jsonl.checkpoint"]
    assert names(tmp_path) == ["out.jsonl.checkpoint"]


@locks
def test_a_lock_is_on_the_file_that_has_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock on a file that lost its name in the same moment is given up for one on the file that has it."""
    lock = journal._lock
    taken = []

    def late(file: durable.File) -> bool:
        if not taken:
            file.path.unlink()  # its owner has finished
        taken.append(file)
        return lock(file)

    monkeypatch.setattr(journal, "_lock", late)
    with journal_of(output(tmp_path)):
        assert len(taken) == 2
        with pytest.raises(OutputRefusedError, match="another run is writing"):
            journal_of(output(tmp_path)).__enter__()


@pytest.mark.parametrize("lacking", ["system", "file system"])
def test_an_output_is_written_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str) -> None:
    """Where the system has no file locks, or files cannot be locked, a run works without."""

    def unsupported(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    fake = SimpleNamespace(flock=unsupported, LOCK_EX=0, LOCK_NB=0)
    monkeypatch.setattr(journal, "fcntl", None if lacking == "system" else fake)
    with journal_of(output(tmp_path)) as one:
        assert one.load() is None
        one.append(checkpoint())
    with journal_of(output(tmp_path)) as two:
        assert two.load() == checkpoint()
        two.remove()
    assert names(tmp_path) == []


# -- the same run


def mismatch(saved: Header, now: Header) -> str:
    with pytest.raises(OutputRefusedError) as caught:
        check_unchanged(saved, now)
    text = str(caught.value)
    assert text.startswith("cannot resume: ")
    assert text.endswith(". Call it as the first time, or start over without --resume")
    return text.removeprefix("cannot resume: ").removesuffix(
        ". Call it as the first time, or start over without --resume"
    )


def test_the_same_call_is_resumed() -> None:
    """Options that JSON writes alike are alike."""
    saved = Header(program="1.0", options={"columns": ["a"], "limit": None}, inputs=[Fingerprint("a", 1, 2, "x")])
    now = Header(program="1.0", options={"columns": ("a",)}, inputs=[Fingerprint("a", 1, 2, "x")])
    check_unchanged(saved, now)


def test_what_changed_is_named() -> None:
    """Who resumes with another version, other options or other inputs is answered with which, up to three."""
    a, b = Fingerprint("a", 1000, 2, "x"), Fingerprint("b", 1, 2, "x")

    def run(program: str = "1.0", inputs: tuple[Fingerprint, ...] = (a, b), **options: Any) -> Header:
        return Header(program=program, options=options, inputs=list(inputs))

    assert mismatch(run(), run("2.0")) == "version 1.0 began, this is 2.0"
    assert mismatch(run(strict=False), run(strict=True)) == "strict was False, is True"
    assert mismatch(run(), run(source="atoma")) == "source was None, is 'atoma'"
    assert mismatch(run(), run(inputs=(a,))) == "b is no longer an input"
    assert mismatch(run(inputs=(a,)), run()) == "b is a new input"
    assert mismatch(run(), run(inputs=(b, a))) == "the inputs come in another order"
    longer = Fingerprint("a", 2000, 3, "x")
    assert mismatch(run(), run(inputs=(longer, b))) == "a had 1,000 bytes, has 2,000"
    for other in (Fingerprint("a", 1000, 3, "x"), Fingerprint("a", 1000, 2, "y")):
        assert mismatch(run(), run(inputs=(other, b))) == "a was modified"
    assert mismatch(run(a=1, b=1, c=1, d=1, e=1), run()) == (
        "a was 1, is None; b was 1, is None; c was 1, is None (and 2 more)"
    )
    assert len(mismatch(run(text="x" * 1000), run(text="y" * 1000))) < 200


def test_a_fingerprint_knows_a_file_again(tmp_path: Path) -> None:
    """A fingerprint changes with the size, the time and the first and last 64 KiB of a file; streams have none."""
    path = tmp_path / "log.jsonl"

    def taken(content: bytes) -> Fingerprint:
        path.write_bytes(content)
        os.utime(path, ns=(10, 10))
        found = fingerprint(Input("log", str(path)))
        assert found is not None
        return found

    for size in (0, 1, 65535, 65536, 65537, 131071, 131072, 131073, 400_000):
        content = b"x" * size
        assert taken(content) == taken(content)
        assert taken(content) != taken(content + b"x")
        for position in {0, min(size, 65536) - 1, max(size - 65536, 0), size - 1} if size else ():
            assert taken(content) != taken(content[:position] + b"y" + content[position + 1 :])
    before = taken(b"x")
    os.utime(path, ns=(10, 11))
    assert fingerprint(Input("log", str(path))) != before
    assert fingerprint(Input("-", "-")) is None
    assert fingerprint(Input(os.devnull, os.devnull)) is None
    assert fingerprint(Input("folder", str(tmp_path))) is None


@pytest.mark.parametrize(("number", "fails"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_directory_that_cannot_be_synced_is_an_error_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, number: int, fails: bool
) -> None:
    """A file system that does not sync directories is written to; a disk that fails is an error."""

    def broken(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", broken)
    if fails:
        with pytest.raises(OutputError):
            durable.sync_directory(tmp_path, "out.jsonl")
    else:
        durable.sync_directory(tmp_path, "out.jsonl")
