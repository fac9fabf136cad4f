"""An answer that is a quotation: a grammar that allows whole sentences of given texts, and nothing else.

In: a tokenizer and texts. The model chooses the text and after which sentence its quotation ends; it begins with the
text, and every token is the text's. So a small model, which misremembers what it has just read, cannot.

    Q quotations being followed; V vocabulary
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from glassmill.infer.compose import Vocabulary, end_token_ids
from glassmill.infer.sampling import Floats
from glassmill.search.lines import leads, sentences


@dataclass(slots=True)
class _Text:
    """A text's tokens, sentence by sentence, and where sentences end, counted in tokens."""

    ids: list[int] = field(default_factory=list)
    ends: set[int] = field(default_factory=set)


class Quotes:
    """The grammar (`glassmill.infer.sampling.Grammar`).

    Args:
        tokenizer: The model's.
        texts: What may be quoted, at least one with a word in it.
    """

    def __init__(self, tokenizer: Vocabulary, texts: Sequence[str]) -> None:
        self.end_ids = sorted(end_token_ids(tokenizer))
        self.texts = [_tokens(tokenizer, text) for text in texts]

    def begin(self) -> Quoting:
        """For a new answer."""
        return Quoting(self)


class Quoting:
    """Where in the texts one answer is (`glassmill.infer.sampling.Constraint`)."""

    def __init__(self, quotes: Quotes) -> None:
        self._quotes = quotes
        self._at_Q = [(text, 0) for text in quotes.texts]

    def mask(self, logits_V: Floats) -> None:
        """Leave the tokens that go on with a quotation, and behind a sentence those that end the answer."""
        allowed = {text.ids[at] for text, at in self._at_Q if at < len(text.ids)}
        if not allowed or any(at in text.ends for text, at in self._at_Q):
            allowed.update(self._quotes.end_ids)
        kept = np.fromiter(allowed, dtype=np.int64)
        logits = logits_V[kept]
        logits_V[:] = -np.inf
        logits_V[kept] = logits

    def accept(self, token: int) -> None:
        """Go on behind `token`."""
        self._at_Q = [(text, at + 1) for text, at in self._at_Q if at < len(text.ids) and text.ids[at] == token]


def _tokens(tokenizer: Vocabulary, text: str) -> _Text:
    """The sentences of `text`, each as it is written where an answer begins; between two of them is what is between."""
    found = _Text()
    before = 0
    pieces = sentences(text)
    for start, end in pieces:
        if found.ids:
            found.ids += map(int, tokenizer.encode(text[before:start]))
        found.ids += map(int, tokenizer.encode(text[start:end]))
        asks = text[start:end].rstrip().endswith("?")
        if not (asks or leads(text[start:end])) or end == pieces[-1][1]:  # a heading or a question is no answer
            found.ends.add(len(found.ids))
        before = end
    return found
