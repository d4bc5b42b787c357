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

from typing import TYPE_CHECKING, Protocol

from ..options import Kind
from .parquet import ParquetFile, ParquetFolder, require_pyarrow
from .targets import open_target
from .text import CompressedLines, Lines, compressor

if TYPE_CHECKING:
    import pyarrow as pa


class Sink(Protocol):
    """Takes records and brings them to where they belong.

    Each method raises `OutputError` when the operating system refuses; after that only `stop` helps.
    """

    def write(self, data: bytes | pa.RecordBatch) -> None:
        """Take the next records: whole JSON lines, each ending in LF, or the rows of a batch.

        What is written may be an older call's: errors come with the call that meets them, at the latest with `close`.
        """

    def end_part(self) -> int:
        """Make durable all that was taken; the length at which `open_sink(resume=…)` continues behind it."""

    def close(self) -> None:
        """Complete the content and sync it; it still has its partial name."""

    def stop(self, *, keep: bool) -> None:
        """Stop, and keep what is there for a resumed run, or leave nothing under the partial name. Raises nothing."""


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
        compress = compressor(path)
        target = open_target(path, resume, mode)
        return Lines(target) if compress is None else CompressedLines(target, compress, threads)
    if schema is None:
        raise TypeError("Parquet needs a schema")
    require_pyarrow(path)
    if kind == "parquet":
        return ParquetFile(open_target(path, None, mode), schema)
    return ParquetFolder(path, schema, rows_per_part, resume=resume, mode=mode)
