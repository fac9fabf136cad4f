"""Which rows of a task stand in the documents that a model was trained on.

In: the texts of the rows (question and answer), and a corpus run. Out: of every row whether it is *dirty*, and pages.

    exact   13 words in a row of it stand in one document (GPT-3, Brown et al. 2020, appendix C: 13-grams); of a text of
            5 to 12 words, all of its 5-grams
    fuzzy   not exact, but a good third of its 5-grams, and four at least, stand in one document: some of its words were
            changed

Case and punctuation do not matter (`grams.py`). 5-grams that many rows have ("which of the following is") say nothing
and do not count. A text of fewer than 5 words is not looked for. The n-grams of the rows are in memory and the corpus
streams by, so memory follows from the tasks alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from glassmill.errors import UserError
from glassmill.evals.grams import Bytes, Hashes, Places, Words, words, words_of
from glassmill.tokens.documents import document_shards

LONG, SHORT = 13, 5
FUZZY_SHARE, FUZZY_LEAST = 0.35, 4
COMMON = 50
"""A 5-gram of more rows than this is a manner of speaking."""
PIECE_BYTES = 1 << 18
"""Of the corpus that are hashed at once: small enough for a processor's caches."""
ROWS_AT_ONCE = 512
MOST_PAGES = 5
LEAST_BITS, MOST_BITS = 16, 28
"""Of the table that most n-grams of the corpus fail to pass; it has 16 places or more for each n-gram of the rows."""

State = Literal["clean", "exact", "fuzzy", "short"]


class Page(NamedTuple):
    """A document of the corpus run: its URL, shard and row there, and the share of the row's 5-grams it has."""

    url: str
    shard: str
    row: int
    share: float


@dataclass(slots=True)
class Verdict:
    """Of a row: `short` was not looked for. `pages` are some of the documents that have it, `found` is their number."""

    state: State
    pages: list[Page] = field(default_factory=list)
    found: int = 0


