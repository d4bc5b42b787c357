"""Bodies in the OpenAI dialect: chat, text, error, and lines of an OpenAI Batch output file.

`_HOSTS` are the services that speak it, by their share of 2,923 recorded chats; half of those hold members that OpenAI
does not send. Each host is one function that adds what it adds.
"""

from __future__ import annotations

from collections.abc import Callable

from .answer import Answer, Figures, Material, Said, draw_answer
from .chance import Chance, Shares, Spread
from .draft import Draft, Made, Source, Written, failed
from .shape import Shape
from .writing import CAMEL, COMPACT, NULL, SORTED, SPACED, Writer, number, quoted

FIGURES = Figures(
    sizes=Spread({0: 437, 10: 535, 25: 660, 50: 849, 75: 1_276, 90: 2_229, 95: 3_467, 99: 9_722, 100: 60_000}),
    parts=Shares(
        {
            (True, False, False): 1727,
            (False, True, False): 615,
            (True, False, True): 281,
            (False, True, True): 170,
            (True, True, False): 70,
            (True, True, True): 45,
            (False, False, True): 29,
        }
    ),
    texts=Shares({"prose": 58, "code": 20, "typographic": 18, "world": 4}),
    overhead=540,
    logprobs=10,
    second_choice=7,
    refusals=9,
)

