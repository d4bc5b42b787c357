"""Out of the canonical model again: to OpenAI's shape, to messages, to telemetry, to tables.

| function | gives |
| --- | --- |
| `to_openai` | the body that OpenAI's API would have sent, accepted by the strict models of its SDK |
| `to_message` | the assistant message to append to the `messages` of the next request |
| `to_training_line` | the logged request and the answer, as a line of a fine-tuning file |
| `to_otel` | span attributes and an event of OpenTelemetry's conventions for generative AI |
| `to_frame` | a table of pandas, Polars or Arrow with the flat columns |

Nothing is lost in silence: each form has a table of what it cannot hold (`OPENAI_LEAVES_OUT`, `MESSAGE_LEAVES_OUT`,
`OTEL_LEAVES_OUT`, `FRAME_LEAVES_OUT`: JSON Pointer and reason), and each result of the first four says in `left_out`
what of it this completion had. Nothing is invented in silence either: what a form requires and the completion does not
say is an `ExportError` that names it, or with `fill=True` is written and listed in `filled`.

    from normcompletion import normalize
    from normcompletion.export import to_message, to_openai

    completion = normalize(response.content)
    messages.append(to_message(completion))
    body = to_openai(completion, fill=True)
    print(body.filled, body.left_out)

On the command line `normcompletion convert --to openai`, `--to messages` and `-o records.csv` write them in bulk.
"""

from .frame import FRAME_LEAVES_OUT, to_frame
from .messages import MESSAGE_LEAVES_OUT, to_message, to_training_line
from .openai import OPENAI_LEAVES_OUT, to_openai
from .otel import OTEL_LEAVES_OUT, SEMCONV_VERSION, OtelEvent, OtelRecord, to_otel
from .record import Exported, ExportError

__all__ = [
    "FRAME_LEAVES_OUT",
    "MESSAGE_LEAVES_OUT",
    "OPENAI_LEAVES_OUT",
    "OTEL_LEAVES_OUT",
    "SEMCONV_VERSION",
    "ExportError",
    "Exported",
    "OtelEvent",
    "OtelRecord",
    "to_frame",
    "to_message",
    "to_openai",
    "to_otel",
    "to_training_line",
]
