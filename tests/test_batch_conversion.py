"""Blocks to records and rejects: the fast path, the general path, and what becomes of each unit."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator

import pytest

from normcompletion import (
    Completion,
    EncryptedPayloadError,
    NormalizeError,
    ServiceError,
    SourceReportedError,
    arrow,
    normalize_many,
)
from normcompletion.batch import convert
from normcompletion.batch.conversion import Conversion, Found, units
from normcompletion.batch.options import Options
from normcompletion.batch.units import Block, Range, Unit
from normcompletion.batch.written import Converter
from normcompletion.envelopes.options import Envelopes
from tests.conftest import WHOLE, invented, json_lines

SOURCES = (None, "openai", "atoma", "log10", "openrouter")


def chat(number: int, **more: object) -> bytes:
    """A chat in canonical words."""
    message = {"role": "assistant", "content": f"answer {number}"}
    body = {"id": f"c-{number}", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    return json.dumps(body | more, separators=(",", ":")).encode()


BROKEN = b'{"choices":['
GATEWAY = chat(0, provider="P")[:-1].replace(b'"stop"', b'"stop","native_finish_reason":"STOP"') + b"}"
TIGHT = [chat(1), chat(2, created=5), GATEWAY, chat(3, usage={"prompt_tokens": 1, "is_byok": True})]


def one_line(raw: bytes) -> bytes:
    """A payload as a line: in JSON, line feeds are white space."""
    return b" ".join(raw.split(b"\n")).strip()


def everything() -> list[bytes]:
    """Every fixture and every invented body as a line, those that are refused too."""
    texts = [pair.raw for pair in WHOLE] + [raw for _, raw in invented()]
    return [line for raw in texts if (line := one_line(raw))]


def singly(line: bytes, source: str | None = None) -> list[Completion | str]:
    """What a line gives on its own, in bulk: completions, and the codes of refusals."""
    found: list[Completion | str] = []
    for item in normalize_many([line], on_error="yield", source=source):
        if isinstance(item, EncryptedPayloadError):
            item.completion.error = ServiceError(code="encrypted", message="the body is encrypted")
            found.append(item.completion)
        elif isinstance(item, SourceReportedError):
            found.append(item.completion)
        else:
            found.append(item.code if isinstance(item, NormalizeError) else item)
    return found


def block(lines: Iterable[bytes]) -> Block:
    return Block(0, 1, 0, b"\n".join(lines) + b"\n")


def in_order(found: Found) -> Iterator[Completion | str]:
    """The completions and the codes of rejects, in the order of the units."""
    done = 0
    for place, reject in found.rejects:
        yield from found.completions[done:place]
        done = place
        yield reject.code
    yield from found.completions[done:]


def as_json(items: Iterable[Completion | str]) -> list[bytes]:
    return [item.encode() if isinstance(item, str) else item.to_json() for item in items]


@pytest.mark.parametrize("source", SOURCES)
def test_a_block_gives_what_its_lines_give_one_by_one(source):
    """Blocks of canonical chats, vendor keys, pages, failed calls and broken lines, mixed at random, lose no record."""
    lines = everything()
    chance = random.Random(7)
    for _ in range(12):
        some = [chance.choice(TIGHT if chance.random() < 0.8 else lines) for _ in range(chance.randrange(1, 400))]
        found = Conversion(Options(source=source, envelopes=Envelopes(envelope="bare")))([block(some)])
        assert as_json(in_order(found)) == as_json(item for line in some for item in singly(line, source))
        assert found.report.units == len(some) == found.report.converted + found.report.rejected


def test_what_was_read_before_changes_nothing():
    """The same block gives the same, whatever the same conversion has read before."""
    lines = everything()
    conversion = Conversion(Options())
    first = as_json(in_order(conversion([block(lines)])))
    for some in (TIGHT * 100, lines[::-1], [BROKEN] * 70, TIGHT * 40):
        conversion([block(some)])
        assert as_json(in_order(conversion([block(lines)]))) == first


LOG = [chat(1), b"", BROKEN, b" \t\r", chat(2, vendor=True), b'{"error":{"message":"busy","code":503}}', b"[]"]
KINDS: dict[str, Callable[[list[bytes]], Block]] = {
    "lines": block,
    "units": lambda lines: Block(0, 1, 0, [*units(block(lines), 1 << 20)]),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_unit_is_converted_rejected_or_blank(kind):
    """Units are counted, and a reject has the unit's line, byte offset, length and code."""
    found = Conversion(Options())([kind(LOG)])
    report = found.report
    assert (report.units, report.converted, report.rejected, report.blank) == (7, 4, 1, 2)
    assert report.empty_pages == 1
    assert (report.records, report.failed) == (3, 1)
    place = sum(len(line) + 1 for line in LOG[:2])
    assert [(each.line, each.offset, each.length, each.code) for _, each in found.rejects] == [
        (3, place, len(BROKEN) + 1, "truncated"),
    ]


