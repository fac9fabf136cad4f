"""`glassmill plan`: what a recipe will take on this machine, before anything starts.

Sizes of models are exact. Minutes come from a second's measurement of this machine's matrix products and from the
shares below, which were measured on two cores; they are estimates, and say so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from glassmill.commands.doctor import examine
from glassmill.commands.terminal import size
from glassmill.corpus.read.files.kinds import kind_of
from glassmill.model.config import ModelConfig
from glassmill.model.sizes import num_parameters, training_bytes, training_flops_per_token, weight_bytes
from glassmill.recipe import LoopSettings, ModelSettings, Recipe, check_recipe
from glassmill.run.inputs import expand

UNPACKED = {".gz": 5.0, ".zst": 5.5}
"""Bytes of HTML in a byte of compressed WARC."""
TEXT_SHARE = 0.03
"""Bytes of kept text in a byte of HTML, after all filters."""
DOCUMENT_TEXT = {"text": 0.8, "jsonl": 0.8, "parquet": 1.5, "docx": 0.3, "epub": 1.0, "pdf": 0.2, "archive": 1.0}
"""The same for a byte of a file of documents."""
HTML_BYTES_PER_CORE_SECOND = 6e6
MINIWEB_PAGE_BYTES = 6_000
UTILISATION = 0.4
"""Share of the measured matrix speed that training reaches."""
MINIWEB_TEXT_SHARE = 0.12


def make_plan(recipe: Recipe) -> dict[str, Any]:
    """The estimate.

    Returns:
        `input_bytes`, `text_bytes`, `tokens`, `parameters`, `model_bytes`, `memory_bytes`, `flops_per_token`,
        `train_tokens`, `epochs`, `minutes` (per stage and `total`).

    Raises:
        UserError: an input names nothing.
    """
    check_recipe(recipe)
    health = examine(Path("runs"))
    config = model_config(recipe.model, recipe.tokenizer.vocab_size)
    html, text = _bytes(recipe)
    tokens = int(text / bytes_per_token(recipe.tokenizer.vocab_size))
    flops = training_flops_per_token(config)
    speed = health["training"]["gflops"] * 1e9 * UTILISATION / flops
    train_tokens, train_minutes = _length(recipe.train, speed)
    minutes = {
        "corpus": html / HTML_BYTES_PER_CORE_SECOND / health["machine"]["cores"] / 60,
        "tokenizer": text / 5e6 / 60,
        "tokens": text / 8e6 / 60,
        "train": train_minutes if "train" in recipe.stages else 0.0,
        "sft": _length(recipe.sft, speed)[1] if "sft" in recipe.stages else 0.0,
    }
    return {
        "input_bytes": html,
        "text_bytes": text,
        "tokens": tokens,
        "parameters": num_parameters(config),
        "model_bytes": weight_bytes(config),
        "memory_bytes": training_bytes(config, recipe.train.batch_tokens),
        "flops_per_token": flops,
        "train_tokens": train_tokens,
        "epochs": round(train_tokens / tokens, 2) if tokens else None,
        "minutes": {name: round(value, 2) for name, value in minutes.items()}
        | {"total": round(sum(minutes.values()), 1)},
        "machine": health["machine"],
    }


def _length(settings: LoopSettings, tokens_per_s: float) -> tuple[int, float]:
    """Tokens and minutes of a training: what its steps take, or as many tokens as its time box holds."""
    box = int(settings.minutes * 60 * tokens_per_s) if settings.minutes is not None else None
    steps = settings.steps * settings.batch_tokens if settings.steps is not None else None
    tokens = min((value for value in (box, steps) if value is not None), default=0)
    return tokens, tokens / tokens_per_s / 60


def model_config(model: ModelSettings, vocab_size: int) -> ModelConfig:
    """The model's shape once its vocabulary is known."""
    return ModelConfig(vocab_size=vocab_size, **model.model_dump())


def bytes_per_token(vocab_size: int) -> float:
    """Bytes of English text a token of a vocabulary of that size stands for, roughly."""
    known = ((512, 1.9), (1024, 2.6), (4096, 3.4), (8192, 3.7), (32_768, 4.3), (100_277, 4.5))
    return next((rate for size, rate in known if vocab_size <= size), 4.6)


def plan_table(plan: dict[str, Any]) -> list[Table]:
    """The plan for people."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("pages", f"{size(plan['input_bytes'])} of HTML")
    table.add_row("clean text", f"about {size(plan['text_bytes'])}, {plan['tokens']:,} tokens")
    table.add_row("model", f"{plan['parameters']:,} parameters, {size(plan['model_bytes'])}")
    table.add_row(
        "training",
        f"about {plan['train_tokens']:,} tokens"
        + (f", {plan['epochs']:.1f} times over the text" if plan["epochs"] else ""),
    )
    table.add_row("memory", f"about {size(plan['memory_bytes'])} while training")
    table.add_row("minutes", "  ".join(f"{name} {value:,.1f}" for name, value in plan["minutes"].items()))
    if plan["epochs"] and plan["epochs"] > 30:
        table.add_row(
            "[yellow]note[/yellow]",
            "the model will see the same text more than 30 times; more pages would help it more",
        )
    return [table]


def _bytes(recipe: Recipe) -> tuple[int, int]:
    if not recipe.corpus.inputs:
        html = recipe.miniweb.pages * MINIWEB_PAGE_BYTES if "miniweb" in recipe.stages else 0
        return html, int(html * MINIWEB_TEXT_SHARE)
    pages = text = 0.0
    for path in expand(recipe.corpus.inputs):
        size, kind = path.stat().st_size, kind_of(path)
        pages += size * UNPACKED.get(path.suffix, 1.0)
        text += size * DOCUMENT_TEXT.get(kind, UNPACKED.get(path.suffix, 1.0) * TEXT_SHARE)
    return int(pages), int(text)
