"""Sinks: the bytes they write, what they promise to be durable, and what they say when they cannot write."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import random
import stat
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from normcompletion.batch import durable, outputs
from normcompletion.batch.durable import OutputError
from normcompletion.batch.options import Kind
from normcompletion.batch.outputs import Sink, open_sink
from normcompletion.batch.outputs.naming import (
    OutputRefusedError,
    can_resume,
    check_outputs,
    partial_path,
    publish,
    replaces,
    restore,
)
from tests.conftest import contents, zstd

RECORDS = 500
LINES = [json.dumps({"n": n, "text": "é" * (n * 7 % 40)}).encode() + b"\n" for n in range(RECORDS)]
NAMES = ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst", "out.parquet", "out.parts"]
TABLE_NAMES = NAMES[3:]


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are cut where a few records fill them."""
    monkeypatch.setattr(outputs.text, "FRAME_BYTES", 4000)
    monkeypatch.setattr(outputs.parquet, "BUFFER_BYTES", 1000)
    monkeypatch.setattr(outputs.parquet, "ROWS_PER_GROUP", 64)


def kind(name: str) -> Kind:
    return "parquet" if name.endswith(".parquet") else "parquet_parts" if name.endswith(".parts") else "jsonl"


def schema() -> Any:
    person = pa.struct({"name": pa.string(), "flags": pa.list_(pa.bool_())})
    return pa.schema({"n": pa.int64(), "text": pa.string(), "people": pa.list_(person)})


def batch(start: int, stop: int) -> Any:
    rows = [
        {
            "n": n if n % 11 else None,
            "text": None if n % 5 == 0 else "é" * (n * 7 % 40),
            "people": None if n % 3 == 0 else [{"name": str(i), "flags": [True, None] * i} for i in range(n % 4)],
        }
        for n in range(start, stop)
    ]
    return pa.RecordBatch.from_pylist(rows, schema())


def sink_for(path: Path, **options: Any) -> Sink:
    if kind(path.name) != "jsonl":
        options = {"schema": schema(), "rows_per_part": 150, **options}
    return open_sink(str(path), kind=kind(path.name), **options)


def write(sink: Sink, name: str, start: int, stop: int) -> None:
    if kind(name) == "jsonl":
        sink.write(b"".join(LINES[start:stop]))
    else:
        sink.write(batch(start, stop))


def finish(sink: Sink, path: Path) -> None:
    """What a run does at the end."""
    sink.close()
    publish(str(path))


def whole(directory: Path, name: str, cuts: list[int], **options: Any) -> dict[str, bytes]:
    """The files that come of all records, written in pieces."""
    directory.mkdir()
    sink = sink_for(directory / name, **options)
    for start, stop in zip([0, *cuts], [*cuts, RECORDS], strict=True):
        write(sink, name, start, stop)
    finish(sink, directory / name)
    return contents(directory)


def parts(folder: Path, *names: str) -> Path:
    """A folder of empty files."""
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    return folder


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a Parquet file, or of a directory of parts."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [row for part in files for row in parquet.ParquetFile(part).read().to_pylist()]


def groups(path: Path) -> list[int]:
    metadata = parquet.ParquetFile(path).metadata
    return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


