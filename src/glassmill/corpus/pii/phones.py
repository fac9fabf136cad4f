"""Telephone numbers: written internationally, as the US write them, with a trunk zero, or introduced by a word.

A form that only telephone numbers have is enough by itself (ITU-T E.123, the North American plan, `01 23 45 67 89`);
any other group of 7 to 15 digits counts where a word before or after it says what it is. `not_phones.py` knows what
else looks like one. The library `phonenumbers` cannot be used: it needs to know the country, which a page does not
state.
"""

from __future__ import annotations

import re

from glassmill.corpus.pii import not_phones
from glassmill.corpus.pii.scan import Places, Scan

BEHIND_CHARACTERS = 16

_GAP = r"[ \t\u00a0\u2009\u202f()./\u2010\u2011\u2013-]"
_EXTENSION = r"(?:\s?(?:x|ext\.?|extension|poste|durchwahl)\s?[0-9]{1,6})?"
_LEFT = r"(?<![\w$€£#/=+%-])(?<![0-9][.,])"
_RIGHT = r"(?![\w%]|[.,/:-][0-9]|-[A-Z0-9]+\b)"
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
_NOUN = re.compile(
    r"(?:[☎☏✆📞📱📠]|(?<!\[)\b(?:phones?|telephone|tel|tél|telefon|teléfono|telefono|telefone|téléphone|puhelin|tlf|tlfn"
    r"|cell|mobile|mobil|móvil|mob|handy|ruf(?:nummer)?|durchwahl"
    r"|fax|whatsapp|sms|hotline|helpline|toll[ -]?free|desk)\b(?!\]))"
    r"(?![^\n]{0,30}\b(?:has|have|had|with|costs?|sold|sells?|weighs?|holds?|under|over|about|of|than|by"
    r"|users?|subscribers?|customers?|sales|traffic|market|apps?|devices|games|reached|revenue|internet)\b)"
    r"[^\d\n]{0,30}\Z",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"(?<!\[)\b(?:call(?:ed|ing)?|dial|ring|text|reach(?:ed)?|answering|messages? (?:to|at|from|on))\b(?!\])"
    r"(?!\()[^\d\n\"<>{}=_(]{0,25}\(?\Z",
    re.IGNORECASE,
)
_LOOSE_VERB = re.compile(
    r"\b(?:text|reach(?:ed)?|ring|answering)\b(?![^\n]*(?:\b(?:at|on|to|under|via|number|no|me|us|her|him|them)\b|:))[^\n]*\Z",
    re.IGNORECASE,
)
"""With nothing between that leads to a number: `it reached 1234567`."""
_BEHIND = re.compile(
    r"[ \t]?[-–(]{0,1}[ \t]?(?:office|fax|mobile|cell|home|work|desk|phone|tel|direct)\b(?! ?(?:number|no\b|is))",
    re.IGNORECASE,
)
_EXTENDED = re.compile(r"[^\W\d_]")
_TRUNK = ("01", "02", "03", "04", "05", "06", "07", "08", "09", "(0")


def find_phones(scan: Scan) -> Places:
    """Numbers with an unmistakable form first, then those that a word introduces."""
    forms = [(_INTERNATIONAL, _is_international)] if "+" in scan.text else []
    forms += [(_TELLING, _is_telling), (_ANY, _is_introduced)]
    for start, end, _ in scan.stretches:
        for pattern, accept in forms:
            for match in pattern.finditer(scan.text, max(0, start - 2), end + BEHIND_CHARACTERS):
                if match.start() < end and accept(scan, match):  # behind `end` begins the next stretch
                    yield _span(match)


def _is_international(scan: Scan, match: re.Match[str]) -> bool:
    start, end = _span(match)
    number = scan.text[start:end]
    return 8 <= _digits(number) <= 15 and not not_phones.is_signed_number(number) and not _is_other(scan, start, end)


def _is_telling(scan: Scan, match: re.Match[str]) -> bool:
    start, end = _span(match)
    number = scan.text[start:end]
    most = 11 if number.startswith(_TRUNK) else 15
    return 9 <= _digits(number) <= most and not not_phones.is_row(scan, start, end) and not _is_other(scan, start, end)


def _is_introduced(scan: Scan, match: re.Match[str]) -> bool:
    """Whether a word next to the number says that it is a telephone number."""
    start, end = _span(match)
    number = scan.text[start:end]
    if not 7 <= _digits(number) <= 15 or not_phones.is_decimal(number) or scan.text[end : end + 1].isalnum():
        return False
    introduced = bool(_BEHIND.match(scan.text, end)) or _is_led_to(scan, start)
    if introduced and number.isdigit() and len(number) < 10 and _LOOSE_VERB.search(scan.words_before(start)):
        return False
    return introduced and not not_phones.is_counted(scan.text, end) and not _is_other(scan, start, end)


def _is_led_to(scan: Scan, start: int) -> bool:
    before = scan.words_before(start)
    if _NOUN.search(before) or _VERB.search(before):
        return True
    if before.strip():
        return False
    above = scan.text[max(0, start - 6) : start].rstrip(" \t")
    ends = len(above) - len(above.rstrip("\n"))
    place = start - len(before) - ends
    return 1 <= ends <= 2 and bool(_NOUN.search(scan.words_before(place)))


def _is_other(scan: Scan, start: int, end: int) -> bool:
    """Whether the number is a date, a quantity, an identifier, or a value of a formula."""
    return (
        not_phones.is_date(scan.text[start:end])
        or not_phones.is_quantity(scan.text, end)
        or not_phones.is_named_otherwise(scan, start)
    )


def _digits(number: str) -> int:
    extension = _EXTENDED.search(number)
    return sum(map(str.isdigit, number[: extension.start()] if extension else number))


def _span(match: re.Match[str]) -> tuple[int, int]:
    return match.start(), match.start() + len(match[0].rstrip(" \t\u00a0().-–/\n"))
