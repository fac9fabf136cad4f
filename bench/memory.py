"""Claim: `glassmill plan` is within a tenth of the memory that training really takes.

    python bench/memory.py

Each shape trains three steps and saves checkpoints in a process of its own, whose peak is compared with the plan's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from machine import machine

from glassmill.commands.plan import PROCESS_BYTES, micro_batch
from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.sizes import num_parameters, training_bytes
from glassmill.model.transformer import Transformer
from glassmill.recipe import TrainSettings
from glassmill.run.memory import peak_memory
from glassmill.train.checkpoint import save_checkpoint
from glassmill.train.gradients import Batch
from glassmill.train.loop import Trainer
from glassmill.train.plan import set_up
from glassmill.train.ranks import Ranks
from glassmill.train.saver import Saver

CASES = {
    "the demo": (ModelConfig(2048, 160, 4, 5, 5, 32, 448, 256), TrainSettings(steps=2, batch_tokens=2048)),
    "the web recipe": (ModelConfig(8192, 256, 6, 4, 4, 64, 704, 512), TrainSettings(steps=2)),
    "34 million": (ModelConfig(16_384, 512, 8, 8, 8, 64, 1408, 512), TrainSettings(steps=2, batch_tokens=512)),
    "57 million, AdamW": (
        ModelConfig(49_152, 576, 8, 9, 3, 64, 1536, 256),
        TrainSettings(steps=2, batch_tokens=512, optimizer="adamw"),
    ),
    "context 8,192": (
        ModelConfig(8192, 384, 6, 6, 6, 64, 1024, 8192),
        TrainSettings(steps=2, batch_tokens=8192),
    ),
    "the same, recomputed": (
        ModelConfig(8192, 384, 6, 6, 6, 64, 1024, 8192),
        TrainSettings(steps=2, batch_tokens=8192, activation_checkpointing=True),
    ),
    "the demo by autograd": (
        ModelConfig(2048, 160, 4, 5, 5, 32, 448, 256),
        TrainSettings(steps=2, batch_tokens=2048, step="autograd"),
    ),
}


class RandomBatches:
    """Batches of random ids."""

    def __init__(self, config: ModelConfig, settings: TrainSettings) -> None:
        self.vocab_size, self.length = config.vocab_size, config.context_length
        self.rows = settings.batch_tokens // self.length

    def batch(self, step: int) -> Batch:
        """The batch of any step."""
        ids = torch.randint(0, self.vocab_size, (self.rows, self.length))
        return Batch(ids, ids, torch.full(ids.shape, 1 / ids.numel()))


def measure(name: str) -> int:
    """Peak memory of this process after three steps with checkpoints written beside them, in bytes."""
    config, settings = CASES[name]
    model = Transformer(config)
    initialize(model, 1)
    trainer = Trainer(model, RandomBatches(config, settings), settings, set_up(settings, config.d_model))
    with tempfile.TemporaryDirectory() as folder:
        saver = Saver(Path(folder), Ranks(), save_checkpoint, 2)
        for step in range(3):
            trainer.step(step, 3)
            saver.begin(trainer.share(step + 1, 0.0))
        saver.wait()
    return peak_memory()


def main() -> None:
    if len(sys.argv) > 1:
        print(measure(sys.argv[1]))
        return
    print(machine())
    for name, (config, settings) in CASES.items():
        rows, length = micro_batch(settings.batch_tokens, settings.micro_batch_tokens, config.context_length)
        setup = set_up(settings, config.d_model)
        planned = PROCESS_BYTES + training_bytes(
            config,
            rows,
            length,
            settings.optimizer,
            step=setup.step,
            dtype=setup.device.dtype,
            recompute=settings.activation_checkpointing,
        )
        done = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=True)
        measured = int(done.stdout)
        print(
            f"{name:22} {num_parameters(config) / 1e6:6.1f} M parameters   measured {measured / 1e6:7,.0f} MB   "
            f"planned {planned / 1e6:7,.0f} MB   planned / measured {planned / measured:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
