"""Streamed chat completions, made up by a seed, each with the facts that a reader must find in it.

    python -m benchmarks.generate_streams 1000 [--seed 1] > streams.jsonl

The shapes are those of OpenRouter, of Atoma's nodes (vLLM chunks, each one signed), of OpenAI, and of plain compatible
hosts; the text, names and ids are invented. The same seed gives the same bytes everywhere: all chance comes from
`Random.random`, whose sequence Python promises to keep. Every model is one that nobody has, so that no peer looks for
its tokenizer on the network.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Literal, TypeVar, get_args

Source = Literal["openrouter", "atoma", "openai", "compatible"]
Tools = Literal["", "index", "zero", "bare"]
Ending = Literal["missing", "every", "finish", "behind", "empty", "repeated"]

SOURCES: tuple[Source, ...] = get_args(Source)
Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class Shape:
    """What a stream looks like.

    Attributes:
        source: whose chunks they are.
        chunks: how many bring a piece of text, of thought or of a tool call; a few more open and close the stream.
        tokens: how many tokens one piece of text has.
        reasoning: whether the model thinks first.
        tools: "index" numbers the calls and cuts their arguments; "zero" sends whole calls, each with an id of its own
            and all under index 0, as Gemini does; "bare" sends whole calls without an index, as Mistral did.
        repeated_role: whether every chunk says the role, or only the first.
        usage: "missing"; "every" chunk has the count so far; on the "finish" chunk; on one "behind" it with an empty
            choice; on one with "empty" choices; on one that has the finish reason "repeated".
        finish: whether the stream gives a finish reason.
        empty_first: whether a chunk without choices, id and model opens the stream, as at Azure.
        escaped: whether JSON is written in ASCII.

    """

    source: Source
    chunks: int = 40
    tokens: int = 1
    reasoning: bool = False
    tools: Tools = ""
    repeated_role: bool = False
    usage: Ending = "empty"
    finish: bool = True
    empty_first: bool = False
    escaped: bool = False

    def __str__(self) -> str:
        """The source, and what is not as in the plainest stream."""
        plain = Shape(self.source)
        parts: list[str] = [self.source]
        for field in dataclasses.fields(self)[1:]:
            value = getattr(self, field.name)
            if value != getattr(plain, field.name):
                parts.append(field.name if value is True else f"{field.name}={value}")
        return " ".join(parts)


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a stream says of its answer, by whoever read it; a call is its id, name and arguments."""

    id: str | None
    model: str | None
    provider: str | None
    role: str | None
    content: str
    reasoning: str
    tool_calls: tuple[tuple[str | None, str | None, str], ...]
    finish_reason: str | None
    usage: tuple[int, int, int] | None  # prompt, completion and total tokens


@dataclasses.dataclass(frozen=True)
class GeneratedStream:
    """One stream as its source sends it, the JSON texts inside it, and the facts."""

    shape: Shape
    body: bytes
    payloads: tuple[bytes, ...]
    facts: Facts


# -- chance


def _pick(chance: Random, items: Sequence[Item]) -> Item:
    return items[int(chance.random() * len(items))]


def _between(chance: Random, low: int, high: int) -> int:
    return low + int(chance.random() * (high - low + 1))


def _weighted(chance: Random, items: dict[Item, float]) -> Item:
    left = chance.random() * sum(items.values())
    for item, weight in items.items():
        left -= weight
        if left < 0:
            return item
    return item


_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
_STARTS = ("b", "br", "c", "d", "f", "gl", "h", "k", "l", "m", "n", "p", "qu", "r", "s", "st", "t", "tr", "v", "")
_VOWELS = ("a", "e", "e", "i", "o", "u", "ea")
_ENDS = ("", "", "", "n", "r", "s", "l", "m", "nd", "st")
_SIGNS = (",", ",", ".", ".", ":", ";", " (", ")", "-", "'s", "?", "!", " 1", "25", "**", " -")
_ESCAPES = ("\n", "\n\n", '"', ' "', "\\", "\t", '":', "\\n", "/", "\r\n")
_FOREIGN = ("é", " für", "ñ", " — ", "时间", " мир", "😀", "ا", "’", "ß", " naïve", "\u2028", "한국", "\u00a0")  # noqa: RUF001


