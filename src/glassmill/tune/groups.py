"""The objective of `rl`: every round draws groups of answers from the model as it is, and its steps learn from them.

A round takes tasks in an order that the seed decides, and draws a group of answers to each. Groups whose answers are
all equally good teach nothing: others are drawn in their place, for so many tries (DAPO: arXiv 2503.14476, section
3.2). Where no answer is right and the task brings its solution, the solution may take the place of one (LUFFY: Yan et
al. 2025, arXiv 2504.14945).

What was drawn is written down before the first step learns from it, with rewards and advantages: for people, and for a
run that was killed within a round. A round is a function of its number and of the weights at its beginning.

    P groups of a round, G answers of a group, B = P G, T positions
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassmill.infer.compose import ToolUse
from glassmill.model.transformer import Transformer
from glassmill.recipe import RlSettings
from glassmill.run import kinds
from glassmill.run.folder import RunFolder
from glassmill.tokens.chat import render_with_mask
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.train.batches import Windows
from glassmill.train.gradients import Batch
from glassmill.train.objective import Objective, logprobs
from glassmill.train.order import permuted
from glassmill.tune.packing import Rendered, in_rows
from glassmill.tune.policy import advantages, counted
from glassmill.tune.rewards import Said
from glassmill.tune.rollouts import Answer, Drawing, decoder_of, draw, seed_of
from glassmill.tune.tasks import Task

SHOWN = 200
"""Characters of an answer that an event has."""


@dataclass(frozen=True, slots=True)
class Group:
    """A task's prompt, the answers to it, and what each is worth.

    Attributes:
        shown: The last answer is the task's own solution.
        old: Log-probabilities of every answer's tokens at the beginning of the round; filled where they are needed.
    """

    task: int
    answers: list[Answer]
    rewards: list[float]
    advantages: list[float]
    shown: bool = False

    @property
    def teaches(self) -> bool:
        """Whether the answers differ in their worth."""
        return bool(self.advantages)


class GroupPolicy(Objective):
    """Batches of answers, with the weights of the policy's gradient.

    Args:
        tasks: What is asked.
        prompts: The ids of every task.
        length: Tokens of the longest prompt and answer together.
        reference: The model to stay close to, if `settings.kl` is not 0.
        pages: Windows to read beside the answers, if `settings.pages` is not 0.
    """

    def __init__(
        self,
        run: RunFolder,
        tokenizer: Tokenizer,
        tasks: Sequence[Task],
        prompts: Sequence[Sequence[int]],
        settings: RlSettings,
        length: int,
        reference: Transformer | None = None,
        pages: Windows | None = None,
    ) -> None:
        self.pages, self.pages_weight = pages, settings.pages
        self.run, self.tokenizer, self.tasks, self.prompts = run, tokenizer, tasks, prompts
        self.settings, self.length, self.reference = settings, length, reference
        self.rows = -(-settings.prompts * settings.answers // settings.updates) + (pages.rows if pages else 0)
        self.how = Drawing(settings.max_tokens, settings.temperature)
        self.number, self.groups = -1, list[Group]()
        self.old: Tensor | None = None

    def own_batch(self, step: int) -> Batch:
        """The part of its round that a step learns from."""
        number, part = divmod(step, self.settings.updates)
        if number != self.number:
            self._begin(number, from_file=part > 0)
        rows = [(group, one) for group in self.groups for one in range(len(group.answers))]
        mine = list(range(len(rows)))[part :: self.settings.updates]
        return self._batch([rows[place] for place in mine], mine, step)

    def _batch(self, rows: Sequence[tuple[Group, int]], places: Sequence[int], step: int) -> Batch:
        if not rows:
            self.loss, nothing = 0.0, torch.zeros(1, self.length, dtype=torch.int64)
            return Batch(nothing, nothing, torch.zeros(1, self.length))
        ids_BT, targets_BT, mask_BT = self._tensors(rows)
        advantages_B = torch.tensor([group.advantages[one] for group, one in rows])
        reference_BT = None
        if self.reference is not None:
            reference_BT = self._logprobs(self.reference, ids_BT, targets_BT)
        now_BT = torch.zeros(ids_BT.shape)
        if self.old is not None or reference_BT is not None:
            now_BT = self._logprobs(self.model, ids_BT, targets_BT)
        old_BT = now_BT if self.old is None else self.old[list(places)]
        clip = (self.settings.clip_low, self.settings.clip_high)
        found = counted(now_BT, old_BT, advantages_B, mask_BT, clip, reference_BT, self.settings.kl)
        self.loss = found.loss
        if self.settings.updates > 1:
            self.run.emit(kinds.Score("clipped", round(found.clipped, 5), step))
        return Batch(ids_BT, targets_BT, found.weights_BT)

    def _tensors(self, rows: Sequence[tuple[Group, int]]) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, targets and mask `(B, T)`: target t is the id at t + 1, and the mask is 1 where the model chose it."""
        whole = []
        for group, one in rows:
            prompt, answer = self.prompts[group.task], group.answers[one]
            ids = np.array([*prompt, *answer.ids], dtype=np.int64)
            whole.append(Rendered(ids, np.array([False] * len(prompt) + list(answer.chosen))))
        return in_rows(whole, self.length, self.tokenizer.eos_id)

    def _logprobs(self, model: Transformer, ids_BT: Tensor, targets_BT: Tensor) -> Tensor:
        rows = max(1, self.settings.micro_batch_tokens // self.length)
        return logprobs(model, ids_BT, targets_BT, self.setup, rows)

    def forget_after(self, steps: int) -> None:
        """Delete the rounds that an earlier attempt drew beyond the `steps` that the run took in the end."""
        for path in (self.run.path / "rollouts").glob("round-*.json"):
            if int(path.stem.removeprefix("round-")) * self.settings.updates >= steps:
                path.unlink()

    # --- a round ------------------------------------------------------------------------------------------------------

    def _begin(self, number: int, from_file: bool) -> None:
        """Draw round `number`, or read what was drawn before its first step."""
        path = self.run.path / "rollouts" / f"round-{number:05d}.json"
        self.number, self.old = number, None
        if from_file and path.exists():
            self._read(json.loads(path.read_text(encoding="utf-8")))
            return
        groups = self._draw(number)
        self.groups = [group for group in groups if group.teaches][: self.settings.prompts]
        if self.settings.updates > 1 and self.groups:
            rows = [(group, one) for group in self.groups for one in range(len(group.answers))]
            ids_BT, targets_BT, _ = self._tensors(rows)
            self.old = self._logprobs(self.model, ids_BT, targets_BT)
        path.parent.mkdir(exist_ok=True)
        self.run.write_json(f"rollouts/{path.name}", self._written(groups))
        self._tell(number, groups)

    def _draw(self, number: int) -> list[Group]:
        """Groups until enough of them teach something, or the tries are used up."""
        settings, groups = self.settings, list[Group]()
        place = number * settings.prompts * settings.tries
        with decoder_of(self.model, self.run.path / "work", self.setup.device.threads) as decoder:
            for _ in range(settings.tries):
                picked = [self._task(place + index) for index in range(settings.prompts)]
                seeds = [
                    seed_of(settings.seed or 0, place + index, one)
                    for index in range(len(picked))
                    for one in range(settings.answers)
                ]
                prompts = [self.prompts[task] for task in picked for _ in range(settings.answers)]
                answers = draw(decoder, self.tokenizer, prompts, seeds, self.how)
                for index, task in enumerate(picked):
                    own = answers[index * settings.answers : (index + 1) * settings.answers]
                    groups.append(self._group(task, own))
                place += settings.prompts
                if sum(group.teaches for group in groups) >= settings.prompts:
                    break
        return groups

    def _task(self, place: int) -> int:
        epoch, index = divmod(place, len(self.tasks))
        return permuted(index, len(self.tasks), self.settings.seed or 0, epoch)

    def _group(self, number: int, answers: list[Answer]) -> Group:
        task = self.tasks[number]
        rewards = [task.reward.score(answer.said) for answer in answers]
        shown = False
        if self.settings.show and task.solution is not None and max(rewards) <= 0:
            shown, answers = True, [*answers[:-1], self._solution(task, len(self.prompts[number]))]
            rewards[-1] = 1.0
        found = advantages(rewards)
        return Group(number, answers, rewards, [] if found is None else found.tolist(), shown)

    def _solution(self, task: Task, begin: int) -> Answer:
        """The task's own solution, as if the model had said it."""
        assert task.solution is not None
        ids, mask = render_with_mask(self.tokenizer, [*task.messages, task.solution])
        answer = tuple(map(int, ids[begin:]))[: self.length - begin]
        content = task.solution["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        said = "".join(part.get("text", "") for part in parts if part["type"] == "text")
        uses = [
            ToolUse(call["expression"], result["text"])
            for call, result in pairwise(parts)
            if call["type"] == "tool_call"
        ]
        return Answer(answer, tuple(map(bool, mask[begin:]))[: len(answer)], Said(said, tuple(uses)))

    # --- what is written down and told --------------------------------------------------------------------------------

    def _written(self, groups: Sequence[Group]) -> list[dict[str, Any]]:
        """A round for people and for `_read`: the groups that are learned from first."""
        learned = {id(group): number for number, group in enumerate(self.groups)}
        rows = []
        for group in sorted(groups, key=lambda group: learned.get(id(group), len(learned))):
            task, answers = self.tasks[group.task], list[dict[str, Any]]()
            for one, answer in enumerate(group.answers):
                answers.append(
                    {
                        "text": answer.said.text,
                        "calculations": [[use.expression, use.result] for use in answer.said.uses],
                        "finished": answer.said.finished,
                        "reward": group.rewards[one],
                        "advantage": group.advantages[one] if group.teaches else 0.0,
                        "ids": list(answer.ids),
                        "chosen": [int(own) for own in answer.chosen],
                    }
                )
                if self.old is not None and id(group) in learned:
                    begin = len(self.prompts[group.task]) - 1
                    row = learned[id(group)] * self.settings.answers + one
                    answers[-1]["logprobs"] = self.old[row, begin : begin + len(answer.ids)].tolist()
            told = {"prompt": task.question, "kind": task.kind, "task": group.task, "learned": id(group) in learned}
            rows.append({**told, "shown": group.shown, "answers": answers})
        return rows

    def _read(self, rows: list[dict[str, Any]]) -> None:
        """Take up a round where an earlier attempt was killed."""
        self.groups = [
            Group(
                row["task"],
                [
                    Answer(tuple(one["ids"]), tuple(map(bool, one["chosen"])), Said(one["text"], (), one["finished"]))
                    for one in row["answers"]
                ],
                [one["reward"] for one in row["answers"]],
                [one["advantage"] for one in row["answers"]],
                row["shown"],
            )
            for row in rows
            if row["learned"]
        ]
        told = [(row["task"], one["logprobs"]) for row in rows if row["learned"] for one in row["answers"]]
        self.old = torch.zeros(len(told), self.length)
        for old_T, (task, found) in zip(self.old, told, strict=True):
            begin = len(self.prompts[task]) - 1
            old_T[begin : begin + len(found)] = torch.tensor(found)

    def _tell(self, number: int, groups: Sequence[Group]) -> None:
        """The round's numbers, and one group of answers."""
        step = number * self.settings.updates
        rewards = [reward for group in groups for reward in group.rewards[: len(group.rewards) - group.shown]]
        self.run.emit(kinds.Score("reward", round(float(np.mean(rewards)), 5), step))
        self.run.emit(kinds.Score("groups_that_teach", round(len(self.groups) / self.settings.prompts, 5), step))
        if self.groups:
            group = self.groups[number % len(self.groups)]
            self.run.emit(
                kinds.Rollouts(
                    step,
                    self.tasks[group.task].question,
                    tuple(shown(answer.said) for answer in group.answers),
                    tuple(group.rewards),
                    tuple(round(value, 4) for value in group.advantages),
                )
            )


def shown(said: Said) -> str:
    """An answer for people: the calculator's uses, then the words."""
    uses = "".join(f"[calculator: {use.expression} = {use.result}] " for use in said.uses)
    return f"{uses}{said.text}"[:SHOWN]
