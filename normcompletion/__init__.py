"""Every completion response of Atoma, log10, OpenRouter and the OpenAI dialect, as one canonical model."""

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
from .model import Completion
from .normalize import normalize, normalize_many

__version__ = "0.1.0"
