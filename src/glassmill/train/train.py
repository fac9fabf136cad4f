"""The verb `train`: id shards -> a base model that continues text; a new one, or `train.base` trained further.

model/        a Hugging Face model folder, the artefact
adapter/      with `train.lora`, what was trained, in PEFT's form; in `model/` it is merged
plan.json     number of steps, device, type, threads, step, torch
metrics.csv   and logs/, with `train.log`: see `sinks`
snapshots/    of a small model, its weights after 0, 1, 2, 4, ... steps: see `snapshots`
checkpoints/  what an interrupted run continues from
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from glassmill.errors import UserError
from glassmill.evals.bits_per_byte import bits_per_byte
from glassmill.infer.decoder import text_losses
from glassmill.infer.folder import save_folder
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.model.sizes import num_parameters
from glassmill.model.transformer import Transformer
from glassmill.recipe import ModelSettings, TrainSettings
from glassmill.recipe.learning import MOST_SNAPSHOT_PARAMETERS
from glassmill.run import kinds
from glassmill.run.folder import RunFolder
from glassmill.tokens.shards import Shards
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.train.adapting import publish_adapter
from glassmill.train.batches import Windows
from glassmill.train.deadline import Deadline
from glassmill.train.facts import VERSION, resolved
from glassmill.train.known_text import KnownText, for_measuring
from glassmill.train.loop import fit
from glassmill.train.rates import is_own
from glassmill.train.samples import continue_greedily
from glassmill.train.snapshots import save_snapshot
from glassmill.train.sources import OWN, Reading, described, readings, warnings
from glassmill.train.start import start_of

__all__ = ["VERSION", "make", "resolved"]

PROMPT_TOKENS = 8


def make(
    run: RunFolder, settings: TrainSettings, seed: int, tokens: Path, tokenizer: Path, model_settings: ModelSettings
) -> None:
    """Train a model on random windows of the token shards, and publish it.

    Raises:
        UserError: neither minutes nor steps are set, the shards are too short for a window or encoded with another
            vocabulary than the base's, the run was started with another type of products, or training diverged.
    """
    deadline = Deadline(settings.minutes)
    start = start_of(settings, seed, tokens, model_settings)
    settings, base, config, batches, num_ids = start.settings, start.base, start.config, start.batches, start.num_ids
    vocabulary = Tokenizer.load(tokenizer) if base is None else base.tokenizer
    known: KnownText | None = None
    if base is not None:
        known = KnownText(run, "train", vocabulary, None, config.context_length, is_own(base.meta))
        run.emit(kinds.Note(_said(settings, base.folder)))

    def look(model: Transformer) -> None:
        if known is not None and math.isnan(known.before):
            known.before = known.loss(model)
            reporter.first(model)

    step_tokens = batches.rows * batches.length
    if settings.steps is not None:
        _tell_of_the_mixture(run, readings(num_ids, settings.steps * step_tokens))
    reporter = Reporter(run, settings, tokens, vocabulary, batches)

    def outline() -> Transformer:
        with torch.device("meta"):
            return Transformer(config)

    outlined = outline if base is None else None
    trained = fit(run, lambda: start.model(look), batches, settings, start.setup, reporter, deadline, outlined)
    if trained is None:  # rank 0 publishes
        return
    model, plan = trained
    publish_adapter(run, model, settings, settings.base or "")
    tokens_seen = plan.steps * step_tokens
    provenance = {"run": run.name, "stage": "train", "steps": plan.steps, "tokens_seen": tokens_seen, "seed": seed}
    if settings.keep_best:
        provenance["kept_step"] = reporter.step
    read = Shards(tokens, "train")
    provenance["data"] = {"documents": read.num_documents, "tokens": len(read)}
    provenance["results"] = {"val_bpb": reporter.bits_per_byte}
    save_folder(run.path / "model", model, vocabulary, provenance | ({} if base is None else {"base": base.meta}))
    stats: dict[str, object] = {"parameters": num_parameters(config), "steps": plan.steps, "tokens_seen": tokens_seen}
    stats |= {"epochs": _epochs(num_ids, tokens_seen), "val_bpb": reporter.bits_per_byte}
    if settings.mixture:
        stats["mixture"] = readings(num_ids, tokens_seen)
        if settings.steps is None:
            _tell_of_the_mixture(run, readings(num_ids, tokens_seen))
    if known is not None:
        stats |= {"val_bpb_before": reporter.first_bits_per_byte, **known.tell(model)}
    run.finish(stats)


def _epochs(num_ids: dict[str, tuple[float, int]], tokens_seen: int) -> float:
    """How often the recipe's own text was read."""
    share, own = num_ids.get(OWN, (0.0, 1))
    return round(share * tokens_seen / own, 2)


