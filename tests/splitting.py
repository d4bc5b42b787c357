"""A whole response as the stream that its source would have written: what `assemble` must put together again.

`as_streamed` says what a stream says otherwise than the whole response, `split` cuts, `write` frames. Every draw comes
from one `Random`, so that Hypothesis can replay and shrink it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, TypeVar

Tree = dict[str, Any]
Text = TypeVar("Text", str, bytes)
Step = tuple[Tree, Tree]  # what one chunk adds to the delta, and to the choice around it

# How usage comes: on the chunk that finishes; behind it with an empty delta and a null finish word (OpenRouter until
# 2025); without choices (OpenAI, OpenRouter 2026); with the finish words said again (OpenRouter since July 2026).
ENDINGS = ("with_finish", "null_finish", "no_choices", "repeated_finish")

HEAD = ("id", "object", "created", "model", "provider", "system_fingerprint", "service_tier")
COLUMNS = ("tokens", "token_logprobs", "top_logprobs", "text_offset")
SIGNED = ("signature", "response_hash")  # an Atoma node signs every chunk anew


def snake(key: str) -> str:
    """A key in snake_case."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)


def named(tree: Tree, name: str) -> str | None:
    """The key of a member in the spelling of its object, `None` where it is absent."""
    return next((key for key in tree if snake(key) == name), None)


def is_splittable(payload: Any) -> bool:
    """Whether a payload is a bare whole response: its choices have a message or a text, and each an index of its own.

    Envelopes and log records have no choices at their root. A rebuilt stream without a message (log10), and a text
    beside a message, are no shape that a service streams.
    """
    if not isinstance(payload, dict) or not isinstance(payload.get("choices"), list):
        return False
    choices = payload["choices"]
    if not all(isinstance(choice, dict) for choice in choices):
        return False
    whole = all(
        isinstance(choice.get("message"), dict) != isinstance(choice.get("text"), str)
        and choice.get("function_call") is None
        for choice in choices
    )
    return whole and len({json.dumps(choice.get("index")) for choice in choices}) == len(choices)


def as_streamed(payload: Tree) -> Tree:
    """The same response with what a stream of it says otherwise.

    Choices come back in the order of their index. Lists hold no null members. Tool calls are numbered: a fragment
    needs an index to say whose it is; and so are members of `reasoning_details` that share type and index. The last
    `delta` beside a message (Perplexity, log10) is no part of the answer.
    """
    sent: Tree = json.loads(json.dumps(payload))
    sent["choices"].sort(key=lambda choice: int(choice.get("index") or 0))
    for choice in sent["choices"]:
        message = choice.get("message")
        if message is None:
            continue
        choice.pop("delta", None)
        for key, value in message.items():
            if isinstance(value, list):
                message[key] = [item for item in value if item is not None]
                if snake(key) == "tool_calls":
                    _number(message[key], lambda call: call.get("index"), every=True)
                elif snake(key) == "reasoning_details":
                    _number(message[key], lambda item: (item.get("type"), item.get("index")), every=False)
    return sent


def _number(items: list[Tree], identity: Callable[[Tree], Any], *, every: bool) -> None:
    seen = [identity(item) for item in items]
    if len(set(seen)) < len(seen) or (every and None in seen):
        for place, item in enumerate(items):
            if "raw" not in item:
                item["index"] = place


