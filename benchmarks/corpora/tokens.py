"""Log-probs: a pool of tokens, each with the alternatives that the model weighed; an answer has a run of it."""

from __future__ import annotations

import json
from functools import cache
from itertools import accumulate
from typing import NamedTuple

from .chance import Chance
from .text import Library
from .writing import NULL, Writer

POOL = 1024
LONGEST = 256  # tokens of one run
ALTERNATIVES = 5


class _Token(NamedTuple):
    text: str  # as JSON
    logprob: str
    octets: list[int]


class Tokens:
    """The pool of one seed."""

    def __init__(self, seed: int, library: Library) -> None:
        chance = Chance(seed, "tokens")
        words = library.plain(chance, 40_000).split(" ")
        self._rows: list[list[_Token]] = []
        for _ in range(POOL):
            row = [_token(chance, words, rank) for rank in range(ALTERNATIVES)]
            self._rows.append(row)
        self._written = cache(self._write)

    def run(self, chance: Chance, length: int, alternatives: int) -> TokenRun:
        """So many tokens one after the other, with so many alternatives each."""
        return TokenRun(self, chance.below(POOL - LONGEST), length, alternatives)

    def rows(self, run: TokenRun) -> list[list[_Token]]:
        """The tokens of a run; the chosen one is the first of its alternatives."""
        return self._rows[run.start : run.start + run.length]

    def objects(self, run: TokenRun, writer: Writer) -> str:
        """The tokens as a chat completion lists them."""
        return writer.array(self._written(writer, run.alternatives)[run.start : run.start + run.length])

    def _write(self, writer: Writer, alternatives: int) -> list[str]:
        return [
            writer.object(
                {
                    "token": row[0].text,
                    "logprob": row[0].logprob,
                    "bytes": writer.value(row[0].octets),
                    "top_logprobs": writer.array([_leaf(token, writer) for token in row[:alternatives]]),
                }
            )
            for row in self._rows
        ]


class TokenRun(NamedTuple):
    """A run of the pool's tokens."""

    tokens: Tokens
    start: int
    length: int
    alternatives: int

    @property
    def content(self) -> str:
        """The text, as JSON."""
        return '"' + "".join([row[0].text[1:-1] for row in self.tokens.rows(self)]) + '"'

    @property
    def truth(self) -> str:
        """Pairs of token and log-prob."""
        return "[" + ",".join([f"[{row[0].text},{row[0].logprob}]" for row in self.tokens.rows(self)]) + "]"

    def chat(self, writer: Writer, *, refusal: bool = True) -> str:
        """`choices[].logprobs` of a chat completion."""
        content = self.tokens.objects(self, writer)
        return writer.object({"content": content, "refusal": NULL if refusal else None})

    def columns(self, writer: Writer) -> str:
        """`choices[].logprobs` of a text completion: parallel lists, alternatives as maps whose keys are tokens."""
        rows = self.tokens.rows(self)
        offsets = [0, *accumulate(len(json.loads(row[0].text)) for row in rows)][:-1]
        maps = [
            "{" + ",".join([f"{token.text}:{token.logprob}" for token in row[: self.alternatives]]) + "}"
            for row in rows
        ]
        return writer.object(
            {
                "tokens": writer.array([row[0].text for row in rows]),
                "token_logprobs": writer.array([row[0].logprob for row in rows]),
                "top_logprobs": writer.array(maps) if self.alternatives else NULL,
                "text_offset": writer.array(map(str, offsets)),
            }
        )


_ODD = (",", ".", "\n\n", '"', " —", "é", "时间", " 😀", "\\", " 42", "'s", "**", "(", ")")


def _token(chance: Chance, words: list[str], rank: int) -> _Token:
    text = chance.pick(_ODD) if chance.happens(220) else f" {chance.pick(words)}"
    if rank:
        text += str(rank)  # no alternative twice
    thousandths = chance.below(40) if rank == 0 else 700 * rank + chance.below(4_000)
    logprob = "0" if thousandths < 3 else repr(-(thousandths * 1_000 + chance.below(1_000)) / 1_000_000)
    return _Token(json.dumps(text, ensure_ascii=True), logprob, list(text.encode()))


def _leaf(token: _Token, writer: Writer) -> str:
    return writer.object({"token": token.text, "logprob": token.logprob, "bytes": writer.value(token.octets)})
