"""What may be handed in."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import types
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from normcompletion import (
    InvalidPayloadError,
    MalformedPayloadError,
    NormalizeError,
    SourceReportedError,
    UnknownPayloadError,
    normalize,
    normalize_many,
)

CHAT = b'{"id":"a","choices":[{"index":0,"message":{"role":"assistant","content":"h\xc3\xa9"},"finish_reason":"stop"}]}'
TREE = msgspec.json.decode(CHAT)


class Model:
    """A stand-in for a pydantic model: only its `model_dump` is used."""

    def __init__(self, tree):
        self.tree = tree

    def model_dump(self, *, mode, by_alias, exclude_unset):
        assert (mode, by_alias, exclude_unset) == ("json", True, True)
        return self.tree


class Wire(msgspec.Struct):
    id: str
    choices: list


@dataclasses.dataclass
class Data:
    id: str
    choices: list


@pytest.mark.parametrize(
    "payload",
    [
        CHAT,
        bytearray(CHAT),
        memoryview(CHAT),
        memoryview(CHAT + b" ")[::1],
        CHAT.decode(),
        TREE,
        types.MappingProxyType(TREE),
        Model(TREE),
        Wire(**TREE),
        Data(**TREE),
        {**TREE, "choices": tuple(TREE["choices"])},
        {**TREE, "choices": [Model(TREE["choices"][0])]},
    ],
    ids=lambda payload: type(payload).__name__,
)
def test_every_container_gives_the_same_completion(payload):
    """Bytes, text, mappings and SDK objects of one payload give equal completions."""
    assert normalize(payload) == normalize(CHAT)


def test_a_payload_is_never_changed():
    """Reading a mapping leaves it as it was."""
    inner = Model(TREE["choices"][0])
    payload = {**TREE, "choices": [inner], "when": datetime.date(2026, 11, 21)}
    normalize(payload)
    assert payload["choices"] == [inner]
    assert payload["when"] == datetime.date(2026, 11, 21)


def test_values_of_python_that_json_has_words_for():
    """Dates, UUIDs and exact decimals of a table row are written as JSON."""
    row = {
        **TREE,
        "at": datetime.datetime(2026, 11, 21, 3, 4, 5, tzinfo=datetime.UTC),
        "run": uuid.UUID(int=7),
        "price": decimal.Decimal("0.0012"),
        "big": 2**80,
    }
    assert normalize(row).extra == {
        "/at": "2026-11-21T03:04:05+00:00",
        "/run": str(uuid.UUID(int=7)),
        "/price": 0.0012,
        "/big": 2**80,
    }


def deep(levels):
    tree = []
    for _ in range(levels):
        tree = [tree]
    return tree


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({**TREE, "x": float("nan")}, "number_range"),
        ({**TREE, "x": [float("inf")]}, "number_range"),
        ({**TREE, "x": "\ud83d"}, "lone_surrogate"),
        ({**TREE, 3: "x"}, "wrong_type"),
        ({**TREE, "x": object()}, "wrong_type"),
        ({**TREE, "x": b"bytes"}, "wrong_type"),
        ({**TREE, "x": decimal.Decimal("0.1234567890123456789")}, "number_range"),
        ({**TREE, "x": deep(200)}, "too_deep"),
        ("\ud83d", "lone_surrogate"),
    ],
)
def test_what_json_cannot_say_is_refused(payload, code):
    """A value that JSON cannot hold is refused with its code, not changed silently."""
    with pytest.raises(MalformedPayloadError) as caught:
        normalize(payload)
    assert caught.value.code == code


@pytest.mark.parametrize("payload", [None, 3, object(), Model])
def test_what_is_no_payload_is_refused(payload):
    """An object that is neither text nor a mapping nor an SDK object is refused by name."""
    with pytest.raises(UnknownPayloadError, match=type(payload).__name__):
        normalize(payload)


class Body(msgspec.Struct):
    choices: list
    vendor: object = None


@dataclasses.dataclass(slots=True)
class Slotted:
    choices: list
    vendor: int = 0


class Rude(Mapping):
    """A mapping that cannot be read."""

    def __getitem__(self, key: str) -> object:  # noqa: D105
        raise RuntimeError(key)

    def __iter__(self) -> Iterator:  # noqa: D105
        return iter(["choices"])

    def __len__(self) -> int:  # noqa: D105
        return 1


def cyclic() -> list:
    tree: list = []
    tree.append(tree)
    return tree


def with_a_hole() -> Slotted:
    row = Slotted([])
    del row.vendor
    return row


def released() -> memoryview:
    view = memoryview(b'{"choices":[]}')
    view.release()
    return view


OBJECTS = {
    "a Struct with an object": Body([], object()),
    "a Struct of 100,000 levels": Body([], deep(100_000)),
    "a Struct with a cycle": Body([], cyclic()),
    "a mapping of 100,000 levels": {"choices": [], "vendor": deep(100_000)},
    "a mapping with a cycle": {"choices": [], "vendor": cyclic()},
    "a mapping that raises": Rude(),
    "a mapping that raises, inside": {"choices": [Rude()]},
    "a dataclass with a hole": with_a_hole(),
    "a released memoryview": released(),
    "an integer of 5,000 digits": {"choices": [], "vendor": 10**5_000},
}


@pytest.mark.parametrize("payload", OBJECTS.values(), ids=OBJECTS)
def test_an_object_that_cannot_be_written_is_malformed(payload):
    """An object that JSON cannot hold, or that cannot be read at all, is a `MalformedPayloadError`."""
    with pytest.raises(MalformedPayloadError):
        normalize(payload)


def test_an_sdk_object_that_cannot_dump_is_refused():
    """An exception of foreign code becomes one of ours."""

    class Broken:
        def model_dump(self, **options):
            raise RuntimeError(options)

    with pytest.raises(MalformedPayloadError, match="Broken"):
        normalize(Broken())


def test_many_is_lazy_and_in_order():
    """`normalize_many` reads a payload only when its completion is asked for, in order."""
    seen = []

    def payloads():
        for number in range(3):
            seen.append(number)
            yield {"id": str(number), "choices": []}

    completions = normalize_many(payloads())
    assert seen == []
    assert next(completions).id == "0"
    assert seen == [0]
    assert [completion.id for completion in completions] == ["1", "2"]


def test_many_yields_errors_in_their_place():
    """With on_error="yield" a refused payload is its error, with its index; else it is raised, with its index."""
    payloads = [CHAT, b"{", CHAT, b'{"error":"no"}']
    items = list(normalize_many(payloads, on_error="yield"))
    assert [type(item).__name__ for item in items] == [
        "Completion",
        "MalformedPayloadError",
        "Completion",
        "SourceReportedError",
    ]
    assert items[1].index == 1 and items[3].index == 3
    with pytest.raises(MalformedPayloadError) as caught:
        list(normalize_many(payloads))
    assert caught.value.index == 1
    with pytest.raises(ValueError, match="on_error"):
        normalize_many([], on_error="skip")


def test_the_variant_holds_for_each_record_of_a_page():
    """With `variant=` a page gives the records of that variant, and the others are refused in their place."""
    page = '[{"choices": [{"text": "Ebb"}]}, {"choices": [{"message": {"content": "Flood"}}]}]'
    first, second = normalize_many([page], variant="text", on_error="yield")
    assert first.text == "Ebb"
    assert isinstance(second, InvalidPayloadError)
    assert (second.path, second.variant) == ("/1", "chat")


def test_many_opens_pages():
    """A page of log10 records, and a list of bodies, give each record; pointers start at the page's root."""
    record = {"id": "r", "organization_id": "o", "kind": "chat", "status": "finished", "response": {**TREE, "x": 1}}
    started = {**record, "status": "started", "response": None}
    for page, prefix in (
        ({"data": [record, started], "total": 2}, "/data"),
        ({"object": "list", "data": [record, started]}, "/data"),
        ({"completions": [record, started]}, "/completions"),
        ([record, started], ""),
    ):
        with pytest.raises(UnknownPayloadError, match="normalize_many"):
            normalize(page)
        first, second = normalize_many([page], on_error="yield")
        assert first.text == "hé"
        assert first.extra[f"{prefix}/0/response/x"] == 1
        assert isinstance(second, SourceReportedError)
        assert second.index == 0 and second.path == f"{prefix}/1"
        assert second.error.code == "pending"


def test_threads_share_one_reader():
    """Eight threads that read mixed payloads at once get what one thread gets."""
    payloads = [
        CHAT,
        CHAT.replace(b"finish_reason", b"finishReason"),
        b'{"choices":[{"text":"t"}],"object":"text_completion"}',
        *(CHAT[:-1] + b',"vendor_%d":{"n":%d}}' % (n % 7, n) for n in range(40)),
        b"{",
        b'{"error":{"code":1}}',
    ]

    def outcome(payload):
        try:
            return normalize(payload)
        except NormalizeError as error:
            return type(error), error.code

    wanted = [outcome(payload) for payload in payloads]
    with ThreadPoolExecutor(8) as threads:
        for got in threads.map(lambda _: [outcome(payload) for payload in payloads], range(480)):
            assert got == wanted
