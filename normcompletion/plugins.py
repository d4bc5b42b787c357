"""What installed packages offer through an entry-point group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def offered(group: str, table: str, check: Callable[[Any], None]) -> Iterator[Any]:
    """The members of the tuple `table` in each module that a group names, in the order of the entry points' names.

    Raises `ImportError` for a module that cannot be imported, has no such tuple, or a member that `check` refuses.
    """
    from importlib import metadata  # costs a third of the whole import, and only the first call needs it

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
