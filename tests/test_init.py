"""The recipe that `init` writes: its training is as long as the text is worth."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from glassmill.commands.init import EPOCHS, LEAST_STEPS, TOKENS_PER_PARAMETER, length_for, write_template
from glassmill.commands.plan import bytes_per_token
from glassmill.model.config import ModelConfig
from glassmill.model.sizes import num_parameters
from glassmill.recipe import find_recipe, load_recipe


def sized(folder: Path, num_bytes: int) -> tuple[str, ...]:
    """A text file of so many bytes, of which none is on disk."""
    folder.mkdir()
    with (folder / "a.md").open("wb") as file:
        file.truncate(num_bytes)
    return (str(folder),)


@pytest.mark.parametrize(
    ("num_bytes", "why"),
    [
        (20_000, "the text is small"),
        (20_000_000, "read 4 times"),
        (10_000_000_000, f"{TOKENS_PER_PARAMETER} tokens per parameter are enough"),
    ],
)
def test_steps_follow_the_size_of_the_text_up_to_what_the_model_can_use(
    tmp_path: Path, num_bytes: int, why: str
) -> None:
    recipe = load_recipe(find_recipe("documents"))
    inputs = sized(tmp_path / "docs", num_bytes)
    steps, said = length_for("documents", inputs)
    parameters = num_parameters(ModelConfig(vocab_size=recipe.tokenizer.vocab_size, **recipe.model.shape()))
    tokens = 0.95 * num_bytes / bytes_per_token(recipe.tokenizer.vocab_size)
    seen = min(EPOCHS * tokens, TOKENS_PER_PARAMETER * parameters)
    assert why in said and steps == max(LEAST_STEPS, round(seen / recipe.train.batch_tokens))
    write_template(tmp_path / "mine.toml", inputs)
    written = tomllib.loads((tmp_path / "mine.toml").read_text())["train"]
    assert written["steps"] == steps and "minutes" not in written
    assert f"steps = {steps}  # {said}\n" in (tmp_path / "mine.toml").read_text()


def test_without_inputs_there_is_nothing_to_count_and_the_time_box_stays(tmp_path: Path) -> None:
    write_template(tmp_path / "mine.toml", (), profile="web")
    written = tomllib.loads((tmp_path / "mine.toml").read_text())["train"]
    assert written["minutes"] == 10 and "steps" not in written
