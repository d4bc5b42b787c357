"""A whole log in one call: `read`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from .model import Completion

if TYPE_CHECKING:
    from .batch import Reject


class Log(list[Completion]):
    """The completions of a log, in its order; `rejects` has what was refused, with `on_error="collect"`.

    >>> from normcompletion import read
    >>> log = read("fixtures/log.jsonl", on_error="collect")
    >>> len(log), log.rejects
    (6, [])
    """

    def __init__(self) -> None:
        super().__init__()
        self.rejects: list[Reject] = []


def read(
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    on_error: Literal["raise", "collect"] = "raise",
    **options: Any,
) -> Log:
    """All completions of a log, or of several: what `normcompletion convert` would write, as a list.

    For logs that do not fit into memory use `normcompletion.batch.iter_records`, or `convert`.

    Args:
        path: a file, a folder, a pattern, or several of them; as for `normcompletion.batch.convert`.
        on_error: what to do with what is refused: raise the first, or collect all in `Log.rejects`.
        options: those of `normcompletion.batch.iter_records` (`body`, `envelope`, `source`, `strict`, …).

    Raises:
        RejectError: something in the log is not a completion (`on_error="raise"`); `reject` says where and why.
        InputError: the log is missing, unreadable, or of a kind that is not read.
        IncompleteInput: the log breaks off.

    >>> from normcompletion import read
    >>> sorted({completion.source for completion in read("fixtures/log.jsonl")})
    ['atoma', 'log10', 'openai', 'openrouter']

    """
    from .batch import Reject, UsageError, iter_records

    if on_error not in ("raise", "collect"):
        raise UsageError(f"on_error is {on_error!r:.64}; give 'raise' or 'collect'")
    log = Log()
    if on_error == "raise":
        log += iter_records(path, **options)
        return log
    for item in iter_records(path, on_error="yield", **options):
        if isinstance(item, Reject):
            log.rejects.append(item)
        else:
            log.append(item)
    return log
