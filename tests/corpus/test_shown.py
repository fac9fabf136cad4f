"""Personal data is not shown or stored in clear where nobody asked for it: dropped texts, quarantine, added files."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from glassmill.collect.add import add
from glassmill.commands.inspect import answer, explain
from glassmill.corpus.document import documents
from glassmill.corpus.read.sources import find_sources
from glassmill.errors import UserError
from glassmill.recipe import CorpusSettings, Recipe
from glassmill.studio.documents import page_of_documents
from tests.corpus.pages import article, record, write_warc
from tests.corpus.test_corpus import build
from tests.line import glassmill

ADDRESS, NUMBER, PASSWORD = "ana.mill@post-am-fluss.de", "415-832-2671", "Tr0ub4dor&3"
DATA = (ADDRESS, NUMBER, PASSWORD)
PRIVATE = f"Write to {ADDRESS} or call {NUMBER}. The password = {PASSWORD} is hers."
PAGES = [
    record("http://good.example/kept", article(1, PRIVATE)),
    record("http://good.example/short", f"<p>{PRIVATE}</p>"),
    record(f"http://good.example/?mail={ADDRESS}", article(2, PRIVATE + " lorem ipsum")),
    record("http://good.example/copy", article(1, PRIVATE)),
]
BROKEN = record(f"http://good.example/{ADDRESS}", article(3))


def shown(value: object) -> list[str]:
    text = json.dumps(value, default=str)
    return [piece for piece in DATA if piece in text]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    members = [*PAGES, BROKEN[:-60] + bytes(30) + BROKEN[-30:]]
    return write_warc(tmp_path_factory.mktemp("private") / "a.warc.gz", members)


@pytest.fixture(scope="module")
def run(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "corpus" / "run"
    build(folder, [source])
    return folder


def test_dropped_documents_are_stored_without_personal_data_and_the_run_says_so(run: Path) -> None:
    dropped = list(documents(run, dropped=True))
    assert len(dropped) == 3 and all("[email]" in one.text and "[secret]" in one.text for one in dropped)
    assert shown([one.text for one in [*dropped, *documents(run)]]) == []
    events = [json.loads(line) for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert shown(events) == []
    assert "dropped documents are stored with personal data masked" in [event.get("text") for event in events]


@pytest.mark.slow
@pytest.mark.parametrize(("how", "found"), [("omitted", []), ("clear", list(DATA))])
def test_they_can_be_stored_without_text_or_in_clear(source: Path, tmp_path: Path, how: str, found: list[str]) -> None:
    build(tmp_path / "run", [source], f"corpus.pii.dropped={how}")
    dropped = list(documents(tmp_path / "run", dropped=True))
    assert len(dropped) == 3 and shown([one.text for one in dropped]) == found
    assert all(bool(one.text) == (how == "clear") for one in dropped)
    (way,) = explain(tmp_path / "run", "http://good.example/short")["ways"]
    assert way["end"] == "dropped"
    page = page_of_documents(tmp_path / "run", "dropped")
    assert shown(page) == [] and shown(answer(tmp_path / "run", "select text from dropped", 9)) == []
    assert shown(answer(tmp_path / "run", "select text from dropped", 9, clear=True)) == found


def test_queries_and_ways_mask_addresses_of_pages_too(run: Path) -> None:
    everything = answer(run, "select * from documents", 20), answer(run, "select * from quarantine", 20)
    assert shown(everything) == []
    assert shown(answer(run, "select url from documents", 20, clear=True)) == [ADDRESS]
    assert shown(explain(run, f"http://good.example/{ADDRESS}")) == []
    assert shown(explain(run, f"http://good.example/{ADDRESS}", clear=True)) == [ADDRESS]
    for which in ("kept", "dropped", "quarantine"):
        assert shown(page_of_documents(run, which)) == []
    done = glassmill("query", str(run), "select url from documents", "--json", "--clear")
    assert shown(json.loads(done.stdout)) == [ADDRESS]


def test_added_documents_are_in_clear_for_the_user_alone(source: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "letter.txt").write_text(article(5) + PRIVATE)
    (tmp_path / "docs" / f"{ADDRESS}.pdf").write_bytes(b"no PDF")
    runs = tmp_path / "runs"
    made = add(find_sources([str(tmp_path / "docs")]), Recipe(name="docs", corpus=CorpusSettings(workers=1)), runs)
    assert shown([one.text for one in documents(made)]) == list(DATA)
    if os.name != "nt":
        modes = {stat.S_IMODE(path.stat().st_mode) for path in made.rglob("*") if path.is_file()}
        assert modes == {0o600} and stat.S_IMODE(made.stat().st_mode) == 0o700
        made.chmod(0o755)
        add(find_sources([str(tmp_path / "docs")]), Recipe(name="docs", corpus=CorpusSettings(workers=1)), runs)
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert shown(page_of_documents(made, "kept")) == [] and shown(answer(made, "select * from kept", 9)) == []
    done = glassmill("add", str(tmp_path / "docs"), "--json", "--runs", str(runs))
    assert shown(json.loads(done.stdout)["not_read"]) == []


def test_an_entry_of_the_allow_list_that_means_nothing_is_told_before_the_work(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"corpus\.pii\.allow: 'mill' is none of the forms known"):
        build(tmp_path / "run", [source], 'corpus.pii.allow=["mill"]')


@pytest.mark.slow
def test_what_is_allowed_or_an_example_stays_in_kept_documents(tmp_path: Path) -> None:
    text = f"Write to {ADDRESS}, tom@example.org or eva@post.ch, from 203.0.113.7."
    pages = write_warc(tmp_path / "a.warc.gz", [record("http://good.example/x", article(9, text))])
    build(tmp_path / "run", [pages], 'corpus.pii.allow=["post-am-fluss.de"]')
    (kept,) = documents(tmp_path / "run")
    assert text.replace("eva@post.ch", "[email]") in kept.text
    build(tmp_path / "all", [pages], "corpus.pii.examples=true")
    (kept,) = documents(tmp_path / "all")
    assert "[email], [email] or [email], from [ip]." in kept.text
