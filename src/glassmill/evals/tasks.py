"""Evaluation tasks: rows go in, and how often a model finds the right answer likeliest comes out.

Three ways to say which answer is likeliest: the whole answer (`accuracy`; as lm-eval's `acc`), by character
(`per_character`; its `acc_norm`), by token from the first in which the answers differ (`per_token`; as CORE). Equal
ones share the point, so that a model that knows nothing scores exactly what chance does. A text that follows counts
where greedy decoding writes it. Errors are standard errors of the mean over rows; of a group, over its tasks' rows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from glassmill.evals.calibration import calibration, choice_probability
from glassmill.evals.contamination import Verdict
from glassmill.evals.core_tasks import CORE
from glassmill.evals.likelihood import Doubles, Scored, score
from glassmill.evals.prompts import Prompt, order, prompts
from glassmill.evals.task_files import Kind, Task
from glassmill.infer.decoder import Decoder
from glassmill.tokens.tokenizer import Tokenizer

AT_ONCE = 512
"""Rows whose ids are in memory."""
EQUAL = 1e-6
"""Log-probabilities that differ by less than this share are equal."""
COUNTED: dict[Kind, str] = {
    "pairs": "accuracy",
    "choice": "per_token",
    "schema": "accuracy",
    "language": "accuracy",
}
"""The score of each form that counts for CORE, and for which the other columns are."""
Told = Callable[[int, int, str], None]


class Mean(NamedTuple):
    """A mean and its standard error; the error of a single value is not known."""

    value: float
    error: float | None


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model scored in a task.

    Attributes:
        task: The task.
        lines: Of every row its line in the file, in the order asked.
        credits: Of every way to count, the credit of every row, 0 to 1.
        chance: Of every row the credit of a guess.
        length_alone: The credit in `accuracy` of a model that finds all tokens equally likely.
        cropped: Rows whose beginning did not fit the context.
        seconds: How long it took.
        sure: Of every row the share of the likeliest choice in the probability of all; empty for the form language.
    """

    task: Task
    lines: list[int]
    credits: dict[str, Doubles]
    chance: Doubles
    length_alone: Doubles
    cropped: int
    seconds: float
    sure: Doubles

    def mean(self, way: str | None = None, chosen: npt.NDArray[np.bool_] | None = None) -> Mean:
        """Of a way to count, or the one that counts, over all rows or the chosen ones."""
        credits = self.credits[way or COUNTED[self.task.kind]]
        return mean(credits if chosen is None else credits[chosen])


def score_task(
    decoder: Decoder, tokenizer: Tokenizer, task: Task, limit: int | None, seed: int, same_shots: bool, told: Told
) -> Scores:
    """Asks a task's rows.

    Args:
        decoder: Has no open rows, and room for `glassmill.evals.likelihood.ROWS`.
        tokenizer: Its tokenizer.
        task: The task.
        limit: Rows at most, drawn from all; None asks all of them.
        seed: Draws the examples before a question.
        same_shots: The same examples before every question: read once, so several times as fast.
        told: Is given rows done, rows in all, and the task's name.
    """
    began, rows = time.monotonic(), len(order(task, limit))
    asked = prompts(task, tokenizer, decoder.info.context_length, limit, seed, same_shots)
    lines: list[int] = []
    kept: list[dict[str, float]] = []
    chance: list[float] = []
    alone: list[float] = []
    sure: list[float] = []
    cropped = 0
    for block in _blocks(asked, AT_ONCE):
        found = score(decoder, [prompt.texts for prompt in block])
        for prompt, scored in zip(block, found, strict=True):
            lines.append(prompt.item.line)
            kept.append(credits(task.kind, prompt, scored))
            chance.append(_chance(task.kind, prompt, decoder.info.vocab_size))
            alone.append(_length_alone(task.kind, prompt, chance[-1]))
            if len(scored) > 1:
                sure.append(choice_probability(float(one.log_probabilities.sum()) for one in scored))
            cropped += prompt.cropped
            told(len(lines), rows, task.name)
    columns = {way: np.array([row[way] for row in kept]) for way in kept[0]}
    return Scores(
        task,
        lines,
        columns,
        np.array(chance),
        np.array(alone),
        cropped,
        round(time.monotonic() - began, 3),
        np.array(sure),
    )


def credits(kind: Kind, prompt: Prompt, scored: Sequence[Scored]) -> dict[str, float]:
    """Of every way to count, the point of the right answer, or its share of it."""
    if kind == "language":
        return {"accuracy": scored[0].greedy}
    gold = prompt.item.gold
    whole = [float(one.log_probabilities.sum()) for one in scored]
    ways = {"accuracy": whole}
    if kind != "schema":
        ways["per_character"] = [value / length for value, length in zip(whole, prompt.lengths, strict=True)]
        ways["per_token"] = [
            float(one.log_probabilities[differ - text.start :].mean())
            for one, text, differ in zip(scored, prompt.texts, prompt.differ, strict=True)
        ]
    return {way: share(values, gold) for way, values in ways.items()}


def share(values: Sequence[float], gold: int) -> float:
    """1 if `values[gold]` is the largest, 0 if it is not, and its share of the point where several are.

    >>> share([-1.0, -1.0, -2.0], 0)
    0.5
    """
    best = max(values)
    winners = [place for place, value in enumerate(values) if best - value <= EQUAL * max(1.0, abs(best))]
    return 1 / len(winners) if gold in winners else 0.0


