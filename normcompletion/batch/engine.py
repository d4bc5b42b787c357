"""Inputs to tasks, and tasks to results, in order and in as many processes as were asked for.

A task is one block, or several small ones. Tasks are cut by what the inputs hold and given in their order, so what is
made of them does not depend on the number of processes.
"""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

from .blocks import BEGINNING, BLOCK_BYTES, Block, Position, Range, Unit
from .conversion import units
from .folders import Inputs
from .inputs import IncompleteInput, Input, open_decoded
from .options import Options
from .report import Outcome, Reject, Report
from .signals import Signals
from .units import blocks
from .workers import Workers

_NOTICES = 10  # of files in folders that are not read
_TASK_BLOCKS = 1024
_AHEAD = 3  # tasks under way, for each worker


class Listener:
    """Hears of a run while it goes on; does nothing unless a method is given another.

    >>> class Loud(Listener):
    ...     def notice(self, text):
    ...         print(text)
    """

    def notice(self, text: str) -> None:
        """A sentence for the user."""

    def reject(self, reject: Reject) -> None:
        """One more reject, in the order of the inputs."""

    def progress(self, consumed: int, report: Report) -> None:
        """So many bytes of the inputs, as they are on disk, were read; what was written so far."""


class Task(NamedTuple):
    """Some blocks, and how many bytes of all inputs were read up to their end."""

    blocks: list[Block]
    consumed: int


Result = TypeVar("Result", bound=Outcome)
Maker: TypeAlias = Callable[[Options], Callable[..., Result]]
"""Makes of options what makes a result of some blocks, or of their first units."""


class Reader:
    """Cuts the inputs into tasks, and gives what is made of them; `broken` has the inputs that broke off."""

    def __init__(self, inputs: Inputs, options: Options, listener: Listener) -> None:
        self.broken: dict[int, IncompleteInput] = {}
        self._inputs = inputs
        self._options = options
        self._listener = listener
        for notice in inputs.notices[:_NOTICES]:
            listener.notice(notice)
        self._jobs = (options.jobs or os.cpu_count() or 1) if options.limit is None else 1
        self._blocks = partial(
            blocks,
            max_record_bytes=options.max_record_bytes,
            block_bytes=BLOCK_BYTES,
            ranges=self._jobs > 1,
            envelopes=options.envelopes,
        )
        self._task_bytes = BLOCK_BYTES if options.layout is None else 4 * BLOCK_BYTES  # Arrow likes many rows

    def tasks(self, start: Position = BEGINNING) -> Iterator[Task]:
        """The tasks from a position on. Raises `InputError`."""
        group: list[Block] = []
        size = 0
        before = sum(Path(each.path).stat().st_size for each in self._inputs[: start.input])
        for index in range(start.input, len(self._inputs)):
            used = 0
            try:
                with open_decoded(self._inputs[index]) as source:
                    if source.notice is not None:
                        self._listener.notice(source.notice)
                    at = start if index == start.input else Position(index)
                    for block in self._blocks(source, at):
                        used = block.data.stop if isinstance(block.data, Range) else source.consumed
                        group.append(block)
                        size += block.size
                        if size >= self._task_bytes or len(group) >= _TASK_BLOCKS:
                            yield Task(group, before + used)
                            group, size = [], 0
                    used = source.size or source.consumed
            except IncompleteInput as broken:
                self.broken[index] = broken
            before += used
        if group:
            yield Task(group, before)

    def units(self) -> Iterator[tuple[Input, Unit]]:
        """The units of all inputs, one by one. Raises `InputError`, and `IncompleteInput` at the end."""
        for task in self.tasks():
            for block in task.blocks:
                for unit in units(block, self._options.max_record_bytes):
                    yield self._inputs[block.input], unit
        self.check_whole()

    def results(
        self, make: Maker[Result], signals: Signals, start: Position = BEGINNING, done: int = 0
    ) -> Generator[tuple[Task, Result]]:
        """Each task with what `make(options)` gives for it, in order; `done` units are there already.

        With more than one job (0: one for each processor) other processes make them, a bounded number ahead of the
        caller; a limit of units needs one process alone. Between any two results a signal is looked for.
        """
        tasks, limit = self.tasks(start), self._options.limit
        if self._jobs > 1:
            found = _in_processes(tasks, make, self._options, self._jobs, signals)
        else:
            found = _alone(tasks, make, self._options, signals, None if limit is None else limit - done)
        with _without_collector(), closing(found) as every:
            for task, result in every:
                self.note(result.broken)
                yield task, result

    def note(self, broken: Iterable[tuple[int, IncompleteInput]]) -> None:
        """Keep inputs that broke off; of one input, the first break counts."""
        for index, each in broken:
            self.broken.setdefault(index, each)

    def check_whole(self) -> None:
        """Raise `IncompleteInput` for the first input that broke off."""
        if self.broken:
            raise self.broken[min(self.broken)]


def _alone(
    tasks: Iterator[Task], make: Maker[Result], options: Options, signals: Signals, limit: int | None
) -> Generator[tuple[Task, Result]]:
    convert = make(options)
    while limit is None or limit > 0:
        with signals.waiting():
            task = next(tasks, None)
        if task is None:
            return
        result = convert(task.blocks, limit)
        if limit is not None:
            limit -= result.report.units
        yield task, result


def _in_processes(
    tasks: Iterator[Task], make: Maker[Result], options: Options, count: int, signals: Signals
) -> Generator[tuple[Task, Result]]:
    under_way: deque[tuple[Task, Future[Result]]] = deque()
    with Workers[list[Block], Result](count, make, options) as workers:
        while True:
            with signals.waiting():
                while len(under_way) < _AHEAD * count and (task := next(tasks, None)) is not None:
                    under_way.append((task, workers.submit(task.blocks)))
                if not under_way:
                    return
                task, future = under_way.popleft()
                wait([future])
            yield task, workers.result(future)


@contextmanager
def _without_collector() -> Iterator[None]:
    """The cyclic garbage collector would look at every record again and again; `Conversion` calls it instead."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
