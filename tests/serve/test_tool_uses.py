"""A sum in a chat: the model asks, the engine computes, the client sees both, and may send them back as they came."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import torch

from glassmill.errors import ApiError
from glassmill.infer.compose import ToolUse
from glassmill.infer.folder import save_folder
from glassmill.infer.generate import Model
from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.transformer import Transformer
from glassmill.serve.api import create_api
from glassmill.serve.messages import to_internal, tool_uses
from glassmill.tokens.specials import ASSISTANT, IM_END, TOOL_CALL, TOOL_END, TOOL_RESULT
from glassmill.tokens.tokenizer import Tokenizer
from tests.infer.numpy_decoder import NumpyDecoder

QUESTION: Any = [{"role": "user", "content": "12 times 7?"}]
USE = {"name": "calculator", "arguments": "12*7", "result": "84", "at": 3}


def markov_model(tokenizer: Tokenizer, script: list[int]) -> Transformer:
    """A Transformer that computes a chain: after `script[i]` comes `script[i + 1]`, whatever stood before.

    Its blocks add nothing, so hidden states are one-hot embeddings.
    """
    size = tokenizer.vocab_size
    shape = {"num_layers": 1, "num_heads": 1, "num_kv_heads": 1, "head_dim": 8, "d_ff": 8, "context_length": 128}
    model = Transformer(ModelConfig(vocab_size=size, d_model=size, tie_embeddings=False, **shape))
    initialize(model, seed=0)
    assert model.lm_head is not None
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.eye(size))
        model.lm_head.weight.zero_()
        model.model.norm.weight.fill_(1.0)
        for name, weight in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                weight.zero_()
        for token, following in pairwise(script):
            model.lm_head.weight[following, token] = 10.0
    return model


@pytest.fixture(scope="module", params=[None, NumpyDecoder], ids=["torch", "numpy"])
def api(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    tiny_tokenizer: Tokenizer,
    start_server: Any,
) -> Iterator[str]:
    special, encode = tiny_tokenizer.special, tiny_tokenizer.encode
    script = [special[ASSISTANT], *encode("So "), special[TOOL_CALL], *encode("12*7"), special[TOOL_RESULT]]
    script += [-1, special[TOOL_END], *encode("it"), special[IM_END]]
    folder: Path = tmp_path_factory.mktemp("chain") / "chain"
    save_folder(folder, markov_model(tiny_tokenizer, [int(token) for token in script]), tiny_tokenizer, {})
    model = Model.load(folder, decoder=request.param)
    server = start_server(create_api(lambda: model))
    yield server.url
    server.stop()
    model.close()


def test_the_answer_shows_the_text_and_beside_it_the_calculation(api: str) -> None:
    with openai.OpenAI(base_url=f"{api}/v1", api_key="x") as client:
        answer = client.chat.completions.create(model="chain", messages=QUESTION, temperature=0)
        message = answer.choices[0].message
        assert (message.content, answer.choices[0].finish_reason) == ("So it", "stop")
        assert message.model_extra == {"tool_uses": [USE]}
        deltas = [
            chunk.choices[0].delta
            for chunk in client.chat.completions.create(model="chain", messages=QUESTION, temperature=0, stream=True)
        ]
        assert [delta.model_extra["tool_uses"] for delta in deltas if delta.model_extra] == [[USE]]
        assert "".join(delta.content or "" for delta in deltas) == "So it"


def test_an_answer_sent_back_becomes_the_tokens_that_the_model_wrote(api: str, tiny_tokenizer: Tokenizer) -> None:
    with httpx.Client(base_url=api) as client:
        body = {"messages": QUESTION, "temperature": 0, "return_token_ids": True}
        choice = client.post("/v1/chat/completions", json=body).json()["choices"][0]
        shown = client.post("/apply-template", json={"messages": [*QUESTION, choice["message"]]}).json()
    assert "So <|tool_call|>12*7<|tool_result|>84<|tool_end|>it<|im_end|>" in shown["prompt"]
    written = choice["token_ids"]
    assert any(shown["tokens"][at : at + len(written)] == written for at in range(len(shown["tokens"])))


def test_places_of_uses_count_characters_of_the_text() -> None:
    parts = ["é: ", ToolUse("1+1", "2"), ToolUse("2+2", "4"), "!"]
    uses = tool_uses(parts)
    assert [use["at"] for use in uses] == [3, 3]
    message = {"role": "assistant", "content": "é: !", "tool_uses": uses}
    kinds = [part["type"] for part in to_internal([message])[0]["content"]]
    assert kinds == ["text", "tool_call", "tool_result", "tool_call", "tool_result", "text"]


@pytest.mark.parametrize("uses", ["x", [{}], [{"arguments": "1", "result": "1", "at": 99}], [{"arguments": "1"}] * 200])
def test_uses_that_make_no_sense_are_refused(uses: Any) -> None:
    with pytest.raises(ApiError, match=r"messages\.0\.tool_uses"):
        to_internal([{"role": "assistant", "content": "short", "tool_uses": uses}])
