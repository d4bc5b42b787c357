"""The reader: bytes to a `Completion`, by the fastest decoder that proves its reading.

Theory. A *shape* is a compiled Struct in one spelling: a chat, a text completion, the open body, the wrapper, a
source's own envelope, and the first three widened by vendor keys. Every shape is strict and forbids unknown keys, so a
shape that accepts a payload has read all of it, and it does not matter which one was tried first: only how long it
took. The reader starts with the shape that payloads needed of late, and a refusal names the key that did not fit, which
names the shape to try next. What no shape accepts takes the salvage road, which reads any JSON object into the same
Structs.

Which source wrote a payload is read off the result, never off the order of trying: `judge` asks every source for its
mark. Touch the marks and the shuffling test in `tests/test_detect_order.py` must still hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from threading import Lock
from typing import Any, Literal, get_args

import msgspec

from . import dialect, envelope, wire
from .errors import AmbiguousPayloadError, InvalidPayloadError, UnknownPayloadError, excerpt
from .ledger import Ledger, in_order, is_fault
from .model import Choice, Completion, Envelope, FinishReason, FunctionCall, Message, Note, Usage
from .parse import BLANKS, looks_like_stream, members_of, parse
from .pointer import camel
from .recast import Recast, gather, is_in_order, narrow
from .registry import Registry
from .salvage import Salvage
from .spelling import camel_twin, compiled, keys_of, raw_keys_of
from .variant import Mark, Variant
from .widen import ALIAS, CALL, STALE, Paths, Plan, widen

Refusal = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

MAX_INSIDE, MAX_PLACES = 2, 8  # readers inside one another, and readers inside one, each for a place
MAX_WIDE_SHAPES = 64
MAX_WIDE_KEYS = 64
MAX_WIDE_TEXT = 4096
# A shape is tried first while enough payloads need it. One that did, and was tried with another first, counts NEED for
# it; one that needed another shape counts 1 against it. With the open form, which costs a body in canonical words three
# times as much as a refusal, it is the other way about. A vendor key shows that a payload needed its shape, and counts
# 1; of those that show nothing one in PATIENCE is asked, and each time that it did, one in twice as many.
NEED = 4
NEEDED = 8 * NEED
PATIENCE, MAX_PATIENCE = 16, 256

Marks = tuple[tuple[Mark, bool, str], ...]
Kinds = frozenset[tuple[tuple[str, ...], Any]]  # paths of keys, and what they may hold there
NOTHING: Mapping[str, Any] = {}
_NUMBERS: frozenset[type] = frozenset({int, float})
FINISH_REASONS: frozenset[str] = frozenset(get_args(FinishReason))
_PLAIN_REASONS: frozenset[str | None] = FINISH_REASONS | {None}
EARLIEST, LATEST = -dialect.MICROSECONDS_FROM, dialect.MILLISECONDS_FROM  # what `dialect.created` takes as it is
TIGHT: frozenset[type[msgspec.Struct]] = frozenset({wire.Chat, wire.Chunk, wire.Text})
_UNKNOWN_FIELD = "Object contains unknown field `"
_NO_JSON = "(byte 0)"  # end of the refusal of an event stream, among others
_WORDS = ("at `$.object`", ".finish_reason`")  # ends of refusals of words


class Shape:
    """One compiled decoder: which Struct it stands for, in which spelling, widened by which keys.

    `recast` makes what was decoded the original, where it is none; `is_in_order` says that it fills `extra` in order.
    `memo` is for whoever wants to know something about a shape once.
    """

    __slots__ = (
        "camel",
        "decode",
        "is_chat",
        "is_in_order",
        "is_telling",
        "is_text",
        "memo",
        "nested",
        "original",
        "paths",
        "plan",
        "raw_keys",
        "recast",
    )

    def __init__(
        self,
        original: type[msgspec.Struct],
        *,
        camel_keys: bool = False,
        paths: Paths = frozenset(),
        nested: Paths = frozenset(),
        kinds: Kinds = frozenset(),
    ) -> None:
        self.original = original
        self.is_chat = original is wire.Chat
        self.is_text = original is wire.Text
        # Whether a payload that it takes is known to need it; a vendor key that is null shows nowhere.
        self.is_telling = original is not wire.Body and (camel_keys or not self.is_chat)
        self.memo: Any = None
        self.nested = nested
        self.camel = camel_keys
        self.paths = paths
        self.is_in_order = is_in_order(paths)
        self.plan: Plan | None = None
        kind = struct = camel_twin(original) if camel_keys else original
        self.raw_keys = raw_keys_of(struct)  # the keys that widen it have other types
        if paths:
            struct, self.plan = widen(struct, paths, nested, dict(kinds))
        self.recast: Recast | None = None
        if original in TIGHT and (paths or camel_keys):  # of which only the members are read
            self.recast = gather(kind, self.plan, at_root=original is not wire.Chunk)
        elif self.plan is not None or camel_keys:
            self.recast = narrow(kind, self.plan)
        self.decode: Callable[[bytes], Any] = compiled(struct)

    def covers(self, other: Shape) -> bool:
        """Whether this shape takes all that another one takes, and more vendor keys."""
        return self.original is other.original and self.camel == other.camel and self.paths > other.paths

    def prove(self, raw: bytes, decoded: Any, depth: int = 0) -> None:
        """Refuse what a decode of this shape did not look at: the value of a key that stands twice, where it is `Raw`.

        `decoded` is what it gave: a field without a value has no key. `depth` containers stand around it. Raises
        `MalformedPayloadError`. msgspec checks the syntax of what it skips, not its UTF-8.
        """
        if not raw.isascii():
            try:
                raw.decode()
                doubtful = False
            except UnicodeDecodeError:
                doubtful = True
            if doubtful:
                parse(raw, depth=depth)
        for name, key in self.raw_keys:
            if (name is None or getattr(decoded, name)) and raw.count(key) > 1:
                parse(raw, depth=depth)
                break


@cache
def fixed_shape(original: type[msgspec.Struct], *, camel_keys: bool = False) -> Shape:
    """The shape of a Struct as it stands; compiled once for all readers."""
    return Shape(original, camel_keys=camel_keys)


@lru_cache(4 * MAX_WIDE_SHAPES)
def wide_shape(
    original: type[msgspec.Struct],
    paths: Paths,
    nested: Paths,
    kinds: Kinds,
    *,
    camel_keys: bool = False,
) -> Shape:
    """The shape of a Struct with vendor keys; the last ones are compiled once for all readers."""
    return Shape(original, camel_keys=camel_keys, paths=paths, nested=nested, kinds=kinds)


@cache
def tight_decoder(source: str) -> Callable[[bytes], Any]:
    """The decoder of `wire.tight_completion`; compiled once for all readers."""
    return compiled(wire.tight_completion(source))


class Reader:
    """Reads payloads with the variants of one registry; safe to share between threads.

    `stream` assembles a saved event stream, where one stands in place of a response.
    """

    tight_struct: type[msgspec.Struct] = wire.Chat
    has_texts = True  # whether text completions have shapes of their own
    # Keys of the open form that stand in bodies which are in canonical words otherwise, and what they may hold there.
    aliases: Mapping[tuple[str, ...], Any] = {
        ("choices", "*", "message", ALIAS): str | None,
        ("choices", "*", "message", CALL): FunctionCall | None,
        ("choices", "*", STALE): wire.Message | None,
    }

    __slots__ = (
        "asked",
        "body",
        "body_camel",
        "candidate",
        "claim_keys",
        "count",
        "decode_first",
        "decode_tight",
        "depth",
        "finish_words",
        "gateway",
        "hint",
        "inside",
        "is_quick",
        "learned",
        "learned_open",
        "lock",
        "marks",
        "needed",
        "open_keys",
        "patience",
        "quick_hint",
        "quick_marks",
        "quick_sources",
        "registry",
        "routes",
        "settles",
        "shared_words",
        "sighted",
        "sources",
        "stream",
        "text_keys",
        "texts",
        "tight",
        "tight_alias",
        "tight_camel",
        "typed",
        "wide_shapes",
        "widest_open",
    )

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.stream: Callable[[bytes | list[Any], Ledger], Completion] | None = None
        self.inside: dict[str, Reader] = {}
        self.depth = 0  # how many readers are around this one
        self.tight = fixed_shape(self.tight_struct)
        self.body = fixed_shape(wire.Body)
        self.tight_camel = fixed_shape(self.tight_struct, camel_keys=True)
        self.body_camel = fixed_shape(wire.Body, camel_keys=True)
        self.widest_open = {False: self.body, True: self.body_camel}
        typed = [variant for variant in registry.claiming if variant.typed is not None]
        self.typed = {kind: variant for variant in typed for kind in (variant.wire, variant.tight) if kind is not None}
        claim_keys = {key for variant in registry.claiming for key in variant.claim_keys}
        self.claim_keys: Kinds = frozenset(((key,), None) for key in claim_keys | {envelope.CANONICAL_KEY})
        self.tight_alias = self._aliased(frozenset(), frozenset()) if self.aliases else self.tight
        self.open_keys = keys_of(wire.Body)
        self.text_keys = {False: keys_of(wire.Text), True: set(map(camel, keys_of(wire.Text)))}
        self.marks = marks_of(registry.marked)
        self.asked: dict[Shape, Marks] = {}
        self.texts = {camel: fixed_shape(wire.Text, camel_keys=camel) for camel in (False, True)}
        self.candidate = self.tight
        self.count = 0
        self.patience = PATIENCE
        self.needed = 0
        self.routes = self._fixed_routes()
        self.learned: dict[str, Shape] = {}
        self.learned_open: dict[str, Shape] = {}
        self.sighted: dict[tuple[bool, bool, Paths, Paths], int] = {}
        self.lock = Lock()
        self.wide_shapes = 0
        self.finish_words = {
            source: row.finish_words for source, row in registry.dialect.items() if row.finish_words is not None
        }
        # Finish words that mean the same wherever they come from.
        tables = [row.finish_words or NOTHING for row in registry.dialect.values()]
        self.shared_words = dict(set.intersection(*(set(table.items()) for table in tables)))
        self.settles = {source: row.settle for source, row in registry.dialect.items() if row.settle is not None}
        # What `normalize` looks at before anything else: the decoder or the shape to try, which are none where an
        # outsider must see the payload or where streams come; the source that fills the two fields of a gateway; and
        # the other marks that a chat in canonical words can hold, decisive ones first.
        self.is_quick = not registry.outsiders
        self.sources = frozenset(registry.sources)
        self.quick_sources = self.sources - frozenset(self.settles)
        quick = sorted(registry.marked, key=lambda variant: not variant.decisive)
        self.quick_marks = tuple(
            (variant.mark, None if variant.source in self.settles else variant.source)
            for variant in quick
            if variant.mark is not None and not variant.mark_keys
        )
        (self.gateway,) = (variant.source for variant in quick if variant.gateway)
        self.decode_tight = tight_decoder(self.gateway)
        self.decode_first: Callable[[bytes], Any] | None = None
        self.quick_hint: Shape | None = None
        self._start_with(self.tight)

    def _fixed_routes(self) -> dict[str, Shape]:
        """Which shape to try for a key that another one refused."""
        tight = keys_of(self.tight_struct)
        routes = {camel(key): self.tight_camel for key in tight if camel(key) != key}
        for key in keys_of(wire.Body) - tight:
            routes[key] = self.body
            if camel(key) != key:
                routes[camel(key)] = self.body_camel
        top = {field.encode_name for field in msgspec.structs.fields(self.tight_struct)}
        for struct in dict.fromkeys(variant.tight or variant.wire for variant in self.typed.values()):
            for key in sorted(keys_of(struct) - tight):
                routes.setdefault(camel(key), fixed_shape(struct, camel_keys=True))
                routes[key] = fixed_shape(struct)
        routes["data"] = fixed_shape(wire.Wrapped)
        routes.update(dict.fromkeys(top - {"id"}, self.tight))
        routes.update({path[-1]: self.tight_alias for path in self.aliases})
        return routes

    def _aliased(self, paths: Paths, nested: Paths) -> Shape:
        """The shape of canonical words with vendor keys and with the aliases."""
        aliased = paths.union(self.aliases)
        return wide_shape(self.tight_struct, aliased, nested, self.claim_keys.union(self.aliases.items()))

    def read(
        self,
        raw: bytes,
        ledger: Ledger,
        tried: list[Shape] | None = None,
        refused: str = "",
        decoded: wire.TightCompletion | None = None,
    ) -> Completion:
        """One whole response; a reported error is a completion with `error` set.

        When shapes were tried already, `refused` is why the last one does not fit; `decoded` is what `decode_tight`
        gave. Raises `NormalizeError` for what is no completion.
        """
        if raw[:1] != b"{" and self.stream is not None and looks_like_stream(raw):
            if not ledger.depth:  # the next payload will be one too
                self.decode_first = self.quick_hint = None
            return self.stream(raw, ledger)
        shape = self.hint
        if decoded is not None:
            completion = self._settle(self.tight, decoded, raw, ledger)
            if completion is not None:
                return completion
            tried = [self.tight]
        tried = tried or []
        if tried:
            following = self.next_shape(tried[-1], refused, tried)
            if following is None:
                return self._salvage(raw, ledger, tried)
            shape = following
        while True:
            reason = ""
            try:
                decoded = shape.decode(raw)
            except Refusal as refusal:
                reason = str(refusal)
            else:
                if shape.raw_keys:
                    shape.prove(raw, decoded, ledger.depth)
                completion = self._settle(shape, decoded, raw, ledger)
                if completion is not None:
                    if tried or not shape.is_telling:
                        self.set_hint(raw, shape, decoded, completion, tried)
                    return completion
            tried.append(shape)
            following = self.next_shape(shape, reason, tried)
            if following is None:
                return self._salvage(raw, ledger, tried)
            shape = following

    def read_inside(self, raw: bytes, ledger: Ledger) -> Completion:
        """A response inside a payload, by a reader for its place: what comes first there is another shape.

        A place inside that has its own too (a log10 record in `data` holds a response); deeper ones share it.
        """
        place = ledger.prefix.rpartition("/")[2]
        inside = self.inside.get(place)
        if inside is None and (self.depth == MAX_INSIDE or len(self.inside) == MAX_PLACES):
            inside = self
        elif inside is None:
            inside = self.inside[place] = Reader(self.registry)
            inside.stream, inside.depth = self.stream, self.depth + 1
        ledger.read = inside.read_inside
        return inside.read(raw, ledger)

    def set_hint(self, raw: bytes, shape: Shape, decoded: Any, completion: Completion, tried: list[Shape]) -> None:
        """Start next time with the shape that most payloads needed of late, other than the tight one."""
        is_open = self.candidate.original is wire.Body
        if tried:
            if shape.covers(self.candidate):
                self.candidate = shape
            change = (1 if is_open else NEED) if shape is self.candidate else (-NEED if is_open else -1)
        elif is_open:
            needed = shape.original is wire.Body and (completion.variant == "text" or _is_open(decoded))
            change = 1 if needed else -NEED
        else:
            if completion.extra:
                self.needed += 1
            elif not (shape is self.tight or shape.is_telling):
                self.doubt_hint(raw)
            return
        if self.needed + change < 0:
            self.candidate, self.needed = shape, NEED
        else:
            self._need(change)

    def doubt_hint(self, payload: Any) -> None:
        """Count a payload that may not have needed the shape it was tried with; of some, ask the tight one."""
        self.count += 1
        if self.count < self.patience:
            return
        self.count = 0
        try:
            self.decode_tight(payload)
        except Refusal:
            self.patience = min(2 * self.patience, MAX_PATIENCE)
            self._need(NEED)
        else:
            self.patience = PATIENCE
            self._need(-3 * NEED)

    def _need(self, change: int) -> None:
        self.needed = max(0, min(self.needed, 2 * NEEDED) + change)
        is_enough = self.needed >= (NEEDED if self.hint is self.tight else NEEDED // 2)
        self._start_with(self.candidate if is_enough else self.tight)

    def _start_with(self, shape: Shape) -> None:
        self.hint = shape
        if self.is_quick:
            self.quick_hint = shape if shape.is_chat or shape.is_text else None
            self.decode_first = self.decode_tight if shape is self.tight else None

    def following(self, refused: str) -> tuple[list[Shape], Shape | None]:
        """What to try after `decode_tight`: the shapes that need not be, and the next one."""
        tried = [self.tight]
        if refused.endswith(_WORDS):
            return tried, self.tight_alias
        if refused.endswith(_NO_JSON):
            return tried, None
        following = self.next_shape(self.tight, refused, tried)
        return tried, following if following is not None and (following.is_chat or following.is_text) else None

    def next_shape(self, shape: Shape, reason: str, tried: list[Shape]) -> Shape | None:
        """The shape to try after a refusal, or `None` for the salvage road."""
        candidates: list[Shape | None] = []
        if reason.startswith(_UNKNOWN_FIELD):
            key = reason.split("`", 2)[1]
            candidates = [self.learned.get(key), self.routes.get(key), self.learned_open.get(key)]
            if shape.is_text:
                other = not shape.camel
                candidates = [self.texts[other] if key in self.text_keys[other] else None, self.learned_open.get(key)]
            elif key == "text" and self.has_texts:
                candidates.insert(0, self.texts[shape.camel])
            if key in self.open_keys:  # of the open form, in a place where the tight one has no such key
                candidates.append(self.body_camel if shape.camel else self.body)
            if shape.original is wire.Body:
                candidates.reverse()
            if shape is not self.tight:
                candidates.append(self.tight)
        elif shape.original is self.tight_struct or shape.is_text:
            candidates = [self.body_camel if shape.camel else self.body]
        elif (variant := self.typed.get(shape.original)) is not None and variant.tight is shape.original:
            candidates = [fixed_shape(variant.wire, camel_keys=shape.camel)]
        elif shape is not self.body:
            candidates = [self.tight]
        for candidate in candidates:
            if candidate is self.body or candidate is self.body_camel:  # who needs it mostly has vendor keys too
                candidate = self.widest_open[candidate.camel]  # noqa: PLW2901
            if candidate is not None and candidate not in tried and len(tried) < 4:
                return candidate
        return None

    # -- the typed road

    def _settle(self, shape: Shape, decoded: Any, raw: bytes, ledger: Ledger) -> Completion | None:
        """The completion of a decoded Struct, or `None` where the salvage road must decide."""
        if self.registry.outsiders and self._outsider_claims(raw):
            return None  # its own decoder is on the salvage road
        kept, noted = set(ledger.extra) if ledger.extra else (), len(ledger.notes)
        ledger.camel = shape.camel
        completion: Completion | None = None
        if shape.is_chat and not isinstance(decoded, wire.TightCompletion):
            completion = self.quick(shape, decoded, ledger.source, ledger)
        elif shape.original is self.tight_struct:
            completion = self.from_tight(shape, decoded, ledger)
        elif shape.is_text:
            completion = self.from_text(shape, decoded, ledger)
        else:
            if shape.recast is not None:
                decoded = shape.recast(decoded, ledger.prefix, ledger.extra)
            if shape.original is wire.Body:
                completion = self.from_open(decoded, ledger)
            elif shape.original is wire.Wrapped:
                completion = self.from_wrapped(decoded, ledger)
            else:
                variant = self.typed[type(decoded)]
                ours = ledger.source in (None, variant.source) and variant.typed is not None and variant.typed(decoded)
                completion = variant.adapt(decoded, ledger) if ours else None
        if completion is None:  # the books must be as they were
            del ledger.notes[noted:]
            for added in ledger.extra.keys() - kept:
                del ledger.extra[added]
        return completion

    def _outsider_claims(self, raw: bytes) -> bool:
        tree = parse(raw)
        return any(variant.claims is not None and variant.claims(tree) for variant in self.registry.outsiders)

    def from_tight(self, shape: Shape, chat: Any, ledger: Ledger) -> Completion | None:
        """A chat in canonical form, as a shape decoded it; `None` where it holds what the open road must note.

        Every line is paid for each body with vendor keys: measure before adding one.
        """
        extra: dict[str, Any] = {}
        if shape.recast is not None and shape.recast(chat, "", extra) is None:
            return None
        source = ledger.source or self.marked(chat, extra, ledger.prefix) or ledger.fallback
        finish_words = self.finish_words.get(source, NOTHING)
        if (word := chat.object) != "chat.completion" and word:
            if word in dialect.TEXT_OBJECTS or word.endswith(".chunk") or not finish_words:
                return None
            ledger.keep(word, "object")
        chat.created = dialect.created(chat.created, ledger)
        chat.usage = dialect.usage(chat.usage, ledger)
        choices = chat.choices
        for at, choice in enumerate(choices):
            if (word := choice.finish_reason) is not None and word not in FINISH_REASONS:
                if not finish_words:
                    return None
                choice.finish_reason, choice.native_finish_reason = dialect.finish(choice, at, ledger, finish_words)
            _canonical_message(choice.message)
            if choice.message.tool_calls is not None:
                dialect.check_calls(choice.message.tool_calls, ledger, "choices", at, "message")
            if choice.logprobs is not None or choice.error is not None:
                tidy(choice, at, ledger)
            choice.__class__ = Choice  # same layout
        if isinstance(chat, wire.TightCompletion):
            chat.__class__ = Completion  # type: ignore[assignment]  # same layout
            completion: Completion = chat
            completion.source, completion.extra, completion.notes = source, ledger.extra, ledger.notes
            return self._finished(completion, ledger, in_place=False)
        return self._built(shape, chat, source, "chat", extra, ledger)

    def quick(self, shape: Shape, chat: Any, source: str | None, ledger: Ledger | None = None) -> Completion | None:
        """`from_tight`, and the same in less time for a payload with one choice that gives no note.

        One that stands alone needs no ledger then, which would cost as much as a mark. Every line is paid for each
        body with vendor keys: measure before adding one.
        """
        choices, created, usage = chat.choices, chat.created, chat.usage
        if (word := chat.object) == "chat.completion":
            word = None
        if (
            len(choices) != 1
            or (word and (word in dialect.TEXT_OBJECTS or word.endswith(".chunk") or not self.shared_words))
            or (created is not None and (created.__class__ is not int or not EARLIEST < created < LATEST))
            or (choice := choices[0]).error is not None
            or ((logprobs := choice.logprobs) is not None and logprobs.__class__ in _NUMBERS)
            or ((calls := choice.message.tool_calls) and dialect.has_python_arguments(calls))
            or (
                (reason := choice.finish_reason) not in _PLAIN_REASONS
                and (reason not in self.shared_words or choice.native_finish_reason is not None)
            )
        ):
            return self.from_tight(shape, chat, ledger or self._alone(shape, source))
        extra: dict[str, Any] = {}
        if (recast := shape.recast) is not None:
            if recast(chat, "", extra) is None:
                return None
            choice, usage = choices[0], chat.usage
        if source is None:
            asked = self.marks if word else self.asked.get(shape) or self._ask(shape)  # what `object` says is a mark
            source = self.marked(chat, extra, "" if ledger is None else ledger.prefix, asked)
            source = source or ("openai" if ledger is None else ledger.fallback)
        if choice.__class__ is not Choice:
            choice.__class__ = Choice  # same layout
        message: Any = choice.message
        if message.__class__ is not Message or isinstance(message.content, list):
            _canonical_message(message)
        if reason not in _PLAIN_REASONS:
            choice.finish_reason, choice.native_finish_reason = self.shared_words[reason], reason
        is_itemised = False
        if usage is not None:
            is_itemised = usage.cost.__class__ is wire.PerplexityCost
            if usage.__class__ is not Usage:
                usage.__class__ = Usage  # same layout
        if word:
            extra["/object"] = word
        notes: list[Note] = []
        if ledger is not None:
            ledger.extra.update({ledger.prefix + pointer: value for pointer, value in extra.items()})
            extra, notes = ledger.extra, ledger.notes
        completion = _completion(chat, source, "chat", extra, notes)
        if ledger is None:
            ordered = len(extra) < 2 or (shape.is_in_order and not word)
            if ordered and not is_itemised and source not in self.settles:
                return completion
            ledger = Ledger(camel=shape.camel, extra=extra, notes=notes)
        if is_itemised:
            usage.cost = dialect.cost(usage.cost, ledger)
        return self._finished(completion, ledger, in_place=False)

    def _alone(self, shape: Shape, source: str | None) -> Ledger:
        """The ledger of a payload that stands alone."""
        return Ledger(source=source, read=self.read_inside, camel=shape.camel)

    def quick_text(
        self, shape: Shape, sent: Any, source: str | None, ledger: Ledger | None = None
    ) -> Completion | None:
        """`from_text`, and the same in less time for a payload that stands alone with one choice and gives no note."""
        choices, created = sent.choices, sent.created
        if (
            ledger is not None
            or len(choices) != 1
            or not self.shared_words
            or ((word := sent.object) != "text_completion" and word)
            or (created is not None and (created.__class__ is not int or not EARLIEST < created < LATEST))
            or (text := (choice := choices[0]).text) is None
            or choice.logprobs is not None
            or (reason := choice.finish_reason) not in _PLAIN_REASONS
        ):
            return self.from_text(shape, sent, ledger or self._alone(shape, source))
        extra: dict[str, Any] = {}
        if (recast := shape.recast) is not None:
            recast(sent, "", extra)
            choice = choices[0]
        if source is None:
            source = self.marked(sent, extra, asked=self.asked.get(shape) or self._ask(shape)) or "openai"
        choices[0] = Choice(
            finish_reason=reason,
            index=choice.index,
            message=Message(content=text),
            native_finish_reason=choice.native_finish_reason,
        )
        if source in self.settles or not shape.is_in_order:
            return self._built(shape, sent, source, "text", extra, Ledger(camel=shape.camel))
        return _completion(sent, source, "text", extra, [])

    def from_text(self, shape: Shape, sent: Any, ledger: Ledger) -> Completion | None:
        """A text completion, as a shape decoded it; `None` where the open road must say what it is."""
        extra: dict[str, Any] = {}
        if shape.recast is not None:
            shape.recast(sent, "", extra)
        source = ledger.source or self.marked(sent, extra, ledger.prefix) or ledger.fallback
        finish_words = self.finish_words.get(source)
        word = sent.object
        if (
            not finish_words
            or (word is not None and word.endswith(".chunk"))
            or all(choice.text is None for choice in sent.choices)
        ):
            return None
        if word and word != "text_completion":
            ledger.keep(word, "object")
        sent.created = dialect.created(sent.created, ledger)
        choices = sent.choices
        for at, choice in enumerate(choices):
            finish_reason, native = choice.finish_reason, choice.native_finish_reason
            if finish_reason is not None and finish_reason not in FINISH_REASONS:
                finish_reason, native = dialect.finish(choice, at, ledger, finish_words)
            logprobs = choice.logprobs
            choices[at] = Choice(
                index=choice.index,
                message=Message(content=choice.text),
                finish_reason=finish_reason,
                native_finish_reason=native,
                logprobs=None if logprobs is None else dialect.logprobs(logprobs, ledger, "choices", at, "logprobs"),
            )
        return self._built(shape, sent, source, "text", extra, ledger)

    def _built(  # noqa: PLR0917 - names cost as much as a mark
        self, shape: Shape, sent: Any, source: str, variant: str, extra: dict[str, Any], ledger: Ledger
    ) -> Completion:
        """The completion of a body whose members are canonical by now; `extra` is what its vendor keys held."""
        in_place = shape.is_in_order and len(sent.choices) <= 10 and not ledger.extra
        if extra:
            prefix = ledger.prefix
            ledger.extra.update({prefix + pointer: value for pointer, value in extra.items()} if prefix else extra)
        completion = _completion(sent, source, variant, ledger.extra, ledger.notes)
        if in_place and source not in self.settles:
            return completion
        return self._finished(completion, ledger, in_place=in_place)

    def _finished(self, completion: Completion, ledger: Ledger, *, in_place: bool) -> Completion:
        """A completion by the rules of its source, with `extra` in order; `in_place` says that it was so far."""
        if completion.source in self.settles:
            self.settle(completion, ledger)
            in_place = False
        if not in_place and not ledger.prefix:
            completion.extra = ledger.extra = in_order(ledger.extra)
        return completion

    def from_open(self, body: wire.Body, ledger: Ledger) -> Completion | None:
        """A body of the open form; `None` where it is none of a whole response."""
        return None if _is_chunk(body) else self.from_body(body, ledger)

    def from_wrapped(self, wrapped: wire.Wrapped, ledger: Ledger) -> Completion | None:
        """The response in a wrapper; `None` where it is no object."""
        raw = bytes(wrapped.data)
        if raw[:1] != b"{":
            return None
        return self._inside("data", "data", ledger, lambda inner: self.read_inside(raw, inner))

    def from_body(self, body: wire.Body, ledger: Ledger) -> Completion:
        """A body of the open form, by the adapter of its source."""
        source = ledger.source or self.judge(body, ledger)
        variant = self.dialect_of(source)
        completion = variant.adapt(body, ledger)
        completion.source = source
        self.settle(completion, ledger)
        return completion

    def settle(self, completion: Completion, ledger: Ledger) -> None:
        """Apply the rules of a source that hold for whole responses."""
        settle = self.settles.get(completion.source)
        if settle is not None:
            settle(completion, ledger)

    def dialect_of(self, source: str) -> Variant:
        """The variant whose adapter reads a source's OpenAI-shaped bodies."""
        variant = self.registry.dialect.get(source)
        if variant is None or variant.wire is not wire.Body:
            return self.registry.dialect["openai"]
        return variant

    def quick_source(self, chat: wire.TightCompletion) -> str | None:
        """The source of a chat in canonical words; `None` where that source has rules that need a ledger."""
        for mark, name in self.quick_marks:
            if mark(chat, NOTHING) is not None:
                return name
        return "openai"

    def judge(self, body: wire.Body | wire.Chat | wire.TightCompletion | wire.Chunk, ledger: Ledger) -> str:
        """The source of a body that was read, by the marks of every source."""
        extra: Mapping[str, Any] = ledger.extra
        if ledger.prefix and extra:
            extra = {
                pointer.removeprefix(ledger.prefix): value
                for pointer, value in extra.items()
                if pointer.startswith(ledger.prefix)
            }
        return self.marked(body, extra, ledger.prefix) or ledger.fallback

    def _ask(self, shape: Shape) -> Marks:
        """The marks that can hold for what a shape of chats reads, if `object` says nothing."""
        keys = {path[0] for path in shape.paths if len(path) == 1}
        asked = self.asked[shape] = marks_of(
            variant for variant in self.registry.marked if not variant.mark_keys or keys.intersection(variant.mark_keys)
        )
        return asked

    def marked(self, body: Any, extra: Mapping[str, Any], path: str = "", asked: Marks | None = None) -> str | None:
        """The source whose mark a body has, with its vendor keys in `extra`; `path` is where it stands."""
        strong = weak = None
        for mark, decisive, name in asked or self.marks:
            if mark(body, extra) is None:
                continue
            if not decisive:
                weak = weak or name
            elif strong is None:
                strong = name
            else:
                found = [name for mark, decisive, name in self.marks if decisive and mark(body, extra) is not None]
                raise ambiguous(found, path)
        return strong or weak

    # -- the salvage road

    def _salvage(self, raw: bytes, ledger: Ledger, tried: list[Shape]) -> Completion:
        try:
            tree = parse(raw, depth=ledger.depth)
        except ValueError:
            if self.stream is not None and _holds_chunks(raw):
                return self.stream(raw, ledger)
            raise
        return self.from_tree(tree, ledger, raw, tried)

    def from_tree(
        self, tree: Any, ledger: Ledger, raw: bytes | None = None, tried: list[Shape] | None = None
    ) -> Completion:
        """Any JSON value as a completion, by the salvage road."""
        where = ledger.prefix or None
        if not isinstance(tree, dict):
            if isinstance(tree, list):
                if self.stream is not None and envelope.are_chunks(tree):
                    return self.stream(tree if raw is None else members_of(raw) or tree, ledger)
                raise UnknownPayloadError(
                    "the payload is a list; normalize_many() yields its records", code="list", path=where
                )
            if isinstance(tree, str) and self.stream is not None:  # a log may hold the stream as text
                text = tree.encode("utf-8", "surrogatepass")
                if looks_like_stream(text):
                    return self.stream(text, ledger)
            raise UnknownPayloadError(
                f"the payload is {_json_word(tree)}, not an object; hand in the response body",
                code="not_object",
                path=where,
            )
        if envelope.is_canonical(tree):
            return _canonical(tree, ledger)
        variant = self._claimed(tree, ledger)
        if variant is not None:
            return self._adapt(variant, tree, ledger)
        if envelope.members(tree) is not None:
            raise UnknownPayloadError(
                "the payload is a page of records; normalize_many() yields each", code="list", path=where
            )
        wrapper = envelope.unwrap(tree)
        if wrapper is not None:
            return self._unwrap(tree, *wrapper, ledger)
        name = self.stranger(tree)
        if name is not None:
            raise UnknownPayloadError(f"the payload is {name}", path=where)
        choices = tree.get("choices")
        if choices is None:  # only a chunk can be without
            choices = []
            tree = {**tree, "choices": choices}
        if not isinstance(choices, list):
            raise InvalidPayloadError(
                f"`choices` is {_json_word(choices)}, not a list; hand in the body as it was sent",
                path=f"{ledger.prefix}/choices",
            )
        walk = Salvage(ledger)
        body = walk.struct(tree, wire.Body, ledger.prefix)
        ledger.camel = walk.camel_keys > walk.snake_keys
        completion = self.from_body(body, ledger)
        if raw is not None and tried is not None and not walk.both_spellings:
            self._learn(raw, walk, ledger, tried, is_text=self.has_texts and completion.variant == "text")
        return completion

    def stranger(self, tree: dict[str, Any]) -> str | None:
        """What an object is, in words, when it is no response of the kind that is read here."""
        name = envelope.recognise(tree)
        if name is None and tree.get("choices") is None:
            if "choices" in tree:
                return "one with `choices` null and without an error: the service answered nothing"
            return "one with neither `choices` nor an error; hand in the response body"
        return name

    def _claimed(self, tree: dict[str, Any], ledger: Ledger) -> Variant | None:
        """The variant that recognises an object as its own; `openai` only where no other source does."""
        found: dict[str, Variant] = {}
        for variant in self.registry.claiming:
            if ledger.source not in (None, variant.source) and variant.source != "openai":
                continue
            if variant.source not in found and variant.claims is not None and variant.claims(tree):
                found[variant.source] = variant
        unmarked = found.pop("openai", None)
        if len(found) > 1:
            raise ambiguous(found, ledger.prefix)
        return next(iter(found.values()), unmarked)

    def _adapt(self, variant: Variant, tree: dict[str, Any], ledger: Ledger) -> Completion:
        walk = Salvage(ledger)
        decoded = walk.struct(tree, variant.wire, ledger.prefix)
        ledger.camel = walk.camel_keys > walk.snake_keys
        completion = variant.adapt(decoded, ledger)
        if variant.source == "openai":
            completion.source = ledger.source or ledger.fallback
        return completion

    def _unwrap(self, tree: dict[str, Any], kind: str, key: str, ledger: Ledger) -> Completion:
        for name, value in tree.items():
            if name != key and value is not None:
                at = ledger.member(name, ledger.prefix)
                ledger.extra[at] = ledger.clean(value, at)
        return self._inside(kind, key, ledger, lambda inner: self.from_tree(tree[key], inner))

    def _inside(self, kind: str, key: str, ledger: Ledger, read: Callable[[Ledger], Completion]) -> Completion:
        completion = read(ledger.below(key))
        if completion.envelope is None:
            completion.envelope = Envelope(kind=kind)
        return completion

    # -- learning

    def _learn(self, raw: bytes, walk: Salvage, ledger: Ledger, tried: list[Shape], *, is_text: bool) -> None:
        """Widen a shape by the vendor keys of a payload that was seen for the second time.

        Speed only: the widened shape reads what salvage read. Bounded in keys, in shapes and so in compilations.
        """
        paths = frozenset(walk.unknown)
        if not paths or (walk.camel_keys and walk.snake_keys) or any("?" in path or "raw" in path for path in paths):
            return
        if any(is_fault(note) for note in ledger.notes):
            return
        if len(paths) > MAX_WIDE_KEYS or sum(len(key) for path in paths for key in path) > MAX_WIDE_TEXT:
            return  # no service has so many keys, and what is remembered must be small
        nested = frozenset(walk.nested)
        sighting = (walk.camel_keys > 0, is_text, paths, nested)
        with self.lock:
            if self.wide_shapes >= MAX_WIDE_SHAPES:
                return
            seen = self.sighted.get(sighting, 0) + 1
            if len(self.sighted) >= 4 * MAX_WIDE_SHAPES:
                self.sighted.clear()
            self.sighted[sighting] = seen
            if seen != 2:
                return
            if is_text and self._learn_text(raw, paths, nested, camel_keys=sighting[0]):
                return
            known = dict.fromkeys([*tried, *self.learned.values(), *self.learned_open.values()])
            related = [shape for shape in known if shape.camel == sighting[0] and shape.paths]
            self.wide_shapes += 1
            shape = self._widened(raw, paths, nested, related, camel_keys=sighting[0])
            if shape is not None:
                learned = self.learned
                if shape.original is wire.Body:
                    learned, self.widest_open[shape.camel] = self.learned_open, shape
                for path in shape.paths:
                    learned[path[-1]] = shape

    def _learn_text(self, raw: bytes, paths: Paths, nested: Paths, *, camel_keys: bool) -> bool:
        """Widen the shape of text completions; whether the payload fits it now."""
        known = self.texts[camel_keys]
        merged = paths.union(known.paths)
        if len(merged) > MAX_WIDE_KEYS:
            merged = paths
        try:
            shape = wide_shape(wire.Text, merged, nested.union(known.nested), self.claim_keys, camel_keys=camel_keys)
            shape.decode(raw)
        except (*Refusal, ValueError):  # as in `_widened`
            return False
        self.wide_shapes += 1
        self.texts[camel_keys] = shape
        return True

    def _widened(
        self, raw: bytes, paths: Paths, nested: Paths, related: list[Shape], *, camel_keys: bool
    ) -> Shape | None:
        """The tightest shape that has a place for all keys and accepts the payload.

        It holds the keys of related shapes too, so that a log of many services needs no third decode; but not those of
        the open form in canonical words, where some have no place, and none where one of them has no place here.
        """
        for original in (self.tight_struct, wire.Body):
            kin = [shape for shape in related if original is wire.Body or shape.original is original]
            for every, branches in dict.fromkeys((self._joined(paths, nested, kin), (paths, nested))):
                try:
                    if original is self.tight_struct and not camel_keys:
                        shape = self._aliased(every, branches)
                    else:
                        shape = wide_shape(original, every, branches, self.claim_keys, camel_keys=camel_keys)
                    shape.decode(raw)
                except (*Refusal, ValueError):  # the payload needs more than vendor keys, or a key has no place
                    continue
                return shape
        return None

    def _joined(self, paths: Paths, nested: Paths, kin: list[Shape]) -> tuple[Paths, Paths]:
        """Keys and those of other shapes, as long as they are not too many."""
        joined = paths.union(*(shape.paths for shape in kin)).difference(self.aliases)
        if len(joined) > MAX_WIDE_KEYS:
            return paths, nested
        return joined, nested.union(*(shape.nested for shape in kin))


