"""Inputs that ask for much time or memory are set aside with the true reason, and the files beside them are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from glassmill.collect.gather import gather_shard
from glassmill.corpus.document import Lost, Page
from glassmill.corpus.read.sources import find_sources, read_pages
from glassmill.errors import UserError
from glassmill.recipe import CorpusSettings
from glassmill.run.executors import map_shards
from tests.corpus.bombs import BOMBS, Bomb

SMALL = {
    "long-url.warc.gz": 0.02, "magics.warc.gz": 0.1, "heads.warc.gz": 0.1,
    "empty.warc.gz": 0.05, "members.warc.gz": 0.05,
    "zeros.warc.gz": 0.1, "record.warc.gz": 0.2, "body.warc.gz": 0.05, "body-br.warc.gz": 0.1, "nested.warc.gz": 0.1,
    "body-members.warc.gz": 0.05, "zeros.jsonl.gz": 0.07, "lines.jsonl.gz": 0.02, "url.jsonl": 0.01,
    "dictionary.parquet": 0.3, "rows.parquet": 0.5, "overlapping.zip": 0.2, "quoted.zip": 0.5, "wide.docx": 0.25,
    "entities.docx": 1.0, "chapters.epub": 0.05, "many-labels.warc.gz": 1.0, "deep.docx": 0.1, "stream.pdf": 0.1,
    "layers.pdf": 0.1, "pages.pdf": 0.1,
}  # fmt: skip
"""The share of their size at which they still go off, and are made in a fraction of a second."""
GOOD = "The mill by the river was built of grey stone, and its wheel turns all year.\n" * 5
GATHER = f"{gather_shard.__module__}:{gather_shard.__name__}"


@pytest.mark.parametrize("bomb", [bomb for bomb in BOMBS if bomb.name in SMALL], ids=lambda bomb: bomb.name)
def test_small_inputs_never_cost_much(tmp_path: Path, bomb: Bomb) -> None:
    path = tmp_path / bomb.name
    bomb.write(path, SMALL[bomb.name])
    items = list(read_pages(path, bomb.name))
    causes = [item.cause for item in items if isinstance(item, Lost)]
    assert not bomb.cause or any(bomb.cause in cause for cause in causes), causes[:3]
    assert bomb.cause or len(items) == 1
    assert sum(len(item.body) for item in items if isinstance(item, Page)) < 70 << 20


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.name)
def test_a_bomb_costs_itself_and_the_other_files_are_read(tmp_path: Path, bomb: Bomb) -> None:
    bomb.write(tmp_path / bomb.name, 1.0)
    (tmp_path / "good.txt").write_text(GOOD, encoding="utf-8")
    task = {
        "inputs": [[str(tmp_path / name), name, ""] for name in (bomb.name, "good.txt")],
        "settings": CorpusSettings().model_dump(mode="json"),
        "out": str(tmp_path / "out.parquet"),
        "report": str(tmp_path / "report.json"),
    }
    (result,) = map_shards(GATHER, [task], 1, cpu_limit_s=5.0)
    assert result["counts"]["documents"] >= 1
    causes = [entry["cause"] for entry in result["quarantined"]]
    assert not bomb.cause or any(bomb.cause in cause for cause in causes), causes[:3]
    assert not any("CPU limit" in cause or "memory" in cause or "killed" in cause for cause in causes)


def test_the_first_look_at_an_input_is_taken_by_a_child(tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").write_bytes(b"no gzip at all")
    (tmp_path / "b.zip").write_bytes(b"no zip")
    with pytest.raises(UserError, match=r"no pages in input .*a\.warc\.gz: not a WARC file.*nor do the other 1 inputs"):
        find_sources([str(tmp_path)])
    (tmp_path / "c.txt").write_text(GOOD, encoding="utf-8")
    assert len(find_sources([str(tmp_path)])) == 3
