"""The verb `train`: id shards -> a base model that continues text.

model/        a Hugging Face model folder, the artefact
plan.json     number of steps, device, type, threads, step, torch
checkpoints/  what an interrupted run continues from
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from glassmill.errors import UserError
from glassmill.evals.bits_per_byte import bits_per_byte
from glassmill.infer.folder import save_folder
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.sizes import num_parameters
from glassmill.model.transformer import Transformer
from glassmill.recipe import ModelSettings, Recipe, TrainSettings
from glassmill.run import kinds
from glassmill.run.device import Facts
from glassmill.run.folder import RunFolder
from glassmill.tokens.shards import Shards
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.train.batches import WindowBatches
from glassmill.train.deadline import Deadline
from glassmill.train.loop import fit
from glassmill.train.plan import set_up
from glassmill.train.samples import continue_greedily

VERSION = 2
PROMPT_TOKENS = 8


def resolved(recipe: Recipe) -> Facts:
    """What this machine decides and what changes the model's bytes, for the run's identity."""
    return set_up(recipe.train, recipe.model.d_model).facts()


def make(
    run: RunFolder, settings: TrainSettings, seed: int, tokens: Path, tokenizer: Path, model_settings: ModelSettings
) -> None:
    """Train a fresh model on random windows of the token shards, and publish it.

    Raises:
        UserError: neither minutes nor steps are set, the shards are too short for a window, the run was started with
            another device, number of threads or torch, or training diverged.
    """
    deadline = Deadline(settings.minutes)
    vocabulary = Tokenizer.load(tokenizer)
    shards = Shards(tokens, "train")
    config = ModelConfig(vocab_size=shards.vocab_size, **model_settings.shape())
    setup = set_up(settings, config.d_model)

    def fresh_model() -> Transformer:
        model = Transformer(config)
        initialize(model, seed)
        return model.to(setup.device.torch_device)

    rows = max(1, settings.batch_tokens // config.context_length)
    batches = WindowBatches(shards, rows, config.context_length, seed)
    reporter = Reporter(run, settings, tokens, vocabulary, config.context_length)
    model, plan = fit(run, fresh_model, batches, settings, setup, reporter, deadline)
    tokens_seen = plan.steps * rows * config.context_length
    provenance = {"run": run.path.name, "stage": "train", "steps": plan.steps, "tokens_seen": tokens_seen, "seed": seed}
    save_folder(run.path / "model", model, vocabulary, provenance)
    stats = {"parameters": num_parameters(config), "steps": plan.steps, "tokens_seen": tokens_seen}
    run.finish(stats | {"epochs": round(tokens_seen / len(shards), 2), "val_bpb": reporter.bits_per_byte})


class Reporter:
    """Validation and samples of a model in training."""

    def __init__(
        self, run: RunFolder, settings: TrainSettings, tokens: Path, tokenizer: Tokenizer, context_length: int
    ) -> None:
        self.run, self.settings, self.tokenizer, self.context_length = run, settings, tokenizer, context_length
        self.ids = Shards(tokens, "validation").ids
        self.token_bytes = np.load(tokens / "token_bytes.npy", allow_pickle=False)
        self.bits_per_byte: float | None = None
        self.prompts = [tokenizer.encode(text) for text in settings.prompts] or self._openings()

    def report(self, model: Transformer, step: int) -> None:
        """Emit held-out bits per byte."""
        decoder = TorchDecoder(model)
        if len(self.ids) > 1:
            budget = max(self.context_length, 2**24 // model.config.vocab_size)
            bits = bits_per_byte(
                decoder,
                self.ids,
                self.token_bytes,
                self.context_length,
                self.settings.validation_tokens,
                min(4096, budget),
            )
            if not math.isfinite(bits):
                raise UserError(
                    f"train stopped: after step {step} held-out text takes {bits} bits per byte, no finite number. "
                    "Nothing was published; lower train.peak_lr and train.embedding_lr"
                )
            self.bits_per_byte = round(bits, 5)
            self.run.emit(kinds.Validation(step, self.bits_per_byte))

    def sample(self, model: Transformer, step: int) -> None:
        """Emit a continuation of every prompt."""
        decoder = TorchDecoder(model)
        for prompt in self.prompts:
            ids = [self.tokenizer.eos_id, *map(int, prompt)]
            written = continue_greedily(decoder, ids, self.settings.sample_tokens, [self.tokenizer.eos_id])
            self.run.emit(kinds.Sample(step, self.tokenizer.decode(prompt), self.tokenizer.decode(written)))

    def _openings(self) -> list[np.ndarray]:
        """The first words of two held-out documents, for a recipe that names no prompts."""
        starts = [0, *(np.flatnonzero(self.ids == self.tokenizer.eos_id) + 1)]
        long = [s for s in starts if len(self.ids) - s > PROMPT_TOKENS]
        picked = [long[len(long) // 3], long[2 * len(long) // 3]] if long else []
        return [np.asarray(self.ids[start : start + PROMPT_TOKENS]) for start in picked]
