"""A completion as telemetry, after OpenTelemetry's semantic conventions for generative AI: `to_otel`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import field

from ..model import Choice, Completion, Message, Model, ToolCall
from ..pointer import camel, escape
from .record import left_out, plain, present

SEMCONV_VERSION = "1.41.0"
"""The version of the semantic conventions whose `gen_ai` group (status: development) is written:
https://github.com/open-telemetry/semantic-conventions/tree/v1.41.0/docs/gen-ai (April 2026). Version 1.42
moved them to https://github.com/open-telemetry/semantic-conventions-genai, where they are still in development.

>>> SEMCONV_VERSION
'1.41.0'
"""

SCHEMA_URL = f"https://opentelemetry.io/schemas/{SEMCONV_VERSION}"

OTEL_LEAVES_OUT: Mapping[str, str] = {
    "/source_basis": "no attribute",
    "/created": "the time of a span is its start and end, which a response does not say",
    "/provider": "`gen_ai.provider.name` is who was asked, not the upstream",
    "/choices/*/index": "the order of the messages tells it",
    "/choices/*/native_finish_reason": "no attribute",
    "/choices/*/logprobs": "no attribute",
    "/choices/*/error": "`error.type` is of the whole call",
    "/choices/*/message/reasoning_details": "a reasoning part is text",
    "/choices/*/message/annotations": "no part for citations",
    "/choices/*/message/parts": "the whole text is one part",
    "/choices/*/message/tool_calls/*/type": "a part is a tool call, of whatever type",
    "/choices/*/message/tool_calls/*/index": "the order of the parts tells it",
    "/choices/*/message/images/*/type": "a part has a modality",
    "/choices/*/message/images/*/index": "the order of the parts tells it",
    "/choices/*/message/audio/id": "a part has no id",
    "/choices/*/message/audio/expires_at": "the same",
    "/choices/*/message/audio/format": "the same",
    "/system_fingerprint": "an attribute of OpenAI's alone: written where the source is `openai`",
    "/service_tier": "the same",
    "/usage/total_tokens": "no attribute for the sum",
    "/usage/cost": "no attribute for money",
    "/usage/cost_details": "no attribute for money",
    "/usage/is_byok": "no attribute",
    "/usage/prompt_tokens_details/audio_tokens": "tokens by modality are not in this version",
    "/usage/prompt_tokens_details/image_tokens": "the same",
    "/usage/prompt_tokens_details/text_tokens": "the same",
    "/usage/prompt_tokens_details/video_tokens": "the same",
    "/usage/completion_tokens_details/accepted_prediction_tokens": "no attribute",
    "/usage/completion_tokens_details/audio_tokens": "tokens by modality are not in this version",
    "/usage/completion_tokens_details/image_tokens": "the same",
    "/usage/completion_tokens_details/rejected_prediction_tokens": "no attribute",
    "/error/message": "the text of an error belongs to the span's status",
    "/error/metadata": "no attribute",
    "/error/provider": "no attribute",
    "/envelope/kind": "no attribute",
    "/envelope/id": "no attribute",
    "/envelope/status": "no attribute",
    "/envelope/tags": "no attribute",
    "/envelope/duration": "the length of a span is its start and end",
    "/envelope/created_at": "the same",
    "/extra": "no attribute",
    "/notes": "no attribute",
}
"""What the conventions have no place for, by JSON Pointer into the completion. Besides: the members of a logged request
that are not attributes.

