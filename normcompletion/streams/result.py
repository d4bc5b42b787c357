"""What a stream says when somebody asks: merged chunks as a completion."""

from __future__ import annotations

from copy import copy
from typing import Any

import msgspec

from ..decoding.detection import ambiguous, unmarked
from ..decoding.engine import apply_placeholders
from ..decoding.lenient import Walk
from ..decoding.unknown import extra_of
from ..dialect import adapt, wire
from ..findings import Findings
from ..model import Completion, ServiceError, Usage
from ..pointer import camel
from .answer import Answer
from .chunks import CHUNK_WORDS
from .ending import as_one, choice_of, mend, paired
from .merging import Merged

_SNAKE = {"/delta/function_call", *(f"/{name}" for name in wire.VENDOR_MEMBERS)}  # not spelled as they were sent


def completed(
    merged: Merged, error: ServiceError | None, findings: Findings, *, final: bool, rest: str | None
) -> Completion:
    """What chunks say so far, as `Assembly.completion` gives it; `rest` is the text of an event that was cut off."""
    source, why = _source(merged, findings)
    findings.camel = merged.camel > 0
    answers = _assembled(merged)
    words = merged.reader.engine.finish_words(source)
    choices = [choice_of(answer, at, findings, words) for at, answer in enumerate(answers)]
    completion = Completion(
        source=source,
        source_basis=why,  # type: ignore[arg-type]
        variant=_variant(merged, answers, error),
        choices=choices,
        usage=copy(merged.usage),
        error=error,
        notes=findings.notes,
        **merged.words,
    )
    _keep(merged, completion, answers, findings)
    if findings.extra and (completion.usage is None or adapt.is_blank(completion.usage)):
        completion.usage = _usage_elsewhere(merged, len(choices), findings) or completion.usage
    findings.extra |= {f"{findings.prefix}/{name}": text for name, text in merged.padding.items()}
    _add_notes(merged, completion, answers, findings)
    if final and error is None:
        _note_what_is_missing(completion, rest, findings)
    if merged.has_halves:
        mend(completion, findings)
        findings.extra.update({pointer: paired(value) for pointer, value in findings.extra.items()})
    placeholders = merged.reader.engine.placeholders.get(source)
    if placeholders and completion.variant in ("chat", "text"):
        apply_placeholders(completion, placeholders, findings)
    completion.extra = extra_of(findings)
    return completion


def _assembled(merged: Merged) -> list[Answer]:
    """The answers so far, in the order of their indexes."""
    answers = [*dict.fromkeys(merged.answers.values())]  # one may have several keys
    if len(answers) == 1:
        return [answers[0].assembled()]
    answers.sort(key=lambda answer: answer.index or 0)
    return as_one([answer.assembled() for answer in answers])


def _source(merged: Merged, findings: Findings) -> tuple[str, str]:
    """Who wrote the stream, and how that is known: the caller, or the markers of what all chunks said together.

    Where a marker names another source than the caller, the findings say so.
    """
    caller = merged.place.source
    found = merged.reader.sources_of(caller, _union(merged), list(merged.ids), is_camel=merged.camel > 0) | merged.named
    # A chunk that was read may have had a marker of which nothing is left in it.
    if caller is not None:
        for other in sorted(found - {caller}):
            findings.note_at(findings.prefix, "source_conflict", other)
        return caller, "caller"
    if len(found) > 1:
        raise ambiguous(sorted(found))
    return (next(iter(found)), "marker") if found else unmarked(merged.place)


def _union(merged: Merged) -> dict[str, Any]:
    """What the chunks said, as far as markers look at it: as one body."""
    tree: dict[str, Any] = {name: value for name, value in merged.words.items() if value is not None}
    choice: dict[str, Any] = {"native_finish_reason": ""} if merged.has_native else {}
    if merged.has_maps:
        choice["logprobs"] = []
    tree["choices"] = [choice]
    if merged.objects:
        tree["object"] = next(iter(merged.objects))
    values = [*merged.extra.items()]
    for answer in merged.answers.values():
        values += [(f"/choices/0{pointer}", value) for pointer, value in answer.extra.items()]
    if merged.usage is not None:
        tree["usage"] = msgspec.to_builtins(merged.usage)
    for pointer, value in values:
        holder: Any = tree
        *parents, name = pointer.split("/")[1:]
        for parent in parents:
            holder = holder[0] if isinstance(holder, list) else holder.setdefault(parent, {})
            if not isinstance(holder, dict):
                break
        else:
            holder.setdefault(name, value)
    return tree


