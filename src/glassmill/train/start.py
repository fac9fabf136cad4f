"""What a training starts with: a model, new or continued, what its steps read, and what they compute on.

The recipe's settings and a tokens run come in. The verb `train` and the rate range test (`rate_test.py`) begin here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from glassmill.errors import UserError
from glassmill.infer.folder import load_folder
from glassmill.model.bigrams import Bigrams, count_bigrams
from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.transformer import Transformer
from glassmill.recipe import ModelSettings, TrainSettings
from glassmill.tokens.shards import Shards
from glassmill.train.adapting import adapt
from glassmill.train.base import Base, read_base, shape_of
from glassmill.train.batches import MixtureBatches, WindowBatches, Windows
from glassmill.train.plan import Setup, set_up
from glassmill.train.sources import OWN, check_ids, id_lengths, sources

BIGRAM_TOKENS = 2**22
"""Tokens at most whose neighbours are counted for a new model."""


class Start(NamedTuple):
    """See the module.

    Attributes:
        settings: With the seed.
        base: The model that is continued, if one is.
        num_ids: Of every source that is read: its share of the windows, and how many ids it has.
    """

    settings: TrainSettings
    seed: int
    config: ModelConfig
    base: Base | None
    setup: Setup
    batches: Windows
    num_ids: dict[str, tuple[float, int]]

    def model(self, look: Callable[[Transformer], None] = lambda model: None) -> Transformer:
        """The model before the first step, with its adapters if it gets some.

        Args:
            look: Sees the model that is continued before it has them.
        """
        if self.base is None:
            model = Transformer(self.config)
            initialize(model, self.seed, self._bigrams())
            return model.to(self.setup.device.torch_device)
        model = load_folder(self.base.folder, self.setup.device.torch_device, torch.float32).model
        look(model)
        adapt(model, self.settings.lora, self.seed)
        return model

    def _bigrams(self) -> Bigrams | None:
        """Those of the first windows that will be read, once over at most."""
        if not self.settings.bigrams or self.config.tie_embeddings:
            return None
        tokens = min(BIGRAM_TOKENS, sum(own for _, own in self.num_ids.values()))
        windows = [self.batches.window(sample) for sample in range(max(1, tokens // self.batches.length))]
        return count_bigrams(np.stack(windows), self.config.vocab_size)


def start_of(settings: TrainSettings, seed: int, tokens: Path, model_settings: ModelSettings) -> Start:
    """What a training on a tokens run starts with.

    Raises:
        UserError: the shards are too short for a window or encoded with another vocabulary than the base's, or this
            machine cannot compute as the settings say.
    """
    settings = settings.model_copy(update={"seed": seed})
    shards = Shards(tokens, "train")
    base = None if settings.base is None else read_base(Path(settings.base))
    config, length = shape_of(model_settings, settings.base, shards.vocab_size), model_settings.context_length
    setup = set_up(settings, config.d_model)
    if base is not None:
        _check_encoding(tokens, shards, base)
    rows = max(1, settings.batch_tokens // length)
    batches, num_ids = _batches(settings, tokens, shards, rows, length, seed)
    batches.document_end = shards.eos_id if settings.document_attention else None
    return Start(settings, seed, config, base, setup, batches, num_ids)


def _batches(
    settings: TrainSettings, tokens: Path, shards: Shards, rows: int, length: int, seed: int
) -> tuple[Windows, dict[str, tuple[float, int]]]:
    """What the steps read, and of every source its share and the number of its ids."""
    if not settings.mixture:
        return WindowBatches(shards, rows, length, seed), {OWN: (1.0, len(shards))}
    found = sources(settings, tokens)
    lengths = id_lengths(tokens)
    for source in found:
        check_ids(source.folder, lengths, shards.eos_id, "the recipe's own text")
    parts = [shards if source.name == OWN else Shards(source.folder, "train") for source in found]
    windows = [WindowBatches(part, rows, length, seed) for part in parts]
    num_ids = {source.name: (source.share, len(part)) for source, part in zip(found, parts, strict=True)}
    return MixtureBatches(windows, [source.share for source in found], seed), num_ids


def _check_encoding(tokens: Path, shards: Shards, base: Base) -> None:
    """Raises UserError where the ids of a tokens run mean something else to the base model."""
    lengths = np.load(tokens / "token_bytes.npy", allow_pickle=False)
    if shards.vocab_size != base.tokenizer.vocab_size or not np.array_equal(lengths, base.tokenizer.text_lengths()):
        raise UserError(
            f"{tokens} is encoded with another vocabulary ({shards.vocab_size} tokens) than that of {base.folder} "
            f"({base.tokenizer.vocab_size}); set tokenizer.base={base.folder} and run the stages from tokenizer on"
        )
