"""A chunk like the one before but for a text is read by its text alone, and gives what reading all of it gives."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest

from normcompletion import Completion, NormalizeError, assemble, iter_events, normalize
from normcompletion.ledger import Ledger
from normcompletion.model import FunctionCall, Part, ToolCall
from normcompletion.normalize import default_reader
from normcompletion.stream_chunks import ChunkReader
from normcompletion.stream_parts import Answer
from normcompletion.stream_template import Template, gaps_of, retimed, template_of
from normcompletion.wire import Chunk

TEXTS = ("Low", " tide", '\n"calm"', "", "é 🌊", "\\", " ")
MANY = 20  # chunks of one kind, so many that a template pays
decode = msgspec.json.Decoder(Chunk).decode


def chunk_with(delta: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A chunk with the head that every chunk of the stream has."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1774100001, "model": "beacon-2"}
    return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}], **members}


def spoken(text: str) -> dict[str, Any]:
    """A fragment of the answer."""
    return chunk_with({"role": "assistant", "content": text})


def padded(text: str) -> dict[str, Any]:
    """A fragment with padding of another length each time."""
    return chunk_with({"content": text}, obfuscation="x" * (3 + len(text)))


def thought(text: str) -> dict[str, Any]:
    """A fragment of reasoning, said twice."""
    detail = {"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}
    return chunk_with({"content": "", "reasoning": text, "reasoning_details": [detail]})


def summed(text: str) -> dict[str, Any]:
    """A fragment of a summary of reasoning, said twice, beside log-probs that say nothing."""
    detail = {"type": "reasoning.summary", "summary": text, "format": "unknown", "index": 0}
    made = chunk_with({"role": "assistant", "reasoning": text, "reasoning_details": [detail]})
    made["choices"][0]["logprobs"] = {"content": None}
    return made


def silent(text: str) -> dict[str, Any]:
    """A chunk that says nothing, to keep the connection."""
    return chunk_with({})


def alias(text: str) -> dict[str, Any]:
    """A fragment of reasoning under its other name."""
    return chunk_with({"content": None, "reasoning_content": text})


def argued(text: str) -> dict[str, Any]:
    """A fragment of the arguments of a tool call."""
    return chunk_with({"tool_calls": [{"index": 0, "function": {"arguments": text}}]})


def listed(text: str) -> dict[str, Any]:
    """A fragment as a part, with which all content is one of parts."""
    return chunk_with({"content": [{"type": "text", "text": text}]})


def reflected(text: str) -> dict[str, Any]:
    """A fragment of a thought as a part, with padding."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": text}], "closed": True}
    return chunk_with({"content": [thought]}, p="x" * (3 + len(text)))


def reformed(text: str) -> dict[str, Any]:
    """A fragment of reasoning with a format that changes with the text."""
    detail = {"type": "reasoning.text", "text": text, "format": "a" if text.isascii() else "b", "index": 0}
    return chunk_with({"content": "", "reasoning": text, "reasoning_details": [detail]})


def respelled(text: str) -> dict[str, Any]:
    """A fragment of the answer in camelCase."""
    made = chunk_with({"role": "assistant", "content": text}, systemFingerprint="fp_1")
    made["choices"][0]["finishReason"] = made["choices"][0].pop("finish_reason")
    return made


KINDS = [spoken, padded, thought, summed, silent, alias, argued, listed, reflected, reformed, respelled]


def saved(*chunks: dict[str, Any] | bytes, spaced: bool = False, ascii_only: bool = False) -> bytes:
    """A stream as a file."""
    separators = (", ", ": ") if spaced else (",", ":")
    pieces = [
        each if isinstance(each, bytes) else json.dumps(each, separators=separators, ensure_ascii=ascii_only).encode()
        for each in chunks
    ]
    return b"".join(b"data: " + piece + b"\n\n" for piece in pieces)


def canonical(completion: Completion) -> bytes:
    """A completion as JSON."""
    return msgspec.json.encode(completion)


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_of_like_chunks_gives_what_its_chunks_give(kind: Any, *, ascii_only: bool, spaced: bool) -> None:
    """Whatever the text is and however it is escaped, a saved stream and its chunks one by one assemble alike."""
    end = chunk_with({})
    end["choices"][0]["finish_reason"] = "stop"
    chunks = [kind(text) for _ in range(3) for text in TEXTS] + [end]
    expected = canonical(assemble(chunks))
    for _ in range(4):  # vendor keys are learned on the way
        assert canonical(normalize(saved(*chunks, spaced=spaced, ascii_only=ascii_only))) == expected


