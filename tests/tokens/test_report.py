"""The report over a vocabulary, and its commands over files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from glassmill.cli import app
from glassmill.commands.tokenizer import train_from_files
from glassmill.errors import UserError
from glassmill.run import kinds
from glassmill.run.events import Entry
from glassmill.run.worker import Link
from glassmill.tokens import bpe
from glassmill.tokens.report import measure
from glassmill.tokens.split import PATTERNS
from glassmill.tokens.textfiles import SpoolTask, named_texts, spool_shard, text_files
from glassmill.tokens.tokenizer import Tokenizer
from tests.corpus.pages import record, write_warc
from tests.tokens.builders import PROSE, small_tokenizer, write_corpus

TOKENIZER = small_tokenizer(512)
LINES = "\n".join(PROSE).replace("\r\n", "\n")
"""As a text file is read."""


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "prose.txt").write_text("\n".join(PROSE), encoding="utf-8")
    (folder / "lines.jsonl").write_text(
        "".join(json.dumps(entry) + "\n" for entry in [PROSE[0], {"text": PROSE[1]}]), encoding="utf-8"
    )
    write_corpus(folder / "corpus", [PROSE])
    return folder


def test_the_numbers_of_the_report_are_those_of_the_text():
    texts = [("en", PROSE[0]), ("en", PROSE[1]), ("de", PROSE[2]), ("odd", "\ud800")]
    report = measure(TOKENIZER, texts, TOKENIZER)
    groups = {group["name"]: group for group in report["groups"]}
    assert groups["en"]["tokens"] == sum(len(TOKENIZER.encode(text)) for _, text in texts[:2])
    assert groups["en"]["bytes_per_token"] == round(
        sum(len(text.encode()) for _, text in texts[:2]) / groups["en"]["tokens"], 4
    )
    assert groups["de"]["ratio"] == 1 and groups["odd"]["bytes"] == 3
    assert report["total"]["tokens"] == sum(group["tokens"] for group in groups.values())
    words = report["vocabulary"]
    seen = set(TOKENIZER.encode("".join(f"{text}\n" for _, text in texts[:3])).tolist())
    assert words["symbols"] == min(TOKENIZER.special.values()) and 0 < len(seen) <= words["used"] + 10
    never = [entry["id"] for entry in words["never_seen_longest"]]
    assert all(number not in TOKENIZER.encode(text) for number in never for _, text in texts)
    assert report["curve"][-1][1] == report["total"]["bytes_per_token"]
    assert [birth["rank"] for birth in report["births"]] == list(range(256, words["symbols"]))


def test_files_of_every_kind_are_read_in_order(texts: Path):
    assert [file.name for file in text_files([texts])] == ["lines.jsonl", "prose.txt"]
    assert list(named_texts(texts / "lines.jsonl")) == [("lines", PROSE[0]), ("lines", PROSE[1])]
    assert "".join(text for _, text in named_texts(texts / "prose.txt")) == LINES
    (shard,) = text_files([texts / "corpus"])
    assert [text for _, text in named_texts(shard)] == PROSE


def test_of_web_archives_the_text_of_the_pages_counts(tmp_path: Path):
    texts = [
        "The mill stands still since the river froze over, and nobody in the whole town knows when it will turn again.",
        "Until then the baker sells what the farmers bring on sledges, which is little, and the children eat snow.",
    ]
    bodies = [f"<p>{texts[0]}</p><script>x()</script>", f"<p>{texts[1]}</p>"]
    members = [record(f"http://a.example/{place}", body) for place, body in enumerate(bodies)]
    file = write_warc(tmp_path / "pages.warc.gz", members)
    assert list(named_texts(file)) == [("pages", text) for text in texts]


def test_a_vocabulary_learns_from_some_text_or_says_that_there_is_none(tmp_path: Path):
    for name, content in (("a.txt", b""), ("a.jsonl", b'{"text": ""}\n')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"no text in .*{name}: a vocabulary needs some"):
            train_from_files([tmp_path / name], tmp_path / "out", 300, "llama3", "bytes", 1, lambda entry: None)
    folder = tmp_path / "texts"
    (folder / "folder.txt").mkdir(parents=True)
    (folder / "prose.txt").write_text(LINES, encoding="utf-8")
    assert [file.name for file in text_files([folder])] == ["prose.txt"]


def test_a_page_that_ends_the_worker_is_left_out_with_a_line(tmp_path: Path):
    members = [record(f"http://a.example/{place}", f"<p>{PROSE[0]}</p>") for place in range(3)]
    file = write_warc(tmp_path / "pages.warc.gz", members)
    task: SpoolTask = {"file": str(file), "out": str(tmp_path / "spool"), "max_bytes": None}
    whole = spool_shard(task, Link())
    assert spool_shard({**task, "skip": [(1, "over the CPU limit")]}, Link()) == {
        "lost": 1,
        "first": "over the CPU limit",
    }
    assert whole == {"lost": 0, "first": ""}
    told: list[str] = []
    file.write_bytes(file.read_bytes()[:-20])
    assert len(list(named_texts(file, warn=told.append))) == 2
    (line,) = told
    assert "pages.warc.gz: a record cannot be read: " in line


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory by what Linux counts")
def test_a_line_that_would_fill_the_memory_is_refused(tmp_path: Path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "x"}\n[' + b"{}," * 15_000_000 + b"0]")
    with pytest.raises(UserError, match=r"cannot read .*a\.jsonl: over the memory limit"):
        list(named_texts(tmp_path / "a.jsonl"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"body": 1}\n', "line 1 is neither a string nor an object"),
        ("a.jsonl", b"{", "cannot read"),
        ("a.parquet", b"PAR0", "cannot read"),
        ("a.pdf", b"%PDF", "no text to read"),
        ("a.jsonl", b'{"text": NaN}', "line 1 is neither"),
        ("a.jsonl", b"[" * 5000, "line 1 is not valid JSON: it is nested too deeply"),
    ],
)
def test_a_file_without_text_is_named(tmp_path: Path, name: str, content: bytes, message: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        [list(named_texts(file)) for file in text_files([tmp_path / name])]
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_a_vocabulary_is_trained_on_files_and_reported_on_by_command(texts: Path, tmp_path: Path):
    out = str(tmp_path / "vocabulary")
    done = json.loads(
        run("tokenizer", "train", str(texts / "prose.txt"), "--out", out, "--vocab-size", "400", "--json")
    )
    loaded = Tokenizer.load(out)
    assert done["symbols"] == 440 and loaded.vocab_size == 448
    assert [loaded.token_bytes(n) for n in range(440)] == bpe.train([LINES], 440, PATTERNS["llama3"])
    report = json.loads(run("tokenizer", "report", out, str(texts), "--json", "--against", out))
    assert [group["name"] for group in report["groups"]] == ["lines", "prose"] and report["total"]["ratio"] == 1
    assert "never seen" in run("tokenizer", "report", out, str(texts))
    meta = json.loads((tmp_path / "vocabulary" / "meta.json").read_text(encoding="utf-8"))
    assert meta["unicode"] == "16.0" and meta["training"]["bytes"] == len(LINES.encode())


def test_training_reports_its_merges_as_typed_progress(tmp_path: Path):
    (tmp_path / "words.txt").write_text(" ".join(f"w{number * 7919:x}" for number in range(5000)))
    seen: list[Entry] = []
    done = train_from_files([tmp_path / "words.txt"], tmp_path / "out", 1280, "llama3", "bytes", 1, seen.append)
    progress = [entry.event for entry in seen if entry.stage == "merge"]
    assert done["symbols"] == 1272
    assert progress == [kinds.Progress(512, 1016, "merges"), *progress[1:]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--vocab-size", "100"], "between 262 and 200064"),
        (["--pattern", "cl200k"], "unknown split pattern 'cl200k'; use one of llama3"),
        (["--pattern", "("], "not a valid regular expression"),
        (["--tie-break", "coin"], "bytes or hf"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(texts: Path, tmp_path: Path, words: list[str], message: str):
    call = ["tokenizer", "train", str(texts), "--out", str(tmp_path / "out"), *words]
    with pytest.raises(UserError, match=message):
        CliRunner().invoke(app, call, catch_exceptions=False)
    assert not (tmp_path / "out").exists()
