"""The OpenAI-shaped body as it is really written: every key that this library knows, under every name it has.

The Structs are written in snake_case, with the canonical leaves where the wire has the same ones. Decoders use derived
forms of them, which skip unknown keys and refuse the known keys of the other spelling (`decoding/spelling.py`). The
lenient decode fills the Structs as they are written here.

`CanonicalCompletion` is the exception: it forbids unknown keys, and a body in canonical words is decoded straight into
its final place.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, ClassVar

from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import FieldInfo, fields

from .. import model as canonical
from ..extra import Extra
from ..model import Integer, Number

Created = Integer | float | str | None
Seconds = Annotated[int, Meta(gt=-(10**14), lt=10**11)]  # later ones are milliseconds; see `adapt.created`
Nothing = Annotated[int, Meta(ge=1, le=0)]  # no JSON value is one


@cache
def fields_of(struct: type[Struct]) -> tuple[FieldInfo, ...]:
    """The fields of a Struct; msgspec evaluates the annotations anew at each call, and the first payload waits."""
    return fields(struct)


class Wire(Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Base of the wire Structs: every key is optional unless a body is none without it."""


class EngineToken(Wire, kw_only=True):
    """One entry of the log-prob maps of Atoma's experimental engine."""

    logprob: Number | None = None
    rank: Integer | None = None
    decoded_token: str | None = None


class Logprobs(Wire, kw_only=True):
    """Both forms of log-probs: chat (`content`, `refusal`) and text completion (parallel lists)."""

    content: list[canonical.TokenLogprob | None] | None = None
    refusal: list[canonical.TokenLogprob | None] | None = None
    tokens: list[str | None] | None = None
    token_logprobs: list[Number | None] | None = None
    top_logprobs: list[dict[str, Number] | None] | None = None
    text_offset: list[Integer | None] | None = None


class Message(Wire, kw_only=True):
    """A message with every alias that hosts use."""

    role: str | None = None
    content: str | list[canonical.Part | None] | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[canonical.ReasoningDetail | None] | None = None
    tool_calls: list[canonical.ToolCall | None] | None = None
    function_call: canonical.FunctionCall | None = None
    annotations: list[canonical.Annotation | None] | None = None
    images: list[canonical.Image | None] | None = None
    audio: canonical.Audio | None = None
    name: str | None = None
    parts: list[canonical.Part | None] | None = None


class PerplexityCost(Wire, kw_only=True):
    """Perplexity's `usage.cost`, in US dollars. Its total is read; the items stay in `extra`."""

    KEPT: ClassVar[frozenset[str]] = frozenset({"input_tokens_cost", "output_tokens_cost", "request_cost"})

    input_tokens_cost: Number | None = None
    output_tokens_cost: Number | None = None
    request_cost: Number | None = None
    total_cost: Number | None = None


class Usage(Wire, kw_only=True):
    """`canonical.Usage` with a cost that may be itemised."""

    prompt_tokens: Integer | None = None
    completion_tokens: Integer | None = None
    total_tokens: Integer | None = None
    prompt_tokens_details: canonical.PromptTokensDetails | None = None
    completion_tokens_details: canonical.CompletionTokensDetails | None = None
    cost: Number | PerplexityCost | None = None
    is_byok: bool | None = None
    cost_details: canonical.CostDetails | None = None


class Choice(Wire, kw_only=True):
    """A choice of a chat or a text completion; log10 rebuilds put `delta` or `function_call` here."""

    index: Integer | None = None
    message: Message | None = None
    text: str | None = None
    reasoning: str | None = None
    delta: Message | None = None
    function_call: canonical.FunctionCall | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    logprobs: Logprobs | list[dict[str, EngineToken]] | Number | None = None
    error: Any = None
    usage: Usage | None = None


class Groq(Wire, kw_only=True):
    """Groq's member of its own, which holds the usage of its streams (`x_groq`)."""

    usage: Usage | None = None


class Body(Wire, kw_only=True):
    """Any whole chat or text completion in the OpenAI dialect. `x_groq` stays in `extra`, whatever is read of it."""

    KEPT: ClassVar[frozenset[str]] = frozenset({"x_groq"})

    id: str | None = None
    provider: str | None = None
    model: str | None = None
    object: str | None = None
    created: Created = None
    choices: list[Choice]
    system_fingerprint: str | None = None
    usage: Usage | None = None
    service_tier: str | None = None
    x_groq: Groq | None = None


class Failed(Wire, kw_only=True):
    """An error body: the members of all forms of errors (`failures.FORMS`), and what a service put beside them."""

    KEPT: ClassVar[frozenset[str]] = frozenset({"x_groq"})

    error: Any = None
    message: Any = None
    code: Any = None
    type: Any = None
    metadata: Any = None
    detail: Any = None
    partial_response: Any = None
    success: Any = None
    errors: Any = None
    status: Any = None
    status_code: Any = None
    title: Any = None
    msg: Any = None
    error_code: Any = None
    error_message: Any = None
    error_msg: Any = None
    error_type: Any = None
    error_description: Any = None
    base_resp: Any = None
    request_id: Any = None
    fault: Any = None
    response: Any = field(name="Response", default=None)
    response_metadata: Any = field(name="ResponseMetadata", default=None)
    capital_code: Any = field(name="Code", default=None)
    capital_error_code: Any = field(name="ErrorCode", default=None)
    capital_message: Any = field(name="Message", default=None)
    original_status_code: Any = field(name="OriginalStatusCode", default=None)
    amazon_type: Any = field(name="__type", default=None)
    id: str | None = None
    provider: str | None = None
    model: str | None = None
    object: str | None = None
    created: Created = None
    choices: list[Choice] | None = None
    system_fingerprint: str | None = None
    usage: Usage | None = None
    service_tier: str | None = None
    x_groq: Groq | None = None


