"""Several answers in one text: where one ends and the next begins, and what reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from normcompletion import Completion, UnknownPayloadError, assemble, iter_events, normalize, normalize_many, read
from normcompletion.api import default_chunk_reader
from normcompletion.streams.splitting import StreamSplitter, Unit, split_streams

HEADERS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
HTML = b"<html>\n<body>502 Bad Gateway</body>\n</html>\n\n"


def chunk(text: str | None, finish: str | None = None, *, id: str | None = "c1", **delta: Any) -> bytes:  # noqa: A002
    """One event of one choice."""
    delta |= {} if text is None else {"content": text}
    body = {"id": id, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def answer(text: str, **more: Any) -> bytes:
    """A stream without `[DONE]`."""
    return chunk(None, role="assistant", **more) + chunk(text, **more) + chunk(None, "stop", **more)


DONE = b"data: [DONE]\n\n"
LOW, HIGH = answer("Low tide"), answer("High tide", id="c2")
BODY = json.dumps({"id": "b", "choices": [{"message": {"content": "Ebb"}, "finish_reason": "stop"}]}).encode()
PRETTY = json.dumps(json.loads(BODY), indent=2).encode()

# texts with several answers, and what each is
SEVERAL = {
    "done": (LOW + DONE + LOW + DONE, ["Low tide", "Low tide"]),
    "done twice": (LOW + DONE + DONE + HIGH, ["Low tide", "High tide"]),
    "another id": (LOW + HIGH, ["Low tide", "High tide"]),
    "a role again": (LOW + LOW + LOW, ["Low tide"] * 3),
    "body behind": (LOW + DONE + BODY + b"\n", ["Low tide", "Ebb"]),
    "body before": (BODY + b"\n\n" + LOW, ["Ebb", "Low tide"]),
    "pretty body before": (PRETTY + b"\n\n" + LOW + DONE, ["Ebb", "Low tide"]),
    "pretty body between": (LOW + PRETTY + b"\n" + HIGH, ["Low tide", "Ebb", "High tide"]),
    "headers between": (LOW + HEADERS + LOW + DONE, ["Low tide", "Low tide"]),
    "page between": (LOW + DONE + HTML + HIGH + DONE, ["Low tide", "High tide"]),
    "chunks as lines": ((LOW + HIGH).replace(b"data: ", b""), ["Low tide", "High tide"]),
}
# texts with one answer
ONE = {
    "no id": chunk("Low ", "stop", id=None) + chunk("tide", "stop", id=None),
    "empty id": LOW + chunk("", "stop", id="") + chunk(None, id=""),
    "usage under another id": LOW + b'data: {"id":"x","choices":[],"usage":{"total_tokens":3}}\n\n',
    "a role with each delta": chunk("Low ", role="assistant") + chunk("tide", "stop", role="assistant") * 1,
    "a role behind the end": chunk("Low ", "stop", role="assistant") + chunk("tide", "stop", role="assistant"),
    "another id before the end": chunk("Low ") + chunk("tide", "stop", id="c2"),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_a_text_with_several_answers_is_read_by_normalize_many(name: str) -> None:
    """`normalize` and `assemble` refuse it with the code `streams`, and `normalize_many` yields each answer."""
    raw, texts = SEVERAL[name]
    for call in (lambda: normalize(raw), lambda: assemble(iter_events([raw]))):
        with pytest.raises(UnknownPayloadError, match=r"normalize_many\(\[payload\]\)") as caught:
            call()
        assert caught.value.code == "streams"
    assert [completion.text for completion in normalize_many([raw])] == texts


@pytest.mark.parametrize("name", SEVERAL)
def test_units_follow_one_another_without_a_gap(name: str) -> None:
    """The units of a text are the whole of it, in any cut, and each one but foreign text is read alone."""
    raw, texts = SEVERAL[name]
    units = list(split_streams(default_chunk_reader(), raw))
    assert b"".join(raw[unit.start : unit.end] for unit in units) == raw
    assert [normalize(raw[unit.start : unit.end]).text for unit in units if unit.kind != "foreign"] == texts
    splitter = StreamSplitter(default_chunk_reader())
    fed: list[Unit] = []
    for at in range(len(raw)):
        fed += splitter.feed(raw[at : at + 1])
    assert fed + splitter.close() == units


@pytest.mark.parametrize("name", ONE)
def test_a_text_with_one_answer_is_one_unit(name: str) -> None:
    """Ids that are empty or change in the middle, and roles that were there before, start no other answer."""
    assert [unit.kind for unit in split_streams(default_chunk_reader(), ONE[name])] == ["stream"]
    assert normalize(ONE[name]).text == "Low tide"


def test_foreign_text_is_noted() -> None:
    """Text around the events of one answer, or between two answers, is in a note and is never dropped."""
    for raw in (HEADERS + LOW + DONE, LOW + DONE + HTML):
        (note,) = normalize(raw).notes
        assert (note.code, note.before) == (
            "foreign_text",
            (HEADERS if raw[0] == HEADERS[0] else HTML).decode().strip().replace("\r", ""),
        )
    first, second = normalize_many([LOW + DONE + HTML + HIGH])
    assert (first.notes, [note.before for note in second.notes]) == ([], [HTML.decode().strip()])


@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_of_chunks_with_several_answers_is_split_by_the_same_rule(indent: int | None) -> None:
    """`normalize` refuses the list with the code `streams`, and `normalize_many` yields each answer in it."""
    chunks = [json.loads(line[6:]) for line in (LOW + HIGH + LOW).splitlines() if line]
    for payload in (chunks, json.dumps(chunks, indent=indent), json.dumps(chunks, indent=indent).replace("\n", "\r\n")):
        with pytest.raises(UnknownPayloadError, match=r"normalize_many\(\[payload\]\)") as caught:
            normalize(payload)
        assert caught.value.code == "streams"
        assert [completion.text for completion in normalize_many([payload])] == ["Low tide", "High tide", "Low tide"]


def test_the_options_hold_for_each_answer() -> None:
    """The source that a caller names, or names for what nothing decides, is that of each answer in a text."""
    for name in ("source", "default_source"):
        answers = list(normalize_many([LOW + HIGH], **{name: "atoma"}))
        assert [(item.source, item.source_basis) for item in answers] == [("atoma", "caller")] * 2, name


def test_each_answer_has_its_own_error() -> None:
    """An answer that failed is an error in its place, with its offset, and the next one is read."""
    raw = LOW + DONE + b'data: {"error":{"message":"no"}}\n\n' + DONE + HIGH
    first, second, third = normalize_many([raw], on_error="yield")
    assert isinstance(first, Completion)
    assert isinstance(second, Exception)
    assert isinstance(third, Completion)
    assert second.offset == len(LOW + DONE)


def test_a_list_of_chunks_in_a_log_is_split_by_the_same_rule(tmp_path: Path) -> None:
    """A file, a line, and a body in an envelope that is a list of chunks gives a record for each answer in it."""
    chunks = json.dumps([json.loads(line[6:]) for line in (LOW + HIGH).splitlines() if line])
    body = f'{{"response": {chunks}}}'
    for text, options, lists in ((chunks, {}, 1), (f"{chunks}\n{chunks}\n", {}, 2), (body, {"body": ["/response"]}, 1)):
        path = tmp_path / "log.jsonl"
        path.write_text(text)
        assert [record.text for record in read(path, **options)] == ["Low tide", "High tide"] * lists
