"""A verdict depends on the payload alone: not on the order of variants, not on what was read before."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normcompletion import AmbiguousPayloadError, Variant, detect, normalize
from normcompletion.decoding.engine import Engine
from normcompletion.sources.registry import built_in
from tests.conftest import (
    PAIRS,
    WHOLE,
    Outcome,
    Pair,
    canonical,
    examples,
    for_each,
    fresh_engine,
    outcome,
    read_outcome,
    recorded,
)

VARIANTS = built_in()
SOME = PAIRS if settings.default.max_examples > 100 else PAIRS[::4]  # an engine takes long to make; `--slow` reads all
Verdict = tuple[str | None, str | None]


def verdict(result: Outcome) -> Verdict:
    return result.error, canonical(result.completion)


def read(engine: Engine, raw: bytes) -> Verdict:
    return verdict(read_outcome(lambda: engine.read(raw)))


@cache
def fresh_verdicts() -> dict[str, Verdict]:
    """What an engine gives that has read nothing before, payload by payload."""
    return {pair.name: read(fresh_engine(), pair.raw) for pair in SOME}


@given(st.permutations(VARIANTS))
@examples(2)
def test_the_order_of_variants_changes_no_verdict(variants: list[Variant]) -> None:
    """Fixtures give the same completion or class of error, whatever the order in the registry."""
    engine = fresh_engine(variants)
    changed = [pair.name for pair in SOME if read(engine, pair.raw) != fresh_verdicts()[pair.name]]
    assert changed == []


@given(st.randoms(use_true_random=False))
@examples(2)
def test_earlier_payloads_change_no_verdict_of_an_engine(shuffle: random.Random) -> None:
    """An engine gives for a payload what a fresh one gives, whatever it read before."""
    engine = fresh_engine()
    pairs = [*SOME, *SOME]
    shuffle.shuffle(pairs)
    changed = [pair.name for pair in pairs if read(engine, pair.raw) != fresh_verdicts()[pair.name]]
    assert changed == []


@pytest.mark.corpus
def test_the_order_of_recorded_bodies_changes_no_verdict(corpus: Path) -> None:
    """Recorded bodies read in two orders by two engines give the same completions."""
    bodies = list(recorded(corpus, "chat", "text", "error", "log_record"))
    forth, back = fresh_engine(), fresh_engine(tuple(reversed(VARIANTS)))
    first = {name: read(forth, raw) for name, raw in bodies}
    random.Random(3).shuffle(bodies)
    assert [name for name, raw in bodies if read(back, raw) != first[name]] == []


@for_each([pair for pair in WHOLE if pair.expected is not None])
def test_detect_names_the_source_and_variant_of_the_completion(pair: Pair) -> None:
    """`detect` gives the `source` and `variant` that are in the completion."""
    error, completion, _ = outcome(lambda: normalize(pair.raw))
    found = detect(pair.raw)
    assert completion is not None, error
    assert (found.source, found.variant) == (completion.source, completion.variant)


def test_an_ambiguous_payload_names_the_same_candidates_in_every_order() -> None:
    """Two decisive markers raise the same error, with the same candidates, for every order of variants."""
    (pair,) = (pair for pair in WHOLE if pair.error == "AmbiguousPayloadError")
    for seed in range(10):
        variants = list(VARIANTS)
        random.Random(seed).shuffle(variants)
        with pytest.raises(AmbiguousPayloadError) as caught:
            fresh_engine(variants).read(pair.raw)
        assert sorted(caught.value.candidates) == ["atoma", "openrouter"]
