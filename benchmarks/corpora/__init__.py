"""Corpora: completion responses as services and loggers write them, any number, made by a seed, with the truth.

    from benchmarks.corpora import parse_mix, records

    for record in records(parse_mix("openrouter=40,openai/chat=40,log10/log_record=20"), seed=1, stop=1_000_000):
        record.body, record.truth()

A corpus is a mix of shapes and a seed. Record number N depends on these and on N alone, so a corpus can be made in
pieces, and a million records take no more memory than one. Sizes, null patterns, key orders and the shares of tool
calls, reasoning and log-probs are those of some 4,000 recorded bodies; names, ids and texts are invented.

| file | what is in it |
| --- | --- |
| `chance.py` | draws that are the same on every machine |
| `text.py`, `tokens.py` | what models say, and log-probs |
| `shape.py`, `mix.py` | what a record is like, and how often |
| `answer.py` | an answer before any service writes it down |
| `openrouter.py`, `openai.py`, `atoma.py`, `log10.py` | how each source writes it |
| `draft.py`, `writing.py` | a body in the making, and its JSON |
| `truth.py` | what a reader should find |
| `files.py`, `__main__.py` | corpora on disk, and the command |
"""

from __future__ import annotations

from .mix import DEFAULT, Mix, Record, parse_mix, records
from .shape import Shape
from .truth import Truth, facts_of

__all__ = ["DEFAULT", "Mix", "Record", "Shape", "Truth", "facts_of", "parse_mix", "records"]
