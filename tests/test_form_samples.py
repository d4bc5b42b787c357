"""One file of each form in which people keep responses: what comes out of it, and that nothing of it is lost."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from normcompletion import Completion, Envelope, NormalizeError
from normcompletion.audit import lost
from normcompletion.batch import Reject, convert, iter_records
from normcompletion.batch.conversion import Conversion
from normcompletion.batch.engine import Listener, Reader
from normcompletion.batch.folders import expand
from normcompletion.batch.forms import reading
from normcompletion.batch.inputs import open_decoded
from normcompletion.batch.options import Options
from normcompletion.batch.units import blocks
from normcompletion.cli import main
from normcompletion.cli.options import ENVELOPES
from normcompletion.envelopes.members import members_of
from normcompletion.envelopes.opener import Envelopes
from normcompletion.envelopes.preset import Preset
from normcompletion.envelopes.registry import known_envelopes, named, presets
from normcompletion.payload import parse

from .conftest import FIXTURES

FORMS = FIXTURES / "forms"
REQUEST = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}
ENCRYPTED = {"type": "encrypted", "key": "k", "iv": "i", "data": "aaaa"}


class Call(NamedTuple):
    """What is expected of one record; `cost` is that of its usage, `error` the code or the message."""

    id: str | None = None
    text: str | None = None
    envelope: Envelope | None = None
    cost: float | None = None
    error: int | str | None = None


class Sample(NamedTuple):
    """A file of a form: its records, the codes of its rejects, where entries are that are no calls, and its options."""

    calls: list[Call]
    rejects: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed


def around(kind: str, id: str | None = None, **fields: Any) -> Envelope:  # noqa: A002 - the field's name
    return Envelope(kind=kind, id=id, **fields)


def batch(name: str, *more: Call, status: str | None = "200", kind: str = "openai_batch") -> Sample:
    """A batch file of some host: a line that was answered, and more."""
    first = Call(f"chatcmpl-{name}-1", f"Hello from {name}.", around(kind, "row-1", status=status))
    return Sample([first, *more])


def line(name: str, time: str, **more: Any) -> Sample:
    """A log of one line with a prefix."""
    return Sample([Call(f"chatcmpl-{name}-1", f"Hello from {name}.", around("log_line", created_at=time))], **more)


def event(number: int, text: str = "Hello from inspect.") -> Call:
    """A model event of Inspect."""
    time = "2026-01-02T10:00:00-04:00"
    return Call(f"chatcmpl-inspect-{number}", text, around("inspect", created_at=time, duration=0.53, request=REQUEST))


def entry(name: str, cost: float | None = None) -> Call:
    """An entry of a HAR file."""
    return Call(
        f"gen-har-{name}",
        "Hello from har.",
        around("har", status="200", created_at="2026-01-02T10:00:00.123Z", duration=0.8123, request=REQUEST),
        cost,
    )


NEW_YEAR = "2026-01-02T10:00:00Z"
MILLISECONDS = "1767348000000"
SAMPLES: dict[str, Sample] = {
    "helicone.jsonl": Sample(
        [
            Call(
                "chatcmpl-helicone-1",
                "Hello from helicone.",
                around(
                    "helicone",
                    "q1",
                    status="200",
                    created_at="2026-01-02T10:00:00.000Z",
                    duration=0.9,
                    request=REQUEST,
                    tags=["Environment=prod", "Helicone-Session-Id=s1"],
                    session_id="s1",
                ),
                0.0002,
            ),
            Call(
                envelope=around(
                    "helicone",
                    "q2",
                    status="429",
                    created_at="2026-01-02T10:00:02.000Z",
                    duration=0.012,
                    request=REQUEST,
                ),
                error="rate_limit_exceeded",
            ),
        ]
    ),
    "portkey.jsonl": Sample(
        [
            Call(
                "chatcmpl-portkey-1",
                "Hello from portkey.",
                around(
                    "portkey",
                    "log-1",
                    status="200",
                    created_at="2026-01-02T10:00:00.000Z",
                    duration=0.8123,
                    request=REQUEST,
                    tags=["env=prod"],
                ),
                0.0003,
            ),
            Call(
                "chatcmpl-portkey-2",
                "Hello from portkey.",
                around(
                    "portkey",
                    "log-2",
                    status="200",
                    created_at="2026-01-02T10:00:01.000Z",
                    duration=0.5,
                    request=REQUEST,
                ),
                0.0001,
            ),
        ]
    ),
    "cloudflare.jsonl": Sample(
        [
            Call(
                "gen-cloudflare-1",
                "Hello from cloudflare.",
                around(
                    "cloudflare",
                    status="200",
                    created_at=NEW_YEAR,
                    duration=0.812,
                    request=REQUEST,
                    tags=["user=u1"],
                ),
                0.0042,
            ),
            Call(
                "gen-cloudflare-s",
                "Hello from cloudflare.",
                around("cloudflare", status="200", request=REQUEST),
                0.0005,
            ),
            Call(envelope=around("cloudflare", status="200", request=ENCRYPTED), error="encrypted"),
        ],
    ),
    "kong.jsonl": Sample(
        [
            Call(
                "chatcmpl-kong-1",
                "Hello from kong.",
                around("kong", "k1", status="200", created_at=MILLISECONDS, duration=0.812, request=REQUEST),
                0.0012,
            )
        ]
    ),
    "apisix.jsonl": Sample(
        [
            Call(
                "chatcmpl-apisix-1",
                "Hello from apisix.",
                around("apisix", status="200", created_at=MILLISECONDS, duration=0.812, request=REQUEST),
            )
        ]
    ),
    "envoy.jsonl": Sample(
        [
            Call(
                "chatcmpl-envoy-1",
                "Hello from envoy.",
                around("envoy", "e1", status="200", created_at=NEW_YEAR, duration=0.812, request=REQUEST),
            )
        ]
    ),
    "openrouter_broadcast.json": Sample(
        [
            Call(
                "gen-broadcast-1",
                "Hello from openrouter_broadcast.",
                around(
                    "openrouter_broadcast",
                    "gen-broadcast-1",
                    created_at=NEW_YEAR,
                    request=REQUEST,
                    tags=["nightly"],
                    session_id="s1",
                ),
                0.0005,
            )
        ]
    ),
    "api_gateway.jsonl": Sample(
        [Call("chatcmpl-api_gateway-1", "Hello from api_gateway.", around("api_gateway", status="200"))]
    ),
    "groq_batch.jsonl": batch("groq_batch"),
    "mistral_batch.jsonl": batch("mistral_batch"),
    "together_batch.jsonl": batch("together_batch", Call(envelope=around("openai_batch", "row-2"), error="bad")),
    "fireworks_batch.jsonl": batch("fireworks_batch", status=None, kind="fireworks_batch"),
    "azure_batch.jsonl": batch(
        "azure_batch", Call(envelope=around("openai_batch", "row-2"), error="token_limit_exceeded")
    ),
    "vllm_batch.jsonl": batch("vllm_batch", Call(envelope=around("openai_batch", "row-2", status="400"), error=400)),
    "weave.jsonl": Sample(
        [
            Call(
                "gen-weave-1",
                "Hello from weave.",
                around(
                    "weave",
                    "c1",
                    status="success",
                    created_at="2026-01-02T10:00:00.1Z",
                    duration=1.0,
                    request=REQUEST,
                ),
            ),
            Call(
                envelope=around("weave", "c2", created_at="2026-01-02T10:00:00.1Z", request=REQUEST),
                error="RateLimitError: slow down",
            ),
        ],
        ("fragment",),
    ),
    "openinference.jsonl": Sample(
        [
            Call(
                "chatcmpl-openinference-1",
                "Hello from openinference.",
                around(
                    "openinference",
                    "s1",
                    status="OK",
                    created_at="2026-01-02T10:00:00.5Z",
                    duration=0.5,
                    request=REQUEST,
                    tags=["nightly"],
                    session_id="s1",
                ),
                0.0003,
            ),
            Call(
                "chatcmpl-openinference-2",
                "Hello from openinference.",
                around("openinference", "s2", status="OK", created_at=NEW_YEAR, duration=0.5),
            ),
        ],
        ("fragment",),
    ),
    "mlflow.jsonl": Sample(
        [
            Call(
                "gen-mlflow-1",
                "Hello from mlflow.",
                around(
                    "mlflow",
                    "tr-1",
                    status="OK",
                    created_at=NEW_YEAR,
                    duration=0.812,
                    request=REQUEST,
                    tags=["env=prod"],
                ),
            ),
            Call(
                "gen-mlflow-2",
                "Hello from mlflow.",
                around(
                    "mlflow",
                    "tr-2",
                    status="OK",
                    created_at=MILLISECONDS,
                    duration=0.5,
                    request=REQUEST,
                    session_id="s1",
                ),
            ),
        ],
        passed=("/data/spans/0",),
    ),
    "langsmith.jsonl": Sample(
        [
            Call(
                "chatcmpl-langsmith-1",
                "Hello from langsmith.",
                around(
                    "langsmith",
                    "r1",
                    status="success",
                    created_at="2026-01-02T10:00:00",
                    duration=1.0,
                    request=REQUEST,
                    tags=["nightly"],
                    session_id="s1",
                ),
                0.1,
            ),
            Call(envelope=around("langsmith", "r4", request={}), error="RateLimitError('429')"),
        ],
        ("fragment", "fragment"),
    ),
    "langfuse.jsonl": Sample(
        [
            Call(
                "chatcmpl-langfuse-1",
                "Hello from langfuse.",
                around(
                    "langfuse",
                    "obs1",
                    created_at="2026-01-02 10:00:00.000000",
                    duration=1.5,
                    request=REQUEST,
                    tags=["nightly"],
                    session_id="s1",
                ),
                0.0003,
            )
        ],
        ("fragment",),
    ),
    "langfuse_ingestion.json": Sample(
        [
            Call(
                "chatcmpl-langfuse_ingestion-1",
                "Hello from langfuse_ingestion.",
                around("langfuse_ingestion", "g1", created_at=NEW_YEAR, duration=1.0, request=REQUEST),
                0.0004,
            )
        ],
        passed=("/batch/0",),
    ),
    "bedrock.jsonl": Sample(
        [
            Call(
                "chatcmpl-bedrock-1",
                "Hello from bedrock.",
                around("bedrock", "b1", created_at=NEW_YEAR, request=REQUEST),
            )
        ],
        ("fragment",),
    ),
    "bedrock_batch.jsonl": Sample(
        [
            Call(
                "chatcmpl-bedrock_batch-1",
                "Hello from bedrock_batch.",
                around("bedrock_batch", "r1", request=REQUEST),
            ),
            Call(envelope=around("bedrock_batch", "r2", request=REQUEST), error=400),
        ]
    ),
    "inspect.json": Sample([event(1), event(2), event(3)], passed=("/samples/0/events/0",)),
    "inspect.eval": Sample([event(4, "Hello from inspect, at length.")], passed=("/events/0",)),
    "promptfoo.json": Sample(
        [
            Call(
                "gen-promptfoo-1",
                "Hello from promptfoo.",
                around("promptfoo", "a1", created_at=NEW_YEAR, duration=0.812, request="Say hello."),
                0.0005,
            ),
            Call(
                "gen-promptfoo-2", "Hello from promptfoo.", around("promptfoo", "a2", created_at=NEW_YEAR, duration=0.5)
            ),
        ]
    ),
    "cloudwatch.json": Sample(
        [
            Call(
                f"chatcmpl-cloudwatch-{number}",
                "Hello from cloudwatch.",
                around("cloudwatch", str(number), created_at=f"{1767347999 + number}000"),
            )
            for number in (1, 2)
        ],
        passed=("/logEvents/2",),
    ),
    "har.har": Sample(
        [
            entry("1"),
            entry("2"),
            entry("s", 0.0005),
            Call(
                envelope=around(
                    "har", status="404", created_at="2026-01-02T10:00:00.123Z", duration=0.8123, request=REQUEST
                ),
                error=404,
            ),
        ],
        passed=("/log/entries/3", "/log/entries/4"),
    ),
    "vcr.json": Sample(
        [Call("gen-vcr-1", "Hello from vcr.", around("vcr", status="200", request=REQUEST))],
        passed=("/interactions/1",),
    ),
    "vcr.yaml": Sample(
        [
            Call("gen-vcr-1", "Hello from vcr.", around("vcr", status="200", request=REQUEST)),
            Call("gen-vcr-2", "Hello from vcr.", around("vcr", status="200")),
        ]
    ),
    "vcr_ruby.yml": Sample(
        [
            Call(
                "gen-vcr_ruby-s",
                "Hello from vcr_ruby.",
                around("vcr", status="200", created_at="Fri, 02 Jan 2026 10:00:00 GMT", request=REQUEST),
                0.0005,
            )
        ],
    ),
    "llm.db": Sample(
        [
            Call(
                "chatcmpl-llm-1",
                "Hello from llm.",
                around(
                    "llm",
                    "01a",
                    created_at="2026-01-02T10:00:00.374882+00:00",
                    duration=0.56,
                    request=REQUEST,
                    session_id="s1",
                ),
            ),
            Call(
                "gen-llm-2",
                "Hello from llm.",
                around(
                    "llm",
                    "01b",
                    created_at="2026-01-02T10:00:00.374882+00:00",
                    duration=0.561,
                    request="Say hello.",
                    session_id="s1",
                ),
            ),
        ],
        ("fragment",),
    ),
    "columns.csv": Sample(
        [
            Call("chatcmpl-columns-1", 'Hello from "columns".\nBye.', around("custom")),
            Call("chatcmpl-columns-2", "Hello from columns.", around("custom")),
        ]
    ),
    "columns.tsv": Sample([Call("chatcmpl-tsv-1", "Hello from tsv.", around("custom"))]),
    "copy.txt": Sample(
        [
            Call("chatcmpl-copy-1", 'Hello from "copy".\nBye.'),
            Call("chatcmpl-copy-2", "Hello from copy."),
        ],
        options={"copy_escapes": True},
    ),
    "cri.log": line("cri", "2026-01-02T10:00:01.5Z"),
    "docker.log": line("docker", "2026-01-02T10:00:01.5Z"),
    "fluentd.log": line("fluentd", "2026-01-02T10:00:01+00:00"),
    "logging.log": line("logging", "2026-01-02 10:00:01,123"),
    "aws_logs_tail.log": line("aws_logs_tail", "2026-01-02T10:00:01.123Z"),
    "custom_prefix.log": Sample(
        [Call("chatcmpl-custom_prefix-1", "Hello from custom_prefix.", around("log_line"))],
        options={"line_prefix": r"(?P<level>.)\|(?P<prefix>[^|]*)\| "},
    ),
    "chunks.jsonl": Sample([Call("gen-chunks-s", "Hello from chunks.", cost=0.0005)]),
    "chunks.json": Sample([Call("gen-chunk_list-s", "Hello from chunk_list.", cost=0.0005)]),
    "double.jsonl": Sample([Call("chatcmpl-double-1", "Hello from double.")] * 2),
    "base64.txt": Sample([Call("chatcmpl-base64-1", "Hello from base64. ÿþ?")]),
    "gzip_base64.jsonl": Sample(
        [Call("chatcmpl-gzip_base64-1", "Hello from gzip_base64.", around("custom"))], options={"body": "/response"}
    ),
    "mongo.jsonl": Sample(
        [Call("chatcmpl-mongo-1", "Hello from mongo.", around("custom"), 0.0005)], options={"body": "/response"}
    ),
    "mongo_bare.jsonl": Sample([Call("chatcmpl-mongo-1", "Hello from mongo.", cost=0.0005)]),
}


def test_every_sample_is_here() -> None:
    """Each file of forms is a sample of this module."""
    assert {path.name for path in FORMS.iterdir()} == set(SAMPLES)


def shown(record: Completion) -> Call:
    error = record.error and (record.error.code if record.error.code is not None else record.error.message)
    cost = None if record.usage is None else record.usage.cost
    return Call(record.id, record.text, record.envelope, cost, error)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_gives_what_its_form_has(name: str) -> None:
    """A file gives its responses with request, id, time, status, duration, cost and tags, and names what it refuses."""
    sample = SAMPLES[name]
    items = list(iter_records(FORMS / name, on_error="yield", **sample.options))
    assert [shown(item) for item in items if isinstance(item, Completion)] == sample.calls
    assert tuple(item.code for item in items if isinstance(item, Reject)) == sample.rejects


def options_of(sample: Sample) -> Options:
    known = dict(sample.options)
    if "body" in known:
        known["body"] = (known["body"],)
    return Options(envelopes=Envelopes(**known))


def units(name: str) -> Iterator[tuple[Any, list[Completion]]]:
    """The units of a sample as plain JSON, each with its records."""
    options = options_of(SAMPLES[name])
    convert_unit = Conversion(options)
    reader = Reader(expand([str(FORMS / name)]), options, Listener())
    for task in reader.tasks():
        for block in task.blocks:
            for found in _units_of(block):
                records = convert_unit([block._replace(data=[found])]).completions
                if found.text is not None and found.text.startswith((b"{", b"[")):
                    yield parse(found.text), records


def _units_of(block: Any) -> list[Any]:
    from normcompletion.batch.units import Range, read_range, units_of

    parts = read_range(block) if isinstance(block.data, Range) else [block]
    return [unit for part in parts for unit in units_of(part)]


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_of_a_sample_is_lost(name: str) -> None:
    """Every leaf of a unit is in its records, but for entries that are no calls."""
    for tree, records in units(name):
        if records:
            assert lost(tree, *records, beside=SAMPLES[name].passed) == []


@pytest.mark.parametrize("name", SAMPLES)
def test_verify_finds_nothing_lost(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`normcompletion verify` reads each form with the options of `convert`, and finds every leaf."""
    options = [
        f"--{key.replace('_', '-')}" + ("" if value is True else f"={value}")
        for key, value in SAMPLES[name].options.items()
    ]
    code = main(["verify", str(FORMS / name), *options])
    assert "; 0 leaves lost" in capsys.readouterr().out
    assert code == (1 if SAMPLES[name].rejects else 0)


