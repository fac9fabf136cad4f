"""Numbers that can be checked: US social security numbers, payment cards, bank accounts.

Sources: SSA's area rules (no 000, 666, 9xx); ISO/IEC 7812 (issuers, Luhn); ISO 13616 (IBAN: length by country,
remainder 1 modulo 97).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from glassmill.corpus.pii.scan import Places, Scan

BEHIND_CHARACTERS = 3  # what the expressions look at behind a number

_SSN = re.compile(r"(?<![\w.-])([0-9]{3})([- ]?)([0-9]{2})\2([0-9]{4})(?![\w-]|\.\d)")
# A context word inside a placeholder is none: `(?<!\[)`.
_SSN_CONTEXT = re.compile(r"(?<!\[)\b(?:ssn|social[ -]security)\b(?!\])[^\d\n]{0,30}$", re.IGNORECASE)
_CARD = re.compile(r"(?<![\w.=/-])[0-9](?:[ -]?[0-9]){11,18}+(?![\w-]|\.\d)")
_CARD_CONTEXT = re.compile(
    r"(?<!\[)\b(?:cards?|cc|visa|master ?card|maestro|debit|amex|credit)\b(?!\])[^\d]{0,30}$", re.IGNORECASE
)
_IBAN = re.compile(r"[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]{4}){2,7}+(?:[ -]?[A-Za-z0-9]{1,3})?+")
_NO_SEPARATOR = re.compile(r"[ -]")

_FOUR_FOURS = re.compile(r"[0-9]{4}(?:[ -][0-9]{4}){3}(?=[ -][0-9]{2,3})")
_CARD_GROUPS = frozenset(
    {(4, 6, 5), (4, 6, 4), *((4,) * full + (last,) for full in (2, 3, 4) for last in (1, 2, 3, 4))}
)
"""As cards print their numbers; of a row of other numbers, one in ten has a valid checksum."""

_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 "
    "ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
    "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 "
    "QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20"
)
IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _LENGTHS.split()}


def find_ssns(scan: Scan) -> Places:
    """Nine digits as 3-2-4, in an existing area; without hyphens only where the text says what they are."""
    for match in _within(scan, _SSN, 9):
        area, separator, group, serial = match.groups()
        if area in ("000", "666") or area >= "900" or group == "00" or serial == "0000":
            continue
        if separator == "-" or _SSN_CONTEXT.search(scan.words_before(match.start())):
            yield match.span()


def find_cards(scan: Scan) -> Places:
    """12 to 19 digits of a known issuer and length with a valid checksum; the shortest lengths only after "
    "`card`."""
    for match in _within(scan, _CARD, 12):
        fours = _FOUR_FOURS.match(match[0])  # a date or a code may follow
        for number in dict.fromkeys((match[0], fours[0] if fours else match[0])):
            if not number.isdigit() and tuple(map(len, _NO_SEPARATOR.split(number))) not in _CARD_GROUPS:
                continue
            digits = _NO_SEPARATOR.sub("", number)
            rare = len(digits) < 14
            if _issued(digits) and len(set(digits)) > 1 and luhn(digits):
                if rare and not _CARD_CONTEXT.search(scan.words_before(match.start(), over_lines=True)):
                    continue
                yield match.start(), match.start() + len(number)
                break


def _issued(digits: str) -> bool:
    """Whether an issuer assigns numbers with this prefix and length."""
    length, two, four = len(digits), digits[:2], digits[:4]
    return (
        (two[0] == "4" and length in (13, 16, 19))  # Visa
        or (("51" <= two <= "55" or "2221" <= four <= "2720") and length == 16)  # Mastercard
        or (two in ("34", "37") and length == 15)  # American Express
        or (two in ("30", "36", "38", "39") and 14 <= length <= 19)  # Diners Club
        or (two == "35" and 16 <= length <= 19)  # JCB
        or (four in ("2131", "1800") and length == 15)  # JCB, old
        or (two in ("60", "64", "65", "62", "81") and 16 <= length <= 19)  # Discover, UnionPay
        or ((two == "50" or "56" <= two <= "69") and 12 <= length <= 19)  # Maestro
    )


def luhn(digits: str) -> bool:
    """Whether the checksum of ISO/IEC 7812 is valid."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def find_ibans(scan: Scan) -> Places:
    """Bank account numbers of a country that has them, in its length, with the right remainder; blanks allowed."""
    text = scan.text
    for start, end in scan.runs:
        if start < 2 or end - start < 2 or not (text[start - 1].isalpha() and text[start - 2].isalpha()):
            continue
        length = IBAN_LENGTHS.get(text[start - 2 : start].upper())
        if not length or (start > 2 and text[start - 3].isalnum()):
            continue
        match = _IBAN.match(text, start - 2)
        number = _NO_SEPARATOR.sub("", match[0]).upper() if match else ""
        if match and len(number) >= length and _remainder(number[:length]) == 1:
            place = _place_of(match, length)
            if not text[place : place + 1].isalnum():
                yield start - 2, place


def _remainder(number: str) -> int:
    turned = number[4:] + number[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97


def _place_of(match: re.Match[str], count: int) -> int:
    """The end of the first `count` characters of a match that are not separators."""
    for place in range(match.start(), match.end()):
        count -= match.string[place] not in " -"
        if count == 0:
            return place + 1
    return match.end()


def _within(scan: Scan, pattern: re.Pattern[str], digits: int) -> Iterator[re.Match[str]]:
    """The matches of `pattern` in those stretches of the text that hold so many digits; few texts have many."""
    for start, end, number in scan.stretches:
        if number >= digits:
            yield from pattern.finditer(scan.text, start, end + BEHIND_CHARACTERS)
