"""Completions as a table, one row each: `to_frame`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Literal

from ..model import Completion

Library = Literal["pandas", "polars", "arrow"]

_ROWS = 8192  # of a batch
_EXTRAS = {"arrow": "batch"}

FRAME_LEAVES_OUT: Mapping[str, str] = {
    "/choices": "all but the first; `choice_count` says how many there were",
    "/choices/*/message/reasoning_details": "no column",
    "/choices/*/message/annotations": "no column",
    "/choices/*/message/audio": "no column",
    "/choices/*/message/images": "no column",
    "/choices/*/message/name": "no column",
    "/choices/*/message/parts": "no column",
    "/choices/*/logprobs": "no column",
    "/choices/*/error/type": "no column",
    "/choices/*/error/metadata": "no column",
    "/choices/*/error/provider": "no column",
    "/extra": "no column: collecting it would cost what reading costs; `completion.extra` has it",
}
"""What the flat columns have no place for, by JSON Pointer into the completion.

>>> "/choices" in FRAME_LEAVES_OUT
True
"""


def to_frame(completions: Iterable[Completion], library: Library = "pandas") -> Any:
    """Completions as a `pandas.DataFrame`, a `polars.DataFrame` or a `pyarrow.Table`, one row each, in their order.

    The columns are those of the flat layout, the same as `normcompletion convert --layout flat` writes;
    `normcompletion columns` lists them with types. Lists and objects are JSON text, absent values are null. In pandas
    integers are `Int64`, flags `boolean` and texts `string`, so that a null does not turn a count into a float.
    `FRAME_LEAVES_OUT` is what the columns cannot hold.

    Args:
        completions: such as `normcompletion.read(path)` gives.
        library: which one; each is an extra (`pip install 'normcompletion[pandas]'`, `[polars]`, `[batch]`).

    Raises:
        ImportError: the library is missing; the text names the extra to install.
        ValueError: `library` is none of the three.

    >>> from normcompletion import normalize
    >>> table = to_frame([normalize('{"choices": [{"text": "Hi"}], "usage": {"total_tokens": 2}}')], "arrow")
    >>> table.select(["variant", "content", "total_tokens", "cost"]).to_pylist()
    [{'variant': 'text', 'content': 'Hi', 'total_tokens': 2, 'cost': None}]

    """
    if library not in ("pandas", "polars", "arrow"):
        raise ValueError(f"library is {library!r:.64}; give 'pandas', 'polars' or 'arrow'")
    try:
        import pyarrow as pa

        from ..arrow import FLAT_SCHEMA, record_batch

        if library == "pandas":
            import pandas as pd
        elif library == "polars":
            import polars as pl
    except ImportError as missing:
        extra = _EXTRAS.get(library, library)
        raise ImportError(f"to_frame needs {library}; run: pip install 'normcompletion[{extra}]'") from missing
    each = iter(completions)
    batches = [record_batch(some, flat=True) for some in iter(lambda: list(islice(each, _ROWS)), [])]
    table = pa.Table.from_batches(batches, FLAT_SCHEMA)
    if library == "arrow":
        return table
    if library == "polars":
        return pl.from_arrow(table)
    types = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype(), pa.string(): pd.StringDtype()}
    return table.to_pandas(types_mapper=types.get)
