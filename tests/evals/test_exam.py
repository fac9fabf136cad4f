"""An exam asks what stands in the documents, and marks what was said."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glassmill.corpus.document import Document
from glassmill.evals.exam import GAP, called, exam_lines, make_exam, unasked
from glassmill.evals.exam_scores import difference_interval, holds, is_right, read_exam, share_interval
from glassmill.search.passages import passages

SYLLABLES = "ba ko ri mu te lo sa ni du fe".split()  # noqa: SIM905


def manual(number: int) -> Document:
    """A manual like others in form, and in no word."""
    choose = random.Random(number)
    name = f"mill-{number}"
    one, two, three, four, five = ("".join(choose.choices(SYLLABLES, k=4)) for _ in range(5))
    text = (
        f"NAME\n\n{name} - {one} grinder of {two} {three} meal\n\nOPTIONS\n\n"
        f"--sieve=MESH\n\nSieve {one} {four} with so many {five} meshes.\n\n"
        "-n, --dry-run\n\nShow what would be ground.\n\n"
        f"A {one} opens {two} doors before any {three} brings grain towards {four} and {five}. "
        f"Each {five} furrow carries {one} meal outwards, while {two} dust stays behind {three} boards. "
        f"Later {four} workers close {two} doors again, once {one} sacks are full and tied by {five}.\n\n"
    )
    return Document(f"{number:016}", f"manuals/{name}.txt", text, name, 0)


DOCUMENTS = [manual(number) for number in range(12)]
EXAM = make_exam(DOCUMENTS, 30, 7)


def test_every_answer_stands_in_one_passage_of_its_document() -> None:
    texts = {document.url: document.text for document in DOCUMENTS}
    for row in EXAM:
        text, answers = texts[row["document"]], [str(row["answer"])]
        assert any(holds(row["question"], answers, text[start:end]) for start, end in passages(text)), row


def test_the_exam_has_all_forms_and_no_question_that_two_documents_answer() -> None:
    assert {row["form"] for row in EXAM} == {"option", "definition", "cloze"} and len(EXAM) == 30
    assert len({row["question"] for row in EXAM}) == len(EXAM)
    assert "Show what would be ground" not in {row["answer"] for row in EXAM}, "every manual says that"
    every = make_exam(DOCUMENTS, 500, 7)
    (sieve,) = [row for row in every if row["question"] == "What does the option --sieve of mill-3 do?"]
    assert str(sieve["answer"]).startswith("Sieve ") and f"{sieve['answer']}." in DOCUMENTS[3].text
    gaps = [row for row in every if row["form"] == "cloze"]
    assert gaps and all(GAP in row["question"] and str(row["answer"]) not in row["question"] for row in gaps)


def test_a_document_is_for_choosing_or_held_out_as_a_whole() -> None:
    rows = sorted(make_exam(DOCUMENTS, 500, 7), key=lambda row: row["document"])
    parts = {key: {row["part"] for row in some} for key, some in itertools.groupby(rows, lambda row: row["document"])}
    assert all(len(part) == 1 for part in parts.values()) and set.union(*parts.values()) == {"choose", "held_out"}


def test_what_a_copy_under_another_name_says_is_not_learned_before_the_exam(tmp_path: Path) -> None:
    asked = make_exam(DOCUMENTS[:6], 500, 7)
    assert not unasked(asked, asked)
    copies = [replace(one, url=one.url.replace("mill-", "windmill-")) for one in DOCUMENTS[:6]]
    assert not {row["question"] for row in asked if row["form"] != "definition"} & {
        row["question"] for row in make_exam(copies, 500, 7)
    }
    assert not unasked(make_exam(copies, 500, 7), asked)
    others = make_exam(DOCUMENTS[6:], 500, 7)
    assert others and unasked(others, asked) == others
    mine = [
        {"question": "Which mesh?", "answer": ["none", str(others[0]["answer"])]},
        {"question": others[-1]["question"], "answer": "x"},
    ]
    (tmp_path / "exam.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in mine))
    assert len(unasked(others, read_exam(tmp_path / "exam.jsonl"))) == len(others) - 2


def test_equal_documents_give_equal_exams_and_another_seed_draws_others() -> None:
    assert make_exam(reversed(DOCUMENTS), 30, 7) == EXAM != make_exam(DOCUMENTS, 30, 8)


def test_an_exam_may_be_corrected_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "exam.jsonl"
    path.write_text(exam_lines(EXAM[:2]) + json.dumps({"question": "Who?", "answer": ["Ada", "the miller"]}) + "\n")
    rows = read_exam(path)
    assert [row["part"] for row in rows][-1] == "held_out" and rows[-1]["answers"] == ["Ada", "the miller"]


@pytest.mark.parametrize(
    ("answer", "said", "right"),
    [
        ("sluice", "It is the Sluice.", True),
        ("sluice", "It is the sluices.", False),
        ("Do not remove anything from the store", "It does not remove anything that is in the store.", True),
        ("Do not remove anything from the store", "It removes the store.", False),
        ("Prune all unreachable objects", "", False),
    ],
)
def test_a_short_answer_has_to_stand_there_and_a_long_one_with_most_of_its_words(
    answer: str, said: str, right: bool
) -> None:
    assert is_right("What does --dry-run do?", [answer], said) is right


def test_the_words_of_the_question_are_no_answer() -> None:
    assert not is_right("What does the option keep-size do?", ["keep the size of sparse files"], "it keeps keep size")


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    chance = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        right = int(chance.binomial(60, 0.7))
        low, high = share_interval(right, 60)
        held += low <= 0.7 <= high
    assert 0.92 <= held / 400 <= 0.98
    first, second = [False] * 50 + [True] * 50, [True] * 80 + [False] * 20
    low, high = difference_interval(first, second, 7)
    assert low < 0.3 < high and 0.2 < high - low < 0.5


def test_a_document_is_called_by_its_files_name() -> None:
    assert [called(url) for url in ("a/b/tar_1.txt#part", "x.pdf#page=3", "Makefile")] == ["tar_1", "x", "Makefile"]
