"""A whole line small enough for tests, and how to run it as its users do: as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SMALL = (
    "miniweb.pages=160",
    "miniweb.people=8",
    "miniweb.warc_files=3",
    "miniweb.conversations=60",
    "corpus.workers=2",
    "tokenizer.vocab_size=512",
    "model.d_model=32",
    "model.num_layers=2",
    "model.num_heads=2",
    "model.num_kv_heads=1",
    "model.head_dim=16",
    "model.d_ff=64",
    "model.context_length=64",
    "train.minutes=none",
    "train.steps=60",
    "train.batch_tokens=512",
    "train.validation_tokens=2048",
    "train.sample_tokens=8",
    "sft.minutes=none",
    "sft.steps=30",
    "sft.batch_tokens=512",
    "eval.limit=5",
)
"""Settings that make the demo recipe run in seconds; they prove the machinery, not the model."""


def glassmill(*words: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """One call of the command line."""
    command = [sys.executable, "-m", "glassmill", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, env=quiet_environment(), **kwargs)


def start(*words: str) -> subprocess.Popen[str]:
    """A Python call that ends by kill -9: in a process group of its own, so that its workers die with it."""
    return subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=quiet_environment(),
    )


def quiet_environment() -> dict[str, str]:
    return {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}


def contents(runs: Path) -> dict[str, dict[str, str]]:
    """Stage -> artefact -> SHA-256, of every finished run under `runs`."""
    manifests = [json.loads(path.read_text()) for path in sorted(runs.glob("*/*/manifest.json"))]
    return {m["stage"]: {name: entry["sha256"] for name, entry in m["files"].items()} for m in manifests}
