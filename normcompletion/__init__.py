"""Every completion response of Atoma, log10, OpenRouter and the OpenAI dialect, as one canonical model.

## Quick start

`normalize` takes a response as bytes, text, a mapping or an SDK's object, and gives a `Completion`:

>>> from normcompletion import normalize
>>> completion = normalize('''{"id": "gen-1", "provider": "Harbour", "model": "tide-2", "created": 1764877383.5,
...     "choices": [{"index": 0, "finish_reason": "stop", "native_finish_reason": "STOP",
...     "message": {"role": "assistant", "content": "High tide."}}], "usage": {"total_tokens": 12, "zone": 3}}''')
>>> completion.source, completion.text, completion.usage.total_tokens
('openrouter', 'High tide.', 12)
>>> completion.extra["/usage/zone"]  # what the model has no field for, by JSON Pointer
3
>>> [note.code for note in completion.notes]  # every repair
['fractional_time']

What the payload does not say is `None`; nothing is guessed. An error body, a log row without a response, an encrypted
body or a chunk is never an empty success: it raises one of the errors in `normcompletion.errors`, by what to do next.

| to read | use |
| --- | --- |
| one response, or a saved event stream | `normalize` |
| many | `normalize_many`; a whole log: `read`, `normcompletion.batch` |
| a live stream | `assemble`, `Assembler`, `iter_events`, `normalize_chunk` (`normcompletion.streaming`) |
| who wrote it, and where each value went | `detect`, `explain` |

## Guides

* `normcompletion.sources`: who is recognised and how; a source of your own in forty lines.
* `normcompletion.findings`: notes, faults and remarks, strict mode.
* `normcompletion.streaming`: streams, saved and live.
* `normcompletion.batch`: logs in bulk. `normcompletion.envelopes`: what is around responses in logs.
* `normcompletion.export`: OpenAI bodies, messages, telemetry, data frames. `normcompletion.arrow`: Arrow rows.
* `normcompletion.testing`: a conformance kit for sources. `normcompletion.cli`: the command line.

## Performance

A body in canonical words takes little longer than `orjson.loads`; a log or a pipeline that never reads `extra` never
pays for it, because it is collected when it is first read. `normalize(body, source="openrouter")` saves nothing worth
mentioning: name the source where you know it, not for speed. `normcompletion bench LOG` measures your own log beside
`orjson`, `msgspec` and `json`. In bulk, `convert --layout flat` or `--columns` cost least, and `--jobs 0` uses every
processor with the same output.

## Questions

**Why is a field `None`?** The payload does not say it, or says it in a way that has no honest reading: then `notes` has
its path, and `extra` the value.

**How do I get the payload's own words?** `native_finish_reason`, `extra`, `Note.before`, and `explain(payload)`.

**How do I write a record?** `completion.to_json()` and `to_dict()` are the whole record; plain `json.dumps(completion)`
raises, because `extra` would have to be read too early. `normalize` reads such a record back as it was.

**May I change a completion?** Yes: it is a plain value. `copy.deepcopy` before you change what others hold.

**What if a service changes its format?** Unknown keys land in `extra`, unknown words become `unknown` with the word
kept. `normcompletion survey LOG --fail-on-new` says when there is something new.
"""

from .api import Detection, Explanation, detect, explain, normalize, normalize_many
from .audit import Placement
from .dialect.variant import Marker, Variant, both, equals, key, lacks, pattern
from .errors import (
    AmbiguousPayloadError,
    EncryptedPayloadError,
    InvalidPayloadError,
    MalformedPayloadError,
    NormalizeError,
    SourceReportedError,
    UnknownPayloadError,
    UnknownSourceError,
)
from .extra import Extra
from .findings import NOTES
from .model import (
    Annotation,
    Audio,
    Choice,
    Chunk,
    ChunkChoice,
    Citation,
    Completion,
    CompletionTokensDetails,
    CostDetails,
    Envelope,
    File,
    FilePart,
    FinishReason,
    FunctionCall,
    Image,
    ImageURL,
    Logprobs,
    Message,
    Note,
    Part,
    PromptTokensDetails,
    ReasoningDetail,
    Role,
    ServiceError,
    ThinkingText,
    TokenLogprob,
    ToolCall,
    TopLogprob,
    Usage,
    json_schema,
)
from .reading import Log, read
from .streaming import Assembler, assemble, assemble_async, normalize_chunk
from .streams.events import Event, EventReader, aiter_events, iter_events

__version__ = "0.1.0"

__all__ = [
    "NOTES",
    "AmbiguousPayloadError",
    "Annotation",
    "Assembler",
    "Audio",
    "Choice",
    "Chunk",
    "ChunkChoice",
    "Citation",
    "Completion",
    "CompletionTokensDetails",
    "CostDetails",
    "Detection",
    "EncryptedPayloadError",
    "Envelope",
    "Event",
    "EventReader",
    "Explanation",
    "Extra",
    "File",
    "FilePart",
    "FinishReason",
    "FunctionCall",
    "Image",
    "ImageURL",
    "InvalidPayloadError",
    "Log",
    "Logprobs",
    "MalformedPayloadError",
    "Marker",
    "Message",
    "NormalizeError",
    "Note",
    "Part",
    "Placement",
    "PromptTokensDetails",
    "ReasoningDetail",
    "Role",
    "ServiceError",
    "SourceReportedError",
    "ThinkingText",
    "TokenLogprob",
    "ToolCall",
    "TopLogprob",
    "UnknownPayloadError",
    "UnknownSourceError",
    "Usage",
    "Variant",
    "aiter_events",
    "assemble",
    "assemble_async",
    "both",
    "detect",
    "equals",
    "explain",
    "iter_events",
    "json_schema",
    "key",
    "lacks",
    "normalize",
    "normalize_chunk",
    "normalize_many",
    "pattern",
    "read",
]
