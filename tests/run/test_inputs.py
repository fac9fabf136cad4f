"""What words on the command line or in a recipe name: files, in an order that no machine changes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from glassmill.errors import UserError
from glassmill.recipe import make_recipe
from glassmill.run import hashes
from glassmill.run.folder import Identity, open_run
from glassmill.run.inputs import check_named, digest_files, expand, input_files
from glassmill.run.shards import shard_name


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
    files = {"shards/documents-00001.parquet": {"sha256": hashlib.sha256(b"").hexdigest(), "bytes": 0}}
    (folder / "run" / "manifest.json").write_text(json.dumps({"files": files}))
    assert names("run") == ["run/shards/documents-00001.parquet"]


@pytest.mark.parametrize("word", ["nothing.txt", "*.pdf", "empty", "run/*.warc"])
def test_a_word_that_names_no_file_is_an_error_that_repeats_it(folder: Path, word: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match=f"input {word!r} names no file".replace("*", r"\*")):
        expand((word,))


def test_files_are_in_the_order_of_their_paths(folder: Path) -> None:
    """Folder by folder: a name that is another's beginning comes first, whatever follows it."""
    for name in ("x/b.txt", "x-1/a.txt", "x.txt", "x/a/z.txt", "x/a-1.txt", "x y/é.txt", "X/a.txt"):
        (folder / "many" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "many" / name).write_text(name)
    found = expand(("many",))
    assert len(found) == 7 and found == sorted(found)
    assert [file.place for file in input_files(["many"])] == [str(path) for path in found]


def test_the_files_of_a_run_are_in_the_order_of_its_shards(tmp_path: Path) -> None:
    """From the 250th on they lie in folders, which a sort by path would put before the first ones."""
    with open_run(tmp_path / "corpus" / "demo", Identity("corpus", 1, {}, {}), make_recipe({"name": "demo"})) as run:
        names = [shard_name("documents", number) for number in (0, 249, 250, 500)]
        for name in names:
            (run.path / name).parent.mkdir(parents=True, exist_ok=True)
            (run.path / name).write_text(name)
        run.finish({})
    assert expand([str(run.path)]) == [run.path / name for name in names]


@pytest.mark.parametrize("word", ["nothing.txt", "*.pdf", "empty", " ", "pipe"])
def test_what_is_looked_at_before_all_else_is_refused_in_the_same_words(folder: Path, word: str) -> None:
    (folder / "empty").mkdir()
    os.mkfifo(folder / "pipe")
    with pytest.raises(UserError) as first:
        check_named(("a.txt", word), stores=False)
    with pytest.raises(UserError) as second:
        expand((word,))
    assert str(first.value) == str(second.value)


def test_a_tilde_is_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USERPROFILE" if os.name == "nt" else "HOME", str(folder))
    assert expand(("~/a.txt",)) == [folder / "a.txt"]


# --- what of the files counts -----------------------------------------------------------------------------------------


def digest(*words: str, folders: int = 0) -> str:
    return digest_files(input_files(words, folders))


def test_a_digest_holds_names_order_and_bytes_and_not_the_place(folder: Path) -> None:
    for place in ("here", "there"):
        for name, text in (("one/a.html", "1"), ("two/a.html", "2"), ("one/b.html", "3")):
            (folder / place / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / place / name).write_text(text)
    before = digest("here")
    assert digest("there") == before, "a folder that moves is the same input"
    others = [
        digest("here/one/a.html", "here/one/b.html"),  # one file less
        digest("here/two/a.html", "here/one/a.html", "here/one/b.html"),  # another order: shards follow it
        digest("here/one/b.html", "here/one/a.html", "here/two/a.html"),
    ]
    (folder / "here/two/a.html").write_text("1")
    others.append(digest("here"))  # two files of one name and one content, where there were two contents
    (folder / "here/two/a.html").rename(folder / "here/two/c.html")
    others.append(digest("here"))  # another name: it is in every document
    assert len({before, *others}) == len(others) + 1