def turn(draw: random.Random, text: str) -> dict[str, Any]:
    """A chunk of some kind, with vendor keys that are padding, or are the same for a while, or are absent."""
    vendor: dict[str, Any] = {"p": draw.choice("ab") * draw.choice((2, 2, 3))}
    if draw.random() < 0.3:
        vendor["tone"] = draw.choice((1, True, 1.0, "1"))
    part: dict[str, Any] = {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
    if draw.random() < 0.5:
        part["closed"] = draw.random() < 0.9
    content = draw.choice((text, [part], [part], [{"type": "text", "text": text}]))
    return chunk_with({"content": content}, **{key: vendor[key] for key in draw.sample(sorted(vendor), len(vendor))})


@pytest.mark.parametrize("seed", range(100))
def test_kinds_with_vendor_keys_may_take_turns(seed: int) -> None:
    """However kinds of chunks take turns and what their vendor keys repeat, the last value of each key stands."""
    chosen = random.Random(seed)
    kinds = [turn(chosen, "{}") for _ in range(2)]
    chunks = []
    for number in range(chosen.randrange(30, 60)):
        text = f"w{number}" if chosen.random() < 0.95 else ""
        chunk = json.loads(json.dumps(chosen.choice(kinds)).replace("{}", text))
        if chosen.random() < 0.1:
            chunk = turn(chosen, text)
        elif chosen.random() < 0.3:
            chunk["p"] = "c" * chosen.randrange(1, 30)
        chunks.append(chunk)
    expected = canonical(assemble(chunks))
    for _ in range(4):  # vendor keys are learned on the way
        assert canonical(normalize(saved(*chunks))) == expected


def beside(draw: random.Random, text: str, so_far: str) -> dict[str, Any]:
    """A chunk of Perplexity's or another host's: odd names, the message so far, an itemised cost, or none of them."""
    made = chunk_with({"content": text})
    made["object"] = draw.choice(
        ("chat.completion.chunk", "chat.completion.done", "text_completion", "chat.completion", "chat.completions", "")
    )
    (choice,) = made["choices"]
    if draw.random() < 0.6:
        choice["message"] = {"role": "assistant", "content": so_far, **({"mood": 1} if draw.random() < 0.1 else {})}
    if draw.random() < 0.1:
        del choice["delta"]
    if draw.random() < 0.5:
        cost = {"input_tokens_cost": 0.25, "total_cost": 0.5, **({"tax": 1} if draw.random() < 0.2 else {})}
        made["usage"] = {"prompt_tokens": 1, "cost": draw.choice((cost, cost, 0.5, None)), "size": "low"}
    if draw.random() < 0.5:
        made["citations"] = ["https://example.org/" + text]
    if draw.random() < 0.1:
        made["choices"] = []
    return made


@pytest.mark.parametrize("seed", range(100))
def test_what_stands_beside_a_delta_may_come_and_go(seed: int) -> None:
    """Names of chunks, messages beside deltas and itemised costs give in a saved stream what they give one by one."""
    chosen = random.Random(seed)
    chunks = [beside(chosen, f"w{number}", f"w0 w{number}") for number in range(chosen.randrange(1, 40))]
    if not any(chunk["choices"] for chunk in chunks):
        chunks.append(spoken("w"))
    one_by_one = assemble(chunks)
    for _ in range(4):  # vendor keys are learned on the way
        assert normalize(saved(*chunks)) == one_by_one


def test_a_vendor_key_that_varied_is_no_part_of_a_template() -> None:
    """A chunk that repeats one before it, padding and all, after others with other padding, is read with it."""
    deltas: list[dict[str, Any]] = [{"content": "a"}, {"reasoning": "b"}, {"refusal": None, "content": "c"}]
    order = [(0, "x"), (1, "yy"), (0, "zzz"), (1, "other"), (2, "zzz"), (0, "other"), (2, "zzz")]
    chunks = [chunk_with(deltas[kind], p=padding) for kind, padding in order] + [silent("")] * MANY
    for _ in range(4):  # vendor keys are learned on the way
        assert normalize(saved(*chunks)).extra == {"/p": "zzz"}


def everywhere(number: int) -> dict[str, Any]:
    """A chunk with a vendor key in each place."""
    token = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [], "rank": number}
    usage = {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 0, "tiers": [number]}, "seconds": number}
    made = chunk_with({"content": "a", "tone": number}, usage=usage, padding={"n": number})
    call = {"index": 0, "function": {"name": "look", "arguments": "a", "mood": number}, "notes": {"n": number}}
    made["choices"][0] |= {"logprobs": {"content": [token], "entropy": number}, "weight": number}
    made["choices"][0]["delta"]["tool_calls"] = [call]
    return made


