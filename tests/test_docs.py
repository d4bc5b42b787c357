"""The documentation: every public name has an entry, its examples run, and the guides are there."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import sys
from itertools import pairwise
from typing import Any

import pytest

from tests.conftest import ROOT

PUBLIC = ("normcompletion", *(f"normcompletion.{name}" for name in ("batch", "export", "testing")))
GUIDED = ("sources", "findings", "streaming", "batch", "envelopes", "export", "arrow", "testing", "cli")
GUIDES = ("normcompletion", *(f"normcompletion.{name}" for name in GUIDED))
NAMES = [(module, name) for module in PUBLIC for name in importlib.import_module(module).__all__]


def entries() -> dict[str, tuple[str, str]]:
    """The texts below assignments of the package, by name: what documents data, with its module."""
    found = {}
    for path in (ROOT / "normcompletion").rglob("*.py"):
        body = ast.parse(path.read_text()).body
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node, text in pairwise(body):
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            if isinstance(target, ast.Name) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[target.id] = (module, str(text.value.value))
    return found


def entry(module: str, name: str) -> tuple[str, str]:
    """The module in which a public name is defined, and what is said of it."""
    value = getattr(importlib.import_module(module), name)
    if inspect.isclass(value) or inspect.isroutine(inspect.unwrap(value)):
        return value.__module__, value.__doc__ or ""
    return entries()[name]


def run_examples(text: str, known: dict[str, Any], name: str) -> int:
    """How many examples a text has, all of which print what they show."""
    test = doctest.DocTestParser().get_doctest(inspect.cleandoc(text), known, name, None, None)
    printed: list[str] = []
    failed, found = doctest.DocTestRunner().run(test, out=printed.append)
    assert not failed, "".join(printed)
    return found


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_every_public_name_has_an_example_that_runs(module, name, monkeypatch, tmp_path):
    """Each public name is described, with an example that prints what it shows."""
    monkeypatch.chdir(ROOT)
    home, text = entry(module, name)
    assert run_examples(text, dict(vars(sys.modules.get(home) or importlib.import_module(home))), name)


@pytest.mark.parametrize("module", GUIDES)
def test_guides_run(module, monkeypatch):
    """The docstring of each package is a guide, and its examples print what they show."""
    monkeypatch.chdir(ROOT)
    found = importlib.import_module(module)
    assert len(found.__doc__.splitlines()) >= 5
    run_examples(found.__doc__, dict(vars(found)), module)
