"""The `.eval` files of Inspect: zip archives with one JSON document a sample, under `samples/`; each is a unit.

A long text of a sample is kept once, under `attachments`, and `attachment://HASH` is wherever it was; it is put back
here, as Inspect's own `resolve_attachments` does. The preset `inspect` reads the model events of a sample. Sources:
https://inspect.aisi.org.uk/eval-logs.html (log format), `log/_recorders/eval.py` and `log/_condense.py` of
UKGovernmentBEIS/inspect_ai.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any

import orjson

from ...errors import MalformedPayloadError, excerpt
from ...payload import parse
from ..blocks import Unit
from ..inputs import IncompleteInput, InputError

MAGIC = b"PK\x03\x04"

_PROTOCOLS = ("attachment://", "tc://")
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError)


def is_eval(path: str | IO[bytes]) -> bool:
    """Whether a zip archive was written by Inspect."""
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
    number = 0
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if not _is_sample(entry.filename):
                    continue
                text = archive.read(entry) if entry.file_size <= limit else None
                number += 1
                resolved = None if text is None else _resolved(text)
                length = entry.file_size if resolved is None else len(resolved)
                yield Unit(number, 0, length, resolved if length <= limit else None)
    except NotImplementedError as error:  # a compression that this Python does not have
        raise InputError(
            f"{name} cannot be unpacked ({excerpt(str(error))}); convert it with: inspect log convert --to json"
        ) from None
    except _DAMAGE as error:
        reason = f"the archive is damaged or was cut off ({excerpt(str(error))}); fetch or write it again"
        raise IncompleteInput(name, number, reason) from None


def _is_sample(name: str) -> bool:
    return name.startswith("samples/") and name.endswith(".json")


def _resolved(text: bytes) -> bytes:
    """A sample with its attachments in their places; as it is where it has none."""
    if not any(protocol.encode() in text for protocol in _PROTOCOLS):
        return text
    try:
        sample = parse(text)
    except MalformedPayloadError:
        return text
    attachments = sample.pop("attachments", None) if isinstance(sample, dict) else None
    if not isinstance(attachments, dict):
        return text
    used: set[str] = set()
    resolved = _with_texts(sample, attachments, used)
    unused = {key: text for key, text in attachments.items() if key not in used}
    return orjson.dumps({**resolved, "attachments": unused} if unused else resolved)


def _with_texts(value: Any, texts: Mapping[str, Any], used: set[str]) -> Any:
    """A value with attachments in the place of what refers to them; an unknown reference stays."""
    if isinstance(value, str) and value.startswith(_PROTOCOLS):
        key = value.partition("://")[2]
        used.add(key)
        return texts.get(key, value)
    if isinstance(value, dict):
        return {key: _with_texts(each, texts, used) for key, each in value.items()}
    return [_with_texts(each, texts, used) for each in value] if isinstance(value, list) else value
