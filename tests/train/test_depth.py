"""`model.depth` alone gives a whole training, and every number of it can still be set by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from glassmill.errors import UserError
from glassmill.model.config import ModelConfig
from glassmill.model.sizes import num_matrix_parameters
from glassmill.recipe import ModelSettings, Recipe, TrainSettings, find_recipe, load_recipe, make_recipe
from glassmill.recipe.depth import TOKENS_PER_PARAMETER
from glassmill.run.folder import recipe_toml


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 6, 9, 11, 12, 13, 16, 20, 24, 26, 32, 64])
def test_every_depth_gives_a_shape_that_fits_together(depth: int) -> None:
    recipe = Recipe(model={"depth": depth})
    config = ModelConfig(recipe.tokenizer.vocab_size, **recipe.model.shape())
    assert config.num_layers == depth
    assert config.d_model == config.num_heads * config.head_dim and config.head_dim in (64, 128)
    assert config.d_ff % 64 == 0 and 8 / 3 <= config.d_ff / config.d_model < 3.01
    assert 64 * depth <= config.d_model < 64 * depth + 128


def test_depth_6_is_the_default_and_depth_4_the_web_recipe_but_for_its_layers() -> None:
    assert Recipe(model={"depth": 6}).model.shape() == ModelSettings().shape()
    assert TrainSettings().batch_tokens == Recipe(model={"depth": 6}).train.batch_tokens
    assert TrainSettings().embedding_lr == Recipe(model={"depth": 6}).train.embedding_lr
    web = load_recipe(find_recipe("web")).model
    assert (web.d_model, web.head_dim, web.num_heads, web.d_ff) == (256, 64, 4, 704)
    assert Recipe(model={"depth": 4}).model.shape() | {"num_layers": 6} == web.shape()


def test_a_deeper_model_gets_larger_batches_and_smaller_rates() -> None:
    trains = [Recipe(model={"depth": depth}).train for depth in (2, 4, 8, 16, 32)]
    assert [train.batch_tokens for train in trains] == [1024, 2048, 4096, 16384, 32768]
    rates = [train.embedding_lr for train in trains]
    assert rates == sorted(rates, reverse=True) and rates[0] < 0.01 and rates[-1] > 0.001


def test_the_length_is_twelve_tokens_a_parameter_unless_there_is_one() -> None:
    recipe = Recipe(model={"depth": 4}, tokenizer={"vocab_size": 8192})
    parameters = num_matrix_parameters(ModelConfig(8192, **recipe.model.shape()))
    assert recipe.train.steps is not None
    tokens = recipe.train.steps * recipe.train.batch_tokens
    assert tokens == pytest.approx(TOKENS_PER_PARAMETER * parameters, rel=1e-3)
    assert Recipe(model={"depth": 4}, train={"minutes": 5}).train.steps is None
    assert Recipe(model={"depth": 4}, train={"steps": 9}).train.steps == 9
    assert Recipe().train.steps is None


def test_what_is_set_by_hand_wins() -> None:
    recipe = make_recipe({"model": {"depth": 12, "d_ff": 1000}, "train": {"peak_lr": 0.01, "batch_tokens": 65536}})
    assert (recipe.model.d_ff, recipe.model.d_model) == (1000, 768)
    assert (recipe.train.peak_lr, recipe.train.batch_tokens, recipe.train.embedding_lr) == (0.01, 65536, 0.0028)


def test_sections_given_as_settings_follow_too() -> None:
    recipe = Recipe(model=ModelSettings(depth=12), train=TrainSettings(peak_lr=0.01))
    assert (recipe.train.peak_lr, recipe.train.batch_tokens) == (0.01, 8192)


def test_a_depth_on_the_command_line_replaces_the_shape_of_the_file_but_not_what_is_set_beside_it() -> None:
    demo = load_recipe(find_recipe("demo"))
    deeper = load_recipe(find_recipe("demo"), ["model.depth=4", "train.peak_lr=0.03"])
    assert (demo.model.d_model, demo.train.peak_lr, demo.train.batch_tokens) == (160, 0.01, 2048)
    assert (deeper.model.d_model, deeper.model.num_layers, deeper.train.peak_lr) == (256, 4, 0.03)
    assert (deeper.model.context_length, deeper.train.steps) == (demo.model.context_length, demo.train.steps)


def test_the_resolved_recipe_holds_every_number_and_reads_back_as_itself(tmp_path: Path) -> None:
    recipe = make_recipe({"name": "deep", "model": {"depth": 3}})
    (tmp_path / "deep.toml").write_text(recipe_toml(recipe))
    assert "d_model = 192" in (tmp_path / "deep.toml").read_text()
    assert load_recipe(tmp_path / "deep.toml") == recipe


def test_the_dial_and_the_same_numbers_by_hand_are_the_same_model_to_a_run() -> None:
    dialled = Recipe(model={"depth": 4})
    by_hand = Recipe(model=dialled.model.shape())
    assert dialled.model.identity() == by_hand.model.identity()


def test_a_number_set_by_hand_that_is_none_is_named_and_not_computed_with() -> None:
    with pytest.raises(UserError, match=r"^recipe: model\.d_model = 'wide': "):
        make_recipe({"model": {"depth": 4, "d_model": "wide"}})
    with pytest.raises(UserError, match=r"^recipe: train\.batch_tokens = 0: "):
        make_recipe({"model": {"depth": 4}, "train": {"batch_tokens": 0}})


@pytest.mark.parametrize("depth", [0, 65, "deep", 2.5])
def test_a_depth_that_is_none_is_refused_by_name(depth: object) -> None:
    with pytest.raises(UserError, match=r"^recipe: model\.depth = "):
        make_recipe({"model": {"depth": depth}})
