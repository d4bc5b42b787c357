"""A conformance kit for sources of third parties: what the library's own sources are tested with.

A source is tested by fixtures: `payload.json` (or `.txt`, `.sse`) beside `payload.expected.json`, the completion that
it must give, in any folders. A payload without an expected completion must be refused. With pytest:

    import pytest
    from normcompletion.testing import checks

    import acme_normcompletion

    @pytest.mark.parametrize("check", checks("fixtures", acme_normcompletion.VARIANTS), ids=str)
    def test_conformance(check):
        check()

What is checked, for every payload:

* it gives its expected completion, to the last note (`python -m normcompletion.testing FOLDER` writes the first ones);
* nothing of it is lost: every leaf is in a field, in `extra` or in a note;
* in camelCase it gives the same, with the pointers of that spelling;
* it gives the same whatever was read before it;
* and, once: no payload of this library's own fixtures gives something else because the source is there.

>>> for check in checks("fixtures/openai/chat")[:2]:
...     check()
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from ..api import answered, default_engine
from ..audit import lost
from ..decoding.engine import Engine
from ..dialect.variant import Variant
from ..errors import EncryptedPayloadError, NormalizeError, SourceReportedError
from ..model import Chunk, Completion, Note
from ..pointer import camel
from ..sources.registry import Registry
from ..streams.assembly import read_stream
from ..streams.chunks import ChunkReader
from .camelcase import SCHEMA_KEYS, follow, in_camel_case

__all__ = ["Check", "Pair", "canonical", "checks", "load_pairs", "own_fixtures", "reader"]

SUFFIXES = (".json", ".txt", ".sse")
Read = Callable[[bytes], Completion]
Body = TypeVar("Body", Completion, Chunk)


class Pair(NamedTuple):
    """A payload and the canonical completion, or chunk, it must give; `None` for a payload that gives none.

    >>> Pair("rejected/UnknownPayloadError/tide", b'{"tide": 1}', None).error
    'UnknownPayloadError'
    """

    name: str
    raw: bytes
    expected: bytes | None

    @property
    def error(self) -> str | None:
        """The class of error that must be raised, for what is in a folder `rejected/CLASS`."""
        folder, name, *_ = [*self.name.split("/"), ""]
        return name if folder == "rejected" else None

    @property
    def is_stream(self) -> bool:
        """Whether the payload is a saved stream, or a log record that holds one: its pointers name assembled places."""
        return "/stream/" in self.name or "/stream_" in self.name

    @property
    def is_chunk(self) -> bool:
        """Whether the payload is one chunk, for `normalize_chunk`."""
        return "/chunk/" in self.name

    @property
    def tree(self) -> Any:
        """The payload as plain JSON, `None` where it is none."""
        try:
            return json.loads(self.raw.decode())
        except ValueError:
            return None


def load_pairs(folder: str | Path) -> list[Pair]:
    """Every fixture below a folder, in the order of names.

    >>> {pair.is_stream for pair in load_pairs("fixtures/openai/text")}
    {False}
    """
    root, found = Path(folder), []
    for path in sorted(root.rglob("*")):
        if path.suffix not in SUFFIXES or path.name.endswith(".expected.json"):
            continue
        expected = path.with_name(path.name.rsplit(".", 1)[0] + ".expected.json")
        name = path.relative_to(root).with_suffix("").as_posix()
        found.append(Pair(name, path.read_bytes(), expected.read_bytes() if expected.exists() else None))
    return found


@cache
def own_fixtures() -> tuple[Pair, ...]:
    """The fixtures of this library's own sources, without chunks and whole logs; a wheel holds their payloads only.

    >>> len(own_fixtures()) > 300
    True
    """
    installed = Path(str(resources.files(__package__) / "fixtures"))
    folder = installed if installed.is_dir() else Path(__file__).parents[2] / "fixtures"
    return tuple(pair for pair in load_pairs(folder) if not pair.is_chunk and not pair.name.startswith("forms/"))


def reader(variants: Iterable[Variant] = ()) -> Read:
    """A `normalize` that also knows some variants, and has read nothing yet.

    >>> reader()(b'{"choices": [{"text": "Sure"}]}').text
    'Sure'
    """
    registry = Registry((*default_engine().registry.variants, *variants))
    engine = Engine(registry, lambda payload, findings: read_stream(chunks, payload, findings))
    chunks = ChunkReader(engine)
    return lambda raw: answered(engine.read(raw), (), strict=False)


class Outcome(NamedTuple):
    """What a call gave: the class of error, if any, and the completion that came back or that the error carries.

    >>> outcome(lambda: reader()(b"")).refusal
    ('empty', None)
    """

    error: str | None
    completion: Completion | None
    refusal: tuple[str, str | None] | None = None  # code and path of an error that carries no completion


def outcome(call: Callable[[], Completion]) -> Outcome:
    """The outcome of a call; anything but a completion or a `NormalizeError` goes through.

    >>> outcome(lambda: reader()(b'{"error": "busy"}')).error
    'SourceReportedError'
    """
    try:
        return Outcome(None, call())
    except (SourceReportedError, EncryptedPayloadError) as error:
        return Outcome(type(error).__name__, error.completion)
    except NormalizeError as error:
        return Outcome(type(error).__name__, None, (error.code, error.path))


def canonical(completion: Completion | Chunk | None) -> str | None:
    """A completion as text that differs wherever two completions differ: 1, 1.0 and true are three values.

    The order in which repairs were noted is not promised, so that they are sorted.

    >>> canonical(reader()(b'{"choices": []}')) == canonical(reader()(b'{ "choices": [] }'))
    True
    """
    if completion is None:
        return None
    tree = json.loads(completion.to_json())
    tree["notes"] = sorted(json.dumps(note, sort_keys=True) for note in tree["notes"])
    return json.dumps(tree, sort_keys=True, indent=1)


@dataclass(frozen=True, slots=True)
class Check:
    """One check: call it; it raises an `AssertionError` that says what is wrong.

    >>> str(checks("fixtures/openai/text")[-1])
    'no body of others is taken'
    """

    name: str
    run: Callable[[], None]

    def __call__(self) -> None:
        """Run it."""
        self.run()

    def __str__(self) -> str:
        """Its name, for `pytest.mark.parametrize(ids=str)`."""
        return self.name


def checks(folder: str | Path, variants: Iterable[Variant] = ()) -> list[Check]:
    """The checks of the fixtures in a folder.

    Args:
        folder: the fixtures.
        variants: those of a source that is not installed; those of installed plugins are known anyway.

    Raises:
        ValueError: the folder holds no fixtures.


    >>> checks("fixtures/openai/text")[0]()  # raises nothing

    """
    pairs = [pair for pair in load_pairs(folder) if not pair.is_chunk]
    if not pairs:
        raise ValueError(f"{folder} holds no payloads; put NAME.json and NAME.expected.json there")
    known = tuple(variants)
    return list(_checks(pairs, known, reader(known)))


def _checks(pairs: list[Pair], variants: tuple[Variant, ...], read: Read) -> Iterator[Check]:
    for pair in pairs:
        yield Check(f"{pair.name}: gives what is expected", partial(check_expected, pair, read))
    for pair in pairs:
        if pair.tree is not None and pair.expected is not None:
            yield Check(f"{pair.name}: nothing is lost", partial(check_nothing_lost, pair, read))
    keys = SCHEMA_KEYS.union(*(_keys(variant) for variant in variants))
    for pair in pairs:
        if has_camel_case(pair, keys):
            yield Check(f"{pair.name}: in camelCase as well", partial(check_spelling, pair, read, keys))
    yield Check("in any order", partial(check_order, pairs, variants))
    yield Check("no body of others is taken", partial(check_others, variants))


def check_expected(pair: Pair, read: Read) -> None:
    """The payload gives its expected completion, or is refused where there is none."""
    error, completion, _ = outcome(partial(read, pair.raw))
    if pair.error is not None:
        assert error == pair.error, f"{pair.name} gives {error or 'a completion'}, not {pair.error}"
    elif pair.expected is None:
        assert completion is None, f"{pair.name} gives a completion, and has no .expected.json beside it"
    else:
        assert completion is not None, f"{pair.name} is refused: {error}"
    if pair.expected is not None:
        expected = msgspec.convert(json.loads(pair.expected), Completion)  # may hold half surrogate pairs
        assert canonical(completion) == canonical(expected), f"{pair.name} gives another completion: {completion!r}"


def check_nothing_lost(pair: Pair, read: Read) -> None:
    """Every leaf of the payload is in a field, in `extra` or in a note."""
    completion = outcome(partial(read, pair.raw)).completion
    assert completion is not None, f"{pair.name} gives no completion"
    gone = lost(pair.tree, completion)
    assert not gone, f"{pair.name} loses {', '.join(gone)}"


def has_camel_case(pair: Pair, keys: frozenset[str] = SCHEMA_KEYS) -> bool:
    """Whether a payload has a camelCase variant: one that holds both spellings of a key has none."""
    if not isinstance(pair.tree, dict) or pair.is_stream or pair.name.endswith("both_spellings"):
        return False
    tree, moved = in_camel_case(pair.tree, keys)
    return bool(tree != pair.tree and len(set(moved.values())) == len(moved))


def check_spelling(pair: Pair, read: Read, keys: frozenset[str] = SCHEMA_KEYS) -> None:
    """In camelCase the payload gives the same, with the pointers of that spelling."""
    tree, moved = in_camel_case(pair.tree, keys)
    error, snake, _ = outcome(partial(read, pair.raw))
    camel_error, other, _ = outcome(partial(read, json.dumps(tree).encode()))
    assert camel_error == error, f"{pair.name} gives {error}, in camelCase {camel_error}"
    expected = None if snake is None else respelled(snake, tree, moved)
    assert levelled(other) == levelled(expected), f"{pair.name} gives another completion in camelCase: {other!r}"


def check_order(pairs: Iterable[Pair], variants: Iterable[Variant] = ()) -> None:
    """Every payload gives the same, whatever was read before it: the own fixtures are mixed in."""
    mixed = [*pairs, *own_fixtures()]
    found: dict[str, set[tuple[str | None, str | None]]] = {}
    for seed in range(3):
        read = reader(variants)
        random.Random(seed).shuffle(mixed)  # noqa: S311 - the same order each time
        for pair in mixed:
            error, completion, _ = outcome(partial(read, pair.raw))
            found.setdefault(pair.name, set()).add((error, canonical(completion)))
    wrong = sorted(name for name, given in found.items() if len(given) > 1)
    assert not wrong, f"what these give depends on what was read before: {', '.join(wrong[:5])}"


def check_others(variants: Iterable[Variant]) -> None:
    """No payload of this library's own fixtures gives something else because the variants are there."""
    before, after = reader(), reader(variants)
    for pair in own_fixtures():
        one, two = (outcome(partial(read, pair.raw)) for read in (before, after))
        same = (one.error, canonical(one.completion)) == (two.error, canonical(two.completion))
        taken = two.completion.source if two.completion is not None else two.error
        assert same, f"{pair.name} of normcompletion's own fixtures gives something else ({taken}); tell markers apart"


