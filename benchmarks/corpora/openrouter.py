"""OpenRouter's bodies: chat, text, error.

Key orders are those of 2025 and of 2026; shares are those of 823 recorded chats, 43 errors and one text completion.
The camelCase form is what the TypeScript SDK 1.x prints, which drops the provider.
"""

from __future__ import annotations

from .answer import Answer, Figures, Material, Said, draw_answer
from .chance import Chance, Shares, Spread
from .draft import Draft, Made, Source, Written, failed
from .shape import Shape
from .writing import CAMEL, COMPACT, NULL, SORTED, SPACED, Writer, number, quoted

FIGURES = Figures(
    sizes=Spread({0: 453, 10: 524, 25: 633, 50: 973, 75: 2_221, 90: 4_596, 95: 13_411, 99: 16_914, 100: 28_683}),
    parts=Shares(
        {
            (True, False, False): 289,
            (True, False, True): 261,
            (False, True, False): 160,
            (False, True, True): 57,
            (True, True, True): 28,
            (True, True, False): 21,
            (False, False, True): 7,
        }
    ),
    texts=Shares({"prose": 40, "typographic": 43, "code": 12, "world": 5}),
    overhead=600,
    reasoning_copies=2,
    logprobs=20,
    refusals=12,
)

_WRITERS = Shares({COMPACT: 6, SORTED: 3, SPACED: 1})
_SLUGS = (
    '"northwind/heron-3"',
    '"northwind/heron-3-mini:free"',
    '"meridian-ai/lark-70b-instruct"',
    '"q-lab/q4-235b-a22b-2507"',
    '"finch/finch-4-fast:thinking"',
    '"open-tern/gull-oss-120b"',
)
_PROVIDERS = ('"Northwind"', '"Bluewater Compute"', '"Meridian AI Studio"', '"Q.Lab"', '"DeepHarbor"', '"Tern (beta)"')
# The upstreams' words for the canonical ones.
_DIALECTS: dict[str, dict[str, str]] = {
    "chat": {},
    "responses": {"stop": "completed", "length": "max_output_tokens", "tool_calls": "completed"},
    "gemini": {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"},
    "anthropic": {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"},
}
_DIALECT = Shares({"chat": 580, "responses": 127, "gemini": 103, "anthropic": 5})
_TIER = Shares({None: 689, NULL: 87, '"default"': 45, '"provisioned"': 2})
_FINGERPRINT = Shares({None: 492, "fp": 208, NULL: 71, '""': 52})
_EMPTY_CONTENT = Shares({'""': 171, NULL: 65})
_DETAIL = Shares({"text": 202, "openai": 104, "xai": 34, "anthropic": 5})
_PROMPT_DETAILS = Shares({None: 263, NULL: 143, "object": 268})
_COMPLETION_DETAILS = Shares({None: 404, NULL: 44, "object": 226})
_PRICES = (5, 15, 30, 100, 300)  # hundred-millionths of a dollar for a prompt token; five times that for the others
_ERRORS = (
    ("404", "No endpoints found that support tool use."),
    ("429", "Provider returned error"),
    ("400", "Provider returned error"),
    ("403", "This model requires moderation; the input was flagged."),
    ("502", "Upstream idle for too long"),
    ("402", "Insufficient credits"),
)


def write(shape: Shape, chance: Chance, material: Material, created: int) -> Written:
    """One record."""
    if shape.variant == "error":
        return _error(chance, material)
    camel = shape.spelling == "camel"
    writer = CAMEL if camel else _WRITERS.pick(chance)
    answer = draw_answer(FIGURES, shape, chance, material, ascii_only=writer.spaced)
    text = shape.variant == "text"
    native = _DIALECTS[_DIALECT.pick(chance)]
    draft = Draft(
        "openrouter",
        shape.variant,
        answer,
        top=_top(chance, material, created, text=text, camel=camel),
        choices=[{} for _ in answer.said],
        messages=[] if text else [_message(said, chance, material, writer, camel=camel) for said in answer.said],
        usage={},
    )
    draft.truth["provider"] = draft.top.get("provider")
    for at, (said, choice) in enumerate(zip(answer.said, draft.choices, strict=True)):
        whole = at > 0 or not chance.happens(10)
        finish = f'"{said.finish}"' if whole else NULL
        choice["logprobs"] = NULL if said.run is None else said.run.columns(writer) if text else said.run.chat(writer)
        choice["finish_reason"] = finish
        choice["native_finish_reason"] = f'"{native.get(said.finish, said.finish)}"' if whole else NULL
        choice["index"] = str(at)
        choice["text" if text else "message"] = said.content
        if camel and not text:
            del choice["native_finish_reason"]
        if not whole:
            draft.truth["finish_reasons"] = f"[{NULL}]"
    draft.truth["native_finish_reasons"] = COMPACT.array(
        [choice.get("native_finish_reason") or NULL for choice in draft.choices]
    )
    if not (text or camel or answer.lean or shape.trait) and chance.happens(20) and answer.said[0].run is None:
        draft.choices[0]["logprobs"] = writer.object({"content": "[]", "refusal": "[]"})
        draft.truth["logprobs"] = "[[]]"
    if text and draft.top["object"] == '"chat.completion"':
        draft.extra.append("/object")
    _count(draft, chance, writer, camel=camel)
    if shape.trait == "repair":
        draft.break_one(chance)
    return draft.written(writer)


def _top(chance: Chance, material: Material, created: int, *, text: bool, camel: bool) -> Made:
    identity = f'"gen-{created}-{material.id(chance, 20)}"'
    model, provider = chance.pick(_SLUGS), chance.pick(_PROVIDERS)
    word = '"chat.completion"' if not text or chance.happens(500) else '"text_completion"'
    fingerprint = _FINGERPRINT.pick(chance)
    if fingerprint == "fp":
        fingerprint = f'"fp_{chance.draw():08x}"'
    if camel:  # required there
        head: Made = {"id": identity, "object": word, "created": str(created), "model": model, "choices": None}
        if text:
            head["provider"] = provider
        return {**head, "system_fingerprint": fingerprint or NULL, "usage": None}
    if chance.happens(500):
        head = {"id": identity, "provider": provider, "model": model, "object": word, "created": str(created)}
        return {**head, "choices": None, "system_fingerprint": fingerprint, "usage": None}
    head = {"id": identity, "object": word, "created": str(created), "model": model, "provider": provider}
    tier = _TIER.pick(chance)
    return {**head, "system_fingerprint": fingerprint, "service_tier": tier, "choices": None, "usage": None}


def _message(said: Said, chance: Chance, material: Material, writer: Writer, *, camel: bool) -> Made:
    content = said.content
    if content == NULL and said.calls:
        content = said.content = _EMPTY_CONTENT.pick(chance)
    message: Made = {"role": '"assistant"', "content": content, "refusal": said.refusal, "reasoning": said.reasoning}
    if said.reasoning != NULL:
        message["reasoning_details"] = _reasoning_details(said.reasoning, chance, material, writer)
    if said.calls:
        message["tool_calls"] = said.tool_calls(writer, numbered=not camel)
    return message


def _reasoning_details(text: str, chance: Chance, material: Material, writer: Writer) -> str:
    kind = _DETAIL.pick(chance)
    if kind == "text":
        detail: Made = {"type": '"reasoning.text"', "text": text, "format": '"unknown"', "index": "0"}
        return writer.array([writer.object(detail)])
    if kind == "anthropic":
        detail = {"type": '"reasoning.text"', "text": text, "signature": f'"{material.library.blob(chance, 600)}=="'}
        return writer.array([writer.object({**detail, "format": '"anthropic-claude-v1"', "index": "0"})])
    form = '"openai-responses-v1"' if kind == "openai" else '"xai-responses-v1"'
    summary: Made = {"type": '"reasoning.summary"', "summary": text, "format": form, "index": "0"}
    data = f'"{material.library.blob(chance, chance.between(100, 1_500))}"'
    sealed: Made = {"type": '"reasoning.encrypted"', "data": data, "format": form, "index": "0"}
    sealed["id"] = f'"rs_{chance.draw():08x}{chance.draw():08x}"'
    return writer.array([writer.object(summary), writer.object(sealed)])


def _count(draft: Draft, chance: Chance, writer: Writer, *, camel: bool) -> None:
    """Usage, a sixth of it with the cost."""
    answer: Answer = draft.answer
    usage = draft.usage
    usage["prompt_tokens"] = str(answer.prompt_tokens)
    usage["completion_tokens"] = str(answer.completion_tokens)
    usage["total_tokens"] = str(answer.total_tokens)
    cached = answer.prompt_tokens // 2 if chance.happens(200) else 0
    prompt_details: Made = {"cached_tokens": str(cached), "audio_tokens": "0" if chance.happens(710) else None}
    completion_details: Made = {"reasoning_tokens": str(answer.reasoning_tokens)}
    if not camel and chance.happens(640):
        completion_details["image_tokens"] = "0"
    has_prompt, has_completion = _PROMPT_DETAILS.pick(chance), _COMPLETION_DETAILS.pick(chance)
    if answer.lean:
        has_prompt = has_completion = None
    elif chance.happens(180):
        has_prompt = has_completion = "object"
        price = chance.pick(_PRICES)
        prompt, completion = answer.prompt_tokens * price / 1e8, answer.completion_tokens * price * 5 / 1e8
        usage["cost"] = "0" if chance.happens(20) else number(prompt + completion)
        usage["is_byok"] = "false"
        prompt_details["cache_write_tokens"] = prompt_details["video_tokens"] = "0"
        usage["prompt_tokens_details"] = None
        usage["cost_details"] = writer.object(
            {
                "upstream_inference_cost": NULL if chance.happens(94) else number(prompt + completion),
                "upstream_inference_prompt_cost": number(prompt),
                "upstream_inference_completions_cost": number(completion),
            }
        )
        draft.truth["cost"] = usage["cost"]
    if has_prompt is not None:
        usage["prompt_tokens_details"] = NULL if has_prompt == NULL else writer.object(prompt_details)
    if has_completion is not None:
        usage["completion_tokens_details"] = NULL if has_completion == NULL else writer.object(completion_details)
    if has_prompt == "object":
        draft.truth["cached_tokens"] = str(cached)
    if has_completion == "object":
        draft.truth["reasoning_tokens"] = str(answer.reasoning_tokens)


def _error(chance: Chance, material: Material) -> Written:
    """An error body, half of them with what the upstream said."""
    code, message = chance.pick(_ERRORS)
    error: Made = {"message": f'"{message}"', "code": code}
    if chance.happens(500):
        raw = COMPACT.value({"error": {"message": f"try again in {chance.below(60)} seconds", "code": int(code)}})
        error["metadata"] = COMPACT.object({"raw": quoted(raw), "provider_name": chance.pick(_PROVIDERS)})
    user = f'"user_{material.library.blob(chance, 27)}"'
    body = COMPACT.object({"error": COMPACT.object(error), "user_id": user})
    reported = COMPACT.object({"code": code, "message": f'"{message}"'})
    return Written(body, failed("openrouter", "error", reported, extra='["/user_id"]'))


SOURCE = Source(Shares({"chat": 823, "error": 43, "text": 1}), camel=80, write=write)
