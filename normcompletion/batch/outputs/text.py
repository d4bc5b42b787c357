"""JSON lines: as they are, or compressed in frames."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from ..durable import File
from ..inputs import zstd_module
from .background import Background
from .targets import stop

FRAME_BYTES = 4 << 20  # of text in a gzip member or zstd frame, at least


def compressor(path: str) -> Callable[[bytes], bytes] | None:
    """What compresses a frame, by the suffix of a name; the whole frame in one call, so that the bytes are the same."""
    if path.lower().endswith(".gz"):
        return lambda content: zlib.compress(content, 6, 31)  # 31: with a gzip header, which holds no time and no name
    if path.lower().endswith(".zst"):
        zstd = zstd_module()
        if zstd is None:
            raise ImportError(f"writing {path} needs backports.zstd; run: pip install 'normcompletion[batch]'")
        parameter = zstd.CompressionParameter
        options = {parameter.compression_level: 3, parameter.checksum_flag: 1}
        return lambda content: zstd.compress(content, options=options)
    return None


class Lines:
    """JSON lines as they are."""

    def __init__(self, target: File) -> None:
        self._target = target

    def write(self, data: bytes) -> None:
        """As `Sink.write`."""
        self._target.write(data)

    def end_part(self) -> int:
        """As `Sink.end_part`."""
        self._target.sync()
        return self._target.length

    def close(self) -> None:
        """As `Sink.close`."""
        self._target.sync()
        self._target.close()

    def stop(self, *, keep: bool) -> None:
        """As `Sink.stop`."""
        stop(self._target, keep=keep)


class CompressedLines(Lines):
    """JSON lines in frames, each compressed as a whole beside the caller and written when its turn has come."""

    def __init__(self, target: File, compress: Callable[[bytes], bytes], threads: int) -> None:
        super().__init__(target)
        self._compress = compress
        self._waiting = bytearray()
        self._background: Background[bytes] = Background(threads)

    def write(self, data: bytes) -> None:
        """As `Sink.write`."""
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

    def end_part(self) -> int:
        """As `Sink.end_part`."""
        if self._waiting:
            self._end_frame(len(self._waiting))
        self._write_frames(leave=0)
        return super().end_part()

    def close(self) -> None:
        """As `Sink.close`."""
        if not self.end_part():  # an empty file would be no gzip and no zstd
            self._end_frame(0)
            self._write_frames(leave=0)
        super().close()
        self._background.stop()

    def stop(self, *, keep: bool) -> None:
        """As `Sink.stop`."""
        self._background.stop()
        super().stop(keep=keep)
