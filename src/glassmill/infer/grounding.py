"""Answers from documents: the passages that a question is about go into the prompt, and the answer cites them.

In: an index of documents and a conversation. Out: the conversation with passages in its last question, as many as fit
the context; afterwards, which of them hold what was said. Two ways to answer:

    quote    a grammar lets the model say whole sentences of the passages' best lines and nothing else
    free     the model says what it likes, and is asked to keep to the passages

Where no passage has enough of the question's words nobody is asked, and the answer is `NOTHING`: a model would invent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from glassmill.errors import ContextOverflow
from glassmill.infer.conversation import Message, is_system, room_for
from glassmill.infer.quotes import Quotes
from glassmill.search.index import Hit, Index
from glassmill.search.question import STOP_WORDS

if TYPE_CHECKING:
    from glassmill.infer.generate import Model

Answering = Literal["quote", "free"]
NOTHING = "The documents say nothing about this."
MOST_PASSAGES: Mapping[Answering, int] = {"quote": 1, "free": 2}
"""More passages confuse a small model more than they help it: see docs/log.md."""
LEAST_SUPPORT = 0.5
"""A passage is cited if it has so much of what was said."""
_ASKED = {
    "quote": "{passages}\n\nAnswer by quoting the text above. Question: {question}",
    "free": "{passages}\n\nUsing only the text above, answer in one sentence. Question: {question}",
}
_WORD = re.compile(r"\w+")


class Citation(NamedTuple):
    """A passage that holds what was said, and how much of it, from 0 to 1."""

    hit: Hit
    support: float


@dataclass(frozen=True, slots=True)
class Grounded:
    """A conversation with passages in its last question.

    Attributes:
        messages: What the model reads.
        hits: The passages; none where the documents say nothing.
        grammar: What the answer has to be, if it is to be a quotation.
    """

    messages: list[Message]
    hits: list[Hit]
    grammar: Quotes | None

    def citations(self, said: str) -> list[Citation]:
        """The passages that hold what was said, those with most of it first."""
        cited = [Citation(hit, _support(said, hit.text)) for hit in self.hits]
        return sorted((one for one in cited if one.support >= LEAST_SUPPORT), key=lambda one: -one.support)


class Documents:
    """Documents that models answer from.

    Args:
        index: Theirs.
        answering: How.
    """

    def __init__(self, index: Index, answering: Answering = "quote") -> None:
        self.index, self.answering = index, answering

    def ground(
        self,
        model: Model,
        messages: Sequence[Message],
        max_tokens: int | None = None,
        answering: Answering | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Grounded | None:
        """The conversation with what the documents say about its last question; `None` if it does not end with one.

        Raises:
            ContextOverflow: Not even the best lines of one passage fit into the model's context.
        """
        last = messages[-1]
        question = _text(last["content"]) if last["role"] == "user" else ""
        if not question.strip():
            return None
        how = answering or self.answering
        hits = self.found(messages, MOST_PASSAGES[how])
        if not hits:
            return Grounded(list(messages), [], None)
        head = [message for message in messages[:-1] if is_system(message)]
        for some, shown in _smaller(hits):
            asked = _ASKED[how].format(passages="\n\n".join(shown), question=question)
            grounded = {**last, "content": asked}
            length = len(model.chat_ids([*head, grounded], options=options))
            if length + room_for(model.engine.max_length, max_tokens) <= model.engine.max_length:
                grammar = Quotes(model.tokenizer, [hit.quote for hit in some]) if how == "quote" else None
                return Grounded([*messages[:-1], grounded], some, grammar)
        raise ContextOverflow(
            f"a question with one passage of the documents has {length} tokens; the context holds "
            f"{model.engine.max_length} for prompt and answer together: use a model with a longer one"
        )

    def found(self, messages: Sequence[Message], most: int) -> list[Hit]:
        """The passages that the last question is about; if none is, with the words of the question before it."""
        asked = [_text(message["content"]) for message in messages if message["role"] == "user"]
        hits: list[Hit] = []
        for question in (asked[-1], " ".join(asked[-2:])):
            hits = hits or sorted(self.index.search(question), key=lambda hit: -hit.weight)
        return hits[:most]


def _smaller(hits: list[Hit]) -> list[tuple[list[Hit], list[str]]]:
    """Passages for the prompt, and how they are shown: whole, fewer and fewer, at last the best lines of one."""
    tries = [(hits[:number], [f"From {hit.document}:\n{hit.text}" for hit in hits[:number]]) for number in
             range(len(hits), 0, -1)]  # fmt: skip
    return [*tries, (hits[:1], [hits[0].quote])]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content or () if part.get("type") == "text")


def _support(said: str, passage: str) -> float:
    """How much of what was said stands in a passage: all of it word for word, or a share of its words."""
    if " ".join(said.split()) in " ".join(passage.split()):
        return 1.0
    words = {word.casefold() for word in _WORD.findall(said)} - STOP_WORDS
    there = {word.casefold() for word in _WORD.findall(passage)}
    return round(len(words & there) / len(words), 4) if words else 0.0
