"""`normcompletion sources`, `schema`, `notes`, `columns`, `errors`: what this installation knows, to look up."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from .console import DONE, print_json
from .options import Commands


def add(command: Commands) -> None:
    """Add the commands."""
    for name, run, about in (
        ("sources", _sources, "list the variants this installation reads"),
        ("notes", _notes, "list the codes of notes: every repair that reading may make"),
        ("columns", _columns, "list the columns of tables: Parquet, CSV, data frames"),
        ("errors", _errors, "list the errors, the codes of rejects and the exit codes"),
    ):
        added = command(name, run, about)
        added.add_argument("--json", action="store_true", help="write the list as JSON")
        if name == "columns":
            added.add_argument("--layout", choices=("flat", "nested"), default="flat", help="which columns (flat)")
    command("schema", _schema, "write the JSON Schema of a canonical record")


def _show(rows: list[dict[str, Any]], options: argparse.Namespace) -> int:
    """Write rows of the same keys, as JSON or as a table whose last column may be long."""
    if options.json:
        import msgspec

        print_json(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
        return DONE
    cells = [["" if value is None else str(value) for value in row.values()] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]) - 1)]
    for *row, last in cells:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=True)), last]).rstrip())
    return DONE


def _sources(options: argparse.Namespace) -> int:
    from ..api import default_engine

    rows = [
        {
            "source": variant.source,
            "variant": variant.name,
            "spellings": " ".join(variant.spellings),
            "about": variant.about,
        }
        for variant in default_engine().registry.variants
    ]
    return _show(rows, options)


def _schema(_: argparse.Namespace) -> int:
    import msgspec

    from ..model import json_schema

    print_json(msgspec.json.format(msgspec.json.encode(json_schema()), indent=2) + b"\n")
    return DONE


def _notes(options: argparse.Namespace) -> int:
    from ..findings import NOTES

    return _show([{"code": code, "kind": kind, "about": about} for code, (kind, about) in NOTES.items()], options)


def _columns(options: argparse.Namespace) -> int:
    from ..arrow import FLAT_COLUMNS, JSON_TEXT, schema

    rows = []
    for field in schema(flat=options.layout == "flat"):
        path = FLAT_COLUMNS[field.name] if options.layout == "flat" else field.name
        is_json = path.rpartition(".")[2] in JSON_TEXT or (path.endswith(("tool_calls", "tags")))
        kind = "JSON text" if is_json and str(field.type) == "string" else str(field.type)
        if kind.startswith(("struct", "list")):
            kind = kind.partition("<")[0]
        rows.append(
            {"column": field.name, "type": kind, "from": path, "about": _ABOUT.get(field.name) or _described(path)}
        )
    return _show(rows, options)


# Columns that are not fields of the model.
_ABOUT = {
    "choice_error_code": "The service's code of the error that cut this choice off.",
    "choice_error_message": "What the service said about it.",
    "error_code_number": "The same, where the service sent a number.",
    "choice_count": "How many answers there are.",
    "overflow": "By JSON Pointer, the numbers that their columns cannot hold exactly, which are null there.",
    "carried": "What `--carry` took along.",
}


def _described(path: str) -> str:
    """What the model says of the field at a dotted path; `first` is the first of `choices`."""
    import typing

    import msgspec

    from .. import model

    docs, struct, about = model.field_docs(), "Completion", ""
    for name in path.split("."):
        if name == "first":
            struct = "Choice"
            continue
        about = docs.get(struct, {}).get(name, "")
        hint = typing.get_type_hints(getattr(model, struct))[name]
        struct = next(
            (
                each.__name__
                for each in (hint, *typing.get_args(hint))
                if isinstance(each, type) and issubclass(each, msgspec.Struct)
            ),
            struct,
        )
    return about


def _errors(options: argparse.Namespace) -> int:
    return _show(list(_error_rows()), options)


def _error_rows() -> Iterator[dict[str, Any]]:
    from .. import errors
    from ..batch import REJECT_CODES
    from .console import EXIT_CODES

    for name, each in vars(errors).items():
        if isinstance(each, type) and issubclass(each, errors.NormalizeError):
            yield {"what": "error", "name": name, "about": (each.__doc__ or "").partition("\n")[0]}
    for code, about in REJECT_CODES.items():
        yield {"what": "reject", "name": code, "about": about}
    for number, about in EXIT_CODES.items():
        yield {"what": "exit code", "name": str(number), "about": about}
