"""Strings whose characters remember where they came from, so that a template may do with them what it likes.

Every character of a message is exchanged for one of Unicode's private planes, one for each pair of character and
origin. A `Marked` string holds these stand-ins and answers every question (`in`, `==`, `split`, `strip`, `len`, ...) as
the plain text would. Operations that do not know it, like `"".join`, pass the stand-ins on: an origin can not be lost,
only misread, and the caller finds that out by comparing with a rendering of plain strings.

    >>> alphabet = Alphabet()
    >>> text = alphabet.marked("a</think>b", ASSISTANT)
    >>> "</think>" in text, text.split("</think>")[-1] == "b", alphabet.origins("<" + text[:1])
    (True, True, [0, 2])
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, SupportsIndex

TEMPLATE, OTHER, ASSISTANT = 0, 1, 2
"""Origins: the template, a message of the user (or system, tool, ...), the assistant's. From `ASSISTANT` on, `ANSWERS`
numbers take turns, so that answers in a row are told apart; from `SILENT` on, so do those that are not learned."""
ANSWERS = 8
SILENT = ASSISTANT + ANSWERS
FIRST, LAST = 0xF0000, 0x10FFFF
STAND_IN = chr(FIRST)


class Alphabet:
    """The stand-ins of one rendering."""

    def __init__(self) -> None:
        self.number: dict[tuple[str, int], str] = {}
        self.plain_of: dict[int, str] = {}
        self.origin_of: list[int] = []

    def stand_in(self, char: str, origin: int) -> str:
        """The stand-in of a character."""
        known = self.number.get((char, origin))
        if known is None:
            code = FIRST + len(self.origin_of)
            if code > LAST:
                raise ValueError("too many different characters in one conversation")
            known = self.number[char, origin] = chr(code)
            self.plain_of[code] = char
            self.origin_of.append(origin)
        return known

    def marked(self, text: str, origin: int) -> Marked:
        """`text` with an origin."""
        return Marked(text.translate({ord(char): self.stand_in(char, origin) for char in set(text)}), self)

    def wrap(self, value: Any) -> Any:
        """`value`, as a `Marked` string if it is one that lost its type."""
        if type(value) is str and value and max(value) >= STAND_IN:
            return Marked(value, self)
        return value

    def plain(self, text: str) -> str:
        """The text behind stand-ins."""
        return str.translate(text, self.plain_of)

    def origins(self, text: str) -> list[int]:
        """The origin of every character; `TEMPLATE` for all that is no stand-in."""
        known = len(self.origin_of)
        places = (ord(char) - FIRST for char in str.__iter__(text))
        return [self.origin_of[place] if 0 <= place < known else TEMPLATE for place in places]

    def copy_origin(self, text: str, source: Marked) -> Marked:
        """`text`, all of it with the origin of the first marked character of `source`."""
        return self.marked(text, next(filter(None, self.origins(source)), OTHER))


class Marked(str):
    """See the module. Positions are those of the plain text."""

    alphabet: Alphabet
    _plain: str | None

    def __new__(cls, stand_ins: str, alphabet: Alphabet) -> Marked:
        made = str.__new__(cls, stand_ins)
        made.alphabet, made._plain = alphabet, None
        return made

    @property
    def plain(self) -> str:
        if self._plain is None:
            self._plain = self.alphabet.plain(self)
        return self._plain

    def _made(self, stand_ins: str) -> Marked:
        return Marked(stand_ins, self.alphabet)

    def _cut(self, start: int, end: int) -> Marked:
        return self._made(str.__getitem__(self, slice(start, end)))

    # --- as a text ----------------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        return self

    def __eq__(self, other: object) -> bool:
        return bool(self.plain == plain(other))

    def __ne__(self, other: object) -> bool:
        return bool(self.plain != plain(other))

    def __lt__(self, other: str) -> bool:
        return bool(self.plain < plain(other))

    def __le__(self, other: str) -> bool:
        return bool(self.plain <= plain(other))

    def __gt__(self, other: str) -> bool:
        return bool(self.plain > plain(other))

    def __ge__(self, other: str) -> bool:
        return bool(self.plain >= plain(other))

    def __hash__(self) -> int:
        return hash(self.plain)

    def __contains__(self, other: object) -> bool:
        return bool(plain(other) in self.plain)

    def __iter__(self) -> Iterator[str]:
        return (self._made(char) for char in str.__iter__(self))

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        return self._made(str.__getitem__(self, key))

    def __add__(self, other: str) -> str:
        return self._made(str.__add__(self, other)) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: str) -> str:
        return self._made(str.__add__(other, self)) if isinstance(other, str) else NotImplemented

    def __mul__(self, times: SupportsIndex) -> str:
        return self._made(str.__mul__(self, times))

    __rmul__ = __mul__

    def __mod__(self, values: Any) -> str:
        return self.alphabet.copy_origin(self.plain % plain(values), self)

    def __rmod__(self, form: str) -> str:
        return self._made(str.__mod__(form, str.__str__(self)))

    # --- cutting ------------------------------------------------------------------------------------------------------

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        gap = 0 if sep is None else len(sep)
        out: list[str] = []
        at = 0
        for part in self.plain.split(plain(sep), maxsplit):
            at = at if gap else self.plain.index(part, at)
            out.append(self._cut(at, at + len(part)))
            at += len(part) + gap
        return out

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        gap = 0 if sep is None else len(sep)
        out: list[str] = []
        end = len(self)
        for part in reversed(self.plain.rsplit(plain(sep), maxsplit)):
            start = end - len(part) if gap else self.plain.rindex(part, 0, end)
            out.append(self._cut(start, start + len(part)))
            end = start - gap
        return out[::-1]

    def splitlines(self, keepends: bool = False) -> list[str]:
        out: list[str] = []
        at = 0
        for whole, line in zip(self.plain.splitlines(True), self.plain.splitlines(keepends), strict=True):
            out.append(self._cut(at, at + len(line)))
            at += len(whole)
        return out

    def partition(self, sep: str) -> tuple[str, str, str]:
        head, found, _ = self.plain.partition(plain(sep))
        return self._cut(0, len(head)), self._cut(len(head), len(head + found)), self._cut(len(head + found), len(self))

    def rpartition(self, sep: str) -> tuple[str, str, str]:
        head, found, _ = self.plain.rpartition(plain(sep))
        return self._cut(0, len(head)), self._cut(len(head), len(head + found)), self._cut(len(head + found), len(self))

    def lstrip(self, chars: str | None = None) -> str:
        return self._cut(len(self) - len(self.plain.lstrip(plain(chars))), len(self))

    def rstrip(self, chars: str | None = None) -> str:
        return self._cut(0, len(self.plain.rstrip(plain(chars))))

    def strip(self, chars: str | None = None) -> str:
        start = len(self) - len(self.plain.lstrip(plain(chars)))
        return self._cut(start, max(start, len(self.plain.rstrip(plain(chars)))))

    def removeprefix(self, prefix: str) -> str:
        return self._cut(len(plain(prefix)) if self.startswith(prefix) else 0, len(self))

    def removesuffix(self, suffix: str) -> str:
        return self._cut(0, len(self) - (len(plain(suffix)) if self.endswith(suffix) else 0))

    def replace(self, old: str, new: str, count: SupportsIndex = -1) -> str:
        """`new` keeps its own origin: what the template puts in is the template's."""
        before, limit = plain(old), int(count)
        if not before or limit == 0:
            return self._made(str.replace(self, "", new, limit)) if limit else self
        pieces: list[str] = []
        at = 0
        while limit != 0 and (found := self.plain.find(before, at)) >= 0:
            pieces += [str.__getitem__(self, slice(at, found)), new]
            at, limit = found + len(before), limit - 1
        return self._made("".join([*pieces, str.__getitem__(self, slice(at, None))]))

    def join(self, parts: Any) -> str:
        return self._made(str.join(self, parts))

    def expandtabs(self, tabsize: SupportsIndex = 8) -> str:
        return self.alphabet.copy_origin(self.plain.expandtabs(tabsize), self)

    def zfill(self, width: SupportsIndex) -> str:
        return self.alphabet.copy_origin(self.plain.zfill(width), self)

    def translate(self, table: Any) -> str:
        return self.alphabet.copy_origin(self.plain.translate(table), self)

    def center(self, width: SupportsIndex, fillchar: str = " ") -> str:
        return self._made(str.center(self, width, fillchar))

    def ljust(self, width: SupportsIndex, fillchar: str = " ") -> str:
        return self._made(str.ljust(self, width, fillchar))

    def rjust(self, width: SupportsIndex, fillchar: str = " ") -> str:
        return self._made(str.rjust(self, width, fillchar))

    # --- letters ------------------------------------------------------------------------------------------------------

    def _mapped(self, function: Callable[[str], str]) -> str:
        """A change of letters, each with its own origin where the length stays."""
        changed = function(self.plain)
        if len(changed) != len(self):
            return self.alphabet.copy_origin(changed, self)
        pairs = zip(changed, self.alphabet.origins(self), strict=True)
        return self._made("".join(self.alphabet.stand_in(char, origin) if origin else char for char, origin in pairs))

    def upper(self) -> str:
        return self._mapped(str.upper)

    def lower(self) -> str:
        return self._mapped(str.lower)

    def title(self) -> str:
        return self._mapped(str.title)

    def capitalize(self) -> str:
        return self._mapped(str.capitalize)

    def swapcase(self) -> str:
        return self._mapped(str.swapcase)

    def casefold(self) -> str:
        return self._mapped(str.casefold)


def plain(value: Any) -> Any:
    """`value` with the text of every `Marked` string in it (also in tuples, lists and dicts)."""
    if isinstance(value, Marked):
        return value.plain
    if isinstance(value, tuple | list):
        return type(value)(map(plain, value))
    if isinstance(value, dict):
        return {plain(key): plain(one) for key, one in value.items()}
    return value


def _answer(name: str) -> Callable[..., Any]:
    method = getattr(str, name)

    def answer(self: Marked, *values: Any) -> Any:
        return method(self.plain, *map(plain, values))

    answer.__name__ = name
    return answer


_QUESTIONS = ["find", "rfind", "index", "rindex", "count", "startswith", "endswith"]
_QUESTIONS += ["isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric"]
_QUESTIONS += ["isprintable", "isspace", "istitle", "isupper"]
for _name in _QUESTIONS:
    setattr(Marked, _name, _answer(_name))
