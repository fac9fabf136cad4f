"""What people are shown of a run's texts: personal data and secrets are masked, however the run stores them.

In: a run folder; any value of its tables. Out: the value for a terminal or a page. Everything with the form of personal
data is masked, nobody's too, but for what the run's recipe allows (`corpus.pii.allow`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from glassmill.corpus.pii import leaving, mask
from glassmill.errors import UserError
from glassmill.recipe import PiiSettings, load_recipe

Show = Callable[[object], object]


def masked_for(settings: PiiSettings) -> Callable[[str], str]:
    """Masks every kind of personal data in a text, but for what `settings` allow."""
    leave = leaving(True, settings.allow)
    return lambda text: mask(text, leave=leave)[0]


def shown(run: Path) -> Show:
    """Masks personal data in the strings of a value, in lists and tables too."""
    try:
        settings = load_recipe(run / "recipe.toml").corpus.pii
    except UserError:  # of an older version, or none
        settings = PiiSettings()
    masked = masked_for(settings)

    def show(value: object) -> object:
        if isinstance(value, str):
            return masked(value)
        if isinstance(value, (list, tuple)):
            return [show(item) for item in value]
        if isinstance(value, dict):
            return {name: show(item) for name, item in value.items()}
        return value

    return show
