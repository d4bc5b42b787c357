"""Where records go: standard output, a plain file, `.gz`, `.zst`, one Parquet file, a folder of Parquet files.

A sink takes the records in order, as whole JSON lines or as Arrow batches. It writes under a partial name,
`NAME.partial` in the same directory; after it is closed, `publish` gives that its final name. The bytes depend on the
records and on where parts end: not on how the records were cut into calls, nor on where a run was stopped and resumed.

    kind             what the end of a part makes durable    what a resumed run continues
    JSON lines       the file                                the file, cut back to that length
    .gz, .zst        the file, which ends with a frame       the file, cut back to that length
    Parquet folder   its files; the next one begins          the folder, without the files behind those
    Parquet file     it has no parts                         nothing: it starts over
    streams          they have no parts                      nothing: what went out is gone

A compressed file is a row of members (gzip) or frames (zstd), each of which decompresses alone; one ends with the first
record after 4 MiB of text, and at the end of a part. A Parquet row group ends after `ROWS_PER_GROUP` rows, or earlier
with the row that brings its values to `GROUP_BYTES`.
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
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from . import durable
from .durable import OutputError
from .options import Kind

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    import pyarrow as pa

PARTIAL = ".partial"
FRAME_BYTES = 4 << 20  # of text in a gzip member or zstd frame, at least
BUFFER_BYTES = 1 << 20  # that are written at once, at least
ROWS_PER_GROUP = 16_384  # three groups are in memory at a time: gathered, waiting, written
GROUP_BYTES = 32 << 20  # of values in a row group, at most but for the last row
REPLACED = ".replaced"
_PART = re.compile(r"part-\d{5,}\.parquet")

_Result = TypeVar("_Result")


class OutputRefusedError(ValueError):
    """An output cannot be written or continued as the call asks; the text says what to change.

    >>> from normcompletion.batch import convert
    >>> try:
    ...     convert("fixtures/log.jsonl", "README.md", to="jsonl")
    ... except OutputRefusedError as error:
    ...     print(error)
    README.md exists; replace it with --overwrite or name another output
    """


class Sink(Protocol):
    """Takes records and brings them to where they belong.

    Each method raises `OutputError` when the operating system refuses; after that only `suspend` and `discard` help.
    """

    def write(self, data: bytes | pa.RecordBatch) -> None:
        """Take the next records: whole JSON lines, each ending in LF, or the rows of a batch.

        What is written may be an older call's: errors come with the call that meets them, at the latest with `close`.
        """

    def end_part(self) -> int:
        """Make durable all that was taken; the length at which `open_sink(resume=…)` continues behind it."""

    def close(self) -> None:
        """Complete the content and sync it; it still has its partial name."""

    def suspend(self) -> None:
        """Stop, and leave what is there for a resumed run."""

    def discard(self) -> None:
        """Stop, and leave nothing under the partial name. Raises nothing."""


def open_sink(
    path: str,
    *,
    kind: Kind,
    resume: int | None = None,
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
        resume: what `end_part` gave in the run that is continued.
        mode: the permissions of a new file, less the umask; directories get the right to search as well.
        schema: of the batches, for Parquet.
        rows_per_part: for a Parquet folder: no file has more rows.
        threads: how many compress beside the caller.

    Raises:
        OutputError: the file cannot be opened.
        OutputRefusedError: what should be continued is not there, or is not what it was.
        ImportError: a library is missing; the text names the extra to install.

    """
    if kind == "jsonl":
        compress = _compressor(path)
        target = _open_target(path, resume, mode)
        return _Lines(target) if compress is None else _CompressedLines(target, compress, threads)
    if schema is None:
        raise TypeError("Parquet needs a schema")
    _require_pyarrow(path)
    if kind == "parquet":
        return _ParquetFile(_open_target(path, None, mode), schema)
    return _ParquetFolder(path, schema, rows_per_part, resume=resume, mode=mode)


def can_resume(path: str, kind: Kind) -> bool:
    """Whether an output has parts that a later run can continue behind."""
    return kind != "parquet" and not is_stream(path)


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


def replaces(path: str, kind: Kind) -> bool:
    """Whether an output will be a folder that takes the place of what is there, which one rename cannot do."""
    return kind == "parquet_parts" and durable.exists(final_path(path), path)


def publish(path: str, *, replaces: bool = False) -> None:
    """Give an output its final name, unless it has it; what it replaces is moved away, then removed.

    Raises:
        OutputError: a step failed; doing it again does the rest.

    """
    final = final_path(path)
    if durable.exists(partial_path(final), path):
        if replaces and durable.exists(final, path):
            durable.rename(final, _replaced_path(final), path)
        durable.rename(partial_path(final), final, path)
        durable.sync_directory(final.parent, path)
    if replaces:
        _remove_replaced(path)