>>> "/usage/cost" in OTEL_LEAVES_OUT
True
"""

_UNKNOWN = "unknown"  # a message must have a finish reason, and there is one for each choice or none at all
_OPERATION_DETAILS = "gen_ai.client.inference.operation.details"
_NUMBER = (int, float)
# Members of a logged request, each with its attribute and the types that this may have.
_REQUEST: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "model": ("gen_ai.request.model", (str,)),
    "n": ("gen_ai.request.choice.count", (int,)),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", _NUMBER),
    "max_tokens": ("gen_ai.request.max_tokens", (int,)),
    "max_completion_tokens": ("gen_ai.request.max_tokens", (int,)),
    "presence_penalty": ("gen_ai.request.presence_penalty", _NUMBER),
    "seed": ("gen_ai.request.seed", (int,)),
    "stop": ("gen_ai.request.stop_sequences", (str,)),
    "stream": ("gen_ai.request.stream", (bool,)),
    "temperature": ("gen_ai.request.temperature", _NUMBER),
    "top_k": ("gen_ai.request.top_k", _NUMBER),
    "top_p": ("gen_ai.request.top_p", _NUMBER),
}
_BY_KEY = {spelled: row for key, row in _REQUEST.items() for spelled in (key, camel(key))}


class OtelEvent(Model, kw_only=True):
    """One event: its name and its attributes, whose values may be lists and objects.

    >>> OtelEvent(name="gen_ai.client.inference.operation.details", attributes={}).name
    'gen_ai.client.inference.operation.details'
    """

    name: str
    attributes: dict[str, Any]


class OtelRecord(Model, kw_only=True):
    """What `to_otel` gives.

    `name` is the span's name; `attributes` go on the span (texts, numbers, flags and lists of texts, no content of
    messages); `events` hold the content; `left_out` has the pointers of what the conventions have no place for.

    >>> from normcompletion import normalize
    >>> to_otel(normalize('{"choices": []}')).schema_url
    'https://opentelemetry.io/schemas/1.41.0'
    """

    name: str
    attributes: dict[str, Any]
    events: list[OtelEvent]
    schema_url: str = SCHEMA_URL
    left_out: list[str] = field(default_factory=list)


def to_otel(completion: Completion) -> OtelRecord:
    """A completion as span attributes and one event of the GenAI semantic conventions, version `SEMCONV_VERSION`.

    The event `gen_ai.client.inference.operation.details` has the same attributes and the messages: what was said is
    opt-in by the conventions, so leave the event out where content must not be recorded. `gen_ai.provider.name` is
    `Completion.source`; tool arguments are parsed where they are JSON, and stay text otherwise. Of a logged request it
    has the parameters, and of its messages role, name, content and tool calls. `OTEL_LEAVES_OUT` is what the
    conventions cannot hold.

    >>> from normcompletion import normalize
    >>> record = to_otel(normalize('''{"id": "c-1", "model": "tide-2", "object": "chat.completion", "usage": {
    ...     "prompt_tokens": 9, "completion_tokens": 3}, "choices": [{"index": 0, "finish_reason": "stop",
    ...     "message": {"role": "assistant", "content": "High tide."}}]}'''))
    >>> record.name, record.attributes["gen_ai.usage.input_tokens"]
    ('chat tide-2', 9)
    >>> record.events[0].attributes["gen_ai.output.messages"]
    [{'role': 'assistant', 'parts': [{'type': 'text', 'content': 'High tide.'}], 'finish_reason': 'stop'}]
    """
    parameters, others = _request(completion)
    if completion.error is not None and completion.error.code is not None and completion.error.type is not None:
        others.append("/error/type")  # `error.type` is the code
    attributes = present(_attributes(completion) | parameters)
    model = attributes.get("gen_ai.request.model") or completion.model
    operation = attributes["gen_ai.operation.name"]
    content: dict[str, Any] = {}
    if (asked := _messages(completion)) is not None:
        content["gen_ai.input.messages"] = [_input(each) for each in asked]
    if completion.choices:
        content["gen_ai.output.messages"] = [_output(choice) for choice in completion.choices]
    return OtelRecord(
        name=operation if model is None else f"{operation} {model}",
        attributes=attributes,
        events=[OtelEvent(name=_OPERATION_DETAILS, attributes=attributes | content)],
        left_out=left_out(completion, _OPENAI_LEAVES_OUT if completion.source == "openai" else OTEL_LEAVES_OUT)
        + others,
    )


_OPENAI = {"/service_tier": "openai.response.service_tier", "/system_fingerprint": "openai.response.system_fingerprint"}
_OPENAI_LEAVES_OUT = {place: why for place, why in OTEL_LEAVES_OUT.items() if place not in _OPENAI}


def _attributes(completion: Completion) -> dict[str, Any]:
    usage = completion.usage
    prompt = usage and usage.prompt_tokens_details
    answer = usage and usage.completion_tokens_details
    is_openai = completion.source == "openai"
    reasons = [choice.finish_reason for choice in completion.choices]
    return {
        "gen_ai.operation.name": "text_completion" if completion.variant == "text" else "chat",
        "gen_ai.provider.name": completion.source,
        "gen_ai.response.id": completion.id,
        "gen_ai.response.model": completion.model,
        "gen_ai.response.finish_reasons": [reason or _UNKNOWN for reason in reasons] if any(reasons) else None,
        "gen_ai.usage.input_tokens": usage and usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage and usage.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": prompt and prompt.cached_tokens,
        "gen_ai.usage.cache_creation.input_tokens": prompt and prompt.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": answer and answer.reasoning_tokens,
        "gen_ai.conversation.id": completion.envelope and completion.envelope.session_id,
        "openai.response.service_tier": completion.service_tier if is_openai else None,
        "openai.response.system_fingerprint": completion.system_fingerprint if is_openai else None,
        "error.type": _error_type(completion),
    }


def _error_type(completion: Completion) -> str | None:
    error = completion.error
    if error is None:
        return None
    return str(error.code) if error.code is not None else error.type or "_OTHER"


def _request(completion: Completion) -> tuple[dict[str, Any], list[str]]:
    """Attributes of the logged request, where there is one, and the pointers of its members that are none."""
    request = completion.envelope.request if completion.envelope is not None else None
    if not isinstance(request, dict):
        return {}, [] if request is None else ["/envelope/request"]
    found: dict[str, Any] = {}
    others = []
    for key, value in request.items():
        attribute, kinds = _BY_KEY.get(key, ("", ()))
        given = [value] if key == "stop" and isinstance(value, str) else value
        each = given if key == "stop" and isinstance(given, list) else [given]
        if all(type(one) in kinds for one in each) and (key, value) != ("n", 1):  # one choice is the default
            found[attribute] = given
        elif key == "messages" and isinstance(value, list):
            others += [f"/envelope/request/messages/{at}" for at, one in enumerate(value) if not isinstance(one, dict)]
        elif value is not None:
            others.append(f"/envelope/request/{escape(key)}")
    return found, others


def _messages(completion: Completion) -> list[dict[str, Any]] | None:
    request = completion.envelope.request if completion.envelope is not None else None
    sent = request.get("messages") if isinstance(request, dict) else None
    return [each for each in sent if isinstance(each, dict)] if isinstance(sent, list) else None


def _input(message: dict[str, Any]) -> dict[str, Any]:
    """A message of a request."""
    role, content = message.get("role"), message.get("content")
    parts: list[dict[str, Any]] = []
    if role == "tool":
        parts.append(present({"type": "tool_call_response", "id": message.get("tool_call_id"), "response": content}))
        return {"role": "tool", "parts": parts}
    if isinstance(content, str):
        parts.append({"type": "text", "content": content})
    for each in content if isinstance(content, list) else ():
        is_text = isinstance(each, dict) and isinstance(each.get("text"), str)
        parts.append({"type": "text", "content": each["text"]} if is_text else _generic(each))
    for call in message.get("tool_calls") or ():
        try:
            parts.append(_tool_call(msgspec.convert(call, _AnyToolCall).call()))
        except msgspec.ValidationError:
            parts.append(_generic(call))
    return present({"role": str(role), "parts": parts, "name": message.get("name")})


class _AnyToolCall(msgspec.Struct):
    """A tool call of a request, whatever else is in it."""

    function: dict[str, Any]
    id: str | None = None

    def call(self) -> ToolCall:
        known = {name: self.function.get(name) for name in ("name", "arguments")}
        return msgspec.convert({"id": self.id, "function": known}, ToolCall)


def _generic(part: Any) -> dict[str, Any]:
    """A part of a kind that the conventions have no words for, as it is."""
    return part if isinstance(part, dict) and isinstance(part.get("type"), str) else {"type": "unknown", "value": part}


def _output(choice: Choice) -> dict[str, Any]:
    """One choice as an output message."""
    message = choice.message
    reason = choice.finish_reason or _UNKNOWN
    return present(
        {
            "role": message.role or "assistant",
            "parts": list(_parts(message)),
            "name": message.name,
            "finish_reason": "tool_call" if reason == "tool_calls" else reason,
        }
    )


def _parts(message: Message) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if message.reasoning is not None:
        parts.append({"type": "reasoning", "content": message.reasoning})
    if message.content is not None:
        parts.append({"type": "text", "content": message.content})
    if message.refusal is not None:
        parts.append({"type": "refusal", "content": message.refusal})
    parts += [_tool_call(call) for call in message.tool_calls or ()]
    for image in message.images or ():
        if image.image_url is not None and image.image_url.url is not None:
            parts.append({"type": "uri", "modality": "image", "uri": image.image_url.url})
        else:
            parts.append({"type": "image", **plain(image)})
    if (audio := message.audio) is not None:
        kind = {"type": "audio"} if audio.data is None else {"type": "blob", "modality": "audio", "content": audio.data}
        parts.append(present({**kind, "transcript": audio.transcript}))
    return parts


def _tool_call(call: ToolCall) -> dict[str, Any]:
    arguments: Any = call.function and call.function.arguments
    with suppress(ValueError):  # cut off, or no JSON: as text
        arguments = call.parse_arguments()
    name = (call.function and call.function.name) or ""
    return present({"type": "tool_call", "id": call.id, "name": name, "arguments": arguments})
