"""How commands end: hostile words, names and recipes give one line and exit code 2; a bug gives one line and a file."""

from __future__ import annotations

import errno
import os
import re
import sys
from pathlib import Path

import pytest

import glassmill.cli
from glassmill.cli import boundary
from glassmill.errors import UserError, Waiting
from glassmill.printable import printable, shown, valid

NOT_UTF8 = os.fsdecode(b"\xff\xfe.txt")
ESCAPE = "\x1b]0;owned\x07\x1b[31m.txt"
WORDS = {
    "empty": "",
    "blank": " ",
    "line break": "a\nb",
    "escape": ESCAPE,
    "not UTF-8": NOT_UTF8,
    "a surrogate": "\ud800",
    "too long": "x" * 5000,
    "too many digits": "9" * 5000,
    "a home that is not": "~nobody-of-this-name/x",
    "a device": "/dev/zero",
    "a pipe": "pipe",
    "a folder": "folder",
    "an open bracket": "[",
    "stars": "***",
    "infinity": "inf",
    "a URL": "file:///etc/passwd",
    "direction": "\u202egpj.exe",
}
COMMANDS = {
    "plan": ("plan", "WORD"),
    "run": ("run", "WORD", "--until", "corpus"),
    "corpus": ("corpus", "web", "corpus.inputs=WORD"),
    "extract": ("extract", "WORD", "out.jsonl"),
    "add": ("add", "WORD", "--yes"),
    "init": ("init", "new.toml", "--force", "--input", "WORD"),
    "chat": ("chat", "WORD"),
    "export": ("export", "WORD", "out.gguf"),
    "import": ("import", "WORD"),
    "eval": ("eval", "WORD"),
    "query": ("query", "WORD", "select 1"),
    "why": ("why", "WORD", "https://mill.example/"),
    "tokenizer report": ("tokenizer", "report", "WORD", "folder"),
    "tokenizer train": ("tokenizer", "train", "WORD", "--out", "out", "--vocab-size", "300"),
    "lists": ("lists", "--from", "WORD"),
    "clean": ("clean", "--runs", "WORD"),
}
RECIPES = {
    "deep": b"a = " + b"[" * 3000 + b"]" * 3000,
    "deep tables": b"[" + b".".join([b"a"] * 3000) + b"]\nx = 1\n",
    "many digits": b"seed = " + b"9" * 5000,
    "beyond 64 bits": b"seed = 99999999999999999999",
    "infinity": b"[train]\npeak_lr = inf\n",
    "not a number": b"[train]\nminutes = nan\n",
    "bytes": bytes(range(256)),
    "an escape in a key": b'"\\u001b[31m" = 1\n',
    "an escape in a value": b'name = "\\u001b[31m"\n',
    "a way out": b'name = "../../x"\n',
    "a long name": b'name = "' + b"x" * 3000 + b'"\n',
    "a list for a table": b"corpus = [1]\n",
    "a date": b"name = 2020-01-01\n",
    "cut": b'name = "x',
    "a long key": b"x" * 100_000 + b" = 1\n",
    "a table for a text": b"[name]\nx = 1\n",
    "a text for a list": b"stages = 'corpus'\n",
    "many tables": b"".join(b"[a%d]\n" % number for number in range(5000)),
    "yaml": b"name: x\n",
    "json": b'{"name": "x"}',
    "quotes of a word processor": "name = “x”\n".encode(),
    "a key twice": b"name = 'x'\nname = 'y'\n",
    "half a pair": b'name = "\\ud800"\n',
}
SETTINGS = (
    "",
    "=",
    "seed=",
    "seed=inf",
    f"seed={'9' * 5000}",
    "seed=-99999999999999999999",
    "train.minutes=inf",
    "train.minutes=nan",
    "train.steps=1e30",
    "model.d_model=0",
    "model.num_layers=-3",
    "tokenizer.vocab_size=99999999999999999999",
    f"corpus.inputs={'[' * 3000}",
    "corpus=1",
    "a.b.c.d=1",
    "..=1",
    "name=a\nb",
    "name=\x1b[31m",
    f"name={'x' * 3000}",
    f"corpus.inputs={NOT_UTF8}",
    "run.executor=\x1b[31m",
    "tokenizer.pattern=(",
    "tokenizer.pattern=no_such",
    'corpus.pii.allow=["*"]',
    "train.peak_lr=1e400",
    "corpus.workers=-1",
    "model.context_length=1",
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with things that are hard to read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "text.txt").write_text("A mill stands by the river. " * 20)
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