def respelled(completion: Body, tree: Any, moved: dict[str, str]) -> Body:
    """A snake_case payload's completion, as its camelCase variant `tree` must give it."""
    extra = {}
    for pointer, value in completion.extra.items():
        place = follow(pointer, moved)
        there = value
        if isinstance(value, dict | list):  # kept whole, so its keys are those of the variant
            there = resolve(tree, place)
            if isinstance(there, str):
                there = json.loads(there)
        extra[place] = without_nulls(there)
    completion.extra = extra
    completion.notes = [
        Note(
            code=note.code,
            path=follow(note.path, moved),
            before=without_nulls(resolve(tree, follow(note.path, moved)))
            if isinstance(note.before, dict | list)
            else note.before,
        )
        for note in completion.notes
    ]
    return completion


def levelled(completion: Completion | Chunk | None) -> str | None:
    """`canonical`, with nulls inside `extra` and `before` left out: null is absent."""
    if completion is not None:
        completion.extra = without_nulls(dict(completion.extra))
        for note in completion.notes:
            note.before = without_nulls(note.before)
    return canonical(completion)


def resolve(tree: Any, pointer: str) -> Any:
    """The value at a JSON Pointer, which may continue through text that holds JSON."""
    for token in pointer.split("/")[1:]:
        if isinstance(tree, str):
            tree = json.loads(tree)
        tree = tree[int(token)] if isinstance(tree, list) else tree[token.replace("~1", "/").replace("~0", "~")]
    return tree


def without_nulls(value: Any) -> Any:
    """A JSON value less its null members: null is absent."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def _keys(variant: Variant) -> frozenset[str]:
    """The keys of a variant's wire Struct that a TypeScript SDK would re-case."""
    if variant.wire is None:
        return frozenset()
    names = (field.encode_name for field in msgspec.structs.fields(variant.wire))
    return frozenset(name for name in names if camel(name) != name)
