"""What a machine decides about a stage's output, and whether another machine decides the same.

Settings don't decide everything: which extractor is built here, which version of a library writes the files. A stage's
verb module returns such facts from `resolved(recipe)`. They are part of the run's identity, so a machine with other
facts uses another folder. A worker that joins a run resolves them on its own machine first, and refuses to work if they
differ. So one run never mixes bytes of two kinds.
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
    """What a worker must find on its machine, as plain JSON: the facts of the process that started the run.

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
    """Compares this machine with the run's. Takes a few milliseconds.

    Raises:
        UserError: a fact differs; the message names the machine, the fact and both values.
    """
    host = platform.node() or "this machine"
    wanted: dict[str, str | int] = {"version": check["version"], **check["resolved"]}
    try:
        recipe = Recipe.model_validate(check["recipe"])
        here = {"version": importlib.import_module(check["verb"]).VERSION, **resolve(check["verb"], recipe)}
    except (UserError, RuntimeError) as error:  # the latter: a native core that does not load
        raise UserError(f"worker on {host}: {error}") from None
    except (ValueError, ImportError) as error:  # a recipe or a stage that this glassmill does not know
        reason = str(error).splitlines()[0]
        raise UserError(f"worker on {host}: another version of glassmill than the run's ({reason})") from None
    for name in [*wanted, *(name for name in here if name not in wanted)]:
        if here.get(name) != wanted.get(name):
            raise UserError(
                f"worker on {host}: {name} is {here.get(name, 'unknown')!r} here, but {wanted.get(name, 'unknown')!r} "
                "in the run's identity, so it would give other bytes; install the same glassmill, with or without its "
                "native core, and the same libraries on every machine"
            )
