"""`glassmill ablate`: what does a setting change? Every combination of the given values, with several seeds each.

    glassmill ablate web corpus.gopher_quality.enabled=true,false --seeds 3

Runs are ordinary runs of the recipe: stages that variants share are done once, finished ones are skipped, so a call
that was cut off continues. Seeds are those of the trainings; pages, vocabulary and held-out documents stay the same.

What is compared is bits per byte, which doesn't depend on the vocabulary, on text that is the same for all: the
documents that the corpora of all variants hold and hold out. Scores of the recipe's eval stage come with it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

from rich.table import Table

from glassmill.commands.plots import effect_plot
from glassmill.commands.report import line_report
from glassmill.commands.terminal import plain
from glassmill.errors import UserError
from glassmill.evals.ablation import Effect, effects
from glassmill.pipeline import ready, run_line
from glassmill.recipe import Recipe
from glassmill.run.events import Listener
from glassmill.run.files import atomic_json, atomic_write
from glassmill.run.finished import read_stats
from glassmill.run.line import Line
from glassmill.tokens.tokens import held_out_documents

MOST_TRAININGS = 200
SEEDS = ("seed", "train.seed", "sft.seed")
COMMON_BYTES = 1_000_000
"""Held-out text that is scored, at most; documents are taken in the order of their hashes."""
BITS = "bits_per_byte"
SHOWN = 4
"""Scores in the terminal's table; the files have all."""


class Variant(NamedTuple):
    """One combination of settings: `key=value` words."""

    overrides: tuple[str, ...]

    @property
    def name(self) -> str:
        return ", ".join(self.overrides) or "as the recipe says"


class ModelScores(TypedDict):
    """One trained model."""

    seed: int
    model: str
    documents: int
    tokens_seen: int
    scores: dict[str, float]


class VariantReport(TypedDict):
    """One variant: its settings, its models, and what the settings did."""

    settings: list[str]
    models: list[ModelScores]
    effects: dict[str, Effect]


class Ablation(TypedDict):
    """The result. `text`: what bits per byte are measured on. `files`: what was written, beside this as JSON."""

    recipe: str
    seeds: list[int]
    text: str
    variants: list[VariantReport]
    notes: list[str]
    files: list[str]


Load = Callable[[Sequence[str]], Recipe]
"""The recipe, changed by `key=value` words."""


def grid(words: Sequence[str], seeds: int = 1) -> list[Variant]:
    """Every combination of the values in `key=a,b` words; the first is what the others are compared with.

    >>> [one.name for one in grid(["a=1,2", "b=x"])]
    ['a=1', 'a=2']
    >>> [one.overrides for one in grid(["a=1,2", "b=[3,4],[5]"])][1]
    ('a=1', 'b=[5]')

    Raises:
        UserError: no word has several values, a word has none, or there are too many combinations.
    """
    choices: list[list[str]] = []
    for word in words:
        key, equals, values = word.partition("=")
        found = list(_values(values))
        if not equals or not key or "" in found:
            raise UserError(f"{word!r}: give a setting and its values, such as train.peak_lr=0.01,0.02")
        if len(found) > 1 and key.strip() in SEEDS:
            raise UserError(f"{word!r}: seeds are not compared; --seeds {len(found)} trains every variant so often")
        choices.append([f"{key}={value}" for value in found])
    if not any(len(choice) > 1 for choice in choices):
        raise UserError("nothing to compare: give at least one setting two values, such as train.peak_lr=0.01,0.02")
    if (trainings := math.prod(map(len, choices)) * seeds) > MOST_TRAININGS:
        raise UserError(f"{trainings:,} trainings with --seeds {seeds}; at most {MOST_TRAININGS} are run")
    fixed = {choice[0] for choice in choices if len(choice) == 1}
    combined = list(itertools.product(*choices))
    variants = [Variant(tuple(word for word in one if word not in fixed)) for one in combined]
    return variants


def fixed_words(words: Sequence[str]) -> list[str]:
    """The `key=value` words with one value: they hold for all variants."""
    return [word for word in words if len(list(_values(word.partition("=")[2]))) == 1]


def _values(text: str) -> Iterator[str]:
    """The parts between commas that are not inside brackets or quotes."""
    depth, quote, begin = 0, "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and depth == 0:
            yield text[begin:place].strip()
            begin = place + 1
    yield text[begin:].strip()


