"""Layers: a run with other settings reads no page again, and gives the bytes of a run from nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from glassmill.corpus import corpus, tasks
from glassmill.corpus.memo import MOST_SETTINGS, Memo
from glassmill.run.worker import Link, load_function
from tests.corpus.pages import PAGES, article, record, write_warc
from tests.corpus.test_corpus import FragileLink, Killed, build, digests, fates

Folder = Path


class Calls(list[str]):
    """The warnings of the last run, and how often files were read in it."""

    reads = 0


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The real tasks in this process, so that a test can run many corpora; what they warn of, and what they read."""
    calls = Calls()
    read_sources = tasks.read_sources

    class Heard(Link):
        def tell(self, event: Any) -> None:
            if event.kind == "warning":
                calls.append(event.text)

    def run_map(run: object, function: str, tasks: Sequence[Any], *rest: object) -> list[Any]:
        return [load_function(f"glassmill.corpus.{function}")(dict(task), Heard()) for task in tasks]

    def counted(*arguments: Any) -> Iterator[Any]:
        calls.reads += 1
        return read_sources(*arguments)

    monkeypatch.setattr(corpus, "_map", run_map)
    monkeypatch.setattr(tasks, "read_sources", counted)
    return calls


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """Pages of every fate, lost ones, one that fails at extraction, and one with a lone surrogate."""
    members = [member for _, member, _ in PAGES]
    odd = record("http://odd.example/", article(91, "A lone &#xD800; surrogate by ana@mill.example."))
    write_warc(tmp_path / "web" / "a.warc.gz", [*members[:9], odd])
    write_warc(tmp_path / "web" / "b.warc.gz", [*members[9:], b"\x1f\x8b\x08 rubbish"])
    write_warc(tmp_path / "web" / "notes.md", [article(92).encode()])
    write_warc(tmp_path / "web" / "photo.jpg", [b"\xff\xd8"])
    return tmp_path / "web"


CHANGES: dict[str, tuple[str, bool]] = {
    "a Gopher bound": ("corpus.gopher_quality.min_words=30", False),
    "repetition": ("corpus.gopher_repetition.duplicate_lines=0.01", False),
    "no Gopher": ("corpus.gopher_quality.enabled=false", False),
    "a language bound": ("corpus.language.min_score=0.99", False),
    "another language": ("corpus.language.languages=de", False),
    "C4": ("corpus.c4.min_sentences=9", False),
    "FineWeb": ("corpus.fineweb.min_punctuated_lines=0.99", False),
    "bands": ("corpus.dedup.num_bands=9", False),
    "exact duplicates": ("corpus.dedup.near=false", False),
    "fake data": ("corpus.pii.replacement=fake", False),
    "unmasked": ("corpus.pii.enabled=false", False),
    "another host blocked": ("corpus.url.block_hosts=good.example", False),
    "a blocked host allowed": ("corpus.url.words=false", True),
    "documents in pieces": ("corpus.files.split_characters=400", True),
    "menus too": ("corpus.extract.main_content=false", True),
}
"""Name -> a changed setting, and whether pages must be read again for it."""


def test_a_changed_setting_gives_the_bytes_of_a_run_from_nothing(web: Path, tmp_path: Path, here: Calls) -> None:
    build(tmp_path / "runs" / "first", [web])
    assert here.reads > 0
    for name, (word, must_read) in CHANGES.items():
        here.reads = 0
        build(tmp_path / "runs" / name, [web], word)
        assert (here.reads > 0) == must_read, name
        build(tmp_path / "elsewhere" / name, [web], word, "corpus.layers=false")
        assert digests(tmp_path / "runs" / name) == digests(tmp_path / "elsewhere" / name), name
    here.reads = 0
    for name in ("a Gopher bound", "fake data", "menus too"):
        build(tmp_path / "runs" / f"{name}, again", [web], CHANGES[name][0])
        assert digests(tmp_path / "runs" / f"{name}, again") == digests(tmp_path / "runs" / name), name
    assert here == [] and here.reads == 0 and not (tmp_path / "elsewhere" / ".layers").exists()
    assert (tmp_path / "runs" / ".layers").stat().st_mode & 0o77 == 0