def restore(path: str) -> None:
    """Give the final name back to what `publish` moved away, or remove that if there is a new one already.

    Raises:
        OutputError: a step failed.

    """
    final = final_path(path)
    if durable.exists(_replaced_path(final), path) and not durable.exists(final, path):
        durable.rename(_replaced_path(final), final, path)
        durable.sync_directory(final.parent, path)
    _remove_replaced(path)


def _replaced_path(final: Path) -> Path:
    return final.with_name(final.name + REPLACED)


def _remove_replaced(path: str) -> None:
    replaced = _replaced_path(final_path(path))
    if replaced.is_dir():
        _remove_folder(replaced, path)
    else:
        durable.remove(replaced, path)


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
    if path.lower().endswith(".gz"):
        return lambda content: zlib.compress(content, 6, 31)  # 31: with a gzip header, which holds no time and no name
    if path.lower().endswith(".zst"):
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


class _File(durable.File):
    """A file under its partial name."""

    __slots__ = ()

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

    def discard(self) -> None:
        pass


def _open_target(path: str, resume: int | None, mode: int) -> _Target:
    if path == "-":
        return _StandardOutput()
    if is_stream(path):
        return _Device(Path(path), path, durable.perform("open", path, os.open, path, os.O_WRONLY), 0)
    partial = partial_path(final_path(path))
    if resume is None:
        file = _File.create(partial, path, mode)
        try:
            durable.sync_directory(partial.parent, path)
        except OutputError:
            file.discard()
            raise
        return file
    there = partial.stat().st_size if _file_type(partial) == stat.S_IFREG else None
    if there is None or there < resume:
        found = "is missing" if there is None else f"has {there:,} bytes"
        raise OutputRefusedError(f"{partial} {found}, but {resume:,} bytes were written; start over without --resume")
    file = _File.open(partial, path)
    file.cut(resume)
    return file


# -- JSON lines


class _Lines:
    """JSON lines as they are. A stream gets each call's at once, a file at least `BUFFER_BYTES`."""

    def __init__(self, target: _Target) -> None:
        self._target = target
        self._waiting = bytearray()
        self._buffer_bytes = BUFFER_BYTES if isinstance(target, _File) else 0

    def write(self, data: bytes) -> None:
        if not self._waiting and len(data) >= self._buffer_bytes:
            self._target.write(data)  # not copied
            return
        self._waiting += data
        if len(self._waiting) >= self._buffer_bytes:
            self._flush()

    def _flush(self) -> None:
        data, self._waiting = self._waiting, bytearray()
        self._target.write(data)

    def end_part(self) -> int:
        self._flush()
        self._target.sync()
        return self._target.length

    def close(self) -> None:
        self.end_part()
        self._target.close()

    def suspend(self) -> None:
        with suppress(OutputError):
            self._target.close()

    def discard(self) -> None:
        self._target.discard()


