"""A house number after its street: `Hauptstraße 5`, `Via Roma 131`, `Jana Nerudy 894 Apt. 3`, `lives at Jahu 80`.

In: a scanned text and the place of a number. Out: the place of street and number, if the words before the number are a
street, shown by a word or an ending of its name, by what follows (a unit, a postcode), or by a phrase before it.
"""

from __future__ import annotations

import re

from glassmill.corpus.pii import street_words as words
from glassmill.corpus.pii.scan import Scan
from glassmill.corpus.pii.tails import end_of_address, has_unit

MAX_NAME_CHARACTERS = 64
_UP = words.UPPER
_LEADING_PHRASE = (
    r"\b(?:(?:live[sd]?|living|resid(?:e[sd]?|ing)|located|stay(?:s|ing)?|headquartered|house|home|offices?|restaurant"
    r"|shop|station|meet(?: (?:me|you|us))?|(?:drops?|pick)(?: (?:me|you|us))? (?:off|up)|arrived?)(?: is| are)?"
    r"(?: at| on| in)|(?:sen[dt]|return|deliver(?:ed)?|ship(?:ped)?|moved?|mail(?:ed)?)(?: it| them)? to"
    r"|(?:north|south|east|west)(?:ern)? side of"
    r"|address(?:es)?(?: of [^\n]{1,40}?)?(?: (?:is|are))?(?: (?:at|now))?:?)\s{1,6}(?:[0-9]{1,5} )?"
)
_PHRASE = re.compile(
    rf"(?i:{_LEADING_PHRASE})((?:[{_UP}][\w'’.-]{{1,24}} (?:and )?(?:(?:de|la|di|da|do|der|u) ){{0,2}}){{1,4}})$"
)
_PHRASE_IN_LOWER_CASE = re.compile(rf"{_LEADING_PHRASE}((?:\w[\w'’.-]{{1,24}} ){{1,3}})$")
_PHRASE_ENDS = frozenset(["at", "on", "in", "to", "of", "is", "are", "now", "address"])
PHRASE_END = re.compile(rf"{_LEADING_PHRASE}$", re.IGNORECASE)
_LETTERS = re.compile(r"[a-z]+")
_NUMBER_END = re.compile(r"(?:[-/][0-9]{1,4})?(?: ?[A-Da-d]\b)?\.?(?=\W|$)|")


def number_last(scan: Scan, start: int, end: int) -> tuple[int, int] | None:
    """`Hauptstraße 5`, `Via Roma 131`, `Jana Nerudy 894 Apt. 3`, `lives at Jahu 80`."""
    text = scan.text
    if start < 4 or text[start - 1] not in " \u00a0" or not (text[start - 2].isalpha() or text[start - 2] in ".,"):
        return None
    last = text[text.rfind(" ", max(0, start - MAX_NAME_CHARACTERS), start - 1) + 1 : start - 1]
    lower = scan.is_lower
    if not (last[:1].isupper() or lower or last in words.SUFFIX_KINDS or last.strip(".,") in words.SUFFIX_KINDS):
        return None
    stop = _end_of_number(text, end)
    if stop is None:
        return None
    unit = has_unit(text, stop)
    line = text[max(0, start - MAX_NAME_CHARACTERS) : start]
    line = line[line.rfind("\n") + 1 :]
    names = line.split()[-6:]
    if not names:
        return None
    begin = _name_with_kind(names, text[start:end])
    known = names[-1].strip(".,").lower() in words.NOT_STREETS or text[start:end].strip("0") == ""
    capital = names[-1][0].isupper() and not known
    if begin is None and unit and not known:
        begin = _capitalised(names) if capital else _all_lower(names)
    if begin is None and capital and _leads_to_postcode(names, text, stop):
        begin = _capitalised(names)
    if (
        begin is None
        and (capital or (lower and not known))
        and (lower or _may_be_phrase(names, text[max(0, start - len(line) - 3) : start - len(line)]))
    ):
        phrase = _PHRASE_IN_LOWER_CASE if lower else _PHRASE
        match = phrase.search(text, max(0, start - 100), start) if has_phrase_word(text, start - 100, start) else None
        if match and match[1].split()[0].strip(".,").lower() not in words.NOT_STREETS:
            return match.start(1), stop
    return None if begin is None else (start - len(_from(line, names[begin:])), stop)


