"""`normcompletion bench`."""

from __future__ import annotations

import argparse
from itertools import islice

from ..errors import NormalizeError
from .console import DONE, INPUT, USAGE, fail, print_json
from .options import Commands, add_inputs, add_source


def add(command: Commands) -> None:
    """Add the command."""
    added = command("bench", run, "measure how fast your logs are read, beside orjson.loads")
    add_inputs(added)
    add_source(added)
    added.add_argument("--rounds", metavar="N", type=int, default=9, help="how often each reader reads the log (9)")
    added.add_argument("--json", action="store_true", help="write the result as JSON")


def run(options: argparse.Namespace) -> int:
    """Measure."""
    from .. import batch
    from ..bench import measure

    if options.rounds < 1:
        return fail(USAGE, f"--rounds {options.rounds}: measure at least one round")
    if options.limit is not None and options.limit < 1:
        return fail(USAGE, f"--limit {options.limit}: measure at least one body")
    inputs = batch.expand(options.inputs, options.files_from, strict=options.strict_inputs)
    texts = (unit.text for _, unit in batch.iter_units(inputs) if unit.text is not None and unit.text.strip())
    try:
        found = measure(islice(texts, options.limit), source=options.source, rounds=options.rounds)
    except ValueError as error:
        if isinstance(error, NormalizeError | batch.InputError):
            raise
        return fail(INPUT, error)
    if options.json:
        import msgspec

        print_json(msgspec.json.encode(found) + b"\n")
    else:
        print(found)
    return DONE
