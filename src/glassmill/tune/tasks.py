"""Files of tasks -> what is asked, and what an answer is worth. Nothing here loads torch.

{"prompt": "What is 3 + 4?", "calculates": 7}      a question, or a list of messages, or {"messages": [...]}
{"prompt": "Who is Ada?", "refuses": "Ada"}        what is right, see `glassmill.tune.rewards`
"kind"       groups tasks in reports               "solution"   an answer that is shown where nobody finds one
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glassmill.errors import Misshapen, UserError
from glassmill.run.inputs import expand
from glassmill.run.rows import read_rows
from glassmill.tune.rewards import KINDS, Reward, create
from glassmill.tune.shapes import conversation_of

PROMPTS = ("prompt", "question", "messages")


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked.

    Attributes:
        messages: The conversation up to where the assistant speaks.
        reward: What an answer is worth.
        kind: The row's own word for it, or how it is rewarded.
        solution: The assistant's message that solves it, if the row has one.
    """

    messages: tuple[dict[str, Any], ...]
    reward: Reward
    kind: str
    solution: dict[str, Any] | None = None

    @property
    def question(self) -> str:
        """The last thing said, for people."""
        return str(self.messages[-1]["content"])


def read_tasks(files: Sequence[str]) -> list[Task]:
    """The tasks of the files, folders and globs that `rl.tasks` names.

    Raises:
        UserError: nothing there, or a row that is no task; the message has file and line.
    """
    return list(tasks_of(row for path in expand(files) for row in read_rows(path)))


def tasks_of(rows: Iterable[tuple[str, Any]]) -> Iterator[Task]:
    """The tasks of rows, each with its place in words.

    Raises:
        UserError: one is none; the message has its place.
    """
    for place, row in rows:
        try:
            yield task_of(row)
        except Misshapen as error:
            raise UserError(f"{place} is not a task: {error}") from None


def task_of(row: object) -> Task:
    """The task in a row.

    Raises:
        Misshapen: it asks nothing, or does not say what is right.
    """
    if not isinstance(row, Mapping):
        raise Misshapen("it is not an object")
    asked = next((row[name] for name in PROMPTS if name in row), None)
    if isinstance(asked, str):
        asked = [{"role": "user", "content": asked}]
    if not isinstance(asked, Sequence) or not asked or isinstance(asked, str):
        raise Misshapen('it needs a "prompt": a text, or a list of messages')
    messages = conversation_of({"messages": asked}).messages
    if messages[-1]["role"] != "user":
        raise Misshapen("its last message must be the user's")
    rewarded = next((kind for kind in KINDS if kind in row), "")
    return Task(tuple(messages), create(row), str(row.get("kind") or rewarded), _solution(row.get("solution")))


def _solution(value: object) -> dict[str, Any] | None:
    if value is None:
        return None
    question = {"role": "user", "content": "?"}
    return conversation_of({"messages": [question, {"role": "assistant", "content": value}]}).messages[1]
