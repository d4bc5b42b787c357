"""All envelopes that are read by name, those that installed packages offer, and the fragments that are refused."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from ..plugins import offered
from .fragments import FRAGMENTS
from .members import Members
from .preset import Fragment, Preset, check

BUILT_IN = (
    "openai_batch",
    "fireworks_batch",
    "openai_pair",
    "litellm",
    "databricks",
    "helicone",
    "portkey",
    "cloudflare",
    "kong",
    "apisix",
    "envoy",
    "openrouter_broadcast",
    "api_gateway",
    "weave",
    "openinference",
    "mlflow",
    "langsmith",
    "langfuse",
    "langfuse_ingestion",
    "bedrock",
    "bedrock_batch",
    "inspect",
    "promptfoo",
    "vcr",
    "har",
    "llm",
    "cloudwatch",
    "awslogs",
    "log_line",
)
"""The files of this package that end in a `PRESET`."""
ENTRY_POINTS = "normcompletion.envelopes"
NATIVE: Mapping[str, str] = {
    "auto": "recognised by the keys of each unit",
    "bare": "nothing: each unit is a response",
    "log10": "a log10 completion record, or a page of them",
}
"""What the core reads itself."""


@cache
def presets() -> Mapping[str, Preset]:
    """The presets by name: the built-in ones, then those of every package that offers the entry point.

    Raises `ImportError` for a plugin that cannot be used, or whose preset has the name of another.
    """
    by_name: dict[str, Preset] = {}
    built_in = (import_module(f".{name}", __package__).PRESET for name in BUILT_IN)
    for preset in (*built_in, *offered(ENTRY_POINTS, "PRESETS", check)):
        if preset.name in by_name or preset.name in NATIVE:
            raise ImportError(
                f"the plugins that are installed do not go together: there are two envelopes {preset.name}"
            )
        by_name[preset.name] = preset
    return by_name


def known_envelopes() -> Mapping[str, str]:
    """Every name that an envelope can be given, with what it is."""
    return {**NATIVE, **{name: preset.about for name, preset in presets().items()}}


@cache
def _by_first_key() -> dict[str, list[Preset | Fragment]]:
    """The presets and fragments by a key that a unit of theirs has: the others need no look."""
    index: dict[str, list[Preset | Fragment]] = {}
    every: tuple[Preset | Fragment, ...] = (*presets().values(), *FRAGMENTS)
    for known in every:
        for keys in known.detected_by:
            some = index.setdefault(keys.has[0].partition("/")[0], [])
            if known not in some:
                some.append(known)
    return index


def named(unit: Members) -> list[Preset | Fragment]:
    """The presets that an object's keys name, and the first fragment."""
    if "choices" in unit:
        return []
    index = _by_first_key()
    candidates = {known.name: known for key in index.keys() & unit.keys() for known in index[key]}
    found = [known for known in candidates.values() if known.match(unit)]
    fragments = [known for known in FRAGMENTS if known in found or (known.prefixes and known.match(unit))]
    order = [*presets().values()]
    return [*sorted((known for known in found if isinstance(known, Preset)), key=order.index), *fragments[:1]]


def named_list(items: list[bytes]) -> Preset | None:
    """The preset of a unit that is a list, where it is one unit and not several."""
    return next((preset for preset in presets().values() if preset.match_list and preset.match_list(items)), None)
