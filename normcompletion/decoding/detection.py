"""Who wrote a body: the markers of all sources, arranged for the Structs that the decoders give.

Results never depend on the order of the sources: every decisive marker counts, and those of two sources make the body
ambiguous. A body without any marker is `openai`, or has the source of the envelope around it.

Most bodies have no marker of most sources: a marker is tried only where that of its conditions holds which the fewest
bodies meet. The members that these conditions look at are fetched from each part of the body in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

import msgspec

from ..dialect import wire
from ..dialect.variant import Condition, Marker, Variant
from ..errors import AmbiguousPayloadError
from ..findings import Findings
from ..payload import parse_whatever

Test = Callable[[Any], bool]
Row = tuple[str, Marker, Test]  # the source, its marker, and whether that holds


class Detector:
    """The markers of some variants, for Structs with the fields that those look at.

    `top`, `choice` and `usage` fetch the members that markers need to be there from the body, its first choice and its
    usage. A marker that needs a value is tried where `object`, `system_fingerprint` or `usage.total_tokens` has one of
    the `values`, a marker that needs a pattern where `id` has its prefix; any other marker is tried for every body.
    """

    def __init__(self, variants: Iterable[Variant], signs: tuple[Marker, ...] = ()) -> None:
        self.signs = signs
        self.markers = [(variant.source, marker) for variant in variants for marker in variant.markers]
        self.decisive_sources = frozenset(source for source, marker in self.markers if marker.decisive)
        # Where only one source has decisive markers, the first of them that holds decides.
        sole = [compiled(marker) for _, marker in self.markers if marker.decisive]
        self.deciding = sole[0] if len(self.decisive_sources) == 1 else None
        self.sole = next(iter(self.decisive_sources), None)
        parts: dict[str, list[tuple[Condition, Row]]] = {}
        for source, marker in self.markers:
            first = _rarest(marker)
            parts.setdefault(_part(first), []).append((first, (source, marker, compiled(marker))))
        self.top, self.no_top, self.top_rows = _fetched(parts.get("top", []))
        self.choice, self.no_choice, self.choice_rows = _fetched(parts.get("choice", []))
        self.usage, self.no_usage, self.usage_rows = _fetched(parts.get("usage", []))
        self.values = frozenset(value for condition, _ in parts.get("values", []) for value in condition.values)
        self.value_rows = [row for _, row in parts.get("values", [])]
        self.prefixes = tuple({condition.prefix for condition, _ in parts.get("id", [])})
        self.id_rows = [row for _, row in parts.get("id", [])]
        self.others = [row for _, row in parts.get("others", [])]

    def source_of(self, body: Any, path: str = "", payload: Any = None) -> str | None:
        """The source whose marker a body has, or `None`; raises `AmbiguousPayloadError` for those of two.

        `payload` is what the body was decoded from, a text or a tree: where a copied marker holds, it is looked through
        for the signs of gateways.
        """
        if self.deciding is not None and self.deciding(body):
            return self.sole
        rows = self.others
        choices, usage, name = body.choices, body.usage, body.id
        if choices and self.choice(choices[0]) != self.no_choice:
            rows = rows + self.choice_rows
        if usage is not None:
            if self.usage(usage) != self.no_usage:
                rows = rows + self.usage_rows
            if usage.total_tokens in self.values:
                rows = rows + self.value_rows
        if self.top(body) != self.no_top:
            rows = rows + self.top_rows
        if body.object in self.values or body.system_fingerprint in self.values:
            rows = rows + self.value_rows
        if name is not None and name.startswith(self.prefixes):
            rows = rows + self.id_rows
        return self._decided(rows, body, path, payload) if rows else None

    def of_tree(self, tree: Any, path: str = "") -> str | None:
        """`source_of` for a parsed object, in either spelling."""
        return self._decided([(source, marker, marker.holds) for source, marker in self.markers], tree, path, tree)

    def contradicting(self, source: str, body: Any, payload: Any) -> list[str]:
        """The sources, other than the one that a caller named, whose decisive markers a body, or a tree, has."""
        try:
            found = self.of_tree(body) if isinstance(body, dict) else self.source_of(body, "", payload)
        except AmbiguousPayloadError as error:
            return [name for name in error.candidates if name != source]
        if found is None or found == source:
            return []
        decisive = any(name == found and marker.decisive and marker.holds(body) for name, marker in self.markers)
        return [found] if decisive else []

    def evidence(self, body: Any) -> list[tuple[str, Marker]]:
        """Every marker that holds, with its source; not the copied ones beside a gateway's sign."""
        found = [(source, marker) for source, marker in self.markers if marker.holds(body)]
        if any(marker.copied for _, marker in found) and self._has_sign(body, body):
            found = [(source, marker) for source, marker in found if not marker.copied]
        return found

    def _decided(self, rows: list[Row], body: Any, path: str, payload: Any) -> str | None:
        strong = weak = None
        copies: list[str] = []
        for source, marker, holds in rows:
            if (strong != source if marker.decisive else weak is None) and holds(body):
                if not marker.decisive:
                    weak = source
                elif marker.copied:
                    copies.append(source)
                elif strong is not None:
                    raise ambiguous(sorted((strong, source)), path)
                else:
                    strong = source
        for source in copies:
            if source != strong and not self._has_sign(body, payload):
                if strong is not None:
                    raise ambiguous(sorted((strong, source)), path)
                strong = source
        return strong or weak

    def _has_sign(self, body: Any, payload: Any) -> bool:
        """Whether a body has the sign of a gateway, which is among the keys that no wire Struct knows."""
        tree = parse_whatever(payload) if isinstance(payload, bytes) else payload
        return any(sign.holds(body if tree is None else tree) for sign in self.signs)


