"""Options that several commands take."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any, NoReturn

from ..errors import did_you_mean, excerpt


class Parser(argparse.ArgumentParser):
    """A parser that says what a wrong option or command was probably meant to be."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2 and a sentence."""
        if found := _CHOICES.search(message):
            known = re.findall(r"[\w.-]+", found[2])
        else:
            found, known = _UNKNOWN.search(message), self.known_options()
        hint = did_you_mean(found[1], known) if found else ""
        super().error(f"{message}; {hint.strip()}" if hint else message)

    def known_options(self) -> list[str]:
        """The long options of this parser."""
        return [name for action in self._actions for name in action.option_strings if name.startswith("--")]


_CHOICES = re.compile(r"invalid choice: '(.*?)' \(choose from (.*)\)")
_UNKNOWN = re.compile(r"unrecognized arguments: (--[\w-]+)")

# Written out, for the help is made at every start and the presets are not read for it; a test compares.
ENVELOPES = (
    "bare, log10, openai_batch, fireworks_batch, openai_pair, litellm, databricks, helicone, portkey, cloudflare, "
    "kong, apisix, envoy, openrouter_broadcast, api_gateway, weave, openinference, mlflow, langsmith, "
    "langfuse, langfuse_ingestion, bedrock, bedrock_batch, inspect, promptfoo, vcr, har, llm, cloudwatch, "
    "awslogs, log_line"
)
Group = Any  # argparse has no public name for what both parsers and groups are
Commands = Callable[..., Group]
"""Adds a command: its name, the function that runs it, one line about it; gives its parser."""


def add_inputs(parser: Group) -> None:
    """Which logs to read."""
    group = parser.add_argument_group("inputs")
    group.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="*",
        help="a log, a folder of logs, a quoted pattern (*, **), or - for standard input: JSON lines, "
        "JSON values, a JSON array, a saved event stream, chunks of streams, Parquet, CSV, TSV, SQLite, HAR, VCR "
        "cassettes, Inspect logs, lines with a logger's prefix; plain, gzip or zstd",
    )
    group.add_argument("--files-from", metavar="FILE", help="a file that names more inputs, one a line; - for stdin")
    group.add_argument("--strict-inputs", action="store_true", help="stop where a folder holds files that are not logs")
    group.add_argument(
        "--limit", metavar="N", type=int, help="read the first N units (lines, JSON values or rows) and no more"
    )


def add_envelopes(parser: Group) -> None:
    """Where the responses are in what is logged."""
    group = parser.add_argument_group("what is around the responses")
    group.add_argument(
        "--envelope",
        metavar="NAME",
        default="auto",
        help=f"auto (the default), or one of these; `normcompletion envelopes` says how each is known: {ENVELOPES}",
    )
    group.add_argument(
        "--body",
        metavar="[GLOB=]POINTER",
        action="append",
        help="the JSON Pointer of the response, for any other log: /response/body; in a table it begins with the "
        "column. '/results/*/response' reads each; 'gateway/*.jsonl=/response' is for those files; may be repeated",
    )
    group.add_argument(
        "--envelope-field",
        metavar="FIELD=POINTER",
        dest="envelope_fields",
        action="append",
        default=[],
        type=pair,
        help="where id, status, created_at, session_id, duration (seconds), duration_ms, request, tags or cost of a "
        "call is, beside --body; may be repeated",
    )
    group.add_argument(
        "--body-encoding",
        metavar="HOW",
        default="auto",
        help="how the response is written there: auto (the default), object, string, sse or base64",
    )
    group.add_argument(
        "--line-prefix",
        metavar="REGEX",
        help="what is before the JSON of each line, where no known logger wrote it: '[^{]*'; the prefix, or its "
        "named groups, is kept beside the JSON, which is at /log",
    )
    group.add_argument(
        "--copy-escapes", action="store_true", help="Postgres's COPY wrote the lines, and doubled every backslash"
    )
    group.add_argument("--table", metavar="NAME", help="the table to read, where an SQLite file has several")


def add_source(parser: Group) -> None:
    """Who wrote the responses."""
    parser.add_argument(
        "--source", metavar="NAME", help="who wrote the responses, where you know; otherwise it is detected for each"
    )


def add_default_source(parser: Group) -> None:
    """Who wrote the responses that nothing else decides."""
    parser.add_argument(
        "--default-source",
        metavar="NAME",
        help="who wrote the responses whose source neither a marker nor an envelope tells",
    )


def add_running(parser: Group) -> None:
    """Processes, progress and limits."""
    group = parser.add_argument_group("running")
    group.add_argument(
        "-j",
        "--jobs",
        metavar="N",
        type=int,
        default=1,
        help="convert in N processes, 0 for one for each processor; what is written is the same",
    )
    group.add_argument(
        "--progress",
        choices=("auto", "on", "off"),
        default="auto",
        help="a progress bar on standard error; auto (the default) draws it on a terminal",
    )
    group.add_argument(
        "--max-record-bytes", metavar="BYTES", type=size, default=16 << 20, help="refuse longer units (16M)"
    )


def given(options: argparse.Namespace, known: Any) -> dict[str, Any]:
    """What was given of the options that a function of `batch` takes."""
    return {name: value for name, value in vars(options).items() if name in known.__annotations__}


def pair(text: str) -> tuple[str, str]:
    """The value of an option `NAME=POINTER`."""
    name, equals, pointer = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{excerpt(text)!r} is not NAME=POINTER, such as id=/custom_id")
    return name, pointer


def names(text: str) -> tuple[str, ...]:
    """The value of an option `NAME,NAME`."""
    return tuple(name for each in text.split(",") if (name := each.strip()))


def size(text: str) -> int:
    """The value of an option in bytes: `1000000`, `64M`."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    try:
        return int(text[:-1]) * units[text[-1].upper()] if text[-1:].upper() in units else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{excerpt(text)!r} is not a number of bytes, such as 1000000 or 64M"
        ) from None
