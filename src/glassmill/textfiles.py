"""The one reader of text files that people bring: recipes, lists, conversations, texts to learn from.

In: a file as an editor, a spreadsheet or a Windows program saved it. Out: its text. A byte order mark decides, then
the pattern of NUL bytes (UTF-16 without a mark), then UTF-8, else the encoding that a browser would guess, mostly
windows-1252 (`glassmill.encodings`). A file that is UTF-8 but for some stray bytes stays UTF-8, and each of those bytes
is read as windows-1252. Line ends are `\\n`, `\\r\\n`, `\\r`, as in `open()`; other separators of Unicode are letters.
"""

from __future__ import annotations

import codecs
import io
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from glassmill.encodings import decode_as, detect
from glassmill.errors import UserError

MAX_BYTES = 64 << 20
MAX_LINE_CHARACTERS = 64 << 20
PART = 1 << 20
SAMPLE_BYTES = 1 << 16
MAX_CONTROL_SHARE = 0.01
"""Of the bytes, or of NULs alone `MAX_NUL_SHARE`: a file with more is not text."""
MAX_NUL_SHARE = 0.001
MAX_STRAY_NULS = 0.2
"""Of the bytes of a text that is UTF-8 but for them. Half of Latin letters in UTF-16 are NULs."""
GOOD_FOR_A_BAD = 2
"""A file with so many letters in UTF-8 for each byte that is not is UTF-8."""
BYTE_BY_BYTE = "glassmill.windows-1252"

