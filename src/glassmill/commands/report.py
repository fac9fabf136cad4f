"""`report.json`: one line's numbers, gathered from the run folders that its stages left behind."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from glassmill.run.folder import is_done, software
from glassmill.run.line import Line


def line_report(line: Line) -> dict[str, Any]:
    """What a line did and what came out of it. Parts that the recipe leaves out are left out here.

    Returns:
        `seconds` (`total`, and per stage the time it worked, earlier attempts included), `pages_in`, `documents_out`,
        `dropped` (rule -> pages), `quarantined`, `personal_data` (kind -> pieces masked), `vocab_size`, `parameters`,
        `tokens_seen`, the scores of the eval stage (see `glassmill.evals`), `runs` (stage -> folder), `model`,
        `software`.
    """
    report: dict[str, Any] = {
        "recipe": line.recipe.name,
        "seed": line.recipe.seed,
        "seconds": {"total": round(sum(line.seconds.values()), 1)}
        | {name: round(s, 1) for name, s in line.seconds.items()},
    }
    done = {name: folder for name, folder in line.folders.items() if is_done(folder)}
    if "corpus" in done:
        report |= _corpus_part(_stats(done["corpus"]))
    if "tokenizer" in done:
        report["vocab_size"] = _stats(done["tokenizer"]).get("vocab_size")
    if "train" in done:
        stats = _stats(done["train"])
        report |= {
            "parameters": stats.get("parameters"),
            "steps": stats.get("steps"),
            "tokens_seen": stats.get("tokens_seen"),
        }
    if "eval" in done:
        report |= _stats(done["eval"])
    report["runs"] = {name: folder.relative_to(line.runs).as_posix() for name, folder in line.folders.items()}
    report["model"] = next((f"{report['runs'][name]}/model" for name in ("sft", "train") if name in done), None)
    return report | {"software": software()}


def _corpus_part(stats: dict[str, Any]) -> dict[str, Any]:
    funnel = stats["funnel"]
    dropped: Counter[str] = Counter()
    for step in funnel:
        dropped.update(step["dropped"])
    return {
        "pages_in": funnel[0]["in"],
        "documents_out": funnel[-1]["out"],
        "dropped": dict(dropped.most_common()),
        "quarantined": stats["quarantined"],
        "personal_data": stats["pii"],
        "funnel": funnel,
        "quarantine_causes": stats.get("causes", {}),
        "corpus_speed": stats.get("speed"),
    }


def _stats(folder: Path) -> dict[str, Any]:
    stats: dict[str, Any] = json.loads((folder / "stats.json").read_text(encoding="utf-8"))
    return stats
