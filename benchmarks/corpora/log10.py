"""log10's bodies: responses as its clients rebuild them (chat, text), and the records around them.

`log_record` is a record in any form; `log_text` is the form of the first API, whose request and response are JSON in
strings; `error` is a record of a call that failed or has not finished. No traffic of log10's was ever recorded in
public; the members are those of its clients' code, one function for each of their ways to rebuild an answer.
"""

from __future__ import annotations

from collections.abc import Callable

from .answer import Answer, Figures, Material, draw_answer
from .chance import Chance, Shares, Spread
from .draft import Draft, Made, Source, Written, failed
from .shape import Shape
from .writing import CAMEL, COMPACT, NULL, SPACED, Writer, number, quoted

FIGURES = Figures(
    sizes=Spread({0: 437, 10: 535, 25: 660, 50: 849, 75: 1_276, 90: 2_229, 95: 4_000, 99: 9_722, 100: 30_000}),
    parts=Shares({(True, False, False): 750, (False, True, False): 220, (True, True, False): 30}),
    texts=Shares({"prose": 58, "code": 20, "typographic": 18, "world": 4}),
    overhead=480,
)

_MODELS = ('"heron-4o-2026-08-06"', '"heron-4o-mini"', '"lark-3.1-70b"')
_OBJECT = "/object"


def write(shape: Shape, chance: Chance, material: Material, created: int) -> Written:
    """One record."""
    if shape.variant == "error":
        return _failed(chance, material)
    camel = shape.spelling == "camel"
    record = shape.variant in ("log_record", "log_text")
    writer = CAMEL if camel else SPACED if shape.variant == "log_text" or chance.happens(300) else COMPACT
    inner = shape._replace(variant="text" if record and chance.happens(80) else shape.variant)
    if shape.size == "small" and record:
        inner = inner._replace(trait=shape.trait or "plain")
    answer = draw_answer(FIGURES, inner, chance, material, ascii_only=writer.spaced)
    draft = _draft(answer, chance, material, created, writer, text=inner.variant == "text")
    _way(draft, shape, writer).pick(chance)(draft, chance, material, writer)
    if shape.trait == "repair":
        draft.break_one(chance)
    if not record:
        return draft.written(writer)
    return _record(draft, chance, material, writer, texts=shape.variant == "log_text")


# -- responses, as they are rebuilt


def _draft(answer: Answer, chance: Chance, material: Material, created: int, writer: Writer, *, text: bool) -> Draft:
    """What all ways to rebuild an answer have in common."""
    draft = Draft(
        "openai",  # until a mark says otherwise
        "text" if text else "chat",
        answer,
        top={
            "id": f'"chatcmpl-{material.id(chance, 29)}"',
            "object": '"text_completion"' if text else '"chat.completion"',
            "created": str(created),
            "model": chance.pick(_MODELS),
            "choices": None,
            "usage": None,
        },
        choices=[],
        messages=[] if text else [{"role": '"assistant"', "content": said.content} for said in answer.said],
        usage={
            "prompt_tokens": str(answer.prompt_tokens),
            "completion_tokens": str(answer.completion_tokens),
            "total_tokens": str(answer.total_tokens),
        },
    )
    for at, said in enumerate(answer.said):
        logprobs = NULL
        if said.run is not None:
            logprobs = said.run.columns(writer) if text else said.run.chat(writer)
        made: Made = {"text": said.content} if text else {"message": None}
        draft.choices.append({"index": str(at), "finish_reason": f'"{said.finish}"', **made, "logprobs": logprobs})
        if said.calls:
            draft.messages[at]["tool_calls"] = said.tool_calls(writer)
        if said.reasoning != NULL and not writer.camel:  # it is not in the schema of the SDK
            draft.messages[at]["reasoning_content"] = said.reasoning
    if writer.camel:
        draft.truth["reasonings"] = COMPACT.array([NULL for _ in answer.said])
    return draft


def _way(draft: Draft, shape: Shape, writer: Writer) -> Shares[Way]:
    """The ways in which an answer can have been rebuilt; most of them lose what not every answer has."""
    said = draft.answer.said
    if writer.camel or draft.answer.lean or shape.trait == "repair":
        return _PLAIN
    if any(choice.run is not None or choice.reasoning != NULL for choice in said):
        return _PLAIN
    return _CHAT_WAYS if draft.messages else _TEXT_WAYS


