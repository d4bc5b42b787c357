"""Whether the cost is linear: each hostile but legal shape at doubling sizes, up to 16 MiB of it.

    python -m benchmarks.linear [--rounds 3] [--only WORD] [--largest 16777216] [--limit 2.3]

CPU times, the best of the rounds, from 64 KiB up. Doubling a payload may cost at most 2.3 times the time in the mean of
all doublings, and 3 times in the mean of the last two: one alone meets the end of a cache or one more pass of the
garbage collector, what is quadratic is near 4 in both. Over a limit all is measured again, with more rounds; and where
it stays over, beside `msgspec` decoding the same bytes to dictionaries: where that costs more than twice as much too,
new memory is what costs, and only what grows faster counts. Then a million nested containers, refused on a stack of 1
MiB, as a ratio to the time `orjson.loads` takes to refuse the same bytes, at most 5. Exits with 1 where a ratio is
exceeded.
"""

from __future__ import annotations

import argparse
import gc
import math
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

import msgspec
import orjson

from normcompletion import NormalizeError, assemble, iter_events, normalize, normalize_chunk, normalize_many
from normcompletion.payload import REFUSALS

DOUBLINGS = 8  # from 64 KiB, so that what is quadratic shows before it takes minutes
LIMIT = 2.3
ONCE = 3.0
DEEP_LIMIT = 5.0
LEVELS = 1_000_000
LARGEST = 16 * 1024 * 1024 - 4096  # a record may have 16 MiB
SECONDS = 2.5  # a size that takes longer is the last one: the ratios say the rest

_decode = msgspec.json.Decoder().decode
Make = Callable[[int], bytes]
Read = Callable[[bytes], object]


class Shape(NamedTuple):
    """A payload that grows with a number, and who reads it."""

    name: str
    make: Make
    read: Read = normalize


def strict(raw: bytes) -> object:
    """`normalize` in strict mode."""
    return normalize(raw, strict=True)


def many(raw: bytes) -> object:
    """The number of records of a page."""
    return sum(1 for _ in normalize_many([raw], on_error="yield"))


def live(raw: bytes) -> object:
    """The completion of a stream that comes in pieces."""
    return assemble(iter_events(raw[at : at + 1000] for at in range(0, len(raw), 1000)))


def live_bytes(raw: bytes) -> object:
    """The completion of a stream that comes byte by byte."""
    return assemble(iter_events(raw[at : at + 1] for at in range(len(raw))))


def mapping(raw: bytes) -> object:
    """The completion of the payload as a mapping."""
    return normalize(orjson.loads(raw))


def repeated(template: bytes, item: bytes) -> Make:
    """A body with `item` again and again in place of `%s`; `%d` in the item is a number."""

    def make(count: int) -> bytes:
        items = [item.replace(b"%d", b"%d" % number) for number in range(count)] if b"%d" in item else [item] * count
        return template.replace(b"%s", b",".join(items))

    return make


def text(template: bytes, piece: bytes) -> Make:
    """A body with `piece` so often in place of `%s`, nothing between."""
    return lambda count: template.replace(b"%s", piece * count)


def events(first: bytes, item: bytes, end: bytes = b"\n\n") -> Make:
    """A stream with `item` in so many events."""

    def make(count: int) -> bytes:
        body = b"".join(b"data: " + item.replace(b"%d", b"%d" % number) + end for number in range(count))
        return first + body

    return make


CHOICE = b'{"index":%d,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}'
MESSAGE = b'{"choices":[{"index":0,"message":{"role":"assistant",%s},"finish_reason":"stop"}]}'
RECORD = (
    b'{"id":"r%d","organization_id":"o","kind":"chat","status":"finished",'
    b'"response":{"choices":[{"index":0,"message":{"content":"c"},"finish_reason":"stop"}]}}'
)
OPEN = b'data: {"id":"s","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n'
DELTA = b'{"id":"s","object":"chat.completion.chunk","choices":[{"index":0,"delta":{%s},"finish_reason":null}]}'
NESTED = b"[" * 100 + b"]" * 100


def delta(members: bytes) -> bytes:
    """A chunk with members of its delta."""
    return DELTA.replace(b"%s", members)


