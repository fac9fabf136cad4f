"""A server with documents answers from them, cites the passage, and says so where they say nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from rich.console import Console

from glassmill.commands.chat import Talk, command
from glassmill.corpus.document import documents
from glassmill.infer.generate import Model
from glassmill.infer.grounding import NOTHING, Documents
from glassmill.search.index import open_index
from glassmill.serve.api import create_api
from tests.search.make import MANUALS, corpus_run
from tests.serve.conftest import RunningServer

CHAT = "/v1/chat/completions"
RYE: list[Any] = [{"role": "user", "content": "How long does a loaf of rye need?"}]
LISA: list[Any] = [{"role": "user", "content": "Who painted the Mona Lisa?"}]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus_run(tmp_path_factory.mktemp("retrieval") / "corpus" / "manuals-aaaaaa", MANUALS)


@pytest.fixture(scope="module")
def url(loaded: Model, run: Path) -> Iterator[str]:
    running = RunningServer(create_api(lambda: loaded, documents=Documents(open_index(run))))
    yield running.url
    running.stop()


def ask(url: str, messages: list[Any], **fields: Any) -> Any:
    return httpx.post(f"{url}{CHAT}", json={"messages": messages, "max_tokens": 120, **fields}, timeout=60)


def test_an_answer_is_a_quotation_that_cites_its_passage(url: str, run: Path) -> None:
    message = ask(url, RYE).json()["choices"][0]["message"]
    (cited,) = message["citations"]
    text = {one.url: one.text for one in documents(run)}["bread.md"]
    assert message["content"].startswith("A loaf of rye needs ninety minutes") and message["content"] in text
    assert cited["document"] == "bread.md" and cited["support"] == 1
    assert cited["text"] == text[cited["start"] : cited["end"]]
    assert ask(url, RYE, n=2).json()["choices"][1]["message"] == message, "the likeliest quotation, not a drawn one"


def test_where_the_documents_say_nothing_the_model_is_not_asked(url: str) -> None:
    whole = ask(url, LISA, n=2).json()
    for choice in whole["choices"]:
        assert choice["message"]["content"] == NOTHING and choice["finish_reason"] == "stop"
        assert choice["message"]["citations"] == []
    assert whole["usage"]["completion_tokens"] == 0


@pytest.mark.parametrize("messages", [RYE, LISA])
def test_a_stream_adds_up_to_the_whole_answer_with_its_citations(url: str, messages: list[Any]) -> None:
    whole = ask(url, messages).json()["choices"][0]["message"]
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        stream = list(client.chat.completions.create(model="tiny", messages=messages, max_tokens=120, stream=True))
    deltas = [chunk.choices[0].delta.model_dump() for chunk in stream]
    assert "".join(delta["content"] or "" for delta in deltas) == whole["content"]
    assert [delta["citations"] for delta in deltas if "citations" in delta] == [whole["citations"]]


def test_a_question_that_needs_the_one_before_finds_its_passage(url: str) -> None:
    talk = [*RYE, {"role": "assistant", "content": "Ninety minutes."}, {"role": "user", "content": "And what then?"}]
    assert ask(url, talk).json()["choices"][0]["message"]["citations"][0]["document"] == "bread.md"


def test_retrieval_can_be_left_out_or_free(url: str) -> None:
    assert "citations" not in ask(url, LISA, retrieval=False).json()["choices"][0]["message"]
    free = ask(url, RYE, retrieval="free", max_tokens=4, temperature=0).json()["choices"][0]["message"]
    assert "citations" in free and not free["content"].startswith("A loaf")


def test_the_responses_route_answers_and_cites_alike(url: str) -> None:
    given = {"input": RYE[0]["content"], "max_output_tokens": 120}
    response = httpx.post(f"{url}/v1/responses", json=given, timeout=60).json()
    message = ask(url, RYE).json()["choices"][0]["message"]
    assert response["output"][0]["content"][0]["text"] == message["content"]
    assert response["citations"] == message["citations"]


def test_what_cannot_be_done_is_refused(url: str, server: RunningServer) -> None:
    refused = ask(server.url, RYE, retrieval=True)
    assert refused.status_code == 400 and "start it with --documents" in refused.json()["error"]["message"]
    assert ask(server.url, RYE, retrieval=False).status_code == 200
    assert ask(url, RYE, retrieval="loud").status_code == 400
    formed = ask(url, RYE, retrieval="quote", response_format={"type": "json_object"})
    assert formed.status_code == 400 and formed.json()["error"]["param"] == "retrieval"
    long = ask(url, [{"role": "user", "content": "How long does a loaf of rye need? " * 30}])
    assert long.status_code == 400 and long.json()["error"]["code"] == "context_length_exceeded"


def test_in_the_terminal_the_passage_stands_beneath_the_answer_and_not_in_the_conversation(
    loaded: Model, run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    remarks = io.StringIO()
    talk = Talk(loaded, Console(file=remarks, width=200), False, 0.0, 100, 1, None, Documents(open_index(run)))
    assert talk.ask(RYE[0]["content"])
    assert capfd.readouterr().out.startswith("A loaf of rye needs ninety minutes")
    assert "[from bread.md, characters" in remarks.getvalue()
    assert talk.messages[0] == RYE[0] and [message["role"] for message in talk.messages] == ["user", "assistant"]
    talk.begin()
    assert talk.ask(LISA[0]["content"]) and capfd.readouterr().out == f"{NOTHING}\n"
    command(talk, "/retry")
    assert capfd.readouterr().out == f"{NOTHING}\n" and len(talk.messages) == 2
