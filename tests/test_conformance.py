"""Each fixture gives the completion, or the error, that is beside it."""

from __future__ import annotations

import json

import msgspec
import pytest

import normcompletion
from normcompletion import Completion, normalize
from normcompletion.testing import check_expected
from tests.conftest import CHUNKS, FIXTURES, PAIRS, STREAMS, Pair, for_each

ACCEPTED = [pair for pair in PAIRS if pair.error is None]
REFUSED = [pair for pair in PAIRS if pair.error is not None]


def expected_of(pair: Pair) -> Completion:
    """The expected completion of a fixture; its `extra` may hold half surrogate pairs, which msgspec refuses."""
    return msgspec.convert(json.loads(pair.expected or b""), Completion)


def test_the_glob_finds_pairs_of_every_source_and_variant() -> None:
    """Fixtures exist for each source, each variant with answers, and each class of error a payload can raise."""
    folders = {"/".join(pair.name.split("/")[:2]) for pair in PAIRS}
    assert folders >= {
        *(
            f"{source}/{kind}"
            for source in ("openai", "atoma", "log10", "openrouter")
            for kind in ("chat", "text", "stream")
        ),
        "log10/log_record",
        *(f"rejected/{kind}PayloadError" for kind in ("Encrypted", "Unknown", "Ambiguous", "Invalid", "Malformed")),
        "rejected/SourceReportedError",
    }
    assert len(ACCEPTED) > 250
    assert len(REFUSED) > 110
    assert {pair.error for pair in STREAMS} == {None, *(pair.error for pair in REFUSED)}


def test_every_expectation_belongs_to_a_payload() -> None:
    """No `.expected.json` stands alone, and none is missing where a completion must come out."""
    expectations = {path.name for path in FIXTURES.rglob("*.expected.json")}
    carried = {pair for pair in PAIRS if pair.error in (None, "SourceReportedError", "EncryptedPayloadError")}
    assert {pair.name for pair in PAIRS if pair.expected is not None} == {pair.name for pair in carried}
    assert all(pair.expected is not None for pair in CHUNKS)
    assert expectations <= {pair.name.rpartition("/")[2] + ".expected.json" for pair in (*carried, *CHUNKS)}


@for_each(PAIRS)
def test_a_fixture_gives_what_is_expected(pair: Pair) -> None:
    """The completion is the expected one to the last note; an error is exactly of the class that names the folder."""
    check_expected(pair, normalize)


@for_each([pair for pair in REFUSED if pair.error == "SourceReportedError"])
def test_a_reported_error_is_that_of_its_completion(pair: Pair) -> None:
    """`SourceReportedError.error` is the `error` of its completion, and its text holds at most 500 characters."""
    with pytest.raises(normcompletion.SourceReportedError) as caught:
        normalize(pair.raw)
    assert caught.value.error is caught.value.completion.error
    assert len(str(caught.value)) <= 500


@for_each(ACCEPTED)
def test_an_expected_file_has_every_field_and_no_other(pair: Pair) -> None:
    """An expected file holds every field of the model, absent ones as null, and nothing that is no field."""
    assert pair.expected is not None
    decoded = expected_of(pair)
    assert json.loads(pair.expected) == json.loads(decoded.to_json())


@for_each(ACCEPTED)
def test_an_accepted_fixture_gives_the_same_bytes_each_time(pair: Pair) -> None:
    """Same bytes in, same bytes out, at the second and the third call too."""
    first, second, third = (normalize(pair.raw).to_json() for _ in range(3))
    assert first == second == third
