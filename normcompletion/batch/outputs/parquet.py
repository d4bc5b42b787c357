"""Parquet: rows gathered to groups of a fixed size, in one file or in a folder of files."""

from __future__ import annotations

from bisect import bisect_left
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import durable
from ..durable import File, OutputError
from .background import Background
from .naming import OutputRefusedError, final_path, own_files, partial_path, remove_folder
from .targets import stop

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_GROUP = 16_384  # three groups are in memory at a time: gathered, waiting, written
GROUP_BYTES = 32 << 20  # of values in a row group, at most but for the last row
BUFFER_BYTES = 1 << 20  # that are written at once, at least


class _Rows:
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
        self._background: Background[None] = Background(1)
        self._written: _Writer | None = None  # the thread's own

    def write(self, data: pa.RecordBatch) -> None:
        """As `Sink.write`."""
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
        self._written = self._written or _Writer(self._open(number), self._schema)
        self._written.write(batches)

    def _finish_file(self, number: int) -> None:
        self._written = self._written or _Writer(self._open(number), self._schema)
        self._written.finish()
        self._written = None

    def _open(self, number: int) -> File:
        raise NotImplementedError

    def end_part(self) -> int:
        """As `Sink.end_part`."""
        if self._file_rows:
            self._end_file()
        self._wait(leave=0)
        return self._files

    def close(self) -> None:
        """As `Sink.close`."""
        if self._file_rows or not self._files:  # no rows at all: a file that has the schema
            self._end_file()
        self._wait(leave=0)
        self._background.stop()

    def stop(self, *, keep: bool) -> None:
        """As `Sink.stop`."""
        self._background.stop()
        if self._written is not None:
            self._written.abandon()
        if not keep:
            self._remove()

    def _remove(self) -> None:
        raise NotImplementedError


class _Writer:
    """One Parquet file in the making."""

    def __init__(self, target: File, schema: pa.Schema) -> None:
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

    def __init__(self, target: File) -> None:
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


class ParquetFile(_Rows):
    """One Parquet file: complete at the end, or nothing."""

    def __init__(self, target: File, schema: pa.Schema) -> None:
        super().__init__(schema, None, 0)
        self._target = target

    def _open(self, number: int) -> File:  # noqa: ARG002 - it is the only one
        return self._target

    def _remove(self) -> None:
        stop(self._target, keep=False)


class ParquetFolder(_Rows):
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

    def _open(self, number: int) -> File:
        return File.create(self._path(number), self._output, self._mode)

    def end_part(self) -> int:
        """As `Sink.end_part`."""
        files = super().end_part()
        durable.sync_directory(self._folder, self._output)
        return files

    def close(self) -> None:
        """As `Sink.close`."""
        super().close()
        durable.sync_directory(self._folder, self._output)

    def _remove(self) -> None:
        with suppress(OSError):
            remove_folder(self._folder, self._output)


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


def require_pyarrow(path: str) -> None:
    """Raise `ImportError`, which names the extra to install, where pyarrow is missing."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as missing:
        raise ImportError(f"writing {path} needs pyarrow; run: pip install 'normcompletion[batch]'") from missing
