"""A real server on loopback over a tiny random model, and the real `openai` client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from fastapi import FastAPI

from glassmill.infer.generate import Model
from glassmill.serve.api import create_api
from glassmill.serve.drain import Server
from glassmill.serve.server import address_of, bind, make_server
from glassmill.tokens.tokenizer import Tokenizer
from tests.infer.numpy_decoder import NumpyDecoder
from tests.random_models import save_random, tokenizer_of


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
    words = (b"he", b"ll", b"lo", b"hell", b"hello", b" w", b"or", b"ld", b"\xc3\xa9", b"th", b"the")
    return tokenizer_of(*words, *(bytes([97 + i, 97 + j]) for i in range(5) for j in range(5)))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Tokenizer) -> Path:
    """A model folder with random weights: it writes nonsense, but always the same."""
    return save_random(tmp_path_factory.mktemp("models") / "tiny", tiny_tokenizer, 256)


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
