"""What follows a street and its number: unit, city, region, postcode, country, in one line or in several.

Goes item by item, at most ten, and ends the address at the last item that cannot be anything else: a city's name alone
is no evidence, a city with a postcode is.
"""

from __future__ import annotations

import re

from glassmill.corpus.pii import street_words as words

MAX_ITEMS = 10
_UP = words.UPPER

_SEPARATOR = re.compile(r"\.?,?[ \t\u00a0]{0,3}(?:\n{1,2}[>?|]{0,3}[ \t]{0,8},?[ \t]{0,2}){0,2}")
_SEPARATING = frozenset(".,\n \t\u00a0")
_UNIT = re.compile(rf"{words.UNIT}(?!\w)")
_POSTCODE = re.compile(words.POSTCODES)
_COUNTRY = re.compile(rf"(?:{words.COUNTRIES})(?:,? \([{_UP}]\w{{2,12}}\))?(?!\w)", re.IGNORECASE)
_STATE = re.compile(rf"(?:{words.STATES})(?!\w)")
_REGION = re.compile(r"(?:[A-Za-z]{2,3}|[0-9]{2})(?!\w)")
_NO_CITY = rf"(?:{words.COUNTRIES}|{words.UNIT_KINDS})\b|(?:{words.STATE_LETTERS})(?![\w]| [A-Z])"
_CITY_WORD = rf"(?!{_NO_CITY})[{_UP}](?:[^\W\d_]|[.'’)-]){{1,24}}(?!\w)"
_CITY = re.compile(
    rf"{_CITY_WORD}(?:[ ](?:{_CITY_WORD}|[{_UP}](?!\w)|\([{_UP}][\w.'’-]{{1,24}}\)|(?:de|del|di|do|da|la|le|les"
    rf"|u|v|nad|ob|an|am|upon|sur)(?= [{_UP}]))){{0,3}}"
)
_ENDS_IN_REGION = re.compile(r" [A-Z]{2,3}\.?$")
_PIECE_END = re.compile(r"[ \t]*(?:[\n,.;?!)]|$)")
_CAPITAL_BEHIND = re.compile(rf" (?!{words.COUNTRIES})[{_UP}]")
_LINE_END = re.compile(r"\.?[ \t]*(?:\n|$)")
_LOWER_CITY = re.compile(r"[a-zà-ž]{3,20}")


def has_unit(text: str, end: int) -> bool:
    """Whether an apartment, suite or the like follows `end`."""
    if text[end : end + 1] not in _SEPARATING:
        return False
    separator = _SEPARATOR.match(text, end)
    assert separator
    if separator.end() == end or "\n\n" in separator[0]:
        return False
    unit = _UNIT.match(text, separator.end())
    return bool(unit) and not (text[separator.end()] == "#" and "\n" in separator[0])


def end_of_address(text: str, end: int) -> int:
    """The end of the address whose street and number end at `end`."""
    sure = place = end
    lower = text[max(0, end - 24) : end].islower()
    cities = 0
    unit = behind_unit = False
    for _ in range(MAX_ITEMS):
        separator = _SEPARATOR.match(text, place)
        assert separator
        begin = separator.end()
        new_line, new_block = "\n" in separator[0], "\n\n" in separator[0]
        if begin == place:
            break
        if not new_block and (match := _UNIT.match(text, begin)):
            sure, unit = match.end(), True
        elif (match := _COUNTRY.match(text, begin)) and (cities or new_line or "," in separator[0] or unit):
            return _with_postcode(text, match.end())
        elif match := _POSTCODE.match(text, begin):
            return _behind_postcode(text, match, new_line, bool(cities)) or sure
        elif (match := _STATE.match(text, begin)) and cities and not new_block:
            sure = match.end()
        elif not new_block and cities < 3 and (match := _CITY.match(text, begin)):
            cities += 1
            if behind_unit and (
                _ENDS_IN_REGION.search(match[0]) or (not new_line and _LINE_END.match(text, match.end()))
            ):
                sure = match.end()
        elif (match := _REGION.match(text, begin)) and cities and _ends_soon(text, match.end()):
            pass
        elif lower and (match := _LOWER_CITY.match(text, begin)) and cities < 2:
            cities += 1
        else:
            break
        place, behind_unit = match.end(), sure == match.end() and unit
    return sure


def _behind_postcode(text: str, match: re.Match[str], new_line: bool, had_city: bool) -> int | None:
    """The end of an address that has this postcode; None if the number is something else."""
    end = match.end()
    if not had_city:
        city = _CITY.match(text, end + 1) if text[end : end + 1] == " " else None
        if city and len(match[0]) >= 4 and (not new_line or _PIECE_END.match(text, city.end())):
            return _with_country(text, city.end())
        return _with_country(text, end) if len(match[0]) >= 5 and not new_line and not city else None
    if new_line and (len(match[0]) < 4 or _CAPITAL_BEHIND.match(text, end)):
        return None
    return _with_country(text, end)


def _with_country(text: str, end: int) -> int:
    separator = _SEPARATOR.match(text, end)
    assert separator
    country = _COUNTRY.match(text, separator.end())
    return country.end() if country and separator.end() > end else end


def _ends_soon(text: str, end: int) -> bool:
    place = _past(text, end)
    return bool(_POSTCODE.match(text, place) or _COUNTRY.match(text, place))


def _past(text: str, place: int) -> int:
    match = _SEPARATOR.match(text, place)
    assert match
    return match.end()


def _with_postcode(text: str, end: int) -> int:
    match = _POSTCODE.match(text, _past(text, end))
    return match.end() if match else end
