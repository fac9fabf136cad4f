"""`glassmill rates`: a table and a suggestion from a recipe, and no run is left."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import tomli_w
from rich.console import Console
from typer.testing import CliRunner

from glassmill.cli.base import app
from glassmill.commands.rates import find_rates, rate_tables
from glassmill.errors import UserError
from glassmill.recipe import make_recipe
from tests.train.builders import SMALL_LINE, write_docs

RATES = ["train.peak_lr=0.01", "train.embedding_lr=0.002"]


def test_a_recipe_gets_rates_from_its_tokens_and_no_training_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_docs(tmp_path / "docs", 60)
    recipe = make_recipe(SMALL_LINE, RATES)
    found = find_rates(recipe, Path("runs"), 24, 3)
    assert not (tmp_path / "runs" / "train").exists() and (tmp_path / "runs" / "tokens").exists()
    assert found["recipe_rates"] == {"peak_lr": 0.01, "embedding_lr": 0.002}
    assert found["suggested"]["peak_lr"] / found["suggested"]["embedding_lr"] == pytest.approx(5, rel=0.1)
    assert found["points"][0]["peak_lr"] == pytest.approx(0.01 / 10**1.5, rel=0.01)
    assert found["tokens"] == found["steps"] * 128 and len(found["points"]) == found["steps"]

    (tmp_path / "small.toml").write_text(tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True)))
    as_json = CliRunner().invoke(app, ["rates", "small.toml", "--steps", "24", "--json"])
    assert as_json.exit_code == 0 and json.loads(as_json.stdout) == found

    console = Console(file=io.StringIO(), width=120)
    for part in rate_tables(found):
        console.print(part, soft_wrap=True)
    told, rates = console.file.getvalue(), found["suggested"]  # type: ignore[attr-defined]
    assert f"suggested: train.peak_lr={rates['peak_lr']:g} train.embedding_lr={rates['embedding_lr']:g}" in told
    assert told.count("< suggested") == 1 and "█" in told and "the recipe has 0.01 and 0.002" in told


def test_what_cannot_be_tested_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = make_recipe(SMALL_LINE, ['stages=["corpus", "tokenizer", "tokens"]'])
    with pytest.raises(UserError, match=r"^rates tests the stage train; add it to the recipe$"):
        find_rates(recipe, tmp_path, 24, 3)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"^rates trains a few steps in one process; start it without torchrun$"):
        find_rates(make_recipe(SMALL_LINE, []), tmp_path, 24, 3)