def marks_of(variants: Iterable[Variant]) -> Marks:
    """The marks of variants, whether they are decisive, and their sources."""
    return tuple((variant.mark, variant.decisive, variant.source) for variant in variants if variant.mark is not None)


def spelling_of(tree: Any) -> Literal["snake", "camel"]:
    """The spelling of a payload: whether more of its keys are schema keys in camelCase than in snake_case."""
    snake = {key for key in keys_of(wire.Failed) if camel(key) != key}
    camels = {camel(key) for key in snake}
    balance = 0
    stack = [tree]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            balance += len(value.keys() & camels) - len(value.keys() & snake)
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
    return "camel" if balance > 0 else "snake"


def _canonical(tree: dict[str, Any], ledger: Ledger) -> Completion:
    """The completion of a record that this library wrote; what somebody put beside its members goes to `extra`."""
    aside = Ledger(ledger.prefix)  # a number out of range has its note already
    tree = aside.clean(tree, ledger.prefix)
    beside = tree.keys() - frozenset(Completion.__struct_fields__)
    try:
        completion = msgspec.convert(tree, Completion)  # only here, at the top, does it take unknown keys
    except msgspec.ValidationError as refusal:
        what, _, where = str(refusal).partition(" - at ")
        raise InvalidPayloadError(
            f"a canonical record was changed: {excerpt(what)} at {excerpt(where)}; convert the response itself",
            code="wrong_type",
            path=ledger.prefix or None,
        ) from None
    completion.source = ledger.source or completion.source
    ledger.extra.update(completion.extra)
    for name in beside:
        ledger.extra[ledger.member(name, ledger.prefix)] = tree[name]
    ledger.notes += completion.notes
    ledger.notes += [note for note in aside.notes if note.code == "lone_surrogate"]
    completion.extra, completion.notes = ledger.extra, ledger.notes
    return completion


