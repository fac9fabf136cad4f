"""E-mail: EML, MBOX, MHTML and Outlook's MSG, each message with its subject and sender, and what is attached.

Source: RFC 5322, 2045 to 2047 (MIME), 4155 (mbox), 2557 (MHTML); [MS-OXMSG] and [MS-OXPROPS] for the
numbers of MSG.
"""

from __future__ import annotations

import email
import email.policy
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path

from glassmill.corpus.extract.encoding import decode
from glassmill.corpus.extract.extract import strip_tags
from glassmill.corpus.read.files.archives import Member
from glassmill.corpus.read.files.packed_rtf import unpacked_rtf
from glassmill.corpus.read.files.rtf import rtf_text
from glassmill.errors import UnreadableError

HEADERS = ("Subject", "From", "To", "Date")
MAX_PARTS = 1000
MAX_BOUNDARIES = 100_000
SUBJECT, SENDER, TO, BODY, HTML, PACKED_RTF = 0x0037, 0x0C1A, 0x0E04, 0x1000, 0x1013, 0x1009
NAME, SHORT_NAME, DATA = 0x3707, 0x3704, 0x3701


@dataclass(slots=True)
class Letter:
    """One message: its text, header lines first, and its attachments."""

    text: str
    attached: list[Member] = field(default_factory=list)


def letter_of(content: bytes) -> Letter:
    """The message in an EML file.

    Raises:
        UnreadableError: no header of a message.
    """
    message = _parsed(content)
    if not any(message.get(name) for name in (*HEADERS, "Received", "MIME-Version", "Message-ID")):
        raise UnreadableError("not an e-mail: no header")
    plain: list[str] = []
    pages: list[str] = []
    attached: list[Member] = []
    for number, part in enumerate(message.walk()):
        if number >= MAX_PARTS:
            raise UnreadableError(f"e-mail of more than {MAX_PARTS:,} parts")
        if part.is_multipart():
            continue
        name, kind = part.get_filename() or "", part.get_content_type()
        body = part.get_payload(decode=True)
        data = body if isinstance(body, bytes) else b""
        if part.get_content_disposition() == "attachment" or (name and not kind.startswith("text/")):
            attached.append(_member(name or f"part-{number}", number, data))
        elif kind == "text/plain":
            plain.append(_decoded(part, data))
        elif kind == "text/html":
            pages.append(strip_tags(_decoded(part, data)))
    head = [f"{name}: {_header(message, name)}" for name in HEADERS if message.get(name)]
    return Letter("\n".join(head) + "\n\n" + "\n\n".join(plain or pages), attached)


def _parsed(content: bytes) -> Message:
    if content.count(b"\n--") > MAX_BOUNDARIES:  # each may become an object
        raise UnreadableError(f"e-mail with more than {MAX_BOUNDARIES:,} boundaries")
    return email.message_from_bytes(content, policy=email.policy.compat32)


def _header(message: Message, name: str) -> str:
    from email.header import decode_header, make_header

    raw = next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), "")
    if not raw.isascii():  # RFC 6532; others in an encoding to be found
        raw = decode(raw.encode("ascii", "surrogateescape"))[0]
    try:
        return " ".join(str(make_header(decode_header(raw))).split())
    except (ValueError, LookupError):
        return " ".join(raw.split())


def _decoded(part: Message, data: bytes) -> str:
    charset = part.get_content_charset()
    return decode(data, charset)[0].replace("\r\n", "\n")


def _member(name: str, number: int, data: bytes) -> Member:
    plain = name.replace("\\", "/").rpartition("/")[2].replace("\0", "") or f"part-{number}"
    return Member(plain, number, len(data), io.BytesIO(data))


def mbox_letters(path: Path, most: int) -> Iterator[tuple[int, bytes | None]]:
    """Offset and bytes of each message in an MBOX file; None for one of more than `most` bytes."""
    begin = place = size = 0
    lines: list[bytes] = []
    before_is_blank = True
    with path.open("rb") as file:
        while line := file.readline(1 << 20):
            if before_is_blank and line.startswith(b"From "):
                if size:
                    yield begin, b"".join(lines) if size <= most else None
                lines, size, begin = [], 0, place
            else:
                size += len(line)
                if size <= most:
                    lines.append(line[1:] if line.startswith(b">From ") else line)
                else:
                    lines = []
            before_is_blank = not line.strip()
            place += len(line)
    if size:
        yield begin, b"".join(lines) if size <= most else None


def page_of_mhtml(content: bytes) -> tuple[bytes, str | None]:
    """The saved page and its charset.

    Raises:
        UnreadableError: there is none.
    """
    message = _parsed(content)
    for part in message.walk():
        body = part.get_payload(decode=True)
        if part.get_content_type() in ("text/html", "application/xhtml+xml") and isinstance(body, bytes):
            return body, part.get_content_charset()
    raise UnreadableError("MHTML without a page")


def letter_of_outlook(path: Path) -> Letter:
    """The message in an MSG file.

    Raises:
        UnreadableError: not an MSG file, or damaged.
    """
    import olefile

    size = path.stat().st_size
    try:
        with olefile.OleFileIO(path) as file:
            names = {"/".join(entry) for entry in file.listdir()}

            def read(folder: str, number: int) -> bytes | str:
                """A property: UTF-16 text, bytes in some encoding, or empty."""
                for kind in ("001F", "001E", "0102"):
                    name = f"{folder}__substg1.0_{number:04X}{kind}"
                    if name in names:
                        if file.get_size(name) > size:
                            raise UnreadableError("damaged MSG file: a part is larger than the file")
                        data: bytes = file.openstream(name).read()
                        return data.decode("utf-16-le", "replace") if kind == "001F" else data
                return b""

            def text(folder: str, number: int) -> str:
                value = read(folder, number)
                return (value if isinstance(value, str) else decode(value)[0]).strip("\0")

            lines = [("Subject", SUBJECT), ("From", SENDER), ("To", TO)]
            head = [f"{name}: {shown}" for name, number in lines if (shown := text("", number))]
            body = text("", BODY) or strip_tags(text("", HTML))
            packed = b"" if body else read("", PACKED_RTF)
            if isinstance(packed, bytes) and packed:
                body = rtf_text(unpacked_rtf(packed))
            folders = sorted({name.partition("/")[0] for name in names if name.startswith("__attach_")})
            attached = []
            for number, folder in enumerate(folders):
                data = read(f"{folder}/", DATA)
                if isinstance(data, bytes) and data:
                    name = text(f"{folder}/", NAME) or text(f"{folder}/", SHORT_NAME)
                    attached.append(_member(name, number, data))
    except (OSError, ValueError, IndexError, TypeError, AttributeError) as error:
        raise UnreadableError(f"not an MSG file: {error}"[:200]) from None
    if not head and not body:
        raise UnreadableError("MSG without subject and text")
    return Letter("\n\n".join(filter(None, ("\n".join(head), body.replace("\r\n", "\n")))), attached)
