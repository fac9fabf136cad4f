"""What is in these files? An inventory before documents are made: languages, duplicates, personal data, tokens, time.

In: sources. Out: numbers. All files are counted, and identical ones found by their bytes; texts are read from a sample
(for each kind, files chosen by a hash of their names, and the first pages of large ones) and scaled up by the bytes it
stands for. If everything fits into the sample, the numbers are exact.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TypedDict, cast

from glassmill.collect.gather import GatherTask, SurveyResult, gather_shard
from glassmill.corpus.document import kind_of_cause
from glassmill.corpus.look.shown import masked_for
from glassmill.corpus.read.cut import Source
from glassmill.corpus.read.files.kinds import CONTAINERS, OTHER, kind_of
from glassmill.recipe import CorpusSettings
from glassmill.run.executors import cores, map_shards
from glassmill.run.files import sha256_file
from glassmill.run.stores.stored import InputPath, StoredFile

SAMPLE_FILES = 200
SAMPLE_BYTES = 32 << 20
SAMPLE_PAGES = 300
FILES_A_TASK = 20
BYTES_PER_TOKEN = 4.3
"""For English with a vocabulary of 32,768; other languages need more tokens."""
CORPUS_BYTES_PER_CORE_SECOND = 1.5e6
"""Text through filters, deduplication and masking; an estimate."""
PARENT_BYTES = 120 << 20
EXAMPLES = 20
LANGUAGES = 12


class KindLine(TypedDict):
    """The files of one kind."""

    files: int
    bytes: int
    documents: int
    characters: int


class Duplicates(TypedDict):
    """Files that repeat another file's bytes, and the share of the sampled texts that repeat another."""

    files: int
    bytes: int
    document_share: float


class NotRead(TypedDict):
    """What could not be read, with counts by cause and some examples."""

    number: int
    causes: dict[str, int]
    examples: list[str]


class Minutes(TypedDict):
    """Estimated minutes of two stages."""

    add: float
    corpus: float


class Estimate(TypedDict):
    """What it will take."""

    minutes: Minutes
    memory_bytes: int


class Sample(TypedDict):
    """How much was read: at a `share` of 1 of the readable bytes, all numbers but the estimate are exact."""

    documents: int
    share: float


class Totals(TypedDict):
    """The inventory but for duplicates. `languages` are shares of the documents, `pii` counts by kind."""

    files: int
    bytes: int
    kinds: dict[str, KindLine]
    documents: int
    characters: int
    tokens: int
    languages: dict[str, float]
    pii: dict[str, int]
    not_read: NotRead
    estimate: Estimate
    sample: Sample


class Inventory(Totals):
    """The whole inventory."""

    duplicates: Duplicates


def survey(sources: Sequence[Source], settings: CorpusSettings) -> Inventory:
    """Takes the inventory."""
    by_kind: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        by_kind[OTHER if source.refused else kind_of(source.path)].append(source)
    sums = _Sums(by_kind.pop(OTHER, []), masked_for(settings.pii))
    readable = [source for group in by_kind.values() for source in group]
    tasks = [task for kind, group in sorted(by_kind.items()) for task in _tasks(kind, group, settings)]
    made = map_shards(
        f"{gather_shard.__module__}:{gather_shard.__name__}", tasks, settings.workers, cpu_limit_s=settings.page_cpu_s
    )
    results = [cast("SurveyResult", result) for result in made]
    for kind, group in sorted(by_kind.items()):
        pairs = [(task["bytes"], result) for task, result in zip(tasks, results, strict=True) if task["kind"] == kind]
        sums.add(kind, group, pairs)
    repeated = _repeated([text for result in results for text in result["texts"]])
    files, size = _equal_files(readable)
    duplicates: Duplicates = {"files": files, "bytes": size, "document_share": repeated}
    return {**sums.totals_of(settings.workers or cores()), "duplicates": duplicates}


def _tasks(kind: str, group: list[Source], settings: CorpusSettings) -> Iterator[GatherTask]:
    chosen = _sample(group)
    step = 1 if kind in CONTAINERS else FILES_A_TASK
    for begin in range(0, len(chosen), step):
        part = chosen[begin : begin + step]
        yield {
            "kind": kind,
            "inputs": [one.as_input() for one in part],
            "bytes": sum(one.size for one in part),
            "settings": settings.model_dump(mode="json"),
            **({"limit": SAMPLE_PAGES} if kind in CONTAINERS else {}),  # type: ignore[typeddict-item]
        }


