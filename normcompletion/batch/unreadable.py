"""Files that hold logs in a form that is not read here: how they begin, and the command that makes them readable."""

from __future__ import annotations

import re
import shlex

_TAR_AT, _TAR = 257, b"ustar"
_FLOWS = re.compile(rb"\d+:\d+:(?:websocket|response|request|type|version|error|id);")  # netstrings in a dictionary

# By their first bytes: what it is, and what to run; {} is the file.
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive", "unzip -p {} | normcompletion convert -"),
    (b"PK\x05\x06", "an empty zip archive", "unzip -l {}"),
    (b"BZh", "compressed with bzip2", "bzcat {} | normcompletion convert -"),
    (b"\xfd7zXZ\x00", "compressed with xz", "xzcat {} | normcompletion convert -"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "lz4cat {} | normcompletion convert -"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x -so {} | normcompletion convert -"),
    (b"\xff\xfe\x00\x00", "UTF-32", "iconv -f UTF-32 -t UTF-8 {} | normcompletion convert -"),
    (b"\xff\xfe", "UTF-16", "iconv -f UTF-16 -t UTF-8 {} | normcompletion convert -"),
    (b"\xfe\xff", "UTF-16", "iconv -f UTF-16 -t UTF-8 {} | normcompletion convert -"),
)
_ARROW = (
    "python -c 'import sys, pyarrow, pyarrow.parquet as parquet; "
    'parquet.write_table(pyarrow.ipc.{open}(sys.argv[1]).read_all(), sys.argv[1] + ".parquet")\' {{}}'
)
_FEATHER = (
    "python -c 'import sys, pyarrow.feather as feather, pyarrow.parquet as parquet; "
    'parquet.write_table(feather.read_table(sys.argv[1]), sys.argv[1] + ".parquet")\' {}'
)
_PICKLE = (
    "python -c 'import json, pickle, sys; "
    'rows = pickle.load(open(sys.argv[1], "rb")); '
    "[print(json.dumps(row)) for row in (rows if isinstance(rows, list) else [rows])]' {} | normcompletion convert -"
)


def advice(head: bytes, name: str) -> str | None:
    """What a file is and what to do with it, by its first bytes (300 or more); `None` for any other."""
    what, command = _kind(head)
    if what is None:
        return None
    return f"{name} is {what}; run: {command.replace('{}', shlex.quote(name))}"


def _kind(head: bytes) -> tuple[str | None, str]:
    for mark, what, command in _KINDS:
        if head.startswith(mark):
            return what, command
    if head[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR:
        return "a tar archive", "tar -xOf {} | normcompletion convert -"
    if head.startswith(b"ARROW1\x00\x00"):
        return "an Arrow file", _ARROW.format(open="open_file")
    if head.startswith(b"\xff\xff\xff\xff"):
        return "an Arrow stream", _ARROW.format(open="open_stream")
    if head.startswith(b"FEA1"):
        return "a Feather file", _FEATHER
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a Python pickle, which can run code (do this only where you trust who wrote it)", _PICKLE
    if _FLOWS.match(head):
        return "a flow file of mitmproxy", "mitmdump -nr {} --set hardump={}.har && normcompletion convert {}.har"
    for order, at in (("LE", 1), ("BE", 0)):
        if (
            len(head) >= 4
            and head[at : at + 1] == head[at + 2 : at + 3] == b"\x00"
            and b"\x00" not in head[1 - at : 4 : 2]
        ):
            return f"UTF-16{order}", f"iconv -f UTF-16{order} -t UTF-8 {{}} | normcompletion convert -"
    return None, ""
