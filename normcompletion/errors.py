"""Every error this library raises, by what the reader does next.

    NormalizeError (ValueError)
    ├── MalformedPayloadError      not JSON, cut off, not UTF-8, too deep, too long: fix the bytes
    ├── UnknownPayloadError        JSON, but no completion: hand in something else, or name the source
    │   └── AmbiguousPayloadError  it has the markers of two sources: name the source
    ├── InvalidPayloadError        a completion that breaks its own types: look at `.path` (strict: all `.faults`)
    ├── SourceReportedError        the service says the call failed: ask the service (`.error`, `.completion`)
    ├── EncryptedPayloadError      a confidential envelope: decrypt it first (`.completion` holds usage)
    └── UnknownSourceError         no such source or variant: fix the call (`.known`)

The attributes are the interface; the text is for people, at most 500 characters, and never holds a payload. What looks
like a key or a token in it is masked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from .masking import mask

if TYPE_CHECKING:
    from .model import Completion, Note, ServiceError

CODES: Mapping[str, str] = {
    # the bytes: MalformedPayloadError
    "empty": "white space, where a response should be",
    "blank": "a blank line among the rows of `convert_batch` and Spark; `convert` counts it apart",
    "not_utf8": "a byte that is not UTF-8",
    "utf16": "the text is UTF-16 or UTF-32",
    "bom": "a byte-order mark inside the input; one at its first byte is dropped",
    "leading_text": "text before the JSON, such as that of a log",
    "truncated": "the JSON text ends too early",
    "syntax": "not JSON",
    "trailing_data": "a second value behind the first",
    "too_long": "longer than --max-record-bytes",
    "too_deep": "more than 128 nested arrays and objects",
    "lone_surrogate": "half a surrogate pair where it cannot be replaced",
    "number_range": "a number beyond what a 64-bit float can hold",
    # JSON, but no completion: UnknownPayloadError
    "not_object": "the value is not an object",
    "not_many": "one payload where several are meant (only in Python)",
    "unknown_shape": "an object that is not a completion",
    "list": "a list inside a list of records",
    "missing_response": "a log record without its response",
    "ambiguous": "the payload has the markers of two sources; name one with --source",
    "streams": "several answers follow one another in one response",
    "foreign_text": "text among responses that is none: a separator, HTML, a line of a log",
    "sse": "an event stream that holds no response",
    # a completion that breaks its own types: InvalidPayloadError
    "wrong_type": "a member whose type leaves no completion",
    "missing_field": "a member without which there is no completion",
    "invalid": "any other refusal",
    # a row in other runs: only with --completions-only
    "provider_error": "the service says that the call failed",
    "pending": "the call was not answered yet",
    "encrypted": "the body is encrypted",
    # an answer that does not fit the form of the output: only with --to openai and --to messages
    "missing_members": "the form requires members that the answer does not have",
    "unfinished": "the answer is not whole, as a line to train on must be",
    "no_answer": "there is no choice, or nothing in it",
    "no_request": "no request was logged with the answer; --without-request skip leaves it out, write keeps it alone",
}
"""What each `NormalizeError.code` means; `strict` adds the codes of `normcompletion.NOTES` that are faults."""

TEXT_LIMIT = 500
VALUE_LIMIT = 64
_LOOKED_AT = 1024  # a secret that is cut off at 64 characters must be seen whole


def excerpt(value: object) -> str:
    """At most 64 characters of a value, for a message, without what looks like a secret."""
    text = mask(str(value)[:_LOOKED_AT])
    return text if len(text) <= VALUE_LIMIT else text[: VALUE_LIMIT - 1] + "…"


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The known name that another is most like, as a question with a space behind it; empty where none is alike."""
    from difflib import get_close_matches

    close = get_close_matches(str(name), list(known), n=1)
    return f"did you mean {close[0]!r}? " if close else ""


