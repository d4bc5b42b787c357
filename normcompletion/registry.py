"""The roster of variants: the built-in sources, and those that installed packages offer."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from .errors import UnknownSourceError, excerpt
from .variant import Variant

BUILT_IN = ("openai", "atoma", "log10", "openrouter")
ENTRY_POINTS = "normcompletion.sources"


class Registry:
    """An immutable set of variants."""

    def __init__(self, variants: Iterable[Variant]) -> None:
        self.variants = tuple(variants)
        self.sources = tuple(dict.fromkeys(variant.source for variant in self.variants))
        self.by_name = {(variant.source, variant.name): variant for variant in self.variants}
        if len(self.by_name) < len(self.variants):
            raise ValueError("two variants have the same source and name; rename one")
        self.claiming = tuple(variant for variant in self.variants if variant.claims is not None)
        self.marked = tuple(variant for variant in self.variants if variant.mark is not None)
        self.outsiders = tuple(variant for variant in self.claiming if variant.source not in BUILT_IN)
        self.dialect = {
            source: next(variant for variant in self.variants if variant.source == source and variant.name == "chat")
            for source in self.sources
            if (source, "chat") in self.by_name
        }

    def check(self, source: str | None, variant: str | None) -> None:
        """Raise `UnknownSourceError` for a name that is not registered."""
        if source is not None and source not in self.sources:
            self._unknown("source", source, self.sources)
        names = tuple(row.name for row in self.variants if source in (None, row.source))
        if variant is not None and variant not in names:
            self._unknown("variant", variant, tuple(dict.fromkeys(names)))

    def _unknown(self, what: str, name: str, known: tuple[str, ...]) -> None:
        error = UnknownSourceError(f"no {what} {excerpt(name)!r}; known are {', '.join(known)}")
        error.known = known
        raise error


def built_in() -> tuple[Variant, ...]:
    """The variants of this package, source by source."""
    return tuple(
        variant for source in BUILT_IN for variant in import_module(f".sources.{source}", __package__).VARIANTS
    )


def installed() -> Registry:
    """The built-in variants and those of every package that offers the entry point."""
    from importlib import metadata  # costs a third of the whole import, and only the first call needs it

    variants = list(built_in())
    for entry in sorted(metadata.entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        variants.extend(entry.load().VARIANTS)
    return Registry(variants)
