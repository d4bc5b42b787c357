"""`normcompletion envelopes`: what can be around a response, how each is recognised, and an example."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import did_you_mean, excerpt
from .console import DONE, USAGE, fail
from .options import Commands

if TYPE_CHECKING:
    from ..envelopes.preset import Preset


def add(command: Commands) -> None:
    """Add the command."""
    added = command(
        "envelopes", _run, "list the envelopes that can be around a response, how each is recognised, and an example"
    )
    added.add_argument("name", nargs="*", help="list only these")


def _run(options: argparse.Namespace) -> int:
    from ..envelopes.registry import NATIVE, presets

    known = presets()
    names = options.name or [*NATIVE, *known]
    for name in names:
        if name not in known and name not in NATIVE:
            hint = did_you_mean(name, [*NATIVE, *known])
            return fail(USAGE, f"no envelope {excerpt(name)!r}; {hint}known are {', '.join([*NATIVE, *known])}")
    for name in names:
        print(f"{name}: {NATIVE[name] if name in NATIVE else known[name].about}")
        if name in known:
            print("\n".join(f"  {line}" for line in _described(known[name])))
    return DONE


def _described(preset: Preset) -> Iterator[str]:
    """How an envelope is recognised, where its response is, what else is read of it, and an example."""
    for keys in preset.detected_by:
        lacks = f", without {' or '.join(keys.lacks)}" if keys.lacks else ""
        yield f"has         {' and '.join(keys.has)}{lacks}"
    yield f"response    {' or '.join(preset.bodies)}"
    for field, places in preset.fields.items():
        yield f"{field:11} {' or '.join(places)}"
    yield f"example     {json.dumps(preset.example)}"