def run_ablation(
    load: Load,
    words: Sequence[str],
    seeds: int,
    runs: Path,
    out: Path,
    listeners: tuple[Listener, ...] = (),
    notify: Callable[[str], None] = lambda text: None,
) -> Ablation:
    """Trains what the grid needs, scores it, and writes `ablation.json`, `table.md` and `plot.svg` under `out`.

    Raises:
        UserError: a grid without a choice, a variant whose recipe is wrong or trains nothing, or no text to compare on.
    """
    if seeds < 1:
        raise UserError(f"--seeds {seeds}: give at least 1")
    variants, always = grid(words, seeds), fixed_words(words)
    recipes = [
        [load([*always, *one.overrides, *_seeded(load, always, seed)]) for seed in range(seeds)] for one in variants
    ]
    for recipe in itertools.chain(*recipes):
        if "train" not in recipe.stages:
            raise UserError("ablate compares trained models; add the stage train to the recipe")
        ready(recipe, runs)
    notify(f"{len(variants)} variants, {seeds} seeds each: {len(variants) * seeds} trainings; shared stages once")
    lines: list[list[Line]] = []
    for variant, of_seeds in zip(variants, recipes, strict=True):
        lines.append([])
        for number, recipe in enumerate(of_seeds):
            notify(f"{variant.name}; seed {number + 1} of {seeds}")
            lines[-1].append(run_line(recipe, runs, listeners))
    texts = _common_texts([line for one in lines for line in one[:1]])
    notify(f"scoring {len(variants) * seeds} models on {len(texts)} held-out documents")
    reports = [[_scored(line, texts) for line in one] for one in lines]
    measured = effects([[one["scores"] for one in models] for models in reports])
    ablation: Ablation = {
        "recipe": recipes[0][0].name,
        "seeds": [recipe.train.seed or 0 for recipe in recipes[0]],
        "text": _said(texts),
        "variants": [
            {"settings": list(variant.overrides), "models": models, "effects": found}
            for variant, models, found in zip(variants, reports, measured, strict=True)
        ],
        "notes": list(_notes(recipes[0][0], seeds)),
        "files": [str(out / name) for name in ("ablation.json", "table.md", "plot.svg")],
    }
    out.mkdir(parents=True, exist_ok=True)
    atomic_json(out / "ablation.json", ablation)
    atomic_write(out / "table.md", markdown(ablation))
    atomic_write(out / "plot.svg", effect_plot([one.name for one in variants], measured, BITS, "bits per byte"))
    return ablation


def _seeded(load: Load, always: Sequence[str], number: int) -> list[str]:
    """The words that give the trainings their seed: that of the recipe, or of the call, and those after it."""
    recipe = load(always)
    seed = (recipe.train.seed if recipe.train.seed is not None else recipe.seed) + number
    return [f"train.seed={seed}", *(f"{name}.seed={seed}" for name in ("sft", "dpo", "rl") if name in recipe.stages)]


def _common_texts(lines: Sequence[Line]) -> list[str]:
    """The documents that every variant's corpus holds and holds out, up to `COMMON_BYTES`."""
    if any("corpus" not in line.folders for line in lines):
        raise UserError(
            "ablate compares on held-out documents, and the corpus of a given run is gone: name given.corpus"
        )
    found = [held_out_documents(line.folders["corpus"], line.recipe.tokens.validation_share) for line in lines]
    texts: list[str] = []
    size = 0
    for number in sorted(set.intersection(*(set(one) for one in found))):
        if size < COMMON_BYTES:
            texts.append(found[0][number])
            size += len(texts[-1].encode())
    if not texts:
        raise UserError(
            "no document is held out in every variant, so there is no text to compare on: read more pages, or raise "
            "tokens.validation_share"
        )
    return texts


def _scored(line: Line, texts: Sequence[str]) -> ModelScores:
    """Scores of one line's base model, and of its eval stage."""
    report = line_report(line)
    folder = line.folders["train"]
    evaluated = read_stats(line.folders["eval"]) if "eval" in line.folders else {}
    corpus = read_stats(line.folders["corpus"])
    return {
        "seed": line.recipe.train.seed or 0,
        "model": report["model"] or "",
        "documents": int(corpus["funnel"][-1]["out"]),
        "tokens_seen": int(read_stats(folder)["tokens_seen"]),
        "scores": {BITS: _bits(folder / "model", texts), **dict(_numbers(evaluated, ""))},
    }


