"""What a payload says does not get into error texts, logs, warnings or reject reasons.

The rule (DESIGN 6, RELIABILITY R19), precisely: only what a service reported, in `SourceReportedError`, may be quoted
in a text, at most the first 64 characters of each value; every other text quotes no value at all. Keys are no values:
a text or a path may name them (a text at most 64 characters of a pointer). Attributes (`.error`, `.completion`,
`.faults`) are the interface and hold what they hold, and so do tracebacks with frames.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from normcompletion import (
    NormalizeError,
    SourceReportedError,
    UnknownSourceError,
    assemble,
    detect,
    explain,
    iter_events,
    normalize,
    normalize_chunk,
    normalize_many,
)
from normcompletion.batch.conversion import Conversion
from normcompletion.batch.options import Options
from normcompletion.batch.units import Block
from tests.conftest import FOUND, Pair
from tests.reliability.inputs import SEED

QUOTED = 64
TELLING = 10  # so many characters of a secret in a row are no chance
BREAKS = 2  # ways in which each payload with a secret is broken, of seven
Verb = Callable[[bytes], object]


def secret(name: str) -> str:
    """128 characters that stand nowhere else."""
    return hashlib.sha512(name.encode()).hexdigest()


VERBS: list[Verb] = [
    normalize,
    lambda raw: normalize(raw, strict=True),
    lambda raw: normalize(raw, variant="text"),
    lambda raw: normalize(raw, max_record_bytes=10),
    lambda raw: normalize_chunk(raw, strict=True),
    lambda raw: list(normalize_many([raw], strict=True)),
    lambda raw: assemble(iter_events([raw]), strict=True),
]


def leaves(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with the key of a scalar in it."""
    for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        if isinstance(value, dict | list):
            yield from leaves(value)
        else:
            yield tree, key


def planted(pair: Pair) -> Iterator[tuple[str, bytes]]:
    """A secret and a payload that holds it: as a text, as other types, as number, in broken and cut JSON."""
    chance = random.Random(f"{SEED} {pair.name}")
    if isinstance(pair.tree, dict | list):
        for at in range(6):
            tree = pair.tree
            places = list(leaves(tree))
            if not places:
                return
            token = secret(f"{pair.name} {at}")
            holder, key = chance.choice(places)
            holder[key] = (token, [token], {"a": token}, f" {token}", f"{{'{token}'", f'{{"{token}')[at]
            text = json.dumps(tree).encode()
            yield token, text
            yield from ((token, broken) for broken in chance.sample(broken_at(text, token), BREAKS))
    else:
        lines = pair.raw.decode("utf-8", "replace").split("\n")
        for at, form in enumerate(("%s", '"%s"', '":"%s","', '"%s":1,', "\ndata: %s\n\n")):
            token = secret(f"{pair.name} {at}")
            line = chance.randrange(len(lines))
            cut = chance.randrange(len(lines[line]) + 1)
            planted_line = lines[line][:cut] + form.replace("%s", token) + lines[line][cut:]
            text = "\n".join([*lines[:line], planted_line, *lines[line + 1 :]]).encode()
            yield token, text
            yield token, text[: text.index(token[-20:].encode()) + 20]
    number = str(int(secret(pair.name)[:15], 16) + 10**17)
    text = pair.raw.replace(b":0,", f":{number}00000000000000,".encode())
    yield number, text
    yield number, text.replace(b'"index"', f'"index":1e{number},"index"'.encode(), 1)


def broken_at(text: bytes, token: str) -> list[bytes]:
    """A payload broken in or right behind a secret, in every way that has an error text of its own."""
    end = text.index(token[-20:].encode()) + 20
    return [
        text[:end],
        text[:end] + b"\xff" + text[end:],
        text[: end - 5] + b"\n" + text[end - 5 :],
        text[: end - 60] + b"\\u00zz" + text[end - 60 :],
        text + text,
        text[:end] + b"\\ud83d" + text[end:],
        text[: end + 1] + b"[" * 200 + text[end + 1 :],
    ]


def quotes(token: str, text: str) -> bool:
    """Whether a text holds a telling piece of a secret."""
    return any(token[at : at + TELLING] in text for at in range(len(token) - TELLING + 1))


def texts(error: NormalizeError) -> str:
    """All that a person or a log sees of an error: text, repr, arguments, and the chain of a traceback."""
    chain = []
    link: BaseException | None = error
    while link is not None:
        chain.append(f"{link} {link!r} {link.args!r} {getattr(link, '__notes__', '')}")
        link = link.__cause__ or link.__context__
    return "\n".join([*chain, *traceback.format_exception_only(error)])


