"""The values of a payload that no wire Struct declares: what `Completion.extra` is filled with."""

from __future__ import annotations

from functools import cache
from typing import Any, get_args, get_origin

import msgspec

from ..dialect.wire import fields_of
from ..extra import Extra
from ..findings import Findings
from ..payload import parse_whatever
from ..pointer import camel, escape
from .spelling import Spelling, is_struct


class Schema(msgspec.Struct, frozen=True):
    """The keys that an object of the wire may have, each with what is known of the objects in its value, if any."""

    keys: dict[str, Values | None]
    is_flat: bool


class Values(msgspec.Struct, frozen=True):
    """What a member may hold: an object of a schema, a list of such values, or a map of them whose keys are data."""

    schema: Schema | None = None
    items: Values | None = None
    mapped: Values | None = None


CONTAINERS = (dict, list)
_UNKNOWN = Values()


@cache
def schema_of(struct: type[msgspec.Struct], spelling: Spelling) -> Schema:
    """The schema of a wire Struct in one spelling. The fields in its `KEPT` are read, and stay in `extra`."""
    kept: frozenset[str] = getattr(struct, "KEPT", frozenset())
    keys = {
        camel(item.encode_name) if spelling == "camel" else item.encode_name: _values(item.type, spelling)
        for item in fields_of(struct)
        if item.name not in kept
    }
    return Schema(keys, not any(keys.values()))


def _values(annotation: Any, spelling: Spelling) -> Values | None:
    if is_struct(annotation):
        return Values(schema=schema_of(annotation, spelling))
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        inner = _values(arguments[1], spelling)
        return None if inner is None else Values(mapped=inner)
    options = [found for argument in arguments if (found := _values(argument, spelling)) is not None]
    if not options:
        return None
    if get_origin(annotation) is list:
        return Values(items=options[0])
    merged = {name: value for found in options for name in Values.__struct_fields__ if (value := getattr(found, name))}
    return Values(**merged)


def extra_of(findings: Findings) -> Extra:
    """`extra` for what was found: at once where all is known, else when it is first read."""
    if not findings.pending:
        return Extra.of(findings.extra)
    extra = Extra()
    extra._pending = (_collected, findings.extra, findings.pending)  # noqa: SLF001 - as `Extra.later`, one call less
    return extra


def collect(tree: dict[str, Any], schema: Schema, at: str, found: dict[str, Any]) -> None:
    """Add the values of an object, at a pointer, that a schema does not declare; null is absent."""
    keys = schema.keys
    if schema.is_flat and tree.keys() <= keys.keys():
        return
    for key, value in tree.items():
        values = keys.get(key, _UNKNOWN)
        if values is None or value is None:
            continue
        if values is _UNKNOWN:
            found[f"{at}/{escape(key)}"] = value
        elif isinstance(value, CONTAINERS):
            _collect_values(value, values, f"{at}/{key}", found)


def _collect_values(value: Any, values: Values, at: str, found: dict[str, Any]) -> None:
    if isinstance(value, dict):
        if values.schema is not None:
            collect(value, values.schema, at, found)
        elif values.mapped is not None:
            for key, item in value.items():
                _collect_values(item, values.mapped, f"{at}/{escape(key)}", found)
    elif isinstance(value, list) and values.items is not None:
        for place, item in enumerate(value):
            _collect_values(item, values.items, f"{at}/{place}", found)


def _collected(displaced: dict[str, Any], pending: list[tuple[str, Any, Schema]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for prefix, payload, schema in pending:
        tree = parse_whatever(payload) if isinstance(payload, bytes) else payload
        if isinstance(tree, dict):
            collect(tree, schema, prefix, found)
    found.update(displaced)
    return found
