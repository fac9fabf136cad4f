"""What decides the bytes of the verb `rl` besides settings and inputs. Nothing here loads torch."""

from __future__ import annotations

import numpy as np

from glassmill import native
from glassmill.recipe import Recipe
from glassmill.run.device import Facts
from glassmill.train.plan import set_up
from glassmill.tune.before import width_of_start

VERSION = 2


def resolved(recipe: Recipe) -> Facts:
    """What this machine decides: the type of products, and who draws the answers.

    Raises:
        UserError: a base names no model folder, or its config.json is damaged.
    """
    return {
        **set_up(recipe.rl, width_of_start(recipe, "rl")).identity(),
        "decoder": "native" if native.available() and not recipe.rl.lora.rank else "torch",
        "numpy": ".".join(np.__version__.split(".")[:2]),  # draws the answers
    }
