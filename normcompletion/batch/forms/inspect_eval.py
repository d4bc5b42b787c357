"""The `.eval` files of Inspect: zip archives with one JSON document a sample, under `samples/`; each is a unit.

The preset `inspect` reads the model events of a sample, and puts its attachments back. Sources:
https://inspect.aisi.org.uk/eval-logs.html (log format), `log/_recorders/eval.py` of UKGovernmentBEIS/inspect_ai.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from ...errors import excerpt
from ..blocks import Unit
from ..inputs import IncompleteInput, InputError

MAGIC = b"PK\x03\x04"


def is_eval(path: str | IO[bytes]) -> bool:
    """Whether a zip archive was written by Inspect."""
    import zipfile  # not everybody who converts logs has one

    try:
        with zipfile.ZipFile(path) as archive:
            return any(_is_sample(name) for name in archive.namelist()) and (
                not {"header.json", "_journal/start.json", "start.json"}.isdisjoint(archive.namelist())
            )
    except (zipfile.BadZipFile, OSError):
        return False


def samples(path: str, name: str, limit: int) -> Iterator[Unit]:
    """The samples of an archive, in its order.

    Raises `InputError` where it is packed in a way that is not read, and `IncompleteInput` where it is damaged, after
    every sample before the damage.
    """
    import zipfile
    import zlib

    number = 0
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if not _is_sample(entry.filename):
                    continue
                text = archive.read(entry) if entry.file_size <= limit else None
                number += 1
                yield Unit(number, 0, entry.file_size, text)
    except NotImplementedError as error:  # a compression that this Python does not have
        raise InputError(
            f"{name} cannot be unpacked ({excerpt(str(error))}); "
            f"run: inspect log convert {name} --to json --output-dir DIR"
        ) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        reason = f"the archive is damaged or was cut off ({excerpt(str(error))}); fetch or write it again"
        raise IncompleteInput(name, number, reason) from None


def _is_sample(name: str) -> bool:
    return name.startswith("samples/") and name.endswith(".json")
