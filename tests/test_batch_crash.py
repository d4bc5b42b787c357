"""`normcompletion convert`, disturbed: the quick form of `python -m tests.crash`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import python

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (hasattr(os, "fork") and Path("/proc/self/stat").exists()), reason="needs Linux"),
]


def findings(*options: str) -> str:
    """What the crash test found."""
    done = python("-m", "tests.crash", *options)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def test_a_run_survives_at_its_steps() -> None:
    """Killed or failed at durable steps, for every kind of output, a run resumes to the bytes of one undisturbed."""
    assert findings("--steps", "9", "--kills", "0", "--signals", "0") == ""


def test_a_run_survives_at_any_moment() -> None:
    """Killed or interrupted at a random moment, a run resumes to the bytes of one undisturbed."""
    assert findings("--few", "--steps", "0", "--kills", "6", "--signals", "3") == ""


WITHOUT_SYNC = """
import tempfile
from pathlib import Path
from normcompletion.batch import durable
from tests.crash.__main__ import steps
durable.File.sync = lambda self: None
with tempfile.TemporaryDirectory() as folder:
    print(*steps(Path(folder), "out.jsonl", 7), sep="\\n")
"""


def test_a_run_that_does_not_sync_is_found() -> None:
    """The crash test sees it when data is not synced before something on disk refers to it."""
    done = python("-c", WITHOUT_SYNC)
    assert done.returncode == 0, done.stderr
    assert "is half done" in done.stdout