def split(payload: Tree, random: Random) -> list[Tree]:
    """The chunks of a response that `as_streamed` gave."""
    ending = random.choice(ENDINGS)
    head = {key: value for key, value in payload.items() if snake(key) in HEAD}
    if head.get("object") == "chat.completion":
        head["object"] = "chat.completion.chunk"
    tracks = [_choice_chunks(choice, random) for choice in payload["choices"]]
    last = {id(track): track[-1] for track in tracks}
    usage_key = named(payload, "usage")
    usage = {} if usage_key is None else {usage_key: payload[usage_key]}
    chunks = [{**head, "choices": choices} for choices in _interleaved(tracks, random)]
    if not chunks or (usage and ending == "no_choices"):
        chunks.append({**head, "choices": [], **usage})
    elif usage and ending == "null_finish":
        sent = last[id(tracks[-1])]
        quiet: Tree = {"delta": {}} if "delta" in sent else {"text": ""}
        if "index" in sent:
            quiet["index"] = sent["index"]
        chunks.append({**head, "choices": [{**quiet, "finish_reason": None}], **usage})
    elif usage and ending == "repeated_finish":
        sent = last[id(tracks[-1])]
        again = {key: value for key, value in sent.items() if snake(key) in ("index", "finish_reason")}
        native = named(sent, "native_finish_reason")
        again |= {native: sent[native]} if native else {}
        chunks.append({**head, "choices": [{**again, **({"delta": {}} if "delta" in sent else {"text": ""})}], **usage})
    else:
        chunks[-1] |= usage
    for key, value in payload.items():
        if key in chunks[0] or snake(key) in (*HEAD, "usage", "choices"):
            continue
        _spread(key, value, chunks, random)
    return chunks


def _spread(key: str, value: Any, places: list[Tree], random: Random) -> None:
    """Put a vendor key into all places, or into the first or the last one; the last value is the one that is."""
    where = random.choice(("all", "first", "last"))
    if snake(key) in SIGNED:
        for at, place in enumerate(places[:-1]):
            place[key] = f"{value[:8]}{at}"
        where = "last"
    for place in {"all": places, "first": places[:1], "last": places[-1:]}[where]:
        place[key] = value


def _interleaved(tracks: list[list[Tree]], random: Random) -> Iterator[list[Tree]]:
    """Each choice's chunks in their order, mixed with those of the others; some chunks hold several choices."""
    waiting = [list(track) for track in tracks]
    while any(waiting):
        ready = [track for track in waiting if track]
        together = random.sample(ready, random.randint(1, len(ready)))
        yield [track.pop(0) for track in together]


def _choice_chunks(choice: Tree, random: Random) -> list[Tree]:
    """What the chunks of one choice hold in `choices[0]`."""
    message_key = "message" if isinstance(choice.get("message"), dict) else None
    steps = _message_steps(choice["message"], random) if message_key else _text_steps(choice, random)
    if is_cumulative(choice):
        steps = _cumulative_steps(choice, random)
    else:
        _add_logprobs(choice, steps, random)
    sent = [around if message_key is None else {"delta": delta, **around} for delta, around in steps]
    finish: Tree = {"delta": {}} if message_key else {"text": ""}
    if random.random() < 0.3:  # the finish word on the last fragment
        finish = sent.pop()
    sent.append(finish)
    for key, value in choice.items():
        name = snake(key)
        if name == "index":
            for chunk in sent:
                chunk[key] = value
        elif name in ("finish_reason", "native_finish_reason"):
            if random.random() < 0.7:
                for chunk in sent:
                    chunk[key] = None
            finish[key] = value
        elif name in ("error", "stop_reason"):
            finish[key] = value
        elif name not in ("message", "text", "logprobs") and not (message_key is None and name == "reasoning"):
            _spread(key, value, sent, random)
    return sent


# -- the steps of one answer


def _text_steps(choice: Tree, random: Random) -> list[Step]:
    steps: list[Step] = []
    reasoning = choice.get("reasoning")
    if isinstance(reasoning, str):
        steps += [({}, {"text": "", "reasoning": piece}) for piece in cut(reasoning, random)]
    return steps + [({}, {"text": piece}) for piece in cut(choice["text"], random)]


