"""`glassmill plan`: what a recipe will take on this machine, before anything starts.

Sizes of models are exact, and memory is that of the largest stage. Minutes are estimates: from half a second of matrix
products on this machine, from the shares below and from the speeds in `glassmill.stages`, which were measured on two
cores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypedDict

from rich.table import Table

from glassmill.commands.doctor import Machine, examine
from glassmill.commands.terminal import plain, size
from glassmill.corpus.read.files.kinds import HTML, WARC, kind_of
from glassmill.infer.find import read_config
from glassmill.model.config import ModelConfig
from glassmill.model.sizes import (
    adapter_parameters,
    num_parameters,
    training_bytes,
    training_flops_per_token,
    weight_bytes,
)
from glassmill.pipeline import ready
from glassmill.recipe import LoopSettings, Recipe
from glassmill.run.finished import is_done, read_stats
from glassmill.run.inputs import readable_files
from glassmill.run.stores.address import is_address
from glassmill.run.stores.stored import size_of
from glassmill.stages import STAGES, Load, training_tokens
from glassmill.train.base import shape_of
from glassmill.train.rates import ROW_TOKENS
from glassmill.train.sources import Reading, own_share, planned, warnings

UNPACKED = {".gz": 5.0, ".zst": 5.5}
"""Bytes of HTML in a byte of compressed WARC."""
TEXT_SHARE = 0.03
"""Bytes of kept text in a byte of HTML, after all filters."""
DOCUMENT_TEXT = {
    "jsonl": 0.9, "parquet": 2.5, "docx": 1.2, "pptx": 0.5, "xlsx": 2.0, "odf": 1.5, "rtf": 0.5, "epub": 2.0,
    "pdf": 0.3, "archive": 2.0, "packed": 3.0, "mhtml": 0.1, "msg": 0.2, "eml": 0.5, "mbox": 0.5, "ipynb": 0.6,
    "xml": 0.7,
}  # fmt: skip
"""The same for a byte of a file of documents; of those not named here, which are text, nearly all stays."""
PLAIN_TEXT = 0.95
WHOLE_PAGES = 0.4
"""The same for a byte of HTML of which everything is kept."""
MINIWEB_PAGE_BYTES = 6_000
UTILISATION = 0.4
"""Share of the measured matrix speed that training reaches."""
MINIWEB_TEXT_SHARE = 0.12
TEXT_BYTES_PER_TOKEN = 20
"""Bytes of text that a vocabulary needs for each of its tokens, at least: a merge takes a pair that comes twice."""

PROCESS_BYTES = 400_000_000
"""Python, torch and its kernels, before a model is there."""
LINE_BYTES = 560_000_000
"""The same in a process that worked on a corpus before."""
PARENT_BYTES, WORKER_BYTES = 120_000_000, 95_000_000
"""Of the corpus stage: the process that gathers results, and each that reads pages."""


class Kept(TypedDict):
    """What `training_bytes` asks of a step."""

    step: str
    dtype: str
    recompute: bool
    adapters: int


class Plan(TypedDict):
    """The estimate. `minutes` has one entry a stage that can be estimated, and `total`; `epochs` is how often training
    reads the recipe's own text, `mixture` what it reads of every source, if there are several; `memory` has the peak of
    every stage that is known, and `memory_bytes` the largest; `notes` are sentences about what may go wrong."""

    input_bytes: int
    text_bytes: int
    tokens: int
    base: str | None
    model: dict[str, object]
    parameters: int
    model_bytes: int
    memory: dict[str, int]
    memory_bytes: int
    disk_bytes: int
    flops_per_token: int
    train_tokens: int
    epochs: float | None
    mixture: dict[str, Reading]
    tokens_per_parameter: float | None
    minutes: dict[str, float]
    machine: Machine
    notes: list[str]


def make_plan(recipe: Recipe, runs: Path = Path("runs"), notify: Callable[[str], None] = lambda text: None) -> Plan:
    """Estimates what the recipe's stages take on this machine.

    Args:
        recipe: What will run.
        runs: Where; a base model may be one of these runs, and this disk will be written to.
        notify: Called with a short message before what may take seconds.

    Raises:
        UserError: an input names nothing, a stage lacks something, or a base model does not fit.
    """
    recipe = ready(recipe, runs)
    html, text = input_bytes(recipe) if "corpus" in recipe.stages else (0, 0)
    notify("measuring this machine")
    health = examine(runs)
    trains = "train" in recipe.stages
    encoded = _encoded(recipe)
    vocab_size = encoded.get("vocab_size", recipe.tokenizer.vocab_size)
    own = shape_of(recipe.model, recipe.train.base, vocab_size)
    tuned = read_config(Path(recipe.sft.base)) if recipe.sft.base and "sft" in recipe.stages else own
    config = own if trains else tuned
    tokens = encoded.get("train_tokens") or int(text / bytes_per_token(own.vocab_size))
    power = health["training"]["gflops"] * 1e9 * UTILISATION
    speed = {name: power / training_flops_per_token(shape) for name, shape in (("train", config), ("sft", tuned))}
    minutes = {
        stage.name: stage.minutes(
            recipe, Load(html, text, health["machine"]["cores"], speed.get(stage.name, speed["train"]))
        )
        for stage in STAGES
        if stage.minutes and stage.name in recipe.stages
    }
    train_tokens = training_tokens(recipe.train, speed["train"]) if trains else 0
    memory = stage_memory(recipe, own, tuned, health["machine"]["cores"])
    plan: Plan = {
        "input_bytes": html,
        "text_bytes": text,
        "tokens": tokens,
        "base": (recipe.train.base if trains else None) or (recipe.sft.base if "sft" in recipe.stages else None),
        "model": {name: getattr(config, name) for name in recipe.model.shape()},
        "parameters": num_parameters(config),
        "model_bytes": weight_bytes(config),
        "memory": memory,
        "memory_bytes": max(memory.values(), default=0),
        "disk_bytes": _disk_bytes(recipe, own, tuned, text, tokens),
        "flops_per_token": training_flops_per_token(config),
        "train_tokens": train_tokens,
        "epochs": float(f"{own_share(recipe.train) * train_tokens / tokens:.3g}") if tokens else None,
        "mixture": planned(recipe.train, tokens, train_tokens) if trains else {},
        "tokens_per_parameter": float(f"{train_tokens / num_parameters(config):.3g}") if trains else None,
        "minutes": {name: round(value, 2) for name, value in minutes.items()}
        | {"total": round(sum(minutes.values()), 1)},
        "machine": health["machine"],
        "notes": [],
    }
    plan["notes"] = list(_notes(plan, recipe))
    return plan


def stage_memory(recipe: Recipe, own: ModelConfig, tuned: ModelConfig, num_cores: int) -> dict[str, int]:
    """Peak memory of the stages that take most, in bytes, all their processes together; see `bench/memory.py`."""
    before = LINE_BYTES if "corpus" in recipe.stages else PROCESS_BYTES
    memory: dict[str, int] = {}
    if "corpus" in recipe.stages:
        memory["corpus"] = PARENT_BYTES + (recipe.corpus.workers or num_cores) * WORKER_BYTES
    if "train" in recipe.stages:
        train = recipe.train
        rows, length = micro_batch(train.batch_tokens, train.micro_batch_tokens, recipe.model.context_length)
        memory["train"] = before + training_bytes(own, rows, length, train.optimizer, **_kept_by(train, own))
        memory["train"] += _averaged(train, own)
    if "sft" in recipe.stages:
        length = min(recipe.sft.length or ROW_TOKENS, tuned.context_length)
        rows, length = micro_batch(recipe.sft.batch_tokens, recipe.sft.micro_batch_tokens, length)
        optimizer = recipe.sft.optimizer if recipe.sft.optimizer != "auto" else "muon" if tuned is own else "adamw"
        memory["sft"] = before + training_bytes(tuned, rows, length, optimizer, **_kept_by(recipe.sft, tuned))
        memory["sft"] += _averaged(recipe.sft, tuned)
    return memory


def _averaged(settings: LoopSettings, config: ModelConfig) -> int:
    """Bytes of averaged weights, and of the copy that is reported on."""
    return 2 * 4 * num_parameters(config) if settings.average else 0


def _kept_by(settings: LoopSettings, config: ModelConfig) -> Kept:
    """How a step computes here, which decides what it keeps."""
    from glassmill.train.plan import set_up

    setup = set_up(settings, config.d_model)
    adapters = adapter_parameters(config, settings.lora.rank, settings.lora.targets)
    recompute = settings.activation_checkpointing
    return {"step": setup.step, "dtype": setup.device.dtype, "recompute": recompute, "adapters": adapters}


def micro_batch(batch_tokens: int, micro_batch_tokens: int, length: int) -> tuple[int, int]:
    """Rows and tokens of a row that training has in memory at once."""
    rows = max(1, batch_tokens // length)
    return math.ceil(rows / math.ceil(rows / max(1, micro_batch_tokens // length))), length


def _disk_bytes(recipe: Recipe, own: ModelConfig, tuned: ModelConfig, text: int, tokens: int) -> int:
    """What the runs take at their largest: text twice (kept and dropped, packed), ids, models, checkpoints."""
    needed = int(0.8 * text) if "corpus" in recipe.stages else 0
    needed += tokens * (2 if own.vocab_size <= 1 << 16 else 4) if "tokens" in recipe.stages else 0
    trained = [(getattr(recipe, name), of) for name, of in (("train", own), ("sft", tuned)) if name in recipe.stages]
    needed += sum(weight_bytes(config) for _, config in trained)
    checkpoints = (_num_checkpoints(settings) * 3 * weight_bytes(config) for settings, config in trained)
    return needed + max(checkpoints, default=0)


def _num_checkpoints(settings: LoopSettings) -> int:
    """At most on disk: those that are kept, the next, the best, and the one that a rollback goes to."""
    return settings.keep_checkpoints + 1 + settings.keep_best + (settings.on_spike == "rollback")


def _notes(plan: Plan, recipe: Recipe) -> Iterator[str]:
    memory, free = plan["machine"]["memory_bytes"], plan["machine"]["disk_free_bytes"]
    if memory and plan["memory_bytes"] > 0.9 * memory:
        yield (
            f"this machine has {size(memory)} of memory, and {size(plan['memory_bytes'])} are needed: lower "
            "train.micro_batch_tokens, model.context_length or the model's size"
        )
    if plan["disk_bytes"] > free:
        yield (
            f"this disk has {size(free)} free, and about {size(plan['disk_bytes'])} are needed: free some, or name "
            "another folder with --runs"
        )
    if plan["epochs"] and plan["epochs"] > 30:
        yield "training will read the same text more than 30 times; more pages would help the model more"
    yield from warnings(plan["mixture"])
    learns = "tokenizer" in recipe.stages and recipe.tokenizer.base is None
    if learns and 0 < plan["text_bytes"] < TEXT_BYTES_PER_TOKEN * recipe.tokenizer.vocab_size:
        yield (
            f"about {size(plan['text_bytes'])} of text cannot fill a vocabulary of {recipe.tokenizer.vocab_size:,} "
            "tokens; lower tokenizer.vocab_size, or read more text"
        )


def bytes_per_token(vocab_size: int) -> float:
    """Roughly how many bytes of English a token stands for, in a vocabulary of that size."""
    known = ((512, 1.9), (1024, 2.6), (4096, 3.4), (8192, 3.7), (32_768, 4.3), (100_277, 4.5))
    return next((rate for size, rate in known if vocab_size <= size), 4.6)


def plan_table(plan: Plan) -> list[Table]:
    """The plan for people."""
    table = Table(box=None, show_header=False, pad_edge=False)
    if plan["input_bytes"]:
        table.add_row("input", f"{size(plan['input_bytes'])} of pages and documents")
        table.add_row("clean text", f"about {size(plan['text_bytes'])}, {_rounded(plan['tokens'])} tokens")
    if plan["base"]:
        table.add_row("base model", f"{plain(plan['base'])}")
    if plan["train_tokens"] or plan["base"]:
        model = plan["model"]
        shape = (
            f"{model['num_layers']} layers, d_model {model['d_model']}, {model['num_heads']} heads of "
            f"{model['head_dim']} ({model['num_kv_heads']} for keys and values), d_ff {model['d_ff']}, "
            f"context {model['context_length']}"
        )
        table.add_row("model", f"{plan['parameters']:,} parameters, {size(plan['model_bytes'])}: {shape}")
    if plan["train_tokens"]:
        times = f", {_times(plan['epochs'])}" if plan["epochs"] and not plan["mixture"] else ""
        table.add_row("training", f"about {_rounded(plan['train_tokens'])} tokens{times}")
        for name, read in plan["mixture"].items():
            table.add_row("", plain(f"{100 * read['share']:g} % of the windows: {name}, {_times(read['epochs'])}"))
        table.add_row("", _enough(plan["tokens_per_parameter"] or 0.0))
    if plan["memory"]:
        largest = max(plan["memory"], key=lambda name: plan["memory"][name])
        of = f" of {size(plan['machine']['memory_bytes'])}" if plan["machine"]["memory_bytes"] else ""
        table.add_row("memory", f"about {size(plan['memory_bytes'])}{of}, in the stage {largest}")
        table.add_row("disk", f"about {size(plan['disk_bytes'])} of {size(plan['machine']['disk_free_bytes'])} free")
    for stage in STAGES:
        if stage.name in plan["minutes"]:
            table.add_row(stage.name, f"{_time(plan['minutes'][stage.name])}: {stage.leaves}")
    table.add_row("in all", _time(plan["minutes"]["total"]))
    for note in plan["notes"]:
        table.add_row("[yellow]note[/yellow]", plain(note))
    return [table]


def _times(epochs: float) -> str:
    """How often the text is read.

    >>> _times(0.004), _times(0.4), _times(1.04), _times(2.3), _times(42_127.0)
    ('under 1 % of the text', 'about 40 % of the text', 'once over the text', '2.3 times over the text', 'about 42,000 \
times over the text')
    """
    if epochs < 0.95:
        return f"about {100 * epochs:.0f} % of the text" if epochs >= 0.01 else "under 1 % of the text"
    if epochs < 1.05:
        return "once over the text"
    return f"{epochs:.1f} times over the text" if epochs < 10 else f"about {_rounded(epochs)} times over the text"


def _enough(ratio: float) -> str:
    """Whether training sees as many tokens as a model of this size can use (20 for each parameter: Hoffmann et al.
    2022, arXiv 2203.15556; small ones are usually trained with more)."""
    shown = f"{ratio:.1f}" if 0.1 <= ratio < 10 else _rounded(ratio) if ratio >= 10 else "under 0.1"
    words = (
        "far too few for a model of this size"
        if ratio < 1
        else "few for a model of this size"
        if ratio < 10
        else "about right for a model of this size"
        if ratio < 60
        else "plenty: a larger model could use them"
    )
    return f"{shown} tokens for each parameter, {words}"


def _rounded(count: float) -> str:
    """An estimate with two digits that mean something."""
    return f"{round(count, 1 - math.floor(math.log10(count))):,.0f}" if count >= 1 else "0"


def _time(minutes: float) -> str:
    if minutes < 1:
        return "under a minute"
    return f"about {minutes:,.0f} minutes" if minutes < 90 else f"about {minutes / 60:,.1f} hours"


def input_bytes(recipe: Recipe) -> tuple[int, int]:
    """Of all inputs, unpacked, and of the text that is likely to be kept of them."""
    if not recipe.corpus.inputs:
        html = recipe.miniweb.pages * MINIWEB_PAGE_BYTES if "miniweb" in recipe.stages else 0
        return html, int(html * MINIWEB_TEXT_SHARE)
    pages = text = 0.0
    of_html = TEXT_SHARE if recipe.corpus.extract.main_content else WHOLE_PAGES
    for word in recipe.corpus.inputs:
        if not is_address(word) and (added := _added(Path(word).expanduser())):
            pages += added
            text += added
            continue
        for path in readable_files((word,)):
            size, kind = size_of(path), kind_of(path)
            unpacked = size * UNPACKED.get(path.suffix, 1.0)
            pages += unpacked
            text += unpacked * of_html if kind in (WARC, HTML) else size * DOCUMENT_TEXT.get(kind, PLAIN_TEXT)
    return int(pages), int(text)


def _encoded(recipe: Recipe) -> dict[str, int]:
    """What a given tokens run says of itself; nothing where the recipe makes its own."""
    return read_stats(Path(recipe.given["tokens"])) if "tokens" in recipe.given else {}


def _added(run: Path) -> int:
    """The bytes of text in a run of `glassmill add`; 0 for anything else."""
    if run.resolve().parent.name != "add" or not is_done(run):
        return 0
    return int(read_stats(run).get("bytes", 0))
