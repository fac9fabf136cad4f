"""`corpus.exclude`: what it names is recorded as dropped, and no sentence of it is in any artefact."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from glassmill.corpus.document import documents
from glassmill.corpus.exclude import Exclusion
from glassmill.corpus.look.why import why
from glassmill.errors import UserError
from glassmill.pipeline import run_line
from glassmill.recipe import find_recipe, load_recipe
from glassmill.run.events import Entry
from glassmill.run.kinds import Warned
from glassmill.search.index import open_index
from glassmill.tokens.suffixes import build
from glassmill.tokens.tokenizer import Tokenizer
from tests.corpus.pages import record
from tests.corpus.papers import zipped

WORDS = ("amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jetty", "kelp", "lagoon")
TAKEN = ("path", "name", "glob", "digest", "listed", "member", "page", "text", "stored")
"""Documents that are taken out, each by another kind of entry."""
KEPT = ("one", "two", "three", "four", "five", "six")


def prose(name: str) -> str:
    """Forty sentences that no other document has."""
    chance = random.Random(name)
    return "\n".join(
        f"In the {name} report, {' '.join(chance.choices(WORDS, k=9))} came to {chance.randrange(10**6)} in all."
        for _ in range(40)
    )


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exclude") / "docs"
    folder.mkdir()
    for name in (*TAKEN, *KEPT):
        if name not in ("member", "page"):
            (folder / f"{name}.txt").write_text(prose(name))
    (folder / "text.txt").write_text(prose("text") + "\nWrite to ana@old-mill.museum.")
    (folder / "box.zip").write_bytes(zipped({"in/member.txt": prose("member"), "in/stays.txt": prose("stays")}))
    pages = {
        name: f"<html><body><article><h1>{name}</h1><p>{prose(name)}</p></article></body></html>"
        for name in ("page", "other")
    }
    (folder / "web.warc.gz").write_bytes(
        b"".join(record(f"http://www.site.example/{name}/", body) for name, body in pages.items())
    )
    return folder


def mill(docs: Path, runs: Path, *settings: str, heard: list[str] | None = None) -> Path:
    """The line up to the ids, with both indexes; the corpus run."""
    small = ('stages=["corpus","tokenizer","tokens"]', "tokenizer.vocab_size=400", "corpus.workers=1")
    recipe = load_recipe(find_recipe("documents"), [f"corpus.inputs={json.dumps([str(docs)])}", *small, *settings])

    def hear(entry: Entry) -> None:
        if heard is not None and isinstance(entry.event, Warned):
            heard.append(entry.event.text)

    folders = run_line(recipe, runs, (hear,)).folders
    open_index(folders["corpus"]).close()
    build(folders["tokens"])
    return folders["corpus"]


def texts_under(runs: Path) -> Iterator[tuple[Path, str]]:
    """Every file of the runs as text: as it is, and as what it means."""
    tokenizer = Tokenizer.load(next(runs.glob("tokenizer/*")))
    for path in sorted(path for path in runs.rglob("*") if path.is_file()):
        content = path.read_bytes()
        yield path, content.decode("utf-8", "replace")
        if path.suffix == ".gz":
            yield path, gzip.decompress(content).decode("utf-8", "replace")
        elif path.suffix == ".parquet":
            yield path, "\n".join(str(row) for row in pq.read_table(path).to_pylist())
        elif path.suffix in (".json", ".jsonl"):
            for line in content.decode().splitlines() if path.suffix == ".jsonl" else [content.decode()]:
                yield path, str(json.loads(line))
        elif path.suffix == ".bin" and path.parent.name == "shards":
            yield path, tokenizer.decode(np.fromfile(path, "<u2").astype(np.uint32))
        elif path.suffix == ".sqlite":
            with sqlite3.connect(path) as database:
                yield path, "\n".join(database.iterdump())


def sentences_found(runs: Path, name: str) -> list[Path]:
    """The files that hold a sentence of a document, or half of one."""
    halves = [half for line in prose(name).splitlines() for half in (line[:40], line[-40:])]
    some = re.compile("|".join(map(re.escape, halves)))
    return [path for path, text in texts_under(runs) if some.search(text)]


@pytest.fixture(scope="module")
def before(docs: Path) -> Path:
    return mill(docs, docs.parent / "before")


def test_what_is_taken_out_leaves_no_sentence_in_any_artefact(docs: Path, before: Path) -> None:
    stored = {document.url: document.text for document in documents(before)}
    for name in TAKEN:
        found = {
            path.relative_to(before.parent.parent).parts[0] for path in sentences_found(before.parent.parent, name)
        }
        assert {"corpus", "tokens"} <= found, name  # where it is not taken out, it is found

    (docs.parent / "list.txt").write_text(f"# asked for on 3 May\n\n{docs / 'listed.txt'}\n")
    entries = [
        str(docs / "path.txt"),
        "name.txt",
        "gl*b.txt",
        digest(prose("digest")).upper(),
        "box.zip/in/member.txt",
        "https://SITE.example/page",
        digest(stored["text.txt"]),
        digest(stored["stored.txt"]),
        "misspelt.txt",
    ]
    heard: list[str] = []
    wanted = (
        f"corpus.exclude={json.dumps(entries)}",
        f"corpus.exclude_files={json.dumps([str(docs.parent / 'list.txt')])}",
    )
    runs = docs.parent / "after"
    corpus = mill(docs, runs, *wanted, heard=heard)

    assert {name: sentences_found(runs, name) for name in TAKEN} == {name: [] for name in TAKEN}
    kept = {document.url for document in documents(corpus)}
    assert kept == {f"{name}.txt" for name in KEPT} | {"box.zip/in/stays.txt", "http://www.site.example/other/"}
    dropped = {document.url: document for document in documents(corpus, dropped=True)}
    assert dropped.keys() == {f"{name}.txt" for name in TAKEN if name not in ("member", "page")} | {
        "box.zip/in/member.txt",
        "http://www.site.example/page/",
    }
    assert {document.rule for document in dropped.values()} == {"exclude/named"}
    assert not any(document.text or document.section for document in dropped.values())
    assert dropped["glob.txt"].detail == "gl*b.txt"
    assert [text for text in heard if "corpus.exclude" in text] == [
        "corpus.exclude: 'misspelt.txt' names no document of the inputs"
    ]
    (way,) = why(corpus, "name.txt")
    assert [step for step, _ in way.steps] == ["exclude"]
    (way,) = why(corpus, "one.txt")
    assert way.end == "kept" and way.steps[0][0] == "read"
    funnel = json.loads((corpus / "stats.json").read_text())["funnel"]
    assert funnel[0]["step"] == "exclude" and funnel[0]["in"] - funnel[0]["out"] == len(TAKEN)
    assert funnel[-1]["out"] == len(kept)


NAMED = [
    ("a.txt", "a.txt", True),
    ("a.txt", "b/a.txt", False),
    ("b/a.txt", "b/a.txt", True),
    ("./a.txt", "a.txt", True),
    ("a.pdf", "a.pdf#page=3", True),
    ("a.pdf#page=3", "a.pdf#page=3", True),
    ("a.pdf#page=3", "a.pdf#page=4", False),
    ("box.zip", "box.zip/a.txt", True),
    ("box.zip/in", "box.zip/in/a.txt", True),
    ("box", "box.zip/a.txt", False),
    ("*.txt", "in/a.txt", True),
    ("in/*", "in/b/a.txt", True),
    ("?.txt", "aa.txt", False),
    ("http://a.example/x", "https://www.A.example/x/", True),
    ("https://a.example/X", "http://a.example/x", False),
    ("https://a.example/", "http://a.example", True),
    ("https://a.example", "http://a.example/x", False),
    ("https://a.example/*", "http://a.example/x?y=1#z", True),
    ("http://a.example/x#two", "http://a.example/x", False),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "name", "is_named"), NAMED)
def test_what_an_entry_names(entry: str, name: str, is_named: bool) -> None:
    verdict = Exclusion([entry]).of_name(name)
    assert (verdict is not None) == is_named
    assert verdict is None or verdict.detail == entry


def test_a_list_that_cannot_be_read_is_told_before_anything_starts(docs: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="missing.txt"):
        mill(docs, tmp_path, 'corpus.exclude_files=["missing.txt"]')
    assert not (tmp_path / "corpus").exists()
