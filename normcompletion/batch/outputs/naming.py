"""The names of outputs: final, partial while they are written, and moved away while another takes their place."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from .. import durable
from ..durable import OutputError
from ..options import Kind

PARTIAL = ".partial"
REPLACED = ".replaced"
_PART = re.compile(r"part-\d{5,}\.parquet")


class OutputRefusedError(ValueError):
    """An output cannot be written or continued as the call asks; the text says what to change.

    >>> from normcompletion.batch import convert
    >>> try:
    ...     convert("fixtures/log.jsonl", "README.md", to="jsonl")
    ... except OutputRefusedError as error:
    ...     print(error)
    README.md exists; replace it with --overwrite or name another output
    """


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
    return path == "-" or file_type(Path(path)) not in (None, stat.S_IFREG, stat.S_IFDIR)


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
        remove_folder(replaced, path)
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


def file_type(path: Path) -> int | None:
    """What kind of file a path is, as `stat` tells; `None` for what is not there."""
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
    kind_of_file = file_type(final)
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


def remove_folder(folder: Path, output: str) -> None:
    """Remove a folder of Parquet files.

    Raises:
        OutputError: it holds other files, or cannot be removed.

    """
    for file in own_files(folder, output):
        durable.remove(file, output)
    durable.remove_directory(folder, output)
