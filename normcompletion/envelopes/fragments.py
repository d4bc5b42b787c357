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
        "openinference",
        (),
        "an OpenInference span; where it holds the whole response, give --body /attributes.output.value",
        prefixes=("attributes.llm.", "attributes.openinference.", "attributes.output."),
    ),
    Fragment(
        "langfuse",
        (
            has("traceId", "type", "usageDetails"),
            has("trace_id", "type", "usage_details"),
            has("traceId", "type", "costDetails"),
            has("trace_id", "type", "provided_model_name"),
        ),
        "a Langfuse observation, which holds messages and no response; log the response bodies themselves",
    ),
    Fragment(
        "braintrust",
        (has("span_id", "root_span_id", "_xact_id"), has("span_id", "root_span_id", "span_attributes")),
        "a Braintrust span, which holds the choices without their response; log the response bodies themselves",
    ),
    Fragment(
        "langsmith",
        (has("run_type", "outputs"), has("run_type", "inputs")),
        "a LangSmith run, whose outputs are a response without its usage; give --body /outputs to read them as one",
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
        "openrouter_broadcast",
        (has("observations", "sessionId"), has("observations", "userId"), has("TRACE_ID", "INPUT", "OUTPUT")),
        "a trace that OpenRouter broadcast, which holds messages and no response; log the response bodies themselves",
    ),
    Fragment(
        "vcr",
        (has("interactions", "version"), has("interactions", "recorded_with")),
        "a VCR cassette; first take its bodies out: jq -c '.interactions[].response.body.string | fromjson'",
    ),
    Fragment(
        "har",
        (has("log/entries"),),
        "a HAR file; first take its bodies out: jq -c '.log.entries[].response.content.text | fromjson'",
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