def _message_steps(message: Tree, random: Random) -> list[Step]:
    """The deltas of a message, each with one fragment or, where two have nothing in common, with both."""
    names = {snake(key): key for key in message}
    deltas: list[Tree] = []
    rest: Tree = {}
    thoughts = _text(message, names, "reasoning"), _text(message, names, "reasoning_content")
    for key, value in message.items():
        name = snake(key)
        if name == "reasoning_content" and all(thoughts):
            pass  # said beside `reasoning`
        elif name == "reasoning" and all(thoughts):
            # Two names for one thought are cut alike; two thoughts come in one piece each, for nobody streams them.
            pieces = cut(value, random) if thoughts[0] == thoughts[1] else [value]
            alias = names["reasoning_content"]
            deltas += [{key: piece, alias: piece if len(pieces) > 1 else message[alias]} for piece in pieces]
        elif name in ("content", "reasoning", "reasoning_content", "refusal") and isinstance(value, str):
            deltas += [{key: piece} for piece in cut(value, random)]
        elif name == "content" and isinstance(value, list):
            deltas += [{key: [piece]} for part in value for piece in _part_pieces(part, random)] or [{key: []}]
        elif name in ("tool_calls", "reasoning_details", "annotations", "images") and isinstance(value, list) and value:
            legacy = names.get("function_call", "")
            if name == "tool_calls" and isinstance(message.get(legacy), dict):
                deltas.append({key: value, legacy: message[legacy]})
            elif name == "tool_calls":
                deltas += [{key: [piece]} for call in value for piece in _call_pieces(call, random)]
            elif name == "reasoning_details":
                deltas += [{key: [piece]} for item in value for piece in _detail_pieces(item, random)]
            else:
                deltas += [{key: [item]} for item in value]
        elif name == "function_call" and isinstance(value, dict):
            if not message.get(names.get("tool_calls", "")):
                deltas += [{key: piece} for piece in _function_pieces(value, random)]
        elif name == "audio" and isinstance(value, dict):
            deltas += [{key: piece} for piece in _audio_pieces(value, random)]
        elif name in ("role", "name"):
            deltas.insert(0, {key: value})
        else:
            rest[key] = value
    merged = _merged(deltas or [{}], random)
    if (role := names.get("role")) and random.random() < 0.5:
        for delta in merged:
            delta[role] = message[role]
    for key, value in rest.items():
        _spread(key, value, merged, random)
    return [(delta, {}) for delta in merged]


def is_cumulative(choice: Tree) -> bool:
    """Whether the experimental Atoma engine wrote a choice: its deltas hold the whole text so far."""
    message = choice.get("message")
    return isinstance(choice.get("logprobs"), list) and isinstance(message, dict) and bool(message.get("content"))


def _cumulative_steps(choice: Tree, random: Random) -> list[Step]:
    message, tokens = choice["message"], choice["logprobs"]
    steps: list[Step] = []
    so_far = ""
    for piece in cut(message["content"], random):
        so_far += piece
        count = len(tokens) * len(so_far) // len(message["content"])
        steps.append(({**message, "content": so_far}, {"logprobs": tokens[:count]}))
    return steps


def _text(message: Tree, names: dict[str, str], name: str) -> str:
    value = message.get(names.get(name, ""))
    return value if isinstance(value, str) else ""


def _merged(deltas: list[Tree], random: Random) -> list[Tree]:
    """Neighbours put into one delta where no text of theirs would meet; fragments of lists may stand side by side."""
    merged = [deltas[0]]
    for delta in deltas[1:]:
        last = merged[-1]
        shared = [key for key in delta if key in last]
        lists = all(isinstance(delta[key], list) and isinstance(last[key], list) for key in shared)
        if (not shared or (lists and len(delta) == len(last) == 1)) and random.random() < 0.4:
            merged[-1] = {**last, **{key: [*last[key], *delta[key]] if key in last else delta[key] for key in delta}}
        else:
            merged.append(delta)
    return merged


def _part_pieces(part: Tree, random: Random) -> list[Tree]:
    """A part of a content list: text and thoughts in fragments, anything else whole."""
    for name in ("text", "thinking"):
        if part.keys() == {"type", name} and isinstance(part[name], str):
            return [{**part, name: piece} for piece in cut(part[name], random)]
    return [part]


def _call_pieces(call: Tree, random: Random) -> list[Tree]:
    """A tool call: the first fragment names it, later ones have its index and more of its arguments."""
    if not isinstance(call.get("function"), dict):
        return [call]
    first, *later = _function_pieces(call["function"], random)
    index = {key: value for key, value in call.items() if key == "index"}
    return [{**call, "function": first}, *({**index, "function": piece} for piece in later)]


