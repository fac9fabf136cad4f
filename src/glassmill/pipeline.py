"""The whole line as calls, artefact to artefact. Start reading here.

A recipe comes in; every stage reads the run folders of earlier stages and leaves one of its own behind. A stage whose
work is already done, under the same settings and inputs, is skipped; one that was cut off continues.
"""

from __future__ import annotations

from pathlib import Path

from glassmill.recipe import Recipe, check_recipe
from glassmill.run.events import Listener
from glassmill.run.line import Line

VERBS = {
    "miniweb": "glassmill.miniweb.make",
    "corpus": "glassmill.corpus.corpus",
    "tokenizer": "glassmill.tokens.vocabulary",
    "tokens": "glassmill.tokens.tokens",
    "train": "glassmill.train.train",
    "sft": "glassmill.tune.sft",
    "eval": "glassmill.evals.eval",
}


def run_line(recipe: Recipe, runs: Path, listeners: tuple[Listener, ...] = (), until: str | None = None) -> Line:
    """Runs the recipe's stages in order, up to and including `until`, under the folder `runs`.

    Returns:
        The line: the run folder of every stage, and what each took.

    Raises:
        UserError: a mistake in the recipe or its inputs; what was finished stays finished.
    """
    check_recipe(recipe)
    line = Line(recipe, VERBS, runs, listeners, until)
    with line:
        # collect: the demo's own small web, or the files that the recipe names
        web = line.stage("miniweb", settings=recipe.miniweb)

        # corpus: web pages -> clean documents, and every dropped page with its reason
        earlier = tuple(f"{run}/index/index.json" for run in recipe.corpus.dedup.against)
        files = recipe.corpus.inputs + recipe.corpus.url.blocklists + recipe.corpus.url.allowlists + earlier
        files += (recipe.corpus.classifier.path,) if recipe.corpus.classifier.path else ()
        documents = line.stage("corpus", settings=recipe.corpus, files=files, web=web)

        # tokenizer and tokens: documents -> a vocabulary -> ids
        tokenizer = line.stage("tokenizer", settings=recipe.tokenizer, documents=documents)
        tokens = line.stage("tokens", settings=recipe.tokens, documents=documents, tokenizer=tokenizer)

        # train: ids -> a base model that continues text
        base = line.stage(
            "train", settings=recipe.train, model_settings=recipe.model, tokens=tokens, tokenizer=tokenizer
        )

        # sft: a base model and conversations -> an assistant that answers
        files = recipe.sft.conversations + ((recipe.sft.base,) if recipe.sft.base else ())
        assistant = line.stage("sft", settings=recipe.sft, files=files, base=base, web=web, tokens=tokens)

        # eval: what it knows, what it refuses, what leaked
        line.stage("eval", settings=recipe.eval, model=assistant or base, web=web, documents=documents, tokens=tokens)
    return line
