"""A payload and its camelCase variant give the same completion, with pointers in the payload's own spelling."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from typing import Any

from normcompletion import NormalizeError, explain, normalize, normalize_chunk
from normcompletion.decoding.spelling import keys_of
from normcompletion.dialect.wire import Failed
from normcompletion.testing import check_spelling, has_camel_case, levelled, respelled
from normcompletion.testing.camelcase import camel, in_camel_case
from tests.conftest import CHUNKS, WHOLE, Pair, for_each

SCHEMA_KEYS = keys_of(Failed)
CAMEL = [pair for pair in WHOLE if has_camel_case(pair)]


@for_each(CAMEL)
def test_camel_case_gives_an_equal_completion_with_re_cased_pointers(pair: Pair) -> None:
    """Values are equal; the pointers of `extra` and `notes` are those of the re-cased payload."""
    check_spelling(pair, normalize)


@for_each([pair for pair in CHUNKS if in_camel_case(pair.tree)[0] != pair.tree])
def test_camel_case_of_a_chunk_gives_an_equal_chunk_with_re_cased_pointers(pair: Pair) -> None:
    """Values are equal; the pointers of `extra` and `notes` are those of the re-cased chunk."""
    tree, moved = in_camel_case(pair.tree)
    expected = respelled(normalize_chunk(pair.raw), tree, moved)
    assert levelled(normalize_chunk(json.dumps(tree).encode())) == levelled(expected)


def mixed(value: Any, chance: random.Random) -> Any:
    """A tree in which half of the schema keys, by chance, are in camelCase."""
    if isinstance(value, list):
        return [mixed(item, chance) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        camel(key) if key in SCHEMA_KEYS and chance.random() < 0.5 else key: mixed(item, chance)
        for key, item in value.items()
    }


@for_each([pair for pair in WHOLE if isinstance(pair.tree, dict)])
def test_a_body_in_both_spellings_has_pointers_in_each(pair: Pair) -> None:
    """Where keys of both spellings are in one body, every leaf that the model has no field for is where it was sent."""
    chance = random.Random(pair.name)
    for _ in range(3):
        with suppress(NormalizeError):  # a marker in two spellings may be none
            assert explain(mixed(pair.tree, chance)).lost == []


def test_most_fixtures_exist_in_camel_case() -> None:
    """The parametrised test above runs over more than 150 payloads, of each source."""
    assert len(CAMEL) > 150
    assert {pair.name.split("/")[0] for pair in CAMEL} >= {"openai", "atoma", "log10", "openrouter", "rejected"}


def test_the_generator_leaves_keys_that_are_data() -> None:
    """Tokens, token ids, a logged request, metadata and unknown members keep their keys."""
    legacy = {"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": [{"finish_reason": -1, "total_tokens": -3}]}
    assert in_camel_case({"logprobs": legacy})[0]["logprobs"]["topLogprobs"] == legacy["top_logprobs"]
    for data in (
        {"logprobs": [{"4346": {"logprob": -0.4, "decoded_token": "x"}}]},
        {"request": {"logit_bias": {"5": 1}, "max_tokens": 3}},
        {"error": {"metadata": {"provider_name": "x"}}},
        {"content": [{"raw": {"some_key": 7}, "type": "UNKNOWN", "isUnknown": True}]},
        {"x_vendor": {"finish_reason": "stop"}},
    ):
        assert in_camel_case(data)[0] == data
