"""The index finds what stands in the documents, says where, and holds nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from glassmill.commands.search import found_tables, search
from glassmill.corpus.document import documents
from glassmill.errors import UserError
from glassmill.run.finished import SEARCH, run_damage
from glassmill.search.index import FILE, open_index
from tests.line import glassmill
from tests.search.make import MANUALS, corpus_run

QUESTIONS = (
    "How long does rye need in the oven?",
    "What does --dry-run do?",
    "when is the sluice shut",
    "How often are millstones dressed?",
    "salt",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus_run(tmp_path_factory.mktemp("search") / "corpus" / "manuals-aaaaaa", MANUALS)


@pytest.mark.parametrize(
    ("question", "document", "quote"),
    [
        ("How long does a loaf of rye need?", "bread.md", "A loaf of rye needs ninety minutes"),
        ("What does --dry-run do?", "mill.md", "--dry-run\n\nShow what would be ground"),
        ("When does ice stop the wheel?", "wheel.txt", "Ice stops it in January;"),
        ("RYE OVENS", "bread.md", "A loaf of rye"),
        ('"dough" (salt) *', "bread.md", "The baker keeps the dough"),
    ],
)
def test_the_best_passage_holds_the_answer_and_says_where_it_stands(
    run: Path, question: str, document: str, quote: str
) -> None:
    hit = open_index(run).search(question, 1)[0]
    text = {one.url: one.text for one in documents(run)}[hit.document]
    assert hit.document == document and hit.text == text[hit.start : hit.end]
    assert hit.quote.startswith(quote) and hit.quote == text[hit.lines[0] : hit.lines[1]]


@pytest.mark.parametrize("question", ["Who painted the Mona Lisa?", "football world cup wheel", "what is it", "", "\0"])
def test_a_question_that_the_documents_do_not_answer_finds_nothing(run: Path, question: str) -> None:
    assert open_index(run).search(question) == []


def test_an_index_that_was_brought_up_to_date_ranks_as_one_made_from_nothing(tmp_path: Path) -> None:
    earlier = corpus_run(tmp_path / "corpus" / "manuals-aaaaaa", MANUALS)
    open_index(earlier)
    changed = {name: text for name, text in MANUALS.items() if name != "bread.md"}
    changed |= {"oven.txt": "The oven is fired with beech for two hours. Rye loaves go in first.\n"}
    later = corpus_run(tmp_path / "corpus" / "manuals-bbbbbb", changed)
    told: list[str] = []
    updated = open_index(later, told.append)
    assert told and '"added": 1,\n "removed": 1,\n "kept": 2' in (later / SEARCH / "index.json").read_text()
    fresh = open_index(corpus_run(tmp_path / "other" / "fresh-cccccc", changed))
    for question in QUESTIONS:
        assert updated.search(question, 50, 0.0) == fresh.search(question, 50, 0.0)
    assert any(updated.search(question) for question in QUESTIONS)


def test_a_document_that_is_gone_leaves_no_sentence_in_the_index(tmp_path: Path) -> None:
    many = {f"{number}.txt": f"Leaf {number} tells of cart number {number * 7}.\n" for number in range(200)}
    open_index(corpus_run(tmp_path / "corpus" / "manuals-aaaaaa", MANUALS | many))
    without = {name: text for name, text in (MANUALS | many).items() if name != "wheel.txt"}
    later = corpus_run(tmp_path / "corpus" / "manuals-bbbbbb", without)
    index = open_index(later)
    held = (later / SEARCH / FILE).read_bytes()
    assert index.num_documents == 202 and b"millstone is dressed" in held
    assert not [word for word in (b"revolutions", b"sluice", b"wheel.txt") if word in held.lower()]


def test_a_damaged_index_is_made_again_and_is_no_part_of_the_run(run: Path) -> None:
    open_index(run).close()
    path = run / SEARCH / FILE
    content = path.read_bytes()
    path.write_bytes(content[:2000] + b"damage" + content[2006:])
    assert open_index(run).search("rye")
    assert path.read_bytes() == content and run_damage(run) == []


def test_a_killed_build_leaves_no_index(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(run / SEARCH)

    def killed(text: str) -> list[object]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("glassmill.search.index.passages", killed)
        open_index(run)
    assert not (run / SEARCH).exists() and open_index(run).search("rye")


def test_no_run_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a finished run"):
        open_index(tmp_path)
    added = corpus_run(tmp_path / "add" / "manuals-aaaaaa", MANUALS, stage="add")
    with pytest.raises(UserError, match="is a run of add; name a run of the corpus stage, which masks its texts"):
        open_index(added)


def test_the_command_prints_passages_with_their_places(run: Path) -> None:
    found = glassmill("search", str(run), "loaf of rye", "--limit", "1")
    assert found.returncode == 0, found.stderr
    assert "bread.md" in found.stdout and "ninety minutes" in found.stdout and "characters" in found.stdout
    nothing = search(str(run), run.parent, "Mona Lisa", 5, False, lambda text: None)
    assert found_tables(nothing) == ["no passage has enough of the question's words (3 passages of 3 documents)"]
    with pytest.raises(UserError, match="the question is empty"):
        search(str(run), run.parent, " ", 5, False, lambda text: None)
