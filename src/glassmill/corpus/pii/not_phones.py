"""What has the form of a telephone number and is none: dates, rows of numbers, quantities, identifiers, decimals.

In: a number's place, or the text beside it. Out: yes or no.
"""

from __future__ import annotations

import re
from itertools import pairwise

from glassmill.corpus.pii.scan import Scan

_DATE = re.compile(
    r"(?:1[5-9]|20)\d\d[.\s/-]|\d{1,2}[.\s/-]\d{1,2}[.\s/-](?:1[5-9]|20)?\d\d(?!\d|[ .-]\d)"
    r"|(?:0?[1-9]|[12]\d|3[01])([./-])(?:0?[1-9]|[12]\d|3[01])\1(?:19|20)\d\d(?!\d)"
)
_YEARS = re.compile(r"(?:1[5-9]|20)\d\d ?[-–/] ?(?:1[5-9]|20)\d\d")
_NUMBERED = (
    "docket|case|file|claim|patent|part|item|model|order|invoice|serial|article|art|product|stock|lot|batch|bill"
    "|catalog(?:ue)?|reference|ref|ticket|tracking|tax|vat|account|acct|customer|member|policy|permit|register"
    "|reg|registration|licen[cs]e|certificate|application|publication|contract|project|flight|imei|vin|passport"
    "|bestell|teile"
)
_SELF_TELLING = (
    r"model|docket|sku|upc|ean|gtin|asin|p/n|s/n|mpn|oem|isbn(?:-1[03])?|issn|ismn|doi|pmid"
    r"|orcid|arxiv|oclc|lccn|rfc|cve|oid|uuid|guid|md5|sha-?\d*|crc\d*|checksum|hash"
    r"|versions?|ver|releases?|build|revision|firmware|sections?|sec|chapters?|tables?|figures?"
    r"|lottery|lotto|loto|powerball|jackpot|keno|bingo|winning|tirage|gewinnzahlen|lottozahlen"
    r"|coordinates?|latitude|longitude|lat|lon|lng|gps|timestamp|epoch|byte|offset|port|pid"
)
_IDENTIFIER = re.compile(
    rf"(?:\b(?:{_NUMBERED})(?:s|[ .-]{{0,2}}(?:numbers?|nos?|nr|num|code|id|#|№))\b|\b(?:{_SELF_TELLING})\b)"
    r"(?:[ \t]?(?:numbers?|nos?|nr|id|code|drawn|were|are|is|was)\b){0,2}[ \t.:#=№(\"'-]{0,4}$"
    r"|§ ?$",
    re.IGNORECASE,
)
_FORMULA = re.compile(r"=[ \t]?[A-Z][A-Z0-9.]{1,20}\([^\n]*$|\b[A-Za-z_]\w{0,30}\((?:[-\d., ;\"']*[,;] ?)?$")
_PHONE_CALL = re.compile(r"\b(?:call|phone|tel|dial|fax|sms|mobile)\w{0,8}\(", re.IGNORECASE)
_UNIT = re.compile(
    r"[ \u00a0]?(?:[€$£¥%°]|(?:mAh|Ah|[kKMGT]?i?[Bb]|[kmcµn]?[gmVWAs]|[kMG]?Hz|[kM]?bps|[kM]?px|dpi|rpm|ppm"
    r"|EUR|USD|GBP)\b)"
)
_COUNTED = re.compile(r"[ \u00a0](?!(?:is|was|has|as|its|this|always|unless|perhaps|hours|days|mondays|weekdays)\b)"
                      r"(?:[a-z]{2,}s|people|men|women|children|million|billion|thousand)\b")  # fmt: skip
_GROUP = re.compile(r"\d+")
_NEXT_GROUP = re.compile(r"[ \t]{1,3}\d|[ \t]{0,2}[,;|][ \t]{0,2}\d{1,4}(?!\d)")
_GROUP_BEFORE = re.compile(r"(?<![\d.)-])\d{1,6}[ \t]{1,3}$|\d[ \t]{0,2}[,;|][ \t]{0,2}$")
_DECIMAL = re.compile(r"\d{1,2}\.\d{3,}|\d{3,}\.\d{1,3}|\d{3}\.\d{5,}")
_SIGNED = re.compile(r"\+(?:\d{1,3}\.\d{1,7}(?:[ /+-]|$)|(\d)(?:[ ]\d){6,}|\d{6,}$(?<=000))")
_SEPARATOR = re.compile(r"[^\d ]")


def is_date(number: str) -> bool:
    """`2024-05-17`, `17.05.2024 10 30`, `1990-1995`."""
    return bool(_DATE.match(number) or _YEARS.match(number))


def is_named_otherwise(scan: Scan, start: int) -> bool:
    """Whether the words before a number say what else it is: a docket, a part, an ISBN, a version, a value."""
    words = scan.words_before(start)
    if len(words) > 1 and _IDENTIFIER.search(words):
        return True
    before = scan.before(start)
    line = before[before.rfind("\n") + 1 :] if "(" in before else ""
    return "(" in line and bool(_FORMULA.search(line)) and not _PHONE_CALL.search(line)


def is_quantity(text: str, end: int) -> bool:
    """Whether a unit follows: `4000 5000 6000 mAh`, `1 234 567 €`."""
    return bool(_UNIT.match(text, end))


def is_counted(text: str, end: int) -> bool:
    """Whether the number counts something: `reached 1234567 downloads`."""
    return bool(_COUNTED.match(text, end))


def is_decimal(number: str) -> bool:
    """`12.34567`; a telephone number with one point has three digits before it and four behind."""
    return bool(_DECIMAL.fullmatch(number))


def is_signed_number(number: str) -> bool:
    """`+52.520008`, `+1 2 3 4 5 6 7 8`, `+10000000`."""
    return bool(_SIGNED.match(number))


def is_row(scan: Scan, start: int, end: int) -> bool:
    """Whether the number is part of a row of numbers, or a row by itself: sizes, powers of two, `01 02 03 04 05`.

    Only of blanks between groups: a number with other marks in it is no row.
    """
    number = scan.text[start:end]
    if _SEPARATOR.search(number):
        return False
    groups = [int(group) for group in _GROUP.findall(number)]
    if len(groups) >= 5 and all(left < right for left, right in pairwise(groups)):
        return True  # a draw, in order
    if len(groups) >= 3:
        steps = {right - left for left, right in pairwise(groups)}
        doubles = all(right == 2 * left for left, right in pairwise(groups))
        if doubles or len(steps) == 1 or any(all(group % size == 0 for group in groups) for size in (8, 50)):
            return True
    return bool(_NEXT_GROUP.match(scan.text, end) or _GROUP_BEFORE.search(scan.before(start)[-12:]))