# -- no form is taken for another


def kinds(name: str) -> set[str]:
    """The presets that a sample's records are of."""
    found = {call.envelope.kind for call in SAMPLES[name].calls if call.envelope is not None}
    return found - {"custom"}


@pytest.mark.parametrize("name", SAMPLES)
def test_no_form_is_detected_in_another(name: str) -> None:
    """The keys of a unit name its own envelope and no other, nor a fragment."""
    for tree, _ in units(name):
        if isinstance(tree, dict):
            unit = members_of(json.dumps(tree).encode())
            assert unit is not None
            assert {known.name for known in named(unit)} <= kinds(name)


NAMES = {
    "csv": {"columns.csv", "columns.tsv"},
    "sqlite": {"llm.db"},
    "eval": {"inspect.eval"},
    "cassette": {"vcr.yaml", "vcr_ruby.yml"},
    "prefixed": {"cri.log", "fluentd.log", "logging.log", "aws_logs_tail.log"},
    "docker": {"docker.log"},
    "chunks": {"chunks.json", "chunks.jsonl"},
}


@pytest.mark.parametrize("name", SAMPLES)
def test_each_file_has_the_form_that_its_first_bytes_tell(name: str) -> None:
    """Files that are not JSON are told by their first bytes, and no file of JSON is taken for one of them."""
    (source,) = expand([str(FORMS / name)])
    with open_decoded(source) as opened:
        found = reading.find(opened, Envelopes(), 1 << 20)
    wanted = next((form for form, names in NAMES.items() if name in names), None)
    assert (found and found.form) == wanted


