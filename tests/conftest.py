"""What several test modules share: the fixture pairs, the recorded bodies, and one way to call the library."""

from __future__ import annotations

import gzip
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from normcompletion import Completion, EncryptedPayloadError, NormalizeError, SourceReportedError

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


class Pair(NamedTuple):
    """A payload and the canonical completion it must give; `None` for a payload that gives none."""

    name: str
    raw: bytes
    expected: bytes | None

    @property
    def error(self) -> str | None:
        """The class of error that must be raised, `None` where a completion must come back."""
        folder, name, *_ = self.name.split("/")
        return name if folder == "rejected" else None

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
        if path.suffix not in (".json", ".txt") or path.name.endswith(".expected.json"):
            continue
        expected = path.with_name(path.name.rsplit(".", 1)[0] + ".expected.json")
        name = path.relative_to(FIXTURES).with_suffix("").as_posix()
        found.append(Pair(name, path.read_bytes(), expected.read_bytes() if expected.exists() else None))
    return found


PAIRS = load_pairs()


def recorded(*kinds: str) -> Iterator[tuple[str, bytes]]:
    """The id and the text of each recorded JSON body of some kinds."""
    if CORPUS is None:
        return
    with gzip.open(CORPUS, "rt", encoding="utf-8", errors="surrogatepass") as lines:
        for line in lines:
            record = json.loads(line)
            if record["kind"] in kinds and record["encoding"] == "json":
                yield record["id"], record["body"].encode("utf-8", "surrogatepass")


class Outcome(NamedTuple):
    """What a call gave: the class of error, if any, and the completion that came back or that the error carries."""

    error: str | None
    completion: Completion | None


def outcome(call: Callable[[], Completion]) -> Outcome:
    """The outcome of a call; anything but a completion or a `NormalizeError` fails the test."""
    try:
        return Outcome(None, call())
    except (SourceReportedError, EncryptedPayloadError) as error:
        return Outcome(type(error).__name__, error.completion)
    except NormalizeError as error:
        return Outcome(type(error).__name__, None)


def read_outcome(call: Callable[[], Completion]) -> Outcome:
    """`outcome` for a `Reader`, which gives failed and encrypted calls back as completions."""
    error, completion = outcome(call)
    if completion is not None and completion.error is not None:
        return Outcome("SourceReportedError", completion)
    if completion is not None and completion.variant == "confidential":
        return Outcome("EncryptedPayloadError", completion)
    return Outcome(error, completion)


def canonical(completion: Completion | None) -> str | None:
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