def _part(condition: Condition) -> str:
    """Which of the parts of `Detector` looks at a condition."""
    path = condition.key
    if condition.pattern is not None:
        return "id" if path == ("id",) else "others"
    if condition.values:
        return "values" if path in _VALUED else "others"
    if len(path) == 1:
        return "top"
    return {"usage": "usage", "choices": "choice"}.get(path[0], "others") if len(path) == 2 else "others"


_VALUED = (("object",), ("system_fingerprint",), ("usage", "total_tokens"))


def _fetched(conditions: list[tuple[Condition, Row]]) -> tuple[Callable[[Any], Any], Any, list[Row]]:
    """A function that fetches the members of some conditions, what it gives where there are none, and the rows."""
    names = sorted({condition.key[-1] for condition, _ in conditions})
    if not names:
        return (lambda _: ()), (), []
    if len(names) == 1:
        names *= 2  # of a single name, the value would come without a tuple around it
    return attrgetter(*names), (None,) * len(names), [row for _, row in conditions]


def _rarest(marker: Marker) -> Condition:
    """The condition of a marker that the fewest bodies meet: a value or a pattern, else the last one."""
    present = [condition for condition in marker.conditions if not condition.absent]
    return next((condition for condition in present if condition.values or condition.pattern), present[-1])


def ambiguous(sources: Iterable[str], path: str = "") -> AmbiguousPayloadError:
    """The error for a payload with the markers of several sources."""
    candidates = tuple(sources)
    error = AmbiguousPayloadError(
        f"the payload has the markers of {' and '.join(candidates)}; name one with source=", path=path or None
    )
    error.candidates = candidates
    return error


def compiled(marker: Marker) -> Test:
    """`Marker.holds` for a Struct, in a form that is quick to call."""
    return _all([_compiled(condition) for condition in marker.conditions])


def _all(tests: list[Test]) -> Test:
    """The test that holds where all of some tests hold."""
    if len(tests) == 1:
        return tests[0]
    first, others = tests[0], _all(tests[1:])
    return lambda body: first(body) and others(body)


def _compiled(condition: Condition) -> Test:
    """`Condition.holds` for a Struct; the frequent forms of conditions in a form that is quick to call."""
    path, values = condition.path, condition.values
    if condition.pattern is not None or len(path) > 2 or path[-1] == "*":
        return condition.holds
    if len(path) == 2 and path[0] not in ("choices", "usage"):
        return condition.holds  # it may be in a tree
    get = attrgetter(path[-1])
    if condition.absent:
        name = path[-1]
        return (lambda body: getattr(body, name, None) in (None, [], "")) if len(path) == 1 else condition.holds
    if len(path) == 1:
        return (lambda body: get(body) in values) if values else (lambda body: get(body) is not None)
    if values:
        return condition.holds
    holder = attrgetter(path[0])
    if path[0] == "choices":
        return lambda body: bool(choices := holder(body)) and get(choices[0]) is not None
    return lambda body: (part := holder(body)) is not None and get(part) is not None


def only_canonical(variants: tuple[Variant, ...]) -> list[Variant]:
    """Variants with the markers that can hold for a body in canonical words."""
    known = {item.encode_name: item for item in wire.fields_of(wire.CanonicalCompletion)}
    known |= {"object": known["id"]}

    def can_hold(path: tuple[str, ...]) -> bool:
        if path[-1] == "*":
            return False  # log-probs are a Struct there
        if len(path) == 1:
            return path[0] in known
        parts: dict[str, type[msgspec.Struct]] = {"choices": wire.CanonicalChoice, "usage": wire.Usage}
        inner = parts.get(path[0])
        return inner is not None and path[1] in {item.encode_name for item in wire.fields_of(inner)} - {"error"}

    return [
        msgspec.structs.replace(
            variant,
            markers=tuple(
                marker
                for marker in variant.markers
                if all(
                    can_hold(condition.path)
                    and (condition.path != ("object",) or "chat.completion" in condition.values)
                    for condition in marker.conditions
                )
            ),
        )
        for variant in variants
    ]


def note_conflict(detector: Detector, body: Any, payload: Any, findings: Findings) -> None:
    """Remark that a body has the decisive marker of another source than the one that the caller named."""
    assert findings.source is not None
    for other in detector.contradicting(findings.source, body, payload):
        findings.note_at(findings.prefix, "source_conflict", other)


def unmarked(findings: Findings) -> tuple[str, str]:
    """The source of a response without a marker, and how it is known."""
    if findings.default_source is None:
        return "openai", "dialect"
    return findings.default_source, "envelope" if findings.in_envelope else "caller"
