"""The checkpoint: written as a whole, read with care, finished step by step, and for one run at a time."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from normcompletion.batch import durable, journal
from normcompletion.batch.durable import OutputError
from normcompletion.batch.journal import Checkpoint, Fingerprint, Journal, Rename, check_unchanged, fingerprint
from normcompletion.batch.outputs import OutputRefusedError

ROOT = Path(__file__).parent.parent


def checkpoint(**members: Any) -> Checkpoint:
    return Checkpoint(program="1.0", options={"strict": False}, inputs=[], **members)


def output(tmp_path: Path, name: str = "out.jsonl") -> str:
    return str(tmp_path / name)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


# -- the file


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """A checkpoint comes back as it was, in this run and in a later one."""
    saved = checkpoint(
        position=[1, 2, 3],
        counts={"report": {"units": 7}},
        sinks={"output": {"length": 5, "records": 2}},
        renames=[Rename("a.partial", "a"), Rename("b.partial", "b", "b.replaced")],
    )
    saved.inputs.append(Fingerprint("in.jsonl", 10, 1234567890123456789, "ab"))
    with Journal([output(tmp_path)]) as first:
        assert first.load() is None
        assert not first.holds_checkpoint
        first.save(saved)
        assert first.holds_checkpoint
        assert first.load() == saved
    assert names(tmp_path) == ["out.jsonl.checkpoint"]
    with Journal([output(tmp_path)]) as second:
        assert second.holds_checkpoint
        assert second.load() == saved


def test_a_run_without_checkpoints_leaves_nothing(tmp_path: Path) -> None:
    """A journal in which nothing was saved leaves no file, nor does one whose checkpoint was given up."""
    with Journal([output(tmp_path), output(tmp_path, "rejects.jsonl")]):
        assert names(tmp_path) == ["out.jsonl.checkpoint", "rejects.jsonl.checkpoint"]
    assert names(tmp_path) == []
    with Journal([output(tmp_path)]) as one:
        one.save(checkpoint())
        one.start_over()
        assert not one.holds_checkpoint
        assert one.load() is None
    assert names(tmp_path) == []


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    """A checkpoint that was only half written is removed by the next run; the one before it counts."""
    with Journal([output(tmp_path)]) as one:
        one.save(checkpoint(position=1))
    (tmp_path / "out.jsonl.checkpoint.new").write_bytes(b'{"version":1,"prog')
    with Journal([output(tmp_path)]) as two:
        loaded = two.load()
        assert loaded is not None
        assert loaded.position == 1
    assert names(tmp_path) == ["out.jsonl.checkpoint"]


def test_a_checkpoint_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Options and file names are nobody else's business: mode 0600."""
    with Journal([output(tmp_path)]) as one:
        one.save(checkpoint())
    assert (tmp_path / "out.jsonl.checkpoint").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("step", ["open", "write", "sync", "rename"])
