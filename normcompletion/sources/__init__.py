"""Who writes responses: one file per source, with its wire Structs, adapters and markers, ending in `VARIANTS`.

`normcompletion sources` lists what is installed. A *source* (`atoma`, `log10`, `openrouter`, or `openai` for what has
no marker of any service) writes responses in *variants* (`chat`, `text`, `log_record`, `error`, …), each in the
snake_case of the wire and in the camelCase that TypeScript SDKs log.

>>> from normcompletion import detect, normalize
>>> found = detect('{"choices": [], "signature": "AKy", "response_hash": "dxc="}')
>>> found.source, found.evidence
('atoma', ('atoma: `signature` and `response_hash`',))

A *marker* is what only one service writes. Where none holds, the envelope decides, then the class of an SDK's object,
then `default_source=`; `source=` overrides detection. `Completion.source_basis` says which it was.

>>> normalize('{"choices": []}', default_source="atoma").source_basis
'caller'

## A source of your own

>>> import msgspec
>>> from normcompletion import Choice, Completion, Message, Variant, key
>>> class Answer(msgspec.Struct, kw_only=True):  # what your service writes
...     acme_id: str
...     said: str | None = None
...     ended: str | None = None
>>> def adapt(answer, findings):  # your Struct to the canonical model
...     choice = Choice(message=Message(content=answer.said), finish_reason="stop" if answer.ended == "done" else None)
...     if choice.finish_reason is None and answer.ended is not None:  # never guess: keep the word
...         choice.finish_reason, choice.native_finish_reason = "unknown", answer.ended
...         findings.note("unknown_finish_reason", answer.ended, "ended")
...     return Completion(
...         id=answer.acme_id,
...         source="acme",
...         variant="answer",
...         choices=[choice],
...         extra=findings.extra,  # what your adapter could not place: findings.keep(value, "key")
...         notes=findings.notes,
...     )
>>> VARIANTS = (Variant(source="acme", name="answer", wire=Answer, adapt=adapt, markers=(key("acme_id"),)),)

Keys that the Struct does not declare land in `extra` by themselves, and camelCase is read as well:

>>> from normcompletion.testing import reader
>>> completion = reader(VARIANTS)(b'{"acmeId": "7", "said": "hello", "ended": "tired", "mood": {"glad": true}}')
>>> completion.text, completion.choices[0].finish_reason, dict(completion.extra)
('hello', 'unknown', {'/mood': {'glad': True}})

A service that answers in the OpenAI dialect needs no Struct: its variant has `wire=wire.Body`, an adapter that calls
`adapt.completion` (both in `normcompletion.dialect`), and markers at any key, `key("usage.acme_cents")` among them.

Name the module in your package's entry points, and prove it with `normcompletion.testing`:

    [project.entry-points."normcompletion.sources"]
    acme = "acme_normcompletion"
"""
