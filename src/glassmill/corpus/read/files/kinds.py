"""The kinds of files that a folder of documents may hold: one table by suffix, and by content where that says nothing.

A file of unknown suffix is read as text if its first bytes are text. Bytes that are no text are none, whatever the
suffix says: readers check that with `is_text`.
"""

from __future__ import annotations

import bz2
import codecs
import lzma
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from glassmill.run.stores.stored import InputPath

WARC, HTML, TEXT, OTHER = "warc", "html", "text", "other"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: its name, what people call it (empty: part of another's), and its suffixes."""

    name: str
    title: str
    suffixes: str

    def each(self) -> tuple[str, ...]:
        return tuple(self.suffixes.split())


KINDS: tuple[Kind, ...] = (
    Kind(WARC, "WARC, WET and ARC", " ".join(f"{kind}{packing}" for kind in (".warc", ".wet")
         for packing in ("", ".gz", ".zst", ".lz4")) + " .arc .arc.gz"),
    Kind(HTML, "HTML", ".html .htm .xhtml .shtml"),
    Kind("markdown", "Markdown", ".md .markdown .mkd .mdx .qmd .rmd"),
    Kind(TEXT, "text", ".txt .text .log"),
    Kind("rst", "reStructuredText", ".rst .rest"),
    Kind("asciidoc", "AsciiDoc", ".adoc .asciidoc"),
    Kind("latex", "LaTeX", ".tex .ltx"),
    Kind("man", "man pages", ".1 .2 .3 .4 .5 .6 .7 .8 .man .mdoc"),
    Kind("texinfo", "Texinfo", ".texi .texinfo .txi"),
    Kind("org", "Org", ".org"),
    Kind("wiki", "wiki markup", ".wiki .mediawiki"),
    Kind("code", "source code", ".py .pyi .js .mjs .ts .tsx .jsx .java .kt .scala .groovy .c .h .cc .cpp .cxx .hpp .hh"
         " .cs .go .rs .rb .php .pl .pm .lua .r .jl .swift .m .hs .ml .mli .el .lisp .scm .clj .ex .exs .erl .sh .bash"
         " .zsh .fish .ps1 .bat .sql .css .scss .less .vue .svelte .proto .cmake .mk .f90 .f .pas .ada .v .vhd .asm .s"
         " .tcl .vim .dart .zig .nim .tf .gradle .yaml .yml .toml .ini .cfg .conf .properties .env .diff .patch"),
    Kind("csv", "CSV and TSV", ".csv .tsv .tab"),
    Kind("json", "JSON", ".json"),
    Kind("xml", "XML and DocBook", ".xml .dbk .docbook .dita .tei"),
    Kind("subtitles", "SRT and VTT", ".srt .vtt"),
    Kind("pdf", "PDF", ".pdf"),
    Kind("docx", "DOCX", ".docx .docm .dotx"),
    Kind("pptx", "PPTX", ".pptx .pptm .ppsx"),
    Kind("xlsx", "XLSX", ".xlsx .xlsm .xltx"),
    Kind("odf", "ODT, ODS and ODP", ".odt .ott .ods .ots .odp .otp"),
    Kind("rtf", "RTF", ".rtf"),
    Kind("epub", "EPUB", ".epub"),
    Kind("eml", "EML", ".eml"),
    Kind("msg", "MSG", ".msg"),
    Kind("mbox", "MBOX", ".mbox .mbx"),
    Kind("mhtml", "MHTML", ".mht .mhtml"),
    Kind("ipynb", "IPYNB", ".ipynb"),
    Kind("jsonl", "JSONL", ".jsonl .ndjson .jsonl.gz .ndjson.gz"),
    Kind("parquet", "Parquet", ".parquet"),
    Kind("archive", "zip and tar", ".zip .tar .tar.gz .tgz .tar.bz2 .tar.xz .txz"),
    Kind("packed", "gzip, bzip2 and xz", ".gz .bz2 .xz"),
)  # fmt: skip
SUFFIXES: dict[str, str] = {suffix: kind.name for kind in KINDS for suffix in kind.each()}
WARC_SUFFIXES = KINDS[0].each()
SUPPORTED = ", ".join(kind.title for kind in KINDS)
"""For messages and help texts."""
MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"WARC/", WARC),
    (b"filedesc:", WARC),
    (b"\x28\xb5\x2f\xfd", WARC),
    (b"\x5d\x2a\x4d\x18", WARC),
    (b"\x04\x22\x4d\x18", WARC),
    (b"\x1f\x8b\x08", "packed"),
    (b"BZh", "packed"),
    (b"\xfd7zXZ\x00", "packed"),
    (b"%PDF-", "pdf"),
    (b"{\\rtf", "rtf"),
    (b"PK\x03\x04", "archive"),
    (b"PAR1", "parquet"),
)
CONTAINERS = frozenset({WARC, "jsonl", "parquet", "archive", "mbox"})
"""Kinds of which one file may hold any number of documents."""
HINTS: dict[str, str] = {
    ".doc": "save it as .docx", ".dot": "save it as .docx", ".xls": "save it as .xlsx", ".ppt": "save it as .pptx",
    ".pages": "export it as .docx", ".numbers": "export it as .xlsx", ".key": "export it as .pptx",
    ".djvu": "convert it to PDF", ".ps": "convert it to PDF", ".mobi": "convert it to EPUB",
    ".azw3": "convert it to EPUB", ".chm": "convert it to HTML", ".7z": "pack it as zip", ".rar": "pack it as zip",
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".bmp", ".webp"), "pictures are not read"),
}  # fmt: skip
"""What to do with a file of a kind that is not read, by suffix."""
NEVER_TEXT = {
    *HINTS,
    *".svg .svgz .eps .ai .psd .ico .heic .avif .mp3 .wav .ogg .flac .m4a .mp4 .mkv .avi .mov".split(),  # noqa: SIM905
    *".webm .woff .woff2 .ttf .otf .eot .exe .dll .so .o .a .class .jar .pyc .wasm .iso .deb .rpm".split(),  # noqa: SIM905
    *".db .sqlite .npy .bin .pem .crt .p12".split(),  # noqa: SIM905
}
"""Suffixes of files that are not read as text, whatever their bytes are."""
SAMPLE = 1 << 16
CONTROL_SHARE = 0.002
_CONTROL = bytes(code for code in range(32) if chr(code) not in "\t\n\r\f\v\b\x1b") + b"\x7f"


