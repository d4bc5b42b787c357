"""What a contender costs beside time: its import, and the memory of its answers. For a process of its own.

    python -m benchmarks.footprint openai_validate log.jsonl [--source openai] [--variant chat]

Prints one JSON object: `import_ms` and `import_mb` of importing it into a bare interpreter, `kept_kb` of each answer
when all are kept, `answers` the number of those that it gave.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from .contenders import Kind, load

KEPT = 5_000  # answers at least, so that a page more or less is nothing


def resident() -> int:
    """Resident memory in bytes: what it is, or, where the system does not say, the most it was."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def footprint(name: str, texts: list[bytes], kind: Kind) -> dict[str, Any]:
    """The footprint of a contender in this process, which should have imported nothing yet."""
    gc.collect()
    before, start = resident(), time.process_time_ns()
    contender = load(name)
    taken, grown = time.process_time_ns() - start, resident() - before
    kept: list[Any] = []
    for text in texts[:50]:  # what a first answer makes, once and for all
        _append(contender.read([text], kind), kept)
    kept.clear()
    gc.collect()
    before = resident()
    for text in texts * -(-KEPT // len(texts)):
        _append(contender.read([text], kind), kept)
    held = resident() - before
    return {
        "import_ms": round(taken / 1e6, 1),
        "import_mb": round(grown / 1e6, 1),
        "kept_kb": round(held / 1000 / len(kept), 2) if kept else None,
        "answers": len(kept),
    }


def _append(answers: Any, kept: list[Any]) -> None:
    """Keep an answer; a text that is refused gives none, whatever is raised."""
    with suppress(Exception):
        kept.extend(answers)


def footprint_of(name: str, path: Path, kind: Kind) -> dict[str, Any]:
    """The footprint of a contender in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.footprint", name, str(path), "--variant", kind.variant]
    command += [] if kind.source is None else ["--source", kind.source]
    done = subprocess.run(command, capture_output=True, check=True, cwd=Path(__file__).parent.parent)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print the footprint."""
    parser = argparse.ArgumentParser(description="what a contender costs beside time")
    parser.add_argument("name")
    parser.add_argument("file", type=Path, help="JSON lines")
    parser.add_argument("--source")
    parser.add_argument("--variant", default="chat")
    given = parser.parse_args()
    texts = given.file.read_bytes().splitlines()
    print(json.dumps(footprint(given.name, texts, Kind(given.source, given.variant))))


if __name__ == "__main__":
    main()
