"""`[request, response]` or `[request, ["error", …]]`, each with metadata behind it or without.

Seen: openai-cookbook, examples/api_request_parallel_processor.py.
"""

from __future__ import annotations

from ..model import ServiceError
from ..payload import parse
from .hints import looks_like_response
from .members import items_of, members_of
from .preset import Opened, Preset

_REQUEST_KEYS = frozenset({"messages", "prompt", "input", "model"})
_ANSWER_KEYS = frozenset({"choices", "completion", "error", "output", "response"})


def _is_pair(items: list[bytes]) -> bool:
    """Whether a list is a request with its response, or with the errors that came instead."""
    if not 2 <= len(items) <= 3:
        return False
    request = members_of(items[0])
    if request is None or not _ANSWER_KEYS.isdisjoint(request) or _REQUEST_KEYS.isdisjoint(request):
        return False
    if len(items) > 2 and looks_like_response(parse(items[2])):  # a second answer is no metadata
        return False
    if items[1].startswith(b"{"):
        return looks_like_response(parse(items[1]), errors=True)
    errors = items_of(items[1])
    return bool(errors) and all(bytes(error).startswith(b'"') for error in errors or ())


def _read_errors(opened: Opened) -> None:
    """The last of the errors that came instead of a response; all of them are kept where there are more."""
    if opened.body is None or not opened.body.startswith(b"["):
        return
    errors = parse(opened.body)
    if all(isinstance(error, str) for error in errors):
        opened.body = None
        opened.failure = ServiceError(message=errors[-1])
        if len(errors) > 1:
            opened.around.findings.extra[opened.at] = errors


PRESET = Preset(
    name="openai_pair",
    about="`[request, response]`, with metadata or without, as openai-cookbook's parallel processor writes",
    match_list=_is_pair,
    body="/1",
    fields={"request": ("/0",)},
    example=[{"model": "m", "messages": []}, {"choices": []}],
    adjust=_read_errors,
)
