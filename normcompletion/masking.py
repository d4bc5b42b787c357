"""Secrets in texts for people: what looks like a key or a token is masked.

Services quote keys in their errors ("Incorrect API key provided: sk-…"), and such a text reaches logs and reports.
`mask` is for those; `mask_known`, for `repr`, masks only what has the prefix of a known key. Ids are never masked.
"""

from __future__ import annotations

import re
from itertools import pairwise

MASK = "***"

# The prefixes of known keys and tokens, each with where it is documented or who gives it out.
PREFIXES: tuple[tuple[str, str], ...] = (
    (r"sk-", "OpenAI, Anthropic (`sk-ant-`), OpenRouter (`sk-or-`), DeepSeek, LiteLLM, Langfuse (`sk-lf-`)"),
    (
        r"(?:csk|pk-lf|gsk|xai|pplx|nvapi|tgp_v1|fw|r8|hf|sk|jina|voyage|tvly|lsv2_[ps]t|vck|rpa|ak)[-_](?=[\w-]*\d)",
        "model hosts",
    ),
    (r"hf_(?=[A-Za-z]{34})", "Hugging Face, drawn without a digit"),
    (r"(?:sk|rk|pk)_(?:live|test)_", "https://docs.stripe.com/keys"),
    (r"AIza", "Google API keys"),
    (r"ya29\.", "Google OAuth tokens"),
    (r"GOCSPX-", "Google OAuth client secrets"),
    (
        r"gh[oprsu]_",
        "https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/",
    ),
    (r"github_pat_", "GitHub's fine-grained tokens"),
    (r"glpat-", "GitLab"),
    (r"xox[a-z]-|xapp-", "https://api.slack.com/concepts/token-types"),
    (r"(?:AKIA|ASIA|ABIA)(?=[A-Z0-9]{16})", "AWS access key ids"),
    (r"ABSK", "AWS Bedrock API keys"),
    (r"dapi(?=[0-9a-f]{32})", "Databricks"),
    (
        r"(?:npm_|pypi-|dop_v1_|shpat_|lin_api_|ntn_|secret_|figd_|dckr_pat_|sntrys_|phx_|phc_)(?=[\w-]*\d)",
        "package hosts and services",
    ),
    (r"SG\.", "SendGrid"),
    (r"eyJ(?=[\w-]{8,}\.)", "https://www.rfc-editor.org/rfc/rfc7519 (a JWT starts with `eyJ`)"),
)
_KEY = re.compile(
    r"(?<![\w-])(?P<prefix>" + "|".join(pattern for pattern, _ in PREFIXES) + r")(?P<rest>[\w.~+/=*-]{6,})", re.ASCII
)
# `Bearer` and `Basic` before what is not a plain word; a private key in PEM form; what an address holds before `@`.
_SCHEME = re.compile(
    r"\b([Bb]earer|BEARER|[Bb]asic|BASIC)(\s+)(?=[\w.~+/=:*-]*(?:[\d+/=_-]|[a-z][A-Z])|\w{20})[\w.~+/=:*-]{8,}",
    re.ASCII,
)
_PEM = re.compile(r"(-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----).*", re.DOTALL)
_USERINFO = re.compile(r"(://[^\s/:@]{0,64}:)[^\s/@]{1,128}(?=@)")
# A word for a secret, at most a few plain words that do not announce an id, and what may be the secret itself.
_NAMED = re.compile(
    r"(?P<name>(?:key|token|secret|password|passwd|pwd|credential|signature|authorization)s?\b\W{0,4}"
    r"(?:(?!(?:id|request|trace|call|account|model)s?\b)[a-z]{1,12}\W{0,3}[\s:'\"(]){0,4})(?P<value>[\w.~+/=:-]{8,})",
    re.ASCII | re.IGNORECASE,
)
_ASSIGNED = re.compile(
    r"(?P<name>(?:secret|password|passwd|pwd|AccountKey|SharedAccessKey|sig)=)[^\s;&\"']{4,}", re.IGNORECASE
)
_RUN = re.compile(r"[A-Za-z0-9]{12,}")
# What ids start with: they tell people which call it was.
_ID = re.compile(r"(?:chatcmpl|cmpl|gen|req|resp|msg|call|toolu|org|user|proj|thread|run|file|batch|asst|trace)[-_]")


def mask(text: str) -> str:
    """A text for people without what looks like a secret."""
    text = mask_known(text)
    text = _USERINFO.sub(rf"\1{MASK}", text)
    text = _ASSIGNED.sub(rf"\g<name>{MASK}", text)
    return _NAMED.sub(_masked, text)


def mask_known(text: str) -> str:
    """A text without what has the prefix of a known key or token."""
    text = _PEM.sub(rf"\1{MASK}", text)
    text = _SCHEME.sub(rf"\1\2{MASK}", text)
    return _KEY.sub(rf"\g<prefix>{MASK}", text)


def _masked(found: re.Match[str]) -> str:
    value = found["value"]
    return f"{found['name']}{MASK}" if is_random(value) and not _ID.match(value) else found[0]


def is_random(text: str) -> bool:
    """Whether a text looks drawn by lot: a long run of letters and digits mixed, or of letters in changing case."""
    for run in _RUN.findall(text):
        digits = sum(map(str.isdigit, run))
        if 0 < digits < len(run) or (digits == len(run) and len(run) >= 24):
            return True
        changes = sum(one.islower() != other.islower() for one, other in pairwise(run))
        if not digits and len(run) >= 16 and changes * 4 >= len(run):
            return True
    return False