class Steps:
    """Counts the steps on files, and lets those of one kind fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failing: str = "", error: int = errno.EIO) -> None:
        self.done: list[str] = []
        self.failing = failing
        perform = durable.perform

        def counted(step: str, output: str, call: Any, *arguments: Any, **options: Any) -> Any:
            self.done.append(step)

            def fail(*_: Any, **__: Any) -> None:
                raise OSError(error, os.strerror(error))

            return perform(step, output, fail if step == self.failing else call, *arguments, **options)

        monkeypatch.setattr(durable, "perform", counted)


# -- content


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_depend_on_the_records_alone(tmp_path: Path, name: str) -> None:
    """However the records are cut into calls, and however many threads compress, the same bytes come out."""
    expected = whole(tmp_path / "0", name, [])
    for seed in range(1, 6):
        chance = random.Random(seed)
        cuts = sorted(chance.sample(range(RECORDS + 1), chance.choice([1, 5, 50, 300])))
        assert whole(tmp_path / str(seed), name, cuts, threads=1 + seed % 3) == expected


def decompressed(name: str, content: bytes) -> bytes:
    if name.endswith(".gz"):
        return gzip.decompress(content)
    return zstd().decompress(content) if name.endswith(".zst") else content


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_rows_come_back(tmp_path: Path, name: str) -> None:
    """What is read back from Parquet is what was written, null or not, in order and under the same schema."""
    whole(tmp_path / "0", name, [100, 300])
    path = tmp_path / "0" / name
    assert rows(path) == batch(0, RECORDS).to_pylist()
    first = path if path.is_file() else path / "part-00000.parquet"
    assert parquet.ParquetFile(first).schema_arrow == schema()


def test_gzip_members_are_independent(tmp_path: Path) -> None:
    """A gzip member ends with the first record after so many bytes, and has neither a time nor a name."""
    content = whole(tmp_path / "0", "out.jsonl.gz", [7, 333])["out.jsonl.gz"]
    texts = []
    while content:
        assert content[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"
        member = zlib.decompressobj(31)
        texts.append(member.decompress(content))
        content = member.unused_data
    assert len(texts) > 2
    assert b"".join(texts) == b"".join(LINES)
    for text in texts[:-1]:
        assert len(text) >= outputs.text.FRAME_BYTES > len(text[: text[:-1].rindex(b"\n") + 1])


def test_zstandard_frames_have_checksums(tmp_path: Path) -> None:
    """A flipped bit anywhere in the body of a `.zst` is noticed by whoever reads it."""
    content = whole(tmp_path / "0", "out.jsonl.zst", [])["out.jsonl.zst"]
    assert content[4] & 0b100  # the checksum flag of the first frame
    assert decompressed("out.jsonl.zst", content) == b"".join(LINES)
    for position in range(20, len(content), 97):
        broken = bytearray(content)
        broken[position] ^= 1
        with pytest.raises(zstd().ZstdError):
            decompressed("out.jsonl.zst", bytes(broken))


def test_row_groups_have_a_fixed_number_of_rows(tmp_path: Path) -> None:
    """Row groups are full but for the last, in one file and in each part."""
    whole(tmp_path / "0", "out.parquet", [1, 2, 250])
    assert groups(tmp_path / "0" / "out.parquet") == [64] * 7 + [52]
    whole(tmp_path / "1", "out.parts", [1, 2, 250])
    found = sorted((tmp_path / "1" / "out.parts").iterdir())
    assert [part.name for part in found] == [f"part-{n:05}.parquet" for n in range(4)]
    assert [groups(part) for part in found] == [[64, 64, 22]] * 3 + [[50]]


def test_row_groups_are_cut_by_their_values_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rows are large a group ends with the row that fills it, wherever the calls were cut."""
    monkeypatch.setattr(outputs.parquet, "GROUP_BYTES", 1500)
    expected = whole(tmp_path / "0", "out.parquet", [])
    assert len({*groups(tmp_path / "0" / "out.parquet")}) > 3
    assert max(groups(tmp_path / "0" / "out.parquet")) < 64
    for seed in range(1, 6):
        cuts = sorted(random.Random(seed).sample(range(RECORDS + 1), 40 * seed))
        assert whole(tmp_path / str(seed), "out.parquet", cuts) == expected
    assert rows(tmp_path / "0" / "out.parquet") == batch(0, RECORDS).to_pylist()


