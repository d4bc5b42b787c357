"""Worker processes: each is a fresh interpreter that converts one task after the other.

A worker is spoken to over its own two pipes, by a thread of its own, so that tasks are handed out as
`concurrent.futures` does it. Nothing is forked, and the user's script is not run again in the worker, so it needs no
`if __name__ == "__main__"`.
"""

from __future__ import annotations

import gc
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, BinaryIO, Generic, Self, TypeVar

from ..errors import excerpt

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 3  # tasks in a worker: one that it works on, and the next ones
_SMALL = 1 << 15  # bytes of a task that fit into any pipe
_PIPE_BYTES = 1 << 20  # what Linux lets everybody have; fewer switches between the processes
_START = f"""
import pickle, sys
try:
    sys.path[:] = pickle.load(sys.stdin.buffer)
except (EOFError, pickle.UnpicklingError):  # the parent was killed before it said anything
    sys.exit()
from {__name__} import serve
serve(sys.stdin.buffer)
"""


class WorkerError(RuntimeError):
    """A worker process ended by itself, or a defect of this library ended its work; the text says which."""


class Workers(Generic[Task, Result]):
    """`count` processes that each run `make(options)` once, and then what it gave for each task.

    `make` must be importable, `options`, tasks and results picklable. Use as a context manager: at its end no process
    is left, whatever they were doing.
    """

    def __init__(self, count: int, make: Callable[[Any], Callable[[Task], Result]], options: Any) -> None:
        self.count = count
        self._tasks: queue.SimpleQueue[tuple[bytes, Future[Result]] | None] = queue.SimpleQueue()
        self._processes = [_start() for _ in range(count)]
        greeting = _pickled(sys.path) + _pickled((make, options))
        self._threads = [
            threading.Thread(target=self._drive, args=(number, process, greeting), daemon=True)
            for number, process in enumerate(self._processes, 1)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> Future[Result]:
        """The future result of a task; it raises `WorkerError` where the worker died or failed."""
        future: Future[Result] = Future()
        self._tasks.put((_pickled(task), future))
        return future

    def _drive(self, number: int, process: subprocess.Popen[bytes], greeting: bytes) -> None:
        """Give a worker its tasks and take their results; the main loop of a thread."""
        assert process.stdin is not None
        assert process.stdout is not None
        name = f"worker {number} (process {process.pid})"
        sent: deque[Future[Result]] = deque()
        message = greeting
        try:
            while True:
                process.stdin.write(message)
                process.stdin.flush()
                following = self._following(sent)
                while sent and (following is None or len(following[0]) > _SMALL or len(sent) >= AHEAD):
                    # A worker that is busy reads no task, so one that does not fit into the pipe has to wait.
                    failure, result = pickle.load(process.stdout)  # noqa: S301 - a process that we started ourselves
                    if failure is None:
                        sent.popleft().set_result(result)
                    else:
                        sent.popleft().set_exception(WorkerError(f"{name} failed with {failure}; please report this"))
                    following = following or self._following(sent)
                if following is None:
                    return
                message = following[0]
                sent.append(following[1])
        except (OSError, ValueError, EOFError, pickle.UnpicklingError):
            error = WorkerError(f"{name} {_ending(process)}")
            for future in sent:
                future.set_exception(error)
            while (refused := self._following(deque())) is not None:  # or nobody would ever take them
                refused[1].set_exception(error)

    def _following(self, sent: deque[Future[Result]]) -> tuple[bytes, Future[Result]] | None:
        """The next task; waits for one where the worker has none, `None` where there is none or never will be."""
        try:
            following = self._tasks.get(block=not sent)
        except queue.Empty:
            return None
        if following is None:
            self._tasks.put(None)  # the end stays the end, for whoever asks next
        return following

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill them."""
        for process in self._processes:
            process.kill()  # what it still does is of no use to anybody
        self._tasks.put(None)
        for thread in self._threads:
            thread.join()
        for process in self._processes:
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):  # what stood in the buffer has no reader any more
                    pipe.close()  # type: ignore[union-attr]
            process.wait()


def _pickled(message: object) -> bytes:
    return pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)


def _start() -> subprocess.Popen[bytes]:
    command, pipe = [sys.executable, "-c", _START], subprocess.PIPE
    # In a group of their own workers do not hear the terminal's signals, not even before they can ignore them.
    try:
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, process_group=0, pipesize=_PIPE_BYTES)  # noqa: S603
    except PermissionError:  # this user has too many large pipes already
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, process_group=0)  # noqa: S603


def _ending(process: subprocess.Popen[bytes]) -> str:
    """How a process ended, and what to do."""
    try:
        code = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return "closed its pipe; please report this"
    if code >= 0:
        return f"ended with exit code {code}; its message is above"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}; if memory ran out, use fewer --jobs or a smaller --max-record-bytes"


def serve(source: BinaryIO) -> None:
    """The main loop of a worker: its tasks come from `source`, its results go to what was standard output."""
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whoever prints must not print into the results
    for name in ("SIGINT", "SIGTERM"):  # the parent hears them too, and decides
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    with suppress(EOFError, BrokenPipeError, pickle.UnpicklingError):  # the parent is done, or gone
        make, options = pickle.load(source)  # noqa: S301 - from the process that started this one
        run = make(options)
        gc.collect()
        gc.freeze()  # what is there stays there; `Converter` calls the collector for the rest
        gc.disable()
        while True:
            task = pickle.load(source)  # noqa: S301
            try:
                answer: tuple[str | None, Any] = (None, run(task))
            except Exception as error:  # noqa: BLE001 - the parent says it, with the name of the worker
                answer = (f"{type(error).__name__}: {excerpt(error)}", None)
            pickle.dump(answer, target, protocol=pickle.HIGHEST_PROTOCOL)
            target.flush()
    with suppress(BrokenPipeError):  # what it could not send it would try to send again when it ends, and complain
        target.close()
