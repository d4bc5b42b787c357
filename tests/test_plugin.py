"""A third party's source, installed through the entry point."""

from __future__ import annotations

import subprocess
import sys
import textwrap

MODULE = """
import msgspec
from normcompletion import Choice, Completion, Message, Variant, key


class Answer(msgspec.Struct, kw_only=True):
    acme_id: str
    said: str | None = None


def adapt(answer, findings):
    choice = Choice(message=Message(content=answer.said))
    return Completion(id=answer.acme_id, source="acme", variant="answer", choices=[choice], notes=findings.notes)


VARIANTS = (Variant(source="acme", name="answer", wire=Answer, adapt=adapt, markers=(key("acme_id"),)),)
"""

SCRIPT = """
from normcompletion import UnknownSourceError, detect, normalize
ours = normalize(b'{"acme_id":"7","said":"hello","mood":{"glad":true}}')
assert (ours.source, ours.variant, ours.id, ours.text) == ("acme", "answer", "7", "hello"), ours
assert ours.extra == {"/mood": {"glad": True}}, ours
assert detect(b'{"acme_id":"7"}').evidence == ("acme: `acme_id`",)
openai = normalize(b'{"choices":[{"message":{"content":"x"}}]}')
assert (openai.source, openai.text) == ("openai", "x")
router = normalize(b'{"provider":"P","choices":[{"native_finish_reason":"STOP","message":{"content":"x"}}]}')
assert router.source == "openrouter"
dressed = normalize(b'{"choices":[],"acme_id":"8"}')
assert dressed.source == "acme" and dressed.extra == {"/choices": []}
camel = normalize(b'{"acmeId":"9","said":"hi"}')
assert (camel.source, camel.id, camel.text) == ("acme", "9", "hi"), camel
assert camel.source_basis == "marker" and openai.source_basis == "dialect"
"""


def test_an_installed_source_is_read_like_a_built_in_one(tmp_path):
    """A package that offers the entry point adds its variants, and every older verdict stands."""
    (tmp_path / "acme_normcompletion.py").write_text(MODULE)
    info = tmp_path / "acme_normcompletion-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-normcompletion\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[normcompletion.sources]\nacme = acme_normcompletion\n")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{textwrap.dedent(SCRIPT)}"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
