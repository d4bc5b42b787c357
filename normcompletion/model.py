"""The canonical model: one `Completion` for every source.

A superset of the OpenAI chat completion, with its names and its nesting. What a payload does not say is `None`; zero
is zero. `Completion.to_json()` and `to_dict()` are the whole record. This module knows no source.

Adding a field is a feature. Removing or renaming one, or changing the `Completion` made from bytes that already
normalized, is a breaking change (CHANGELOG.md has a *Wire* section for what the services change).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from .extra import Extra
from .masking import mask_known

# Counts and times are 64-bit: what Arrow, Parquet and every decoder agree on. Larger ones stay exact in `extra`.
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
# A cost of 0 stays 0 and a cost of 0.0 stays 0.0.
Number = Integer | float

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "error", "unknown"]
"""Why an answer ended, in canonical words; the wire's own word is in `native_finish_reason`.

>>> from typing import get_args
>>> "unknown" in get_args(FinishReason)
True
"""
Role = Literal["assistant", "user", "system", "developer", "tool", "function", "unknown"]
"""Who speaks; a word that is in no table is `unknown`, with a note that has it.

>>> from typing import get_args
>>> get_args(Role)[0]
'assistant'
"""


SourceBasis = Literal["marker", "envelope", "object", "caller", "dialect"]

_LONGEST_TEXT = 80
_MOST_LEVELS = 16  # of containers in each other


class Model(Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of the canonical Structs: `repr` shows what is set, long texts without their middle, known keys masked."""

    def __repr__(self) -> str:
        """The members that are set."""
        shown = [
            f"{name}={_shortened(value)}"
            for name in self.__struct_fields__
            if (value := getattr(self, name)) is not None and not (isinstance(value, list | Extra) and not value)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


def _shortened(value: Any, levels: int = _MOST_LEVELS) -> str:
    if isinstance(value, str):
        value = mask_known(value)
        if len(value) > _LONGEST_TEXT:
            half = _LONGEST_TEXT // 2
            value = f"{value[:half]}…{value[-half:]}"
    if isinstance(value, list):
        return f"[{', '.join(_shortened(item, levels - 1) for item in value) if levels else '…'}]"
    if isinstance(value, dict | Extra):
        members = (f"{_shortened(key)}: {_shortened(item, levels - 1)}" for key, item in value.items())
        return f"{{{', '.join(members) if levels else '…'}}}"
    return repr(value)


class Leaf(Model, kw_only=True, gc=False):
    """A part of a completion."""

    # Leaves hold no reference cycles, so the garbage collector need not look at them. Fields are in the order in which
    # most bodies have their keys: the decoder looks for the next key behind the last one.


class FunctionCall(Leaf, kw_only=True):
    """The function that a tool call asks for. Its arguments are text and never parsed for you.

    >>> FunctionCall(name="tide", arguments='{"place": "Bergen"}')
    FunctionCall(arguments='{"place": "Bergen"}', name='tide')
    """

    arguments: str | None = None
    """The arguments as the service sent them: text that is mostly JSON, whole or cut off."""
    name: str | None = None
    """The name of the function."""


class ToolCall(Leaf, kw_only=True):
    """One tool call of an answer; `parse_arguments` reads its arguments.

    >>> ToolCall(id="call-1", function=FunctionCall(name="tide", arguments='{"place": "Bergen"}')).parse_arguments()
    {'place': 'Bergen'}
    """

    function: FunctionCall | None = None
    """The function that is asked for."""
    id: str | None = None
    """The id to answer with; absent where the service sent none."""
    index: Integer | None = None
    """The source's own number of the call; absent where none was sent."""
    type: str | None = None
    """`function`, or the service's own word."""

    def parse_arguments(self) -> Any:
        """The arguments as JSON; raises `ValueError` where the text is absent, cut off or no JSON."""
        if self.function is None or self.function.arguments is None:
            raise ValueError("this tool call has no arguments; check `function.arguments` before parsing")
        if _is_deep(self.function.arguments):
            raise ValueError("the arguments nest too deep to be parsed; read `function.arguments` as text")
        try:
            return msgspec.json.decode(self.function.arguments)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            raise ValueError("the arguments are not JSON; read `function.arguments` as text") from None


_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)


def _is_deep(text: str) -> bool:
    """Whether JSON nests deeper than 128 containers, which a small stack may not bear."""
    if text.count("[") + text.count("{") <= 128:
        return False
    depth = 0
    for bracket in _STRING.sub("", text):
        if bracket in "[{":
            depth += 1
            if depth > 128:
                return True
        elif bracket in "]}":
            depth -= 1
    return False


