"""The rows, in the order of the line, and the functions that some of them need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from glassmill.stages.row import Files, Input, Load, Stage, Stats, reported

if TYPE_CHECKING:
    from glassmill.recipe import LoopSettings, Recipe


RL_PROMPT_TOKENS = 32
"""Of a task, as the plan guesses."""
TOKENIZER_FILES = ("vocab.tiktoken", "tokenizer.json", "vocab.json", "merges.txt")


def _corpus_files(recipe: Recipe) -> Mapping[str, Files]:
    corpus = recipe.corpus
    return {
        "corpus.inputs": Files(corpus.inputs),
        "corpus.exclude_files": Files(corpus.exclude_files),
        "corpus.url.blocklists": Files(corpus.url.blocklists, folders=1),
        "corpus.url.allowlists": Files(corpus.url.allowlists, folders=1),
        "corpus.dedup.against": Files(tuple(f"{run}/index/index.json" for run in corpus.dedup.against)),
        "corpus.classifier.path": Files((corpus.classifier.path,) if corpus.classifier.path else ()),
    }


def _has(recipe: Recipe, *stages: str) -> bool:
    """Whether one of these stages runs, or is given."""
    return any(stage in recipe.stages or stage in recipe.given for stage in stages)


def _corpus_check(recipe: Recipe) -> str | None:
    if _has(recipe, "miniweb") or recipe.corpus.inputs:
        return None
    return "corpus.inputs is empty: name WARC files, a folder or a glob, such as corpus.inputs=pages/"


def _corpus_report(stats: Stats) -> Mapping[str, object]:
    funnel = stats["funnel"]
    dropped = sum((Counter(step["dropped"]) for step in funnel), Counter[str]())
    return {
        "pages_in": funnel[0]["in"],
        "documents_out": funnel[-1]["out"],
        "dropped": dict(dropped.most_common()),
        "quarantined": stats["quarantined"],
        "personal_data": stats["pii"],
        "funnel": funnel,
        "quarantine_causes": stats.get("causes", {}),
        "corpus_speed": stats.get("speed"),
    }


def _train_files(recipe: Recipe) -> Mapping[str, Files]:
    """The base model, and the runs of the mixture: place and share of each are part of the identity too."""
    mixture = {
        f"train.mixture {number} ({share!r})": Files(run=run)
        for number, (run, share) in enumerate(recipe.train.mixture.items(), start=1)
    }
    return {"train.base": _model_files(recipe.train.base), **mixture}


def _model_files(base: str | None) -> Files:
    """A base model; of a run, its model counts."""
    if base and (Path(base) / "model" / "config.json").is_file():
        base = str(Path(base) / "model")
    return Files((base,) if base else ())


def _tokenizer_files(recipe: Recipe) -> Mapping[str, Files]:
    base = Path(recipe.tokenizer.base or "")
    places = (base,) if base.is_file() else (base / name for name in TOKENIZER_FILES)
    return {"tokenizer.base": Files(tuple(str(path) for path in places if path.is_file()))}


def _train_report(stats: Stats) -> Mapping[str, object]:
    mixture = {"mixture": stats["mixture"]} if "mixture" in stats else {}
    return {**reported("parameters", "steps", "tokens_seen")(stats), **mixture}


def _train_check(recipe: Recipe) -> str | None:
    if recipe.train.minutes is None and recipe.train.steps is None:
        return "train has no length: give train.minutes, train.steps, or both (whichever is reached first)"
    return None


def _sft_files(recipe: Recipe) -> Mapping[str, Files]:
    return {"sft.conversations": Files(recipe.sft.conversations), "sft.base": _model_files(recipe.sft.base)}


def _sft_check(recipe: Recipe) -> str | None:
    sft = recipe.sft
    if not sft.base and not _has(recipe, "train"):
        return "sft needs a base model: add the stage train, or name a model folder in sft.base"
    if not sft.conversations and not _has(recipe, "miniweb"):
        return "sft.conversations is empty: name files of conversations, or leave sft out of stages"
    if sft.minutes is None and sft.steps is None and sft.epochs is None:
        return "sft has no length: give sft.minutes, sft.steps or sft.epochs"
    if sft.steps is not None and sft.epochs is not None:
        return "sft.steps and sft.epochs both set the length; unset one with sft.steps=none"
    return None


def _dpo_files(recipe: Recipe) -> Mapping[str, Files]:
    return {"dpo.pairs": Files(recipe.dpo.pairs), "dpo.base": _model_files(recipe.dpo.base)}


def _dpo_check(recipe: Recipe) -> str | None:
    if not recipe.dpo.base and not _has(recipe, "sft"):
        return "dpo needs a tuned model: add the stage sft, or name a model folder in dpo.base"
    if not recipe.dpo.pairs:
        return "dpo.pairs is empty: name files of preference pairs, or leave dpo out of stages"
    return None


def _rl_files(recipe: Recipe) -> Mapping[str, Files]:
    return {"rl.tasks": Files(recipe.rl.tasks), "rl.base": _model_files(recipe.rl.base)}


def _rl_check(recipe: Recipe) -> str | None:
    if not recipe.rl.base and not _has(recipe, "dpo", "sft"):
        return "rl needs a tuned model: add the stage sft, or name a model folder in rl.base"
    if not recipe.rl.tasks and not _has(recipe, "miniweb"):
        return "rl.tasks is empty: name files of tasks, or leave rl out of stages"
    return None


def _rl_minutes(recipe: Recipe, load: Load) -> float:
    """To draw answers takes about as long as to learn from them."""
    rl = recipe.rl
    answers = rl.steps * rl.prompts * rl.answers / rl.updates
    needed = 2 * answers * (rl.max_tokens + RL_PROMPT_TOKENS) / load.tokens_per_s / 60
    return needed if rl.minutes is None else min(needed, rl.minutes)


def training_tokens(settings: LoopSettings, tokens_per_s: float) -> int:
    """How many tokens a training takes: those of its steps, or as many as fit in its minutes."""
    box = int(settings.minutes * 60 * tokens_per_s) if settings.minutes is not None else None
    steps = settings.steps * settings.batch_tokens if settings.steps is not None else None
    return min((value for value in (box, steps) if value is not None), default=0)


def _training_minutes(settings: LoopSettings, tokens_per_s: float) -> float:
    return training_tokens(settings, tokens_per_s) / tokens_per_s / 60


def _eval_files(recipe: Recipe) -> Mapping[str, Files]:
    return {"eval.questions": Files((recipe.eval.questions,) if recipe.eval.questions else ())}


STAGES: tuple[Stage, ...] = (
    Stage(
        name="miniweb",
        verb="glassmill.miniweb.make",
        help="Write the demo's small fictional web, with its ground truth: same seed, same bytes.",
        leaves="WARC files, the ground truth for every page, questions and conversations",
        headline=("pages",),
        title="Web",
        doing="writing a small web",
        shows="funnel",
        room="corpus",
    ),
    Stage(
        name="corpus",
        verb="glassmill.corpus.corpus",
        facts="glassmill.corpus.facts",
        help="Turn web pages into clean documents, and record why every other page was dropped.",
        leaves="clean documents, and every dropped page with its reason",
        headline=("records", "kept"),
        title="Corpus",
        doing="cleaning pages",
        inputs=(Input("web", ("miniweb",), required=False),),
        files=_corpus_files,
        check=_corpus_check,
        minutes=lambda recipe, load: load.html_bytes / 6e6 / load.cores / 60,
        report=_corpus_report,
        array=True,
        shows="funnel",
        heading="From pages to documents",
        says="A raw crawl is mostly text that no model should learn from. Each filter below removes pages for one "
        "reason; the width of the stream is the number of pages left. Open a step to read the pages it dropped, and "
        "the number that decided.",
        waits="The funnel appears with the first pages.",
    ),
    Stage(
        name="tokenizer",
        verb="glassmill.tokens.vocabulary",
        help="Learn a byte-level BPE vocabulary from the documents.",
        leaves="a vocabulary, and the history of its merges",
        headline=("vocab_size", "bytes_per_token"),
        title="Tokenizer",
        doing="learning a vocabulary",
        seeded=False,
        inputs=(Input("documents", ("corpus",)),),
        files=_tokenizer_files,
        minutes=lambda recipe, load: load.text_bytes / 5e6 / 60,
        report=reported("vocab_size"),
        shows="vocabulary",
        heading="From letters to tokens",
        says="A model reads numbers, not letters. The tokenizer starts with the 256 bytes and joins the most frequent "
        "pair of neighbours, then the next, thousands of times. The results are word pieces, each with its number.",
        waits="When the vocabulary is ready, you can type your own text here and see its tokens.",
    ),
    Stage(
        name="tokens",
        verb="glassmill.tokens.tokens",
        help="Encode the documents as shards of token ids.",
        leaves="shards of token ids, to train on and to measure with",
        headline=("train_tokens", "validation_tokens"),
        title="Tokens",
        doing="turning text into numbers",
        seeded=False,
        inputs=(Input("documents", ("corpus",)), Input("tokenizer", ("tokenizer",))),
        minutes=lambda recipe, load: load.text_bytes / 8e6 / 60,
        array=True,
        shows="vocabulary",
        room="tokenizer",
    ),
    Stage(
        name="train",
        verb="glassmill.train.train",
        facts="glassmill.train.facts",
        help="Train a base model on the token ids.",
        leaves="a base model, which continues text",
        headline=("parameters", "steps", "val_bpb"),
        title="Training",
        doing="learning to continue text",
        inputs=(Input("tokens", ("tokens",)), Input("tokenizer", ("tokenizer",))),
        sections=("model",),
        files=_train_files,
        check=_train_check,
        minutes=lambda recipe, load: _training_minutes(recipe.train, load.tokens_per_s),
        report=_train_report,
        together=True,
        model="base",
        shows="curve",
        heading="Learning to read",
        says="The model reads a stretch of text and guesses each next token; every guess changes its weights a "
        "little. The curve shows how much the text surprises it: everything at first, then less and less.",
        waits="Training starts when the text has become tokens.",
    ),
    Stage(
        name="sft",
        verb="glassmill.tune.sft",
        facts="glassmill.tune.sft_facts",
        help="Tune the base model on conversations into an assistant.",
        leaves="an assistant, which answers",
        headline=("conversations", "steps", "held_out_loss"),
        title="Tuning",
        doing="learning to answer",
        inputs=(
            Input("base", ("train",), required=False),
            Input("web", ("miniweb",), required=False),
            Input("tokens", ("tokens",), required=False),
        ),
        files=_sft_files,
        check=_sft_check,
        minutes=lambda recipe, load: _training_minutes(recipe.sft, load.tokens_per_s),
        together=True,
        model="assistant",
        shows="curve",
        heading="Learning to answer",
        says="So far the model only continues text. Now it reads conversations and learns the assistant's part: to "
        "answer, to use the calculator, to say when it does not know.",
        waits="Tuning starts when training is done.",
    ),
    Stage(
        name="dpo",
        verb="glassmill.tune.dpo",
        facts="glassmill.tune.dpo_facts",
        help="Tune a model on pairs of a better and a worse answer.",
        leaves="an assistant that answers like the better answers",
        headline=("pairs", "steps", "held_out_accuracy"),
        title="Preferences",
        doing="learning what is preferred",
        inputs=(Input("base", ("sft",), required=False), Input("tokens", ("tokens",), required=False)),
        files=_dpo_files,
        check=_dpo_check,
        model="assistant",
        heading="Learning what is preferred",
        says="Two answers to the same question, one marked as the better: the model makes it likelier than the other, "
        "without moving far from where it started.",
        waits="This starts when tuning is done.",
    ),
    Stage(
        name="rl",
        verb="glassmill.tune.rl",
        facts="glassmill.tune.rl_facts",
        help="Improve the tuned model by its own answers to tasks that can be checked.",
        leaves="an assistant that answers more tasks right, and every answer that it learned from",
        headline=("tasks", "steps"),
        title="Practice",
        doing="practising",
        inputs=(
            Input("base", ("dpo", "sft"), required=False),
            Input("tokens", ("tokens",), required=False),
            Input("web", ("miniweb",), required=False),
        ),
        files=_rl_files,
        check=_rl_check,
        minutes=_rl_minutes,
        model="assistant",
        shows="rollouts",
        heading="Learning from its own answers",
        says="The model answers the same question several times. Answers that turn out right become likelier, the "
        "others less likely.",
        waits="Practice starts when tuning is done.",
    ),
    Stage(
        name="eval",
        verb="glassmill.evals.eval",
        help="Score a model: bits per byte, answers to questions, leaked personal data.",
        leaves="scores, and every answer",
        headline=("val_bpb", "facts_accuracy", "questions_right"),
        title="Report",
        doing="examining the model",
        inputs=(
            Input("model", ("rl", "dpo", "sft", "train")),
            Input("web", ("miniweb",), required=False),
            Input("documents", ("corpus",), required=False),
            Input("tokens", ("tokens",), required=False),
            Input("practice", ("rl",), required=False),
        ),
        files=_eval_files,
        report=lambda stats: stats,
        shows="scores",
        room="report",
        heading="The report card",
        says="What the finished model can do, in numbers.",
        waits="The report card is written when the model is finished.",
    ),
)