def test_a_page_that_fails_at_extraction_fails_again_or_is_dropped_by_its_url(
    tmp_path: Path, here: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [record(f"http://good.example/{number}", article(number)) for number in range(3)]
    path = write_warc(tmp_path / "x.warc.gz", [*members, record("http://bad.example/", article(9, "cannot be read"))])
    html_to_text = tasks.Chain._extract

    def failing(self: Any, page: Any, document: Any) -> Any:
        if b"cannot be read" in page.body:
            raise ValueError("no such letter")
        return html_to_text(self, page, document)

    monkeypatch.setattr(tasks.Chain, "_extract", failing)
    build(tmp_path / "runs" / "first", [path])
    here.reads = 0
    build(tmp_path / "runs" / "second", [path], "corpus.gopher_quality.min_words=51")
    assert (
        here.reads == 0 and fates(tmp_path / "runs" / "second")["http://bad.example/"] == "ValueError: no such letter"
    )
    build(tmp_path / "runs" / "third", [path], "corpus.url.block_hosts=bad.example")
    assert here.reads == 1 and fates(tmp_path / "runs" / "third")["http://bad.example/"] == "url/blocked_host"


DAMAGES = {
    "texts": ("pages-0000.parquet", b"\xff"),
    "note": ("layer.json", b"#"),
    "no note": ("layer.json", None),
    "no texts": ("pages-0000.parquet", None),
    "results": ("judged.memo", b"x"),
    "masks": ("masked.memo", b"x"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_layer_is_made_again_with_one_line(name: str, web: Path, tmp_path: Path, here: Calls) -> None:
    file, change = DAMAGES[name]
    build(tmp_path / "runs" / "first", [web])
    before = digests(tmp_path / "runs" / "first")
    for path in (tmp_path / "runs" / ".layers").rglob(file):
        content = path.read_bytes()
        path.unlink()
        if change is not None:
            path.write_bytes(content[: len(content) // 2] + change + content[len(content) // 2 + 1 :])
    for number, reads in enumerate((change is None or file in ("pages-0000.parquet", "layer.json"), False)):
        here.clear()
        here.reads = 0
        build(tmp_path / "runs" / f"again-{number}", [web])
        assert digests(tmp_path / "runs" / f"again-{number}") == before
        assert (here.reads > 0) == reads
        warned = reads and name != "no note"
        assert len(here) == warned and all("its files are read again" in line for line in here)


def test_a_changed_file_has_another_layer(tmp_path: Path, here: Calls) -> None:
    path = write_warc(tmp_path / "x.warc.gz", [record("http://good.example/1", article(1))])
    build(tmp_path / "runs" / "first", [path])
    write_warc(path, [record("http://good.example/2", article(2))])
    build(tmp_path / "runs" / "second", [path])
    assert fates(tmp_path / "runs" / "second") == {"http://good.example/2": "kept"}


@pytest.mark.parametrize("layered", [False, True], ids=["first run", "run from a layer"])
def test_a_shard_cut_off_anywhere_leaves_a_layer_as_good_as_none(
    web: Path, tmp_path: Path, here: Calls, monkeypatch: pytest.MonkeyPatch, layered: bool
) -> None:
    monkeypatch.setattr(tasks, "PAGES_PER_PART", 3)
    settings = corpus.CorpusSettings().model_dump(mode="json")

    def task(work: Path, layer: Path) -> dict[str, Any]:
        inputs = [[str(web / name), name] for name in ("a.warc.gz", "b.warc.gz")]
        return {"shard": 0, "inputs": inputs, "work": str(work), "settings": settings, "seed": 7, "layer": str(layer)}

    def judged(work: Path) -> list[bytes]:
        return [
            path.read_bytes() for path in sorted(work.rglob("*")) if path.is_file() and path.name != "pages.parquet"
        ]

    tasks.judge_shard(task(tmp_path / "whole", tmp_path / "layer"))
    for cut in range(0, len(PAGES), 4):
        layer = tmp_path / ("layer" if layered else f"layer-{cut}")
        for attempt in ("cut", "after"):
            work = tmp_path / f"{attempt}-{cut}"
            if attempt == "cut":
                with pytest.raises(Killed):
                    tasks.judge_shard(task(work, layer), FragileLink(cut))  # type: ignore[arg-type]
            tasks.judge_shard(task(work, layer))
            assert judged(work) == judged(tmp_path / "whole")


def test_a_memo_keeps_the_results_of_the_latest_settings(tmp_path: Path) -> None:
    computed: list[tuple[int, str]] = []

    def result(bound: int, text: str) -> int:
        memo = Memo(tmp_path / "memo.json")

        def compute(text: str) -> int:
            computed.append((bound, text))
            return bound + len(text)

        found = memo.step("count", {"bound": bound}, compute)(text)
        memo.save()
        return found

    for bound in range(MOST_SETTINGS + 2):
        assert result(bound, "text") == bound + 4
    for bound in range(2, MOST_SETTINGS + 2):
        assert result(bound, "text") == bound + 4
    assert len(computed) == MOST_SETTINGS + 2
    assert result(0, "text") == 4 and computed[-1] == (0, "text") and len(computed) == MOST_SETTINGS + 3
    names = list(json.loads((tmp_path / "memo.json").read_bytes().partition(b"\n")[2]))
    assert len(names) == MOST_SETTINGS
