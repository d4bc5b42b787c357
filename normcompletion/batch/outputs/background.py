"""Work in threads beside the caller, for what compresses without holding the interpreter's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

_Result = TypeVar("_Result")


class Background(Generic[_Result]):
    """Calls done in threads beside the caller, with results in the order of the calls."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._executor = ThreadPoolExecutor(threads, "normcompletion-output")
        self._pending: deque[Future[_Result]] = deque()

    def submit(self, call: Callable[..., _Result], *arguments: Any) -> None:
        """Have a call done."""
        self._pending.append(self._executor.submit(call, *arguments))

    def results(self, leave: int) -> Iterator[_Result]:
        """The results that are there; waits for more until no more than `leave` calls are pending.

        Raises what a call raised, in its turn; then nothing more can be submitted.
        """
        try:
            while self._pending and (self._pending[0].done() or len(self._pending) > leave):
                yield self._pending.popleft().result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Drop what has not begun, and wait for the rest."""
        self._executor.shutdown(cancel_futures=True)
        self._pending.clear()
