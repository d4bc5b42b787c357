"""A cassette of VCR.py or of Ruby's VCR: the body of each response that is one.

Cassettes in YAML come here as JSON (`batch/forms/cassette.py`). A body that is not text is base64, gzip or not. Seen:
https://vcrpy.readthedocs.io/en/latest/usage.html, https://benoittgt.github.io/vcr/#/cassettes/format
(`http_interactions`, `recorded_at`, `base64_string`), https://github.com/kevin1024/vcrpy `vcr/stubs/httpx_stubs.py`
(`content` and `status_code` of older versions), https://github.com/pydantic/pydantic-ai `tests/json_body_serializer.py`
(`parsed_body`).
"""

from __future__ import annotations

from .calls import of_completions
from .preset import Preset, has

_EACH = ("/interactions/*", "/http_interactions/*")


def _places(*names: str) -> tuple[str, ...]:
    """Where members of an interaction are, in VCR.py's cassettes and in Ruby's."""
    return tuple(f"{each}/{name}" for each in _EACH for name in names)


PRESET = Preset(
    name="vcr",
    about="a cassette of VCR.py or of Ruby's VCR (YAML needs normcompletion[vcr])",
    detected_by=(has("interactions", "version"), has("http_interactions", "recorded_with"), has("http_interactions")),
    body=_places(
        "response/body/string",
        "response/body/base64_string",
        "response/body",
        "response/content",
        "response/parsed_body",
    ),
    fields={
        "status": _places("response/status/code", "response/status_code"),
        "created_at": _places("recorded_at"),
        "request": _places("request/body/string", "request/body", "request/parsed_body"),
    },
    is_call=of_completions(_places("request/uri"), _places("request/method")),
    example={"version": 1, "interactions": [{"request": {}, "response": {"body": {"string": '{"choices": []}'}}}]},
)
