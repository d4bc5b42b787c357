"""Where records go: standard output, a plain file, `.gz`, `.zst`, one Parquet file, a directory of Parquet parts.

A sink takes the records in order, as whole JSON lines or as Arrow batches. It writes under a partial name,
`NAME.partial` in the same directory; when it is closed, `renames` says what makes it final, and the journal does that.
The bytes depend on the records alone: not on how they were cut into calls, nor on where a run was stopped and resumed.

    kind             what is durable after `flush`     what a resumed run continues
    JSON lines       all records                       the file, cut back to that length
    .gz, .zst        those in finished members         the file, cut back to the last whole member
    Parquet parts    those in finished parts           the directory, with its whole parts
    Parquet file     none before `close`               nothing: it starts over
    streams          not known                         nothing: what went out is gone

A compressed file is a row of members (gzip) or frames (zstd), each of which decompresses alone; one ends with the first
record after 4 MiB of text. A Parquet row group ends after `ROWS_PER_GROUP` rows, or earlier with the row that brings
its values to `GROUP_BYTES`; a part holds `ROWS_PER_PART` rows, the last one what is left.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import zlib
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from . import durable
from .durable import OutputError

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    import pyarrow as pa

Kind = Literal["jsonl", "parquet", "parquet_parts"]

PARTIAL = ".partial"
FRAME_BYTES = 4 << 20  # of text in a gzip member or zstd frame, at least
BUFFER_BYTES = 1 << 20  # that are written at once, at least
ROWS_PER_GROUP = 16_384  # three groups are in memory at a time: gathered, waiting, written
GROUP_BYTES = 32 << 20  # of values in a row group, at most but for the last row
ROWS_PER_PART = 8 * ROWS_PER_GROUP
_PART = re.compile(r"part-\d{5,}\.parquet(\.partial)?")

_Result = TypeVar("_Result")


class OutputRefusedError(ValueError):
    """An output cannot be written or continued as the call asks; the text says what to change."""


class Sink(Protocol):
    """Takes records and brings them to where they belong.

    Each method raises `OutputError` when the operating system refuses; after that only `suspend` and `discard` help.
    """

    resumable: bool
    """Whether `flush` makes anything durable before the end, so that a checkpoint is worth its while."""

    def write(self, data: bytes | pa.RecordBatch, records: int) -> None:
        """Take the next `records` records: whole JSON lines, each ending in LF, or the rows of a batch.

        What is written may be an older call's: errors come with the call that meets them, at the latest with `close`.
        """

    def flush(self) -> int:
        """Make durable what can be, without waiting for more than the disk; the number of records that are.

        Records count from the start of the run, those of an earlier run that is resumed included.
        """

    def state(self) -> dict[str, Any]:
        """What `open_sink(resume=…)` needs to continue behind the records that the last `flush` counted, as JSON."""

    def close(self) -> None:
        """Complete the content and sync it; it still has its partial name."""

    def renames(self) -> list[tuple[str, str]]:
        """From which partial name to which final name, after `close`."""

    def suspend(self) -> None:
        """Stop, and leave what is there for a resumed run."""

    def discard(self) -> None:
        """Stop, and leave nothing under the partial name. Raises nothing."""


def open_sink(
    path: str,
    *,
    kind: Kind,
    resume: Mapping[str, Any] | None = None,
    first: int = 0,
    mode: int = 0o666,
    schema: pa.Schema | None = None,
    rows_per_part: int | None = None,
    threads: int = 1,
) -> Sink:
    """A sink for an output.

    Args:
        path: the output, `-` for standard output. What is there and is not a regular file (a device, a pipe) gets the
            bytes directly, a symbolic link is followed. JSON lines are compressed where the name ends in `.gz` or
            `.zst`.
        kind: what is written.
        resume: the `state` of the sink of the run that is continued.
        first: the number of records before the first that this sink will be given. Where more are durable than that,
            it drops those it has.
        mode: the permissions of a new file, less the umask; directories get the right to search as well.
        schema: of the batches, for Parquet.
        rows_per_part: for Parquet parts; `ROWS_PER_PART` unless told.
        threads: how many compress beside the caller.

    Raises:
        OutputError: the file cannot be opened.
        OutputRefusedError: what should be continued is not there, or is not what it was.
        ImportError: a library is missing; the text names the extra to install.

    """
    resume = resume or {}
    skip = resume.get("records", 0) - first
    if skip < 0:
        raise ValueError(f"{path}: {-skip} records lie between what is durable and the first to come")
    if kind == "jsonl":
        compress = _compressor(path)
        target = _open_target(path, resume, mode)
        if compress is None:
            return _PlainLines(target, resume, skip)
        return _CompressedLines(target, resume, skip, compress, threads)
    if schema is None:
        raise TypeError("Parquet needs a schema")
    _require_pyarrow(path)
    if kind == "parquet":
        return _ParquetFile(_open_target(path, {}, mode), schema)
    return _ParquetParts(path, schema, rows_per_part or ROWS_PER_PART, resume=resume, skip=skip, mode=mode)


def check_outputs(outputs: Sequence[tuple[str, Kind]], *, inputs: Sequence[str] = (), overwrite: bool = False) -> None:
    """Refuse what can be known to go wrong before anything is written.

    Raises:
        OutputRefusedError: an output exists and `overwrite` is not set, is a directory, or is one that `overwrite`
            must not empty; two outputs, or an output and an input, are the same; Parquet parts would go to a stream.

    """
    taken: dict[Path, str] = {}
    sources = {_identity(Path(path)) for path in inputs if path != "-"}
    for path, kind in outputs:
        if is_stream(path):
            if kind == "parquet_parts":
                raise OutputRefusedError(f"{path}: Parquet parts need a directory; give its name as the output")
            names = [Path(path)]
        else:
            final = final_path(path)
            _check_final(path, final, kind, overwrite=overwrite)
            names = [final, partial_path(final)]
            for name in names:
                if _identity(name) in sources - {None}:
                    shown = path if name == final else name
                    raise OutputRefusedError(f"{shown} would be written, and is an input; name another output")
        for name in names:
            if name in taken and not (name == Path(os.devnull)):
                raise OutputRefusedError(f"{path} and {taken[name]} would be written to the same file; name two")
            taken[name] = path


def is_stream(path: str) -> bool:
    """Whether bytes go straight to a path: standard output, or what exists and is neither file nor directory."""
    return path == "-" or _file_type(Path(path)) not in (None, stat.S_IFREG, stat.S_IFDIR)


def final_path(path: str) -> Path:
    """Where an output will be, symbolic links followed. Raises `OutputError` where they lead in a circle."""
    try:
        Path(path).stat()
    except OSError as error:
        if error.errno == errno.ELOOP:  # which some versions of Python resolve to nonsense
            raise OutputError(error.errno, error.strerror, path) from error
    return Path(path).resolve()


def partial_path(final: Path) -> Path:
    """Where an output is until it is complete."""
    return final.with_name(final.name + PARTIAL)


def own_files(directory: Path, output: str) -> list[Path]:
    """The files of a directory of parts, in order.

    Raises:
        OutputError: the directory cannot be read, or holds files that are not parts.

    """
    files = sorted(durable.perform("list", output, lambda: list(directory.iterdir())))
    if not all(_PART.fullmatch(file.name) for file in files):
        raise OutputError(errno.ENOTEMPTY, f"{directory.name} holds more than parts", output)
    return files


def _file_type(path: Path) -> int | None:
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except OSError:
        return None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _check_final(path: str, final: Path, kind: Kind, *, overwrite: bool) -> None:
    kind_of_file = _file_type(final)
    if kind_of_file is None:
        return
    if kind_of_file == stat.S_IFDIR:
        if kind != "parquet_parts":
            raise OutputRefusedError(f"{path} is a directory; name a file in it")
        try:
            if not own_files(final, path):
                return
        except OutputError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            raise OutputRefusedError(f"{path} holds more than Parquet parts; name another directory") from error
    if not overwrite:
        raise OutputRefusedError(f"{path} exists; replace it with --overwrite or name another output")


def _compressor(path: str) -> Callable[[bytes], bytes] | None:
    """What compresses a frame, by the suffix of a name; the whole frame in one call, so that the bytes are the same."""
    if path.endswith(".gz"):
        return lambda content: zlib.compress(content, 6, 31)  # 31: with a gzip header, which holds no time and no name
    if path.endswith(".zst"):
        try:
            if sys.version_info >= (3, 14):
                from compression import zstd
            else:
                from backports import zstd
        except ImportError as missing:
            raise ImportError(
                f"writing {path} needs backports.zstd; run: pip install 'normcompletion[batch]'"
            ) from missing
        options: Mapping[int, int] = {
            zstd.CompressionParameter.compression_level: 3,
            zstd.CompressionParameter.checksum_flag: 1,
        }
        return lambda content: zstd.compress(content, options=options)
    return None


def _require_pyarrow(path: str) -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as missing:
        raise ImportError(f"writing {path} needs pyarrow; run: pip install 'normcompletion[batch]'") from missing


# -- what the bytes of one file are written to


class _Target(Protocol):
    """A file under its partial name, or a stream, which can neither be synced nor cut back."""

    length: int

    def write(self, data: bytes | bytearray) -> None: ...
    def sync(self) -> None: ...
    def close(self) -> None: ...
    def discard(self) -> None: ...
    def renames(self) -> list[tuple[str, str]]: ...


class _File(durable.File):
    """A file under its partial name."""

    __slots__ = ()

    def renames(self) -> list[tuple[str, str]]:
        return [(str(self.path), str(final_path(self.output)))]

    def discard(self) -> None:
        with suppress(OutputError):
            self.close()
        with suppress(OutputError):
            durable.remove(self.path, self.output)


class _Device(durable.File):
    """A device or a pipe."""

    __slots__ = ()

    def sync(self) -> None:
        pass

    def renames(self) -> list[tuple[str, str]]:
        return []

    def discard(self) -> None:
        with suppress(OutputError):
            self.close()


class _StandardOutput:
    """Standard output; each write is flushed, and it stays open."""

    def __init__(self) -> None:
        self.length = 0

    def write(self, data: bytes | bytearray) -> None:
        durable.perform("write", "standard output", self._put, data)
        self.length += len(data)

    def _put(self, data: bytes | bytearray) -> None:
        rest = memoryview(data)
        while rest:  # with `python -u` there is no buffer, and a signal cuts a write short
            rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass

    def renames(self) -> list[tuple[str, str]]:
        return []

    def discard(self) -> None:
        pass


def _open_target(path: str, resume: Mapping[str, Any], mode: int) -> _Target:
    if path == "-":
        return _StandardOutput()
    if is_stream(path):
        return _Device(Path(path), path, durable.perform("open", path, os.open, path, os.O_WRONLY), 0)
    partial = partial_path(final_path(path))
    if not resume:
        file = _File.create(partial, path, mode)
        try:
            durable.sync_directory(partial.parent, path)
        except OutputError:
            file.discard()
            raise
        return file
    length: int = resume["length"]
    there = partial.stat().st_size if _file_type(partial) == stat.S_IFREG else None
    if there is None or there < length:
        found = "is missing" if there is None else f"has {there:,} bytes"
        raise OutputRefusedError(f"{partial} {found}, but {length:,} bytes were written; start over without --resume")
    return _File.reopen(partial, path, length)


# -- JSON lines


class _Lines:
    """What sinks of JSON lines share: one target, the lines that wait for it, and the records that it has already."""

    def __init__(self, target: _Target, resume: Mapping[str, Any], skip: int) -> None:
        self.resumable = bool(target.renames())
        self._target = target
        self._skip = skip
        self._state = dict(resume) or {"length": 0, "records": 0}
        self._waiting = bytearray()

    def _unseen(self, data: bytes, records: int) -> tuple[bytes, int]:
        """What is left of some lines behind those that the target has."""
        skip = min(self._skip, records)
        self._skip -= skip
        start = 0
        for _ in range(skip):
            start = data.index(b"\n", start) + 1
        return data[start:], records - skip

    def _synced(self, records: int) -> int:
        self._target.sync()
        self._state = {"length": self._target.length, "records": records}
        return records

    def state(self) -> dict[str, Any]:
        return self._state

    def renames(self) -> list[tuple[str, str]]:
        return self._target.renames()

    def suspend(self) -> None:
        with suppress(OutputError):
            self._target.close()

    def discard(self) -> None:
        self._target.discard()


class _PlainLines(_Lines):
    """JSON lines as they are. A stream gets each call's at once, a file at least `BUFFER_BYTES`."""

    def __init__(self, target: _Target, resume: Mapping[str, Any], skip: int) -> None:
        super().__init__(target, resume, skip)
        self._records: int = self._state["records"]
        self._buffer_bytes = BUFFER_BYTES if self.resumable else 0

    def write(self, data: bytes, records: int) -> None:
        data, records = self._unseen(data, records)
        self._records += records
        if not self._waiting and len(data) >= self._buffer_bytes:
            self._target.write(data)  # not copied
            return
        self._waiting += data
        if len(self._waiting) >= self._buffer_bytes:
            self._write_waiting()

    def _write_waiting(self) -> None:
        data, self._waiting = self._waiting, bytearray()
        self._target.write(data)

    def flush(self) -> int:
        self._write_waiting()
        return self._synced(self._records)

    def close(self) -> None:
        self.flush()
        self._target.close()


