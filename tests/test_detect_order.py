"""A verdict depends on the payload alone: not on the order of variants, not on what was read before."""

from __future__ import annotations

import random
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from normcompletion import AmbiguousPayloadError, Variant, detect, normalize
from normcompletion.ledger import Ledger
from normcompletion.reader import Reader
from normcompletion.registry import Registry, built_in, installed
from tests.conftest import CORPUS, PAIRS, WHOLE, Outcome, Pair, canonical, fresh_reader, outcome, read_outcome, recorded

VARIANTS = built_in()
Verdict = tuple[str | None, str | None]


def verdict(result: Outcome) -> Verdict:
    return result.error, canonical(result.completion)


def read(reader: Reader, raw: bytes) -> Verdict:
    return verdict(read_outcome(lambda: reader.read(raw, Ledger(read=reader.read))))


@cache
def fresh_verdicts() -> dict[str, Verdict]:
    """What a reader says that has read nothing before, payload by payload."""
    return {pair.name: read(fresh_reader(), pair.raw) for pair in PAIRS}


@given(st.permutations(VARIANTS))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_order_of_variants_changes_no_verdict(variants: list[Variant]) -> None:
    """Every fixture gives the same completion or class of error, whatever the order in the registry."""
    reader = fresh_reader(variants)
    changed = [pair.name for pair in PAIRS if read(reader, pair.raw) != fresh_verdicts()[pair.name]]
    assert changed == []


@given(st.randoms(use_true_random=False))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_earlier_payloads_change_no_verdict_of_a_reader(shuffle: random.Random) -> None:
    """A reader says of a payload what a fresh one says, whatever it read before."""
    reader = fresh_reader()
    pairs = [*PAIRS, *PAIRS]
    shuffle.shuffle(pairs)
    changed = [pair.name for pair in pairs if read(reader, pair.raw) != fresh_verdicts()[pair.name]]
    assert changed == []


@pytest.mark.parametrize("seed", range(4))
def test_earlier_payloads_change_no_answer_of_normalize(seed: int) -> None:
    """`normalize` answers as a fresh reader does, whatever it was called with before."""
    pairs = list(PAIRS)
    random.Random(seed).shuffle(pairs)
    changed = [
        pair.name
        for pair in pairs
        if verdict(outcome(lambda pair=pair: normalize(pair.raw))) != fresh_verdicts()[pair.name]  # type: ignore[misc]
    ]
    assert changed == []


@pytest.mark.skipif(CORPUS is None, reason="the recorded bodies are not here")
def test_the_order_of_recorded_bodies_changes_no_verdict() -> None:
    """Recorded bodies read in two orders by two readers give the same completions."""
    bodies = list(recorded("chat", "text", "error", "log_record"))
    forth, back = Reader(Registry(VARIANTS)), Reader(Registry(tuple(reversed(VARIANTS))))
    first = {name: read(forth, raw) for name, raw in bodies}
    random.Random(3).shuffle(bodies)
    assert [name for name, raw in bodies if read(back, raw) != first[name]] == []


@pytest.mark.parametrize("pair", [pair for pair in WHOLE if pair.expected is not None], ids=lambda pair: pair.name)
def test_detect_names_the_source_and_variant_of_the_completion(pair: Pair) -> None:
    """`detect` gives the `source` and `variant` that stand in the completion."""
    error, completion, _ = outcome(lambda: normalize(pair.raw))
    found = detect(pair.raw)
    assert completion is not None, error
    assert (found.source, found.variant) == (completion.source, completion.variant)


def test_an_ambiguous_payload_names_the_same_candidates_in_every_order() -> None:
    """Two decisive marks raise the same error, with the same candidates, for every order of variants."""
    (pair,) = (pair for pair in WHOLE if pair.error == "AmbiguousPayloadError")
    for seed in range(10):
        variants = list(VARIANTS)
        random.Random(seed).shuffle(variants)
        reader = Reader(Registry(variants))
        with pytest.raises(AmbiguousPayloadError) as caught:
            reader.read(pair.raw, Ledger(read=reader.read))
        assert sorted(caught.value.candidates) == ["atoma", "openrouter"]


@pytest.mark.parametrize("nothing", [b"null", b"{}", b'""', b"false"])
def test_an_error_is_never_learned_as_a_vendors_key(nothing: bytes) -> None:
    """After bodies that say `error` is nothing, beside a vendor's key, a body with an error still reports it."""
    reader = Reader(installed())
    body = b'{"choices":[{"index":0,"message":{"content":"a"}}],"vendor":1,"error":%s}'
    for _ in range(4):
        assert reader.read(body % nothing, Ledger(read=reader.read)).error is None
    if nothing == b"null":
        assert reader.learned.keys() == {"vendor", "error", *(path[-1] for path in reader.aliases)}
    failed = reader.read(body % b'{"message":"no"}', Ledger(read=reader.read))
    assert failed.error is not None
    assert failed.error.message == "no"
