"""The canonical model: one `Completion` for every source.

A superset of the OpenAI chat completion, with its names and its nesting. What a payload does not say is `None`; zero
is zero. `Completion.to_json()` and `to_dict()` are the whole record. This module knows no source.

Adding a field is a feature. Removing or renaming one, or changing the `Completion` made from bytes that already
normalised, is a breaking change (CHANGELOG.md has a *Wire* section for what the services change).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from .extra import Extra

# Counts and times are 64-bit: what Arrow, Parquet and every decoder agree on. Larger ones stay exact in `extra`.
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
# A cost of 0 stays 0 and a cost of 0.0 stays 0.0.
Number = Integer | float

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "error", "unknown"]
Role = Literal["assistant", "user", "system", "developer", "tool", "function", "unknown"]


SourceBasis = Literal["marker", "envelope", "object", "caller", "dialect"]

_LONGEST_TEXT = 80


class Model(Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of the canonical Structs: `repr` shows what is set, and long texts without their middle."""

    def __repr__(self) -> str:
        """The members that are set."""
        shown = [
            f"{name}={_shortened(value)}"
            for name in self.__struct_fields__
            if (value := getattr(self, name)) is not None and not (isinstance(value, list | Extra) and not value)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


def _shortened(value: Any) -> str:
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        half = _LONGEST_TEXT // 2
        return repr(f"{value[:half]}…{value[-half:]}")
    if isinstance(value, list):
        return f"[{', '.join(map(_shortened, value))}]"
    if isinstance(value, dict | Extra):
        return f"{{{', '.join(f'{_shortened(key)}: {_shortened(item)}' for key, item in value.items())}}}"
    return repr(value)


class Leaf(Model, kw_only=True, gc=False):
    """Base of the parts that hold only scalars and other leaves.

    They hold no reference cycles, so the garbage collector need not look at them. Fields are in the order in which
    most bodies have their keys: the decoder looks for the next key behind the last one.
    """


class FunctionCall(Leaf, kw_only=True):
    """The function a model asks for.

    `arguments` is the raw text as the service sent it, whole or cut off; it is never parsed for you.
    """

    arguments: str | None = None
    name: str | None = None


class ToolCall(Leaf, kw_only=True):
    """One tool call. `index` is the source's own number, absent where none was sent."""

    function: FunctionCall | None = None
    id: str | None = None
    index: Integer | None = None
    type: str | None = None

    def parse_arguments(self) -> Any:
        """The arguments as JSON; raises `ValueError` where the text is absent, cut off or no JSON."""
        if self.function is None or self.function.arguments is None:
            raise ValueError("this tool call has no arguments; check `function.arguments` before parsing")
        if _is_deep(self.function.arguments):
            raise ValueError("the arguments nest too deep to be parsed; read `function.arguments` as text")
        try:
            return msgspec.json.decode(self.function.arguments)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            raise ValueError("the arguments are no JSON; read `function.arguments` as text") from None


_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)


def _is_deep(text: str) -> bool:
    """Whether JSON nests deeper than 128 containers, which a small stack may not bear."""
    if text.count("[") + text.count("{") <= 128:
        return False
    depth = 0
    for mark in _STRING.sub("", text):
        if mark in "[{":
            depth += 1
            if depth > 128:
                return True
        elif mark in "]}":
            depth -= 1
    return False


class ReasoningDetail(Leaf, kw_only=True):
    """One member of `reasoning_details` (OpenRouter's `reasoning.text`, `.summary`, `.encrypted`, …).

    `type` is open; members' keys that are not listed here are in `Completion.extra`.
    """

    data: str | None = None
    format: str | None = None
    id: str | None = None
    index: Integer | None = None
    signature: str | None = None
    summary: str | None = None
    text: str | None = None
    type: str | None = None
    tool_name: str | None = None
    arguments: str | None = None
    result: str | None = None
    tool_call_id: str | None = None


class ImageURL(Leaf, kw_only=True):
    """Where an image is: a web address or a `data:` URI."""

    url: str | None = None
    detail: str | None = None


class Image(Leaf, kw_only=True):
    """A generated image (`message.images[]`)."""

    type: str | None = None
    image_url: ImageURL | None = None
    index: Integer | None = None


class Audio(Leaf, kw_only=True):
    """Generated audio; `data` is base64, `expires_at` Unix seconds."""

    id: str | None = None
    data: str | None = None
    transcript: str | None = None
    expires_at: Integer | None = None
    format: str | None = None


class File(Leaf, kw_only=True):
    """A file named by a content part or an annotation."""

    hash: str | None = None
    name: str | None = None
    filename: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    content: list[FilePart] | None = None


