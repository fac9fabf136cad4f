"""`glassmill plan`: what a recipe will take on this machine, before anything starts.

Sizes of models are exact. Minutes are estimates: from half a second of matrix products on this machine, from the shares
below and from the speeds in `glassmill.stages`, which were measured on two cores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from rich.table import Table

from glassmill.commands.doctor import examine
from glassmill.commands.terminal import size
from glassmill.corpus.read.files.kinds import kind_of
from glassmill.model.config import ModelConfig
from glassmill.model.sizes import num_parameters, training_bytes, training_flops_per_token, weight_bytes
from glassmill.recipe import ModelSettings, Recipe
from glassmill.run.inputs import expand
from glassmill.stages import STAGES, Load, check_recipe, training_tokens

UNPACKED = {".gz": 5.0, ".zst": 5.5}
"""Bytes of HTML in a byte of compressed WARC."""
TEXT_SHARE = 0.03
"""Bytes of kept text in a byte of HTML, after all filters."""
DOCUMENT_TEXT = {"text": 0.8, "jsonl": 0.8, "parquet": 1.5, "docx": 0.3, "epub": 1.0, "pdf": 0.2, "archive": 1.0}
"""The same for a byte of a file of documents."""
MINIWEB_PAGE_BYTES = 6_000
UTILISATION = 0.4
"""Share of the measured matrix speed that training reaches."""
MINIWEB_TEXT_SHARE = 0.12


class Plan(TypedDict):
    """The estimate. `minutes` has one entry a stage that can be estimated, and `total`; `epochs` is how often training
    reads the text."""

    input_bytes: int
    text_bytes: int
    tokens: int
    model: dict[str, object]
    parameters: int
    model_bytes: int
    memory_bytes: int
    flops_per_token: int
    train_tokens: int
    epochs: float | None
    minutes: dict[str, float]
    machine: Mapping[str, object]


def make_plan(recipe: Recipe) -> Plan:
    """Estimates what the recipe's stages take on this machine.

    Raises:
        UserError: an input names nothing, or a stage lacks something.
    """
    check_recipe(recipe)
    health = examine(Path("runs"))
    config = model_config(recipe.model, recipe.tokenizer.vocab_size)
    html, text = _bytes(recipe)
    tokens = int(text / bytes_per_token(recipe.tokenizer.vocab_size))
    flops = training_flops_per_token(config)
    speed = health["training"]["gflops"] * 1e9 * UTILISATION / flops
    load = Load(html, text, health["machine"]["cores"], speed)
    minutes = {
        stage.name: stage.minutes(recipe, load) for stage in STAGES if stage.minutes and stage.name in recipe.stages
    }
    train_tokens = training_tokens(recipe.train, speed) if "train" in recipe.stages else 0
    return {
        "input_bytes": html,
        "text_bytes": text,
        "tokens": tokens,
        "model": dict(recipe.model),
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


def model_config(model: ModelSettings, vocab_size: int) -> ModelConfig:
    """The model's shape once its vocabulary is known."""
    return ModelConfig(vocab_size=vocab_size, **model.shape())


def bytes_per_token(vocab_size: int) -> float:
    """Roughly how many bytes of English a token stands for, in a vocabulary of that size."""
    known = ((512, 1.9), (1024, 2.6), (4096, 3.4), (8192, 3.7), (32_768, 4.3), (100_277, 4.5))
    return next((rate for size, rate in known if vocab_size <= size), 4.6)


def plan_table(plan: Plan) -> list[Table]:
    """The plan for people."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("pages", f"{size(plan['input_bytes'])} of HTML")
    table.add_row("clean text", f"about {size(plan['text_bytes'])}, {_rounded(plan['tokens'])} tokens")
    if plan["train_tokens"]:
        model = plan["model"]
        shape = (
            f"{model['num_layers']} layers, d_model {model['d_model']}, {model['num_heads']} heads of "
            f"{model['head_dim']} ({model['num_kv_heads']} for keys and values), d_ff {model['d_ff']}, "
            f"context {model['context_length']}"
        )
        table.add_row("model", f"{plan['parameters']:,} parameters, {size(plan['model_bytes'])}: {shape}")
        times = f", {plan['epochs']:.1f} times over the text" if plan["epochs"] else ""
        table.add_row("training", f"about {_rounded(plan['train_tokens'])} tokens{times}")
        table.add_row("memory", f"about {size(plan['memory_bytes'])} while training")
    for stage in STAGES:
        if stage.name in plan["minutes"]:
            table.add_row(stage.name, f"{_time(plan['minutes'][stage.name])}: {stage.leaves}")
    table.add_row("in all", _time(plan["minutes"]["total"]))
    if plan["epochs"] and plan["epochs"] > 30:
        table.add_row(
            "[yellow]note[/yellow]",
            "training will read the same text more than 30 times; more pages would help the model more",
        )
    return [table]


def _rounded(count: int) -> str:
    """An estimate with two digits that mean something."""
    return f"{round(count, 1 - math.floor(math.log10(count))):,}" if count else "0"


def _time(minutes: float) -> str:
    if minutes < 1:
        return "under a minute"
    return f"about {minutes:,.0f} minutes" if minutes < 90 else f"about {minutes / 60:,.1f} hours"


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
