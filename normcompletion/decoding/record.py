"""Records that this library wrote, read again."""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import InvalidPayloadError, excerpt
from ..findings import Findings
from ..model import Completion
from ..pointer import escape
from .unknown import extra_of

_AS_SENT = frozenset({"extra", "notes", "metadata", "request"})  # members of any shape, which may hold such halves


def from_record(tree: dict[str, Any], findings: Findings) -> Completion:
    """The completion of a record that this library wrote; what somebody put beside its members goes to `extra`."""
    beside = tree.keys() - frozenset(Completion.__struct_fields__)
    if not findings.is_clean:
        whole = _without_halves({name: tree[name] for name in tree.keys() - beside}, findings.prefix, findings)
        tree = {name: whole.get(name, value) for name, value in tree.items()}
    try:
        completion = msgspec.convert(tree, Completion)  # only here, at the top, does it take unknown keys
    except msgspec.ValidationError as refusal:
        what, _, where = str(refusal).partition(" - at ")
        raise InvalidPayloadError(
            f"a canonical record was changed: {excerpt(what)} at {excerpt(where)}; convert the response itself",
            code="wrong_type",
            path=findings.prefix or None,
        ) from None
    if findings.source is not None:
        completion.source, completion.source_basis = findings.source, "caller"
    findings.extra.update(completion.extra)
    for name in beside:
        findings.extra[f"{findings.prefix}/{escape(name)}"] = tree[name]
    findings.notes += completion.notes
    completion.extra, completion.notes = extra_of(findings), findings.notes
    return completion


def _without_halves(value: Any, at: str, findings: Findings) -> Any:
    """A value of a canonical record with half surrogate pairs replaced and noted, but for what was kept as sent."""
    if isinstance(value, str):
        return findings.text(value, at)
    if isinstance(value, dict):
        return {
            key: item if key in _AS_SENT else _without_halves(item, f"{at}/{escape(key)}", findings)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_without_halves(item, f"{at}/{place}", findings) for place, item in enumerate(value)]
    return value
