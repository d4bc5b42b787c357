"""SIGINT and SIGTERM while a run is under way: they stop it where it can be resumed, and only there."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to stop; `signal` is its number.

    >>> Interrupted(15).signal
    15
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = number


class Signals:
    """Raises `Interrupted` where the run looks or waits, never in the middle of a write; entered, it listens.

    A second signal ends the process at once, and leaves what an earlier checkpoint needs. A signal that was ignored
    before (`nohup`) stays so. Outside the main thread, and where it is not entered, it hears nothing.

    >>> with Signals() as signals:  # SIGINT and SIGTERM end `convert(…, signals=signals)` with a checkpoint
    ...     pass
    """

    def __init__(self) -> None:
        self._caught: int | None = None
        self._waiting = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Listen."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back to whom they had."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self._caught is not None:
            os._exit(128 + number)
        self._caught = number
        if self._waiting:
            raise Interrupted(number)

    def check(self) -> None:
        """Raise `Interrupted` if a signal came."""
        if self._caught is not None:
            raise Interrupted(self._caught)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around what may take long and writes nothing: a signal raises `Interrupted` in the middle of it."""
        self._waiting = True
        try:
            self.check()
            yield
        finally:
            self._waiting = False