@pytest.mark.parametrize("preset", presets().values(), ids=lambda preset: preset.name)
def test_an_example_is_told_as_what_it_is(preset: Preset) -> None:
    """The example of an envelope has its keys, and those of no other."""
    if isinstance(preset.example, dict):
        unit = members_of(json.dumps(preset.example).encode())
        assert unit is not None
        assert [known.name for known in named(unit)] == [preset.name]


# -- all at once


def test_a_folder_with_a_file_of_each_form_is_converted_in_one_run(tmp_path: Path) -> None:
    """A folder with one file of each form gives the records of all of them, and the report accounts for each."""
    logs = tmp_path / "logs"
    logs.mkdir()
    samples = {name: sample for name, sample in SAMPLES.items() if not sample.options}
    for name in samples:
        shutil.copy(FORMS / name, logs / name)
    (logs / "notes.md").write_text("# Notes\n")
    report = convert(logs, tmp_path / "out.jsonl")
    assert report.records == sum(len(sample.calls) for sample in samples.values())
    assert sum(report.rejects.values()) == sum(len(sample.rejects) for sample in samples.values())
    assert report.other_entries == sum(len(sample.passed) for sample in samples.values())
    assert (report.files, report.files_read) == (len(samples) + 1, len(samples))
    assert report.units == report.converted + report.rejected + report.blank
    assert f"{report.other_entries} entries passed over" in str(report)
    written = [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert written == [call.id for name in sorted(samples) for call in samples[name].calls]


def test_the_forms_come_out_the_same_with_more_processes(tmp_path: Path) -> None:
    """The output of all forms does not depend on the number of processes."""
    names = [str(FORMS / name) for name, sample in SAMPLES.items() if not sample.options]
    for jobs in (1, 2):
        convert(names, tmp_path / f"{jobs}.jsonl", jobs=jobs)
    assert (tmp_path / "1.jsonl").read_bytes() == (tmp_path / "2.jsonl").read_bytes()


def test_the_command_lists_the_envelopes(capsys: pytest.CaptureFixture[str]) -> None:
    """`normcompletion envelopes` prints each with its keys, the place of the response and an example."""
    assert main(["envelopes"]) == 0
    text = capsys.readouterr().out
    for preset in presets().values():
        assert f"{preset.name}: {preset.about}" in text
        assert json.dumps(preset.example) in text
    assert main(["envelopes", "kong"]) == 0
    assert capsys.readouterr().out.startswith("kong: ")
    assert main(["envelopes", "nobody"]) == 2
    assert "no envelope 'nobody'" in capsys.readouterr().err


def test_the_help_lists_the_envelopes(capsys: pytest.CaptureFixture[str]) -> None:
    """`convert --help` names every envelope."""
    assert ENVELOPES.split(", ") == [name for name in known_envelopes() if name != "auto"]
    with pytest.raises(SystemExit):
        main(["convert", "--help"])
    assert "log_line" in capsys.readouterr().out


def test_advice_for_lines_names_the_option(tmp_path: Path) -> None:
    """A line of COPY, and one with a prefix that nobody knows, are refused with the option that reads them."""
    for name, option in (("copy.txt", "--copy-escapes"), ("custom_prefix.log", "--line-prefix")):
        rejects = [item for item in iter_records(FORMS / name, on_error="yield") if isinstance(item, Reject)]
        assert option in rejects[0].reason


def test_a_log_line_may_hold_an_envelope(tmp_path: Path) -> None:
    """What a log line holds is a unit of its own: in an envelope, a record of log10, or refused with advice."""
    body = {"id": "a", "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}
    rows = [
        {"custom_id": "x", "response": {"status_code": 200, "body": body}, "error": None},
        {"id": "l", "organization_id": "o", "kind": "chat", "status": "finished", "request": {}, "response": body},
        {"traceId": "t", "type": "GENERATION", "usageDetails": {}, "output": {}},
        {"x": {"answer": body}},
    ]
    log = tmp_path / "app.log"
    log.write_text("".join(f"2026-01-02T10:00:01Z stdout F {json.dumps(row)}\n" for row in rows))
    first, second, third, fourth = iter_records(log, on_error="yield")
    assert isinstance(first, Completion)
    assert isinstance(second, Completion)
    assert first.envelope == Envelope(kind="openai_batch", id="x", status="200")
    assert second.envelope is not None
    assert second.envelope.kind == "log10_record"
    assert first.extra["/time"] == second.extra["/time"] == "2026-01-02T10:00:01Z"
    assert isinstance(third, Reject)
    assert isinstance(fourth, Reject)
    assert third.code == "fragment"
    assert "--body /log/x/answer" in fourth.reason
    (read,) = [
        item for item in iter_records(log, body="/log/x/answer", on_error="yield") if isinstance(item, Completion)
    ]
    assert read.text == "hi"


def test_attachments_of_inspect_are_put_back() -> None:
    """A text that Inspect keeps elsewhere is put back in response and request; one that is missing refuses the call."""
    body = {"choices": [{"index": 0, "message": {"content": "attachment://ab"}, "finish_reason": "stop"}]}
    request = {"messages": [{"role": "user", "content": "attachment://cd"}]}
    call = {"event": "model", "call": {"request": request, "response": body}}
    sample = {"id": 1, "epoch": 1, "events": [call], "attachments": {"ab": "a long text", "cd": "a question"}}
    (record,) = Envelopes().opener().records(json.dumps(sample).encode())
    assert isinstance(record, Completion)
    assert record.text == "a long text"
    assert record.envelope is not None
    assert record.envelope.request == {"messages": [{"role": "user", "content": "a question"}]}
    assert lost(sample, record) == []
    (refused,) = Envelopes().opener().records(json.dumps({**sample, "attachments": {}}).encode())
    assert isinstance(refused, NormalizeError)
    assert refused.code == "fragment"


def test_log_events_are_opened_inside_one_another() -> None:
    """What a subscribed function gets is base64 of gzip of log events, each with a response."""
    body = {"id": "a", "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}
    events = [{"id": str(number), "timestamp": number, "message": json.dumps(body)} for number in (1, 2)]
    data = gzip.compress(json.dumps({"logGroup": "g", "logEvents": events}).encode())
    unit = json.dumps({"awslogs": {"data": base64.b64encode(data).decode()}}).encode()
    records = [record for record in Envelopes().opener().records(unit) if isinstance(record, Completion)]
    assert [record.envelope and record.envelope.id for record in records] == ["1", "2"]
    assert [record.text for record in records] == ["hi", "hi"]


def test_results_of_promptfoo_may_be_lines() -> None:
    """A line of promptfoo's JSON lines is a result."""
    body = {"id": "a", "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}
    row = {"testIdx": 0, "promptIdx": 0, "response": {"output": "hi", "raw": body}, "latencyMs": 812, "cost": 0.5}
    (record,) = Envelopes().opener().records(json.dumps(row).encode())
    assert isinstance(record, Completion)
    assert record.envelope == Envelope(kind="promptfoo", duration=0.812)


def test_numbers_of_a_csv_file_are_numbers(tmp_path: Path) -> None:
    """Duration and cost of an envelope are read where a table has them as text, which stays in `extra`."""
    body = {"id": "a", "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}
    log = tmp_path / "helicone.csv"
    with log.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["request_id", "response_status", "delay_ms", "cost", "request_body", "response_body"])
        rows.writerow(["q1", "200", "900", "1.2e-05", "{}", json.dumps(body)])
    (record,) = iter_records(log)
    assert record.envelope == Envelope(kind="helicone", id="q1", status="200", duration=0.9, request={})
    assert record.usage is not None
    assert record.usage.cost == 1.2e-05
    assert record.extra == {"/cost": "1.2e-05", "/delay_ms": "900"}


@pytest.mark.parametrize("name", sorted(set.union(*NAMES.values())))
def test_a_file_can_be_read_from_any_block(name: str) -> None:
    """From the place of any of its blocks a file gives the units that come after it."""
    (source,) = expand([str(FORMS / name)])

    def cut(offset: int) -> list[Any]:
        with open_decoded(source) as opened:
            return list(blocks(opened, offset=offset, block_bytes=1))

    whole = cut(0)
    for place, block in enumerate(whole):
        assert cut(block.offset) == whole[place:]


def test_lists_of_chunks_may_be_lines(tmp_path: Path) -> None:
    """A list of chunks is an answer, as a file of its own and as one of several lines."""
    chunks = json.loads((FORMS / "chunks.json").read_bytes())
    line = json.dumps(chunks)
    for text, count in ((line, 1), (f"{line}\n", 1), (f"{line}\n{line}\n", 2), (json.dumps(chunks, indent=1), 1)):
        log = tmp_path / "log.json"
        log.write_text(text)
        assert [record.text for record in iter_records(log)] == ["Hello from chunk_list."] * count
