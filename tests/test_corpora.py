"""The corpora of the benchmarks: the same everywhere, true to their truth, and like what was recorded."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
from collections import deque

import msgspec
import orjson
import pytest

from benchmarks.corpora import DEFAULT, Truth, facts_of, parse_mix, records
from benchmarks.corpora.__main__ import main
from benchmarks.corpora.files import (
    SAMPLE_MIXES,
    SAMPLES,
    Size,
    cached,
    truth_path,
    write_corpus,
    write_samples,
)
from benchmarks.corpora.mix import SOURCES
from benchmarks.corpora.shape import SIZES, TRAITS, size_of
from normcompletion import normalize
from normcompletion.api import read_any
from tests.conftest import FOUND, for_each, memory_of

EVERYTHING = "openrouter=4,openai=4,atoma=4,log10=4,openai/batch=1,openrouter//camel=1,openai/chat///logprobs=1"
# Changes whenever the generator does; must be the same on every machine and every Python.
DIGEST = "33a653d0156f16ed9aaaed66449484f3c433efcedc1c38d98d680da48f639931"
READABLE = {source: [name for name in about.all_variants if name != "batch"] for source, about in SOURCES.items()}
VARIANTS = [f"{source}/{variant}" for source, names in READABLE.items() for variant in names]
SHAPES = [
    *VARIANTS,
    *(f"{name}/camel" for name in VARIANTS),
    *(f"{name}//{size}" for name in VARIANTS for size in ("small", "medium", "large")),
    *(f"{name}///{trait}" for name in VARIANTS for trait in TRAITS),
]


def check(body: bytes, truth: Truth) -> None:
    """Fail where `normalize` reads a record otherwise than it was meant."""
    completion = read_any(body)
    facts = facts_of(completion)
    assert facts == {name: getattr(truth, name) for name in facts}


def truths(mix: str, count: int, seed: int = 3) -> list[Truth]:
    return [
        msgspec.json.decode(record.truth(), type=Truth) for record in records(parse_mix(mix), seed=seed, stop=count)
    ]


@for_each(SHAPES)
def test_a_record_is_read_as_it_was_meant(shape):
    """Each shape, detected: ids, texts, calls, counts, cost, what goes to `extra`, and every repair."""
    for record in records(parse_mix(shape), seed=3, stop=15):
        check(record.body, msgspec.json.decode(record.truth(), type=Truth))


def test_a_batch_line_holds_a_record():
    """Its body is where the truth says, beside an id and no error."""
    for record in records(parse_mix("openai/batch"), seed=3, stop=60):
        truth = msgspec.json.decode(record.truth(), type=Truth)
        line = orjson.loads(record.body)
        assert (truth.envelope, truth.envelope_id, truth.body) == ("openai_batch", line["custom_id"], "/response/body")
        assert (line["response"]["status_code"] == 200) is (truth.error is None)
        facts = facts_of(read_any(orjson.dumps(line["response"]["body"])))
        assert facts == {name: getattr(truth, name) for name in facts} | {"envelope": None, "envelope_id": None}


def test_whoever_names_the_source_is_answered_the_same():
    """With the source named, only `source` may differ from what was detected."""
    for record in records(parse_mix("openrouter/chat,openai/chat,atoma/chat//medium,log10/log_text"), seed=3, stop=80):
        truth = msgspec.json.decode(record.truth(), type=Truth)
        facts = facts_of(normalize(record.body, source=truth.writer))
        assert facts == {name: getattr(truth, name) for name in facts} | {"source": truth.writer}


def test_the_same_seed_gives_the_same_bytes():
    """Bodies and truths have one digest, on every machine and every Python."""
    digest = hashlib.sha256()
    for record in records(parse_mix(EVERYTHING), seed=1, stop=2000):
        digest.update(b"%b\n%b\n" % (record.body, record.truth()))
    assert digest.hexdigest() == DIGEST
    assert next(records(parse_mix(EVERYTHING), seed=2)).body != next(records(parse_mix(EVERYTHING), seed=1)).body


def test_a_record_depends_on_its_number_alone():
    """A piece made by itself is that piece of the whole."""
    mix = parse_mix(EVERYTHING)
    whole = [(record.body, record.truth()) for record in records(mix, seed=1, stop=300)]
    assert [(record.body, record.truth()) for record in records(mix, seed=1, start=210, stop=300)] == whole[210:]


@pytest.mark.slow
def test_many_processes_write_the_same_file():
    """A corpus that ends at a number of bytes is the same from one process and from two, and so is its truth."""
    files = {}
    for jobs in (1, 2):
        out, truth = io.BytesIO(), io.BytesIO()
        pieces: list[Size] = []
        size = write_corpus(
            out, parse_mix(DEFAULT), seed=1, size=4_000_000, truth=truth, jobs=jobs, progress=pieces.append
        )
        files[jobs] = (out.getvalue(), truth.getvalue(), size)
        assert (
            size
            == Size(out.getvalue().count(b"\n"), len(out.getvalue()))
            == Size(sum(piece.records for piece in pieces), sum(piece.bytes for piece in pieces))
        )
    assert files[1] == files[2]
    lines = files[1][0].splitlines()
    assert sum(len(line) + 1 for line in lines[:-1]) < 4_000_000 <= len(files[1][0])
    assert [json.loads(line)["number"] for line in files[1][1].splitlines()] == [*range(len(lines))]


@pytest.mark.slow
def test_a_corpus_streams_out():
    """Ten times the records take no more memory."""
    mix = parse_mix("openrouter//snake/medium,log10//snake/medium")

    def peak(stop: int) -> int:
        return memory_of(lambda: deque(records(mix, seed=1, stop=stop), maxlen=0))[1]

    peak(2000)  # what all records are cut from
    assert peak(2000) < min(300_000, peak(200) + 100_000)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("source", SOURCES)
def test_a_size_that_was_asked_for_is_kept(source, size):
    """A chat of a class of sizes is of that class."""
    for record in records(parse_mix(f"{source}/chat//{size}"), seed=3, stop=100):
        assert size_of(record.body) == size
        assert json.loads(record.truth())["shape"].startswith(f"{source}/chat/")


def test_what_was_asked_for_is_there():
    """Traits and spellings are those of the shape: calls, reasoning, 100 log-probs with 5 alternatives, one fault."""
    for truth in truths("openrouter/chat///tools,openai/chat///tools", 60):
        assert all(truth.tool_calls)
    for truth in truths("openrouter/chat/snake//reasoning,openai/chat///reasoning", 60):
        assert all(truth.reasonings)
    for truth in truths("openrouter/chat///plain,openai/chat///plain", 60):
        assert (truth.tool_calls, truth.reasonings, truth.logprobs) == ([[]], [None], [None])
    for truth in truths("openrouter/chat///repair,openai/chat///repair,atoma/chat///repair", 60):
        assert len(truth.notes) == 1
    for record in records(parse_mix("openai/chat///logprobs"), seed=3, stop=5):
        tokens = orjson.loads(record.body)["choices"][0]["logprobs"]["content"]
        assert [len(token["top_logprobs"]) for token in tokens] == [5] * 100
    for record in records(parse_mix("openrouter/chat/camel,openrouter/chat/snake"), seed=3, stop=60):
        assert (b'"finishReason"' in record.body) is (record.shape.spelling == "camel")


def test_sizes_and_shares_are_those_of_recorded_bodies():
    """OpenRouter chats: half have 973 bytes or less, nine tenths 4,596; four in ten reason and three in ten call."""
    made = list(records(parse_mix("openrouter/chat/snake"), seed=1, stop=3000))
    sizes = sorted(len(record.body) for record in made)
    assert 0.85 < sizes[1500] / 973 < 1.15
    assert 0.85 < sizes[2700] / 4596 < 1.15
    found = [msgspec.json.decode(record.truth(), type=Truth) for record in made]
    assert 0.39 < sum(truth.reasonings[0] is not None for truth in found) / 3000 < 0.47  # 353 of 823
    assert 0.29 < sum(bool(truth.tool_calls[0]) for truth in found) / 3000 < 0.36  # 266 of 823
    assert 0.15 < sum(truth.cost is not None for truth in found) / 3000 < 0.21  # 149 of 823
    assert 0.15 < sum(not record.body.isascii() for record in made) / 3000 < 0.35  # 258 of 823
    assert {truth.finish_reasons[0] for truth in found} == {"stop", "length", "tool_calls", "content_filter", None}


def test_the_samples_are_what_the_command_writes(tmp_path):
    """The committed samples are those of the generator as it is, and no test takes them for fixture pairs."""
    write_samples(tmp_path)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in SAMPLES.iterdir()}
    assert len(written) == 2 * len(SAMPLE_MIXES)
    assert not [pair.name for pair in FOUND if pair.name.startswith("corpora/")]


def test_a_mix_reads_as_it_is_written():
    """A mix's text gives the mix back, and each shape comes about as often as its weight says."""
    text = "openrouter/chat/snake/small=30,openai=60,log10/log_text///plain=10"
    assert str(parse_mix(text)) == text
    found = [record.shape.source for record in records(parse_mix(text), seed=1, stop=1000)]
    assert [round(found.count(source), -2) for source in ("openrouter", "openai", "log10")] == [300, 600, 100]


