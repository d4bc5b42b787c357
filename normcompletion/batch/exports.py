"""What is written of a completion in the shape of somebody else: OpenAI bodies and lines to train on."""

from __future__ import annotations

from collections.abc import Callable

from ..export import to_openai, to_training_line
from ..model import Completion, to_json
from .options import Options

_UNFINISHED_CODES = frozenset({"provider_error", "encrypted", "unfinished", "no_answer"})


def is_skipped(code: str, options: Options) -> bool:
    """Whether an answer that was refused with this code is left out and counted, as was asked for."""
    if code == "no_request":
        return options.without_request == "skip"
    return options.unfinished == "skip" and code in _UNFINISHED_CODES


def line_of(options: Options) -> Callable[[Completion], bytes] | None:
    """What makes the line of a completion, and may raise `ExportError`; `None` for canonical records and rows."""
    if options.to == "openai":
        return lambda completion: to_json(to_openai(completion, extras=options.extras, fill=options.fill))
    if options.to == "messages":
        alone = options.without_request == "write"
        return lambda completion: to_json(to_training_line(completion, answer_alone=alone))
    return None
