"""The bytes of inputs."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normcompletion.batch import inputs
from normcompletion.batch.inputs import IncompleteInput, Input, InputError, open_decoded
from tests.conftest import examples, memory_of, zstd

TEXT = b"".join(
    b'{"id":"%d","text":"%s"}\n' % (number, zlib.crc32(b"%d" % number).to_bytes(4).hex().encode())
    for number in range(90)
)


def checked(data: bytes) -> bytes:
    """A zstd frame with a checksum."""
    module = zstd()
    return bytes(module.compress(data, options={module.CompressionParameter.checksum_flag: 1}))


def written(folder: Path, data: bytes, name: str = "log") -> Input:
    path = folder / name
    path.write_bytes(data)
    return Input(name, str(path))


def drained(source: Input, size: int = 1000) -> tuple[bytes, IncompleteInput | None]:
    """What an input gives, and how it broke off."""
    found = b""
    try:
        with open_decoded(source) as decoded:
            while data := decoded.read(size):
                found += data
    except IncompleteInput as broken:
        return found, broken
    return found, None


# -- their bytes


def whole_archives() -> dict[str, tuple[bytes, bytes]]:
    """Archives with what is in them."""
    packed = gzip.compress(TEXT, mtime=0)
    frame = checked(TEXT)
    note = b"\x50\x2a\x4d\x18" + struct.pack("<I", 4) + b"abcd"
    return {
        "plain": (TEXT, TEXT),
        "empty": (b"", b""),
        "gzip": (packed, TEXT),
        "gzip of nothing": (gzip.compress(b""), b""),
        "two members": (packed + packed, TEXT * 2),
        "an empty member": (gzip.compress(b"") + packed, TEXT),
        "zeros behind": (packed + bytes(100_000), TEXT),
        "zeros between": (packed + bytes(700) + packed, TEXT * 2),
        "zstd": (frame, TEXT),
        "two frames": (frame + frame, TEXT * 2),
        "skippable frames": (note + frame + note + frame + note, TEXT * 2),
    }


@pytest.mark.parametrize("name", whole_archives())
@pytest.mark.parametrize("size", [1, 777, 1 << 20])
def test_the_first_bytes_tell_how_an_input_is_packed(tmp_path, name, size):
    """Every whole archive gives all it holds, whatever it is called and however much is read at once."""
    raw, text = whole_archives()[name]
    assert drained(written(tmp_path, raw, "log.txt"), size) == (text, None)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_cut_at_every_byte_is_reported(tmp_path, kind):
    """An archive that was cut anywhere gives the beginning of its text and then says where it broke off."""
    packed = gzip.compress(TEXT, mtime=0) if kind == "gzip" else checked(TEXT)
    longest = 0
    for length in range(1, len(packed)):
        found, broken = drained(written(tmp_path, packed[:length]), 1 << 20)
        assert TEXT.startswith(found)
        assert broken.offset == len(found) >= longest
        assert "ends too early" in broken.reason
        longest = len(found)
    assert longest == len(TEXT)


@pytest.mark.parametrize(
    ("pack", "place", "words"),
    [("gzip", -6, "damaged"), ("gzip", -2, "damaged"), ("zstd", -2, "damaged"), ("zstd", 3000, "")],
)
def test_damage_is_reported(tmp_path, pack, place, words):
    """A flipped bit in an archive with a checksum is never passed over."""
    raw = bytearray(gzip.compress(TEXT, mtime=0) if pack == "gzip" else checked(TEXT * 100))
    raw[place % len(raw)] ^= 0x10
    _, broken = drained(written(tmp_path, bytes(raw)))
    assert words in broken.reason


def test_all_before_the_damage_in_a_gzip_file_is_given(tmp_path):
    """A gzip file with a damaged block gives every byte that is before it."""
    packer = zlib.compressobj(0, wbits=31)  # stored blocks, whose lengths can be broken
    first = packer.compress(TEXT) + packer.flush(zlib.Z_FULL_FLUSH)
    second = bytearray(packer.compress(TEXT) + packer.flush())
    second[2] ^= 0xFF
    found, broken = drained(written(tmp_path, first + bytes(second)))
    assert found == TEXT
    assert broken is not None


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_bytes_behind_an_archive_are_reported(tmp_path, kind):
    """What follows an archive and is none, is neither read nor passed over."""
    packed = gzip.compress(TEXT) if kind == "gzip" else checked(TEXT)
    found, broken = drained(written(tmp_path, packed + b"garbage!"))
    assert found == TEXT
    assert f"what follows the {kind} data is none" in broken.reason


@pytest.mark.parametrize("inner", ["gzip", "zstd"])
def test_what_was_compressed_twice_is_refused(tmp_path, inner):
    """An archive inside an archive is refused with a word on what to do."""
    source = written(tmp_path, gzip.compress(gzip.compress(TEXT) if inner == "gzip" else checked(TEXT)))
    with pytest.raises(InputError, match="compressed twice; unpack it once"):
        open_decoded(source)


def test_a_zstd_window_is_bounded(tmp_path):
    """A zstd frame that asks for 2 GiB of memory gets none."""
    frame = b"\x28\xb5\x2f\xfd" + bytes([0x00, (31 - 10) << 3]) + b"\x01\x00\x00"
    _, broken = drained(written(tmp_path, frame))
    assert "more than 128 MiB" in broken.reason


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_bomb_is_decoded_in_bounded_memory(tmp_path, kind):
    """An archive of 32 MiB in a few kB needs no more than a few MiB."""
    bomb = bytes(32 << 20)
    source = written(tmp_path, gzip.compress(bomb) if kind == "gzip" else checked(bomb))
    del bomb

    def read() -> None:
        with open_decoded(source) as decoded:
            assert sum(map(len, iter(lambda: decoded.read(1 << 16), b""))) == 32 << 20

    _, peak = memory_of(read)
    assert peak < 4 << 20


def test_what_a_name_promises_wrongly_is_reported(tmp_path):
    """A plain file that is called `.gz` is read as it is, and the notice says so; an empty one is reported too."""
    with open_decoded(written(tmp_path, TEXT, "a.gz")) as decoded:
        assert decoded.notice is not None
        assert "not compressed" in decoded.notice
        assert decoded.read(5) == TEXT[:5]
    with open_decoded(written(tmp_path, b"", "b.zst")) as decoded:
        assert decoded.notice is not None
        assert "empty" in decoded.notice
    with open_decoded(written(tmp_path, gzip.compress(TEXT), "c.gz")) as decoded:
        assert decoded.notice is None


def test_without_zstd_the_error_names_the_extra(tmp_path, monkeypatch):
    """A zstd file on a machine without zstd is refused with the extra to install."""

    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(inputs, "import_module", absent)
    with pytest.raises(InputError, match=r"pip install 'normcompletion\[batch\]'"):
        open_decoded(written(tmp_path, b"\x28\xb5\x2f\xfd\x00"))


def test_what_cannot_be_opened_is_reported(tmp_path):
    """A missing file and a folder raise an error that names them."""
    with pytest.raises(InputError, match=r"absent does not exist"):
        open_decoded(Input("absent", str(tmp_path / "absent")))
    with pytest.raises(InputError, match=r"folder is a folder; name the files in it"):
        open_decoded(Input("folder", str(tmp_path)))


def test_what_may_not_be_read_is_reported(tmp_path, monkeypatch):
    """A file without the permission to read it raises an error that says so."""

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    source = written(tmp_path, TEXT)
    monkeypatch.setattr(inputs, "open", refused, raising=False)  # root may read everything
    with pytest.raises(InputError, match="log cannot be read: Permission denied; check its permissions"):
        open_decoded(source)


def test_a_file_that_shrinks_is_incomplete(tmp_path):
    """A plain file that became shorter after it was opened is reported, once what is left was given."""
    source = written(tmp_path, TEXT)
    with open_decoded(source) as decoded:
        os.truncate(source.path, 100)
        assert decoded.read(1000) == TEXT[:100]
        with pytest.raises(IncompleteInput, match="cut off while it was read") as caught:
            decoded.read(1)
    assert caught.value.offset == 100


def test_an_error_of_the_disk_is_incomplete_input(tmp_path):
    """An error while reading is reported once all before it was given."""

    class Failing(io.RawIOBase):
        def __init__(self):
            self.parts = [TEXT[:10], TEXT[10:50]]

        def read(self, size=-1):
            if not self.parts:
                raise OSError(5, "Input/output error")
            return self.parts.pop(0)

    with open_decoded(written(tmp_path, TEXT)) as decoded:
        decoded.close()
        decoded._stream = Failing()
        assert decoded.read(1000) == TEXT[:4] + TEXT[:50]
        with pytest.raises(IncompleteInput, match="Input/output error"):
            decoded.read(1)


def test_standard_input_is_read_and_stays_open(monkeypatch):
    """`-` is standard input, compressed or not, and is not closed."""
    stream = io.BytesIO(gzip.compress(TEXT))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream))
    with open_decoded(Input("-", "-")) as decoded:
        assert decoded.size is None
        assert not decoded.is_plain_file
        assert decoded.read(1 << 20) == TEXT
    assert not stream.closed
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input is closed"):
        open_decoded(Input("-", "-"))


def test_incomplete_input_travels_between_processes():
    """The error can be pickled, and says the same on the other side."""
    error = IncompleteInput("log.gz", 5, "cut")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.name, copy.offset, copy.reason, str(copy)) == ("log.gz", 5, "cut", str(error))


@examples(60)
@given(
    st.binary(max_size=300),
    st.sampled_from(["plain", "gzip"]),
    st.lists(st.tuples(st.sampled_from(["read", "peek", "skip"]), st.integers(1, 50)), max_size=30),
)
def test_reading_peeking_and_skipping_agree(tmp_path_factory, data, kind, steps):
    """However an input is read, looked at and skipped, each byte is where it is in the text."""
    if data.startswith((b"\x1f", b"(", b"\x28")) or data[1:4] == b"*M\x18":
        data = b"x" + data
    source = written(tmp_path_factory.getbasetemp(), gzip.compress(data) if kind == "gzip" else data, "steps")
    with open_decoded(source) as decoded:
        for step, size in steps:
            at = decoded.offset
            if step == "skip":
                decoded.skip(size)
                assert decoded.offset == (at + size if kind == "plain" else min(at + size, len(data)))
            else:
                assert getattr(decoded, step)(size) == data[at : at + size]
                assert decoded.offset == (at if step == "peek" else min(at + size, max(len(data), at)))