def without(chunk: dict[str, Any], *members: str) -> dict[str, Any]:
    """A chunk that lacks some members of its choice and of its delta."""
    (choice,) = chunk["choices"]
    for member in members:
        choice.pop(member, None)
        choice["delta"].pop(member, None)
    return chunk


@pytest.mark.parametrize("members", [(), ("logprobs",), ("tool_calls",), ("logprobs", "tool_calls")])
def test_vendor_keys_are_kept_wherever_they_stand(members: tuple[str, ...]) -> None:
    """A saved stream with vendor keys in every place and its chunks one by one assemble alike, however often read."""
    chunks = [without(everywhere(number), *members) for number in range(5)]
    for chunk in chunks[3:]:
        del chunk["usage"], chunk["padding"]
    expected = canonical(assemble(chunks))
    assert all(canonical(normalize(saved(*chunks))) == expected for _ in range(6))


def test_a_vendor_key_in_a_list_leaves_the_others_quick() -> None:
    """A vendor key where chunks cannot be folded stays out of the shape in which those with other ones are."""
    reader = ChunkReader(default_reader())
    inside = chunk_with({"tool_calls": [{"index": 0, "function": {"arguments": "a", "mood": 1}}]})
    token = {"token": "a", "logprob": -0.5, "rank": 1}
    listed = chunk_with({"content": "a"})
    listed["choices"][0]["logprobs"] = {"content": [token], "entropy": 0.5}
    for chunk in (padded("a"), inside, listed, chunk_with({"content": "a"}, tone=1)):
        for _ in range(3):
            reader.chunk(json.dumps(chunk).encode(), Ledger())
    shape = reader.learned["tone"]
    assert {path[-1] for path in shape.paths.difference(reader.aliases)} == {"obfuscation", "entropy", "tone"}
    assert {"mood", "rank"} <= reader.learned_open.keys()
    assert not {"mood", "rank"} & {path[-1] for each in reader.learned.values() for path in each.paths}


def test_a_vendor_key_without_a_place_in_the_open_form_keeps_no_other_from_being_learned() -> None:
    """After a vendor key of log-probs, whose place the open form has not, one in a chunk of that form is learned."""
    reader = ChunkReader(default_reader())
    listed, beside = chunk_with({"content": "a"}), chunk_with({"content": "a", "token_id": 7})
    listed["choices"][0]["logprobs"] = {"content": [], "entropy": 0.5}
    beside["choices"][0]["reasoning"] = "a"
    for chunk in (listed, beside):
        for _ in range(3):
            reader.chunk(json.dumps(chunk).encode(), Ledger())
    assert "entropy" in reader.learned
    assert "token_id" in reader.learned_open


def test_kinds_of_chunks_may_alternate() -> None:
    """What chunks of several kinds say is told apart, and of a vendor's values the last one stands."""
    chunks = [
        kind(text) for text in TEXTS for kind in (spoken, spoken, thought, thought, padded, padded, argued, alias)
    ]
    assert canonical(normalize(saved(*chunks))) == canonical(assemble(chunks))
    tones = [chunk_with({"content": "a"}, tone=tone) for tone in (1, 1, 2, 1, 1, 2, 1) * 3]
    assert all(normalize(saved(*tones)).extra == {"/tone": 1} for _ in range(4))


def test_an_empty_list_of_parts_makes_parts_of_all_content() -> None:
    """Where a list of no parts came between two chunks of one kind, the texts behind it are of a part."""
    chunks = [spoken("a"), spoken("b"), listed_nothing(""), *[spoken("c")] * MANY]
    completion = normalize(saved(*chunks))
    assert canonical(completion) == canonical(assemble(chunks))
    assert completion.choices[0].message.parts == [Part(type="text", text="ab" + "c" * MANY)]