SHAPES = [
    Shape("choices", repeated(b'{"choices":[%s]}', CHOICE)),
    Shape("choices, strict", repeated(b'{"choices":[%s]}', CHOICE), strict),
    Shape("choices, unknown word each", repeated(b'{"choices":[%s]}', CHOICE.replace(b'"stop"', b'"odd"'))),
    Shape("unknown keys", repeated(b'{"choices":[],%s}', b'"k%d":1')),
    Shape("unknown keys, strict", repeated(b'{"choices":[],%s}', b'"k%d":1'), strict),
    Shape("unknown keys, mapping", repeated(b'{"choices":[],%s}', b'"k%d":1'), mapping),
    Shape("one unknown key in each choice", repeated(b'{"choices":[%s]}', b'{"index":%d,"v":{"a":1}}')),
    Shape("unknown keys in an unknown object", repeated(b'{"choices":[],"v":{%s}}', b'"k%d":1')),
    Shape("keys with ~ and /", repeated(b'{"choices":[],%s}', b'"~/%d":1')),
    Shape("one key again and again", repeated(b'{"choices":[],%s}', b'"k":1')),
    Shape("one key again and again, strict", repeated(b'{"choices":[],%s}', b'"k":1'), strict),
    Shape("distinct keys, one twice, strict", repeated(b'{"choices":[],"k0":0,%s}', b'"k%d":1'), strict),
    Shape("every key twice, strict", repeated(b'{"choices":[],%s}', b'"k%d":1,"k%d":2'), strict),
    Shape("a known key again and again", repeated(b'{"choices":[],%s}', b'"model":"m"')),
    Shape("notes: text as integer", repeated(b'{"choices":[%s]}', b'{"index":"%d"}')),
    Shape("notes: wrong type", repeated(b'{"choices":[%s]}', b'{"index":%d,"finish_reason":{}}')),
    Shape("notes: wrong type, strict", repeated(b'{"choices":[%s]}', b'{"index":%d,"finish_reason":{}}'), strict),
    Shape("notes: half surrogate pairs", repeated(b'{"choices":[],"v":[%s]}', b'"\\ud83d text"')),
    Shape("notes: big integers", repeated(b'{"choices":[],"v":[%s]}', b"123456789012345678901234567890")),
    Shape("gaps in lists of numbers", repeated(
        b'{"choices":[{"text":"t","logprobs":{"content":[%s]}}]}', b'{"token":"t","bytes":[1,null,"x"]}')),
    Shape("one long list of numbers with a gap", repeated(
        b'{"choices":[{"text":"t","logprobs":{"content":[{"bytes":[%s,"x"]}]}}]}', b'"12"')),
    Shape("tool calls", repeated(
        MESSAGE.replace(b"%s", b'"tool_calls":[%s]'), b'{"id":"c%d","function":{"name":"f","arguments":"{}"}}')),
    Shape("tool calls, python arguments", repeated(
        MESSAGE.replace(b"%s", b'"tool_calls":[%s]'), b'{"id":"c%d","function":{"arguments":"{\'a\': 1}"}}')),
    Shape("tool calls, object arguments", repeated(
        MESSAGE.replace(b"%s", b'"tool_calls":[%s]'), b'{"id":"c%d","function":{"arguments":{"a":1}}}')),
    Shape("reasoning details", repeated(
        MESSAGE.replace(b"%s", b'"reasoning_details":[%s]'), b'{"type":"reasoning.text","text":"t","index":%d}')),
    Shape("reasoning details, vendor keys", repeated(
        MESSAGE.replace(b"%s", b'"reasoning_details":[%s]'), b'{"type":"reasoning.text","v":"t","index":%d}')),
    Shape("annotations", repeated(
        MESSAGE.replace(b"%s", b'"annotations":[%s]'), b'{"type":"url_citation","url_citation":{"start_index":%d}}')),
    Shape("parts", repeated(MESSAGE.replace(b"%s", b'"content":[%s]'), b'{"type":"text","text":"t%d"}')),
    Shape("log-probs", repeated(
        b'{"choices":[{"message":{},"logprobs":{"content":[%s]}}]}',
        b'{"token":"t","logprob":-0.5,"bytes":[116],"top_logprobs":[{"token":"t","logprob":-0.5}]}')),
    Shape("legacy log-probs", lambda count: (
        b'{"choices":[{"text":"t","logprobs":{"tokens":[%s],"token_logprobs":[%s],"top_logprobs":[%s]}}]}'
        % (b",".join([b'"t"'] * count), b",".join([b"-0.5"] * count), b",".join([b'{"t":-0.5}'] * count)))),
    Shape("long text", text(MESSAGE.replace(b"%s", b'"content":"%s"'), b"hello ")),
    Shape("long text of escapes", text(MESSAGE.replace(b"%s", b'"content":"%s"'), b"\\u00e9\\n\\\\")),
    Shape("long unknown text of escapes", text(b'{"choices":[],"v":"%s"}', b'\\u00e9\\"')),
    Shape("long text of half pairs", text(MESSAGE.replace(b"%s", b'"content":"%s"'), b"\\ud83d.")),
    Shape("long text, last character half", text(MESSAGE.replace(b"%s", b'"content":"%s\\ud83d"'), b"hello ")),
    Shape("long text of backslashes", text(b'{"choices":[],"v":"%s"}', b"\\\\")),
    Shape("long text that is open", text(b'{"choices":[],"v":"%s', b'\\"[')),
    Shape("long text with a raw newline at its end", text(b'{"choices":[],"v":"%s\n"}', b"\\u00e9")),
    Shape("long key", text(b'{"choices":[],"%s":1}', b"key")),
    Shape("long integer text", text(b'{"choices":[],"usage":{"prompt_tokens":"%s"}}', b"1")),
    Shape("long number text", text(b'{"choices":[],"usage":{"cost":"%s"}}', b"1.")),
    Shape("long fraction", text(b'{"choices":[],"usage":{"cost":0.%s}}', b"1")),
    Shape("many fractions", repeated(b'{"choices":[],"v":[%s]}', b"0." + b"123456789" * 80)),
    Shape("many long integers", repeated(b'{"choices":[],"v":[%s]}', b"9" * 4000)),
    Shape("spaces", text(b'{"choices":[]%s}', b" \n")),
    Shape("spaces in front", text(b'%s{"choices":[]}', b" \n")),
    Shape("only spaces", text(b"%s", b" \n")),
    Shape("spaces behind, and a second value", text(b'{"choices":[]}%s1', b" \n")),
    Shape("small lists", repeated(b'{"choices":[],"v":[%s]}', b"[]")),
    Shape("small objects", repeated(b'{"choices":[],"v":[%s]}', b'{"a":{}}')),
    Shape("deep lists, legal", repeated(b'{"choices":[],"v":[%s]}', NESTED)),
    Shape("deep lists, half pairs", repeated(
        b'{"choices":[],"v":[%s]}', NESTED.replace(b"[]", b'["\\ud83d text"]'))),
    Shape("open braces in a text", text(b'{"choices":[],"v":"%s","w":{}}', b"[{")),
    Shape("list of closing brackets", text(b'{"choices":[],"v":%s', b"]")),
    Shape("error metadata", repeated(
        b'{"error":{"message":"m","code":1,"metadata":{%s}}}', b'"k%d":[1,"two"]')),
    Shape("error metadata in a choice", repeated(
        b'{"choices":[{"error":{"message":"m","metadata":{%s}}}]}', b'"k%d":[1,"two"]')),
    Shape("log10 page", repeated(b'{"data":[%s],"total":1}', RECORD), many),
    Shape("log10 list", repeated(b"[%s]", RECORD), many),
    Shape("log10 list, all refused", repeated(b"[%s]", b'{"n":%d}'), many),
    Shape("log10 request as text", text(
        b'{"id":"r","organization_id":"o","kind":"chat","status":"finished","request":"{\\"m\\":[%s0]}",'
        b'"response":{"choices":[]}}', b'{\\"a\\":1},')),
    Shape("log10 tags", repeated(
        b'{"id":"r","organization_id":"o","kind":"chat","status":"finished","tags":[%s],"response":{"choices":[]}}',
        b'{"id":"t%d","name":"n"}')),
    Shape("stream, small events", events(OPEN, delta(b'"content":"x"'))),
    Shape("stream, small events, strict", events(OPEN, delta(b'"content":"x"')), strict),
    Shape("stream, live", events(OPEN, delta(b'"content":"x"')), live),
    Shape("stream, live, byte by byte", events(OPEN, delta(b'"content":"x"')), live_bytes),
    Shape("stream, vendor key", events(OPEN, delta(b'"content":"x","vendor":%d'))),
    Shape("stream, new vendor key each", events(OPEN, delta(b'"content":"x","vendor%d":1'))),
    Shape("stream, new choice each", events(OPEN, delta(b'"content":"x"').replace(b'"index":0', b'"index":%d'))),
    Shape("stream, new tool call each", events(
        OPEN, delta(b'"tool_calls":[{"index":%d,"id":"c%d","function":{"arguments":"{"}}]'))),
    Shape("stream, one tool call", events(
        OPEN, delta(b'"tool_calls":[{"index":0,"function":{"arguments":"%d"}}]'))),
    Shape("stream, reasoning details", events(
        OPEN, delta(b'"reasoning_details":[{"type":"reasoning.text","text":"%d","index":0}]'))),
    Shape("stream, new reasoning detail each", events(
        OPEN, delta(b'"reasoning_details":[{"type":"reasoning.text","text":"t","index":%d}]'))),
    Shape("stream, annotations", events(
        OPEN, delta(b'"annotations":[{"type":"url_citation","url_citation":{"url":"u%d"}}]'))),
    Shape("stream, images", events(OPEN, delta(b'"images":[{"type":"image_url","image_url":{"url":"u%d"}}]'))),
    Shape("stream, parts", events(OPEN, delta(b'"content":[{"type":"text","text":"%d"}]'))),
    Shape("stream, log-probs", events(OPEN, delta(b'"content":"x"').replace(
        b'"finish_reason"', b'"logprobs":{"content":[{"token":"x"}]},"finish_reason"'))),
    Shape("stream, another id each", events(OPEN, delta(b'"content":"x"').replace(b'"id":"s"', b'"id":"s%d"'))),
    Shape("stream, usage each", events(
        OPEN, delta(b'"content":"x"').replace(b'"object"', b'"usage":{"prompt_tokens":%d},"object"'))),
    Shape("stream, comments", events(OPEN, b"", b"\n: keep-alive\n\n")),
    Shape("stream, unknown events", events(OPEN, b'{"type":"ping%d"}')),
    Shape("stream, one event of many lines", events(OPEN + b"data: {\n", b'"k%d":1,', b"\n")),
    Shape("stream, lines without blanks", events(OPEN, delta(b'"content":"x"'), b"\n")),
    Shape("stream, CRLF", events(OPEN, delta(b'"content":"x"'), b"\r\n\r\n")),
    Shape("stream, CR", events(OPEN, delta(b'"content":"x"'), b"\r\r"), live_bytes),
    Shape("stream, one chunk a line", lambda count: b"\n".join([delta(b'"content":"x"')] * count)),
    Shape("stream, list of chunks", repeated(b"[%s]", delta(b'"content":"%d"'))),
    Shape("one long comment, byte by byte", text(b": %s\n\n" + OPEN, b"comment "), live_bytes),
    Shape("one long event, byte by byte", text(OPEN + b'data: {"choices":[],"v":"%s"}\n\n', b"text "), live_bytes),
    Shape("chunk, vendor keys", repeated(
        b'{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{%s}}]}', b'"k%d":1'), normalize_chunk),
]  # fmt: skip