_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE)


def kind_of(path: InputPath) -> str:
    """The kind of the file at `path`; `other` is not read."""
    kind = kind_of_name(path.name)
    if kind not in (OTHER, "packed"):
        return kind
    with path.open("rb", buffering=SAMPLE) as file:
        start = file.read(SAMPLE)
    return kind_of_start(start, path.name) if kind == OTHER else _inside(start)


def kind_of_name(name: str) -> str:
    """The kind that a file's name stands for."""
    name = name.lower()
    suffixes = name.rsplit("/", 1)[-1].split(".")[1:]
    for count in (2, 1):
        kind = SUFFIXES.get("." + ".".join(suffixes[-count:])) if len(suffixes) >= count else None
        if kind:
            return kind
    return OTHER


def kind_of_start(start: bytes, name: str = "") -> str:
    """The kind of a file of unknown suffix, by its first bytes."""
    kind = next((kind for magic, kind in MAGIC if start.startswith(magic)), "")
    if kind == "packed":
        return _inside(start)
    if not kind and Path(name).suffix.lower() in NEVER_TEXT:
        return OTHER
    if not kind and _PAGE.match(start):
        return HTML
    return kind or (TEXT if start.strip() and is_text(start) else OTHER)


def _inside(start: bytes) -> str:
    """`warc` for compressed records, else `packed`."""
    inside = b""
    try:
        if start.startswith(b"\x1f\x8b"):
            inside = zlib.decompressobj(31).decompress(start, 16)
        elif start.startswith(b"BZh"):
            inside = bz2.BZ2Decompressor().decompress(start, 16)
        else:
            inside = lzma.LZMADecompressor(memlimit=1 << 28).decompress(start, 16)
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error):
        pass
    return WARC if inside.startswith((b"WARC/", b"filedesc:")) else "packed"


def is_text(start: bytes) -> bool:
    """Whether a file that starts with these bytes is text in some encoding: hardly any control characters.

    A third of random bytes are no letters in any encoding of one byte, and 11 % are control characters. UTF-16 without
    a byte order mark is text if every second byte of Latin text is zero.
    """
    if start.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    zeros = start.count(0)
    if zeros > 0.2 * len(start):
        even = start[::2].count(0)
        other = start[1::2] if even > zeros - even else start[::2]
        other = other.replace(b"\0", b"")
        return max(even, zeros - even) > 0.95 * zeros and _few_controls(other)
    return _few_controls(start)


def _few_controls(data: bytes) -> bool:
    return len(data) - len(data.translate(None, _CONTROL)) <= CONTROL_SHARE * len(data) + 1


def unsupported(name: str) -> str:
    """Why a file of this name, of kind `other`, is not read, and what to do."""
    suffix = Path(name).suffix
    hint = HINTS.get(suffix.lower(), "")
    return f"unsupported file type: {suffix or 'no suffix'}" + (f" ({hint})" if hint else "")
