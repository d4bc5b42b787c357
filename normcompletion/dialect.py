"""The OpenAI dialect: from the open wire form to the canonical model.

One plain function per part, shared by every source; a source adds its finish words and its own rules. What has no
canonical field, and every repair, goes to the ledger.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

import msgspec

from . import model, wire
from .ledger import Ledger
from .model import Completion, FinishReason, Role
from .parse import in_range
from .pointer import escape
from .spelling import camel_twin, converted

FinishWords = Mapping[str, FinishReason]
Item = TypeVar("Item")

# The API's own words (platform.openai.com/docs/api-reference/chat/object, read 2026-11); `function_call` is the name
# that tool calls had before 2023-11. Gateways and loggers also pass on the words of Anthropic's Messages API and of
# Gemini's FinishReason (some in lower case), which mean one thing each.
FINISH_WORDS: FinishWords = {
    **{word: word for word in get_args(FinishReason)},
    "function_call": "tool_calls",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"), "content_filter"),
    **dict.fromkeys(("safety", "recitation", "blocklist", "prohibited_content", "spii"), "content_filter"),
    "MALFORMED_FUNCTION_CALL": "error",
    "malformed_function_call": "error",
}
ROLES: frozenset[str] = frozenset(get_args(Role))
TEXT_OBJECTS = frozenset({"text_completion", "text.completion"})
IMPLIED_OBJECTS = {"chat": ("chat.completion", "chat.completion.chunk"), "text": ("text_completion",)}

# 1e11 seconds is the year 5138 and 1e11 milliseconds is 1973: nothing real lies on the wrong side.
MILLISECONDS_FROM = 10**11
MICROSECONDS_FROM = 10**14


def completion(body: wire.Body, ledger: Ledger, *, source: str, finish_words: FinishWords = FINISH_WORDS) -> Completion:
    """The canonical form of any whole chat or text completion."""
    variant = variant_of(body)
    if body.object and body.object not in IMPLIED_OBJECTS[variant]:
        ledger.keep(body.object, "object")
    return Completion(
        id=body.id,
        source=source,
        variant=variant,
        model=body.model,
        provider=body.provider,
        created=created(body.created, ledger),
        choices=[choice(item, at, ledger, finish_words) for at, item in enumerate(body.choices)],
        usage=usage(body.usage, ledger),
        system_fingerprint=body.system_fingerprint,
        service_tier=body.service_tier,
        extra=ledger.extra,
        notes=ledger.notes,
    )


def variant_of(body: wire.Body) -> str:
    """`text` where a choice has text and no message, whatever `object` says (OpenRouterTeam/typescript-sdk#101).

    Together streams the text of a chat twice, in the delta and beside it.
    """
    for item in body.choices:
        if item.message is not None or item.delta is not None:
            return "chat"
        if item.text is not None:
            return "text"
    return "text" if not body.choices and body.object in TEXT_OBJECTS else "chat"


def created(value: float | str | None, ledger: Ledger) -> int | None:
    """Whole Unix seconds from seconds, milliseconds, fractional seconds, digits or ISO 8601 text."""
    if value is None:
        return None
    seconds: float
    if isinstance(value, str):
        if value.isascii() and value.isdigit() and len(value) <= len(str(MICROSECONDS_FROM)):
            ledger.note("text_as_integer", value, "created")
            seconds = int(value)
        else:
            moment = _moment(value)
            if moment is None:
                ledger.drop("wrong_type", value, "created")
                return None
            ledger.note("text_time", value, "created")
            return moment
    else:
        seconds = value
    if not -MICROSECONDS_FROM < seconds < MICROSECONDS_FROM:
        ledger.drop("out_of_range", value, "created")
        return None
    if seconds >= MILLISECONDS_FROM:
        ledger.note("milliseconds", value, "created")
        seconds = seconds // 1000
    elif isinstance(seconds, float):
        ledger.note("fractional_time", value, "created")
    return int(seconds // 1)


# A full date and time, with a zone or without (then UTC); `datetime.fromisoformat` alone would also take week dates.
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,9})? ?(Z|[+-]\d\d:?\d\d)?( UTC)?")


def _moment(text: str) -> int | None:
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    date, clock, _, zone, _ = found.groups()
    try:
        moment = datetime.datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in (None, 'Z') else zone}")
    except ValueError:
        return None
    return int(moment.timestamp() // 1)


def choice(item: wire.Choice, at: int, ledger: Ledger, finish_words: FinishWords) -> model.Choice:
    """One choice; `at` is its place in the list, which is not always its index."""
    finish_reason, native = finish(item, at, ledger, finish_words)
    return model.Choice(
        index=item.index,
        message=choice_message(item, at, ledger),
        finish_reason=finish_reason,
        native_finish_reason=native,
        logprobs=logprobs(item.logprobs, ledger, "choices", at, "logprobs"),
        error=choice_error(item, at, ledger),
    )


def choice_error(item: wire.Choice, at: int, ledger: Ledger) -> model.ServiceError | None:
    """The error beside the text it cut off."""
    if not item.error:
        return None
    path = ("choices", at, "error")
    return service_error(ledger.parsed(bytes(item.error), ledger.pointer(*path), depth=3), ledger, *path)


def finish(
    item: wire.Choice | wire.TextChoice, at: int, ledger: Ledger, finish_words: FinishWords
) -> tuple[FinishReason | None, str | None]:
    """The canonical finish word and the wire's own."""
    word, native = item.finish_reason, item.native_finish_reason
    if word is None:
        return None, native
    if word == "":
        ledger.note("placeholder", word, "choices", at, "finish_reason")
        return None, native
    canonical = finish_words.get(word)
    if canonical is None:
        ledger.note("unknown_finish_reason", word, "choices", at, "finish_reason")
        canonical = "unknown"
    if canonical != word:
        if native is None:
            native = word
        elif native != word:
            ledger.keep(word, "choices", at, "finish_reason")
    return canonical, native


def choice_message(item: wire.Choice, at: int, ledger: Ledger) -> model.Message:
    """The message of a choice, wherever the producer put it: `message`, `text`, `delta`, `function_call`."""
    here = ("choices", at)
    if item.message is not None:
        built = message(item.message, ledger, *here, "message")
        if item.delta is not None:  # Perplexity's empty delta, log10's last fragment: the message is the whole
            ledger.keep(sent_members(item.delta, ledger), *here, "delta")
    elif item.delta is not None:
        built = message(item.delta, ledger, *here, "delta")
    else:
        built = model.Message()
    if item.text is not None:
        if built.content is None:
            built.content = item.text
        elif built.content != item.text:
            ledger.keep(item.text, *here, "text")
    if item.reasoning is not None:
        if built.reasoning is None:
            built.reasoning = item.reasoning
        elif built.reasoning != item.reasoning:
            ledger.keep(item.reasoning, *here, "reasoning")
    if item.function_call is not None:
        _function_call(item.function_call, built, ledger, *here)
    return built


def message(sent: wire.Message, ledger: Ledger, *path: str | int) -> model.Message:
    """A message from all its aliases."""
    built = model.Message(
        role=role(sent.role, ledger, *path),
        refusal=sent.refusal,
        reasoning_details=_present(sent.reasoning_details),
        tool_calls=_present(sent.tool_calls),
        annotations=_present(sent.annotations),
        images=_present(sent.images),
        audio=sent.audio,
        name=sent.name,
        parts=_present(sent.parts),
    )
    thought = None
    if isinstance(sent.content, list):
        thought = spread(sent.content, built)
    else:
        built.content = sent.content
    built.reasoning = reasoning(sent, thought, ledger, *path)
    check_calls(sent.tool_calls or (), ledger, *path)
    if sent.function_call is not None:
        _function_call(sent.function_call, built, ledger, *path)
    return built


def spread(content: list[model.Part | None], built: model.Message) -> str | None:
    """A list of parts into a message: the parts and their text; returns what they hold of reasoning."""
    built.parts = _present(content) or []
    built.content, thought = joined(built.parts)
    return thought


def reasoning(sent: wire.Message | wire.Delta, thought: str | None, ledger: Ledger, *path: str | int) -> str | None:
    """The reasoning under either name, else the thinking parts; where the names differ, one stays in `extra`."""
    text = sent.reasoning or sent.reasoning_content
    if text is None:
        text = thought
    if text is None:
        text = sent.reasoning if sent.reasoning is not None else sent.reasoning_content
    if sent.reasoning_content and sent.reasoning_content != text:
        ledger.keep(sent.reasoning_content, *path, "reasoning_content")
    return text


def role(word: str | None, ledger: Ledger, *path: str | int) -> Role | None:
    """The canonical role."""
    if word is None or word in ROLES:
        return word  # type: ignore[return-value]  # a member of ROLES is a Role
    if word == "":
        ledger.note("placeholder", word, *path, "role")
        return None
    ledger.note("unknown_role", word, *path, "role")
    return "unknown"


def _present(items: list[Item | None] | None) -> list[Item] | None:
    return None if items is None else [item for item in items if item is not None]


def joined(parts: list[model.Part]) -> tuple[str | None, str | None]:
    """The text of the text parts and the text of the thinking parts."""
    text: list[str] = []
    thought: list[str] = []
    for part in parts:
        if part.text is not None and part.type in ("text", "output_text", None):
            text.append(part.text)
        elif part.thinking is not None:
            if isinstance(part.thinking, str):
                thought.append(part.thinking)
            else:
                thought.extend(piece.text for piece in part.thinking if piece.text is not None)
    return ("".join(text) if text else None, "".join(thought) if thought else None)


def has_python_arguments(calls: list[model.ToolCall]) -> bool:
    """Whether a call's arguments are a Python repr, which the open road remarks."""
    for call in calls:
        function = call.function
        if function is not None and (arguments := function.arguments) is not None and arguments[:2] == "{'":
            return True
    return False


def check_calls(calls: Iterable[model.ToolCall | None], ledger: Ledger, *path: str | int) -> None:
    """Remark the calls of a message whose arguments are no JSON."""
    for at, call in enumerate(calls):
        if call is not None and call.function is not None:
            _check_arguments(call.function, ledger, *path, "tool_calls", at, "function")


def _check_arguments(function: model.FunctionCall, ledger: Ledger, *path: str | int) -> None:
    # A Python repr starts with a single-quoted key (log10's Anthropic rows); it is never parsed.
    if function.arguments is not None and function.arguments.startswith("{'"):
        ledger.note("python_arguments", function.arguments, *path, "arguments")


def _function_call(call: model.FunctionCall, built: model.Message, ledger: Ledger, *path: str | int) -> None:
    """The legacy form of a single call; beside `tool_calls` it goes to `extra`."""
    if built.tool_calls:
        ledger.keep(sent_members(call, ledger), *path, "function_call")
        return
    _check_arguments(call, ledger, *path, "function_call")
    built.tool_calls = [model.ToolCall(type="function", function=call)]


def sent_members(part: msgspec.Struct, ledger: Ledger) -> Any:
    """A wire Struct as JSON in the payload's spelling, without its absent members."""
    if ledger.camel:
        part = converted(part, camel_twin(type(part)))
    return present_members(part)


def present_members(part: msgspec.Struct) -> Any:
    """A Struct as JSON, without its absent members."""
    return _without_nulls(msgspec.to_builtins(part))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def usage(sent: wire.Usage | model.Usage | None, ledger: Ledger) -> model.Usage | None:
    """Token counts; Perplexity's itemised cost keeps its total and leaves the items in `extra`."""
    if sent is None:
        return None
    if isinstance(sent, model.Usage):
        sent.cost = cost(sent.cost, ledger)
        if isinstance(sent, wire.ChatUsage):
            sent.__class__ = model.Usage  # type: ignore[assignment]  # same layout
        return sent
    return model.Usage(
        prompt_tokens=sent.prompt_tokens,
        completion_tokens=sent.completion_tokens,
        total_tokens=sent.total_tokens,
        prompt_tokens_details=sent.prompt_tokens_details,
        completion_tokens_details=sent.completion_tokens_details,
        cost=cost(sent.cost, ledger),
        is_byok=sent.is_byok,
        cost_details=sent.cost_details,
    )


def cost(sent: float | wire.PerplexityCost | None, ledger: Ledger) -> float | None:
    """The cost, or the total of an itemised one."""
    if not isinstance(sent, wire.PerplexityCost):
        return sent
    for name in ("input_tokens_cost", "output_tokens_cost", "request_cost"):
        item = getattr(sent, name)
        if item is not None:
            ledger.keep(item, "usage", "cost", name)
    return sent.total_cost


def logprobs(
    sent: wire.Logprobs | list[dict[str, wire.EngineToken]] | float | None, ledger: Ledger, *path: str | int
) -> model.Logprobs | None:
    """Log-probs of either form. The parallel lists of text completions become one list of tokens."""
    if sent is None:
        return None
    if isinstance(sent, int | float):  # one number for a whole answer: nothing says which tokens it is of
        ledger.drop("wrong_type", sent, *path)
        return None
    if isinstance(sent, list):
        return _engine_logprobs(sent, ledger, *path)
    columns = (sent.tokens, sent.token_logprobs, sent.top_logprobs, sent.text_offset)
    if all(column is None for column in columns):
        return model.Logprobs(content=_present(sent.content), refusal=_present(sent.refusal))
    if sent.content is not None:
        for name, column in zip(("tokens", "token_logprobs", "top_logprobs", "text_offset"), columns, strict=True):
            if column is not None:
                ledger.keep(column, *path, name)
        return model.Logprobs(content=_present(sent.content), refusal=_present(sent.refusal))
    lengths = {len(column) for column in columns if column is not None}
    if len(lengths) > 1:
        ledger.drop("uneven_logprobs", sent_members(sent, ledger), *path)
        return None
    nothing = [None] * lengths.pop()
    rows = zip(*(nothing if column is None else column for column in columns), strict=True)
    return model.Logprobs(
        content=[
            model.TokenLogprob(
                token=token,
                logprob=logprob,
                top_logprobs=None if top is None else _top_logprobs(top),
                text_offset=offset,
            )
            for token, logprob, top, offset in rows
        ],
        refusal=_present(sent.refusal),
    )


def _top_logprobs(tokens: dict[str, Any]) -> list[model.TopLogprob]:
    return [model.TopLogprob(token=token, logprob=logprob) for token, logprob in tokens.items()]


def _engine_logprobs(positions: list[dict[str, wire.EngineToken]], ledger: Ledger, *path: str | int) -> model.Logprobs:
    """The experimental Atoma engine's maps of token id to log-prob; ids and ranks stay in `extra`.

    A map with one entry names the chosen token; of several, nothing says which one was chosen.
    """
    if positions:
        ledger.keep(_without_nulls(msgspec.to_builtins(positions)), *path)
    content = []
    for position in positions:
        tokens = [model.TopLogprob(token=entry.decoded_token, logprob=entry.logprob) for entry in position.values()]
        if len(tokens) == 1:
            content.append(model.TokenLogprob(token=tokens[0].token, logprob=tokens[0].logprob))
        else:
            content.append(model.TokenLogprob(top_logprobs=tokens))
    return model.Logprobs(content=content)


def service_error(value: Any, ledger: Ledger, *path: str | int) -> model.ServiceError | None:
    """An error in any form: an object, a sentence, a number. Members without a field go to `extra`."""
    if value is None:
        return None
    if not isinstance(value, dict):
        if isinstance(value, str):
            return model.ServiceError(message=value)
        if isinstance(value, int) and not isinstance(value, bool) and in_range(value):
            return model.ServiceError(code=value)
        ledger.keep(value, *path)
        return model.ServiceError()
    built = model.ServiceError()
    for key, item in value.items():
        if item is None:
            continue
        if key == "code" and isinstance(item, int | str) and not isinstance(item, bool) and in_range(item):
            built.code = item
        elif (key == "message" and isinstance(item, str)) or (key == "type" and isinstance(item, str)):
            setattr(built, key, item)
        elif key == "metadata" and isinstance(item, dict):
            built.metadata = item
            provider = item.get("provider_name", item.get("providerName"))
            if isinstance(provider, str):
                built.provider = provider
        else:
            ledger.extra[ledger.pointer(*path) + "/" + escape(key)] = item
    return built


def tight_error(sent: wire.TightError, ledger: Ledger, *path: str | int) -> model.ServiceError | None:
    """A choice's error that came in canonical words."""
    return service_error({"code": sent.code, "message": sent.message, "metadata": sent.metadata}, ledger, *path)


def error_form(tree: Mapping[str, Any]) -> str | None:
    """Which form of an error body an object has, or `None`."""
    choices = tree.get("choices")
    if tree.get("object") == "response" and not isinstance(choices, list):
        return None  # the Responses API has an error of its own inside a failed object
    error = tree.get("error")
    if error not in (None, "", False) and error != {}:
        return "`error`"
    if isinstance(choices, list):
        return None
    if tree.get("object") == "error":
        return '`object` is "error"'
    message = tree.get("message")
    if isinstance(message, str) and message:
        if isinstance(tree.get("partial_response"), dict):
            return "`message` and `partial_response`"
        if any(tree.get(key) is not None for key in ("code", "type", "metadata", "status", "statusCode")) or all(
            value is None for key, value in tree.items() if key != "message"
        ):
            return "`message` without `choices`"
    if tree.get("detail") and all(value is None for key, value in tree.items() if key != "detail"):
        return "`detail`"
    return None


def failed(sent: wire.Failed, ledger: Ledger, *, source: str, finish_words: FinishWords = FINISH_WORDS) -> Completion:
    """An error body as a completion with `error` set; choices, usage and ids beside it are kept."""
    built = completion(_body_of(sent), ledger, source=source, finish_words=finish_words)
    if not built.choices:
        built.variant = "error"
        if sent.object:  # no variant implies its word any more
            ledger.keep(sent.object, "object")
    error = None
    if sent.error:
        error = service_error(ledger.parsed(bytes(sent.error), ledger.pointer("error")), ledger, "error")
    members = {
        name: ledger.parsed(bytes(raw), ledger.pointer(name))
        for name in ("message", "code", "type", "metadata")
        if (raw := getattr(sent, name))
    }
    flat = {name: value for name, value in members.items() if value is not None}
    if error is None:
        error = service_error(flat, ledger) or model.ServiceError()
    else:
        # `{"code": …, "error": "sentence"}` (xAI): the outer members fill what the inner error leaves open.
        for name, value in flat.items():
            if getattr(error, name) is None and _fits(name, value):
                setattr(error, name, value)
            else:
                ledger.keep(value, name)
    if sent.detail:
        detail = ledger.parsed(bytes(sent.detail), ledger.pointer("detail"))
        if isinstance(detail, str) and error.message is None:
            error.message = detail
        elif detail is not None:
            ledger.keep(detail, "detail")
    if sent.partial_response and ledger.read is not None and bytes(sent.partial_response) != b"null":
        partial = ledger.read(bytes(sent.partial_response), ledger.below("partial_response"))
        built.variant = partial.variant
        for name in ("id", "model", "created", "choices", "usage", "system_fingerprint", "service_tier"):
            setattr(built, name, getattr(partial, name))
    built.error = error
    return built


def _fits(name: str, value: Any) -> bool:
    if name == "metadata":
        return isinstance(value, dict)
    if name == "code" and isinstance(value, int) and not isinstance(value, bool):
        return in_range(value)
    return isinstance(value, str)


def _body_of(sent: wire.Failed) -> wire.Body:
    return wire.Body(
        id=sent.id,
        provider=sent.provider,
        model=sent.model,
        object=sent.object,
        created=sent.created,
        choices=sent.choices or [],
        system_fingerprint=sent.system_fingerprint,
        usage=sent.usage,
        service_tier=sent.service_tier,
    )
