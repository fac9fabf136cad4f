"""Bytes to text: which encoding is this page really in?

In: a body and HTTP's charset. Out: text, always; an invalid byte becomes U+FFFD and the page is kept. Order:
byte order mark, HTTP charset, `<meta charset>`, detection; but bytes that are valid UTF-8 and not plain ASCII are
UTF-8 whatever is declared, since text in another encoding is practically never valid UTF-8 by accident. Labels are
read as browsers read them (https://encoding.spec.whatwg.org/): latin1 means windows-1252.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

try:
    from glassmill.native import _core
except ImportError:  # not built here
    _core = None  # type: ignore[assignment]

BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
META_WITHIN_BYTES = 2048
TOLERATED_ERRORS = 0.001

_META = re.compile(rb"<meta\s[^>]{0,400}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)


def decode(body: bytes, http_charset: str | None = None) -> tuple[str, str]:
    """The text of `body` and the encoding that it was decoded with.

    Example:
        >>> decode("Größe".encode("latin-1"), "iso-8859-1")
        ('Größe', 'cp1252')
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, "replace"), encoding
    if b"\x1b" not in body:  # ISO-2022 encodings are ASCII bytes with escapes
        try:
            return body.decode("utf-8"), "utf-8"
        except UnicodeDecodeError:
            pass
    for encoding in _candidates(body, http_charset):
        try:
            text = body.decode(encoding, "replace")
        except LookupError:
            continue
        if text.count("\ufffd") <= TOLERATED_ERRORS * len(text):
            return text, encoding
    return body.decode("utf-8", "replace"), "utf-8"


def html_of(body: bytes, http_charset: str | None = None) -> str | bytes:
    """The text of a page; the bytes themselves, if they are UTF-8 and the native core is built to read them."""
    is_plain = _core and not body.startswith(codecs.BOM_UTF8) and b"\x1b" not in body and _core.is_utf8(body)
    return body if is_plain else decode(body, http_charset)[0]


def _candidates(body: bytes, http_charset: str | None) -> Iterator[str]:
    for label in (http_charset, _meta_charset(body)):
        if label and (encoding := map_encoding_to_html5(label, fallback_utf8=False)):
            yield encoding
    if detected := detect_encoding(body):
        yield detected
    yield "cp1252"


def _meta_charset(body: bytes) -> str | None:
    match = _META.search(body[:META_WITHIN_BYTES])
    return match[1].decode("ascii") if match else None
