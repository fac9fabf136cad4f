"""What each process of `test_ranks` does: trains the tiny town in the folders that it's given, one after another.

    torchrun ... -m tests.train.rank_worker TOKENS TOKENIZER [FOLDER CHANGES]...

Every step's loss is an event. CHANGES is JSON of settings; of those, `lora` is the rank of adapters to train instead,
and the targets of the batches from `bad[0]` to before `bad[1]` are noise.
"""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Any

import torch

from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.lora import add_lora, merge_lora
from glassmill.model.transformer import Transformer
from glassmill.recipe import ModelSettings, TrainSettings
from glassmill.run import team
from glassmill.run.folder import Identity, RunFolder
from glassmill.tokens.shards import Shards
from glassmill.train import loop, pace, train
from glassmill.train.batches import WindowBatches
from glassmill.train.gradients import Batch
from glassmill.train.plan import set_up
from tests.tokens.builders import run_stage
from tests.train.builders import MODEL, TRAIN

pace.METRIC_SECONDS = 0.0
SHAPE = MODEL.model_copy(update={"num_heads": 4, "num_kv_heads": 2})
"""Heads that two processes can divide."""
GOOD = WindowBatches.batch


class Adapters:
    """A stage that trains adapters on a model of another seed, and leaves the merged weights' sum."""

    __name__ = "tests.train.adapters"
    VERSION = 1

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def make(
        self,
        run: RunFolder,
        settings: TrainSettings,
        seed: int,
        tokens: Path,
        tokenizer: Path,
        model_settings: ModelSettings,
    ) -> None:
        shards = Shards(tokens, "train")
        config = ModelConfig(vocab_size=shards.vocab_size, **model_settings.shape())

        def fresh_model() -> Transformer:
            model = Transformer(config)
            initialize(model, 3)
            add_lora(model, rank=self.rank, alpha=8)
            return model

        batches = WindowBatches(shards, settings.batch_tokens // config.context_length, config.context_length, seed)
        trained = loop.fit(run, fresh_model, batches, settings, set_up(settings, config.d_model), Quiet())
        if trained is not None:
            merge_lora(trained[0])
            sums = {name: float(weight.detach().double().sum()) for name, weight in trained[0].named_parameters()}
            run.write_json("sums.json", sums)
            run.finish({"steps": trained[1].steps})


class Quiet:
    """Reports nothing."""

    tokens = 0

    def report(self, model: Transformer, step: int) -> None:
        assert type(model) is Transformer and model(torch.zeros(1, 4, dtype=torch.int64)).isfinite().all()

    def sample(self, model: Transformer, step: int) -> None:
        pass


def spoiled(self: WindowBatches, bad: tuple[int, int], step: int) -> Batch:
    batch = GOOD(self, step)
    noise = torch.randint(0, 300, batch.targets.shape, generator=torch.Generator().manual_seed(step))
    return batch._replace(targets=noise) if bad[0] <= step < bad[1] else batch


def train_once(folder: Path, tokens: Path, tokenizer: Path, changes: dict[str, Any]) -> None:
    rank = changes.pop("lora", 0)
    WindowBatches.batch = functools.partialmethod(spoiled, changes.pop("bad", (0, 0)))  # type: ignore[assignment]
    stage: Any = Adapters(rank) if rank else train
    settings = TRAIN.model_copy(update=changes)
    given = {"tokens": tokens, "tokenizer": tokenizer, "model_settings": SHAPE}
    if team.follows():
        from glassmill.recipe import Recipe

        stage.make(team.Silent(folder, Identity("train", 1, {}), Recipe()), settings, 7, **given)
    else:
        run_stage(stage, folder, settings, **given)


if __name__ == "__main__":
    tokens, tokenizer, *rest = sys.argv[1:]
    for folder, changes in zip(rest[::2], rest[1::2], strict=True):
        train_once(Path(folder), Path(tokens), Path(tokenizer), json.loads(changes))
