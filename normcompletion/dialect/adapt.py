"""Adapters of the OpenAI dialect: from the wire Structs to the canonical model.

One plain function per part, shared by every source, spelling and path; a source adds its finish words and its own
rules. What has no canonical field, and every repair, goes to the findings.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar, get_args

import msgspec

from .. import model
from ..findings import Findings
from ..model import Completion, Role
from ..pointer import camel
from . import wire
from .failures import choice_error, reported_error
from .finish import FINISH_REASONS, FINISH_WORDS, FinishWords, finish_reason

Item = TypeVar("Item")
Kind = TypeVar("Kind", bound=msgspec.Struct)

ROLES: frozenset[str] = frozenset(get_args(Role))
TEXT_OBJECTS = frozenset({"text_completion", "text.completion"})
IMPLIED_OBJECTS = {"chat": ("chat.completion", "chat.completion.chunk"), "text": ("text_completion",)}

NUMBERS = (int, float)  # `isinstance` takes three times as long for `int | float`

# 1e11 seconds is the year 5138 and 1e11 milliseconds is 1973: nothing real lies on the wrong side.
MILLISECONDS_FROM = 10**11
MICROSECONDS_FROM = 10**14
MICROSECONDS_BEFORE = -MICROSECONDS_FROM


def completion(
    body: Any, findings: Findings, *, source: str = "openai", finish_words: FinishWords = FINISH_WORDS
) -> Completion:
    """The canonical form of any whole chat or text completion (`wire.Body`): the adapter of most sources.

    The engine sets `source` to the one that declares the variant, and fills `extra`.
    """
    choices, time, counts, word = body.choices, body.created, body.usage, body.object
    if counts is None or (counts.total_tokens is None and is_blank(counts)):
        counts = usage_elsewhere(body, findings) or counts
    variant = "chat" if choices and choices[0].message is not None else variant_of(body)
    if word and word not in IMPLIED_OBJECTS[variant]:
        findings.keep(word, "object")
    if time is not None and not (time.__class__ is int and MICROSECONDS_BEFORE < time < MILLISECONDS_FROM):
        time = created(time, findings)
    if len(choices) == 1:  # as nearly always
        built = [choice(choices[0], 0, findings, finish_words)]
    else:
        built = [choice(item, at, findings, finish_words) for at, item in enumerate(choices)]
    return Completion(
        id=body.id,
        source=source,
        variant=variant,
        model=body.model,
        provider=body.provider,
        created=time,
        choices=built,
        usage=None if counts is None else usage(counts),
        system_fingerprint=body.system_fingerprint,
        service_tier=body.service_tier,
        notes=findings.notes,
    )


def is_blank(part: msgspec.Struct) -> bool:
    """Whether all members of a Struct are absent, so that it says nothing."""
    return all(getattr(part, name) is None for name in part.__struct_fields__)


def usage_elsewhere(body: Any, findings: Findings) -> Any:
    """The usage that a body without one has in a place of its own, which is taken from there."""
    for at, item in enumerate(body.choices):
        if item.usage is not None:  # Moonshot's streams
            found, item.usage = item.usage, None
            findings.note("usage_elsewhere", None, "choices", at, "usage")
            return found
    if body.x_groq is not None and body.x_groq.usage is not None:
        findings.note("usage_elsewhere", None, "x_groq", "usage")
        return body.x_groq.usage
    return None


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


def created(value: float | str, findings: Findings) -> int | None:
    """Whole Unix seconds from seconds, milliseconds, fractional seconds, digits or ISO 8601 text."""
    seconds: float
    if isinstance(value, str):
        if value.isascii() and value.isdigit() and len(value) <= len(str(MICROSECONDS_FROM)):
            findings.note("text_as_integer", value, "created")
            seconds = int(value)
        else:
            moment = _moment(value)
            if moment is None:
                findings.drop("wrong_type", value, "created")
                return None
            findings.note("text_time", value, "created")
            return moment
    else:
        seconds = value
    if not -MICROSECONDS_FROM < seconds < MICROSECONDS_FROM:
        findings.drop("out_of_range", value, "created")
        return None
    if seconds >= MILLISECONDS_FROM:
        findings.note("milliseconds", value, "created")
        seconds = seconds // 1000
    elif isinstance(seconds, float):
        findings.note("fractional_time", value, "created")
    return int(seconds // 1)


# A full date and time, with a zone or without (then UTC); `datetime.fromisoformat` alone would also take week dates.
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,9})? ?(Z|[+-]\d\d:?\d\d)?( UTC)?")


def _moment(text: str) -> int | None:
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    date, clock, _, zone, _ = found.groups()
    import datetime  # only a body with such a text needs it: start-up matters

    try:
        moment = datetime.datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in (None, 'Z') else zone}")
    except ValueError:
        return None
    return int(moment.timestamp() // 1)


def choice(item: Any, at: int, findings: Findings, finish_words: FinishWords) -> model.Choice:
    """One choice (`wire.Choice`); `at` is its place in the list, which is not always its index."""
    word, native = item.finish_reason, item.native_finish_reason
    if word is not None and word not in FINISH_REASONS:
        word, native = finish_reason(item, at, findings, finish_words)
    sent, tokens, failure = item.message, item.logprobs, item.error
    built = model.Message() if sent is None else message(sent, at, "message", findings)
    if item.delta is not None or item.text is not None or item.reasoning is not None or item.function_call is not None:
        built = choice_message(item, built, at, findings)
    if item.usage is not None:
        keep_members(item.usage, findings, "choices", at, "usage")
    return model.Choice(
        index=item.index,
        message=built,
        finish_reason=word,
        native_finish_reason=native,
        logprobs=None if tokens is None else logprobs(tokens, findings, "choices", at, "logprobs"),
        error=None if failure is None else choice_error(failure, findings, "choices", at, "error"),
    )


def choice_message(item: Any, built: model.Message, at: int, findings: Findings) -> model.Message:
    """The message of a choice with what is beside it: `text`, `delta`, `reasoning`, `function_call`."""
    if item.delta is not None:
        if item.message is None:
            built = message(item.delta, at, "delta", findings)
        else:  # Perplexity's empty delta, log10's last fragment: the message is the whole
            findings.keep(sent_members(item.delta, findings), "choices", at, "delta")
    if item.text is not None:
        if built.content is None:
            built.content = item.text
        elif built.content != item.text:
            findings.keep(item.text, "choices", at, "text")
    if item.reasoning is not None:
        if built.reasoning is None:
            built.reasoning = item.reasoning
        elif built.reasoning != item.reasoning:
            findings.keep(item.reasoning, "choices", at, "reasoning")
    if item.function_call is not None:
        _function_call(item.function_call, built, findings, "choices", at)
    return built


def message(sent: Any, at: int, key: str, findings: Findings) -> model.Message:
    """A message (`wire.Message`) from all its aliases; it is the member `key` of the choice at a place."""
    word, content, thought = sent.role, sent.content, sent.reasoning
    if word is not None and word not in ROLES:
        word = role(word, findings, "choices", at, key)
    parts = sent.parts
    if content.__class__ is list:
        parts = leaves(content, model.Part)
        content, thought = joined(parts)
        thought = reasoning(sent, thought, findings, "choices", at, key)
    elif sent.reasoning_content is not None:
        thought = reasoning(sent, None, findings, "choices", at, key)
    calls, annotations, details = sent.tool_calls, sent.annotations, sent.reasoning_details
    built = model.Message(
        role=word,
        content=content,
        reasoning=thought,
        reasoning_details=leaves(details, model.ReasoningDetail) if details else details,
        refusal=sent.refusal,
        tool_calls=tool_calls(calls, findings, "choices", at, key) if calls else calls,
        annotations=leaves(annotations, model.Annotation) if annotations else annotations,
        audio=None if sent.audio is None else leaf(sent.audio, model.Audio),
        images=leaves(sent.images, model.Image) if sent.images else sent.images,
        name=sent.name,
        parts=leaves(parts, model.Part) if parts else parts,
    )
    if sent.function_call is not None:
        _function_call(sent.function_call, built, findings, "choices", at, key)
    return built


def reasoning(sent: Any, thought: str | None, findings: Findings, *path: str | int) -> str | None:
    """The reasoning under either name, else the thinking parts; where the names differ, one is in `extra`."""
    first, second = sent.reasoning, sent.reasoning_content
    if second is None and (first or thought is None):
        return first  # type: ignore[no-any-return]
    text = first or second
    if text is None:
        text = thought
    if text is None:
        text = first if first is not None else second
    if second and second != text:
        findings.keep(second, *path, "reasoning_content")
    return text  # type: ignore[no-any-return]


def role(word: str | None, findings: Findings, *path: str | int) -> Role | None:
    """The canonical role."""
    if word is None or word in ROLES:
        return word  # type: ignore[return-value]  # a member of ROLES is a Role
    if word == "":
        findings.note("placeholder", word, *path, "role")
        return None
    findings.note("unknown_role", word, *path, "role")
    return "unknown"


def leaf(sent: Any, kind: type[Kind]) -> Kind:
    """A canonical leaf from the wire's form of it."""
    return sent if sent.__class__ is kind else msgspec.convert(sent, kind, from_attributes=True)