@pytest.mark.parametrize("name", NAMES)
def test_no_records_make_a_whole_file(tmp_path: Path, name: str) -> None:
    """An output of no records is complete: an empty text, an archive that opens, a table with its columns."""
    path = tmp_path / name
    finish(sink_for(path), path)
    if kind(name) != "jsonl":
        assert rows(path) == []
        assert [each.name for each in path.iterdir()] == ["part-00000.parquet"] if path.is_dir() else path.is_file()
    else:
        assert decompressed(name, path.read_bytes()) == b""
        assert bool(path.read_bytes()) == (name != "out.jsonl")


def test_full_parts_leave_no_empty_one(tmp_path: Path) -> None:
    """Where the rows fill the parts exactly there is no part without rows."""
    sink = sink_for(tmp_path / "out.parts", rows_per_part=100)
    write(sink, "out.parts", 0, 300)
    finish(sink, tmp_path / "out.parts")
    assert sorted(contents(tmp_path / "out.parts")) == [f"part-{n:05}.parquet" for n in range(3)]


# -- files


@pytest.mark.parametrize("name", NAMES)
def test_nothing_has_the_final_name_before_the_end(tmp_path: Path, name: str) -> None:
    """Until it is renamed an output is `NAME.partial`, in the same directory."""
    sink = sink_for(tmp_path / name)
    write(sink, name, 0, RECORDS)
    if can_resume(str(tmp_path / name), kind(name)):
        sink.end_part()
    sink.close()
    assert [each.name for each in tmp_path.iterdir()] == [f"{name}.partial"]
    publish(str(tmp_path / name))
    assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_the_mode_is_that_of_the_call(tmp_path: Path, name: str) -> None:
    """A sink for the owner alone makes files that only the owner may read, whatever was there before."""
    if kind(name) != "parquet_parts":
        (tmp_path / f"{name}.partial").write_text("an older run's, for all to read")
        (tmp_path / f"{name}.partial").chmod(0o644)
    sink = sink_for(tmp_path / name, mode=0o600)
    write(sink, name, 0, RECORDS)
    sink.close()
    for path in tmp_path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


@pytest.mark.parametrize("name", NAMES)
def test_discard_leaves_nothing(tmp_path: Path, name: str) -> None:
    """A sink that is discarded leaves no file, whatever it was doing."""
    for step in range(4):
        sink = sink_for(tmp_path / name)
        if step > 0:
            write(sink, name, 0, RECORDS)
        if step > 1:
            sink.end_part()
        if step > 2:
            sink.close()
        sink.stop(keep=False)
        assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    """An output that is a link stays one; the file it names is written, in that file's directory."""
    (tmp_path / "far").mkdir()
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "far" / "real.jsonl")
    sink = open_sink(str(tmp_path / "link.jsonl"), kind="jsonl")
    assert (tmp_path / "far" / "real.jsonl.partial").exists()
    write(sink, "out.jsonl", 0, 3)
    finish(sink, tmp_path / "link.jsonl")
    assert (tmp_path / "link.jsonl").is_symlink()
    assert (tmp_path / "far" / "real.jsonl").read_bytes() == b"".join(LINES[:3])


def test_a_name_with_a_slash_is_that_of_the_directory(tmp_path: Path) -> None:
    """Parts for `folder/` are gathered beside the folder, not in it."""
    sink = open_sink(f"{tmp_path}/folder/", kind="parquet_parts", schema=schema())
    assert [each.name for each in tmp_path.iterdir()] == ["folder.partial"]
    finish(sink, tmp_path / "folder")
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


# -- durable and resumed


PARTED = ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst", "out.parts"]


@pytest.mark.parametrize("name", PARTED)
def test_the_end_of_a_part_makes_everything_durable(tmp_path: Path, name: str) -> None:
    """At the end of a part all records that were written are on disk, and can be read from there."""
    sink = sink_for(tmp_path / name)
    for stop in (100, 400):
        write(sink, name, 0 if stop == 100 else 100, stop)
        length = sink.end_part()
        partial = tmp_path / f"{name}.partial"
        if name == "out.parts":
            assert length == len(list(partial.iterdir()))
            assert rows(partial) == batch(0, stop).to_pylist()
        else:
            assert length == partial.stat().st_size
            assert decompressed(name, partial.read_bytes()) == b"".join(LINES[:stop])
    sink.stop(keep=False)


