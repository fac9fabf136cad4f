"""The verb `rl`: a tuned model and tasks whose answers can be checked -> a model that answers more of them right.

A group-relative policy gradient: answers are drawn from the model itself, those that are better than others to the same
question become likelier. No second model judges, and none is kept to stay close to unless `rl.kl` asks for it. The
loop, its checkpoints and its promises are those of `train`.

    tasks    files -> what is asked             rollouts   the model as it is -> answers
    rewards  an answer -> what it is worth      policy     rewards -> what every token counts
    groups   a round of all that -> batches for the loop

The town's own tasks (`glassmill.miniweb.practice`) ask nothing that the evaluation asks.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from glassmill.errors import UserError
from glassmill.infer.folder import load_folder
from glassmill.miniweb.practice import held_out_questions, make_practice, read_world
from glassmill.model.sizes import num_parameters
from glassmill.model.transformer import Transformer
from glassmill.recipe import RlSettings
from glassmill.run import kinds
from glassmill.run.files import atomic_write
from glassmill.run.folder import RunFolder
from glassmill.tokens.chat import render
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.train.deadline import Deadline
from glassmill.train.loop import fit
from glassmill.train.objective import check_alone
from glassmill.train.order import permuted
from glassmill.train.plan import set_up
from glassmill.train.rates import preferring
from glassmill.tune.before import start_of
from glassmill.tune.groups import GroupPolicy, shown
from glassmill.tune.model import fresh, publish
from glassmill.tune.packing import pages_of
from glassmill.tune.rl_facts import VERSION, resolved
from glassmill.tune.rollouts import Drawing, decoder_of, draw
from glassmill.tune.tasks import Task, read_tasks, tasks_of

__all__ = ["VERSION", "make", "resolved"]

NUM_TASKS = 4000
"""Of the town."""
QUESTIONS = "questions.jsonl"
"""What the evaluation asks besides the town's questions: held-out tasks of a kind that only rl practises."""
SAMPLES = 3
MOST_HELD_OUT = 400


def make(
    run: RunFolder,
    settings: RlSettings,
    seed: int,
    base: Path | None = None,
    web: Path | None = None,
    tokens: Path | None = None,
) -> None:
    """Improve the model by its own answers, and publish it.

    Raises:
        UserError: no model, no tasks, a row that is no task, tasks that are too long for the model, a run that was
            started with another type of products, or one that diverged.
    """
    deadline = Deadline(settings.minutes)
    settings = settings.model_copy(update={"seed": seed})
    start = start_of("rl", settings.base, base, run.path.parent.parent, "sft")
    settings = preferring(settings, start.meta)
    setup = set_up(settings, start.config.d_model)
    check_alone("rl", setup, settings.dropout)
    tasks = _tasks(settings, web)
    prompts = [[int(token) for token in render(start.tokenizer, task.messages)] for task in tasks]
    room = start.config.context_length - settings.max_tokens
    fitting = [number for number, prompt in enumerate(prompts) if len(prompt) <= room]
    if not fitting:
        raise UserError(
            f"rl has no task that leaves room for {settings.max_tokens} tokens of an answer in the model's "
            f"{start.config.context_length}; lower rl.max_tokens"
        )
    if len(fitting) < len(tasks):
        left_out = f"{len(tasks) - len(fitting)} of {len(tasks)} tasks are left out"
        run.emit(kinds.Warned(f"{left_out}: they leave no room for {settings.max_tokens} tokens of an answer"))
    order = [fitting[permuted(place, len(fitting), seed, -1)] for place in range(len(fitting))]
    num_held_out = min(int(len(order) * settings.held_out), MOST_HELD_OUT)
    held_out, practised = order[:num_held_out], order[num_held_out:]
    length = max(len(prompts[number]) for number in practised) + settings.max_tokens
    reference = load_folder(start.folder, setup.device.torch_device, torch.float32).model if settings.kl else None
    policy = GroupPolicy(
        run,
        start.tokenizer,
        [tasks[number] for number in practised],
        [prompts[number] for number in practised],
        settings,
        length,
        reference,
        pages_of(start, tokens, settings.prompts, length, seed, "rl") if settings.pages else None,
    )
    run.emit(kinds.Note(_words(settings, [tasks[number] for number in practised], num_held_out)))

    reporter = Reporter(
        run,
        start.tokenizer,
        [tasks[number] for number in held_out],
        [prompts[number] for number in held_out],
        Drawing(settings.max_tokens, 0.0),
        setup.device.threads,
    )
    before = reporter.measure(load_folder(start.folder).model)
    trained = fit(run, partial(fresh, start, settings, setup, seed), policy, settings, setup, reporter, deadline)
    assert trained is not None
    model, plan = trained
    publish(run, start, settings, model, {"steps": plan.steps, "seed": seed})
    policy.forget_after(plan.steps)
    if web is not None and not settings.tasks:
        rows = (json.dumps(asdict(question), ensure_ascii=False) for question in held_out_questions(read_world(web)[1]))
        atomic_write(run.path / QUESTIONS, "".join(f"{row}\n" for row in rows))
    run.finish(
        {
            "parameters": num_parameters(start.config),
            "steps": plan.steps,
            "tasks": len(practised),
            "held_out": num_held_out,
            "reward_before": before,
            "reward": reporter.rewards,
        }
    )


