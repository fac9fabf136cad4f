"""Answers in a given form: whatever a random model wants to say, it says JSON of the schema, for a bounded price."""

from __future__ import annotations

import json
from typing import Any, Literal

import httpx
import numpy as np
import openai
import pytest
from pydantic import BaseModel

from glassmill.errors import ApiError
from glassmill.infer.generate import Model
from glassmill.serve.grammar import json_form
from glassmill.tokens.tokenizer import Tokenizer

HELLO: Any = [{"role": "user", "content": "hello"}]


class Mill(BaseModel):
    kind: Literal["wind", "water"]
    stones: int
    built: bool | None


def form(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


SMALL = {
    "type": "object",
    "properties": {"kind": {"enum": ["wind", "wäter"]}, "stones": {"type": "integer", "minimum": 1, "maximum": 99}},
    "required": ["kind", "stones"],
    "additionalProperties": False,
}


def test_the_official_client_parses_what_any_seed_gives(client: openai.OpenAI) -> None:
    for seed in range(3):
        answer = client.chat.completions.parse(
            model="tiny", messages=HELLO, response_format=Mill, seed=seed, max_tokens=200, logprobs=True
        )
        assert isinstance(answer.choices[0].message.parsed, Mill), answer.choices[0]
        assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("options", [{"temperature": 0}, {"seed": 3}, {"seed": 1, "n": 3, "top_k": 2, "min_p": 0.5}])
def test_every_choice_streamed_or_not_has_the_form(client: openai.OpenAI, options: dict[str, Any]) -> None:
    extra = {name: options.pop(name) for name in ("top_k", "min_p") if name in options}
    more: Any = {"response_format": form(SMALL), "extra_body": extra, **options}
    choices = client.chat.completions.create(model="tiny", messages=HELLO, **more).choices
    texts = [choice.message.content for choice in choices]
    for text in texts:
        value = json.loads(text or "")
        assert value["kind"] in ("wind", "wäter") and 1 <= value["stones"] <= 99 and len(value) == 2
    streamed = [""] * len(texts)
    for chunk in client.chat.completions.create(model="tiny", messages=HELLO, stream=True, **more):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert streamed == texts


def test_a_json_object_is_an_object_even_for_a_model_that_bans_its_own_end(client: openai.OpenAI) -> None:
    options: Any = {"response_format": {"type": "json_object"}, "temperature": 0, "extra_body": {"ignore_eos": True}}
    short = client.chat.completions.create(model="tiny", messages=HELLO, logit_bias={str(ord("}")): 100}, **options)
    assert json.loads(short.choices[0].message.content or "") == {} and short.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "nonsense"}, "Invalid type"),
        ({"not": {"type": "string"}}, "Unimplemented keys"),
        ({"type": "string", "format": "unheard-of"}, "Unknown format"),
        ({"$ref": "https://example.com/schema"}, "not present"),
        ({"$ref": "#"}, "no finite JSON"),
        ({"enum": []}, ""),
        ({"enum": ["x" * 70_000]}, "bytes; at most 64,000"),
    ],
)
def test_what_cannot_be_held_is_refused_in_the_librarys_words(server: Any, schema: Any, message: str) -> None:
    body = {"messages": HELLO, "response_format": form(schema), "max_tokens": 40}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"] == "response_format" and message in error["message"] and "\n" not in error["message"]


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        nested(60),
        {"anyOf": [nested(20)] * 40},
        {"enum": [str(i) for i in range(9000)]},
        {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(1500)}},
        {"type": "string", "pattern": "^(.*a.{20}b|.*c.{22}d|.*e.{25})$"},
        {"type": "array", "minItems": 100_000, "items": {"type": "string", "minLength": 1_000_000}},
    ],
)
def test_hostile_schemas_come_to_an_end(tiny_tokenizer: Tokenizer, schema: Any) -> None:
    try:
        state = json_form(tiny_tokenizer, schema, "response_format").begin()
    except ApiError as error:
        assert error.status == 400
    else:
        random = np.random.default_rng(0)
        for _ in range(20):
            logits = random.normal(size=tiny_tokenizer.vocab_size).astype(np.float32)
            state.mask(logits)
            assert np.isfinite(logits).any()
            state.accept(int(logits.argmax()))


def test_a_grammar_that_fails_on_the_way_ends_the_answer_and_says_why(loaded: Model, tiny_tokenizer: Tokenizer) -> None:
    made = json_form(tiny_tokenizer, {"type": "string"}, "response_format")
    state = made.begin()
    state.accept(tiny_tokenizer.id_of(b"x"))  # no token that the mask allows
    logits = np.zeros(loaded.config.vocab_size, dtype=np.float32)
    state.mask(logits)
    assert sorted(np.flatnonzero(np.isfinite(logits))) == made.ends and made.problem
