"""The tool calls of one choice in the making."""

from __future__ import annotations

import msgspec

from ..model import FunctionCall, ToolCall
from .events import is_json
from .values import Values


class Call(msgspec.Struct, eq=False):
    """One tool call in the making."""

    index: int | None
    place: int
    id: str | None = None
    type: str | None = None
    name: str | None = None
    arguments: list[str] | None = None

    def has_all_arguments(self) -> bool:
        """Whether the arguments so far are complete JSON."""
        return is_json("".join(self.arguments or ()).encode("utf-8", "surrogatepass"))

    def whole(self) -> ToolCall:
        """The call so far; half of its arguments stays half."""
        arguments = None if self.arguments is None else "".join(self.arguments)
        function = (
            None if self.name is None and arguments is None else FunctionCall(name=self.name, arguments=arguments)
        )
        return ToolCall(id=self.id, type=self.type, index=self.index, function=function)


class Calls(msgspec.Struct, eq=False):
    """The calls of one choice; notes go to the `values` of it.

    A fragment belongs to the call under its index, else under its id, else to the last one. Under a key in use, a new
    id opens a new call (Gemini numbers every call 0). So does another name, unless it goes on with the name of a call
    under one id whose arguments are not complete.
    """

    calls: list[Call] = []
    by_index: dict[int, Call] = {}
    by_id: dict[str, Call] = {}

    def take(self, fragments: list[ToolCall], values: Values) -> list[int]:
        """Fragments of calls; gives the place of the call that each belongs to."""
        places = []
        for fragment in fragments:
            call = self._call_of(fragment, values)
            if fragment.id and not call.id:
                call.id = fragment.id
                self.by_id[fragment.id] = call
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
                        call.arguments = []
                    call.arguments.append(function.arguments)
            places.append(call.place)
        return places

    def _call_of(self, fragment: ToolCall, values: Values) -> Call:
        index, identity, function = fragment.index, fragment.id or None, fragment.function
        name = function.name or None if function is not None else None
        last = self.calls[-1] if self.calls else None
        call: Call | None
        if index is not None:
            call = self.by_index.get(index)
        elif identity is not None:
            call = self.by_id.get(identity)
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
            values.note("misplaced_fragment", f"/delta/tool_calls/{last.place}/index", index)
            self.by_index[index or 0] = last
            return last
        if call is None:
            call = Call(index, len(self.calls))
            self.calls.append(call)
            if index is not None:
                self.by_index[index] = call
        return call

    def agree(self, whole: list[ToolCall], values: Values) -> bool:
        """Whether the calls of a whole message say what the fragments said; what they continue is appended, noted."""
        if not self.calls:
            self.take(whole, values)
            values.note("continued_text", "/message/tool_calls", None)
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
                values.note("continued_text", f"/message/tool_calls/{call.place}", said[len(text) :])
        return True
