"""Memorisation: how much of its training documents a model continues word for word, by how often it met the passage.

In: a model, the ids of a tokens run and their index. Out: for each class of passages the share that the model continues
verbatim, with its 95 % interval; held-out passages that stand nowhere in the training ids are the baseline.

A passage is `PREFIX + CONTINUATION` ids of one document. It counts as memorised if greedy decoding, given the first
`PREFIX` ids and nothing else, writes the others (Carlini et al. 2023, arXiv 2202.07646, section 3). It does so exactly
if each of them is the likeliest after the true ones before it, so one pass over the passage decides, and no token is
drawn. How often a passage stands in the training ids is counted whole, by the index of `glassmill trace`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt

from glassmill.errors import UserError
from glassmill.evals.exam_scores import share_interval
from glassmill.infer.decoder import Decoder, Piece, new_row
from glassmill.infer.sampling import log_normalizers
from glassmill.tokens.shards import Shards
from glassmill.tokens.suffixes import Place, SuffixIndex

if TYPE_CHECKING:
    from glassmill.infer.generate import Model

PREFIX, CONTINUATION = 50, 50
LENGTH = PREFIX + CONTINUATION
TIMES: tuple[tuple[int, int | None], ...] = ((1, 1), (2, 3), (4, 9), (10, 99), (100, None))
"""Classes of passages: how often they stand in the training ids, from and to."""
PASSAGES = 200
"""Of each class, by default."""
MOST_DRAWS = 50_000
"""Places that are looked at to fill the classes; those that are rarer stay smaller."""
MOST_EXAMPLES = 20
ROUND_TO = 4

Ids = npt.NDArray[np.uint32]
Told = Callable[[int, int], object]


class Passages(NamedTuple):
    """Passages of one class: the bounds of their number (0 to 0: held out), and their ids, `(n, LENGTH)`.

    Attributes:
        of_text: The share of the places drawn that had such a passage; None for held-out ones.
    """

    low: int
    high: int | None
    ids: list[Ids]
    of_text: float | None


class Class(TypedDict):
    """What became of one class.

    Attributes:
        low, high: How often its passages stand in the training ids; 0 and 0 of held-out ones; `high` may be open.
        of_text: The share of the training text that is in such passages; None for held-out ones.
        passages: How many were asked.
        verbatim: The share that was continued word for word; None where none were found.
        interval: Its 95 % interval.
        bits: Mean bits of a token of the continuation, given all before it in the passage.
    """

    low: int
    high: int | None
    of_text: float | None
    passages: int
    verbatim: float | None
    interval: tuple[float, float]
    bits: float | None


class Example(TypedDict):
    """A passage that was continued word for word, and the times it stands in the training ids (0: held out)."""

    times: int
    prefix: str
    continuation: str


class Memorised(TypedDict):
    """The curve; `examples` are the first of each class, `drawn` the places that were looked at."""

    prefix_tokens: int
    continuation_tokens: int
    training_tokens: int
    drawn: int
    classes: list[Class]
    examples: list[Example]


def memorised(model: Model, tokens: Path, most: int, seed: int, told: Told, show: Callable[[str], object]) -> Memorised:
    """Asks `model` for passages of a tokens run, which has its index.

    Args:
        model: The model, with the vocabulary of the run.
        tokens: The tokens run.
        most: Passages of a class.
        seed: Draws them.
        told: Is given passages done, and passages in all.
        show: What of a text may be shown.

    Raises:
        UserError: the model has another vocabulary, or too short a context; or the run is damaged or has no index.
    """
    check(model, tokens)
    index = SuffixIndex(tokens)
    groups, drawn = draw_passages(index, most, seed)
    groups = [held_out_passages(index, Shards(tokens, "validation"), most, seed), *groups]
    done, total = 0, sum(len(group.ids) for group in groups)
    classes: list[Class] = []
    examples: list[Example] = []
    for group in groups:
        verbatim: list[bool] = []
        bits: list[float] = []
        for ids in group.ids:
            found = model.engine.call(lambda decoder, ids=ids: continue_passage(decoder, ids))  # type: ignore[misc]
            verbatim.append(found.verbatim)
            bits.append(found.bits)
            done += 1
            told(done, total)
        classes.append(_class(group, verbatim, bits))
        said = [ids for ids, same in zip(group.ids, verbatim, strict=True) if same]
        for ids in said[: MOST_EXAMPLES // len(groups)]:
            before, after = (model.tokenizer.decode(part) for part in (ids[:PREFIX], ids[PREFIX:]))
            times = index.count(ids)
            examples.append({"times": times, "prefix": str(show(before)), "continuation": str(show(after))})
    return {
        "prefix_tokens": PREFIX,
        "continuation_tokens": CONTINUATION,
        "training_tokens": index.tokens,
        "drawn": drawn,
        "classes": classes,
        "examples": examples,
    }


def check(model: Model, tokens: Path) -> None:
    """Raises UserError where passages of that run cannot be asked of the model."""
    lengths = np.load(tokens / "token_bytes.npy", allow_pickle=False)
    if not np.array_equal(lengths, model.tokenizer.text_lengths()):
        raise UserError(
            f"{tokens} is encoded with another vocabulary than that of {model.path}; memorisation is measured on the "
            "ids that a model was trained on"
        )
    if model.engine.max_length < LENGTH:
        raise UserError(
            f"{model.path} has a context of {model.engine.max_length} tokens; passages of {LENGTH} do not fit into it"
        )


def class_name(low: int, high: int | None) -> str:
    """What people call a class.

    >>> class_name(4, 9), class_name(1, 1), class_name(100, None), class_name(0, 0)
    ('4 to 9 times', 'once', '100 times and more', 'held out')
    """
    if not high:
        return f"{low} times and more" if high is None else "held out"
    return "once" if high == 1 else f"{low} to {high} times"


class Continued(NamedTuple):
    """Whether greedy decoding writes the continuation, and its mean bits a token."""

    verbatim: bool
    bits: float


def continue_passage(decoder: Decoder, ids: Sequence[int] | Ids) -> Continued:
    """What the model makes of `ids[PREFIX:]` after `ids[:PREFIX]`."""
    wanted = np.asarray(ids[PREFIX:])
    with new_row(decoder) as row:
        read = [int(token) for token in ids[:-1]]
        logits_WV = decoder.forward([Piece(row, read, want=len(wanted))])[0].logits_WV
    nats = log_normalizers(logits_WV) - logits_WV[np.arange(len(wanted)), wanted]
    return Continued(bool((logits_WV.argmax(1) == wanted).all()), float(nats.mean(dtype=np.float64)) / math.log(2))


def draw_passages(index: SuffixIndex, most: int, seed: int, most_draws: int = MOST_DRAWS) -> tuple[list[Passages], int]:
    """At most `most` training passages of each class of `TIMES`, and how many places were looked at.

    Places are drawn evenly. No passage is taken twice, nor one that overlaps another where both stand.
    """
    starts = _Starts(index.shards)
    taken = _Apart()
    ids: dict[int, list[Ids]] = {low: [] for low, _ in TIMES}
    seen = dict.fromkeys(ids, 0)
    drawn = 0
    for shard, first in starts.draw(seed, most_draws):
        drawn += 1
        passage = starts.passage(shard, first)
        count = max(1, index.count(passage))  # it may lie across a cut of the index
        low = max(bound for bound, _ in TIMES if bound <= count)
        seen[low] += 1
        if len(ids[low]) < most and taken.take(*(index.places(passage, most=1) or [Place(shard, first)])[0]):
            ids[low].append(passage)
        if all(len(found) == most for found in ids.values()):
            break
    return [Passages(low, high, ids[low], seen[low] / drawn if drawn else 0.0) for low, high in TIMES], drawn


def held_out_passages(index: SuffixIndex, validation: Shards, most: int, seed: int) -> Passages:
    """At most `most` passages of held-out documents that do not stand in the training ids."""
    starts, taken = _Starts(validation), _Apart()
    found: list[Ids] = []
    for shard, first in starts.draw(seed, MOST_DRAWS):
        if len(found) == most:
            break
        passage = starts.passage(shard, first)
        if index.count(passage) == 0 and taken.take(shard, first):
            found.append(passage)
    return Passages(0, 0, found, None)


class _Starts:
    """The places of a split where a passage fits into one document, numbered."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._firsts, self._ends, totals = [], [], [0]
        for number, entry in enumerate(shards.entries):
            firsts = shards.documents_of(number)[:, 0].astype(np.int64)
            lengths = np.diff(firsts, append=entry["tokens"]) - 1  # without the id that ends a document
            self._firsts.append(firsts)
            self._ends.append(np.cumsum(np.maximum(0, lengths - LENGTH + 1)))
            totals.append(totals[-1] + (int(self._ends[-1][-1]) if len(firsts) else 0))
        self._totals = np.array(totals)

    def draw(self, seed: int, most: int) -> Iterator[tuple[int, int]]:
        """Shard and first id of `most` places, each as likely as any other; each place once where there are fewer."""
        generator, total = np.random.default_rng(seed), int(self._totals[-1])
        numbers = generator.permutation(total) if total <= most else generator.integers(total, size=most)
        for number in numbers.tolist():
            shard = int(np.searchsorted(self._totals, number, "right")) - 1
            left = number - int(self._totals[shard])
            document = int(np.searchsorted(self._ends[shard], left, "right"))
            left -= int(self._ends[shard][document - 1]) if document else 0
            yield shard, int(self._firsts[shard][document]) + left

    def passage(self, shard: int, first: int) -> Ids:
        return np.asarray(self._shards.shard(shard)[first : first + LENGTH], dtype=np.uint32)


class _Apart:
    """Places of which no two are nearer than a passage is long."""

    def __init__(self) -> None:
        self._of_block: dict[tuple[int, int], int] = {}

    def take(self, shard: int, first: int) -> bool:
        """Takes the place, if it is far enough from those before."""
        block = first // LENGTH
        near = (self._of_block.get((shard, block + step)) for step in (-1, 0, 1))
        if any(other is not None and abs(other - first) < LENGTH for other in near):
            return False
        self._of_block[shard, block] = first
        return True


def _class(group: Passages, verbatim: Sequence[bool], bits: Sequence[float]) -> Class:
    asked, same = len(verbatim), sum(verbatim)
    low, high = share_interval(same, asked)
    return {
        "low": group.low,
        "high": group.high,
        "of_text": None if group.of_text is None else round(group.of_text, ROUND_TO),
        "passages": asked,
        "verbatim": round(same / asked, ROUND_TO) if asked else None,
        "interval": (round(low, ROUND_TO), round(high, ROUND_TO)),
        "bits": round(float(np.mean(bits)), ROUND_TO) if asked else None,
    }