class NormalizeError(ValueError):
    """Base of all errors.

    `code` is one word of a closed list, `path` a JSON Pointer into what was handed in, `offset` a byte offset,
    `index` the position in `normalize_many`; each is `None` where it does not apply.

    >>> from normcompletion import normalize
    >>> try:
    ...     normalize("")
    ... except NormalizeError as error:
    ...     print(type(error).__name__, error.code)
    MalformedPayloadError empty
    """

    code: str = "invalid"
    path: str | None = None
    offset: int | None = None
    source: str | None = None
    variant: str | None = None
    index: int | None = None

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        path: str | None = None,
        offset: int | None = None,
        source: str | None = None,
        variant: str | None = None,
    ) -> None:
        message = mask(message[: 2 * TEXT_LIMIT])
        super().__init__(message if len(message) <= TEXT_LIMIT else message[: TEXT_LIMIT - 1] + "…")
        if code is not None:
            self.code = code
        self.path = path
        self.offset = offset
        self.source = source
        self.variant = variant


class MalformedPayloadError(NormalizeError):
    """The bytes are not JSON, or exceed a limit. `code` says how, `offset` where.

    `completion` is what came before a broken event of a stream, if anything did.

    >>> from normcompletion import normalize
    >>> try:
    ...     normalize('{"choices": [')
    ... except MalformedPayloadError as error:
    ...     print(error.code, error.offset)
    truncated 13
    """

    code = "syntax"
    completion: Completion | None = None


class UnknownPayloadError(NormalizeError):
    """The payload is JSON, and not a completion that this library knows; the text says what it looks like.

    >>> from normcompletion import normalize
    >>> try:
    ...     normalize('{"tide": "high"}')
    ... except UnknownPayloadError as error:
    ...     print(error.code)
    unknown_shape
    """

    code = "unknown_shape"


class AmbiguousPayloadError(UnknownPayloadError):
    """The payload has the markers of several sources; `candidates` names them, `source=` decides.

    >>> AmbiguousPayloadError("the payload has the markers of two sources").code
    'ambiguous'
    """

    code = "ambiguous"
    candidates: Sequence[str] = ()


class InvalidPayloadError(NormalizeError):
    """A completion whose structure leaves nothing to normalize, or, in strict mode, one with `faults`.

    >>> from normcompletion import normalize
    >>> try:
    ...     normalize('{"choices": [], "usage": {"prompt_tokens": "9"}}', strict=True)
    ... except InvalidPayloadError as error:
    ...     print([note.path for note in error.faults])
    ['/usage/prompt_tokens']
    """

    code = "wrong_type"
    faults: Sequence[Note] = ()


class SourceReportedError(NormalizeError):
    """The service reported an error. `error` is it; `completion` is what came beside it, with `error` set.

    >>> from normcompletion import normalize
    >>> try:
    ...     normalize('{"error": {"code": 429, "message": "slow down"}}')
    ... except SourceReportedError as error:
    ...     print(error.error.code, error.error.message)
    429 slow down
    """

    code = "provider_error"
    error: ServiceError
    completion: Completion


class EncryptedPayloadError(NormalizeError):
    """The body is encrypted. `completion` holds its usage and what is not encrypted in `extra`.

    >>> from normcompletion import normalize
    >>> try:
    ...     normalize('{"nonce": "n", "ciphertext": "c", "usage": {"total_tokens": 3}}')
    ... except EncryptedPayloadError as error:
    ...     print(error.completion.usage.total_tokens)
    3
    """

    code = "encrypted"
    completion: Completion


class UnknownSourceError(NormalizeError):
    """The call names a source or variant that is not registered; `known` lists those that are.

    >>> from normcompletion import normalize
    >>> try:
    ...     normalize('{"choices": []}', source="openruter")
    ... except UnknownSourceError as error:
    ...     print(error)
    no source 'openruter'; did you mean 'openrouter'? known are openai, atoma, log10, openrouter
    """

    code = "unknown_source"
    known: Sequence[str] = ()
