"""A folder of pages with the runs that were made from them, for tests of names and of given runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from glassmill.pipeline import run_line
from glassmill.recipe import Recipe, find_recipe, load_recipe

SMALL = (
    "corpus.inputs=pages/", 'stages=["corpus", "tokenizer", "tokens", "train"]', "tokens.validation_share=0.3",
    "tokenizer.vocab_size=400", "model.d_model=32", "model.num_layers=1", "model.num_heads=1", "model.num_kv_heads=1",
    "model.head_dim=32", "model.d_ff=64", "model.context_length=32", "train.minutes=none", "train.batch_tokens=64",
    "train.reports=1", "train.sample_tokens=4",
)  # fmt: skip


def small(*words: str) -> Recipe:
    """The recipe of these pages, up to a trained model."""
    return load_recipe(find_recipe("documents"), [*SMALL, *words])


@pytest.fixture(scope="session")
def milled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pages, and the runs of a line up to its tokens."""
    folder = tmp_path_factory.mktemp("milled")
    (folder / "pages").mkdir()
    for number in range(12):
        words = " ".join(f"The miller of house {number} ground {n} sacks on day {n * number}." for n in range(40))
        (folder / "pages" / f"{number}.txt").write_text(words)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_line(small("train.steps=1"), folder / "runs", until="tokens")
    return folder


@pytest.fixture
def place(milled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the working directory."""
    copied = Path(shutil.copytree(milled, tmp_path / "copied"))
    monkeypatch.chdir(copied)
    return copied
