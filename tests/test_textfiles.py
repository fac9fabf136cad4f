"""Text files as people save them: every reader of them goes through `glassmill.textfiles`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from glassmill.corpus.document import Page
from glassmill.corpus.judge.url_lists import _keys_in
from glassmill.corpus.read.sources import read_pages
from glassmill.errors import UserError
from glassmill.recipe.reading import load_recipe
from glassmill.textfiles import decode_text, read_text, text_lines, text_parts
from glassmill.tokens.textfiles import named_texts

PROSE = "Die Mühle am Fluß – “grün”, 12 € pro Sack.\nZweite Zeile: façade, naïve, Žižkov.\n\nEnde.\n" * 40
JAPANESE = "水車小屋は川の曲がり角にある。\n二行目。\n" * 30

SAVED = {
    "UTF-8": PROSE.encode(),
    "UTF-8 with a mark": PROSE.encode("utf-8-sig"),
    "UTF-16 with a mark": PROSE.encode("utf-16"),
    "UTF-16 big-endian with a mark": b"\xfe\xff" + PROSE.encode("utf-16-be"),
    "UTF-16 without a mark": PROSE.encode("utf-16-le"),
    "UTF-16 big-endian without a mark": PROSE.encode("utf-16-be"),
    "UTF-32 with a mark": PROSE.encode("utf-32"),
    "windows-1252": PROSE.encode("cp1252"),
    "lines of Windows": PROSE.replace("\n", "\r\n").encode("cp1252"),
    "lines of old Macs": PROSE.replace("\n", "\r").encode(),
    "UTF-16, lines of Windows": PROSE.replace("\n", "\r\n").encode("utf-16"),
}


@pytest.mark.parametrize("saved", SAVED)
def test_every_way_to_save_a_text_gives_the_same_text(saved: str, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(SAVED[saved])
    assert read_text(path) == PROSE
    assert [line for _, line in text_lines(path)] == PROSE.removesuffix("\n").split("\n")
    assert "".join(text_parts(path, 100)) == PROSE


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_scripts_without_latin_letters_are_read_too(encoding: str) -> None:
    assert decode_text(JAPANESE.encode(encoding)) == JAPANESE


def test_stray_bytes_never_change_the_encoding_of_a_file() -> None:
    assert decode_text("Größe, Maße, Öl, Übel".encode() + b" caf\xe9, \x80 5") == "Größe, Maße, Öl, Übel café, € 5"
    assert decode_text("水車".encode() + "小".encode()[:2]) == "水車"  # cut by a limit on bytes
    assert decode_text(b"caf\xe9 \x81\x8d") == "café \x81\x8d"  # the holes of windows-1252


def test_a_letter_that_is_split_between_two_reads_is_one(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    text = "é" * (1 << 16) + "\n" + "ü" * (1 << 20)
    path.write_bytes(b"x" + text.encode())
    assert "".join(text_parts(path)) == "x" + text


@pytest.mark.parametrize(
    "data",
    [os.urandom(5000), b"\x7fELF" + bytes(300), b"PK\x03\x04" + os.urandom(2000)],
    ids=["noise", "program", "zip"],
)
def test_what_is_no_text_is_refused_in_one_line_with_its_name(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "picture.txt"
    path.write_bytes(data)
    for read in (read_text, lambda file: list(text_lines(file)), lambda file: list(text_parts(file))):
        with pytest.raises(UserError, match=r"picture\.txt: binary data, not text") as error:
            read(path)
        assert "\n" not in str(error.value)


def test_a_few_nul_bytes_are_no_letters() -> None:
    assert decode_text(b"a log line\n" * 500 + bytes(3)) == "a log line\n" * 500


def test_line_separators_of_unicode_are_letters_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a\u2028b\x85c\x0bd"}\n{"text": ""}', encoding="utf-8")
    assert list(text_lines(path)) == [(1, '{"text": "a\u2028b\x85c\x0bd"}'), (2, '{"text": ""}')]


def test_a_pipe_is_read_as_a_file_is(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, "Größe\nzwei".encode("utf-16"))
    os.close(writing)
    try:
        assert list(text_lines(f"/dev/fd/{reading}")) == [(1, "Größe"), (2, "zwei")]
    finally:
        os.close(reading)


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"x" * 101)
    with pytest.raises(UserError, match="over the limit of 100 bytes"):
        read_text(path, max_bytes=100)


WAYS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252")


@pytest.mark.parametrize("encoding", WAYS)
def test_every_reader_takes_every_encoding(encoding: str, tmp_path: Path) -> None:
    def write(name: str, text: str) -> Path:
        (tmp_path / name).write_bytes(text.replace("\n", "\r\n").encode(encoding))
        return tmp_path / name

    rows = write("rows.jsonl", '{"text": "Größe"}\n\n{"text": "façade"}\n')
    assert [text for _, text in named_texts(rows)] == ["Größe", "façade"]
    assert [page.body.decode() for page in read_pages(rows, "rows") if isinstance(page, Page)] == ["Größe", "façade"]
    assert "".join(text for _, text in named_texts(write("prose.txt", PROSE))) == PROSE
    assert load_recipe(write("r.toml", '# Größe\n[corpus]\ninputs = ["façade/*.html"]\n')).corpus.inputs == (
        "façade/*.html",
    )
    assert list(_keys_in(write("hosts.txt", "# Größe\nbad.example\n\n0.0.0.0 worse.example\n"))) == [
        "bad.example",
        "worse.example",
    ]


@pytest.mark.parametrize("name", ["rows.jsonl", "prose.txt"])
def test_a_tokenizer_is_never_trained_on_binary_data(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(os.urandom(3000))
    with pytest.raises(UserError, match="binary data, not text"):
        list(named_texts(tmp_path / name))


@pytest.mark.parametrize(
    "data",
    [b"\xff\xfe\x00\xd8a\x00", b"[a\n", os.urandom(400), b"a = " + b"[" * 5000],
    ids=["half", "syntax", "noise", "deep"],
)
def test_a_broken_recipe_is_one_line(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_bytes(data)
    with pytest.raises(UserError, match=r"r\.toml") as error:
        load_recipe(tmp_path / "r.toml")
    assert "\n" not in str(error.value)