def leak(token: str, call: Callable[[], object]) -> str | None:
    """What an error of a call quotes of a secret that it may not."""
    try:
        call()
    except NormalizeError as error:
        text = texts(error)
        may = QUOTED if isinstance(error, SourceReportedError) else 0
        if quotes(token[may:], text) or len(str(error)) > 500:
            return f"{type(error).__name__} {error.code}: {error}"
    except Exception as error:  # noqa: BLE001 - whatever it says, it is none of ours
        return f"FOREIGN {type(error).__name__}"
    return None


@pytest.mark.slow
def test_no_error_contains_a_secret(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """No text, repr or chained exception quotes a planted value, but the head of what a service reported; no log."""
    found = set()
    count = 0
    with caplog.at_level(logging.DEBUG):
        for pair in FOUND:
            for token, raw in planted(pair):
                count += 1
                for verb in VERBS:
                    leaked = leak(token, lambda verb=verb, raw=raw: verb(raw))  # type: ignore[misc]
                    if leaked is not None:
                        found.add(f"{pair.name}: {leaked}")
    assert sorted(found) == []
    assert count > 5_000
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


CONVERSIONS = {strict: Conversion(Options(strict=strict)) for strict in (False, True)}


def rejected(line: bytes, *, strict: bool) -> Iterator[str]:
    """The rejects of a line as they are written, and the class of an exception that is none of ours."""
    try:
        for _, reject in CONVERSIONS[strict]([Block(0, 1, 0, line + b"\n")]).rejects:
            yield reject.to_json().decode()
    except Exception as error:  # noqa: BLE001 - distinguished by the test
        yield f"FOREIGN {type(error).__name__}"


def test_no_reject_contains_a_secret() -> None:
    """No reason, code or path of a rejected line quotes a planted value; the reject is all that is written."""
    found = []
    rejects = 0
    for pair in FOUND[::3]:
        if pair.is_stream:
            continue
        for token, raw in planted(pair):
            line = raw.replace(b"\n", b" ").replace(b"\r", b" ")
            for strict in (False, True):
                written = list(rejected(line, strict=strict))
                rejects += len(written)
                found += [
                    f"{pair.name}: {text}" for text in written if quotes(token, text) or text.startswith("FOREIGN")
                ]
    assert found == []
    assert rejects > 1_000


def test_detect_and_explain_tell_no_secret() -> None:
    """The errors of `detect` and `explain` quote no planted value but the head of what a service reported."""
    found = []
    for pair in FOUND[::10]:
        for token, raw in list(planted(pair))[:12]:
            for verb in (detect, explain):
                leaked = leak(token, lambda verb=verb, raw=raw: verb(raw))  # type: ignore[misc]
                if leaked is not None:
                    found.append(f"{pair.name}: {leaked}")
    assert found == []


def test_a_key_is_quoted_short() -> None:
    """Of a key that is a secret, texts hold at most 64 characters."""
    token = secret("key")
    for raw in (
        b'{"choices":[],"usage":{"%s":99999999999999999999}}',
        b'{"choices":[{"%s":{"\\ud83d \\ud83d":1}}]}',
        b'{"%s":1}',
        b'{"choices":[],"%s":1',
        b'{"choices":[],"%s":1,"%s":1}',
        b'{"error":{"%s":1}}',
    ):
        for verb in VERBS:
            payload = raw.replace(b"%s", token.encode())
            try:
                verb(payload)
            except NormalizeError as error:
                assert not quotes(token[QUOTED:], texts(error))


def test_a_mapping_is_quoted_short() -> None:
    """Of a mapping that JSON cannot hold, texts quote no value, and at most 64 characters of a pointer."""
    token = secret("mapping")
    for value in (object(), float("nan"), token + "\ud83d", {3: token}, {token: {token: float("inf")}}, token.encode()):
        for tree in ({"choices": [], "x": value}, {"choices": [], token: value}, {"choices": value}):
            with pytest.raises(NormalizeError) as caught:
                normalize(tree)
            assert not quotes(token[QUOTED:], texts(caught.value))
            assert len(str(caught.value)) <= 500


def test_a_name_of_the_caller_is_quoted_short() -> None:
    """Of an unknown `source=` or `variant=`, texts hold at most 64 characters."""
    token = secret("name")
    for options in ({"source": token}, {"source": "openai", "variant": token}, {"variant": token}):
        with pytest.raises(UnknownSourceError) as caught:
            normalize(b'{"choices":[]}', **options)  # type: ignore[arg-type]
        assert not quotes(token[QUOTED:], texts(caught.value))


def test_the_checks_see_a_leak() -> None:
    """A text that quotes a piece of a secret, or an error that hides one in its context, is reported."""

    def tell() -> None:
        raise NormalizeError(f"the value {secret('x')[100:120]} is odd")

    def hide() -> None:
        try:
            int(secret("x"))
        except ValueError:
            raise NormalizeError("odd") from None

    assert leak(secret("x"), tell) is not None
    assert leak(secret("x"), hide) is not None
    assert leak(secret("y"), tell) is None
