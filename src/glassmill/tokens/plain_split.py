"""Cutting text by any regex: slow, general, and with the letters of the frozen Unicode table.

Text and pattern in, pieces out. A regex engine brings its own Unicode version, and with every upgrade some code points
change their class, and some texts their ids. So `\\p{L}`, `\\p{N}`, `\\s` and their like are replaced by the ranges of
the table that the native core is built on (`native/unicode_table.inc`, made by scripts/unicode_classes.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

import regex

from glassmill import native
from glassmill.errors import UserError

# The classes of the table, in the order of its numbers; `other` is 0.
SPACE, NUMBER, UPPER, LOWER, CASELESS, MARK = range(1, 7)
NO_SPACE = r"\S"
_ATOMS = {
    r"\s": (SPACE,),
    NO_SPACE: (SPACE,),
    r"\p{L}": (UPPER, LOWER, CASELESS),
    r"\p{N}": (NUMBER,),
    r"\p{M}": (MARK,),
    r"\p{Ll}": (LOWER,),
    r"\p{Lu}\p{Lt}": (UPPER,),
    r"\p{Lm}\p{Lo}": (CASELESS,),
}
_TOKEN = re.compile("|".join([*map(re.escape, sorted(_ATOMS, key=len, reverse=True)), r"\\.", r"\[\^?", r"\]"]), re.S)
POINTS = 0x110000


def plain_pieces(text: str, pattern: str) -> Iterator[tuple[str, str, int]]:
    """Each piece, the alternative that matched it, and the number of that; what none matches is a piece, number -1.

    Raises:
        UserError: the pattern is no regex.
    """
    engine, parts = _engine(pattern)
    at = 0
    for match in engine.finditer(text):
        if match.start() > at:
            yield text[at : match.start()], "", -1
        if match.end() > match.start():
            place = int(str(match.lastgroup).removeprefix("branch"))
            yield match[0], parts[place], place
        at = match.end()
    if at < len(text):
        yield text[at:], "", -1


def portable(pattern: str) -> str:
    """`pattern` with the same meaning in Oniguruma, the engine of Hugging Face's tokenizers.

    There `{1,3}+` is no possessive repetition but a repetition of the repetition, and `$` ends every line.
    """
    return pattern.replace("{1,3}+", "{1,3}").replace(r"\s++$", r"\s++\z")


def alternatives(pattern: str) -> list[str]:
    """The branches of a pattern: what stands between the bars of its highest level.

    >>> alternatives(r"a|(b|c)[|]|d")
    ['a', '(b|c)[|]', 'd']
    """
    parts, depth, in_set = [""], 0, False
    for atom in re.findall(r"\\.|.", pattern, re.S):
        if atom == "|" and depth == 0 and not in_set:
            parts.append("")
            continue
        in_set = (in_set or atom == "[") and atom != "]"
        depth += 0 if in_set else (atom == "(") - (atom == ")")
        parts[-1] += atom
    return parts


def frozen(pattern: str) -> str:
    """`pattern` with the frozen classes written out."""
    in_set = False

    def write_out(found: re.Match[str]) -> str:
        nonlocal in_set
        atom = found[0]
        if atom in _ATOMS and not (in_set and atom == NO_SPACE):  # inside a set the engine's own has to do
            ranges = _ranges(_ATOMS[atom])
            return ranges if in_set else f"[{'^' if atom == NO_SPACE else ''}{ranges}]"
        in_set = (in_set or atom.startswith("[")) and atom != "]"
        return atom

    return _TOKEN.sub(write_out, pattern)


def unicode_version() -> str:
    """The version of Unicode whose classes every splitter here uses."""
    found = re.search(r'kUnicodeVersion = "([0-9.]+)"', _table())
    assert found
    return found[1]


@lru_cache(maxsize=8)
def _engine(pattern: str) -> tuple[regex.Pattern[str], list[str]]:
    parts = alternatives(pattern)
    named = (f"(?P<branch{place}>{part})" for place, part in enumerate(parts))
    spelled = "|".join(named).replace(r"\s++$", r"\s++\Z").replace(r"\s++\z", r"\s++\Z")
    try:
        return regex.compile(frozen(spelled)), parts
    except regex.error as error:
        raise UserError(f"the split pattern is no regular expression ({error}): {pattern[:80]}") from None


@cache
def _ranges(kinds: tuple[int, ...]) -> str:
    """The code points of some classes, as the inside of a set."""
    runs = _runs()
    ends = [*(first for first, _ in runs[1:]), POINTS]
    return "".join(
        f"\\U{first:08X}-\\U{end - 1:08X}" for (first, kind), end in zip(runs, ends, strict=True) if kind in kinds
    )


@cache
def _table() -> str:
    return (Path(str(native.__file__)).parent / "base" / "unicode_table.inc").read_text(encoding="ascii")


@cache
def _runs() -> list[tuple[int, int]]:
    """First code point and class of every run of the table."""
    words = [int(word, 16) for word in re.findall(r"0x[0-9a-f]{6}", _table())]
    return [(word >> 3, word & 7) for word in words]
