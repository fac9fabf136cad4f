"""What can be known of a tuning before anything starts: its base model, its length, its conversations or tasks.

`glassmill plan` and the line ask here first, so that a mistake is not found hours later. Nothing here loads torch.
"""

from __future__ import annotations

from pathlib import Path

from glassmill.errors import UserError
from glassmill.infer.find import find_model_folder, read_config
from glassmill.model.config import ModelConfig
from glassmill.recipe import DpoSettings, Recipe, RlSettings, SftSettings
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.train.base import Base, find_base, read_base, same_vocabulary
from glassmill.train.rates import is_own
from glassmill.tune.pairs import read_pairs
from glassmill.tune.reading import read_conversations
from glassmill.tune.tasks import read_tasks

TRAININGS = ("train", "sft", "dpo", "rl")
"""In the order of the line; each starts from the model of one before it."""


def read_chat_base(folder: Path) -> Base:
    """The model in `folder`, or in the run that `folder` is.

    Raises:
        UserError: it can't be read, or holds no conversation: it has no chat template, or too small a vocabulary.
    """
    base = read_base(folder)
    if base.tokenizer.chat_template is None:
        raise UserError(
            f"{base.folder} has no chat template, so it cannot be tuned on conversations; take the model's instruct or "
            "chat version, or add a chat_template to its tokenizer_config.json"
        )
    return base


def start_of(stage: str, word: str | None, own: Path | None, runs: Path, before: str) -> Base:
    """The model that a tuning starts from: what `<stage>.base` names, or else `own`, that of an earlier stage.

    Args:
        before: The stage whose model that would be.

    Raises:
        UserError: there is neither, or it holds no conversation.
    """
    if word is not None:
        return read_chat_base(find_base(f"{stage}.base", word, runs))
    if own is None:
        raise UserError(
            f"{stage} has no model to start from; add the stage {before} to the recipe, or set {stage}.base to a model "
            "folder"
        )
    return read_chat_base(own)


def width_of_start(recipe: Recipe, stage: str) -> int:
    """The width of that model, as far as the recipe tells: of the last base before the stage, or its own shape's.

    Raises:
        UserError: a base is no model folder, or its config.json is damaged.
    """
    ran = [name for name in TRAININGS[: TRAININGS.index(stage)] if name in recipe.stages]
    bases = (getattr(recipe, name).base for name in (stage, *reversed(ran)))
    base = next(filter(None, bases), None)
    return recipe.model.d_model if base is None else read_config(find_model_folder(base)).d_model


def check_length(settings: SftSettings, config: ModelConfig) -> None:
    """Raises UserError where rows are longer than the model reads, or a batch holds no whole number of them."""
    length = settings.length
    if length is None:
        return
    if length > config.context_length:
        raise UserError(
            f"sft.length = {length} is longer than the model's context of {config.context_length} tokens; "
            f"set sft.length={config.context_length}"
        )
    if settings.batch_tokens % length:
        near = max(1, round(settings.batch_tokens / length)) * length
        raise UserError(
            f"sft.batch_tokens = {settings.batch_tokens} is not a multiple of sft.length = {length}; "
            f"set sft.batch_tokens={near}"
        )


def prepared_preferences(recipe: Recipe, runs: Path) -> Recipe:
    """The recipe with the path of its `dpo.base`, after a look at the pairs.

    Raises:
        UserError: no such base, one that holds no conversation, or a file that holds no pairs.
    """
    if not list(read_pairs(recipe.dpo.pairs)):
        raise UserError(f"dpo.pairs: there is no pair in {', '.join(recipe.dpo.pairs)}")
    return _with_base(recipe, "dpo", recipe.dpo, runs)


def prepared_practice(recipe: Recipe, runs: Path) -> Recipe:
    """The recipe with the path of its `rl.base`, after a look at the tasks.

    Raises:
        UserError: no such base, one that holds no conversation, or a file that holds no tasks.
    """
    if recipe.rl.tasks and not read_tasks(recipe.rl.tasks):
        raise UserError(f"rl.tasks: there is no task in {', '.join(recipe.rl.tasks)}")
    return _with_base(recipe, "rl", recipe.rl, runs)


def _with_base(recipe: Recipe, stage: str, settings: DpoSettings | RlSettings, runs: Path) -> Recipe:
    if settings.base is None:
        return recipe
    base = read_chat_base(find_base(f"{stage}.base", settings.base, runs))
    return recipe.model_copy(update={stage: settings.model_copy(update={"base": str(base.folder)})})


def prepared(recipe: Recipe, runs: Path) -> Recipe:
    """The recipe with the path of its `sft.base`, after a look at all that sft will read.

    Raises:
        UserError: no such base, one that doesn't fit the recipe, or a file of conversations that can't be learned.
    """
    if recipe.sft.base is None and recipe.train.base is not None:
        check_length(recipe.sft, read_chat_base(Path(recipe.train.base)).config)
    elif recipe.sft.base is None:
        check_length(recipe.sft, ModelConfig(vocab_size=recipe.tokenizer.vocab_size, **recipe.model.shape()))
    else:
        base = read_chat_base(find_base("sft.base", recipe.sft.base, runs))
        check_length(recipe.sft, base.config)
        if "tokens" in recipe.stages and recipe.sft.pages and not (is_own(base.meta) or _encodes(recipe, base)):
            raise UserError(
                f"sft.base = {recipe.sft.base!r} has a vocabulary of its own ({base.tokenizer.vocab_size} tokens), and "
                "the recipe's pages are encoded with another; set sft.pages=0, or leave tokens out of stages, or set "
                f"tokenizer.base={recipe.sft.base}"
            )
        recipe = recipe.model_copy(update={"sft": recipe.sft.model_copy(update={"base": str(base.folder)})})
    learned = total = 0
    for placed in read_conversations(recipe.sft.conversations):
        total += 1
        learned += any(placed.conversation.learned)
    if recipe.sft.conversations and not learned:
        raise UserError(
            f"sft.conversations: {total} conversations, and none teaches anything: they need a message of the "
            "assistant with words in it (and without weight 0)"
        )
    return recipe


def _encodes(recipe: Recipe, base: Base) -> bool:
    """Whether the recipe's pages are in the vocabulary of the model."""
    given = recipe.tokenizer.base
    return given is not None and same_vocabulary(Tokenizer.load(given), base.tokenizer)
