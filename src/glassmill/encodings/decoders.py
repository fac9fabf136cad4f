"""Bytes to text as browsers decode them, for every encoding of the web but for UTF-8's fast path.

In: bytes, and an encoding's name from `labels`. Out: text; what is no letter there becomes U+FFFD, one for each error.
Source: the Encoding Standard, sections 8 to 14. Python's codecs do the work; where one of the same name knows less, or
maps otherwise, its holes are filled here. A test compares all pairs of bytes with a browser.
"""

from __future__ import annotations

import codecs
import re
from functools import cache

from glassmill.encodings.holes import (
    BIG5_SIGNS,
    EUC_JP_SIGNS,
    GB18030_SIGNS,
    SHIFT_JIS_SIGNS,
    big5_holes,
    euc_jp_letter,
)

SINGLE_BYTE = {
    "ibm866": "cp866", "koi8-r": "koi8_r", "koi8-u": "koi8_u", "macintosh": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic", "windows-874": "cp874", "iso-8859-8-i": "iso8859_8",
    **{f"iso-8859-{part}": f"iso8859_{part}" for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    **{f"windows-125{part}": f"cp125{part}" for part in range(9)},
}  # fmt: skip
"""Python's codec of each encoding whose letters are bytes."""
CHANGED = {
    "koi8-u": {0xAE: "ў", 0xBE: "Ў"},
    "x-mac-cyrillic": {0xA2: "Ґ", 0xB6: "ґ", 0xFF: "€"},
    "windows-1255": {0xCA: "\u05ba"},
}
MULTI_BYTE = {
    "shift_jis": "cp932", "euc-kr": "cp949", "big5": "big5hkscs", "gbk": "gb18030", "gb18030": "gb18030",
    "euc-jp": "euc_jp", "utf-8": "utf-8", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be",
}  # fmt: skip
SIGNS = {
    "shift_jis": SHIFT_JIS_SIGNS, "euc-kr": ("", ""), "big5": BIG5_SIGNS, "gbk": GB18030_SIGNS,
    "gb18030": GB18030_SIGNS, "euc-jp": EUC_JP_SIGNS,
}  # fmt: skip
"""What is put right after Python's codec, by encoding: sign -> sign."""
LEADS = {
    "cp932": frozenset((*range(0x81, 0xA0), *range(0xE0, 0xFD))),
    "euc_jp": frozenset((0x8E, 0x8F, *range(0xA1, 0xFF))),
    **dict.fromkeys(("cp949", "big5hkscs", "gb18030"), frozenset(range(0x81, 0xFF))),
}
"""First bytes of a pair, by Python's codec."""
HOLES = "glassmill.holes"
"""The handler of errors that knows what Python's codecs don't."""
MAX_HOLES = 50_000
"""A text with more errors is no text in this encoding, and filling each would cost seconds."""

_ESCAPE = re.compile(rb"(\x1b(?:\([BJI]|\$[@B]))")
_BLANKS = re.compile(rb"([\x00-\x20]+)")
_ROMAN = str.maketrans("\\~", "¥‾")


def decode_as(encoding: str, data: bytes) -> str:
    """The text of `data` in `encoding`; of an encoding that browsers refuse ("replacement") only what is plain ASCII.

    Example:
        >>> decode_as("shift_jis", b"\\x87\\x40"), decode_as("windows-1252", b"\\x80\\x81")
        ('①', '€\\x81')
    """
    if encoding in SINGLE_BYTE or encoding == "x-user-defined":
        return codecs.charmap_decode(data, "replace", _table(encoding))[0]
    if encoding == "iso-2022-jp":
        return _iso_2022_jp(data)
    if encoding == "replacement":
        return "\ufffd" if re.search(rb"[\x0e\x0f\x1b\x80-\xff]|~\{", data) else data.decode("ascii")
    codec = MULTI_BYTE[encoding]
    text = data.decode(codec, "replace")
    if encoding not in SIGNS:
        return text
    if "\ufffd" in text and text.count("\ufffd") < MAX_HOLES:
        text = data.decode(codec, HOLES)
    for wrong, right in zip(*SIGNS[encoding], strict=True):
        text = text.replace(wrong, right)
    return text


@cache
def _table(encoding: str) -> str:
    """The letters of the 256 bytes; U+FFFE, which stands for none, where the standard has none."""
    if encoding == "x-user-defined":
        return "".join(chr(byte if byte < 0x80 else 0xF700 + byte) for byte in range(256))
    letters = []
    for byte in range(256):
        letter = CHANGED.get(encoding, {}).get(byte) or bytes([byte]).decode(SINGLE_BYTE[encoding], "ignore")
        if not letter and encoding.startswith("windows-") and byte < 0xA0:
            letter = chr(byte)  # Windows maps its holes to control characters
        letters.append(letter or "\ufffe")
    return "".join(letters)


def _fill_hole(error: UnicodeError) -> tuple[str, int]:
    """A letter that Python's codec does not know, or U+FFFD; what follows a wrong byte and is ASCII stays."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    codec, data, start = error.encoding, error.object, error.start
    first, pair = data[start], bytes(data[start : start + 2])
    if first == 0x80 and codec == "gb18030":
        return "€", start + 1
    if first not in LEADS[codec] or len(pair) < 2:
        return "\ufffd", start + 1
    letter = _big5().get(pair) if codec == "big5hkscs" else euc_jp_letter(pair) if codec == "euc_jp" else ""
    if letter:
        return letter, start + 2
    if pair[1] < 0x80:
        return "\ufffd", start + 1
    third = codec == "euc_jp" and first == 0x8F and pair[1] >= 0xA1 and data[start + 2 : start + 3] >= b"\x80"
    return "\ufffd", start + 2 + third


_big5 = cache(big5_holes)
codecs.register_error(HOLES, _fill_hole)


def _iso_2022_jp(data: bytes) -> str:
    """Python's codec where it reads all, else escape by escape: letters of vendors, and errors."""
    text = data.decode("iso2022_jp_ext", "replace")
    if "\ufffd" not in text or data.count(b"\x1b") > MAX_HOLES:
        return text.translate(str.maketrans(*EUC_JP_SIGNS))
    pieces: list[str] = []
    mode = b"\x1b(B"
    for piece in _ESCAPE.split(data):
        if piece.startswith(b"\x1b"):
            mode = piece
        elif mode in (b"\x1b$@", b"\x1b$B"):
            for place, part in enumerate(_BLANKS.split(piece)):
                letters = bytes(byte | 0x80 for byte in part)
                pieces.append(part.decode("ascii") if place % 2 else decode_as("euc-jp", letters))
        elif mode == b"\x1b(I":
            pieces.append("".join(chr(0xFF61 + byte - 0x21) if 0x21 <= byte <= 0x5F else chr(byte) for byte in piece))
        else:
            text = piece.decode("ascii", "replace")
            pieces.append(text.translate(_ROMAN) if mode == b"\x1b(J" else text)
    return "".join(pieces)