class _CompressedLines(_Lines):
    """JSON lines in frames, each compressed as a whole beside the caller and written when its turn has come."""

    def __init__(self, target: _Target, compress: Callable[[bytes], bytes], threads: int) -> None:
        super().__init__(target)
        self._compress = compress
        self._background: _Background[bytes] = _Background(threads)

    def write(self, data: bytes) -> None:
        self._waiting += data
        while len(self._waiting) >= FRAME_BYTES:
            self._end_frame(self._waiting.index(b"\n", FRAME_BYTES - 1) + 1)
            self._write_frames(leave=self._background.threads)

    def _end_frame(self, end: int) -> None:
        content = bytes(self._waiting[:end])
        del self._waiting[:end]
        self._background.submit(self._compress, content)

    def _write_frames(self, leave: int) -> None:
        for frame in self._background.results(leave):
            self._target.write(frame)

    def _flush(self) -> None:
        if self._waiting:
            self._end_frame(len(self._waiting))
        self._write_frames(leave=0)

    def close(self) -> None:
        self._flush()
        if not self._target.length:  # an empty file would be no gzip and no zstd
            self._end_frame(0)
        super().close()
        self._background.stop()

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

    def results(self, leave: int) -> Iterator[_Result]:
        """The results that are there; waits for more until no more than `leave` calls are pending.

        Raises what a call raised, in its turn.
        """
        while self._pending and (self._pending[0].done() or len(self._pending) > leave):
            yield self._pending.popleft().result()

    def stop(self) -> None:
        """Drop what has not begun, and wait for the rest."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
        self._pending.clear()


# -- Parquet


class _Parquet:
    """Rows gathered to groups of a fixed number, and a thread that writes the groups.

    Parquet compresses without holding the interpreter's lock, so the thread costs its caller next to nothing.
    """

    def __init__(self, schema: pa.Schema, rows_per_file: int | None, files: int) -> None:
        self._schema = schema
        self._rows_per_file = rows_per_file
        self._files = files  # that are complete, or will be when the thread has done all
        self._file_rows = 0
        self._group: list[pa.RecordBatch] = []
        self._group_rows = 0
        self._group_bits = 0
        self._background: _Background[None] = _Background(1)
        self._written: _ParquetWriter | None = None  # the thread's own

    def write(self, data: pa.RecordBatch) -> None:
        rows = data
        while rows.num_rows:
            room = ROWS_PER_GROUP - self._group_rows
            if self._rows_per_file is not None:
                room = min(room, self._rows_per_file - self._file_rows)
            taken = self._take(rows.slice(0, room))
            rows = rows.slice(taken)
            self._file_rows += taken
            if self._file_rows == self._rows_per_file:
                self._end_file()
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
            self._background.submit(self._write_group, self._files, self._group)
            self._group, self._group_rows, self._group_bits = [], 0, 0
        self._wait(leave=1)

    def _end_file(self) -> None:
        self._end_group()
        self._background.submit(self._finish_file, self._files)
        self._files += 1
        self._file_rows = 0

    def _wait(self, leave: int) -> None:
        """Let errors of the thread come out; wait until no more than `leave` calls are pending."""
        for _ in self._background.results(leave):
            pass

    def _write_group(self, number: int, batches: list[pa.RecordBatch]) -> None:
        self._written = self._written or _ParquetWriter(self._open(number), self._schema)
        self._written.write(batches)

    def _finish_file(self, number: int) -> None:
        self._written = self._written or _ParquetWriter(self._open(number), self._schema)
        self._written.finish()
        self._written = None

    def _open(self, number: int) -> _Target:
        raise NotImplementedError

    def end_part(self) -> int:
        if self._file_rows:
            self._end_file()
        self._wait(leave=0)
        return self._files

    def close(self) -> None:
        if self._file_rows or not self._files:  # no rows at all: a file that has the schema
            self._end_file()
        self._wait(leave=0)
        self._background.stop()

    def suspend(self) -> None:
        self._background.stop()
        if self._written is not None:
            self._written.abandon()


class _ParquetWriter:
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

    def __init__(self, target: _Target, schema: pa.Schema) -> None:
        super().__init__(schema, None, 0)
        self._target = target

    def _open(self, number: int) -> _Target:  # noqa: ARG002 - it is the only one
        return self._target

    def suspend(self) -> None:
        super().suspend()
        with suppress(OutputError):
            self._target.close()

    def discard(self) -> None:
        self.suspend()
        self._target.discard()


class _ParquetFolder(_Parquet):
    """A folder of Parquet files, at least one a part."""

    def __init__(
        self, path: str, schema: pa.Schema, rows_per_file: int | None, *, resume: int | None, mode: int
    ) -> None:
        super().__init__(schema, rows_per_file, resume or 0)
        self._output = path
        self._folder = partial_path(final_path(path))
        self._mode = mode
        if resume is None:
            durable.make_directory(self._folder, path, mode | (mode & 0o444) >> 2)
        for needed in [] if resume is None else [self._folder, *map(self._path, range(resume))]:
            if not needed.exists():
                raise OutputRefusedError(f"{needed} is missing; start over without --resume")
        for file in own_files(self._folder, path):
            if file.name >= self._path(self._files).name:
                durable.remove(file, path)

    def _path(self, number: int) -> Path:
        return self._folder / f"part-{number:05}.parquet"

    def _open(self, number: int) -> _Target:
        return _File.create(self._path(number), self._output, self._mode)

    def end_part(self) -> int:
        files = super().end_part()
        durable.sync_directory(self._folder, self._output)
        return files

    def close(self) -> None:
        super().close()
        durable.sync_directory(self._folder, self._output)

    def discard(self) -> None:
        self.suspend()
        with suppress(OSError):
            _remove_folder(self._folder, self._output)


def _remove_folder(folder: Path, output: str) -> None:
    """Remove a folder of Parquet files.

    Raises:
        OutputError: it holds other files, or cannot be removed.

    """
    for file in own_files(folder, output):
        durable.remove(file, output)
    durable.remove_directory(folder, output)


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
