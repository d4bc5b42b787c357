"""Mutation testing: whether the tests notice small faults put into the engine.

    python tests/mutation.py --sample 400 --seed 1 --report survivors.txt

One fault at a time goes into a copy of the checkout, where the tests run until one fails. A mutant that no test kills
is listed with its diff: a test is missing there, or the line does nothing that a caller can see. Mutmut is not used:
it forks from a process that has compiled its decoders, so what runs once (routes, shapes, tables) seems untested.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Never

import hypothesis  # noqa: F401 - imported once, before the forks
import msgspec  # noqa: F401
import orjson  # noqa: F401
import pytest

ROOT = Path(__file__).parent.parent
COPIED = ("normcompletion", "tests", "fixtures", "benchmarks", "README.md", "CHANGELOG.md", "pyproject.toml")
# What turns payloads into completions; the command line, bulk conversion, the model and the errors are not in it.
ENGINE = (
    *("accounting.py", "dialect.py", "envelope.py", "ledger.py", "normalize.py", "parse.py", "pointer.py", "reader.py"),
    *("registry.py", "salvage.py", "spelling.py", "stream_assembly.py", "stream_chunks.py", "stream_events.py"),
    *("recast.py", "stream_parts.py", "stream_template.py", "streams.py", "widen.py"),
    *("sources/atoma.py", "sources/log10.py", "sources/openai.py", "sources/openrouter.py"),
)
# The tests, in stages, with seconds of CPU time that are several times what the unchanged library takes: a mutant may
# loop for ever. The next stage runs only where none before failed; cheap and telling ones first.
STAGES = [
    (20, "survivors conformance streams"),
    (20, "no_silent_loss spelling inputs cli readme public_api plugin"),
    (60, "errors roads"),
    (200, "detect_order stream_properties stream_memory benchmarks"),
]
QUIET = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # hypothesis is imported before the forks
MEMORY = 4 << 30

COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


class Mutant(NamedTuple):
    """Some bytes of a module, and what takes their place."""

    module: str
    line: int
    start: int
    end: int
    text: str

    def source(self, package: Path) -> str:
        """The whole module with the fault in it."""
        original = (package / self.module).read_bytes()
        return (original[: self.start] + self.text.encode() + original[self.end :]).decode()

    def diff(self, package: Path) -> str:
        """The changed lines."""
        before = (package / self.module).read_text().splitlines()
        lines = list(difflib.unified_diff(before, self.source(package).splitlines(), lineterm="", n=0))[3:]
        return "\n".join(f"    {line}" for line in lines)


def changed(node: ast.AST) -> Iterator[str]:
    """What may take the place of a node."""
    match node:
        case ast.Compare(left=left, ops=[op], comparators=comparators):
            yield f"({ast.unparse(ast.Compare(left, [COMPARE[type(op)]()], comparators))})"
        case ast.BoolOp(op=op, values=values):
            yield f"({ast.unparse(ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values))})"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield f"({ast.unparse(operand)})"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
            yield f"({ast.unparse(ast.BinOp(left, ARITHMETIC[type(op)](), right))})"
        case ast.Constant(value=bool(value)):
            yield repr(not value)
        case ast.Constant(value=int(value)):
            yield repr(value + 1)
        case ast.Constant(value=str(value)):
            yield repr("" if value else "XX")
        case ast.Constant(value=bytes(value)):
            yield repr(b"" if value else b"XX")
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield "return None"
        case ast.Assign() | ast.AugAssign() | ast.Delete() | ast.Raise() | ast.Expr(value=ast.Call()) | ast.Break():
            yield "pass"
        case ast.AnnAssign(value=ast.expr(), target=ast.Name()):
            yield "pass"
        case ast.Continue():
            yield "break"
        case _:
            pass


def nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes worth a fault: no docstrings, annotations, decorators, messages, nor claims to the type checker."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            match child:
                case ast.Assert() | ast.JoinedStr() | ast.Import() | ast.ImportFrom():
                    pass
                case ast.Expr(value=ast.Constant()):  # a docstring, or an ellipsis
                    pass
                case ast.Assign(targets=[ast.Name(id="__slots__")]) | ast.keyword(arg="about"):
                    pass
                case ast.FunctionDef(decorator_list=[ast.Name(id="overload")]):
                    pass
                case ast.Raise(exc=ast.Call(args=[ast.Constant(), *_], keywords=keywords)):
                    yield child
                    for keyword in keywords:
                        yield from nodes(keyword)
                case ast.AST():
                    yield child
                    yield from nodes(child)


def mutants_of(package: Path, module: str) -> Iterator[Mutant]:
    """Every mutant of one module."""
    text = (package / module).read_text()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line.encode()))

    def mutant(node: ast.expr | ast.stmt, replacement: str) -> Mutant:
        assert node.end_lineno is not None and node.end_col_offset is not None
        start, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        return Mutant(module, node.lineno, start, end, replacement)

    for node in nodes(ast.parse(text)):
        if isinstance(node, ast.expr | ast.stmt):
            for replacement in changed(node):
                yield mutant(node, replacement)
        if isinstance(node, ast.If | ast.While | ast.IfExp) and not isinstance(node.test, ast.Compare | ast.UnaryOp):
            yield mutant(node.test, f"(not ({ast.unparse(node.test)}))")
        if isinstance(node, ast.ExceptHandler) and not isinstance(node.body[-1], ast.Raise):
            yield mutant(node.body[0], "raise")


class Workplace:
    """A copy of the checkout, for one mutant at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mutant: Mutant | None = None
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, folder / name)

    def start(self, mutant: Mutant | None, stages: int) -> int:
        """The process that tests a mutant, or the library as it is; its status is the stage that killed it, or 0."""
        self.mutant = mutant
        if mutant is not None:
            file = self.folder / "normcompletion" / mutant.module
            file.write_text(mutant.source(ROOT / "normcompletion"))
            # Bytecode is told apart by whole seconds: the next mutant of a module may come within the same one.
            for bytecode in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
                bytecode.unlink()
        process = os.fork()  # pytest and what it needs are imported already
        if process == 0:
            self._run(stages)
        return process

    def _run(self, stages: int) -> Never:
        sys.dont_write_bytecode = self.mutant is not None
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a descriptor is wanted
            for descriptor in (1, 2):
                os.dup2(nowhere.fileno(), descriptor)
        os.chdir(self.folder)
        sys.path.insert(0, str(self.folder))
        os.environ["PYTHONPATH"] = str(self.folder)
        signal.alarm(900)  # what waits uses no CPU time
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        for number, (seconds, names) in enumerate(STAGES[:stages], 1):
            resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + seconds, resource.RLIM_INFINITY))
            files = [f"tests/test_{name}.py" for name in names.split() if Path(f"tests/test_{name}.py").exists()]
            if pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", *QUIET, *files]):
                os._exit(number)
        os._exit(0)

    def restore(self) -> None:
        """Take the fault out again."""
        if self.mutant is not None:
            shutil.copy(
                ROOT / "normcompletion" / self.mutant.module, self.folder / "normcompletion" / self.mutant.module
            )
        shutil.rmtree(self.folder / ".hypothesis", ignore_errors=True)


