"""What an official SDK reads from a body, held against what this library reads from the same bytes.

A referee is a function that gives the SDK's model of a body, or raises where the SDK refuses it. `readings` lists
every field which that model declares, read or not. Each must be equal here: in the canonical field of the same name,
or, where the canonical model has none, in `Completion.extra` under the field's pointer. A field that the SDK declares
and does not find must be absent here too. `RULES` are the only ways to differ; each cites the rule of the design it
stands for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import msgspec

from normcompletion import (
    AmbiguousPayloadError,
    Completion,
    FinishReason,
    FunctionCall,
    NormalizeError,
    Role,
    SourceReportedError,
    ToolCall,
    UnknownPayloadError,
    normalize,
)
from normcompletion.pointer import pointer
from tests.conftest import FIXTURES

Place = tuple[str | int, ...]
Referee = Callable[[bytes], Any]
Body = tuple[str, bytes]  # where a response body is from, and its text

ABSENT = object()
UNREAD = object()  # the SDK fell back to its placeholder for "not set" on an object it could not type

# A small chat that every SDK accepts.
SAMPLE = b"""{"id": "gen-1", "object": "chat.completion", "created": 1700000000, "model": "m",
"system_fingerprint": null,
"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}],
"usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}"""


class Length(NamedTuple):
    """How many members an array has; its members are readings of their own."""

    members: int


def fixture_bodies() -> Iterator[Body]:
    """The payloads of the committed fixture pairs; an SDK refuses those that are not of its shape."""
    for path in sorted(FIXTURES.rglob("*.json")):
        if not path.name.endswith(".expected.json"):
            yield path.relative_to(FIXTURES).as_posix(), path.read_bytes()


def readings(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every declared field of an SDK's model with what it holds; null and unset are both `None`.

    Works for any pydantic model; members the SDK keeps without declaring them are not its readings.
    """
    declared = getattr(type(value), "model_fields", None)
    if declared is not None:
        if type(value).__name__ == "Unset":  # the Speakeasy SDKs' placeholder, a model that any object satisfies
            yield place, UNREAD
        elif "is_unknown" in declared:  # the `openrouter` SDK's open unions keep a strange member as it stood
            yield from readings(value.raw, place)
        else:
            for name, about in declared.items():
                held = getattr(value, name) if name in value.model_fields_set else None
                yield from readings(held, (*place, about.alias or name))
    elif isinstance(value, dict):
        if not value:
            yield place, value
        for key, item in value.items():
            yield from readings(item, (*place, key))
    elif isinstance(value, list):
        yield place, Length(len(value))
        for at, item in enumerate(value):
            yield from readings(item, (*place, at))
    else:
        yield place, value


@dataclass
class Case:
    """One body with this library's reading of it."""

    payload: Any
    completion: Completion

    def sent(self, place: Place) -> Any:
        """What is at a place of the body; `ABSENT` where nothing does."""
        node = self.payload
        for key in place:
            try:
                node = node[key]
            except (LookupError, TypeError):
                return ABSENT
        return node

    def canonical(self, place: Place) -> Any:
        """The canonical field of that name; `None` where it is absent, `ABSENT` where the model has no such field."""
        node: Any = self.completion
        for key in place:
            if node is None:
                return None
            if isinstance(node, msgspec.Struct) and key in node.__struct_fields__:
                node = getattr(node, str(key))
            elif isinstance(node, list) and isinstance(key, int) and key < len(node):
                node = node[key]
            else:
                return ABSENT
        return node

    def extra(self, place: Place) -> Any:
        """What `extra` holds at a place, or inside what it holds above it; `None` where nothing."""
        for depth in range(len(place), 0, -1):
            node = self.completion.extra.get(pointer(place[:depth]), ABSENT)
            if node is ABSENT:
                continue
            for key in place[depth:]:
                try:
                    node = node[key]
                except (LookupError, TypeError):
                    return None
            return node
        return None

    def ours(self, place: Place) -> Any:
        """The canonical field, or `extra` where the model has no such field."""
        value = self.canonical(place)
        return self.extra(place) if value is ABSENT else value

    def noted(self, code: str, place: Place, before: Any) -> bool:
        """Whether a note is of this repair."""
        return any(
            note.code == code and note.path == pointer(place) and same(before, note.before)
            for note in self.completion.notes
        )


def same(theirs: Any, ours: Any) -> bool:
    """Whether two readings are one value: no boolean is a number, and a count of members is that of a list."""
    if isinstance(theirs, Length):
        return isinstance(ours, list) and len(ours) == theirs.members
    if isinstance(theirs, bool) or isinstance(ours, bool):
        return theirs is ours
    if theirs == {} and isinstance(ours, msgspec.Struct):  # an object without members
        return all(getattr(ours, name) is None for name in ours.__struct_fields__)
    return bool(theirs == ours)


# --- The only ways to differ ---------------------------------------------------------------------------------------


def finish_word(case: Case, place: Place, theirs: Any) -> bool:
    """Finish words: "`native_finish_reason` is … the wire's word where ours differs", or it is "displaced to `extra`".

    A closed word never differs, "legacy `function_call` becomes `tool_calls`", and one in no table is noted.
    """
    if place[0] != "choices" or place[2:] != ("finish_reason",) or not theirs or theirs in get_args(FinishReason):
        return False
    choice = case.completion.choices[int(place[1])]
    kept = choice.native_finish_reason == theirs or case.extra(place) == theirs
    if theirs == "function_call":
        return kept and choice.finish_reason == "tool_calls"
    if choice.finish_reason == "unknown":
        return kept and case.noted("unknown_finish_reason", place, theirs)
    return kept and choice.finish_reason is not None


def role_word(case: Case, place: Place, theirs: Any) -> bool:
    """Roles: "unknown words become `unknown` with the original word kept", for a role in the note."""
    return (
        place[-2:] == ("message", "role")
        and theirs not in get_args(Role)
        and case.ours(place) == "unknown"
        and case.noted("unknown_role", place, theirs)
    )


def placeholder(case: Case, place: Place, theirs: Any) -> bool:
    """Placeholders: those "that one source is known to write become `None` with a remark"."""
    return theirs is not None and case.ours(place) is None and case.noted("placeholder", place, theirs)


def usage_elsewhere(case: Case, place: Place, theirs: Any) -> bool:
    """Usage that a service puts in a place of its own is read where the body has no other, with a note."""
    noted = any(note.code == "usage_elsewhere" for note in case.completion.notes)
    return place == ("usage",) and theirs is None and noted


def milliseconds(case: Case, place: Place, theirs: Any) -> bool:
    """`created` is in Unix seconds; a body in milliseconds is cut to them, with a note."""
    return (
        place == ("created",)
        and case.noted("milliseconds", place, theirs)
        and case.completion.created == theirs // 1000
    )


def implied_object(case: Case, place: Place, theirs: Any) -> bool:
    """`object`: the canonical model has `variant`; only a word that this does not imply is kept, an empty one never."""
    implied = {"chat": "chat.completion", "text": "text_completion"}.get(case.completion.variant)
    return place == ("object",) and theirs in (implied, "") and case.extra(place) is None


def legacy_call(case: Case, place: Place, theirs: Any) -> bool:
    """Legacy calls: "`function_call` becomes `tool_calls` and its call a `ToolCall`"; beside those it is in `extra`."""
    if place[2:3] != ("message",) or place[3:4] not in (("function_call",), ("tool_calls",)):
        return False
    message = place[:3]
    legacy = case.sent((*message, "function_call"))
    if not isinstance(legacy, dict):
        return False
    if place[3] == "tool_calls":  # the SDK finds no list, or an empty one: ours has the one legacy call
        calls = case.completion.choices[int(place[1])].message.tool_calls
        function = FunctionCall(name=legacy.get("name"), arguments=legacy.get("arguments"))
        return theirs in (None, Length(0)) and calls == [ToolCall(type="function", function=function)]
    if case.sent((*message, "tool_calls")) in (None, ABSENT, []):
        return same(theirs, case.canonical((*message, "tool_calls", 0, "function", *place[4:])))
    return False


def text_content(case: Case, place: Place, theirs: Any) -> bool:
    """Texts: "text completions land in the same type", a choice's `text` is its message's content."""
    return (
        case.completion.variant == "text"
        and place[0] == "choices"
        and place[2:] == ("text",)
        and same(theirs, case.completion.choices[int(place[1])].message.content)
    )


# A text completion's column of log-probs, and its field of a canonical token.
COLUMNS = {"tokens": "token", "token_logprobs": "logprob", "text_offset": "text_offset", "top_logprobs": "top_logprobs"}


def logprob_columns(case: Case, place: Place, theirs: Any) -> bool:
    """One form of log-probs "for chat and for text completions": the parallel lists are a list of tokens."""
    if place[2:3] != ("logprobs",) or len(place) < 4:
        return False
    sent = case.sent(place[:3])
    if not isinstance(sent, dict) or not any(isinstance(sent.get(name), list) for name in COLUMNS):
        return False
    logprobs = case.completion.choices[int(place[1])].logprobs
    tokens = None if logprobs is None else logprobs.content
    if tokens is None:
        return False
    if place[3:] == ("content",):  # the chat form, which the body does not have
        return theirs is None and all(len(sent[name]) == len(tokens) for name in COLUMNS if sent.get(name) is not None)
    if place[3] not in COLUMNS:
        return False
    if isinstance(theirs, Length) and len(place) == 4:
        return len(tokens) == theirs.members
    if theirs is None and len(place) == 4:
        return all(getattr(token, COLUMNS[str(place[3])]) is None for token in tokens)
    held = getattr(tokens[int(place[4])], COLUMNS[str(place[3])])
    if len(place) == 5:
        return held == [] if theirs == {} else same(theirs, held)
    return [top.logprob for top in held if top.token == place[5]] == [theirs]


def engine_logprobs(case: Case, place: Place, theirs: Any) -> bool:
    """One form of log-probs: the experimental Atoma engine's list of maps is a list of tokens, and stays in `extra`."""
    if place[2:] != ("logprobs",) or not isinstance(theirs, Length):
        return False
    logprobs = case.completion.choices[int(place[1])].logprobs
    return logprobs is not None and same(theirs, logprobs.content) and same(theirs, case.extra(place))


def content_parts(case: Case, place: Place, theirs: Any) -> bool:
    """`content` is "the whole text", `parts` "the ordered parts, where the wire sent a list"."""
    if place[2:4] != ("message", "content") or not isinstance(case.sent(place[:4]), list):
        return False
    message = case.completion.choices[int(place[1])].message
    if len(place) > 4:
        parts = (*place[:3], "parts", *place[4:])
        held = case.canonical(parts)
        return same(theirs, case.extra(place) if held is ABSENT else held)
    texts = [part["text"] for part in case.sent(place[:4]) if part.get("type") == "text"]
    return (
        message.content == ("".join(texts) if texts else None)
        and isinstance(theirs, Length)
        and len(message.parts or ()) == theirs.members
    )


def unified_reasoning(case: Case, place: Place, theirs: Any) -> bool:
    """`reasoning` is "unified from `reasoning`, `reasoning_content`, thinking parts"."""
    if place[2:] != ("message", "reasoning") or theirs:
        return False
    sent = case.sent((*place[:3], "reasoning_content"))
    return bool(theirs is None or sent) and sent is not ABSENT and same(sent, case.ours(place))


def other_spelling(case: Case, place: Place, theirs: Any) -> bool:
    """Spellings: `camel`, "what a TypeScript SDK logs", is read as well.

    The Python SDKs do not find its keys, or pass them on inside a member that may be anything.
    """
    if theirs is not None:
        return snake(place) != place and same(theirs, case.ours(snake(place)))
    first, *words = str(place[-1]).split("_")
    camel = case.sent((*place[:-1], first + "".join(word.capitalize() for word in words)))
    return bool(words) and case.sent(place) is ABSENT and same(camel, case.ours(place))


def snake(place: Place) -> Place:
    """A place with its camelCase keys in the wire's own spelling."""
    return tuple(
        re.sub("[A-Z]", lambda found: "_" + found[0].lower(), key) if isinstance(key, str) else key for key in place
    )


def no_honest_reading(case: Case, place: Place, theirs: Any) -> bool:
    """No honest reading: "the field is `None`, the value goes to `extra` exactly as it was, and a note says so"."""
    noted = any(
        case.noted(code, place[:depth], case.sent(place[:depth]))
        for code in ("wrong_type", "out_of_range", "uneven_logprobs")
        for depth in range(1, len(place) + 1)
    )
    return noted and case.canonical(place) is None and same(theirs, case.extra(place))


def null_members(case: Case, place: Place, theirs: Any) -> bool:
    """Nulls: "null is absent"; a canonical list has no null members, so those after one move up."""
    moved: list[str | int] = []
    for depth, key in enumerate(place):
        if isinstance(key, int):
            members = case.sent(place[:depth])
            if not isinstance(members, list):
                return False
            if members[key] is None:
                return theirs is None and depth == len(place) - 1
            moved.append(key - members[:key].count(None))
        else:
            moved.append(key)
    if isinstance(theirs, Length):
        members = case.sent(place)
        return isinstance(members, list) and same(Length(theirs.members - members.count(None)), case.ours(tuple(moved)))
    return tuple(moved) != place and same(theirs, case.ours(tuple(moved)))


RULES = (
    finish_word,
    role_word,
    placeholder,
    usage_elsewhere,
    milliseconds,
    implied_object,
    legacy_call,
    text_content,
    logprob_columns,
    engine_logprobs,
    content_parts,
    unified_reasoning,
    other_spelling,
    no_honest_reading,
    null_members,
)


# --- The comparison ------------------------------------------------------------------------------------------------


def read_here(raw: bytes) -> Completion:
    """The reading here, also of a call that the service says failed, and with the source named where two are marked."""
    try:
        return normalize(raw)
    except AmbiguousPayloadError as error:
        return normalize(raw, source=error.candidates[0])
    except SourceReportedError as error:
        assert error.completion is not None
        return error.completion


def differences(case: Case, model: Any) -> Iterator[str]:
    """The fields of an SDK's model that this library reads otherwise, though no rule says so."""
    for place, theirs in readings(model):
        if theirs is UNREAD or same(theirs, case.ours(place)) or any(rule(case, place, theirs) for rule in RULES):
            continue
        yield f"{pointer(place)}: the SDK reads {excerpt(theirs)}, we {excerpt(case.ours(place))}"


def excerpt(value: Any) -> str:
    """A value, short enough for a test report."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def is_chunk(payload: Any) -> bool:
    """Whether a body is "a single chunk", which is refused; an SDK's model may not look at `object`."""
    return payload.get("object") == "chat.completion.chunk"


def check(bodies: Iterable[Body], referee: Referee) -> None:
    """Fail where the SDK, which refuses a body with a `ValueError`, reads a field otherwise, and where it read none."""
    accepted = present = 0
    found = []
    for name, raw in bodies:
        try:
            model = referee(raw)
        except ValueError:  # pydantic's refusals are such
            continue
        accepted += 1
        present += sum(theirs is not None for _, theirs in readings(model))
        payload = json.loads(raw)
        try:
            case = Case(payload, read_here(raw))
        except NormalizeError as error:
            if not (isinstance(error, UnknownPayloadError) and is_chunk(payload)):
                found.append(f"{name}: the SDK accepts what we refuse: {excerpt(error)}")
            continue
        found += [f"{name}{line}" for line in differences(case, model)]
    assert found == []
    assert present > accepted > 0


def reported_after(change: Callable[[Completion], None], referee: Referee) -> list[str]:
    """What is reported of the small chat once this library's reading of it has been changed."""
    case = Case(json.loads(SAMPLE), read_here(SAMPLE))
    change(case.completion)
    return [line.partition(":")[0] for line in differences(case, referee(SAMPLE))]