_WRITERS = Shares({COMPACT: 60, SORTED: 20, SPACED: 20})
_MODELS = (
    '"heron-4o-2026-08-06"',
    '"heron-4o-mini-2026-07-18"',
    '"heron-5"',
    '"lark-3.1-8b-instant"',
    '"q4-coder-32b"',
)
_ERRORS = (
    ("invalid_api_key", "invalid_request_error", "Incorrect API key provided: sk-...Qx7T."),
    ("model_not_found", "invalid_request_error", "The model `heron-9` does not exist or you do not have access to it."),
    ("insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
    ("invalid_value", "invalid_request_error", "Invalid type for 'messages[0].content': expected a string."),
)


def write(shape: Shape, chance: Chance, material: Material, created: int) -> Written:
    """One record."""
    if shape.variant == "error":
        return _error(chance)
    if shape.variant == "batch":
        return _batch(shape, chance, material, created)
    writer = CAMEL if shape.spelling == "camel" else _WRITERS.pick(chance)
    answer = draw_answer(FIGURES, shape, chance, material, ascii_only=writer.spaced)
    if shape.variant == "text":
        draft = _text(answer, chance, material, writer, created)
    else:
        draft = chat(answer, chance, material, writer, created)
        if not writer.camel:  # SDKs print what they know
            host = _LEAN_HOSTS.pick(chance) if answer.lean else _HOSTS.pick(chance)
            host(draft, chance, material, writer)
    if shape.trait == "repair":
        draft.break_one(chance)
    return draft.written(writer)


def chat(answer: Answer, chance: Chance, material: Material, writer: Writer, created: int) -> Draft:
    """A chat with the members and the order of OpenAI's own."""
    fingerprint = f'"fp_{chance.draw():08x}"' if chance.happens(750) else NULL
    draft = Draft(
        "openai",
        "chat",
        answer,
        top={
            "id": f'"chatcmpl-{material.id(chance, 29)}"',
            "object": '"chat.completion"',
            "created": str(created),
            "model": chance.pick(_MODELS),
            "choices": None,
            "usage": None,
            "service_tier": '"default"' if not answer.lean and chance.happens(400) else None,
            "system_fingerprint": fingerprint,
        },
        choices=[],
        messages=[message(said, writer) for said in answer.said],
        usage={
            "prompt_tokens": str(answer.prompt_tokens),
            "completion_tokens": str(answer.completion_tokens),
            "total_tokens": str(answer.total_tokens),
        },
    )
    for at, said in enumerate(answer.said):
        logprobs = NULL if said.run is None else said.run.chat(writer)
        finish = f'"{said.finish}"'
        draft.choices.append({"index": str(at), "message": None, "logprobs": logprobs, "finish_reason": finish})
    return draft


def message(said: Said, writer: Writer) -> Made:
    """A message with the members of OpenAI's own."""
    made: Made = {"role": '"assistant"', "content": said.content}
    if said.calls:
        made["tool_calls"] = said.tool_calls(writer)
    made["refusal"] = said.refusal
    made["annotations"] = "[]" if not said.calls else None
    if said.reasoning != NULL:
        made["reasoning_content"] = said.reasoning
    return made


# -- who speaks the dialect


def _details(draft: Draft, chance: Chance, writer: Writer, more_prompt: Made, more_completion: Made) -> None:
    """Token details, with more members where a host has them."""
    cached = draft.answer.prompt_tokens * 3 // 4 if chance.happens(250) else 0
    thought = str(draft.answer.reasoning_tokens)
    draft.usage["prompt_tokens_details"] = writer.object({"cached_tokens": str(cached), **more_prompt})
    draft.usage["completion_tokens_details"] = writer.object({"reasoning_tokens": thought, **more_completion})
    draft.truth["cached_tokens"] = str(cached)
    draft.truth["reasoning_tokens"] = thought


_PREDICTED: Made = {"audio_tokens": "0", "accepted_prediction_tokens": "0", "rejected_prediction_tokens": "0"}


def _openai(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:  # noqa: ARG001 - one signature
    _details(draft, chance, writer, {"audio_tokens": "0"}, _PREDICTED)


def _minimal(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:  # noqa: ARG001
    """A small server: role, content, three counts."""
    draft.top["service_tier"] = draft.top["system_fingerprint"] = None
    for choice, made in zip(draft.choices, draft.messages, strict=True):
        if made["refusal"] == NULL:
            made["refusal"] = None
        made["annotations"] = None
        if choice["logprobs"] == NULL:
            choice["logprobs"] = None


_SAFE = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}


def _azure(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:  # noqa: ARG001
    _details(draft, chance, writer, {"audio_tokens": "0"}, _PREDICTED)
    shield = {"jailbreak": {"detected": False, "filtered": False}}
    prompt = [{"prompt_index": 0, "content_filter_results": {**_SAFE, **shield}}]
    draft.add_extra(draft.top, {"prompt_filter_results": writer.value(prompt)})
    for at, choice in enumerate(draft.choices):
        filtered = writer.value(_SAFE) if draft.answer.said[at].content != NULL else "{}"
        draft.add_extra(choice, {"content_filter_results": filtered}, f"/choices/{at}")


def _seconds(chance: Chance, upto: int) -> str:
    """Some seconds, with as many digits as clocks give."""
    return number(chance.below(upto * 1_000_000) / 1e6)


def _groq(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:
    times: Made = {f"{name}_time": _seconds(chance, 3) for name in ("queue", "prompt", "completion", "total")}
    draft.add_extra(draft.usage, times, "/usage")
    draft.top["service_tier"] = '"on_demand"'
    draft.add_extra(draft.top, {"usage_breakdown": NULL})
    draft.add_extra(draft.top, {"x_groq": writer.object({"id": f'"req_{material.id(chance, 26)}"'})})


def _xai(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:  # noqa: ARG001
    text_tokens: Made = {"text_tokens": str(draft.answer.prompt_tokens), "audio_tokens": "0", "image_tokens": "0"}
    _details(draft, chance, writer, text_tokens, _PREDICTED)
    draft.add_extra(draft.usage, {"num_sources_used": "0"}, "/usage")


def _deepseek(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:  # noqa: ARG001
    prompt, hit = draft.answer.prompt_tokens, chance.below(2) * 64
    draft.usage["prompt_tokens_details"] = writer.object({"cached_tokens": str(hit)})
    draft.truth["cached_tokens"] = str(hit)
    counts: Made = {"prompt_cache_hit_tokens": str(hit), "prompt_cache_miss_tokens": str(max(0, prompt - hit))}
    draft.add_extra(draft.usage, counts, "/usage")


def _llama_cpp(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:  # noqa: ARG001
    timings: Made = {
        "prompt_n": str(draft.answer.prompt_tokens),
        "prompt_ms": _seconds(chance, 900),
        "prompt_per_second": _seconds(chance, 900),
        "predicted_n": str(draft.answer.completion_tokens),
        "predicted_ms": _seconds(chance, 9_000),
        "predicted_per_second": _seconds(chance, 90),
    }
    draft.add_extra(draft.top, {"timings": writer.object(timings)})


def _perplexity(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:
    links = [f"https://tides.example/{chance.draw():08x}" for _ in range(chance.between(1, 8))]
    found = [
        writer.object(
            {
                "title": f'"{material.library.plain(chance, 40)}"',
                "url": f'"{link}"',
                "date": '"2026-03-14"',
                "snippet": f'"{material.library.plain(chance, chance.between(60, 300))}"',
            }
        )
        for link in links
    ]
    draft.add_extra(draft.top, {"citations": writer.value(links), "search_results": writer.array(found)})
    for at, choice in enumerate(draft.choices):
        draft.add_extra(choice, {"delta": writer.object({"role": '"assistant"', "content": '""'})}, f"/choices/{at}")
    prompt, completion = draft.answer.prompt_tokens / 1e6, draft.answer.completion_tokens / 1e6
    items: Made = {
        "input_tokens_cost": number(prompt),
        "output_tokens_cost": number(completion),
        "request_cost": "0.005",
    }
    total = number(prompt + completion + 0.005)
    draft.add_extra(draft.usage, {"search_context_size": '"low"'}, "/usage")
    draft.usage["cost"] = writer.object({**items, "total_cost": total})
    draft.extra += [f"/usage/cost/{name}" for name in items]
    draft.truth["cost"] = total


def _mistral(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:  # noqa: ARG001
    """Text and thoughts as a list of parts, where there are thoughts."""
    for at, (said, made) in enumerate(zip(draft.answer.said, draft.messages, strict=True)):
        made["annotations"] = made["refusal"] = None
        if made.pop("reasoning_content", None) is not None:
            inner = writer.array([writer.object({"type": '"text"', "text": said.reasoning})])
            parts = [writer.object({"type": '"thinking"', "closed": "true", "thinking": inner})]
            if said.content != NULL:
                parts.append(writer.object({"type": '"text"', "text": said.content}))
            made["content"] = writer.array(parts)
            draft.extra.append(f"/choices/{at}/message/content/0/closed")
        if not said.calls:
            made["tool_calls"] = NULL
        if said.refusal != NULL:
            made["refusal"] = said.refusal
    draft.top["service_tier"] = None
    draft.add_extra(draft.usage, {"service_tier": '"standard"'}, "/usage")


def _zai(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:
    _minimal(draft, chance, material, writer)
    draft.add_extra(draft.top, {"request_id": f'"{material.id(chance, 32)}"'})


def _vllm(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:
    _minimal(draft, chance, material, writer)
    for at, (said, choice) in enumerate(zip(draft.answer.said, draft.choices, strict=True)):
        stopped_by = "154827" if said.calls else NULL
        draft.add_extra(choice, {"stop_reason": stopped_by, "token_ids": NULL}, f"/choices/{at}")
    draft.add_extra(draft.top, {"prompt_logprobs": NULL, "prompt_token_ids": NULL, "kv_transfer_params": NULL})


def _cerebras(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:
    _minimal(draft, chance, material, writer)
    times: Made = {f"{name}_time": _seconds(chance, 2) for name in ("queue", "prompt", "completion", "total")}
    draft.add_extra(draft.top, {"time_info": writer.object({**times, "created": number(1_760_000_000.25)})})


Host = Callable[[Draft, Chance, Material, Writer], None]
_HOSTS: Shares[Host] = Shares(
    {
        _openai: 1300,
        _minimal: 420,
        _xai: 276,
        _azure: 207,
        _groq: 197,
        _llama_cpp: 128,
        _deepseek: 109,
        _vllm: 103,
        _perplexity: 101,
        _zai: 80,
        _mistral: 65,
        _cerebras: 48,
    }
)
_LEAN_HOSTS: Shares[Host] = Shares({_minimal: 450, _zai: 80, _vllm: 103, _deepseek: 109})


# -- the other variants


def _text(answer: Answer, chance: Chance, material: Material, writer: Writer, created: int) -> Draft:
    draft = chat(answer, chance, material, writer, created)
    draft.variant = "text"
    draft.top["id"] = f'"cmpl-{material.id(chance, 29)}"'
    draft.top["object"] = '"text_completion"'
    draft.top["service_tier"] = None
    draft.messages = []
    draft.choices = [
        {
            "text": said.content if said.refusal == NULL else said.refusal,
            "index": str(at),
            "logprobs": NULL if said.run is None else said.run.columns(writer),
            "finish_reason": f'"{said.finish}"',
        }
        for at, said in enumerate(answer.said)
    ]
    draft.truth["contents"] = COMPACT.array([choice["text"] or NULL for choice in draft.choices])
    draft.truth["refusals"] = draft.truth["reasonings"] = COMPACT.array([NULL for _ in draft.choices])
    return draft


def _error(chance: Chance) -> Written:
    code, kind, text = chance.pick(_ERRORS)
    error: Made = {"message": quoted(text), "type": f'"{kind}"', "param": NULL, "code": f'"{code}"'}
    reported = COMPACT.object({"code": f'"{code}"', "message": quoted(text)})
    return Written(COMPACT.object({"error": COMPACT.object(error)}), failed("openai", "error", reported))


def _batch(shape: Shape, chance: Chance, material: Material, created: int) -> Written:
    """A line of a Batch output file; one in thirty is a call that failed."""
    refused = chance.happens(30)
    body, truth = write(shape._replace(variant="error" if refused else "chat"), chance, material, created)
    identity = f'"batch_req_{chance.draw():08x}{chance.draw():08x}"'
    custom = f'"request-{chance.below(1_000_000)}"'
    response: Made = {
        "status_code": "400" if refused else "200",
        "request_id": f'"{chance.draw():08x}{chance.draw():08x}"',
        "body": body,
    }
    line: Made = {
        "id": identity,
        "custom_id": custom,
        "response": COMPACT.object(response),
        "error": NULL,
    }
    around: Made = {"envelope": '"openai_batch"', "envelope_id": custom, "body": '"/response/body"'}
    return Written(COMPACT.object(line), lambda: truth() | around)


SOURCE = Source(Shares({"chat": 2922, "error": 123, "text": 37}), camel=0, write=write, on_request=("batch",))
