"""`glassmill adapt --minutes`: the model is trained on the documents, and on questions about some of them.

In: the corpus, a base model, and questions about documents that the exam leaves alone. Out: a tuned model, and what
became of what the base knew. One tuning does both: half of its rows are pages of all documents, the others are these
questions with their answers. All weights learn where that fits into the memory, else adapters.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict

from glassmill.commands.plan import stage_memory
from glassmill.errors import UserError
from glassmill.evals.drift import drift
from glassmill.evals.exam import ExamRow
from glassmill.pipeline import ready, run_line
from glassmill.recipe import Recipe, find_recipe, load_recipe
from glassmill.run.events import Listener
from glassmill.run.files import atomic_write
from glassmill.run.finished import read_stats

LORA_RANK = 16
LEARNING = (
    'stages=["corpus","tokenizer","tokens","sft"]',
    "sft.batch_tokens=1024",
    "sft.micro_batch_tokens=512",
    "sft.pages=0.5",
)
QUESTIONS = "learned.jsonl"
"""In the folder of the exam: the conversations that are learned."""
FEWEST = 10
"""Conversations below which a tuning teaches nothing but them."""
WINDOW = 256


class Kept(TypedDict):
    """What became of general knowledge.

    Attributes:
        perplexity_before, perplexity: Of common facts.
        kl: Divergence of the next token, in nats.
        same_best: Share of tokens whose best successor is the same.
        forgot: Too much is gone to serve the model; never of one that was trained here, which knew no common facts.
    """

    perplexity_before: float
    perplexity: float
    kl: float
    same_best: float
    forgot: bool


class Learned(TypedDict):
    """A tuned model: where it is, which weights learned, on how much, and the memory that was planned for it."""

    model: str
    weights: Literal["all", "adapters"]
    conversations: int
    steps: int
    minutes: float
    memory_bytes: int
    kept: Kept


def check_enough(rows: Sequence[ExamRow], exam: Path) -> None:
    """Raises UserError where there are too few questions to learn from beside those of the exam."""
    if len(rows) < FEWEST:
        raise UserError(
            f"the documents that the exam leaves alone give {len(rows)} questions, too few to learn from; delete the "
            f"questions about some documents from {exam}, or leave --minutes out"
        )


def learn(
    corpus: Sequence[str],
    base: Path,
    place: Path,
    rows: Sequence[ExamRow],
    runs: Path,
    minutes: float,
    memory_bytes: float,
    listeners: tuple[Listener, ...],
) -> Learned:
    """Tunes the model in the folder `base` for at most `minutes`.

    Args:
        corpus: The settings of the corpus's recipe, whose run is there.
        base: The model to start from.
        place: The folder for the questions that are learned.
        rows: These questions.
        runs: Where runs lie.
        minutes: Of training, on the clock.
        memory_bytes: What it may take.
        listeners: Hear its events.

    Raises:
        UserError: more memory is needed, a model that holds no conversation, or a training that diverged.
    """
    atomic_write(place / QUESTIONS, "".join(_conversation(row) for row in rows))
    settings = (
        *(setting for setting in corpus if not setting.startswith("stages=")),
        *LEARNING,
        f"tokenizer.base={json.dumps(str(base))}",
        f"sft.base={json.dumps(str(base))}",
        f"sft.conversations={json.dumps([str(place / QUESTIONS)])}",
        f"sft.minutes={minutes}",
    )
    recipe, needed = _that_fits(settings, base, runs, memory_bytes)
    model = run_line(recipe, runs, listeners).folders["sft"]
    stats = read_stats(model)
    return {
        "model": str(model),
        "weights": "adapters" if recipe.sft.lora.rank else "all",
        "conversations": len(rows),
        "steps": int(stats["steps"]),
        "minutes": minutes,
        "memory_bytes": needed,
        "kept": kept(base, model / "model"),
    }


def kept(before: Path, after: Path) -> Kept:
    """Compares two models on a paragraph of common facts."""
    from glassmill.infer.choose import load_decoder
    from glassmill.train.base import read_base
    from glassmill.train.known_text import FORGETTING, GENERAL_TEXT
    from glassmill.train.rates import is_own

    base = read_base(before)
    ids = base.tokenizer.prompt_ids(GENERAL_TEXT)
    found = drift(load_decoder(before, 1), load_decoder(after, 1), ids, WINDOW)
    risen = math.log(found.perplexity) - math.log(found.perplexity_before)
    return {
        "perplexity_before": round(found.perplexity_before, 3),
        "perplexity": round(found.perplexity, 3),
        "kl": round(found.kl, 4),
        "same_best": round(found.same_best, 4),
        "forgot": not risen <= FORGETTING and not is_own(base.meta),
    }


def _that_fits(settings: Sequence[str], base: Path, runs: Path, memory_bytes: float) -> tuple[Recipe, int]:
    """The recipe that teaches all weights, or adapters, within the memory, and what it takes."""
    from glassmill.infer.find import find_model_folder, read_config

    config = read_config(find_model_folder(base))
    for rank in (0, LORA_RANK):
        recipe = ready(load_recipe(find_recipe("documents"), (*settings, f"sft.lora.rank={rank}")), runs)
        needed = stage_memory(recipe, config, config, os.cpu_count() or 1)["sft"]
        if needed <= memory_bytes:
            return recipe, needed
    raise UserError(
        f"training adapters of {base} takes about {needed / 1e9:.1f} GB, and --memory allows {memory_bytes / 1e9:.1f}; "
        "allow more, or take a smaller model"
    )


def _conversation(row: ExamRow) -> str:
    answer = row["answer"] if isinstance(row["answer"], str) else row["answer"][0]
    said = answer if answer.endswith((".", "!", "?")) else f"{answer}."
    messages = [{"role": "user", "content": row["question"]}, {"role": "assistant", "content": said}]
    return json.dumps({"messages": messages}, ensure_ascii=False) + "\n"