@pytest.mark.parametrize(
    ("text", "code"),
    [(b'"\xff"', "not_utf8"), (b'"a\tb"', "syntax"), (b'"a"b"', "syntax"), (b'"a\\x"', "syntax"), (b"a", "syntax")],
)
def test_what_is_no_text_is_refused(text: bytes, code: str) -> None:
    """A chunk like the one before is refused where its text is no JSON string, whatever stands behind it."""
    before = saved(spoken("a"), spoken("b"))
    broken = json.dumps(spoken("?"), separators=(",", ":")).encode().replace(b'"?"', text)
    with pytest.raises(NormalizeError) as caught:
        normalize(before + saved(broken, *[spoken("c")] * MANY))
    assert caught.value.code == code


@pytest.mark.parametrize("kind", [spoken, thought, alias, argued, padded])
@pytest.mark.parametrize("place", [b'"XY"\n', b'\n"XY"', b'"XY"\n\n"XY"', b'"XY'])
def test_a_line_end_beside_a_text_ends_the_event(kind: Any, place: bytes) -> None:
    """A stream with a line end inside one of many like chunks is refused, as the chunk alone is."""
    events = [json.dumps(kind("ab"), separators=(",", ":")).encode() for _ in range(MANY)]
    for broken in {events[-1].replace(b'"ab"', place), events[-1].replace(b'"ab"', place, 1)}:
        stream = b"".join(b"data: %b\n\n" % event for event in [*events, broken, events[0]])
        with pytest.raises(NormalizeError):
            normalize(stream)


def test_another_value_in_the_place_of_a_text_is_read_as_such() -> None:
    """A null or half a surrogate pair where the chunks before had a text is what it is in any other chunk."""
    null = json.dumps(spoken("?"), separators=(",", ":")).encode().replace(b'"?"', b"null")
    halved = json.dumps(spoken("?"), separators=(",", ":")).encode().replace(b'"?"', b'"\\ud83d"')
    completion = normalize(saved(spoken("a"), spoken("b"), null, halved, *[spoken("c")] * MANY))
    assert completion.text == "ab\ufffd" + "c" * MANY
    assert "lone_surrogate" in {note.code for note in completion.notes}


def second(text: str) -> dict[str, Any]:
    """A fragment of another choice."""
    made = spoken(text)
    made["choices"][0]["index"] = 1
    return made


def renamed(text: str) -> dict[str, Any]:
    """A fragment of the same kind under another model."""
    return spoken(text) | {"model": "beacon-3"}


def listed_nothing(text: str) -> dict[str, Any]:
    """A list of no parts."""
    return chunk_with({"content": []})


def cited(text: str) -> dict[str, Any]:
    """A part of a type that is not read aloud."""
    return chunk_with({"content": [{"type": "reference", "text": text}]})


def listed_by_name(text: str) -> dict[str, Any]:
    """A part in a chunk that is not in canonical words."""
    return chunk_with({"content": [{"type": "text", "text": text}], "name": "beacon"})


def called(text: str) -> dict[str, Any]:
    """The start of a call under an index that may be in use."""
    function = {"name": "look", "arguments": text}
    return chunk_with(
        {"tool_calls": [{"index": 0, "id": f"call_{len(text)}", "type": "function", "function": function}]}
    )


def toned(text: str) -> dict[str, Any]:
    """A fragment beside a vendor's value that is another each time."""
    return chunk_with({"content": text}, tone=len(text))


def toned_only(text: str) -> dict[str, Any]:
    """A vendor's value alone."""
    return chunk_with({}, tone=len(text))


def counted(text: str) -> dict[str, Any]:
    """A fragment beside the usage so far."""
    return chunk_with({"content": text}, usage={"prompt_tokens": 1, "completion_tokens": len(text)})


def dated(text: str) -> dict[str, Any]:
    """A fragment with a time in milliseconds, which is kept beside the seconds."""
    return spoken(text) | {"created": 1774100001000 + len(text)}


OTHERS = [second, renamed, listed_by_name, listed_nothing, cited, called, toned, toned_only, counted, dated]


@pytest.mark.parametrize("seed", range(300))
def test_kinds_of_chunks_may_take_turns_in_any_order(seed: int) -> None:
    """Whatever came between two chunks of one kind, a saved stream and its chunks one by one assemble alike."""
    draw = random.Random(seed)
    kinds = draw.sample([*KINDS, *OTHERS], draw.randint(2, 5))
    chunks = [draw.choice(kinds)(draw.choice(TEXTS)) for _ in range(60)]
    assert canonical(normalize(saved(*chunks))) == canonical(assemble(chunks))