def flat_leaf(sent: Any, kind: type[Kind]) -> Kind:
    """`leaf` for a kind without other leaves in it: a form of the same layout becomes one by assigning `__class__`."""
    if isinstance(sent, kind):
        sent.__class__ = kind
        return sent
    return msgspec.convert(sent, kind, from_attributes=True)


def leaves(items: list[Any], kind: type[Kind]) -> list[Kind]:
    """Canonical leaves from the wire's forms of them, without the nulls between them."""
    return [item if item.__class__ is kind else leaf(item, kind) for item in items if item is not None]


TEXT_PARTS = ("text", "output_text", None)  # the types of parts whose texts are the content


def joined(parts: Sequence[model.Part]) -> tuple[str | None, str | None]:
    """The text of the text parts and the text of the thinking parts."""
    text: list[str] = []
    thought: list[str] = []
    for part in parts:
        if part.text is not None and part.type in TEXT_PARTS:
            text.append(part.text)
        elif part.thinking is not None:
            if isinstance(part.thinking, str):
                thought.append(part.thinking)
            else:
                thought.extend(piece.text for piece in part.thinking if piece.text is not None)
    return ("".join(text) if text else None, "".join(thought) if thought else None)


def tool_calls(items: list[Any], findings: Findings, *path: str | int) -> list[model.ToolCall]:
    """The calls of a message, without the nulls between them."""
    for at, item in enumerate(items):
        if item is not None and item.function is not None and is_python(item.function):
            findings.note("python_arguments", item.function.arguments, *path, "tool_calls", at, "function", "arguments")
    return leaves(items, model.ToolCall)


