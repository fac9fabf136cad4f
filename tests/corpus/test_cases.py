"""The inputs of `../shared/cases` that fall to reading, where that folder exists; the project's own tables are elsewhere
(test_bodies, test_encoding, test_arc, tests/test_textfiles)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from glassmill.corpus.document import Lost, Page
from glassmill.corpus.extract.encoding import decode
from glassmill.corpus.read.sources import read_pages
from glassmill.tokens.textfiles import named_texts

CASES = Path(__file__).parents[3] / "shared" / "cases"
FRAMING = re.compile(rb"(?m)^\s*0*[0-9a-fA-F]{1,6}\s*$")

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no ../shared/cases beside the checkout")


def pages_of(path: Path) -> list[Page]:
    items = list(read_pages(path, path.name))
    assert not [item for item in items if isinstance(item, Lost)]
    return [item for item in items if isinstance(item, Page)]


def files(case: str, pattern: str) -> list[Path]:
    return sorted((CASES / case).glob(pattern))


@pytest.mark.parametrize("path", files("chunked-without-its-end", "*.warc.gz"), ids=lambda path: path.name)
def test_chunked_without_its_end(path: Path) -> None:
    (page,) = pages_of(path)
    (sound,) = pages_of(path.parent / "ok.warc.gz")
    assert not FRAMING.search(page.body) and page.body.startswith(sound.body[:15])
    assert "cut" in path.name or page.body.endswith(b"</html>")


@pytest.mark.parametrize("path", files("east-asian-windows-letters", "*.warc.gz"), ids=lambda path: path.name)
def test_east_asian_windows_letters(path: Path) -> None:
    (page,) = pages_of(path)
    text, encoding = decode(page.body, page.charset)
    assert "\ufffd" not in text and not encoding.startswith(("windows-125", "iso-8859"))


@pytest.mark.parametrize("path", files("plain-arc-over-64k", "*.arc"), ids=lambda path: path.name)
def test_plain_arc_over_64k(path: Path) -> None:
    assert len(pages_of(path)) == int(path.stem.rpartition("-")[2])


def test_crawlers_own_log() -> None:
    for path in files("crawlers-own-log", "*.warc.gz"):
        assert [page.url for page in pages_of(path) if page.kind != "other"] == ["https://mill.example/"]
        assert len(list(named_texts(path))) == 1


@pytest.mark.parametrize("path", files("windows-text-files", "*.txt"), ids=lambda path: path.name)
def test_windows_text_files(path: Path) -> None:
    text = "".join(text for _, text in named_texts(path))
    assert text == "".join(text for _, text in named_texts(path.parent / "plain.txt"))


@pytest.mark.parametrize("path", files("windows-text-files", "*.jsonl"), ids=lambda path: path.name)
def test_windows_jsonl_files(path: Path) -> None:
    texts = [text for _, text in named_texts(path)]
    assert texts and not any(letter in text for text in texts for letter in "\0\ufffd\ufeff")