def _sample(group: list[Source]) -> list[Source]:
    """Files of one kind in the order of their names' hashes, up to the limits; at least one."""
    chosen: list[Source] = []
    left = SAMPLE_BYTES
    for source in sorted(group, key=lambda one: hashlib.blake2b(one.name.encode("utf-8", "replace")).digest()):
        if chosen and (left <= 0 or len(chosen) >= SAMPLE_FILES):
            break
        chosen.append(source)
        left -= source.size
    return chosen


class _Sums:
    """Sums over the kinds; a sample is weighted by the bytes it stands for."""

    def __init__(self, unread: list[Source], masked: Callable[[str], str]) -> None:
        self.masked = masked
        self.kinds: dict[str, KindLine] = {}
        self.totals: dict[str, float] = defaultdict(float)
        self.pii: dict[str, float] = defaultdict(float)
        self.languages: dict[str, float] = defaultdict(float)
        self.sampled = 0
        self.peak_bytes = 0
        self.files = self.unread = len(unread)
        self.unread_bytes = sum(source.size for source in unread)
        self.causes: Counter[str] = Counter(
            kind_of_cause(source.refused) or f"files of kind {source.path.suffix or 'without suffix'}"
            for source in unread
        )
        self.examples = [f"{source.name}: {source.refused}" for source in unread if source.refused]

    def add(self, kind: str, group: list[Source], results: list[tuple[int, SurveyResult]]) -> None:
        """Adds the files of one kind, with the bytes and the result of each task over its sample."""
        size = sum(source.size for source in group)
        read = sum(part * result["share"] for part, result in results)
        factor = size / read if read else 0.0
        before = dict(self.totals)
        for _, result in results:
            for sums, part in (
                (self.totals, result["counts"] | {"seconds": result["cpu_s"]}),
                (self.pii, result["pii"]),
                (self.languages, result["languages"]),
            ):
                for name, count in part.items():
                    sums[name] += count * factor
            self.causes.update(kind_of_cause(entry["cause"]) for entry in result["quarantined"])
            self.examples += [f"{entry['url'] or entry['source']}: {entry['cause']}" for entry in result["quarantined"]]
            self.sampled += result["counts"]["documents"]
            self.peak_bytes = max(self.peak_bytes, result["peak_bytes"])
        self.files += len(group)
        self.totals["size"] += size
        self.totals["read"] += min(read, size)
        self.kinds[kind] = {
            "files": len(group),
            "bytes": size,
            "documents": round(self.totals["documents"] - before.get("documents", 0)),
            "characters": round(self.totals["characters"] - before.get("characters", 0)),
        }

    def totals_of(self, workers: int) -> Totals:
        totals, languages = self.totals, sorted(self.languages.items(), key=lambda item: (-item[1], item[0]))
        documents = sum(self.languages.values()) or 1
        text_bytes = totals["bytes"]
        return {
            "files": self.files,
            "bytes": round(totals["size"]) + self.unread_bytes,
            "kinds": self.kinds,
            "documents": round(totals["documents"]),
            "characters": round(totals["characters"]),
            "tokens": round(text_bytes / BYTES_PER_TOKEN),
            "languages": {name: round(count / documents, 3) for name, count in languages[:LANGUAGES]},
            "pii": {name: round(count) for name, count in sorted(self.pii.items())},
            "not_read": {
                "number": self.unread + round(totals["quarantined"]),
                "causes": dict(self.causes.most_common(LANGUAGES)),
                "examples": [self.masked(example) for example in self.examples[:EXAMPLES]],
            },
            "estimate": {
                "minutes": {
                    "add": round(totals["seconds"] / workers / 60, 2),
                    "corpus": round(text_bytes / CORPUS_BYTES_PER_CORE_SECOND / workers / 60, 2),
                },
                "memory_bytes": self.peak_bytes * workers + PARENT_BYTES,
            },
            "sample": {
                "documents": self.sampled,
                "share": round(totals["read"] / totals["size"], 4) if totals["size"] else 1.0,
            },
        }


def _equal_files(sources: list[Source]) -> tuple[int, int]:
    """Number and bytes of the files that repeat an earlier one byte for byte. Only files of equal size are read."""
    by_size: dict[int, list[Source]] = defaultdict(list)
    for source in sources:
        by_size[source.size].append(source)
    repeats: Counter[str] = Counter(files=0, bytes=0)
    for size, group in by_size.items():
        if len(group) > 1:
            more = len(group) - len({_content(source.path) for source in group})
            repeats.update(files=more, bytes=more * size)
    return repeats["files"], repeats["bytes"]


def _content(path: InputPath) -> str:
    return path.content if isinstance(path, StoredFile) else sha256_file(path)


def _repeated(texts: list[str]) -> float:
    return round(1 - len(set(texts)) / len(texts), 4) if texts else 0.0
