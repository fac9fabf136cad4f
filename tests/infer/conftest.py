"""A model of a few thousand weights and a tokenizer of plain bytes: enough to ask every question about the engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from glassmill.infer.decoder import Decoder
from glassmill.infer.engine import Engine
from glassmill.infer.native_decoder import NativeDecoder
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.transformer import Transformer
from glassmill.tokens.specials import NAMED
from glassmill.tokens.streams import ByteStream
from tests.random_models import save_random, tokenizer_of

OpenEngine = Callable[..., AbstractContextManager[Engine]]


class ByteTokenizer:
    """Id = byte; special tokens behind them. A random model over it writes broken UTF-8 all the time, as it should."""

    def __init__(self) -> None:
        self.special = {name: 256 + i for i, name in enumerate(NAMED)}
        self.stop_ids = [256, 258]
        self.vocab_size = 256 + len(NAMED)

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def token_bytes(self, token: int) -> bytes:
        return bytes([token]) if token < 256 else NAMED[token - 256].encode()

    def stream(self, before: Sequence[int] = ()) -> ByteStream:
        return ByteStream(self)


@pytest.fixture(scope="session")
def byte_tokenizer() -> ByteTokenizer:
    return ByteTokenizer()


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Transformer]:
    """Random weights, larger than a fresh model's, so that the next token depends on every token before it."""

    def make(seed: int = 0, **changes: Any) -> Transformer:
        shape = {"vocab_size": 262, "d_model": 32, "num_layers": 2, "d_ff": 48, "context_length": 128}
        heads = {"num_heads": 4, "num_kv_heads": 2, "head_dim": 8}
        model = Transformer(ModelConfig(**(shape | heads | changes)))
        initialize(model, seed)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.25)
        return model.eval()

    return make


@pytest.fixture(scope="session")
def model(make_model: Callable[..., Transformer]) -> Transformer:
    return make_model()


@pytest.fixture(scope="session", params=["torch", "native"])
def open_engine(
    request: pytest.FixtureRequest, byte_tokenizer: ByteTokenizer, tmp_path_factory: pytest.TempPathFactory
) -> OpenEngine:
    """An engine over a model, whichever decoder computes it."""

    def decoder_of(model: Transformer, max_rows: int) -> Decoder:
        if request.param == "torch":
            return TorchDecoder(model, max_rows)
        folder = tmp_path_factory.mktemp("weights")
        (folder / "config.json").write_text(json.dumps(model.config.to_hf()))
        save_file(model.state_dict(), folder / "model.safetensors")
        return NativeDecoder(folder, max_rows)

    @contextmanager
    def opened(model: Transformer, max_rows: int = 16, **options: Any) -> Iterator[Engine]:
        engine = Engine(decoder_of(model, max_rows), byte_tokenizer, **options)
        try:
            yield engine
        finally:
            engine.close()

    return opened


@pytest.fixture(scope="session")
def folder_with_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model folder inside a run: random weights and a tokenizer of a few merges."""
    tokenizer = tokenizer_of(b"he", b"ll", b"hell", b"hello", b" w", b"or")
    return save_random(tmp_path_factory.mktemp("runs") / "sft" / "demo-123456" / "model", tokenizer, 128, seed=3)
