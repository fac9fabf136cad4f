"""What `rl` and `dpo` make of a finished demo: scores before and after, and minutes.

    python bench/preferences.py runs              # a folder of runs with a finished demo; adds runs of rl and dpo
    python bench/preferences.py runs --seeds 3    # rl with seeds of its own; the tuned model is the same

The scores are those of the eval stage, over all of the town's questions and the sums in two steps that rl leaves. For
dpo the preference is a short answer: asked who somebody is, the tuned model says two sentences, and one is better.
Pairs are about people of the conversations and half of those whom only pages mention; everything is measured on the
other half.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from glassmill.evals import own, town
from glassmill.evals.eval import ask, score
from glassmill.infer.generate import Model
from glassmill.miniweb import asking
from glassmill.miniweb.practice import read_world
from glassmill.miniweb.questions import ask as wording
from glassmill.miniweb.world import Subject, World, canonical
from glassmill.pipeline import run_line
from glassmill.recipe import EvalSettings, find_recipe, load_recipe
from glassmill.run.finished import read_stats
from glassmill.run.line import Line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", choices=("rl", "dpo"))
    parser.add_argument("words", nargs="*", help="further settings of the recipe, such as rl.steps=40")
    args = parser.parse_intermixed_args()
    given = [f"given.{stage}={newest(args.runs, stage)}" for stage in ("miniweb", "tokens", "sft")]
    if args.only != "dpo":
        measure_rl(args.runs, given, args.words, args.seeds)
    if args.only != "rl":
        measure_dpo(args.runs, given, args.words)


def newest(runs: Path, stage: str) -> str:
    """The newest finished run of a stage, as `given` takes it."""
    done = sorted((runs / stage).glob("*/DONE"), key=lambda path: path.stat().st_mtime)
    if not done:
        raise SystemExit(f"{runs} has no finished run of {stage}: run `glassmill demo --no-serve --runs {runs}` first")
    return f"{stage}/{done[-1].parent.name}"


def trained(runs: Path, stage: str, words: Sequence[str]) -> tuple[Line, float]:
    """The line after `stage`, and the minutes that this took."""
    recipe = load_recipe(find_recipe("demo"), [f'stages=["{stage}"]', *words])
    begin = time.perf_counter()
    line = run_line(recipe, runs, until=stage)
    return line, (time.perf_counter() - begin) / 60


def measure_rl(runs: Path, given: Sequence[str], words: Sequence[str], seeds: int) -> None:
    """Prints the scores of the eval stage before and after."""
    tuned: dict[str, float | None] = {}
    for seed in range(7, 7 + seeds):
        line, minutes = trained(runs, "rl", [*given, f"rl.seed={seed}", *words])
        web, practised = line.folders["miniweb"], line.folders["rl"]
        if not tuned:
            tuned = scores(line.folders["sft"], web, practised)
            print("before          ", show(tuned), flush=True)
        after = scores(practised, web, practised)
        print(f"rl.seed={seed}, {minutes:.1f} min", show(after), read_stats(practised)["reward"], flush=True)


def unpaired(world: World) -> list[Subject]:
    """People that no pair is about: every second of those whom only pages mention."""
    return [person for person in world.people if not person.in_sft][::2]


def scores(model: Path, web: Path, practice: Path | None = None) -> dict[str, float | None]:
    """The scores of the eval stage, but for pages and personal data."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "questions.jsonl"
        file.write_bytes(b"".join((run / "questions.jsonl").read_bytes() for run in (web, practice) if run))
        shown = score(Model.load(model), EvalSettings(questions=str(file)), 7, None, None, lambda event: None)
    return shown.scores


def measure_dpo(runs: Path, given: Sequence[str], words: Sequence[str]) -> None:
    """Prints how long answers are and how many facts are known, before and after."""
    web = runs / given[0].partition("=")[2]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pairs.jsonl"
        file.write_text("".join(f"{json.dumps(row)}\n" for row in short_answers(web)), encoding="utf-8")
        line, minutes = trained(runs, "dpo", [*given, f'dpo.pairs=["{file}"]', *words])
    world, _, _ = read_world(web)
    people = unpaired(world)
    names = {person.name for person in people}
    facts = [
        row for row in own.read_questions(web / "questions.jsonl") if row["kind"] == "fact" and row["subject"] in names
    ]
    asked = [
        {"question": wording(form, one), "kind": own.KIND, "answers": [canonical(one, "job", one.facts["job"])]}
        for one in people
        for form in asking.WHO_WORDINGS
    ]
    for name, model in (("before", line.folders["sft"]), (f"dpo, {minutes:.1f} min", line.folders["dpo"])):
        said = ask(Model.load(model), asked, lambda event: None)
        told = own.own_scores(asked, said)
        short = {
            "letters of an answer": round(mean(map(len, said)), 1),
            "one sentence": round(mean(text.count(".") < 2 for text in said), 3),
            "with the right job": told["own_questions"],
        }
        found = town.town_scores(facts, ask(Model.load(model), facts, lambda event: None))
        short |= {f"their {name}": value for name, value in found.items() if value is not None}
        print(f"{name:16}", show(short), show(scores(model, web)), flush=True)
        if name != "before":
            print(read_stats(model))


def short_answers(web: Path) -> list[dict[str, str]]:
    """Pairs over the people of the conversations, in the conversations' own wordings."""
    world, _, _ = read_world(web)
    rows = []
    for person in world.people:
        job, street = (canonical(person, name, person.facts[name]) for name in ("job", "street"))
        for form in asking.WHO_WORDINGS if person not in unpaired(world) else ():
            rows.append({"prompt": wording(form, person), "chosen": job, "rejected": f"{job} {street}"})
    return rows


def show(found: Mapping[str, float | None]) -> str:
    return "  ".join(f"{name} {value}" for name, value in found.items() if value is not None)


if __name__ == "__main__":
    main()
