"""The official SDKs as referees: what they read from a body is what `normalize` reads. Those that are installed run."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from refereeing import Kind, check, fixture_bodies, recorded_bodies, reported_after

Read = Callable[[bytes], Any]


class Sdk(NamedTuple):
    """One SDK: how it reads a body of a kind, and the members of a message in which it sees an invented value."""

    name: str
    module: str
    kind: Kind
    read: Callable[[Any], Read]
    seen: tuple[str, ...]

    def referee(self) -> Read:
        """The reader; skips the test where the SDK is not installed."""
        reason = f"{self.module} is not installed; pip install 'normcompletion[referee-{self.name}]'"
        return self.read(pytest.importorskip(self.module, reason=reason))


def strictly(model: Callable[[Any], Any]) -> Callable[[Any], Read]:
    """The models of the `openai` SDK, validated strictly."""
    return lambda types: lambda raw: model(types).model_validate_json(raw, strict=True)


def as_client(model: Callable[[Any], Any]) -> Callable[[Any], Read]:
    """The models of a generated SDK, read as its client reads them."""

    def read(package: Any) -> Read:
        utils = importlib.import_module(f"{package.__name__.partition('.')[0]}.utils")
        return lambda raw: utils.unmarshal_json(raw.decode(), model(package))

    return read


SDKS = [
    Sdk("openai", "openai.types", "chat", strictly(lambda types: types.chat.ChatCompletion), ("refusal",)),
    Sdk("openai", "openai.types", "text", strictly(lambda types: types.Completion), ()),
    Sdk("atoma", "atoma_sdk.models", "chat", as_client(lambda models: models.ChatCompletionResponse), ("name",)),
    Sdk("openrouter", "openrouter.components", "chat", as_client(lambda parts: parts.ChatResult), ("name", "refusal")),
]
each_sdk = pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: f"{sdk.name}-{sdk.kind}")


@each_sdk
def test_fixtures(sdk: Sdk) -> None:
    """Every field that an SDK reads from a fixture is the same here."""
    check(fixture_bodies(), sdk.referee())


@pytest.mark.corpus
@each_sdk
def test_recorded_bodies(sdk: Sdk, corpus: Path) -> None:
    """Every field that an SDK reads from a recorded body is the same here."""
    check(recorded_bodies(corpus, sdk.kind), sdk.referee())


@pytest.mark.parametrize("sdk", [sdk for sdk in SDKS if sdk.kind == "chat"], ids=lambda sdk: sdk.name)
def test_a_wrong_reading_is_reported(sdk: Sdk) -> None:
    """A field that is read otherwise, lost or invented here is reported with its pointer."""

    def change(completion: Any) -> None:
        completion.created += 1
        completion.choices[0].message.content = None
        completion.choices[0].message.name = completion.choices[0].message.refusal = "invented"
        completion.usage.prompt_tokens = 0

    assert reported_after(change, sdk.referee()) == [
        "/choices/0/message/content",
        *(f"/choices/0/message/{name}" for name in sdk.seen),
        "/created",
        "/usage/prompt_tokens",
    ]
