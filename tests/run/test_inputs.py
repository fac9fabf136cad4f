"""What words on the command line or in a recipe name: files, in an order that no machine changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from glassmill.errors import UserError
from glassmill.run.inputs import expand


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a few files, which is the working folder too."""
    for name in ("b.txt", "a.txt", "sub/c.md", "sub/.git/config", ".hidden/d.txt", "run/shards/other.bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*words: str) -> list[str]:
    return [path.as_posix() for path in expand(words)]


def test_a_folder_is_its_files_sorted_without_what_is_hidden(folder: Path) -> None:
    assert names(".") == ["a.txt", "b.txt", "run/shards/other.bin", "sub/c.md"]


def test_the_words_keep_their_order_and_a_file_counts_once(folder: Path) -> None:
    assert names("b.txt", "a.txt", "*.txt") == ["b.txt", "a.txt"]


def test_a_glob_may_be_relative_absolute_or_recursive(folder: Path) -> None:
    assert names("*.txt") == ["a.txt", "b.txt"]
    assert names("**/*.md") == ["sub/c.md"]
    assert names(f"{folder.as_posix()}/*.txt") == [f"{folder.as_posix()}/{name}" for name in ("a.txt", "b.txt")]


def test_a_finished_run_stands_for_its_documents(folder: Path) -> None:
    for name in ("run/DONE", "run/manifest.json", "run/shards/documents-00001.parquet", "run/shards/dropped-0.parquet"):
        (folder / name).write_text("")
    assert names("run") == ["run/shards/documents-00001.parquet"]


@pytest.mark.parametrize("word", ["nothing.txt", "*.pdf", "empty", "run/*.warc"])
def test_a_word_that_names_no_file_is_an_error_that_repeats_it(folder: Path, word: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match=f"input {word!r} names no file".replace("*", r"\*")):
        expand((word,))


def test_a_tilde_is_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USERPROFILE" if os.name == "nt" else "HOME", str(folder))
    assert expand(("~/a.txt",)) == [folder / "a.txt"]
