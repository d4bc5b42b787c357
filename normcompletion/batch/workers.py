"""Worker processes: fresh interpreters that convert one task after the other."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from ..errors import excerpt
from .inputs import InputError

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

Task = TypeVar("Task")
Result = TypeVar("Result")

_MOST = 61  # processes that Windows can wait for at once
_DIED = (
    "a worker process ended by itself; if memory ran out, use fewer --jobs or a smaller --max-record-bytes; a script "
    'that converts with several jobs must do so under `if __name__ == "__main__":`'
)
_convert: Callable[[Any], Any]  # a worker's own
_stopped: Event  # the same


class WorkerError(RuntimeError):
    """A worker process ended by itself, or a defect of this library ended its work; the text says which.

    >>> str(WorkerError("a worker process was killed"))
    'a worker process was killed'
    """


class Workers(Generic[Task, Result]):
    """`count` processes that each run `make(options)` once, and then what it gave for each task.

    `make` must be importable, `options`, tasks and results picklable. Use as a context manager: at its end no process
    is left, whatever they were doing.
    """

    def __init__(self, count: int, make: Callable[[Any], Callable[[Task], Result]], options: Any) -> None:
        from concurrent.futures import ProcessPoolExecutor  # a run in one process does not wait for these
        from multiprocessing import get_context

        context = get_context("spawn")
        self._stopped = context.Event()
        given = (make, options, self._stopped)
        self._pool = ProcessPoolExecutor(min(count, _MOST), context, initializer=_begin, initargs=given)

    def submit(self, task: Task) -> Future[Result]:
        """The future result of a task, for `result`."""
        try:
            with _deaf():  # processes start here, and inherit it
                return self._pool.submit(_run, task)
        except BrokenExecutor as error:
            raise WorkerError(_DIED) from error

    def result(self, future: Future[Result]) -> Result:
        """The result of a task.

        Raises:
            WorkerError: a worker died or failed.
            InputError: a file of the task cannot be read any more.

        """
        try:
            return future.result()
        except InputError:
            raise
        except BrokenExecutor as error:
            raise WorkerError(_DIED) from error
        except Exception as error:
            raise WorkerError(
                f"a worker failed with {type(error).__name__}: {excerpt(error)}; please report this"
            ) from error

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End them: what they are at is finished, what waits is dropped, also what the pool has handed out already."""
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)


@contextmanager
def _deaf() -> Iterator[None]:
    """Without signals: the process that a terminal sends them to decides for its workers."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(make: Callable[[Any], Callable[[Any], Any]], options: Any, stopped: Event) -> None:
    """Get a worker ready."""
    global _convert, _stopped  # noqa: PLW0603 - there is one in each process
    _stopped = stopped
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # SIGTERM is how the pool ends its workers when one of them died
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    os.dup2(2, 1)  # whoever prints must not print into the records
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _convert = make(options)
    gc.collect()
    gc.freeze()  # what is there stays there; `Conversion` calls the collector for the rest
    gc.disable()


def _end_with_parent() -> None:
    """End a worker whose parent was killed; the pool would have it wait for ever."""
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(task: Any) -> Any:
    return None if _stopped.is_set() else _convert(task)