@pytest.mark.parametrize("name", PARTED)
def test_a_resumed_sink_goes_on(tmp_path: Path, name: str) -> None:
    """A sink that continues behind a part gives the bytes of one that ended a part there and never stopped."""
    for folder, stops in (("0", False), ("1", True)):
        (tmp_path / folder).mkdir()
        sink = sink_for(tmp_path / folder / name)
        write(sink, name, 0, 333)
        length = sink.end_part()
        if stops:
            write(sink, name, 333, 450)  # lost
            sink.stop(keep=True)
            sink = sink_for(tmp_path / folder / name, resume=length)
        write(sink, name, 333, 338)
        write(sink, name, 338, RECORDS)
        finish(sink, tmp_path / folder / name)
    assert contents(tmp_path / "1") == contents(tmp_path / "0")


def test_a_part_without_records_adds_nothing(tmp_path: Path) -> None:
    """A part in which nothing was written, at the beginning or between others, leaves no trace."""
    for name in PARTED:
        for folder, parts in (("0", 1), ("1", 3)):
            path = tmp_path / name / folder / name
            path.parent.mkdir(parents=True)
            sink = sink_for(path)
            for _ in range(parts):
                sink.end_part()
            write(sink, name, 0, 10)
            for _ in range(parts):
                sink.end_part()
            finish(sink, path)
        assert contents(tmp_path / name / "1") == contents(tmp_path / name / "0")


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_what_is_shorter_than_it_was_is_refused(tmp_path: Path, name: str) -> None:
    """A partial file that is missing or has lost bytes is not continued, and stays as it is."""
    with pytest.raises(OutputRefusedError, match=r"partial is missing.*start over without --resume"):
        sink_for(tmp_path / name, resume=1000)
    (tmp_path / f"{name}.partial").write_bytes(b"short")
    with pytest.raises(OutputRefusedError, match=r"has 5 bytes, but 1,000 bytes were written"):
        sink_for(tmp_path / name, resume=1000)
    assert (tmp_path / f"{name}.partial").read_bytes() == b"short"


def test_a_missing_part_is_refused(tmp_path: Path) -> None:
    """Parts are not continued when one of them, or their directory, is gone."""
    with pytest.raises(OutputRefusedError, match=r"out.parts.partial is missing"):
        sink_for(tmp_path / "out.parts", resume=2)
    parts(tmp_path / "out.parts.partial", "part-00000.parquet")
    with pytest.raises(OutputRefusedError, match=r"part-00001.parquet is missing"):
        sink_for(tmp_path / "out.parts", resume=2)


def test_parts_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    """Whoever starts over, or resumes at an earlier part, does not leave the later parts of a killed run."""
    partial = parts(tmp_path / "out.parts.partial", *(f"part-0000{number}.parquet" for number in (0, 1, 2, 9)))
    sink_for(tmp_path / "out.parts", resume=1).stop(keep=True)
    assert [each.name for each in partial.iterdir()] == ["part-00000.parquet"]
    sink_for(tmp_path / "out.parts").stop(keep=True)
    assert list(partial.iterdir()) == []


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """A directory that has the partial name and holds more than parts is not touched."""
    partial = parts(tmp_path / "out.parts.partial", "part-00000.parquet", "thesis.tex")
    with pytest.raises(OutputError, match=r"out.parts.partial holds more than parts.*move them"):
        sink_for(tmp_path / "out.parts")
    assert len(list(partial.iterdir())) == 2


# -- the final name


