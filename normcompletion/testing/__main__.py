"""`python -m normcompletion.testing FOLDER`: write the expected completions that are missing, to be looked through."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import msgspec

from ..api import normalize
from . import SUFFIXES, outcome


def main(folder: str) -> None:
    """Write what each payload gives beside it, where nothing is there yet."""
    for path in sorted(Path(folder).rglob("*")):
        expected = path.with_name(path.name.rsplit(".", 1)[0] + ".expected.json")
        if path.suffix not in SUFFIXES or path.name.endswith(".expected.json") or expected.exists():
            continue
        completion = outcome(partial(normalize, path.read_bytes())).completion
        if completion is not None:
            expected.write_bytes(msgspec.json.format(completion.to_json(), indent=1) + b"\n")
            print(f"{expected}: look it through before you commit it")  # noqa: T201 - this is what the command says


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m normcompletion.testing FOLDER")
    main(sys.argv[1])
