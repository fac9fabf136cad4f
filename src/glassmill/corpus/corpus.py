"""The corpus stage: web pages become clean documents, and every dropped page records why.

In: WARC, WET and ARC files, and document files of every kind in `read/files/kinds.py`. Out, in the run folder:
`shards/documents-*.parquet`, `shards/dropped-*.parquet`, `quarantine.jsonl`, and the funnel in `stats.json`. Every
record is in exactly one of the three.

The order is FineWeb's: URL filter, encoding, extraction, language, Gopher repetition, Gopher quality, C4, FineWeb's
rules, then (over all shards) MinHash deduplication, then personal data. The work is divided into shards that depend
only on their task, so the result is the same for any number of workers, and after a kill at any moment.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from glassmill.corpus.dedup.duplicates import find_duplicates
from glassmill.corpus.dedup.index import read_index, write_index
from glassmill.corpus.dedup.keys import family
from glassmill.corpus.dedup.rows import Rows
from glassmill.corpus.document import documents
from glassmill.corpus.exclude import entries_of, unused, with_entries
from glassmill.corpus.extract.extract import WITHOUT_CORE, engine_of
from glassmill.corpus.facts import VERSION, facts, resolved
from glassmill.corpus.finish import Finished, FinishTask
from glassmill.corpus.judge.url_lists import built_lists
from glassmill.corpus.layers import layer_key
from glassmill.corpus.parts import judged_shard
from glassmill.corpus.read.cut import Source, cut, misread
from glassmill.corpus.read.files.kinds import WARC, kind_of
from glassmill.corpus.read.sources import find_sources
from glassmill.corpus.stats import Stats, loss_of_text, make_funnel, stats_of
from glassmill.corpus.tasks import Judged, JudgeTask
from glassmill.errors import UserError
from glassmill.printable import shown
from glassmill.recipe import CorpusSettings
from glassmill.run import kinds
from glassmill.run.executors import cores
from glassmill.run.files import atomic_write, remove
from glassmill.run.folder import RunFolder, layers_of
from glassmill.run.inputs import InputFile, known_contents
from glassmill.run.names import user_path
from glassmill.run.shards import folder_of
from glassmill.run.stores.stored import place_of
from glassmill.run.worker import Link, load_function

__all__ = ["VERSION", "make", "resolved"]

SECONDS_BETWEEN_FUNNELS = 1.0
DOCUMENTS_IN_PROCESS = 100_000


def make(run: RunFolder, settings: CorpusSettings, seed: int, web: Path | None = None) -> None:
    """Fills `run` with the documents of the inputs.

    Args:
        run: The open run folder. Parts that an earlier attempt finished are reused.
        settings: Inputs, thresholds, switches.
        seed: Chooses the MinHash family.
        web: A MiniWeb run: its WARC files are the inputs where the settings name none, and its block lists count.

    Raises:
        UserError: an input names nothing, or no input holds pages.
    """
    begin, asked = time.perf_counter(), entries_of(settings)
    if settings.extract.engine == "auto" and engine_of(settings.extract) == "resiliparse":
        run.emit(kinds.Warned(WITHOUT_CORE))
    sources = _sources(run, settings, web)
    settings, used = with_entries(settings, [InputFile(place_of(one.path), one.name, one.refused) for one in sources])
    shards = cut(sources, int(settings.shard_mb * (1 << 20)))
    work = run.path / "work"
    work.mkdir(mode=0o700, exist_ok=True)  # texts lie there before anything is masked
    lists = _hash_lists(run, settings, web)
    earlier = _earlier(settings, seed)
    dumped = settings.model_dump(mode="json")
    run.emit(kinds.Note(f"{len(sources)} input files, {_megabytes(sources)} MB, in {len(shards)} shards"))

    layer_of = _layers(run, settings, sources)
    view = _View(run, shards)
    judged: list[Judged] = []
    wrong = dict(enumerate(shards))
    while wrong:
        tasks = [
            JudgeTask(shard=number, work=str(_folder(work, number, shard)), settings=dumped, seed=seed,
                      inputs=[one.as_input() for one in shard], lists=lists.get("lists"), allowed=lists.get("allowed"),
                      layer=layer_of(shard))
            for number, shard in wrong.items()
        ]  # fmt: skip
        judged += _map(run, "tasks:judge_shard", tasks, settings, view.on_event)
        folders = [_folder(work, number, shard) for number, shard in enumerate(shards)]
        summed = [judged_shard(folder) for folder in folders]
        wrong = {number: [source] for number, source in misread(shards, [one["found"] for one in summed]).items()}
        for number, shard in wrong.items():
            shards[number] = shard
    counts = Counter[str]()
    for one in summed:
        counts.update(one["counts"])
    run.emit(kinds.Progress(view.total, view.total, "bytes", "looking for duplicates"))

    rows = [Rows(folder / "keys.npy", 0, one["rows"]) for folder, one in zip(folders, summed, strict=True)]
    firsts, clusters = _cluster(run, rows, settings, earlier)
    finish = [
        FinishTask(shard=number, work=str(folders[number]), settings=dumped, seed=seed, out=str(run.path), first=first,
                   clusters=clusters, layer=layer_of(shards[number]))
        for number, first in enumerate(firsts)
    ]  # fmt: skip
    finished: list[Finished] = _map(run, "finish:finish_shard", finish, settings)

    if settings.dedup.enabled and settings.dedup.index:
        write_index(run.path / "index", family(settings.dedup, seed))

    total = counts + sum((Counter(result["counts"]) for result in finished), Counter[str]())
    entries = [entry for one, result in zip(summed, finished, strict=True)
               for entry in [*one["quarantined"], *result["quarantined"]]]  # fmt: skip
    atomic_write(
        run.path / "quarantine.jsonl",
        "".join(json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n" for entry in entries),
    )
    stats = stats_of(total, finished, sources, entries, time.perf_counter() - begin)
    _say(run, settings, make_funnel(total), stats, judged)
    if any(kind_of(source.path) != WARC for source in sources) and (loss := loss_of_text(make_funnel(total))):
        run.emit(kinds.Warned(loss))  # of a crawl, that is what the filters are for
    counted = {"records": stats["records"], "kept": stats["kept"], "dropped": stats["dropped"]}
    for entry in unused(asked, used, documents(run.path, dropped=True)):
        run.emit(kinds.Warned(f"corpus.exclude: {shown(entry)!r} names no document of the inputs"))
    run.finish(stats, counts={**counted, "quarantined": stats["quarantined"]})
    remove(work)


def _map(
    run: RunFolder,
    function: str,
    tasks: Sequence[Mapping[str, object]],
    settings: CorpusSettings,
    on_event: Callable[[kinds.Event], None] | None = None,
) -> list[Any]:
    """What `function` of `glassmill.corpus` returns for each task."""
    name, limit = f"glassmill.corpus.{function}", settings.page_cpu_s
    return run.map(name, tasks, settings.workers, on_event=on_event, cpu_limit_s=limit)


def _layers(
    run: RunFolder, settings: CorpusSettings, sources: Sequence[Source]
) -> Callable[[Sequence[Source]], str | None]:
    """Where the layer of a shard is or will be; nowhere if none are wanted, or documents are taken out: a layer has the
    text of every page."""
    folder = run.path.parent / layers_of(run.path).name
    if settings.exclude and folder.is_dir():
        run.emit(
            kinds.Warned("corpus.exclude: texts of earlier runs are still kept for further ones, in "
                         f"{folder}; `glassmill clean --layers --yes` deletes them")
        )  # fmt: skip
    if not settings.layers or settings.exclude:
        return lambda shard: None
    folder.mkdir(mode=0o700, exist_ok=True)
    digests = known_contents(place_of(source.path) for source in sources if not source.refused)
    decides = {
        "version": VERSION,
        "facts": facts(settings.extract),
        "extract": settings.extract.identity(),
        "files": settings.files.identity(),
        "limits": [settings.max_record_bytes, settings.page_cpu_s],
    }

    def layer_of(shard: Sequence[Source]) -> str | None:
        key = layer_key(shard, digests, decides)
        return str(folder / key) if key else None

    return layer_of


def _folder(work: Path, number: int, shard: Sequence[Source]) -> Path:
    """Where a shard's parts lie; a range that is read again, from elsewhere, has another folder."""
    again = f"-{shard[0].begin}" if shard[0].begin and shard[0].known else ""
    return work / f"{folder_of(number)}{number:05d}{again}"


