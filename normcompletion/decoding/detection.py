"""Who wrote a body: the markers of all sources, compiled for the Structs that the decoders give.

Results never depend on the order of the sources: every decisive marker is looked at, and those of two sources make the
body ambiguous. A body without any marker is `openai`, or has the source of the envelope around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from ..dialect.variant import Condition, Marker, Variant
from ..errors import AmbiguousPayloadError

Test = Callable[[Any], bool]


class Detector:
    """The markers of some variants.

    Most bodies have no member that only markers look at, so that these are fetched in one call (`watched`): the
    markers that need one of them are tried only where there is one.
    """

    def __init__(self, variants: Iterable[Variant], watched: frozenset[str] = frozenset()) -> None:
        self.rows = [(variant.source, marker) for variant in variants for marker in variant.markers]
        names = sorted(watched)
        self.watched: Callable[[Any], Any] | None = attrgetter(*names) if names else None
        self.unset = None if len(names) == 1 else (None,) * len(names)
        self.common: list[tuple[str, bool, Test]] = []
        self.rare: list[tuple[str, bool, Test]] = []
        for source, marker in self.rows:
            row = (source, marker.decisive, compiled(marker))
            needs = {condition.path[0] for condition in marker.conditions if not condition.absent}
            (self.rare if needs & watched else self.common).append(row)
        self.decisive_sources = {source for source, marker in self.rows if marker.decisive}

    def source_of(self, body: Any, path: str = "") -> str | None:
        """The source whose marker a body has, or `None`; raises `AmbiguousPayloadError` for those of two."""
        strong = weak = None
        rows = self.common
        if self.watched is not None and self.watched(body) != self.unset:
            rows = rows + self.rare
        for source, decisive, test in rows:
            if (strong != source if decisive else weak is None) and test(body):
                if not decisive:
                    weak = source
                elif strong is None:
                    strong = source
                    if len(self.decisive_sources) == 1:
                        return strong
                else:
                    raise ambiguous(sorted({strong, source}), path)
        return strong or weak

    def of_tree(self, tree: Any, path: str = "") -> str | None:
        """`source_of` for a parsed object, in either spelling."""
        held = self.evidence(tree)
        strong = {source for source, marker in held if marker.decisive}
        if len(strong) > 1:
            raise ambiguous(sorted(strong), path)
        return next(iter(strong or [source for source, _ in held]), None)

    def evidence(self, body: Any) -> list[tuple[str, Marker]]:
        """Every marker that holds, with its source."""
        return [(source, marker) for source, marker in self.rows if marker.holds(body)]


def ambiguous(sources: Iterable[str], path: str = "") -> AmbiguousPayloadError:
    """The error for a payload with the markers of several sources."""
    candidates = tuple(sources)
    error = AmbiguousPayloadError(
        f"the markers of {' and '.join(candidates)} hold; name one with source=", path=path or None
    )
    error.candidates = candidates
    return error


def compiled(marker: Marker) -> Test:
    """A function that says whether a marker holds for a Struct."""
    tests = [_compiled(condition) for condition in marker.conditions]
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda body: first(body) and second(body)
    return lambda body: all(test(body) for test in tests)


def _compiled(condition: Condition) -> Test:
    """`Condition.holds` for the frequent forms of conditions, which are called for every body."""
    path, values = condition.path, condition.values
    if condition.absent or len(path) > 2 or len(values) > 1:
        return condition.holds
    get = attrgetter(path[-1])
    if condition.pattern is not None:
        return _of_text(get, condition.pattern.fullmatch) if len(path) == 1 else condition.holds
    if values:
        (wanted,) = values
        if len(path) == 1:
            return lambda body: get(body) == wanted
        test = lambda part: get(part) == wanted  # noqa: E731 - a closure either way
    else:
        if len(path) == 1:
            return lambda body: get(body) is not None
        test = lambda part: get(part) is not None  # noqa: E731
    outer = attrgetter(path[0])
    if path[0] == "choices":
        return lambda body: bool(items := outer(body)) and test(items[0])
    return lambda body: (part := outer(body)) is not None and test(part)


def _of_text(get: Callable[[Any], Any], match: Callable[[str], Any]) -> Test:
    def test(body: Any) -> bool:
        text = get(body)
        return text is not None and match(text) is not None

    return test
