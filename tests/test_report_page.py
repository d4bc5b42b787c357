"""The page of a survey: the numbers of the JSON report, for everybody."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from normcompletion import batch
from normcompletion.cli import main
from tests.conftest import invented

RECORD = '{"organization_id": "o", "duration": %s, "response": {"id": "r", "choices": [{"message": {"content": "x"}}]}}'
ODD = '{"model": "<script>alert(1)</script>", "created": 1700000000, "choices": [], "<b>key</b>": 1}'


class Page(HTMLParser):
    """What a page says: by table and row, the exact numbers; and every tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.tables: dict[str, dict[str, list[str]]] = {}
        self.totals: dict[str, str] = {}
        self._table: dict[str, list[str]] | None = None
        self._inside = ""
        self._name = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "table":
            self._table = self.tables.setdefault(found["id"], {})
        if tag in ("dt", "th"):
            self._inside, self._name = tag, ""
        if tag == "data" and self._table is not None:
            self._table.setdefault(self._name, []).append(found["value"])
        elif tag == "data":
            self.totals[self._name] = found["value"]

    def handle_data(self, data):
        if self._inside:
            self._name += data

    def handle_endtag(self, tag):
        if tag == self._inside:
            self._inside = ""
        if tag == "table":
            self._table = None


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A survey of invented bodies, log records with durations and refused lines: its page, and its JSON report."""
    folder = tmp_path_factory.mktemp("page")
    log, page = folder / "log.jsonl", folder / "report.html"
    lines = [json.dumps(json.loads(raw)) for _, raw in invented()]
    lines += [RECORD % seconds for seconds in (0.05, 0.2, 3, 400)]
    lines += [ODD, '{"choices": [', '{"a": 1}', ""]
    log.write_text("\n".join(lines))
    survey = batch.survey(log)
    assert main(["survey", str(log), "--html", str(page), "--json"]) == 0
    return page.read_text(), json.loads(survey.to_json())


def test_the_numbers_are_those_of_the_json_report(shown):
    """Totals and every row of every table have the exact numbers of the JSON report, and no row is missing."""
    text, counted = shown
    page, report = Page(text), counted["report"]
    for name in ("units", "converted", "rejected", "blank", "records"):
        assert page.totals[name] == str(report[name]), name
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert page.totals[name.replace("_", " ")] == str(report[name]) != "0", name
    assert page.totals["cost, US dollars"] == report["cost"] != "0"
    counts = ("records", "failed", "prompt_tokens", "completion_tokens", "cost")
    for dimension in ("source", "model", "day", "finish_reason"):
        groups = report["breakdown"][dimension]
        assert page.tables[f"group-{dimension}"] == {
            name: [str(sums[count]) for count in counts] for name, sums in groups.items()
        }
        assert sum(sums["records"] for sums in groups.values()) == report["records"]
        assert sum(sums["total_tokens"] for sums in groups.values()) == report["total_tokens"]
    assert page.tables["note-codes"] == {code: [str(count)] for code, count in report["notes"].items()}
    assert page.tables["reject-codes"] == {code: [str(count)] for code, count in report["rejects"].items()}
    assert page.tables["survey-extra_keys"] == {
        name: [str(entry["count"])] for name, entry in counted["extra_keys"].items()
    }
    assert page.tables["latency-table"]["log10"] == [str(report["breakdown"]["latency"]["log10"]["calls"])]


def test_every_unseen_entry_has_its_place(shown):
    """Unknown keys are shown with the file and line where each was first seen."""
    text, counted = shown
    for entry in counted["extra_keys"].values():
        assert f"<td>{entry['first']}</td>" in text


def test_the_page_needs_no_network_and_runs_nothing(shown):
    """There is no script, no address and no foreign file on the page; what a log says is text there."""
    text, _ = shown
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "b"} & {tag for tag, _ in page.tags}
    assert not re.search(r'(src|href)="(?!#)|url\(|https?:', text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "default-src 'none'" in text


def test_the_page_is_for_keyboards_and_screen_readers(shown):
    """Tables have scopes and can be scrolled by keyboard; drawings, which repeat the tables, are hidden."""
    text, _ = shown
    page = Page(text)
    assert all(found.get("aria-hidden") == "true" for tag, found in page.tags if tag == "svg")
    assert all(found.get("scope") in {"col", "row"} for tag, found in page.tags if tag == "th")
    regions = [found for _, found in page.tags if found.get("role") == "region"]
    assert len(regions) == len(page.tables)
    assert all(found["tabindex"] == "0" and found["aria-label"] for found in regions)
    assert [tag for tag, _ in page.tags].count("h1") == 1
    assert 'lang="en"' in text
    assert "prefers-color-scheme: dark" in text


def test_jobs_do_not_change_the_page(shown, tmp_path):
    """Two jobs count what one does, and a report survives its JSON form."""
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(json.dumps(json.loads(raw)) for _, raw in invented()))
    one, two = batch.survey(log), batch.survey(log, jobs=2)
    assert one == two
    assert one.to_html() == batch.Survey.from_json(one.to_json()).to_html()


def test_only_a_page_is_replaced(tmp_path, capsys):
    """`--html` replaces an older page, and refuses to replace anything else."""
    log = tmp_path / "log.jsonl"
    log.write_text(ODD)
    page = tmp_path / "report.html"
    for _ in range(2):
        assert main(["survey", str(log), "--html", str(page)]) == 0
    assert main(["survey", str(log), "--html", str(log)]) == 2
    assert "is not the page of a survey; name another file" in capsys.readouterr().err
    assert log.read_text() == ODD
    assert main(["survey", str(log), "--html", str(tmp_path / "absent" / "report.html")]) == 5


def test_a_long_table_ends_in_the_sums_of_the_rest(tmp_path):
    """A dimension of more than 30 groups has its largest ones and the sums of the others; odd days are in no chart."""
    log = tmp_path / "log.jsonl"
    log.write_text("".join(f'{{"model": "m{at}", "choices": []}}\n' for at in range(35)))
    text = batch.survey(log).to_html()
    models = Page(text).tables["group-model"]
    assert len(models) == 31
    assert models["(5 more)"][0] == "5"
    assert 'class="days"' not in text
