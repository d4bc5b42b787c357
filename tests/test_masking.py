"""No text contains a secret: keys and tokens are masked wherever a text is for people, and nowhere else."""

from __future__ import annotations

import json
import string
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normcompletion import SourceReportedError, normalize
from normcompletion.cli import main
from normcompletion.masking import mask, mask_known

LOT = Random(20)


def drawn(length: int, letters: str = string.ascii_letters + string.digits) -> str:
    """A text drawn by lot."""
    return "".join(LOT.choices(letters, k=length - 2)) + "7q"


HEX = "0123456789abcdef"
# Kinds of secrets, each in a sentence as a service writes it; the second half has no prefix that is known.
KNOWN: dict[str, tuple[str, str]] = {
    "openai": ("Incorrect API key provided: {}. You can find it at https://example.com", f"sk-{drawn(48)}"),
    "openai project": ("Incorrect API key provided: {}", f"sk-proj-{drawn(60)}_{drawn(20)}"),
    "anthropic": ("invalid x-api-key: {}", f"sk-ant-api03-{drawn(40)}-{drawn(20)}"),
    "openrouter": ("User {} not found", f"sk-or-v1-{drawn(64, HEX)}"),
    "bearer": ("got Authorization: Bearer {}, which is unknown", drawn(40)),
    "basic": ("got Authorization: Basic {}", f"{drawn(38)}=="),
    "google": ("API key not valid: {}", f"AIza{drawn(35)}"),
    "google oauth": ("the request had {} in it", f"ya29.{drawn(60)}"),
    "github": ("Bad credentials ({})", f"ghp_{drawn(36)}"),
    "github app": ("denied: {}", f"ghs_{drawn(36)}"),
    "github fine-grained": ("denied: {}", f"github_pat_{drawn(22)}_{drawn(59)}"),
    "gitlab": ("denied: {}", f"glpat-{drawn(20)}"),
    "slack": ("invalid_auth {}", f"xoxb-{drawn(12, string.digits)}-{drawn(24)}"),
    "jwt": ("expired: {}", f"eyJ{drawn(30)}.eyJ{drawn(60)}.{drawn(43)}"),
    "hugging face": ("Invalid user: {}", f"hf_{drawn(34)}"),
    "groq": ("Invalid API Key {}", f"gsk_{drawn(52)}"),
    "xai": ("Incorrect API key provided: {}", f"xai-{drawn(80)}"),
    "nvidia": ("Authorization failed for {}", f"nvapi-{drawn(64)}"),
    "aws": ("The security token {} is invalid", f"AKIA{drawn(18, string.ascii_uppercase).upper()[:16]}"),
    "stripe": ("No such key: {}", f"sk_live_{drawn(24)}"),
    "databricks": ("Invalid access token {}", f"dapi{drawn(32, HEX)[:30]}ab"),
    "hugging face, letters": ("denied: {}", "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"),
    "private key": ("could not load -----BEGIN PRIVATE KEY-----{}", drawn(64)),
}
OTHER: dict[str, tuple[str, str]] = {
    "azure": ("Access denied due to invalid subscription key: {}", drawn(32, HEX)),
    "query": ("GET /v1/models?api_key={} failed", drawn(40)),
    "json": ('got {{"access_token": "{}"}}', drawn(40)),
    "after provided": ("Incorrect API key provided: {}. You can find your API key in the harbour.", drawn(32)),
    "bot": ("The token {} has expired", f"123456789:AA{drawn(33)}"),
    "shared access": ("cannot reach https://lamp.example/?sv=1&sig={}", f"{drawn(43)}%3D"),
    "quoted": ("The token '{}' has expired", drawn(24)),
    "some words": ("The API key that you have sent {} is unknown", drawn(32)),
    "letters": ("invalid token: {}", "qWeRtYuIoPaSdFgHjKlZxCv"),
    "uuid": ("API key {} was revoked", "3f2b8c1e-77aa-4d10-9b1c-0a1b2c3d4e5f"),
    "address": ("cannot reach https://user:{}@example.com/v1", drawn(20)),
    "password": ("cannot connect: host=db;password={};", "hunter2!"),
}
SECRETS = KNOWN | OTHER