def is_python(function: Any) -> bool:
    """Whether arguments are a Python repr: they start with a single-quoted key (log10's Anthropic rows)."""
    arguments = function.arguments
    return arguments is not None and arguments[:2] == "{'"


def _function_call(sent: Any, built: model.Message, findings: Findings, *path: str | int) -> None:
    """The legacy form of a single call; beside `tool_calls`, or without a word in it, it goes to `extra`."""
    if not sent.name and not sent.arguments:
        if "delta" not in path and (sent.name is not None or sent.arguments is not None):
            findings.keep(sent_members(sent, findings), *path, "function_call")
        return
    if built.tool_calls:
        findings.keep(sent_members(sent, findings), *path, "function_call")
        return
    if is_python(sent):
        findings.note("python_arguments", sent.arguments, *path, "function_call", "arguments")
    built.tool_calls = [model.ToolCall(type="function", function=leaf(sent, model.FunctionCall))]


def keep_members(part: Any, findings: Findings, *path: str | int) -> None:
    """Put the members of a wire Struct that is displaced into `extra`; the unknown ones are collected there anyway."""
    members = sent_members(part, findings)
    if members:
        findings.keep(members, *path)


def sent_members(part: Any, findings: Findings) -> Any:
    """A wire Struct as JSON in the payload's spelling, without its absent members."""
    return _members(part, is_camel=findings.camel)


def _members(part: Any, *, is_camel: bool) -> Any:
    if isinstance(part, msgspec.Struct):
        original = getattr(part, "ORIGINAL", part)
        members = zip(original.__struct_encode_fields__, original.__struct_fields__, strict=True)
        return {
            camel(key) if is_camel else key: _members(value, is_camel=is_camel)
            for key, name in members
            if (value := getattr(part, name)) is not None
        }
    if isinstance(part, dict):  # data, which a TypeScript SDK leaves as it is
        return {key: _members(value, is_camel=False) for key, value in part.items() if value is not None}
    if isinstance(part, list):
        return [_members(value, is_camel=is_camel) for value in part]
    return part


