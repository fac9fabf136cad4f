"""`glassmill adapt`: from a folder of documents to scores, again after corrections, and without a removed document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glassmill.commands.adapt import adapt, adapted_tables
from glassmill.corpus.document import documents
from glassmill.errors import UserError
from glassmill.tokens.tokenizer import Tokenizer
from tests.evals.test_exam import DOCUMENTS, manual
from tests.random_models import save_random


@pytest.mark.slow
def test_documents_come_in_and_measured_answers_out(tiny_tokenizer: Tokenizer, tmp_path: Path) -> None:
    base = save_random(tmp_path / "base", tiny_tokenizer, 2048)
    docs, runs = tmp_path / "docs", tmp_path / "runs"
    docs.mkdir()
    for document in DOCUMENTS:
        (docs / Path(document.url).name).write_text(document.text)
    (docs / "secret.txt").write_text("The vault of Ormond is opened with the seventh brass key on Thursdays only.\n")

    def made() -> dict[str, object]:
        result = adapt([str(docs)], base, "mills", runs, 20, 7, lambda text: None)
        assert result == {**json.loads((runs / "adapt/mills/report.json").read_text()), **_tuples(result)}
        return dict(result)

    first = made()
    scores = {score["way"]: score for score in first["ways"]}  # type: ignore[attr-defined]
    assert first["best"] == "quote" and str(first["serve"]).endswith("--answers quote")
    assert scores["bare"]["right"] == 0 and scores["quote"]["right"] > 0.5  # a model of random weights
    assert scores["quote"]["gain_interval"][0] > 0 and scores["quote"]["cited"] >= 0.9
    assert "with search, quoting" in str(adapted_tables(first)[0].columns[0]._cells)  # type: ignore[arg-type, union-attr]

    exam = runs / "adapt/mills/exam.jsonl"
    lines = exam.read_text().splitlines(keepends=True)[:16]
    exam.write_text("".join(lines))
    gone = json.loads(lines[0])["document"]
    (docs / "secret.txt").unlink()
    (docs / gone).unlink()
    second = made()
    assert second["corpus"] != first["corpus"] and second["documents"] == first["documents"] - 2  # type: ignore[operator]
    stays = "".join(line for line in lines if gone not in line)
    assert exam.read_text() == stays != "".join(lines), "a corrected exam stays, without what is gone"
    for name in ("brass key", gone):
        found = [*documents(str(second["corpus"])), *documents(str(second["corpus"]), dropped=True)]
        assert not [one.url for one in found if name in one.text or name in one.url]
    for path in Path(str(second["corpus"])).rglob("*"):
        assert not path.is_file() or b"brass key" not in path.read_bytes(), path
    assert gone not in (runs / "adapt/mills/report.json").read_text()


@pytest.mark.slow
def test_a_training_learns_nothing_of_the_documents_that_the_exam_asks_about(
    tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    base = save_random(tmp_path / "base", tiny_tokenizer, 1024)
    docs, runs = tmp_path / "docs", tmp_path / "runs"
    docs.mkdir()
    for document in map(manual, range(40)):
        (docs / Path(document.url).name).write_text(document.text)
    result = adapt([str(docs)], base, "mills", runs, 20, 7, lambda text: None, minutes=0.05)
    learned = result["learned"]
    assert learned is not None and learned["steps"] >= 1 and learned["weights"] == "all"
    exam = [json.loads(line) for line in (runs / "adapt/mills/exam.jsonl").read_text().splitlines()]
    taught = [json.loads(line)["messages"] for line in (runs / "adapt/mills/learned.jsonl").read_text().splitlines()]
    assert len(taught) == learned["conversations"] >= 10
    assert not {row["question"] for row in exam} & {messages[0]["content"] for messages in taught}
    names = {Path(row["document"]).stem for row in exam}
    assert not [m for m in taught if any(f" {name} " in m[0]["content"] for name in names)]
    assert [score["way"] for score in result["ways"]] == [
        "bare", "free", "quote", "adapted_bare", "adapted_free", "adapted_quote",
    ]  # fmt: skip
    assert learned["kept"]["perplexity"] != learned["kept"]["perplexity_before"]
    assert "trained, with search, quoting" in str(adapted_tables(result)[0].columns[0]._cells)  # type: ignore[union-attr]
    model = learned["model"] if result["best"].startswith("adapted_") else str(base)
    assert result["serve"].startswith(f"glassmill serve {model}")


def _tuples(result: object) -> dict[str, object]:
    """What JSON turns into lists."""
    return {"ways": result["ways"]}  # type: ignore[index]


@pytest.mark.slow
def test_too_little_text_for_an_exam_is_one_clear_line(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("The wheel turns at eleven revolutions a minute, and ice stops it in January.")
    with pytest.raises(UserError, match=r"give 0 questions, too few for an exam; write at least 10 rows"):
        adapt([str(tmp_path / "one.txt")], model_folder, "one", tmp_path / "runs", 20, 7, lambda text: None)
