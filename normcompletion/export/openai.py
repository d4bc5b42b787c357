"""A completion in the shape of OpenAI's API: `to_openai`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from ..model import Annotation, Choice, Completion, Logprobs, Message, TokenLogprob, ToolCall, Usage
from ..pointer import camel, unescape
from .record import Exported, Requirements, left_out, plain, present, refuse_failed

OPENAI_LEAVES_OUT: Mapping[str, str] = {
    "/source": "who wrote the payload is not part of the shape",
    "/source_basis": "nor is how that is known",
    "/variant": "`object` tells a chat completion from a text completion, and no more",
    "/provider": "with `extras`: OpenRouter's member `provider`",
    "/choices/*/native_finish_reason": "with `extras`: OpenRouter's member",
    "/choices/*/error": "with `extras`: OpenRouter's member",
    "/choices/*/message/reasoning": "with `extras`: OpenRouter's member",
    "/choices/*/message/reasoning_details": "with `extras`: OpenRouter's member",
    "/choices/*/message/images": "with `extras`: OpenRouter's member",
    "/choices/*/message/name": "with `extras`",
    "/choices/*/message/parts": "never: `content` is the whole text",
    "/choices/*/message/annotations/*/url_citation/content": "with `extras`: OpenRouter's member",
    "/choices/*/message/annotations/*/url_citation/file_id": "with `extras`",
    "/choices/*/message/annotations/*/url_citation/quote": "with `extras`",
    "/choices/*/message/annotations/*/url_citation/encrypted_index": "with `extras`",
    "/choices/*/message/annotations/*/url_citation/cited_text": "with `extras`",
    "/choices/*/message/tool_calls/*/index": "with `extras`: the member of chunks",
    "/usage/cost": "with `extras`: OpenRouter's member",
    "/usage/cost_details": "with `extras`: OpenRouter's member",
    "/usage/is_byok": "with `extras`: OpenRouter's member",
    "/usage/prompt_tokens_details/cache_write_tokens": "with `extras`",
    "/usage/prompt_tokens_details/image_tokens": "with `extras`",
    "/usage/prompt_tokens_details/text_tokens": "with `extras`",
    "/usage/prompt_tokens_details/video_tokens": "with `extras`",
    "/usage/completion_tokens_details/image_tokens": "with `extras`",
    "/envelope": "never: what was around the response",
    "/extra": "with `extras`, where the members around a value are in the body under the same names",
    "/notes": "never",
}
"""What the shape has no place for, by JSON Pointer into the completion (`*` stands for the places of a list), and what
becomes of it. Besides: `text_offset` of a chat's tokens, `bytes` of a text's, annotations that are no `url_citation`, a
`service_tier` that is none of OpenAI's words, and what a text completion has beside its text.

