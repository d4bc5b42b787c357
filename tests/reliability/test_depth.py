"""Deep nesting is refused, at one depth, on any stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from normcompletion import Completion, MalformedPayloadError, SourceReportedError, normalize
from normcompletion.decoding.spelling import Form, formed, is_bounded
from normcompletion.dialect import wire
from normcompletion.payload import MAX_DEPTH, may_nest_deep
from normcompletion.sources.log10 import Record
from tests.conftest import FOUND, python
from tests.reliability.deep import DEEP, POSITIONS

# How many containers are around the value, in bodies of which a tree is built.
AROUND = {
    b'{"id":"%d","created":1.0,"usage":{"prompt_tokens":1.0},"choices":[],"deep_vendor":%s}': 1,
    b'{"choices":[{"index":%d.0,"deep_choice":%s}]}': 3,
    b'{"choices":[{"index":%d.0,"error":{"message":"m","metadata":{"a":%s}}}]}': 5,
    b'{"id":"%d","error":{"message":"m","code":1,"metadata":{"a":%s}}}': 3,
    b'{"id":"%d","model":%s,"choices":[]}': 1,
}


def test_a_million_levels_are_refused_on_a_small_stack() -> None:
    """Thousands of levels anywhere in a payload or a log are too deep on a stack of 1 MiB; tool arguments stay text."""
    done = python("-W", "error", "-m", "tests.reliability.deep")
    found = [tuple(line.split("\t")) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (found[-1:], done.stderr[-1000:])
    assert done.stderr == ""
    assert len(found) == len(POSITIONS) * (2 * len(DEEP) + 2) + 3
    assert found.pop() == ("parse_arguments", "open arrays", "ValueError")
    assert {line for line in found if line[2] not in ("MalformedPayloadError:too_deep", "Reject:too_deep")} == set()


def read(payload: bytes) -> Completion:
    try:
        return normalize(payload)
    except SourceReportedError as error:
        return error.completion


@pytest.mark.parametrize("value", [b"1", b'"\\ud83d behind"', b"18446744073709551616"], ids=["plain", "half", "big"])
@pytest.mark.parametrize(
    "nested",
    [lambda levels, value: b"[" * levels + value + b"]" * levels,
     lambda levels, value: b'{"a":' * levels + value + b"}" * levels],
    ids=["arrays", "objects"],
)  # fmt: skip
@pytest.mark.parametrize("body", AROUND, ids=lambda body: body.decode())
def test_the_limit_is_one_number(body: bytes, nested: Callable[[int, bytes], bytes], value: bytes) -> None:
    """Where a tree is built, 128 nested containers are read and 129 are refused, whatever is in them."""
    for round_ in range(4):
        head, tail = (body % (round_, b"%s")).split(b"%s")
        most = MAX_DEPTH - AROUND[body]
        read(head + nested(1, value) + tail)
        assert read(head + nested(most, value) + tail).source == "openai"
        with pytest.raises(MalformedPayloadError) as caught:
            read(head + nested(most + 1, value) + tail)
        assert caught.value.code == "too_deep"


def test_what_may_nest_deep_is_seen_without_reading_it() -> None:
    """A thousand and one nested containers are always seen, and never in fixtures or in thousands of tokens."""
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}"), (b'[{"a]":', b"}]"), (rb'["]\\\"]\u005d",', b"]")):
        for around in (b"%s", b'{"choices":[],"vendor":%s}', b"[" + b"{},[]," * 2000 + b"%s]"):
            assert may_nest_deep(around.replace(b"%s", opening * 1001 + b"1" + closing * 1001))
            assert may_nest_deep(around.replace(b"%s", opening * 1001))
    token = b'{"token":"[\\"{","bytes":[91],"top_logprobs":[{"token":"a","bytes":[97]},{"token":"b","bytes":[98]}]}'
    body = b'{"choices":[{"logprobs":{"content":[%s]}}]}' % b",".join([token] * 3000)
    assert not any(may_nest_deep(raw) for raw in [body, *(pair.raw for pair in FOUND)])


def test_what_cannot_nest_deep_is_not_looked_through() -> None:
    """Only a type that skips no keys, and holds no values of any type, bounds how deep a text of it nests."""
    assert all(map(is_bounded, (wire.CanonicalCompletion, wire.Chunk, list[wire.Usage] | None)))
    assert not any(map(is_bounded, (formed(wire.Usage, Form("snake")), Record, wire.Choice, dict[str, Any])))
