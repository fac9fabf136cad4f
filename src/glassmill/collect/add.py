"""`glassmill add`: turns the user's own files into documents with provenance, as input for a recipe.

In: files of any supported kind. Out, in `runs/add/<name>-<hash6>/`: `shards/documents-*.parquet` (text, URL or path,
source file and offset), and `quarantine.jsonl` with the cause for everything that could not become a document. Nothing
is filtered or masked here; that is the corpus stage's job, so nobody else may read the folder. Finished shards survive
a crash, and equal files give equal bytes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from glassmill.collect.gather import GatherResult, GatherTask, gather_shard
from glassmill.corpus.extract.extract import WITHOUT_CORE, engine_of
from glassmill.corpus.facts import extraction_facts
from glassmill.corpus.read.cut import Source, cut
from glassmill.recipe import CorpusSettings, Recipe, Settings
from glassmill.run import kinds
from glassmill.run.events import Listener
from glassmill.run.executors import map_shards
from glassmill.run.files import atomic_write, remove
from glassmill.run.finished import discard, is_done, run_damage
from glassmill.run.folder import Identity, RunFolder, open_run, settings_identity
from glassmill.run.inputs import InputFile, digest_files, record_inputs
from glassmill.run.places import place
from glassmill.run.shards import folder_of, shard_name
from glassmill.run.stores.stored import place_of

STAGE = "add"
VERSION = 4
SHARD_BYTES = 64 << 20


def add(
    sources: Sequence[Source],
    recipe: Recipe,
    runs: Path,
    listeners: tuple[Listener, ...] = (),
) -> Path:
    """Makes documents of `sources` and returns the run folder; an earlier run with equal input is reused.

    Only the name and the `corpus` section of `recipe` are used.

    Raises:
        UserError: the disk is full, or another process is using the folder.
    """
    settings = recipe.corpus
    parts: dict[str, Settings | int | str] = {"files": settings.files, "extract": settings.extract}
    parts |= {"max_record_bytes": settings.max_record_bytes, "language": settings.language}
    files = [InputFile(place_of(source.path), source.name, source.refused) for source in sources]
    facts = extraction_facts(settings.extract)
    identity = Identity(STAGE, VERSION, settings_identity(**parts), {"files": digest_files(files)}, facts)
    folder = place(runs, recipe.name, identity)
    damaged = run_damage(folder) if is_done(folder) else []
    folder.mkdir(parents=True, exist_ok=True)
    _make_private([folder])
    if is_done(folder) and not damaged:
        return folder
    with open_run(folder, identity, recipe, listeners) as run:
        if damaged:
            run.emit(kinds.Warned(f"{folder / damaged[0].name} {damaged[0].what}; the files are read again"))
            discard(folder)
        record_inputs(folder, {"files": files})
        _make(run, sources, settings)
    _make_private(folder.rglob("*"))
    return folder


def _make_private(paths: Iterable[Path]) -> None:
    """Only the user may read what lies there: the documents are in clear, as the corpus stage needs them."""
    for path in paths:
        with suppress(PermissionError):  # another user's run: theirs to decide
            path.chmod(0o700 if path.is_dir() else 0o600)


def _make(run: RunFolder, sources: Sequence[Source], settings: CorpusSettings) -> None:
    if settings.extract.engine == "auto" and engine_of(settings.extract) == "resiliparse":
        run.emit(kinds.Warned(WITHOUT_CORE))
    shards = cut(sources, SHARD_BYTES, divide=False)
    work = run.path / "work"
    work.mkdir(exist_ok=True)
    tasks: list[GatherTask] = [
        {
            "inputs": [one.as_input() for one in shard],
            "settings": settings.model_dump(mode="json"),
            "out": str(run.path / shard_name("documents", number)),
            "report": str(work / f"{folder_of(number)}{number:05d}.json"),
        }
        for number, shard in enumerate(shards)
    ]
    sizes = [sum(source.size for source in shard) for shard in shards]
    done = 0

    def on_result(index: int, result: Mapping[str, object]) -> None:
        nonlocal done
        done += sizes[index]
        run.emit(kinds.Progress(done, sum(sizes), "bytes"))

    made = map_shards(
        f"{gather_shard.__module__}:{gather_shard.__name__}",
        tasks,
        settings.workers,
        on_result=on_result,
        cpu_limit_s=settings.page_cpu_s,
    )
    results = [cast("GatherResult", result) for result in made]
    entries = [entry for result in results for entry in result["quarantined"]]
    lines = (json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n" for entry in entries)
    atomic_write(run.path / "quarantine.jsonl", "".join(lines).encode("utf-8", "replace"))
    counts = Counter[str]()
    for result in results:
        counts.update(result["counts"])  # `+` would leave out what is zero, such as files that cannot be read
    languages = sum((Counter(result["languages"]) for result in results), Counter[str]())
    run.finish({**counts, "languages": dict(languages.most_common())}, counts=counts)
    remove(work)
