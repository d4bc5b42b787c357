"""Everything around a response: wrappers, pages, and the envelopes that logs put around it.

## Responses in envelopes

A logger keeps a response in an envelope: the row of a gateway, a line of a batch file, a span of a trace. Those that
are known are recognised by their keys; `normcompletion envelopes` lists them, and `envelope="helicone"` names one. For
any other, `body=` says where the response is, as a JSON Pointer, and `envelope_fields=` where the rest is:

>>> from normcompletion.batch import iter_records
>>> import pathlib, tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     log = pathlib.Path(folder, "log.jsonl")
...     _ = log.write_text('{"call": 7, "answer": {"choices": [{"text": "Sure"}]}}')
...     record, = iter_records(log, body="/answer", envelope_fields={"id": "/call"})
>>> record.text, record.envelope.kind, record.envelope.id
('Sure', 'custom', '7')

What of the envelope is not a field of `Envelope` is in `Completion.extra`. `*` in a pointer is each member:
`body="/results/*/response"`.

## An envelope of your own

A *preset* knows one envelope, in one small file: `openai_batch.py`, `helicone.py`, `har.py`, `mlflow.py` and others.
`fragments.py` names records of known tools that hold no whole response; they are refused with what to do instead.

* `wrappers.py`, `unsupported.py`: what the core itself unwraps or refuses by name.
* `encodings.py`, `extended.py`: JSON in strings, base64 and gzip; the numbers of MongoDB.
* `members.py`: JSON taken apart without being parsed. `spread.py`: a unit to its bodies and what is around each.
* `preset.py`: what a preset declares, and how its fields are read. `calls.py`: which entries of a page are calls.
  `registry.py`: all presets and fragments.
* `hints.py`: where a response is inside a unit in no known envelope. `opener.py`: units to completions.
  `choice.py`: which envelope one is in. `records.py`: the response in it. `refusals.py`: what helps where it is not.

To add an envelope, write a file that ends in one `PRESET`, and name it in `registry.BUILT_IN`:

    PRESET = Preset(
        name="acme",
        about="a row of Acme's gateway log",
        detected_by=(has("acme_id", "response/body", lacks=("choices",)),),
        body="/response/body",
        fields={"id": ("/acme_id",), "status": ("/response/status",), "duration_ms": ("/latency",)},
        error=("/error",),
        example={"acme_id": "1", "response": {"status": 200, "body": {"choices": []}}, "latency": 812},
    )

`detected_by` are alternatives of keys, a slash between those inside one another; they must be keys that only this tool
writes together. `body` and `fields` are JSON Pointers (`*` is each member), `fields` those of `FIELDS`, the first that
is there. Every value is taken once; what no field takes is in `extra`. `adjust` is called with what was opened, where
an envelope says something that no pointer can. Then add a file to `fixtures/forms/`, with a citation in
`fixtures/SOURCES.md`, and what comes out of it to `tests/forms.json`.

Another package offers presets through the entry-point group `normcompletion.envelopes`: the entry point names an object
with `PRESETS`, a tuple of `Preset`.
"""