>>> "/provider" in OPENAI_LEAVES_OUT
True
"""

SERVICE_TIERS = frozenset({"auto", "default", "flex", "scale", "priority"})
CHAT_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter"})
TEXT_REASONS = CHAT_REASONS - {"tool_calls"}

_ONLY_EXTRAS = {path: why for path, why in OPENAI_LEAVES_OUT.items() if not why.startswith("with `extras`")}
_LOWEST_LOGPROB = -9999.0  # OpenAI's own word for a token that is not among the twenty likeliest
# A value of `extra` under one of these names is of a type that neither the shape nor this library admits there.
_FIELDS = {
    "text",
    "object",
    *(name for each in (Completion, Choice, Message, Usage) for name in each.__struct_fields__),
}
_KNOWN = frozenset(spelled for name in _FIELDS for spelled in (name, camel(name)))
_PROMPT_DETAILS = ("audio_tokens", "cached_tokens")
_COMPLETION_DETAILS = (
    "accepted_prediction_tokens",
    "audio_tokens",
    "reasoning_tokens",
    "rejected_prediction_tokens",
)


def to_openai(completion: Completion, *, extras: bool = False, fill: bool = False) -> Exported:
    """A completion as the body that OpenAI's API would have sent: a `chat.completion` or a `text_completion`.

    What comes out is accepted by the strict models of the `openai` package, and `normalize` reads it as the same
    canonical fields. `OPENAI_LEAVES_OUT` is what the shape cannot hold, `left_out` of the result what of it this
    completion had.

    Args:
        completion: the completion; of variant `text` it becomes a `text_completion`.
        extras: also write what the shape has no place for: OpenRouter's members, and the values of `extra` where they
            stood. OpenAI's models let unknown members pass.
        fill: write what the shape requires and the completion does not say; `filled` of the result lists it. Texts are
            empty, counts and times 0, `index` the place in the list, the role `assistant`. A missing finish reason,
            `error` and `unknown` become `length`: the answer is not known to be whole, and is never called `stop`.

    Raises:
        ExportError: members are missing (`error.missing` names them), or the call failed or is encrypted.

    >>> from normcompletion import normalize
    >>> body = to_openai(normalize('''{"id": "gen-1", "model": "tide-2", "created": 1764877383, "provider": "Harbour",
    ...     "choices": [{"index": 0, "message": {"role": "assistant", "content": "High tide."}}]}'''), fill=True)
    >>> body["object"], body["choices"][0]["finish_reason"]
    ('chat.completion', 'length')
    >>> body.filled, body.left_out
    (['/choices/0/finish_reason'], ['/provider'])

    """
    refuse_failed(completion)
    required = Requirements()
    dropped = left_out(completion, _ONLY_EXTRAS if extras else OPENAI_LEAVES_OUT)
    is_text = completion.variant == "text"
    one = _text_choice if is_text else partial(_chat_choice, extras=extras)
    body = {
        "id": required.need("/id", completion.id, ""),
        "object": "text_completion" if is_text else "chat.completion",
        "created": required.need("/created", completion.created, 0),
        "model": required.need("/model", completion.model, ""),
        "choices": [one(choice, place, required, dropped) for place, choice in enumerate(completion.choices)],
    }
    if completion.usage is not None:
        body["usage"] = _usage(completion.usage, required)
    if completion.service_tier in SERVICE_TIERS and not is_text:
        body["service_tier"] = completion.service_tier
    elif completion.service_tier is not None:
        dropped.append("/service_tier")
    if completion.system_fingerprint is not None:
        body["system_fingerprint"] = completion.system_fingerprint
    if extras:
        _add_members(body, completion, is_text=is_text)
        dropped += _add_extra(body, completion)
    if not fill:
        required.check("the OpenAI shape", "fill=True writes substitutes and lists them")
    return Exported(body, required.missing, dropped)


def _chat_choice(
    choice: Choice, place: int, required: Requirements, dropped: list[str], *, extras: bool
) -> dict[str, Any]:
    path = f"/choices/{place}"
    built = {
        "finish_reason": _reason(choice, path, CHAT_REASONS, required),
        "index": required.need(f"{path}/index", choice.index, place),
        "message": _message(choice.message, f"{path}/message", required, dropped, extras=extras),
    }
    if choice.logprobs is not None:
        built["logprobs"] = {
            name: [_token(token, f"{path}/logprobs/{name}/{at}", required) for at, token in enumerate(listed)]
            for name in ("content", "refusal")
            if (listed := getattr(choice.logprobs, name)) is not None
        }
        dropped += _of_tokens(choice.logprobs, "text_offset", path)
    return built


def _text_choice(choice: Choice, place: int, required: Requirements, dropped: list[str]) -> dict[str, Any]:
    path = f"/choices/{place}"
    built = {
        "finish_reason": _reason(choice, path, TEXT_REASONS, required),
        "index": required.need(f"{path}/index", choice.index, place),
        "text": required.need(f"{path}/text", choice.message.content, ""),
    }
    if choice.logprobs is not None:
        built["logprobs"] = _text_logprobs(choice.logprobs, f"{path}/logprobs", required)
        dropped += [f"{path}/logprobs/refusal"] if choice.logprobs.refusal else []
        dropped += _of_tokens(choice.logprobs, "bytes", path)
    names = ("role", "refusal", "tool_calls", "annotations", "audio")
    dropped += [f"{path}/message/{name}" for name in names if getattr(choice.message, name) is not None]
    return built


def _of_tokens(logprobs: Logprobs, name: str, path: str) -> list[str]:
    """The pointer of a member of tokens, where one has it; `*` stands for all tokens."""
    has = any(getattr(token, name) is not None for token in logprobs.content or ())
    return [f"{path}/logprobs/content/*/{name}"] if has else []


def _reason(choice: Choice, path: str, words: frozenset[str], required: Requirements) -> Any:
    word = choice.finish_reason if choice.finish_reason in words else None
    return required.need(f"{path}/finish_reason", word, "length")


def _message(
    message: Message, path: str, required: Requirements, dropped: list[str], *, extras: bool
) -> dict[str, Any]:
    role = message.role if message.role == "assistant" else None
    built: dict[str, Any] = {
        "role": required.need(f"{path}/role", role, "assistant"),
        "content": message.content,
        "refusal": message.refusal,
    }
    if message.tool_calls:
        built["tool_calls"] = [
            tool_call(call, f"{path}/tool_calls/{at}", required) for at, call in enumerate(message.tool_calls)
        ]
    cited: list[dict[str, Any]] = []
    for at, each in enumerate(message.annotations or ()):
        if each.type in {"url_citation", None} and each.url_citation is not None:
            cited.append(_annotation(each, f"{path}/annotations/{at}", required))
            if extras:
                _merge(cited[-1], plain(each))
        else:
            dropped.append(f"{path}/annotations/{at}")
    if cited:
        built["annotations"] = cited
    if (audio := message.audio) is not None:
        built["audio"] = {
            "id": required.need(f"{path}/audio/id", audio.id, ""),
            "data": required.need(f"{path}/audio/data", audio.data, ""),
            "expires_at": required.need(f"{path}/audio/expires_at", audio.expires_at, 0),
            "transcript": required.need(f"{path}/audio/transcript", audio.transcript, ""),
        }
    return built


def tool_call(call: ToolCall, path: str, required: Requirements) -> dict[str, Any]:
    """A tool call as chat completions and the messages of a request have it."""
    function = call.function
    return {
        "id": required.need(f"{path}/id", call.id, ""),
        "type": required.need(f"{path}/type", call.type if call.type == "function" else None, "function"),
        "function": {
            "name": required.need(f"{path}/function/name", function and function.name, ""),
            "arguments": required.need(f"{path}/function/arguments", function and function.arguments, ""),
        },
    }


def _annotation(annotation: Annotation, path: str, required: Requirements) -> dict[str, Any]:
    kind = required.need(f"{path}/type", annotation.type, "url_citation")
    citation, path = annotation.url_citation, f"{path}/url_citation"
    assert citation is not None
    return {
        "type": kind,
        "url_citation": {
            "start_index": required.need(f"{path}/start_index", citation.start_index, 0),
            "end_index": required.need(f"{path}/end_index", citation.end_index, 0),
            "title": required.need(f"{path}/title", citation.title, ""),
            "url": required.need(f"{path}/url", citation.url, ""),
        },
    }


def _token(token: TokenLogprob, path: str, required: Requirements) -> dict[str, Any]:
    built = {
        "token": required.need(f"{path}/token", token.token, ""),
        "logprob": required.need(f"{path}/logprob", token.logprob, _LOWEST_LOGPROB),
        "bytes": token.bytes,
        "top_logprobs": [],
    }
    for at, other in enumerate(required.need(f"{path}/top_logprobs", token.top_logprobs, ())):
        below = f"{path}/top_logprobs/{at}"
        built["top_logprobs"].append(
            {
                "token": required.need(f"{below}/token", other.token, ""),
                "logprob": required.need(f"{below}/logprob", other.logprob, _LOWEST_LOGPROB),
                "bytes": other.bytes,
            }
        )
    return built


def _text_logprobs(logprobs: Logprobs, path: str, required: Requirements) -> dict[str, Any]:
    """The parallel lists of text completions; a value that no token has makes no list."""
    content = logprobs.content or []
    columns: dict[str, tuple[list[Any], Any]] = {
        "tokens": ([each.token for each in content], ""),
        "token_logprobs": ([each.logprob for each in content], _LOWEST_LOGPROB),
        "text_offset": ([each.text_offset for each in content], 0),
    }
    built: dict[str, Any] = {
        name: [required.need(f"{path}/{name}/{at}", value, substitute) for at, value in enumerate(values)]
        for name, (values, substitute) in columns.items()
        if any(value is not None for value in values)
    }
    if any(each.top_logprobs for each in content):
        built["top_logprobs"] = [
            {
                required.need(f"{path}/top_logprobs/{at}", top.token, ""): required.need(
                    f"{path}/top_logprobs/{at}", top.logprob, _LOWEST_LOGPROB
                )
                for top in each.top_logprobs or ()
            }
            for at, each in enumerate(content)
        ]
    return built


def _usage(usage: Usage, required: Requirements) -> dict[str, Any]:
    prompt = required.need("/usage/prompt_tokens", usage.prompt_tokens, 0)
    answer = required.need("/usage/completion_tokens", usage.completion_tokens, 0)
    built = {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": required.need("/usage/total_tokens", usage.total_tokens, prompt + answer),
    }
    details = (("prompt_tokens_details", _PROMPT_DETAILS), ("completion_tokens_details", _COMPLETION_DETAILS))
    for name, members in details:
        if (parts := getattr(usage, name)) is not None:
            built[name] = present({member: getattr(parts, member) for member in members})
    return built


def _add_members(body: dict[str, Any], completion: Completion, *, is_text: bool) -> None:
    """Add the canonical members that the shape has no place for."""
    if completion.provider is not None:
        body["provider"] = completion.provider
    if completion.usage is not None:
        _merge(body["usage"], plain(completion.usage))
    for built, choice in zip(body["choices"], completion.choices, strict=True):
        built.update(present({name: plain(getattr(choice, name)) for name in ("native_finish_reason", "error")}))
        message = built if is_text else built["message"]
        names = ("reasoning", "reasoning_details", "images", "name")
        message.update(present({name: plain(getattr(choice.message, name)) for name in names}))
        if not is_text:
            for call, sent in zip(message.get("tool_calls", ()), choice.message.tool_calls or (), strict=True):
                call.update(present({"index": sent.index}))


def _merge(into: dict[str, Any], members: dict[str, Any]) -> None:
    for name, value in members.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into.setdefault(name, value)


def _add_extra(body: dict[str, Any], completion: Completion) -> list[str]:
    """Put the values of `extra` where they stood, and give the pointers of those that have no place there."""
    homeless = []
    for pointer, value in completion.extra.items():
        *parents, name = map(unescape, pointer.split("/")[1:])
        holder: Any = None if completion.envelope is not None else body
        for token in parents:
            if isinstance(holder, list):
                holder = holder[int(token)] if token.isdigit() and int(token) < len(holder) else None
            else:
                holder = holder.get(token) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and name not in holder and name not in _KNOWN and _is_text({name: value}):
            holder[name] = value
        else:
            homeless.append(f"/extra{pointer}")
    return homeless


def _is_text(value: Any) -> bool:
    """Whether JSON can be UTF-8: half a surrogate pair cannot."""
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        return False
    return True