def count_for(make: Make, size: int) -> int:
    """The number that makes a payload of about so many bytes."""
    few = len(make(64)) - len(make(32))
    count = max(1, (size * 32) // max(few, 1))
    while len(make(count)) > size and count > 1:  # numbers grow in digits
        count = count * 9 // 10
    return count


def cost(read: Read, raw: bytes, rounds: int) -> float:
    """The best CPU time of some rounds, in seconds."""
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        gc.freeze()  # what was there before is no cost of this payload
        start = time.process_time()
        with suppress(NormalizeError):
            read(raw)
        best = min(best, time.process_time() - start)
        if best > SECONDS:
            break
    return best


def ratios(shape: Shape, rounds: int, largest: int) -> tuple[list[float], list[float], int]:
    """Times of the doubling sizes, their ratios, and the largest size that was read."""
    slow = shape.read is live_bytes
    top = largest // (16 if slow else 1)
    count = max(1, count_for(shape.make, top) >> DOUBLINGS)
    times: list[float] = []
    size = 0
    for doubling in range(DOUBLINGS + 1):
        raw = shape.make(count << doubling)
        size = len(raw)
        times.append(cost(shape.read, raw, rounds))
        if times[-1] > SECONDS and len(times) > 1:
            break
    return times, [b / a for a, b in pairwise(times)], size


def plain(raw: bytes) -> object:
    """The payload as dictionaries."""
    with suppress(*REFUSALS):
        return _decode(raw)
    return None


def exceeded(found: list[float], limit: float) -> bool:
    """Whether the ratios of doublings, smallest size first, are those of something worse than linear."""
    return mean(found) > limit or mean(found[-2:]) > limit + ONCE - LIMIT


def mean(found: list[float]) -> float:
    """The geometric mean of ratios."""
    return math.prod(found) ** (1 / len(found))


def linear(options: argparse.Namespace) -> bool:
    """Print a row for each shape; whether all are linear."""
    good = True
    print(f"\n{'shape':<42}{'bytes':>12}{'seconds':>9}{'MB/s':>8}   ratios of the last doublings")
    for shape in SHAPES:
        if options.only not in shape.name:
            continue
        times, found, size = ratios(shape, options.rounds, options.largest)
        if exceeded(found, options.limit):  # a stall of the machine, or a fault: it shows again or it does not
            again = ratios(shape, 3 * options.rounds, options.largest)
            found = [min(pair) for pair in zip(found, again[1], strict=False)]
            times, size = again[0], again[2]
        bad, mark = exceeded(found, options.limit), ""
        row = " ".join(f"{ratio:.2f}" for ratio in found[-4:])
        if bad:
            beside = ratios(shape._replace(read=plain), options.rounds, options.largest)[1]
            faster = [ours * 2 / max(theirs, 2) for ours, theirs in zip(found, beside, strict=False)]
            bad = exceeded(faster, options.limit)
            mark = "   beside " + " ".join(f"{ratio:.2f}" for ratio in beside[-4:]) + "   TOO MUCH" * bad
        good = good and not bad
        print(f"{shape.name:<42}{size:>12,}{times[-1]:>9.3f}{size / 1e6 / times[-1]:>8.1f}   {row}{mark}", flush=True)
    return good


POSITIONS = {
    "known": b'{"model":%s,"choices":[]}',
    "unknown": b'{"choices":[],"vendor":%s}',
    "free-form": b'{"choices":[{"error":{"message":"m","metadata":%s}}]}',
    "arguments": b'{"choices":[{"message":{"tool_calls":[{"function":{"arguments":%s}}]}}]}',
}
DEEP = {
    "arrays": b"[" * LEVELS + b"]" * LEVELS,
    "open arrays": b"[" * LEVELS,
    "objects": b'{"a":' * LEVELS + b"1" + b"}" * LEVELS,
}


def deep(rounds: int) -> bool:
    """Print the ratios to `orjson.loads` for a million levels, from this thread; whether all are within the limit."""
    good = True
    print(f"\n{'a million levels':<42}{'orjson ms':>12}{'ours ms':>9}{'ratio':>8}")
    for kind, value in DEEP.items():
        for position, body in POSITIONS.items():
            raw = body.replace(b"%s", value)

            def peer(raw: bytes) -> None:
                with suppress(orjson.JSONDecodeError):
                    orjson.loads(raw)

            theirs, ours = cost_fine(peer, raw, rounds), cost_fine(refused, raw, rounds)
            bad = ours / theirs > DEEP_LIMIT
            good = good and not bad
            mark = "   TOO MUCH" if bad else ""
            print(f"{kind + ', ' + position:<42}{theirs * 1e3:>12.3f}{ours * 1e3:>9.3f}{ours / theirs:>8.1f}{mark}")
    return good


def refused(raw: bytes) -> None:
    """Read what must be refused."""
    try:
        normalize(raw)
    except NormalizeError as error:
        if error.code != "too_deep":
            raise
        return
    raise SystemExit("a million levels were accepted")


def cost_fine(read: Callable[[bytes], None], raw: bytes, rounds: int) -> float:
    """The best time of several calls, in seconds, by the fine clock."""
    best = float("inf")
    for _ in range(5 * rounds):
        start = time.perf_counter()
        read(raw)
        best = min(best, time.perf_counter() - start)
    return best


def on_a_small_stack(rounds: int) -> int:
    """`deep` on a thread with a stack of 1 MiB; the code to exit with."""
    results: list[bool] = []
    threading.stack_size(1 << 20)
    thread = threading.Thread(target=lambda: results.append(deep(rounds)))
    thread.start()
    thread.join()
    return 0 if results == [True] else 1


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="whether the cost of hostile payloads is linear")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="shapes with this word in their name")
    parser.add_argument("--largest", type=int, default=LARGEST, help="bytes of the largest payload")
    parser.add_argument("--limit", type=float, default=LIMIT)
    parser.add_argument("--deep", action="store_true", help="only the million levels, in this process")
    options = parser.parse_args()
    if options.deep:
        sys.exit(on_a_small_stack(options.rounds))
    print(f"CPython {platform.python_version()}, orjson {orjson.__version__}")
    good = linear(options)
    code = 0
    if not options.only:
        command = [sys.executable, "-m", "benchmarks.linear", "--deep", "--rounds", str(options.rounds)]
        code = subprocess.run(command, check=False).returncode
        if code not in (0, 1):
            print(f"a million levels ended the process with {code}")
    sys.exit(0 if good and code == 0 else 1)


if __name__ == "__main__":
    main()