def _raw(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:  # noqa: ARG001 - one signature
    """As the service sent it, or as the schema has it."""
    draft.top["system_fingerprint"] = f'"fp_{chance.draw():08x}"'


def _dump(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:
    """The OpenAI client's dump: every optional member is there, as null."""
    _raw(draft, chance, material, writer)
    draft.top["service_tier"] = NULL
    draft.usage |= {"completion_tokens_details": NULL, "prompt_tokens_details": NULL}
    for message in draft.messages:
        for name in ("refusal", "annotations", "audio", "function_call", "tool_calls"):
            message.setdefault(name, NULL)


def _sync_stream(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:  # noqa: ARG001
    """Put together from a stream: no time, no counts; with tool calls not even id and model."""
    _mark(draft, "completion")
    _uncounted(draft)
    if draft.answer.said[0].calls:
        draft.top["id"] = draft.top["model"] = NULL
        if draft.messages[0]["content"] == NULL:
            draft.messages[0]["content"] = '""'
            draft.truth["contents"] = '[""]'
        draft.messages[0]["tool_calls"] = draft.answer.said[0].tool_calls(writer, numbered=True)


def _async_stream(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:
    """The last chunk with the message put in: the finish word and the counts are lost."""
    said = draft.answer.said[0]
    if said.calls:
        _dump(draft, chance, material, writer)
        return
    choice = draft.choices[0]
    draft.add_extra(
        choice, {"delta": writer.object({"content": f'"{material.library.plain(chance, 4)}"'})}, "/choices/0"
    )
    choice["finish_reason"] = NULL
    draft.truth["finish_reasons"] = f"[{NULL}]"
    _uncounted(draft)


def _anthropic(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:
    """From a message of Anthropic's; the arguments of its calls are a Python repr."""
    _mark(draft, "completion")
    draft.top["id"] = f'"msg_{material.id(chance, 24)}"'
    said = draft.answer.said[0]
    if said.calls:
        said.finish = "stop"
        draft.choices[0]["finish_reason"] = '"stop"'
        said.calls = [
            call._replace(arguments=f"\"{{'city': '{material.library.plain(chance, 9)}'}}\"") for call in said.calls
        ]
        draft.messages[0]["tool_calls"] = said.tool_calls(writer, numbered=True)
        draft.notes += ["python_arguments"] * len(said.calls)


def _anthropic_stream(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:  # noqa: ARG001
    """From a stream of Anthropic's: its own finish words."""
    _mark(draft, "chat")
    draft.top["id"] = f'"msg_{material.id(chance, 24)}"'
    words = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
    _finish(draft, words)


def _vertex(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:  # noqa: ARG001
    """From Vertex AI: no model, finish words in lower case."""
    draft.top["model"] = draft.top["created"] = None
    _finish(draft, {"length": "max_tokens", "content_filter": "safety"})


def _wrapper_stream(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:  # noqa: ARG001
    """The TypeScript wrapper's stream: created 0, an empty fingerprint, no counts."""
    draft.source = "log10"
    draft.top |= {"created": "0", "system_fingerprint": '""'}
    draft.truth["created"] = NULL
    draft.notes.append("placeholder")
    _uncounted(draft)


def _bedrock(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:  # noqa: ARG001
    """The TypeScript wrapper in front of Bedrock: milliseconds, counts of -1."""
    draft.source = "log10"
    created = draft.top["created"] or "0"
    draft.top["created"] = f"{created}{chance.between(100, 999)}"
    draft.usage |= dict.fromkeys(draft.usage, "-1")
    draft.truth |= {"created": created, **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), NULL)}
    draft.notes += ["milliseconds", "placeholder", "placeholder", "placeholder"]


def _mosaic(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:  # noqa: ARG001
    """Text from MosaicML: neither a finish word nor counts."""
    draft.choices[0]["finish_reason"] = NULL
    draft.truth["finish_reasons"] = f"[{NULL}]"
    _uncounted(draft)
    draft.top |= {"created": None, "usage": NULL}


def _claude_text(draft: Draft, chance: Chance, material: Material, writer: Writer) -> None:  # noqa: ARG001
    """Text from Anthropic's first API: zeros for counts."""
    _mark(draft, "completion")
    draft.usage |= dict.fromkeys(draft.usage, "0")
    draft.truth |= dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), "0")


def _mark(draft: Draft, word: str) -> None:
    """A word for `object` that only log10 writes, without a time."""
    draft.source = "log10"
    draft.top |= {"object": f'"{word}"', "created": None}
    draft.extra.append(_OBJECT)


def _uncounted(draft: Draft) -> None:
    del draft.top["usage"]
    draft.truth |= dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), NULL)


def _finish(draft: Draft, words: dict[str, str]) -> None:
    """Finish words that are not OpenAI's."""
    native = []
    for said, choice in zip(draft.answer.said, draft.choices, strict=True):
        word = words.get(said.finish, said.finish)
        choice["finish_reason"] = f'"{word}"'
        native.append(f'"{word}"' if word != said.finish else NULL)
    draft.truth["native_finish_reasons"] = COMPACT.array(native)


Way = Callable[[Draft, Chance, Material, Writer], None]
_PLAIN: Shares[Way] = Shares({_raw: 1})
_CHAT_WAYS: Shares[Way] = Shares(
    {
        _dump: 35,
        _raw: 15,
        _sync_stream: 12,
        _async_stream: 10,
        _anthropic: 10,
        _anthropic_stream: 8,
        _vertex: 4,
        _wrapper_stream: 3,
        _bedrock: 3,
    }
)
_TEXT_WAYS: Shares[Way] = Shares({_raw: 60, _claude_text: 25, _mosaic: 15})


# -- records


def _uuid(chance: Chance) -> str:
    first, second, third, fourth = (f"{chance.draw():08x}" for _ in range(4))
    return f'"{first}-{second[:4]}-4{second[5:]}-a{third[1:4]}-{third[4:]}{fourth}"'


def _record(draft: Draft, chance: Chance, material: Material, writer: Writer, *, texts: bool) -> Written:
    """A finished record around a response."""
    below = "/response"
    draft.source = "log10"  # an unmarked response in its own envelope is its own
    draft.extra = [below + pointer for pointer in draft.extra]
    response, truth = draft.written(writer)
    identity, session = _uuid(chance), _uuid(chance)
    question = material.library.text(chance, chance.between(10, 400), FIGURES.texts, ascii_only=writer.spaced)
    messages = [writer.object({"role": '"user"', "content": question})]
    if chance.happens(500):
        messages.insert(0, writer.object({"role": '"system"', "content": '"You are a harbour pilot."'}))
    request = writer.object({"messages": writer.array(messages), "model": chance.pick(_MODELS), "temperature": "0.2"})
    trace = writer.value([{"file": "/srv/app.py", "line": "answer = ask()", "lineno": 12, "name": "<module>"}])
    milliseconds = chance.between(200, 30_000)
    organization = f'"org_{material.library.blob(chance, 8)}"'
    record: Made = {
        "id": identity,
        "organization_id": organization,
        "kind": '"chat"' if draft.variant == "chat" else '"completion"' if texts else '"prompt"',
        "status": '"finished"',
        "tags": writer.array(['"prod"', f'"team-{chance.below(9)}"'][: chance.below(3)]),
        "request": request,
        "response": response,
    }
    kept = ["organizationId" if writer.camel else "organization_id", "kind"]
    at = "/data" if not (writer.camel or texts) and chance.happens(400) else ""
    seconds = number(milliseconds / 1000)
    if writer.camel:
        record |= {"session_id": session, "duration": seconds}
    elif texts or at:  # the first API: whole milliseconds
        record |= {
            "request": quoted(request) if texts else request,
            "response": quoted(response) if texts else response,
            "stacktrace": quoted(trace) if texts else trace,
            "session_id": session,
            "duration": str(milliseconds),
            "orig_module": '"openai.resources.chat.completions"',
            "orig_qualname": '"Completions.create"',
            "created_at": '"2026-03-14T08:15:30.250000+00:00"',
        }
        kept += ["stacktrace", "orig_module", "orig_qualname"]
        draft.notes.append("milliseconds")
    else:
        record["duration"] = seconds
    body = writer.object(record)
    pointers = sorted([*(f"/{name}" for name in kept), *draft.extra])
    around: Made = {
        "envelope": '"log10_record"',
        "envelope_id": identity,
        "duration": seconds,
        "body": f'"{at}{below}"',
        "extra": COMPACT.array([f'"{at}{pointer}"' for pointer in pointers]),
    }
    return Written(writer.object({"data": body}) if at else body, lambda: truth() | around)


_FAILURES = (
    ("RateLimitError", "Error code: 429 - rate limit reached for requests"),
    ("APITimeoutError", "Request timed out."),
    ("ContextWindowExceedError", "This model's maximum context length is 8192 tokens."),
)


def _failed(chance: Chance, material: Material) -> Written:
    """A record of a call that failed, or (one in four) has not finished."""
    kind, reason = chance.pick(_FAILURES)
    request = COMPACT.value({"messages": [{"role": "user", "content": "Is the ferry late?"}], "model": "heron-4o"})
    pending = chance.happens(250)
    identity = _uuid(chance)
    record: Made = {
        "id": identity,
        "organization_id": f'"org_{material.library.blob(chance, 8)}"',
        "kind": '"chat"',
        "status": '"started"' if pending else '"failed"',
        "request": request,
        "failure_kind": None if pending else f'"{kind}"',
        "failure_reason": None if pending else f'"{reason}"',
    }
    error: Made = {"code": '"pending"' if pending else NULL}
    error["message"] = '"the call has not finished"' if pending else f'"{reason}"'
    around: Made = {"envelope": '"log10_record"', "envelope_id": identity}
    extra = '["/kind","/organization_id"]'
    return Written(COMPACT.object(record), failed("log10", "log_record", COMPACT.object(error), **around, extra=extra))


SOURCE = Source(Shares({"log_record": 45, "log_text": 25, "chat": 20, "text": 7, "error": 3}), camel=80, write=write)