def usage(sent: Any) -> model.Usage:
    """Token counts (`wire.Usage`); of Perplexity's itemised cost, the total."""
    prompt, answer, cost = sent.prompt_tokens_details, sent.completion_tokens_details, sent.cost
    if prompt is not None and prompt.__class__ is not model.PromptTokensDetails:
        prompt = flat_leaf(prompt, model.PromptTokensDetails)
    if answer is not None and answer.__class__ is not model.CompletionTokensDetails:
        answer = flat_leaf(answer, model.CompletionTokensDetails)
    return model.Usage(
        prompt_tokens=sent.prompt_tokens,
        completion_tokens=sent.completion_tokens,
        total_tokens=sent.total_tokens,
        prompt_tokens_details=prompt,
        completion_tokens_details=answer,
        cost=cost if cost is None or cost.__class__ in NUMBERS else cost.total_cost,
        is_byok=sent.is_byok,
        cost_details=None if sent.cost_details is None else leaf(sent.cost_details, model.CostDetails),
    )


def logprobs(sent: Any, findings: Findings, *path: str | int) -> model.Logprobs | None:
    """Log-probs of either form. The parallel lists of text completions become one list of tokens."""
    if isinstance(sent, int | float):  # one number for a whole answer: nothing says which tokens it is of
        findings.drop("wrong_type", sent, *path)
        return None
    if isinstance(sent, list):
        return _engine_logprobs(sent, findings, *path)
    names = ("tokens", "token_logprobs", "top_logprobs", "text_offset")
    columns = {name: column for name in names if (column := getattr(sent, name)) is not None}
    if columns and sent.content is None:
        return _text_logprobs(sent, columns, findings, *path)
    for name, column in columns.items():
        findings.keep(column, *path, name)
    return model.Logprobs(content=_tokens(sent.content), refusal=_tokens(sent.refusal))


def _tokens(sent: list[Any] | None) -> list[model.TokenLogprob] | None:
    """The tokens of one list, all at once: a long answer has thousands."""
    if sent is None:
        return None
    present = [token for token in sent if token is not None]
    if present and type(present[0]) is model.TokenLogprob:
        return present
    return msgspec.convert(present, list[model.TokenLogprob], from_attributes=True)


def _text_logprobs(
    sent: Any, columns: dict[str, list[Any]], findings: Findings, *path: str | int
) -> model.Logprobs | None:
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        findings.drop("uneven_logprobs", sent_members(sent, findings), *path)
        return None
    nothing = [None] * lengths.pop()
    names = ("tokens", "token_logprobs", "top_logprobs", "text_offset")
    rows = zip(*(columns.get(name, nothing) for name in names), strict=True)
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
        refusal=_tokens(sent.refusal),
    )


def _top_logprobs(tokens: dict[str, Any]) -> list[model.TopLogprob]:
    return [model.TopLogprob(token=token, logprob=logprob) for token, logprob in tokens.items()]


def _engine_logprobs(positions: list[dict[str, Any]], findings: Findings, *path: str | int) -> model.Logprobs:
    """The maps of token id to log-prob of Atoma's experimental engine; ids and ranks are in `extra`.

    A map with one entry names the chosen token; of several, nothing says which one was chosen.
    """
    if positions:
        findings.keep(sent_members(positions, findings), *path)
    content = []
    for position in positions:
        tokens = [model.TopLogprob(token=entry.decoded_token, logprob=entry.logprob) for entry in position.values()]
        if len(tokens) == 1:
            content.append(model.TokenLogprob(token=tokens[0].token, logprob=tokens[0].logprob))
        else:
            content.append(model.TokenLogprob(top_logprobs=tokens))
    return model.Logprobs(content=content)


def failed(sent: Any, findings: Findings, *, source: str, finish_words: FinishWords = FINISH_WORDS) -> Completion:
    """An error body (`wire.Failed`) as a completion with `error` set; choices, usage and ids beside it are kept."""
    sent.choices = sent.choices or []
    built = completion(sent, findings, source=source, finish_words=finish_words)
    if not built.choices:
        built.variant = "error"
        if sent.object:  # no variant implies its word any more
            findings.keep(sent.object, "object")
    error = reported_error(sent, findings)
    if sent.partial_response is not None and not isinstance(sent.partial_response, dict):
        findings.drop("wrong_type", sent.partial_response, "partial_response")
    elif sent.partial_response is not None:
        partial = findings.inside(sent.partial_response, "partial_response")
        built.variant = partial.variant
        for name in ("id", "model", "created", "choices", "usage", "system_fingerprint", "service_tier"):
            setattr(built, name, getattr(partial, name))
    built.error = error
    return built
