"""`glassmill add`: files of one's own become documents with provenance, which a recipe can name as its input.

In: files of any known kind. Out, in `runs/add/<name>-<hash6>/`: `shards/documents-*.parquet` (text, URL or path, the
file it stood in and where), `quarantine.jsonl` with the cause of everything that is no document. Nothing is judged
here; that is the corpus stage's work. Finished shards survive a kill, and equal files give equal bytes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glassmill.collect.gather import gather_shard
from glassmill.corpus.extract.extract import WITHOUT_CORE, engine_of
from glassmill.corpus.facts import extraction_facts
from glassmill.corpus.read.sources import Source, group
from glassmill.recipe import CorpusSettings, Recipe, Settings
from glassmill.run import kinds
from glassmill.run.events import Listener
from glassmill.run.executors import map_shards
from glassmill.run.files import atomic_write, remove, sha256_file
from glassmill.run.folder import Identity, RunFolder, content_digest, is_done, open_run, place, settings_identity

STAGE = "add"
VERSION = 1


def add(
    sources: Sequence[Source],
    settings: CorpusSettings,
    name: str,
    runs: Path,
    listeners: tuple[Listener, ...] = (),
) -> Path:
    """Makes documents of `sources`; the run folder. Where the same was done before, nothing is done again.

    Raises:
        UserError: the disk is full, or another process is at work in the folder.
    """
    recipe = Recipe.model_validate({"name": name, "corpus": settings})
    parts: dict[str, Settings | int | str] = {"files": settings.files, "extract": settings.extract}
    parts["max_record_bytes"] = settings.max_record_bytes
    inputs = {source.name: sha256_file(source.path) if not source.refused else source.refused for source in sources}
    facts = extraction_facts(settings.extract)
    identity = Identity(STAGE, VERSION, settings_identity(**parts), {"files": content_digest(inputs)}, facts)
    folder = place(runs, name, identity)
    if is_done(folder):
        return folder
    with open_run(folder, identity, recipe, listeners) as run:
        _make(run, sources, settings)
    return folder


def _make(run: RunFolder, sources: Sequence[Source], settings: CorpusSettings) -> None:
    if settings.extract.engine == "auto" and engine_of(settings.extract) == "resiliparse":
        run.emit(kinds.Warned(WITHOUT_CORE))
    shards = group(sources)
    work = run.path / "work"
    work.mkdir(exist_ok=True)
    tasks = [
        {
            "inputs": [[str(one.path), one.name, one.refused] for one in shard],
            "settings": settings.model_dump(mode="json"),
            "out": str(run.shard_path(f"documents-{number:05d}.parquet")),
            "report": str(work / f"{number:05d}.json"),
        }
        for number, shard in enumerate(shards)
    ]
    sizes = [sum(source.size for source in shard) for shard in shards]
    done = 0

    def on_result(index: int, result: dict[str, Any]) -> None:
        nonlocal done
        done += sizes[index]
        run.emit(kinds.Progress(done, sum(sizes), "bytes"))

    results = map_shards(
        f"{gather_shard.__module__}:{gather_shard.__name__}",
        tasks,
        settings.workers,
        on_result=on_result,
        cpu_limit_s=settings.page_cpu_s,
    )
    entries = [entry for result in results for entry in result["quarantined"]]
    lines = (json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
    atomic_write(run.path / "quarantine.jsonl", "".join(lines).encode("utf-8", "replace"))
    counts = sum((Counter(result["counts"]) for result in results), Counter[str]())
    languages = sum((Counter(result["languages"]) for result in results), Counter[str]())
    run.finish({**counts, "languages": dict(languages.most_common())}, counts=counts)
    remove(work)
