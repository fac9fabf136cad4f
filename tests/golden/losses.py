"""Two small trainings whose losses are known: pretraining on a fixed stream of bytes, and sft on fixed conversations.

Model, rates, schedule, packing and step are those of the stages; data and shape are small and come from hashes, so that
no other stage, no random module and no tokenizer can change them.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.transformer import Transformer
from glassmill.recipe import LoopSettings, SftSettings, TrainSettings
from glassmill.tokens.shards import Shards
from glassmill.train.batches import WindowBatches
from glassmill.train.loop import Batches, Trainer
from glassmill.train.plan import set_up
from glassmill.tune.packing import MixedBatches, PackedConversations, Rendered

CONFIG = ModelConfig(128, 48, 3, 3, 1, 16, 128, 32)
TRAIN = TrainSettings(steps=200, batch_tokens=512, peak_lr=0.01, embedding_lr=0.003, step="fused", threads=1)
SFT = SftSettings(
    steps=120,
    batch_tokens=512,
    length=32,
    pages=0.3,
    optimizer="muon",
    peak_lr=0.006,
    embedding_lr=0.0012,
    step="fused",
    threads=1,
)
NAMES = ("Ada", "Bruno", "Clara", "Doris", "Emil", "Frida")
JOBS = ("a miller", "a baker", "a smith", "a weaver", "a potter", "a carter")
PLACES = ("by the river", "in the square", "at the mill", "on the hill")


def measure(folder: Path, step: str = "fused") -> dict[str, list[float]]:
    """Loss before every step (nats per token) of both trainings; `folder` is for their data."""
    pages = WindowBatches(write_stream(folder), TRAIN.batch_tokens // 32, 32, seed=7)
    packed = PackedConversations([conversation(number) for number in range(40)], 32, pad_id=0, seed=7)
    update = {"step": step}
    return {
        "train": losses(pages, TRAIN.model_copy(update=update)),
        "sft": losses(MixedBatches(packed, pages, SFT.batch_tokens // 32, SFT.pages), SFT.model_copy(update=update)),
    }


def losses(batches: Batches, settings: LoopSettings) -> list[float]:
    model = Transformer(CONFIG)
    initialize(model, 7)
    before = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        trainer = Trainer(model, batches, settings, set_up(settings, CONFIG.d_model))
        assert settings.steps is not None
        return [trainer.step(step, settings.steps)[0] for step in range(settings.steps)]
    finally:
        torch.set_num_threads(before)


def chosen(words: tuple[str, ...], *numbers: int) -> str:
    """One of the words, by a hash."""
    digest = hashlib.blake2b(",".join(map(str, numbers)).encode(), digest_size=8).digest()
    return words[int.from_bytes(digest, "little") % len(words)]


def write_stream(folder: Path) -> Shards:
    """About 40,000 tokens of sentences, a byte each, as a tokens run."""
    sentences = []
    for number in range(1000):
        name = chosen(NAMES, number, 0)
        sentences.append(f"{name} is {JOBS[NAMES.index(name)]} {chosen(PLACES, number, 1)}. ")
    ids = np.frombuffer("".join(sentences).encode("ascii"), dtype=np.uint8).astype("<u2")
    (folder / "train.bin").write_bytes(ids.tobytes())
    counts = {"tokens": len(ids), "bytes": len(ids), "documents": 1}
    shard = {"file": "train.bin", "documents_file": "none.npy", "corpus": "none", **counts}
    split = {"shards": [shard], **counts}
    index = {"vocab_size": CONFIG.vocab_size, "eos_id": 0, "dtype": "uint16", "train": split, "validation": split}
    (folder / "index.json").write_text(json.dumps(index))
    return Shards(folder)


def conversation(number: int) -> Rendered:
    """A question, not learned, and its answer."""
    name = chosen(NAMES, number, 2)
    question, answer = f"What is {name}?", f"{JOBS[NAMES.index(name)].capitalize()}.\0"
    ids = np.frombuffer((question + answer).encode("ascii"), dtype=np.uint8).astype(np.int64)
    return Rendered(ids, np.arange(len(ids)) >= len(question))