class ReasoningDetail(Leaf, kw_only=True):
    """One piece of reasoning, as OpenRouter sends it in `reasoning_details`; other keys of it are in `extra`.

    >>> ReasoningDetail(type="reasoning.text", text="The moon is full.")
    ReasoningDetail(text='The moon is full.', type='reasoning.text')
    """

    data: str | None = None
    """Encrypted reasoning, as sent."""
    format: str | None = None
    """The format of the reasoning, such as `anthropic-claude-v1`."""
    id: str | None = None
    """The id of this piece."""
    index: Integer | None = None
    """The source's own number of this piece."""
    signature: str | None = None
    """The signature by which the provider takes the reasoning back."""
    summary: str | None = None
    """A summary of the reasoning."""
    text: str | None = None
    """The reasoning itself."""
    type: str | None = None
    """`reasoning.text`, `reasoning.summary`, `reasoning.encrypted`, or the service's own word."""
    tool_name: str | None = None
    """The tool that was called while reasoning."""
    arguments: str | None = None
    """The arguments of that tool, as text."""
    result: str | None = None
    """What that tool gave, as text."""
    tool_call_id: str | None = None
    """The id of that call."""


class ImageURL(Leaf, kw_only=True):
    """Where an image is: a web address or a `data:` URI.

    >>> ImageURL(url="data:image/png;base64,iVBORw0KGgo=")
    ImageURL(url='data:image/png;base64,iVBORw0KGgo=')
    """

    url: str | None = None
    """A web address or a `data:` URI."""
    detail: str | None = None
    """How closely to look: `low`, `high` or `auto`."""


class Image(Leaf, kw_only=True):
    """A generated image (`message.images[]`).

    >>> Image(type="image_url", image_url=ImageURL(url="https://tide.example/1.png"))
    Image(type='image_url', image_url=ImageURL(url='https://tide.example/1.png'))
    """

    type: str | None = None
    """`image_url`, or the service's own word."""
    image_url: ImageURL | None = None
    """Where the image is."""
    index: Integer | None = None
    """The source's own number of the image."""


class Audio(Leaf, kw_only=True):
    """Generated audio.

    >>> Audio(id="audio-1", transcript="High tide.")
    Audio(id='audio-1', transcript='High tide.')
    """

    id: str | None = None
    """The id by which the audio can be sent back."""
    data: str | None = None
    """The audio, base64."""
    transcript: str | None = None
    """What is said in it."""
    expires_at: Integer | None = None
    """When the service forgets it, Unix seconds."""
    format: str | None = None
    """Its format, such as `wav`."""


class File(Leaf, kw_only=True):
    """A file named by a content part or an annotation.

    >>> File(name="tides.pdf", content=[FilePart(type="text", text="Bergen 04:12")])
    File(name='tides.pdf', content=[FilePart(type='text', text='Bergen 04:12')])
    """

    hash: str | None = None
    """The hash by which the service knows the file."""
    name: str | None = None
    """Its name, as annotations have it."""
    filename: str | None = None
    """Its name, as content parts have it."""
    file_id: str | None = None
    """The id under which it was uploaded."""
    file_data: str | None = None
    """The file itself, base64 or a `data:` URI."""
    content: list[FilePart] | None = None
    """What was read from it, piece by piece."""


class FilePart(Leaf, kw_only=True):
    """One piece of a parsed file: text or an image.

    >>> FilePart(type="text", text="Bergen 04:12")
    FilePart(type='text', text='Bergen 04:12')
    """

    type: str | None = None
    """`text` or `image_url`, or the service's own word."""
    text: str | None = None
    """The text of this piece."""
    image_url: ImageURL | None = None
    """The image of this piece."""


class ThinkingText(Leaf, kw_only=True):
    """One piece of the thinking of a content part (Mistral).

    >>> ThinkingText(type="text", text="The moon is full.")
    ThinkingText(type='text', text='The moon is full.')
    """

    type: str | None = None
    """`text`, or the service's own word."""
    text: str | None = None
    """The text of this piece."""


class Part(Leaf, kw_only=True):
    """One part of a content that was sent as a list.

    >>> Part(type="text", text="High tide.")
    Part(type='text', text='High tide.')
    """

    type: str | None = None
    """`text`, `thinking`, `image_url`, …, or the service's own word."""
    text: str | None = None
    """The text of the part."""
    thinking: str | list[ThinkingText] | None = None
    """The thinking of the part: a text, or a list of pieces (Mistral)."""
    refusal: str | None = None
    """Why the model refused."""
    image_url: ImageURL | None = None
    """The image of the part."""
    video_url: ImageURL | None = None
    """The video of the part."""
    input_audio: Audio | None = None
    """The audio of the part."""
    file: File | None = None
    """The file of the part."""


