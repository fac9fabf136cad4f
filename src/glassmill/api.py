"""The line from Python: `glassmill.run`, `glassmill.documents`. See `glassmill.__all__` for all that is promised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glassmill.corpus.document import Document


@dataclass(frozen=True)
class Run:
    """A finished line.

    Attributes:
        paths: Stage name -> run folder.
        report: The numbers, see `glassmill.commands.report.line_report`.
    """

    paths: dict[str, Path]
    report: dict[str, Any]

    @property
    def model(self) -> Path | None:
        """The model folder: the assistant's, or the base model's where there is no sft."""
        stage = next((name for name in ("sft", "train") if name in self.paths), None)
        return self.paths[stage] / "model" if stage else None


def run(recipe: str | Path, *words: str, runs: str | Path = "runs", until: str | None = None) -> Run:
    """Runs a recipe: `run("recipes/demo.toml", "train.minutes=2")`. Finished stages are skipped.

    Raises:
        UserError: a mistake in the recipe or its inputs.
    """
    from glassmill.commands.report import line_report
    from glassmill.pipeline import run_line
    from glassmill.recipe import find_recipe, load_recipe

    line = run_line(load_recipe(find_recipe(str(recipe)), words), Path(runs), until=until)
    return Run(dict(line.folders), line_report(line))


def documents(corpus: str | Path, dropped: bool = False) -> Iterator[Document]:
    """The documents of a corpus run, in order; with `dropped=True` the pages that were left out, with their reasons.

    Raises:
        UserError: no finished corpus run there.
    """
    from glassmill.corpus import document
    from glassmill.run.folder import read_manifest

    read_manifest(Path(corpus))
    return document.documents(corpus, dropped=dropped)
