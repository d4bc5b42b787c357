"""Streams, saved and live: `assemble`, `assemble_async`, `Assembler`, `normalize_chunk`.

A saved event stream goes to `normalize` as it is and gives the completion that the whole answer would have given:

>>> from normcompletion import iter_events, normalize
>>> saved = b'''data: {"id": "c-1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}}]}
...
... data: {"id": "c-1", "choices": [{"index": 0, "delta": {"content": " you"}, "finish_reason": "stop"}]}
...
... data: [DONE]
... '''
>>> normalize(saved).text
'Hi you'

Live, `iter_events` cuts the bytes of a response into events, and an `Assembler` puts them together; `snapshot` is the
answer so far. `assemble` and `assemble_async` do it in one call, for events or for the chunks of an SDK.

>>> assembler = Assembler()
>>> for event in iter_events([saved[:90], saved[90:]]):  # such as httpx.Response.iter_bytes() gives
...     _ = assembler.feed(event)
>>> assembler.snapshot().text
'Hi you'
>>> assembler.finish() == normalize(saved)
True

A stream that reports an error raises `SourceReportedError` with what came before it in `.completion`; one that was cut
off has the remark `incomplete_stream`.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from copy import deepcopy
from typing import Literal

import msgspec

from .api import (
    SourceName,
    answered,
    by_class,
    check,
    check_on_broken,
    default_chunk_reader,
    encrypted,
    source_of_object,
    too_long,
)
from .errors import UnknownPayloadError
from .findings import Findings
from .model import Chunk, Completion
from .payload import MAX_RECORD_BYTES, is_one, parse_checked, to_bytes
from .streams.assembly import Assembly
from .streams.events import Event, EventReader, is_line


def normalize_chunk(
    payload: object,
    *,
    source: SourceName | None = None,
    strict: bool = False,
    max_record_bytes: int = MAX_RECORD_BYTES,
    default_source: SourceName | None = None,
) -> Chunk:
    """One chunk of a streamed response, as JSON text, a mapping or an SDK object, as one canonical `Chunk`.

    An event that reports an error is a chunk with `error` set: it may hold text as well.

    Raises:
        EncryptedPayloadError: for a chunk of a confidential stream; `.completion` has its usage.
        NormalizeError: otherwise, and nothing else; `normcompletion.errors` draws the tree.


    >>> chunk = normalize_chunk('{"choices": [{"index": 0, "delta": {"content": "Hi"}}]}')
    >>> chunk.choices[0].delta.content
    'Hi'

    """
    raw = to_bytes(payload)
    if len(raw) > max_record_bytes:
        raise too_long(len(raw), max_record_bytes)
    reader = default_chunk_reader()
    reader.engine.registry.check(source, None)
    reader.engine.registry.check(default_source, None)
    tree, is_clean = parse_checked(raw)
    findings = Findings(
        source=source or source_of_object(payload),
        default_source=default_source,
        is_clean=is_clean,
        read=reader.engine.read_inside,
    )
    chunk = reader.read(tree, findings)
    if strict:
        check(chunk, [raw])
    if chunk.variant == "confidential":
        raise encrypted(
            Completion(
                source=chunk.source, variant="confidential", usage=chunk.usage, extra=chunk.extra, notes=chunk.notes
            )
        )
    return chunk


class Assembler:
    """One completion from the chunks of one stream, fed as they come.

    Args:
        source: who writes the stream, where the caller knows: it overrides detection.
        strict: let `finish` raise one `InvalidPayloadError` that names every fault.
        on_broken: `"skip"` goes on behind an event that is not JSON, with the note `broken_event`.
        default_source: the source of a stream that nothing else decides.

    >>> assembler = Assembler()
    >>> for text in ("Hi", " you"):
    ...     _ = assembler.feed({"choices": [{"index": 0, "delta": {"content": text}}]})
    >>> assembler.finish().text
    'Hi you'

    """

    def __init__(
        self,
        *,
        source: SourceName | None = None,
        strict: bool = False,
        on_broken: Literal["raise", "skip"] = "raise",
        default_source: SourceName | None = None,
    ) -> None:
        reader = default_chunk_reader()
        reader.engine.registry.check(source, None)
        reader.engine.registry.check(default_source, None)
        skips = check_on_broken(on_broken)
        self._place = Findings(source=source, default_source=default_source)
        self._is_by_class = False
        self._assembly = Assembly(reader, self._place, strict=strict, skip_broken=skips)
        self._lines: EventReader | None = None  # of the lines that were fed
        self._strict = strict

    def feed(self, chunk: Chunk | Event | object) -> None:
        """One chunk: a canonical one, an `Event` of `iter_events`, or whatever `normalize_chunk` takes.

        The lines of an event stream are taken, too, as `httpx.Response.iter_lines()` gives them: an empty one ends an
        event. Raises `NormalizeError` for what is none of them, and, with the code `streams`, for the first chunk of
        another answer; the chunks before it stay.
        """
        if isinstance(chunk, Chunk):
            own = msgspec.structs.replace(chunk, choices=deepcopy(chunk.choices), usage=deepcopy(chunk.usage))
            self._assembly.add_chunk(own)
        elif isinstance(chunk, Event):
            self._assembly.add((chunk,))
        else:
            raw = to_bytes(chunk)
            if self._place.source is None and (source := source_of_object(chunk)) is not None:
                self._place.source, self._is_by_class = source, True
            if isinstance(chunk, str | bytes) and (self._lines is not None or is_line(raw)):
                self._lines = self._lines or EventReader(are_lines=True)
                self._assembly.add(self._lines.feed(raw))
            else:
                self._assembly.add((Event(raw),))

    def snapshot(self) -> Completion:
        """The completion so far, apart from the assembly; raises only where nothing was fed yet.

        `error` is set where a chunk reported one. Costs as much as all the text so far: not for every chunk.
        """
        return self._completion(final=False)

    def finish(self) -> Completion:
        """The completion of the whole stream; what is missing has a note `incomplete_stream`.

        Raises:
            SourceReportedError: when the stream reported an error; `.completion` holds what came before.
            EncryptedPayloadError: for a confidential stream; `.completion` holds the usage.
            NormalizeError: when no event was a chunk.

        """
        if self._lines is not None:
            self._assembly.add(self._lines.close())
            self._lines = None
        return answered(self._completion(final=True), [], strict=self._strict)

    def _completion(self, *, final: bool) -> Completion:
        completion = self._assembly.completion(Findings(), final=final)
        return by_class(completion) if self._is_by_class else completion


def assemble(
    chunks: Iterable[object],
    *,
    source: SourceName | None = None,
    strict: bool = False,
    on_broken: Literal["raise", "skip"] = "raise",
    default_source: SourceName | None = None,
) -> Completion:
    """The completion of a stream's chunks; options and errors are those of `Assembler`.

    For a response that comes in lines: `assemble(response.iter_lines())`; in pieces of bytes or text:
    `assemble(iter_events(response.iter_bytes()))`. A saved stream, whole, goes to `normalize`.

    >>> assemble([{"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}]).text
    'Hi'
    """
    assembler = Assembler(source=source, strict=strict, on_broken=on_broken, default_source=default_source)
    _check_several(chunks)
    for chunk in chunks:
        assembler.feed(chunk)
    return assembler.finish()


async def assemble_async(
    chunks: AsyncIterable[object],
    *,
    source: SourceName | None = None,
    strict: bool = False,
    on_broken: Literal["raise", "skip"] = "raise",
    default_source: SourceName | None = None,
) -> Completion:
    """`assemble` for an asynchronous iterable.

    >>> import asyncio
    >>> async def events():
    ...     yield {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    >>> asyncio.run(assemble_async(events())).text
    'Hi'
    """
    assembler = Assembler(source=source, strict=strict, on_broken=on_broken, default_source=default_source)
    _check_several(chunks)
    async for chunk in chunks:
        assembler.feed(chunk)
    return assembler.finish()


def _check_several(chunks: object) -> None:
    """Raise `UnknownPayloadError` for one payload in place of the chunks of a stream."""
    if is_one(chunks):
        raise UnknownPayloadError(
            f"assemble() takes the chunks of a stream, and a {type(chunks).__name__} is one payload; "
            "normalize(payload) reads a saved stream, whole",
            code="not_many",
        )
