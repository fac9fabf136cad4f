"""Files of every kind become pages; hostile ones are refused with a reason, and nothing is written anywhere."""

from __future__ import annotations

import gzip
import io
import os
import re
import zipfile
from pathlib import Path

import pytest

from glassmill.corpus.document import Lost, Page
from glassmill.corpus.read.files.kinds import kind_of_name
from glassmill.corpus.read.files.office import docx_to_text
from glassmill.corpus.read.files.pdf import join_lines, pdf_to_text, without_heads
from glassmill.corpus.read.sources import find_sources, read_pages, read_source
from glassmill.errors import UnreadableError, UserError
from glassmill.recipe import FilesSettings
from tests.corpus.pages import SENTENCES, article, record
from tests.corpus.papers import docx, epub, jsonl, parquet, pdf, tarred, zipped

LIMITS = FilesSettings()


def items(path: Path, **settings: float) -> list[Page | Lost]:
    return list(read_pages(path, path.name, files=FilesSettings(**settings)))


def causes(path: Path, **settings: float) -> list[str]:
    return [item.cause for item in items(path, **settings) if isinstance(item, Lost)]


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_pdf_gives_paragraphs_without_heads_and_numbers() -> None:
    pages = [
        ["The Annals of the Mill", *_wrapped(" ".join(SENTENCES[4 * n : 4 * n + 4])), f"Page {n + 1}"] for n in range(3)
    ]
    text = pdf_to_text(pdf(pages))
    assert text.split("\n\n") == [" ".join(SENTENCES[4 * n : 4 * n + 4]) for n in range(3)]


def _wrapped(text: str, width: int = 60) -> list[str]:
    lines = re.findall(rf".{{1,{width}}}(?:\s|$)", text)
    return [line.strip() for line in lines]


def test_a_word_that_the_line_end_broke_is_whole_again() -> None:
    assert join_lines([["a line that is long enough and man\ufffe", "agement of the mill"]]).endswith(
        "management of the mill"
    )


def test_a_page_that_is_only_numbers_and_heads_gives_nothing() -> None:
    assert without_heads([["Head", "1"], ["Head", "2"], ["Head", "3"], ["Head", "4"]]) == [[], [], [], []]


@pytest.mark.parametrize("content", [b"", b"%PDF-1.4\nrubbish", b"%PDF-1.4" + bytes(5000)])
def test_a_damaged_pdf_says_so(content: bytes) -> None:
    with pytest.raises(UnreadableError, match="damaged PDF"):
        pdf_to_text(content)


def test_a_word_document_gives_paragraphs_and_rows() -> None:
    content = docx(["First &amp; last.", "", "Second."], [["Ada", "12"], ["Bo", "7"]])
    assert docx_to_text(io.BytesIO(content), LIMITS) == "First & last.\n\nSecond.\n\nAda\t12\n\nBo\t7"


def test_a_word_document_of_entities_is_not_expanded() -> None:
    bomb = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]>"
    with pytest.raises(UnreadableError, match="invalid XML"):
        docx_to_text(io.BytesIO(docx(["&b;"], head=bomb)), LIMITS)
    outside = "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"
    with pytest.raises(UnreadableError, match="invalid XML"):
        docx_to_text(io.BytesIO(docx(["&a;"], head=outside)), LIMITS)


def test_the_chapters_of_a_book_come_in_reading_order(tmp_path: Path) -> None:
    path = write(tmp_path / "book.epub", epub({"one.xhtml": "<p>1</p>", "two.xhtml": "<p>2</p>"}))
    assert [(page.url, page.body) for page in items(path) if isinstance(page, Page)] == [
        ("book.epub/OEBPS/one.xhtml", b"<p>1</p>"),
        ("book.epub/OEBPS/two.xhtml", b"<p>2</p>"),
    ]


def test_rows_are_pages_and_bad_rows_are_told(tmp_path: Path) -> None:
    content = (
        jsonl([{"text": "one", "url": "http://x.example/1"}, {"title": "x"}]) + b"{broken\n\n" + b'{"content": "2"}\n'
    )
    found = items(write(tmp_path / "rows.jsonl", content))
    assert [item.url for item in found] == ["http://x.example/1", "rows.jsonl#1", "rows.jsonl#2", "rows.jsonl#4"]
    assert [item.cause.partition(":")[0] for item in found if isinstance(item, Lost)] == [
        "no text in text or content or body (fields",
        "invalid JSON",
    ]
    assert isinstance(found[3], Page) and found[3].body == b"2" and found[3].offset == content.index(b'{"content"')


