"""`normcompletion convert`."""

from __future__ import annotations

import argparse
import sys

from .console import DONE, REJECTS, fail
from .options import (
    Commands,
    Group,
    add_default_source,
    add_envelopes,
    add_inputs,
    add_running,
    add_source,
    given,
    names,
    pair,
    size,
)

_EXAMPLES = """examples:
  normcompletion convert log.jsonl -o canonical.jsonl --rejects rejects.jsonl
  normcompletion convert 'logs/**/*.jsonl.gz' -o canonical.parquet -j 0
  zcat log.gz | normcompletion convert - | jq .usage.cost
  normcompletion convert log.jsonl -o train.jsonl --to messages --unfinished skip
"""


def add(command: Commands) -> None:
    """Add the command."""
    added = command(
        "convert",
        run,
        "turn logs of responses into canonical JSON lines, Parquet or CSV",
        usage="normcompletion convert INPUT... [-o OUT] [options]",
        epilog=_EXAMPLES,
    )
    added.formatter_class = argparse.RawDescriptionHelpFormatter
    add_inputs(added)
    _add_outputs(added)
    add_envelopes(added)
    group = added.add_argument_group("reading the responses")
    add_source(group)
    add_default_source(group)
    group.add_argument(
        "--carry",
        metavar="NAME=POINTER",
        action="append",
        default=[],
        type=pair,
        help="a value of the unit to keep with each record, in `carried`; may be repeated",
    )
    group.add_argument("--strict", action="store_true", help="refuse what would need a repair")
    group.add_argument("--completions-only", action="store_true", help="refuse failed, pending and encrypted calls too")
    add_running(added)
    group = added.add_argument_group("stopping and going on")
    group.add_argument("--resume", action="store_true", help="go on where a run that was stopped left its checkpoint")
    group.add_argument(
        "--checkpoint-every",
        metavar="BYTES",
        type=size,
        help="make a checkpoint, at which --resume can go on, after so much input (64M; 256M for each file of a "
        "Parquet folder)",
    )
    group.add_argument("--max-errors", metavar="N", type=int, help="stop when more units than this are refused")
    group.add_argument(
        "--max-error-rate",
        metavar="X",
        type=float,
        help="stop when a larger share is refused: 0.01 is one in a hundred",
    )


def _add_outputs(parser: Group) -> None:
    group = parser.add_argument_group("outputs")
    group.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        default="-",
        help="a file (.jsonl, .csv, either with .gz or .zst, .parquet), a folder for Parquet in parts (with a "
        "slash at its end), or - (the default) for standard output",
    )
    group.add_argument(
        "--to",
        choices=("jsonl", "parquet", "csv", "openai", "messages"),
        help="what to write, where OUT does not say it: canonical records, or bodies in OpenAI's shape, or lines to "
        "train on (the logged request's messages and the answer)",
    )
    group.add_argument("--omit-null", action="store_true", help="leave null members out of canonical JSON lines")
    group.add_argument("--extras", action="store_true", help="in OpenAI bodies, also what that shape has no place for")
    group.add_argument(
        "--fill",
        action="store_true",
        help="in OpenAI bodies, make up what the shape requires and the answer lacks, which is refused otherwise",
    )
    group.add_argument(
        "--unfinished",
        choices=("refuse", "skip"),
        default="refuse",
        help="what to do with failed calls and cut answers in lines to train on: refuse them as rejects (the "
        "default), or skip and count them",
    )
    group.add_argument(
        "--without-request",
        choices=("refuse", "skip", "write"),
        default="refuse",
        help="what to do with answers whose request was not logged, in lines to train on: refuse them (the default), "
        "skip and count them, or write the answer alone",
    )
    group.add_argument(
        "--layout",
        choices=("nested", "flat"),
        help="the columns of Parquet: everything (the default), or the first choice, for SQL; --columns can imply it",
    )
    group.add_argument(
        "--columns",
        metavar="NAME,NAME",
        type=names,
        help="only these columns of Parquet or CSV, in this order: id,model,total_tokens",
    )
    group.add_argument(
        "--no-origin",
        dest="origin",
        action="store_false",
        help="leave out _file, _line and _offset, which say where each record is from",
    )
    group.add_argument(
        "--rows-per-part", metavar="N", type=int, help="write a folder of Parquet files with N rows each, at most"
    )
    group.add_argument(
        "--rejects",
        metavar="FILE",
        help="write what is refused here, as JSON lines with line, byte "
        "offset, code, path and reason; only you may read it",
    )
    group.add_argument(
        "--rejects-raw", action="store_true", help="put the refused bytes there as well; keys are not masked"
    )
    group.add_argument("--report", metavar="FILE", help="write the summary here, as JSON, or as a page (.html)")
    group.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    group.add_argument("--dry-run", action="store_true", help="convert and count, and write nothing")


def run(options: argparse.Namespace) -> int:
    """Convert logs."""
    from .. import batch
    from .progress import Terminal

    inputs = batch.expand(options.inputs, options.files_from, strict=options.strict_inputs)
    with (
        Terminal(inputs, options.progress) as terminal,
        batch.Signals() as signals,
    ):
        try:
            report = batch.convert(
                inputs,
                options.output,
                listener=terminal,
                signals=signals,
                **given(options, batch.Converting),
            )
        except batch.Interrupted as stop:
            return fail(128 + stop.signal, stop)
    print(report, file=sys.stderr)
    return REJECTS if report.rejected else DONE