def test_the_command_writes_a_corpus_and_its_truth(tmp_path, capsys):
    """`-o` and `--truth` name the files; a record of one belongs to a record of the other."""
    out, truth = tmp_path / "log.jsonl", tmp_path / "log.truth.jsonl"
    assert main(["--records", "40", "--seed", "5", "--mix", "log10", "-o", str(out), "--truth", str(truth)]) == 0
    assert "40 records" in capsys.readouterr().err
    for body, line in itertools.zip_longest(out.read_bytes().splitlines(), truth.read_bytes().splitlines()):
        check(body, msgspec.json.decode(line, type=Truth))


def test_the_command_keeps_a_corpus_in_the_cache(tmp_path, capsys, monkeypatch):
    """Without `-o` the name is printed, and a second call finds the file of the first."""
    monkeypatch.setenv("NORMCOMPLETION_BENCH_CACHE", str(tmp_path))
    assert main(["--bytes", "20kB", "--jobs", "1"]) == 0
    path = cached(parse_mix(DEFAULT), seed=1, size=20_000)
    assert capsys.readouterr().out.strip() == str(path)
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted([path.name, truth_path(path).name])
    assert len(path.read_bytes()) >= 20_000
    path.write_bytes(b"kept")
    assert cached(parse_mix(DEFAULT), seed=1, size=20_000).read_bytes() == b"kept"
