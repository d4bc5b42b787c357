"""Atoma's bodies: chat, text, error, as three engines write them and a node signs them.

No traffic of Atoma's was ever recorded in public; the members are those of its nodes' and engines' code. The camelCase
form is what the TypeScript SDK prints: it drops what its schema does not know, the signature too, so that nothing in
such a body says who wrote it. In a quarter of them the node's two keys are still there, re-cased by a logger.
"""

from __future__ import annotations

from .answer import Answer, Figures, Material, draw_answer
from .chance import Chance, Shares, Spread
from .draft import Draft, Made, Source, Written, failed
from .shape import Shape
from .writing import CAMEL, COMPACT, NULL, SORTED, Writer, number

FIGURES = Figures(
    sizes=Spread({0: 560, 10: 640, 25: 760, 50: 1_050, 75: 2_000, 90: 4_300, 95: 9_000, 99: 16_000, 100: 40_000}),
    parts=Shares(
        {
            (True, False, False): 640,
            (True, False, True): 160,
            (False, True, False): 150,
            (True, True, False): 20,
            (False, True, True): 30,
        }
    ),
    texts=Shares({"prose": 52, "code": 20, "typographic": 23, "world": 5}),
    overhead=680,
    logprobs=20,
    second_choice=5,
    call_prefix="chatcmpl-tool-",
)

_WRITERS = Shares({COMPACT: 9, SORTED: 1})
_MODELS = ('"meridian-ai/Lark-3.3-70B-Instruct"', '"q-lab/Q4-32B-AWQ"', '"open-tern/Gull-R1"')
_ENGINES = Shares({"vllm": 45, "vllm_newer": 30, "sglang": 15, "mistralrs": 10})
_ERRORS = (
    ("TOO_MANY_REQUESTS", "Too many requests"),
    ("BALANCE_ERROR", "Insufficient balance"),
    ("INTERNAL_ERROR", "Bad Request"),
    ("SERVICE_UNAVAILABLE", "Service unavailable"),
)


def write(shape: Shape, chance: Chance, material: Material, created: int) -> Written:
    """One record."""
    if shape.variant == "error":
        return _error(chance)
    camel = shape.spelling == "camel"
    writer = CAMEL if camel else _WRITERS.pick(chance)
    answer = draw_answer(FIGURES, shape, chance, material, ascii_only=False)
    text = shape.variant == "text"
    engine = "vllm" if text or answer.lean else _ENGINES.pick(chance)
    draft = _draft(answer, chance, writer, created, engine=engine, text=text)
    if camel:
        _as_sdk_prints(draft, writer)
    else:
        _as_engine_writes(draft, chance, writer, engine, text=text)
    if not camel or chance.happens(250):
        _sign(draft, chance, material, camel=camel)
    else:
        draft.source = "openai"  # nothing tells
    if shape.trait == "repair":
        draft.break_one(chance)
    return draft.written(writer)


def _draft(answer: Answer, chance: Chance, writer: Writer, created: int, *, engine: str, text: bool) -> Draft:
    """What all engines and the SDK have in common."""
    identity = f"{'cmpl' if text else 'chatcmpl'}-{chance.draw():08x}{chance.draw():08x}{chance.draw():08x}"
    if engine == "sglang":
        identity = f"{chance.draw():08x}{chance.draw():08x}"
    elif engine == "mistralrs":
        identity = str(chance.below(100_000))
    draft = Draft(
        "atoma",
        "text" if text else "chat",
        answer,
        top={
            "id": f'"{identity}"',
            "object": '"text_completion"' if text else '"chat.completion"',
            "created": str(created),
            "model": chance.pick(_MODELS),
            "choices": None,
            "usage": None,
        },
        choices=[],
        messages=[],
        usage={
            "prompt_tokens": str(answer.prompt_tokens),
            "total_tokens": str(answer.total_tokens),
            "completion_tokens": str(answer.completion_tokens),
        },
    )
    for at, said in enumerate(answer.said):
        if text:
            logprobs = NULL if said.run is None else said.run.columns(writer)
            choice: Made = {"index": str(at), "text": said.content, "logprobs": logprobs}
        else:
            logprobs = NULL if said.run is None else said.run.chat(writer, refusal=False)
            choice = {"index": str(at), "message": None, "logprobs": logprobs}
            calls = said.tool_calls(writer) if said.calls else None
            draft.messages.append({"role": '"assistant"', "content": said.content, "tool_calls": calls})
        draft.choices.append({**choice, "finish_reason": f'"{said.finish}"'})
    return draft


