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
    while chunk and chunk not in exceptions:
        begin = front_length(chunk)
        if begin and chunk[begin:] in exceptions:
            front.append(chunk[:begin])
            chunk = chunk[begin:]
            break
        end = back_length(chunk[begin:])
        if end and chunk[:-end] in exceptions:
            back.append(chunk[-end:])
            chunk = chunk[:-end]
            break
        if not begin and not end:
            break
        if begin:
            front.append(chunk[:begin])
        if end:
            back.append(chunk[-end:])
        chunk = chunk[begin : len(chunk) - end]
    middle = exceptions.get(chunk) or ((chunk,) if is_address(chunk) else tuple(_inside(chunk))) if chunk else ()
    return (*front, *middle, *reversed(back))


def front_length(chunk: str) -> int:
    """How many characters are cut off the front."""
    if chunk[0] in FRONT or (chunk[0] == "+" and not _is_digit(chunk[1:2])):
        return 1
    if chunk.startswith(".."):
        return len(chunk) - len(chunk.lstrip("."))
    return next((len(sign) for sign in DOLLARS if chunk.startswith(sign)), 0)


def back_length(chunk: str) -> int:
    """How many characters are cut off the end: the longest ending that fits."""
    if not chunk:
        return 0
    last, before = chunk[-1], chunk[-2:-1]
    longest = int(last in BACK or (last == "+" and _is_digit(before)))
    if last == ".":
        dots = len(chunk) - len(chunk.rstrip("."))
        return dots if dots > 1 else int(_ends_in_a_stop(chunk))
    if chunk.endswith(CLITICS):
        return 2
    for length in range(min(LONGEST_UNIT, len(chunk) - 1), 0, -1):
        end = chunk[-length:]
        if _is_digit(chunk[-length - 1]) and (end in UNITS or end in MONEY or end in DOLLARS):
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
        return len(chunk) - place - len(chunk[place:].lstrip("."))
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
    return any(_is_host_and_path(chunk[start:]) for start in starts)


def _is_host_and_path(text: str) -> bool:
    end = next((place for place, sign in enumerate(text) if sign in ":/?#"), len(text))
    *labels, last = text[:end].split(".")
    if not labels or not 2 <= len(last) <= 63 or not all(map(_is_small, last)):
        return False
    if not all(map(_is_label, labels)):
        return False
    rest = text[end:]
    if rest.startswith(":"):
        port = rest[1:].partition("/")[0].partition("?")[0].partition("#")[0]
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
    spans: list[tuple[int, int]] = []
    for length in range(min(len(tokens), LONGEST_EXCEPTION), 1, -1):
        for start in range(len(tokens) - length + 1):
            taken = any(first < start + length and start < last for first, last in spans)
            if not taken and tokens[start : start + length] in IN_PIECES:
                spans.append((start, start + length))
    for first, last in sorted(spans, reverse=True):
        tokens = (*tokens[:first], *IN_PIECES[tokens[first:last]], *tokens[last:])
    return tokens


def _is_digit(sign: str) -> bool:
    return sign != "" and sign in "0123456789"


def _is_letter(sign: str) -> bool:
    return sign.isalpha()


def _is_small(sign: str) -> bool:
    """A lower-case letter, or one of a script without cases."""
    return sign.isalpha() and unicodedata.category(sign) in ("Ll", "Lm", "Lo")


def _is_large(sign: str) -> bool:
    return sign.isalpha() and unicodedata.category(sign) in ("Lu", "Lt", "Lm", "Lo")


# Exceptions that the other rules would cut, by their pieces.
IN_PIECES = {
    pieces: parts for text, parts in EXCEPTIONS.items() if len(pieces := _cut(text, {})) > 1 and pieces != parts
}
LONGEST_EXCEPTION = max(map(len, IN_PIECES))
