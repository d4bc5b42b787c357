"""What the models say: made-up prose, markdown, code and other languages, as JSON strings.

A `Library` has a few books, each half a megabyte of sentences made by chance from small grammars. A text is an excerpt
of a book that is exactly as many bytes long as was asked for, already written as JSON: once as UTF-8, once in ASCII.
Escapes and letters beyond ASCII are about as frequent as in recorded bodies, most of which have none of the latter;
a corpus packs to a fifth with gzip, as recorded ones do to a quarter or a fifth.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate

from .chance import Chance, Shares

BOOK_BYTES = 1 << 19
BLOB = 1 << 17  # characters that look like base64, from which ids, signatures and encrypted reasoning are cut

# -- sentences


def _list(words: str) -> list[str]:
    return words.split("|")


_SUBJECTS = _list(
    "The harbour office|Our client|The second pipeline|A retry|The cache|Every worker|The night shift|"
    "This function|The invoice|A longer timeout|The old ferry|The parser|Your query|The tide table|The index|"
    "A single lock|The customer|The northern pier|The scheduler|A missing header|The last release|"
    "The weather desk|The budget|An empty list|The lighthouse keeper|The survey|That error|The supplier|"
    "The draft|The replica|A smaller batch|The train at noon|The recipe|The contract|The new schema|"
    "A plain table|The answer|The model|Nobody|The committee"
)
_VERBS = _list(
    "keeps|returns|needs|moves|explains|breaks|closes|replaces|loses|sorts|measures|delays|covers|hides|reads|"
    "writes|accepts|refuses|counts|splits|joins|follows|warms|cools|opens|checks|carries|changes|ignores|repeats|"
    "saves|sends"
)
_OBJECTS = _list(
    "the first half of the report|two copies of each row|a warning that nobody reads|the key before the value|"
    "three boats and a crane|the whole table|an index on the date column|more memory than it frees|"
    "the price of the ticket|a smaller window|the order of the results|one request per second|the same error|"
    "a list of 42 names|the slow road|every second token|its own log file|the oldest entry|"
    "the door to the archive|a signed copy|half of the cost|the remaining 17 items|a note for the morning|"
    "the connection|fresh water|the limit of 4096 tokens|a plan for Monday|the map of the coast|the wrong branch|"
    "a cup of flour|the final vote|version 2.3 of the form|the input, the output, and the rest|"
    "a question about scope"
)
_ENDS = _list(
    "before the tide turns|in most cases|at 9:30|when the queue is full|without a lock|after the third attempt|"
    "on both sides|within 250 ms|for a year|as the docs say|in the worst case|by default|"
    "until the file is closed|on Tuesdays|if the flag is set|at no extra cost|in reverse order|"
    "with a small margin|for each user|since last spring|out of habit|at 3 percent per month|behind a proxy|"
    "under load|in the background|in one pass"
)
_LINKS = _list("so|but|and|because|while|although|which is why|unless")
_WORDS = _list(
    "limit|timeout|harbour|index|token|queue|ledger|ferry|batch|schema|cursor|signal|draft|vector|anchor|budget|"
    "retry|sample|window|record"
)

_TYPOGRAPHIC = (
    "It\u2019s not a bug \u2014 it\u2019s the default.",
    "\u201cNot today,\u201d said the keeper\u2026",
    "Caf\u00e9 prices rose by 4\u202f%.",
    "\u2705 Done.",
    "\U0001f680 Ready to sail!",
    "That\u2019s about 20\u202f\u00b0C.",
    "See \u00a7\u202f4 \u2013 the na\u00efve case.",
    "Total: \u20ac1,250.",
    "Step 1 \u2192 Step 2",
    "We can\u2019t promise that.",
)

# Made-up sentences in other languages; a paragraph keeps to one of them.
_WORLD = (
    (
        "Die Fähre fährt heute später, weil der Nebel über dem Fluss liegt.",
        "Bitte prüfen Sie zuerst die Größe der Datei.",
        "Das Ergebnis wäre schöner, wenn die Tabelle sortiert wäre.",
    ),
    (
        "Le phare éclaire la côte jusqu’à minuit.",  # noqa: RUF001
        "Il faut vérifier la clé avant d’écrire la réponse.",  # noqa: RUF001
        "Voilà trois étapes très simples à suivre.",
    ),
    (
        "El faro está cerrado mañana por la mañana.",
        "¿Cuántos registros había en la última página?",
        "La solución más rápida también es la más corta.",
    ),
    (
        "Паром опаздывает из-за тумана.",
        "Сначала проверьте размер файла.",
        "Ответ находится в третьей строке таблицы.",
    ),
    ("渡船今天会晚到一个小时。", "请先检查文件的大小,再运行查询。", "答案在第三行。", "这个函数返回一个列表。"),
    ("フェリーは霧のため遅れます。", "まずファイルのサイズを確認してください。", "答えは三行目にあります。"),
    ("안개 때문에 배가 늦습니다.", "먼저 파일 크기를 확인하세요.", "답은 세 번째 줄에 있습니다."),
    ("تتأخر العبارة اليوم بسبب الضباب.", "تحقق أولاً من حجم الملف.", "الجواب في السطر الثالث."),
    ("कोहरे के कारण नाव देर से आएगी।", "पहले फ़ाइल का आकार जाँचें।", "उत्तर तीसरी पंक्ति में है।"),
)

_CODE = (
    'def {a}_{b}(values):\n    """Keep the {a} of each {b}."""\n    return [item for item in values if item > {n}]\n',
    'for {a} in {b}s:\n    if {a}.startswith("{c}"):\n        print(f"{a}: {{{a}!r}}")\n',
    'SELECT "{a}", count(*)\nFROM {b}_log\nWHERE {c} > {n}\nGROUP BY "{a}";\n\n',
    '{{"{a}": {n}, "{b}": ["{c}", null], "path": "C:\\\\{a}\\\\{b}"}}\n',
    'const {a} = await fetch(`/api/{b}?{c}={n}`);\nif (!{a}.ok) {{\n\tthrow new Error("{b} " + {a}.status);\n}}\n',
    "$ grep -n '{a}' {b}.log | cut -d: -f1 | sort -u > {c}.txt\n",
    'class {a}:\n\tdef __init__(self, {b}=None):\n\t\tself.{b} = {b} or "{c}"\n\n',
    '<td class="{a}">{b} &amp; {c}</td>\n',
)


def _sentence(chance: Chance) -> str:
    """One sentence of English, 20 to 200 characters."""
    text = f"{chance.pick(_SUBJECTS)} {chance.pick(_VERBS)} {chance.pick(_OBJECTS)}"
    kind = chance.below(8)
    if kind < 4:
        text += f" {chance.pick(_ENDS)}"
    elif kind == 4:
        subject = chance.pick(_SUBJECTS)
        text += (
            f", {chance.pick(_LINKS)} {subject[0].lower()}{subject[1:]} {chance.pick(_VERBS)} {chance.pick(_OBJECTS)}"
        )
    return text + "."


def _prose(chance: Chance) -> Iterator[str]:
    """Paragraphs, lists, headings and quotes, as models lay them out."""
    while True:
        kind = chance.below(16)
        if kind < 10:
            for _ in range(chance.between(1, 5)):
                yield _sentence(chance) + " "
            yield "\n\n"
        elif kind < 13:
            for number in range(1, chance.between(2, 5)):
                mark = f"{number}. " if kind == 10 else "- "
                yield f"{mark}**{chance.pick(_WORDS).title()}**: {_sentence(chance)}\n"
            yield "\n"
        elif kind == 13:
            yield f"## {chance.pick(_OBJECTS).capitalize()}\n\n"
        elif kind == 14:
            yield f'He calls it "{chance.pick(_WORDS)}", or `{chance.pick(_WORDS)}_{chance.pick(_WORDS)}`. '
        else:
            yield f"| {chance.pick(_WORDS)} | {chance.below(10_000)} | {chance.below(100)} % |\n"


def _typographic(chance: Chance) -> Iterator[str]:
    """The same with dashes, curly quotes and emoji: a letter beyond ASCII or two in every hundred."""
    for piece in _prose(chance):
        yield piece
        if chance.happens(180):
            yield chance.pick(_TYPOGRAPHIC) + " "


def _world(chance: Chance) -> Iterator[str]:
    """Paragraphs in other languages."""
    while True:
        language = chance.pick(_WORLD)
        for _ in range(chance.between(2, 6)):
            yield f"{chance.pick(language)} "
        yield f"({chance.below(1000)})\n\n"


def _code(chance: Chance) -> Iterator[str]:
    """Sentences, and blocks of code in fences."""
    while True:
        yield _sentence(chance) + "\n\n```\n"
        for _ in range(chance.between(1, 4)):
            words = {name: chance.pick(_WORDS) for name in "abc"}
            yield chance.pick(_CODE).format(**words, n=chance.below(5000))
        yield "```\n\n"


def _plain(chance: Chance) -> Iterator[str]:
    """Sentences alone: nothing in them is escaped, however often they are put into JSON."""
    while True:
        yield _sentence(chance) + " "


# -- books


def escaped(text: str, *, ascii_only: bool = False) -> str:
    """A text as JSON writes it, without the quotes around it."""
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1]


class Book:
    """Sentences one after the other, as JSON writes them, with the places where one begins."""

    __slots__ = ("bytes_upto", "characters_upto", "text")

    def __init__(self, pieces: list[str], *, ascii_only: bool) -> None:
        written = [escaped(piece, ascii_only=ascii_only) for piece in pieces]
        self.text = "".join(written)
        self.characters_upto = [0, *accumulate(map(len, written))]
        self.bytes_upto = [0, *accumulate(len(piece.encode()) for piece in written)]

    def excerpt(self, chance: Chance, length: int) -> str:
        """An excerpt of whole sentences, at most `length` bytes long, without quotes."""
        whole, length = divmod(length, self.bytes_upto[-1])
        last = bisect_right(self.bytes_upto, self.bytes_upto[-1] - length) - 1
        first = chance.below(last + 1)
        end = bisect_right(self.bytes_upto, self.bytes_upto[first] + length) - 1
        return self.text * whole + self.text[self.characters_upto[first] : self.characters_upto[end]]


_KINDS: dict[str, Callable[[Chance], Iterator[str]]] = {
    "prose": _prose,
    "typographic": _typographic,
    "code": _code,
    "world": _world,
}
Texts = Shares[str]


class Library:
    """The books of one seed, in both ways to write JSON."""

    def __init__(self, seed: int) -> None:
        books = {}
        for name, make in _KINDS.items():
            chance = Chance(seed, f"book {name}")
            pieces, size = [], 0
            for piece in make(chance):
                pieces.append(piece)
                size += len(piece.encode())
                if size >= BOOK_BYTES:
                    break
            books[name] = (Book(pieces, ascii_only=False), Book(pieces, ascii_only=True))
        self._books = books
        chance = Chance(seed, "plain")
        plain = _plain(chance)
        self._plain = "".join(next(plain) for _ in range(2000))
        self._plain_room = len(self._plain) // 2
        chance = Chance(seed, "blob")
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        self._blob = "".join(letters[chance.below(62)] for _ in range(BLOB))

    def text(self, chance: Chance, length: int, kinds: Texts, *, ascii_only: bool = False) -> str:
        """A text as a JSON string of `length` bytes between its quotes, by chance of one of several kinds."""
        text = self._books[kinds.pick(chance)][ascii_only].excerpt(chance, length)
        missing = length - (len(text) if text.isascii() else len(text.encode()))
        return f'"{text}{self.plain(chance, missing)}"'

    def plain(self, chance: Chance, length: int) -> str:
        """So many characters of English that no JSON ever escapes, without quotes."""
        start = chance.below(self._plain_room)
        if length > self._plain_room:
            return self._plain[start : start + self._plain_room] + self.plain(chance, length - self._plain_room)
        return self._plain[start : start + length]

    def blob(self, chance: Chance, length: int) -> str:
        """So many characters that look like base64, without quotes."""
        if length > BLOB // 2:
            return self.blob(chance, BLOB // 2) + self.blob(chance, length - BLOB // 2)
        start = chance.below(BLOB // 2)
        return self._blob[start : start + length]
