"""A conversion in a few lines, to be killed and failed at every durable step.

    python -m tests.crash.model OUTPUT… [--full] [--numbers N]

It reads blocks of a few numbers, gives each even number as a record and each odd one as a reject, and keeps checkpoints
as the engine does. Prints what was wrong, one finding a line; exit code 1 if there was any.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from normcompletion.batch import outputs
from normcompletion.batch.durable import OutputError
from normcompletion.batch.journal import Checkpoint, Journal, Rename, check_unchanged
from normcompletion.batch.outputs import Kind, Sink, check_outputs, open_sink
from tests.crash.disturb import Subject, disturb

BLOCK = 13
BLOCKS_TO_A_CHECKPOINT = 4
REJECTS = "elsewhere/rejects.jsonl"  # a directory of its own: one is synced without the other
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # the faults say what is synced; no disk needs to


def small() -> None:
    """Let files be cut where a few records fill them."""
    outputs.FRAME_BYTES = 900
    outputs.BUFFER_BYTES = 500
    outputs.ROWS_PER_GROUP = 15


def warm(output: str) -> None:
    """Import what the forks would have to import one by one, and share it with them."""
    import concurrent.futures.thread  # noqa: F401

    if kind_of(output) != "jsonl":
        import pyarrow.compute
        import pyarrow.parquet  # noqa: F401
    gc.freeze()


def kind_of(output: str) -> Kind:
    """What is written, by the name of the output."""
    return "parquet" if output.endswith(".parquet") else "parquet_parts" if output.endswith(".parts") else "jsonl"


def line(number: int) -> bytes:
    record = {"number": number, "text": f"{number} is more than {number - 1}. " * (number % 5)}
    return json.dumps(record).encode() + b"\n"


def schema() -> Any:
    import pyarrow as pa

    return pa.schema({"number": pa.int64(), "texts": pa.list_(pa.string())})


def write(sink: Sink, kind: Kind, numbers: Sequence[int]) -> None:
    if kind == "jsonl":
        sink.write(b"".join(map(line, numbers)), len(numbers))
    else:
        import pyarrow as pa

        columns = {"number": list(numbers), "texts": [[str(number)] * (number % 3) for number in numbers]}
        sink.write(pa.RecordBatch.from_pydict(columns, schema()), len(numbers))


class Model(Subject):
    """The conversion of the first numbers to an output."""

    def __init__(self, output: str, numbers: int) -> None:
        self.output = output
        self._kind = kind_of(output)
        self._numbers = numbers

    def prepare(self, directory: Path) -> None:
        (directory / REJECTS).parent.mkdir()

    def convert(self, *, overwrite: bool, resume: bool) -> bool:
        try:
            with Journal([self.output, REJECTS]) as journal:
                saved = journal.load() if resume else None
                if saved is not None and saved.phase == "finishing":
                    journal.finish(saved)
                    return True
                check_outputs([(self.output, self._kind), (REJECTS, "jsonl")], overwrite=overwrite)
                now = Checkpoint(program="model", options={"output": self.output}, inputs=[])
                if saved is None:
                    journal.start_over()
                else:
                    check_unchanged(saved, now)
                self._convert(journal, saved, now)
        except OutputError:
            return False
        return True

    def _blocks(self) -> Iterator[list[int]]:
        for start in range(0, self._numbers, BLOCK):
            yield list(range(start, min(start + BLOCK, self._numbers)))

    def _convert(self, journal: Journal, saved: Checkpoint | None, now: Checkpoint) -> None:
        start, *firsts = saved.position if saved is not None else (0, 0, 0)
        states = saved.sinks if saved is not None else {}
        sinks: list[Sink] = []
        try:
            sinks.append(
                open_sink(
                    self.output,
                    kind=self._kind,
                    resume=states.get("output"),
                    first=firsts[0],
                    schema=schema() if self._kind != "jsonl" else None,
                    rows_per_part=25,
                )
            )
            sinks.append(open_sink(REJECTS, kind="jsonl", resume=states.get("rejects"), first=firsts[1], mode=0o600))
            boundaries = [(start, *firsts)]
            for number, block in enumerate(self._blocks()):
                if number < start:
                    continue
                even, odd = [n for n in block if not n % 2], [n for n in block if n % 2]
                write(sinks[0], self._kind, even)
                write(sinks[1], "jsonl", odd)
                _, records, rejects = boundaries[-1]
                boundaries.append((number + 1, records + len(even), rejects + len(odd)))
                if number % BLOCKS_TO_A_CHECKPOINT == 0 and sinks[0].resumable:
                    durable = [sink.flush() for sink in sinks]
                    while len(boundaries) > 1 and all(map(int.__le__, boundaries[1][1:], durable)):
                        del boundaries[0]
                    now.position = boundaries[0]
                    now.sinks = {"output": sinks[0].state(), "rejects": sinks[1].state()}
                    journal.save(now)
            for sink in sinks:
                sink.close()
            now.renames = [Rename(*names) for sink in reversed(sinks) for names in sink.renames()]
            journal.finish(now)
        except OutputError:
            for sink in sinks:
                (sink.suspend if journal.holds_checkpoint else sink.discard)()
            raise


def main() -> int:
    """Disturb the model and print what was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "outputs", nargs="+", help="kind and compression by the suffix; again-NAME: one is there already"
    )
    parser.add_argument("--full", action="store_true", help="every disk and every error at every step")
    parser.add_argument("--numbers", type=int, default=300, help="how much is converted")
    options = parser.parse_args()
    small()
    found = runs = 0
    for output in options.outputs:
        warm(output)
        with tempfile.TemporaryDirectory(dir=MEMORY) as root:
            model = Model(output, options.numbers)
            for finding in disturb(model, Path(root), again=output.startswith("again-"), full=options.full):
                print(finding)
                found += 1
            runs += len(list(Path(root).iterdir()))
    print(f"{runs} runs, {found} findings", file=sys.stderr)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
