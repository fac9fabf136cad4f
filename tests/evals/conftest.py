"""A model folder of random weights for evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from glassmill.infer.folder import save_folder
from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.transformer import Transformer
from glassmill.tokens.specials import special_ids
from glassmill.tokens.split import OWN_PATTERN, PATTERNS
from glassmill.tokens.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bytes and a few merges, a context of 128; the next token depends on every token before it."""
    symbols = [bytes([byte]) for byte in range(256)] + [b"th", b"the", b" a", b" b", b"er"]
    tokenizer = Tokenizer.from_ranks(
        {symbol: i for i, symbol in enumerate(symbols)}, PATTERNS[OWN_PATTERN], special_ids(len(symbols))
    )
    shape: dict[str, Any] = {
        "d_model": 32,
        "num_layers": 2,
        "num_heads": 4,
        "num_kv_heads": 2,
        "head_dim": 8,
        "d_ff": 48,
    }
    model = Transformer(ModelConfig(vocab_size=tokenizer.vocab_size, context_length=128, **shape))
    initialize(model, seed=0)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.25)
    path = tmp_path_factory.mktemp("models") / "tiny"
    save_folder(path, model, tokenizer, {})
    return path
