"""Rules and their sentences: none without one, and no number on the wrong side of its bound."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassmill.corpus
from glassmill.corpus.chain import STEPS
from glassmill.corpus.judge.rule import Direction, Rule, Unit, written
from glassmill.corpus.rules import RULES, rule_named


def test_every_rule_of_the_corpus_is_in_the_table() -> None:
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(glassmill.corpus.__path__, "glassmill.corpus.")
    ]
    rules = {value for module in modules for value in vars(module).values() if isinstance(value, Rule)}
    assert rules == set(RULES.values()) and len(rules) == len(RULES) > 35


def test_titles_are_short_and_sentences_are_sentences() -> None:
    for rule in RULES.values():
        assert 1 <= len(rule.title.split()) <= 5 and len(rule.says.split()) >= 4, rule.name
        assert rule.name.partition("/")[0] in {step.name.partition("_")[0] for step in STEPS}, rule.name


def test_a_rule_cannot_be_made_whose_sentence_names_another_direction() -> None:
    with pytest.raises(AssertionError):
        Rule("a/b", "too few", "words: {value}; at most {bound} allowed", Unit.COUNT, Direction.AT_LEAST)


def test_the_rules_of_n_grams_are_found_for_any_n() -> None:
    rule = rule_named("gopher/duplicate_17_grams")
    assert rule is not None and "17-word" in rule.sentence(0.2, 0.1)
    assert rule_named("gopher/duplicate_many_grams") is None and rule_named("") is None


@given(value=st.floats(0, 1), bound=st.sampled_from([0.01, 0.12, 0.3, 0.67]), unit=st.sampled_from(["share", "ratio"]))
def test_a_written_number_is_on_the_same_side_of_the_bound_as_the_number(value: float, bound: float, unit: str) -> None:
    if abs(value - bound) < 1e-5:
        return
    shown, drawn = (float(written(number, bound, Unit(unit)).rstrip("%")) for number in (value, bound))
    assert (shown < drawn) == (value < bound) and shown != drawn
