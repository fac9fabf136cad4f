"""From a model, or a run of any stage, to what it was trained on: the runs that it came from, where they still are."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from glassmill.corpus.look.why import row_at
from glassmill.errors import UserError
from glassmill.recipe import Recipe, load_recipe
from glassmill.run.finished import is_done, read_manifest, read_stats
from glassmill.run.given import origins
from glassmill.run.names import find_folder
from glassmill.stages import stage_named
from glassmill.tokens.shards import Shards
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.train.order import WindowOrder


class Origin(NamedTuple):
    """What a model was pretrained on.

    Attributes:
        tokens: The tokens run.
        tokenizer: Where its tokenizer is.
        corpus: The corpus run that it was made from; None if it is gone.
        train: The training that read it; None for a tokens run itself, or if it is gone.
        others: Tokens runs that the training read besides, which are not searched: those of `train.mixture`.
    """

    tokens: Path
    tokenizer: Path
    corpus: Path | None
    train: Path | None
    others: tuple[str, ...] = ()


def find_run(word: str, runs: Path) -> Path:
    """The folder of a run that was made from token ids, or made them: from its path, its name, or its model folder.

    Raises:
        UserError: there is none.
    """
    folder = find_folder(word, runs, is_done, "run or model", "is finished")
    folder = folder.parent if folder.name == "model" and is_done(folder.parent) else folder
    if not is_done(folder):
        raise UserError(
            f"{folder} is not a run of glassmill's (no manifest.json), so nothing is known of its training documents; "
            "give a run of the stages tokens, train, sft, dpo or rl"
        )
    return folder


def origin_of(run: Path, runs: Path | None = None) -> Origin:
    """What the run came from; its inputs are looked for among `runs`, or else in the folder that holds it.

    Raises:
        UserError: it was not made from token ids, or its tokens run or tokenizer is gone.
    """
    stage = read_manifest(run)["stage"]
    before: dict[str, Path] = {stage: run}
    for name, folder in origins(stage_named(stage), run, runs or run.parent.parent):
        before.setdefault(name, folder)
    tokens = before.get("tokens")
    if tokens is None:
        raise UserError(
            f"{run} is a run of the stage {stage}, and the tokens run that it was trained on is not here; give a run "
            "of one of the stages tokens, train, sft, dpo and rl, in its folder of runs"
        )
    tokenizer = before.get("tokenizer")
    if tokenizer is None:
        models = (before[name] / "model" for name in ("train", "sft", "dpo", "rl") if name in before)
        tokenizer = next((model for model in models if model.is_dir()), None)
    if tokenizer is None:
        raise UserError(f"{tokens}: the tokenizer that it was encoded with is not here; give a model trained on it")
    train = before.get("train")
    recipe = None if train is None else recipe_of(train)
    others = () if recipe is None else tuple(recipe.train.mixture)
    return Origin(tokens, tokenizer, before.get("corpus"), train, others)


def recipe_of(train: Path) -> Recipe | None:
    """A training's recipe; None if this version of glassmill cannot read it."""
    try:
        return load_recipe(train / "recipe.toml")
    except UserError:
        return None


def check_ids(origin: Origin, tokenizer: Tokenizer, shards: Shards) -> None:
    """Raises UserError where the tokenizer is not the one of the ids."""
    if tokenizer.vocab_size != shards.vocab_size or tokenizer.document_end_id != shards.eos_id:
        raise UserError(
            f"{origin.tokenizer} has {tokenizer.vocab_size} tokens, and {origin.tokens} was encoded with "
            f"{shards.vocab_size}; they do not belong together"
        )


def document_at(tokens: Path, origin: Origin, shard: str, row: int) -> tuple[str | None, str | None]:
    """URL and source of a document of a tokens run; None where the corpus run is gone, or the ids are of another."""
    if origin.corpus is None or tokens != origin.tokens or not origin.corpus.is_dir():
        return None, None
    found = row_at(origin.corpus, shard, row, ["url", "source"])
    return found["url"], found["source"]


class Reading(NamedTuple):
    """How a training read its ids: the order of its windows, windows a step, and steps."""

    order: WindowOrder
    rows: int
    steps: int


def reading_of(train: Path, shards: Shards) -> Reading | None:
    """How that training read `shards`; None where its steps are not to be known: of a mixture of corpora, where windows
    may have been skipped after a spike, and of another version of glassmill."""
    recipe = recipe_of(train)
    if recipe is None:
        return None
    settings, length = recipe.train, recipe.model.context_length
    if settings.mixture or settings.on_spike == "rollback" or shards.num_windows(length + 1) < 1:
        return None
    order = WindowOrder(shards.num_windows(length + 1), length, seed_of(recipe))
    return Reading(order, max(1, settings.batch_tokens // length), int(read_stats(train)["steps"]))


def seed_of(recipe: Recipe) -> int:
    """The seed of its training."""
    return stage_named("train").seed(recipe)["seed"]


def steps_reading(reading: Reading, shards: Shards, shard: int, first: int, ids: int) -> list[int]:
    """The steps, from 1, that had some of these ids to predict: `ids` of them, from id `first` of that shard on."""
    length = reading.order.length
    starts = [max(0, entry["tokens"] - length) for entry in shards.entries]
    before = sum(starts[:shard])
    low, high = max(0, first - length), min(starts[shard] - 1, first + ids - 2)
    if low > high:
        return []
    samples = reading.order.samples(before + low, before + high, reading.steps * reading.rows)
    return sorted({sample // reading.rows + 1 for sample in samples})
