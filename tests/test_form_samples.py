"""One file of each form in which people keep responses: what comes out of it, and that nothing of it is lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from normcompletion import Completion
from normcompletion.batch import Reject, convert, iter_records
from normcompletion.batch.blocks import Position
from normcompletion.batch.folders import expand
from normcompletion.batch.forms import reading
from normcompletion.batch.inputs import open_decoded
from normcompletion.batch.units import blocks, units_of
from normcompletion.cli import main
from normcompletion.cli.options import ENVELOPES
from normcompletion.envelopes.members import members_of
from normcompletion.envelopes.options import Envelopes
from normcompletion.envelopes.preset import Preset
from normcompletion.envelopes.registry import known_envelopes, named, presets

from .conftest import FIXTURES, for_each

FORMS = FIXTURES / "forms"


class Sample(NamedTuple):
    """A file of a form: its records, the codes of its rejects, where entries are that are no calls, and its options."""

    records: list[dict[str, Any]]
    rejects: list[str] = []  # noqa: RUF012 - never changed
    passed: list[str] = []  # noqa: RUF012
    options: dict[str, Any] = {}  # noqa: RUF012


SAMPLES = {
    name: Sample(**sample) for name, sample in json.loads(Path(__file__).with_name("forms.json").read_bytes()).items()
}


def test_every_sample_is_here() -> None:
    """Each file of forms is a sample of this module."""
    assert {path.name for path in FORMS.iterdir()} == set(SAMPLES)


def shown(record: Completion) -> dict[str, Any]:
    """What `forms.json` has of a record; `cost` is that of its usage, `error` the code or the message."""
    about = {
        "id": record.id,
        "text": record.text,
        "envelope": record.envelope and _without_nulls(msgspec.to_builtins(record.envelope)),
        "cost": record.usage and record.usage.cost,
        "error": record.error and (record.error.message if record.error.code is None else record.error.code),
    }
    return _without_nulls(about)


def _without_nulls(members: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in members.items() if value is not None}


@for_each(SAMPLES)
def test_a_sample_gives_what_its_form_has(name: str) -> None:
    """A file gives its responses with request, id, time, status, duration, cost and tags, and names what it refuses."""
    sample = SAMPLES[name]
    items = list(iter_records(FORMS / name, on_error="yield", **sample.options))
    assert [shown(item) for item in items if isinstance(item, Completion)] == sample.records
    assert [item.code for item in items if isinstance(item, Reject)] == sample.rejects


@for_each(SAMPLES)
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


AROUND = {"awslogs.json": "awslogs", "cri_envelopes.log": "log_line"}  # what holds the envelopes of the records


def kinds(name: str) -> set[str]:
    """The presets that a sample's units are of."""
    found = {record["envelope"]["kind"] for record in SAMPLES[name].records if "envelope" in record}
    return (found | {AROUND.get(name, "custom")}) - {"custom"}


@for_each(SAMPLES)
def test_no_form_is_detected_in_another(name: str) -> None:
    """The keys of a unit name its own envelope and no other, nor a fragment."""
    (source,) = expand([str(FORMS / name)])
    with open_decoded(source) as opened:
        for unit in (unit for block in blocks(opened) for unit in units_of(block)):
            members = members_of(unit.text or b"")
            assert members is None or {known.name for known in named(members)} <= kinds(name)


NAMES = {
    "csv": {"columns.csv", "columns.tsv", "helicone.csv"},
    "sqlite": {"llm.db"},
    "eval": {"inspect.eval"},
    "cassette": {"vcr.yaml", "vcr_httpx.yaml", "vcr_ruby.yml"},
    "prefixed": {"cri.log", "cri_envelopes.log", "fluentd.log", "logging.log", "aws_logs_tail.log"},
    "docker": {"docker.log"},
    "chunks": {"chunks.json", "chunks.jsonl"},
}


