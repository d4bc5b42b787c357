"""Thousands and a million nested containers in every position of a body, on a thread with a small stack.

    python -m tests.reliability.deep

A line is the position, the kind of container and what came of it. A crash is the return code of the process.
Interpreters count the calls of C functions: some take thousands of levels, for which the stack is too small.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from normcompletion import NormalizeError, assemble, iter_events, normalize, normalize_chunk, normalize_many
from normcompletion.batch import Reject, iter_records

LEVELS = 1_000_000
# Where free-form, unknown and known members are, in a body, an error, an envelope, a chunk; `%s` is the deep value.
POSITIONS = {
    "known field": b'{"model":%s,"choices":[]}',
    "known field in a choice": b'{"choices":[{"message":{"content":%s}}]}',
    "unknown key": b'{"choices":[],"vendor":%s}',
    "unknown key in a choice": b'{"choices":[{"vendor":%s}]}',
    "unknown key in usage": b'{"choices":[],"usage":{"vendor":%s}}',
    "free-form metadata of a choice": b'{"choices":[{"error":{"message":"m","metadata":%s}}]}',
    "free-form metadata": b'{"error":{"message":"m","code":1,"metadata":%s}}',
    "whole error": b'{"error":%s}',
    "partial response": b'{"message":"m","code":1,"partial_response":%s}',
    "tool arguments as object": b'{"choices":[{"message":{"tool_calls":[{"function":{"arguments":%s}}]}}]}',
    "log10 response": b'{"id":"r","organization_id":"o","kind":"chat","status":"finished","response":%s}',
    "log10 request": b'{"id":"r","organization_id":"o","kind":"chat","request":%s,"response":{"choices":[]}}',
    "wrapped": b'{"success":true,"data":%s}',
    "chunk": b'{"object":"chat.completion.chunk","choices":[{"delta":{"vendor":%s}}]}',
    "event": b'data: {"choices":[{"delta":{"vendor":%s}}]}\n\n',
    "alone": b"%s",
}
DEEP = {
    "arrays": b"[" * LEVELS + b"1" + b"]" * LEVELS,
    "objects": b'{"a":' * LEVELS + b"1" + b"}" * LEVELS,
    "open arrays": b"[" * LEVELS,
    "thousands": b"[" * 9000 + b"1" + b"]" * 9000,
}
ARGUMENTS = b'{"choices":[{"message":{"tool_calls":[{"function":{"arguments":"%s"}}]}}]}'


def outcome(call: Callable[[], object]) -> str:
    """Class and code of what a call raises."""
    try:
        return type(call()).__name__
    except NormalizeError as error:
        return f"{type(error).__name__}:{error.code}"


def parse_arguments() -> str:
    """What comes of parsing tool arguments that a model made by repeating itself."""
    call = normalize(ARGUMENTS.replace(b"%s", b"[" * LEVELS)).tool_calls[0]
    try:
        call.parse_arguments()
    except ValueError as error:
        return type(error).__name__
    return "parsed"


def through_stream(raw: bytes) -> object:
    """The completion of a stream whose bytes come in pieces."""
    return assemble(iter_events(raw[at : at + 65_536] for at in range(0, len(raw), 65_536)))


def of_log(text: bytes) -> str:
    """What the first record of a log is rejected for."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log.json")
        path.write_bytes(text)
        try:
            (first, *_) = iter_records(path, on_error="yield")
        except NormalizeError as error:
            return f"{type(error).__name__}:{error.code}"
    return f"Reject:{first.code}" if isinstance(first, Reject) else "accepted"


def results() -> Iterator[tuple[str, str, str]]:
    """Position, containers and outcome."""
    for position, body in POSITIONS.items():
        for kind, value in DEEP.items():
            raw = body.replace(b"%s", value)
            yield position, kind, outcome(lambda raw=raw: normalize(raw))  # type: ignore[misc]
            yield f"{position}, strict", kind, outcome(lambda raw=raw: normalize(raw, strict=True))  # type: ignore[misc]
        many = outcome(lambda raw=raw: list(normalize_many([raw])))  # type: ignore[misc]
        yield f"{position}, many", kind, many
        if position != "event":
            yield f"{position}, in a list", kind, of_log(b"[%s,%s]" % (raw, raw))
        if position in ("chunk", "alone"):
            yield f"{position}, normalize_chunk", kind, outcome(lambda raw=raw: normalize_chunk(raw))  # type: ignore[misc]
        if position == "event":
            yield f"{position}, iter_events", kind, outcome(lambda raw=raw: through_stream(raw))  # type: ignore[misc]
    yield "parse_arguments", "open arrays", parse_arguments()


def main() -> None:
    """Print the lines from a thread with a small stack."""
    threading.stack_size(1 << 20)
    thread = threading.Thread(target=lambda: [print("\t".join(line), flush=True) for line in results()])
    thread.start()
    thread.join()


if __name__ == "__main__":
    main()