def _bits(folder: Path, texts: Sequence[str]) -> float:
    """Bits per byte of a model on these documents."""
    import numpy as np

    from glassmill.evals.bits_per_byte import bits_per_byte
    from glassmill.infer.folder import load_folder
    from glassmill.infer.torch_decoder import TorchDecoder

    loaded = load_folder(folder)
    end = loaded.tokenizer.document_end_id
    ids, _ = loaded.tokenizer.encode_flat(list(texts), end_id=end)
    ids = np.concatenate([np.array([end], dtype=ids.dtype), ids])
    length = min(loaded.config.context_length, 1024)
    return round(bits_per_byte(TorchDecoder(loaded.model), ids, loaded.tokenizer.text_lengths(), length), 5)


def _numbers(value: Mapping[str, object], prefix: str) -> Iterator[tuple[str, float]]:
    """The shares and scores among an eval's numbers, by dotted names; counts are none."""
    for name, one in value.items():
        if isinstance(one, Mapping):
            yield from _numbers(one, f"{prefix}{name}.")
        elif isinstance(one, float) and name != BITS:
            yield prefix + name, one


def _said(texts: Sequence[str]) -> str:
    size = sum(len(text.encode()) for text in texts)
    return f"{len(texts)} documents ({size:,} bytes) that every variant holds out"


def _notes(recipe: Recipe, seeds: int) -> Iterator[str]:
    if seeds == 1:
        yield "one seed: no interval, and a difference may be chance; take --seeds 3 or more"
    if recipe.train.minutes is not None:
        yield (
            "train.minutes is a time box, so variants may take different numbers of steps: this compares equal time; "
            "for equal steps give train.minutes=none train.steps=N"
        )


def ablation_tables(ablation: Ablation) -> list[Table | str]:
    """The result for people."""
    table = Table(box=None, pad_edge=False)
    table.add_column("variant")
    table.add_column("documents", justify="right")
    names = list(ablation["variants"][0]["effects"])[:SHOWN]
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
        table.add_column("difference", justify="right")
    for variant in ablation["variants"]:
        cells = [plain(_named(variant)), f"{variant['models'][0]['documents']:,}"]
        for name in names:
            cells += [_mean(variant["effects"][name]), _difference(variant["effects"][name])]
        table.add_row(*cells)
    lines = [f"bits per byte on {ablation['text']}; ± is the 95 % interval over {len(ablation['seeds'])} seeds"]
    return [table, *map(plain, [*lines, *ablation["notes"], "written: " + ", ".join(ablation["files"])])]


def markdown(ablation: Ablation) -> str:
    """The table for a README."""
    names = list(ablation["variants"][0]["effects"])
    head = ["variant", "documents", *itertools.chain(*((name.replace("_", " "), "difference") for name in names))]
    rows = [
        [
            _named(variant),
            f"{variant['models'][0]['documents']:,}",
            *itertools.chain(*((_mean(e), _difference(e)) for e in (variant["effects"][name] for name in names))),
        ]
        for variant in ablation["variants"]
    ]
    lines = [head, ["---"] * len(head), *rows]
    notes = [f"Bits per byte on {ablation['text']}; ± is the 95 % interval over {len(ablation['seeds'])} seeds."]
    return "\n".join([*("| " + " | ".join(row) + " |" for row in lines), "", *notes, *ablation["notes"], ""])


def _named(variant: VariantReport) -> str:
    return Variant(tuple(variant["settings"])).name


def _mean(effect: Effect) -> str:
    wide = effect["half_width"]
    return f"{effect['mean']:.4f}" + (f" ± {wide:.4f}" if wide is not None else "")


def _difference(effect: Effect) -> str:
    if effect["difference"] is None:
        return "–"
    wide = effect["difference_half_width"]
    return f"{effect['difference']:+.4f}" + (
        f" ± {wide:.4f}" + ("" if effect["clear"] else " (may be chance)") if wide is not None else ""
    )
