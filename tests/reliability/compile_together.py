"""Compiles trees of Structs that share their members, from four threads at once, and decodes with each right away.

    python -m tests.reliability.compile_together

A process that gets to the end prints `done`. With `msgspec.json.Decoder` in place of `compiled` it dies within the
first trees.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import msgspec

from normcompletion.decoding.spelling import compiled

TREES, THREADS, WIDTH = 40, 4, 20


def trees() -> list[type[msgspec.Struct]]:
    """New Structs, one for each thread, around the same members."""
    leaf: list[Any] = [(f"leaf_{at}", list[int] | None, None) for at in range(WIDTH)]
    inner: list[Any] = [(f"inner_{at}", msgspec.defstruct(f"Leaf{at}", leaf) | None, None) for at in range(WIDTH)]
    shared = msgspec.defstruct("Shared", inner)
    return [msgspec.defstruct(f"Outer{at}", [("shared", shared | None, None)]) for at in range(THREADS)]


def main() -> None:
    """Compile and decode."""
    sys.setswitchinterval(1e-6)
    leaf = {f"leaf_{at}": [at] for at in range(WIDTH)}
    body = msgspec.json.encode({"shared": {f"inner_{at}": leaf for at in range(WIDTH)}})
    for _ in range(TREES):
        together = threading.Barrier(THREADS)

        def work(struct: type[msgspec.Struct], turn: threading.Barrier = together) -> None:
            turn.wait()
            msgspec.convert(msgspec.json.decode(body), type(compiled(struct)(body)))

        threads = [threading.Thread(target=work, args=(struct,)) for struct in trees()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
