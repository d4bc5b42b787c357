"""Who reads the streams: ours on both paths, and the peers where they are installed (`pip install openai litellm`).

Each reader has one function from a stream to whatever the library calls a response, which is timed, and one that takes
the facts out of it, which is not. Peers get the JSON texts already separated; ours gets the bytes of the stream.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import orjson

from normcompletion import Choice, Completion, FunctionCall, assemble, iter_events, normalize

from .generate_streams import Facts, GeneratedStream

READ_SIZE = 4096  # bytes of a network read, where a stream is read live


@dataclasses.dataclass(frozen=True)
class StreamReader:
    """A library that makes one response of a stream."""

    name: str
    read: Callable[[GeneratedStream], Any]
    facts: Callable[[Any], Facts]
    ours: bool = False


def readers() -> tuple[list[StreamReader], list[str]]:
    """Those that are installed, and the names of those that are not."""
    found = [
        StreamReader("normcompletion normalize", _saved, our_facts, ours=True),
        StreamReader("normcompletion assemble", _live, our_facts, ours=True),
    ]
    missing = []
    for name, make in (("openai", _openai), ("litellm", _litellm)):
        try:
            found.append(make())
        except ImportError:
            missing.append(name)
    return found, missing


def _saved(stream: GeneratedStream) -> Completion:
    return normalize(stream.body, max_record_bytes=len(stream.body))


def _live(stream: GeneratedStream) -> Completion:
    return assemble(iter_events(cut(stream.body)))


def cut(body: bytes) -> Iterator[bytes]:
    """A stream in the pieces that a network would give."""
    return (body[start : start + READ_SIZE] for start in range(0, len(body), READ_SIZE))


def our_facts(completion: Completion) -> Facts:
    """The facts of a canonical completion."""
    choice, usage = completion.first or Choice(), completion.usage
    message = choice.message
    return Facts(
        id=completion.id,
        model=completion.model,
        provider=completion.provider,
        role=message.role,
        content=message.content or "",
        reasoning=message.reasoning or "",
        tool_calls=tuple(
            (call.id, function.name, function.arguments or "")
            for call in completion.tool_calls
            for function in (call.function or FunctionCall(),)
        ),
        finish_reason=choice.finish_reason,
        usage=None if usage is None else _counts(usage),
    )


def _counts(usage: Any) -> tuple[int, int, int]:
    return usage.prompt_tokens, usage.completion_tokens, usage.total_tokens


def _openai() -> StreamReader:
    """The accumulator of the OpenAI client; its live client drops chunks without the right `object`, and so do we."""
    state = importlib.import_module("openai.lib.streaming.chat").ChatCompletionStreamState
    chunk_type = importlib.import_module("openai.types.chat").ChatCompletionChunk

    def read(stream: GeneratedStream) -> Any:
        accumulator = state()
        for payload in stream.payloads:
            chunk = chunk_type.construct(**orjson.loads(payload))
            if chunk.object == "chat.completion.chunk":
                accumulator.handle_chunk(chunk)
        return accumulator.current_completion_snapshot  # `get_final_completion` raises for an answer that was cut

    return StreamReader(f"openai {version('openai')}", read, _peer_facts)


def _litellm() -> StreamReader:
    """`stream_chunk_builder`, given chunks of litellm's own type: plain dictionaries would lose it the reasoning."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # nothing is fetched
    litellm: Any = importlib.import_module("litellm")
    litellm.suppress_debug_info = True
    chunk_type = importlib.import_module("litellm.types.utils").ModelResponseStream

    def read(stream: GeneratedStream) -> Any:
        return litellm.stream_chunk_builder([chunk_type(**orjson.loads(payload)) for payload in stream.payloads])

    return StreamReader(f"litellm {version('litellm')}", read, _peer_facts)


def _peer_facts(response: Any) -> Facts:
    choice = response.choices[0]
    message = choice.message
    usage = getattr(response, "usage", None)
    return Facts(
        id=response.id,
        model=response.model,
        provider=getattr(response, "provider", None),
        role=message.role,
        content=message.content or "",
        reasoning=getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None) or "",
        tool_calls=tuple(
            (call.id, call.function.name, call.function.arguments or "") for call in message.tool_calls or ()
        ),
        finish_reason=choice.finish_reason,
        usage=None if usage is None else _counts(usage),
    )
