"""The recipe's promises: nothing is silently ignored, every mistake is one line that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from glassmill.errors import UserError
from glassmill.recipe import Recipe, load_recipe, make_recipe
from glassmill.stages import check_recipe

REPOSITORY = Path(__file__).resolve().parents[1]


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_overrides_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, "seed = 3\n[train]\nsteps = 10\n"), ["train.steps=20", "seed=4"])
    assert (recipe.name, recipe.seed, recipe.train.steps) == ("mine", 4, 20)
    assert recipe.tokenizer == Recipe().tokenizer


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.minute=2"], "unknown setting train.minute; did you mean train.minutes?"),
        (["minutes=2"], "unknown setting minutes; did you mean train.minutes?"),
        (["trian.steps=2"], "unknown setting trian; did you mean train?"),
        (["train.steps"], "cannot read 'train.steps'; write settings as key=value"),
        (["train.steps=0"], "train.steps = 0: Input should be greater than or equal to 1"),
        (["train.steps=many"], "train.steps = 'many': Input should be a valid integer"),
        (["name={x = 1}"], "name = {'x': 1}: Input should be a valid string"),
        (["corpus=[1]"], "corpus = [1]: must be a table"),
        (["corpus.workers=[1]"], "corpus.workers = [1]: Input should be a valid integer"),
        (["stages=corpus,tokeniser"], "no stage 'tokeniser'; did you mean tokenizer?"),
    ],
)
def test_a_misspelt_key_or_a_value_out_of_bounds_is_one_clear_line(
    tmp_path: Path, overrides: list[str], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(write(tmp_path, ""), overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_a_folder_and_broken_toml_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no recipe at"):
        load_recipe(tmp_path / "absent.toml")
    with pytest.raises(UserError, match="is a folder"):
        load_recipe(tmp_path)
    with pytest.raises(UserError, match="not valid TOML"):
        load_recipe(write(tmp_path, "seed = = 3"))


def test_lists_take_one_word_commas_or_toml() -> None:
    for override in ("corpus.inputs=a.warc,b.warc", 'corpus.inputs=["a.warc", "b.warc"]'):
        assert make_recipe({}, [override]).corpus.inputs == ("a.warc", "b.warc")
    assert make_recipe({}, ["corpus.inputs=a b.warc"]).corpus.inputs == ("a b.warc",)


def test_runtime_settings_stay_out_of_the_identity_and_all_others_are_in_it() -> None:
    base = make_recipe({})
    assert make_recipe({}, ["corpus.workers=7"]).corpus.identity() == base.corpus.identity()
    assert make_recipe({}, ["tokens.validation_share=0.1"]).tokens.identity() != base.tokens.identity()


@pytest.mark.parametrize("path", sorted((REPOSITORY / "recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_the_built_in_recipes_are_valid(path: Path) -> None:
    assert load_recipe(path).name == path.stem


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["stages=corpus,tokens"], "tokens needs the output of tokenizer; add tokenizer"),
        (["stages=corpus"], "corpus.inputs is empty"),
        (["stages=miniweb,corpus,sft", "sft.steps=3"], "sft needs a base model"),
        (["stages=sft", "sft.base=models/x", "sft.steps=3"], "sft.conversations is empty"),
        (["stages=miniweb,corpus,eval"], "eval needs the output of sft or train; add sft or train"),
        (["sft.steps=3"], "train has no length: give train.minutes, train.steps, or both"),
        (["train.steps=3"], "sft has no length: give sft.minutes, sft.steps or sft.epochs"),
        (["train.steps=3", "sft.steps=3", "sft.epochs=1"], "both set the length; unset one with sft.steps=none"),
    ],
)
def test_what_would_stop_the_line_half_way_is_found_before_it_starts(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_recipe(make_recipe({}, overrides))


def test_a_setting_under_its_old_name_is_read_with_a_warning_that_says_the_new_one() -> None:
    with pytest.warns(FutureWarning, match=r"run\.silence_s was renamed to run\.worker_timeout_s"):
        assert make_recipe({}, ["run.silence_s=5"]).run.worker_timeout_s == 5
    with pytest.raises(UserError, match=r"both are set; remove run\.silence_s"):
        make_recipe({"run": {"silence_s": 5, "worker_timeout_s": 6}})
