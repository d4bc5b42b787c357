"""One answer before any service writes it down: what was said, how long it is, and what it cost in tokens.

Every text in here is JSON already (`'"Hello"'`, `'null'`), so that nothing is encoded twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from .chance import Chance, Shares, Spread
from .shape import SIZES, Shape
from .text import Library, Texts
from .tokens import TokenRun, Tokens
from .writing import COMPACT, NULL, Writer

LOGPROB_TOKENS, LOGPROB_ALTERNATIVES = 100, 5  # of the trait `logprobs`


class Material:
    """What the records of one seed are cut from."""

    def __init__(self, seed: int) -> None:
        self.library = Library(seed)
        self.tokens = Tokens(seed, self.library)

    def id(self, chance: Chance, length: int) -> str:
        """Letters and digits: two cuts of the blob, so that a million ids differ."""
        blob, half = self.library.blob, length // 2
        return blob(chance, half) + blob(chance, length - half)


class Figures(NamedTuple):
    """What the answers of one source are like; shares are counts of recorded bodies."""

    sizes: Spread  # bytes of a body
    parts: Shares[tuple[bool, bool, bool]]  # whether there is text, a tool call, reasoning
    texts: Texts
    overhead: int  # bytes of a body about the text
    reasoning_copies: int = 1  # how often a body says the reasoning
    logprobs: int = 0  # answers with log-probs, per mille
    second_choice: int = 0  # answers with two choices, per mille
    refusals: int = 0  # answers that refuse, per mille
    call_prefix: str = "call_"


class Call(NamedTuple):
    """One tool call."""

    id: str
    name: str
    arguments: str


@dataclass(slots=True)
class Said:
    """One choice."""

    content: str = NULL
    reasoning: str = NULL
    refusal: str = NULL
    calls: list[Call] = field(default_factory=list)
    finish: str = "stop"  # the canonical word
    run: TokenRun | None = None

    def tool_calls(self, writer: Writer, *, numbered: bool = False) -> str:
        """The tool calls as a list."""
        return writer.array(
            [
                writer.object(
                    {
                        "index": str(at) if numbered else None,
                        "id": call.id,
                        "type": '"function"',
                        "function": writer.object({"name": call.name, "arguments": call.arguments}),
                    }
                )
                for at, call in enumerate(self.calls)
            ]
        )


@dataclass(slots=True)
class Answer:
    """One completion; `lean` asks to write it with few members."""

    said: list[Said]
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    lean: bool

    @property
    def total_tokens(self) -> int:
        """All tokens."""
        return self.prompt_tokens + self.completion_tokens

    def truth(self) -> dict[str, str | None]:
        """What a reader should find of it, whoever writes it down."""
        array, said = COMPACT.array, self.said
        nothing = array([NULL for _ in said])
        return {
            "finish_reasons": array([f'"{choice.finish}"' for choice in said]),
            "native_finish_reasons": nothing,
            "contents": array([choice.content for choice in said]),
            "reasonings": array([choice.reasoning for choice in said]),
            "refusals": array([choice.refusal for choice in said]),
            "tool_calls": array([array([array(call) for call in choice.calls]) for choice in said]),
            "logprobs": array([NULL if choice.run is None else choice.run.truth for choice in said]),
            "prompt_tokens": str(self.prompt_tokens),
            "completion_tokens": str(self.completion_tokens),
            "total_tokens": str(self.total_tokens),
        }


_PROMPT_TOKENS = Spread({0: 8, 10: 9, 25: 20, 50: 70, 75: 210, 90: 430, 95: 1_000, 99: 6_000, 100: 50_000})
_ARGUMENTS = Spread({0: 2, 10: 13, 25: 14, 50: 29, 75: 50, 90: 80, 95: 146, 99: 448, 100: 707})  # bytes
_FINISH = Shares({"stop": 2318, "length": 326, "content_filter": 2})
_CALLS = Shares({1: 1043, 2: 87, 3: 34, 5: 2})
_NAMES = tuple(
    f'"{verb}_{noun}"'
    for verb in ("get", "look_up", "list", "search", "write", "final", "delete_old")
    for noun in ("weather", "tides", "orders", "result", "file", "customer_record", "user_country")
)
_KEYS = ("city", "query", "path", "answer", "note")


def draw_answer(figures: Figures, shape: Shape, chance: Chance, material: Material, *, ascii_only: bool) -> Answer:
    """One answer by chance, of the size and with the trait of a shape."""
    library, size, trait = material.library, shape.size, shape.trait
    lean = size == "small"
    text, calls, reasoning = figures.parts.pick(chance)
    if trait:
        text, calls, reasoning = trait != "tools", trait == "tools", trait == "reasoning"
    elif lean:
        reasoning = False
    if shape.variant == "text":
        text, calls, reasoning = True, False, False

    if size:
        low, high = SIZES[size]
        margin = (high - low) // 8
        target = chance.between(low + margin, chance.between(low + margin, high - margin))
    else:
        target = figures.sizes.pick(chance)
    room = max(8, target - figures.overhead)
    thought = 0 if not reasoning else room * chance.between(20, 80) // 100 if text or calls else room

    said = Said(finish=_FINISH.pick(chance))
    if trait == "logprobs":
        said.run = material.tokens.run(chance, LOGPROB_TOKENS, LOGPROB_ALTERNATIVES)
    elif text and not (trait or lean or calls or reasoning) and chance.happens(figures.logprobs):
        said.run = material.tokens.run(chance, chance.between(1, 16), 2 * chance.below(2))
    if calls:
        said.finish = "tool_calls"
        count = 1 if lean else _CALLS.pick(chance)
        least = (room - thought) // count if size and not text and not lean else 0
        said.calls = [_call(figures, chance, material, least) for _ in range(count)]
        room = max(8, room - 150) if lean else room
    if reasoning:
        length = max(8, thought // figures.reasoning_copies)
        said.reasoning = library.text(chance, length, figures.texts, ascii_only=ascii_only)
    if said.run is not None:
        said.content = said.run.content
    elif text:
        said.content = library.text(chance, max(2, room - thought), figures.texts, ascii_only=ascii_only)

    choices = [said]
    if not (trait or lean or calls or reasoning or shape.variant == "text"):
        if not size and chance.happens(figures.refusals):
            choices = [Said(refusal=library.text(chance, 60, figures.texts, ascii_only=ascii_only))]
        elif said.run is None and chance.happens(figures.second_choice):
            other = library.text(chance, min(room, 400), figures.texts, ascii_only=ascii_only)
            choices.append(Said(content=other))
    reasoning_tokens = len(said.reasoning) // 4 if reasoning else 0
    completion_tokens = reasoning_tokens + sum(map(_tokens, choices))
    return Answer(choices, _PROMPT_TOKENS.pick(chance), completion_tokens, reasoning_tokens, lean)


def _tokens(said: Said) -> int:
    """Tokens of a choice's text and calls, at four letters each."""
    if said.run is not None:
        return said.run.length
    return 1 + len(said.content) // 4 + sum(9 + len(call.arguments) // 4 for call in said.calls)


def _call(figures: Figures, chance: Chance, material: Material, least: int) -> Call:
    """A tool call; its arguments are JSON inside JSON, of `least` bytes or more."""
    length = max(least, _ARGUMENTS.pick(chance))
    plain, key = material.library.plain, chance.pick(_KEYS)
    room = length - len(key) - 8
    if room < 0:
        arguments = '"{}"'
    elif room < 30 or chance.happens(500):
        arguments = f'"{{\\"{key}\\": \\"{plain(chance, room)}\\"}}"'
    else:
        arguments = f'"{{\\"{key}\\": \\"{plain(chance, room - 18)}\\\\n\\", \\"limit\\": {chance.below(90)}}}"'
    return Call(f'"{figures.call_prefix}{material.id(chance, 24)}"', chance.pick(_NAMES), arguments)