def _chance(kind: Kind, prompt: Prompt, vocab_size: int) -> float:
    if kind != "language":
        return 1 / len(prompt.texts)
    return float(vocab_size) ** -(len(prompt.texts[0].ids) - prompt.texts[0].start)


def _length_alone(kind: Kind, prompt: Prompt, chance: float) -> float:
    if kind == "language":
        return chance
    return share([float(text.start - len(text.ids)) for text in prompt.texts], prompt.item.gold)


def mean(values: Doubles) -> Mean:
    """The mean and its standard error, by the deviation of the sample."""
    if not len(values):
        return Mean(math.nan, None)
    error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
    return Mean(float(values.mean()), error)


def mean_of_means(means: Sequence[Mean]) -> Mean:
    """Of tasks that count alike, whatever their sizes; the error is that of independent means."""
    errors = [one.error for one in means]
    together = math.sqrt(sum(error**2 for error in errors if error is not None)) / len(means)
    return Mean(sum(one.value for one in means) / len(means), None if None in errors else together)


def centred(task: Task, found: Mean, chance: float) -> Mean:
    """0 for a guess and 1 for no mistake (DCLM): by CORE's published baseline, or else by chance."""
    base = chance if task.setup.baseline is None else task.setup.baseline
    return Mean((found.value - base) / (1 - base), None if found.error is None else found.error / (1 - base))


def report(found: Sequence[Scores], random_weights: Sequence[Scores], missing: Sequence[str]) -> dict[str, Any]:
    """`tasks`, one row each, and `groups`, the means of those that were asked for together.

    Args:
        found: Of the model.
        random_weights: Of a model of its shape that has learned nothing, of the same tasks or of none.
        missing: CORE's tasks whose files are not there.
    """
    untrained = {scores.task.name: scores for scores in random_weights}
    tasks = [_row(scores, untrained.get(scores.task.name)) for scores in found]
    groups: dict[str, Any] = {}
    for group in dict.fromkeys(scores.task.group for scores in found):
        members = [scores for scores in found if scores.task.group == group]
        if len(members) > 1 or group == "core":
            groups[group] = _group(group, members, untrained, missing)
    return {"tasks": tasks, "groups": groups}


def contamination(scores: Scores, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The score of the rows that stand in no document, and of those that do; too short ones are in neither."""
    states = np.array([verdict.state for verdict in verdicts])
    told: dict[str, Any] = {state: int((states == state).sum()) for state in ("exact", "fuzzy", "short")}
    for part, chosen in (("clean", states == "clean"), ("dirty", (states == "exact") | (states == "fuzzy"))):
        told[part] = {"rows": int(chosen.sum())}
        if chosen.any():
            told[part] |= _named("score", scores.mean(None, chosen))
    return told


def _row(scores: Scores, untrained: Scores | None) -> dict[str, Any]:
    task, chance = scores.task, float(scores.chance.mean())
    row: dict[str, Any] = {
        "name": task.name,
        "group": task.group,
        "file": str(task.path),
        "form": task.kind,
        "shots": task.setup.shots,
        "rows": len(scores.lines),
        "of": len(task.items),
        "cropped": scores.cropped,
        "counted": COUNTED[task.kind],
    }
    for way in scores.credits:
        row |= _named(way, scores.mean(way))
    if found := calibration(scores.sure, scores.credits["accuracy"]):
        row["calibration"] = found
    row |= {"chance": _rounded(chance), "length_alone": _rounded(float(scores.length_alone.mean()))}
    row |= _named("centred", centred(task, scores.mean(), chance))
    if untrained:
        row["random_weights"] = {"rows": len(untrained.lines), **_named("score", untrained.mean())}
    return row | {"seconds": scores.seconds, "rows_per_s": round(len(scores.lines) / max(scores.seconds, 1e-3), 2)}


def _group(
    name: str, members: Sequence[Scores], untrained: dict[str, Scores], missing: Sequence[str]
) -> dict[str, Any]:
    chances = [float(scores.chance.mean()) for scores in members]
    if name == "core":
        means = [centred(one.task, one.mean(), chance) for one, chance in zip(members, chances, strict=True)]
        told: dict[str, Any] = {"tasks": len(members), "of": len(CORE), "missing": list(missing)}
        told |= _named("score", mean_of_means(means))
    else:
        told = {"tasks": len(members)} | _named("score", mean_of_means([one.mean() for one in members]))
        told["chance"] = _rounded(sum(chances) / len(chances))
    known = [untrained[one.task.name] for one in members if one.task.name in untrained]
    if len(known) == len(members):
        means = [
            centred(one.task, one.mean(), float(one.chance.mean())) if name == "core" else one.mean() for one in known
        ]
        told["random_weights"] = {"rows": sum(len(one.lines) for one in known), **_named("score", mean_of_means(means))}
    return told


def _named(name: str, found: Mean) -> dict[str, float | None]:
    return {name: _rounded(found.value), f"{name}_error": None if found.error is None else _rounded(found.error)}


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _blocks(asked: Iterator[Prompt], size: int) -> Iterator[list[Prompt]]:
    while block := list(islice(asked, size)):
        yield block
