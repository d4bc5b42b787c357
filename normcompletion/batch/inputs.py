"""The bytes of an input: opened, and decompressed as its first bytes say. Knows no JSON.

The first bytes decide how an input is compressed, never its name. Decompression is bounded in memory whatever an
archive claims, and an archive that ends early or is damaged gives everything before the break and then raises.
"""

from __future__ import annotations

import os
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO, Literal, NamedTuple, Self

STDIN = "-"
Compression = Literal["gzip", "zstd"]

_PIECE = 1 << 16  # bytes of an archive that are handed to its decoder at once
_STEP = 1 << 14  # decoded bytes taken from it at once: so much, at most, goes unseen before damage in a zstd archive
_WINDOW_LOG = 27  # 128 MiB, what a zstd archive may ask to be kept in memory
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"  # behind a byte from 0x50 to 0x5f: a zstd frame that only holds notes


class InputError(OSError):
    """An input is missing, unreadable or of a kind that is not read; the text says what to do.

    >>> from normcompletion import read
    >>> try:
    ...     read("no-such-log.jsonl")
    ... except InputError as error:
    ...     print(error)
    no-such-log.jsonl does not exist; check the name, or give - for standard input
    """


class IncompleteInput(Exception):  # noqa: N818 - the input is at fault, not the run
    """An input ends too early or is damaged: everything before `offset` was given.

    `name` is the input, `offset` counts decoded bytes, `reason` says what is wrong with it and what to do.

    >>> issubclass(IncompleteInput, Exception)  # raised after all that could be read
    True
    """

    def __init__(self, name: str, offset: int, reason: str) -> None:
        super().__init__(f"{name}: the input breaks off at byte {offset}: {reason}")
        self.name = name
        self.offset = offset
        self.reason = reason

    def __reduce__(self) -> tuple[type[IncompleteInput], tuple[str, int, str]]:
        """What a worker process sends to its parent."""
        return IncompleteInput, (self.name, self.offset, self.reason)


class Input(NamedTuple):
    """One input: what to call it in messages, and where it is (`-` for standard input)."""

    name: str
    path: str


def standard_input() -> BinaryIO:
    """Standard input, as bytes. Raises `InputError` where it is closed."""
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise InputError("standard input is closed; give a file, or open a pipe")
    source: BinaryIO = stream
    return source


# -- their bytes


class _Break(Exception):  # noqa: N818 - the end of what can be decoded
    """Why nothing more can be decoded, in words for the user."""


class Decoded:
    """An opened input as the bytes it stands for; a context manager.

    `name` and `path` are the input's, `compression` says how it is packed, `size` is the length of the file in bytes
    (`None` for a pipe) and `consumed` how many of them were read. `offset` counts the decoded bytes that were read.
    `notice` is a sentence for the user where the input is not what its name says. `is_plain_file` says that the bytes
    are those of a file that can be opened again. Reading raises `IncompleteInput` once everything before the break
    was given.
    """

    def __init__(self, source: Input) -> None:
        """Open an input. Raises `InputError`."""
        self.name, self.path = source
        self.offset = 0
        self.consumed = 0
        self._stream = _open(source)
        self._head = b""  # read from the stream to see what it is
        self._buffer = b""  # decoded and not yet read
        self._failure: str | None = None
        try:
            status = _status(self._stream)
            regular = status is not None and stat.S_ISREG(status.st_mode)
            self.size = status.st_size if status is not None and regular else None
            self._head = self._raw(len(_ZSTD))
            self.compression = _compression(self._head)
            self.is_plain_file = regular and self.compression is None and self.path != STDIN
            self.notice = _notice(self.name, self._head, self.compression)
            if self.compression is not None:
                pieces = iter(lambda: self._raw(_PIECE), b"")
                self._decoded = _gunzip(pieces) if self.compression == "gzip" else _unzstd(pieces, self.name)
                self._refuse_packed_twice()
        except _Break as fault:
            self.close()
            raise IncompleteInput(self.name, 0, str(fault)) from None
        except BaseException:
            self.close()
            raise

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer only at the end, without reading them."""
        self._hold(size)
        return self._buffer[:size]

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer, down to none, only at the end."""
        self._hold(size)
        if not self._buffer and self._failure is not None:
            raise IncompleteInput(self.name, self.offset, self._failure)
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        self.offset += len(data)
        return data

    def skip(self, count: int) -> None:
        """Pass over so many bytes; a plain file is not read for that."""
        if self.is_plain_file and count > len(self._buffer):
            self.offset += count
            self.consumed = self._stream.seek(self.offset)
            self._buffer = self._head = b""
            return
        while count > 0 and (data := self.read(min(count, 1 << 20))):
            count -= len(data)

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self.path != STDIN:
            self._stream.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _refuse_packed_twice(self) -> None:
        inner = self.peek(len(_ZSTD))
        if len(inner) == len(_ZSTD) and _compression(inner) is not None:
            raise InputError(f"{self.name} is compressed twice; unpack it once, then convert what is inside")

    def _hold(self, size: int) -> None:
        """Have so many bytes in the buffer, if there are as many."""
        missing = size - len(self._buffer)
        if missing <= 0 or self._failure is not None:
            return
        parts = [self._buffer] if self._buffer else []
        try:
            while missing > 0 and (part := self._next(missing)):
                parts.append(part)
                missing -= len(part)
        except _Break as fault:
            self._failure = str(fault)
        self._buffer = b"".join(parts)

    def _next(self, size: int) -> bytes:
        """The next decoded bytes: for a plain input at most `size`, none only at the end."""
        if self.compression is not None:
            return next(self._decoded, b"")
        data = self._raw(size)
        if not data and self.is_plain_file and self.size and self.consumed < self.size:
            raise _Break("the file was cut off while it was read; convert it when nobody writes to it")
        return data

    def _raw(self, size: int) -> bytes:
        """`size` bytes of the input itself, fewer only at its end: so a pipe is cut as a file is."""
        head, self._head = self._head, b""
        parts = [head] if head else []  # so that what comes in one piece is not copied
        missing = size - len(head)
        try:
            while missing > 0 and (part := self._stream.read(missing)):
                parts.append(part)
                missing -= len(part)
                self.consumed += len(part)
        except OSError as error:
            if not any(parts):
                raise _Break(f"the disk says: {error.strerror or error}; check it, then start again") from None
        return b"".join(parts)