def _completion(sent: Any, source: str, variant: str, extra: dict[str, Any], notes: list[Note]) -> Completion:
    """A body whose members are canonical, as a `Completion`."""
    return Completion(
        id=sent.id,
        source=source,
        variant=variant,
        model=sent.model,
        provider=sent.provider,
        created=sent.created,
        choices=sent.choices,
        usage=sent.usage,
        system_fingerprint=sent.system_fingerprint,
        service_tier=sent.service_tier,
        extra=extra,
        notes=notes,
    )


def tidy(choice: wire.TightChoice, at: int, ledger: Ledger) -> None:
    """Make what a tight choice holds canonical; `at` is its place in the list."""
    if isinstance(choice.logprobs, int | float):
        choice.logprobs = dialect.logprobs(choice.logprobs, ledger, "choices", at, "logprobs")
    if choice.error is not None:
        choice.error = dialect.tight_error(choice.error, ledger, "choices", at, "error")  # type: ignore[assignment]


def _canonical_message(message: Any) -> None:
    """Make a message of `wire.ChatMessage` canonical in place; any other is."""
    if message.__class__ is not Message:
        message.__class__ = Message  # same layout
    if isinstance(message.content, list):
        thought = dialect.spread(message.content, message)
        if message.reasoning is None:
            message.reasoning = thought


