"""What the chunks of a stream have in common, so that only what differs need be read.

Most chunks repeat the one before byte for byte, but for a text (a fragment of the answer) or two (the same fragment in
`reasoning_details`; padding). A template is that chunk with a gap for each text. A chunk that fits holds a JSON string
in every gap and is otherwise the template's own bytes, so it says what the template's chunk said, but for the texts.
That a gap is where a text is read from is proved by reading the template with marks in its gaps.

A template holds as long as nothing but texts has come since: all that its chunk says beside them was said then. It
holds longer than the next template, for kinds of chunks take turns; and longer than the second in `created`, which some
services stamp on each chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import msgspec

from .model import Part, ThinkingText, ToolCall
from .pointer import unescape
from .reader import Refusal
from .stream_parts import Answer, Piece
from .wire import DetailFragment, Logprobs

Sink = Callable[[str], None]
Get = Callable[[Any], Any]

MAX_GAPS = 2
MAX_KNOWN = 4

decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode
_NO_LOGPROBS = Logprobs()
_MARKS = ("gap 1 \u00a7", "gap 2 \u00a7")
_QUOTED = tuple(_encode(mark) for mark in _MARKS)


class Gap(NamedTuple):
    """A text of a chunk: its key with the colon, the text, where it is read from, and where the next ones go.

    One under a vendor key has the `place` of that in `extra`.
    """

    key: bytes
    text: str
    get: Get
    sink: Sink
    place: str = ""


class Template(NamedTuple):
    """The bytes before the first gap, between the gaps (`None` where there is one), and behind the last.

    The texts of a chunk that fits are in `chunk[start:stop]`, the second one `after` bytes behind the beginning of the
    middle; the sinks are where they go. The quotes of the texts belong to all these bytes, so that a text in a gap has
    no white space around it: a line end there may end the event. The digits of `created` are `chunk[clock:until]`,
    counted from the end where they stand in the tail; nothing where they are not known.
    """

    head: bytes
    middle: bytes | None
    tail: bytes
    start: int
    stop: int
    after: int
    first: Sink
    second: Sink
    clock: int
    until: int


Known = tuple[Template, frozenset[str]]  # with the vendor keys that it repeats


def retimed(known: list[Known], piece: bytes, clock: int, until: int) -> tuple[Template, list[Known]] | None:
    """The template that a chunk fits but for its second, and all at that second; `None` where it fits none."""
    digits = piece[clock:until]
    if not digits.isdigit() or digits.startswith(b"0"):
        return None
    fitting = None
    moved: list[Known] = []
    for (head, middle, tail, start, stop, after, first, second, at, end), repeated in known:
        if not at or end - at != until - clock:
            continue
        if at > 0:
            head = head[:at] + digits + head[end:]  # noqa: PLW2901
        else:
            tail = tail[:at] + digits + tail[end:]  # noqa: PLW2901
        template = Template(head, middle, tail, start, stop, after, first, second, at, end)
        moved.append((template, repeated))
        if fitting is None and piece.startswith(head) and piece.endswith(tail):
            fitting = template
    return None if fitting is None or not _has_texts(fitting, piece) else (fitting, moved)


def _has_texts(template: Template, piece: bytes) -> bool:
    """Whether a chunk has a text in each gap of a template that fits it otherwise."""
    try:
        if template.middle is None:
            decode_text(piece[template.start : template.stop])
        else:
            at = piece.find(template.middle, template.start)
            decode_text(piece[template.start : at + 1])
            decode_text(piece[at + template.after : template.stop])
    except Refusal:
        return False
    return True


def template_of(
    piece: bytes, gaps: list[Gap], decode: Callable[[bytes], Any], created: int, lead: int
) -> Template | None:
    """The template of a chunk, by its bytes, its one or two gaps and its `created`, or 0; the JSON is behind the lead.

    `None` where a gap cannot be told for certain.
    """
    first = second = gaps[0]
    start, stop = _place(piece, first)
    if stop < 0:
        return None
    if len(gaps) == 1:
        head, middle, tail = piece[:start], None, piece[stop:]
        marked = head + _QUOTED[0] + tail
    else:
        second = gaps[1]
        after, end = _place(piece, second)
        if end < 0:
            return None
        if after < start:
            first, second = second, first
            start, stop, after, end = after, end, start, stop
        head, middle, tail = piece[:start], piece[stop:after], piece[end:]
        marked = head + _QUOTED[0] + middle + _QUOTED[1] + tail
    clock, until = _clock(head, tail, created) if created > 0 else (0, 0)
    if clock:
        marked = marked[:clock] + b"%d" % (created ^ 1) + marked[until:]  # as many digits
    try:
        chunk = decode(marked[lead:])
    except Refusal:  # the mark stands where something else does
        return None
    if first.get(chunk) != _MARKS[0] or (middle is not None and second.get(chunk) != _MARKS[1]):
        return None
    if chunk.created != created ^ 1:
        clock = until = 0
    after = 0
    if middle is not None:
        middle = b'"' + middle + b'"'
        after = len(middle) - 1
    return Template(head + b'"', middle, b'"' + tail, start, -len(tail), after, first.sink, second.sink, clock, until)


def _clock(head: bytes, tail: bytes, created: int) -> tuple[int, int]:
    """Where `created` seems to stand in a chunk with gaps: from its beginning, or from its end."""
    for key in (b'"created":', b'"created": '):
        token = b"%s%d" % (key, created)
        if (at := head.find(token)) >= 0:
            return at + len(key), at + len(token)
        if (at := tail.find(token)) >= 0:
            return at + len(key) - len(tail), at + len(token) - len(tail)
    return 0, 0


def _place(piece: bytes, gap: Gap) -> tuple[int, int]:
    """Where the text of a gap stands in a chunk; it ends at -1 where it stands nowhere or twice."""
    token = _encode(gap.text)
    named = gap.key + token
    at = piece.find(named)
    if at < 0:
        named = gap.key + b" " + token
        at = piece.find(named)
    if at < 0 or piece.find(named, at + 1) >= 0:
        return -1, -1
    stop = at + len(named)
    return stop - len(token), stop


def gaps_of(chunk: Any, answer: Answer) -> list[Gap] | None:
    """The texts of a chunk that adds nothing else to an answer; `None` where it does, or adds several in one place."""
    (choice,) = chunk.choices
    delta = choice.delta
    text = getattr(choice, "text", None)
    if (
        (delta is None) is (text is None)  # neither, or both
        or chunk.usage is not None
        or choice.finish_reason is not None
        or choice.native_finish_reason is not None
        or (choice.logprobs is not None and choice.logprobs != _NO_LOGPROBS)
    ):
        return None
    if delta is None:
        found = [_whole_text(b'"text":', text, _text, answer)] if text else []
    elif delta.refusal is not None:
        return None
    else:
        found = _gaps_of_delta(delta, answer)
    gaps = [gap for gap in found if gap is not None]
    return gaps if len(gaps) == len(found) else None


def _gaps_of_delta(delta: Any, answer: Answer) -> list[Gap | None]:
    found: list[Gap | None] = []
    if delta.content:
        is_text = delta.content.__class__ is str
        gap = _whole_text(b'"content":', delta.content, _content, answer) if is_text else _part(delta.content, answer)
        found.append(gap)
    if delta.reasoning:
        found.append(Gap(b'"reasoning":', delta.reasoning, _reasoning, answer.reasoning.append))
    if delta.reasoning_content:
        alone = not delta.reasoning
        add = answer.reasoning.append
        found.append(Gap(b'"reasoning_content":', delta.reasoning_content, _reasoning_content, add) if alone else None)
    if delta.tool_calls:
        found.append(_arguments(delta.tool_calls, answer))
    if delta.reasoning_details:
        found.append(_detail(delta.reasoning_details, answer))
    return found


def _whole_text(key: bytes, text: str, get: Get, answer: Answer) -> Gap | None:
    """A fragment of the answer that is no list of parts."""
    add = answer.content.append if answer.parts is None else _add_text(answer)
    return None if add is None else Gap(key, text, get, add)


def _arguments(calls: list[ToolCall], answer: Answer) -> Gap | None:
    fragment = calls[0]
    call = None if fragment.index is None else answer.calls_by_index.get(fragment.index)
    function = fragment.function
    if len(calls) > 1 or call is None or call.arguments is None or function is None or not function.arguments:
        return None
    return Gap(b'"arguments":', function.arguments, _first_arguments, call.arguments.append)


def _detail(details: list[DetailFragment], answer: Answer) -> Gap | None:
    detail = details[0]
    if len(details) > 1 or any((detail.signature, detail.data, detail.id)) or not (detail.text or detail.summary):
        return None
    answer.merge_fragments()
    merged, pending, form = answer.detail(detail.type, detail.index), answer.fragments, detail.format
    texts, words = merged.text if detail.summary is None else merged.summary, merged.words
    assert texts is not None  # this one's summary is there

    def add(text: str) -> None:
        if pending:
            answer.merge_fragments()
        texts.append(text)
        if form is not None and words.format != form:
            words.format = form

    if detail.summary is None:
        return Gap(b'"text":', detail.text or "", _first_detail, add)
    if detail.text is None:
        return Gap(b'"summary":', detail.summary, _first_summary, add)
    return None


def _part(parts: list[Part], answer: Answer) -> Gap | None:
    """The text of a content list's one part, which was added to the last part of the answer."""
    part = parts[0]
    if len(parts) > 1:
        return None
    if part.text:
        add = _add_text(answer)
        return Gap(b'"text":', part.text, _first_text, add) if add is not None else None
    thoughts = part.thinking
    if not isinstance(thoughts, list) or len(thoughts) != 1 or thoughts[0].type != "text" or not thoughts[0].text:
        return None
    add = _add_thought(answer)
    return Gap(b'"text":', thoughts[0].text, _first_thought, add) if add is not None else None


