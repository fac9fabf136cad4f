"""`glassmill ablate`: grids, effects, and a small real one."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest

from glassmill.commands.ablate import ablation_tables, fixed_words, grid, markdown, run_ablation
from glassmill.commands.plots import effect_plot
from glassmill.errors import UserError
from glassmill.evals.ablation import effects, half_width
from glassmill.recipe import make_recipe
from tests.train.builders import SMALL_LINE, write_docs


def test_a_grid_is_every_combination_and_commas_in_brackets_stay() -> None:
    words = ["a=1,2", "b=[3, 4],[5]", "c='x,y','z'", "d=7"]
    assert len(grid(words)) == 8 and fixed_words(words) == ["d=7"]
    assert grid(words)[0].overrides == ("a=1", "b=[3, 4]", "c='x,y'")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a"], "give a setting and its values"),
        (["a=1,"], "give a setting and its values"),
        (["=1,2"], "give a setting and its values"),
        (["a=1"], "nothing to compare"),
        ([f"a={','.join(map(str, range(300)))}"], "300 trainings with --seeds 1; at most 200"),
        (["a=1,2", "train.seed=1,2"], "seeds are not compared"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        grid(words)


def test_what_a_seed_does_to_both_is_no_effect() -> None:
    chance = random.Random(3)
    luck = [chance.gauss(0, 1) for _ in range(5)]
    first = [{"loss": 2 + one} for one in luck]
    second = [{"loss": 1.9 + one, "other": 1.0} for one in luck]
    (same, other) = effects([first, second])
    assert same["loss"]["difference"] is None and "other" not in other["loss"]
    assert other["loss"]["difference"] == pytest.approx(-0.1) and other["loss"]["clear"]
    assert (same["loss"]["half_width"] or 0) > 0.5  # alone, either mean is uncertain


def test_intervals_hold_the_truth_nineteen_times_in_twenty() -> None:
    chance, held = random.Random(1), 0
    for _ in range(4000):
        values = [chance.gauss(5, 2) for _ in range(3)]
        held += abs(math.fsum(values) / 3 - 5) <= (half_width(values) or 0)
    assert 0.94 < held / 4000 < 0.96
    assert half_width([1.0]) is None


def test_one_seed_has_no_interval_and_says_so() -> None:
    (_, other) = effects([[{"loss": 2.0}], [{"loss": 1.0}]])
    assert other["loss"]["difference"] == -1.0 and not other["loss"]["clear"]
    plot = effect_plot(["a<b", "b"], effects([[{"loss": 2.0}], [{"loss": 1.0}]]), "loss", "loss")
    assert "a&lt;b" in plot and plot.count("<circle") == 2


@pytest.mark.slow
def test_variants_share_stages_and_are_compared_on_text_that_all_hold_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_docs(tmp_path / "docs", 80)

    def load(words: object) -> object:
        return make_recipe(SMALL_LINE, ["train.batch_tokens=256", *words])  # type: ignore[call-overload]

    words = ["tokenizer.vocab_size=300,400", "train.steps=3,20", "train.reports=1"]
    result = run_ablation(load, words, 2, Path("runs"), Path("out"))  # type: ignore[arg-type]
    assert [len(list((tmp_path / "runs" / stage).glob("[!.]*"))) for stage in ("corpus", "tokenizer", "train")] == [
        1,
        2,
        8,
    ]
    few, many = result["variants"][0]["effects"], result["variants"][1]["effects"]
    assert many["bits_per_byte"]["difference"] < 0 and few["bits_per_byte"]["difference"] is None
    assert "that every variant holds out" in result["text"] and len(result["seeds"]) == 2
    saved = json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert saved["variants"][1]["settings"] == ["tokenizer.vocab_size=300", "train.steps=20"]
    assert (tmp_path / "out" / "table.md").read_text() == markdown(result)
    assert (tmp_path / "out" / "plot.svg").read_text().startswith("<svg")
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("model.safetensors")}
    assert run_ablation(load, words, 2, Path("runs"), Path("out")) == result  # type: ignore[arg-type]
    assert made == {path: path.stat().st_mtime_ns for path in made}
    assert len(ablation_tables(result)) >= 2