def _is_open(body: Any) -> bool:
    """Whether a body needs the open form, as far as a glance tells."""
    return any(choice.message is None or choice.function_call is not None for choice in getattr(body, "choices", ()))


def ambiguous(sources: Iterable[str], path: str = "") -> AmbiguousPayloadError:
    """The error for a payload with the marks of several sources."""
    candidates = tuple(sources)
    error = AmbiguousPayloadError(
        f"the marks of {' and '.join(candidates)} hold; name one with source=", path=path or None
    )
    error.candidates = candidates
    return error


def _is_chunk(body: wire.Body) -> bool:
    word = body.object
    if word is not None and word.endswith(".chunk"):
        return True
    return bool(body.choices) and (
        body.choices[0].delta is not None and body.choices[0].message is None and word not in envelope.REBUILT_OBJECTS
    )


def _holds_chunks(raw: bytes) -> bool:
    """Whether a text that is no JSON has one chunk on each line."""
    if b"\n" not in raw:  # a million brackets need not be copied
        return False
    lines = raw.lstrip(BLANKS).split(b"\n", 4)
    if len(lines) < 2 or not lines[0].startswith(b"{"):
        return False
    items = []
    for line in lines[:4]:
        try:
            items.append(parse(line))
        except ValueError:
            break
    return envelope.are_chunks(items)


def _json_word(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    words: dict[type, str] = {str: "a string", dict: "an object", list: "a list"}
    return words.get(type(value), "a number")
