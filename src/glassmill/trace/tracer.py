"""One text traced to the pages that have parts of it word for word.

    tracer = Tracer(origin_of(run))              # opens the index, which `tokens.suffixes.build` makes
    tracer.trace("Bea Larkin opened her shop")

Out: plain values for a terminal or a page. A page stands with its URL as long as the corpus run is there; its words
come from the ids, which are all that the model ever saw.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, TypedDict

import numpy as np

from glassmill.corpus.look.shown import Show, shown
from glassmill.tokens.suffixes import MOST_PLACES, SuffixIndex
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.trace.origins import Origin, check_ids, document_at, reading_of, steps_reading
from glassmill.trace.stretches import Stretch, stretches

AROUND_TOKENS, AROUND_CHARACTERS = 64, 160
MOST_STEPS = 12


class Steps(TypedDict):
    """Steps of the training that read a stretch in a document: how many, and the first of them, counted from 1."""

    count: int
    first: list[int]


class PageLine(TypedDict):
    """A document that has a stretch.

    Attributes:
        url: Its URL; None if the corpus run is gone, and so its `source`.
        shard, row: Its place in the corpus run.
        times: How often it has the stretch.
        before, text, after: The first of them, with what is around it.
        steps: None where it is not known when it was read.
    """

    url: str | None
    source: str | None
    shard: str
    row: int
    times: int
    before: str
    text: str
    after: str
    steps: Steps | None


class StretchLine(TypedDict):
    """A stretch: its characters in the text, how often it stands in how many documents (at least so many, if not `all`
    were looked at), how unlikely its tokens are together, and documents that have it."""

    start: int
    end: int
    text: str
    count: int
    documents: int
    all: bool
    bits: float
    pages: list[PageLine]


class Traced(TypedDict):
    """A text in the training documents: `corpus` is None if that run is gone; `others` were read too, not searched."""

    text: str
    tokens_run: str
    corpus: str | None
    training_tokens: int
    others: list[str]
    stretches: list[StretchLine]


class _Document(NamedTuple):
    shard: int
    number: int


def _as_it_is(value: object) -> object:
    return value


class Tracer:
    """Traces texts to the training documents of one model.

    Args:
        origin: What it was trained on; the tokens run has an index.
        threads: Of one search.

    Raises:
        UserError: there is no index, or something is damaged or does not belong together.
    """

    def __init__(self, origin: Origin, threads: int = 1) -> None:
        self.origin = origin
        self.index = SuffixIndex(origin.tokens, threads)
        self.shards = self.index.shards
        self.tokenizer = Tokenizer.load(origin.tokenizer)
        check_ids(origin, self.tokenizer, self.shards)
        self._reading = None if origin.train is None else reading_of(origin.train, self.shards)
        self._shown = shown(origin.tokens)  # its recipe has the corpus's settings, and the corpus may be gone
        self._documents = lru_cache(None)(self.shards.documents_of)
        self._page = lru_cache(4096)(self._read_page)

    def trace(self, text: str, pages: int = 5, clear: bool = False) -> Traced:
        """The stretches of `text`, each with at most `pages` documents: first those that have most of them.

        Args:
            text: What a model said, or any other text.
            pages: Documents of a stretch.
            clear: Show the documents' texts and names with the personal data that the run's recipe left in them.
        """
        show: Show = _as_it_is if clear else self._shown
        found = stretches(self.index, self.tokenizer, text)
        places = [self._places(stretch) for stretch in found]
        shared: dict[_Document, float] = defaultdict(float)
        for stretch, its in zip(found, places, strict=True):
            for document in its:
                shared[document] += stretch.bits
        lines: list[StretchLine] = []
        for stretch, its in zip(found, places, strict=True):
            best = sorted(its, key=lambda document: (-shared[document], document))[:pages]
            lines.append(
                {
                    "start": stretch.start,
                    "end": stretch.end,
                    "text": text[stretch.start : stretch.end],
                    "count": stretch.count,
                    "documents": len(its),
                    "all": stretch.count <= MOST_PLACES,
                    "bits": round(stretch.bits, 1),
                    "pages": [self._line(document, its[document], show) for document in best],
                }
            )
        corpus = self.origin.corpus
        return {
            "text": text,
            "tokens_run": f"tokens/{self.origin.tokens.name}",
            "corpus": None if corpus is None else f"{corpus.parent.name}/{corpus.name}",
            "training_tokens": self.index.tokens,
            "others": list(self.origin.others),
            "stretches": lines,
        }

    def _places(self, stretch: Stretch) -> Mapping[_Document, Sequence[tuple[int, int]]]:
        """The documents that have a stretch, and where: first id in the shard, and how many ids."""
        found: dict[_Document, list[tuple[int, int]]] = defaultdict(list)
        for ids in stretch.forms:
            for shard, first in self.index.places(np.array(ids, np.uint32)):
                number = int(np.searchsorted(self._documents(shard)[:, 0], first, "right")) - 1
                found[_Document(shard, number)].append((first, len(ids)))
        return {document: sorted(its) for document, its in found.items()}

    def _line(self, document: _Document, places: Sequence[tuple[int, int]], show: Show) -> PageLine:
        table, entry = self._documents(document.shard), self.shards.entries[document.shard]
        begin, row = map(int, table[document.number])
        end = int(table[document.number + 1, 0]) if document.number + 1 < len(table) else entry["tokens"]
        first, length = places[0]
        ids = self.shards.shard(document.shard)
        before = self._decoded(ids[max(begin, first - AROUND_TOKENS) : first])
        text = self._decoded(ids[first : first + length])
        after = self._decoded(ids[first + length : min(end - 1, first + length + AROUND_TOKENS)])
        before, after = _last_words(before), _last_words(after[::-1])[::-1]
        url, source = self._page(entry["corpus"], row)
        return {
            "url": None if url is None else str(show(url)),
            "source": None if source is None else str(show(source)),
            "shard": entry["corpus"],
            "row": row,
            "times": len(places),
            "before": str(show(before + text[: len(text) - len(text.lstrip())])),
            "text": text.strip(),
            "after": str(show(text[len(text.rstrip()) :] + after)),
            "steps": self._steps(document.shard, places),
        }

    def _decoded(self, ids: np.ndarray) -> str:
        """A cut-out's text, without the halves of characters at its ends."""
        return self.tokenizer.decode(np.asarray(ids, np.uint32)).strip("\ufffd")

    def _read_page(self, shard: str, row: int) -> tuple[str | None, str | None]:
        return document_at(self.origin.tokens, self.origin, shard, row)

    def _steps(self, shard: int, places: Sequence[tuple[int, int]]) -> Steps | None:
        if self._reading is None:
            return None
        steps = {step for first, ids in places for step in steps_reading(self._reading, self.shards, shard, first, ids)}
        return {"count": len(steps), "first": sorted(steps)[:MOST_STEPS]}


def _last_words(text: str) -> str:
    """What is shown of a text before a stretch, without the half of a word at its start."""
    shown = text[-AROUND_CHARACTERS:]
    return shown if shown == text else shown[max(0, shown.find(" ")) :]
