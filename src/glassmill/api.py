"""The line from Python: `glassmill.run`, `glassmill.documents`. `glassmill.__all__` lists the whole API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassmill.stages import last_model

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
    report: Mapping[str, Any]

    @property
    def model(self) -> Path | None:
        """The model folder of the last stage that left one: the assistant's, or else the base model's."""
        stage = last_model(self.paths)
        return self.paths[stage] / "model" if stage else None


def run(recipe: str | Path, *overrides: str, runs: str | Path = "runs", until: str | None = None) -> Run:
    """Runs a recipe: `run("recipes/demo.toml", "train.minutes=2")`. Finished stages are skipped.

    Raises:
        UserError: a mistake in the recipe or its inputs.
    """
    from glassmill.commands.report import line_report
    from glassmill.pipeline import run_line
    from glassmill.recipe import find_recipe, load_recipe

    line = run_line(load_recipe(find_recipe(str(recipe)), overrides), Path(runs), until=until)
    return Run(dict(line.folders), line_report(line))


def documents(corpus: str | Path, dropped: bool = False) -> Iterator[Document]:
    """The documents of a corpus run, in order; with `dropped=True` the dropped pages, with their reasons.

    Raises:
        UserError: `corpus` is not a finished run.
    """
    from glassmill.corpus import document
    from glassmill.run.finished import read_manifest

    read_manifest(Path(corpus))
    return document.documents(corpus, dropped=dropped)
