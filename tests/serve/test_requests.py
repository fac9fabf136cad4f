"""What clients of other servers send is taken as those take it; what would change the answer is refused by name."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from glassmill.errors import UserError
from glassmill.infer.generate import Model
from glassmill.serve.api import create_api
from glassmill.serve.server import allowed_hosts, allowed_origins, bind

HELLO: Any = [{"role": "user", "content": "hello world"}]
CHAT, PLAIN = "/v1/chat/completions", "/v1/completions"


@pytest.fixture(scope="module")
def client(server: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as opened:
        yield opened


def ask(client: httpx.Client, **fields: Any) -> httpx.Response:
    return client.post(CHAT, json={"messages": HELLO, "temperature": 0, "max_tokens": 8, **fields})


def text(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


@pytest.mark.parametrize(
    "fields",
    [
        {"stop": ""}, {"stop": None}, {"stop": []}, {"n": 1}, {"n": None}, {"stream": None}, {"stream_options": None},
        {"stream_options": {"include_usage": True}}, {"tool_choice": "auto"}, {"tool_choice": None}, {"tools": []},
        {"tools": None}, {"max_completion_tokens": 8}, {"max_completion_tokens": -1}, {"logit_bias": {}},
        {"response_format": {"type": "text"}}, {"user": "me"}, {"metadata": {"a": 1}}, {"truncation": "disabled"},
        {"truncation": "auto"}, {"cache_prompt": True}, {"keep_alive": "5m"}, {"options": {"x": [1]}},
        {"min_tokens": 0}, {"typical_p": 1.0}, {"mirostat": 0}, {"grammar": ""}, {"guided_json": None},
        {"use_beam_search": False}, {"prompt_logprobs": None}, {"add_generation_prompt": True}, {"top_n_sigma": -1},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": t} for t in ("hello ", "world")]}]},
        {"messages": [{"role": "user", "content": "hello world", "name": "me", "timestamp": 3, "tool_calls": None}]},
    ],
)  # fmt: skip
def test_a_field_that_changes_nothing_changes_nothing(client: httpx.Client, fields: dict[str, Any]) -> None:
    assert text(ask(client, **fields)) == text(ask(client))


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"stop": [""]}, "stop", "strings that are not empty"),
        ({"stop": 3}, "stop.str", "valid string"),
        ({"max_tokens": -2}, "max_tokens", "greater than or equal to -1"),
        ({"max_tokens": "8"}, "max_tokens", "valid integer"),
        ({"max_tokens": 1.5}, "max_tokens", "valid integer"),
        ({"stream": "yes"}, "stream", "valid boolean"),
        ({"stream_options": []}, "stream_options", ""),
        ({"n": 0}, "n", "greater than or equal to 1"),
        ({"n": True}, "n", "valid integer"),
        ({"seed": 2**70}, "seed", ""),
        ({"messages": {}}, "messages", "valid list"),
        ({"messages": ["hi"]}, "messages.0", "valid dictionary"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages.0.role", "must be one of"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages.0.content", "a string or a list of parts"),
        ({"messages": [{"role": "user", "content": [7]}]}, "messages.0.content.0", "only parts of type text"),
        ({"messages": [{"role": "user"}, {"role": "tool", "content": "x"}]}, "messages.1.role", "must be one of"),
        ({"tools": [{"type": "function"}]}, "tools", "only the built-in calculator"),
        ({"tools": {}}, "tools", "valid list"),
        ({"tool_choice": "required"}, "tool_choice", "only the built-in calculator"),
        ({"guided_json": {"type": "object"}}, "guided_json", "response_format"),
        ({"grammar": "root ::= x"}, "grammar", "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format", "text, json_object or json_schema"),
        ({"response_format": {"type": "json_schema"}}, "response_format", "must be a schema"),
        ({"mirostat": 2}, "mirostat", "not implemented"),
        ({"topP": 0.5}, "topP", "did you mean top_p?"),
        ({"max_new_tokens": 5}, "max_new_tokens", "did you mean max_tokens?"),
        ({"n_predict": 5}, "n_predict", "did you mean max_tokens?"),
        ({"stop_sequences": ["a"]}, "stop_sequences", "did you mean stop?"),
        ({"truncation": "middle"}, "truncation", "'auto' or 'disabled'"),
        ({"chat_template": "{{ x }}"}, "chat_template", "own template"),
        ({"logprobs": 5}, "logprobs", "valid boolean"),
        ({"logit_bias": {"a": 1}}, "logit_bias", "token ids"),
    ],
)
def test_a_field_that_would_change_the_answer_is_refused(
    client: httpx.Client, fields: dict[str, Any], param: str, message: str
) -> None:
    answer = ask(client, **fields)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"] == param and message in error["message"]


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        (CHAT, b"[" * 200_000, "nested too deeply"),
        (CHAT, b'{"messages":' * 150_000, "not valid JSON"),
        (CHAT, b'{"messages": [{"role": "user"}], "x": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", "nested"),
        (CHAT, b"null", "must be a JSON object"),
        (PLAIN, b'{"prompt": "a", "messages": []}', "/v1/chat/completions"),
        (PLAIN, b'{"prompt": [' + b"1," * 400_000 + b"1]}", "the context holds 256"),
        ("/detokenize", b'{"tokens": [' + b"1," * 600_000 + b"1]}", "at most 500000 items"),
        ("/detokenize", b'{"tokens": [99999999999999999999]}', "tokens"),
        ("/v1/responses", b'{"input": "a", "metadata": {"a": NaN}}', "NaN is not a number of JSON"),
        (CHAT, b'{"messages": [{"role": "user", "content": "a"}], "metadata": {"a": 1e999}}', "1e999 is not a number"),
    ],
    ids=["arrays", "objects", "in a field", "null", "messages to the wrong place", "long", "many ids", "a large id",
         "NaN", "infinity"],
)  # fmt: skip
def test_large_and_odd_bodies_are_refused(client: httpx.Client, path: str, content: bytes, message: str) -> None:
    answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and message in answer.json()["error"]["message"], answer.text[:300]


def test_a_body_that_is_no_json_by_its_type_is_refused(client: httpx.Client) -> None:
    answer = client.post(CHAT, content=json.dumps({"messages": HELLO}), headers={"Content-Type": "text/plain"})
    assert answer.status_code == 400 and "Content-Type: application/json" in answer.json()["error"]["message"]


def test_no_limit_means_as_many_tokens_as_the_context_holds(client: httpx.Client) -> None:
    whole = ask(client, max_tokens=-1, ignore_eos=True).json()
    assert whole["usage"]["total_tokens"] == 256 and whole["choices"][0]["finish_reason"] == "length"
    assert ask(client, max_tokens=None, ignore_eos=True).json()["usage"] == whole["usage"]
    plain = client.post(PLAIN, json={"prompt": "hello", "max_tokens": -1, "ignore_eos": True}).json()
    assert plain["usage"]["total_tokens"] == 256
    assert client.post(PLAIN, json={"prompt": "a", "ignore_eos": True}).json()["usage"]["completion_tokens"] == 16


def test_an_answer_that_was_cut_is_continued(client: httpx.Client, loaded: Model) -> None:
    begun = text(ask(client, max_tokens=4))
    talk = [*HELLO, {"role": "assistant", "content": begun}]
    go_on = ask(client, messages=talk, max_tokens=4)
    assert go_on.json()["usage"]["prompt_tokens"] == len(loaded.chat_ids(talk, continue_last=True))
    anew = ask(client, messages=talk, continue_final_message=False)
    assert anew.json()["usage"]["prompt_tokens"] == len(loaded.chat_ids(talk))


def test_without_tools_the_calculator_is_off(client: httpx.Client, loaded: Model) -> None:
    call = loaded.tokenizer.special["<|tool_call|>"]
    forced = {"logit_bias": {str(call): 100}, "return_token_ids": True, "max_tokens": 3}
    assert ask(client, **forced).json()["choices"][0]["token_ids"][0] == call
    off = ask(client, tools=[{"type": "function"}], tool_choice="none", **forced)
    assert call not in off.json()["choices"][0]["token_ids"]


def test_unknown_harmless_fields_are_in_the_log_once(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            text(ask(client, frobnicate=1, messages=[{**HELLO[0], "zork": "\n\x1b"}]))
    told = [record.getMessage() for record in caplog.records if "ignores" in record.getMessage()]
    assert sorted(told) == [
        f"requests have a field that this server ignores: {n!r}" for n in ("frobnicate", "messages.zork")
    ]


def test_oldest_turns_leave_only_if_the_client_wants_it(client: httpx.Client) -> None:
    turns = [{"role": role, "content": f"{i} " + "word " * 10} for i in range(20) for role in ("user", "assistant")]
    talk = [{"role": "developer", "content": "Be brief."}, *turns, *HELLO]
    refused = ask(client, messages=talk)
    assert refused.status_code == 400 and refused.json()["error"]["code"] == "context_length_exceeded"
    whole = ask(client, messages=talk, truncation="auto").json()
    use = whole["context"]
    assert use["length"] == 256 and use["prompt_tokens"] == whole["usage"]["prompt_tokens"] <= 256 - 8
    assert use["messages_left"] == 2 * use["turns_left"] > 0
    kept = [talk[0], *talk[1 + use["messages_left"] :]]
    assert ask(client, messages=kept).json()["usage"] == whole["usage"]
    assert "context" not in ask(client).json()
    with client.stream("POST", CHAT, json={"messages": talk, "truncation": "auto", "stream": True}) as response:
        first = next(line for line in response.iter_lines() if line)
    assert json.loads(first[6:])["context"]["messages_left"] > 0
    alone = ask(client, messages=[{"role": "user", "content": "x" * 400}], truncation="auto")
    assert alone.status_code == 400 and "the last message is too long" in alone.json()["error"]["message"]


def test_shares_are_those_of_the_distribution_that_was_drawn_from(client: httpx.Client, loaded: Model) -> None:
    fields = {"logprobs": True, "top_logprobs": 20, "max_tokens": 1, "seed": 3, "temperature": 0.5, "top_k": 3}
    drawn = ask(client, logprobs_mode="processed_logprobs", **fields).json()["choices"][0]["logprobs"]["content"][0]
    raw = ask(client, logprobs_mode="raw_logprobs", **fields).json()["choices"][0]["logprobs"]["content"][0]
    assert drawn["token"] == raw["token"] and len(drawn["top_logprobs"]) == 3 < len(raw["top_logprobs"])
    shares = [2.718281828 ** (2 * other["logprob"]) for other in raw["top_logprobs"][:3]]
    expected = [share / sum(shares) for share in shares]
    assert [2.718281828 ** other["logprob"] for other in drawn["top_logprobs"]] == pytest.approx(expected, rel=1e-4)
    greedy = ask(client, **{**fields, "temperature": 0}, logprobs_mode="processed_logprobs")
    assert [t["logprob"] for t in greedy.json()["choices"][0]["logprobs"]["content"][0]["top_logprobs"]] == [0.0]


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/metrics"])
def test_head_gives_the_head_of_get(client: httpx.Client, path: str) -> None:
    head, whole = client.head(path), client.get(path)
    assert head.status_code == whole.status_code == 200 and head.content == b"" != whole.content
    assert head.headers["content-length"] == whole.headers["content-length"]


def test_slashes_too_many_do_not_matter(client: httpx.Client) -> None:
    assert client.get("/v1/models/").json() == client.get("/v1//models").json() == client.get("/v1/models").json()
    assert client.post(f"{CHAT}/", json={"messages": HELLO, "max_tokens": 1}).status_code == 200


PAGE = "https://app.example"
ASKS = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, x-a"}


def test_a_page_may_use_the_server_if_it_was_allowed(loaded: Model, start_server: Any) -> None:
    origins = allowed_origins([PAGE + "/"], None)
    server = start_server(
        create_api(lambda: loaded, "key", allowed_hosts("127.0.0.1", ["mill.example"]), allowed_origins=origins)
    )
    with httpx.Client(base_url=server.url) as client:
        before = client.options(CHAT, headers=ASKS)
        assert before.status_code == 204 and before.headers["access-control-allow-origin"] == PAGE
        assert before.headers["access-control-allow-headers"] == "authorization, x-a"
        assert "POST" in before.headers["access-control-allow-methods"] and before.headers["vary"] == "Origin"
        for headers, status in (({}, 401), ({"Authorization": "Bearer key"}, 200)):
            answer = client.get("/v1/models", headers={"Origin": PAGE, **headers})
            assert answer.status_code == status and answer.headers["access-control-allow-origin"] == PAGE
            assert "access-control-allow-credentials" not in answer.headers
        for other in ("https://app.example.evil", "http://app.example", "https://app.example:8443", "null"):
            assert client.options(CHAT, headers={**ASKS, "Origin": other}).status_code == 403
            assert "access-control-allow-origin" not in client.get("/health", headers={"Origin": other}).headers
        assert client.get("/health", headers={"Host": "mill.example"}).status_code == 200
        assert client.get("/health", headers={"Host": "other.example"}).status_code == 403
    server.stop()


@pytest.mark.parametrize(
    "origin", ["app.example", "https://app.example/page", "null", "https://*.example", "", "file://"]
)
def test_what_is_no_origin_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(UserError, match="--allow-origin"):
        allowed_origins([origin], "key")


def test_any_page_needs_a_key_and_gets_no_credentials(loaded: Model, start_server: Any) -> None:
    with pytest.raises(UserError, match="give --api-key too"):
        allowed_origins(["*"], None)
    server = start_server(create_api(lambda: loaded, "key", allowed_origins=allowed_origins(["*"], "key")))
    answer = httpx.options(f"{server.url}{CHAT}", headers=ASKS)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    server.stop()


@pytest.mark.parametrize("host", ["http://mill.example", "mill.example:80", "", "a b"])
def test_what_is_no_host_is_refused_at_the_start(host: str) -> None:
    with pytest.raises(UserError, match="--allow-host"):
        allowed_hosts("127.0.0.1", [host])


@pytest.mark.parametrize("key", ["", " ", "\t", "schlüssel", "two words", "line\n", "ключ", "\x00"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_key_that_no_header_can_hold_is_refused_at_the_start(key: str, host: str) -> None:
    with pytest.raises(UserError, match="api-key"):
        bind(host, 0, key)
