"""The audit: what it lists, that it verifies every file, and that nothing of a document is markup or text in it."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from glassmill.commands.papers import Audited, audit, card
from glassmill.errors import UserError
from glassmill.papers.chain import chain_of
from tests.corpus.test_exclude import prose
from tests.papers.conftest import HOSTILE, PRIVATE, Milled

pytestmark = pytest.mark.slow


def audited(milled: Milled, word: str | None = None) -> Audited:
    return audit(word or f"sft/{milled.folders['sft'].name}", milled.runs, None, False, lambda text: None)


def read(result: Audited) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(result["folder"]) / "audit.json").read_text())
    return found


def rows(result: Audited, name: str) -> list[dict[str, str]]:
    with (Path(result["folder"]) / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_audit_lists_every_document_with_where_it_is_from(milled: Milled) -> None:
    result = audited(milled)
    assert result["verified"] and not result["wrong"] and not result["not_known"]
    listed = {row["path or URL"]: row for row in rows(result, "documents.csv")}
    one = listed["one.txt"]
    assert one["sha256 of the file"] == hashlib.sha256((milled.docs / "one.txt").read_bytes()).hexdigest()
    assert one["sha256 of its text"] == hashlib.sha256(prose("one").encode()).hexdigest()
    assert int(one["bytes of text"]) == len(prose("one")) and one["date"].startswith("20")
    assert (listed["code.py"]["licence"], listed["code.py"]["stated in"]) == ("MIT", "the file LICENSE")
    page = listed["http://www.site.example/page"]
    assert (page["licence"], page["stated in"], page["date"][:10]) == ("CC-BY-SA-4.0", "rel=license", "2024-05-18")
    assert listed["two.txt"]["licence"] == ""
    assert listed["private.txt"]["personal data masked"] == "email 1; phone 1"
    assert [row["rule"] for row in rows(result, "dropped.csv")] == ["dedup/exact_duplicate"]
    (corpus,) = read(result)["corpora"]
    assert corpus["documents"] == len(listed) and sum(corpus["not_read"].values()) == 1
    assert corpus["personal_data"]["kinds"]["phone"] == {"pieces": 1, "documents": 1}
    assert {one["domain"] for one in corpus["largest_domains"]} == {"site.example", "other.example", "(local files)"}


def test_the_chain_leads_from_the_model_to_the_files(milled: Milled) -> None:
    parts = {part["stage"]: part for part in read(audited(milled))["chain"]}
    assert list(parts) == ["sft", "train", "tokens", "corpus", "tokenizer"]
    assert {one["argument"]: one["state"] for one in parts["sft"]["inputs"]} == {
        "base": "verified", "tokens": "verified", "sft.conversations": "verified",
    }  # fmt: skip
    assert parts["corpus"]["inputs"][0]["argument"] == "corpus.inputs"
    assert parts["train"]["settings"]["settings"]["steps"] == 3


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


FLIPPED: list[tuple[str, Callable[[Milled], Path], str]] = [
    ("an input file", lambda m: m.docs / "two.txt", "two.txt has other bytes"),
    ("an archive", lambda m: m.docs / "web.warc.gz", "web.warc.gz has other bytes"),
    ("conversations", lambda m: m.chats, "chats.jsonl has other bytes"),
    ("documents", lambda m: next(m.folders["corpus"].rglob("documents-*.parquet")), "documents-"),
    ("dropped pages", lambda m: next(m.folders["corpus"].rglob("dropped-*.parquet")), "dropped-"),
    ("token ids", lambda m: next(m.folders["tokens"].rglob("*.bin")), ".bin has other bytes"),
    ("the vocabulary", lambda m: m.folders["tokenizer"] / "tokenizer.json", "tokenizer.json has other bytes"),
    ("weights", lambda m: m.folders["sft"] / "model" / "model.safetensors", "model.safetensors has other bytes"),
    ("the card", lambda m: m.folders["sft"] / "model" / "README.md", "README.md has other bytes"),
    ("the list of inputs", lambda m: m.folders["corpus"] / "inputs.jsonl", "inputs.jsonl"),
]


@pytest.mark.parametrize(("what", "which", "told"), FLIPPED, ids=[one[0] for one in FLIPPED])
def test_a_flipped_bit_anywhere_shows_up(milled: Milled, what: str, which: Callable[[Milled], Path], told: str) -> None:
    if what == "the list of inputs":
        path = which(milled)
        path.write_text(path.read_text().replace('"one.txt"', '"two.txt"', 1))
    else:
        flip(which(milled))
    chain = chain_of(f"sft/{milled.folders['sft'].name}", milled.runs, verify=True)
    says = [one.says for part in chain.parts for one in (part, *part.inputs) if one.state == "changed"]
    assert not chain.whole and any(told in one for one in says), says


def test_of_a_damaged_corpus_nothing_is_read(milled: Milled) -> None:
    flip(next(milled.folders["corpus"].rglob("documents-*.parquet")))
    result = audited(milled)
    assert not result["verified"] and any("its documents were not read" in one for one in result["not_known"])
    assert read(result)["corpora"] == []
    with pytest.raises(UserError, match="has other bytes than were written"):
        card(str(milled.folders["sft"]), milled.runs, None, False, lambda text: None)


def test_what_is_gone_or_from_elsewhere_is_told(milled: Milled, tmp_path: Path) -> None:
    (milled.docs / "three.txt").unlink()
    assert any("three.txt is missing" in one for one in audited(milled)["wrong"])
    shutil.rmtree(milled.folders["corpus"])
    result = audited(milled)
    assert any("no run of corpus here has this content" in one for one in result["not_known"])
    assert "no corpus is here, so nothing is known of the documents" in result["not_known"]
    model = tmp_path / "elsewhere"
    shutil.copytree(milled.folders["train"] / "model", model)
    (model / "glassmill.json").write_text('{"imported_from": "somewhere.gguf"}')
    told = audited(milled, str(model))["not_known"]
    assert any("imported from somewhere.gguf: what it was trained on is not known here" in one for one in told)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [f"{name}={value}" for name, value in attrs if name in ("src", "href", "onerror", "action")]


def test_the_page_asks_for_nothing_and_obeys_no_document(milled: Milled) -> None:
    result = audited(milled)
    html = (Path(result["folder"]) / "audit.html").read_text()
    page = Page()
    page.feed(html)
    assert "with the bytes that were written or read.</p>" in html
    assert not page.addresses and not page.tags & {"script", "img", "link", "iframe", "object", "form"}
    assert "&lt;img src=x onerror=alert(1)&gt;.txt" in html and HOSTILE not in html


def test_neither_texts_nor_personal_data_are_in_the_papers(milled: Milled) -> None:
    folder = Path(audited(milled)["folder"])
    for path in folder.iterdir():
        text = path.read_text()
        assert not any(one in text for one in PRIVATE), path
        assert not any(line in text for name in ("one", "private", "page") for line in prose(name).splitlines()), path
