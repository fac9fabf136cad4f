"""Postal addresses in running text and in blocks: US ones, and those of several European countries.

In: a scanned text. Out: places (start, end). Four patterns: a house number before a street (`12 Main Street`,
`26 rue des Lilas`), a house number after one (`Hauptstraße 5`, `Via Roma 131`), a number that a unit or a phrase
(`lives at`) shows to be a house number, and boxes (`P.O. Box 9`, `PSC 3, Box 1`). `tails.py` follows an address to
its city, postcode and country.
"""

from __future__ import annotations

import re

from glassmill.corpus.pii import street_words as words
from glassmill.corpus.pii.house_numbers import house_numbers
from glassmill.corpus.pii.number_last import MAX_NAME_CHARACTERS, PHRASE_END, has_phrase_word, number_last
from glassmill.corpus.pii.scan import Places, Scan
from glassmill.corpus.pii.tails import end_of_address, has_unit

_UP = words.UPPER
_GAP = r"[ \u00a0]"  # not a line end: the number would belong to something else
_NUMBER = r"[0-9]{1,6}(?:[-/][0-9]{1,4})?(?:[A-Da-d]|bis|ter)?"
_NAME_WORD = rf"(?:(?!(?:{words.NO_NAMES})\b)[{_UP}][\w'’-]{{0,24}}\.?|[0-9]{{1,3}}(?:st|nd|rd|th)|of|the|de|la)"
_US_STREET = re.compile(
    rf"{_NUMBER},?{_GAP}{{1,2}}(?:{words.DIRECTION}{_GAP})?"
    rf"(?:{_NAME_WORD}{_GAP}){{1,4}}?(?:(?:(?:{words.LOOSE_KINDS}){_GAP})?(?:{words.KINDS})"
    rf"|({words.LOOSE_KINDS}))\b(?![/-])\.?(?:{_GAP}{words.DIRECTION}(?!\w))?"
)
_UNIT_STREET = re.compile(rf"{_NUMBER},?{_GAP}(?:{_NAME_WORD}{_GAP}?){{1,4}}?(?={words.BEFORE_UNIT})")
_LOWER_STREET = re.compile(
    rf"{_NUMBER}{_GAP}(?:[a-z]+{_GAP}){{1,3}}(?:street|avenue|road|lane|drive|boulevard|ave|rd|st"
    rf"|blvd)\b\.?",
    re.ASCII,
)
_FRENCH_STREET = re.compile(
    rf"{_NUMBER},?{_GAP}(?:(?:bis|ter),?{_GAP})?(?i:{words.FRENCH_KINDS}"
    rf"|(?:{words.LOOSE_FRENCH_KINDS})(?=\.?{_GAP}(?:de|du|des|la|d['’])))"
    rf"\.?{_GAP}(?:(?:de|du|des|la|le|les){_GAP}|[ld]['’]){{0,3}}"
    rf"\w[\w'’-]{{1,24}}(?:{_GAP}(?!{words.UNIT})(?:(?:de|du|des|la|le|les|et){_GAP}"
    rf"|[ld]['’]){{0,2}}[{_UP}][\w'’-]{{0,24}}){{0,4}}"
    rf"(?:{_GAP}[0-9]{{1,4}}(?![\w%€$]|[.,][0-9]))?",
)
_SWEDISH = re.compile(
    r"\S+ (?:av|bd) (?!(?:de|du|des|la|le|les) |[dl]['’])[a-zà-ž]"
)  # `version 2 av licensen`: there, `av` means `of`
_NAME_BEFORE = re.compile(rf"(?<!\S)(?:[{_UP}][\w'’-]{{1,24}} ){{1,3}}$")
_LEADING_NUMBER = re.compile(r"(?<![\w.,$€£#/-])[0-9]{1,5} {1,2}$")
_LEADING_UNIT = re.compile(rf"\b{words.UNIT_KINDS}\.?\s[0-9]{{1,5}},?\s$")
_BOX = re.compile(r"\bP\.?\s?O\.?\s?Box\s[0-9]{1,6}$", re.IGNORECASE)
_MILITARY = re.compile(
    r"(?:(?:\b(?:PSC|CMR|Unit)\s[0-9]{1,5},?\sBox\s[0-9]{1,5}|\bUS(?:S|NS|NV"
    r"|CGC)\s[\w'-]{2,20}(?:\s[\w'-]{2,20})?)[\s,]{1,3})?"
    r"\b[AFD]PO,?\s(?:AA|AE|AP)\s[0-9]{5}(?:-[0-9]{4})?",
    re.IGNORECASE,
)
_CORNER = re.compile(
    rf"\b(?:the )?corner of (?=[{_UP}0-9]|ul\.)(?:[\w'’.-]{{1,25}} ){{1,6}}?(?:and|&)(?: [a-z]{{2,4}}\.?)?(?: "
    rf"[{_UP}0-9][\w'’-]{{0,24}}){{1,3}}"
)
_NAMED = re.compile(
    rf"{_NUMBER}(?:{_GAP}(?!(?:{words.NO_NAMES})\b)[{_UP}][\w'’-]{{2,24}}+){{1,3}}+(?!(?:{_GAP}[\w'’.-]{{1,25}}){{0,3}}{_GAP}[0-9])"
)
_BEFORE_BOX_NUMBER = "xXcCrRtTaAeEpP"
_ORDINAL = re.compile(r"[ ,]?[0-9]{1,3}(?:st|nd|rd|th)")
_FRENCH_LETTERS = "rabciqpstRABCIQPST"
KNOWN_BEFORE, KNOWN_BEHIND = 128, 1400
"""How far `_around` looks: ten items of an address, each up to 130 characters."""
MOST_KNOWN = 500
Found = tuple[int, int, int]
_LEADS_TO_PLACE = re.compile(r"(?:\b(?:at|to|in|on|from|near|address|is)|[,:>])\s{1,3}(?:[0-9]{1,5} )?$")
_YEAR_BEFORE = re.compile(
    r"\b(?:in|since|of|by|until|till|from|during|around|before|after|about|circa|the|an?|our|your|my|his|her"
    r"|their|this|summer|winter"
    r"|spring|autumn|[A-Z][a-z]{2,8})\s$"
)


