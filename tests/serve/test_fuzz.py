"""Whatever JSON comes: an answer or an error in OpenAI's form, never a failure of the server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glassmill.serve.embeddings import EmbeddingRequest
from glassmill.serve.research import NextTokensRequest, TraceRequest
from glassmill.serve.responses import ResponseRequest
from glassmill.serve.schema import ChatRequest, CompletionRequest

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
small_numbers = st.integers(-2, 20) | st.floats(-2, 2) | st.none() | st.booleans()
messages = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "assistant", "system", "tool", ""]),
            "content": st.text(max_size=20) | json_values,
        }
    ),
    max_size=3,
)


def bodies(model: type[Any], **likely: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of the known fields, their values likely or wild, and sometimes an unknown field."""
    fields = dict.fromkeys(model.model_fields, small_numbers | json_values) | likely
    fields["n"] = st.sampled_from([None, 1, 2, 0, "x"])
    return st.fixed_dictionaries({name: fields.pop(name) for name in likely}, optional={**fields, "other": json_values})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", bodies(ChatRequest, messages=messages, max_tokens=small_numbers)),
        ("/v1/chat/completions", st.fixed_dictionaries({"messages": messages, "max_tokens": st.just(2)})),
        (
            "/v1/completions",
            bodies(CompletionRequest, prompt=st.text(max_size=9) | json_values, max_tokens=small_numbers),
        ),
        ("/v1/completions", st.fixed_dictionaries({"prompt": st.lists(st.integers(0, 400)), "max_tokens": st.just(2)})),
        ("/tokenize", st.dictionaries(st.sampled_from(["prompt", "content", "messages"]), messages | st.text())),
        (
            "/v1/responses",
            bodies(ResponseRequest, input=st.text(max_size=9) | json_values, max_output_tokens=st.just(3)),
        ),
        ("/v1/embeddings", bodies(EmbeddingRequest, input=st.text(max_size=9) | json_values)),
        ("/internal/trace", bodies(TraceRequest, prompt=st.text(max_size=9))),
        ("/internal/next-tokens", bodies(NextTokensRequest, tokens=st.lists(st.integers(0, 400)))),
        (
            "/v1/chat/completions",
            st.fixed_dictionaries(
                {
                    "messages": st.just([{"role": "user", "content": "x"}]),
                    "max_tokens": st.just(9),
                    "response_format": json_values
                    | st.fixed_dictionaries(
                        {
                            "type": st.just("json_schema"),
                            "json_schema": st.fixed_dictionaries(
                                {
                                    "schema": st.dictionaries(
                                        st.sampled_from(["type", "enum", "anyOf", "$ref", "items"]),
                                        json_values | st.sampled_from(["object", "array", "string", "#"]),
                                        max_size=3,
                                    )
                                    | json_values
                                }
                            ),
                        }
                    ),
                }
            ),
        ),
        ("/detokenize", st.fixed_dictionaries({"tokens": st.lists(st.integers(-1, 500)) | json_values})),
    ],
)
def test_no_body_makes_the_server_fail(server: Any, path: str, body: st.SearchStrategy[dict[str, Any]]) -> None:
    seen = set()

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(body=body)
    def send(body: dict[str, Any]) -> None:
        body.pop("stream", None)
        answer = client.post(path, json=body)
        seen.add(answer.status_code)
        assert answer.status_code in (200, 400, 404), answer.text
        if answer.status_code != 200:
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}

    with httpx.Client(base_url=server.url) as client:
        send()
    assert 400 in seen
