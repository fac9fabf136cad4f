"""Conversations -> what is learned of them: ids, and a mask that is True where the assistant's words are.

A conversation that is longer than a row is cut after the last turn of the assistant that fits; only where not even the
first fits is it cut within. What teaches nothing is left out. All of it is counted and told before training begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from glassmill.errors import UserError
from glassmill.tokens.chat import render_with_mask
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.tune.packing import Rendered
from glassmill.tune.reading import Placed
from glassmill.tune.shapes import Conversation


@dataclass(slots=True)
class Counts:
    """What became of the conversations, and the place of the first of each kind."""

    read: int = 0
    taught: int = 0
    learned_tokens: int = 0
    found: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def count(self, what: str, place: str, number: int = 1) -> None:
        """Note that `what` happened at `place`."""
        if number:
            self.found[what] += number
            self.first.setdefault(what, place)

    def stats(self) -> dict[str, int]:
        """For `stats.json`."""
        return {"read": self.read, "taught": self.taught, "learned_tokens": self.learned_tokens, **self.found}

    def warnings(self, length: int) -> Iterator[str]:
        """A sentence for everything that people may not expect."""
        said = {
            "no_answer": "conversations teach nothing: no message of the assistant in them is learned",
            "too_long": f"conversations teach nothing: no answer begins within a row of {length} tokens (sft.length)",
            "cut_at_turn": f"conversations are longer than a row of {length} tokens (sft.length): their last turns are "
            "left out",
            "cut_in_answer": f"conversations are cut within their first answer, at {length} tokens (sft.length)",
            "empty_answers": "answers are empty, and not learned",
        }
        for what, number in self.found.items():
            if what in said:
                yield f"{number} of {self.read} {said[what]}; the first is {self.first[what]}"
            elif what.startswith("key "):
                yield f"the key {what[4:40]!r} has no meaning here ({number} times; first in {self.first[what]})"


def examples(tokenizer: Tokenizer, placed: Sequence[Placed], length: int) -> tuple[list[Rendered], Counts]:
    """What is learned, in rows of `length` tokens, and what became of each conversation.

    Raises:
        UserError: the model's template refuses a conversation; or nothing is left to learn.
    """
    counts, learned = Counts(), list[Rendered]()
    for conversation, place in placed:
        counts.read += 1
        counts.count("empty_answers", place, conversation.num_empty)
        for key in conversation.ignored:
            counts.count(f"key {key}", place)
        if not any(conversation.learned):
            counts.count("no_answer", place)
            continue
        try:
            example = _example(tokenizer, conversation, length, counts, place)
        except UserError as error:
            raise UserError(f"{place}: {error}") from None
        if example is not None:
            learned.append(example)
            counts.learned_tokens += int(example.mask.sum())
    counts.taught = len(learned)
    if placed and not learned:
        raise UserError("sft has nothing to learn: " + "; ".join(counts.warnings(length)))
    return learned, counts


def _example(
    tokenizer: Tokenizer, conversation: Conversation, length: int, counts: Counts, place: str
) -> Rendered | None:
    whole = _rendered(tokenizer, conversation, len(conversation.messages))
    if len(whole.ids) <= length:
        if whole.mask.any():
            return whole
        counts.count("no_answer", place)
        return None
    fitting = None
    for end in (n + 1 for n, message in enumerate(conversation.messages[:-1]) if message["role"] == "assistant"):
        part = _rendered(tokenizer, conversation, end)
        if len(part.ids) > length:
            break
        fitting = part if part.mask.any() else fitting
    if fitting is not None:
        counts.count("cut_at_turn", place)
        return fitting
    if whole.mask[:length].any():
        counts.count("cut_in_answer", place)
        return Rendered(whole.ids[:length], whole.mask[:length])
    counts.count("too_long", place)
    return None


def _rendered(tokenizer: Tokenizer, conversation: Conversation, end: int) -> Rendered:
    """Ids and mask of the messages before `end`, without the answers that are not learned."""
    return Rendered(*render_with_mask(tokenizer, conversation.messages[:end], learned=conversation.learned[:end]))
