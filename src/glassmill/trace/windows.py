"""The windows that a training read: their tokens, whose they are, and what each token cost, then and now.

    reader = WindowReader(origin_of(run))
    reader.window(step=17, row=1)                # the first window of step 17, both counted from 1

Which window a step reads is a function of seed and step (`train.order`), so nothing of it is stored. What its tokens
cost then is known where the training measured it (`kinds.Window`): of the first window of steps 1, 2, 3, 5, 9, 17, ...;
of any other there is the mean that the training reported. What they cost now, a model says that is still there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypedDict

import numpy as np

from glassmill.corpus.look.shown import masked_for
from glassmill.corpus.pii import leaving, mask
from glassmill.corpus.pii.masking import PLACEHOLDERS
from glassmill.errors import UserError
from glassmill.infer.compose import piece_of
from glassmill.infer.decoder import Decoder, text_losses
from glassmill.run import kinds
from glassmill.run.events import read_events
from glassmill.run.finished import read_stats
from glassmill.tokens.shards import Shards
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.trace.origins import Origin, check_ids, document_at, recipe_of, seed_of
from glassmill.trace.stretches import ends_of
from glassmill.train.order import MixtureOrder, WindowOrder
from glassmill.train.sources import sources

Show = Callable[[str], str]


class DocumentLine(TypedDict):
    """A document that a window crosses.

    Attributes:
        url, source: None if the corpus run is gone, or of another tokens run.
        shard, row: Its place in the corpus run.
        first: The first of its tokens in the window, counted from 0.
        skipped: How many of its tokens come before the window.
        tokens: How many it has.
    """

    url: str | None
    source: str | None
    shard: str
    row: int
    first: int
    skipped: int
    tokens: int


class Mean(TypedDict):
    """The mean loss that the training reported of its steps `first` to `last`, nats a token."""

    first: int
    last: int
    loss: float


class WindowLine(TypedDict):
    """A window, and what its tokens cost, in nats. Losses are of tokens 1, 2, ...: the first one is only read.

    Attributes:
        train: The training, such as `train/demo-3f9a1c`.
        corpus: Of its documents; None if that run is gone.
        step, row: Counted from 1; of so many `steps` and `rows`.
        epoch: How often the training went through this corpus by then, counted from 1.
        part: The tokens run that a mixture of corpora took it from; empty for the line's own.
        ids: None for a token of personal data that is masked: an id says what the token says.
        tokens: Their texts; of masked data, what stands for it in its first token, and nothing in the others.
        then: None where it was not measured; `measured` are the steps whose first window was.
        mean: None before the first report.
        now: None where no model is left; `now_by` is the run of the one that is.
    """

    train: str
    corpus: str | None
    step: int
    steps: int
    row: int
    rows: int
    epoch: int
    part: str
    ids: list[int | None]
    tokens: list[str]
    documents: list[DocumentLine]
    then: list[float] | None
    measured: list[int]
    mean: Mean | None
    now: list[float] | None
    now_by: str


class WindowReader:
    """The windows of one training.

    Args:
        origin: What a model was trained on.
        run: Whose model says what a token costs now, if the training's own is gone.

    Raises:
        UserError: the training, its tokens or their tokenizer is gone, or damaged; or it may have skipped windows.
    """

    def __init__(self, origin: Origin, run: Path | None = None) -> None:
        if origin.train is None:
            raise UserError("the training is not here any more, so nobody knows which windows its steps read")
        recipe = recipe_of(origin.train)
        if recipe is None:
            raise UserError(f"{origin.train} is of another version of glassmill, which alone knows its windows")
        if recipe.train.on_spike == "rollback":
            raise UserError(
                "train.on_spike = rollback may have skipped windows, so nobody knows which ones a step read"
            )
        self.origin, self.train, settings = origin, origin.train, recipe.train
        self.tokenizer = Tokenizer.load(origin.tokenizer)
        self.length, pii = recipe.model.context_length, recipe.corpus.pii
        self._shown, self._leave = masked_for(pii), leaving(True, pii.allow)
        self.rows, self.steps = max(1, settings.batch_tokens // self.length), int(read_stats(self.train)["steps"])
        found, seed = sources(settings, origin.tokens), seed_of(recipe)
        for one in found:
            if not (one.folder / "index.json").is_file():
                raise UserError(f"{one.folder}, which the training read, is not here any more")
        self._parts = [(one.folder, Shards(one.folder, "train")) for one in found]
        self._orders: list[WindowOrder] = []
        for folder, shards in self._parts:
            check_ids(origin, self.tokenizer, shards)
            if (places := shards.num_windows(self.length + 1)) < 1:
                raise UserError(f"{folder} has no window of {self.length} tokens; another training read it")
            self._orders.append(WindowOrder(places, self.length, seed))
        self._mixture = MixtureOrder([one.share for one in found], seed) if len(found) > 1 else None
        self._document_end = self.tokenizer.document_end_id if settings.document_attention else None
        models = [one for one in (self.train, run) if one and (one / "model" / "config.json").is_file()]
        self._model = models[0] if models else None
        self._tables = lru_cache(64)(lambda part, number: self._parts[part][1].documents_of(number))

    def window(self, step: int, row: int = 1, now: bool = True, clear: bool = False) -> WindowLine:
        """A window.

        Args:
            step, row: Counted from 1.
            now: Ask the model what its tokens cost.
            clear: Show the personal data that the run's recipe left in the documents.

        Raises:
            UserError: there is no such step or row.
        """
        for name, given, most in (("step", step, self.steps), ("row", row, self.rows)):
            if not 1 <= given <= most:
                raise UserError(f"{name} {given}: the training's {name}s are 1 to {most:,}")
        show: Show = str if clear else self._shown
        sample = (step - 1) * self.rows + row - 1
        part, own = self._mixture.place(sample) if self._mixture else (0, sample)
        (folder, shards), order = self._parts[part], self._orders[part]
        number, first = shards.start(order.place(own), self.length + 1)
        ids = np.asarray(shards.shard(number)[first : first + self.length + 1], np.int64)
        shown_ids, tokens = self._told(ids, clear)
        then, mean = self._then
        corpus = self.origin.corpus
        return {
            "train": f"{self.train.parent.name}/{self.train.name}",
            "corpus": None if corpus is None else f"{corpus.parent.name}/{corpus.name}",
            "step": step,
            "steps": self.steps,
            "row": row,
            "rows": self.rows,
            "epoch": own // order.windows_per_epoch + 1,
            "part": "" if folder == self.origin.tokens else f"{folder.parent.name}/{folder.name}",
            "ids": shown_ids,
            "tokens": tokens,
            "documents": list(self._documents(part, number, first, show)),
            "then": then.get(step) if row == 1 else None,
            "measured": sorted(then),
            "mean": next((one for one in mean if one["last"] >= step), None),
            "now": self._now(ids) if now else None,
            "now_by": "" if self._model is None else f"{self._model.parent.name}/{self._model.name}",
        }

    @cached_property
    def _then(self) -> tuple[dict[int, list[float]], Sequence[Mean]]:
        """Step -> what its first window cost; and the reported means. A later event of a continued run counts."""
        losses: dict[int, list[float]] = {}
        means: list[Mean] = []
        for entry in read_events(self.train / "events.jsonl"):
            match entry.event:
                case kinds.Window(step, found) if step < self.steps and len(found) == self.length:
                    losses[step + 1] = list(found)
                case kinds.Metric(step=step, loss=loss):
                    while means and means[-1]["last"] >= step:
                        means.pop()
                    means.append({"first": means[-1]["last"] + 1 if means else 1, "last": step, "loss": loss})
        return losses, means

    def _documents(self, part: int, number: int, first: int, show: Show) -> Iterator[DocumentLine]:
        """The documents of a window that begins at id `first` of a shard."""
        (folder, shards), table = self._parts[part], self._tables(part, number)
        entry = shards.entries[number]
        last = first + self.length
        begin = int(np.searchsorted(table[:, 0], first, "right")) - 1
        for place in range(max(0, begin), int(np.searchsorted(table[:, 0], last, "right"))):
            start, row = map(int, table[place])
            end = int(table[place + 1, 0]) if place + 1 < len(table) else entry["tokens"]
            url, source = document_at(folder, self.origin, entry["corpus"], row)
            yield {
                "url": None if url is None else show(url),
                "source": None if source is None else show(source),
                "shard": entry["corpus"],
                "row": row,
                "first": max(0, start - first),
                "skipped": max(0, first - start),
                "tokens": end - start,
            }

    def _told(self, ids: np.ndarray, clear: bool) -> tuple[list[int | None], list[str]]:
        """Ids and texts of the tokens, with personal data masked; see `WindowLine`."""
        numbers: list[int | None] = ids.tolist()
        pieces = [piece_of(self.tokenizer, token).decode(errors="backslashreplace") for token in ids.tolist()]
        spans = [] if clear else mask(self.tokenizer.decode(ids), leave=self._leave)[1]
        ends = ends_of(self.tokenizer, ids) if spans else []
        for span in spans:
            first, last = bisect_right(ends, span.start), bisect_left(ends, span.end)
            numbers[first : last + 1] = [None] * (last + 1 - first)
            pieces[first : last + 1] = [PLACEHOLDERS[span.kind], *[""] * (last - first)]
        return numbers, pieces

    def _now(self, ids: np.ndarray) -> list[float] | None:
        if self._model is None:
            return None
        losses = text_losses(self._decoder, ids, self._document_end)
        return [round(value, 3) for value in losses.tolist()]

    @cached_property
    def _decoder(self) -> Decoder:
        from glassmill.infer.choose import load_decoder

        assert self._model is not None
        return load_decoder(self._model / "model", 1)