class Citation(Leaf, kw_only=True):
    """What an annotation cites. Offsets count characters of the content.

    >>> Citation(url="https://tide.example", start_index=0, end_index=10)
    Citation(url='https://tide.example', start_index=0, end_index=10)
    """

    url: str | None = None
    """The address that is cited."""
    title: str | None = None
    """Its title."""
    start_index: Integer | None = None
    """Where in the content the cited passage begins, in characters."""
    end_index: Integer | None = None
    """Where it ends, in characters."""
    content: str | None = None
    """What the source says."""
    file_id: str | None = None
    """The file that is cited."""
    quote: str | None = None
    """The passage that is cited."""
    encrypted_index: str | None = None
    """The place in the source, encrypted (Anthropic)."""
    cited_text: str | None = None
    """The passage that is cited (Anthropic)."""


class Annotation(Leaf, kw_only=True):
    """One annotation of a message: what it cites, or which file was read.

    >>> Annotation(type="url_citation", url_citation=Citation(url="https://tide.example"))
    Annotation(type='url_citation', url_citation=Citation(url='https://tide.example'))
    """

    type: str | None = None
    """`url_citation`, `file`, …, or the service's own word."""
    url_citation: Citation | None = None
    """The web page that is cited."""
    file: File | None = None
    """The file that was read."""
    file_annotation: Citation | None = None
    """The place in a file that is cited."""
    web_search_citation: Citation | None = None
    """The search result that is cited."""


class Message(Leaf, kw_only=True, gc=False):
    """What the model said.

    >>> Message(role="assistant", content="High tide.")
    Message(content='High tide.', role='assistant')
    """

    content: str | None = None
    """The whole text, also where the wire sent a list of parts; absent where there is none."""
    reasoning: str | None = None
    """The reasoning, from `reasoning`, `reasoning_content` or thinking parts; absent where none was shown."""
    reasoning_details: list[ReasoningDetail] | None = None
    """The reasoning in pieces, with signatures and encrypted parts (OpenRouter)."""
    refusal: str | None = None
    """Why the model refused; absent where it did not."""
    role: Role | None = None
    """`assistant` in answers; `unknown` where the wire's word is in no table."""
    tool_calls: list[ToolCall] | None = None
    """The tools that the model asks for; absent where it asks for none."""
    annotations: list[Annotation] | None = None
    """Citations."""
    audio: Audio | None = None
    """Generated audio."""
    images: list[Image] | None = None
    """Generated images."""
    name: str | None = None
    """The name of who speaks, where the service sends one."""
    parts: list[Part] | None = None
    """The parts of the content in their order, where the wire sent a list."""


class TopLogprob(Leaf, kw_only=True):
    """One of the likeliest tokens at a position.

    >>> TopLogprob(token="High", logprob=-0.5)
    TopLogprob(logprob=-0.5, token='High')
    """

    bytes: list[Integer] | None = None
    """The UTF-8 bytes of the token."""
    logprob: Number | None = None
    """The natural logarithm of its probability."""
    token: str | None = None
    """The token as text."""


class TokenLogprob(Leaf, kw_only=True):
    """The token at one position, and the likeliest others.

    >>> TokenLogprob(token="High", logprob=-0.5, top_logprobs=[TopLogprob(token="Low", logprob=-1)])
    TokenLogprob(logprob=-0.5, token='High', top_logprobs=[TopLogprob(logprob=-1, token='Low')])
    """

    bytes: list[Integer] | None = None
    """The UTF-8 bytes of the token."""
    logprob: Number | None = None
    """The natural logarithm of its probability; absent for a first token of an echoed prompt."""
    token: str | None = None
    """The token as text."""
    top_logprobs: list[TopLogprob] | None = None
    """The likeliest tokens at this position."""
    text_offset: Integer | None = None
    """Where the token begins in the text, in characters; only in text completions."""


class Logprobs(Leaf, kw_only=True):
    """Log probabilities, one form for chat and for text completions.

    >>> Logprobs(content=[TokenLogprob(token="High", logprob=-0.5)])
    Logprobs(content=[TokenLogprob(logprob=-0.5, token='High')])
    """

    content: list[TokenLogprob] | None = None
    """The tokens of the content."""
    refusal: list[TokenLogprob] | None = None
    """The tokens of the refusal."""