@pytest.mark.parametrize("old", ["none", "parts", "empty", "file"])
def test_a_folder_takes_the_place_of_what_was_there(tmp_path: Path, old: str) -> None:
    """A folder of Parquet files replaces an older one as a whole: none of its files stays."""
    final, partial = tmp_path / "out", tmp_path / "out.partial"
    if old == "file":
        final.write_text("old")
    elif old != "none":
        final.mkdir()
    if old == "parts":
        (final / "part-00007.parquet").write_text("old")
    partial.mkdir()
    (partial / "part-00000.parquet").write_text("new")
    assert replaces(str(final), "parquet_parts") == (old != "none")
    publish(str(final), replaces=old != "none")
    assert contents(tmp_path) == {"out/part-00000.parquet": b"new"}
    publish(str(final), replaces=old != "none")
    assert contents(tmp_path) == {"out/part-00000.parquet": b"new"}


def test_only_own_files_are_ever_removed(tmp_path: Path) -> None:
    """Files of others that got into an old folder are not removed; the error says where they are."""
    for folder in ("out", "out.partial"):
        (tmp_path / folder).mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match=r"out\.replaced holds more than parts"):
        publish(str(tmp_path / "out"), replaces=True)
    assert contents(tmp_path) == {"out.replaced/thesis.tex": b"mine"}


@pytest.mark.parametrize("published", [False, True])
def test_what_was_moved_away_comes_back(tmp_path: Path, *, published: bool) -> None:
    """Where a run stopped while it replaced a folder, `restore` leaves the old one whole, or the new one."""
    for path in (tmp_path / ("out" if published else "out.partial"), tmp_path / "out.replaced"):
        path.mkdir()
        (path / "part-00000.parquet").write_text(path.name)
    restore(str(tmp_path / "out"))
    kept = {"out/part-00000.parquet": b"out"}
    back = {"out/part-00000.parquet": b"out.replaced", "out.partial/part-00000.parquet": b"out.partial"}
    assert contents(tmp_path) == (kept if published else back)


def test_a_name_that_is_in_the_way_is_reported(tmp_path: Path) -> None:
    """Where a name cannot be given the error says why, and doing it again works once the way is free."""
    final = tmp_path / "out.jsonl"
    partial_path(final).write_text("new")
    final.mkdir()
    with pytest.raises(OutputError, match="a directory of that name is in the way"):
        publish(str(final))
    final.rmdir()
    publish(str(final))
    assert contents(tmp_path) == {"out.jsonl": b"new"}


# -- streams


