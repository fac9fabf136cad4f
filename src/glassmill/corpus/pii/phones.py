"""Telephone numbers: written internationally, as the US write them, with a trunk zero, or introduced by a word.

A form that only telephone numbers have is enough by itself (ITU-T E.123, the North American plan, `01 23 45 67 89`);
any other group of 7 to 15 digits counts where a word before or after it says what it is. The library `phonenumbers`
cannot be used: it needs to know the country, which a page does not state.
"""

from __future__ import annotations

import re

from glassmill.corpus.pii.scan import Places, Scan

BEHIND_CHARACTERS = 16

_GAP = r"[ \t\u00a0\u2009\u202f()./\u2010\u2011\u2013-]"
_EXTENSION = r"(?:\s?(?:x|ext\.?|extension|poste|durchwahl)\s?[0-9]{1,6})?"
_LEFT = r"(?<![\w$€£#/=+%-])(?<![0-9][.,])"
_RIGHT = r"(?![\w%]|[.,/:-][0-9])"
_GROUPS = rf"(?:{_GAP}{{0,3}}[0-9]{{1,5}}){{1,7}}+"

_INTERNATIONAL = re.compile(rf"(?<![\w=+])\+{_GAP}?[1-9][0-9]{{0,4}}{_GROUPS}{_EXTENSION}(?!\w)", re.IGNORECASE)
_TELLING = re.compile(
    rf"{_LEFT}(?:"
    # North America: 415-555-2671, (415) 555-2671, 1 415 555 2671, 001-415-555-2671
    r"(?:\+?1[\s.-]|001[ -])?(?:\([2-9][0-9]{2}\)[ -]?[0-9]{3}[ .-]|[2-9][0-9]{2}(?:([.-])[0-9]{3}\1|[ "
    r"-][2-9][0-9]{2}[ -]))[0-9]{4}"
    # 00 and a country's code
    r"|00[1-9][0-9]{0,2}[ .-](?:\(0\))?[ .-]?[0-9]{1,5}(?:[ .-][0-9]{2,5}){1,4}"
    # France, Belgium, ...: five pairs; elsewhere: an area code with a trunk zero, then two to four groups
    r"|0[1-9](?:[ .-]?[0-9]{2}){4}(?<=[ .-][0-9]{2})"
    r"|\(0[1-9][0-9]{0,4}\)[ -]?[0-9]{3,8}(?:[ -][0-9]{2,4}){0,2}"
    r"|0[1-9][0-9]{1,4}[ ]?[/-][ ]?[0-9]{5,8}"
    r"|0[1-9][0-9]{0,4}(?:[ -][0-9]{2,4}){2,4}"
    r"|0[1-9][0-9]{2,4}[ ][0-9]{6,7}"
    rf"){_EXTENSION}{_RIGHT}",
    re.IGNORECASE,
)
_ANY = re.compile(rf"{_LEFT}\(?[0-9]{{1,12}}(?:{_GAP}{{1,3}}[0-9]{{1,8}}){{0,6}}+{_EXTENSION}", re.IGNORECASE)

# A context word inside a placeholder is none: `(?<!\[)`. A label may stand a line above its number, a verb not.
_BEFORE = re.compile(
    r"(?<!\[)\b(?:(?:phones?|telephone|tel|tél|telefon|teléfono|telefono|telefone|téléphone|puhelin|tlf|tlfn"
    r"|cell|mobile|mobil|móvil|mob|handy"
    r"|fax|whatsapp|sms|hotline|helpline|toll[ -]?free|desk)\b(?!\])[^\d\n]{0,30}(?:\n{1,2}[ \t]{0,4})?"
    r"|(?:call(?:ed|ing)?|dial|ring|text|reach(?:ed)?|answering|messages? (?:to|at|from"
    r"|on))\b(?!\])[^\d\n\"<>{}=_(]{0,25}\(?)$",
    re.IGNORECASE,
)
_BEHIND = re.compile(
    r"[ \t]?[-–(]{0,1}[ \t]?(?:office|fax|mobile|cell|home|work|desk|phone|tel|direct)\b(?! ?(?:number|no\b|is))",
    re.IGNORECASE,
)
_DATE_LIKE = re.compile(r"(?:1[5-9]|20)\d\d[.\s/-]|\d{1,2}[.\s/-]\d{1,2}[.\s/-](?:1[5-9]|20)?\d\d(?!\d|[ .-]\d)")
_YEARS = re.compile(r"(?:1[5-9]|20)\d\d ?[-–/] ?(?:1[5-9]|20)\d\d")
_TAIL = re.compile(r"\s?(?:x|ext\.?|extension|poste|durchwahl)\s?\d{1,6}$", re.IGNORECASE)


def find_phones(scan: Scan) -> Places:
    """Numbers with an unmistakable form first, then those that a word introduces."""
    for start, end, _ in scan.stretches:
        for pattern, accept in ((_INTERNATIONAL, _is_international), (_TELLING, _is_telling), (_ANY, _is_introduced)):
            for match in pattern.finditer(scan.text, max(0, start - 2), end + BEHIND_CHARACTERS):
                if match.start() < end and accept(scan, match):  # behind `end` begins the next stretch
                    yield _span(match)


def _is_international(scan: Scan, match: re.Match[str]) -> bool:
    return 8 <= _digits(match[0]) <= 15


def _is_telling(scan: Scan, match: re.Match[str]) -> bool:
    most = 11 if match[0].startswith(("01", "02", "03", "04", "05", "06", "07", "08", "09", "(0")) else 15
    return 9 <= _digits(match[0]) <= most and not _DATE_LIKE.match(match[0])


def _digits(number: str) -> int:
    return sum(character.isdigit() for character in _TAIL.sub("", number))


def _span(match: re.Match[str]) -> tuple[int, int]:
    return match.start(), match.start() + len(match[0].rstrip(" \t\u00a0().-–/\n"))


def _is_introduced(scan: Scan, match: re.Match[str]) -> bool:
    """Whether a word next to the number says that it is a telephone number."""
    number, (start, end) = match[0], _span(match)
    if not 7 <= _digits(number) <= 15 or _DATE_LIKE.match(number) or _YEARS.match(number):
        return False
    if scan.text[end : end + 1].isalnum() or scan.text[end : end + 1] == "%":
        return False
    return bool(_BEFORE.search(scan.before(start)) or _BEHIND.match(scan.text, end))
