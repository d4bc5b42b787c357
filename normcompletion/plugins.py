"""What installed packages offer through an entry-point group."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import PathFinder
from typing import Any


def offered(group: str, table: str, check: Callable[[Any], None]) -> Iterator[Any]:
    """The members of the tuple `table` in each module that a group names, in the order of the entry points' names.

    Raises `ImportError` for a module that cannot be imported, has no such tuple, or a member that `check` refuses.
    """
    if not _is_named(group):
        return
    from importlib import metadata

    for entry in sorted(metadata.entry_points(group=group), key=lambda entry: entry.name):
        try:
            members = tuple(getattr(entry.load(), table))
            for member in members:
                check(member)
        except Exception as error:
            package = "" if entry.dist is None else f"; mend or uninstall {entry.dist.name}"
            raise ImportError(
                f"the plugin {entry.name} ({entry.value}, for {group}) cannot be used: "
                f"{type(error).__name__}: {error}{package}"
            ) from error
        yield from members


def _is_named(group: str) -> bool:
    """Whether the metadata of an installed package may name a group.

    Most machines have no plugin, and `importlib.metadata` alone would double the time until the first completion.
    """
    finders = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
    if finders != [PathFinder]:
        return True  # a finder of somebody else knows other packages
    for folder in sys.path:
        try:
            with os.scandir(folder or ".") as entries:
                packages = [entry.path for entry in entries if entry.name.endswith((".dist-info", ".egg-info"))]
        except NotADirectoryError:
            return True  # a zip archive may hold packages
        except OSError:
            continue
        if any(group.encode() in _entry_points(package) for package in packages):
            return True
    return False


def _entry_points(package: str) -> bytes:
    """The file of a package's metadata that names its entry points; empty where there is none."""
    try:
        with open(f"{package}/entry_points.txt", "rb") as file:  # noqa: PTH123 - the import of pathlib takes longer
            return file.read()
    except OSError:
        return b""
