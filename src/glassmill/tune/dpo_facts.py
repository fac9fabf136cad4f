"""What decides the bytes of the verb `dpo` besides settings and inputs. Nothing here loads torch."""

from __future__ import annotations

from glassmill.recipe import Recipe
from glassmill.run.device import Facts
from glassmill.train.plan import set_up
from glassmill.tune.before import width_of_start

VERSION = 2


def resolved(recipe: Recipe) -> Facts:
    """What this machine decides: the type of products.

    Raises:
        UserError: a base names no model folder, or its config.json is damaged.
    """
    return set_up(recipe.dpo, width_of_start(recipe, "dpo")).identity()
