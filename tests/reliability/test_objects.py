"""Objects of other people's code raise what they like; `normalize` raises errors of ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from normcompletion import MalformedPayloadError, normalize


class Body(msgspec.Struct):
    choices: list[Any]
    vendor: Any = None


@dataclasses.dataclass(slots=True)
class Slotted:
    choices: list[Any]
    vendor: int = 0


class Rude(Mapping[str, Any]):
    """A mapping that cannot be read."""

    def __getitem__(self, key: str) -> Any:  # noqa: D105
        raise RuntimeError(key)

    def __iter__(self) -> Iterator[str]:  # noqa: D105
        return iter(["choices"])

    def __len__(self) -> int:  # noqa: D105
        return 1


def deep(levels: int) -> list[Any]:
    tree: list[Any] = []
    for _ in range(levels):
        tree = [tree]
    return tree


def cyclic() -> list[Any]:
    tree: list[Any] = []
    tree.append(tree)
    return tree


def with_a_hole() -> Slotted:
    row = Slotted([])
    del row.vendor
    return row


def released() -> memoryview:
    view = memoryview(b'{"choices":[]}')
    view.release()
    return view


OBJECTS = {
    "a Struct with an object": Body([], object()),
    "a Struct of 100,000 levels": Body([], deep(100_000)),
    "a Struct with a cycle": Body([], cyclic()),
    "a mapping of 100,000 levels": {"choices": [], "vendor": deep(100_000)},
    "a mapping with a cycle": {"choices": [], "vendor": cyclic()},
    "a mapping that raises": Rude(),
    "a mapping that raises, inside": {"choices": [Rude()]},
    "a dataclass with a hole": with_a_hole(),
    "a released memoryview": released(),
    "an integer of 5,000 digits": {"choices": [], "vendor": 10**5_000},
}


@pytest.mark.parametrize("payload", OBJECTS.values(), ids=OBJECTS.keys())
def test_an_object_that_cannot_be_written_is_malformed(payload: object) -> None:
    """An object that JSON cannot hold, or that cannot be read at all, is a `MalformedPayloadError`."""
    with pytest.raises(MalformedPayloadError):
        normalize(payload)
