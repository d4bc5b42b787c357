"""What several test modules share: the options, the fixture pairs, and one way to call the library."""

from __future__ import annotations

import functools
import gc
import gzip
import importlib
import importlib.util
import inspect
import json
import os
import signal
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from benchmarks.corpora import DEFAULT, parse_mix, records
from normcompletion import Completion, NormalizeError, SourceReportedError, Variant, assemble, normalize
from normcompletion.decoding.engine import Engine
from normcompletion.sources.registry import Registry, built_in
from normcompletion.streams.assembly import read_stream
from normcompletion.streams.chunks import ChunkReader
from normcompletion.testing import (  # noqa: F401 - some are for the test modules
    Outcome,
    Pair,
    canonical,
    load_pairs,
    outcome,
    resolve,
    without_nulls,
)

ROOT = Path(__file__).resolve().parent.parent
BESIDE = f"{ROOT.parent}{os.sep}"
FIXTURES = ROOT / "fixtures"


settings.register_profile("quick", deadline=None, derandomize=True, database=None, max_examples=100)
settings.register_profile("slow", deadline=None, derandomize=True, database=None, max_examples=1000)


def examples(count: int) -> settings:
    """So many examples of Hypothesis, the same in every run; with `--slow` ten times as many."""
    return settings(max_examples=count * settings.default.max_examples // 100, suppress_health_check=list(HealthCheck))


def for_each(cases: Iterable[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test for every case, a tuple as several arguments, and name all cases for which it fails.

    It is `pytest.mark.parametrize` as one test, for hundreds of cases that take less time than a test of their own.
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(**fixtures: Any) -> None:
            failures: list[BaseException] = []
            for case in chosen:
                values = case if type(case) is tuple else (case,)
                try:
                    test(*values, **fixtures)
                except (Exception, pytest.fail.Exception) as failure:  # noqa: BLE001 - all of them are raised below
                    failure.add_note(f"for {getattr(case, 'name', case)!s:.200}")
                    failures.append(failure)
            if len(failures) == 1:
                raise failures[0]
            if failures:
                raise BaseExceptionGroup(f"fails for {len(failures)} of {len(chosen)}", failures)

        chosen = list(cases)
        taken = len(chosen[0]) if type(chosen[0]) is tuple else 1
        parameters = list(inspect.signature(test).parameters.values())[taken:]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return run

    return decorate


def slow(*values: Any) -> list[Any]:
    """Values of a parameter that only `--slow` tries."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow) for value in values
    ]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of this suite; CONTRIBUTING.md says when to use them."""
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too (crash runs, large corpora)")
    parser.addoption("--corpus", metavar="DIR", type=Path, help="also run over the recorded bodies in a folder")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out slow tests, and tests over recorded bodies, unless they are asked for."""
    left_out = {
        "slow": None if config.getoption("--slow") else "slow; run with --slow",
        "corpus": None if config.getoption("--corpus") else "needs recorded bodies; run with --corpus=DIR",
    }
    chosen, rest = [], []
    for item in items:
        is_left_out = any(reason and item.get_closest_marker(name) for name, reason in left_out.items())
        (rest if is_left_out else chosen).append(item)
    if rest:
        config.hook.pytest_deselected(items=rest)
        items[:] = chosen


def pytest_collection_finish() -> None:
    """Let the garbage collector look only at what the tests make, which takes a twentieth less time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def corpus(request: pytest.FixtureRequest) -> Path:
    """The file of recorded bodies that was asked for; only tests marked `corpus` use it."""
    folder: Path = request.config.getoption("--corpus")
    return folder / "recorded.jsonl.gz"


def _refuse_neighbours(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse to open what is beside the repository: the tests must pass where there is nothing."""
    if event != "open" or not isinstance(arguments[0], str) or not arguments[0].startswith(BESIDE):
        return
    if not arguments[0].startswith((f"{ROOT}{os.sep}", sys.prefix, sys.base_prefix)):
        raise PermissionError(f"{arguments[0]} is outside the repository; commit what a test needs")


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples Hypothesis draws; watch what is opened.

    Nothing is watched where recorded bodies were asked for, or where the repository is among temporary files.
    """
    settings.load_profile("slow" if config.getoption("--slow") else "quick")
    if config.getoption("--corpus") is None and not tempfile.gettempdir().startswith(str(ROOT.parent)):
        sys.addaudithook(_refuse_neighbours)


@pytest.fixture(autouse=True, scope="session")
def _hears_interrupts() -> None:
    """In the background of a shell SIGINT is ignored, by children too; the tests are about who gets it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def zstd() -> Any:
    """The standard library's zstd, or its backport."""
    return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


# Those under `forms/` are files of logs, for `test_form_samples.py`.
FOUND = [pair for pair in load_pairs(FIXTURES) if not pair.name.startswith("forms/")]
PAIRS = [pair for pair in FOUND if not pair.is_chunk]  # what `normalize` takes: whole responses and saved streams
WHOLE = [pair for pair in PAIRS if not pair.is_stream]
STREAMS = [pair for pair in PAIRS if pair.is_stream]
CHUNKS = [pair for pair in FOUND if pair.is_chunk]  # what `normalize_chunk` takes


@functools.cache
def invented() -> list[tuple[str, bytes]]:
    """Invented bodies in the shapes of recorded ones, of all sources and spellings, with a name each."""
    return [
        (f"record {number}", record.body) for number, record in enumerate(records(parse_mix(DEFAULT), seed=7, stop=800))
    ]


def recorded(corpus: Path, *kinds: str) -> Iterator[tuple[str, bytes]]:
    """The id and the text of each recorded JSON body of some kinds."""
    with gzip.open(corpus, "rt", encoding="utf-8", errors="surrogatepass") as lines:
        for line in lines:
            record = json.loads(line)
            if record["kind"] in kinds and record["encoding"] == "json":
                yield record["id"], record["body"].encode("utf-8", "surrogatepass")


def fresh_engine(variants: Iterable[Variant] = built_in()) -> Engine:
    """An engine that has read nothing yet, of whole responses and of saved streams."""
    engine = Engine(Registry(tuple(variants)), lambda payload, findings: read_stream(chunks, payload, findings))
    chunks = ChunkReader(engine)
    return engine


def completion_of(payload: object) -> Completion | None:
    """What a payload gives, a failed or encrypted call included."""
    return outcome(lambda: normalize(payload)).completion


def read_outcome(call: Callable[[], Completion]) -> Outcome:
    """`outcome` for an `Engine`, which gives failed and encrypted calls back as completions."""
    found = outcome(call)
    completion = found.completion
    if completion is not None and completion.error is not None:
        return Outcome("SourceReportedError", completion)
    if completion is not None and completion.variant == "confidential":
        return Outcome("EncryptedPayloadError", completion)
    return found


# -- files, processes and memory


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with what is in it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def json_lines(path: Path) -> list[Any]:
    """The values of a file of JSON lines."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """What a Python in a process of its own did."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, **options)


def memory_of(call: Callable[[], object]) -> tuple[int, int]:
    """How many bytes Python holds more after a call, and how many it held at most."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


# -- small payloads, and what they give


def chat(**members: Any) -> dict[str, Any]:
    """A small chat completion with more members."""
    return {"id": "a", "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}], **members}


def piece(delta: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A chunk with one choice."""
    return {"choices": [{"index": 0, "delta": delta, **members}]}


END = piece({}, finish_reason="stop")


def saved(*chunks: Any) -> bytes:
    """A saved stream of chunks."""
    return b"".join(b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n" for chunk in chunks)


def both(*chunks: Any, **options: Any) -> Completion:
    """The completion of a stream, the same whether it was saved or came chunk by chunk."""
    one, other = normalize(saved(*chunks), **options), assemble(chunks, **options)
    assert canonical(one) == canonical(other)
    return one


def refusal(payload: object, **options: Any) -> NormalizeError:
    """The error that a payload raises."""
    with pytest.raises(NormalizeError) as caught:
        normalize(payload, **options)
    return caught.value


def reported(payload: object, **options: Any) -> Completion:
    """The completion of a call that the service says failed."""
    error = refusal(payload, **options)
    assert isinstance(error, SourceReportedError)
    return error.completion
