"""What several test modules share: the fixture pairs, the recorded bodies, and one way to call the library."""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import json
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from normcompletion import (
    Completion,
    EncryptedPayloadError,
    NormalizeError,
    SourceReportedError,
    Variant,
    normalize,
)
from normcompletion.ledger import Ledger
from normcompletion.model import Chunk
from normcompletion.reader import Reader
from normcompletion.registry import Registry, built_in
from normcompletion.stream_assembly import Assembly
from normcompletion.stream_chunks import ChunkReader

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "fixtures"
# `camel.py`, the generator of twins, by its path: with `fixtures/` on `sys.path` its folders would pass for packages.
_spec = importlib.util.spec_from_file_location("camel", FIXTURES / "camel.py")
assert _spec is not None and _spec.loader is not None
sys.modules["camel"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["camel"])

CORPUS_FILE = ROOT.parent / "shared" / "corpus" / "recorded.jsonl.gz"
# Recorded bodies of real services are not part of the repository; what needs them is skipped without.
CORPUS: Path | None = CORPUS_FILE if CORPUS_FILE.exists() else None


@pytest.fixture(autouse=True, scope="session")
def _hears_interrupts() -> None:
    """In the background of a shell SIGINT is ignored, by children too; the tests are about who hears it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def zstd() -> Any:
    """The standard library's zstd, or its backport; skips the test where there is neither."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return pytest.skip("needs normcompletion[batch]: no zstd here")


class Pair(NamedTuple):
    """A payload and the canonical completion, or chunk, it must give; `None` for a payload that gives none."""

    name: str
    raw: bytes
    expected: bytes | None

    @property
    def error(self) -> str | None:
        """The class of error that must be raised, `None` where a completion must come back."""
        folder, name, *_ = self.name.split("/")
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


def load_pairs() -> list[Pair]:
    """Every fixture, in order of names."""
    found = []
    for path in sorted(FIXTURES.rglob("*")):
        if path.suffix not in (".json", ".txt", ".sse") or path.name.endswith(".expected.json"):
            continue
        expected = path.with_name(path.name.rsplit(".", 1)[0] + ".expected.json")
        name = path.relative_to(FIXTURES).with_suffix("").as_posix()
        found.append(Pair(name, path.read_bytes(), expected.read_bytes() if expected.exists() else None))
    return found


FOUND = load_pairs()
PAIRS = [pair for pair in FOUND if not pair.is_chunk]  # what `normalize` takes: whole responses and saved streams
WHOLE = [pair for pair in PAIRS if not pair.is_stream]
STREAMS = [pair for pair in PAIRS if pair.is_stream]
CHUNKS = [pair for pair in FOUND if pair.is_chunk]  # what `normalize_chunk` takes


def recorded(*kinds: str) -> Iterator[tuple[str, bytes]]:
    """The id and the text of each recorded JSON body of some kinds."""
    if CORPUS is None:
        return
    with gzip.open(CORPUS, "rt", encoding="utf-8", errors="surrogatepass") as lines:
        for line in lines:
            record = json.loads(line)
            if record["kind"] in kinds and record["encoding"] == "json":
                yield record["id"], record["body"].encode("utf-8", "surrogatepass")


def fresh_reader(variants: Iterable[Variant] = built_in()) -> Reader:
    """A reader that has read nothing yet, of whole responses and of saved streams."""
    reader = Reader(Registry(tuple(variants)))
    chunk_reader = ChunkReader(reader)

    def stream(payload: bytes | list[Any], ledger: Ledger) -> Completion:
        assembly = Assembly(chunk_reader, source=ledger.source, fallback=ledger.fallback)
        if isinstance(payload, bytes):
            assembly.add_stream(payload)
        else:
            for chunk in payload:
                assembly.add_data(chunk if isinstance(chunk, bytes) else msgspec.json.encode(chunk))
        return assembly.completion(ledger, final=True)

    reader.stream = stream
    return reader


class Outcome(NamedTuple):
    """What a call gave: the class of error, if any, and the completion that came back or that the error carries."""

    error: str | None
    completion: Completion | None
    refusal: tuple[str, str | None] | None = None  # code and path of an error that carries no completion


def outcome(call: Callable[[], Completion]) -> Outcome:
    """The outcome of a call; anything but a completion or a `NormalizeError` fails the test."""
    try:
        return Outcome(None, call())
    except (SourceReportedError, EncryptedPayloadError) as error:
        return Outcome(type(error).__name__, error.completion)
    except NormalizeError as error:
        return Outcome(type(error).__name__, None, (error.code, error.path))


def completion_of(payload: object) -> Completion | None:
    """What a payload gives, a failed or encrypted call included."""
    return outcome(lambda: normalize(payload)).completion


def read_outcome(call: Callable[[], Completion]) -> Outcome:
    """`outcome` for a `Reader`, which gives failed and encrypted calls back as completions."""
    found = outcome(call)
    completion = found.completion
    if completion is not None and completion.error is not None:
        return Outcome("SourceReportedError", completion)
    if completion is not None and completion.variant == "confidential":
        return Outcome("EncryptedPayloadError", completion)
    return found


def canonical(completion: Completion | Chunk | None) -> str | None:
    """A completion as text that differs wherever two completions differ: 1, 1.0 and true are three values.

    The order in which keys went to `extra` and in which repairs were noted is no promise, so it is levelled.
    """
    if completion is None:
        return None
    tree = json.loads(msgspec.json.encode(completion))
    tree["notes"] = sorted(json.dumps(note, sort_keys=True) for note in tree["notes"])
    return json.dumps(tree, sort_keys=True, indent=1)


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