def ends(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[object, str]:
    """Exit code and what the command wrote to standard error."""
    monkeypatch.setattr(sys, "argv", ["glassmill", *words])
    code: object = 0
    try:
        glassmill.cli.main()
    except SystemExit as stop:
        code = stop.code or 0
    return code, capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_hostile_word_is_a_mistake_told_in_one_line(
    command: str, word: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [part.replace("WORD", WORDS[word]) for part in COMMANDS[command]]
    code, written = ends(capfd, monkeypatch, *words)
    works = {("a folder", name) for name in ("add", "init", "tokenizer train", "clean", "corpus")} | {
        ("empty", "clean")
    }
    assert code == (0 if (word, command) in works else 2), written
    assert "Traceback" not in written and "bug" not in written
    told = [line for line in written.splitlines() if line.startswith("glassmill: ")]
    assert all(printable(line) == line and len(line) < 2500 for line in told), told


@pytest.mark.parametrize("name", RECIPES)
def test_a_broken_recipe_is_a_mistake_told_in_one_line(
    name: str, here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "broken.toml").write_bytes(RECIPES[name])
    code, written = ends(capfd, monkeypatch, "plan", "broken.toml")
    assert code == 2 and written.startswith("glassmill: ") and written.count("\n") == 1, written
    assert len(written) < 1000
    assert printable(written.strip()) == written.strip()


@pytest.mark.parametrize("setting", SETTINGS, ids=range(len(SETTINGS)))
def test_an_impossible_setting_is_a_mistake_told_in_one_line(
    setting: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, written = ends(capfd, monkeypatch, "plan", "demo", setting)
    *before, told = written.splitlines()
    assert code == 2 and told.startswith("glassmill: ") and before in ([], ["reading the recipe's inputs ..."]), written
    assert printable(told) == told and len(told) < 1000


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (UserError("give a file\nor a folder"), 2, "give a file\nor a folder"),
        (UserError(f"no file {ESCAPE}"), 2, r"no file \x1b]0;owned\x07\x1b[31m.txt"),
        (Waiting("two tasks are left"), 0, "two tasks are left"),
        (PermissionError(errno.EACCES, "Permission denied", "a/b.txt"), 2, "a/b.txt: Permission denied"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 999), 2, f"{'x' * 60}…{'x' * 60}: File name too long"),
        (OSError(errno.EMFILE, "Too many open files"), 2, "Too many open files"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/x"), 2, "no space left while writing runs/x"),
        (MemoryError(), 2, "not enough memory"),
    ],
)
def test_what_the_user_can_mend_is_told_without_a_traceback(error: Exception, code: int, says: str) -> None:
    ended, message = boundary.end_of(error)
    assert ended == code and message.startswith(says)


def test_a_bug_is_one_line_and_its_traceback_is_in_a_file() -> None:
    try:
        raise KeyError("quarantined")
    except KeyError as error:
        code, message = boundary.end_of(error)
    path = Path(re.findall(r"traceback is in (\S+);", message)[0])
    try:
        assert code == 1 and "KeyError" in message and "Traceback" not in message
        assert "raise KeyError" in path.read_text() and path.stat().st_mode & 0o077 == 0
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Größe 磨坊 (1).txt", "Größe 磨坊 (1).txt"),
        ("a\nb\tc", r"a\nb\tc"),
        (ESCAPE, r"\x1b]0;owned\x07\x1b[31m.txt"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("a\u2028b", r"a\u2028b"),
        (NOT_UTF8, r"\xff\xfe.txt"),
        ("\ud83d", r"\ud83d"),
    ],
)
def test_names_of_strangers_are_shown_and_not_obeyed(text: str, expected: str) -> None:
    assert printable(text) == expected
    assert valid(printable(text)) == expected


def test_a_long_value_is_cut_in_the_middle() -> None:
    assert shown("a" * 500 + "b" * 500, 10) == "aaaaa…bbbbb"
