"""The first task of the corpus stage that runs in supervised workers, one shard each; `finish` has the second.

`judge_shard` runs the shard's inputs through the filters and writes parts, `work/<shard>/part-NNNN/`. A part is whole
or absent, so after a kill the next worker continues behind the last part. Apart from times, what both tasks write
depends on their task, the files that it names, and the engines and libraries of the machine.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np

from glassmill.corpus.chain import Chain
from glassmill.corpus.dedup.keys import MinHasher, family
from glassmill.corpus.document import (
    Document,
    Lost,
    Page,
)
from glassmill.corpus.judge.url_lists import HashList
from glassmill.corpus.layers import NOTE, PAGES, Extracted, Item, Layer, Pages
from glassmill.corpus.look.shown import masked_for
from glassmill.corpus.memo import Memo
from glassmill.corpus.parts import Part, finished_parts, judged_shard, part_folder, sum_up
from glassmill.corpus.read.cut import of_input
from glassmill.corpus.read.files.errors import UNJUDGED, cause_of
from glassmill.corpus.read.sources import read_sources
from glassmill.recipe import CorpusSettings
from glassmill.run import kinds
from glassmill.run.worker import Link

PAGES_PER_PART = 500
CHARACTERS_PER_PART = 8 << 20
"""A worker holds a part in several forms at once: as pages, as columns, as compressed rows."""
SECONDS_BETWEEN_EXAMPLES = 0.3
SECONDS_BETWEEN_COUNTS = 1.0
EXAMPLE_CHARACTERS = 600


class Task(TypedDict):
    """What both tasks need: the shard's number, its folder for pieces, settings as JSON, and the run's seed.

    `skip` names the items that crashed a worker before, by position, with the cause; see `read_sources`.
    """

    shard: int
    work: str
    settings: dict[str, object]
    seed: int
    skip: NotRequired[list[tuple[int, str]]]


class JudgeTask(Task):
    """`inputs`: the sources, as tasks carry them. `lists`, `allowed`: hashed lists. `layer`: where the shard's layer is
    or will be."""

    inputs: Sequence[Sequence[object]]
    lists: NotRequired[str | None]
    allowed: NotRequired[str | None]
    layer: NotRequired[str | None]


class Judged(TypedDict):
    """CPU seconds of every step."""

    seconds: dict[str, float]


def judge_shard(task: JudgeTask, link: Link | None = None) -> Judged:
    """Runs the inputs of one shard through every step before deduplication; the pages lie in the parts it writes."""
    return _Judge(task, link or Link()).run()


class _Judge:
    def __init__(self, task: JudgeTask, link: Link) -> None:
        self.link = link
        self.shard: int = task["shard"]
        self.folder = Path(task["work"])
        self.settings = CorpusSettings.model_validate(task["settings"])
        blocked, allowed = (
            HashList.open(Path(path)) if path else None for path in (task.get("lists"), task.get("allowed"))
        )
        self.layer = Layer(Path(layer)) if (layer := task.get("layer")) else None
        self.memo = Memo(self.layer.folder / "judged.memo" if self.layer else None)
        self.chain = Chain(self.settings, blocked, allowed, self.memo)
        self.masked = masked_for(self.settings.pii)
        keys = MinHasher(self.settings.dedup, task["seed"]).keys
        self.keys = self.memo.step(
            "keys", {**family(self.settings.dedup, task["seed"])}, lambda text: keys(text).tobytes().hex()
        )
        source = of_input(task["inputs"][0])
        self.range = source.range()
        self.keeps = self.layer is not None and not task.get("skip")
        self.items = self._from_layer(task) if self._has_layer() else self._from_files(task)
        self.part = Part()
        self.last_example = self.last_counts = 0.0
        self.total: Counter[str] = Counter()

    def run(self) -> Judged:
        parts = list(finished_parts(self.folder))
        for part in parts:
            self.total.update(part.counts)
        if not parts or not parts[-1].last:
            begin = time.process_time()
            self._judge_from(parts[-1].end if parts else 0, len(parts))
            self.chain.seconds["all"] += time.process_time() - begin
        sum_up(self.folder)
        if self.layer and not (self.layer.folder / NOTE).exists():
            pages = [part.folder / PAGES for part in finished_parts(self.folder)]
            if all(path.is_file() for path in pages):
                self.layer.write(pages, judged_shard(self.folder)["found"])
        self.memo.save()
        self._tell_counts()
        return {"seconds": {step: round(seconds, 3) for step, seconds in self.chain.seconds.items()}}

    def _has_layer(self) -> bool:
        if self.layer is None:
            return False
        try:
            return self.layer.open() and self.layer.fits(
                self.chain.drops, pieces=bool(self.settings.files.split_characters)
            )
        except (ValueError, OSError) as error:
            self.link.tell(kinds.Warned(f"layer {self.layer.folder}: {error}; its files are read again"))
        return False

    def _from_files(self, task: JudgeTask) -> Iterator[tuple[str, Page | Item]]:
        bounds = self.settings.max_record_bytes, self.settings.files
        if self.layer and self.keeps:
            self.layer.drop()
        self.part.pages = Pages() if self.keeps else None
        for source, item in read_sources(task["inputs"], task.get("skip", []), *bounds, self.range):
            yield source.name, item

    def _from_layer(self, task: JudgeTask) -> Iterator[tuple[str, Item]]:
        assert self.layer is not None
        causes = dict(task.get("skip", []))
        for position, (source, item) in enumerate(self.layer.items()):
            if isinstance(item, Extracted):
                item = Lost(item.offset, causes[position], item.url) if position in causes else self.chain.again(item)
            yield source, item
        if self.range:
            self.range.first, self.range.stop = self.layer.found

    def _judge_from(self, begin: int, number: int) -> None:
        position = 0
        self.link.mark(0)  # from here on a crash is attributed to item 0, while it is read too
        for source, item in self.items:
            if position >= begin:
                self._take(source, position, item)
            position += 1
            if self.part.records >= PAGES_PER_PART or self.part.characters >= CHARACTERS_PER_PART:
                number = self._write(number, position, last=False)
            self.link.mark(position)
        self._write(number, position, last=True)

    def _take(self, source: str, position: int, item: Page | Item) -> None:
        if isinstance(item, Page):
            try:
                item = self.chain.extracted(item)
            except UNJUDGED as error:
                item = Extracted(item.url, item.offset, [], failed=cause_of(error))
        if self.part.pages is not None:
            self.part.pages.add(position, source, item)
        if isinstance(item, Lost):
            self.part.quarantine(source, item.offset, item.url, item.cause)
        elif item.failed:
            self.part.quarantine(source, item.offset, item.url, item.failed)
        else:
            try:
                for document in self.chain.judged(item):
                    self.part.add(document, self._timed_keys(document))
                    self._show(document)
            except UNJUDGED as error:
                self.part.quarantine(source, item.offset, item.url, cause_of(error))
        if time.monotonic() - self.last_counts > SECONDS_BETWEEN_COUNTS:
            self.last_counts = time.monotonic()
            self._tell_counts(item.offset)

    def _timed_keys(self, document: Document) -> np.ndarray | None:
        if document.rule or not self.settings.dedup.enabled:
            return None
        begin = time.process_time()
        keys = np.frombuffer(bytes.fromhex(self.keys(document.text)), np.uint64)
        self.chain.seconds["dedup"] += time.process_time() - begin
        return keys

    def _write(self, number: int, end: int, last: bool) -> int:
        self.part.end, self.part.last = end, last
        if last and self.range:
            self.part.found = self.range.first, self.range.stop
        self.part.write(part_folder(self.folder, number))
        self.total.update(self.part.counts)
        self.part = Part(Pages() if self.part.pages is not None else None)
        return number + 1

    def _tell_counts(self, offset: int | None = None) -> None:
        """How far this shard is, for the progress bar and the funnel."""
        self.link.tell(kinds.ShardProgress(self.shard, offset, dict(self.total + self.part.counts)))

    def _show(self, document: Document) -> None:
        now = time.monotonic()
        if now - self.last_example < SECONDS_BETWEEN_EXAMPLES:
            return
        self.last_example = now
        text = self.masked(document.text[: EXAMPLE_CHARACTERS + 100])  # a cut piece of data would not be found
        self.link.tell(
            kinds.Example(
                url=self.masked(document.url),
                kept=not document.rule,
                text=text[:EXAMPLE_CHARACTERS],
                step=document.step,
                rule=document.rule,
                value=document.value,
                bound=document.bound,
                detail=self.masked(document.detail[:200]),
            )
        )
