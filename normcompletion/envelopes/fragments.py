"""Records of known tools that hold no whole response: refused, each with what to do instead."""

from __future__ import annotations

from .preset import Fragment, has

GENERATION_KEYS = (
    "tokens_prompt",
    "native_tokens_prompt",
    "tokensPrompt",
    "nativeTokensPrompt",
    "generation_id",
    "generationId",
)

FRAGMENTS = (
    Fragment(
        "otlp",
        (
            has("resourceSpans"),
            has("resource_spans"),
            has("resourceLogs"),
            has("scopeSpans"),
            has("traceId", "spanId", "attributes"),
            has("trace_id", "span_id", "attributes"),
        ),
        "OpenTelemetry data, whose spans hold pieces of a call; log the response bodies themselves",
    ),
    Fragment(
        "braintrust",
        (has("span_id", "root_span_id", "_xact_id"), has("span_id", "root_span_id", "span_attributes")),
        "a Braintrust span, which holds the choices without their response; log the response bodies themselves",
    ),
    Fragment(
        "openrouter_generation",
        (
            *(has(key, lacks=("data", "choices")) for key in GENERATION_KEYS),
            *(has(f"data/{key}", lacks=("data/choices",)) for key in GENERATION_KEYS),
        ),
        "an OpenRouter generation record, which holds no text; convert the completion that it names",
    ),
    Fragment(
        "openrouter_broadcast_row",
        (has("TRACE_ID", "INPUT", "OUTPUT"),),
        "a row that OpenRouter broadcast, which holds messages and no response; log the response bodies themselves",
    ),
    Fragment(
        "cloudflare_list",
        (has("result", "result_info", "success"),),
        "a list of Cloudflare's AI Gateway logs, which holds no bodies; fetch the response of each",
    ),
    Fragment(
        "openai_batch_request",
        (has("custom_id", "method", "url", "body"),),
        "a line of a Batch input file, a request; convert the output file",
    ),
    Fragment(
        "anthropic_batch",
        (has("custom_id", "result"),),
        "a result of an Anthropic message batch, and the Messages API is not read here",
    ),
)
"""What is recognised and refused."""
