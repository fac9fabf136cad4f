"""A tiny town as a tokens run, and settings that train on it in seconds."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

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


SMALL_LINE: dict[str, Any] = {
    "name": "small",
    "stages": ["corpus", "tokenizer", "tokens", "train"],
    "corpus": {"inputs": ["docs"], "workers": 1, "language": {"languages": []}}
    | {name: {"enabled": False} for name in ("gopher_repetition", "gopher_quality", "c4", "fineweb", "dedup")},
    "tokenizer": {"vocab_size": 320},
    "tokens": {"workers": 1, "validation_share": 0.2},
    "model": {"d_model": 32, "num_layers": 1, "num_heads": 2, "num_kv_heads": 1, "head_dim": 16, "d_ff": 48}
    | {"context_length": 32},
    "train": {"steps": 20, "batch_tokens": 128, "threads": 1, "reports": 1},
}
"""A recipe for the documents of `write_docs`."""


def write_docs(folder: Path, count: int) -> None:
    """So many small files, each a document of its own."""
    folder.mkdir()
    for number, text in enumerate(town_texts(count)):
        (folder / f"{number:03}.txt").write_text(f"{text} The number of this page is {number}.")


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