class Reporter:
    """What held-out tasks are worth when the model takes the likeliest tokens, and a few of its answers.

    Attributes:
        rewards: The last mean reward, of each kind of task.
    """

    tokens = 0

    def __init__(
        self,
        run: RunFolder,
        tokenizer: Tokenizer,
        tasks: Sequence[Task],
        prompts: Sequence[Sequence[int]],
        how: Drawing,
        threads: int,
    ) -> None:
        self.run, self.tokenizer, self.tasks, self.prompts = run, tokenizer, tasks, prompts
        self.how, self.threads = how, threads
        self.rewards: dict[str, float] = {}

    def measure(self, model: Transformer) -> dict[str, float]:
        """The mean reward of each kind of task."""
        with decoder_of(model, self.run.path / "work", self.threads) as decoder:
            answers = draw(decoder, self.tokenizer, self.prompts, [0] * len(self.prompts), self.how)
        marks: dict[str, list[float]] = defaultdict(list)
        for task, answer in zip(self.tasks, answers, strict=True):
            marks[task.kind].append(task.reward.score(answer.said))
        return {kind: round(sum(found) / len(found), 4) for kind, found in sorted(marks.items())}

    def report(self, model: Transformer, step: int) -> float | None:
        """Emit the rewards; what is missing to 1 on average, None where nothing is held out."""
        if not self.tasks:
            return None
        self.rewards = self.measure(model)
        for kind, reward in self.rewards.items():
            self.run.emit(kinds.Score(f"held_out_reward: {kind}", reward, step))
        counts = Counter(task.kind for task in self.tasks)
        return 1 - sum(self.rewards[kind] * number for kind, number in counts.items()) / len(self.tasks)

    def sample(self, model: Transformer, step: int) -> None:
        """Emit the model's answers to a few held-out tasks."""
        prompts = self.prompts[:SAMPLES]
        with decoder_of(model, self.run.path / "work", self.threads) as decoder:
            answers = draw(decoder, self.tokenizer, prompts, [0] * len(prompts), self.how)
        for task, answer in zip(self.tasks, answers, strict=False):
            self.run.emit(kinds.Sample(step, task.question, shown(answer.said)))


def _tasks(settings: RlSettings, web: Path | None) -> list[Task]:
    """The user's tasks, or the town's."""
    if settings.tasks:
        return read_tasks(settings.tasks)
    if web is None:
        raise UserError("rl has no tasks; set rl.tasks to files of tasks, such as JSONL")
    world, seed, num_conversations = read_world(web)
    rows = make_practice(world, seed, num_conversations, NUM_TASKS)
    return list(tasks_of((f"task {number} of the town", row) for number, row in enumerate(rows, start=1)))


def _words(settings: RlSettings, tasks: Sequence[Task], num_held_out: int) -> str:
    """What is practised, and how."""
    kinds_ = ", ".join(f"{kind} {number:,}" for kind, number in Counter(task.kind for task in tasks).most_common())
    return (
        f"{len(tasks):,} tasks to practise ({kinds_}), {num_held_out:,} held out; {settings.prompts} groups of "
        f"{settings.answers} answers a round, {settings.optimizer}, rl.peak_lr = {settings.peak_lr:g}"
    )
