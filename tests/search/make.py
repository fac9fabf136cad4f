"""Finished corpus runs of a few documents, for tests of search."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from glassmill.corpus.document import KEPT_SCHEMA, Document, document_id, table_of, write_table
from glassmill.recipe import find_recipe, load_recipe
from glassmill.run.folder import Identity, open_run

MANUALS = {
    "bread.md": "# Bread\n\nThe baker keeps the dough at 24 degrees for six hours. Salt is added last.\n\n"
    "A loaf of rye needs ninety minutes in the oven, and cools on a grid.\n",
    "mill.md": "# Mill\n\nThe millstone is dressed twice a year. Its furrows carry the meal outwards.\n\n"
    "--dry-run\n\nShow what would be ground, and grind nothing.\n\n"
    "--sieve=MESH\n\nSieve the meal with so many meshes.\n",
    "wheel.txt": "The wheel turns at eleven revolutions a minute. Ice stops it in January; the sluice is shut then.\n",
}


def corpus_run(folder: Path, files: Mapping[str, str], stage: str = "corpus") -> Path:
    """A finished run of the corpus stage in `folder` that kept these documents."""
    recipe = load_recipe(find_recipe("documents"))
    kept = [Document(document_id(name, 0, name), name, text, name, 0) for name, text in files.items()]
    with open_run(folder, Identity(stage, 1, {}), recipe) as run:
        write_table(table_of(kept, KEPT_SCHEMA), run.shard_path("documents-00000.parquet"))
        run.finish({"kept": len(kept)})
    return folder
