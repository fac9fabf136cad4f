"""Long documents become several, cut at their own sections: nothing is lost or too long, and each says where."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.corpus.chain import Chain
from glassmill.corpus.document import Lost, Page
from glassmill.corpus.judge.language import detect_whole, judge_language
from glassmill.corpus.read.files.plain import text_chunks, text_lines
from glassmill.corpus.read.files.sections import Section, cut, pieces, sections_of_lines, slug
from glassmill.corpus.read.sources import read_pages
from glassmill.errors import UnreadableError
from glassmill.recipe import CorpusSettings, FilesSettings, LanguageSettings, find_recipe, load_recipe
from tests.corpus.offices import odf, pptx, xlsx
from tests.corpus.papers import docx, epub, jsonl, pdf

OWN = load_recipe(find_recipe("documents")).corpus
LINE = "The mill stands by the river and turns all day long, whatever the weather may be like. "


def pages(path: Path, content: bytes, most: int = 1000) -> list[Page]:
    path.write_bytes(content)
    found = list(read_pages(path, path.name, files=FilesSettings(split_characters=most)))
    assert not any(isinstance(one, Lost) for one in found)
    return [one for one in found if isinstance(one, Page)]


@given(st.lists(st.text(alphabet="ab. \n", max_size=60), max_size=12), st.integers(5, 50))
def test_pieces_hold_every_character_once_and_are_not_too_long(texts: list[str], most: int) -> None:
    found = list(pieces([Section(text, text[:3]) for text in texts], most))
    assert "".join(piece.text for piece in found) == "".join(texts)
    assert all(len(piece.text) <= most for piece in found)
    assert len({piece.anchor for piece in found}) == len(found)
    whole = list(pieces([Section(text, text[:3]) for text in texts], 0))
    assert [piece.text for piece in whole] == ["".join(texts)] and not whole[0].anchor


def test_a_piece_ends_where_a_reader_would_pause() -> None:
    for text, end in (
        ("a" * 60 + "\n\n" + "b. " * 20, "\n\n"),
        ("a" * 60 + "\n" + "b. " * 20, "\n"),
        ("Yes. " * 20 + "no " * 30, ". "),
        ("word " * 40, " "),
    ):
        assert next(cut(text, 100)).endswith(end)
    assert [len(part) for part in cut("x" * 250, 100)] == [100, 100, 50]


def test_what_was_read_before_an_error_is_kept() -> None:
    def broken() -> object:
        yield Section("one ")
        yield Section("two ")
        raise UnreadableError("damaged")

    found: list[str] = []
    with pytest.raises(UnreadableError, match="damaged"):
        found += [piece.text for piece in pieces(broken(), 0)]  # type: ignore[arg-type]
    for piece_size in (0, 5):
        found, gathered = [], pieces(broken(), piece_size)  # type: ignore[arg-type]
        with pytest.raises(UnreadableError):
            while True:
                found.append(next(gathered).text)
        assert "".join(found) == "one two "


MARKUPS = {
    "markdown": "# One\n\ntext\n\n```\n# no heading\n```\n\nTwo\n---\n\ntext\n\n### Three ###\n",
    "rst": "One\n===\n\ntext\n\nTwo\n~~~\n\ntext\n\nThree\n-----\n\ntext\n",
    "asciidoc": "= One\n\ntext\n\n== Two\n\ntext\n\n=== Three\n",
    "latex": "\\section{One}\ntext\n\\subsection*{Two}\ntext\n\\chapter[short]{Three}\n",
    "man": ".SH One\ntext\n.SS \"Two\"\ntext\n.Sh Three\n",
    "texinfo": "@chapter One\ntext\n@section Two\ntext\n@unnumbered Three\n",
    "org": "* One\ntext\n** Two\ntext\n*** Three\n",
    "wiki": "= One =\ntext\n== Two ==\ntext\n=== Three ===\n",
    "text": "Intro\n\n1. One\ntext 5 apples\n\n1.2 Two\n\nThree\n=====\n\ntext\n",
}  # fmt: skip


@pytest.mark.parametrize("markup", MARKUPS)
def test_the_headings_of_each_markup(markup: str) -> None:
    found = list(sections_of_lines(MARKUPS[markup].splitlines(keepends=True), markup))
    assert "".join(section.text for section in found) == MARKUPS[markup]
    titles = [section.title for section in found if section.title]
    assert [title.lstrip("0123456789. ") for title in titles] == ["One", "Two", "Three"]


def test_a_long_manual_in_markdown_is_cut_at_its_headings(tmp_path: Path) -> None:
    text = "".join(f"## Chapter {n}: wheels\n\n{LINE * 8}\n\n" for n in range(5))
    found = pages(tmp_path / "guide.md", text.encode())
    assert [(page.url, page.section) for page in found] == [
        (f"guide.md#chapter-{n}-wheels", f"Chapter {n}: wheels") for n in range(5)
    ]
    assert {page.source for page in found} == {"guide.md"}
    same = pages(tmp_path / "same.md", f"# Notes\n\n{LINE * 9}\n\n# Notes\n\n{LINE * 9}".encode())
    assert [page.url for page in same] == ["same.md#notes", "same.md#notes-2"]
    assert [page.url for page in pages(tmp_path / "short.md", b"# Notes\n\nshort")] == ["short.md"]


def test_a_long_pdf_names_the_page_and_joins_paragraphs_across_pages(tmp_path: Path) -> None:
    names = ("oak", "elm", "ash", "fir", "yew", "box")
    made = pdf([[*[f"{tree} {LINE}".strip()] * 9, f"So {tree}.", f"Page {n + 1}"] for n, tree in enumerate(names)])
    found = pages(tmp_path / "manual.pdf", made)
    assert [page.url for page in found][:2] == ["manual.pdf#page=1", "manual.pdf#page=2"]
    assert [page.section for page in found][:2] == ["page 1", "page 2"]
    assert sum(page.body.count(b"whatever") for page in found) == 54
    broken = pdf([["a line of text that is long enough to go on, in one"], ["sentence, to the next page of it."]])
    (whole,) = pages(tmp_path / "short.pdf", broken)
    assert b"in one sentence, to" in whole.body and whole.url == "short.pdf"


def test_slides_sheets_headings_and_chapters_are_places(tmp_path: Path) -> None:
    deck = pages(tmp_path / "a.pptx", pptx([(f"Topic {n}", LINE * 8, "") for n in range(3)]))
    assert [(page.url, page.section) for page in deck] == [(f"a.pptx#slide={n + 1}", f"Topic {n}") for n in range(3)]
    row = f"<row><c t='inlineStr'><is><t>{LINE * 8}</t></is></c></row>"
    book = pages(tmp_path / "a.xlsx", xlsx({"One": row, "Two": row}, []))
    assert [(page.url, page.section) for page in book] == [("a.xlsx#sheet=One", "One"), ("a.xlsx#sheet=Two", "Two")]
    paper = "".join(f"<text:h>Part {n}</text:h><text:p>{LINE * 8}</text:p>" for n in range(2))
    found = pages(tmp_path / "a.odt", odf(f"<office:text>{paper}</office:text>"))
    assert [page.url for page in found] == ["a.odt#part-0", "a.odt#part-1"]
    heading = "</w:t></w:r></w:p><w:p><w:pPr><w:pStyle w:val='Heading1'/></w:pPr><w:r><w:t>"
    word = docx([f"{heading}Part {n}</w:t></w:r></w:p><w:p><w:r><w:t>{LINE * 8}" for n in range(2)])
    assert [page.url for page in pages(tmp_path / "a.docx", word)] == ["a.docx#part-0", "a.docx#part-1"]
    rows = pages(tmp_path / "a.jsonl", jsonl([{"text": LINE * 20}, {"text": "short"}]))
    assert [page.url for page in rows] == ["a.jsonl#0&part", "a.jsonl#0&part-2", "a.jsonl#1"]


def test_a_long_page_of_html_becomes_documents_by_its_headings(tmp_path: Path) -> None:
    body = "".join(f"<h2>Wheel&nbsp;{n}</h2><p>{LINE * 8}</p>" for n in range(4))
    settings = OWN.model_copy(update={"files": FilesSettings(split_characters=1000)})
    (page,) = pages(tmp_path / "a.html", f"<html><body>{body}</body></html>".encode())
    found = list(Chain(settings).documents(page))
    assert [(one.url, one.section) for one in found] == [(f"a.html#wheel-{n}", f"Wheel {n}") for n in range(4)]
    assert len({one.id for one in found}) == 4 and not any(one.rule for one in found)
    (chapter,) = pages(tmp_path / "a.epub", epub({"one.xhtml": f"<h1>One</h1>{body}"}))
    assert [one.url for one in Chain(settings).documents(chapter)][1] == "a.epub/OEBPS/one.xhtml#wheel-1"


def test_a_text_is_read_in_chunks_whatever_its_line_ends_and_encoding(tmp_path: Path) -> None:
    chance = random.Random(5)
    for encoding in ("utf-8", "cp1252", "utf-16", "shift_jis"):
        letters = "水車小屋\n" if encoding == "shift_jis" else "größe straße\n"
        text = "".join(chance.choice((letters, "a\r\n", "b\r", "\n", "word " * 50)) for _ in range(60_000))
        path = tmp_path / "a.txt"
        path.write_bytes(text.encode(encoding))
        plain = text.replace("\r\n", "\n").replace("\r", "\n")
        assert "".join(text_chunks(path)) == plain == "".join(text_lines(path))


def test_binary_data_in_the_middle_ends_a_text_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"words and more words\n" * 50_000 + random.Random(1).randbytes(1 << 20))
    items = list(read_pages(path, "a.txt", files=FilesSettings(split_characters=30_000)))
    assert isinstance(items[-1], Lost) and items[-1].cause.startswith("not text from byte ")
    assert sum(len(one.body) for one in items if isinstance(one, Page)) > 700_000


def test_without_a_bound_documents_stay_whole_and_too_large_ones_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(LINE * 1000)
    assert [one.url for one in pages(path, path.read_bytes(), 0)] == ["a.txt"]
    (lost,) = read_pages(path, "a.txt", 10_000)
    assert isinstance(lost, Lost) and lost.cause == "file too large: 87000 bytes, over the limit of 10000"


GERMAN = "Die alte Mühle steht am Fluss, und jeden Morgen öffnet der Müller die Tür und sieht nach dem Wasser. "


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (GERMAN * 20 + LINE * 60, "en"),  # a title page in another language
        (GERMAN * 60 + LINE * 20, "de"),
        ("x = {1: 2}; y[3] += 4 * (5 - 6);\n" * 200 + LINE * 12, "en"),
        ("1 2 3 4 | 5 6 7 8\n" * 500, ""),
        ("", ""),
        ("水車小屋は川のそばにあり、毎朝、粉屋が扉を開けて水を見に行く。" * 30, "ja"),
        ("यह चक्की नदी के किनारे है और हर सुबह चक्की वाला दरवाज़ा खोलता है। " * 30, "hi"),
    ],
)
def test_the_language_of_a_text_is_that_of_most_of_its_letters(text: str, language: str) -> None:
    assert detect_whole(text, 500)[0] == language
    wanted = LanguageSettings(whole=True, characters=500, languages=("en",))
    verdict = judge_language(text, wanted)[2]
    assert (verdict is None) == (language in ("en", ""))
    assert judge_language(text, wanted.model_copy(update={"languages": ()}))[2] is None


def test_anchors_are_those_of_web_pages() -> None:
    assert [slug(title) for title in ("Getting started!", "3.2  Größe & Zahl", "???")] == [
        "getting-started", "3-2-größe-zahl", "",
    ]  # fmt: skip


def test_the_profile_for_own_documents_switches_off_only_the_rules_for_crawls() -> None:
    assert not any(
        getattr(OWN, name).enabled for name in ("url", "gopher_repetition", "gopher_quality", "c4", "fineweb")
    )
    assert OWN.dedup.enabled and OWN.pii.enabled and OWN.language.whole and OWN.files.split_characters
    assert CorpusSettings().files.split_characters == 0 and CorpusSettings().gopher_quality.enabled