def _word(chance: Random) -> str:
    syllables = _weighted(chance, {1: 0.5, 2: 0.4, 3: 0.1})
    return "".join(_pick(chance, part) for _ in range(syllables) for part in (_STARTS, _VOWELS, _ENDS))[:7] or "a"


def _token(chance: Random) -> str:
    """A token of one to eight characters; one in twenty is not ASCII, one in twenty must be escaped in JSON."""
    kind = chance.random()
    if kind < 0.66:
        return " " + _word(chance)
    if kind < 0.76:
        return _word(chance)
    if kind < 0.90:
        return _pick(chance, _SIGNS)
    return _pick(chance, _ESCAPES if kind < 0.95 else _FOREIGN)


def _piece(chance: Random, tokens: int) -> str:
    return "".join(_token(chance) for _ in range(tokens))


def _name(chance: Random, length: int) -> str:
    return "".join(_pick(chance, _ALPHABET) for _ in range(length))


def _bytes(chance: Random, length: int) -> bytes:
    return bytes(int(chance.random() * 256) for _ in range(length))


# -- one answer, before anybody cuts it into chunks


@dataclasses.dataclass(frozen=True)
class _Call:
    id: str
    name: str
    fragments: list[str]


def _calls(shape: Shape, chance: Random, budget: int) -> list[_Call]:
    """Tool calls that take a number of chunks."""
    prefix = "chatcmpl-tool-" if shape.source == "atoma" else "call_"
    calls = []
    if shape.tools in ("zero", "bare"):
        for _ in range(min(budget, 4)):
            text = json.dumps({"place": _word(chance), "note": _piece(chance, 6)}, ensure_ascii=False)
            calls.append(_Call(prefix + _name(chance, 12), f"look_up_{_word(chance)}", [text]))
    elif shape.tools == "index":
        count = min(2, max(1, budget // 4))
        for at in range(count):
            length = budget // count - 1 + (budget % count if at == 0 else 0)  # one chunk opens the call
            pieces = [json.dumps(_token(chance), ensure_ascii=False)[1:-1] for _ in range(max(0, length - 2))]
            fragments = ['{"note": "', *pieces, '"}'] if length > 1 else ["{}"] * length
            calls.append(_Call(prefix + _name(chance, 12), f"look_up_{_word(chance)}", fragments))
    return calls


_MODELS: dict[Source, tuple[str, ...]] = {
    "openrouter": (
        "northwind/heron-3",
        "northwind/heron-3-mini:free",
        "meridian-ai/lark-70b-instruct",
        "q-lab/q4-235b",
    ),
    "atoma": ("meridian-ai/Lark-3.3-70B-Instruct", "q-lab/Q4-32B-AWQ"),
    "openai": ("heron-4o-2026-08-06", "heron-4o-mini-2026-07-18"),
    "compatible": ("lark-3.1-8b-instant", "deep-finch", "q-lab/Q4-Coder", "finch-4-fast"),
}
_PROVIDERS = ("Northwind", "Bluewater Compute", "Meridian AI Studio", "Q.Lab", "gateway-7")


def _facts(shape: Shape, chance: Random, thoughts: list[str], texts: list[str], calls: list[_Call]) -> Facts:
    created = _created(chance)
    identity = {
        "openrouter": f"gen-{created}-{_name(chance, 20)}",
        "atoma": f"chatcmpl-{_bytes(chance, 16).hex()}",
        "openai": f"chatcmpl-{_name(chance, 29)}",
        "compatible": _bytes(chance, 16).hex(),
    }[shape.source]
    prompt, completion = _between(chance, 8, 4000), (len(thoughts) + len(texts)) * shape.tokens + 9 * len(calls)
    finish = "tool_calls" if calls else "stop" if chance.random() < 0.9 else "length"
    return Facts(
        id=identity,
        model=_pick(chance, _MODELS[shape.source]),
        provider=_pick(chance, _PROVIDERS) if shape.source == "openrouter" else None,
        role="assistant",
        content="".join(texts),
        reasoning="".join(thoughts),
        tool_calls=tuple((call.id, call.name, "".join(call.fragments)) for call in calls),
        finish_reason=finish if shape.finish else None,
        usage=None if shape.usage == "missing" else (prompt, completion, prompt + completion),
    )


def _created(chance: Random) -> int:
    return _between(chance, 1_735_700_000, 1_795_000_000)


# -- the same answer as one source streams it


class _Writer:
    """The chunks of one stream; knows what its source puts where."""

    def __init__(self, shape: Shape, chance: Random, facts: Facts) -> None:
        self.shape = shape
        self.chance = chance
        self.facts = facts
        self.created = int(facts.id.split("-")[1]) if shape.source == "openrouter" and facts.id else _created(chance)
        self.fingerprint = "fp_" + _name(chance, 10).lower()
        self.payloads: list[bytes] = []
        self.counted = 0

    def write(self, chunk: dict[str, Any]) -> None:
        """One chunk as JSON."""
        text = json.dumps(chunk, ensure_ascii=self.shape.escaped, separators=(",", ":"))
        self.payloads.append(text.encode())

    def chunk(self, delta: dict[str, Any] | None, *, finish: str | None = None, usage: bool = False) -> None:
        """One chunk; without a delta it has no choices."""
        if delta is not None and self.shape.repeated_role:
            delta = {"role": self.facts.role, **delta}
        choices = [] if delta is None else [self.choice(delta, finish)]
        count = self.usage() if usage or self.shape.usage == "every" else None
        self.counted += 1
        source, facts = self.shape.source, self.facts
        head: dict[str, Any] = {"id": facts.id, "object": "chat.completion.chunk", "created": self.created}
        if source == "openrouter":
            if self.shape.usage in ("empty", "repeated"):  # the order since March 2026
                head |= {"model": facts.model, "provider": facts.provider, "choices": choices}
                if self.shape.usage == "repeated" and usage:
                    head["service_tier"] = "standard"
            else:
                head = {"id": facts.id, "provider": facts.provider, "model": facts.model, **head, "choices": choices}
        elif source == "openai":
            head |= {"model": facts.model, "service_tier": "default", "system_fingerprint": self.fingerprint}
            head["choices"] = choices
            if facts.usage is not None:
                head["usage"] = None
        else:
            head |= {"model": facts.model, "choices": choices}
        if count is not None:
            head["usage"] = count
        if source == "openai":
            head["obfuscation"] = _name(self.chance, _between(self.chance, 1, 15))
        elif source == "atoma":
            head["signature"] = base64.b64encode(b"\0" + _bytes(self.chance, 96)).decode()
            head["response_hash"] = base64.b64encode(_bytes(self.chance, 32)).decode()
        self.write(head)

    def choice(self, delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
        """The only choice of a chunk."""
        if self.shape.source == "openrouter":
            native = {None: None, "stop": "completed", "length": "MAX_TOKENS", "tool_calls": "STOP"}[finish]
            choice = {"index": 0, "delta": delta, "finish_reason": finish, "native_finish_reason": native}
            return choice if self.shape.usage in ("empty", "repeated") else {**choice, "logprobs": None}
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        if self.shape.source == "atoma" and finish is not None:
            choice["stop_reason"] = None
        return choice

    def usage(self) -> dict[str, Any] | None:
        """The count; where every chunk has one, it grows up to the facts."""
        if self.facts.usage is None:
            return None
        prompt, completion, total = self.facts.usage
        if self.shape.usage == "every" and self.counted < self.last():
            completion = min(completion, self.counted)
            total = prompt + completion
        count: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
        thought = completion // 2 if self.facts.reasoning else 0
        if self.shape.source == "openrouter":
            count |= {
                "cost": round(total * 3.1e-7, 8),
                "is_byok": False,
                "prompt_tokens_details": {"cached_tokens": prompt // 3, "audio_tokens": 0},
                "cost_details": {
                    "upstream_inference_cost": None,
                    "upstream_inference_prompt_cost": round(prompt * 2e-7, 8),
                    "upstream_inference_completions_cost": round(completion * 8e-7, 8),
                },
                "completion_tokens_details": {"reasoning_tokens": thought, "image_tokens": 0},
            }
        elif self.shape.source == "openai":
            count |= {
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {
                    "reasoning_tokens": thought,
                    "audio_tokens": 0,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            }
        elif self.shape.source == "compatible":
            count["prompt_tokens_details"] = {"cached_tokens": prompt // 4}
        return count

    def last(self) -> int:
        """The number of the last chunk that `chunk` writes, from zero."""
        opening = 0 if self.shape.source == "openrouter" else 1
        return opening + self.shape.chunks - (0 if self.shape.finish else 1)

    def thought(self, text: str) -> dict[str, Any]:
        """The delta of a piece of thought."""
        if self.shape.source == "openrouter":
            detail = {"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}
            return {"content": "", "reasoning": text, "reasoning_details": [detail]}
        if self.shape.source == "atoma":
            return {"reasoning_content": text}
        return {"content": None, "reasoning_content": text}

    def text(self, text: str) -> dict[str, Any]:
        """The delta of a piece of text."""
        if self.shape.source == "openrouter" and self.shape.reasoning:
            return {"content": text, "reasoning": None, "reasoning_details": []}
        return {"content": text}

    def calls(self, calls: list[_Call]) -> Iterator[dict[str, Any]]:
        """The deltas of all calls."""
        before: dict[str, Any] = {"content": None} if self.shape.source == "openrouter" else {}
        for at, call in enumerate(calls):
            opened: dict[str, Any] = {"index": at, "id": call.id, "type": "function"}
            function = {"name": call.name}
            if self.shape.tools in ("zero", "bare"):
                opened["index"] = 0
                if self.shape.tools == "bare":
                    del opened["index"]
                yield {**before, "tool_calls": [{**opened, "function": {**function, "arguments": call.fragments[0]}}]}
                continue
            if self.shape.source != "atoma":  # vLLM opens a call without arguments
                function["arguments"] = ""
            yield {**before, "tool_calls": [{**opened, "function": function}]}
            for fragment in call.fragments:
                yield {**before, "tool_calls": [{"index": at, "function": {"arguments": fragment}}]}


_SAFE = {"filtered": False, "severity": "safe"}
_EMPTY_FIRST = {
    "choices": [],
    "created": 0,
    "id": "",
    "model": "",
    "object": "",
    "prompt_filter_results": [
        {"prompt_index": 0, "content_filter_results": {"hate": _SAFE, "self_harm": _SAFE, "violence": _SAFE}}
    ],
}


def generate(shape: Shape, seed: int | str) -> GeneratedStream:
    """One stream of a shape; the same seed gives the same bytes."""
    chance = Random(f"{seed} {shape}")
    calling = shape.chunks // 2 if shape.tools else 0
    calls = _calls(shape, chance, calling)
    whole = shape.tools in ("zero", "bare")
    left = shape.chunks - (len(calls) if whole else sum(len(call.fragments) + 1 for call in calls))
    thinking = left // 2 if shape.reasoning else 0
    thoughts = [_piece(chance, shape.tokens) for _ in range(thinking)]
    texts = [_piece(chance, shape.tokens) for _ in range(left - thinking)]
    facts = _facts(shape, chance, thoughts, texts, calls)

    writer = _Writer(shape, chance, facts)
    if shape.empty_first:
        writer.write(_EMPTY_FIRST)
    if shape.source != "openrouter":
        opening: dict[str, Any] = {"role": facts.role, "content": ""}
        writer.chunk({**opening, "refusal": None} if shape.source == "openai" else opening)
    deltas = itertools.chain(map(writer.thought, thoughts), map(writer.text, texts), writer.calls(calls))
    for at, delta in enumerate(deltas):
        if at == 0 and shape.source == "openrouter" and not shape.repeated_role:
            delta = {"role": facts.role, **delta}  # noqa: PLW2901 - the first chunk says it in any case
        writer.chunk(delta)
    closing = {"content": ""} if shape.source in ("openrouter", "atoma") else {}
    if shape.finish or shape.usage == "finish":
        writer.chunk(closing, finish=facts.finish_reason, usage=shape.usage == "finish")
    if shape.usage in ("behind", "repeated"):
        writer.chunk(closing, finish=facts.finish_reason if shape.usage == "repeated" else None, usage=True)
    elif shape.usage == "empty":
        writer.chunk(None, usage=True)
    return GeneratedStream(shape, _framed(shape, chance, writer.payloads), tuple(writer.payloads), facts)


def _framed(shape: Shape, chance: Random, payloads: list[bytes]) -> bytes:
    """The payloads as server-sent events, with the comments of the source."""
    comment = {"openrouter": b": OPENROUTER PROCESSING\n\n", "atoma": b": keep-alive\n\n"}.get(shape.source, b"")
    events = [comment] * _between(chance, 0, 8)
    for payload in payloads:
        events.append(b"data: %b\n\n" % payload)
        if comment and chance.random() < 0.01:
            events.append(comment)
    if shape.source != "atoma":  # its proxy never forwards it
        events.append(b"data: [DONE]\n\n")
    return b"".join(events)


# -- many streams


_TOOLS: dict[Source, dict[Tools, float]] = {
    "openrouter": {"": 0.67, "index": 0.28, "zero": 0.05},
    "atoma": {"": 0.67, "index": 0.33},
    "openai": {"": 0.67, "index": 0.33},
    "compatible": {"": 0.67, "index": 0.25, "zero": 0.04, "bare": 0.04},
}
_ENDINGS: dict[Source, dict[Ending, float]] = {
    "openrouter": {"behind": 0.74, "repeated": 0.22, "empty": 0.03, "missing": 0.01},
    "atoma": {"empty": 0.95, "missing": 0.05},
    "openai": {"empty": 0.6, "missing": 0.4},
    "compatible": {"empty": 0.4, "missing": 0.25, "finish": 0.25, "every": 0.1},
}
_LENGTHS: dict[int, float] = {5: 0.15, 12: 0.25, 30: 0.25, 80: 0.15, 200: 0.12, 600: 0.07, 1500: 0.01}


def every_shape(chunks: int = 40) -> Iterator[Shape]:
    """Each combination of what a source really does, once."""
    either = (False, True)
    for source in SOURCES:
        plain = source == "compatible"
        for reasoning, tools, role, usage, finish, empty_first in itertools.product(
            (False,) if source == "openai" else either,
            _TOOLS[source],
            either if plain else (source == "openrouter",),
            _ENDINGS[source],
            either,
            either if plain else (False,),
        ):
            if finish or usage != "repeated":
                yield Shape(
                    source,
                    chunks=chunks,
                    reasoning=reasoning,
                    tools=tools,
                    repeated_role=role,
                    usage=usage,
                    finish=finish,
                    empty_first=empty_first,
                )


def draw(source: Source, seed: int | str) -> Shape:
    """A shape by chance; lengths and shares are about those of recorded streams."""
    chance = Random(f"{seed} {source} shape")
    plain = source == "compatible"
    usage = _weighted(chance, _ENDINGS[source])
    return Shape(
        source,
        chunks=_weighted(chance, _LENGTHS),
        tokens=_weighted(chance, {1: 0.85, 4: 0.1, 25: 0.05}),
        reasoning=source != "openai" and chance.random() < 0.5,
        tools=_weighted(chance, _TOOLS[source]),
        repeated_role=source == "openrouter" or (plain and chance.random() < 0.2),
        usage=usage,
        finish=usage == "repeated" or chance.random() < 0.98,
        empty_first=plain and chance.random() < 0.05,
        escaped=plain and chance.random() < 0.5,
    )


def draw_streams(source: Source, count: int, seed: int) -> Iterator[GeneratedStream]:
    """Streams of one source by chance, one at a time."""
    for number in range(count):
        yield generate(draw(source, f"{seed} {number}"), f"{seed} {number}")


def main() -> None:
    """Write records as `benchmarks.streams --file` reads them, the sources in turn."""
    parser = argparse.ArgumentParser(description="streamed chat completions, made up by a seed, as JSON lines")
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for number in range(args.count):
        source = SOURCES[number % len(SOURCES)]
        stream = generate(draw(source, f"{args.seed} {number}"), f"{args.seed} {number}")
        record = {
            "id": f"{args.seed}-{number}",
            "family": source,
            "kind": "chunk_stream",
            "encoding": "sse",
            "shape": str(stream.shape),
            "facts": dataclasses.asdict(stream.facts),
            "body": stream.body.decode(),
        }
        sys.stdout.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