def _tell_of_the_mixture(run: RunFolder, read: dict[str, Reading]) -> None:
    if len(read) > 1 or OWN not in read:
        run.emit(kinds.Note(f"reading {described(read)}"))
        for warning in warnings(read):
            run.emit(kinds.Warned(warning))


def _said(settings: TrainSettings, base: Path) -> str:
    what = f"adapters of rank {settings.lora.rank}" if settings.lora.rank else "all weights"
    return (
        f"continuing {base} ({what}): {settings.optimizer}, train.peak_lr = {settings.peak_lr:g}, "
        f"train.embedding_lr = {settings.embedding_lr:g}"
    )


class Reporter:
    """Validation and samples of a model in training."""

    def __init__(
        self, run: RunFolder, settings: TrainSettings, tokens: Path, tokenizer: Tokenizer, batches: Windows
    ) -> None:
        self.run, self.settings, self.tokenizer, self.batches = run, settings, tokenizer, batches
        self.ids = Shards(tokens, "validation").ids
        self.token_bytes = np.load(tokens / "token_bytes.npy", allow_pickle=False)
        self.bits_per_byte: float | None = None
        self.first_bits_per_byte: float | None = None
        self.step = 0
        self.tokens = min(len(self.ids), settings.validation_tokens)
        if settings.keep_best and len(self.ids) < 2:
            raise UserError(
                "train.keep_best = true, but no text is held out to choose by; raise tokens.validation_share"
            )
        self.prompts = [tokenizer.encode(text) for text in settings.prompts] or self._openings()

    def first(self, model: Transformer) -> None:
        """Measure a model that was trained before; emit it unless an earlier attempt did."""
        self.first_bits_per_byte = self.measured(model)
        if self.first_bits_per_byte is not None and not any((self.run.path / "checkpoints").glob("step-*")):
            self.run.emit(kinds.Validation(0, self.first_bits_per_byte))

    def report(self, model: Transformer, step: int) -> float | None:
        """Emit held-out bits per byte."""
        self.bits_per_byte, self.step = self.measured(model), step
        if self.bits_per_byte is None:
            return None
        if not math.isfinite(self.bits_per_byte):
            raise UserError(
                f"train stopped: after step {step} held-out text takes {self.bits_per_byte} bits per byte, no finite "
                "number. Nothing was published; lower train.peak_lr and train.embedding_lr"
            )
        self.run.emit(kinds.Validation(step, self.bits_per_byte))
        return self.bits_per_byte

    def measured(self, model: Transformer) -> float | None:
        """Bits per byte of held-out text; None where there is none."""
        if len(self.ids) < 2:
            return None
        length, tokens = self.batches.length, self.settings.validation_tokens
        batch = min(4096, max(length, 2**24 // model.config.vocab_size))
        decoder = TorchDecoder(for_measuring(model))
        return round(bits_per_byte(decoder, self.ids, self.token_bytes, length, tokens, batch), 5)

    def sample(self, model: Transformer, step: int) -> None:
        """Emit a continuation of every prompt, and what the first window of the next step costs; keep a snapshot."""
        if self._keeps_snapshot(model):
            save_snapshot(self.run.path, model, step)
        decoder, batches = TorchDecoder(model), self.batches
        losses = text_losses(decoder, batches.window(step * batches.rows), batches.document_end)
        self.run.emit(kinds.Window(step, tuple(losses.round(3).tolist())))
        for prompt in self.prompts:
            end = self.tokenizer.document_end_id
            written = continue_greedily(decoder, [end, *map(int, prompt)], self.settings.sample_tokens, [end])
            self.run.emit(kinds.Sample(step, self.tokenizer.decode(prompt), self.tokenizer.decode(written)))

    def _keeps_snapshot(self, model: Transformer) -> bool:
        wanted = self.settings.snapshots
        small = num_parameters(model.config) <= MOST_SNAPSHOT_PARAMETERS
        adapted = bool(self.settings.lora.rank)  # what adapters change is not all weights
        return not adapted and (wanted == "all" or (wanted == "auto" and small))

    def _openings(self) -> list[np.ndarray]:
        """The first words of two held-out documents, for a recipe that names no prompts."""
        starts = [0, *(np.flatnonzero(self.ids == self.tokenizer.document_end_id) + 1)]
        long = [s for s in starts if len(self.ids) - s > PROMPT_TOKENS]
        picked = [long[len(long) // 3], long[2 * len(long) // 3]] if long else []
        return [np.asarray(self.ids[start : start + PROMPT_TOKENS]) for start in picked]
