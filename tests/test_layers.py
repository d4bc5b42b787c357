"""Imports point one way."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "normcompletion"

# Each module may import from those above it; sources never import one another.
LAYERS = (
    """
extra pointer masking plugins
model
errors
payload
findings
dialect.wire dialect.finish
dialect.failures
dialect.adapt
dialect.variant dialect
envelopes.wrappers
envelopes.unsupported envelopes envelopes.members envelopes.extended
envelopes.encodings
sources sources.openai sources.atoma sources.log10 sources.openrouter sources.gateways decoding
    decoding.spelling decoding.detection
sources.checks
sources.registry decoding.unknown
decoding.lenient decoding.decoder decoding.record
decoding.engine
streams streams.events streams.values
streams.calls streams.chunks
streams.answer
streams.runs streams.ending
streams.merging
streams.result
streams.assembly
streams.splitting
export.record
export.openai
export.messages export.otel
audit
api
streaming arrow bench
export.frame
export
batch.breakdown
spark batch.durable batch.signals batch.inputs batch.blocks batch.unreadable envelopes.spread
batch.report
batch.page
envelopes.preset envelopes.hints
envelopes.calls
envelopes.openai_batch envelopes.fireworks_batch envelopes.openai_pair envelopes.litellm envelopes.databricks
    envelopes.api_gateway envelopes.apisix envelopes.awslogs envelopes.bedrock envelopes.bedrock_batch
    envelopes.envoy envelopes.helicone envelopes.kong envelopes.langfuse envelopes.llm envelopes.log_line
    envelopes.openinference envelopes.openrouter_broadcast envelopes.portkey envelopes.promptfoo
    envelopes.cloudflare envelopes.fragments
envelopes.cloudwatch envelopes.har envelopes.inspect envelopes.langfuse_ingestion envelopes.langsmith
    envelopes.mlflow envelopes.vcr envelopes.weave
envelopes.registry
envelopes.choice envelopes.options
envelopes.refusals
envelopes.records
envelopes.opener
batch.options
batch.forms batch.forms.rows batch.forms.lines batch.forms.feed
batch.workers batch.exports batch.outputs.naming batch.outputs.background
batch.outputs.targets
batch.outputs.text batch.outputs.parquet
batch.outputs
batch.forms.cassette batch.forms.chunks batch.forms.copy_text batch.forms.inspect_eval batch.forms.prefixed
    batch.forms.separated batch.forms.sqlite batch.forms.parquet batch.forms.values batch.forms.answers
    batch.forms.jsonl
batch.forms.detection
batch.forms.reading
batch.units batch.journal
batch.conversion batch.folders
batch.engine batch.written
batch.survey batch.examination batch.run
batch
reading
testing.camelcase
testing testing.__main__
cli.console cli.options cli.progress
cli.convert cli.survey cli.examine cli.bench cli.reference cli.envelopes
cli __init__ __main__
""".strip()
    .replace("\n    ", " ")
    .splitlines()
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names.split()}


def modules() -> dict[str, Path]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imported(name: str, path: Path) -> set[str]:
    names = set()
    inside = [*name.split("."), "__init__"] if path.name == "__init__.py" and name != "__init__" else name.split(".")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            prefix = ".".join(inside[: -node.level])
            module = ".".join(filter(None, [prefix, node.module or ""]))
            names |= {module} if node.module else {".".join(filter(None, [prefix, alias.name])) for alias in node.names}
    return names & LEVEL.keys() - {name}


def test_every_module_has_a_layer():
    """Every module of the package is in exactly one layer."""
    assert set(modules()) == set(LEVEL)


def test_imports_point_one_way():
    """No module imports from its own layer or from one below it."""
    wrong = [
        (name, other)
        for name, path in modules().items()
        for other in imported(name, path)
        if LEVEL[other] >= LEVEL[name] and name not in ("__init__", "__main__")
    ]
    assert wrong == []
