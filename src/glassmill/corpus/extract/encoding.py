"""Bytes to text: which encoding is this page really in?

In: a body and HTTP's charset. Out: text, always; an invalid byte becomes U+FFFD and the page is kept. Order: byte order
mark, UTF-16 shown by its NUL bytes, HTTP's charset, `<meta>` or XML declaration, detection; but bytes that are valid
UTF-8 and not plain ASCII are UTF-8 whatever is declared, since text in another encoding is practically never valid
UTF-8 by accident. A declared encoding is given up only if more letters do not fit it than do. Labels and letters are
those of browsers (`glassmill.encodings`): shift_jis means windows-31j.

Source: HTML Living Standard, 13.2.3 (determining the character encoding).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from glassmill.encodings import decode_as, detect, encoding_of_label
from glassmill.textfiles import GOOD_FOR_A_BAD, SAMPLE_BYTES, utf_16_without_mark

try:
    from glassmill.native import _core
except ImportError:  # not built here
    _core = None  # type: ignore[assignment]

BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16le"), (codecs.BOM_UTF16_BE, "utf-16be"))
DECLARED_WITHIN_BYTES = 1 << 14
"""The standard says 1,024; browsers read on to the end of `<head>`."""
NUL_WITHIN_BYTES = 1024

_TAG = re.compile(rb"<(?:(!--)|([a-zA-Z][^\t\n\f\r />]*)|/[a-zA-Z]|([!/?]))")
_ATTRIBUTE = re.compile(
    rb"[\t\n\f\r /]*([^\t\n\f\r />][^\t\n\f\r />=]*)[\t\n\f\r ]*"
    rb"(?:=[\t\n\f\r ]*(?:\"([^\"]*)\"|'([^']*)'|([^\t\n\f\r >]*)))?"
)
_NO_MARKUP_INSIDE = frozenset((b"script", b"style", b"title", b"textarea", b"xmp", b"iframe", b"noframes"))
_CHARSET = re.compile(rb"charset[\t\n\f\r ]*=[\t\n\f\r ]*(?:\"([^\"]*)\"|'([^']*)'|([^\t\n\f\r ;\"']+))", re.IGNORECASE)
_XML = re.compile(rb"<\?xml[^>]*?\sencoding\s*=\s*[\"']([^\"'>]{1,40})[\"']")
_REFUSED_LABEL = re.compile(rb"iso-?2022-?[kc]|hz-gb", re.IGNORECASE)
_JIS_ESCAPE = re.compile(rb"\x1b(?:\$[@B]|\([JI])")


def decode(body: bytes, http_charset: str | None = None, is_html: bool = True) -> tuple[str, str]:
    """The text of `body`, and the encoding it was decoded from. What is no HTML cannot declare its own encoding.

    Example:
        >>> decode("Größe".encode("latin-1"), "iso-8859-1")
        ('Größe', 'windows-1252')
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return decode_as(encoding, body[len(mark) :]), encoding
    if b"\0" in body[:NUL_WITHIN_BYTES] and (utf_16 := utf_16_without_mark(body[:SAMPLE_BYTES])):
        return body.decode(utf_16, "replace"), utf_16.replace("16-", "16")
    if _is_refused(body, http_charset):
        return "", "replacement"
    if not _JIS_ESCAPE.search(body):  # bytes of ISO-2022-JP are ASCII with escapes
        try:
            return body.decode("utf-8"), "utf-8"
        except UnicodeDecodeError:
            pass
    for encoding, patience in _candidates(body, http_charset, is_html):
        text = decode_as(encoding, body)
        bad = text.count("\ufffd")
        if not bad or bad * patience <= len(text) - bad - len(text.encode("ascii", "ignore")):
            return text, encoding
    encoding = detect(body)
    return decode_as(encoding, body), encoding


def html_of(body: bytes, http_charset: str | None = None) -> str | bytes:
    """The text of a page; the bytes themselves, if they are UTF-8 and the native core is built to read them."""
    is_plain = (
        _core
        and not body.startswith(codecs.BOM_UTF8)
        and b"\x1b" not in body
        and b"\0" not in body[:NUL_WITHIN_BYTES]
        and _core.is_utf8(body)
        and not _is_refused(body, http_charset)
    )
    return body if is_plain else decode(body, http_charset)[0]


def _is_refused(body: bytes, http_charset: str | None) -> bool:
    """Whether the page is declared to be in one of the encodings that browsers refuse (HZ, ISO-2022-KR), and is."""
    label = encoding_of_label(http_charset) if http_charset else None
    if not label and _REFUSED_LABEL.search(body, 0, DECLARED_WITHIN_BYTES):
        label = declared_in(body[:DECLARED_WITHIN_BYTES])
    return label == "replacement" and decode_as(label, body) == "\ufffd"


def _candidates(body: bytes, http_charset: str | None, is_html: bool) -> Iterator[tuple[str, float]]:
    """Encodings to try, each with the number of good letters that a bad one must be outweighed by."""
    if http_charset and (encoding := encoding_of_label(http_charset)):
        yield encoding, 1
    if is_html and (encoding := declared_in(body[:DECLARED_WITHIN_BYTES])):
        yield encoding, 1
    if body.isascii() and detect(body) == "iso-2022-jp":
        yield "iso-2022-jp", 1
    yield "utf-8", GOOD_FOR_A_BAD


def declared_in(start: bytes) -> str | None:
    """The encoding that a page declares in its first bytes: in `<meta>`, else in the XML declaration.

    A `<meta>` in a comment, in an attribute or in a script is none. One that says UTF-16 is read as ASCII, so it lies.
    """
    label = _meta_charset(start)
    if not label and (match := _XML.match(start.lstrip())):
        label = encoding_of_label(match[1].decode("latin-1"))
    return {"utf-16le": "utf-8", "utf-16be": "utf-8", "x-user-defined": "windows-1252"}.get(label or "", label)


def _meta_charset(start: bytes) -> str | None:
    position = 0
    while tag := _TAG.search(start, position):
        comment, name, other = tag.groups()
        position = tag.end()
        if comment:
            end = start.find(b"-->", position - 2)  # `<!-->` is a whole comment
            position = end + 3 if end >= 0 else len(start)
        elif other:
            end = start.find(b">", position - 1)
            position = end + 1 if end >= 0 else len(start)
        else:
            attributes: dict[bytes, bytes] = {}
            while attribute := _ATTRIBUTE.match(start, position):
                position = attribute.end()
                attributes.setdefault(attribute[1].lower(), attribute[2] or attribute[3] or attribute[4] or b"")
            name = (name or b"").lower()
            if name == b"meta" and (encoding := _encoding_of_meta(attributes)):
                return encoding
            if name in _NO_MARKUP_INSIDE:
                end = start.lower().find(b"</" + name, position)
                position = end if end >= 0 else len(start)
    return None


def _encoding_of_meta(attributes: dict[bytes, bytes]) -> str | None:
    label = attributes.get(b"charset", b"")
    if not label and attributes.get(b"http-equiv", b"").strip().lower() == b"content-type":
        match = _CHARSET.search(attributes.get(b"content", b""))
        label = match[1] or match[2] or match[3] or b"" if match else b""
    return encoding_of_label(label.decode("latin-1"))
