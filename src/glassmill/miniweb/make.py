"""The verb `miniweb`: writes a MiniWeb into a run folder, determined by the settings and the seed.

    warc/pages-00000.warc.gz ...   the pages            truth.parquet          the truth about each (`truth.py`)
    blocklists/<category>.txt      hosts, one a line    questions.jsonl        what a model is asked (`questions.py`)
    world.json                     the town             conversations.jsonl    what sft teaches it (`conversations.py`)

Existing files are left alone, so a killed run can continue; each file is written atomically.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

from glassmill.miniweb import conversations, questions
from glassmill.miniweb.page import Page
from glassmill.miniweb.records import write_warc
from glassmill.miniweb.sites import block_lists
from glassmill.miniweb.truth import write_truth
from glassmill.miniweb.web import build
from glassmill.miniweb.world import World, make_world
from glassmill.recipe import MiniwebSettings, Recipe
from glassmill.run import kinds
from glassmill.run.files import atomic_path, atomic_write
from glassmill.run.folder import RunFolder

VERSION = 5


def resolved(recipe: Recipe) -> dict[str, str | int]:
    """What decides the bytes besides settings and seed.

    Python promises no equal draws of `random` over its minor versions, but for `random()` itself; zlib and its
    replacements (zlib-ng) compress in different ways; pyarrow writes its version into `truth.parquet`.
    """
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "pyarrow": version("pyarrow"),
    }


def make(run: RunFolder, settings: MiniwebSettings, seed: int) -> None:
    """Writes all files and publishes the run."""
    world = make_world(seed, settings.people, settings.false_claims)
    ghosts = questions.make_ghosts(world, seed)
    sums = questions.make_sums(seed, conversations.num_sums(settings.conversations))
    pages = build(world, ghosts.pages, sums.pages, settings.pages, seed)
    _write_web(run, pages, settings.warc_files, seed)
    num_asked = write_talk(run.path, world, ghosts, sums, settings.conversations, seed)
    for category, hosts in block_lists().items():
        _write_once(run.path / "blocklists" / f"{category}.txt", "".join(f"{host}\n" for host in hosts))
    _write_once(
        run.path / "world.json", json.dumps(asdict(world), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    )
    kinds = Counter(page.kind for page in pages)
    stats = {
        "pages": len(pages),
        "kinds": dict(sorted(kinds.items())),
        "expected": dict(sorted(Counter(page.expected for page in pages).items())),
        "facts": sum(len(subject.facts) for subject in world.subjects),
        "planted_pii": sum(len(page.pii) for page in pages),
        "damaged": sum(bool(page.damage) for page in pages),
        "questions": num_asked,
        "conversations": settings.conversations,
    }
    run.finish(stats)


def write_talk(
    folder: Path, world: World, ghosts: questions.Ghosts, sums: questions.Sums, count: int, seed: int
) -> int:
    """Writes questions and conversations, which share no ghost and no sum; returns the number of questions."""
    asked = questions.make_questions(world, seed, ghosts, sums.evaluation)
    talks = conversations.make_conversations(world, seed, count, ghosts.sft, sums.sft)
    _write_once(folder / "questions.jsonl", _lines(asked))
    _write_once(folder / "conversations.jsonl", _lines(talks))
    return len(asked)


def _write_web(run: RunFolder, pages: Sequence[Page], num_files: int, seed: int) -> None:
    """Writes the WARC files, then the truth, which needs all their offsets."""
    placed: list[tuple[Page, str, int]] = []
    bounds = [len(pages) * number // num_files for number in range(num_files + 1)]
    for number, (start, end) in enumerate(pairwise(bounds)):
        file = write_warc(f"pages-{number:05d}.warc.gz", pages[start:end], seed)
        _write_once(run.path / "warc" / file.name, file.content)
        placed += [(page, file.name, offset) for page, offset in zip(pages[start:end], file.offsets, strict=True)]
        run.emit(kinds.Progress(end, len(pages), "pages"))
    if not (run.path / "truth.parquet").exists():
        with atomic_path(run.path / "truth.parquet") as temporary:
            write_truth(temporary, placed)


def _write_once(path: Path, content: bytes | str) -> None:
    if not path.exists():
        atomic_write(path, content)


def _lines(rows: Iterable[Mapping[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