class _CompressedLines(_Lines):
    """JSON lines in frames, each compressed as a whole beside the caller and written when its turn has come."""

    def __init__(
        self,
        target: _Target,
        resume: Mapping[str, Any],
        skip: int,
        compress: Callable[[bytes], bytes],
        threads: int,
    ) -> None:
        super().__init__(target, resume, skip)
        self._compress = compress
        self._background: _Background[tuple[bytes, int]] = _Background(threads)
        self._records: int = self._state["records"]  # in the frames that are written

    def write(self, data: bytes, records: int) -> None:
        data, records = self._unseen(data, records)
        self._waiting += data
        while len(self._waiting) >= FRAME_BYTES:
            end = self._waiting.index(b"\n", FRAME_BYTES - 1) + 1
            self._end_frame(end)
            self._write_frames(self._background.results(leave=self._background.threads))

    def _end_frame(self, end: int) -> None:
        content = bytes(self._waiting[:end])
        del self._waiting[:end]
        self._background.submit(self._frame, content)

    def _frame(self, content: bytes) -> tuple[bytes, int]:
        return self._compress(content), content.count(b"\n")

    def _write_frames(self, frames: Iterator[tuple[bytes, int]]) -> None:
        for frame, records in frames:
            self._target.write(frame)
            self._records += records

    def flush(self) -> int:
        self._write_frames(self._background.results())
        return self._synced(self._records)

    def close(self) -> None:
        self._write_frames(self._background.results(leave=0))
        if self._waiting or not self._target.length:  # an empty file would be no gzip and no zstd
            self._end_frame(len(self._waiting))
            self._write_frames(self._background.results(leave=0))
        self._synced(self._records)
        self._background.stop()
        self._target.close()

    def suspend(self) -> None:
        self._background.stop()
        super().suspend()

    def discard(self) -> None:
        self._background.stop()
        super().discard()


