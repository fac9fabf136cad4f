"""The HTTP message inside a WARC response record: status, headers, and the body as a browser or curl would show it.

In: the record's block. Out: `Response`. Sources: RFC 9112 (message syntax; 7.1 chunked), RFC 9110 (8.3 media type),
Fetch Standard (extract a MIME type), MIME Sniffing Standard. Content codings: `codings`.
A body that decodes to more than `max_bytes` is an error, because a few kilobytes can hold gigabytes of zeros.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from glassmill.corpus.read.codings import undo_codings
from glassmill.corpus.read.records import parse_headers
from glassmill.errors import BodyError
from glassmill.textfiles import utf_16_without_mark

MAX_BODY_BYTES = 32 << 20
MAX_INTERIM = 8
UNKNOWN_TYPES = frozenset(("", "unknown/unknown", "application/unknown", "*/*"))
SNIFFED_BYTES = 1445

_HEADER_END = re.compile(rb"\r?\n\r?\n")
_CHUNK_SIZE = re.compile(rb"[ \t]*0*([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?(\r?\n|\r?\Z)")
_LINE_ENDS = re.compile(rb"(?:\r?\n)+|\r\Z")
"""Between chunks; some servers write none, or two."""
_FRAMING = re.compile(rb"\r\n0*[0-9A-Fa-f]{1,8}[ \t]*(?:;[^\r\n]*)?(?:\r\n|\Z)")
_LAST_CHUNK = re.compile(rb"\r\n0+[ \t]*(?:;[^\r\n]*)?\r\n")
_TYPE = re.compile(r"[ \t\"']*([\w!#$%&^*.+-]+/[\w!#$%&^*.+-]+)")
_CHARSET = re.compile(r"charset\s*=\s*(?:\"([^\"]*)\"|([^;,\s]+))", re.IGNORECASE)
_COMMA = re.compile(r",(?=(?:[^\"]*\"[^\"]*\")*[^\"]*\Z)")
_HTML_START = re.compile(
    rb"[\t\n\f\r ]*(?:\xef\xbb\xbf)?[\t\n\f\r ]*<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style"
    rb"|title|b|body|br|p)[ \t\n\f\r>]|[\t\n\f\r ]*<!--",
    re.IGNORECASE,
)
_BINARY = re.compile(rb"[\0-\x08\x0b\x0e-\x1a\x1c-\x1f]")


@dataclass(slots=True)
class Response:
    """Status 0: there was no HTTP head, only a body. `content_types` are the header's values, in order."""

    status: int
    headers: dict[str, str]
    body: bytes
    content_types: list[str] = field(default_factory=list)

    @property
    def media_type(self) -> str:
        """In lower case, without parameters; of several the last, as in browsers; empty if there is none."""
        return self._type_and_charset()[0]

    @property
    def charset(self) -> str | None:
        return self._type_and_charset()[1]

    def _type_and_charset(self) -> tuple[str, str | None]:
        media_type, charset = "", None
        for value in self.content_types or [self.headers.get("content-type", "")]:
            for part in _COMMA.split(value[:2000]):
                match = _CHARSET.search(part)
                found = (match[1] or match[2]) if match else None
                essence = _TYPE.match(part)
                if essence and essence[1] != "*/*":
                    charset = found or (charset if essence[1].lower() == media_type else None)
                    media_type = essence[1].lower()
                elif found and not charset:
                    charset = found
        return media_type, charset


def parse_response(block: bytes, max_bytes: int = MAX_BODY_BYTES) -> Response:
    """The response in `block`; interim ones (status 100 to 199) before it are skipped.

    Raises:
        BodyError: the decoded body is larger than `max_bytes` or damaged.
    """
    if not block.startswith(b"HTTP/"):
        if not block.lstrip(b"\r\n").startswith(b"HTTP/"):
            return Response(0, {}, block)
        block = block.lstrip(b"\r\n")  # RFC 9112 section 2.2
    for _ in range(MAX_INTERIM):
        end = _HEADER_END.search(block)
        head, body = (block[: end.start()], block[end.end() :]) if end else (block, b"")
        status = head.split(None, 2)[1:2]
        number = int(status[0]) if status and status[0].isdigit() and len(status[0]) == 3 else 0
        if not (100 <= number < 200 and body.startswith(b"HTTP/")):
            break
        block = body
    response = Response(number, parse_headers(head), body, list(_values(head, b"content-type")))
    transfer = [coding for value in _values(head, b"transfer-encoding") for coding in _words(value)]
    if "chunked" in transfer:
        response.body = dechunk(body)
    codings = [coding for value in _values(head, b"content-encoding") for coding in _words(value)]
    if response.media_type.startswith(("application/gzip", "application/x-gzip", "application/zstd")):
        codings = []  # a packed file, not a packed page
    elif len(response.body) > max_bytes:
        raise BodyError(f"body too large: {len(response.body)} bytes, over the limit of {max_bytes}")
    else:
        response.body = undo_codings(
            response.body, [*codings, *(coding for coding in transfer if coding != "chunked")], max_bytes
        )
    return response


def _values(head: bytes, name: bytes) -> Iterator[str]:
    """The values of every header of that name."""
    for match in re.finditer(rb"(?im)^" + name + rb"[ \t]*:[ \t]*([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)", head):
        yield " ".join(match[1].decode("latin-1").split())


def _words(value: str) -> list[str]:
    return [word for word in (word.strip(" \t\"'").lower() for word in value.split(",")) if word]


def dechunk(body: bytes) -> bytes:
    """The body without its chunk framing, as far as it goes; unchanged where it has none.

    A chunk that the end cuts counts as far as it goes. Where a size is wrong, what looks like framing in the rest is
    taken out.
    """
    position = len(body) - len(body.lstrip(b"\r\n"))
    pieces: list[bytes] = []
    while match := _CHUNK_SIZE.match(body, position):
        size = int(match[1], 16)
        begin, end = match.end(), min(match.end() + size, len(body))
        if not pieces and not _is_framing(match, body, size):
            return body
        if size == 0:
            break
        pieces.append(body[begin:end])
        line_ends = _LINE_ENDS.match(body, end)
        position = line_ends.end() if line_ends else end
        if position < len(body) and not _CHUNK_SIZE.match(body, position):
            if len(pieces) == 1:
                return body
            pieces.append(_FRAMING.sub(b"", _LAST_CHUNK.split(body[end:])[0]))
            break
    return b"".join(pieces) if pieces or match else body


def _is_framing(match: re.Match[bytes], body: bytes, size: int) -> bool:
    """Whether the first size line is one: a text may begin with a number, too."""
    if not match[2].endswith(b"\n"):
        return size == 0
    if match.end() + size <= len(body):
        return True  # what follows the chunk will tell
    return match[2] == b"\r\n" or body[match.end() : match.end() + 1] in (b"<", b"\x1f", b"\xef")


def starts_like_html(body: bytes) -> bool:
    """What a browser takes for HTML if the server does not say what it is, and `<html` a little later."""
    start = body[:SNIFFED_BYTES]
    return bool(_HTML_START.match(start)) or b"<html" in start.lower() or b"<!doctype html" in start.lower()


def is_binary(body: bytes) -> bool:
    """Whether the first bytes are no text in any encoding but UTF-16: packed, encrypted, a picture."""
    start = body[:SNIFFED_BYTES]
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    return len(_BINARY.findall(start)) > 2 + len(start) // 50 and not utf_16_without_mark(start)