def _variant(merged: Merged, answers: list[Answer], error: ServiceError | None) -> str:
    if answers:
        return "text" if any(answer.has_text for answer in answers) else "chat"
    if merged.is_sealed:
        return "confidential"
    if error is not None:
        return "error"
    return "text" if "text_completion" in merged.objects else "chat"


def _keep(merged: Merged, completion: Completion, answers: list[Answer], findings: Findings) -> None:
    """Put what has no canonical field into `extra`."""
    root = findings.prefix
    implied = CHUNK_WORDS.get(completion.variant, ())
    for word in merged.objects:
        if word not in implied:
            findings.extra[f"{root}/object"] = word
    for pointer, value in merged.extra.items():
        findings.extra[root + pointer] = value
    for at, answer in enumerate(answers):
        if answer.aliases:
            findings.keep("".join(answer.aliases), "choices", at, "delta", "reasoning_content")
        if answer.differing is not None:
            findings.keep(adapt.sent_members(answer.differing, findings), "choices", at, "message")
        for pointer, value in answer.extra.items():
            spelled = camel(pointer) if findings.camel and pointer in _SNAKE else pointer
            findings.extra[f"{root}/choices/{at}{spelled}"] = value


def _usage_elsewhere(merged: Merged, of: int, findings: Findings) -> Usage | None:
    """The usage that is in a place of its own, by the rule of whole bodies; so far it is in `extra`."""
    body: dict[str, Any] = {"choices": []}
    for at in range(of):
        sent = findings.extra.pop(findings.pointer("choices", at, "usage"), None)
        body["choices"].append({"usage": sent})
        if sent is not None:
            break
    else:
        name = camel("x_groq") if findings.camel else "x_groq"
        body[name] = findings.extra.get(findings.pointer("x_groq"))
        if body[name] is None:
            return None
    findings.is_clean = False  # values in `extra` may hold half a surrogate pair
    read = Walk(findings).struct(body, merged.reader.form, findings.prefix)
    counts = adapt.usage_elsewhere(read, findings)
    return None if counts is None else adapt.usage(counts)


def _add_notes(merged: Merged, completion: Completion, answers: list[Answer], findings: Findings) -> None:
    """Put the repairs into the findings, with pointers into the assembled body."""
    notes = {("", code, path): note for (code, path), note in merged.extra.notes.items()}
    for at, answer in enumerate(answers):
        for each in (*answer.origins, answer):
            for note in (*each.extra.notes.values(), *each.ending.notes.values()):
                if not (each.cumulative and note.path == "/logprobs"):  # they are those so far, too
                    notes.setdefault((f"/choices/{at}", note.code, note.path), note)
    for (base, code, path), note in notes.items():
        spelled = camel(path) if findings.camel and code == "conflicting_value" else path
        findings.note_at(findings.prefix + base + spelled, code, note.before)
    for at, choice in enumerate(completion.choices):
        if choice.message.tool_calls:  # which are canonical already: this notes what is odd in them
            adapt.tool_calls(choice.message.tool_calls, findings, "choices", at, "delta")


def _note_what_is_missing(completion: Completion, rest: str | None, findings: Findings) -> None:
    """Remark that a stream ended before it said why."""
    if rest is not None:
        findings.note_at(findings.prefix, "incomplete_stream", rest)
    for at, choice in enumerate(completion.choices):
        if choice.finish_reason is None and choice.error is None:
            findings.note("incomplete_stream", None, "choices", at, "finish_reason")
    if not completion.choices and completion.variant != "confidential":
        findings.note("incomplete_stream", None, "choices")
