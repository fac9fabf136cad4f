"""A model folder of random weights for evaluations."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.random_models import save_random, tokenizer_of


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A context of 128."""
    tokenizer = tokenizer_of(b"th", b"the", b" a", b" b", b"er")
    return save_random(tmp_path_factory.mktemp("models") / "tiny", tokenizer, 128, seed=3)