def a_secret(kind: str) -> tuple[str, str]:
    """A sentence with a secret, and the secret."""
    sentence, secret = SECRETS[kind]
    return sentence.format(secret), secret


def holds(text: str, secret: str) -> bool:
    """Whether a text holds more of a secret than its prefix: eight characters in a row of its second half."""
    half = secret[len(secret) // 2 :]
    return any(half[at : at + 8] in text for at in range(max(1, len(half) - 7)))


@pytest.mark.parametrize("kind", SECRETS)
def test_an_error_text_contains_no_secret(kind: str) -> None:
    """The text of the exception masks the secret that a service quoted; `.error` keeps what the service sent."""
    sentence, secret = a_secret(kind)
    for body in ({"error": {"message": sentence}}, {"message": sentence, "code": sentence}, {"detail": sentence}):
        with pytest.raises(SourceReportedError) as caught:
            normalize(body)
        assert not holds(str(caught.value), secret)
        assert "***" in str(caught.value)
        assert caught.value.error.message == sentence


@pytest.mark.parametrize("kind", KNOWN)
def test_repr_masks_what_has_a_known_prefix(kind: str) -> None:
    """`repr` of an error and of a completion shows no key that its prefix gives away."""
    sentence, secret = a_secret(kind)
    with pytest.raises(SourceReportedError) as caught:
        normalize({"error": {"message": sentence, "metadata": {"sent": [sentence]}}})
    for shown in (repr(caught.value.error), repr(caught.value.completion), repr(caught.value)):
        assert not holds(shown, secret)


@pytest.mark.parametrize("command", ["convert", "survey", "explain", "verify", "detect"])
def test_no_command_prints_a_secret(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rejects, reports and notes that a command prints tell no secret; the raw body of a reject is as it was."""
    log, rejects, report = tmp_path / "log.jsonl", tmp_path / "rejects.jsonl", tmp_path / "report.json"
    rows: list[Any] = []
    for kind in SECRETS:
        sentence, _ = a_secret(kind)
        rows += [
            {"error": {"message": sentence, "code": sentence}},
            {"choices": [{"message": {"content": "hi"}, "finish_reason": sentence}], "usage": sentence},
            {"choices": sentence},
            [sentence],
        ]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {
        "convert": ["-o", str(tmp_path / "out.jsonl"), "--rejects", str(rejects), "--report", str(report)],
        "survey": ["--json"],
    }
    main([command, str(log), *options.get(command, [])])
    shown = "".join(capsys.readouterr())
    for path in (rejects, report):
        if path.exists():
            shown += path.read_text()
    for kind in SECRETS:
        assert not holds(shown, a_secret(kind)[1]), kind


IDS = (
    "chatcmpl-BXq2dPZk1mN8sT4vWcYgHjLrQaEoU",
    "gen-1786001072-Lamp72QuayFogBell00x",
    "request id 3f2b8c1e-77aa-4d10-9b1c-0a1b2c3d4e5f",
    "the token limit of request 3f2b8c1e-77aa-4d10-9b1c-0a1b2c3d4e5f",
    "org-Qm3nR8sT2vWx on tokens per min: limit 40000",
    "the key `response_format.json_schema` is unknown",
    "too many tokens for gpt-4o-mini-2024-07-18",
    "max_tokens is too large: 128000000000",
    "token limit for meta-llama/Llama-3.3-70B-Instruct-Turbo",
    "Bearer authentication is required",
    "call_9xYzAbCdEfGh1234567890ab has no key call_9xYzAbCdEfGh1234567890ab",
    "hf_hub_download and secret_manager_name failed",
    "a risk-free task-based disk-cache",
)


@pytest.mark.parametrize("text", IDS)
def test_ids_and_words_stay(text: str) -> None:
    """Ids, names of models and plain words are not masked."""
    assert mask(text) == mask_known(text) == text


@given(st.text(max_size=200))
def test_masking_twice_is_masking_once(text: str) -> None:
    """A text that was masked has nothing more to mask."""
    assert mask(mask(text)) == mask(text)
