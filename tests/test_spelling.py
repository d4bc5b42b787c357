"""A payload and its camelCase twin give the same completion, with pointers in the payload's own spelling."""

from __future__ import annotations

import json

from normcompletion import normalize, normalize_chunk
from normcompletion.testing import check_spelling, has_twin, levelled, respelled
from normcompletion.testing.twins import camel, follow, twin
from tests.conftest import CHUNKS, WHOLE, Pair, for_each

TWINS = [pair for pair in WHOLE if has_twin(pair)]


@for_each(TWINS)
def test_a_twin_gives_an_equal_completion_with_re_cased_pointers(pair: Pair) -> None:
    """Values are equal; the pointers of `extra` and `notes` are those of the re-cased payload."""
    check_spelling(pair, normalize)


@for_each([pair for pair in CHUNKS if twin(pair.tree)[0] != pair.tree])
def test_the_twin_of_a_chunk_gives_an_equal_chunk_with_re_cased_pointers(pair: Pair) -> None:
    """Values are equal; the pointers of `extra` and `notes` are those of the re-cased chunk."""
    tree, moved = twin(pair.tree)
    expected = respelled(normalize_chunk(pair.raw), tree, moved)
    assert levelled(normalize_chunk(json.dumps(tree).encode())) == levelled(expected)


def test_most_fixtures_have_a_twin() -> None:
    """The parametrised test above runs over more than 150 payloads, of each source."""
    assert len(TWINS) > 150
    assert {pair.name.split("/")[0] for pair in TWINS} >= {"openai", "atoma", "log10", "openrouter", "rejected"}


def test_the_generator_re_cases_keys_and_no_values() -> None:
    """A schema key is re-cased; a word of the wire that stands as a value is not."""
    tree, _ = twin({"choices": [{"finish_reason": "tool_calls", "message": {"content": "finish_reason"}}]})
    assert tree == {"choices": [{"finishReason": "tool_calls", "message": {"content": "finish_reason"}}]}


def test_the_generator_leaves_keys_that_are_data() -> None:
    """Tokens, token ids, a logged request, metadata and unknown members keep their keys."""
    legacy = {"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": [{"finish_reason": -1, "total_tokens": -3}]}
    assert twin({"logprobs": legacy})[0]["logprobs"]["topLogprobs"] == legacy["top_logprobs"]
    for data in (
        {"logprobs": [{"4346": {"logprob": -0.4, "decoded_token": "x"}}]},
        {"request": {"logit_bias": {"5": 1}, "max_tokens": 3}},
        {"error": {"metadata": {"provider_name": "x"}}},
        {"content": [{"raw": {"some_key": 7}, "type": "UNKNOWN", "isUnknown": True}]},
        {"x_vendor": {"finish_reason": "stop"}},
    ):
        assert twin(data)[0] == data


def test_the_generator_re_cases_chat_alternatives() -> None:
    """`top_logprobs` of the chat form is a schema, and so are the tokens in it."""
    tree, moved = twin({"logprobs": {"content": [{"token": "a", "top_logprobs": [{"token": "b"}]}]}})
    assert tree == {"logprobs": {"content": [{"token": "a", "topLogprobs": [{"token": "b"}]}]}}
    assert moved["/logprobs/content/0/top_logprobs/0/token"] == "/logprobs/content/0/topLogprobs/0/token"


def test_a_pointer_into_data_is_followed_to_where_the_data_went() -> None:
    """`follow` re-cases the schema part of a pointer and leaves the rest."""
    _, moved = twin({"openrouter_metadata": {"is_byok": True}})
    assert follow("/openrouter_metadata/is_byok", moved) == "/openrouterMetadata/is_byok"
    assert camel("prompt_tokens_details") == "promptTokensDetails"