def _add_text(answer: Answer) -> Sink | None:
    """Adds to the last part of an answer, if that gathers text."""
    held = answer.parts
    if not held or held[-1].part.type != "text" or (texts := held[-1].text) is None or not held[-1].gathers:
        return None
    return _while_last(held, texts.append, answer.content.append)


def _add_thought(answer: Answer) -> Sink | None:
    """As `_add_text`, for thoughts."""
    held = answer.parts
    if not held or (thoughts := held[-1].thinking) is None or not held[-1].gathers:
        return None
    gather = thoughts.append
    return _while_last(held, lambda text: gather(ThinkingText(type="text", text=text)), answer.reasoning.append)


def _while_last(held: list[Piece], add_part: Sink, add_whole: Sink) -> Sink:
    """Adds to the part that is the last one now; raises `ValueError` once it is the last no more."""
    last = held[-1]

    def add(text: str) -> None:
        if held[-1] is not last:
            raise ValueError("another part has come since")
        add_part(text)
        add_whole(text)

    return add


def padding_of(pointer: str, text: str, name: str, *, on_top: bool, extra: dict[str, Any]) -> Gap:
    """A text under a vendor key, an attribute of the chunk or of its delta; the last one stands."""
    key = unescape(pointer.rpartition("/")[2])

    def read(chunk: Any) -> Any:
        return getattr(chunk if on_top else chunk.choices[0].delta, name)

    return Gap(_encode(key) + b":", text, read, partial(extra.__setitem__, pointer), pointer)


def _text(chunk: Any) -> Any:
    return chunk.choices[0].text


def _content(chunk: Any) -> Any:
    return chunk.choices[0].delta.content


def _first_text(chunk: Any) -> Any:
    return chunk.choices[0].delta.content[0].text


def _first_thought(chunk: Any) -> Any:
    return chunk.choices[0].delta.content[0].thinking[0].text


def _reasoning(chunk: Any) -> Any:
    return chunk.choices[0].delta.reasoning


def _reasoning_content(chunk: Any) -> Any:
    return chunk.choices[0].delta.reasoning_content


def _first_arguments(chunk: Any) -> Any:
    return chunk.choices[0].delta.tool_calls[0].function.arguments


def _first_detail(chunk: Any) -> Any:
    return chunk.choices[0].delta.reasoning_details[0].text


def _first_summary(chunk: Any) -> Any:
    return chunk.choices[0].delta.reasoning_details[0].summary