def _may_be_phrase(names: list[str], before: str) -> bool:
    """Whether the text before the last capitalised words, in the line or at the end of the previous one, can end a
    phrase such as `lives at` or `Address:`. Rules out most numbers before an expression is tried."""
    for name in reversed(names[:-1]):
        if not name[0].isupper() and name not in words.CONNECTORS and name != "and":
            return name.lower() in _PHRASE_ENDS or name[-1] == ":" or name.isdigit()
        if name in _PHRASE_ENDS or name[-1] == ":":
            return True
    return before.rstrip().endswith(":")


def has_phrase_word(text: str, begin: int, end: int) -> bool:
    """Whether a word of a leading phrase stands there: faster than to search for the phrase."""
    return not words.PHRASE_WORDS.isdisjoint(_LETTERS.findall(text[max(0, begin) : end].lower()))


def _leads_to_postcode(names: list[str], text: str, stop: int) -> bool:
    """`5850 Jana Nerudy 894`, then a city with its postcode or country."""
    begin = _capitalised(names)
    return (
        begin > 0
        and not any(name.endswith(",") for name in names[begin:])
        and names[begin - 1].isdigit()
        and sum(map(str.isdigit, text[stop : end_of_address(text, stop)])) >= 4  # a column of numbers has fewer
    )


def _end_of_number(text: str, end: int) -> int | None:
    """Behind a house number and its letter; None where it goes on as another kind of number would."""
    match = _NUMBER_END.match(text, end)
    assert match
    rest = text[match.end() : match.end() + 2]
    if rest and (rest[0].isalnum() or rest[0] in "%°€$:" or (rest[0] in ".,-/" and rest[1:].isdigit())):
        return None
    return match.end()


def _name_with_kind(names: list[str], number: str) -> int | None:
    """Where in `names` the street begins that ends them, if a word of it says that it is one."""
    last = names[-1].strip(",").lower()
    like_year = len(number) == 4 and "1700" <= number <= "2099"
    if (last.endswith(words.COMPOUND_ENDS) and len(last) > 6 and names[-1][0].isupper()
            and last not in words.NOT_COMPOUND and not like_year):  # fmt: skip
        return _capitalised(names)
    if (last in words.SUFFIX_KINDS or last.strip(".") in words.SUFFIX_KINDS) and not like_year:
        begin = len(names) - 2
        if last.startswith("út") and begin > 0 and not names[begin][0].isupper():
            begin -= 1  # `Árpád fejedelem útja`
        if begin < 0 or not names[begin][0].isupper():
            return None
        while begin > 0 and names[begin - 1][0].isupper() and len(names) - begin < 4:
            begin -= 1
        return begin
    for begin in range(len(names) - 2, -1, -1):
        word = names[begin]
        bare = word.strip(".,").lower()
        if word[-1] == "." and len(bare) > 4:  # no abbreviation: `lives in Oak Avenue. In 1983 a`
            return None
        if (
            bare in words.PREFIX_KINDS
            and not (word.isupper() and len(word) == 2)
            and (word[0].isupper() or bare in words.LOWER_PREFIX_KINDS)
        ):
            return begin
        if word[-1] in ";:" or not (word[0].isupper() or bare in words.CONNECTORS or word[0].isdigit()):
            return None
    return None


def _capitalised(names: list[str]) -> int:
    """Where the last capitalised words begin; an initial (`H. C. Andersens Gade`) is one of them."""
    begin = len(names) - 1
    while begin > 0 and len(names) - begin < 4:
        word = names[begin - 1]
        if not word[0].isupper() or word[-1] in ",:;" or (word[-1] == "." and len(word) > 2):
            break
        begin -= 1
    return begin if begin == len(names) - 1 or names[begin].lower() not in words.NOT_STREETS else begin + 1


def _all_lower(names: list[str]) -> int | None:
    """In a text without capitals: the word before the number."""
    return len(names) - 1 if names[-1].isalpha() else None


def _from(line: str, names: list[str]) -> str:
    """The end of `line` that begins with the first of `names`."""
    place = len(line)
    for name in reversed(names):
        place = line.rfind(name, 0, place)
    return line[place:]
