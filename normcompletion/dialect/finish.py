"""Why an answer ended: the words of all services, and what each means in the canonical model.

A word is in the table where its service says what it means and all services that use it mean the same. Every other
word is `unknown`, with the word in `native_finish_reason`: `pause_turn` (to be continued), `repetition`, `time_limit`
and `OTHER` mean nothing that the canonical words say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from ..findings import Findings
from ..model import FinishReason

FinishWords = Mapping[str, FinishReason]

OPENAI = "https://platform.openai.com/docs/api-reference/chat/object"
RESPONSES = "https://platform.openai.com/docs/api-reference/responses/object (recorded as OpenRouter's native words)"
ANTHROPIC = "https://docs.anthropic.com/en/api/messages#response-stop-reason"
BEDROCK = "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (`stopReason`)"
TITAN = "https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-text.html (`completionReason`)"
GEMINI = "https://cloud.google.com/python/docs/reference/vertexai/latest/vertexai.generative_models.FinishReason"
GEMINI_2026 = "https://ai.google.dev/api/generate-content#FinishReason; BerriAI/litellm 004c2c4 core_helpers.py"
GEMINI_LOWER = "log10-io/log10 462a441: the names of Gemini's enum in lower case"
COHERE = "cohere-ai/cohere-python src/cohere/types/chat_finish_reason.py"
COHERE_V1 = "cohere-ai/cohere-python src/cohere/types/finish_reason.py"
TGI = "huggingface/text-generation-inference router/src/lib.rs `FinishReason`; spring-projects/spring-ai#4900"
TOGETHER = "openai/openai-dotnet#267; vespa-engine/vespa#33327; recorded OpenRouter bodies"
MISTRAL = "https://docs.rs/crate/mistral-openapi-client/latest/source/src/models/chat_completion_choice.rs"
ZHIPU = "earendil-works/pi#2313 (`network_error`), #978 (`sensitive`)"
DEEPSEEK = "https://docs.rs/crate/ds-api/latest/source/src/raw/response/non_streaming/finish_reason.rs"
WATSONX = "https://ibm.github.io/watsonx-ai-node-sdk/interfaces/0_1_x.WatsonXAI.TextGenResult-1.html"
BAIDU = "langchain-ai/langchain community/langchain_community/chat_models/baidu_qianfan_endpoint.py (the example)"
GIGACHAT = "https://developers.sber.ru/docs/ru/gigachat/api/reference/rest/post-chat (`finish_reason`)"
VLLM = "vllm-project/vllm vllm/v1/engine/__init__.py; sgl-project/sglang `FINISH_ABORT`; openclaw/openclaw#16252"
ATOMA = "atoma-network/atoma-infer 02aca05 server/src/api/chat_completions.rs"
MISTRALRS = "EricLBuehler/mistral.rs: `StopReason`"
AI_SDK = "https://ai-sdk.dev/docs/reference/ai-sdk-core/generate-text (`finishReason`)"
PROXIES = "earendil-works/pi#2106: several compatible servers end an answer with `end`"

# word, what it means, where that is written
WORDS: tuple[tuple[str, FinishReason, str], ...] = (
    ("stop", "stop", OPENAI),
    ("length", "length", OPENAI),
    ("tool_calls", "tool_calls", OPENAI),
    ("content_filter", "content_filter", OPENAI),
    ("function_call", "tool_calls", OPENAI),  # the name that tool calls had before 2023-11
    ("error", "error", MISTRAL),
    ("unknown", "unknown", "the canonical word itself"),
    ("completed", "stop", RESPONSES),
    ("max_output_tokens", "length", RESPONSES),
    ("end_turn", "stop", ANTHROPIC),
    ("stop_sequence", "stop", ANTHROPIC),
    ("max_tokens", "length", ANTHROPIC),
    ("model_context_window_exceeded", "length", "anomalyco/opencode#18813"),
    ("tool_use", "tool_calls", ANTHROPIC),
    ("refusal", "content_filter", ANTHROPIC),
    ("content_filtered", "content_filter", BEDROCK),
    ("guardrail_intervened", "content_filter", BEDROCK),
    ("malformed_model_output", "error", BEDROCK),
    ("malformed_tool_use", "error", BEDROCK),
    ("FINISH", "stop", TITAN),
    ("FINISHED", "stop", TITAN),
    ("STOP_CRITERIA_MET", "stop", TITAN),
    ("LENGTH", "length", TITAN),
    ("CONTENT_FILTERED", "content_filter", TITAN),
    ("STOP", "stop", GEMINI),
    ("MAX_TOKENS", "length", GEMINI),
    ("SAFETY", "content_filter", GEMINI),
    ("RECITATION", "content_filter", GEMINI),
    ("BLOCKLIST", "content_filter", GEMINI),
    ("PROHIBITED_CONTENT", "content_filter", GEMINI),
    ("SPII", "content_filter", GEMINI),
    ("MODEL_ARMOR", "content_filter", GEMINI),
    ("MALFORMED_FUNCTION_CALL", "error", GEMINI),
    ("IMAGE_SAFETY", "content_filter", GEMINI_2026),
    ("IMAGE_PROHIBITED_CONTENT", "content_filter", GEMINI_2026),
    ("IMAGE_RECITATION", "content_filter", GEMINI_2026),
    ("UNEXPECTED_TOOL_CALL", "error", GEMINI_2026),
    ("TOO_MANY_TOOL_CALLS", "error", GEMINI_2026),
    ("MALFORMED_RESPONSE", "error", GEMINI_2026),
    ("MISSING_THOUGHT_SIGNATURE", "error", GEMINI_2026),
    ("safety", "content_filter", GEMINI_LOWER),
    ("recitation", "content_filter", GEMINI_LOWER),
    ("blocklist", "content_filter", GEMINI_LOWER),
    ("prohibited_content", "content_filter", GEMINI_LOWER),
    ("spii", "content_filter", GEMINI_LOWER),
    ("malformed_function_call", "error", GEMINI_LOWER),
    ("COMPLETE", "stop", COHERE),
    ("STOP_SEQUENCE", "stop", COHERE),
    ("TOOL_CALL", "tool_calls", COHERE),
    ("ERROR", "error", COHERE),
    ("TIMEOUT", "error", COHERE),
    ("ERROR_LIMIT", "length", COHERE_V1),
    ("ERROR_TOXIC", "content_filter", COHERE_V1),
    ("USER_CANCEL", "error", COHERE_V1),
    ("eos_token", "stop", TGI),
    ("eos", "stop", TOGETHER),
    ("end", "stop", PROXIES),
    ("model_length", "length", MISTRAL),
    ("sensitive", "content_filter", ZHIPU),
    ("network_error", "error", ZHIPU),
    ("insufficient_system_resource", "error", DEEPSEEK),
    ("token_limit", "length", WATSONX),
    ("cancelled", "error", WATSONX),
    ("normal", "stop", BAIDU),
    ("blacklist", "content_filter", GIGACHAT),  # the request falls under limits of topic
    ("abort", "error", VLLM),  # the engine broke the answer off
    ("aborted", "error", ATOMA),
    ("stopped", "stop", ATOMA),
    ("length_capped", "length", ATOMA),
    ("canceled", "error", MISTRALRS),
    ("tool-calls", "tool_calls", AI_SDK),
    ("content-filter", "content_filter", AI_SDK),
)

# Gemini's OpenAI-compatible endpoint puts what stopped the answer before its own word (public bug reports of 2025 and
# 2026): what the prefix is, what it means, an example.
PREFIXES: tuple[tuple[str, FinishReason, str], ...] = (
    ("content_filter: ", "content_filter", "content_filter: RECITATION"),
    ("function_call_filter: ", "error", "function_call_filter: MALFORMED_FUNCTION_CALL"),
)

# What servers write into each chunk before the last one: Alibaba's DashScope writes the text "null"
# (https://help.aliyun.com/zh/model-studio/qwen-api-reference, `finish_reason`), log10 an empty text.
PLACEHOLDERS = ("", "null")

FINISH_REASONS: frozenset[str] = frozenset(get_args(FinishReason))
FINISH_WORDS: FinishWords = {word: meaning for word, meaning, _ in WORDS}


def meaning(word: str, words: FinishWords = FINISH_WORDS) -> FinishReason | None:
    """What a finish word means, by the table of a source; `None` where no service says."""
    found = words.get(word)
    if found is not None:
        return found
    return next((canonical for prefix, canonical, _ in PREFIXES if word.startswith(prefix)), None)


def finish_reason(item: Any, at: int, findings: Findings, words: FinishWords) -> tuple[FinishReason | None, str | None]:
    """The canonical finish reason of a choice (`wire.Choice`) at a place, and the wire's own word."""
    word, native = item.finish_reason, item.native_finish_reason
    if word is None:
        return None, native
    if word in PLACEHOLDERS:
        findings.note("placeholder", word, "choices", at, "finish_reason")
        return None, native
    canonical = meaning(word, words)
    if canonical is None:
        findings.note("unknown_finish_reason", word, "choices", at, "finish_reason")
        canonical = "unknown"
    if canonical != word:
        if native is None:
            native = word
        elif native != word:
            findings.keep(word, "choices", at, "finish_reason")
    return canonical, native
