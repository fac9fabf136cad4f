"""Where a run lies: by what was asked while it works, and by what it came to once it is finished.

    runs/<stage>/<recipe>-<first digits of Identity.asked>     a new run, or one that is not finished
    runs/<stage>/<recipe>-<first digits of Identity.digest>    a finished one

The two differ for a training alone. Its `plan.json` says what was asked, so that it is found by either name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glassmill.errors import UserError
from glassmill.run.finished import is_done, read_manifest, run_damage
from glassmill.run.folder import Identity

PLAN = "plan.json"
DIGITS, MORE_DIGITS = 6, 12


def place(runs: Path, recipe_name: str, identity: Identity, chosen: Mapping[str, str | int] | None = None) -> Path:
    """The folder of this identity under `runs`, whether it exists or not.

    Args:
        chosen: What the user chose of what `Identity.computed` tells. A finished run that came to something else is
            another run; an unfinished one continues, and tells that it was moved.
    """
    stage = runs / identity.stage
    named = (path.parent for path in sorted(stage.glob(f"*/{PLAN}")))
    plans = {path: _read(path / PLAN) for path in named if path.name.rpartition("-")[0] == recipe_name}
    found = [path for path, plan in plans.items() if plan.get("asked") == identity.asked]
    finished = [path for path in found if is_done(path) and _came_to(plans[path], chosen or {})]
    unfinished = [path for path in found if not is_done(path)]
    return next(iter(finished + unfinished), None) or _named(stage, recipe_name, identity.asked)


def settled(path: Path) -> Path:
    """A finished run under the name that its digest gives it; renamed, if it has another."""
    try:
        digest = read_manifest(path)["digest"]
    except UserError:  # another process has renamed it
        return path
    recipe_name, _, digits = path.name.rpartition("-")
    target = path if digest.startswith(digits) else _named(path.parent, recipe_name, digest)
    if target.exists():
        return path
    path.rename(target)
    return target


def _named(stage: Path, recipe_name: str, digest: str) -> Path:
    path = stage / f"{recipe_name}-{digest[:DIGITS]}"
    try:
        other = read_manifest(path)["digest"] != digest
    except UserError:
        other = False
    if other and not run_damage(path):
        return path.with_name(f"{recipe_name}-{digest[:MORE_DIGITS]}")  # two identities that share six digits
    return path


def _came_to(plan: Mapping[str, Any], chosen: Mapping[str, str | int]) -> bool:
    return not chosen or (not plan.get("earlier") and all(plan.get(name) == chosen[name] for name in chosen))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return plan if isinstance(plan, dict) else {}
