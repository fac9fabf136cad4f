"""Mail and saved pages: EML, MBOX, MSG and MHTML, with what is attached."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.corpus.offices import eml, msg
from tests.corpus.pages import read
from tests.corpus.papers import docx


def test_a_saved_page_is_extracted_as_a_page(tmp_path: Path) -> None:
    content = b"MIME-Version: 1.0\nContent-Type: multipart/related; boundary=x\n\n--x\nContent-Type: text/html;"
    content += b" charset=windows-1252\n\n<p>Gr\xf6\xdfe</p>\n--x\nContent-Type: image/png\n\nzzz\n--x--\n"
    ((page,), causes) = read(tmp_path / "a.mhtml", content)
    assert not causes and (page.kind, page.charset, page.body) == ("html", "windows-1252", b"<p>Gr\xf6\xdfe</p>")


def test_attachments_are_read_as_members_of_an_archive(tmp_path: Path) -> None:
    attached = {
        "notes.docx": docx(["From the notes."]),
        "photo.png": b"\x89PNG\r\n\x1a\n\0\0",
        "in.eml": eml("Inner", "deep"),
        "../evil.txt": b"harmless",
    }
    pages, causes = read(tmp_path / "a.eml", eml("Hi", "see below", attached))
    assert [page.url for page in pages] == ["a.eml", "a.eml/notes.docx", "a.eml/in.eml", "a.eml/evil.txt"]
    assert {page.source for page in pages} == {"a.eml"} and causes == [
        "unsupported file type: .png (pictures are not read)"
    ]
    box = b"".join(
        b"From x@example.org Thu\n" + eml(f"No {n}", "body\n\n>From here").strip() + b"\n\n" for n in range(3)
    )
    pages, causes = read(tmp_path / "a.mbox", box)
    assert [page.url for page in pages] == ["a.mbox#0", "a.mbox#1", "a.mbox#2"] and not causes
    outlook = msg(
        {"0037001F": "Hi".encode("utf-16-le")},
        {"37010102": b"attached text " * 400, "3707001F": "a.txt".encode("utf-16-le")},
    )
    pages, causes = read(tmp_path / "a.msg", outlook)
    assert [page.url for page in pages] == ["a.msg", "a.msg/a.txt"] and not causes


PACKED = {
    # [MS-OXRTFCP] 3.1 and 3.2
    "hello world": "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0",
    "WXYZWXYZWXYZWXYZWXYZ": "1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0",
}


@pytest.mark.parametrize("said", PACKED)
def test_a_message_whose_text_is_compressed_rtf_is_read(said: str, tmp_path: Path) -> None:
    packed = bytes.fromhex(PACKED[said])
    subject = {"0037001F": "Hi".encode("utf-16-le")}
    pages, causes = read(tmp_path / "a.msg", msg({**subject, "10090102": packed}))
    assert [page.body.decode() for page in pages] == [f"Subject: Hi\n\n{said}"] and not causes
    damaged = {
        "its checksum does not match": packed[:20] + b"?" + packed[21:],
        "of the unknown form b'LZFx'": packed.replace(b"LZFu", b"LZFx"),
        "damaged compressed RTF: its checksum": packed[:-4],
    }
    for cause, content in damaged.items():
        pages, causes = read(tmp_path / "a.msg", msg({**subject, "10090102": content}))
        assert not pages and cause in causes[0]


def test_of_a_page_wrapped_in_rtf_the_page_is_read(tmp_path: Path) -> None:
    """[MS-OXRTFEX]: Outlook keeps HTML in RTF, its tags in optional groups."""
    rtf = (
        rb"{\rtf1\ansi\ansicpg1252\fromhtml1 \deff0{\fonttbl{\f0\fswiss Arial;}}\uc1\pard\plain\f0\fs24 "
        rb"{\*\htmltag19 <html>}{\*\htmltag64 <p>}\htmlrtf {\htmlrtf0 One{\*\htmltag84 &nbsp;}"
        rb"\htmlrtf \'a0\htmlrtf0 two.{\*\htmltag72 </p>}\htmlrtf\par}"
        rb"\htmlrtf0 {\*\htmltag64 <p>}\'84Three\'93{\*\htmltag27 </html>}}"
    )
    packed = struct.pack("<II4sI", len(rtf) + 12, len(rtf), b"MELA", 0) + rtf
    pages, causes = read(tmp_path / "a.msg", msg({"10090102": packed}))
    assert [page.body.decode() for page in pages] == ["One\u00a0two.\n\n„Three“"] and not causes
