"""Disturb `normcompletion convert` in every way that a machine can, and see that nothing is lost, doubled or half done.

    python -m tests.crash                              every step, 100 kills, 50 signals
    python -m tests.crash --kills 1000 --signals 0     more of one, none of another

Every output is written in every setting by a run that nobody disturbs; what a disturbed run leaves, once resumed, must
be the same, byte by byte, with no file more. Prints what was wrong; exit code 1 if anything was.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.crash.command import ELSEWHERE, Command, Setting, Undisturbed, kills, signals, write_log
from tests.crash.disturb import disturb, forked

STEPPED = ("out.jsonl", "out.jsonl.gz", "out.jsonl.zst", "out.parquet", "out/", "again out.jsonl", "again out/")


def main() -> int:
    """Run the crash test."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1, metavar="N", help="disturb every Nth durable step; 0: none")
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="kill -9 at so many random moments")
    parser.add_argument("--signals", type=int, default=50, metavar="N", help="SIGINT or SIGTERM at so many")
    parser.add_argument(
        "--few", action="store_true", help="in three settings instead of twelve, with a quarter of the log"
    )
    options = parser.parse_args()
    chance = random.Random(1)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if options.steps:
            for output in STEPPED:
                failed |= _tell(f"every step, {output}", steps(root, output, options.steps))
        if options.kills or options.signals:
            settings = _settings(root / "runs", few=options.few)
            failed |= _tell(f"{options.kills} kills", kills(settings, options.kills, chance))
            print(f"  {sum(each.resumed for each in settings)} of them behind a checkpoint", file=sys.stderr)
            failed |= _tell(f"{options.signals} signals", signals(settings, options.signals, chance))
    return int(failed)


def _tell(what: str, findings: Iterator[str]) -> bool:
    """Print findings as they come, and what they are about; whether there were any."""
    begin = time.monotonic()
    count = 0
    for finding in findings:
        print(finding, flush=True)
        count += 1
    print(f"{what}: {count} findings in {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    return count > 0


def steps(root: Path, output: str, stride: int) -> Iterator[str]:
    """Disturb one output at every step, in a process of its own, which forks and must have no threads."""
    again, _, name = output.rpartition(" ")
    log = root / "small.jsonl"
    write_log(log, 60_000)
    found = root / "found"
    found.touch()
    memory = Path("/dev/shm")  # the faults say what is synced; no disk needs to
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:

        def disturbed() -> None:
            rejects = f"{ELSEWHERE}/rejects.jsonl{name.partition('.jsonl')[2]}"  # compressed as the output is
            command = Command(Setting(log, name, checkpoint_every=12_000, rows_per_part=25, rejects=rejects))
            with found.open("w") as stream:
                for finding in disturb(command, Path(folder), again=bool(again), stride=stride):
                    print(finding, file=stream)

        if forked(root, disturbed):
            yield f"{output}: disturbing it failed"
    yield from found.read_text().splitlines()


def _settings(root: Path, *, few: bool) -> list[Undisturbed]:
    """Plain, gzip and Zstandard, JSON lines and Parquet parts, one job and two; every fifth of these."""
    root.mkdir()
    suffixes = ("", ".gz", ".zst")
    for suffix in suffixes:
        write_log(root / f"log.jsonl{suffix}", (6 if few else 24) << 20)
    settings = [
        Setting(root / f"log.jsonl{suffix}", output, jobs)
        for jobs in (1, 2)
        for suffix in suffixes
        for output in (f"out.jsonl{suffix}", "out/")
    ]
    chosen = settings[::5] if few else settings
    return [Undisturbed(setting, root / str(number)) for number, setting in enumerate(chosen)]


if __name__ == "__main__":
    sys.exit(main())
