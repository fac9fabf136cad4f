"""The model that a training starts from, and what of it can be known before anything starts. Nothing here loads torch.

`train.base` continues a model's pretraining on other text: its shape and vocabulary are taken, and rates that suit it
where the recipe sets none. The recipe that comes out of `prepared` holds them, so that they are part of the run's
identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassmill.errors import UserError
from glassmill.infer.find import find_model, find_model_folder, read_config, read_meta
from glassmill.model.config import ModelConfig
from glassmill.recipe import ModelSettings, Recipe
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.train.rates import continuing_rates


@dataclass(frozen=True, slots=True)
class Base:
    """The model to start from, without its weights."""

    folder: Path
    config: ModelConfig
    tokenizer: Tokenizer
    meta: Mapping[str, Any]


def find_base(setting: str, name: str, runs: Path) -> Path:
    """The folder of the model that `setting` names: a path, a run, or what was imported under that name.

    Raises:
        UserError: there is none.
    """
    try:
        return find_model(name, runs)
    except UserError as error:
        raise UserError(f"{setting} = {name!r}: {error}") from None


def read_base(folder: Path) -> Base:
    """The model in `folder`, or in the run that `folder` is.

    Raises:
        UserError: it can't be read, or has more tokens than embeddings.
    """
    folder = find_model_folder(folder)
    config, tokenizer = read_config(folder), Tokenizer.load(folder)
    if tokenizer.vocab_size > config.vocab_size:
        raise UserError(
            f"{folder}: its tokenizer has {tokenizer.vocab_size} tokens, its config.json only {config.vocab_size}"
        )
    return Base(folder, config, tokenizer, read_meta(folder))


def prepared(recipe: Recipe, runs: Path) -> Recipe:
    """The recipe with the folders of `train.base` and `tokenizer.base`, and the rates for such a start.

    Raises:
        UserError: no such model or vocabulary, two that differ, a window longer than the model reads, or adapters
            without a model to adapt.
    """
    tokenizer = recipe.tokenizer.base
    if tokenizer is not None:
        tokenizer = _vocabulary(tokenizer, runs)
    if recipe.train.base is None:
        if recipe.train.lora.rank and "train" in recipe.stages:
            raise UserError("train.lora adapts a finished model: set train.base to one, or train.lora.rank=0")
        return _with(recipe, tokenizer=tokenizer)
    base = read_base(find_base("train.base", recipe.train.base, runs))
    if recipe.model.context_length > base.config.context_length:
        raise UserError(
            f"model.context_length = {recipe.model.context_length} is longer than the {base.config.context_length} "
            f"tokens that train.base reads; set model.context_length={base.config.context_length}"
        )
    if tokenizer is not None and not same_vocabulary(Tokenizer.load(tokenizer), base.tokenizer):
        raise UserError(
            f"tokenizer.base = {recipe.tokenizer.base!r} is another vocabulary than that of train.base = "
            f"{recipe.train.base!r}; unset it with tokenizer.base=none"
        )
    rates = continuing_rates(recipe.train, base.config, base.meta)
    train = recipe.train.model_copy(update={"base": str(base.folder), **rates})
    return _with(recipe, tokenizer=tokenizer or str(base.folder)).model_copy(update={"train": train})


def shape_of(settings: ModelSettings, base: str | None, vocab_size: int) -> ModelConfig:
    """The shape of the model: that of the recipe, or the base's."""
    return ModelConfig(vocab_size=vocab_size, **settings.shape()) if base is None else read_config(Path(base))


def same_vocabulary(one: Tokenizer, other: Tokenizer) -> bool:
    """Whether every id stands for the same bytes."""
    if one.vocab_size != other.vocab_size or one.special != other.special:
        return False
    return all(one.token_bytes(number) == other.token_bytes(number) for number in one.symbol_ids())


def _vocabulary(name: str, runs: Path) -> str:
    """What `tokenizer.base` names, as `Tokenizer.load` takes it."""
    try:
        Tokenizer.load(name)
        return name
    except UserError as error:
        try:
            return str(find_model(name, runs))
        except UserError:
            raise UserError(f"tokenizer.base = {name!r}: {error}") from None


def _with(recipe: Recipe, tokenizer: str | None) -> Recipe:
    return recipe.model_copy(update={"tokenizer": recipe.tokenizer.model_copy(update={"base": tokenizer})})