@pytest.mark.parametrize("page", [b"[]", b" [ ] ", b'{"data": []}', b'{"object": "list", "data": []}'])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_an_empty_page_is_one_unit_without_records(kind, page):
    """A line `[]` among others, like `{"data": []}`, is converted and has no records; so it is for `normalize_many`."""
    report = Conversion(Options())([kind([chat(1), page, chat(2)])]).report
    assert (report.units, report.converted, report.rejected, report.records) == (3, 3, 0, 2)
    assert report.empty_pages == 1
    assert list(normalize_many([page])) == []


def test_streams_in_one_file_are_never_merged(tmp_path):
    """A file with streams, headers, a separator and a failed call gives each answer; foreign text is refused."""
    stream = (
        'data: {"id":"%s","choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    )
    parts = ["HTTP/2 200\r\nx: y\r\n\r\n", stream % ("a", "one"), "----\n", stream % ("b", "two")]
    (tmp_path / "a.txt").write_text("".join(parts) + '{"error":{"message":"busy","code":429}}\n')
    report = convert([str(tmp_path)], str(tmp_path / "out.jsonl"))
    assert (report.units, report.converted, report.rejected, report.blank) == (5, 3, 1, 1)
    assert report.rejects == {"foreign_text": 1}
    rows = json_lines(tmp_path / "out.jsonl")
    assert [row["choices"][0]["message"]["content"] for row in rows[:2]] == ["one", "two"]
    assert [row["_line"] for row in rows] == [4, 9, 13]


def test_a_line_of_a_stream_among_lines_of_json_is_refused():
    """A line of `data:` in a block of lines is no answer of its own."""
    found = Conversion(Options())([block([chat(1), b"data: " + chat(2), chat(3)])])
    assert [item.id for item in found.completions] == ["c-1", "c-3"]
    assert [reject.code for _, reject in found.rejects] == ["foreign_text"]


def test_a_byte_order_mark_where_files_were_joined_is_refused(tmp_path):
    """A byte-order mark is dropped at the first byte of a file, and refused at the beginning of a later line."""
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(b"\xef\xbb\xbf" + chat(number) for number in (1, 2)))
    report = convert(tmp_path / "a.jsonl", tmp_path / "out.jsonl")
    assert (report.records, report.rejects) == (1, {"bom": 1})


@pytest.mark.parametrize("text", [b"[]", b" \n[ \n ]\n"])
def test_a_file_that_is_an_empty_array_has_no_units(text, tmp_path):
    """A file that is `[]` but for white space is an array of no units."""
    (tmp_path / "a.json").write_bytes(text)
    report = convert([str(tmp_path / "a.json")], str(tmp_path / "out.jsonl"))
    assert (report.units, report.converted, report.records, report.empty_pages) == (0, 0, 0, 0)


def test_the_last_line_may_have_no_line_feed():
    """The length of a unit is that of its bytes in the input, with its line feed where it has one."""
    data = b"\n".join([chat(1), BROKEN])
    ((_, reject),) = Conversion(Options())([Block(0, 1, 0, data)]).rejects
    assert (reject.offset, reject.length) == (len(chat(1)) + 1, len(BROKEN))


def test_records_and_rejects_know_where_they_are_from(tmp_path):
    """Each record and each reject has its input, and the line and the offset at which its unit starts."""
    path = tmp_path / "log"
    path.write_bytes(b"\n".join([chat(1), b"", chat(2), BROKEN, b""]))
    whole = Range(str(path), 0, path.stat().st_size)
    page = json.dumps({"data": [json.loads(chat(4)), json.loads(chat(5))]}).encode()
    found = Conversion(Options(origin=True))(
        [
            Block(0, 10, 0, whole, name="first"),
            Block(1, 40, 900, chat(3) + b"\n" + BROKEN + b"\n", name="second"),
            Block(2, 9, 0, [Unit(9, 5, 2, b"{"), Unit(11, 7, len(page), page)], name="third"),
        ]
    )
    step = len(chat(1)) + 1
    assert found.origins == [("first", 10, 0), ("first", 12, step + 1), ("second", 40, 900), *[("third", 11, 7)] * 2]
    assert [(each.source, each.line, each.offset) for _, each in found.rejects] == [
        ("first", 13, 2 * step + 1),
        ("second", 41, 900 + step),
        ("third", 9, 5),
    ]


