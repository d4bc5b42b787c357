"""Answers as choices: their finish words, answers that are one, and halves of characters put together."""

from __future__ import annotations

from typing import Any

import msgspec

from ..dialect import adapt, wire
from ..dialect.finish import PLACEHOLDERS, FinishWords, finish_reason
from ..findings import Findings
from ..model import Choice, Completion
from ..payload import escape_surrogates, replace_surrogates
from .answer import Answer
from .values import Values

# How the members of a message are called in the deltas of a stream.
_IN_DELTA = {"message": "delta", "parts": "content"}


def choice_of(answer: Answer, at: int, findings: Findings, words: FinishWords) -> Choice:
    """The choice that an answer is so far, at a place of the completion."""
    message = answer.message()
    for name in answer.cumulative_texts():
        findings.note("cumulative_delta", None, "choices", at, "delta", name)
    message.role = adapt.role(answer.role, findings, "choices", at, "delta")
    word, native = last_finish(answer)
    sent = wire.Choice(finish_reason=word, native_finish_reason=native)
    canonical, native = finish_reason(sent, at, findings, words)
    return Choice(
        index=answer.index,
        message=message,
        finish_reason=canonical,
        native_finish_reason=native,
        logprobs=answer.whole_logprobs(),
        error=answer.error,
    )


def last_finish(answer: Answer) -> tuple[str | None, str | None]:
    """The finish word that stays, which is the last one, and the native word that belongs to it, as they were sent."""
    answer.ending = notes = Values()  # they may be others when more has come
    word: str | None = None
    native: str | None = None
    for said, sent_native in answer.finishes:
        is_placeholder = said is not None and said in PLACEHOLDERS
        if is_placeholder:
            notes.note("placeholder", "/finish_reason", said)
        sent = None if is_placeholder else said
        if sent is not None and word is not None and sent != word:
            notes.note("conflicting_value", "/finish_reason", word)
            if native and native != sent_native:
                notes.note("conflicting_value", "/native_finish_reason", native)
            native = None
        word = word if sent is None else sent
        if sent_native in PLACEHOLDERS:
            native = sent_native if native is None and not sent_native else native
        elif sent_native is not None:
            if native and native != sent_native:
                notes.note("conflicting_value", "/native_finish_reason", native)
            native = sent_native
    return word, native


def as_one(answers: list[Answer]) -> list[Answer]:
    """One answer where the indexes count the chunks, else the answers as they are.

    They count where there are at least three, consecutive from 0 or 1, each with one fragment, and only the last one
    has a finish word (Foundry Local; TGI 1.4).
    """
    indexes = [answer.index for answer in answers]
    start = indexes[0] if indexes else None
    if len(answers) < 3 or start not in (0, 1) or indexes != list(range(start, start + len(indexes))):
        return answers
    if any(answer.is_over for answer in answers[:-1]) or not answers[-1].is_over:
        return answers
    if any(max(answer.deltas, len(answer.content)) > 1 for answer in answers):
        return answers
    first = answers[0]
    built = Answer(first.index)
    built.origins = [each for answer in answers for each in (*answer.origins, answer)]
    for answer in answers:
        built.absorb(answer)
    built.extra.note("counting_index", "/index", answers[-1].index)
    return [built]


def mend(completion: Completion, findings: Findings) -> None:
    """Join the halves of surrogate pairs that two chunks had, and replace those without another half."""
    for name in ("choices", "id", "model", "provider", "system_fingerprint", "service_tier", "error"):
        value = getattr(completion, name)
        setattr(completion, name, _mended(value, f"{findings.prefix}/{name}", findings))


def _mended(value: Any, at: str, findings: Findings) -> Any:
    if isinstance(value, str):
        whole = paired(value)
        replaced = replace_surrogates(whole)
        if replaced is None:
            return whole
        if not any(note.code == "lone_surrogate" and note.path == at for note in findings.notes):
            findings.note_at(at, "lone_surrogate", escape_surrogates(whole))
        return replaced
    if isinstance(value, list):
        value[:] = [_mended(item, f"{at}/{place}", findings) for place, item in enumerate(value)]
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            setattr(value, name, _mended(getattr(value, name), f"{at}/{_IN_DELTA.get(name, name)}", findings))
    return value


def paired(value: Any) -> Any:
    """A value whose half surrogate pairs are joined where they meet."""
    if isinstance(value, str):
        return (
            value
            if value.isascii()
            else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        )
    if isinstance(value, dict):
        return {paired(key): paired(item) for key, item in value.items()}
    return [paired(item) for item in value] if isinstance(value, list) else value
