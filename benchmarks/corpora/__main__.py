"""Write a corpus of completion responses as JSON lines, and the truth about each.

    python -m benchmarks.corpora --records 200000 --seed 1 -o log.jsonl --truth log.truth.jsonl
    python -m benchmarks.corpora --bytes 430MB --mix openrouter=40,openai=40,atoma=20 --jobs 2
    python -m benchmarks.corpora --samples

Without -o the corpus goes to `benchmarks/cache/`, with its truth, and its name is printed; what is there already is
not made again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from .files import Size, cached, complete, parse_bytes, write_corpus, write_samples
from .mix import DEFAULT, parse_mix
from .mix import __doc__ as about_mixes

FEW = Size(20_000, 40_000_000)  # so many are made sooner than other processes start


def main(arguments: list[str] | None = None) -> int:
    """Run the command; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.corpora",
        description=f"{__doc__}\n{about_mixes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--records", type=int, metavar="N", help="how many records")
    parser.add_argument("--bytes", type=_argument(parse_bytes), metavar="SIZE", help="how many bytes, such as 430MB")
    parser.add_argument("--mix", type=_argument(parse_mix), default=DEFAULT, help=f"default: {DEFAULT}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to; - is the standard output")
    parser.add_argument("--truth", type=Path, metavar="FILE", help="where the truth goes")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes; the bytes are the same")
    parser.add_argument("--samples", action="store_true", help="write the samples of fixtures/corpora again")
    given = parser.parse_args(arguments)
    if given.samples:
        write_samples()
        return 0
    if given.records is None and given.bytes is None:
        parser.error("say how much: --records N or --bytes SIZE")
    if given.truth is not None and given.output is None:
        parser.error("--truth FILE goes with -o FILE; in the cache the truth is beside its corpus")
    few = given.records is not None and given.records <= FEW.records
    small = given.bytes is not None and given.bytes <= FEW.bytes
    jobs = 1 if few or small else max(1, given.jobs)
    much = {"seed": given.seed, "count": given.records, "size": given.bytes, "jobs": jobs}
    with _progress(given.records, given.bytes) as progress:
        if given.output is None:
            made = cached(given.mix, **much, progress=progress)
            print(made)
            return 0
        with ExitStack() as stack:
            truth = None if given.truth is None else stack.enter_context(complete(given.truth))
            to_stdout = str(given.output) == "-"
            out = sys.stdout.buffer if to_stdout else stack.enter_context(complete(given.output))
            size = write_corpus(out, given.mix, **much, truth=truth, progress=progress)
    print(f"{size.records:,} records, {size.bytes:,} bytes", file=sys.stderr)
    return 0


def _argument(parse: Callable[[str], object]) -> Callable[[str], object]:
    """A parser whose errors argparse shows as they are."""

    def checked(text: str) -> object:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


def progress_bar(name: str, count: int) -> AbstractContextManager[Callable[[Size], object]]:
    """A progress bar for a corpus of so many records, with its name."""
    return _progress(count, None, name)


@contextmanager
def _progress(count: int | None, size: int | None, name: str | None = None) -> Iterator[Callable[[Size], object]]:
    """A progress bar on a terminal, where tqdm is installed; nothing else."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda _made: None
        return
    by_bytes = size is not None
    with tqdm(
        total=size if by_bytes else count, unit="B" if by_bytes else "rec", unit_scale=True, desc=name, disable=None
    ) as bar:
        yield lambda made: bar.update(made.bytes if by_bytes else made.records)


if __name__ == "__main__":
    sys.exit(main())