OF_PYTHON = frozenset(("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "cp1252"))
"""Encodings that are read in one go as a stream."""
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_NOT_ASCII = bytes(range(0x80, 0x100))
_CONTROLS = re.compile(rb"[\0-\x07\x0e-\x1a\x1c-\x1f]")
_NO_TEXT = re.compile(r"[\0-\x07\x0e-\x1a\x1c-\x1f\ufffe\uffff]")


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    """Bytes as windows-1252, whose five holes are control characters; a letter cut by the end is dropped."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    if "end of data" in error.reason or "truncated" in error.reason:
        return "", error.end
    if error.encoding.startswith(("utf-16", "utf-32", "utf_16", "utf_32")):
        return "\ufffd", error.end
    bad = error.object[error.start : error.end]
    return "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in bad), error.end


codecs.register_error(BYTE_BY_BYTE, _as_windows_1252)


class Decoder:
    """Decodes a text piece by piece: `decode(piece)`, and `decode(b"", True)` at its end.

    Args:
        encoding: A name of `glassmill.encodings` or of Python.
    """

    def __init__(self, encoding: str) -> None:
        name = encoding.replace("utf-16le", "utf-16-le").replace("utf-16be", "utf-16-be")
        name = "cp1252" if name == "windows-1252" else name
        self._python = codecs.getincrementaldecoder(name)(BYTE_BY_BYTE) if name in OF_PYTHON else None
        self._encoding, self._rest = encoding, b""

    def decode(self, piece: bytes, final: bool = False) -> str:
        if self._python:
            return self._python.decode(piece, final)
        data = self._rest + piece
        end = data.rfind(b"\n") + 1  # no letter of these encodings has such a byte
        if final or (not end and len(data) > PART):
            end = len(data)
        self._rest = data[end:]
        return decode_as(self._encoding, data[:end])


def decode_text(data: bytes) -> str:
    """The text of `data`, without its mark; line ends are left as they are.

    Example:
        >>> decode_text("Größe".encode("utf-16")), decode_text("Größe".encode("cp1252"))
        ('Größe', 'Größe')

    Raises:
        UserError: it is not text: too many NUL or other control bytes.
    """
    size, encoding = _encoding_of(io.BytesIO(data))
    text = data[size:].decode(encoding, BYTE_BY_BYTE) if encoding in OF_PYTHON else decode_as(encoding, data[size:])
    return text.replace("\0", "")


def read_text(path: str | Path, max_bytes: int = MAX_BYTES) -> str:
    """The text of the file at `path`, its line ends as `\\n`.

    Raises:
        UserError: larger than `max_bytes`, or no text.
        OSError: the file cannot be opened.
    """
    with Path(path).open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise UserError(f"{path} is too large: over the limit of {max_bytes:,} bytes for such a file")
    try:
        return decode_text(data).replace("\r\n", "\n").replace("\r", "\n")
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def text_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """The lines of the file at `path` without their ends, with their numbers from 1; some of them in memory at a time.

    Raises:
        UserError: no text, or a line of over 64 million characters.
        OSError: the file cannot be opened.
    """
    with _opened(path) as lines:
        number = 0
        while line := lines.readline(MAX_LINE_CHARACTERS + 1):
            number += 1
            if len(line) > MAX_LINE_CHARACTERS:
                raise UserError(f"{path}: line {number} is longer than {MAX_LINE_CHARACTERS:,} characters")
            yield number, line.removesuffix("\n").replace("\0", "")


def text_parts(path: str | Path, characters: int = PART) -> Iterator[str]:
    """The text of the file at `path` in parts of about `characters` that end at a line end, if there is one.

    Raises:
        UserError: no text.
        OSError: the file cannot be opened.
    """
    with _opened(path) as file:
        while part := file.read(characters):
            yield (part + file.readline(characters)).replace("\0", "")


@contextmanager
def _opened(path: str | Path) -> Iterator[io.TextIOWrapper]:
    """The file as a stream of text. A pipe is copied first, because the encoding is known only at its end."""
    with Path(path).open("rb") as given, tempfile.TemporaryFile() as copy:
        raw: BinaryIO = given
        if not given.seekable():
            shutil.copyfileobj(given, copy)
            raw = copy
        raw.seek(0)
        try:
            size, encoding = _encoding_of(raw)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        raw.seek(size)
        if encoding not in OF_PYTHON:
            decoder = Decoder(encoding)
            with tempfile.TemporaryFile() as plain:
                while piece := raw.read(PART):
                    plain.write(decoder.decode(piece).encode("utf-8", "replace"))
                plain.write(decoder.decode(b"", True).encode("utf-8", "replace"))
                plain.seek(0)
                yield io.TextIOWrapper(plain, "utf-8")
        else:
            yield io.TextIOWrapper(raw, encoding, BYTE_BY_BYTE)


def _encoding_of(file: BinaryIO) -> tuple[int, str]:
    """The length of the mark at the front of `file`, and the encoding; reads on until the encoding is certain.

    Raises:
        UserError: no text.
    """
    head = file.read(SAMPLE_BYTES)
    if certain := encoding_shown_by(head):
        return certain
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    size = nuls = controls = good = bad = 0
    part, suspect = head, b""
    while part:
        text = decoder.decode(part)
        size, nuls = size + len(part), nuls + part.count(0)
        if not part.isascii():
            suspect += b"" if len(suspect) >= PART else part
            wrong = text.count("\ufffd") - part.count(b"\xef\xbf\xbd")
            bad, good = bad + wrong, good + len(text) - wrong - len(part.translate(None, _NOT_ASCII))
        controls += len(_CONTROLS.findall(part)) if size <= SAMPLE_BYTES else 0
        part = file.read(PART)
    if nuls > MAX_NUL_SHARE * size + 1 or controls > MAX_CONTROL_SHARE * min(size, SAMPLE_BYTES) + 1:
        raise UserError("binary data, not text; save it as text in UTF-8")
    if good >= GOOD_FOR_A_BAD * bad:
        return 0, "utf-8"
    guess = detect(suspect)
    return 0, "cp1252" if guess == "windows-1252" else guess


def encoding_shown_by(start: bytes) -> tuple[int, str] | None:
    """The length of a text's mark and its encoding, if its first bytes (even in number) are enough to tell."""
    for mark, encoding in MARKS:
        if start.startswith(mark):
            return len(mark), encoding
    utf_16 = utf_16_without_mark(start)
    return (0, utf_16) if utf_16 else None


def _is_plain_but_for_nuls(start: bytes) -> bool:
    """Whether the first bytes of a text are UTF-8 without control characters; the last letter may be cut."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return not _NO_TEXT.search(text.replace("\0", ""))


def utf_16_without_mark(start: bytes) -> str | None:
    """UTF-16's name, if the pattern of NUL bytes in the first bytes shows it: all at even, or all at odd places.

    Blanks and line ends bring such bytes in every script. A file of another encoding has none, or some stray ones.
    """
    start = start[: len(start) // 2 * 2]
    if 0 < start.count(0) <= len(start) * MAX_STRAY_NULS and _is_plain_but_for_nuls(start):
        return None
    high, low = start[1::2].count(0), start[0::2].count(0)  # of little-endian, of big-endian
    for encoding, ours, others in (("utf-16-le", high, low), ("utf-16-be", low, high)):
        if ours and not others * 20 > ours:
            text = start.decode(encoding, "replace")
            bad = len(_NO_TEXT.findall(text)) + text.count("\ufffd")
            if bad <= MAX_CONTROL_SHARE * len(text) + (1 if len(start) == SAMPLE_BYTES else 0):
                return encoding
    return None
