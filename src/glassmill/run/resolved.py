"""What a machine decides about a stage's output, and whether another machine decides the same.

Some of what comes out of a stage is in no setting: which extractor is built here, which version of a library writes the
files. The stage's verb module names it in `resolved(recipe)`. It is part of the run's identity, so machines that decide
otherwise use another folder; and a worker that joins a run asks its own machine first, and refuses to work where the
answer is another one. So one run never holds bytes of two kinds.
"""

from __future__ import annotations

import importlib
import platform
from collections.abc import Mapping
from typing import TypedDict

from glassmill.errors import UserError
from glassmill.recipe import Recipe

Resolved = Mapping[str, str | int]
"""Fact -> value, such as `{"pyarrow": "26.0.1"}`."""


class Check(TypedDict):
    """What a worker must find on its machine: the facts of the process that started the run, as plain JSON.

    `verb` is the stage's module, `version` its `VERSION`; `recipe` is what to resolve.
    """

    verb: str
    version: int
    recipe: Mapping[str, object]
    resolved: Resolved


def resolve(verb: str, recipe: Recipe) -> dict[str, str | int]:
    """The facts of this machine for the stage of module `verb`; none for a stage whose settings decide everything.

    Raises:
        UserError: the recipe asks for what this machine does not have.
    """
    module = importlib.import_module(verb)
    return dict(module.resolved(recipe)) if hasattr(module, "resolved") else {}


def check_machine(check: Check) -> None:
    """Does nothing on a machine that gives the run's bytes. Costs some milliseconds.

    Raises:
        UserError: it does not; names the machine, the fact and both values.
    """
    host = platform.node() or "this machine"
    wanted: dict[str, str | int] = {"version": check["version"], **check["resolved"]}
    try:
        recipe = Recipe.model_validate(check["recipe"])
        here = {"version": importlib.import_module(check["verb"]).VERSION, **resolve(check["verb"], recipe)}
    except (UserError, RuntimeError) as error:  # the latter: a native core that does not load
        raise UserError(f"worker on {host}: {error}") from None
    except (ValueError, ImportError) as error:  # a recipe or a stage that this glassmill does not know
        raise UserError(f"worker on {host}: another version of glassmill than the run's ({error})") from None
    for name in [*wanted, *(name for name in here if name not in wanted)]:
        if here.get(name) != wanted.get(name):
            raise UserError(
                f"worker on {host}: {name} is {here.get(name, 'unknown')!r} here, but {wanted.get(name, 'unknown')!r} "
                "in the run's identity, so it would give other bytes; install the same glassmill, with or without its "
                "native core, and the same libraries on every machine"
            )