class ServiceError(Model, kw_only=True):
    """What a service reported instead of, or beside, an answer.

    >>> ServiceError(code=429, message="slow down")
    ServiceError(code=429, message='slow down')
    """

    code: Integer | str | None = None
    """The number or word that the service sent, often an HTTP status."""
    message: str | None = None
    """What the service said."""
    type: str | None = None
    """Its class of error, such as `rate_limit_error`."""
    metadata: dict[str, Any] | None = None
    """Whatever JSON it added."""
    provider: str | None = None
    """The upstream that failed, where a gateway names it."""


class Choice(Leaf, kw_only=True, gc=False):
    """One answer: a message, and why it ended.

    >>> Choice(index=0, message=Message(content="High tide."), finish_reason="stop")
    Choice(finish_reason='stop', index=0, message=Message(content='High tide.'))
    """

    finish_reason: FinishReason | None = None
    """Why the answer ended; `unknown` where the wire's word is in no table, absent where it sent none."""
    index: Integer | None = None
    """The source's own number, never renumbered; absent where none was sent."""
    logprobs: Logprobs | None = None
    """Log probabilities, where they were asked for."""
    message: Message = field(default_factory=Message)
    """What the model said."""
    native_finish_reason: str | None = None
    """The upstream's word, or the wire's where ours differs; absent where there is no other word."""
    error: ServiceError | None = None
    """What went wrong beside the partial text that it cut off."""


class PromptTokensDetails(Leaf, kw_only=True):
    """Parts of `prompt_tokens`, in tokens.

    >>> PromptTokensDetails(cached_tokens=512)
    PromptTokensDetails(cached_tokens=512)
    """

    audio_tokens: Integer | None = None
    """Audio tokens of the prompt."""
    cache_write_tokens: Integer | None = None
    """Tokens that were written to the cache."""
    cached_tokens: Integer | None = None
    """Tokens that were read from the cache."""
    image_tokens: Integer | None = None
    """Image tokens of the prompt."""
    text_tokens: Integer | None = None
    """Text tokens of the prompt."""
    video_tokens: Integer | None = None
    """Video tokens of the prompt."""


class CompletionTokensDetails(Leaf, kw_only=True):
    """Parts of `completion_tokens`, in tokens.

    >>> CompletionTokensDetails(reasoning_tokens=80)
    CompletionTokensDetails(reasoning_tokens=80)
    """

    accepted_prediction_tokens: Integer | None = None
    """Tokens of a predicted output that were used."""
    audio_tokens: Integer | None = None
    """Audio tokens of the answer."""
    image_tokens: Integer | None = None
    """Image tokens of the answer."""
    reasoning_tokens: Integer | None = None
    """Tokens that were spent on reasoning."""
    rejected_prediction_tokens: Integer | None = None
    """Tokens of a predicted output that were not used, and are billed."""


class CostDetails(Leaf, kw_only=True):
    """What the upstream provider charged (OpenRouter).

    >>> CostDetails(upstream_inference_cost=0.0021)
    CostDetails(upstream_inference_cost=0.0021)
    """

    upstream_inference_completions_cost: Number | None = None
    """What the upstream took for the answer, US dollars."""
    upstream_inference_cost: Number | None = None
    """What the upstream took in all, US dollars."""
    upstream_inference_prompt_cost: Number | None = None
    """What the upstream took for the prompt, US dollars."""


class Usage(Leaf, kw_only=True):
    """Tokens and cost as reported: absent is `None`, zero is zero, and sums that do not add up are kept.

    >>> Usage(prompt_tokens=9, completion_tokens=3, total_tokens=12)
    Usage(completion_tokens=3, prompt_tokens=9, total_tokens=12)
    """

    completion_tokens: Integer | None = None
    """Tokens of the answers, reasoning included where the service counts it."""
    completion_tokens_details: CompletionTokensDetails | None = None
    """Parts of `completion_tokens`."""
    cost: Number | None = None
    """What the account pays, US dollars; with `is_byok` only the gateway's fee. OpenRouter sends it."""
    cost_details: CostDetails | None = None
    """What the upstream took, US dollars."""
    is_byok: bool | None = None
    """Whether the caller's own key at the upstream was used (OpenRouter)."""
    prompt_tokens: Integer | None = None
    """Tokens of the prompt, cached ones included."""
    prompt_tokens_details: PromptTokensDetails | None = None
    """Parts of `prompt_tokens`."""
    total_tokens: Integer | None = None
    """The sum as reported, also where it does not add up."""