def test_standard_output_gets_each_call_at_once(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Standard output is written to directly, and stays open."""
    sink = open_sink("-", kind="jsonl")
    sink.write(LINES[0])
    assert capfdbinary.readouterr().out == LINES[0]
    sink.write(LINES[1])
    sink.close()
    assert capfdbinary.readouterr().out == LINES[1]
    sink.stop(keep=False)
    print("still open")
    assert capfdbinary.readouterr().out == b"still open\n"


def test_a_device_is_written_to_and_not_replaced() -> None:
    """A device is no file: nothing is made beside it and it keeps its name."""
    sink = open_sink(os.devnull, kind="jsonl")
    assert not Path(f"{os.devnull}.partial").exists()
    sink.write(LINES[0])
    sink.close()
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_written_to(tmp_path: Path) -> None:
    """Who reads a named pipe gets the records; when the reader has gone, that is an `OutputError`."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []

    def read() -> None:
        with pipe.open("rb") as stream:
            got.append(stream.readline())

    reader = threading.Thread(target=read)
    reader.start()
    sink = open_sink(str(pipe), kind="jsonl")
    sink.write(LINES[0])
    reader.join()
    assert got == [LINES[0]]
    with pytest.raises(OutputError, match="the program that reads it has ended") as caught:
        sink.write(LINES[1])
    assert caught.value.errno == errno.EPIPE
    sink.stop(keep=False)
    assert pipe.exists()


def test_one_parquet_file_may_go_to_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet on standard output is the file that it would have been."""

    class Output:
        buffer = io.BytesIO()

    monkeypatch.setattr(sys, "stdout", Output)
    sink = open_sink("-", kind="parquet", schema=schema())
    write(sink, "out.parquet", 0, 100)
    sink.close()
    Output.buffer.seek(0)
    assert parquet.read_table(Output.buffer).to_pylist() == batch(0, 100).to_pylist()


# -- refused


def refusal(outputs: list[tuple[str, Any]], **options: Any) -> str:
    with pytest.raises(OutputRefusedError) as caught:
        check_outputs(outputs, **options)
    return str(caught.value)


def test_an_output_that_exists_is_refused(tmp_path: Path) -> None:
    """What exists is replaced only when the user says so; an empty directory may be filled."""
    path = tmp_path / "out.jsonl"
    check_outputs([(str(path), "jsonl")])
    path.touch()
    assert refusal([(str(path), "jsonl")]) == f"{path} exists; replace it with --overwrite or name another output"
    check_outputs([(str(path), "jsonl")], overwrite=True)
    check_outputs([(str(parts(tmp_path / "empty")), "parquet_parts")])
    full = str(parts(tmp_path / "parts", "part-00000.parquet"))
    assert "exists" in refusal([(full, "parquet_parts")])
    check_outputs([(full, "parquet_parts")], overwrite=True)


def test_a_directory_is_replaced_only_if_it_holds_parts(tmp_path: Path) -> None:
    """No option makes a run replace a directory with other things in it, or replace one by a file."""
    (tmp_path / "thesis.tex").touch()
    assert "more than Parquet parts" in refusal([(str(tmp_path), "parquet_parts")], overwrite=True)
    assert "is a directory; name a file in it" in refusal([(str(tmp_path), "jsonl")], overwrite=True)
    assert "is a directory; name a file in it" in refusal([(str(tmp_path), "parquet")], overwrite=True)


def test_two_outputs_of_one_name_are_refused(tmp_path: Path) -> None:
    """Two outputs must be two files, also when they are spelled differently or one is the partial of the other."""
    path, link = tmp_path / "out.jsonl", tmp_path / "link.jsonl"
    link.symlink_to(path)
    for other in (path, link, tmp_path / "." / "out.jsonl.partial", tmp_path / "x" / ".." / "out.jsonl"):
        assert "the same file" in refusal([(str(path), "jsonl"), (str(other), "jsonl")])
    assert "the same file" in refusal([("-", "jsonl"), ("-", "jsonl")])
    check_outputs([(str(path), "jsonl"), (str(tmp_path / "rejects.jsonl"), "jsonl"), ("-", "jsonl")])
    check_outputs([(os.devnull, "jsonl"), (os.devnull, "jsonl")])


def test_an_input_is_no_output(tmp_path: Path) -> None:
    """A run does not replace what it reads, also as its partial file, however that is spelled."""
    path, link = tmp_path / "log.jsonl", tmp_path / "hard.jsonl"
    path.touch()
    link.hardlink_to(path)
    for other in (path, link):
        assert "is an input" in refusal([(str(path), "jsonl")], inputs=["-", str(other)], overwrite=True)
    partial = tmp_path / "out.jsonl.partial"
    partial.touch()
    text = refusal([(str(tmp_path / "out.jsonl"), "jsonl")], inputs=[str(partial)])
    assert text == f"{partial} would be written, and is an input; name another output"
    check_outputs([(str(tmp_path / "out.jsonl"), "jsonl")], inputs=["missing.jsonl"])


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    """An output whose links lead nowhere is an `OutputError`, not a defect."""
    (tmp_path / "a.jsonl").symlink_to(tmp_path / "b.jsonl")
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "a.jsonl")
    with pytest.raises(OutputError, match="lead in a circle; name another output"):
        open_sink(str(tmp_path / "a.jsonl"), kind="jsonl")


def test_parts_need_a_directory() -> None:
    """Parquet parts are not written to a stream."""
    assert refusal([("-", "parquet_parts")]) == "-: Parquet parts need a directory; give its name as the output"


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library for an output the error says how to install it, and nothing is made."""
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    for name, library in (("out.jsonl.zst", "backports.zstd"), ("out.parquet", "pyarrow"), ("out.parts", "pyarrow")):
        with pytest.raises(ImportError, match=rf"needs {library}; run: pip install 'normcompletion\[batch\]'"):
            open_sink(str(tmp_path / name), kind=kind(name), schema=object())
    assert list(tmp_path.iterdir()) == []


# -- errors


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_directory_is_named(tmp_path: Path, name: str) -> None:
    """An output in a directory that does not exist says how to make it."""
    with pytest.raises(OutputError) as caught:
        sink_for(tmp_path / "far" / name)
    path = tmp_path / "far" / name
    assert str(caught.value) == f"{path}: No such file or directory; make the directory first (mkdir -p {path.parent})"
    assert (caught.value.filename, caught.value.errno) == (str(path), errno.ENOENT)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("failing", ["write", "sync"])
def test_after_an_error_nothing_more_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, failing: str
) -> None:
    """Once a step has failed a sink never says again that something is durable, even when the disk recovers."""
    sink = sink_for(tmp_path / name)
    steps = Steps(monkeypatch, failing)
    with pytest.raises(OutputError, match=f"{name}: Input/output error.*; the disk reports a fault"):
        write_to_the_end(sink, name)
    steps.failing = ""
    with pytest.raises((OutputError, RuntimeError)):
        write_to_the_end(sink, name)
    sink.stop(keep=False)
    assert list(tmp_path.iterdir()) == []