def open_decoded(source: Input) -> Decoded:
    """Open an input, compressed or not; use as a context manager. Raises `InputError` and `IncompleteInput`."""
    return Decoded(source)


def _open(source: Input) -> BinaryIO:
    if source.path == STDIN:
        return standard_input()
    try:
        return open(source.path, "rb", buffering=0)  # noqa: PTH123 - the path stays text; `Decoded` closes it
    except FileNotFoundError:
        raise InputError(f"{source.name} does not exist; check the name") from None
    except IsADirectoryError:
        raise InputError(f"{source.name} is a folder; name the files in it, or a pattern") from None
    except OSError as error:
        raise InputError(f"{source.name} cannot be read: {error.strerror or error}; check its permissions") from None


def _status(stream: BinaryIO) -> os.stat_result | None:
    try:
        return os.fstat(stream.fileno())
    except (OSError, AttributeError):  # standard input was replaced by something in memory
        return None


def _compression(head: bytes) -> Compression | None:
    """How bytes are packed. A file that is nothing but the start of a mark is an archive that was cut off."""
    if head[:2] == _GZIP or head == _GZIP[:1]:
        return "gzip"
    if head[:4] == _ZSTD or (head[1:4] == _SKIPPABLE and head[0] >> 4 == 5):
        return "zstd"
    return "zstd" if head and len(head) < len(_ZSTD) and _ZSTD.startswith(head) else None


def _notice(name: str, head: bytes, compression: Compression | None) -> str | None:
    if compression is not None or not name.lower().endswith((".gz", ".zst")):
        return None
    if not head:
        return f"{name} is empty: not even an archive; check who wrote it"
    return f"{name} is not compressed, whatever its name says; it is read as it is"


def _gunzip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes of a gzip file of one or more members; zeros behind a member are padding."""
    decoder = zlib.decompressobj(wbits=31)
    follows = False  # whether what is decoded stands behind a member and has given nothing yet
    for piece in pieces:
        rest = piece
        while rest:
            if decoder.eof:
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                decoder = zlib.decompressobj(wbits=31)
                follows = True
            before = decoder.copy()
            try:
                data = decoder.decompress(rest, _STEP)
            except zlib.error:
                yield from _until_damage(before, rest)
                if follows and rest[:2] != _GZIP:
                    raise _Break("what follows the gzip data is none; cut it off, or unpack by hand") from None
                raise _Break("the gzip data is damaged; fetch or write the file again") from None
            if data:
                yield data
                follows = False
            rest = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    while not decoder.eof and (data := decoder.decompress(b"", _STEP)):
        yield data
    if not decoder.eof:
        raise _Break("the gzip data ends too early; fetch or write the file again")


def _until_damage(decoder: zlib._Decompress, piece: bytes) -> Iterator[bytes]:
    """What a decoder gives before the byte at which it fails."""
    try:
        for place in range(len(piece)):
            if data := decoder.decompress(piece[place : place + 1]):
                yield data
    except zlib.error:
        return


def _unzstd(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    """The bytes of a zstd file of one or more frames."""
    zstd = zstd_module()
    if zstd is None:
        raise InputError(f"{name} is zstd-compressed; to read it, run: pip install 'normcompletion[batch]'")
    options = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
    decoder = None
    for piece in pieces:
        rest = piece
        while rest or (decoder is not None and not decoder.eof and not decoder.needs_input):
            if decoder is None or decoder.eof:
                decoder = zstd.ZstdDecompressor(options=options)
            try:
                data = decoder.decompress(rest, _STEP)
            except zstd.ZstdError as fault:
                if "Unknown frame" in str(fault):
                    raise _Break("what follows the zstd data is none; cut it off, or unpack by hand") from None
                if "memory" in str(fault):
                    raise _Break("the zstd data wants more than 128 MiB of memory; repack it without --long") from None
                raise _Break("the zstd data is damaged; fetch or write the file again") from None
            if data:
                yield data
            rest = decoder.unused_data if decoder.eof else b""
    if decoder is not None and not decoder.eof:
        raise _Break("the zstd data ends too early; fetch or write the file again")


def zstd_module() -> Any:
    """The standard library's zstd, or its backport, if there is one; `zstandard` reads a cut file without an error."""
    for module in ("compression.zstd", "backports.zstd"):  # the first comes with Python 3.14
        with suppress(ImportError):
            return import_module(module)
    return None
