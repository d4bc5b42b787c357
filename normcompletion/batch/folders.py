"""Which inputs there are: files, folders, patterns and lists of them.

A file that is named, or matched by a pattern, is read whatever it is. In a folder every file is looked at: it is read
where its name ends in one of `SUFFIXES` or its first bytes are those of a log, and counted as passed over otherwise.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from glob import glob, has_magic
from pathlib import Path

from ..envelopes.encodings import opened_layers
from ..envelopes.options import Envelopes
from ..payload import MAX_RECORD_BYTES
from .forms import reading
from .inputs import STDIN, IncompleteInput, Input, InputError, open_decoded, standard_input
from .report import Report
from .units import is_log
from .unreadable import advice

SUFFIXES = (
    *(kind + packed for kind in (".jsonl", ".ndjson", ".json", ".sse") for packed in ("", ".gz", ".zst")),
    ".parquet",
)
"""The files of a folder that are read without a look inside."""

UNFINISHED = (".partial", ".checkpoint", ".replaced")
"""How the files of a run that is under way end: a pattern or a folder does not take them for logs."""

_LOOK = 1 << 14
_SHOWN = 8
_PACKED = (".gz", ".zst", ".bz2", ".xz", ".lz4")


class Inputs(list[Input]):
    """The inputs to read, in order.

    `passed_over` are the files of folders that are not logs; `notices` say which of them can be made readable.

    >>> expand(["fixtures/log.jsonl"]).passed_over
    ()
    """

    def __init__(self, inputs: Iterable[Input] = (), passed_over: Mapping[str, str | None] | None = None) -> None:
        super().__init__(inputs)
        self.passed_over = tuple(passed_over or ())
        self.notices = tuple(notice for notice in (passed_over or {}).values() if notice is not None)

    def report(self) -> Report:
        """What a report says of files."""
        read, others = len(self), self.by_kind()
        return Report(files=read + others.total(), files_read=read, passed_over=others)

    def by_kind(self) -> Counter[str]:
        """How many files were passed over, by the end of their names."""
        return Counter(map(_kind, self.passed_over))

    def passed_over_text(self) -> str:
        """The same for people."""
        kinds = self.by_kind().most_common()
        shown = ", ".join(f"{kind} {count:,}" for kind, count in kinds[:_SHOWN])
        more = f" and {len(kinds) - _SHOWN} more kinds" if len(kinds) > _SHOWN else ""
        number = len(self.passed_over)
        files = "1 file that is not a log was" if number == 1 else f"{number:,} files that are not logs were"
        return f"{files} passed over: {shown}{more} (first: {self.passed_over[0]})"


def expand(paths: Iterable[str | os.PathLike[str]], files_from: str | None = None, *, strict: bool = False) -> Inputs:
    """The inputs that paths stand for, in their order; a file that is named twice is read once.

    A path is a file, a folder (all logs below it, by name; names that begin with `.` or `_` are bookkeeping and left
    out), a pattern (`*`, `?`, `[…]`, `**` for folders at any depth) or `-` for standard input. `files_from` is a file
    that holds one path a line, or `-`. Raises `InputError`, with `strict` also where a file of a folder is not a log.

    >>> [source.name for source in expand(["fixtures/log.jsonl"])]
    ['fixtures/log.jsonl']
    """
    found: dict[str, None] = {}
    passed: dict[str, str | None] = {}
    for path in paths:
        _expand(os.fspath(path), found, passed)
    if files_from is not None:
        if files_from == STDIN and STDIN in found:
            raise InputError("standard input cannot be both an input and the list of inputs; put the list in a file")
        for path in _listed(files_from):
            try:
                _expand(path, found, passed)
            except InputError as error:
                raise InputError(f"{error} (listed in {files_from})") from None
    if not found:
        raise InputError("there is no input; name a file, a folder, a pattern, or - for standard input")
    inputs = Inputs(
        [Input(path, path) for path in found], {path: notice for path, notice in passed.items() if path not in found}
    )
    if strict and inputs.passed_over:
        raise InputError(f"{inputs.passed_over_text()}; name the logs themselves, or leave out --strict-inputs")
    return inputs


def _expand(path: str, found: dict[str, None], passed: dict[str, str | None]) -> None:
    if path == STDIN:
        found[path] = None
    elif os.path.isdir(path):  # noqa: PTH112 - the path stays the text that the user wrote
        before = len(found), len(passed)
        _look_into(path, found, passed)
        if len(found) == before[0] and not any(each.startswith(path) for each in found):
            looked = f" among its {len(passed) - before[1]} files" if len(passed) > before[1] else ""
            raise InputError(f"the folder {path} holds no log{looked}; name the files that are logs")
    elif os.path.lexists(path):
        found[path] = None
    elif has_magic(path):
        matched = False
        for match in sorted(glob(path, recursive=True), key=_by_name):  # noqa: PTH207 - as above
            if any(part.endswith(UNFINISHED) for part in Path(match).parts):
                continue
            matched = True
            if os.path.isdir(match):  # noqa: PTH112
                _look_into(match, found, passed)
            else:
                found[match] = None
        if not matched:
            raise InputError(f"no file matches {path}; check the folder, and quote the pattern in a shell")
    else:
        raise InputError(f"{path} does not exist; check the name, or give - for standard input")


def _look_into(folder: str, found: dict[str, None], passed: dict[str, str | None]) -> None:
    """Tell the logs of a folder from its other files."""
    files = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name[0] not in "._" and not name.endswith(UNFINISHED)]
        files += [
            os.path.join(parent, name)  # noqa: PTH118
            for name in names
            if name[0] not in "._" and not name.endswith(UNFINISHED)
        ]
    for path in sorted(files, key=_by_name):
        if path.lower().endswith(SUFFIXES):
            found[path] = None
            continue
        is_taken, notice = _look_at(path)
        if is_taken:
            found[path] = None
        else:
            passed[path] = notice


def _look_at(path: str) -> tuple[bool, str | None]:
    """Whether the first bytes of a file are those of a log, and what can be done where they are packed differently.

    A file that cannot be read is taken, to say why.
    """
    try:
        with open_decoded(Input(path, path)) as source:
            if reading.find(source, Envelopes(), MAX_RECORD_BYTES) is not None:
                return True, None
            head = source.peek(_LOOK)
    except (InputError, IncompleteInput):
        return True, None
    notice = advice(head, path)
    return notice is None and (is_log(head) or _is_encoded(head)), notice


def _is_encoded(head: bytes) -> bool:
    """Whether the first line of a file is JSON in base64."""
    line = head.partition(b"\n")[0].strip()
    whole = line[: len(line) // 4 * 4]  # the head may end anywhere
    return opened_layers(whole) is not whole


def _kind(path: str) -> str:
    """The end of a file's name, with that of what packs it."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    return "".join(suffixes[-2:] if suffixes[-1:] and suffixes[-1] in _PACKED else suffixes[-1:]) or "(none)"


def _by_name(path: str) -> tuple[str, ...]:
    return Path(path).parts


def _listed(files_from: str) -> list[str]:
    try:
        raw = standard_input().read() if files_from == STDIN else Path(files_from).read_bytes()
    except OSError as error:
        raise InputError(f"the list {files_from} cannot be read: {error.strerror or error}") from None
    return [os.fsdecode(line.removesuffix(b"\r")) for line in raw.split(b"\n") if line.strip()]