def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Where a new checkpoint cannot be written the old one stays as it was, and nothing of the new one."""
    with Journal([output(tmp_path)]) as one:
        one.save(checkpoint(position=1))
        perform = durable.perform

        def full(name: str, path: str, call: Any, *arguments: Any, **options: Any) -> Any:
            def fail(*_: Any, **__: Any) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

            return perform(name, path, fail if name == step else call, *arguments, **options)

        monkeypatch.setattr(durable, "perform", full)
        with pytest.raises(OutputError, match=r"out\.jsonl: No space left on device"):
            one.save(checkpoint(position=2))
        monkeypatch.undo()
        assert names(tmp_path) == ["out.jsonl.checkpoint"]
        loaded = one.load()
        assert loaded is not None
        assert loaded.position == 1
        one.save(checkpoint(position=3))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"no JSON", "is not a checkpoint"),
        (b"[]", "is not a checkpoint"),
        (b'{"version":1}', "is not a checkpoint"),
        (b'{"version":99}', "has format 99, this program reads 1"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, text: bytes, reason: str) -> None:
    """A file that is not a checkpoint of this format is refused, with what to do; starting over replaces it."""
    (tmp_path / "out.jsonl.checkpoint").write_bytes(text)
    with Journal([output(tmp_path)]) as one:
        with pytest.raises(OutputRefusedError, match=rf"{reason}; start over without --resume"):
            one.load()
        one.start_over()
        assert one.load() is None


def test_streams_have_no_checkpoint() -> None:
    """A run that writes to streams alone keeps nothing, and finishes without a file."""
    with Journal(["-", os.devnull]) as one:
        one.start_over()
        one.save(checkpoint())
        assert one.load() is None
        assert not one.holds_checkpoint
        one.finish(checkpoint())


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """A journal in a directory that does not exist says how to make it."""
    with (
        pytest.raises(OutputError, match=r"make the directory first \(mkdir -p .*far\)"),
        Journal([output(tmp_path, "far/out.jsonl")]),
    ):
        pass


# -- finishing


def finished(tmp_path: Path, *pairs: str) -> list[Rename]:
    return [Rename(str(tmp_path / f"{name}.partial"), str(tmp_path / name)) for name in pairs]


def test_finishing_renames_everything(tmp_path: Path) -> None:
    """After `finish` every output has its final name, old files are replaced, and nothing else is left."""
    for name in ("out.jsonl", "rejects.jsonl"):
        (tmp_path / f"{name}.partial").write_text("new")
        (tmp_path / name).write_text("old")
    with Journal([output(tmp_path), output(tmp_path, "rejects.jsonl")]) as one:
        one.finish(checkpoint(renames=finished(tmp_path, "rejects.jsonl", "out.jsonl")))
        assert names(tmp_path) == ["out.jsonl", "rejects.jsonl"]
    assert names(tmp_path) == ["out.jsonl", "rejects.jsonl"]
    assert (tmp_path / "out.jsonl").read_text() == (tmp_path / "rejects.jsonl").read_text() == "new"


def test_finishing_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A run that stops between two renames is finished by the next, which renames only what is left."""
    (tmp_path / "rejects.jsonl").write_text("renamed before")
    (tmp_path / "out.jsonl.partial").write_text("new")
    saved = checkpoint(phase="finishing", renames=finished(tmp_path, "rejects.jsonl", "out.jsonl"))
    with Journal([output(tmp_path)]) as one:
        one.save(saved)
    with Journal([output(tmp_path)]) as two:
        loaded = two.load()
        assert loaded is not None
        two.finish(loaded)
    assert names(tmp_path) == ["out.jsonl", "rejects.jsonl"]
    assert (tmp_path / "rejects.jsonl").read_text() == "renamed before"


@pytest.mark.parametrize("old", ["none", "parts", "empty", "file"])
def test_a_directory_takes_the_place_of_what_was_there(tmp_path: Path, old: str) -> None:
    """A directory of parts replaces an older one as a whole: none of its parts stays."""
    final = tmp_path / "out"
    if old == "file":
        final.write_text("old")
    elif old != "none":
        final.mkdir()
    if old == "parts":
        (final / "part-00007.parquet").write_text("old")
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "part-00000.parquet").write_text("new")
    with Journal([str(final)]) as one:
        one.finish(checkpoint(renames=finished(tmp_path, "out")))
    assert names(tmp_path) == ["out"]
    assert names(final) == ["part-00000.parquet"]


@pytest.mark.parametrize("published", [False, True])
def test_starting_over_keeps_what_was_there_before(tmp_path: Path, *, published: bool) -> None:
    """Where a run stopped while it replaced a directory, starting over leaves the old one whole, or the new one."""
    new, old = tmp_path / ("out" if published else "out.partial"), tmp_path / "out.replaced"
    for path in (new, old):
        path.mkdir()
        (path / "part-00000.parquet").write_text(path.name)
    rename = Rename(str(tmp_path / "out.partial"), str(tmp_path / "out"), str(old))
    with Journal([output(tmp_path, "out")]) as one:
        one.save(checkpoint(phase="finishing", renames=[rename]))
    with Journal([output(tmp_path, "out")]) as two:
        two.start_over()
    assert names(tmp_path) == (["out"] if published else ["out", "out.partial"])
    assert (tmp_path / "out" / "part-00000.parquet").read_text() == ("out" if published else "out.replaced")


