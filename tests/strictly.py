"""`normalize` in strict mode, as one callable."""

from __future__ import annotations

from normcompletion import Completion, normalize


def strict(payload: bytes) -> Completion:
    """The completion of a payload without any fault."""
    return normalize(payload, strict=True)