def _sources(run: RunFolder, settings: CorpusSettings, web: Path | None) -> list[Source]:
    words = settings.inputs
    if not words and web is not None:
        words = (str(web / "warc"),)
    if not words:
        raise UserError(
            "corpus.inputs is empty and the recipe has no miniweb stage; name WARC files or folders in corpus.inputs"
        )
    return find_sources(words, partial(run.map, light=True))  # by a worker that stays for the pages


def _hash_lists(run: RunFolder, settings: CorpusSettings, web: Path | None) -> dict[str, str]:
    """The folders of the hashed lists, `lists` (blocked) and `allowed`, built once for all workers and runs."""
    if not settings.url.enabled:
        return {}
    blocked = [user_path(word) for word in settings.url.blocklists]
    if web is not None and (web / "blocklists").is_dir():
        blocked.append(web / "blocklists")
    allowed = [user_path(word) for word in settings.url.allowlists]
    wanted = (("lists", blocked), ("allowed", allowed))

    def on_build() -> None:
        run.emit(kinds.Note("hashing the URL lists; equal lists are hashed once, for all runs"))

    cache = run.path.parent / ".lists"
    return {key: str(built_lists(paths, cache, on_build)) for key, paths in wanted if paths}


def _earlier(settings: CorpusSettings, seed: int) -> list[Rows]:
    """The keys of the corpora that this one is deduplicated against."""
    rows: list[Rows] = []
    for word in settings.dedup.against if settings.dedup.enabled else ():
        try:
            rows += read_index(user_path(word) / "index", family(settings.dedup, seed))
        except ValueError as error:
            raise UserError(f"corpus.dedup.against: {word} {error}") from None
    return rows


