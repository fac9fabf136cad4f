"""Preference pairs: one row of somebody's data set -> a prompt, a better answer and a worse one.

    prompt, chosen, rejected    texts, or lists of messages (TRL's); `question`, `instruction` or `input` for `prompt`
    chosen, rejected            whole conversations, which are alike up to the answers

Nothing here loads torch, so that a mistake in a file is found before the first stage starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glassmill.errors import Misshapen, UserError
from glassmill.run.inputs import expand
from glassmill.run.rows import read_rows
from glassmill.tune.shapes import ROLES, conversation_of

PROMPTS = ("prompt", "question", "instruction", "input", "query")
SIDES = ("chosen", "rejected")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two conversations that are alike up to the answers.

    Attributes:
        chosen, rejected: Messages as `glassmill.tokens.chat` renders them.
        num_common: Messages that both begin with.
    """

    chosen: list[dict[str, Any]]
    rejected: list[dict[str, Any]]
    num_common: int

    @property
    def prompt(self) -> list[dict[str, Any]]:
        """What comes before the answers."""
        return self.chosen[: self.num_common]

    def learned(self, messages: Sequence[Mapping[str, Any]]) -> list[bool]:
        """Of one side's messages, which are the answer."""
        return [n >= self.num_common and message["role"] == "assistant" for n, message in enumerate(messages)]


def read_pairs(files: Sequence[str]) -> Iterator[tuple[Pair, str]]:
    """The pairs of the files, folders and globs that `dpo.pairs` names, each with its place in words.

    Raises:
        UserError: nothing there, or a row that is no pair; the message has file and line.
    """
    for path in expand(files):
        for place, row in read_rows(path):
            try:
                yield pair_of(row), place
            except Misshapen as error:
                raise UserError(f"{place} is not a preference pair: {error}") from None


def pair_of(row: object) -> Pair:
    """The pair in a row.

    Raises:
        Misshapen: it has neither of the shapes above.
    """
    if not isinstance(row, Mapping):
        raise Misshapen("it is not an object")
    for side in SIDES:
        if not row.get(side):
            raise Misshapen(f'it has no "{side}"; each row needs "prompt", "chosen" and "rejected"')
    prompt = _prompt(row)
    chosen, rejected = (_whole(prompt, row[side], side) for side in SIDES)
    common = 0
    while common < min(len(chosen), len(rejected)) and chosen[common] == rejected[common]:
        common += 1
    if not common:
        raise Misshapen('its two sides share no prompt; give it a "prompt"')
    for side, messages in zip(SIDES, (chosen, rejected), strict=True):
        if not messages[common:]:
            raise Misshapen("its chosen and rejected answers are the same, or one goes on where the other ends")
        if messages[-1]["role"] != "assistant" or messages[common]["role"] != "assistant":
            raise Misshapen(f'"{side}" does not answer the common prompt: its last message must be the assistant\'s')
    return Pair(chosen, rejected, common)


def _prompt(row: Mapping[str, Any]) -> list[Any]:
    prompt: Any = next((row[name] for name in PROMPTS if row.get(name)), [])
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    if not isinstance(turns, Sequence):
        raise Misshapen('its "prompt" is neither a text nor a list of messages')
    system = row.get("system")
    return [*([{"role": "system", "content": system}] if isinstance(system, str) and system else []), *turns]


def _whole(prompt: list[Any], side: object, name: str) -> list[dict[str, Any]]:
    """The conversation of one side; a list that begins with a question of its own has the prompt in it."""
    if isinstance(side, str):
        if not prompt:
            raise Misshapen(f'"{name}" is a text, and there is no "prompt" that it answers')
        side = [{"role": "assistant", "content": side}]
    elif isinstance(side, Mapping):
        side = [side]
    if not isinstance(side, Sequence) or not all(isinstance(turn, Mapping) for turn in side):
        raise Misshapen(f'"{name}" is neither a text nor a list of messages')
    given = str(side[0].get("role", side[0].get("from"))).lower()
    return conversation_of({"messages": side if ROLES.get(given) != "assistant" else [*prompt, *side]}).messages
