"""Which encoding is a text without a label in? The answer of Firefox's detector, where it is installed.

Source: Sivonen 2020, "chardetng" (https://hsivonen.fi/chardetng/): letter pairs by language, and which encodings the
bytes are impossible in. A byte that is impossible everywhere would rule out the right one, so texts of which nearly
everything fits one of the encodings of East Asia are looked at a second time without what does not fit.
"""

from __future__ import annotations

from glassmill.encodings.decoders import MULTI_BYTE, decode_as
from glassmill.encodings.labels import encoding_of_label

MOST_BYTES = 1 << 18
"""So much of a text is looked at, from its first byte that is not ASCII."""
SECOND_LOOK_BYTES = 1 << 15
ODD_SHARE = 0.05
LETTERS_OF_A_TEXT = 8
A_SIGN_IN, LONG_BYTES = 50, 300
"""A short text with fewer letters than this that are not ASCII tells nothing about its language."""
LATIN = frozenset((
    "windows-1250", "windows-1252", "windows-1254", "windows-1257", "windows-1258", "iso-8859-2", "iso-8859-3",
    "iso-8859-4", "iso-8859-10", "iso-8859-13", "iso-8859-14", "iso-8859-15", "iso-8859-16",
))  # fmt: skip
ODD_LETTERS = frozenset("\ufffd\x80€")
"""What does not fit an encoding, and what a stray byte 0x80 is in Shift_JIS and GBK."""
EAST_ASIAN = ("shift_jis", "euc-jp", "euc-kr", "gbk", "big5")
FALLBACK = "windows-1252"


def detect(data: bytes) -> str:
    """The name of the encoding that `data`, which is not UTF-8, is most likely in.

    Example:
        >>> detect("Съешь же ещё этих мягких французских булок".encode("koi8-r"))
        'koi8-u'
    """
    sample = _interesting(data)
    found = _guess(sample)
    if found in LATIN and len(sample) < LONG_BYTES and sum(byte >= 0x80 for byte in sample) * A_SIGN_IN < len(sample):
        return FALLBACK  # a name or a sign in English
    if found not in LATIN and found not in MULTI_BYTE:
        return found
    sample = sample[:SECOND_LOOK_BYTES]
    if found in MULTI_BYTE and not ODD_LETTERS.intersection(decode_as(found, sample)[:-1]):
        return found
    for encoding in EAST_ASIAN:
        text = decode_as(encoding, sample)
        odd, letters = text.count("\ufffd"), len(text) - len(text.encode("ascii", "ignore"))
        if 0 < odd <= max(ODD_SHARE * letters, 1) and letters >= LETTERS_OF_A_TEXT:
            rest = text.replace("\ufffd", "").encode(MULTI_BYTE[encoding], "ignore")
            if MULTI_BYTE.get(_guess(rest)) == MULTI_BYTE[encoding]:
                return encoding
    return found


def _interesting(data: bytes) -> bytes:
    """The part of a text that tells most: plain ASCII before it is left out."""
    if b"\x1b" in data[:MOST_BYTES]:  # ISO-2022-JP is ASCII
        return data[:MOST_BYTES]
    begin = len(data) - len(data.lstrip(bytes(range(0x80))))
    return data[max(0, begin - 100) : begin + MOST_BYTES]


def _guess(sample: bytes) -> str:
    try:
        from chardetng_py import EncodingDetector  # type: ignore[import-untyped]
    except ImportError:  # no wheel for this machine
        from resiliparse.parse.encoding import detect_encoding

        name = {"koi8-r": "koi8-u", "utf-8": FALLBACK}.get(found := detect_encoding(sample) or FALLBACK, found)
    else:
        detector = EncodingDetector()
        detector.feed(sample, last=False)  # a letter cut off at the end is no error
        name = detector.guess(tld=None, allow_utf8=False)
    return encoding_of_label(name.replace("iso8859", "iso-8859")) or FALLBACK
