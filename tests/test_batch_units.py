"""Bytes to units, in blocks."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from normcompletion.batch import unreadable
from normcompletion.batch.blocks import Position
from normcompletion.batch.forms import detection, feed
from normcompletion.batch.inputs import IncompleteInput, Input, open_decoded
from normcompletion.batch.units import Block, Range, Unit, blocks, form_of, read_range, units_of
from tests.conftest import examples, memory_of

FOLDER = Path(tempfile.mkdtemp(prefix="normcompletion-units-"))
LIMIT = 1 << 20
G = b'{"id":"a","choices":[{"x":"}]\\"{["}]}'
BAD = b'{"id":"broken","choices":['


def written(data: bytes, name: str = "log") -> Input:
    path = FOLDER / name
    path.write_bytes(data)
    return Input(name, str(path))


def cut(data: bytes, **options: Any) -> list[Block]:
    """The blocks of a text, ranges read."""
    options.setdefault("max_record_bytes", LIMIT)
    found = []
    with open_decoded(written(data)) as source:
        for block in blocks(source, **options):
            found += read_range(block) if isinstance(block.data, Range) else [block]
    return found


def unit_list(data: bytes, **options: Any) -> list[Unit]:
    """The units of a text. Those of ranges are numbered as the engine numbers them."""
    found: list[Unit] = []
    for block in cut(data, **options):
        more = list(units_of(block, options.get("max_record_bytes", LIMIT)))
        if options.get("ranges"):
            assert [unit.line for unit in more] == list(range(more[0].line, more[0].line + len(more)))
            more = [unit._replace(line=len(found) + 1 + place) for place, unit in enumerate(more)]
        found += more
    return found


@contextmanager
def reading(size: int, look: int = detection.LOOK) -> Iterator[None]:
    """Inputs are read in pieces of a size, and their form is detected by so many bytes at first."""
    with mock.patch.object(feed, "READ", size), mock.patch.object(detection, "LOOK", look):
        yield


def form(data: bytes) -> str:
    with open_decoded(written(data)) as source:
        return form_of(source, LIMIT)[0]


def naive_lines(data: bytes, limit: int) -> list[Unit]:
    """The lines of a text, by the plainest code that can be."""
    found = []
    offset = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    for line, text in enumerate(data[offset:].split(b"\n"), 1):
        length = len(text) + (offset + len(text) < len(data))
        if length:
            found.append(Unit(line, offset, length, text.removeprefix(b"\x1e") if len(text) <= limit else None))
        offset += length
    return found


# -- lines

LINES = {
    "nothing": b"",
    "only line feeds": b"\n\n\n",
    "blank lines": G + b"\n   \n\t\n" + G,
    "CRLF": b"\r\n".join([G, G, b""]),
    "no last line feed": G + b"\n" + G,
    "a byte-order mark": b"\xef\xbb\xbf" + G + b"\n" + G,
    "a byte-order mark inside": G + b"\n\xef\xbb\xbf" + G,
    "a bad first line": BAD + b"\n" + G + b"\n",
    "a bad first line in a string": b'{"id":"abc\n' + G + b"\n",
    "a bad first line before blank ones": BAD + b"\n\n\n" + G + b"\n",
    "only bad lines": (BAD + b"\n") * 5,
    "one bad line": BAD,
    "line separators of Unicode": '{"a":"\u2028\u2029\u0085"}\n{}'.encode(),
    "control characters": b'{"a":"\x0b\x0c\x1c\x1e"}\n{}\n',
    "a lone carriage return": G + b"\r" + G + b"\n" + G + b"\n",
    "NUL behind": G + b"\n" + bytes(5000),
    "NUL before": bytes(40) + G + b"\n" + G,
    "record separators": b"\x1e" + G + b"\n\x1e" + G + b"\n",
    "scalars": b'1\nnull\n"x"\n[]\ntrue\n' + G,
    "pairs": b"[{},{}]\n[{},{}]\n",
    "one pair": b'[{"model":"m"},{"choices":[{"index":0}]}]\n',
    "a failed pair with metadata": b'[{"model":"m"},["timeout"],{"c":3}]',
    "the chunks of a stream": b"[%b]" % b",".join([b'{"choices":[{"index":0,"delta":{"content":"x"}}]}'] * 9),
    "a cut pair first": b'[{},{"a":\n[{},{}]\n',
    "lists": b"[1,2,3,4,5]\n[]\n[6]",
    "a list in a string cut": b'["abc\n[1]\n',
    "words": b"hello\nworld\n",
    "a short first line": b"{}\n{\n}\n",
    "a number before an open bracket": b"1\n{\n",
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("ranges", [False, True])
def test_lines_are_lines(name, ranges):
    """Every text that is one value a line, or broken so, is cut at its line feeds and nowhere else."""
    assert form(LINES[name]) == "lines"
    assert unit_list(LINES[name], ranges=ranges) == naive_lines(LINES[name], LIMIT)


TEXTS = st.lists(
    st.sampled_from(
        [b"\n", b"\r", b" ", b"{", b"}", b"[", b'"', b"\\", b",", b"1", G, b"x" * 30, b"\xff", b"\xef\xbb\xbf"]
    ),
    max_size=40,
).map(b"".join)


@examples(60)
@given(TEXTS, st.integers(4, 80), st.integers(0, 60), st.integers(1, 40))
def test_lines_do_not_depend_on_how_they_are_read(text, window, limit, size):
    """Any window, limit and size of reads, in ranges or not, give the naive lines; only one line is a larger block."""
    text = b"1\n" + text  # a first line that makes them lines
    expected = naive_lines(text, limit)
    with reading(size, size):
        for ranges in (False, True):
            found = cut(text, max_record_bytes=limit, block_bytes=window, ranges=ranges)
            assert [unit for block in found for unit in units_of(block, limit)] == expected
            for block in found:
                assert block.size <= window or len(list(units_of(block))) == 1
    assert unit_list(text, max_record_bytes=limit, block_bytes=window, ranges=True) == expected
    assert unit_list(text, max_record_bytes=limit, block_bytes=window) == expected


@examples(60)
@example(text=b"x" * 30 + b"\n" + b"y" * 30 + b"\nz\n", window=4, bom=False, ranges=False)
@example(text=(b"x" * 75 + b"\n") * 2, window=51, bom=False, ranges=False)  # both are longer than the limit
@given(TEXTS, st.integers(4, 80), st.booleans(), st.booleans())
def test_a_run_can_begin_at_any_block(text, window, bom, ranges):
    """From the place of any block on, the blocks are those of the whole that come after it."""
    text = (b"\xef\xbb\xbf" if bom else b"") + b"1\n" + text
    options = {"max_record_bytes": 50, "block_bytes": window, "ranges": ranges}
    whole = cut(text, **options)
    for place, block in enumerate(whole):
        assert cut(text, start=Position(0, block.offset, block.line), **options) == whole[place:]


@given(st.lists(st.integers(0, 30), max_size=30), st.integers(1, 40), st.integers(0, 400), st.booleans())
def test_ranges_count_their_lines(lengths, size, offset, ended):
    """Ranges of any size, from any line on, number their lines as those of the whole file."""
    text = b"\n".join(b"x" * length for length in lengths) + b"\n" * ended
    source = Input("log", str(FOLDER / "ranges"))
    Path(source.path).write_bytes(text)
    whole = [unit for block in cut(text) for unit in units_of(block)]
    begin = next((unit for unit in whole if unit.offset >= offset), None)
    if begin is None:
        return
    with open_decoded(source) as opened:
        found = list(blocks(opened, Position(0, begin.offset, begin.line), ranges=True, block_bytes=size))
    numbered = [unit for block in found for part in read_range(block) for unit in units_of(part)]
    assert numbered == whole[whole.index(begin) :]


@pytest.mark.parametrize("ranges", [False, True])
def test_a_line_that_is_too_long_is_never_held(ranges):
    """A line of 128 MiB between two others is a unit without text, and no more than a few MiB are held."""
    path = FOLDER / "sparse"
    length = 128 << 20
    with path.open("wb") as stream:
        stream.write(G + b"\n")
        stream.seek(length, 1)
        stream.write(b"\n" + G + b"\n")
    found: list[Unit] = []

    def read() -> None:
        with open_decoded(Input("sparse", str(path))) as source:
            for block in blocks(source, max_record_bytes=LIMIT, ranges=ranges):
                for part in read_range(block) if isinstance(block.data, Range) else [block]:
                    found.extend(units_of(part))

    _, peak = memory_of(read)
    path.unlink()
    first = len(G) + 1
    assert [unit[1:4] for unit in found] == [
        (0, first, G),
        (first, length + 1, None),
        (first + length + 1, first, G),
    ]
    assert peak < 8 << 20


@pytest.mark.parametrize("ranges", [False, True])
def test_a_log_that_grows_ends_where_it_was_opened(ranges):
    """Lines that are begun after a plain file was opened are not read; the last one of before is read to its end."""
    source = open_decoded(written(G + b"\n" + G[:9]))
    with (FOLDER / "log").open("ab") as stream:
        stream.write(G[9:] + b"\n" + G + b"\n")
    with source:
        found = list(blocks(source, ranges=ranges))
        parts = [part for block in found for part in (read_range(block) if ranges else [block])]
    assert [unit.text for part in parts for unit in units_of(part)] == [G, G]


def test_a_log_that_shrinks_is_incomplete():
    """A range of which a part is gone gives what is left and then says so."""
    with open_decoded(written((G + b"\n") * 3)) as source:
        (block,) = blocks(source, ranges=True)
    written((G + b"\n") * 2)
    parts = read_range(block)
    assert next(parts).data == (G + b"\n") * 2
    with pytest.raises(IncompleteInput, match="cut off while it was read"):
        next(parts)


def test_what_precedes_a_break_is_given():
    """A cut archive gives its lines, the last one as far as it came, and then the error."""
    text = b"".join(b'{"n":%d,"x":"%d"}\n' % (number, number**9) for number in range(2000))
    packed = gzip.compress(text)
    found: list[Unit] = []
    with open_decoded(written(packed[: len(packed) // 2])) as source, pytest.raises(IncompleteInput) as caught:
        for block in blocks(source, block_bytes=1000):
            found += units_of(block)
    length = caught.value.offset
    assert 1000 < length < len(text)
    assert found == naive_lines(text[:length], LIMIT)


# -- values and arrays

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text('ab"\\{}[],:\n\u2028', max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('a"}', max_size=2), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text('ab"\\{}[],', min_size=1, max_size=4), VALUES, min_size=1, max_size=3)


def shown(value: Any, style: str) -> str:
    indent = {"indented": 2, "tabs": "\t", "flat": 0}.get(style)
    return json.dumps(value, indent=indent, ensure_ascii=style == "flat")


@examples(60)
@given(
    st.lists(OBJECTS, min_size=1, max_size=5),
    st.sampled_from(["compact", "indented", "tabs", "flat"]),
    st.sampled_from(["\n", "", " ", "\n\n", ",\n", "\r\n"]),
    st.integers(1, 30),
)
def test_values_one_after_the_other_are_units(values, style, between, size):
    """Objects in a row, pretty-printed or not, each give one unit with its own text, line and offset."""
    text = between.join(shown(value, style) for value in values).encode()
    with reading(size, size * 20):
        found = [
            unit for unit in unit_list(text, block_bytes=64) if (unit.text or b"").strip()
        ]  # blank lines are units
    assert [json.loads(unit.text or b"") for unit in found] == values
    for unit in found:
        assert unit.line == text[: unit.offset].count(b"\n") + 1
        if form(text) == "values":
            assert text[unit.offset : unit.offset + unit.length] == unit.text


@examples(60)
@given(
    st.lists(VALUES, min_size=4, max_size=7),
    st.sampled_from(["indented", "tabs", "flat", "compact", "lines", "tight lines"]),
    st.integers(1, 30),
)
def test_the_elements_of_an_array_are_units(values, style, size):
    """The elements of an array, however it is printed, each give one unit; the array itself is none."""
    if style == "lines":
        text = "[\n" + ",\n".join(map(json.dumps, values)) + "\n]\n"
    elif style == "tight lines":
        text = "[" + ",\n".join(map(json.dumps, values)) + "]"
    else:
        text = shown(values, style)
    raw = text.encode()
    assert form(raw) == "array"
    with reading(size):
        found = unit_list(raw, block_bytes=32)
    assert [json.loads(unit.text or b"") for unit in found] == values
    for unit in found:
        assert unit.line == raw[: unit.offset].count(b"\n") + 1
        assert raw[unit.offset : unit.offset + unit.length] == unit.text
        assert [later for later in found if later.offset >= unit.offset] == unit_list(
            raw, start=Position(0, unit.offset, unit.line)
        )


PRETTY = json.dumps(json.loads(G), indent=2).encode()


@pytest.mark.parametrize(
    ("text", "words", "found"),
    [
        (PRETTY, "values", [PRETTY]),
        (PRETTY + b"\n" + G, "values", [PRETTY, G]),
        (G + G + b"\n" + G, "values", [G, G, G]),
        (G + b" " + G, "values", [G, G]),
        (G + b",\n" + G + b",\n", "values", [G, G]),
        (b"[]", "array", []),
        (b"[ ]\n", "array", []),
        (b"[1]", "array", [b"1"]),
        (b"[" + G + b"]\n", "array", [G]),
        (b'["a,]b", "\\"", {}, [1,[2]], null]', "array", [b'"a,]b"', b'"\\""', b"{}", b"[1,[2]]", b"null"]),
        (b"[1,2,3,4][5]\n{}", "lines", [b"[1,2,3,4][5]", b"{}"]),
        (b"[\n1\n]\n[\n2\n]\n" + G, "array", [b"1", b"2", G]),
        (b"\n\n [\n{},\n{}\n]", "array", [b"{}", b"{}"]),
        (b"data: " + G + b"\n\ndata: [DONE]\n", "stream", [b"data: " + G + b"\n\ndata: [DONE]\n"]),
        (b"\xef\xbb\xbf: hello\n\n", "stream", [b": hello\n\n"]),
        (b"\xef\xbb\xbf" + PRETTY, "values", [PRETTY]),
    ],
)
def test_the_form_is_detected_by_the_beginning(text, words, found):
    """Each form is recognised, and gives its units."""
    assert form(text) == words
    assert [unit.text for unit in unit_list(text)] == found


def test_a_value_that_was_cut_off_is_one_unit():
    """In indented text the next value begins where its line does: what was cut off before it is one unit, no more."""
    cut_off = PRETTY[:30]
    text = b"\n".join([PRETTY, cut_off, PRETTY, cut_off, cut_off, PRETTY])
    assert [unit.text for unit in unit_list(text)] == [PRETTY, cut_off, PRETTY, cut_off, cut_off, PRETTY]
    indented = PRETTY.replace(b"\n", b"\n  ")
    broken = indented[:30]
    array = b"[\n  " + indented + b",\n  " + broken + b"\n  " + indented + b"\n]"
    assert [unit.text for unit in unit_list(array)] == [indented, broken, indented]


def test_what_is_no_value_is_refused_line_by_line():
    """Between values, text that begins none is one unit up to the end of its line, in an array up to the next comma."""
    text = PRETTY + b"\nhello }{\n" + PRETTY + b"\n\0\0\n" + PRETTY
    assert [unit.text for unit in unit_list(text)] == [PRETTY, b"hello }{", PRETTY, b"\0\0", PRETTY]
    array = b'[{},\n}x, tru {}, "a" 5]'
    assert [unit.text for unit in unit_list(array)] == [b"{}", b"}x", b"tru", b"{}", b'"a"', b"5"]


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        (b"[\n" + G + b",\n" + G, [G, G]),
        (b"[\n" + G + b",\n" + G[:20], [G, G[:20]]),
        (b"[1,2,3,4,", [b"1", b"2", b"3", b"4"]),
        (b"[", []),
    ],
)
def test_an_array_without_its_end_is_incomplete(text, elements):
    """An array that is not closed gives the elements that are there, and then says so."""
    found: list[Unit] = []
    with open_decoded(written(text)) as source, pytest.raises(IncompleteInput, match="not closed"):
        for block in blocks(source):
            found += units_of(block)
    assert [unit.text for unit in found] == elements


@pytest.mark.parametrize("size", [10, 1000, 1 << 20])
def test_an_element_that_is_too_long_is_passed_over(size):
    """An element over the limit has its true place and length and no text, and those around it are whole."""
    long = b'{"a":"' + b'x\\"}' * 5000 + b'","b":[1,{}]}'
    for text in (
        b"[" + b",".join([G, long, G, G]) + b"]",
        b"[\n" + b",\n".join([G, long, G]) + b"\n]",
        PRETTY + long + G,
    ):
        with reading(size):
            found = unit_list(text, max_record_bytes=1000)
        (passed,) = [unit for unit in found if unit.text is None]
        assert (passed.offset, passed.length) == (text.index(long), len(long))
        assert {unit.text for unit in found} - {None, PRETTY} == {G}


def test_a_long_array_is_never_held():
    """The elements of an array of 32 MiB come while no more than a few MiB are held."""
    path = FOLDER / "array"
    element = G[:-1] + b',"x":"' + b"x" * 8000 + b'"}'
    with path.open("wb") as stream:
        stream.write(b"[" + b",".join([element] * 4000) + b"]")

    def read() -> None:
        with open_decoded(Input("array", str(path))) as source:
            elements = (unit.text for block in blocks(source, max_record_bytes=LIMIT) for unit in units_of(block))
            assert sum(text == element for text in elements) == 4000

    _, peak = memory_of(read)
    path.unlink()
    assert peak < 8 << 20


CHUNK = b'{"id":"%b","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}'
STREAM = b"data: " + CHUNK % b"a" + b"\n\ndata: [DONE]\n\n"
WHOLE = b'{"id":"w","choices":[{"index":0,"message":{"content":"x"}}]}\n'
HEADERS = b"HTTP/2 200 \r\ncontent-type: text/event-stream\r\n\r\n"
VERBOSE = b"* Connected\n> POST / HTTP/2\n>\n< HTTP/2 200\n<\n"
INDENTED = json.dumps(json.loads(WHOLE), indent=1).encode() + b"\n"
APPENDED: dict[str, list[tuple[bytes, str]]] = {
    "two streams": [(STREAM, ""), (STREAM, "")],
    "without an end": [(STREAM[:-15], ""), (STREAM.replace(b'"a"', b'"b"'), "")],
    "headers": [(HEADERS, "headers"), (STREAM, ""), (HEADERS, "headers"), (STREAM, "")],
    "headers of curl -v": [(VERBOSE, "headers"), (STREAM, "")],
    "headers before a body": [(HEADERS, "headers"), (WHOLE, "")],
    "a separator": [(STREAM, ""), (b"--- next ---\n", "foreign"), (STREAM, "")],
    "a body between": [(STREAM, ""), (WHOLE, ""), (STREAM, "")],
    "a body first": [(WHOLE, ""), (STREAM, "")],
    "an error page": [(STREAM, ""), (b"<html>busy</html>\n", "foreign"), (STREAM, "")],
    "a log before a pretty body": [(b"INFO calling\n", "foreign"), (INDENTED, ""), (b"INFO done\n", "foreign")],
}


@pytest.mark.parametrize("name", APPENDED)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_each_answer_in_a_text_is_a_unit(name, size):
    """Streams, bodies and foreign texts that were appended are cut where each ends, however they are read."""
    text = b"".join(part for part, _ in APPENDED[name])
    with reading(size):
        found = unit_list(text)
    assert form(text) == "stream"
    assert [(unit.text, unit.kind) for unit in found] == APPENDED[name]
    offset = 0
    for unit in found:
        assert (unit.offset, unit.line) == (offset, text.count(b"\n", 0, offset) + 1)
        offset += unit.length


def test_a_stream_that_is_too_long_is_passed_over():
    """A saved stream over the limit is one unit without text, with its length."""
    text = b"data: {}\n\n" * 500
    assert unit_list(text, max_record_bytes=1000) == [Unit(1, 0, len(text), None)]
    assert unit_list(text, max_record_bytes=len(text)) == [Unit(1, 0, len(text), text)]


@examples(60)
@given(TEXTS, st.integers(1, 40), st.sampled_from([b"", b"[", b"[\n", b"{\n", G + b",", b'["a",[],{},']))
def test_any_bytes_give_units_that_cover_them(text, size, start):
    """Any bytes that are not refused by name give units in order, which leave out nothing but separators.

    Each holds what is at its place, and how much is read at once makes no difference.
    """
    text = start + text
    assume(unreadable.advice(text, "log") is None)

    def found() -> tuple[list[Unit], int | None]:
        got: list[Unit] = []
        try:
            with open_decoded(written(text)) as source:
                for block in blocks(source, max_record_bytes=LIMIT, block_bytes=16):
                    got += units_of(block)
        except IncompleteInput as broken:
            return got, broken.offset
        return got, None

    if text.startswith(b"\xef\xbb\xbf"):
        text = b" " + text
    expected = found()
    with reading(size):
        assert found() == expected
    here = 0
    for unit in expected[0]:
        assert unit.offset >= here
        assert not text[here : unit.offset].strip(b" \t\r\n,[]\x1e")
        assert text[unit.offset : unit.offset + unit.length].rstrip(b"\n") == (unit.text or b"").rstrip(b"\n")
        here = unit.offset + unit.length
    assert not text[here:].strip(b" \t\r\n,[]\x1e")
