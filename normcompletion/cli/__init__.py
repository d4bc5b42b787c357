"""The command line: `normcompletion convert | survey | detect | explain | verify | bench`.

To look things up: `normcompletion sources | envelopes | schema | notes | columns | errors`.

Exit codes: 0 done; 1 done with rejects (`verify`: with losses; `survey --fail-on-new`: with something new); 2 wrong
usage; 3 an input is missing, unreadable or of a kind that is not read; 4 an input breaks off; 5 an output cannot be
written; 6 more rejects than allowed; 70 a defect of this program, or a worker process that was killed; 130 and 143
stopped by SIGINT and SIGTERM.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from typing import Any

import msgspec
import orjson

from .. import __version__
from ..errors import UnknownSourceError
from . import bench, convert, envelopes, examine, reference, survey
from .console import (
    DEFECT,
    OUTPUT,
    TRACEBACK,
    USAGE,
    Messages,
    code_of,
    fail,
    open_standard_streams,
    reader_gone,
)
from .options import Group, Parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    open_standard_streams()
    messages: Any = Messages(sys.stderr)
    with redirect_stderr(messages):
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    options, unknown = _parser().parse_known_args(arguments)
    if unknown:  # reported by the command's own parser, which knows what may have been meant
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if sys.stdout is None and (options.run is not convert.run or (options.output == "-" and not options.dry_run)):
        return fail(OUTPUT, "standard output is closed; open it, or name a file with -o")
    try:
        code: int = options.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        return reader_gone()
    except UnknownSourceError as error:
        return fail(USAGE, error)
    except KeyboardInterrupt:
        return fail(130, "interrupted")
    except Exception as error:  # whatever it is, the user gets one line and an exit code
        code = code_of(error)
        if code == DEFECT and os.environ.get(TRACEBACK):
            raise
        return code
    return code


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="normcompletion",
        description="Completion responses of Atoma, log10, OpenRouter and the OpenAI dialect, as one canonical model.",
        epilog="Exit codes: 0 done, 1 done with rejects, 2 wrong usage, 3 input missing or unreadable, 4 input breaks "
        "off, 5 output cannot be written, 6 too many rejects, 70 a defect, 130 and 143 stopped by a signal.",
    )
    versions = f"normcompletion {__version__} (msgspec {msgspec.__version__}, orjson {orjson.__version__})"
    parser.add_argument("--version", action="version", version=versions)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], about: str, **more: Any) -> Group:
        added = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.", **more)
        added.set_defaults(run=run, parser=added)
        return added

    for each in (convert, survey, examine, bench, reference, envelopes):
        each.add(command)
    return parser
