"""The tool calls of one choice in the making."""

from __future__ import annotations

import msgspec

from ..model import FunctionCall, ToolCall
from ..payload import REFUSALS
from .merging import Values

_check = msgspec.json.Decoder(msgspec.Raw).decode


class Call:
    """One tool call in the making."""

    __slots__ = ("arguments", "id", "index", "name", "place", "type")

    def __init__(self, index: int | None, place: int) -> None:
        self.index = index
        self.place = place
        self.id: str | None = None
        self.type: str | None = None
        self.name: str | None = None
        self.arguments: list[str] | None = None

    def has_all_arguments(self) -> bool:
        """Whether the arguments so far are complete JSON."""
        try:
            _check("".join(self.arguments or ()).encode("utf-8", "surrogatepass"))
        except REFUSALS:
            return False
        return True

    def whole(self) -> ToolCall:
        """The call so far; half of its arguments stays half."""
        arguments = None if self.arguments is None else "".join(self.arguments)
        function = (
            None if self.name is None and arguments is None else FunctionCall(name=self.name, arguments=arguments)
        )
        return ToolCall(id=self.id, type=self.type, index=self.index, function=function)


class Calls:
    """The calls of one choice; its notes go to `values`.

    A fragment belongs to the call under its index, else under its id, else to the last one. Under a key in use, a new
    id opens a new call (Gemini numbers every call 0). So does another name, unless it goes on with the name of a call
    under one id whose arguments are not complete.
    """

    def __init__(self, values: Values) -> None:
        self._note = values.note
        self.calls: list[Call] = []
        self.fragments: list[ToolCall] = []  # of the last delta
        self.last: list[str] = []  # the arguments of the last call
        self.count = 0  # how many fragments there were
        self._by_index: dict[int, Call] = {}
        self._by_id: dict[str, Call] = {}

    def add(self, fragments: list[ToolCall], places: list[int]) -> bool:
        """Fragments of calls; adds the place of the call that each one belongs to.

        Gives whether a fragment like the one that was added, but for its arguments, adds no more than those: then
        they are taken out, and others may be appended to `last`.
        """
        self.fragments = fragments
        self.count += len(fragments)
        for fragment in fragments:
            call = self._call_of(fragment)
            if fragment.id and not call.id:
                call.id = fragment.id
                self._by_id[fragment.id] = call
            elif fragment.id is not None and call.id is None:
                call.id = fragment.id
            if fragment.type is not None:
                call.type = fragment.type
            function = fragment.function
            if function is not None:
                if function.name and call.name and function.name != call.name:
                    call.name += function.name
                elif function.name or call.name is None:
                    call.name = function.name
                if function.arguments is not None:
                    if call.arguments is None:
                        call.arguments = [function.arguments]
                    else:
                        call.arguments.append(function.arguments)
            places.append(call.place)
        if not fragments:
            return True
        if len(fragments) > 1 or function is None or call.arguments is None or fragment.id or function.name:
            return False
        self.last, self.fragments, function.arguments = call.arguments, [], None
        return True

    def _call_of(self, fragment: ToolCall) -> Call:
        index, identity, function = fragment.index, fragment.id or None, fragment.function
        name = function.name or None if function is not None else None
        last = self.calls[-1] if self.calls else None
        call: Call | None
        if index is not None:
            call = self._by_index.get(index)
        elif identity is not None:
            call = self._by_id.get(identity)
        else:
            call = None if name is not None and last is not None and last.name is not None else last
        if call is not None:
            is_renamed = name is not None and call.name and call.name != name
            if is_renamed and call.id and not call.has_all_arguments():
                is_renamed = False  # the name goes on
            if is_renamed or (identity is not None and call.id and call.id != identity):
                call = None
        elif last is not None and identity is None and name is None and function is not None and function.arguments:
            # A fragment under a new index that names nothing goes on with the last call (seen at 16.sse's server).
            self._note("misplaced_fragment", f"/delta/tool_calls/{last.place}/index", index)
            self._by_index[index or 0] = last
            return last
        if call is None:
            call = Call(index, len(self.calls))
            self.calls.append(call)
            if index is not None:
                self._by_index[index] = call
        return call

    def agree(self, whole: list[ToolCall]) -> bool:
        """Whether the calls of a whole message say what the fragments said; what they continue is appended, noted."""
        if whole == self.fragments:
            return True
        if not self.calls:
            self.add(whole, [])
            self._note("continued_text", "/message/tool_calls", None)
            return True
        pairs = list(zip(self.calls, whole, strict=False))
        texts = [
            (each, "".join(each.arguments or ()), call.function and call.function.arguments) for each, call in pairs
        ]
        if len(whole) != len(self.calls) or not all((said or "").startswith(text) for _, text, said in texts):
            return False
        for call, text, said in texts:
            if said and said != text:
                call.arguments = [said]
                self._note("continued_text", f"/message/tool_calls/{call.place}", said[len(text) :])
        return True
