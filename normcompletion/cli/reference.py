"""`normcompletion sources`: what this installation knows."""

from __future__ import annotations

import argparse

from .console import DONE
from .options import Commands


def add(command: Commands) -> None:
    """Add the commands."""
    command("sources", _sources, "list the variants this installation reads")


def _sources(_: argparse.Namespace) -> int:
    from ..api import default_engine

    rows = [
        (variant.source, variant.name, " ".join(variant.spellings), variant.about)
        for variant in default_engine().registry.variants
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + f"  {row[3]}")
    return DONE
