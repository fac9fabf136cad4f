"""`glassmill adapt`: a folder of documents, and a model that answers from them, with a measurement.

    runs/corpus/NAME-<hash6>/   the documents, cleaned, with their search index
    runs/adapt/NAME/exam.jsonl  questions made from the documents; corrected ones stay
    runs/adapt/NAME/report.json scores, and every answer
    runs/sft/NAME-<hash6>/      with `minutes`: the model, trained on the documents (`adapt_training.py`)

The corpus comes from the recipe `documents`; called again it is not made again. Of changed documents the index takes in
the difference, and questions about documents that are gone are deleted. The exam is taken by the model alone, and from
the documents in each way that `serve` knows. A third of the documents decides which way is best; the scores are of the
other questions.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from rich.table import Table

from glassmill.commands.adapt_training import QUESTIONS as LEARNED
from glassmill.commands.adapt_training import Learned, check_enough, learn
from glassmill.commands.terminal import Screen, plain
from glassmill.corpus.document import documents
from glassmill.errors import UserError
from glassmill.evals.exam import ExamRow, exam_lines, make_exam, unasked
from glassmill.evals.exam_answers import WAYS, Answered, WayScore, timed, way_score
from glassmill.evals.exam_scores import read_exam
from glassmill.infer.grounding import Documents
from glassmill.pipeline import run_line
from glassmill.recipe import find_recipe, load_recipe
from glassmill.run.files import atomic_json, atomic_write
from glassmill.search.index import open_index

EXAM, REPORT = "exam.jsonl", "report.json"
ADAPTED = "adapted_"
SAYS = {
    "bare": "the model alone",
    "free": "with search, in its own words",
    "quote": "with search, quoting",
    "adapted_bare": "trained, alone",
    "adapted_free": "trained, with search, in its own words",
    "adapted_quote": "trained, with search, quoting",
}
MEMORY_BYTES = 4e9
MOST_LEARNED = 2000
FEWEST = 10
"""Questions below which no exam says anything."""


class Adapted(TypedDict):
    """What came of it.

    Attributes:
        learned: The trained model, if one was asked for; a way that begins with `adapted_` is its.
        best: The way to answer that was right most often on the questions for choosing.
        serve: The command that serves it.
        cpu_minutes: Of this process; workers that read documents come on top.
    """

    corpus: str
    documents: int
    passages: int
    exam: str
    base: str
    ways: list[WayScore]
    learned: Learned | None
    best: str
    serve: str
    cpu_minutes: float
    answers: dict[str, list[Answered]]


def adapt(
    docs: Sequence[str],
    base: Path,
    name: str,
    runs: Path,
    questions: int,
    seed: int,
    told: Callable[[str], None],
    exclude: Sequence[str] = (),
    minutes: float | None = None,
    memory_bytes: float = MEMORY_BYTES,
) -> Adapted:
    """Make the corpus, its index and the exam, let the model in the folder `base` take it, and say which way is best.

    With `minutes`, that model is also trained on the documents, in at most `memory_bytes`, and takes the exam, too.

    Raises:
        UserError: No such documents, too little text for an exam, or an exam that cannot be read.
    """
    begin = time.process_time()
    settings = (
        f"name={name}",
        'stages=["corpus"]',
        f"corpus.inputs={json.dumps(list(docs), ensure_ascii=False)}",
        f"corpus.exclude={json.dumps(list(exclude), ensure_ascii=False)}",
        f"seed={seed}",
    )
    recipe = load_recipe(find_recipe("documents"), settings)
    with Screen() as screen:
        corpus = run_line(recipe, runs, (screen,)).folders["corpus"]
    index = open_index(corpus, told)
    place = runs / "adapt" / name
    place.mkdir(parents=True, exist_ok=True)
    (place / LEARNED).unlink(missing_ok=True)  # it may repeat sentences of documents that are gone
    if not (place / EXAM).is_file():
        read = (one for one in documents(corpus) if minutes is None or not _is_learned(one.url))
        rows = make_exam(read, questions, seed)
        if len(rows) < FEWEST:
            raise UserError(
                f"{corpus}: its documents give {len(rows)} questions, too few for an exam; write at least {FEWEST} "
                f'rows {{"question", "answer"}} into {place / EXAM}, and call this again'
            )
        atomic_write(place / EXAM, exam_lines(rows))
    _leave_out_gone(place / EXAM, {document.url.partition("#")[0] for document in documents(corpus)}, told)
    exam = read_exam(place / EXAM)
    teaching: list[ExamRow] = []
    if minutes is not None:
        teaching = _others(exam, corpus, seed)
        check_enough(teaching, place / EXAM)
    told(f"{len(exam)} questions in {place / EXAM} (correct them and call this again); loading {base}")
    from glassmill.infer.generate import Model

    found = Documents(index)
    answers: dict[str, list[Answered]] = {}
    ways: list[WayScore] = []

    def take(folder: Path, prefix: str) -> None:
        model = Model.load(folder, device="cpu")
        for way in WAYS:
            name = prefix + way
            told(f"taking the exam: {SAYS[name]}")
            answers[name], seconds = timed(model, exam, way, found)
            ways.append(way_score(name, answers[name], answers["bare"], seed, seconds))
        model.close()

    take(base, "")
    learned: Learned | None = None
    if minutes is not None:
        with Screen() as screen:
            learned = learn(settings, base, place, teaching, runs, minutes, memory_bytes, (screen,))
        take(Path(learned["model"]), ADAPTED)
    fit = [score for score in ways if not (learned and learned["kept"]["forgot"] and score["way"].startswith(ADAPTED))]
    best = max(fit, key=lambda score: score["chosen_by"])["way"]
    served, way = (learned["model"] if learned and best.startswith(ADAPTED) else base), best.removeprefix(ADAPTED)
    with_documents = [] if way == "bare" else ["--documents", str(corpus), "--answers", way]
    result: Adapted = {
        "corpus": str(corpus),
        "documents": index.num_documents,
        "passages": index.num_passages,
        "exam": str(place / EXAM),
        "base": str(base),
        "ways": ways,
        "learned": learned,
        "best": best,
        "serve": shlex.join(["glassmill", "serve", str(served), *with_documents]),
        "cpu_minutes": round((time.process_time() - begin) / 60, 2),
        "answers": answers,
    }
    atomic_json(place / REPORT, result)
    return result


def _others(exam: Sequence[Mapping[str, Any]], corpus: Path, seed: int) -> list[ExamRow]:
    """Questions about documents that no question of the exam is about, and for nothing that the exam asks for."""
    asked = {str(row.get("document", "")).partition("#")[0] for row in exam}
    left = (one for one in documents(corpus) if one.url.partition("#")[0] not in asked)
    return unasked(make_exam(left, MOST_LEARNED, seed), exam)


def _is_learned(url: str) -> bool:
    """Whether a document is for learning: half of them are, and an exam that is made for a training asks about none."""
    return hashlib.sha256(b"learned\0" + url.partition("#")[0].encode()).digest()[0] % 2 == 0


def _leave_out_gone(exam: Path, names: Collection[str], told: Callable[[str], None]) -> None:
    """Delete the questions about documents that are no longer there: an exam repeats their sentences."""
    lines = exam.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if (of := _document_of(line)) is None or of.partition("#")[0] in names]
    if len(kept) < len(lines):
        told(f"{len(lines) - len(kept)} questions about documents that are gone leave {exam}")
        atomic_write(exam, "".join(kept))


def _document_of(line: str) -> str | None:
    try:
        row = json.loads(line)
    except ValueError:  # told with its place when the exam is read
        return None
    name = row.get("document") if isinstance(row, dict) else None
    return name if isinstance(name, str) else None


def adapted_tables(result: Adapted) -> list[Table | str]:
    """The same for people."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "right", "95 %", "more than alone", "95 %", "right answers cite their passage"):
        table.add_column(title, justify="left" if not title else "right")
    for score in result["ways"]:
        mark = "[green]✓[/green] " if score["way"] == result["best"] else "  "
        cited = "" if score["cited"] is None else f"{score['cited']:.0%}"
        table.add_row(
            f"{mark}{SAYS[score['way']]}",
            f"{score['right']:.0%}",
            _interval(score["right_interval"]),
            "" if score["way"] == "bare" else f"{100 * score['gain']:+.0f} points",
            "" if score["way"] == "bare" else _interval(score["gain_interval"]),
            cited,
        )
    asked = result["ways"][0]["asked"]
    about = f"{asked} held-out questions about {result['documents']:,} documents ({plain(result['exam'])})"
    lines: list[Table | str] = []
    if learned := result["learned"]:
        kept, what = learned["kept"], "all weights" if learned["weights"] == "all" else "adapters"
        lines.append(
            f"trained {learned['steps']:,} steps ({what}) on the documents and {learned['conversations']:,} questions "
            f"about those that the exam leaves alone; perplexity of general text {kept['perplexity_before']:.2f} "
            f"before, {kept['perplexity']:.2f} after"
            + (": too much is forgotten to serve it" if kept["forgot"] else "")
        )
    return [table, *lines, f"[dim]{about}; {result['cpu_minutes']:.1f} CPU minutes[/dim]", plain(result["serve"])]


def _interval(bounds: tuple[float, float]) -> str:
    return f"{100 * bounds[0]:.0f} to {100 * bounds[1]:.0f}"
