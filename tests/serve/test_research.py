"""The routes beside OpenAI's: they say what the model computes, for every form of a prompt, within their bounds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from glassmill.errors import ApiError
from glassmill.infer.generate import Model
from glassmill.serve import inside, research

pytestmark = pytest.mark.parametrize("loaded", ["torch", "numpy"], indirect=True)


@pytest.fixture
def http(server: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as opened:
        yield opened


def test_next_tokens_are_the_models_own_distribution(http: httpx.Client, loaded: Model) -> None:
    answer = http.post("/internal/next-tokens", json={"prompt": "hello w", "top": 1000}).json()
    logits = loaded.logits(loaded.prompt_ids("hello w"))[-1].astype(np.float64)
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    told = {one["id"]: np.exp(one["logprob"]) for one in answer["top"]}
    assert len(told) == len(shares) and all(abs(told[i] - share) < 1e-4 for i, share in enumerate(shares))
    assert answer["top"][0]["id"] == shares.argmax() and answer["tokens"] == loaded.prompt_ids("hello w")
    assert answer["entropy"] == pytest.approx(-(shares * np.log(shares)).sum(), abs=1e-3)


def test_a_trace_ends_with_what_the_model_says_and_its_attention_adds_up(http: httpx.Client, loaded: Model) -> None:
    ids = loaded.prompt_ids("hello world")
    views = ["lens", "attention", "norms"]
    answer = http.post("/internal/trace", json={"tokens": ids, "views": views, "top": 3, "heads": [1, 3]}).json()
    layers, length = loaded.config.num_layers, len(ids)
    assert [one["id"] for one in answer["tokens"]] == ids
    assert len(answer["lens"]) == layers + 1 and len(answer["lens"][0]) == length
    last = [position["ids"][0] for position in answer["lens"][-1]]
    assert last == loaded.logits(ids).argmax(axis=-1).tolist()
    assert np.array(answer["norms"]).shape == (layers + 1, length)
    assert [(one["layer"], one["head"]) for one in answer["attention"]] == [(0, 1), (0, 3), (1, 1), (1, 3)]
    weights = np.array([one["weights"] for one in answer["attention"]])
    assert np.allclose(weights.sum(axis=-1), 1, atol=1e-3) and not np.triu(weights, 1).any()


def test_one_position_alone_and_what_speaks_for_a_token(http: httpx.Client, loaded: Model) -> None:
    ids, config = loaded.prompt_ids("hello world"), loaded.config
    views = ["attention", "added", "attribution", "shape"]
    whole = http.post("/internal/trace", json={"tokens": ids, "views": ["attention"]}).json()
    asked = {"tokens": ids, "views": views, "query": 2, "token": 104, "against": 5}
    answer = http.post("/internal/trace", json=asked).json()
    assert [one["weights"] for one in answer["attention"]] == [one["weights"][2][:3] for one in whole["attention"]]
    assert np.array(answer["added"]["attention"]).shape == (config.num_layers, len(ids))
    parts, logits = answer["attribution"], loaded.logits(ids)[2]
    terms = parts["embedding"] + np.sum(parts["heads"]) + np.sum(parts["feed_forward"])
    assert parts["total"] == pytest.approx(terms, abs=1e-3)
    assert parts["total"] == pytest.approx(float(logits[104] - logits[5]), abs=1e-3)
    assert (parts["position"], parts["token"]["id"], parts["against"]["id"]) == (2, 104, 5)
    assert answer["shape"]["num_heads"] == config.num_heads
    assert answer["shape"]["parameters"]["all"] == loaded.num_parameters
    likeliest = http.post("/internal/trace", json={"tokens": ids, "views": ["attribution"]}).json()["attribution"]
    assert likeliest["token"]["id"] == loaded.logits(ids)[-1].argmax() and likeliest["against"] is None


def test_the_whole_distribution_comes_by_id(http: httpx.Client, loaded: Model) -> None:
    answer = http.post("/internal/next-tokens", json={"prompt": "hello w", "top": 3, "whole": True}).json()
    logits = loaded.logits(loaded.prompt_ids("hello w"))[-1].astype(np.float64)
    expected = logits - logits.max() - np.log(np.exp(logits - logits.max()).sum())
    assert np.allclose(answer["logprobs"], expected, atol=1e-4) and len(answer["top"]) == 3
    assert "".join(answer["pieces"]) == "hello w"


@pytest.mark.parametrize("wrong", [{"query": 99}, {"query": -1}, {"token": 99999}, {"against": -1}])
def test_a_place_or_token_that_is_none_is_refused(http: httpx.Client, wrong: Any) -> None:
    answer = http.post("/internal/trace", json={"prompt": "hello", "views": ["attribution"], **wrong})
    assert answer.status_code == 400 and "must be from 0 to" in answer.json()["error"]["message"]


def test_a_conversation_is_a_prompt_too(http: httpx.Client, loaded: Model) -> None:
    messages = [{"role": "user", "content": "hello"}]
    answer = http.post("/internal/trace", json={"messages": messages, "views": ["norms"]}).json()
    assert [one["id"] for one in answer["tokens"]] == loaded.chat_ids(messages) and "lens" not in answer


@pytest.mark.parametrize("path", ["/internal/trace", "/internal/next-tokens"])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "exactly one"),
        ({"prompt": "a", "tokens": [1]}, "exactly one"),
        ({"tokens": [99999]}, "out of range"),
        ({"tokens": []}, "tokens"),
        ({"prompt": "q" * 400}, "the prompt has 400 tokens; at most 256"),
        ({"messages": [{"role": "nobody"}]}, "must be one of"),
        ({"prompt": "a", "top": 0}, "greater than or equal to 1"),
        ({"prompt": "a", "tpo": 3}, "tpo"),
    ],
)
def test_a_prompt_that_is_none_is_refused(http: httpx.Client, path: str, body: Any, message: str) -> None:
    answer = http.post(path, json=body)
    assert answer.status_code == 400 and message in answer.json()["error"]["message"]


def test_only_so_many_may_wait_to_look_inside(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside, "_places", threading.Semaphore(0))
    for path, body in (("/internal/trace", {"prompt": "a"}), ("/v1/embeddings", {"input": "a"})):
        answer = http.post(path, json=body)
        assert answer.status_code == 429 and "already wait" in answer.json()["error"]["message"]


def test_answers_have_bounds(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(research, "MAX_NUMBERS", 1000)
    body = {"prompt": "q" * 100, "views": ["attention"]}
    assert "80,000 numbers; at most 1,000" in http.post("/internal/trace", json=body).text
    assert http.post("/internal/trace", json={**body, "heads": [9]}).status_code == 400
    assert http.post("/internal/trace", json={**body, "views": ["everything"]}).status_code == 400


def test_one_pass_serves_every_place_head_and_token_of_a_text(http: httpx.Client, loaded: Model) -> None:
    ids = loaded.prompt_ids("hello world")

    def step(query: int, top: int) -> Any:
        body = {"tokens": ids, "views": ["lens", "attention", "attribution"], "query": query, "token": 104, "top": top}
        return http.post("/internal/trace", json=body).json()

    inside._passes.clear()
    cold = [step(3, 5)]
    (seen,) = inside._passes[loaded].values()
    warm = [step(3, 5), step(3, 2), step(5, 5)]
    assert list(inside._passes[loaded].values()) == [seen]
    inside._passes.clear()
    assert warm[0] == cold[0] and warm[1] == step(3, 2)
    inside._passes.clear()
    assert warm[2] == step(5, 5)


def test_passes_are_kept_within_bounds(http: httpx.Client, loaded: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*ids: int) -> Any:
        return http.post("/internal/trace", json={"tokens": ids, "views": ["attention"]}).json()["attention"]

    inside._passes.clear()
    first = ask(1, 2, 3)
    (seen,) = inside._passes[loaded].values()
    monkeypatch.setattr(inside, "KEPT_BYTES", 2 * seen.num_bytes)
    for ids in ((4, 5, 6), (7, 8, 9)):
        ask(*ids)
    assert list(inside._passes[loaded]) == [(4, 5, 6), (7, 8, 9)] and ask(1, 2, 3) == first
    monkeypatch.setattr(inside, "KEPT_BYTES", seen.num_bytes - 1)
    inside._passes.clear()
    assert ask(1, 2, 3) == first and not inside._passes[loaded]


def test_nothing_is_computed_for_a_reader_who_has_gone_on(loaded: Model) -> None:
    def never(transformer: object) -> None:
        raise AssertionError("computed")

    with pytest.raises(ApiError) as left:
        inside.compute(loaded, never, 1, lambda: True)
    assert left.value.status == 499