class FilePart(Leaf, kw_only=True):
    """One piece of a parsed file: text or an image."""

    type: str | None = None
    text: str | None = None
    image_url: ImageURL | None = None


class ThinkingText(Leaf, kw_only=True):
    """One piece of a thinking part (Mistral's `content[].thinking[]`)."""

    type: str | None = None
    text: str | None = None


class Part(Leaf, kw_only=True):
    """One member of a content list, in the order the wire sent it; `type` is open."""

    type: str | None = None
    text: str | None = None
    thinking: str | list[ThinkingText] | None = None
    refusal: str | None = None
    image_url: ImageURL | None = None
    video_url: ImageURL | None = None
    input_audio: Audio | None = None
    file: File | None = None


class Citation(Leaf, kw_only=True):
    """What an annotation cites. Offsets count characters of the content."""

    url: str | None = None
    title: str | None = None
    start_index: Integer | None = None
    end_index: Integer | None = None
    content: str | None = None
    file_id: str | None = None
    quote: str | None = None
    encrypted_index: str | None = None
    cited_text: str | None = None


class Annotation(Leaf, kw_only=True):
    """One annotation, in the nested form of the chat API; `type` is open."""

    type: str | None = None
    url_citation: Citation | None = None
    file: File | None = None
    file_annotation: Citation | None = None
    web_search_citation: Citation | None = None


class Message(Leaf, kw_only=True, gc=False):
    """What the model said.

    `content` is the whole text, also where the wire sent a list of parts; the parts themselves are in `parts`.
    `reasoning` is unified from `reasoning`, `reasoning_content` and thinking parts.
    """

    content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    refusal: str | None = None
    role: Role | None = None
    tool_calls: list[ToolCall] | None = None
    annotations: list[Annotation] | None = None
    audio: Audio | None = None
    images: list[Image] | None = None
    name: str | None = None
    parts: list[Part] | None = None


class TopLogprob(Leaf, kw_only=True):
    """An alternative at one position; `logprob` is a natural logarithm, `bytes` the token's UTF-8."""

    bytes: list[Integer] | None = None
    logprob: Number | None = None
    token: str | None = None


class TokenLogprob(Leaf, kw_only=True):
    """The token at one position. `text_offset` is only sent in the text-completion form."""

    bytes: list[Integer] | None = None
    logprob: Number | None = None
    token: str | None = None
    top_logprobs: list[TopLogprob] | None = None
    text_offset: Integer | None = None


class Logprobs(Leaf, kw_only=True):
    """Log probabilities, one form for chat and for text completions."""

    content: list[TokenLogprob] | None = None
    refusal: list[TokenLogprob] | None = None


class ServiceError(Model, kw_only=True):
    """What a service reported instead of, or beside, an answer.

    `code` is the number or word the service sent, `type` its class of error, `metadata` whatever JSON it added.
    """

    code: Integer | str | None = None
    message: str | None = None
    type: str | None = None
    metadata: dict[str, Any] | None = None
    provider: str | None = None


class Choice(Leaf, kw_only=True, gc=False):
    """One answer. `index` is the source's own number, never renumbered.

    `finish_reason` is closed; `None` where the payload has none. `native_finish_reason` is what the wire sent under
    that name, or the wire's own word where ours differs. `error` is beside the partial text it cut off.
    """

    finish_reason: FinishReason | None = None
    index: Integer | None = None
    logprobs: Logprobs | None = None
    message: Message = field(default_factory=Message)
    native_finish_reason: str | None = None
    error: ServiceError | None = None


class PromptTokensDetails(Leaf, kw_only=True):
    """Parts of `prompt_tokens`, in tokens."""

    audio_tokens: Integer | None = None
    cache_write_tokens: Integer | None = None
    cached_tokens: Integer | None = None
    image_tokens: Integer | None = None
    text_tokens: Integer | None = None
    video_tokens: Integer | None = None


class CompletionTokensDetails(Leaf, kw_only=True):
    """Parts of `completion_tokens`, in tokens."""

    accepted_prediction_tokens: Integer | None = None
    audio_tokens: Integer | None = None
    image_tokens: Integer | None = None
    reasoning_tokens: Integer | None = None
    rejected_prediction_tokens: Integer | None = None


class CostDetails(Leaf, kw_only=True):
    """What the upstream provider charged, in US dollars (OpenRouter)."""

    upstream_inference_completions_cost: Number | None = None
    upstream_inference_cost: Number | None = None
    upstream_inference_prompt_cost: Number | None = None


class Usage(Leaf, kw_only=True):
    """Token counts as reported; sums that do not add up are kept.

    `prompt_tokens` includes cached tokens. `cost` is what the account pays, in US dollars; with `is_byok` it is only
    the gateway's fee.
    """

    completion_tokens: Integer | None = None
    completion_tokens_details: CompletionTokensDetails | None = None
    cost: Number | None = None
    cost_details: CostDetails | None = None
    is_byok: bool | None = None
    prompt_tokens: Integer | None = None
    prompt_tokens_details: PromptTokensDetails | None = None
    total_tokens: Integer | None = None