CHANGES: dict[str, Callable[[Path], object]] = {
    "another byte, same size and time": lambda place: same_time(place / "b.html", lambda path: path.write_text("2")),
    "a byte more": lambda place: (place / "b.html").write_text("11"),
    "a file more": lambda place: (place / "c.html").write_text("1"),
    "a file less": lambda place: (place / "b.html").unlink(),
    "another name": lambda place: (place / "b.html").rename(place / "c.html"),
    "a file in the place of another": lambda place: (place / "spare").rename(place / "b.html"),
    "two that change places": lambda place: swap(place / "a.html", place / "b.html"),
}


def same_time(path: Path, change: Callable[[Path], object]) -> None:
    before = path.stat()
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def swap(one: Path, other: Path) -> None:
    one.rename(one.with_name("third"))
    other.rename(one)
    one.with_name("third").rename(other)


@pytest.mark.parametrize("what", CHANGES)
def test_every_change_is_noticed_though_the_hashes_are_remembered(
    what: str, folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLASSMILL_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(hashes, "SETTLED_NS", -(10**18))
    place = folder / "pages"
    place.mkdir()
    for name, text in (("a.html", "0"), ("b.html", "1"), ("spare", "3"), ("same", "1")):
        (place / name).write_text(text)
    before = digest("pages")
    assert digest("pages") == before
    CHANGES[what](place)
    assert digest("pages") != before


def test_a_link_that_leads_out_of_its_folder_counts_as_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory):
    outside = tmp_path_factory.mktemp("outside") / "x.html"
    outside.write_text("text")
    (folder / "pages").mkdir()
    (folder / "pages/x.html").write_text("text")
    plain = digest("pages")
    (folder / "pages/x.html").unlink()
    (folder / "pages/x.html").symlink_to(outside)
    assert input_files(("pages",))[0].refused.startswith("refused: a link") and digest("pages") != plain
    assert digest("pages/x.html") == plain, "named itself, it is read"


def test_lists_that_take_their_category_from_the_folder_count_it(folder: Path) -> None:
    for category in ("adult", "malware"):
        (folder / category).mkdir()
        (folder / category / "domains").write_text("bad.example\n")
    assert digest("adult/domains") == digest("malware/domains")
    assert digest("adult/domains", folders=1) != digest("malware/domains", folders=1)


def test_what_is_no_plain_file_is_named_with_its_reason(folder: Path) -> None:
    os.mkfifo(folder / "pipe.txt")
    (folder / "lost.txt").symlink_to(folder / "nowhere")
    (folder / "round.txt").symlink_to(folder / "round.txt")
    (folder / "again").symlink_to(folder / "sub")
    refused = {file.name: file.refused for file in input_files(["."]) if file.refused}
    assert refused == {
        "pipe.txt": "refused: a pipe",
        "lost.txt": "refused: a link that leads nowhere",
        "round.txt": "refused: a link that leads nowhere",
        "again": "refused: a link to a folder",
    }
    assert names(".") == ["a.txt", "b.txt", "run/shards/other.bin", "sub/c.md"]


@pytest.mark.parametrize("word", ["pipe.txt", "/dev/zero"])
def test_a_pipe_or_a_device_given_by_name_is_a_mistake(folder: Path, word: str) -> None:
    os.mkfifo(folder / "pipe.txt")
    with pytest.raises(UserError, match=rf"{word}' is a (pipe|device)"):
        input_files([word])


def test_names_that_are_not_utf8_are_told_apart_and_can_be_written_down(folder: Path) -> None:
    for name in (b"\xff.txt", b"\xfe.txt"):
        Path(os.fsdecode(name)).write_text("text")
    found = [file.name for file in input_files(["*.txt"])]
    assert found == ["a.txt", "b.txt", r"\xfe.txt", r"\xff.txt"]
    assert "".join(found).encode()