def test_parquet_rows_are_pages(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", [{"text": f"row {n}", "date": "2024", "n": n} for n in range(600)])
    found = [page for page in items(path) if isinstance(page, Page)]
    assert len(found) == 600 and (found[599].url, found[599].body, found[599].date) == (
        "x.parquet#599",
        b"row 599",
        "2024",
    )
    assert causes(parquet(tmp_path / "y.parquet", [{"n": 1}])) == [
        "no column text or content or body (columns: n); see corpus.files"
    ]
    assert causes(write(tmp_path / "z.parquet", b"PAR1 rubbish PAR1"))[0].startswith("damaged Parquet file")


def test_archives_are_looked_into_with_what_lies_in_them(tmp_path: Path) -> None:
    inner = zipped({"deep.txt": "deep text"})
    members = {
        "a/page.html": b"<p>page</p>",
        "rows.jsonl": jsonl([{"text": "row"}]),
        "web.warc.gz": record("http://good.example/1", article(1)),
        "inner.zip": inner,
        "photo.jpg": b"\xff\xd8",
        ".git/config.txt": b"hidden",
        "empty.txt": b"",
    }
    for name, content in (("x.zip", zipped(dict(members))), ("x.tar.gz", tarred(members))):
        found = items(write(tmp_path / name, content))
        assert {item.url for item in found if isinstance(item, Page)} == {
            f"{name}/a/page.html", f"{name}/rows.jsonl#0", "http://good.example/1", f"{name}/inner.zip/deep.txt",
        }  # fmt: skip
        assert {item.url: item.cause for item in found if isinstance(item, Lost)} == {
            f"{name}/photo.jpg": "unsupported file type: .jpg (pictures are not read)",
            f"{name}/empty.txt": "empty file",
        }
        places = [(item.source, item.offset, item.url) for item in found if isinstance(item, Page)]
        assert len(set(places)) == len(places)


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/etc/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:\\evil.txt", "c:/evil.txt"]
)
def test_an_archive_with_a_name_that_leads_out_is_refused_whole(tmp_path: Path, name: str) -> None:
    for path in (
        write(tmp_path / "in/x.zip", zipped({"good.txt": "good", name: "evil"})),
        write(tmp_path / "in/x.tar", tarred({"good.txt": b"good", name: b"evil"}, mode="w")),
    ):
        found = items(path)
        assert len(found) == 1 and isinstance(found[0], Lost)
        assert "points outside the archive" in found[0].cause and name.replace("\\", "\\\\") in found[0].cause
    assert not list(tmp_path.rglob("evil*"))


def test_what_stands_behind_the_last_member_of_a_tar_is_read_within_bounds(tmp_path: Path) -> None:
    whole = tarred({"a.txt": b"good text"}, mode="w")
    tail = gzip.compress(whole + bytes(5 << 20), mtime=0)
    found = items(write(tmp_path / "x.tar.gz", tail), max_unpacked_bytes=1 << 20)
    assert isinstance(found[0], Page) and [item.cause for item in found if isinstance(item, Lost)] == [
        "refused: it continues after its last member"
    ]
    assert causes(write(tmp_path / "y.tar.gz", tail)) == []
    damaged = tail[:-6] + bytes(6)
    assert causes(write(tmp_path / "z.tar.gz", damaged))[0].startswith("damaged archive")


def test_bombs_are_refused_before_they_go_off(tmp_path: Path) -> None:
    zeros = bytes(40 << 20)
    assert "times, over the limit of 200" in causes(write(tmp_path / "x.zip", zipped({"a.txt": zeros})))[0]
    assert "expands more than 200 times" in causes(write(tmp_path / "x.tar.gz", tarred({"a.txt": zeros})))[0]
    assert "expands" in docx_cause(zipped({"word/document.xml": zeros}))
    many = write(tmp_path / "many.zip", zipped({f"{n}.txt": "x" for n in range(50)}))
    assert causes(many, max_members=49) == ["refused: more than 49 members"]
    assert causes(many, max_unpacked_bytes=1024) == []
    big = write(tmp_path / "big.zip", zipped({f"{n}.txt": os.urandom(600) for n in range(2)}))
    assert causes(big, max_unpacked_bytes=1024) == ["refused: unpacks to more than 1,024 bytes"]