class _Background(Generic[_Result]):
    """Calls done in threads beside the caller, with results in the order of the calls; none after one that failed."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._failed = False
        self._executor: ThreadPoolExecutor | None = None
        self._pending: deque[Future[_Result]] = deque()

    def submit(self, call: Callable[..., _Result], *arguments: Any) -> None:
        """Have a call done."""
        if self._executor is None:
            from concurrent.futures import ThreadPoolExecutor

            self._executor = ThreadPoolExecutor(self.threads, "normcompletion-output")
        self._pending.append(self._executor.submit(self._call, call, *arguments))

    def _call(self, call: Callable[..., _Result], *arguments: Any) -> _Result:
        if self._failed:
            raise RuntimeError("a call before this one failed")
        try:
            return call(*arguments)
        except BaseException:
            self._failed = True
            raise

    def results(self, leave: int | None = None) -> Iterator[_Result]:
        """The results that are there; waits for more until no more than `leave` calls are pending.

        Raises what a call raised, in its turn.
        """
        while self._pending and (self._pending[0].done() or (leave is not None and len(self._pending) > leave)):
            yield self._pending.popleft().result()

    def stop(self) -> None:
        """Drop what has not begun, and wait for the rest."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
        self._pending.clear()


# -- Parquet


class _Parquet:
    """What sinks of Parquet share: rows gathered to groups of a fixed number, and a thread that writes the groups.

    Parquet compresses without holding the interpreter's lock, so the thread costs its caller next to nothing.
    """

    def __init__(self, schema: pa.Schema, rows_per_part: int | None, skip: int) -> None:
        self._schema = schema
        self._rows_per_part = rows_per_part
        self._skip = skip
        self._group: list[pa.RecordBatch] = []
        self._group_rows = 0
        self._group_bits = 0
        self._part_rows = 0
        self._ended_parts = 0
        self._background: _Background[None] = _Background(1)
        self._part: _Part | None = None  # the thread's own

    def write(self, data: pa.RecordBatch, records: int) -> None:
        skip = min(self._skip, records)
        self._skip -= skip
        rows = data.slice(skip)
        while rows.num_rows:
            room = ROWS_PER_GROUP - self._group_rows
            if self._rows_per_part is not None:
                room = min(room, self._rows_per_part - self._part_rows)
            taken = self._take(rows.slice(0, room))
            self._part_rows += taken
            rows = rows.slice(taken)
            if self._part_rows == self._rows_per_part:
                self._end_part()
            elif self._group_rows == ROWS_PER_GROUP or self._group_bits >= 8 * GROUP_BYTES:
                self._end_group()

    def _take(self, rows: pa.RecordBatch) -> int:
        """Add the first rows to the group, up to the one that brings it to `GROUP_BYTES`; how many these are."""
        room = 8 * GROUP_BYTES - self._group_bits
        bits = _content_bits(rows)
        if bits > room:
            fewer = range(1, rows.num_rows)
            rows = rows.slice(0, 1 + bisect_left(fewer, room, key=lambda count: _content_bits(rows.slice(0, count))))
            bits = _content_bits(rows)
        self._group.append(rows)
        self._group_rows += rows.num_rows
        self._group_bits += bits
        return int(rows.num_rows)

    def _end_group(self) -> None:
        if self._group:
            self._background.submit(self._write_group, self._group)
            self._group, self._group_rows, self._group_bits = [], 0, 0
        self._settle(leave=1)

    def _end_part(self) -> None:
        self._end_group()
        self._background.submit(self._finish_part)
        self._part_rows = 0
        self._ended_parts += 1

    def _settle(self, leave: int | None = None) -> None:
        """Let errors of the thread come out; wait until no more than `leave` calls are pending."""
        for _ in self._background.results(leave):
            pass

    def _write_group(self, batches: list[pa.RecordBatch]) -> None:
        self._part = self._part or self._open_part()
        self._part.write(batches)

    def _finish_part(self) -> None:
        self._part = self._part or self._open_part()
        self._part.finish()
        self._publish_part()
        self._part = None

    def _open_part(self) -> _Part:
        raise NotImplementedError

    def _publish_part(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        if self._part_rows or not self._ended_parts:  # no rows at all: a file that has the schema
            self._end_part()
        self._settle(leave=0)
        self._background.stop()

    def suspend(self) -> None:
        self._background.stop()
        if self._part is not None:
            self._part.abandon()


class _Part:
    """One Parquet file in the making."""

    def __init__(self, target: _Target, schema: pa.Schema) -> None:
        from pyarrow import parquet

        self._schema = schema
        self._target = target
        self._stream = _Stream(target)
        self._writer = parquet.ParquetWriter(self._stream, schema, compression="zstd", compression_level=1)

    def write(self, batches: list[pa.RecordBatch]) -> None:
        """Write a row group, and empty the list of its batches."""
        import pyarrow as pa

        # In one piece: Parquet begins a page where pieces meet, so the bytes would show how the rows came in.
        table = pa.Table.from_batches(batches, self._schema).combine_chunks()
        batches.clear()
        self._writer.write_table(table, row_group_size=table.num_rows)
        del table
        pa.default_memory_pool().release_unused()  # which keeps up to 50 MB otherwise, on a long run

    def finish(self) -> None:
        """Write the footer, sync and close."""
        self._writer.close()
        self._stream.flush()
        self._target.sync()
        self._target.close()

    def abandon(self) -> None:
        """Close the file as it is."""
        self._stream.closed = True
        with suppress(OSError):
            self._writer.close()
        with suppress(OutputError):
            self._target.close()


class _Stream:
    """A file object for Parquet, which gathers its many small writes; what comes after `closed` is dropped."""

    def __init__(self, target: _Target) -> None:
        self.closed = False
        self._target = target
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        if not self.closed:
            self._waiting += data
            if len(self._waiting) >= BUFFER_BYTES:
                self.flush()
        return len(data)

    def flush(self) -> None:
        data, self._waiting = self._waiting, bytearray()
        self._target.write(data)


class _ParquetFile(_Parquet):
    """One Parquet file: complete at the end, or nothing."""

    resumable = False

    def __init__(self, target: _Target, schema: pa.Schema) -> None:
        super().__init__(schema, None, 0)
        self._target = target

    def _open_part(self) -> _Part:
        return _Part(self._target, self._schema)

    def _publish_part(self) -> None:
        pass

    def flush(self) -> int:
        self._settle()
        return 0

    def state(self) -> dict[str, Any]:
        return {}

    def renames(self) -> list[tuple[str, str]]:
        return self._target.renames()

    def suspend(self) -> None:
        super().suspend()
        with suppress(OutputError):
            self._target.close()

    def discard(self) -> None:
        self.suspend()
        self._target.discard()


class _ParquetParts(_Parquet):
    """A directory of Parquet files of a fixed number of rows; each gets its name when it is complete and synced."""

    resumable = True

    def __init__(
        self,
        path: str,
        schema: pa.Schema,
        rows_per_part: int,
        *,
        resume: Mapping[str, Any],
        skip: int,
        mode: int,
    ) -> None:
        super().__init__(schema, rows_per_part, skip)
        self._output = path
        self._final = final_path(path)
        self._partial = partial_path(self._final)
        self._mode = mode
        self._rows = rows_per_part
        self._parts: int = resume.get("parts", 0)  # complete and synced; the thread's own
        self._ended_parts = self._parts
        self._state = {"parts": self._parts, "records": self._parts * rows_per_part}
        if resume:
            self._check_parts()
        else:
            durable.make_directory(self._partial, path, mode | (mode & 0o444) >> 2)
        for file in own_files(self._partial, path):
            if file.name >= self._part_path(self._parts).name:
                durable.remove(file, path)

    def _check_parts(self) -> None:
        for path in [self._partial, *map(self._part_path, range(self._parts))]:
            if not path.exists():
                raise OutputRefusedError(f"{path} is missing; start over without --resume")

    def _part_path(self, number: int) -> Path:
        return self._partial / f"part-{number:05}.parquet"

    def _open_part(self) -> _Part:
        partial = partial_path(self._part_path(self._parts))
        return _Part(_File.create(partial, self._output, self._mode), self._schema)

    def _publish_part(self) -> None:
        path = self._part_path(self._parts)
        durable.rename(partial_path(path), path, self._output)
        durable.sync_directory(self._partial, self._output)
        self._parts += 1

    def flush(self) -> int:
        self._settle()
        parts = self._parts
        self._state = {"parts": parts, "records": parts * self._rows}
        return parts * self._rows

    def state(self) -> dict[str, Any]:
        return self._state

    def renames(self) -> list[tuple[str, str]]:
        return [(str(self._partial), str(self._final))]

    def discard(self) -> None:
        self.suspend()
        with suppress(OSError):
            remove_parts(self._partial, self._output)


def remove_parts(directory: Path, output: str) -> None:
    """Remove a directory of parts.

    Raises:
        OutputError: it holds more than parts, or cannot be removed.

    """
    for file in own_files(directory, output):
        durable.remove(file, output)
    durable.remove_directory(directory, output)


def _content_bits(rows: Any) -> int:
    """The size of the values of a batch or an array, in bits: the same for the same rows, however they were built."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(rows, pa.RecordBatch):
        return sum(_content_bits(column) for column in rows.columns)
    kind = rows.type
    if pa.types.is_struct(kind):
        return sum(_content_bits(field) for field in rows.flatten())
    if pa.types.is_list(kind):
        return 32 * len(rows) + _content_bits(rows.flatten())
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return 32 * len(rows) + 8 * (pc.sum(pc.binary_length(rows)).as_py() or 0)
    return int(kind.bit_width) * len(rows)
