"""RTF to text, in one pass over its control words.

Source: Microsoft, Rich Text Format Specification 1.9.1. A library for it exists (striprtf); it adds up the text letter
by letter and searches links by a pattern that is quadratic on a long line.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from glassmill.corpus.read.files.sections import Section, sections_of_lines
from glassmill.errors import UnreadableError

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|([^\\{}]+)", re.DOTALL
)
_BREAKS = {b"par": "\n\n", b"sect": "\n\n", b"page": "\n\n", b"line": "\n", b"row": "\n\n", b"nestrow": "\n\n"}
_WORDS = {
    **_BREAKS,
    b"tab": "\t", b"cell": "\t", b"nestcell": "\t", b"emdash": "\u2014", b"endash": "\u2013", b"bullet": "\u2022",
    b"lquote": "\u2018", b"rquote": "\u2019", b"ldblquote": "\u201c", b"rdblquote": "\u201d", b"emspace": " ",
    b"enspace": " ", b"qmspace": " ",
}  # fmt: skip
_SIGNS = {b"~": "\u00a0", b"_": "-", b"{": "{", b"}": "}", b"\\": "\\", b"\n": "\n\n", b"\r": "\n\n"}
_NO_TEXT = frozenset(
    b"fonttbl colortbl stylesheet info pict object objdata header headerl headerr headerf footer footerl footerr"
    b" footerf listtable listoverridetable revtbl rsidtbl generator themedata colorschememapping datastore latentstyles"
    b" xmlnstbl fldinst bkmkstart bkmkend filetbl template nonshppict shpinst sp fontemb fontfile private".split()
)
"""Groups that hold no text of the document."""
_SHOWN = frozenset({b"shppict", b"shptxt", b"footnote", b"nesttableprops", b"upr", b"ud"})
"""Groups marked as optional (`\\*`) that hold text all the same."""
MAX_DEPTH = 10_000
CHARSETS = {
    0: "cp1252", 77: "mac_roman", 128: "cp932", 129: "cp949", 134: "cp936", 136: "cp950", 161: "cp1253", 162: "cp1254",
    163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250",
}  # fmt: skip


def rtf_sections(content: bytes) -> Iterator[Section]:
    """The paragraphs, a blank line between.

    Raises:
        UnreadableError: not an RTF file, or nested beyond all measure.
    """
    yield from sections_of_lines(f"{paragraph}\n\n" for paragraph in rtf_text(content).split("\n\n"))


def rtf_text(content: bytes) -> str:
    """The paragraphs with a blank line between; errors as above."""
    if not content.lstrip()[:5] == b"{\\rtf":
        raise UnreadableError("not an RTF file")
    text = "".join(_texts(content)).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    paragraphs = (paragraph.strip(" \n") for paragraph in text.split("\n\n"))
    return "\n\n".join(filter(None, paragraphs))


def _texts(content: bytes) -> Iterator[str]:
    """Pieces of text. A group is hidden, or has an encoding for its bytes and a number of bytes to skip after `\\u`."""
    encoding, hidden, after = "cp1252", False, 1
    vanished = False
    fonts = _fonts(content)
    stack: list[tuple[str, bool, bool, int]] = []
    skip = place = 0
    waiting = bytearray()  # bytes of a letter may come in several tokens
    optional = False
    base = encoding
    while token := _TOKEN.match(content, place):
        place = token.end()
        word, number, code, sign, brace, text = token.groups()
        if waiting and code is None:
            yield waiting.decode(encoding, "replace")
            waiting.clear()
        if brace:
            skip, optional = 0, False
            if len(stack) > MAX_DEPTH:
                raise UnreadableError(f"RTF with groups nested more than {MAX_DEPTH:,} deep")
            if brace == b"{":
                stack.append((encoding, hidden, vanished, after))
            elif stack:
                encoding, hidden, vanished, after = stack.pop()
        elif word:
            value = int(number) if number else None
            if word == b"bin":
                place += max(value or 0, 0)
            elif word in _NO_TEXT or (optional and word not in _SHOWN):
                hidden = True
            elif word in (b"v", b"deleted"):
                vanished = value != 0
            elif word == b"ansicpg" and value:
                base = encoding = _known(f"cp{value}")
            elif word == b"f" and value in fonts:
                encoding = fonts[value] or base
            elif word == b"plain":
                encoding, vanished = base, False
            elif word == b"uc" and value is not None:
                after = value
            elif word == b"u" and value is not None:
                if not (hidden or vanished):
                    yield chr(value % 0x10000)
                skip = after
                optional = False
                continue
            elif not (hidden or vanished) and word in _WORDS:
                yield _WORDS[word]
            skip, optional = 0, False
        elif code is not None:
            if skip:
                skip -= 1
            elif not (hidden or vanished):
                waiting.append(int(code, 16))
        elif sign is not None:
            optional = sign == b"*"
            if not (hidden or vanished) and sign in _SIGNS:
                yield _SIGNS[sign]
        elif text:
            plain = text.replace(b"\r", b"").replace(b"\n", b"")
            plain, skip = plain[skip:], max(0, skip - len(plain))
            if plain and not (hidden or vanished):
                yield plain.decode(encoding, "replace")
    if waiting:
        yield waiting.decode(encoding, "replace")


def _fonts(content: bytes) -> dict[int | None, str]:
    """Font -> encoding of its bytes, empty for the document's."""
    begin = content.find(b"\\fonttbl", 0, 1 << 20)
    table = content[begin : begin + (1 << 16)] if begin >= 0 else b""
    fonts: dict[int | None, str] = {}
    for font, charset in re.findall(rb"\\f(\d{1,6})[^{};]{0,200}?\\fcharset(\d{1,3})", table):
        fonts[int(font)] = CHARSETS.get(int(charset), "") if int(charset) else ""
    return fonts


def _known(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        return "cp1252"
