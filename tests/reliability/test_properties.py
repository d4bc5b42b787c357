"""What is read can be written, sent and copied, and no digit changes on the way."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from normcompletion import Chunk, Completion, InvalidPayloadError, normalize, normalize_chunk
from tests.conftest import FOUND, Pair, canonical, examples, for_each
from tests.fuzz.oracle import parse
from tests.reliability.inputs import Fate, fate
from tests.test_errors import JSON

Thing = TypeVar("Thing")
COPIES: list[Callable[[Any], Any]] = [
    copy.copy,
    copy.deepcopy,
    *(lambda thing, protocol=protocol: pickle.loads(pickle.dumps(thing, protocol)) for protocol in range(2, 6)),
]
INT64 = (-(2**63), 2**63 - 1)


def read(pair: Pair, *, strict: bool = False) -> Fate:
    verb = normalize_chunk if pair.is_chunk else normalize
    return fate(lambda: verb(pair.raw, strict=strict))


def same(result: Completion | Chunk) -> None:
    """Check that a result comes back from its JSON as it was, to the byte."""
    text = result.to_json()
    back = msgspec.convert(json.loads(text), type(result))
    assert back == result
    assert canonical(back) == canonical(result)
    assert back.to_json() == text


@for_each(FOUND)
def test_a_fixture_comes_back_from_its_json(pair: Pair) -> None:
    """Canonical to JSON to canonical is identity; the JSON is legal to the strict reader of the standard library."""
    result = read(pair).completion
    if result is not None:
        same(result)
        parse(result.to_json().decode())


@given(JSON)
@examples(100)
def test_any_completion_comes_back_from_its_json(tree: Any) -> None:
    """What any JSON of the services' own keys was normalized to comes back from its JSON as it was."""
    payload = msgspec.json.encode({"choices": [], **tree} if isinstance(tree, dict) else tree)
    for result in (fate(lambda: normalize(payload)), fate(lambda: normalize_chunk(payload))):
        if result.completion is not None:
            same(result.completion)


def check_copies(got: Fate) -> None:
    """Check that copies of what a payload gave are equal and is alone."""
    for duplicate in COPIES:
        if got.completion is not None:
            copied = duplicate(got.completion)
            assert type(copied) is type(got.completion)
            assert copied == got.completion
            assert canonical(copied) == canonical(got.completion)
            assert copied is not got.completion
        if got.error is not None:
            other = duplicate(got.error)
            assert type(other) is type(got.error)
            assert (str(other), other.args, vars(other)) == (str(got.error), got.error.args, vars(got.error))


@for_each(FOUND)
def test_copies_of_fixtures_are_equal(pair: Pair) -> None:
    """Copied, deep-copied or pickled completions, chunks and errors equal their originals, in both modes."""
    for strict in (False, True):
        check_copies(read(pair, strict=strict))


@given(st.binary(max_size=60), JSON)
@examples(40)
def test_copies_of_anything_are_equal(junk: bytes, tree: Any) -> None:
    """Copied, deep-copied or pickled results of any bytes and any JSON equal their originals."""
    for payload in (junk, msgspec.json.encode({"choices": [], "x": tree}), msgspec.json.encode({"choices": tree})):
        for strict in (False, True):
            check_copies(fate(lambda payload=payload, strict=strict: normalize(payload, strict=strict)))  # type: ignore[misc]


def test_a_deep_copy_shares_nothing() -> None:
    """A deep copy does not change with its original."""
    original = normalize(b'{"choices":[{"message":{"content":"a"}}],"x":{"y":[1]}}')
    copied = copy.deepcopy(original)
    original.choices[0].message.content = "b"
    original.extra["/x"]["y"].append(2)
    assert copied.text == "a"
    assert copied.extra == {"/x": {"y": [1]}}


BODY = (
    '{"choices":[{"logprobs":{"content":[{"token":"t","logprob":%s}]}}],"usage":{"cost":%s,"prompt_tokens":1},'
    '"vendor":{"n":[%s]}}'
)
DIGITS = st.text("0123456789", min_size=1, max_size=40)
NUMBERS = st.builds(
    lambda minus, whole, part, power: minus + (whole.lstrip("0") or "0") + part + power,
    st.sampled_from(["", "-"]),
    DIGITS,
    DIGITS.map(lambda digits: "." + digits),
    st.one_of(st.just(""), st.integers(-330, 300).map(lambda power: f"e{power}"), st.just("E+05")),
) | st.floats(allow_nan=False, allow_infinity=False).map(repr)


@given(NUMBERS)
@examples(250)
def test_floats_are_the_nearest_ones(text: str) -> None:
    """A fraction, in a field or in `extra`, is the float nearest to its text, and is written as that float."""
    assume(math.isfinite(float(text)))
    completion = normalize(BODY.replace("%s", text))
    logprobs = completion.choices[0].logprobs
    for number in (completion.usage.cost, logprobs.content[0].logprob, completion.extra["/vendor"]["n"][0]):
        assert type(number) is float
        assert repr(number) == repr(float(text))
        error = abs(Fraction(number) - Fraction(text))
        for neighbour in (math.nextafter(number, math.inf), math.nextafter(number, -math.inf)):
            assert math.isinf(neighbour) or error <= abs(Fraction(neighbour) - Fraction(text))
    assert msgspec.json.decode(completion.to_json(), type=Completion) == completion


@given(st.integers(*INT64) | st.sampled_from([*INT64, 0, -1, 2**53 + 1, 2**62]))
@examples(100)
def test_integers_of_64_bits_are_exact(number: int) -> None:
    """A 64-bit integer is exact in a field and in `extra`, in strict mode too, from text and from a mapping."""
    tree = {"choices": [{"index": 0}], "usage": {"prompt_tokens": number, "cost": number}, "vendor": number}
    for payload in (json.dumps(tree), tree):
        completion = normalize(payload, strict=True)
        assert (completion.usage.prompt_tokens, completion.usage.cost) == (number, number)
        assert type(completion.usage.cost) is int
        assert completion.extra == {"/vendor": number}
        assert completion.notes == []


@given(st.integers(min_value=INT64[1] + 1, max_value=10**60) | st.integers(min_value=-(10**60), max_value=INT64[0] - 1))
@examples(100)
def test_larger_integers_are_exact_or_refused(number: int) -> None:
    """A larger integer for a field is exactly in `extra` with a note, and strict mode refuses it; never rounded."""
    for body, pointer in (
        ({"choices": [{"index": 0}], "usage": {"prompt_tokens": number}}, "/usage/prompt_tokens"),
        ({"choices": [{"index": 0}], "usage": {"cost": number}}, "/usage/cost"),
        ({"choices": [{"index": 0}], "created": number}, "/created"),
        ({"choices": [{"index": number}]}, "/choices/0/index"),
    ):
        for payload in (json.dumps(body), body):
            completion = normalize(payload)
            assert completion.extra == {pointer: number}
            assert [(note.code, note.path, note.before) for note in completion.notes] == [
                ("out_of_range", pointer, number)
            ]
            same(completion)
            with pytest.raises(InvalidPayloadError):
                normalize(payload, strict=True)