def test_json_lines_say_where_they_are_from():
    """The origin is at the end of a line, behind what goes along; converting the line again keeps it."""
    options = Options(origin=True, envelopes=Envelopes(carry={"run": "/run"}))
    name = 'a "b"\udcff.jsonl'
    data = Converter(options)([block([chat(1, run=7), chat(2)])._replace(name=name)]).data
    first, second = (json.loads(line) for line in data.splitlines())
    assert list(second)[-4:] == ["carried", "_file", "_line", "_offset"]
    assert (first["_file"], first["_line"], first["_offset"]) == ('a "b"\\udcff.jsonl', 1, 0)
    assert (second["_line"], second["_offset"]) == (2, len(chat(1, run=7)) + 1)
    once = Converter(Options(origin=True))([block(LOG)._replace(name="log")]).data
    again = Converter(Options(origin=True))([Block(0, 1, 0, once, name="out.jsonl")]).data
    assert again == once
    plain = Converter(Options(origin=False))([block(LOG)]).data
    assert Converter(Options(origin=False))([Block(0, 1, 0, once)]).data == plain


@pytest.mark.parametrize("layout", ["nested", "flat"])
def test_arrow_rows_say_where_they_are_from(layout):
    """The origin has columns of its own, which can be chosen like others."""
    blocks = [block(LOG)._replace(name="log")]
    batch = Converter(Options(layout=layout, origin=True))(blocks).data
    assert batch.schema.names[-3:] == ["_file", "_line", "_offset"]
    lines = [row["_line"] for row in batch.select(["_file", "_line", "_offset"]).to_pylist()]
    assert lines == [1, 5, 6]
    some = Options(layout=layout, origin=True, columns=("_line", "id"))
    assert Converter(some)(blocks).data.to_pylist()[0] == {"_line": 1, "id": "c-1"}


def test_a_file_that_shrinks_gives_what_is_left(tmp_path):
    """Where a range of a file is no longer there, what was read is kept, and the input is named as broken."""
    path = tmp_path / "log"
    path.write_bytes(chat(1) + b"\n")
    found = Conversion(Options())([Block(3, 0, 0, Range(str(path), 0, 5000))])
    assert found.report.converted == 1
    ((index, broken),) = found.broken
    assert index == 3
    assert str(path) in str(broken)


def test_only_completions_where_nothing_else_is_wanted():
    """With `completions_only`, failed, pending and encrypted calls are rejects with codes of their own."""
    lines = [
        chat(1),
        b'{"error":{"message":"busy","code":503}}',
        b'{"id":"r","organization_id":"o","status":"started","request":{}}',
        b'{"nonce":"n","ciphertext":"c","usage":{"total_tokens":3}}',
    ]
    every = Conversion(Options())([block(lines)])
    assert (every.report.records, every.report.failed, every.report.pending, every.report.encrypted) == (4, 1, 1, 1)
    assert [item.error is None for item in every.completions] == [True, False, False, False]
    only = Conversion(Options(completions_only=True))([block(lines)])
    assert [each.code for _, each in only.rejects] == ["provider_error", "pending", "encrypted"]
    assert (only.report.records, only.report.rejected) == (1, 3)


def test_the_bytes_of_a_refused_unit_are_kept_on_request_alone():
    """A reject has the unit's bytes only where they were asked for."""
    for keep in (False, True):
        ((_, reject),) = Conversion(Options(rejects_raw=keep))([block([b'{"\xff'])]).rejects
        assert reject.raw == (b'{"\xff' if keep else None)


def test_json_lines_have_what_goes_along():
    """What is carried is under `carried` in the JSON line, with null where the unit has no such value."""
    options = Options(envelopes=Envelopes(carry={"run": "/run", "model": "/model"}))
    converted = Converter(options)([block([chat(1, run=7, model="m"), chat(2)])])
    rows = [json.loads(line) for line in converted.data.splitlines()]
    assert [row["carried"] for row in rows] == [{"run": 7, "model": "m"}, {"run": None, "model": None}]
    assert [row["id"] for row in rows] == ["c-1", "c-2"]
    assert rows[0]["extra"] == {"/run": 7}


def test_arrow_rows_hold_the_same_records():
    """Arrow rows, read back, are the completions of the JSON lines; flat rows are as many."""
    expected = Conversion(Options())([block(LOG)]).completions
    nested = Converter(Options(layout="nested", origin=False))([block(LOG)]).data
    assert list(arrow.completions(nested)) == expected
    assert Converter(Options(layout="flat"))([block(LOG)]).data.num_rows == len(expected)
