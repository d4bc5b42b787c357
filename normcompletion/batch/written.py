"""What is written of a completion where it is no canonical record: OpenAI bodies, training lines, CSV."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from ..export import to_openai, to_training_line
from ..export.record import plain
from ..model import Completion, to_json

if TYPE_CHECKING:
    import pyarrow as pa

To = Literal["jsonl", "parquet", "csv", "openai", "messages"]
Unfinished = Literal["refuse", "skip"]
WithoutRequest = Literal["refuse", "skip", "write"]

_UNFINISHED_CODES = frozenset({"provider_error", "encrypted", "unfinished", "no_answer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What to write of each completion.

    `extras` and `fill` are those of `to_openai`; `omit_null` is of canonical JSON lines; `unfinished` says what becomes
    of failed calls and answers that are not whole where lines to train on are written, `without_request` what becomes
    of answers with which no request was logged.
    """

    to: To = "jsonl"
    omit_null: bool = False
    extras: bool = False
    fill: bool = False
    unfinished: Unfinished = "refuse"
    without_request: WithoutRequest = "refuse"

    def skips(self, code: str) -> bool:
        """Whether an answer that was refused with this code is left out and counted, as was asked for."""
        if code == "no_request":
            return self.without_request == "skip"
        return self.unfinished == "skip" and code in _UNFINISHED_CODES

    def line(self) -> Callable[[Completion], bytes] | None:
        """What makes the line of a completion, and may raise `ExportError`; `None` where all are written at once."""
        if self.to == "openai":
            return partial(_openai_line, extras=self.extras, fill=self.fill)
        return partial(_messages_line, alone=self.without_request == "write") if self.to == "messages" else None


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
