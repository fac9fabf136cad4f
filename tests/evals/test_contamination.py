"""Rows of tasks that stand in a corpus are found with their pages, and no others."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import glassmill.cli  # noqa: F401  (registers the commands)
from glassmill.cli.base import app
from glassmill.errors import UserError
from glassmill.evals import contamination
from glassmill.evals.contamination import FUZZY_SHARE, LONG, SHORT, Contamination, look_into
from glassmill.evals.grams import words_of
from glassmill.run.files import sha256_file
from glassmill.run.shards import shard_name
from tests.evals.test_task_files import write

SYLLABLES = ["ba", "kori", "mu", "teré", "lo", "Säni", "du", "fe", "99", "organisational"]


def made_words(seed: int, count: int) -> list[str]:
    generator = random.Random(seed)
    return ["".join(generator.choices(SYLLABLES, k=generator.randint(1, 4))) for _ in range(count)]


def text(seed: int, count: int) -> str:
    return " ".join(made_words(seed, count))


def corpus(folder: Path, *shards: list[str]) -> Path:
    for number, texts in enumerate(shards):
        urls = [f"https://site.example/{number}/{row}" for row in range(len(texts))]
        shard = folder / shard_name("documents", number)
        shard.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"url": urls, "text": texts}), shard)
    return folder


def plain_grams(texts: list[str], n: int) -> list[tuple[int, tuple[str, ...]]]:
    """Every n-gram with the number of its text, by a regular expression."""
    found = []
    for number, one in enumerate(texts):
        its = [word.lower() for word in re.findall(r"[^\W_]+", one)]
        found += [(number, tuple(its[place : place + n])) for place in range(len(its) - n + 1)]
    return found


@pytest.mark.parametrize("n", [1, 5, 13])
def test_grams_are_those_of_a_regular_expression(n: int) -> None:
    parts = [" ", ", ", "\n\n", "—", "“", "”: ", "«", "\u00a0", ".", "_", "/", "'"]
    generator = random.Random(n)
    texts = []
    for number in range(60):
        its = made_words(number % 40, number % 31)
        its = [word.upper() if generator.random() < 0.2 else word for word in its]
        texts.append("".join(word + generator.choice(parts) for word in its))
        if number % 3 == 0:
            texts[-1] = texts[-1].rstrip("".join(parts))  # two texts that meet without anything between them
    texts += [
        "",
        "?",
        "é",
        "a" * 8,
        "b" * 9,
        "c" * 33,
        "c" * 34,
        "d" * 24 + "x" + "e" * 8,
        "d" * 24 + "y" + "e" * 8,
        "ÄÖ ÿ×÷",
    ]
    words = words_of(texts)
    hashes = words.grams(n)
    first = np.flatnonzero(words.whole(np.arange(len(hashes)), n)) if len(hashes) else np.zeros(0, np.int64)
    expected = plain_grams(texts, n)
    assert [int(words.text[one]) for one in first] == [number for number, _ in expected]
    by_gram: dict[tuple[str, ...], set[int]] = {}
    for place, (_, gram) in zip(first, expected, strict=True):
        by_gram.setdefault(tuple(word[:24] + word[24:][-8:] + str(len(word.encode())) for word in gram), set()).add(
            int(hashes[place])
        )
    assert all(len(its) == 1 for its in by_gram.values())
    assert len(set.union(*by_gram.values())) == len(by_gram)


def changed_case_and_marks(words: list[str]) -> str:
    return " — ".join(word.upper() if place % 3 else f"“{word}”," for place, word in enumerate(words))


def test_planted_rows_are_found_and_no_others(tmp_path: Path) -> None:
    rows = [text(1000 + number, 20 + number % 40) for number in range(400)]
    documents = [[text(number, 150) for number in range(shard * 200, shard * 200 + 200)] for shard in range(2)]
    for number in range(100):  # as it is, in the middle of a document
        documents[number % 2][number] += f". {rows[number]}. {text(5000 + number, 30)}"
    for number in range(100, 200):
        documents[number % 2][number - 100] += changed_case_and_marks(rows[number].split())
    for number in range(200, 300):  # every tenth word is another
        words = rows[number].split()
        words[4::10] = ["otherwise"] * len(words[4::10])
        documents[number % 2][number - 200] += " " + " ".join(words)
    found = look_into(corpus(tmp_path / "corpus", *documents), rows, lambda done, total: None)
    states = [verdict.state for verdict in found.verdicts]
    assert found.documents == 400
    assert states[:200] == ["exact"] * 200
    assert states[200:300] == ["fuzzy"] * 100
    assert states[300:] == ["clean"] * 100
    for number in range(200):
        (page,) = found.verdicts[number].pages
        place = (f"documents-{number % 2:05}.parquet", number % 100)
        assert (page.shard, page.row) == place and page.url == f"https://site.example/{number % 2}/{number % 100}"
        assert found.verdicts[number].found == 1


def test_what_counts_as_found(tmp_path: Path) -> None:
    words = made_words(1, 40)
    whole, short = " ".join(words), " ".join(words[:8])
    cases = {
        whole: "exact",
        " ".join(words[:LONG]): "exact",  # thirteen words in a row
        " ".join(words[: LONG - 1]): "clean",  # one fewer, and 8 of 36 of its 5-grams
        " ".join(words[:20]) + " " + " ".join(words[20:]): "exact",
        " ".join([*words[:10], "x", *words[10:20], "y", *words[20:30], "z", *words[30:]]): "fuzzy",
        " ".join(words[::-1]): "clean",
    }
    for document, state in cases.items():
        found = Contamination([whole, short])
        look_at(found, document)
        assert found.verdicts[0].state == state, document
    for document, state in ((short, "exact"), (" ".join(words[:7]), "clean"), (" ".join(words[1:8]), "clean")):
        found = Contamination([whole, short])
        look_at(found, document)
        assert found.verdicts[1].state == state, document


def look_at(found: Contamination, *documents: str) -> None:
    encoded = [document.encode() for document in documents]
    ends = np.cumsum([0, *map(len, encoded)])
    found.look(np.frombuffer(b"".join(encoded), np.uint8), ends, lambda number: ("u", "s", number))


def test_parts_of_a_row_in_each_of_three_documents_are_not_the_row() -> None:
    words = made_words(2, 24)
    found = Contamination([" ".join(words)])
    look_at(found, " ".join(words[:8]), " ".join(words[8:16]), " ".join(words[16:]))  # they meet without a blank
    assert found.verdicts[0].state == "clean"


def test_an_exact_find_takes_the_place_of_fuzzy_ones_and_pages_are_few() -> None:
    words = made_words(3, 40)
    changed = [*words[:12], "x", *words[13:25], "y", *words[26:37], "z"]
    found = Contamination([" ".join(words)])
    look_at(found, " ".join(changed))
    assert found.verdicts[0].state == "fuzzy" and found.verdicts[0].pages[0].share >= FUZZY_SHARE
    look_at(found, *[" ".join(words)] * 9, " ".join(changed))
    assert (found.verdicts[0].state, found.verdicts[0].found, len(found.verdicts[0].pages)) == ("exact", 9, 5)


def test_manners_of_speaking_and_short_texts_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contamination, "COMMON", 3)
    question = "Which of the following is the best answer to this"
    found = Contamination([*(f"{question} {number} {text(number, 6)}" for number in range(9)), "four words are few"])
    assert len(["four", "words", "are", "few"]) < SHORT
    look_at(found, question, "four words are few")
    assert [verdict.state for verdict in found.verdicts] == ["clean"] * 9 + ["short"]


def test_a_corpus_without_documents_and_a_damaged_shard(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a corpus run"):
        look_into(tmp_path, ["x"], lambda done, total: None)
    folder = corpus(tmp_path / "corpus", [text(1, 50), "", text(2, 50)], [""])
    assert look_into(folder, [text(2, 50)], lambda done, total: None).verdicts[0].pages[0].row == 2
    (folder / "shards" / "documents-00001.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(UserError, match=r"documents-00001\.parquet cannot be read") as caught:
        look_into(folder, ["x"], lambda done, total: None)
    assert "\n" not in str(caught.value)


def test_a_row_in_any_of_many_shards_is_found(tmp_path: Path) -> None:
    """From the 250th on, shards lie in folders of their own."""
    rows = [text(number, 20) for number in range(300)]
    folder = corpus(tmp_path / "corpus", *([row] for row in rows))
    found = look_into(folder, rows, lambda done, total: None)
    assert [(verdict.state, verdict.pages[0].url) for verdict in found.verdicts] == [
        ("exact", f"https://site.example/{number}/0") for number in range(300)
    ]


def test_documents_larger_than_what_is_hashed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contamination, "PIECE_BYTES", 500)
    monkeypatch.setattr(contamination, "ROWS_AT_ONCE", 7)
    rows = [text(number, 20) for number in range(12)]
    documents = [text(100 + number, 5 if number % 3 else 200) + " " + rows[number] for number in range(12)]
    found = look_into(corpus(tmp_path / "corpus", documents), rows, lambda done, total: None)
    assert [(verdict.state, verdict.pages[0].row) for verdict in found.verdicts] == [("exact", n) for n in range(12)]


def test_the_command_splits_scores_into_clean_and_dirty(tmp_path: Path, model_folder: Path) -> None:
    rows = [{"query": text(number, 20), "choices": ["yes", "no"], "gold": number % 2} for number in range(12)]
    write(tmp_path / "tasks" / "mine.jsonl", *rows)
    folder = corpus(tmp_path / "runs" / "corpus" / "web-123456", [f"{row['query']} and so on" for row in rows[:5]])
    (folder / "quarantine.jsonl").touch()
    shard = folder / shard_name("documents", 0)
    files = {shard_name("documents", 0): {"sha256": sha256_file(shard), "bytes": shard.stat().st_size}}
    (folder / "manifest.json").write_text(json.dumps({"stage": "corpus", "state": "done", "files": files}))
    (folder / "DONE").touch()
    call = ["eval", str(model_folder), "--tasks", "mine", "--task-files", str(tmp_path / "tasks")]
    call += ["--no-random-weights", "--runs", str(tmp_path / "runs"), "--corpus", "corpus/web-123456"]
    done = CliRunner().invoke(app, [*call, "--out", str(tmp_path / "out.json")])
    assert done.exit_code == 0, done.exception
    assert "rows that stand in" in done.stdout and "https://site.example/0/" in done.stdout
    saved = json.loads((tmp_path / "out.json").read_text())
    told = saved["tasks"][0]["contamination"]
    assert (told["exact"], told["fuzzy"], told["dirty"]["rows"], told["clean"]["rows"]) == (5, 0, 5, 7)
    for part, states in (("clean", ["clean"]), ("dirty", ["exact"])):
        its = [row["per_token"] for row in saved["rows"]["mine"] if row["state"] in states]
        assert told[part]["score"] == pytest.approx(sum(its) / len(its), abs=1e-5)
    pages = {row["line"]: row["pages"][0]["row"] for row in saved["rows"]["mine"] if row["state"] == "exact"}
    assert pages == {number + 1: number for number in range(5)}
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    damaged = CliRunner().invoke(app, call)
    assert damaged.exit_code and "the run is damaged" in str(damaged.exception)
