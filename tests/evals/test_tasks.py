"""Scores of tasks: what a model that knows nothing gets, how prompts are built, errors, centred scores, the command."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import glassmill.cli  # noqa: F401  (registers the commands)
from glassmill.cli.base import app
from glassmill.errors import UserError
from glassmill.evals.core_tasks import Setup
from glassmill.evals.likelihood import ROWS
from glassmill.evals.prompts import order, prompts, shots
from glassmill.evals.task_files import Task, read_task
from glassmill.evals.tasks import Mean, centred, mean, mean_of_means, report, score_task, share
from glassmill.infer.choose import load_decoder
from glassmill.infer.decoder import Answer, Decoder, DecoderInfo, Piece
from glassmill.tokens.tokenizer import Tokenizer
from tests.evals.test_task_files import CHOICE, LANGUAGE, PAIR, SCHEMA, write

ROWS_OF: dict[str, list[dict[str, Any]]] = {
    "pairs": [{"sentence_good": "a " * n, "sentence_bad": "b" * (n + n % 3)} for n in range(2, 22)],
    "choice": [
        {
            "query": f"Which of them is {n}?",
            "choices": [f"it {m}" * (1 + m % 3) for m in range(2 + n % 4)],
            "gold": n % 2,
        }
        for n in range(20)
    ],
    "schema": [
        {"context_options": [f"Ann {n}, so she", f"Bea, so {n}"], "continuation": "ran" * (1 + n % 3), "gold": n % 2}
        for n in range(20)
    ],
    "language": [{"context": f"Then {n}", "continuation": "x" * (1 + n % 3)} for n in range(20)],
}


class Constant(Decoder):
    """A model for which every token is as likely as any other, whatever came before."""

    def __init__(self, vocab_size: int) -> None:
        self.rows: dict[int, int] = {}
        self.opened = 0
        self.vocab_size = vocab_size

    @property
    def info(self) -> DecoderInfo:
        return DecoderInfo(self.vocab_size, 4096, ROWS, 1)

    @property
    def cache_bytes(self) -> int:
        return 0

    def fits(self, lengths: Sequence[int]) -> bool:
        return True

    def length(self, row: int) -> int:
        return self.rows[row]

    def truncate(self, row: int, length: int) -> None:
        self.rows[row] = length

    def open_row(self) -> int:
        self.opened += 1
        self.rows[self.opened] = 0
        return self.opened

    def close_row(self, row: int) -> None:
        del self.rows[row]

    def fork(self, row: int, length: int) -> int:
        assert length <= self.rows[row]
        self.rows[new := self.open_row()] = length
        return new

    def forward(self, pieces: Any) -> list[Answer]:
        for piece in pieces:
            assert isinstance(piece, Piece)
            self.rows[piece.row] += len(piece.ids)
        return [Answer(np.full((piece.want, self.vocab_size), 0.3, np.float32)) for piece in pieces]


@pytest.fixture(scope="module")
def tokenizer(model_folder: Path) -> Tokenizer:
    return Tokenizer.load(model_folder)


def task_of(tmp_path: Path, kind: str, number: int = 0, **setup: Any) -> Task:
    return read_task(write(tmp_path / f"{kind}.jsonl", *ROWS_OF[kind]), kind, "g", Setup(kind, number, **setup))


@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.parametrize("kind", ROWS_OF)
def test_a_constant_model_scores_exactly_chance(tmp_path: Path, tokenizer: Tokenizer, kind: str, number: int) -> None:
    """Wherever length does not decide; where it does, the score is that of length alone."""
    decoder = Constant(tokenizer.vocab_size)
    scores = score_task(decoder, tokenizer, task_of(tmp_path, kind, number), None, 7, False, lambda *told: None)
    assert not decoder.rows and len(scores.lines) == 20
    way = "per_token" if "per_token" in scores.credits else "accuracy"
    assert scores.mean(way).value == pytest.approx(float(scores.chance.mean()), abs=1e-15)
    assert np.allclose(scores.credits[way], scores.chance, rtol=1e-12, atol=0)
    assert scores.mean("accuracy").value == pytest.approx(float(scores.length_alone.mean()), rel=1e-12)
    if kind != "schema" and kind != "language":
        assert (scores.credits["accuracy"] != scores.chance).any()


@pytest.mark.parametrize(
    ("values", "gold", "point"),
    [
        ([-1.0, -2.0], 0, 1.0),
        ([-1.0, -2.0], 1, 0.0),
        ([-3.0, -3.0], 1, 0.5),
        ([-3.0, -3.0, -3.0], 0, 1 / 3),
        ([-3.0, -3.0, -4.0], 2, 0.0),
        ([-100.0, -100.00001], 1, 0.5),
        ([-100.0, -100.01], 1, 0.0),
        ([-math.inf, -1.0], 0, 0.0),
    ],
)
def test_equal_ones_share_the_point(values: list[float], gold: int, point: float) -> None:
    assert share(values, gold) == point


def test_scores_equal_those_of_plain_arithmetic(tmp_path: Path, model_folder: Path, tokenizer: Tokenizer) -> None:
    """Each answer read alone, whole, from the text that people would write down."""
    decoder = load_decoder(model_folder, ROWS, "torch")
    task = task_of(tmp_path, "choice", 0, delimiter=" ")
    scores = score_task(decoder, tokenizer, task, None, 7, False, lambda *told: None)
    by_line = dict(zip(scores.lines, zip(*scores.credits.values(), strict=True), strict=True))
    for line, row in enumerate(ROWS_OF["choice"], start=1):
        known = len(tokenizer.encode(row["query"]))
        sums: list[float] = []
        characters: list[float] = []
        for choice in row["choices"]:
            ids = np.array(tokenizer.encode(f"{row['query']} {choice}"), dtype=np.int64)
            sums.append(-float(decoder.token_losses(ids[None])[0, known - 1 :].sum()))
            characters.append(sums[-1] / len(choice))
        gold = row["gold"]
        assert by_line[line][:2] == (float(np.argmax(sums) == gold), float(np.argmax(characters) == gold))


def test_prompts_read_as_cores_do(tmp_path: Path, tokenizer: Tokenizer) -> None:
    def text(kind: str, row: dict[str, Any], **setup: Any) -> tuple[list[str], list[str]]:
        task = read_task(write(tmp_path / "t.jsonl", row, row), "t", "g", Setup("t", 1, **setup))
        (prompt, _) = prompts(task, tokenizer, 4096, None, 7, False)
        scored = [tokenizer.decode(one.ids[one.start :]) for one in prompt.texts]
        return [tokenizer.decode(one.ids) for one in prompt.texts], scored

    start = tokenizer.decode([tokenizer.eos_id])
    sums = "2 + 2 =\nAnswer: 4\n\n2 + 2 =\nAnswer: "
    assert text("choice", CHOICE, delimiter="\nAnswer: ") == (
        [sums + "4", sums + "5", sums + "6"],
        ["\nAnswer: 4", "\nAnswer: 5", "\nAnswer: 6"],
    )
    shot = "Ann saw Bea so Bea waved.\n\n"
    assert text("schema", SCHEMA) == (
        [shot + "Ann saw Bea so Ann waved.", shot + "Ann saw Bea so Bea waved."],
        [" waved.", " waved."],
    )
    assert text("language", LANGUAGE) == (["The sky is blue\n\nThe sky is blue"], [" blue"])
    good, bad = PAIR["sentence_good"], PAIR["sentence_bad"]
    assert text("pairs", PAIR) == ([f"{good}\n\n{good}", f"{good}\n\n{bad}"], [good, bad])
    task = read_task(write(tmp_path / "p.jsonl", PAIR), "p", "g", Setup("p"))
    (prompt,) = prompts(task, tokenizer, 4096, None, 7, False)
    assert [tokenizer.decode(one.ids) for one in prompt.texts] == [start + good, start + bad]
    assert prompt.differ == [len(tokenizer.encode("The cats sleep")) + 1] * 2


def test_examples_are_others_rows_and_the_seeds(tmp_path: Path) -> None:
    assert shots(0, 3, 20, 7, False) == []
    for place in range(20):
        for same in (False, True):
            drawn = shots(5, place, 20, 7, same)
            assert len(set(drawn)) == 5 and place not in drawn and drawn == shots(5, place, 20, 7, same)
    assert shots(5, 3, 20, 7, False) != shots(5, 3, 20, 8, False)
    assert len({tuple(shots(5, place, 20, 7, True)) for place in range(20)}) <= 6
    task = task_of(tmp_path, "choice")
    assert sorted(order(task, None)) == list(range(20)) and order(task, 6) == order(task, None)[:6] != list(range(6))


def test_what_does_not_fit_the_context_is_cut_at_its_beginning(
    tmp_path: Path, model_folder: Path, tokenizer: Tokenizer
) -> None:
    decoder = load_decoder(model_folder, ROWS)
    rows = [{"query": f"{n} " * 200, "choices": ["yes", "no", "never"], "gold": 1} for n in range(4)]
    rows += [
        {"query": "q", "choices": ["y" * 300, "n" * 200], "gold": 1},
        {"query": "q", "choices": ["y", "n"], "gold": 1},
    ]
    task = read_task(write(tmp_path / "t.jsonl", *rows), "t", "g", Setup("t"))
    for prompt in prompts(task, tokenizer, 128, None, 7, False):
        assert all(1 <= text.start < len(text.ids) <= 128 for text in prompt.texts)
    scores = score_task(decoder, tokenizer, task, None, 7, False, lambda *told: None)
    assert scores.cropped == 5


def test_errors_are_those_of_the_mean() -> None:
    values = np.array([1.0, 0.0, 1.0, 1.0, 0.5])
    found = mean(values)
    assert found.value == 0.7 and found.error == pytest.approx(float(np.std(values, ddof=1)) / 5**0.5)
    assert mean(values[:1]) == (1.0, None)
    together = mean_of_means([Mean(0.5, 0.03), Mean(0.7, 0.04)])
    assert together.value == pytest.approx(0.6) and together.error == pytest.approx(0.025)


def test_a_centred_score_is_0_for_a_guess_and_1_without_mistakes(tmp_path: Path) -> None:
    task = task_of(tmp_path, "choice", baseline=0.62)
    guess = centred(task, Mean(0.62, 0.1), 0.5)
    assert guess.value == 0 and guess.error == pytest.approx(0.1 / 0.38)
    assert centred(task, Mean(1.0, 0.0), 0.5).value == pytest.approx(1)
    assert centred(task_of(tmp_path, "choice"), Mean(0.25, 0.1), 0.25).value == 0


def test_groups_are_means_of_their_tasks(tmp_path: Path, tokenizer: Tokenizer) -> None:
    decoder = Constant(tokenizer.vocab_size)
    found = [
        score_task(decoder, tokenizer, task_of(tmp_path, kind), None, 7, False, lambda *told: None)
        for kind in ("schema", "language")
    ]
    told = report(found, found, ["squad"])
    chances = [row["chance"] for row in told["tasks"]]
    assert told["groups"]["g"]["score"] == pytest.approx(sum(chances) / 2, rel=1e-5)
    assert told["groups"]["g"]["random_weights"]["score"] == told["groups"]["g"]["score"]
    assert [row["centred"] for row in told["tasks"]] == [pytest.approx(0, abs=1e-9)] * 2


def test_the_command_asks_tasks_and_writes_every_row(tmp_path: Path, model_folder: Path) -> None:
    for kind, rows in ROWS_OF.items():
        write(tmp_path / "tasks" / "mine" / f"{kind}.jsonl", *rows)
    write(tmp_path / "tasks" / "copa.jsonl", CHOICE, CHOICE)
    call = ["eval", str(model_folder), "--tasks", "mine,core", "--task-files", str(tmp_path / "tasks")]
    done = CliRunner().invoke(app, [*call, "--out", str(tmp_path / "out.json"), "--limit", "9"])
    assert done.exit_code == 0, done.output
    drawn = done.stdout
    assert "random weights" in drawn and "mine" in drawn and "core lacks hellaswag_zeroshot" in drawn
    saved = json.loads((tmp_path / "out.json").read_text())
    assert [row["name"] for row in saved["tasks"]] == ["choice", "language", "pairs", "schema", "copa"]
    for row in saved["tasks"]:
        credits = [one[row["counted"]] for one in saved["rows"][row["name"]]]
        assert len(credits) == row["rows"] == min(9, row["of"]) == row["random_weights"]["rows"]
        assert row[row["counted"]] == pytest.approx(sum(credits) / len(credits), abs=1e-5)
    again = json.loads(CliRunner().invoke(app, [*call, "--limit", "9", "--json", "--no-random-weights"]).stdout)
    assert "rows" not in again
    for row, other in zip(saved["tasks"], again["tasks"], strict=True):
        assert {key: row[key] for key in ("accuracy", "chance", "centred")} == {
            key: other[key] for key in ("accuracy", "chance", "centred")
        }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tasks", ","], "--tasks names no task"),
        (["--tasks", "nothing"], "neither a file or folder"),
        (["--tasks", "mine,mine"], "are both called"),
        (["--tasks", "bad"], "bad.jsonl, line 1 is of no known form"),
        (["--tasks", "mine", "--out", "{tmp}"], "cannot be written"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, model_folder: Path, options: list[str], message: str) -> None:
    write(tmp_path / "mine.jsonl", CHOICE)
    write(tmp_path / "bad.jsonl", {"a": 1})
    given = [option.format(tmp=tmp_path) for option in options]
    call = ["eval", str(model_folder), "--task-files", str(tmp_path), "--no-random-weights", *given]
    error = CliRunner().invoke(app, call).exception
    assert isinstance(error, UserError) and message in str(error) and "\n" not in str(error)
