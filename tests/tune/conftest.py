"""The tiny town, tokenised once for all tests of this folder, and a model that was tuned a little on it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from glassmill.recipe import SftSettings
from glassmill.train import train
from glassmill.tune import sft
from tests.tokens.builders import run_stage
from tests.train.builders import MODEL, TRAIN, write_tokens

JOBS = {"Ada": "miller", "Bruno": "baker", "Clara": "smith", "Doris": "weaver"}
QUICK: dict[str, Any] = {"held_out": 0.0, "warmup_steps": 1, "peak_lr": 0.003, "embedding_lr": 0.003, "threads": 1}
"""Settings of small tunings that learn much in few steps."""

NO_START = "has no model to start from; add the stage sft to the recipe, or set"


def write_rows(file: Path, rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows as JSONL; the file's name."""
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(file)


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of a tokens run and of its tokenizer."""
    return write_tokens(tmp_path_factory.mktemp("town"))


@pytest.fixture(scope="session")
def tuned(town: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a model that has learned to answer, but not yet well."""
    folder, (tokens, tokenizer) = tmp_path_factory.mktemp("tuned"), town
    settings = TRAIN.model_copy(update={"steps": 80})
    model = MODEL.model_copy(update={"context_length": 64, "tie_embeddings": True})
    run_stage(train, folder / "base", settings, tokens=tokens, tokenizer=tokenizer, model_settings=model)
    rows = [{"prompt": f"What is {name}?", "completion": f"A {job}."} for name, job in JOBS.items()]
    settings = SftSettings(
        conversations=(write_rows(folder / "talks.jsonl", rows),), steps=30, batch_tokens=256, length=64, pages=0.0,
        held_out=0.0, peak_lr=0.01, embedding_lr=0.005, reports=1, threads=1,
    )  # fmt: skip
    run_stage(sft, folder / "sft", settings, base=folder / "base")
    return folder / "sft"
