"""`glassmill chat` goes on, whatever it is asked and however long."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from glassmill.commands.chat import Talk, command, converse
from glassmill.commands.markdown import MarkdownStream, split
from glassmill.commands.questions import question
from glassmill.infer.generate import Model
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
    done = chat(b"What is 12+30?\n/more\n/more\n", "--max-tokens", "1")
    cut = "cut at the limit of 1 token (--max-tokens); /more continues the answer"
    assert done.stderr.decode().count(cut) == 3, done.stderr.decode()
    whole = chat(b"What is 12+30?\n", "--max-tokens", "3")
    assert "".join(done.stdout.decode().splitlines()) == whole.stdout.decode().rstrip("\n")


def test_a_question_of_the_command_line_is_about_what_is_piped_in(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def answer(question: str | None, stdin: bytes) -> tuple[bool, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        answered = converse(MODEL, 0.0, 12, 1, None, question)
        return answered, *capfd.readouterr()

    answered, alone, remarks = answer("What is 12+30?", b"")
    assert answered and len(alone.splitlines()) == 1 and "not answered" not in remarks
    assert answer(None, b"What is 12+30?\n") == (True, alone, remarks)
    assert answer("What is 12+30?", b"Anna lives in Berlin.")[1] != alone
    answered, nothing, remarks = answer("What is 12+30?", b"x" * 3000)
    assert not answered and nothing == "\n" and "not answered: the last message is too long" in remarks


def test_questions_of_several_lines() -> None:
    lines = iter(['"""a', '  b """', "c\\", " d ", '"""', "", 'e"""', "f\\"])

    def line(goes_on: bool) -> str:
        if (text := next(lines, None)) is None:
            raise EOFError
        return text

    read = []
    while (text := question(line)) is not None:
        read.append(text)
    assert read == ["a\n  b", "c\n d", "e", "f"]


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    model = Model.load(Path(MODEL))
    yield model
    model.close()


@pytest.fixture
def talk(model: Model) -> Talk:
    return Talk(model, Console(stderr=True, soft_wrap=True), False, 0.0, 8, 1, "Be brief.")


def test_commands_change_what_they_name(talk: Talk, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def remark(line: str) -> str:
        capfd.readouterr()
        command(talk, line)
        return capfd.readouterr().err

    assert "nothing to answer again" in remark("/retry") and "nothing to continue" in remark("/more")
    talk.ask("Who are you?")
    said = list(talk.messages)
    assert "tokens/s" in remark("/stats")
    assert "at temperature 0 the answer is always the same" in remark("/retry") and talk.messages == said
    assert "temperature 0.5" in remark("/temp 0.5") and talk.temperature == 0.5
    for wrong in ("/temp 3", "/temp nan", "/temp warm"):
        assert "give a number from 0 to 2" in remark(wrong)
    assert remark("/system Be long.") == "Be long.\n" and talk.messages[1:] == said[1:]
    file = tmp_path / "talk.json"
    assert "3 messages" in remark(f"/save {file}") and "File exists" in remark(f"/save {file}")
    saved = list(talk.messages)
    remark("/new")
    assert talk.messages == talk.beginning == [{"role": "system", "content": "Be long."}]
    assert "3 messages" in remark(f"/load {file}") and talk.messages == saved
    for number, odd in enumerate(("[]", '{"messages": [1]}', '{"messages": [{"role": "king", "content": "x"}]}', "{")):
        (tmp_path / f"{number}").write_text(odd)
        assert "no conversation of this model" in remark(f"/load {tmp_path / str(number)}")
    assert "No such file" in remark("/load nowhere") and talk.messages == saved
    assert "/new starts a new conversation" in remark("/nothing") and "/new starts" in remark("/new now")


def test_a_conversation_of_another_program_is_gone_on_with(talk: Talk, tmp_path: Path) -> None:
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 12+30?"}]
    (tmp_path / "asked.json").write_text(json.dumps({"messages": asked}))
    (tmp_path / "answered.json").write_text(
        json.dumps({"messages": [*asked, {"role": "assistant", "content": "It"}, {"role": "user", "content": "Go on"}]})
    )
    command(talk, f"/load {tmp_path / 'asked.json'}")
    command(talk, "/retry")
    assert [message["role"] for message in talk.messages] == ["system", "user", "assistant"]
    command(talk, f"/load {tmp_path / 'answered.json'}")
    command(talk, "/retry")
    assert [message["role"] for message in talk.messages] == ["system", "user", "assistant", "user", "assistant"]
    talk.messages = [*asked, {"role": "assistant", "content": "It is"}]
    talk.ended = "length"
    talk.more()
    assert text_of(talk.messages[-1]["content"]).startswith("It is") and talk.ask("What is 12+30?")


def test_an_answer_that_is_stopped_stays_and_can_be_continued(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    talk.ask("What is 12+30?")
    whole = talk.messages[-1]["content"]
    talk.begin()
    written = []

    def write(text: str, screen: object = None) -> None:
        written.append(text)
        if len(written) == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(talk, "_write", write)
        talk.ask("What is 12+30?")
    assert written[1] == " [stopped]" and talk.ended == "cancelled"
    talk.more()
    assert text_of(talk.messages[-1]["content"]).startswith(text_of(whole))


def text_of(parts: list[dict[str, str]]) -> str:
    return "".join(part["text"] for part in parts)


@given(text=st.text(alphabet="ab `-1.\n", max_size=60))
def test_what_is_printed_once_is_the_same_however_the_text_comes(text: str) -> None:
    at_once, rest = split(text)
    assert at_once + rest == text
    printed, growing = "", ""
    for character in text:
        finished, growing = split(growing + character)
        printed += finished
    assert (printed, growing) == (at_once, rest)


def test_markdown_keeps_line_breaks_and_what_looks_like_html() -> None:
    console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
    with MarkdownStream(console) as stream:
        for (
            character
        ) in "One `List<int>`,\nList<str> <b>and</b>\n\n```\na\n\nb\n```\n\n1. x\n2. [here](http://a.example/)":
            stream.write(character)
    shown = console.file.getvalue().rpartition("\x1b[?25h")  # type: ignore[attr-defined]
    last = shown[2]
    lines = [line.strip() for line in shown[0].splitlines()]
    assert any(line.endswith("One List<int>,") for line in lines) and "List<str> <b>and</b>" in lines
    assert "http://a.example/" in last


def test_a_failed_answer_leaves_the_conversation_as_it_was() -> None:
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