class Note(Model, kw_only=True):
    """One repair that was made while the payload was read.

    >>> Note(code="fractional_time", path="/created", before=1.5)
    Note(code='fractional_time', path='/created', before=1.5)
    """

    code: str
    """What was done: a key of `normcompletion.NOTES`."""
    path: str
    """Where in the payload, as a JSON Pointer."""
    before: Any = None
    """The value before it, as JSON."""


class Envelope(Model, kw_only=True):
    """What was around the response: a log record, a batch line, a gateway's row.

    >>> Envelope(kind="log10_record", id="r-1", duration=0.812)
    Envelope(kind='log10_record', id='r-1', duration=0.812)
    """

    kind: str
    """What was around the response: `log10_record`, `success_data`, `openai_batch`, …"""
    id: str | None = None
    """The envelope's own id, such as `custom_id`."""
    status: str | None = None
    """Its status, as text."""
    tags: list[str] | None = None
    """Its tags."""
    duration: Number | None = None
    """How long the call took, seconds."""
    session_id: str | None = None
    """The session or trace that the call belongs to."""
    created_at: str | None = None
    """The envelope's own time, as sent."""
    request: Any = None
    """The logged request, parsed where it was JSON text."""


class Completion(Model, kw_only=True, forbid_unknown_fields=False, gc=False):
    """One response of one service, canonical and whole.

    `source` wrote the payload (`source_basis` says how that is known), `variant` is the shape it wrote, `provider`
    the upstream that ran the model. `created` is in Unix seconds. `extra` holds, by JSON Pointer into the payload,
    every value for which the model has no field; it is collected when it is first read. `notes` holds every repair.
    Both are empty, never `None`.

    >>> from normcompletion import normalize
    >>> completion = normalize('{"id": "c-1", "choices": [{"message": {"content": "Hi"}}]}')
    >>> completion.id, completion.variant, completion.choices
    ('c-1', 'chat', [Choice(message=Message(content='Hi'))])
    """

    # Fields are in the order of most recorded bodies.

    choices: list[Choice] = field(default_factory=list)
    """The answers; empty where the call failed or the body has none."""
    created: Integer | None = None
    """When the answer was made, Unix seconds; absent where the payload does not say."""
    id: str | None = None
    """The service's id of the response."""
    model: str | None = None
    """The model that answered, in the service's words."""
    provider: str | None = None
    """The upstream that ran the model (OpenRouter)."""
    service_tier: str | None = None
    """The tier that the call was served in, in the service's words."""
    system_fingerprint: str | None = None
    """The configuration that the model ran with, in the service's words."""
    usage: Usage | None = None
    """Tokens and cost; absent where none was reported."""
    source: str
    """Who wrote the payload: `atoma`, `log10`, `openrouter`, `openai` (no service's marker), or a plugin's name."""
    variant: str
    """The shape it wrote: `chat`, `text`, `log_record`, `error`, …"""
    source_basis: SourceBasis = "dialect"
    """Why that source: a marker, the envelope, the object's class, the caller, or the bare dialect."""
    error: ServiceError | None = None
    """What the service reported instead of, or beside, an answer."""
    envelope: Envelope | None = None
    """What was around the response; absent where nothing was."""
    extra: Mapping[str, Any] = field(default_factory=Extra)
    """By JSON Pointer into the payload, every value for which there is no field. Never absent."""
    notes: list[Note] = field(default_factory=list)
    """Every repair that was made. Never absent."""

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
        """The text of the first choice; among choices without any index, the first text that is not empty.

        Some services split one answer into choices without an index (GitHub Copilot). Texts are never joined.
        """
        if self._is_split:
            text = next((choice.message.content for choice in self.choices if choice.message.content), None)
            if text is not None:
                return text
        choice = self.first
        return None if choice is None else choice.message.content

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls of the first choice, empty where it made none; `text` describes choices without an index."""
        if self._is_split:
            return next((choice.message.tool_calls for choice in self.choices if choice.message.tool_calls), [])
        choice = self.first
        return [] if choice is None else choice.message.tool_calls or []

    @property
    def _is_split(self) -> bool:
        return len(self.choices) > 1 and all(choice.index is None for choice in self.choices)


class ChunkChoice(Model, kw_only=True):
    """What one chunk adds to one answer; `delta` is a `Message` that holds the new fragments.

    >>> ChunkChoice(index=0, delta=Message(content="High"))
    ChunkChoice(index=0, delta=Message(content='High'))
    """

    index: Integer | None = None
    """The source's own number of the answer; absent where none was sent."""
    delta: Message = field(default_factory=Message)
    """What this event adds: a message that holds the new fragments."""
    finish_reason: FinishReason | None = None
    """Why the answer ended, in the event that says so."""
    native_finish_reason: str | None = None
    """The upstream's word, or the wire's where ours differs."""
    logprobs: Logprobs | None = None
    """Log probabilities of the new tokens."""
    error: ServiceError | None = None
    """What went wrong."""


