"""The same bytes give the same answer, whatever holds them, whoever calls, and whatever was read before.

`digest` reads every payload in a process of its own, so that a crash is a return code and no setting leaks.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.conftest import python as run_python
from tests.reliability.digest import as_text
from tests.reliability.inputs import as_mapping, payloads

# Python executables that have the package, to compare with this one; `.ci/run` may name some.
OTHERS = os.environ.get("NORMCOMPLETION_PYTHONS", "").split(os.pathsep)


@cache
def digest(*options: str, python: str = sys.executable) -> dict[tuple[str, str], tuple[str, ...]]:
    """What became of every payload, by name and mode: class and code, digest, offset."""
    command = [python, "-W", "error", "-m", "tests.reliability.digest", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = {}
    for line in done.stdout.splitlines():
        name, mode, *rest = line.split("\t")
        found[name, mode] = tuple(rest)
    return found


def differences(*options: str, offsets: bool = True) -> list[str]:
    """What differs from the plain reading of the same payloads, with the offsets of errors or without."""
    plain, other = digest(), digest(*options)
    assert other
    compared = slice(None if offsets else 2)
    return [
        f"{key}: {plain.get(key)} / {value}"
        for key, value in other.items()
        if not is_skipped(key) and plain[key][compared] != value[compared]
    ]


def is_skipped(key: tuple[str, str]) -> bool:
    """Whether a payload nests deep where no tree is built of it: there the decoder's own limit holds."""
    return "i_depth_" in key[0]


def test_nothing_but_a_completion_or_an_error_of_ours() -> None:
    """No payload, whole or mutated, in either mode, raises anything but a `NormalizeError`."""
    assert [f"{key}: {value[0]}" for key, value in digest().items() if value[0].startswith("FOREIGN")] == []


@pytest.mark.slow  # `test_paths.py` has the fixtures in every container
@pytest.mark.parametrize("container", ["bytearray", "memoryview", "str", "mapping"])
def test_every_container_gives_the_same_answer(container: str) -> None:
    """A payload in another container gives the same completion, or the same class, code, path and offset."""
    # The bytes of a mapping are written anew, so offsets are their own.
    assert differences("--container", container, offsets=container != "mapping") == []


@pytest.mark.slow
def test_every_payload_that_a_container_can_hold_was_read() -> None:
    """No payload is left out but those that are no UTF-8 as text, and those no mapping says as mapping."""
    held = payloads()
    texts = {name for name, raw in held.items() if as_text(raw) is not None}
    mappings = {name for name, raw in held.items() if as_mapping(raw) is not None}
    assert {name for name, _ in digest()} == held.keys()
    assert {name for name, _ in digest("--container", "str")} == texts
    assert {name for name, _ in digest("--container", "mapping")} == mappings
    assert len(mappings) > 700


@pytest.mark.slow
@pytest.mark.parametrize("depth", [400, 800])
def test_a_deep_caller_gets_the_same_answer(depth: int) -> None:
    """A call below hundreds of frames gives what a call at the top gives."""
    assert differences("--depth", str(depth)) == []


@pytest.mark.parametrize("every", ["4", pytest.param("1", marks=pytest.mark.slow)])
def test_a_small_stack_gets_the_same_answer(every: str) -> None:
    """A thread with a stack of 1 MiB gets what the main thread gets, and the process lives."""
    assert differences("--stack", str(1 << 20), "--every", every) == []


@pytest.mark.slow
def test_eight_threads_get_the_same_answer() -> None:
    """Eight threads that read everything at once, each from another place, get what one gets."""
    assert differences("--threads", "8", "--every", "4") == []


def test_threads_may_compile_at_once() -> None:
    """Threads that compile Structs with shared members at the same moment leave the process alive."""
    done = run_python("-m", "tests.reliability.compile_together")
    assert (done.returncode, done.stdout) == (0, "done\n")


@pytest.mark.slow
def test_one_of_many_gets_the_same_answer() -> None:
    """`normalize_many` gives for a payload what `normalize` gives, but for a page, which it opens."""
    assert differences("--many") == []


@pytest.mark.parametrize("python", [Path(other) for other in OTHERS if other] or [None], ids=str)
def test_every_python_gives_the_same_answer(python: Path | None) -> None:
    """Another Python gives the same completion, or the same class, code and path."""
    if python is None:
        pytest.skip("NORMCOMPLETION_PYTHONS names no other Python")
    here, there = digest(), digest(python=str(python))
    assert here.keys() == there.keys()
    assert [key for key in here if here[key][:2] != there[key][:2]] == []
