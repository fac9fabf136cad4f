"""Every rule that can drop a page, by its name: collected from the modules that emit them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from glassmill.corpus import chain, exclude
from glassmill.corpus.dedup import verdicts
from glassmill.corpus.judge import gopher, language, quality, urls
from glassmill.corpus.judge.rule import Rule

RULES: Mapping[str, Rule] = {
    rule.name: rule
    for module in (exclude, chain, urls, language, gopher, quality, verdicts)
    for rule in vars(module).values()
    if isinstance(rule, Rule)
}
"""Names to rules, in the order of the steps. The two rules about n-grams have `{n}` in their name."""


def rule_named(name: str) -> Rule | None:
    """The rule that shards and events call `name`; None for a name that no rule has.

    Example:
        >>> rule_named("gopher/top_3_gram").title
        'frequent 3-word phrase'
    """
    if name in RULES:
        return RULES[name]
    number = re.search(r"_(\d+)_", name)
    family = RULES.get(name.replace(number[0], "_{n}_", 1)) if number else None
    return family.of(int(number[1])) if family and number else None
