"""Tiny models with random weights, whose next token depends on every token before it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from glassmill.infer.folder import save_folder
from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.transformer import Transformer
from glassmill.tokens.specials import special_ids
from glassmill.tokens.split import OWN_PATTERN, PATTERNS
from glassmill.tokens.tokenizer import Tokenizer


def tokenizer_of(*merged: bytes) -> Tokenizer:
    """Bytes and a few merges."""
    symbols: Sequence[bytes] = [*(bytes([byte]) for byte in range(256)), *merged]
    ranks = {symbol: rank for rank, symbol in enumerate(symbols)}
    return Tokenizer.from_ranks(ranks, PATTERNS[OWN_PATTERN], special_ids(len(symbols)))


def save_random(folder: Path, tokenizer: Tokenizer, context_length: int, seed: int = 0) -> Path:
    """A model in a new folder."""
    shape = {"d_model": 32, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "head_dim": 8, "d_ff": 48}
    model = Transformer(ModelConfig(vocab_size=tokenizer.vocab_size, context_length=context_length, **shape))
    initialize(model, seed=0)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.25)
    save_folder(folder, model, tokenizer, {"purpose": "tests"})
    return folder
