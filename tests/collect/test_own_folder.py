"""The first hour of a team with its own folder: `add`, `init`, `plan`, `run`; the text stays, every loss is named."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from glassmill.corpus.document import documents
from glassmill.corpus.look.why import why
from glassmill.recipe import load_recipe
from tests.corpus.offices import eml, notebook, odf, pptx, xlsx
from tests.corpus.papers import docx, epub, jsonl, pdf, zipped
from tests.corpus.test_corpus import build
from tests.corpus.test_folder import prose
from tests.line import SMALL, glassmill

pytestmark = pytest.mark.slow

GERMAN = "Die alte Mühle steht am Fluss, und jeden Morgen öffnet der Müller die Tür und sieht nach dem Wasser. "
COMMANDS = "# mill --grind FLOUR   { grind; }\n$ mill -v 3\n- option: value\n" * 30
"""What no rule for crawled prose keeps."""


def texts() -> dict[str, str]:
    """File -> its text."""
    names = ("a.md", "b.rst", "c.txt", "d.docx", "e.pdf", "f.pptx", "g.xlsx", "h.odt", "i.rtf", "j.eml", "k.ipynb",
             "l.csv", "m.html", "n.epub", "o.adoc", "p.py", "q.json", "r.xml")  # fmt: skip
    return {name: re.sub(r"[^\w\s.]", "", prose(100 + number)) for number, name in enumerate(names)}


def fill(folder: Path) -> dict[str, str]:
    """A folder of one document of each kind, a manual that is long, and files that cannot be read; the texts."""
    folder.mkdir()
    known = texts()
    lines = {name: text.splitlines() for name, text in known.items()}
    cells = "".join(f"<row><c t='inlineStr'><is><t>{line}</t></is></c></row>" for line in lines["g.xlsx"])
    paragraphs = "".join(f"<text:p>{line}</text:p>" for line in lines["h.odt"])
    contents: dict[str, bytes] = {
        **{name: text.encode() for name, text in known.items()},
        "d.docx": docx(lines["d.docx"]),
        "e.pdf": pdf([re.findall(r".{1,80}(?:\s|$)", " ".join(lines["e.pdf"]))]),
        "f.pptx": pptx([("A topic", line, "") for line in lines["f.pptx"]]),
        "g.xlsx": xlsx({"One": cells}, []),
        "h.odt": odf(f"<office:text>{paragraphs}</office:text>"),
        "i.rtf": b"{\\rtf1 " + b"\\par ".join(line.encode() for line in lines["i.rtf"]) + b"}",
        "j.eml": eml("A letter", known["j.eml"]),
        "k.ipynb": notebook(("markdown", known["k.ipynb"], "")),
        "m.html": f"<html><body>{''.join(f'<p>{line}</p>' for line in lines['m.html'])}</body></html>".encode(),
        "n.epub": epub({"one.xhtml": "".join(f"<p>{line}</p>" for line in lines["n.epub"])}),
        "r.xml": f"<a>{''.join(f'<p>{line}</p>' for line in lines['r.xml'])}</a>".encode(),
    }
    known["commands.txt"], known["german.txt"] = COMMANDS, GERMAN * 12
    manual = "".join(f"## Chapter {number}\n\n{prose(number)}\n\n" for number in range(200, 230))
    known["manual.md"] = manual
    for name in ("commands.txt", "german.txt", "manual.md"):
        contents[name] = known[name].encode()
    contents |= {
        "broken.docx": b"PK\x03\x04 rubbish",
        "photo.jpg": b"\xff\xd8\xff\xe0",
        "letter.doc": b"\xd0\xcf" + bytes(99),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return known


def run(*words: str) -> Any:
    done = glassmill(*words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if "--json" in words else done.stdout


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("own")
    truth = fill(root / "docs")
    added = run("add", str(root / "docs"), "--yes", "--json", "--runs", str(root / "runs"))
    said = run("init", str(root / "own.toml"), "--input", added["run"])
    assert "your own documents" in said
    near = "corpus.dedup.near=false"  # all these texts are made of the same few sentences
    report = run("run", str(root / "own.toml"), near, "--until", "corpus", "--json", "--runs", str(root / "runs"))
    corpus = root / "runs" / report["runs"]["corpus"]
    return {"root": root, "truth": truth, "added": Path(added["run"]), "inventory": added, "corpus": corpus,
            "report": report}  # fmt: skip


def test_nearly_all_text_of_every_file_stays_under_its_own_name(known: dict[str, Any]) -> None:
    found: dict[str, Counter[str]] = {}
    for document in documents(known["corpus"]):
        found.setdefault(document.source, Counter()).update(re.findall(r"\w+", document.text))
    for name, text in known["truth"].items():
        wanted = Counter(re.findall(r"\w+", text))
        assert (wanted & found[name]).total() >= 0.9 * wanted.total(), name
    assert found.keys() == known["truth"].keys(), "the source is the user's file"


def test_a_long_manual_is_several_documents_that_say_where_they_are_from(known: dict[str, Any]) -> None:
    parts = [document for document in documents(known["corpus"]) if document.source == "manual.md"]
    bound = load_recipe(known["root"] / "own.toml").corpus.files.split_characters
    assert len(parts) > 1 and all(len(part.text) <= bound for part in parts)
    assert parts[1].url.startswith("manual.md#chapter-") and parts[1].section.startswith("Chapter ")


def test_the_inventory_and_the_funnel_add_up_in_characters(known: dict[str, Any]) -> None:
    kinds, funnel = known["inventory"]["kinds"], known["report"]["funnel"]
    assert sum(row["characters"] for row in kinds.values()) == known["inventory"]["characters"]
    assert {
        "markdown",
        "docx",
        "pptx",
        "xlsx",
        "odf",
        "rtf",
        "eml",
        "ipynb",
        "csv",
        "code",
        "json",
        "xml",
    } <= kinds.keys()
    for above, below in pairwise(funnel[2:]):
        assert above["characters_out"] == below["characters_in"]
        assert above["characters_in"] - above["characters_out"] == sum(above["dropped_characters"].values()) or (
            above["step"] in ("c4", "pii")
        )
    assert funnel[2]["characters_in"] == known["inventory"]["characters"]
    assert funnel[-1]["characters_out"] == sum(len(document.text) for document in documents(known["corpus"]))


@pytest.mark.parametrize(
    ("name", "cause"),
    [("broken.docx", "not a DOCX file"), ("photo.jpg", "pictures are not read"), ("letter.doc", "save it as .docx")],
)
def test_why_names_what_add_set_aside_from_the_corpus_and_from_add(
    known: dict[str, Any], name: str, cause: str
) -> None:
    for place in (known["corpus"], known["added"]):
        for word in (name, str(known["root"] / "docs" / name)):
            (way,) = why(place, word)
            assert (way.end, way.source) == ("quarantined", name) and cause in way.steps[0][1][0].detail


def test_why_finds_a_file_by_its_name_and_by_its_path(known: dict[str, Any]) -> None:
    for word in ("a.md", str(known["root"] / "docs" / "a.md")):
        (way,) = why(known["corpus"], word)
        assert (way.end, way.url) == ("kept", "a.md")
    assert len(why(known["corpus"], "manual.md")) > 1
    (way,) = why(known["added"], "a.md")
    assert [step for step, _ in way.steps] == ["read", "extract"]


def test_people_are_told_when_less_than_half_of_their_text_stays(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "good.txt").write_text(prose(1))
    for number in range(4):
        (tmp_path / "docs" / f"{number}.txt").write_text(GERMAN * (9 + number))
    build(tmp_path / "web", [tmp_path / "docs"])
    events = [json.loads(line) for line in (tmp_path / "web" / "events.jsonl").read_text().splitlines()]
    (warning,) = [event["text"] for event in events if event["kind"] == "warning"]
    assert re.match(r"only \d+% of the text stays .* most was taken by language/not_wanted \d+%", warning)
    build(tmp_path / "own", [tmp_path / "docs"], "corpus.language.languages=[]", "corpus.gopher_quality.enabled=false",
          "corpus.gopher_repetition.enabled=false", "corpus.fineweb.enabled=false", "corpus.c4.enabled=false",
          "corpus.dedup.near=false")  # fmt: skip
    assert '"warning"' not in (tmp_path / "own" / "events.jsonl").read_text()


def test_init_chooses_the_profile_by_the_inputs(known: dict[str, Any], tmp_path: Path) -> None:
    from glassmill.commands.init import profile_of

    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl" / "a.warc.gz").write_bytes(b"")
    for inputs, profile in (
        ((str(known["added"]),), "documents"),
        ((str(known["root"] / "docs"),), "documents"),
        ((str(tmp_path / "crawl"),), "web"),
        ((str(tmp_path / "crawl" / "*.gz"),), "web"),
        ((str(tmp_path / "crawl"), str(known["root"] / "docs" / "a.md")), "documents"),
        ((), "web"),
    ):
        assert profile_of(inputs) == profile, inputs


def test_a_folder_becomes_a_model(known: dict[str, Any], tmp_path: Path) -> None:
    """The four commands and training, on a folder with an archive of rows beside the documents."""
    (known["root"] / "docs" / "more.zip").write_bytes(zipped({"rows.jsonl": jsonl([{"title": "x", "body": prose(7)}])}))
    added = run("add", str(known["root"] / "docs"), "--yes", "--json", "--runs", str(tmp_path / "runs"))
    recipe = str(tmp_path / "own.toml")
    run("init", recipe, "--input", added["run"])
    small = [word for word in SMALL if not word.startswith(("miniweb", "sft"))]
    assert "tokens" in run("plan", recipe)
    report = run("run", recipe, *small, "--json", "--runs", str(tmp_path / "runs"))
    assert report["val_bpb"] > 0 and (tmp_path / "runs" / report["model"] / "config.json").is_file()
