"""The variants of the built-in sources, and those that installed packages offer."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from ..dialect import wire
from ..dialect.variant import Variant
from ..errors import UnknownSourceError, did_you_mean, excerpt
from ..plugins import offered
from .checks import check
from .gateways import signs

BUILT_IN = ("openai", "atoma", "log10", "openrouter")
ENTRY_POINTS = "normcompletion.sources"


class Registry:
    """An immutable set of variants.

    `bodies` are the variants that tell the source of a body in the OpenAI dialect, `errors` those of an error body;
    `shapes` have a wire Struct of their own. `dialect` is the variant that reads a source's OpenAI-shaped bodies.
    `signs` are those of gateways that copy markers.
    """

    def __init__(self, variants: Iterable[Variant]) -> None:
        self.variants = tuple(variants)
        self.by_name: dict[tuple[str, str], Variant] = {}
        for variant in self.variants:
            check(variant)
            if (variant.source, variant.name) in self.by_name:
                raise ValueError(f"there are two variants {variant.source}/{variant.name}; rename one")
            self.by_name[variant.source, variant.name] = variant
        self.signs = signs()
        self.sources = tuple(dict.fromkeys(variant.source for variant in self.variants))
        self.bodies = tuple(variant for variant in self.variants if variant.wire is wire.Body)
        self.errors = tuple(variant for variant in self.variants if variant.wire is wire.Failed)
        self.shapes = tuple(variant for variant in self.variants if variant.wire not in (wire.Body, wire.Failed))
        self.packages = {package: variant.source for variant in self.variants for package in variant.packages}
        self.dialect: dict[str, Variant] = {}
        for variant in sorted(self.bodies, key=lambda variant: variant.name != "chat"):
            self.dialect.setdefault(variant.source, variant)
        self.failed: dict[str, Variant] = {}
        for variant in self.errors:
            self.failed.setdefault(variant.source, variant)
        if "openai" not in self.dialect or "openai" not in self.failed:
            raise ValueError("a registry needs the variants of `openai`, which reads unmarked bodies; add them")

    def source_of_object(self, value: object) -> str | None:
        """The source whose SDK an object's class comes from; an object of `openai` or `litellm` says nothing."""
        for kind in type(value).__mro__:
            source = self.packages.get(kind.__module__.partition(".")[0])
            if source is not None:
                return source
        return None

    def check(self, source: str | None, variant: str | None) -> None:
        """Raise `UnknownSourceError` for a name that is not registered."""
        if source is not None and source not in self.sources:
            _unknown("source", source, self.sources)
        if variant is not None:
            names = tuple(row.name for row in self.variants if source in (None, row.source))
            if variant not in names:
                _unknown("variant", variant, tuple(dict.fromkeys(names)))


def _unknown(what: str, name: str, known: tuple[str, ...]) -> None:
    error = UnknownSourceError(f"no {what} {excerpt(name)!r}; {did_you_mean(name, known)}known are {', '.join(known)}")
    error.known = known
    raise error


def built_in() -> tuple[Variant, ...]:
    """The variants of this package, source by source."""
    return tuple(variant for source in BUILT_IN for variant in import_module(f".{source}", __package__).VARIANTS)


def installed() -> Registry:
    """The built-in variants and those of every package that offers the entry point.

    Raises `ImportError` for a plugin that cannot be used.
    """
    variants = [*built_in(), *offered(ENTRY_POINTS, "VARIANTS", check)]
    try:
        return Registry(variants)
    except ValueError as error:
        raise ImportError(f"the plugins that are installed do not go together: {error}") from error
