"""Every command on its happiest, its emptiest and its dirtiest input: never a traceback, never exit code 1.

The commands run in this process, as `glassmill.cli.main` runs them. The heavy ones have their happiest input in the
tests of the whole line.
"""

from __future__ import annotations

import random
import traceback
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.core import TyperGroup
from typer.testing import CliRunner

import glassmill.cli  # noqa: F401  (registers the commands)
from glassmill.cli.base import app
from glassmill.cli.boundary import end_of
from tests.corpus.pages import article, record
from tests.corpus.test_folder import prose

EMPTY, EMPTY_FOLDER, DIRT, DIRTY_FOLDER, DOCS, RUNS = "{empty}", "{nothing}", "{dirt}", "{dirty}", "{docs}", "{runs}"
RECIPE = ("{recipe}", "--runs", RUNS)
ODD = "\x1b[2J\nno\u202esuch\udcff"
"""A name that people should never see as it is: it clears the screen, has lines, and is not UTF-8."""

HAPPIEST: dict[str, tuple[tuple[str, ...], ...]] = {
    "add": ((DOCS, "--yes", "--runs", RUNS),),
    "init": (("{new}.toml", "--input", DOCS), ("{new}.toml",), ("{new}.toml", "--profile", "web", "--input", DOCS)),
    "plan": (("{recipe}", "--json"),),
    "corpus": (RECIPE,),  # as the fixture has it
    "run": ((*RECIPE, "--until", "corpus", "--json"),),
    "tokenizer make": (RECIPE,),
    "tokens": (RECIPE,),
    "query": (("{corpus}", "select count(*) from kept", "--runs", RUNS), ("{added}", "select * from quarantine")),
    "why": (("{corpus}", "one.txt", "--runs", RUNS), ("{corpus}", "{docs}/broken.pdf"), ("{added}", "broken.pdf")),
    "extract": (("{docs}/web.warc.gz", "{new}.jsonl"), ("{docs}/web.warc.gz", "{new}.wet.gz", "--json")),
    "tokenizer train": (("{docs}/one.txt", "--vocab-size", "300", "--out", "{new}"),),
    "verify": (("--runs", RUNS), ("{corpus}",)),
    "audit": (("{corpus}", "--runs", RUNS, "--out", "{new}"),),
    "card": (("{corpus}", "--runs", RUNS, "--out", "{new}", "--json"),),
    "search": (("{corpus}", "mill"), ("{corpus}", "mill", "--json", "--clear")),
    "runs compare": (("{corpus}", "{corpus}", "--runs", RUNS),),
    "runs delete": (("{corpus}", "--runs", RUNS),),
    "doctor": (("--runs", RUNS),),
    "lessons": ((), ("1",), ("2", "--exercise")),
    "clean": (("--runs", RUNS), ("--runs", RUNS, "--json")),
}
EMPTIEST: dict[str, tuple[tuple[str, ...], ...]] = {
    "push": (("", "s3://bucket/runs", "--runs", RUNS), ("{corpus}", ""), (EMPTY_FOLDER, "s3://bucket", "--runs", RUNS)),
    "pull": (("", "--runs", RUNS), ("s3://", "--runs", RUNS), ("{corpus}", "--runs", RUNS)),
    "add": ((EMPTY,), (EMPTY_FOLDER,), (EMPTY, "--yes", "--runs", RUNS)),
    "init": (("{new}.toml", "--input", EMPTY_FOLDER), ("{new}.toml", "--input", EMPTY), ("",)),
    "plan": ((EMPTY,), ("",), ("web",), ("documents",), ("documents", f"corpus.inputs={EMPTY}")),
    **dict.fromkeys(
        ("corpus", "run", "tokenizer make", "tokens", "train", "sft", "dpo", "rl", "rates"),
        ((EMPTY, "--runs", RUNS), ("web", "--runs", RUNS), ("documents", f"corpus.inputs={EMPTY}", "--runs", RUNS)),
    ),
    "ablate": ((EMPTY, "model.depth=1,2"), ("", "model.depth=1,2"), ("demo",), ("demo", "")),
    "eval": ((EMPTY_FOLDER,), ("",)),
    "lessons": (("--check",), ("1", "--check"), ("0",), ("",)),
    "export": ((EMPTY_FOLDER, "{new}"), (EMPTY_FOLDER, "{new}.html"), (EMPTY_FOLDER, "x.html", "--to", "q4_k")),
    "quantize": ((EMPTY_FOLDER,), ("",), (EMPTY_FOLDER, "--to", "")),
    "import": ((EMPTY_FOLDER, "--out", "{new}"), (EMPTY, "--out", "{new}")),
    "chat": ((EMPTY_FOLDER,), (EMPTY_FOLDER, "--documents", "{corpus}")),
    "serve": ((EMPTY_FOLDER,), (EMPTY_FOLDER, "--documents", EMPTY_FOLDER)),
    "adapt": ((EMPTY_FOLDER, "--base", EMPTY_FOLDER, "--out", "x"), ("", "--base", "", "--out", "")),
    "search": ((EMPTY_FOLDER, "x"), ("{corpus}", ""), ("{added}", "x")),
    "query": ((EMPTY_FOLDER, "select 1"), ("{corpus}", "")),
    "why": ((EMPTY_FOLDER, "x"), ("{corpus}", ""), ("{added}", "")),
    "trace": ((EMPTY_FOLDER, "x"), ("{corpus}", ""), ("", "x"), (EMPTY,)),
    "windows": ((EMPTY_FOLDER,), ("",), (EMPTY,), ("{corpus}",)),
    "extract": ((EMPTY, "{new}.jsonl"), ("{absent}", "{new}.jsonl")),
    "tokenizer train": ((EMPTY, "--out", "{new}"), (EMPTY_FOLDER, "--out", "{new}")),
    "tokenizer report": ((EMPTY_FOLDER, EMPTY), ("cl100k_base", EMPTY)),
    "tokenizer explain": ((EMPTY_FOLDER, ""), ("gpt2", "")),
    "classifier train": ((EMPTY, EMPTY, "{new}"), ("{docs}", EMPTY_FOLDER, "{new}")),
    "verify": ((EMPTY_FOLDER,), ("--runs", EMPTY_FOLDER), (EMPTY,)),
    **dict.fromkeys(("audit", "card"), ((EMPTY_FOLDER,), ("",), (EMPTY,), ("{corpus}", "--out", EMPTY))),
    "runs compare": (("", ""), (EMPTY_FOLDER, "{corpus}")),
    "runs delete": ((EMPTY_FOLDER,), ("",)),
    "doctor": (("--runs", EMPTY_FOLDER),),
    "clean": (("--runs", EMPTY_FOLDER), ("--runs", "{absent}")),
    "fetch": (("",),),
    "crawl": (("",),),
    "lists": (("--category", ""),),
}  # fmt: skip
DIRTIEST: dict[str, tuple[tuple[str, ...], ...]] = {
    "add": ((DIRTY_FOLDER, "--yes", "--runs", RUNS), (DIRT,), (ODD,), (DIRTY_FOLDER, "--name", "../../x", "--yes")),
    "init": (("{new}.toml", "--input", ODD), ("{docs}", "--force"), ("{new}.toml", "--profile", "x")),
    "plan": ((DIRT,), (ODD,), (DOCS,), ("documents", f"corpus.inputs={DIRTY_FOLDER}"), ("documents", "a\nb=c")),
    **dict.fromkeys(
        ("run", "tokenizer make", "train", "rates"),
        ((DIRT, "--runs", RUNS), (DOCS, "--runs", RUNS), (ODD,), ("demo", ODD), ("demo", "train.steps=1e999")),
    ),
    "corpus": (
        ("documents", f"corpus.inputs={DIRTY_FOLDER}", "--runs", RUNS),
        ("documents", f"corpus.inputs={DIRT}", "--runs", RUNS),
    ),
    "ablate": (("demo", ODD), ("demo", "train.steps=1e999,x"), ("demo", "model=1,2")),
    "eval": ((DIRT,), (ODD,), (DIRTY_FOLDER,)),
    "export": ((DIRT, "{new}"), (DIRTY_FOLDER, "{new}"), (ODD, ODD), (DIRTY_FOLDER, "{new}.html")),
    "quantize": ((DIRT, "--out", "{new}"), (DIRTY_FOLDER, "--out", "{new}"), (ODD, "--to", ODD)),
    "import": ((DIRT, "--out", "{new}"), (DIRTY_FOLDER, "--out", "{new}")),
    "chat": ((DIRT,), (ODD,), (DIRT, "--answers", ODD)),
    "adapt": ((DIRT, "--base", DIRTY_FOLDER, "--out", "x"), (DOCS, "--base", ODD, "--out", ODD)),
    "search": (("{corpus}", ODD), (DIRTY_FOLDER, "x"), ("{corpus}", "\ud800 mill")),
    "serve": ((DIRT,), (ODD,)),
    "query": (("{corpus}", ODD), (DIRT, "select 1"), ("{corpus}", "select 1; select 2"), ("{corpus}", "drop x")),
    "trace": ((ODD, "x"), (DIRTY_FOLDER, ODD), (DIRT, "x"), ("{corpus}", ODD)),
    "windows": ((ODD,), (DIRTY_FOLDER, "--step", "0"), (DIRT,), ("{corpus}", "--row", "1e9")),
    "why": (("{corpus}", ODD), (DIRTY_FOLDER, "x"), ("{corpus}", "../../etc/passwd")),
    "extract": ((DIRT, "{new}.jsonl"), ("{docs}/web.warc.gz", "{docs}"), (DOCS, "x.wet")),
    "tokenizer train": ((DIRT, "--out", "{new}"), (DIRTY_FOLDER, "--out", "{new}"), ("{docs}/one.txt", "--out", DIRT)),
    "tokenizer report": ((DIRT, DIRT), ("cl100k_base", DIRTY_FOLDER), (ODD, ODD)),
    "tokenizer explain": ((DIRT, "x"), (DIRTY_FOLDER, "x"), (ODD, ODD)),
    "classifier train": ((DIRT, DIRT, "{new}"), (DIRTY_FOLDER, DIRTY_FOLDER, "{new}")),
    "verify": ((DIRTY_FOLDER,), (DIRT,), (ODD,), ("--runs", DIRTY_FOLDER)),
    **dict.fromkeys(("audit", "card"), ((DIRTY_FOLDER,), (DIRT,), (ODD,), ("{corpus}", "--out", f"{DIRT}/x"))),
    "runs compare": ((DIRT, DIRT), (ODD, "{corpus}")),
    "runs delete": ((DIRTY_FOLDER, "--runs", RUNS), (ODD, "--yes"), (DIRT,)),
    "doctor": (("--runs", DIRT),),
    "clean": (("--runs", DIRT), ("--runs", DIRTY_FOLDER)),
    "fetch": ((ODD, "--base-url", "http://127.0.0.1:9", "--set", "fetch.tries=1"),),
    "crawl": ((ODD,), ("file:///etc/passwd",)),
    "lists": (("--category", ODD),),
    "miniweb": (("--out", DIRT, "--pages", "60", "--people", "8"), ("--out", "{new}", "--pages", "-1")),
}  # fmt: skip
ELSEWHERE = {"demo", "studio"}
"""Commands without an input; the whole line has tests of its own."""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the words in braces stand for."""
    root = tmp_path_factory.mktemp("commands")
    docs, dirty = root / "docs", root / "dirty"
    docs.mkdir()
    for number, name in enumerate(("one.txt", "two.md", "three.html")):
        (docs / name).write_text(prose(number) if name != "three.html" else article(number))
    (docs / "web.warc.gz").write_bytes(record("http://good.example/9", article(9)))
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4 rubbish")
    (root / "nothing").mkdir()
    (root / "empty.txt").touch()
    dirty.mkdir()
    chance = random.Random(7)
    for suffix in (".txt", ".pdf", ".docx", ".jsonl", ".parquet", ".warc.gz", ".zip", ".toml", ".safetensors", ""):
        (dirty / f"dirt{suffix}").write_bytes(chance.randbytes(3000))
    (dirty / ODD.replace("/", "")).write_text("text under a name that no terminal should see")
    (dirty / "config.json").write_text('{"a": ' * 2000)
    (dirty / "link").symlink_to("/etc/passwd")
    (dirty / "dangling").symlink_to("/nowhere")
    named = {
        "{docs}": docs, "{nothing}": root / "nothing", "{empty}": root / "empty.txt", "{dirty}": dirty,
        "{dirt}": dirty / "dirt.toml", "{runs}": root / "runs", "{absent}": root / "absent",
        "{recipe}": root / "own.toml",
    }  # fmt: skip
    found = {word: str(path) for word, path in named.items()}
    done = invoke(found, root, "add", DOCS, "--yes", "--runs", RUNS)
    assert done.exit_code == 0, done.output
    (added,) = (root / "runs" / "add").iterdir()
    found["{added}"] = str(added)
    assert invoke(found, root, "init", "{recipe}", "--input", "{added}").exit_code == 0
    done = invoke(found, root, "corpus", "{recipe}", "tokenizer.vocab_size=400", "--runs", RUNS)
    assert done.exit_code == 0, done.output
    (corpus,) = (root / "runs" / "corpus").glob("[!.]*")
    return found | {"{corpus}": str(corpus)}


def invoke(places: dict[str, str], fresh: Path, *words: str) -> Result:
    """A call of the command line; words in braces name places, `{new}` a path that does not exist."""
    for place, path in {**places, "{new}": str(fresh / "new")}.items():
        words = tuple(word.replace(place, path) for word in words)
    return CliRunner().invoke(app, [part for word in words[:1] for part in word.split()] + list(words[1:]))


def code_of(done: Result) -> int:
    """The exit code, as `main` gives it."""
    if done.exception is None or isinstance(done.exception, SystemExit):
        return done.exit_code
    assert isinstance(done.exception, Exception)
    shown = "".join(traceback.format_exception(done.exception))
    code, message = end_of(done.exception)
    assert code != 1, shown
    assert message.isprintable() or "\x1b" not in message, message
    return code


def cases(table: dict[str, tuple[tuple[str, ...], ...]]) -> list[object]:
    return [
        pytest.param(command, words, id=f"{command} {number}")
        for command, calls in table.items()
        for number, words in enumerate(calls)
    ]


@pytest.mark.parametrize(("command", "words"), cases(HAPPIEST))
def test_a_command_on_its_happiest_input(
    command: str, words: tuple[str, ...], places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke(places, tmp_path, command, *words)
    assert code_of(done) == 0, (done.output, done.exception)


@pytest.mark.parametrize(("command", "words"), cases(EMPTIEST))
@pytest.mark.slow
def test_a_command_on_its_emptiest_input(
    command: str, words: tuple[str, ...], places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert code_of(invoke(places, tmp_path, command, *words)) in (0, 2)


@pytest.mark.parametrize(("command", "words"), cases(DIRTIEST))
@pytest.mark.slow
def test_a_command_on_its_dirtiest_input(
    command: str, words: tuple[str, ...], places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke(places, tmp_path, command, *words)
    assert code_of(done) in (0, 2)
    assert "\x1b[2J" not in done.output


def test_every_command_is_in_the_table() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    names = set()
    for name, command in group.commands.items():
        inner = command.commands if isinstance(command, TyperGroup) else None
        names |= {f"{name} {one}" for one in inner} if inner else {name}
    assert names == HAPPIEST.keys() | EMPTIEST.keys() | DIRTIEST.keys() | ELSEWHERE