def test_only_parts_are_ever_removed(tmp_path: Path) -> None:
    """Files of others that got into an old directory of parts are not removed; the error says where they are."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    (tmp_path / "out.partial").mkdir()
    with Journal([output(tmp_path, "out")]) as one, pytest.raises(OutputError, match=r"out\.replaced holds more than"):
        one.finish(checkpoint(renames=finished(tmp_path, "out")))
    assert (tmp_path / "out.replaced" / "thesis.tex").read_text() == "mine"


def test_a_rename_that_fails_is_done_by_resuming(tmp_path: Path) -> None:
    """Where a name cannot be given the checkpoint stays, and resuming does it once the way is free."""
    (tmp_path / "out.jsonl.partial").write_text("new")
    (tmp_path / "out.jsonl").mkdir()
    with Journal([output(tmp_path)]) as one:
        with pytest.raises(OutputError, match="a directory of that name is in the way"):
            one.finish(checkpoint(renames=finished(tmp_path, "out.jsonl")))
        assert one.holds_checkpoint
    (tmp_path / "out.jsonl").rmdir()
    with Journal([output(tmp_path)]) as two:
        loaded = two.load()
        assert loaded is not None
        assert loaded.phase == "finishing"
        two.finish(loaded)
    assert names(tmp_path) == ["out.jsonl"]


# -- one run at a time

HOLDER = """
import os, signal, sys
sys.path[:0] = [{root!r}]
from normcompletion.batch.journal import Checkpoint, Journal
with Journal({outputs!r}) as journal:
    for position in range({saves}):
        journal.save(Checkpoint(program="1.0", options={{}}, inputs=[], position=position))
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(outputs: list[str], saves: int) -> subprocess.Popen[str]:
    """Another process that has some outputs."""
    code = HOLDER.format(root=str(ROOT), outputs=outputs, saves=saves)
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
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
                Journal(outputs).__enter__()
        with Journal([mine]):
            pass
        other.kill()
    with Journal([mine, rejects]):
        pass
    with Journal([output(tmp_path, "theirs.jsonl")]) as one:
        loaded = one.load()
        assert (loaded is None) == (saves == 0)
        assert loaded is None or loaded.position == saves - 1


@locks
def test_two_threads_do_not_write_one_output(tmp_path: Path) -> None:
    """One process does not write an output twice at a time either, and may once the first has ended."""
    with Journal([output(tmp_path)]) as one:
        one.save(checkpoint())
        with pytest.raises(OutputRefusedError, match="another run is writing"):
            Journal([output(tmp_path)]).__enter__()
        assert one.load() is not None
    with Journal([output(tmp_path)]):
        pass


def test_a_run_is_not_in_its_own_way(tmp_path: Path) -> None:
    """Outputs of one name, which are refused later, do not lock each other out."""
    with Journal([output(tmp_path), output(tmp_path, "other.jsonl"), output(tmp_path, "./out.jsonl")]) as one:
        one.save(checkpoint())
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
    with Journal([output(tmp_path)]):
        assert len(taken) == 2
        with pytest.raises(OutputRefusedError, match="another run is writing"):
            Journal([output(tmp_path)]).__enter__()


@locks
def test_a_file_system_without_locks_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files cannot be locked a run works without."""

    def unsupported(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(journal.fcntl, "flock", unsupported)
    with Journal([output(tmp_path)]) as one:
        one.save(checkpoint(position=1))
    assert names(tmp_path) == ["out.jsonl.checkpoint"]


def test_a_system_without_locks_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no file locks a run works without."""
    monkeypatch.setattr(journal, "fcntl", None)
    (tmp_path / "out.jsonl.partial").write_text("new")
    with Journal([output(tmp_path)]) as one:
        assert one.load() is None
        one.save(checkpoint(position=1))
    with Journal([output(tmp_path)]) as two:
        loaded = two.load()
        assert loaded is not None
        two.finish(checkpoint(renames=finished(tmp_path, "out.jsonl")))
    assert names(tmp_path) == ["out.jsonl"]


# -- the same run


def mismatch(saved: Checkpoint, now: Checkpoint) -> str:
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
    saved = Checkpoint(program="1.0", options={"columns": ["a"], "limit": None}, inputs=[Fingerprint("a", 1, 2, "x")])
    now = Checkpoint(program="1.0", options={"columns": ("a",)}, inputs=[Fingerprint("a", 1, 2, "x")])
    check_unchanged(saved, now)


def test_what_changed_is_named() -> None:
    """Who resumes with another version, other options or other inputs is told which, up to three."""
    a, b = Fingerprint("a", 1000, 2, "x"), Fingerprint("b", 1, 2, "x")

    def run(program: str = "1.0", inputs: tuple[Fingerprint, ...] = (a, b), **options: Any) -> Checkpoint:
        return Checkpoint(program=program, options=options, inputs=list(inputs))

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
        found = fingerprint(str(path))
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
    assert fingerprint(str(path)) != before
    assert fingerprint("-") is None
    assert fingerprint(os.devnull) is None
    assert fingerprint(str(tmp_path)) is None
