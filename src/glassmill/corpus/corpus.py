"""The corpus stage: web pages become clean documents, and every page that does not says why.

In: WARC and WET files, folders of HTML, Markdown and text. Out, in the run folder: `shards/documents-*.parquet`,
`shards/dropped-*.parquet`, `quarantine.jsonl`, and the funnel in `stats.json`. Every record read is in exactly one of
the three.

The order is FineWeb's: URL filter, encoding, extraction, language, Gopher repetition, Gopher quality, C4, FineWeb's
rules, then (over all shards) MinHash deduplication, then personal data. Work is cut in shards that depend on nothing
but their task, so the result is the same for any number of workers, and after a kill at any instant.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glassmill.corpus.chain import STEPS
from glassmill.corpus.dedup.duplicates import Rows, find_duplicates, read_index, write_index
from glassmill.corpus.dedup.keys import family
from glassmill.corpus.document import kind_of_cause
from glassmill.corpus.judge.url_lists import built_lists
from glassmill.corpus.parts import FinishedPart, finished_parts
from glassmill.corpus.read.sources import Source, find_sources, group
from glassmill.errors import UserError
from glassmill.recipe import CorpusSettings
from glassmill.run import kinds
from glassmill.run.executors import cores
from glassmill.run.files import atomic_write, remove
from glassmill.run.folder import RunFolder
from glassmill.run.worker import Link, load_function

VERSION = 4

SECONDS_BETWEEN_FUNNELS = 1.0
DOCUMENTS_IN_PROCESS = 100_000


def make(run: RunFolder, settings: CorpusSettings, seed: int, web: Path | None = None) -> None:
    """Fills `run` with the documents of the inputs.

    Args:
        run: The open run folder. Pieces that an earlier attempt finished are used again.
        settings: Inputs, thresholds, switches.
        seed: Chooses the MinHash family.
        web: A MiniWeb run: its WARC files are the inputs where the settings name none, and its block lists count.

    Raises:
        UserError: an input names nothing, or no input holds pages.
    """
    begin = time.perf_counter()
    sources = _sources(settings, web)
    shards = group(sources)
    work = run.path / "work"
    work.mkdir(exist_ok=True)
    lists = _hash_lists(run, settings, web)
    earlier = _earlier(settings, seed)
    base = {"work": str(work), "settings": settings.model_dump(mode="json"), "seed": seed, **lists}
    run.emit(kinds.Note(f"{len(sources)} input files, {_megabytes(sources)} MB, in {len(shards)} shards"))

    view = _View(run, shards)
    tasks = [
        {**base, "shard": number, "inputs": [[str(one.path), one.name, one.refused] for one in shard]}
        for number, shard in enumerate(shards)
    ]
    judged = run.map(
        "glassmill.corpus.tasks:judge_shard",
        tasks,
        settings.workers,
        on_event=view.on_event,
        cpu_limit_s=settings.page_cpu_s,
    )
    parts = [list(finished_parts(work / f"{number:05d}")) for number in range(len(shards))]
    counts = sum((part.counts for shard in parts for part in shard), Counter())
    run.emit(kinds.Progress(view.total, view.total, "bytes", "looking for duplicates"))

    firsts, clusters = _cluster(run, parts, settings, earlier)
    (run.path / "shards").mkdir(exist_ok=True)
    tasks = [
        {**base, "shard": number, "out": str(run.path / "shards"), "first": first, "clusters": clusters}
        for number, first in enumerate(firsts)
    ]
    finished = run.map("glassmill.corpus.tasks:finish_shard", tasks, settings.workers, cpu_limit_s=settings.page_cpu_s)

    if settings.dedup.enabled and settings.dedup.index:
        write_index(run.path / "index", family(settings.dedup, seed))

    total = counts + sum((Counter(result["counts"]) for result in finished), Counter[str]())
    stats = _stats(total, finished, sources)
    entries = [entry for shard, result in zip(parts, finished, strict=True)
               for entry in [*(one for part in shard for one in part.quarantined), *result["quarantined"]]]  # fmt: skip
    atomic_write(
        run.path / "quarantine.jsonl", "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
    )
    stats |= _ends(stats, entries, time.perf_counter() - begin)
    _tell(run, make_funnel(total), stats, judged)
    run.finish(stats, counts={key: stats[key] for key in ("records", "kept", "dropped", "quarantined")})
    remove(work)


def _sources(settings: CorpusSettings, web: Path | None) -> list[Source]:
    words = settings.inputs
    if not words and web is not None:
        words = (str(web / "warc"),)
    if not words:
        raise UserError(
            "corpus.inputs is empty and the recipe has no miniweb stage; name WARC files or folders in corpus.inputs"
        )
    return find_sources(words)


def _hash_lists(run: RunFolder, settings: CorpusSettings, web: Path | None) -> dict[str, str]:
    """The folders of the hashed lists, `lists` (blocked) and `allowed`, built once for all workers and runs."""
    if not settings.url.enabled:
        return {}
    blocked = [Path(word).expanduser() for word in settings.url.blocklists]
    if web is not None and (web / "blocklists").is_dir():
        blocked.append(web / "blocklists")
    allowed = [Path(word).expanduser() for word in settings.url.allowlists]
    wanted = (("lists", blocked), ("allowed", allowed))

    def on_build() -> None:
        run.emit(kinds.Note("hashing the URL lists; equal lists are hashed once, for all runs"))

    cache = run.path.parent / ".lists"
    return {key: str(built_lists(paths, cache, on_build)) for key, paths in wanted if paths}


def _earlier(settings: CorpusSettings, seed: int) -> list[Rows]:
    """The keys of the corpora that this one is held against."""
    rows: list[Rows] = []
    for word in settings.dedup.against if settings.dedup.enabled else ():
        try:
            rows += read_index(Path(word).expanduser() / "index", family(settings.dedup, seed))
        except ValueError as error:
            raise UserError(f"corpus.dedup.against: {word} {error}") from None
    return rows


def _cluster(
    run: RunFolder, parts: list[list[FinishedPart]], settings: CorpusSettings, earlier: list[Rows]
) -> tuple[list[int], str | None]:
    """Finds the duplicates; returns where each shard's rows begin in the table of clusters, and the table's path."""
    sources = [[Rows(part.folder / "keys.npy", 0, part.keys().shape[0]) for part in shard] for shard in parts]
    before = sum(rows.end for rows in earlier)
    firsts = np.concatenate([[0], np.cumsum([sum(rows.end for rows in shard) for shard in sources])]) + before
    if not settings.dedup.enabled:
        return firsts[:-1].tolist(), None

    def run_tasks(function: str, tasks: Sequence[dict[str, Any]]) -> None:
        if firsts[-1] <= DOCUMENTS_IN_PROCESS:  # starting a child takes longer than the work
            for task in tasks:
                load_function(function)(task, Link())
        else:
            run.map(function, tasks, settings.workers, cpu_limit_s=0, light=True)

    path = find_duplicates(
        [*earlier, *(rows for shard in sources for rows in shard)],
        before,
        1 + settings.dedup.num_bands * settings.dedup.near,
        settings.dedup.memory_mb << 20,
        run.path / "work",
        run_tasks,
    )
    return firsts[:-1].tolist(), str(path)


# --- what people see --------------------------------------------------------------------------------------------------


def make_funnel(counts: Counter[str]) -> list[kinds.Funnel]:
    """Step by step: how many documents came in, how many went on, and which rules dropped the others."""
    rows: list[kinds.Funnel] = []
    inside = counts["records"]
    for step in STEPS:
        dropped = {
            key.partition(" ")[2]: number for key, number in sorted(counts.items()) if key.startswith(f"{step} ")
        }
        lost = counts["quarantined"] if step == "read" else 0
        if step == "classifier" and not dropped:
            continue  # an optional step
        outside = inside - sum(dropped.values()) - lost
        rows.append(kinds.Funnel(step, inside, outside, dropped, lost))
        inside = outside
    return rows


class _View:
    """Adds up what the children tell, and passes it on at a pace that people can follow."""

    def __init__(self, run: RunFolder, shards: list[list[Source]]) -> None:
        self.run = run
        self.sizes = [sum(source.size for source in shard) for shard in shards]
        self.total = sum(self.sizes)
        self.archives = [shard[0].is_archive for shard in shards]
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
        elif self.archives[shard]:
            self.done[shard] = offset
        if time.monotonic() - self.last >= SECONDS_BETWEEN_FUNNELS:
            self.last = time.monotonic()
            self.show()

    def show(self) -> None:
        counts = sum(self.counts, Counter())
        self.run.emit(kinds.Progress(sum(self.done), self.total, "bytes", f"{counts['records']:,} pages"))
        for row in make_funnel(counts):
            self.run.emit(row)


def _stats(counts: Counter[str], finished: list[dict[str, Any]], sources: list[Source]) -> dict[str, Any]:
    late = sum(len(result["quarantined"]) for result in finished)
    stats: dict[str, Any] = {
        "records": counts["records"],
        "kept": counts["kept"],
        "dropped": sum(number for key, number in counts.items() if " " in key),
        "quarantined": counts["quarantined"] + late,
        "bytes_in": sum(source.size for source in sources),
        "characters_out": counts["characters"],
        "funnel": [kinds.fields_of(row) for row in make_funnel(counts)],
        "pii": dict(sorted(sum((Counter(result["pii"]) for result in finished), Counter()).items())),
    }
    assert stats["records"] == stats["kept"] + stats["dropped"] + stats["quarantined"], stats
    return stats


def _ends(stats: dict[str, Any], entries: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """What the screen and the report say last: how fast it went, and what was set aside for which causes."""
    causes = Counter(kind_of_cause(entry["cause"]) for entry in entries)
    return {
        "causes": dict(causes.most_common(10)),
        "speed": {
            "seconds": round(seconds, 2),
            "pages_per_s": round(stats["records"] / seconds, 1),
            "bytes_per_s": round(stats["bytes_in"] / seconds),
        },
    }


def _tell(run: RunFolder, funnel: list[kinds.Funnel], stats: dict[str, Any], judged: list[dict[str, Any]]) -> None:
    for row in funnel:
        run.emit(row)
    spent = sum((Counter(result["seconds"]) for result in judged), Counter[str]())
    if spent["all"]:
        speed = f"{stats['records'] / spent['all']:.0f} pages per CPU second"
        steps = ", ".join(f"{step} {share / spent['all']:.0%}" for step, share in spent.most_common() if step != "all")
        run.emit(kinds.Note(f"{speed} ({steps}); {stats['speed']['seconds']:.1f} s on {cores()} cores"))
    if stats["pii"]:
        masked = ", ".join(f"{number:,} {kind}" for kind, number in stats["pii"].items())
        run.emit(kinds.Note(f"personal data masked: {masked}"))
    if not stats["kept"]:
        run.emit(kinds.Warned("no document is left; look at stats.json for the rules that dropped them"))


def _megabytes(sources: list[Source]) -> str:
    return f"{sum(source.size for source in sources) / 1e6:.1f}"
