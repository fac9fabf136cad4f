"""Embeddings by the official client: the mean of the last hidden states, of length 1, for texts and token ids."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import torch

from glassmill.infer.folder import load_folder
from glassmill.infer.generate import Model

pytestmark = pytest.mark.parametrize("loaded", ["torch", "numpy"], indirect=True)


def test_vectors_are_normalised_means_of_the_last_hidden_states(client: openai.OpenAI, loaded: Model) -> None:
    texts = ["hello world", "the", "héllo"]
    answer = client.embeddings.create(model="tiny", input=texts)
    transformer = load_folder(loaded.path).model
    for text, one in zip(texts, answer.data, strict=True):
        ids = loaded.prompt_ids(text)
        with torch.inference_mode():
            mean = transformer.hidden(torch.tensor([ids]))[0].mean(dim=0).numpy()
        assert np.allclose(one.embedding, mean / np.linalg.norm(mean), atol=1e-5)
    assert [one.index for one in answer.data] == [0, 1, 2]
    assert answer.usage.prompt_tokens == sum(len(loaded.prompt_ids(text)) for text in texts)


def test_floats_and_base64_and_token_ids_are_the_same(client: openai.OpenAI, loaded: Model) -> None:
    ids = loaded.prompt_ids("hello")
    given: list[Any] = ["hello", ids, [ids], ["hello"]]
    vectors = [client.embeddings.create(model="tiny", input=one).data[0].embedding for one in given]  # as base64
    vectors += [client.embeddings.create(model="tiny", input="hello", encoding_format="float").data[0].embedding]
    assert all(np.allclose(vectors[0], vector, atol=1e-6) for vector in vectors)
    written: Any = client.embeddings.create(model="tiny", input="hello", encoding_format="base64").data[0].embedding
    assert np.allclose(np.frombuffer(base64.b64decode(written), "<f4"), vectors[0], atol=1e-6)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"input": []}, "empty"),
        ({"input": ""}, "empty"),
        ({"input": [[]]}, "0 tokens"),
        ({"input": [[999999]]}, "out of range"),
        ({"input": "q" * 300}, "tokens; from 1 to 256"),
        ({"input": ["a"] * 3000}, "at most 2048"),
        ({"input": "a", "dimensions": 3}, "32 dimensions"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
    ],
)
def test_what_has_no_vector_is_refused(server: Any, body: Any, message: str) -> None:
    answer = httpx.post(f"{server.url}/v1/embeddings", json=body)
    assert answer.status_code == 400 and message in answer.text
