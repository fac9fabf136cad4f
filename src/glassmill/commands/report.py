"""`report.json`: one line's numbers, gathered from the run folders that its stages left behind."""

from __future__ import annotations

from typing import NotRequired, TypedDict, cast

from glassmill.run.finished import is_done, read_stats
from glassmill.run.folder import software
from glassmill.run.line import Line
from glassmill.stages import last_model, stage_named


class LineReport(TypedDict):
    """What every report has; the stages add numbers of their own, see `Stage.report`.

    `seconds`: `total`, and the time each stage worked, earlier attempts included. `runs`: stage -> run folder, and
    `model`, both relative to the runs folder. `unfiltered`: the report of the demo's second line.
    """

    recipe: str
    seed: int
    seconds: dict[str, float]
    runs: dict[str, str]
    model: str | None
    software: dict[str, str]
    unfiltered: NotRequired[LineReport]


def line_report(line: Line) -> LineReport:
    """What a line did and what came out of it: of every finished stage, what its row takes from the stats.

    In the stages' own words: `pages_in`, `documents_out`, `dropped` (rule -> pages), `quarantined`, `personal_data`
    (kind -> pieces masked), `vocab_size`, `parameters`, `tokens_seen`, and the scores of `glassmill.evals`.
    """
    done = [name for name, folder in line.folders.items() if is_done(folder)]
    report: dict[str, object] = {
        "recipe": line.recipe.name,
        "seed": line.recipe.seed,
        "seconds": {"total": round(sum(line.seconds.values()), 1)}
        | {name: round(seconds, 1) for name, seconds in line.seconds.items()},
    }
    for name in done:
        report |= stage_named(name).report(read_stats(line.folders[name]))
    runs = {name: line.place_of(name) or str(folder) for name, folder in line.folders.items()}
    model = last_model(done)
    report |= {"runs": runs, "model": f"{runs[model]}/model" if model else None, "software": software()}
    return cast(LineReport, report)