def find_addresses(scan: Scan) -> Places:
    """The addresses in the text: street corners, then those around its numbers.

    Where numbers are dense, those without a sign of an address around them are passed over, and equal surroundings are
    judged once: both only save time.
    """
    text = scan.text
    if "corner of" in text:
        for match in _CORNER.finditer(text):
            yield match.span()
    numbers, dense = house_numbers(scan)
    known: dict[str, Found | None] = {}
    done = 0
    for start, end, behind_blank, before_name in numbers:
        if start < done:
            continue
        surroundings = text[max(0, start - KNOWN_BEFORE) : end + KNOWN_BEHIND] if dense else ""
        if not dense or surroundings not in known:
            if len(known) >= MOST_KNOWN:
                known.clear()
            known[surroundings] = _around(scan, start, end, behind_blank, before_name)
        found = known[surroundings]
        if found:
            done = start + found[2]
            yield start + found[0], start + found[1]


def _around(scan: Scan, start: int, end: int, behind_blank: bool, before_name: bool) -> Found | None:
    """The address around the number at `start`: start and end, and where the next can begin, counted from there."""
    text = scan.text
    core = _core(scan, start, end, behind_blank, before_name)
    if core is None:
        return None
    done = end_of_address(text, core[1])
    stop = core[0] + len(text[core[0] : done].rstrip(" ,.\n"))
    return _with_leading_number(text, core[0]) - start, stop - start, done - start


def _core(scan: Scan, start: int, end: int, behind_blank: bool, before_name: bool) -> tuple[int, int] | None:
    core = _box(scan.text, start, end) if behind_blank else None
    if core is None and before_name:
        core = _number_first(scan, start, end)
    if core is None and behind_blank:
        core = number_last(scan, start, end)
    return core


def _box(text: str, start: int, end: int) -> tuple[int, int] | None:
    """`P.O. Box 9`; of the American forces `PSC 3, Box 1`, `APO AE 09012`, one line or two."""
    if text[start - 2 : start - 1] not in _BEFORE_BOX_NUMBER:
        return None
    word = text[max(0, start - 4) : start - 1].lower()
    if word == "box" and (match := _BOX.search(text, max(0, start - 14), end)):
        return match.span()
    if word in ("psc", "cmr", "nit") and (match := _MILITARY.match(text, start - len(word) - 1 - (word == "nit"))):
        return match.span()
    if (
        end - start == 5
        and word[1:] in ("aa", "ae", "ap")
        and (match := _MILITARY.search(text, max(0, start - 60), end))
    ):
        return match.span()
    return None


def _with_leading_number(text: str, start: int) -> int:
    """`75001 Rue de Rivoli 4`, `Suite 5 12 Main Street`: a postcode or a unit may stand before the street."""
    match = _LEADING_NUMBER.search(text, max(0, start - 8), start)
    start = match.start() if match else start
    match = _LEADING_UNIT.search(text, max(0, start - 20), start)
    return match.start() if match else start


def _number_first(scan: Scan, start: int, end: int) -> tuple[int, int] | None:
    """`12 Main Street`, `26 rue des Lilas`; of any name, or in lower case, only where a unit or a phrase says so."""
    text, after = scan.text, scan.text[end : end + 3]
    if len(after) < 3:
        return None
    letter = after[1] if after[0] in " \u00a0" else after[2]
    if letter.islower() and letter not in _FRENCH_LETTERS and not scan.is_lower:
        return None
    if letter.isdigit() and not _ORDINAL.match(text, end + 1):
        return None  # a column of numbers
    if letter.isupper() or not letter.isalpha():
        match = _US_STREET.match(text, start)
        if match and not (match[1] and not _is_street(text, match)) and not _is_year(text, start, end):
            return match.span()
    match = _FRENCH_STREET.match(text, start) if letter in _FRENCH_LETTERS else None
    if match and not _SWEDISH.match(match[0]) and not _is_year(text, start, end):
        return match.span()
    if letter.isupper() or letter.isdigit():
        if scan.has_units and (match := _UNIT_STREET.match(text, start)):
            name = _NAME_BEFORE.search(text, max(0, start - MAX_NAME_CHARACTERS), start)  # `Fuglie 41 Popović Dam`
            return (name or match).start(), match.start() + len(match[0].rstrip())
        match = _NAMED.match(text, start)
        led_to = match and has_phrase_word(text, start - 70, start)
        if match and led_to and PHRASE_END.search(text, max(0, start - 70), start):
            return match.span()
    if scan.is_lower and (match := _LOWER_STREET.match(text, start)) and has_unit(text, match.end()):
        return match.span()
    return None


def _is_street(text: str, match: re.Match[str]) -> bool:
    """Whether `7 Old Mill Way` is a place, not a heading: a phrase leads to it, or a city follows."""
    return bool(_LEADS_TO_PLACE.search(text, max(0, match.start() - 12), match.start())) or (
        end_of_address(text, match.end()) > match.end()
    )


def _is_year(text: str, start: int, end: int) -> bool:
    """`In 1842 High Street was paved` names a year, not a house."""
    number = text[start:end]
    if not (len(number) == 4 and "1500" <= number <= "2099"):
        return False
    return bool(_YEAR_BEFORE.search(text[max(0, start - 16) : start]))
