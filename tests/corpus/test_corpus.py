"""The corpus stage as a whole: every record ends in one place, whatever happens on the way."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from glassmill.corpus import corpus, finish, tasks
from glassmill.corpus.document import Document, documents, read_documents
from glassmill.corpus.parts import finished_parts
from glassmill.corpus.read.cut import END
from glassmill.corpus.tasks import judge_shard
from glassmill.errors import UserError
from glassmill.recipe import CorpusSettings, Recipe, make_recipe
from glassmill.run.folder import Identity, open_run, settings_identity
from glassmill.run.worker import Link
from tests.corpus.pages import PAGES, article, record, write_warc


def build(folder: Path, inputs: list[Path | str], *words: str) -> dict[str, Any]:
    """A corpus run in `folder`; its stats."""
    recipe: Recipe = make_recipe({"corpus": {"inputs": [str(path) for path in inputs], "workers": 1}}, words)
    identity = Identity("corpus", corpus.VERSION, settings_identity(settings=recipe.corpus, seed=7))
    with open_run(folder, identity, recipe) as run:
        corpus.make(run, recipe.corpus, 7)
    stats: dict[str, Any] = json.loads((folder / "stats.json").read_text())
    return stats


def fates(folder: Path) -> dict[str, str]:
    """URL -> `kept`, the rule, or the cause of quarantine. A URL in two places is an error."""
    found = [(document.url, "kept") for document in documents(folder)]
    found += [(document.url, document.rule) for document in documents(folder, dropped=True)]
    found += [(entry["url"], entry["cause"]) for entry in quarantine(folder)]
    assert len(found) == len({url for url, _ in found})
    return dict(found)


def quarantine(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "quarantine.jsonl").read_text().splitlines()]


def digests(folder: Path) -> dict[str, str]:
    """Every artefact's hash: the Parquet files and the quarantine."""
    paths = [*sorted((folder / "shards").iterdir()), folder / "quarantine.jsonl"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two WARC files: all pages, the second file damaged in one record; and a block list."""
    folder = tmp_path_factory.mktemp("web")
    members = [member for _, member, _ in PAGES]
    write_warc(folder / "a.warc.gz", members[:9])
    broken = record("http://broken.example/", article(90))
    write_warc(folder / "b.warc.gz", [*members[9:], broken[:-60] + bytes(30) + broken[-30:]])
    (folder / "hosts.txt").write_text("listed.example\n")
    return folder


@pytest.fixture(scope="module")
def finished(web: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "corpus"
    build(folder, [web / "*.warc.gz"], f"corpus.url.blocklists={web / 'hosts.txt'}")
    return folder


def test_every_page_is_kept_or_dropped_for_exactly_one_reason_or_quarantined(finished: Path) -> None:
    found = fates(finished)
    assert found.pop("http://broken.example/").startswith("damaged gzip data")
    assert found == {url: fate for url, _, fate in PAGES}


def test_the_funnel_adds_up(finished: Path) -> None:
    stats = json.loads((finished / "stats.json").read_text())
    assert stats["records"] == len(PAGES) + 1 == stats["kept"] + stats["dropped"] + stats["quarantined"]
    for above, below in zip(stats["funnel"], stats["funnel"][1:], strict=False):
        assert above["out"] == below["in"] == above["in"] - sum(above["dropped"].values()) - above.get("quarantined", 0)
    assert stats["funnel"][-1]["out"] == stats["kept"]
    assert stats["pii"] == {"email": 1, "phone": 1}


def test_documents_carry_where_they_come_from(finished: Path) -> None:
    by_url = {document.url: document for document in documents(finished)}
    mill = by_url["http://good.example/3"]
    assert (mill.source, mill.language, mill.cluster_size, mill.date) == ("a.warc.gz", "en", 2, "2024-05-18T01:58:10Z")
    private = by_url["http://good.example/pii"]
    assert "[email] or call [phone]" in private.text and [span.kind for span in private.pii] == ["email", "phone"]
    dropped = {document.url: document for document in documents(finished, dropped=True)}
    assert dropped["http://mirror.example/3"].detail == f"stays: {mill.id}"
    stub = dropped["http://good.example/stub"]
    assert (stub.step, stub.value, stub.bound) == ("gopher_quality", 39, 50) and "grey stone" in stub.text


def test_events_show_the_funnel_and_examples(finished: Path) -> None:
    events = [json.loads(line) for line in (finished / "events.jsonl").read_text().splitlines()]
    kinds = {event["kind"] for event in events}
    assert {"progress", "funnel", "example", "note", "done"} <= kinds
    assert all(len(event["text"]) <= 600 for event in events if event["kind"] == "example")
    notes = [event["text"] for event in events if event["kind"] == "note"]
    assert "personal data masked: 1 email, 1 phone" in notes
    assert not (finished / "work").exists()


def test_any_number_of_workers_and_any_folder_give_the_same_bytes(web: Path, finished: Path, tmp_path: Path) -> None:
    build(tmp_path / "elsewhere", [web / "*.warc.gz"], f"corpus.url.blocklists={web / 'hosts.txt'}", "corpus.workers=3")
    assert digests(tmp_path / "elsewhere") == digests(finished)


class Killed(Exception):
    pass


class FragileLink:
    """Ends the shard function at the n-th mark, as a kill would: nothing runs afterwards."""

    def __init__(self, marks: int) -> None:
        self.left = marks

    def mark(self, position: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def tell(self, kind: str, **fields: Any) -> None:
        pass


@pytest.mark.parametrize(
    "inputs",
    [
        [["a.warc.gz"], ["b.warc.gz"]],
        [["a.warc.gz", "", 300, 5000, False]],
        [["b.warc.gz", "", 2000, END, False]],
        [["b.warc.gz", "", 0, 9000, True]],
    ],
    ids=["files", "middle", "end", "start"],
)
def test_a_shard_that_is_cut_off_anywhere_goes_on_to_the_same_parts(
    web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: list[list[Any]]
) -> None:
    monkeypatch.setattr(tasks, "PAGES_PER_PART", 2)

    def task(work: Path) -> dict[str, Any]:
        return {
            "shard": 0,
            "inputs": [[str(web / name), name, *rest] for name, *rest in inputs],
            "work": str(work),
            "settings": CorpusSettings().model_dump(mode="json"),
            "seed": 7,
            "lists": None,
        }

    def content(work: Path) -> dict[str, bytes]:
        return {
            path.relative_to(work).as_posix(): path.read_bytes() for path in sorted(work.rglob("*")) if path.is_file()
        }

    tasks.judge_shard(task(tmp_path / "whole"))
    pages = sum(part.counts["records"] for part in finished_parts(tmp_path / "whole"))
    assert pages > 3
    for cut in range(1, pages + 1, 1 + pages // 6):
        work = tmp_path / f"cut-{cut}"
        with pytest.raises(Killed):
            tasks.judge_shard(task(work), FragileLink(cut))  # type: ignore[arg-type]
        tasks.judge_shard(task(work))
        assert content(work) == content(tmp_path / "whole")


def test_a_page_that_ends_the_worker_is_quarantined_and_the_shard_goes_on(tmp_path: Path) -> None:
    bomb = record("http://bomb.example/", "<html><body><p>" + "words of a page " * 50 + "<div>" * 60_000)
    members = [record(f"http://good.example/{number}", article(number)) for number in range(4)]
    path = write_warc(tmp_path / "x.warc.gz", [*members[:2], bomb, *members[2:]])
    slow = ("corpus.extract.engine=resiliparse", "corpus.extract.max_depth=1000000", "corpus.page_cpu_s=1")
    stats = build(tmp_path / "run", [path], *slow)
    found = fates(tmp_path / "run")
    assert found.pop("http://bomb.example/") == "over the CPU limit"
    assert set(found.values()) == {"kept"} and len(found) == 4 and stats["quarantined"] == 1


def test_where_a_file_cannot_even_be_read_on_it_ends_and_the_next_one_begins(tmp_path: Path) -> None:
    files = []
    for name in "ab":
        members = [record(f"http://{name}.example/{number}", article(number)) for number in range(3)]
        files.append(write_warc(tmp_path / f"{name}.warc.gz", members))
    settings = make_recipe({}, ["corpus.dedup.enabled=false"]).corpus.model_dump(mode="json")
    task = {"shard": 0, "inputs": [[str(file), file.name] for file in files], "work": str(tmp_path / "work"),
            "settings": settings, "seed": 7, "skip": [[1, "over the CPU limit"]] * 2}  # fmt: skip
    judge_shard(task)
    (part,) = finished_parts(tmp_path / "work")
    kept = [document.url for document in read_documents(part.folder / "kept.parquet")]
    assert kept == ["http://a.example/0", *(f"http://b.example/{number}" for number in range(3))]
    (lost,) = part.quarantined
    assert lost["source"] == "a.warc.gz" and lost["cause"] == "the rest of the file cannot be read: over the CPU limit"


def test_a_folder_of_files_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    write_warc(folder / "deep" / "page.html", [article(1).encode()])
    text = "\n\n".join(
        article(2).replace("<p>", "\n").replace("</p>", "\n").split("<article>")[1].split("</article>")[0].split("\n")
    )
    write_warc(folder / "text.md", [text.encode("utf-8")])
    write_warc(folder / "empty.txt", [b""])
    write_warc(folder / "photo.jpg", [b"\xff\xd8\xff"])
    build(tmp_path / "run", [folder])
    assert {document.url: document.source for document in documents(tmp_path / "run")} == {
        "page.html": "page.html",
        "text.md": "text.md",
    }
    causes = {entry["source"]: entry["cause"] for entry in quarantine(tmp_path / "run")}
    assert causes == {"empty.txt": "empty file", "photo.jpg": "unsupported file type: .jpg (pictures are not read)"}


def test_bad_files_beside_a_good_one_are_quarantined(tmp_path: Path) -> None:
    bad = {
        "empty.warc.gz": (b"", "empty file"),
        "page.warc.gz": (b"<html>404</html>", "not a WARC file"),
        "torn.warc.gz": (b"\x1f\x8b\x08 rubbish", "damaged gzip data"),
    }
    files = [write_warc(tmp_path / name, [content]) for name, (content, _) in bad.items()]
    good = write_warc(tmp_path / "good.warc.gz", [record("http://good.example/1", article(1))])
    stats = build(tmp_path / "run", [good, *files])
    assert (stats["kept"], stats["quarantined"]) == (1, 3)
    causes = {entry["source"]: entry["cause"] for entry in quarantine(tmp_path / "run")}
    assert causes.keys() == bad.keys() and all(causes[name].startswith(bad[name][1]) for name in bad)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.warc.gz", b"", "no pages in input .*x.warc.gz: empty file"),
        ("x.warc.gz", b"<html>404</html>", "not a WARC file"),
        ("x.png", b"\x89PNG", "unsupported file type: .png"),
    ],
)
def test_inputs_without_any_page_are_the_users_mistake(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = write_warc(tmp_path / name, [content])
    with pytest.raises(UserError, match=message):
        build(tmp_path / "run", [path])


def test_an_input_that_names_nothing_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="names no file"):
        build(tmp_path / "run", [tmp_path / "*.warc.gz"])
    with pytest.raises(UserError, match="corpus.inputs is empty"):
        build(tmp_path / "run", [])


def test_every_step_can_be_switched_off(web: Path, tmp_path: Path) -> None:
    names = ("url", "language", "gopher_repetition", "gopher_quality", "c4", "fineweb", "dedup", "pii")
    stats = build(tmp_path / "run", [web / "*.warc.gz"], *(f"corpus.{name}.enabled=false" for name in names))
    found = fates(tmp_path / "run")
    assert {fate for url, fate in found.items() if url != "http://broken.example/"} == {
        "kept",
        "read/http_status",
        "read/not_html",
        "extract/no_text",
    }
    assert stats["pii"] == {}


def test_a_second_corpus_is_held_against_the_first(finished: Path, tmp_path: Path) -> None:
    seen, new = article(3), article(95)
    members = [record("http://second.example/3", seen), record("http://second.example/new", new)]
    path = write_warc(tmp_path / "second.warc.gz", members)
    build(tmp_path / "run", [path], f"corpus.dedup.against={finished}")
    assert fates(tmp_path / "run") == {
        "http://second.example/3": "dedup/exact_duplicate",
        "http://second.example/new": "kept",
    }
    stays = {document.url: document.id for document in documents(finished)}["http://good.example/3"]
    dropped = next(documents(tmp_path / "run", dropped=True))
    assert dropped.detail == f"stays: {stays} in an earlier corpus"
    build(tmp_path / "third", [path], f"corpus.dedup.against={finished},{tmp_path / 'run'}")
    assert set(fates(tmp_path / "third").values()) == {"dedup/exact_duplicate"}


def test_a_corpus_that_cannot_be_held_against_another_says_why(finished: Path, tmp_path: Path) -> None:
    path = write_warc(tmp_path / "x.warc.gz", [record("http://good.example/1", article(1))])
    with pytest.raises(UserError, match="has no index; name a finished corpus run"):
        build(tmp_path / "run", [path], f"corpus.dedup.against={tmp_path}")
    with pytest.raises(UserError, match="has keys with num_bands=14, this corpus has 9"):
        build(tmp_path / "run", [path], f"corpus.dedup.against={finished}", "corpus.dedup.num_bands=9")


def test_documents_of_no_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="not a finished corpus run"):
        list(documents(tmp_path))


def test_real_captures_of_common_crawl(shared_data: Path, tmp_path: Path) -> None:
    inputs: list[Path | str] = [
        shared_data / "warc" / name for name in ("whirlwind.warc.gz", "whirlwind.warc.wet.gz", "cc.warc.gz")
    ]
    stats = build(tmp_path / "run", inputs, "corpus.language.languages=an,es,en")
    assert stats["records"] == 3 and stats["quarantined"] == 0


def test_a_document_that_cannot_be_masked_is_set_aside_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(text: str, *settings: object) -> object:
        raise ValueError("no such address")

    monkeypatch.setattr(finish, "mask", broken)
    document = Document("00000000000000aa", "a.txt", "text", "a.txt", 0)
    second = finish._Finish(CorpusSettings(), None, 0, {}, Link())
    assert second.take(iter([document])) == ([], [])
    assert second.quarantined[0]["cause"] == "personal data cannot be masked: ValueError: no such address"
