"""What is written of a completion where it is not a canonical record: OpenAI bodies, training lines, CSV."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..export import to_openai, to_training_line
from ..export.record import plain
from ..model import Completion, to_json
from .options import Options

if TYPE_CHECKING:
    import pyarrow as pa

_UNFINISHED_CODES = frozenset({"provider_error", "encrypted", "unfinished", "no_answer"})


def is_skipped(code: str, options: Options) -> bool:
    """Whether an answer that was refused with this code is left out and counted, as was asked for."""
    if code == "no_request":
        return options.without_request == "skip"
    return options.unfinished == "skip" and code in _UNFINISHED_CODES


def line_of(options: Options) -> Callable[[Completion], bytes] | None:
    """What makes the line of a completion, and may raise `ExportError`; `None` for canonical records and rows."""
    if options.to == "openai":
        return partial(_openai_line, extras=options.extras, fill=options.fill)
    return partial(_messages_line, alone=options.without_request == "write") if options.to == "messages" else None


def _openai_line(completion: Completion, *, extras: bool, fill: bool) -> bytes:
    return to_json(to_openai(completion, extras=extras, fill=fill))


def _messages_line(completion: Completion, *, alone: bool) -> bytes:
    return to_json(to_training_line(completion, answer_alone=alone))


def without_nulls(completion: Completion) -> bytes:
    """A canonical record less its null members; what the payload had itself, in `extra`, `before` and `request`, stays.

    It is read back as the same completion.
    """
    return to_json(plain(completion))


def csv_rows(batch: pa.RecordBatch | pa.Table, *, header: bool = False) -> bytes:
    """Rows as CSV (RFC 4180): texts in quotes, nulls empty; only the names of the columns with `header`."""
    from pyarrow import csv

    stream: Any = io.BytesIO()
    csv.write_csv(batch, stream, csv.WriteOptions(include_header=header))
    written: bytes = stream.getvalue()
    return written
