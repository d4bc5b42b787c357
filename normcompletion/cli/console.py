"""What all commands say, and to whom: exit codes, errors on standard error, JSON on standard output."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any

from ..errors import excerpt

DONE, REJECTS, USAGE, INPUT, INCOMPLETE, OUTPUT, BUDGET, DEFECT = 0, 1, 2, 3, 4, 5, 6, 70
EXIT_CODES = {
    DONE: "done",
    REJECTS: "done with rejects (verify: with losses; survey --fail-on-new: with something new)",
    USAGE: "wrong usage",
    INPUT: "an input is missing, unreadable or of a kind that is not read",
    INCOMPLETE: "an input breaks off",
    OUTPUT: "an output cannot be written",
    BUDGET: "more rejects than allowed",
    DEFECT: "a defect of this program, or a worker process that was killed",
    130: "stopped by SIGINT",
    143: "stopped by SIGTERM",
}
TRACEBACK = "NORMCOMPLETION_TRACEBACK"


def open_standard_streams() -> None:
    """Put the null device where a standard stream is closed, so that no file we open is taken for one."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if isinstance(sys.stdout, io.TextIOWrapper):  # what its encoding lacks is shown as an escape, as on standard error
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - until the end of the process


class Messages:
    """Standard error: where it cannot be written, messages are lost and nothing else."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stream's."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write what can be written."""
        try:
            self._stream.write(text)
        except OSError:  # its reader has ended, its disk is full, its terminal was closed
            silence(self._stream)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        try:
            self._stream.flush()
        except OSError:
            silence(self._stream)


def silence(stream: Any) -> None:
    """Let what is still written to a stream go nowhere, also when the process ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def reader_gone() -> int:
    """Whoever read our output has ended (`| head`): nothing more is said there."""
    silence(sys.stdout)
    return OUTPUT


def code_of(error: Exception) -> int:
    """Print an error on standard error; return its exit code."""
    import errno

    from .. import batch

    match error:
        case batch.OutputError(errno=errno.EPIPE, filename="standard output"):
            return reader_gone()
        case batch.OutputError():
            return fail(OUTPUT, error)
        case batch.InputError():
            return fail(INPUT, error)
        case batch.IncompleteInputError() | batch.IncompleteInput():
            return fail(INCOMPLETE, error)
        case batch.BudgetError():
            return fail(BUDGET, error)
        case batch.UsageError() | batch.OutputRefusedError() | batch.SurveyError() | ImportError():
            return fail(USAGE, error)
        case batch.WorkerError():
            return fail(DEFECT, error)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EFBIG | errno.EIO, filename=None):  # print() failed
            silence(sys.stdout)
            return fail(OUTPUT, batch.OutputError(error.errno, error.strerror, "standard output"))
        case MemoryError():
            return fail(DEFECT, "there is not enough memory; use fewer --jobs or a smaller --max-record-bytes")
    what = f"{type(error).__name__}: {excerpt(error)}"
    return fail(DEFECT, f"a defect of this program: {what}; please report it, with what {TRACEBACK}=1 shows")


def fail(code: int, error: BaseException | str) -> int:
    """Tell an error, and what was added to it, on standard error; gives the exit code."""
    for text in (str(error), *getattr(error, "__notes__", ())):
        print(f"normcompletion: {text}", file=sys.stderr)
    return code


def print_json(text: bytes) -> None:
    """Write JSON to standard output: it is UTF-8, whatever the encoding of that."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.flush()
        sys.stdout.buffer.write(text)
    else:
        sys.stdout.write(text.decode())
