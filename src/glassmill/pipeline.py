"""The whole line, artefact to artefact. Start reading here.

A recipe comes in. Every stage reads the run folders of earlier stages and leaves one of its own: raw pages become
documents, documents a vocabulary and token ids, ids a base model, conversations an assistant, which is then examined.
The stages, with what each reads and leaves, are the rows of `glassmill.stages.rows`; the work of each is the function
`make` in the module that its row names.

A stage whose work is done already, under the same settings and inputs, is skipped; one that was cut off continues.
"""

from __future__ import annotations

from pathlib import Path

from glassmill.corpus.pii.reserved import leaving
from glassmill.evals.own import read_questions
from glassmill.recipe import Recipe
from glassmill.run import given
from glassmill.run.events import Listener
from glassmill.run.inputs import check_named
from glassmill.run.line import Line
from glassmill.run.team import follow, follows, leading
from glassmill.stages import STAGES, check_recipe
from glassmill.tokens.split import check_pattern
from glassmill.train import base, sources
from glassmill.train.sinks import check_sinks
from glassmill.tune import before


def ready(recipe: Recipe, runs: Path, until: str | None = None) -> Recipe:
    """The recipe with its base model found, once all that can be known before the first stage has been looked at.

    Raises:
        UserError: stages without what they need, files that are not there, conversations or questions that cannot be
            read, a split pattern or an exception to personal data that is none, or a base model that does not fit.
    """
    recipe = given.prepared(recipe, runs)
    check_recipe(recipe)
    wanted = [stage for stage in STAGES if stage.name in recipe.stages]
    if until in [stage.name for stage in wanted]:
        wanted = wanted[: 1 + [stage.name for stage in wanted].index(until)]
    names = {stage.name for stage in wanted}
    if "corpus" in names:
        leaving(recipe.corpus.pii.examples, recipe.corpus.pii.allow)
    if "tokenizer" in names:
        check_pattern(recipe.tokenizer.pattern)
    check_sinks(recipe, sorted(names & {"train", "sft", "dpo", "rl"}))
    if names & {"tokenizer", "train"}:
        recipe = base.prepared(recipe, runs)
    if "train" in names:
        recipe = sources.prepared(recipe, runs)
    if "sft" in names:
        recipe = before.prepared(recipe, runs)
    if "rl" in names:
        recipe = before.prepared_practice(recipe, runs)
    if "dpo" in names:
        recipe = before.prepared_preferences(recipe, runs)
    for stage in wanted:
        for setting, files in stage.files(recipe).items():
            check_named(files.words, stores=setting == "corpus.inputs")
    if "eval" in names and recipe.eval.questions:
        read_questions(Path(recipe.eval.questions))
    return recipe


def run_line(recipe: Recipe, runs: Path, listeners: tuple[Listener, ...] = (), until: str | None = None) -> Line:
    """Runs the recipe's stages in order, up to and including `until`, under the folder `runs`.

    Returns:
        The line: the run folder of every stage, and what each took.

    Raises:
        UserError: a mistake in the recipe or its inputs; what was finished stays finished.
        SystemExit: this is one of the processes that only help rank 0, see `glassmill.run.team`, and it has helped.
    """
    if follows():
        follow()
        raise SystemExit(0)
    prepared = ready(recipe, runs, until)
    with leading() as leader, Line(prepared, runs, listeners, until, leader, asked=recipe) as line:
        for stage in STAGES:
            line.run(stage)
    return line