class Chunk(Model, kw_only=True):
    """One event of a streamed response.

    `variant` is `chunk`, `text_chunk`, `error` or `confidential`. `error` is set where the event reports one. `extra`
    and `notes` hold pointers into this event.

    >>> from normcompletion import normalize_chunk
    >>> normalize_chunk('{"id": "c-1", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}').choices
    [ChunkChoice(index=0, delta=Message(content='Hi'))]
    """

    id: str | None = None
    """The service's id of the response."""
    source: str
    """Who wrote the event."""
    variant: str
    """`chunk`, `text_chunk`, `error` or `confidential`."""
    model: str | None = None
    """The model that answers."""
    provider: str | None = None
    """The upstream that runs the model (OpenRouter)."""
    created: Integer | None = None
    """When the answer was begun, Unix seconds."""
    choices: list[ChunkChoice] = field(default_factory=list)
    """What the event adds to each answer."""
    usage: Usage | None = None
    """Tokens and cost so far, mostly in the last event."""
    system_fingerprint: str | None = None
    """The configuration that the model runs with."""
    service_tier: str | None = None
    """The tier that the call is served in."""
    error: ServiceError | None = None
    """What the event reports."""
    extra: Mapping[str, Any] = field(default_factory=Extra)
    """By JSON Pointer into the event, every value for which there is no field. Never absent."""
    notes: list[Note] = field(default_factory=list)
    """Every repair that was made. Never absent."""

    def to_dict(self) -> dict[str, Any]:
        """The whole chunk as plain dictionaries, lists, strings and numbers."""
        built: dict[str, Any] = msgspec.to_builtins(self, enc_hook=_plain_extra)
        return built

    def to_json(self) -> bytes:
        """The whole chunk as one line of JSON; half a surrogate pair is written as its escape."""
        return to_json(self)


def _plain_extra(value: Any) -> Any:
    if isinstance(value, Extra):
        return value._filled()  # noqa: SLF001 - as `dict(value)`, without a copy
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON; put plain values into the record")


_encode = msgspec.json.Encoder(enc_hook=_plain_extra).encode


def to_json(value: Any) -> bytes:
    """JSON of canonical Structs and plain values. msgspec refuses half a surrogate pair, which is written escaped."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        import json

        tree = msgspec.to_builtins(value, enc_hook=_plain_extra)
        text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")


SCHEMA_VERSION = "1"
"""The version of the canonical model; another one means that a field went or changed its type."""


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of `Completion`, with `$id`, version, and what each Struct and field means.

    >>> schema = json_schema()
    >>> schema["$id"], schema["$defs"]["Usage"]["properties"]["prompt_tokens"]["description"]
    ('urn:normcompletion:completion:1', 'Tokens of the prompt, cached ones included.')
    """
    from inspect import cleandoc

    schema = msgspec.json.schema(Completion)
    for described in schema["$defs"].values():
        described["description"] = cleandoc(described["description"]).partition("\n\n>>> ")[0]
    for name, fields in field_docs().items():
        for field_name, about in fields.items():
            if name in schema["$defs"]:
                schema["$defs"][name]["properties"][field_name]["description"] = about
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:normcompletion:completion:{SCHEMA_VERSION}",
        "version": SCHEMA_VERSION,
        **schema,
    }


def field_docs() -> dict[str, dict[str, str]]:
    """What this module says of each field, by the names of Struct and field; empty where its source is not at hand."""
    import ast
    import inspect
    import sys

    try:
        tree = ast.parse(inspect.getsource(sys.modules[__name__]))
    except OSError:  # compiled files alone
        return {}
    found: dict[str, dict[str, str]] = {}
    for struct in tree.body:
        if isinstance(struct, ast.ClassDef):
            for member, text in zip(struct.body, struct.body[1:], strict=False):
                match member, text:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(about))):
                        found.setdefault(struct.name, {})[name] = about
    return found