class _Set:
    """n-grams of the rows, each with the rows that have it."""

    def __init__(self, n: int, hashes: Hashes, rows: Places) -> None:
        self.n, (self.hashes, self.rows) = n, _different(hashes, rows)

    def found(self, documents: Words, first: Places) -> tuple[Places, Places, Hashes]:
        """Those of the documents' n-grams with these first words that rows have, a line for each row that has it:
        document, row, hash."""
        first = first[documents.whole(first, self.n)]
        hashes = documents.grams_at(first, self.n)
        begin = np.searchsorted(self.hashes, hashes)
        known = self.hashes[np.minimum(begin, len(self.hashes) - 1)] == hashes if len(self.hashes) else begin < 0
        first, hashes, begin = first[known], hashes[known], begin[known]
        counts = np.searchsorted(self.hashes, hashes, "right") - begin
        places = np.repeat(begin - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        return np.repeat(documents.text[first], counts), self.rows[places], np.repeat(hashes, counts)


class _Filter:
    """A Bloom filter with two functions, which few hashes pass that it was not made from."""

    def __init__(self, hashes: Hashes) -> None:
        bits = min(MOST_BITS, max(LEAST_BITS, len(hashes).bit_length() + 4))
        self.shift, self.mask = np.uint64(64 - bits), np.uint64((1 << bits) - 1)
        self.table = np.zeros(1 << bits, np.bool_)
        for slots in (self._upper(hashes), self._lower(hashes)):
            self.table[slots] = True

    def passed(self, hashes: Hashes) -> Places:
        """Places of those that pass."""
        places = np.flatnonzero(self.table[self._upper(hashes)])
        return places[self.table[self._lower(hashes[places])]]

    def _upper(self, hashes: Hashes) -> Places:
        return (hashes >> self.shift).view(np.int64)

    def _lower(self, hashes: Hashes) -> Places:
        return (hashes & self.mask).view(np.int64)


class Contamination:
    """The rows of tasks, looked for in documents.

    Args:
        texts: One for each row.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        own = words_of(texts)
        lengths = np.bincount(own.text, minlength=len(texts))
        long, short = (_grams(own, n) for n in (LONG, SHORT))
        self._filter = _Filter(short[0])
        self._long = _Set(LONG, *long)
        rare = _rare(*short)
        self._short = _Set(SHORT, short[0][rare], short[1][rare])
        self._num_short = np.bincount(self._short.rows, minlength=len(texts))
        self._is_long = lengths >= LONG
        self.verdicts = [Verdict("clean" if length >= SHORT else "short") for length in lengths]
        self.documents = 0

    def look(self, data: Bytes, offsets: Places, page_of: Callable[[int], tuple[str, str, int]]) -> None:
        """Looks into documents that lie one behind the other; `page_of` has URL, shard and row of each."""
        self.documents += len(offsets) - 1
        documents = words(data, offsets)
        likely = self._filter.passed(documents.grams(SHORT))
        # where 13 words are a row's, so are the nine 5-grams in them
        runs = LONG - SHORT
        begins = likely[: max(0, len(likely) - runs)]
        begins = begins[likely[runs:] == begins + runs]
        exact: dict[tuple[int, int], None] = {}
        for document, row, _ in zip(*self._long.found(documents, begins), strict=True):
            exact[int(document), int(row)] = None
        shares = self._shares(documents, likely)
        for document, row in exact:
            self._add(row, "exact", page_of(document), shares.pop((document, row), 0.0))
        for (document, row), share in shares.items():
            if share == 1 and not self._is_long[row]:
                self._add(row, "exact", page_of(document), share)
            elif share >= FUZZY_SHARE and share * self._num_short[row] >= FUZZY_LEAST - 0.5:
                self._add(row, "fuzzy", page_of(document), share)

    def _shares(self, documents: Words, likely: Places) -> dict[tuple[int, int], float]:
        """Of documents and rows the share of the row's 5-grams that the document has, where it is not too small."""
        document, row, hashes = self._short.found(documents, likely)
        if not len(row):
            return {}
        order = np.lexsort((hashes, row, document))
        document, row, hashes = document[order], row[order], hashes[order]
        new_pair = np.append(True, (document[1:] != document[:-1]) | (row[1:] != row[:-1]))
        different = new_pair | np.append(True, hashes[1:] != hashes[:-1])
        begins = np.flatnonzero(new_pair)
        counts = np.add.reduceat(different.astype(np.int64), begins)
        shares = counts / self._num_short[row[begins]]
        enough = shares >= FUZZY_SHARE
        found = begins[enough]
        return {
            (int(one), int(other)): float(share)
            for one, other, share in zip(document[found], row[found], shares[enough], strict=True)
        }

    def _add(self, row: int, state: State, page: tuple[str, str, int], share: float) -> None:
        verdict = self.verdicts[row]
        if verdict.state != "exact" and state == "exact":
            verdict.state, verdict.pages, verdict.found = "exact", [], 0
        elif verdict.state == "exact" and state == "fuzzy":
            return
        verdict.state = state
        verdict.found += 1
        if len(verdict.pages) < MOST_PAGES:
            verdict.pages.append(Page(*page, round(share, 3)))


def _grams(texts: Words, n: int) -> tuple[Hashes, Places]:
    """The n-grams of texts, and the text of each."""
    hashes = texts.grams(n)
    first = np.flatnonzero(texts.whole(np.arange(len(hashes)), n))
    return hashes[first], texts.text[first]


def _rare(hashes: Hashes, rows: Places) -> npt.NDArray[np.bool_]:
    """Which n-grams are no manner of speaking."""
    known, counts = np.unique(_different(hashes, rows)[0], return_counts=True)
    common = known[counts > COMMON]
    return np.asarray(~np.isin(hashes, common)) if len(common) else np.ones(len(hashes), np.bool_)


def _different(hashes: Hashes, rows: Places) -> tuple[Hashes, Places]:
    """Pairs of hash and row in order, each once."""
    order = np.lexsort((rows, hashes))
    hashes, rows = hashes[order], rows[order]
    new = np.append(True, (hashes[1:] != hashes[:-1]) | (rows[1:] != rows[:-1]))[: len(order)]
    return hashes[new], rows[new]


def look_into(corpus: Path, texts: Sequence[str], told: Callable[[int, int], object]) -> Contamination:
    """The rows' texts, looked for in the documents that a corpus run kept; `told` hears shards done and in all.

    Raises:
        UserError: A shard has other bytes than the run wrote, or cannot be read, or there is none.
    """
    found = Contamination(texts)
    shards = document_shards(corpus)
    for number, shard in enumerate(shards, start=1):
        for data, offsets, urls, first in _pieces(shard):
            found.look(data, offsets, partial(_page, shard.name, urls, first))
        told(number, len(shards))
    return found


def _page(shard: str, urls: Any, first: int, number: int) -> tuple[str, str, int]:
    return urls[number].as_py(), shard, first + number


def _pieces(shard: Path) -> Iterator[tuple[Bytes, Places, Any, int]]:
    """Documents of a shard: their bytes, where each begins, their URLs, and the number of the first one."""
    row = 0
    try:
        with pq.ParquetFile(shard) as table:
            for batch in table.iter_batches(batch_size=ROWS_AT_ONCE, columns=["url", "text"], use_threads=False):
                text = batch.column("text")
                _, where, content = text.buffers()
                kind = np.int64 if pa.types.is_large_string(text.type) else np.int32
                offsets = np.frombuffer(where, kind)[text.offset : text.offset + len(text) + 1].astype(np.int64)
                data = np.frombuffer(content, np.uint8) if content is not None else np.zeros(0, np.uint8)
                begin = 0
                while begin < len(text):
                    end = int(np.searchsorted(offsets, offsets[begin] + PIECE_BYTES, "right")) - 1
                    end = min(max(end, begin + 1), len(text))
                    part = data[offsets[begin] : offsets[end]]
                    yield part, offsets[begin : end + 1] - offsets[begin], batch.column("url")[begin:end], row + begin
                    begin = end
                row += len(text)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{shard} cannot be read: {str(error).splitlines()[0]}") from None
