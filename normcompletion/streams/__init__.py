"""Event streams: framing, chunks, merging, and endings.

**Framing** (`events.py`). Bytes or text in any cut become events: the data of server-sent events, with or without blank
lines between them; JSON chunks, one a line; and text that no field starts (a JSON body, HTTP headers, an HTML page),
which is a `bare` event. Lines that a client has separated are taken as lines. Comments are dropped, but for the last
one before an event: `: OPENROUTER PROCESSING` tells a source. `frames` is the quick way for a whole text in which most
events are one line `data: {…}`.

**Chunks** (`chunks.py`). One strict decode into `wire.Chunk` for each event. What it refuses is parsed: unknown keys
are taken out of the tree, camelCase is spelled in snake_case, and the rest is converted to the same Struct. Only a
chunk with another fault goes through the lenient decode and the adapters of whole responses.

**Merging** (`assembly.py`, `merging.py`, `runs.py`, `answer.py`, `calls.py`, `values.py`). Most chunks differ from the
one before in their texts alone, which one comparison of Structs shows: such a `Run` only appends them to lists. What
any other chunk says goes member by member to the answers of its choices (`Merged.merge`, `Answer.add`). Texts are
joined when somebody asks, so time and memory are linear in the chunks. Words are never joined: the first id, model and
provider stay, the last finish word, and another value has a note. Usage is merged member by member. Values without a
field follow the rules of `values.py`.

**Endings** (`result.py`, `ending.py`, `splitting.py`). Finish words and roles are kept as they were sent until the end,
when the markers of all chunks together have said who wrote the stream; then they are translated. A stream that ended
before it said why has the note `incomplete_stream`. An event that is not JSON raises an error that holds what came
before, or is skipped with a note. A new answer starts after `[DONE]`; after a whole JSON body or foreign text; when
every choice has ended and a delta comes under an id that was not seen, or, with a role, under the same one where deltas
mostly had none. `Assembly.add` refuses such an event; `split_streams` cuts a text there.
"""