def write_to_the_end(sink: Sink, name: str) -> None:
    write(sink, name, 0, RECORDS)
    sink.end_part()
    sink.close()


def test_an_error_of_the_thread_comes_out(tmp_path: Path) -> None:
    """Rows that Parquet refuses are an error of the run."""
    sink = sink_for(tmp_path / "out.parts", rows_per_part=10)
    with pytest.raises((ValueError, KeyError)):  # at once or at the end: the thread may be quick
        sink.write(pa.RecordBatch.from_pydict({"other": list(range(10))}))
        sink.close()
    sink.stop(keep=False)
    assert list(tmp_path.iterdir()) == []


def test_the_error_counts_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of an error names the output, the reason, the bytes before it and what to do, in one line."""
    sink = sink_for(tmp_path / "out.jsonl")
    write(sink, "out.jsonl", 0, 10)
    sink.end_part()
    length = len(b"".join(LINES[:10]))
    Steps(monkeypatch, "write", errno.ENOSPC)
    with pytest.raises(OutputError) as caught:
        write(sink, "out.jsonl", 10, 11)
    assert str(caught.value) == (
        f"{tmp_path / 'out.jsonl'}: No space left on device after {length:,} bytes; free some space or write elsewhere"
    )
    sink.stop(keep=False)


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """No file of this process may grow beyond a size."""
    resource = pytest.importorskip("resource", reason="no limit on file sizes here")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_on_file_sizes(tmp_path: Path, name: str) -> None:
    """A file that may not grow is an `OutputError`, wherever the limit is, and leaves nothing behind."""
    size = max(map(len, whole(tmp_path / "0", name, []).values()))
    (tmp_path / "1").mkdir()
    for limit in (0, 1, size // 2, size - 1):
        with file_size_limit(limit):
            sink = sink_for(tmp_path / "1" / name)
            with pytest.raises(OutputError, match=r"File too large after .*ulimit -f"):
                write(sink, name, 0, RECORDS)
                sink.close()
            sink.stop(keep=False)
        assert list((tmp_path / "1").iterdir()) == []
