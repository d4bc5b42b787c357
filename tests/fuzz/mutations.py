"""Seeded mutants of every fixture, in both spellings: bodies, chunks and streams.

A mutant is made from the seed of the run and its own index, and from nothing else, so that `--only` finds it again for
as long as the fixtures stay as they are. Edits of a tree put raw tokens (`1e999`, half a surrogate pair, a key that
is there twice) behind placeholders, which are replaced by those bytes once the tree has been written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from random import Random
from typing import Any, Literal, NamedTuple

from normcompletion.testing import Pair
from normcompletion.testing.camelcase import in_camel_case
from tests.conftest import FOUND

Kind = Literal["body", "chunk", "stream"]
Slot = tuple[Any, Any]  # a container, and a key or an index into it

STREAM_SHARE = 0.3
SOURCES = (None, None, None, None, None, None, "openai", "openrouter", "atoma", "log10")

NUMBERS = [
    b"0", b"-0", b"-0.0", b"1", b"-1", b"0.5", b"1e3", b"1E+2", b"1e-7", b"1.0", b"12.000", b"0.1e-400", b"5e-324",
    b"1e308", b"1.7976931348623157e308", b"2147483648", b"9007199254740993", b"9223372036854775807",
    b"9223372036854775808", b"-9223372036854775808", b"-9223372036854775809", b"18446744073709551615",
    b"18446744073709551616", b"1" * 30, b"-" + b"9" * 400, b"1767225600", b"1767225600000", b"1e18",
    b"1e999", b"-1e999", b"1e309", b"1" * 330 + b".5", b"1" * 5000, b"00", b"01", b"-01", b"1.", b".5", b"+1", b"-",
    b"1e", b"1e+", b"0x1F", b"1_000", b"NaN", b"Infinity", b"-Infinity", b"nan", b"inf", b"1e5 ", b"\xef\xbc\x91",
]  # fmt: skip
IN_STRINGS = [
    b"\\ud83d", b"\\ude00", b"\\ud83d\\ude00", b"\\ude00\\ud83d", b"\\uD800x", b"\\u0000", b"\\u", b"\\u12", b"\\u12g4",
    b"\\U0041", b"\\x41", b"\\", b"\\'", b"\\a", b"\\/", b"\x00", b"\x01", b"\t", b"\n", b"\r", b"\x1f", b"\x7f",
    b"\x80", b"\xff", b"\xfe", b"\xc3", b"\xc3\x28", b"\xe2\x82", b"\xf0\x9f\x98", b"\xf0\x9f\x98\x80", b"\xc0\xaf",
    b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xed\xa0\xbd", b"\xed\xb8\x80", b"\xed\xa0\xbd\xed\xb8\x80",
    b"\xf4\x90\x80\x80", b"\xef\xbf\xbe", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b'"', b'\\"', b"{'a': 1}",
    b"data: {}", b"[DONE]",
]  # fmt: skip
BYTES = [
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b" ", b"\t", b"\n", b"\r", b"\r\n", b"\n\n", b"\x0b", b"\x0c",
    b"\xa0", b"\xc2\xa0", b"/*c*/", b"//c\n", b"#", b"null", b"true", b"nul", b"True", b"None", b"undefined",
    b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00", b"\x1e", b"<html>", b"data:", b"data: ", b"\ndata: ", b"event:",
    b": ", b"[DONE]", b"data: [DONE]\n\n",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 1.5, 2**63, 2**70, "", " ", "text", "3", "-7", "1.5", "1e5", "NaN", "null", "stop",
    "tool_calls", "assistant", "chat.completion", "chat.completion.chunk", "text_completion", "list", "2026-01-01",
    "2026-01-01T00:00:00Z", "{'a': 1}", '{"a": 1}', "{", "[]", "\ud83d", "é", "\U0001f600", "data: {}\n\n", [], {},
    [None], [[]], [{}], {"": {}}, {"a": 1}, [1, 2.5, "3"], {"text": "t"}, [{"type": "text", "text": "t"}],
    {"raw": {}, "isUnknown": True}, {"message": "no", "code": 429}, {"choices": []},
]  # fmt: skip
KEYS = ["", "/", "~", "~1", "a/b", "a~b", "m~0n", "choices/0", "é", "\U0001f600", "\ud83d", "raw", "isUnknown", "0"]
COMMENTS = (b": OPENROUTER PROCESSING", b": keep-alive", b":", b"", b"retry: 10", b"id: 7", b"data: : OPENROUTER", b"x")
ODD_EVENTS = [
    b"data: [DONE]", b"data:", b"data", b"data: {}", b"data: []", b"data: null", b"data: 3", b"data: 1e999",
    b'data: "text"', b"data: sentence", b"data: \xff\xfe", b"event: error", b"event: ping\ndata: {}",
    b'event: error\ndata: {"error":{"message":"no","code":502}}', b'data: {"error":"no"}', b'data: {"choices":[]}',
    b'data: {"choices":null}', b'data: {"type":"ping"}', b"data: {", b'data: {"choices":[{"delta":{"content":"x',
    b'data: [{"choices":[]},{"choices":[]}]', b'data: [{"choices":[]},3]', b"id: 1", b"retry: x", b": c", b"odd",
]  # fmt: skip
_MARK = re.compile(rb'"@@(\d+)@@"')
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?')
_LINE_END = re.compile(rb"\r\n|\n|\r")


class Mutant(NamedTuple):
    """One payload: from which fixture, how it is called, and where a stream is cut when it is fed in pieces."""

    number: int
    fixture: str
    kind: Kind
    raw: bytes
    source: str | None
    cuts: tuple[int, ...]

    def pieces(self) -> list[bytes]:
        """The payload in pieces; some are empty."""
        places = sorted(min(cut, len(self.raw)) for cut in self.cuts)
        return [self.raw[start:end] for start, end in zip([0, *places], [*places, len(self.raw)], strict=True)]


class Corpus(NamedTuple):
    """The fixtures: trees by kind, both spellings, with the name of each; and the texts that are no JSON."""

    bodies: list[tuple[str, str]]  # the trees as JSON text: a fresh copy is a decode
    chunks: list[tuple[str, str]]
    streams: list[tuple[str, bytes]]
    texts: list[tuple[str, bytes]]
    keys: list[str]


@cache
def corpus() -> Corpus:
    """All fixtures, read once."""
    found = Corpus([], [], [], [], [])
    keys: set[str] = set()
    for pair in FOUND:
        if pair.tree is not None:
            trees = found.chunks if pair.is_chunk else found.bodies
            for suffix, tree in _spellings(pair):
                trees.append((pair.name + suffix, json.dumps(tree)))
                keys.update(key for container, key in slots(tree) if isinstance(container, dict))
        elif is_stream(pair.raw) or b"\n" in pair.raw.strip():
            found.streams.append((pair.name, pair.raw))
        else:
            found.texts.append((pair.name, pair.raw))
    found.keys.extend(sorted(keys))
    return found


def _spellings(pair: Pair) -> Iterator[tuple[str, Any]]:
    yield "", pair.tree
    other, _ = in_camel_case(pair.tree)
    if other != pair.tree:
        yield " (camel)", other


_FIELDS = (b"data:", b"event:", b":", b"id:", b"retry:", b"error: {", b"error:{")


def is_stream(raw: bytes) -> bool:
    """Whether a text starts like a stream of events."""
    return raw.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").startswith(_FIELDS)


def mutant(seed: int, index: int, streams: float = STREAM_SHARE) -> Mutant:
    """The mutant of an index; `streams` is the share of mutants that are streams."""
    random = Random(f"{seed}/{index}")  # a text is hashed the same way in every process
    found = corpus()
    kind: Kind = "stream" if random.random() < streams else random.choice(("body", "body", "body", "chunk"))
    if kind == "stream":
        name, text = random.choice(found.streams)
        raw = _stream(text, random)
    elif kind == "body" and random.random() < 0.02:
        name, text = random.choice(found.texts)
        raw = edit_bytes(text, random)
    else:
        name, text_of_tree = random.choice(found.chunks if kind == "chunk" else found.bodies)
        raw = _json(text_of_tree, random)
    return Mutant(index, name, kind, raw, random.choice(SOURCES), _cuts(raw, random) if kind == "stream" else ())


def _cuts(raw: bytes, random: Random) -> tuple[int, ...]:
    if random.random() < 0.03 and len(raw) < 5000:
        return tuple(range(1, len(raw)))
    return tuple(random.randint(0, len(raw)) for _ in range(random.randint(1, 6)))


# -- trees


def slots(tree: Any) -> list[Slot]:
    """Every place in a tree but the root."""
    found: list[Slot] = []
    waiting = [tree]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list):
            keys = list(value) if isinstance(value, dict) else range(len(value))
            for key in keys:
                found.append((value, key))
                waiting.append(value[key])
    return found


def _json(text: str, random: Random) -> bytes:
    """A JSON text, edited as a tree, as bytes, or both; seldom as it is."""
    roll = random.random()
    raw = edit_tree(json.loads(text), random) if roll > 0.27 else _write(json.loads(text), random)
    return edit_bytes(raw, random) if 0.03 < roll < 0.45 else raw


def _write(tree: Any, random: Random) -> bytes:
    style = random.random()
    if style < 0.6:
        text = json.dumps(tree, separators=(",", ":"), ensure_ascii=style < 0.3)
    else:
        text = json.dumps(tree, indent=None if style < 0.9 else 1, ensure_ascii=style < 0.75)
    return text.encode("utf-8", "surrogatepass")


class _Edit:
    """One tree in the making: its places, and the raw tokens that are behind placeholders."""

    def __init__(self, tree: Any, random: Random) -> None:
        self.root = [tree]
        self.random = random
        self.tokens: list[bytes] = []

    def placeholder(self, token: bytes) -> str:
        """A string that stands for a raw token, as a key or as a value."""
        self.tokens.append(token)
        return f"@@{len(self.tokens) - 1}@@"

    def pick(self, wanted: Callable[[Any, Any], bool] = lambda _container, _key: True) -> Slot:
        """A place where something wanted is; the root where there is none."""
        found = [slot for slot in slots(self.root) if wanted(*slot)]
        return self.random.choice(found) if found else (self.root, 0)

    def written(self) -> bytes:
        """The tree, written; what an edit made of a placeholder may be none any more."""
        raw = _write(self.root[0], self.random)
        tokens = {b"%d" % place: token for place, token in enumerate(self.tokens)}
        return _MARK.sub(lambda found: tokens.get(found[1], found[0]), raw) if tokens else raw

    def number(self) -> None:
        """A number becomes an extreme one, or none at all."""
        container, key = self.pick(lambda held, at: type(held[at]) in (int, float))
        container[key] = self.placeholder(self.random.choice(NUMBERS))

    def string(self) -> None:
        """A string gets bytes in it that are hard to read."""
        container, key = self.pick(lambda held, at: isinstance(held[at], str))
        container[key] = self.placeholder(self.damaged(container[key]))

    def damaged(self, value: Any) -> bytes:
        """A string with odd bytes somewhere in it, quoted."""
        text = json.dumps(value if isinstance(value, str) else "", ensure_ascii=False)[1:-1]
        raw = text.encode("utf-8", "surrogatepass")
        place = self.random.randint(0, len(raw))
        return b'"' + raw[:place] + self.random.choice(IN_STRINGS) + raw[place:] + b'"'

    def token(self) -> bytes:
        """A raw value that is hard to read, or none at all."""
        roll = self.random.random()
        if roll < 0.1:
            return b"[" * 140 + b"]" * 140
        return self.random.choice(NUMBERS) if roll < 0.4 else self.damaged("text")

    def key(self) -> None:
        """A key is renamed: re-spelled, damaged, or another schema key."""
        container, key = self.pick(lambda held, _: isinstance(held, dict))
        if not isinstance(container, dict):
            return
        roll = self.random.random()
        if roll < 0.35:
            name = swapped(key)
        elif roll < 0.6:
            name = self.random.choice(corpus().keys)
        elif roll < 0.8:
            name = self.random.choice(KEYS)
        elif roll < 0.9:
            name = key + self.random.choice(KEYS)
        else:
            name = self.placeholder(self.damaged(key))
        items = list(container.items())
        container.clear()
        container.update((name if held == key else held, value) for held, value in items)

    def twice(self) -> None:
        """A key is twice in its object, in either order."""
        container, key = self.pick(lambda held, _: isinstance(held, dict))
        if not isinstance(container, dict):
            return
        again = self.placeholder(json.dumps(key if self.random.random() < 0.7 else swapped(key)).encode())
        other = self.value() if self.random.random() < 0.6 else self.placeholder(self.token())
        items = [*container.items(), (again, other)]
        if self.random.random() < 0.5:
            items.insert(0, items.pop())
        container.clear()
        container.update(items)

    def value(self) -> Any:
        """A value of any type: a plain one, or a piece of another fixture."""
        if self.random.random() < 0.6:
            return _copy(self.random.choice(VALUES))
        found = corpus()
        tree = json.loads(self.random.choice(found.bodies + found.chunks)[1])
        container, key = self.random.choice(slots([tree]))
        return container[key]

    def type(self) -> None:
        """A value becomes one of another type, or a piece of another fixture."""
        container, key = self.pick()
        container[key] = self.value()

    def add(self) -> None:
        """An object gets one more member with a schema key or an odd one."""
        container, _ = self.pick(lambda held, _: isinstance(held, dict))
        if isinstance(container, dict):
            name = self.random.choice(corpus().keys if self.random.random() < 0.8 else KEYS)
            container[name] = self.value()

    def remove(self) -> None:
        """A member is gone."""
        container, key = self.pick()
        if container is not self.root:
            del container[key]

    def wrap(self) -> None:
        """A value gets something around it: a list, an object, an envelope, a string."""
        container, key = self.pick() if self.random.random() < 0.6 else (self.root, 0)
        held = container[key]
        name = self.random.choice(corpus().keys)
        container[key] = self.random.choice([
            [held], {name: held}, json.dumps(held), {"data": held}, {"success": True, "data": held},
            {"ok": True, "value": held}, {"httpMeta": {}, "completion": held}, {"response": held},
            {"raw": held, "isUnknown": True},
        ])  # fmt: skip

    def unwrap(self) -> None:
        """A value takes the place of what was around it."""
        container, key = self.pick(lambda held, at: isinstance(held[at], dict | list) and bool(held[at]))
        inner, at = self.random.choice(slots([container[key]]))
        container[key] = inner[at]

    def nest(self) -> None:
        """A value is many containers deep."""
        container, key = self.pick()
        roll = self.random.random()
        deep = self.random.randint(1, 140) if roll < 0.7 else 1000 if roll < 0.995 else 100_000
        before, after = self.random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]"), (b'{"":[', b"]}")))
        inner = json.dumps(container[key]).encode()
        close = after * deep if self.random.random() < 0.9 else b""
        container[key] = self.placeholder(before * deep + inner + close)


_EDITS: list[tuple[Callable[[_Edit], None], int]] = [
    (_Edit.number, 5),
    (_Edit.string, 5),
    (_Edit.key, 6),
    (_Edit.twice, 3),
    (_Edit.type, 8),
    (_Edit.add, 5),
    (_Edit.remove, 3),
    (_Edit.wrap, 3),
    (_Edit.unwrap, 2),
    (_Edit.nest, 1),
]
_EDIT_NAMES = [edit for edit, _ in _EDITS]
_EDIT_WEIGHTS = [weight for _, weight in _EDITS]


def edit_tree(tree: Any, random: Random) -> bytes:
    """A tree after one to three edits, written."""
    edit = _Edit(tree, random)
    for change in random.choices(_EDIT_NAMES, _EDIT_WEIGHTS, k=random.choice((1, 1, 1, 2, 2, 3))):
        change(edit)
    return edit.written()


def swapped(key: str) -> str:
    """A key in the other spelling."""
    if "_" in key:
        return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), key)
    return re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), key)


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value)) if isinstance(value, dict | list) else value


# -- bytes


def edit_bytes(raw: bytes, random: Random) -> bytes:
    """A text after one to four edits of its bytes."""
    text = bytearray(raw)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        at = random.randint(0, len(text))
        end = min(len(text), at + random.choice((1, 1, 2, 4, 9, 40)))
        roll = random.random()
        if roll < 0.15 and text:
            text[at % len(text)] ^= 1 << random.randrange(8)
        elif roll < 0.25:
            text[at:end] = bytes([random.randrange(256)])
        elif roll < 0.45:
            text[at:at] = random.choice(BYTES)
        elif roll < 0.55:
            del text[at:end]
        elif roll < 0.62:
            text[at:at] = text[at:end]
        elif roll < 0.77:
            del text[at:]
        elif roll < 0.8:
            text[:0] = random.choice(BYTES)
        elif roll < 0.83:
            text += random.choice(BYTES)
        else:
            _edit_token(text, random)
    return bytes(text)


def _edit_token(text: bytearray, random: Random) -> None:
    found = list(_TOKEN.finditer(text))
    if found:
        start, end = random.choice(found).span()
        if text[start : start + 1] == b'"':
            place = random.randint(start + 1, max(start + 1, end - 1))
            text[place:place] = random.choice(IN_STRINGS)
        else:
            text[start:end] = random.choice(NUMBERS)


# -- streams


def _stream(raw: bytes, random: Random) -> bytes:
    """A stream, edited event by event, framed anew, edited as bytes, or some of these."""
    events = events_of(raw)
    for _ in range(random.choice((0, 1, 1, 1, 2, 3))):
        _edit_events(events, random)
    roll = random.random()
    if roll < 0.5:
        text = b"\n\n".join(events) + b"\n\n"
    elif roll < 0.92:
        text = _framed(events, random)
    else:
        text = _as_document(events, random)
    if random.random() < 0.25:
        text = edit_bytes(text, random)
    if random.random() < 0.12:
        text = text[: random.randint(0, len(text))]
    return text


def events_of(raw: bytes) -> list[bytes]:
    """The events of a stream: what is between blank lines, or each line where there are no fields."""
    lines = _LINE_END.split(raw.removeprefix(b"\xef\xbb\xbf"))
    if not is_stream(raw):
        return [line for line in lines if line.strip()]
    events: list[list[bytes]] = [[]]
    for line in lines:
        if line:
            events[-1].append(line)
        elif events[-1]:
            events.append([])
    return [b"\n".join(event) for event in events if event]


def _edit_events(events: list[bytes], random: Random) -> None:
    if not events:
        events.append(random.choice(ODD_EVENTS))
    at = random.randrange(len(events))
    roll = random.random()
    if roll < 0.06:
        del events[at]
    elif roll < 0.12:
        events.insert(random.randint(0, len(events)), events[at])
    elif roll < 0.2:
        events.insert(random.randint(0, len(events)), events.pop(at))
    elif roll < 0.3:
        events.insert(at, random.choice(ODD_EVENTS))
    elif roll < 0.37:
        other = events_of(random.choice(corpus().streams)[1])
        events.insert(at, random.choice(other or [b""]))
    elif roll < 0.42:
        _name, chunk = random.choice(corpus().chunks if random.random() < 0.8 else corpus().bodies)
        events.insert(at, b"data: " + json.dumps(json.loads(chunk)).encode())
    elif roll < 0.48:
        events[at] = events[at][: random.randint(0, len(events[at]))]
    elif roll < 0.52:
        place = random.randint(0, len(events[at]))
        events[at] = events[at][:place] + b"\ndata: " + events[at][place:]
    elif roll < 0.62:
        events[at] = edit_bytes(events[at], random)
    else:
        head, space, data = events[at].partition(b"data:")
        try:
            tree = json.loads(data)
        except (ValueError, RecursionError):
            events[at] = edit_bytes(events[at], random)
        else:
            events[at] = head + space + b" " + edit_tree(tree, random)


def _framed(events: list[bytes], random: Random) -> bytes:
    """Events as another server, or another recorder, writes them."""
    end = random.choice((b"\n", b"\n", b"\r\n", b"\r"))
    blank = random.choice((end, end, end, b"", end + end))
    comments = random.random() < 0.3
    text = bytearray(random.choice((b"", b"", b"", b"\xef\xbb\xbf", b"\n", b" ", b"\r\n", b": hello\n\n", b"\t\n ")))
    style = random.choice(("", "", "", "no space", "no data", "named", "many lines"))
    for event in events:
        if comments and random.random() < 0.4:
            text += random.choice(COMMENTS) + end + blank
        if style == "named":
            text += b"event: message" + end
        for line in event.split(b"\n"):
            if style == "no space":
                text += line.replace(b"data: ", b"data:", 1) + end
            elif style == "no data":
                text += line.removeprefix(b"data:").lstrip() + end
            elif style == "many lines":
                text += (end + b"data: ").join(line.replace(b'",', b'",\n', 1).split(b"\n")) + end
            else:
                text += line + random.choice((end, end, end, end, b"\n"))
        text += blank
    if random.random() < 0.3:
        del text[len(text) - len(blank or end) :]
    return bytes(text)


def _as_document(events: list[bytes], random: Random) -> bytes:
    """The whole stream as one JSON document: the list of its chunks, or its text in a string."""
    if random.random() < 0.5:
        data = [event.rpartition(b"data:")[2].strip() for event in events]
        return b"[" + b",".join(item for item in data if item.startswith(b"{")) + b"]"
    text = b"\n\n".join(events).decode("utf-8", "replace") + "\n\n"
    return json.dumps(text if random.random() < 0.7 else {"response": text}).encode()
