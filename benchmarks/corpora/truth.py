"""What a reader should find in a record, as one line of a truth file says it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

Number = int | float


class Failure(Struct, frozen=True):
    """What a service reported instead of an answer."""

    code: int | str | None = None
    message: str | None = None


class Truth(Struct, frozen=True, forbid_unknown_fields=True):
    """The canonical fields of one record; lists have a member for each choice, in the order of the body.

    Attributes:
        number: the record's number in the corpus, from 0.
        shape: its complete shape, `source/variant/spelling/size/trait`; `size` is the class of the bytes there are.
        source: who the bytes say wrote it. Where nothing in them tells, this is `openai`, whatever the shape says.
        tool_calls: for each choice its calls, as id, name and the text of the arguments.
        logprobs: for each choice its tokens with their log-probs.
        cost: US dollars, the very number that the body has.
        error: what a failed call reports; such a record has no choices.
        envelope: what is around the body (`log10_record`, `openai_batch`), and its own id (a batch line's
            `custom_id`) and duration in seconds. `body` is the pointer to the body.
        extra: the pointers of what the canonical model has no field for, sorted.
        notes: the codes of the repairs, one for each, sorted.

    """

    number: int
    shape: str
    source: str
    variant: str
    id: str | None = None
    model: str | None = None
    provider: str | None = None
    created: int | None = None
    finish_reasons: list[str | None] = []
    native_finish_reasons: list[str | None] = []
    contents: list[str | None] = []
    reasonings: list[str | None] = []
    refusals: list[str | None] = []
    tool_calls: list[list[tuple[str | None, str | None, str | None]]] = []
    logprobs: list[list[tuple[str | None, Number | None]] | None] = []
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: Number | None = None
    error: Failure | None = None
    envelope: str | None = None
    envelope_id: str | None = None
    duration: Number | None = None
    body: str = ""
    extra: list[str] = []
    notes: list[str] = []

    @property
    def writer(self) -> str:
        """Who really wrote it."""
        return self.shape.partition("/")[0]


def facts_of(completion: Any) -> dict[str, Any]:
    """The same fields of a canonical `Completion`, to be compared with a truth."""
    choices = completion.choices
    usage, error, envelope = completion.usage, completion.error, completion.envelope
    prompt = None if usage is None else usage.prompt_tokens_details
    thought = None if usage is None else usage.completion_tokens_details
    return {
        "source": completion.source,
        "variant": completion.variant,
        "id": completion.id,
        "model": completion.model,
        "provider": completion.provider,
        "created": completion.created,
        "finish_reasons": [choice.finish_reason for choice in choices],
        "native_finish_reasons": [choice.native_finish_reason for choice in choices],
        "contents": [choice.message.content for choice in choices],
        "reasonings": [choice.message.reasoning for choice in choices],
        "refusals": [choice.message.refusal for choice in choices],
        "tool_calls": [
            [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()]
            for choice in choices
        ],
        "logprobs": [
            None
            if choice.logprobs is None or choice.logprobs.content is None
            else [(token.token, token.logprob) for token in choice.logprobs.content]
            for choice in choices
        ],
        "prompt_tokens": None if usage is None else usage.prompt_tokens,
        "completion_tokens": None if usage is None else usage.completion_tokens,
        "total_tokens": None if usage is None else usage.total_tokens,
        "cached_tokens": None if prompt is None else prompt.cached_tokens,
        "reasoning_tokens": None if thought is None else thought.reasoning_tokens,
        "cost": None if usage is None else usage.cost,
        "error": None if error is None else Failure(error.code, error.message),
        "envelope": None if envelope is None else envelope.kind,
        "envelope_id": None if envelope is None else envelope.id,
        "duration": None if envelope is None else envelope.duration,
        "extra": sorted(completion.extra),
        "notes": sorted(note.code for note in completion.notes),
    }
