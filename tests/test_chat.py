"""`glassmill chat` goes on, whatever it is asked and however long."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.studio.replay import RECORDED, RUN_OF

MODEL = RECORDED / RUN_OF["sft"] / "model"
"""A demo's assistant with a context of 64 tokens."""


def chat(questions: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "glassmill", "chat", str(MODEL), "--max-tokens", "12", *options]
    return subprocess.run(command, input=questions, capture_output=True, timeout=300)


@pytest.mark.slow
def test_a_hundred_questions_in_one_conversation_are_all_answered() -> None:
    asked = ["Who are you?", "What is 12 times 7?", "Where does Ada live?", "hello", "12+30"] * 20
    done = chat("\n".join(asked).encode())
    assert done.returncode == 0, done.stderr.decode()
    remarks = done.stderr.decode()
    assert len(done.stdout.decode().splitlines()) >= 100
    assert "not answered" not in remarks and "Traceback" not in remarks
    assert "the context of 64 tokens is full: the oldest question leaves it" in remarks


def test_what_cannot_be_answered_is_one_line_and_is_forgotten() -> None:
    odd = [
        b"\xef\xbb\xbfhello",
        b"x" * 3000,
        b"bad \xff bytes",
        b"nul \0 and \x1b[31m",
        b"/nothing",
        b"/undo",
        b"/more",
    ]
    done = chat(b"\n".join([*odd, b"hello", b"/more", b"/new", b"hello"]), "--system", "Be brief.")
    remarks = done.stderr.decode().splitlines()
    assert done.returncode == 0, remarks
    (refused,) = [line for line in remarks if "not answered" in line]
    assert "the last message is too long" in refused and "the context holds 64" in refused
    assert any("/new starts a new conversation" in line for line in remarks)


def test_an_answer_that_was_cut_says_so_and_can_be_continued() -> None:
    done = chat(b"Where does Anna live?\n/more\n/more\n", "--max-tokens", "2")
    cut = "cut at the limit of 2 tokens (--max-tokens); /more continues the answer"
    assert done.stderr.decode().count(cut) == 3, done.stderr.decode()
    whole = chat(b"Where does Anna live?\n", "--max-tokens", "6")
    assert "".join(done.stdout.decode().splitlines()) == whole.stdout.decode().rstrip("\n")


def test_a_failed_answer_leaves_the_conversation_as_it_was() -> None:
    from rich.console import Console

    from glassmill.commands.chat import Talk
    from glassmill.infer.generate import Model

    model = Model.load(Path(MODEL))
    talk = Talk(model, Console(stderr=True), False, 0.0, 8, 1, "Be brief.")
    talk.ask("Who are you?")
    before = list(talk.messages)
    assert [message["role"] for message in before] == ["system", "user", "assistant"]
    forward = model.decoder.forward
    model.decoder.forward = lambda pieces: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    talk.ask("And now?")
    assert talk.messages == before
    model.decoder.forward = forward  # type: ignore[method-assign]
    talk.ask("And now?")
    assert talk.messages[-2]["content"] == "And now?"
    talk.undo()
    assert talk.messages[-1]["role"] == "assistant" or talk.messages == talk.beginning
    model.close()
    before = list(talk.messages)
    talk.ask("Still there?")
    assert talk.messages == before