def template(piece: bytes) -> Template | None:
    """The template of a chunk that is the first of its answer."""
    chunk = decode(piece)
    answer = Answer(0)
    answer.add_calls([ToolCall(index=0, function=FunctionCall(name="look", arguments=""))])
    gaps = gaps_of(chunk, answer)
    return template_of(piece, gaps, decode, chunk.created or 0, 0) if gaps else None


def test_templates_have_one_gap_or_two() -> None:
    """A fragment of an answer leaves one gap in its template; reasoning, which is said twice, leaves two."""
    for kind in (spoken, alias, argued):
        made = template(json.dumps(kind("tide")).encode())
        assert made is not None
        assert made.middle is None
    made = template(json.dumps(thought("tide")).encode())
    assert made is not None
    assert made.middle is not None


@pytest.mark.parametrize(
    "delta",
    [
        b'{"content":"\\u0061","tool_calls":null,"reasoning":null}',  # escaped: not where it is looked for
        b'{"content":"a","content":"a"}',  # twice: which is it?
        b'{"content":"a","reasoning":"b","reasoning_content":"b"}',  # three texts
        b'{"content":"a","refusal":"b"}',
        b'{"content":""}',
        b"{}",
    ],
)
def test_no_template_without_certainty(delta: bytes) -> None:
    """A chunk whose text cannot be found for certain, or that says more than texts, has no template."""
    assert template(b'{"choices":[{"index":0,"delta":%b}]}' % delta) is None


def test_a_text_that_stands_elsewhere_too_is_not_mistaken() -> None:
    """Where an escaped text has a twin under the same name elsewhere, the twin is not taken for it."""
    twin = b'{"choices":[{"index":0,"delta":{"content":"\\u0061"}}],"mirror":{"content":"%b"}}'
    chunks = [twin % text for text in (b"a", b"b", b"c") * MANY]
    for _ in range(4):
        completion = normalize(saved(*chunks))
        assert completion.text == "aaa" * MANY
        assert completion.extra == {"/mirror": {"content": "c"}}


def in_tail(chunk: dict[str, Any]) -> dict[str, Any]:
    """A chunk whose head comes after its choices."""
    return {"choices": chunk["choices"], **chunk}


TIMES = [1774100001, 1774100002, 1774100003, 999, 0, -1, 1774100001999, 1774100001.5, 10**14]


@pytest.mark.parametrize("seed", range(200))
def test_a_stream_may_stamp_its_chunks(seed: int) -> None:
    """Whatever `created` is in each chunk, a saved stream and its chunks one by one assemble alike."""
    draw = random.Random(seed)
    kinds = draw.sample(KINDS, draw.randint(1, 2))
    ordered = draw.choice([dict, in_tail])
    times = draw.sample(TIMES, draw.randint(2, 4))
    chunks = []
    for _ in range(60):
        if draw.random() < 0.3:
            draw.shuffle(times)
        chunks.append(ordered(draw.choice(kinds)(draw.choice(TEXTS)) | {"created": times[0]}))
    assert canonical(normalize(saved(*chunks, spaced=draw.random() < 0.5))) == canonical(assemble(chunks))


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("ordered", [dict, in_tail])
def test_a_template_knows_where_its_second_stands(ordered: Any, *, spaced: bool) -> None:
    """The digits of `created` are found before the gap and behind it, and those of another second may stand there."""
    separators = (", ", ": ") if spaced else (",", ":")
    piece, later = (
        json.dumps(ordered(spoken(text) | {"created": created}), separators=separators).encode()
        for text, created in (("tide", 1774100001), (" turns", 1774100002))
    )
    made = template(piece)
    assert made is not None
    assert piece[made.clock : made.until] == b"1774100001"
    found = retimed([(made, frozenset())], later, made.clock, made.until)
    assert found is not None
    assert later[found[0].start : found[0].stop] == b'" turns"'


