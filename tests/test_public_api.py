"""The public names."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

import normcompletion
from normcompletion import Choice, Completion, Message, errors, normalize
from tests.conftest import python

CHAT = b'{"id":"a","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'


def test_the_export_list_is_sorted_and_complete():
    """Every exported name exists; every public name but those of modules is exported, as is every class of error."""
    names = normcompletion.__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    public = {name for name, value in vars(normcompletion).items() if not isinstance(value, ModuleType)}
    assert {name for name in public if not name.startswith("_")} == set(names)
    assert {name for name in vars(errors) if name.endswith("Error")} <= set(names)


def test_import_pulls_in_nothing_but_msgspec_and_orjson():
    """Importing the package loads no third-party module beside msgspec and orjson."""
    code = "import {}, sys; print(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    ours, theirs = (
        set(python("-c", code.format(names)).stdout.split()) for names in ("normcompletion", "msgspec, orjson")
    )
    assert ours - theirs - set(sys.stdlib_module_names) == {"normcompletion"}


def test_canonical_structs_take_keywords_only():
    """The canonical Structs refuse positional arguments."""
    for struct in (Completion, Choice, Message):
        with pytest.raises(TypeError):
            struct("x")


def test_completions_are_mutable_values():
    """Completions compare field by field, can be changed, and start with notes of their own."""
    one, two = normalize(CHAT), normalize(CHAT)
    assert one == two
    one.extra = {"/x": 1}
    assert two.extra == {} and two.notes == [] and one != two


def test_text_and_tool_calls_are_those_of_the_lowest_index():
    """`text` and `tool_calls` read the choice with the lowest index, wherever it is."""
    completion = normalize(
        b'{"choices":[{"index":1,"message":{"content":"second"}},'
        b'{"index":0,"message":{"content":"first","tool_calls":[{"id":"t"}]}}]}'
    )
    assert completion.text == "first"
    assert [call.id for call in completion.tool_calls] == ["t"]
    assert normalize(b'{"choices":[]}').text is None
    assert normalize(b'{"choices":[]}').tool_calls == []


def test_arguments_are_parsed_only_on_demand():
    """Tool arguments stay text; `parse_arguments` reads them and refuses what is no JSON."""
    body = b'{"choices":[{"message":{"tool_calls":[{"function":{"name":"f","arguments":"%s"}}]}}]}'
    whole = normalize(body % rb"{\"a\":1}").tool_calls[0]
    assert whole.function.arguments == '{"a":1}'
    assert whole.parse_arguments() == {"a": 1}
    for half in (rb"{\"a\":", b""):
        with pytest.raises(ValueError, match="arguments"):
            normalize(body % half).tool_calls[0].parse_arguments()


def shape(schema):
    """A schema without its prose and the order of its members, which differ between versions of msgspec."""
    if isinstance(schema, dict):
        prose = ("description", "title", "default")
        return {key: shape(value) for key, value in sorted(schema.items()) if key not in prose}
    if isinstance(schema, list):
        return sorted(map(shape, schema), key=json.dumps)
    return schema


def test_the_model_is_the_one_that_was_released():
    """The schema of the canonical model is the committed one: a field that went or changed its type is breaking."""
    committed = json.loads((Path(__file__).parent / "schema.json").read_text())
    assert shape(normcompletion.json_schema()) == shape(committed)
