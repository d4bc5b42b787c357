"""`litellm`'s converter from a provider's dictionary to its own response, which OpenAI-like providers go through.

The dictionary is made by `orjson.loads`, the fastest way there is.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from .places import Kind, attribute, facts_at_places

LABEL = "litellm, response converter"

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it fetches a price list when it is imported
_litellm: Any = importlib.import_module("litellm")
_convert: Any = importlib.import_module("litellm.utils").convert_to_model_response_object
_litellm.suppress_debug_info = True


def read(texts: Iterable[bytes], kind: Kind) -> Iterator[Any]:  # noqa: ARG001 - it has one model for chats
    """A response of each text."""
    for text in texts:
        yield _convert(
            response_object=orjson.loads(text),
            model_response_object=_litellm.ModelResponse(),
            response_type="completion",
        )


def facts(answer: Any) -> dict[str, Any]:
    """What its models declare; reasoning under the name that litellm gives it."""
    found = facts_at_places(answer, attribute, without=("refusals",))
    found["reasonings"] = [attribute(choice.message, "reasoning_content") for choice in answer.choices]
    return found
