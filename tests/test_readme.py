"""The README runs, and its variant table is the registry's."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from normcompletion.api import default_engine

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize(("code", "shown"), EXAMPLES)
def test_examples_print_what_is_shown(code, shown):
    """Each Python block of the README prints the text block below it."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    assert printed.getvalue() == shown


def test_every_python_block_is_an_example():
    """Every Python block of the README has its output below it."""
    assert len(EXAMPLES) == README.count("```python") > 0


def test_the_variant_table_is_the_registry():
    """The README's table has a row for each built-in variant, and each folder it links to holds fixtures."""
    table = re.search(r"<!-- variants -->\n(.*?)<!-- /variants -->", README, re.DOTALL)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]
    assert {(source, variant, tuple(spellings.split(", "))) for source, variant, spellings, _ in rows} == {
        (variant.source, variant.name, variant.spellings) for variant in default_engine().registry.variants
    }
    for *_, link in rows:
        folder = ROOT / re.search(r"\((.*)\)", link)[1]
        assert list(folder.glob("*.expected.json")), folder


def test_the_commands_about_logs_work(tmp_path):
    """The commands from a log to a query run as they are written, but for what is installed by them."""
    block = next(block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "duckdb" in block)
    install, *commands = block.splitlines()
    assert install.startswith("pip install")
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for command in commands:
        ran = subprocess.run(
            ["sh", "-ec", command],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
    assert all(source in ran.stdout for source in ("atoma", "log10", "openai", "openrouter"))
