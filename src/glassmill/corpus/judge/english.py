"""English words as FineWeb counts them: how a run of characters without blanks falls into tokens.

In: a chunk of text without blanks. Out: its tokens: words, numbers, marks, clitics ("do" and "n't"), web addresses.
The rules are those of spaCy's blank English tokenizer (https://spacy.io/usage/linguistic-features#how-tokenizer-works),
restated in plain code: as long as something is left, an exception ends the search; otherwise a mark is cut off the
front and one off the end; what is left is split at the marks inside it. A chunk's tokens depend on nothing else.

The native core follows the same rules with the same tables, and tests keep the two equal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from glassmill.corpus.judge.english_tables import (
    BACK,
    BEFORE_DOT,
    CLITICS,
    DOLLARS,
    EXCEPTIONS,
    FRONT,
    HYPHENS,
    ICONS,
    LONGEST_UNIT,
    MONEY,
    QUOTES,
    UNITS,
    Tokens,
)


@lru_cache(maxsize=1 << 17)
def tokens_of_chunk(chunk: str) -> Tokens:
    """The tokens of one run of characters without blanks.

    Example:
        >>> tokens_of_chunk("(don't")
        ('(', 'do', "n't")
        >>> tokens_of_chunk("e.g.,")
        ('e.g.', ',')
    """
    tokens = _cut(chunk, EXCEPTIONS)
    return _merged(tokens) if len(tokens) > 1 else tokens


def _cut(chunk: str, exceptions: dict[str, Tokens]) -> Tokens:
    front: list[str] = []
    back: list[str] = []
    first, last = 0, len(chunk)

    def exception(first: int, last: int) -> Tokens | None:
        """A long rest is no exception; to look it up each time would be quadratic."""
        return exceptions.get(chunk[first:last]) if 0 < last - first <= LONGEST_TEXT else None

    while first < last and not exception(first, last):
        begin = front_length(chunk, first, last)
        if begin and exception(first + begin, last):
            front.append(chunk[first : first + begin])
            first += begin
            break
        end = back_length(chunk, first + begin, last)
        if end and exception(first, last - end):
            back.append(chunk[last - end : last])
            last -= end
            break
        if not begin and not end:
            break
        if begin:
            front.append(chunk[first : first + begin])
        if end:
            back.append(chunk[last - end : last])
        first, last = first + begin, last - end
    middle: Tokens = ()
    if first < last:
        rest = chunk[first:last]
        middle = exception(first, last) or ((rest,) if is_address(rest) else tuple(_inside(rest)))
    return (*front, *middle, *reversed(back))


def front_length(chunk: str, first: int, last: int) -> int:
    """How many characters are cut off the front of `chunk[first:last]`."""
    if chunk[first] in FRONT or (chunk[first] == "+" and not (first + 1 < last and _is_digit(chunk[first + 1]))):
        return 1
    dots = _dots(chunk, first, last)
    if dots > 1:
        return dots
    return next((len(sign) for sign in DOLLARS if chunk.startswith(sign, first, last)), 0)


def _dots(chunk: str, first: int, last: int) -> int:
    """How many dots follow each other from `first` on."""
    place = first
    while place < last and chunk[place] == ".":
        place += 1
    return place - first


def back_length(chunk: str, first: int, last: int) -> int:
    """How many characters are cut off the end of `chunk[first:last]`: the longest ending that fits."""
    if first >= last:
        return 0
    sign, before = chunk[last - 1], chunk[last - 2] if last - first > 1 else ""
    longest = int(sign in BACK or (sign == "+" and _is_digit(before)))
    if sign == ".":
        place = last
        while place > first and chunk[place - 1] == ".":
            place -= 1
        return last - place if last - place > 1 else int(_ends_in_a_stop(chunk[max(first, last - 3) : last]))
    if chunk.endswith(CLITICS, first, last):
        return 2
    for length in range(min(LONGEST_UNIT, last - first - 1), 0, -1):
        end = chunk[last - length : last]
        if _is_digit(chunk[last - length - 1]) and (end in UNITS or end in MONEY or end in DOLLARS):
            return max(length, longest)
    return longest


def _ends_in_a_stop(chunk: str) -> bool:
    """Whether the dot at the end is not part of an abbreviation."""
    before, earlier = chunk[-2:-1], chunk[-3:-2]
    if not before:
        return False
    degree = earlier == "°" and before in "FfCcKk"
    return before in BEFORE_DOT or _is_small(before) or degree or (_is_large(before) and _is_large(earlier))


def _inside(chunk: str) -> Iterator[str]:
    """Splits at the marks between letters and digits; one at the very front does not count."""
    start = place = 0
    while place < len(chunk):
        length = _mark_length(chunk, place)
        if length and place:
            if place > start:
                yield chunk[start:place]
            yield chunk[place : place + length]
            start = place + length
        place += length or 1
    if start < len(chunk):
        yield chunk[start:]


def _mark_length(chunk: str, place: int) -> int:
    """Length of the mark at `place` that divides its neighbours, 0 if there is none."""
    sign = chunk[place]
    if sign == "." and chunk[place + 1 : place + 2] == ".":
        return _dots(chunk, place, len(chunk))
    if sign == "…" or sign in ICONS:
        return 1
    if place == 0 or place + 1 == len(chunk):
        return 0
    before, after = chunk[place - 1], chunk[place + 1]
    if sign in "+-*^" and _is_digit(before) and (_is_digit(after) or after == "-"):
        return 1
    if sign == ".":
        return int((_is_small(before) or before in QUOTES) and (_is_large(after) or after in QUOTES))
    if sign == "," or sign in ":<>=/":
        return int((_is_letter(before) or (sign != "," and _is_digit(before))) and _is_letter(after))
    if sign in "-–—~" and (_is_letter(before) or _is_digit(before)):
        for hyphen in HYPHENS:
            if chunk.startswith(hyphen, place) and _is_letter(chunk[place + len(hyphen) : place + len(hyphen) + 1]):
                return len(hyphen)
    return 0


def is_address(chunk: str) -> bool:
    """Whether the whole chunk is a web or mail address with a host that has a dot.

    Example:
        >>> is_address("https://example.org/a"), is_address("me@example.org"), is_address("end.Begin")
        (True, True, False)
    """
    if "." not in chunk:
        return False
    starts = {0} | {place + 1 for place, sign in enumerate(chunk) if sign == "@" and place}
    scheme = chunk.find("://")
    if scheme >= 2 and all(sign in "+-._" or sign.isalnum() for sign in chunk[:scheme]):
        starts.add(scheme + 3)
    return any(_is_host_and_path(chunk, start) for start in starts)


def _is_host_and_path(chunk: str, start: int) -> bool:
    """Of `chunk` from `start` on. No host holds an @, so the search for its end stays between two of them."""
    end = start
    while end < len(chunk) and chunk[end] not in ":/?#@":
        end += 1
    if chunk[end : end + 1] == "@":
        return False
    *labels, last = chunk[start:end].split(".")
    if not labels or not 2 <= len(last) <= 63 or not all(map(_is_small, last)):
        return False
    if not all(map(_is_label, labels)):
        return False
    if chunk[end : end + 1] == ":":
        port = chunk[end + 1 : end + 7].partition("/")[0].partition("?")[0].partition("#")[0]
        if not (2 <= len(port) <= 5 and all(map(_is_digit, port))):
            return False
    return True


def _is_label(text: str) -> bool:
    def fits(sign: str) -> bool:
        return (sign.isascii() and sign.isalnum()) or "\u00a1" <= sign <= "\uffff"

    inner = all(fits(sign) or sign in "-_" for sign in text)
    return 0 < len(text) <= 64 and inner and fits(text[0]) and fits(text[-1])


def _merged(tokens: Tokens) -> Tokens:
    """Tokens that together are an exception become that: a face at the end of a word is one token again."""
    spans: dict[int, int] = {}
    taken = bytearray(len(tokens))
    for length in range(min(len(tokens), LONGEST_EXCEPTION), 1, -1):
        for start in range(len(tokens) - length + 1):
            free = not (taken[start] or taken[start + length - 1])  # spans that were found are no shorter than this
            if free and tokens[start : start + length] in IN_PIECES:
                spans[start] = start + length
                taken[start : start + length] = b"\1" * length
    merged: list[str] = []
    place = 0
    while place < len(tokens):
        end = spans.get(place, place)
        merged += IN_PIECES[tokens[place:end]] if end > place else (tokens[place],)
        place = max(end, place + 1)
    return tuple(merged)


def _is_digit(sign: str) -> bool:
    return sign != "" and sign in "0123456789"


def _is_letter(sign: str) -> bool:
    return sign.isalpha()


def _is_small(sign: str) -> bool:
    """A lower-case letter, or one of a script without cases."""
    return sign.isalpha() and unicodedata.category(sign) in ("Ll", "Lm", "Lo")


def _is_large(sign: str) -> bool:
    return sign.isalpha() and unicodedata.category(sign) in ("Lu", "Lt", "Lm", "Lo")


LONGEST_TEXT = max(map(len, EXCEPTIONS))
# Exceptions that the other rules would cut, by their pieces.
IN_PIECES = {
    pieces: parts for text, parts in EXCEPTIONS.items() if len(pieces := _cut(text, {})) > 1 and pieces != parts
}
LONGEST_EXCEPTION = max(map(len, IN_PIECES))