class CanonicalChoice(canonical.Choice, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A canonical choice, of the same layout. One with an error or other log-probs takes the general path."""

    error: None = None
    logprobs: canonical.Logprobs | None = None


class CanonicalCompletion(
    canonical.Completion,
    kw_only=True,
    forbid_unknown_fields=True,
    gc=False,
    tag_field="object",
    tag="chat.completion",
):
    """A chat completion in canonical words, of the same layout as `canonical.Completion`.

    The members that no wire has accept no value, so that a payload with a key of their name is refused.
    """

    choices: list[CanonicalChoice]  # type: ignore[assignment]
    created: Seconds | None = None
    source: Nothing = field(default="openai", name="(source)")  # type: ignore[assignment]
    variant: Nothing = field(default="chat", name="(variant)")  # type: ignore[assignment]
    source_basis: Nothing = field(default="dialect", name="(source_basis)")  # type: ignore[assignment]
    error: Nothing = field(default=None, name="(error)")  # type: ignore[assignment]
    envelope: Nothing = field(default=None, name="(envelope)")  # type: ignore[assignment]
    extra: Nothing = field(default_factory=Extra, name="(extra)")  # type: ignore[assignment]
    notes: Nothing = field(default_factory=list, name="(notes)")  # type: ignore[assignment]

    object: ClassVar[str] = "chat.completion"  # the only word that this Struct accepts, sent or implied


class ChunkPart(canonical.Part, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A part of a content list. `closed` (Mistral) stays in `extra`."""

    closed: bool | None = None


class ChunkDelta(Wire, kw_only=True):
    """What a chunk adds to a message, with every alias that hosts use; also a whole message beside it."""

    content: str | list[ChunkPart] | None = None
    role: str | None = None
    reasoning: str | None = None
    reasoning_details: list[canonical.ReasoningDetail] | None = None
    reasoning_content: str | None = None
    tool_calls: list[canonical.ToolCall] | None = None
    refusal: str | None = None
    function_call: canonical.FunctionCall | None = None
    annotations: list[canonical.Annotation] | None = None
    audio: canonical.Audio | None = None
    images: list[canonical.Image] | None = None
    name: str | None = None
    channel: str | None = None  # Groq


# What a delta and a canonical message call the same, and mean the same by.
DELTA_MEMBERS = tuple(set(ChunkDelta.__struct_fields__) & set(canonical.Message.__struct_fields__) - {"content"})


class ChunkLogprobs(canonical.Logprobs, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Log-probs of a chunk; the members of other forms are null there."""

    tokens: None = None
    token_logprobs: None = None
    top_logprobs: None = None
    text_offset: None = None
    reasoning_content: None = None


class ChunkChoice(Wire, kw_only=True):
    """A choice of a chunk; `text` is that of a text completion.

    `VENDOR_MEMBERS` are known because whole families of services send them with each chunk; they stay in `extra`.
    `camel_finish` is the finish word as Mistral's TypeScript SDK spells its key, in chunks that have no other such key.
    """

    index: Integer | None = None
    delta: ChunkDelta | None = None
    finish_reason: str | None = None
    camel_finish: str | UnsetType | None = field(name="finishReason", default=UNSET)
    native_finish_reason: str | None = None
    logprobs: ChunkLogprobs | None = None
    text: str | None = None
    message: ChunkDelta | None = None
    error: None = None
    content_filter_results: dict[str, dict[str, bool | str | None]] | None = None  # Azure
    matched_stop: int | str | None = None  # SGLang
    stop_reason: int | str | None = None  # vLLM
    token_ids: None = None  # vLLM


VENDOR_MEMBERS = ("content_filter_results", "matched_stop", "stop_reason")


class Chunk(Wire, kw_only=True):
    """One chunk of a completion; keys in the order of most streams.

    `obfuscation` (OpenAI) and `p` (Mistral) are padding that hides how long the tokens are.
    """

    id: str | None = None
    provider: str | None = None
    model: str | None = None
    object: str | None = None
    created: Created = None
    choices: list[ChunkChoice]
    system_fingerprint: str | None = None
    usage: canonical.Usage | None = None
    service_tier: str | None = None
    obfuscation: str | None = None
    p: str | None = None


PADDING = ("obfuscation", "p")
WORDS = ("id", "model", "provider", "created", "system_fingerprint", "service_tier")  # of a chunk, about the whole

# Services that send the whole text so far in each chunk: by the `format` of a reasoning detail, and Atoma's
# experimental engine, whose log-probs are lists of token maps.
CUMULATIVE_FORMATS = {"MiniMax-response-v1": "MiniMax"}
ATOMA_ENGINE = "Atoma's engine"
