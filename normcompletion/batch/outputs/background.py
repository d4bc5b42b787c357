"""Work in threads beside the caller, for what compresses without holding the interpreter's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_Result = TypeVar("_Result")


class Background(Generic[_Result]):
    """Calls done in threads beside the caller, with results in the order of the calls; none after one that failed."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._failed = False
        self._executor: ThreadPoolExecutor | None = None
        self._pending: deque[Future[_Result]] = deque()

    def submit(self, call: Callable[..., _Result], *arguments: Any) -> None:
        """Have a call done."""
        if self._executor is None:
            from concurrent.futures import ThreadPoolExecutor

            self._executor = ThreadPoolExecutor(self.threads, "normcompletion-output")
        self._pending.append(self._executor.submit(self._call, call, *arguments))

    def _call(self, call: Callable[..., _Result], *arguments: Any) -> _Result:
        if self._failed:
            raise RuntimeError("a call before this one failed")
        try:
            return call(*arguments)
        except BaseException:
            self._failed = True
            raise

    def results(self, leave: int) -> Iterator[_Result]:
        """The results that are there; waits for more until no more than `leave` calls are pending.

        Raises what a call raised, in its turn.
        """
        while self._pending and (self._pending[0].done() or len(self._pending) > leave):
            yield self._pending.popleft().result()

    def stop(self) -> None:
        """Drop what has not begun, and wait for the rest."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
        self._pending.clear()
