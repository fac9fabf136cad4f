"""Text that is safe to show: names of files, pages and runs come from strangers.

A terminal obeys escape sequences, and a name on Linux is bytes that need not be UTF-8 (Python holds such bytes as lone
surrogates, which no file in UTF-8 can hold).
"""

from __future__ import annotations

import unicodedata

UNSAFE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Categories that move the cursor, turn the text's direction, break the line, or show nothing at all."""


def printable(text: str) -> str:
    r"""`text` in one line, every unsafe character as an escape.

    Example:
        >>> printable("report\n\x1b[31m.txt")
        'report\\n\\x1b[31m.txt'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(character) if unicodedata.category(character) in UNSAFE else character for character in text)


def valid(text: str) -> str:
    r"""`text` without lone surrogates: bytes of a file name that are not UTF-8 become `\xff`.

    Different names stay different unless one spells the other's escapes.
    """
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return "".join(
            _escape(character) if unicodedata.category(character) == "Cs" else character for character in text
        )


def shown(text: str, limit: int = 120) -> str:
    """A value for a message: printable, and cut in the middle beyond `limit` characters."""
    half = limit // 2
    cut = text if len(text) <= limit else f"{text[:half]}…{text[-half:]}"
    return printable(cut)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, see PEP 383
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
