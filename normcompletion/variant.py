"""What a source file fills in: its variants, and the marks that tell its bodies from all others.

A third party ships a source as a module with a `VARIANTS` tuple, named in the entry-point group
`normcompletion.sources`:

    [project.entry-points."normcompletion.sources"]
    acme = "acme_normcompletion"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from .ledger import Ledger
from .model import Completion, FinishReason

Tree = Mapping[str, Any]
Claim = Callable[[Tree], str | None]
Mark = Callable[[Any, Mapping[str, Any]], str | None]
Adapt = Callable[[Any, Ledger], Completion]


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One response shape of one source.

    `wire` mirrors what the source writes, every key optional that may be absent; `adapt` turns it into a
    `Completion` and records in the ledger what the model has no field for. A variant is recognised in one of two ways:

    * `claims(tree)` for a shape of its own: the evidence, in words, when a decoded JSON object is this variant,
      else `None`. A source that writes the OpenAI dialect beside a key of its own claims by that key.
      `claim_keys` are the top-level keys by which it can claim a body that has `choices`: no decoder may ever take
      a value of theirs for a vendor's.
    * `mark(body, extra)`, only for a variant whose wire Struct is `wire.Body`: the evidence in a body that has
      already been read, with its unknown keys in `extra` by pointer. `decisive` marks outrank the others;
      `mark_keys` are top-level keys without which the mark cannot hold for a chat completion in canonical words, where
      there are such, and `gateway` says that it holds for every body with both `provider` and `native_finish_reason`:
      where that settles it the mark is not asked.

    `typed(struct)`, beside `claims`, says that a decoded wire Struct is this variant; it gives the shape a decoder of
    its own on the typed road. `tight` is a narrower form of `wire`, which that decoder tries first. `settle(completion,
    ledger)` applies rules of the source that hold after adapting, such as placeholders. `streams` says that the source
    also sends its bodies in chunks, to which the mark then applies.
    """

    source: str
    name: str
    wire: type[msgspec.Struct]
    adapt: Adapt
    claims: Claim | None = None
    claim_keys: tuple[str, ...] = ()
    typed: Callable[[Any], bool] | None = None
    tight: type[msgspec.Struct] | None = None
    mark: Mark | None = None
    decisive: bool = True
    mark_keys: tuple[str, ...] = ()
    gateway: bool = False
    finish_words: Mapping[str, FinishReason] | None = None
    settle: Callable[[Completion, Ledger], None] | None = None
    streams: bool = True
    spellings: tuple[str, ...] = ("snake", "camel")
    about: str = ""