@pytest.mark.parametrize(
    "piece",
    [
        b'{"mirror":{"created":7},"created" :7,"choices":[{"index":0,"delta":{"content":"a"}}]}',
        b'{"created":7,"choices":[{"index":0,"delta":{"content":"a"}}],"created":7}',
        b'{"choices":[{"index":0,"delta":{"content":"a"}}]}',
        b'{"created":-7,"choices":[{"index":0,"delta":{"content":"a"}}]}',
    ],
)
def test_no_second_without_certainty(piece: bytes) -> None:
    """Where it is not certain which digits are those of `created`, a template knows none."""
    lenient = msgspec.json.Decoder(Chunk if b"mirror" not in piece else Mirrored).decode
    chunk = lenient(piece)
    gaps = gaps_of(chunk, Answer(0))
    assert gaps
    made = template_of(piece, gaps, lenient, chunk.created or 0, 0)
    assert made is not None
    assert made.clock == made.until == 0


class Mirrored(Chunk):
    """A chunk with an object beside its choices."""

    mirror: Any = None


@pytest.mark.parametrize("other", [b"0774100002", b"177410000x", b'177410000"'])
def test_what_is_no_second_is_no_reason_to_fit(other: bytes) -> None:
    """A chunk fits no template by something else in the place of the second's digits."""
    piece = json.dumps(spoken("tide"), separators=(",", ":")).encode()
    made = template(piece)
    assert made is not None
    assert retimed([(made, frozenset())], piece.replace(b"1774100001", other), made.clock, made.until) is None


def test_a_chunk_of_another_second_must_hold_a_text() -> None:
    """A chunk that fits a template but for its second fits no more where there is no text in a gap."""
    piece = json.dumps(spoken("tide"), separators=(",", ":")).encode()
    made = template(piece)
    assert made is not None
    later = piece.replace(b"1774100001", b"1774100002").replace(b'"tide"', b'"ti","d":"e"')
    assert retimed([(made, frozenset())], later, made.clock, made.until) is None


def written(text: str) -> dict[str, Any]:
    """A fragment of a text completion."""
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1774100001, "model": "beacon-2"}
    return {**head, "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": None}]}


def written_beside(text: str) -> dict[str, Any]:
    """One with a vendor key."""
    made = written(text)
    made["choices"][0]["stop_reason"] = None if text else 7
    return made


def misnamed(text: str) -> dict[str, Any]:
    """One with the name of a chat's chunk."""
    return written(text) | {"object": "chat.completion.chunk"}


def unnamed(text: str) -> dict[str, Any]:
    """One without a name."""
    made = written(text)
    del made["object"]
    return made


def doubled(text: str) -> dict[str, Any]:
    """A fragment of a chat that is said twice, in the delta and beside it."""
    made = chunk_with({"content": text, "token_id": len(text)})
    made["choices"][0]["text"] = text
    return made


def doubtful(text: str) -> dict[str, Any]:
    """A fragment of a chat with another text beside it."""
    made = chunk_with({"content": text})
    made["choices"][0]["text"] = text + "!"
    return made


def textless(text: str) -> dict[str, Any]:
    """A chunk of a chat with the name of a text completion."""
    return spoken(text) | {"object": "text_completion"}


def halved(text: str) -> dict[str, Any]:
    """A chunk with a choice of each form."""
    made = written(text)
    made["choices"].append({"index": 1, "delta": {"content": text}})
    return made


def paired(text: str) -> dict[str, Any]:
    """A chunk with two texts."""
    made = written(text)
    made["choices"].append({"index": 1, "text": text.upper()})
    return made