def judge(mutants: list[Mutant], jobs: int, stages: int) -> Iterator[tuple[Mutant, int]]:
    """Each mutant with the stage that killed it: 0 where none did, negative where it took too long."""
    with tempfile.TemporaryDirectory() as folder:
        free = [Workplace(Path(folder) / str(number)) for number in range(jobs)]
        for workplace in free:
            if os.waitstatus_to_exitcode(os.waitpid(workplace.start(None, stages), 0)[1]):
                sys.exit("the tests fail on the unchanged library")
        busy: dict[int, Workplace] = {}
        waiting = mutants[::-1]
        while waiting or busy:
            if waiting and free:
                workplace = free.pop()
                busy[workplace.start(waiting.pop(), stages)] = workplace
                continue
            process, status = os.wait()
            workplace = busy.pop(process)
            assert workplace.mutant is not None
            yield workplace.mutant, os.waitstatus_to_exitcode(status)
            workplace.restore()
            free.append(workplace)


def sample(size: int, seed: int) -> list[Mutant]:
    """A seeded sample, proportional to the size of the modules as it is drawn from all mutants."""
    found = [mutant for module in ENGINE for mutant in mutants_of(ROOT / "normcompletion", module)]
    print(f"{len(found)} mutants of {len(ENGINE)} modules", flush=True)
    return sorted(random.Random(seed).sample(found, min(size, len(found))))


def main() -> None:
    """Run the sample and print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--stages", type=int, default=len(STAGES), help="how many stages of tests to run")
    parser.add_argument("--only", type=Path, help="run only the mutants that an earlier report lists as survivors")
    parser.add_argument("--report", type=Path, help="write the survivors there")
    options = parser.parse_args()
    began = time.monotonic()
    chosen = sample(options.sample, options.seed)
    if options.only is not None:
        listed = set(options.only.read_text().splitlines())
        chosen = [mutant for mutant in chosen if heading(mutant) in listed]
    survivors = []
    late = 0
    for mutant, stage in judge(chosen, options.jobs, options.stages):
        word = "survived" if stage == 0 else f"killed at stage {stage}" if stage > 0 else "killed by the limit"
        print(f"{word}: {heading(mutant)}", flush=True)
        late += stage < 0
        if stage == 0:
            survivors.append(mutant)
    lines = [f"{heading(mutant)}\n{mutant.diff(ROOT / 'normcompletion')}\n" for mutant in sorted(survivors)]
    if options.report is not None:
        options.report.write_text("".join(lines))
    killed = len(chosen) - len(survivors)
    print("".join(lines), end="")
    print(
        f"seed {options.seed}: {killed} killed ({late} by the limit), {len(survivors)} survived, "
        f"{killed / max(1, len(chosen)):.1%}, {time.monotonic() - began:.0f} s"
    )


def heading(mutant: Mutant) -> str:
    """Where a mutant is, and what it says there."""
    return f"{mutant.module}:{mutant.line} @{mutant.start} {mutant.text.splitlines()[0]}"


if __name__ == "__main__":
    main()