def _cluster(
    run: RunFolder, shards: list[Rows], settings: CorpusSettings, earlier: list[Rows]
) -> tuple[list[int], str | None]:
    """Finds the duplicates; returns where each shard's rows begin in the table of clusters, and the table's folder."""
    before = sum(rows.end for rows in earlier)
    firsts = np.concatenate([[0], np.cumsum([rows.end for rows in shards])]) + before
    if not settings.dedup.enabled:
        return firsts[:-1].tolist(), None

    one_task = settings.dedup.one_task

    def run_tasks(function: str, tasks: Sequence[Mapping[str, object]]) -> Sequence[Mapping[str, Any]]:
        if firsts[-1] <= min(DOCUMENTS_IN_PROCESS, one_task):  # starting a worker takes longer than the work
            return [load_function(function)(dict(task), Link()) for task in tasks]
        return run.map(function, tasks, settings.workers, cpu_limit_s=0, light=bool(firsts[-1] <= one_task))

    path = find_duplicates(
        [*earlier, *shards],
        before,
        1 + settings.dedup.num_bands * settings.dedup.near,
        int(settings.dedup.memory_mb * (1 << 20)),
        run.path / "work",
        run_tasks,
        one_task,
    )
    return firsts[:-1].tolist(), str(path)


# --- what people see --------------------------------------------------------------------------------------------------


class _View:
    """Adds up what the workers report, and passes it on once a second."""

    def __init__(self, run: RunFolder, shards: list[list[Source]]) -> None:
        self.run = run
        self.sizes = [sum(source.bytes for source in shard) for shard in shards]
        self.total = sum(self.sizes)
        self.begins = [shard[0].begin if len(shard) == 1 and shard[0].is_archive else None for shard in shards]
        self.done = [0] * len(shards)
        self.counts: list[Counter[str]] = [Counter() for _ in shards]
        self.last = 0.0

    def on_event(self, event: kinds.Event) -> None:
        if not isinstance(event, kinds.ShardProgress):
            self.run.emit(event)
            return
        shard, offset = event.shard, event.offset
        self.counts[shard] = Counter(event.counts)
        if offset is None:
            self.done[shard] = self.sizes[shard]
        elif (begin := self.begins[shard]) is not None:
            self.done[shard] = max(0, min(offset - begin, self.sizes[shard]))
        if time.monotonic() - self.last >= SECONDS_BETWEEN_FUNNELS:
            self.last = time.monotonic()
            self.show()

    def show(self) -> None:
        counts = sum(self.counts, Counter())
        self.run.emit(kinds.Progress(sum(self.done), self.total, "bytes", f"{counts['records']:,} pages"))
        for row in make_funnel(counts):
            self.run.emit(row)


_DROPPED = {"masked": "with personal data masked", "omitted": "without their texts", "clear": "in clear"}


def _say(
    run: RunFolder, settings: CorpusSettings, funnel: list[kinds.Funnel], stats: Stats, judged: list[Judged]
) -> None:
    for row in funnel:
        run.emit(row)
    spent = sum((Counter(result["seconds"]) for result in judged), Counter[str]())
    if spent["all"]:
        speed = f"{stats['records'] / spent['all']:.0f} pages per CPU second"
        steps = ", ".join(f"{step} {share / spent['all']:.0%}" for step, share in spent.most_common() if step != "all")
        run.emit(kinds.Note(f"{speed} ({steps}); {stats['speed']['seconds']:.1f} s on {cores()} cores"))
    if settings.pii.enabled:
        run.emit(kinds.Note(f"dropped documents are stored {_DROPPED[settings.pii.dropped]}"))
    if stats["pii"]:
        masked = ", ".join(f"{number:,} {kind}" for kind, number in stats["pii"].items())
        run.emit(kinds.Note(f"personal data masked: {masked}"))
    if not stats["kept"]:
        run.emit(kinds.Warned("no document is left; stats.json lists the rules that dropped them"))


def _megabytes(sources: list[Source]) -> str:
    return f"{sum(source.size for source in sources) / 1e6:.1f}"