def counting(text: str) -> dict[str, Any]:
    """A chunk without choices."""
    return written(text) | {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": len(text)}}


TEXT_KINDS = [written, written_beside, misnamed, unnamed, doubled, doubtful, textless, halved, paired, counting]


@pytest.mark.parametrize("seed", range(300))
def test_texts_and_chats_may_be_mixed(seed: int) -> None:
    """Whatever chunks of texts and of chats a stream holds, saved and one by one they assemble alike."""
    draw = random.Random(seed)
    kinds = draw.sample(TEXT_KINDS, draw.randint(1, 2)) + draw.sample(
        [spoken, listed, silent, dated], draw.randint(0, 1)
    )
    chunks = [draw.choice(kinds)(draw.choice(TEXTS)) for _ in range(40)]
    body = saved(*chunks)
    expected = canonical(assemble(chunks))
    assert all(canonical(normalize(body)) == expected for _ in range(3))


def test_a_text_has_a_template() -> None:
    """A fragment of a text completion leaves one gap; one that a delta says too leaves none."""
    texts = ChunkReader(default_reader()).tight_alias.decode
    for kind, number in ((written, 1), (doubled, 0)):
        made = kind("tide")
        made["choices"][0].get("delta", {}).pop("token_id", None)
        piece = json.dumps(made).encode()
        gaps = gaps_of(texts(piece), Answer(0))
        assert len(gaps or ()) == number
        if gaps:
            assert template_of(piece, gaps, texts, 0, 0) is not None


def wrapped(chunk: dict[str, Any]) -> dict[str, Any]:
    """A chunk in the event object of an SDK."""
    return {"data": chunk}


def wrapped_beside(chunk: dict[str, Any]) -> dict[str, Any]:
    """One with something beside it."""
    return {"data": chunk, "event": "message"}


def bare(chunk: dict[str, Any]) -> dict[str, Any]:
    """A chunk in nothing."""
    return chunk


def in_events(pieces: list[bytes]) -> bytes:
    """A stream whose events have names."""
    return b"".join(b"event: message\nid: 7\ndata: " + piece + b"\n\n" for piece in pieces) + b"data: [DONE]\n\n"


def in_lines(pieces: list[bytes]) -> bytes:
    """A stream whose blank lines were dropped."""
    return b"".join(b"data: " + piece + b"\n" for piece in pieces)


def in_json_lines(pieces: list[bytes]) -> bytes:
    """One chunk a line."""
    return b"\n".join(pieces) + b"\n"


def in_list(pieces: list[bytes]) -> bytes:
    """A list of chunks."""
    return b"[" + b",\n ".join(pieces) + b"]"


def in_pretty_list(pieces: list[bytes]) -> bytes:
    """A list of chunks for people to read."""
    return json.dumps([json.loads(piece) for piece in pieces], indent=2, ensure_ascii=False).encode()


def over_lines(pieces: list[bytes]) -> bytes:
    """A stream whose events go over several lines."""
    texts = [json.dumps(json.loads(piece), indent=1, ensure_ascii=False).encode() for piece in pieces]
    return b"".join(b"data: " + text.replace(b"\n", b"\ndata: ") + b"\n\n" for text in texts)


def in_broken_lines(pieces: list[bytes]) -> bytes:
    """A stream that a recorder ended with half a line, and with comments between the others."""
    return b": one\n\n" + b": keep\n\n".join(b"id: 1\ndata: " + piece + b"\n\n" for piece in pieces) + b"data: "


EVENTS = [saved, in_events, in_lines, over_lines, in_broken_lines]
DOCUMENTS = [in_json_lines, in_list, in_pretty_list]


def drawn(seed: int, kinds: list[Any], wrapper: Any) -> list[dict[str, Any]]:
    """Chunks of a few kinds, one of them in nothing."""
    draw = random.Random(seed)
    kinds = draw.sample(kinds, draw.randint(1, 3))
    chunks = [wrapper(draw.choice(kinds)(draw.choice(TEXTS))) for _ in range(40)]
    chunks[draw.randrange(1, 40)] = chunk_with({"content": "bare"})
    return chunks


def as_json(chunks: list[dict[str, Any]]) -> list[bytes]:
    """Chunks as JSON texts."""
    return [json.dumps(chunk, separators=(",", ":"), ensure_ascii=False).encode() for chunk in chunks]


@pytest.mark.parametrize("wrapper", [bare, wrapped, wrapped_beside])
@pytest.mark.parametrize("framing", EVENTS)
@pytest.mark.parametrize("seed", range(20))
def test_events_of_any_form_give_what_they_give_one_by_one(framing: Any, wrapper: Any, seed: int) -> None:
    """However the events of a stream were saved, together and one by one they assemble alike."""
    pieces = as_json(drawn(seed, [*KINDS, *TEXT_KINDS, *OTHERS], wrapper))
    body = saved(*pieces) if framing is saved else framing(pieces)
    expected = canonical(assemble(iter_events([body])))
    assert all(canonical(normalize(body)) == expected for _ in range(3))


@pytest.mark.parametrize("wrapper", [bare, wrapped])
@pytest.mark.parametrize("framing", DOCUMENTS)
@pytest.mark.parametrize("seed", range(20))
def test_a_document_of_chunks_gives_what_they_give_one_by_one(framing: Any, wrapper: Any, seed: int) -> None:
    """However chunks were saved in one document, together and one by one they assemble alike."""
    chunks = drawn(seed, [*KINDS, *OTHERS], wrapper)
    expected = canonical(assemble(chunks))
    assert all(canonical(normalize(framing(as_json(chunks)))) == expected for _ in range(3))


def test_a_line_end_in_a_text_is_refused_in_any_frame() -> None:
    """A line end inside a text is no white space, and no stream with one is read."""
    pieces = [json.dumps(spoken("ab")).encode() for _ in range(MANY)]
    halves = pieces[0].replace(b'"ab"', b'"a\nb"')
    for body in (over_lines(pieces), in_list(pieces)):
        assert normalize(body).text == "ab" * MANY
    for body in (in_events([*pieces, halves.replace(b"\n", b"\ndata: "), *pieces]), in_list([*pieces, halves])):
        with pytest.raises(NormalizeError):
            normalize(body)


@pytest.mark.parametrize("broken", [b'{"data":}', b'{"data"::{}}', b'{"data":[DONE]}', b'{"data": : keep}'])
def test_what_is_left_of_an_event_object_is_no_comment(broken: bytes) -> None:
    """An event object that holds no JSON is refused, whatever it would be without its braces."""
    pieces = as_json([wrapped(spoken("ab"))] * 3)
    for body in (saved(*pieces, broken, *pieces), in_json_lines([*pieces, broken, *pieces])):
        with pytest.raises(NormalizeError):
            normalize(body)


def test_an_odd_name_is_forgotten_behind_a_chunk_that_went_the_long_road() -> None:
    """A chunk without a name does not take the one that was before, nor one that is null."""
    chunks = [textless("a"), doubtful("b"), {**spoken("c"), "object": None}]
    completion = normalize(saved(*chunks))
    assert completion.extra == {"/choices/0/text": "b!", "/object": "text_completion"}
    assert canonical(completion) == canonical(assemble(chunks))


def test_what_is_cut_in_another_frame_is_cut() -> None:
    """A stream of named events that ends in the middle of one says so, and one that goes on behind it is refused."""
    pieces = [json.dumps(spoken("ab")).encode() for _ in range(MANY)]
    cut = in_events(pieces).removesuffix(b"data: [DONE]\n\n")[:-20]
    completion = normalize(cut)
    assert completion.text == "ab" * (MANY - 1)
    assert completion.notes[0].code == "incomplete_stream"
    with pytest.raises(NormalizeError):
        normalize(cut + b"\n\n" + in_events(pieces))
    with pytest.raises(NormalizeError):
        normalize(in_json_lines([*pieces, pieces[0][:-20], *pieces]))


@pytest.mark.parametrize(
    "piece",
    [
        b'{"mirror":{"created":17976e304},"created":17976,"choices":[{"index":0,"delta":{"content":"a"}}]}',
        b'{"m":{"created":9223372036854775807},"created":922337203685477580,"choices":[{"delta":{"content":"a"}}]}',
    ],
)
def test_digits_that_another_number_begins_with_are_no_second(piece: bytes) -> None:
    """A number that begins with the digits of `created` is not taken for it, and does no harm."""
    for _ in range(4):
        assert normalize(saved(*[piece] * MANY)).text == "a" * MANY


def test_a_key_that_stands_in_two_places_does_no_harm() -> None:
    """A vendor key with the name of a delta's, now and then escaped, is kept as what it was last."""
    pieces = [
        b'{"choices":[{"index":0,"delta":{"role":"user","content":"a"}}],"role":"%b"}' % word
        for word in (b"one", b"us\\u0065r", b"two", b"us\\u0065r") * MANY
    ]
    for _ in range(4):
        assert canonical(normalize(saved(*pieces))) == canonical(assemble(iter_events([saved(*pieces)])))


@pytest.mark.parametrize("text", ["a", ""])
def test_the_last_odd_name_stands(text: str) -> None:
    """Of several odd names the last one is kept, though many chunks have it."""
    done, odd = ({**spoken(text), "object": word} for word in ("chat.completion.done", "text_completion"))
    body = saved(done, odd, *[done] * MANY)
    assert normalize(body).extra == {"/object": "chat.completion.done"}
    assert canonical(normalize(body)) == canonical(assemble(iter_events([body])))


def test_a_stream_that_stamps_each_chunk_is_read_as_any() -> None:
    """However often the second changes, a saved stream and its chunks one by one assemble alike."""
    for each in (1, 2, 3):
        chunks = [spoken(TEXTS[at % 7]) | {"created": 1774100001 + at // each} for at in range(90)]
        assert canonical(normalize(saved(*chunks))) == canonical(assemble(chunks))
