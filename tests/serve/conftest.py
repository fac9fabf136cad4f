"""A real server on loopback over a tiny random model, and the real `openai` client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
import torch
from fastapi import FastAPI

from glassmill.infer.folder import save_folder
from glassmill.infer.generate import Model
from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.transformer import Transformer
from glassmill.serve.api import create_api
from glassmill.serve.drain import Server
from glassmill.serve.server import address_of, bind, make_server
from glassmill.tokens.specials import special_ids
from glassmill.tokens.split import OWN_PATTERN, PATTERNS
from glassmill.tokens.tokenizer import Tokenizer
from tests.infer.numpy_decoder import NumpyDecoder


class RunningServer:
    """An application on a free port of this machine, in a thread."""

    def __init__(self, app: FastAPI, make: Callable[[FastAPI], Server] = make_server) -> None:
        self.listener = bind("127.0.0.1", 0)
        self.url = address_of(self.listener)
        self.server = make(app)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.005)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.listener.close()


@pytest.fixture(scope="session")
def start_server() -> Iterator[type[RunningServer]]:
    yield RunningServer


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Tokenizer:
    symbols = [bytes([byte]) for byte in range(256)]
    symbols += [b"he", b"ll", b"lo", b"hell", b"hello", b" w", b"or", b"ld", b"\xc3\xa9", b"th", b"the"]
    symbols += [bytes([97 + i, 97 + j]) for i in range(5) for j in range(5)]
    return Tokenizer.from_ranks({s: i for i, s in enumerate(symbols)}, PATTERNS[OWN_PATTERN], special_ids(len(symbols)))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Tokenizer) -> Path:
    """A model folder with random weights: it writes nonsense, but always the same."""
    return save_random(tmp_path_factory.mktemp("models") / "tiny", tiny_tokenizer, 256)


def save_random(folder: Path, tokenizer: Tokenizer, context_length: int) -> Path:
    """A tiny model with random weights, in a new folder."""
    shape = {"d_model": 32, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "head_dim": 8, "d_ff": 48}
    model = Transformer(ModelConfig(vocab_size=tokenizer.vocab_size, context_length=context_length, **shape))
    initialize(model, seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.25)
    save_folder(folder, model, tokenizer, {"purpose": "tests"})
    return folder


@pytest.fixture(scope="session")
def loaded(request: pytest.FixtureRequest, model_folder: Path) -> Iterator[Model]:
    """The served model, computed by torch, or by the decoder that a test names."""
    model = Model.load(model_folder, decoder=NumpyDecoder if getattr(request, "param", "torch") == "numpy" else None)
    yield model
    model.close()


@pytest.fixture(scope="session")
def server(loaded: Model) -> Iterator[RunningServer]:
    running = RunningServer(create_api(lambda: loaded))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def client(server: RunningServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as opened:
        yield opened