class Note(Model, kw_only=True):
    """One repair: what was done (`code`, see `normcompletion.NOTES`), where, and the value before it."""

    code: str
    path: str
    before: Any = None


class Envelope(Model, kw_only=True):
    """What was around the response.

    `kind` names it (`log10_record`, `success_data`, …). `duration` is in seconds; `created_at` is the envelope's own
    time as sent; `request` is the logged request, parsed where it was JSON text.
    """

    kind: str
    id: str | None = None
    status: str | None = None
    tags: list[str] | None = None
    duration: Number | None = None
    session_id: str | None = None
    created_at: str | None = None
    request: Any = None


class Completion(Model, kw_only=True, forbid_unknown_fields=False, gc=False):
    """One response of one service, canonical and whole.

    `source` wrote the payload (`source_basis` says how that is known), `variant` is the shape it wrote, `provider`
    the upstream that ran the model. `created` is in Unix seconds. `extra` holds, by JSON Pointer into the payload,
    every value for which the model has no field; it is collected when it is first read. `notes` holds every repair.
    Both are empty, never `None`. Fields are in the order of most recorded bodies.
    """

    choices: list[Choice] = field(default_factory=list)
    created: Integer | None = None
    id: str | None = None
    model: str | None = None
    provider: str | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    usage: Usage | None = None
    source: str
    variant: str
    source_basis: SourceBasis = "dialect"
    error: ServiceError | None = None
    envelope: Envelope | None = None
    extra: Mapping[str, Any] = field(default_factory=Extra)
    notes: list[Note] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The whole record as plain dictionaries, lists, strings and numbers, every key in declared order."""
        built: dict[str, Any] = msgspec.to_builtins(self, enc_hook=_plain_extra)
        return built

    def to_json(self) -> bytes:
        """The whole record as one line of JSON; half a surrogate pair is written as its escape."""
        return to_json(self)

    @property
    def first(self) -> Choice | None:
        """The choice with the lowest index (those without one count as 0), or `None` where there is no choice."""
        return min(self.choices, key=lambda choice: choice.index or 0, default=None)

    @property
    def text(self) -> str | None:
        """The text of the first choice."""
        choice = self.first
        return None if choice is None else choice.message.content

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls of the first choice; empty where it made none."""
        choice = self.first
        return [] if choice is None else choice.message.tool_calls or []


class ChunkChoice(Model, kw_only=True):
    """What one chunk adds to one answer; `delta` is a `Message` that holds the new fragments."""

    index: Integer | None = None
    delta: Message = field(default_factory=Message)
    finish_reason: FinishReason | None = None
    native_finish_reason: str | None = None
    logprobs: Logprobs | None = None
    error: ServiceError | None = None


class Chunk(Model, kw_only=True):
    """One event of a streamed response.

    `variant` is `chunk`, `text_chunk`, `error` or `confidential`. `error` is set where the event reports one. `extra`
    and `notes` hold pointers into this event.
    """

    id: str | None = None
    source: str
    variant: str
    model: str | None = None
    provider: str | None = None
    created: Integer | None = None
    choices: list[ChunkChoice] = field(default_factory=list)
    usage: Usage | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    error: ServiceError | None = None
    extra: Mapping[str, Any] = field(default_factory=Extra)
    notes: list[Note] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The whole chunk as plain dictionaries, lists, strings and numbers."""
        built: dict[str, Any] = msgspec.to_builtins(self, enc_hook=_plain_extra)
        return built

    def to_json(self) -> bytes:
        """The whole chunk as one line of JSON; half a surrogate pair is written as its escape."""
        return to_json(self)


def _plain_extra(value: Any) -> Any:
    if isinstance(value, Extra):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON; put plain values into the record")


_encoder = msgspec.json.Encoder(enc_hook=_plain_extra)
_encode, _encode_lines = _encoder.encode, _encoder.encode_lines


def to_json(value: Any) -> bytes:
    """JSON of canonical Structs and plain values. msgspec refuses half a surrogate pair, which is written escaped."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        import json

        tree = msgspec.to_builtins(value, enc_hook=_plain_extra)
        text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")


def to_json_lines(completions: list[Completion]) -> bytes:
    """`Completion.to_json()` of each, every one with a line feed behind it."""
    try:
        return _encode_lines(completions)
    except UnicodeEncodeError:
        return b"".join(to_json(completion) + b"\n" for completion in completions)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of `Completion`."""
    return msgspec.json.schema(Completion)
