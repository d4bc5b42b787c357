"""A body in the making: its members as JSON texts, in the order in which they will stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from .answer import Answer, Material
from .chance import Chance, Shares
from .shape import Shape
from .writing import COMPACT, NULL, Writer

Made = dict[str, str | None]  # key -> JSON text; None: left out


class Written(NamedTuple):
    """A record as one service wrote it; `truth` gives what a reader should find in it."""

    body: str
    truth: Callable[[], Made]


class Source(NamedTuple):
    """What a source's file offers: its variants by their shares, camelCase per mille, and how to write a record.

    Variants `on_request` are only made where a mix names them. `write` is given a complete shape (but for size and
    trait), chance, what records are cut from, and the Unix seconds of the record.
    """

    variants: Shares[str]
    camel: int
    write: Callable[[Shape, Chance, Material, int], Written]
    on_request: tuple[str, ...] = ()

    @property
    def all_variants(self) -> tuple[str, ...]:
        """Every variant's name."""
        return *dict.fromkeys(self.variants.slots), *self.on_request


@dataclass(slots=True)
class Draft:
    """A completion in the making.

    `top` has the keys `choices` and `usage` where these are to stand, each choice of a chat the key `message`; their
    value is None until the body is written. `truth` is where the truth is not what `answer` says.
    Members that the canonical model has no field for are named in `extra` by pointer, expected repairs in `notes`.
    """

    source: str
    variant: str
    answer: Answer
    top: Made
    choices: list[Made]
    messages: list[Made]
    usage: Made
    extra: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    truth: Made = field(default_factory=dict)

    def add_extra(self, members: Made, added: Made, prefix: str = "") -> None:
        """Give some object members that the canonical model has no field for; null ones are as good as absent."""
        members.update(added)
        self.extra += [f"{prefix}/{key}" for key, text in added.items() if text is not None and text != NULL]

    def written(self, writer: Writer) -> Written:
        """The body, which is then done."""
        top = self.top
        for choice, message in zip(self.choices, self.messages, strict=False):
            choice["message"] = writer.object(message)
        top["choices"] = writer.array([writer.object(choice) for choice in self.choices])
        if top.get("usage", NULL) is None:
            top["usage"] = writer.object(self.usage)
        return Written(writer.object(top), self.members)

    def members(self) -> Made:
        """What a reader should find in the body."""
        top = self.top
        return {
            "source": f'"{self.source}"',
            "variant": f'"{self.variant}"',
            "id": top.get("id"),
            "model": top.get("model"),
            "created": top.get("created"),
            **self.answer.truth(),
            **self.truth,
            "extra": COMPACT.array([f'"{pointer}"' for pointer in sorted(self.extra)]),
            "notes": COMPACT.array([f'"{code}"' for code in sorted(self.notes)]),
        }

    def break_one(self, chance: Chance) -> None:
        """Put in one fault that a reader can repair; the truth stays what was meant."""
        truth, choice, usage = self.truth, self.choices[0], self.usage
        created, index, counted = self.top.get("created"), choice["index"], self.top.get("usage", NULL) is None
        fault = chance.below(4)
        if fault == 0 and created is not None:
            truth["created"] = created
            self.top["created"] = f'"{created}"'
            self.notes.append("text_as_integer")
        elif fault == 1 and created is not None:
            truth["created"] = created
            self.top["created"] = f"{created}.25"
            self.notes.append("fractional_time")
        elif fault == 2 and counted:
            usage["prompt_tokens"] = f"{usage['prompt_tokens']}.0"
            self.notes.append("float_as_integer")
        else:
            choice["index"] = f'"{index}"'
            self.notes.append("text_as_integer")


def failed(source: str, variant: str, error: str, **more: str | None) -> Callable[[], Made]:
    """The truth about a call that failed."""
    return lambda: {"source": f'"{source}"', "variant": f'"{variant}"', "error": error, **more}