def _function_pieces(call: Tree, random: Random) -> list[Tree]:
    if not isinstance(call.get("arguments"), str):
        return [call]
    first, *later = cut(call["arguments"], random)
    return [{**call, "arguments": first}, *({"arguments": piece} for piece in later)]


def _detail_pieces(item: Tree, random: Random) -> list[Tree]:
    """A member of `reasoning_details`: fragments of its one long text, the signature in one of its own."""
    words = {key: value for key, value in item.items() if key in ("type", "index", "format")}
    long = next((key for key in ("text", "summary", "data") if isinstance(item.get(key), str)), None)
    if long is None or "raw" in item:
        return [item]
    first, *later = cut(item[long], random)
    rest = {key: value for key, value in item.items() if key != "signature"}
    pieces = [{**rest, long: first}, *({**words, long: piece} for piece in later)]
    if "signature" in item:
        pieces.append({**words, "signature": item["signature"]})
    return pieces


def _audio_pieces(audio: Tree, random: Random) -> list[Tree]:
    words = {key: value for key, value in audio.items() if key not in ("data", "transcript")}
    pieces: list[Tree] = [{"id": audio["id"]}] if "id" in audio and random.random() < 0.5 else []
    for key in ("transcript", "data"):
        if isinstance(audio.get(key), str):
            pieces += [{key: piece} for piece in cut(audio[key], random)]
    return [*pieces, words]


def _add_logprobs(choice: Tree, steps: list[Step], random: Random) -> None:
    """Log-probs cut between tokens, beside the fragments; a form that is no list of tokens comes in one piece."""
    if "logprobs" not in choice:
        return
    value = choice["logprobs"]
    pieces = [value]
    if isinstance(value, dict):
        columns = {key: cell for key, cell in value.items() if snake(key) in (*COLUMNS, "content", "refusal")}
        lists = [cell for cell in columns.values() if isinstance(cell, list)]
        if columns.keys() == value.keys() and len({len(cell) for cell in lists}) == 1:
            pieces = [
                {key: None if cell is None else cell[at : at + 1] for key, cell in columns.items()}
                for at in range(len(lists[0]))
            ] or [value]
    while len(steps) < len(pieces):
        steps.append(({}, {"text": ""} if "text" in steps[-1][1] else {}))
    places = sorted(random.sample(range(len(steps)), len(pieces)))
    for place, piece in zip(places, pieces, strict=True):
        steps[place][1]["logprobs"] = piece


# -- framing


COMMENTS = (": PROCESSING", ": keep-alive", ":", "", "retry: 10", "id: 7", "data: : PROCESSING")


def write(chunks: list[Tree], random: Random) -> bytes:
    """The chunks as the event stream of some server, as some recorder kept it."""
    line_end = random.choice(("\n", "\n", "\r\n", "\r"))
    space = random.choice((" ", ""))
    comments = random.choice(((), COMMENTS[:3], COMMENTS))  # lines that may stand between two events
    event = random.choice((None, None, "message"))
    blank = [""] * (random.random() < 0.8)  # recorders drop them
    ascii_only = random.random() < 0.5
    lines: list[str] = []
    texts = [to_text(chunk, ascii_only=ascii_only) for chunk in chunks] + ["[DONE]"] * (random.random() < 0.7)
    for text in texts:
        while comments and random.random() < 0.3:
            lines += [random.choice(comments), *blank]
        if event is not None:
            lines.append(f"event:{space}{event}")
        lines += [f"data:{space}{text}", *blank]
    if blank and random.random() < 0.2:
        lines.pop()
    return "".join(line + line_end for line in lines).encode()


def to_text(chunk: Any, *, ascii_only: bool = True) -> str:
    """JSON text; half a surrogate pair cannot be said but by its escape."""
    text = json.dumps(chunk, ensure_ascii=ascii_only)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(chunk)
    return text


def cut(text: Text, random: Random, pieces: int = 5) -> list[Text]:
    """A text in pieces, cut anywhere; some pieces are empty."""
    places = sorted(random.randint(0, len(text)) for _ in range(random.randint(0, pieces)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
