"""The official SDKs as referees: what they read from a body is what `normalize` reads. Those that are installed run."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from normcompletion import assemble, normalize, normalize_chunk
from tests.conftest import recorded
from tests.referees.refereeing import SAMPLE, check, fixture_bodies, reported_after

Read = Callable[[bytes], Any]


class Sdk(NamedTuple):
    """One SDK: how it reads a body of a kind, and the members of a message in which it sees an invented value."""

    name: str
    module: str
    kind: str
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
    check(recorded(corpus, sdk.kind), sdk.referee())


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


HEAD = {key: value for key, value in json.loads(SAMPLE).items() if key != "usage"} | {"object": "chat.completion.chunk"}
CHUNKS = [
    {**HEAD, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}, "finish_reason": None}]},
    {**HEAD, "choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]},
]


class Written(NamedTuple):
    """What the objects of an SDK are: its models of a whole answer and of one event, and the source of either."""

    module: str
    whole: str
    event: str
    source: str
    wraps: bool = False


WRITTEN = [
    Written("openai.types.chat", "ChatCompletion", "ChatCompletionChunk", "openai"),
    Written("litellm", "ModelResponse", "ModelResponseStream", "openai"),
    Written("openrouter.components", "ChatResult", "ChatStreamChunk", "openrouter"),
    Written("openrouter.components", "ChatResult", "ChatStreamingResponse", "openrouter", wraps=True),
    Written("atoma_sdk.models", "ChatCompletionResponse", "ChatCompletionChunk", "atoma"),
    Written("atoma_sdk.models", "ChatCompletionResponse", "ChatCompletionStreamResponse", "atoma", wraps=True),
]


@pytest.mark.parametrize("written", WRITTEN, ids=lambda written: f"{written.module}-{written.event}")
@pytest.mark.filterwarnings("ignore::UserWarning")  # litellm's models are not pydantic's taste
def test_objects_of_an_sdk_have_its_source(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """An SDK's object, whole or streamed, has the source of its package; openai and litellm say nothing."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or it asks the network for prices
    module = pytest.importorskip(written.module)
    basis = "dialect" if written.source == "openai" else "object"
    whole = getattr(module, written.whole).model_validate(json.loads(SAMPLE))
    completion = normalize(whole)
    assert (completion.text, completion.source, completion.source_basis) == ("Hello", written.source, basis)
    event = getattr(module, written.event)
    events = [event.model_validate({"data": chunk} if written.wraps else chunk) for chunk in CHUNKS]
    assert [normalize_chunk(item).source for item in events] == [written.source] * 2
    streamed = assemble(events)
    assert (streamed.text, streamed.source, streamed.source_basis) == ("Hello", written.source, basis)
