"""The stages of the line, one row each: everything the rest of the code knows about a stage.

Pipeline, command line, plan, report, Python API and page read these rows (`rows.py`); nothing else lists the stages. A
row names the module of its verb as a string, so importing this package costs nothing and loads no verb. To add a stage,
see `docs/EXTENDING.md`.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from glassmill.errors import UserError
from glassmill.stages.row import Files, Input, Load, Stage
from glassmill.stages.rows import STAGES, training_tokens

if TYPE_CHECKING:
    from glassmill.recipe import Recipe

__all__ = [
    "NAMES",
    "STAGES",
    "Files",
    "Input",
    "Load",
    "Stage",
    "check_recipe",
    "last_model",
    "stage_named",
    "training_tokens",
]

NAMES: tuple[str, ...] = tuple(stage.name for stage in STAGES)


def stage_named(name: str) -> Stage:
    """The row of stage `name`.

    Raises:
        KeyError: there is no such stage.
    """
    return {stage.name: stage for stage in STAGES}[name]


def last_model(names: Container[str]) -> str | None:
    """The last stage among `names` that leaves a model: its model is the line's."""
    return next((stage.name for stage in reversed(STAGES) if stage.model and stage.name in names), None)


def check_recipe(recipe: Recipe) -> None:
    """Finds, before anything starts, what would stop the line halfway.

    Raises:
        UserError: a stage without the stages it needs, no pages, or a training without a length.
    """
    from glassmill.recipe import stage_names  # here: the registry itself loads no pydantic

    usual = stage_names(asked_for=False)
    wanted = [stage for stage in STAGES if stage.name in recipe.stages]
    for stage in wanted:
        for one in stage.inputs:
            if one.required and not any(name in recipe.stages or name in recipe.given for name in one.stages):
                these = " or ".join(name for name in one.stages if name in usual)
                raise UserError(
                    f"stages = {list(recipe.stages)}: {stage.name} needs the output of {these}; add {these}"
                )
    for problem in filter(None, (stage.check(recipe) for stage in wanted)):
        raise UserError(problem)
