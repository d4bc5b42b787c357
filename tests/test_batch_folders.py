"""Which inputs there are, and which files are not read."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from normcompletion.batch.folders import expand
from normcompletion.batch.inputs import Input, InputError, open_decoded
from normcompletion.batch.units import blocks


@pytest.fixture
def logs(tmp_path, monkeypatch):
    """A folder of logs, which is the current one."""
    for name in ("b/2.jsonl.gz", "b/1.JSON", "a.jsonl", "c.txt", ".hidden/x.jsonl", "_delta_log/0.json", "d[1].sse"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paths(*given: str, **options: str) -> list[str]:
    return [source.path for source in expand(given, **options)]


def test_a_folder_gives_its_logs_by_name(logs):
    """A folder gives the logs below it, sorted by name, bookkeeping left out; other files are passed over."""
    assert paths(".") == ["./a.jsonl", "./b/1.JSON", "./b/2.jsonl.gz", "./d[1].sse"]
    assert expand(["."]).passed_over == ("./c.txt",)


JSON = b'{"id": "a", "choices": []}\n'
LOGS = {
    "dump.txt": b": keep-alive\n\ndata: " + JSON,
    "dump.log": JSON,
    "dump.log.gz": gzip.compress(JSON),
    "dump": b"[\n  " + JSON + b"]",
    "curl.txt": b"HTTP/2 200\ncontent-type: application/json\n\n" + JSON,
    "mixed.txt": b"--- request 1 ---\n" + JSON,
    "pretty.txt": b'2026-01-02 INFO calling\n{\n  "id": "a"\n}\n',
    "cut.jsonl": b"no JSON",
    "empty.json": b"",
}
OTHERS = {
    "README.md": b"# Title\n\ndata: none\n",
    "notes.txt": b"[INFO] started\n",
    "conf.yaml": b"data:\n  key: value\n",
    "code.c": b"int main()\n{\n  return 0;\n}\n",
    "repr.txt": b"{'id': 'a'}\n",
    "empty.txt": b"",
    "a.jsonl.bz2": b"BZh91AY&SY",
    "packed.log.gz": gzip.compress(b"nothing"),
}


def test_every_file_of_a_folder_is_looked_at(tmp_path):
    """Files are detected by their first bytes; those that are not logs are counted by the end of their names."""
    for name, data in (LOGS | OTHERS).items():
        (tmp_path / name).write_bytes(data)
    found = expand([tmp_path])
    assert {Path(source.path).name for source in found} == set(LOGS)
    assert {Path(path).name for path in found.passed_over} == set(OTHERS)
    assert found.by_kind() == {".txt": 3, ".md": 1, ".yaml": 1, ".c": 1, ".jsonl.bz2": 1, ".log.gz": 1}
    assert found.passed_over_text().startswith("8 files that are not logs were passed over: .txt 3, ")
    assert len(expand([tmp_path, tmp_path / "notes.txt"]).passed_over) == 7


def test_a_folder_of_other_files_is_reported(tmp_path):
    """A folder without any log is an error that says how many files were looked at."""
    (tmp_path / "notes.txt").write_bytes(b"hello")
    with pytest.raises(InputError, match="holds no log among its 1 files"):
        expand([tmp_path])


@pytest.mark.parametrize(
    ("head", "what", "command"),
    [
        (b"PK\x03\x04", "a zip archive", "unzip -p 'a b.jsonl' | normcompletion convert -"),
        (b"BZh9", "bzip2", "bzcat 'a b.jsonl' | normcompletion convert -"),
        (b"\xfd7zXZ\x00", "xz", "xzcat 'a b.jsonl' | normcompletion convert -"),
        (
            b"1234:9:websocket;0:~8:response;",
            "a flow file of mitmproxy",
            "mitmdump -nr 'a b.jsonl' --set hardump='a b.jsonl'.har && normcompletion convert 'a b.jsonl'.har",
        ),
        (bytes(257) + b"ustar\x00", "a tar archive", "tar -xOf 'a b.jsonl' | normcompletion convert -"),
        (b"ARROW1\x00\x00", "an Arrow file", "'a b.jsonl'"),
        (b"\xff\xff\xff\xff\xa0\x00", "an Arrow stream", "'a b.jsonl'"),
        (b"\x80\x04\x95", "a Python pickle, which can run code", "'a b.jsonl' | normcompletion convert -"),
        (JSON.decode().encode("utf-16"), "UTF-16", "iconv -f UTF-16 -t UTF-8 'a b.jsonl' | normcompletion convert -"),
        (JSON.decode().encode("utf-16-le"), "UTF-16LE", "iconv -f UTF-16LE -t UTF-8 'a b.jsonl'"),
        (JSON.decode().encode("utf-16-be"), "UTF-16BE", "iconv -f UTF-16BE -t UTF-8 'a b.jsonl'"),
        (JSON.decode().encode("utf-32"), "UTF-32", "iconv -f UTF-32 -t UTF-8 'a b.jsonl'"),
    ],
)
def test_what_is_not_read_names_the_command(tmp_path, monkeypatch, head, what, command):
    """A file in a form that is not read is an error that says what it is and which command helps."""
    monkeypatch.chdir(tmp_path)
    name = "a b.jsonl"
    for data in (head, gzip.compress(head)):
        Path(name).write_bytes(data)
        with pytest.raises(InputError) as caught, open_decoded(Input(name, name)) as source:
            list(blocks(source))
        assert str(caught.value).startswith(f"{name} is ")
        assert what in str(caught.value)
        assert command in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.jsonl", ["a.jsonl"]),
        ("**/*.jsonl*", ["a.jsonl", "b/2.jsonl.gz"]),
        ("?.txt", ["c.txt"]),
        ("[bc]*", ["b/1.JSON", "b/2.jsonl.gz", "c.txt"]),
        ("d[1].sse", ["d[1].sse"]),
    ],
)
def test_patterns_are_expanded_here(logs, pattern, found):
    """A pattern gives what it matches, by name, of folders their logs; a file that is called like it comes first."""
    assert paths(pattern) == found


def test_inputs_keep_their_order_and_come_once(logs):
    """Inputs stand in the order in which they were named, and one that is named again is not read again."""
    assert paths("c.txt", "b", "b/2.jsonl.gz", "-", "c.txt") == ["c.txt", "b/1.JSON", "b/2.jsonl.gz", "-"]


def test_a_list_of_inputs_has_one_a_line(logs, monkeypatch):
    """`files_from` is a file, or standard input, with one path a line; CRLF and blank lines do no harm."""
    (logs / "list").write_bytes(b"c.txt\r\n\nb\n")
    assert paths("a.jsonl", files_from="list") == ["a.jsonl", "c.txt", "b/1.JSON", "b/2.jsonl.gz"]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"c.txt")))
    assert paths(files_from="-") == ["c.txt"]


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        (["absent.jsonl"], {}, ["absent.jsonl", "does not exist", "check the name"]),
        (["no*.jsonl"], {}, ["no*.jsonl", "no file matches", "quote the pattern"]),
        ([".hidden/empty"], {}, [".hidden/empty", "holds no log", "name the files"]),
        ([], {}, ["there is no input", "name a file"]),
        (["-"], {"files_from": "-"}, ["standard input", "put the list in a file"]),
        ([], {"files_from": "absent"}, ["absent", "cannot be read"]),
        ([], {"files_from": "list"}, ["gone.jsonl does not exist", "listed in list"]),
    ],
)
def test_what_is_no_input_is_reported_with_what_to_do(logs, given, options, words):
    """Every wrong input raises an error that names it and says what to do."""
    (logs / ".hidden" / "empty").mkdir()
    (logs / "list").write_bytes(b"gone.jsonl")
    with pytest.raises(InputError) as caught:
        expand(given, **options)
    assert all(words in str(caught.value) for words in words)


def test_files_that_are_no_logs_can_be_refused(tmp_path):
    """With `strict` a folder with a file that is not a log is refused; partial outputs are never matched."""
    (tmp_path / "a.jsonl").write_bytes(b'{"choices":[]}\n')
    (tmp_path / "b.jsonl.partial").write_bytes(b"{")
    (tmp_path / "notes.md").write_text("# Notes\n")
    assert [source.name for source in expand([f"{tmp_path}/*jsonl*"])] == [f"{tmp_path}/a.jsonl"]
    with pytest.raises(InputError, match="1 file that is not a log was passed over"):
        expand([str(tmp_path)], strict=True)