@for_each(SAMPLES)
def test_each_file_has_the_form_of_its_first_bytes(name: str) -> None:
    """Files that are not JSON are detected by their first bytes, and no file of JSON is taken for one of them."""
    (source,) = expand([str(FORMS / name)])
    with open_decoded(source) as opened:
        found = reading.find(opened, Envelopes(), 1 << 20)
    wanted = next((form for form, names in NAMES.items() if name in names), None)
    assert (found and found.form) == wanted


@for_each(presets().values())
def test_an_example_is_detected_as_what_it_is(preset: Preset) -> None:
    """The example of an envelope has its keys, and those of no other."""
    if isinstance(preset.example, dict):
        unit = members_of(json.dumps(preset.example).encode())
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
    assert report.records == sum(len(sample.records) for sample in samples.values())
    assert sum(report.rejects.values()) == sum(len(sample.rejects) for sample in samples.values())
    assert report.other_entries == sum(len(sample.passed) for sample in samples.values())
    assert (report.files, report.files_read) == (len(samples) + 1, len(samples))
    assert report.units == report.converted + report.rejected + report.blank
    assert f"{report.other_entries} entries passed over" in str(report)
    written = [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert written == [record.get("id") for name in sorted(samples) for record in samples[name].records]


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


@pytest.mark.parametrize(
    "line",
    [
        "{'id': 'a', 'choices': [{'index': 0, 'message': {'content': None}}]}",
        '{"Item":{"response":{"M":{"id":{"S":"a"},"choices":{"L":[{"M":{"message":{"M":{"content":{"S":"x"}}}}}]}}}}}',
        'const log = [{"id": "a", "choices": []}];',
        r'POST /v1 200 body:"{\x22id\x22: \x22a\x22, \x22choices\x22: []}"',
        'HTTP/2 200\r\n\r\n{"id": "a", "choices": []}HTTP/2 200\r\n',
        r'{"id": "a", "choices": []}\n{"id": "b", "choices": []}\n',
    ],
)
def test_a_command_in_advice_makes_a_log_readable(line: str, tmp_path: Path) -> None:
    """What is nearly JSON is refused with a command that gives the record."""
    (tmp_path / "LOG").write_text(f"{line}\n", newline="")
    (refused,) = iter_records(tmp_path / "LOG", on_error="yield")
    assert isinstance(refused, Reject)
    command = refused.reason.partition("run: ")[2].replace("python -c", f"{sys.executable} -c")
    command = command.replace("normcompletion", f"{sys.executable} -m normcompletion")
    written = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=True)
    assert json.loads(written.stdout.splitlines()[0])["id"] == "a"


@for_each(sorted(set.union(*NAMES.values())))
def test_a_file_can_be_read_from_any_block(name: str) -> None:
    """From the place of any of its blocks a file gives the units that come after it."""
    (source,) = expand([str(FORMS / name)])

    def cut(offset: int, line: int) -> list[Any]:
        with open_decoded(source) as opened:
            return list(blocks(opened, Position(0, offset, line), block_bytes=1))

    whole = cut(0, 1)
    for place, block in enumerate(whole):
        assert cut(block.offset, block.line) == whole[place:]


@pytest.mark.parametrize(
    ("name", "named", "expected"),
    [
        ("openrouter_broadcast.json", {}, ("openrouter", "envelope")),
        ("openrouter_broadcast.json", {"default_source": "atoma"}, ("openrouter", "envelope")),
        ("openrouter_broadcast.json", {"source": "atoma"}, ("atoma", "caller")),
        ("vllm_batch.jsonl", {}, ("openai", "dialect")),
        ("vllm_batch.jsonl", {"default_source": "atoma"}, ("atoma", "caller")),
        ("vllm_batch.jsonl", {"source": "atoma"}, ("atoma", "caller")),
    ],
)
def test_every_record_says_why_it_has_its_source(name: str, named: dict[str, str], expected: tuple[str, str]) -> None:
    """The envelope of a service names the source before a default does; answers and failed calls say which it was."""
    records = list(iter_records(FORMS / name, **named))
    assert {(record.source, record.source_basis) for record in records} == {expected}
