"""A folder of documents through the whole corpus stage: the same kinds that `glassmill add` takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from glassmill.corpus.document import documents
from tests.corpus.pages import article, record
from tests.corpus.papers import docx, epub, jsonl, parquet, pdf, tarred, zipped
from tests.corpus.test_corpus import build, quarantine


def prose(seed: int) -> str:
    """Text that every filter keeps."""
    return article(seed).split("<article>")[1].split("<p></p>")[0].replace("<p>", "").replace("</p>", "\n").strip()


def fill(folder: Path) -> Path:
    """Documents of ten kinds, each with a text of its own, and three files that cannot be read."""
    folder.mkdir()
    texts = [prose(number) for number in range(9)]
    lines = [line for paragraph in texts[0].splitlines() for line in _halves(paragraph)]
    (folder / "paper.pdf").write_bytes(pdf([lines[:10], lines[10:]]))
    (folder / "letter.docx").write_bytes(docx(texts[1].splitlines()))
    (folder / "book.epub").write_bytes(epub({"one.xhtml": article(2)}))
    (folder / "rows.jsonl").write_bytes(jsonl([{"text": texts[3], "url": "http://rows.example/3"}]))
    parquet(folder / "rows.parquet", [{"content": texts[4]}])
    (folder / "notes.md").write_text(texts[5])
    (folder / "page.html").write_text(article(6))
    (folder / "bundle.zip").write_bytes(zipped({"inside.txt": texts[7]}))
    (folder / "bundle.tar.gz").write_bytes(tarred({"inside.txt": texts[8].encode()}))
    (folder / "web.warc.gz").write_bytes(record("http://good.example/9", article(9)))
    (folder / "locked.pdf").write_bytes(b"%PDF-1.4 rubbish")
    (folder / "evil.zip").write_bytes(zipped({"../evil.txt": "evil"}))
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


def _halves(line: str) -> list[str]:
    words = line.split()
    return [" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folder")
    build(folder / "run", [fill(folder / "docs")])
    return folder / "run"


def test_a_folder_of_every_kind_becomes_documents_and_what_cannot_be_read_is_told(run: Path) -> None:
    assert {document.url for document in documents(run)} == {
        "paper.pdf",
        "letter.docx",
        "book.epub/OEBPS/one.xhtml",
        "http://rows.example/3",
        "rows.parquet#0",
        "notes.md",
        "page.html",
        "bundle.zip/inside.txt",
        "bundle.tar.gz/inside.txt",
        "http://good.example/9",
    }
    causes = {entry["source"]: entry["cause"].partition(":")[0] for entry in quarantine(run)}
    assert causes == {
        "locked.pdf": "damaged PDF",
        "evil.zip": "refused",
        "photo.jpg": "unsupported file type",
    }


def test_the_documents_of_one_run_are_inputs_of_another(run: Path, tmp_path: Path) -> None:
    build(tmp_path / "second", [run])
    first, second = ({document.url: document.text for document in documents(one)} for one in (run, tmp_path / "second"))
    assert first == second
