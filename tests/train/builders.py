"""A tiny town as a tokens run, and settings that train on it in seconds."""

from __future__ import annotations

import random
import threading
from pathlib import Path

from glassmill.recipe import ModelSettings, TokensSettings, TrainSettings
from glassmill.tokens import tokens
from tests.tokens.builders import run_stage, small_tokenizer, write_corpus

MODEL = ModelSettings(d_model=32, num_layers=2, num_heads=2, num_kv_heads=1, head_dim=16, d_ff=48, context_length=32)
TRAIN = TrainSettings(steps=40, batch_tokens=256, micro_batch_tokens=128, reports=2, sample_tokens=8, threads=1)


def town_texts(count: int = 120) -> list[str]:
    """Short documents about a few people."""
    chance = random.Random(1)
    jobs = {"Ada": "miller", "Bruno": "baker", "Clara": "smith", "Doris": "weaver"}
    lines = [f"{name} is the {job} of the town." for name, job in jobs.items()]
    return [f"Page {number}. " + " ".join(chance.choices(lines, k=4)) for number in range(count)]


def write_tokens(folder: Path) -> tuple[Path, Path]:
    """A tokens run and a tokenizer folder under `folder`."""
    tokenizer, corpus, ids = folder / "tokenizer", folder / "corpus", folder / "tokens"
    texts = town_texts()
    small_tokenizer(320, texts).save(tokenizer)
    write_corpus(corpus, [texts[:60], texts[60:]])
    settings = TokensSettings(workers=1, validation_share=0.1)
    run_stage(tokens, ids, settings, documents=corpus, tokenizer=tokenizer)
    return ids, tokenizer


def interrupt() -> None:
    """Ends a training as a kill does, except that a checkpoint that is being written is still written: nobody else may
    write beside the next attempt."""
    for thread in threading.enumerate():
        if thread.name == "saver":
            thread.join()
    raise KeyboardInterrupt