def docx_cause(content: bytes) -> str:
    with pytest.raises(ValueError) as caught:
        docx_to_text(io.BytesIO(content), LIMITS)
    return str(caught.value)


def test_a_zip_that_lies_about_its_sizes_gives_no_more_than_it_says(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.txt": b"x" * 5000, "b.txt": b"good"}))
    content[22:26] = (10).to_bytes(4, "little")
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = (10).to_bytes(4, "little")
    found = items(write(tmp_path / "x.zip", bytes(content)))
    assert all(len(item.body) <= 10 for item in found if isinstance(item, Page))
    assert any(isinstance(item, Page) and item.body == b"good" for item in found)


def test_links_in_archives_are_told_and_not_followed(tmp_path: Path) -> None:
    content = tarred({"good.txt": b"good"}, links={"passwd.txt": "/etc/passwd"})
    found = items(write(tmp_path / "x.tar.gz", content))
    assert [item.cause for item in found if isinstance(item, Lost)] == ["a link inside an archive"]
    linked = io.BytesIO()
    with zipfile.ZipFile(linked, "w") as archive:
        info = zipfile.ZipInfo("passwd.txt")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("good.txt", "good")
    assert causes(write(tmp_path / "x.zip", linked.getvalue())) == ["a link inside an archive"]


def test_a_link_that_leads_out_of_the_folder_is_refused_and_one_inside_is_read(tmp_path: Path) -> None:
    outside = write(tmp_path / "secret.txt", b"secret")
    folder = write(tmp_path / "docs/good.txt", b"good").parent
    (folder / "inside.txt").symlink_to(folder / "good.txt")
    (folder / "outside.txt").symlink_to(outside)
    found = {source.name: list(read_source(source, 1 << 20, LIMITS)) for source in find_sources([str(folder)])}
    assert [item.cause for item in found.pop("outside.txt") if isinstance(item, Lost)] == [
        "refused: a link that points outside the folder"
    ]
    assert all(isinstance(item, Page) and item.body == b"good" for [item] in found.values()) and len(found) == 2
    assert not find_sources([str(folder / "outside.txt")])[0].refused  # named by the user


def test_what_leads_nowhere_is_named_and_the_other_files_are_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "docs/good.txt", b"good").parent
    (folder / "gone.md").symlink_to("nowhere")
    (folder / "round.md").symlink_to("round.md")
    (folder / "folder.txt").mkdir()
    os.mkfifo(folder / "pipe.md")
    found = {source.name: source.refused for source in find_sources([str(folder)])}
    assert found == {
        "good.txt": "",
        "gone.md": "refused: a link that leads nowhere",
        "round.md": "refused: a link that leads nowhere",
        "pipe.md": "refused: a pipe",
    }


def test_a_damaged_archive_keeps_what_stood_before(tmp_path: Path) -> None:
    content = tarred({f"{n}.txt": os.urandom(4000) for n in range(40)}, mode="w:gz")
    found = items(write(tmp_path / "x.tar.gz", content[:-20_000]))
    assert isinstance(found[-1], Lost) and "damaged" in found[-1].cause
    flipped = bytearray(zipped({"a.txt": "a" * 1000, "b.txt": "good"}))
    flipped[40:44] = bytes(4)
    found = items(write(tmp_path / "x.zip", bytes(flipped)))
    assert isinstance(found[0], Lost) and isinstance(found[1], Page)


@pytest.mark.parametrize("content", [b"PK\x03\x04 rubbish", b"rubbish"])
def test_what_is_no_archive_is_the_users_mistake_if_it_is_all(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UserError, match=r"no pages in input .*x.zip: (damaged|not an) archive"):
        find_sources([str(write(tmp_path / "x.zip", content))])


def test_kinds_by_name() -> None:
    names = {"a.PDF": "pdf", "b.jsonl.gz": "jsonl", "c.warc.gz": "warc", "d.tar.gz": "archive", "e.v2.txt": "text"}
    assert {name: kind_of_name(name) for name in names} == names
    assert kind_of_name("LICENSE") == "other" and kind_of_name("x.d/readme") == "other"
