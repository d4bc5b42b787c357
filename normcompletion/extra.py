"""`Extra`: the values of a payload for which the canonical model has no field, by JSON Pointer."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import TYPE_CHECKING, Any

Pending = tuple[Callable[..., dict[str, Any]], *tuple[Any, ...]]


if TYPE_CHECKING:  # an abstract base class would make each `Extra` three times as slow to create
    _Base = Mapping[str, Any]
else:
    _Base = object


class _Slots(_Base):
    __slots__ = ("_pending", "_values")

    _pending: Pending
    _values: dict[str, Any]


class Extra(_Slots):
    """A read-only mapping from JSON Pointer to value, in the order of the pointers.

    What a payload holds beyond the canonical model is collected when the mapping is first read: until then it holds
    the payload. Reading never raises. It compares equal to any mapping with the same items, and can be copied and
    pickled. `msgspec` and `json` refuse to encode it, because they would have to look at it too early or not at all:
    use `Completion.to_json()` or `Completion.to_dict()`, or pass `enc_hook=dict`.

    >>> from normcompletion import normalize
    >>> completion = normalize('{"choices": [], "vendor": {"zone": 3}}')
    >>> completion.extra["/vendor"]
    {'zone': 3}
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # compared by value

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Extra:
        """A mapping of values that are known already."""
        extra = cls()
        extra._values = {pointer: values[pointer] for pointer in sorted(values)}
        return extra

    @classmethod
    def later(cls, collect: Callable[..., dict[str, Any]], *arguments: Any) -> Extra:
        """A mapping whose values are `collect(*arguments)`, called when it is first read."""
        extra = cls()
        extra._pending = (collect, *arguments)
        return extra

    def _filled(self) -> dict[str, Any]:
        """The values. Another thread may do the same at the same time: both find the same ones."""
        values: dict[str, Any] | None = getattr(self, "_values", None)
        if values is not None:
            return values
        pending: Pending | None = getattr(self, "_pending", None)
        if pending is None:  # empty, or filled by another thread just now
            return getattr(self, "_values", {})
        collect, *arguments = pending
        found = collect(*arguments)
        self._values = values = dict(sorted(found.items())) if len(found) > 1 else found
        try:  # noqa: SIM105 - `suppress` costs as much as all else here
            del self._pending  # and with it the payload
        except AttributeError:  # another thread was here first
            pass
        return values

    def __getitem__(self, pointer: str) -> Any:
        """The value at a pointer; raises `KeyError` where there is none."""
        return self._filled()[pointer]

    def get(self, pointer: str, default: Any = None) -> Any:
        """The value at a pointer, or `default` where there is none."""
        return self._filled().get(pointer, default)

    def __contains__(self, pointer: object) -> bool:
        """Whether there is a value at a pointer."""
        return pointer in self._filled()

    def __iter__(self) -> Iterator[str]:
        """The pointers, sorted."""
        return iter(self._filled())

    def __len__(self) -> int:
        """How many values there are."""
        return len(self._filled())

    def keys(self) -> KeysView[str]:
        """The pointers, sorted."""
        return self._filled().keys()

    def values(self) -> ValuesView[Any]:
        """The values, in the order of their pointers."""
        return self._filled().values()

    def items(self) -> ItemsView[str, Any]:
        """Pointers and values, in the order of the pointers."""
        return self._filled().items()

    def __eq__(self, other: object) -> bool:
        """Whether another mapping holds the same values at the same pointers."""
        if isinstance(other, Extra):
            return self is other or self._filled() == other._filled()
        return self._filled() == dict(other) if isinstance(other, Mapping) else NotImplemented

    def __repr__(self) -> str:
        """As a dictionary shows itself."""
        return repr(self._filled())

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, or a pickle, is a mapping of the values."""
        return Extra.of, (self._filled(),)


Mapping.register(Extra)
