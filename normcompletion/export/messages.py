"""A completion as what the next request sends: `to_message`, `to_training_line`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from ..model import Choice, Completion, ToolCall
from .openai import tool_call
from .record import Exported, ExportError, Requirements, left_out, plain, refuse_failed

MESSAGE_LEAVES_OUT: Mapping[str, str] = {
    "/source": "a message does not say where it came from",
    "/source_basis": "the same",
    "/variant": "the same",
    "/id": "the same",
    "/created": "the same",
    "/model": "the same",
    "/provider": "the same",
    "/service_tier": "the same",
    "/system_fingerprint": "the same",
    "/usage": "a message has no usage",
    "/choices/*/index": "a message is of one choice: the first",
    "/choices/*/finish_reason": "a message does not say how it ended",
    "/choices/*/native_finish_reason": "the same",
    "/choices/*/logprobs": "requests have none",
    "/choices/*/error": "a message has none",
    "/choices/*/message/reasoning": "with `reasoning`: as `reasoning`",
    "/choices/*/message/reasoning_details": "with `reasoning`: as `reasoning_details`, which OpenRouter asks for",
    "/choices/*/message/annotations": "requests have none",
    "/choices/*/message/images": "requests have none in answers",
    "/choices/*/message/parts": "`content` is the whole text",
    "/choices/*/message/tool_calls/*/index": "the order tells it",
    "/choices/*/message/audio/data": "audio is sent back by its `id`",
    "/choices/*/message/audio/transcript": "the same",
    "/choices/*/message/audio/expires_at": "the same",
    "/choices/*/message/audio/format": "the same",
    "/envelope": "what was around the response; `to_training_line` takes the request from it",
    "/extra": "a message has no unknown members",
    "/notes": "notes have no place in a message",
}
"""What a message has no place for, by JSON Pointer into the completion.

>>> "/usage" in MESSAGE_LEAVES_OUT
True
"""

WHOLE = frozenset({"stop", "tool_calls"})
"""The finish reasons of an answer that is whole."""

_WITHOUT_REASONING = {"/choices/*/message/reasoning", "/choices/*/message/reasoning_details"}


def to_message(completion: Completion, *, reasoning: bool = False) -> Exported:
    """The assistant message of the first choice, to append to the `messages` of the next request.

    It holds `role`, `content`, `refusal`, `name`, `tool_calls` and `audio` (its `id`), and no nulls. A function
    call that does not say its type gets `"type": "function"`, which `filled` of the result lists.
    `MESSAGE_LEAVES_OUT` is what it cannot hold, `left_out` of the result what of it this completion had.

    Args:
        completion: the completion; of several choices the first (`Completion.first`) is taken.
        reasoning: send the reasoning back too, as OpenRouter asks for where tools are called in between; OpenAI
            refuses the members.

    Raises:
        ExportError: there is no answer, it is not the assistant's, or a tool call lacks a member.

    >>> from normcompletion import normalize
    >>> completion = normalize('''{"choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"tool_calls": [
    ...     {"id": "call-1", "type": "function", "function": {"name": "tide", "arguments": "{}"}}]}}]}''')
    >>> to_message(completion)["tool_calls"][0]["function"]
    {'name': 'tide', 'arguments': '{}'}

    """
    refuse_failed(completion)
    choice = completion.first
    if choice is None:
        raise ExportError("the completion has no choice, so that there is no message", code="no_answer")
    place = completion.choices.index(choice)
    path = f"/choices/{place}/message"
    filled = [f"/tool_calls/{at}/type" for at, call in enumerate(choice.message.tool_calls or ()) if _lacks_type(call)]
    built = _message(choice, path, reasoning=reasoning)
    if len(built) == 1:
        raise ExportError("the message is empty: it has neither text nor tool calls", code="no_answer", path=path)
    table = {key: why for key, why in MESSAGE_LEAVES_OUT.items() if not (reasoning and key in _WITHOUT_REASONING)}
    others = [f"/choices/{at}" for at in range(len(completion.choices)) if at != place]
    dropped = [each for each in left_out(completion, table) if not each.startswith(tuple(f"{o}/" for o in others))]
    return Exported(built, filled, dropped + others)


def _message(choice: Choice, path: str, *, reasoning: bool) -> dict[str, Any]:
    message = choice.message
    if message.role not in (None, "assistant"):
        raise ExportError(f"the role of the message is {message.role}, not assistant", code="no_answer", path=path)
    required = Requirements()
    built: dict[str, Any] = {"role": "assistant"}
    for name in ("content", "refusal", "name"):
        if (text := getattr(message, name)) is not None:
            built[name] = text
    if message.tool_calls:
        built["tool_calls"] = [
            tool_call(
                replace(call, type="function") if _lacks_type(call) else call, f"{path}/tool_calls/{at}", required
            )
            for at, call in enumerate(message.tool_calls)
        ]
    if message.audio is not None:
        built["audio"] = {"id": required.need(f"{path}/audio/id", message.audio.id, "")}
    if reasoning:
        for name in ("reasoning", "reasoning_details"):
            if (value := getattr(message, name)) is not None:
                built[name] = plain(value)
    required.check("a message", "the next request would be refused")
    return built


def _lacks_type(call: ToolCall) -> bool:
    """Whether a call of a function does not say that it is one: a request must, and it can be nothing else."""
    return call.type is None and call.function is not None


def to_training_line(completion: Completion, *, answer_alone: bool = False) -> Exported:
    """The logged request's messages and the answer, as one line of a fine-tuning file: `{"messages": […]}`.

    Where the request named tools, the line names them too.

    Args:
        completion: the completion; the request is that of its envelope.
        answer_alone: where no request with `messages` was logged, write the answer without a question.

    Raises:
        ExportError: as `to_message`; besides where the answer is not whole (`finish_reason` is neither `stop` nor
            `tool_calls`, or the choice has an error), and where no request with `messages` was logged.

    >>> from normcompletion import normalize
    >>> record = '''{"organization_id": "o", "request": {"messages": [{"role": "user", "content": "Hi"}]},
    ...     "response": {"choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]}}'''
    >>> to_training_line(normalize(record))
    {'messages': [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello'}]}

    """
    message = to_message(completion)
    choice = completion.first
    assert choice is not None
    if choice.finish_reason not in WHOLE or choice.error is not None:
        word = "an error" if choice.error is not None else choice.finish_reason or "no finish reason"
        path = f"/choices/{completion.choices.index(choice)}"
        raise ExportError(f"the answer is not whole: it ended with {word}", code="unfinished", path=path)
    request = completion.envelope.request if completion.envelope is not None else None
    asked = request if isinstance(request, dict) else {}
    sent = asked.get("messages")
    if not isinstance(sent, list) or not sent:
        if not answer_alone:
            raise ExportError(
                "no request with `messages` was logged with the answer; answer_alone=True "
                "(--without-request write) writes it alone",
                code="no_request",
                path="/envelope/request",
            )
        sent = []
    line: dict[str, Any] = {"messages": [*sent, dict(message)]}
    if asked.get("tools"):
        line["tools"] = asked["tools"]
    last = f"/messages/{len(line['messages']) - 1}"
    return Exported(line, [last + each for each in message.filled], message.left_out)