def _as_sdk_prints(draft: Draft, writer: Writer) -> None:
    """Only what the SDK's schema has: no thoughts, no reason to stop; details whole or null."""
    draft.truth["reasonings"] = COMPACT.array([NULL for _ in draft.choices])
    if not draft.answer.lean:
        draft.usage["prompt_tokens_details"] = writer.object({"audio_tokens": "0", "cached_tokens": "0"})
        draft.truth["cached_tokens"] = "0"


def _as_engine_writes(draft: Draft, chance: Chance, writer: Writer, engine: str, *, text: bool) -> None:
    """The members of an engine's own."""
    said, usage = draft.answer.said, draft.usage
    for spoken, message in zip(said, draft.messages, strict=False):
        message["reasoning_content"] = spoken.reasoning
        if message["tool_calls"] is None:
            message["tool_calls"] = "[]" if engine.startswith("vllm") else NULL
    if engine == "mistralrs":
        speeds = ("avg_tok_per_sec", "avg_prompt_tok_per_sec", "avg_compl_tok_per_sec", "total_time_sec")
        draft.add_extra(usage, {name: number(chance.below(90_000) / 1e3) for name in speeds}, "/usage")
        draft.top["system_fingerprint"] = '"local"'
        return
    usage["prompt_tokens_details"] = NULL
    for at, choice in enumerate(draft.choices):
        stopped_by = str(chance.below(150_000)) if chance.happens(150) else NULL
        draft.add_extra(choice, {"matched_stop" if engine == "sglang" else "stop_reason": stopped_by}, f"/choices/{at}")
        if text:
            choice["prompt_logprobs"] = NULL
    if engine == "sglang":
        draft.add_extra(usage, {"reasoning_tokens": str(draft.answer.reasoning_tokens)}, "/usage")
        draft.add_extra(draft.top, {"metadata": writer.value({"weight_version": "default"})})
    elif not text:
        draft.top["prompt_logprobs"] = NULL
    if engine == "vllm_newer":
        cached = draft.answer.prompt_tokens // 16 * 16
        usage["prompt_tokens_details"] = writer.object({"cached_tokens": str(cached)})
        draft.truth["cached_tokens"] = str(cached)
        draft.top |= dict.fromkeys(("service_tier", "system_fingerprint", "kv_transfer_params"), NULL)
        for message in draft.messages:
            message.update(dict.fromkeys(("refusal", "annotations", "audio", "function_call"), NULL))


def _sign(draft: Draft, chance: Chance, material: Material, *, camel: bool) -> None:
    """What the node adds at the end."""
    blob = material.library.blob
    draft.top["signature"] = f'"A{blob(chance, 65)}{blob(chance, 66)}"'
    draft.top["response_hash"] = f'"{material.id(chance, 43)}="'
    draft.extra += ["/signature", "/responseHash" if camel else "/response_hash"]


def _error(chance: Chance) -> Written:
    code, text = chance.pick(_ERRORS)
    error = COMPACT.object({"code": f'"{code}"', "message": f'"{text}"'})
    return Written(COMPACT.object({"error": error}), failed("atoma", "error", error))


SOURCE = Source(Shares({"chat": 85, "text": 13, "error": 2}), camel=80, write=write)
