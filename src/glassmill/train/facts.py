"""What decides the bytes of the verb `train` besides settings and inputs. Nothing here loads torch."""

from __future__ import annotations

from glassmill.recipe import Recipe
from glassmill.run.device import Facts
from glassmill.train.base import shape_of
from glassmill.train.plan import set_up

VERSION = 7


def resolved(recipe: Recipe) -> Facts:
    """What this machine decides and no run may change on its way: the type of products, for the run's identity."""
    shape = shape_of(recipe.model, recipe.train.base, recipe.tokenizer.vocab_size)
    return set_up(recipe.train, shape.d_model).identity()
