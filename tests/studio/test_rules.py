"""What the page says of a dropped page is what its number means: every rule of the corpus, on recorded pages.

`crafted.py` makes one page for each rule, the real corpus stage dropped it, and the table below says by hand what a
reader must find on its card, with where the number comes from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from glassmill.corpus import corpus
from glassmill.corpus.document import documents
from glassmill.corpus.judge.rule import Direction, Unit, written
from glassmill.corpus.look.why import why
from glassmill.corpus.rules import RULES, rule_named
from glassmill.recipe import load_recipe
from glassmill.run import kinds
from glassmill.run.folder import Identity, open_run, settings_identity
from tests.studio.conftest import RunningStudio
from tests.studio.crafted import write
from tests.studio.replay import RECORDED

CARDS = {
    "read/http_status": ("HTTP error", "the server answered with status 404; only answers from 200 to 299 are read"),
    "read/pdf": ("PDF", "the server answered with a PDF"),
    "read/not_html": ("not a web page", "the server answered with something other than HTML"),
    "url/blocked_host": ("blocked host", "the host is on a block list"),
    "url/blocked_url": ("blocked URL", "the URL is on a block list"),
    "url/banned_word": ("banned words", "banned words in the URL: 2"),
    "url/soft_words": ("suspicious words", "suspicious words in the URL: 3; fewer than 2 allowed"),
    "url/banned_subword": ("banned word inside", "the URL, without its punctuation, contains a banned word"),
    "extract/too_large": ("too large", "bytes in the page: 30,000; at most 20,000 allowed"),
    "extract/no_text": ("no text", "no text is left without markup, menus and footers"),
    "language/not_wanted": ("another language", "probability of a wanted language: 0; at least 0.65 required"),
    "language/low_score": (
        "unclear language",
        "probability of the most likely language: 0.32; at least 0.65 required",
    ),
    "gopher/duplicate_paragraphs": (  # 6 of 16
        "repeated paragraphs",
        "paragraphs that repeat an earlier one: 38%; at most 30% allowed",
    ),
    "gopher/duplicate_paragraph_characters": (  # 10 sentences of 30
        "text in repeated paragraphs",
        "characters in repeated paragraphs: 33% of the text; at most 20% allowed",
    ),
    "gopher/duplicate_lines": (  # 11 of 32
        "repeated lines",
        "lines that repeat an earlier one: 34%; at most 30% allowed",
    ),
    "gopher/duplicate_line_characters": (
        "text in repeated lines",
        "characters in repeated lines: 33% of the text; at most 20% allowed",
    ),
    **{
        f"gopher/top_{n}_gram": (
            f"frequent {n}-word phrase",
            f"characters in the most frequent {n}-word phrase: {value} of the text; at most {bound} allowed",
        )
        for n, value, bound in ((2, "21%", "20%"), (3, "19%", "18%"), (4, "17%", "16%"))
    },
    **{
        f"gopher/duplicate_{n}_grams": (
            f"repeated {n}-word phrases",
            f"characters in repeated {n}-word phrases: {value} of the text; at most {20 - n}% allowed",
        )
        for n, value in ((5, "15.1%"), (6, "15%"), (7, "15%"), (8, "12.2%"), (9, "13%"), (10, "12%"))
    },
    "gopher/too_few_words": ("too few words", "words in the text: 39; at least 50 required"),
    "gopher/too_many_words": ("too many words", "words in the text: 700; at most 600 allowed"),
    "gopher/short_words": ("short words", "mean word length in characters: 2.65; at least 3 required"),
    "gopher/long_words": ("long words", "mean word length in characters: 12.2; at most 10 allowed"),
    "gopher/too_many_hashes": ("too many hash signs", "hash signs per word: 0.3; at most 0.1 allowed"),
    "gopher/too_many_ellipses": ("too many ellipses", "ellipses per word: 0.12; at most 0.1 allowed"),
    "gopher/bullet_lines": ("bullet lines", "lines that start with a bullet: 100%; at most 90% allowed"),
    "gopher/ellipsis_lines": (  # 4 of 10
        "lines cut short",
        "lines that end in an ellipsis: 40%; at most 30% allowed",
    ),
    "gopher/few_alphabetic_words": (
        "few words with letters",
        "words with a letter in them: 70%; at least 80% required",
    ),
    "gopher/few_stop_words": (
        "few stop words",
        "different stop words (the, be, to, of, and, that, have, with): 0; at least 2 required",
    ),
    "c4/lorem_ipsum": ("placeholder text", "the text contains the placeholder “lorem ipsum”"),
    "c4/curly_brace": ("program code", "opening braces in one line, a sign of program code: 2"),
    "c4/too_few_sentences": ("too few sentences", "sentences in the text: 1; at least 5 required"),
    "fineweb/empty": ("nothing left", "no line is left once C4’s rules have removed theirs"),
    "fineweb/few_punctuated_lines": (
        "few finished lines",
        "lines that end in punctuation: 0%; at least 12% required",
    ),
    "fineweb/short_lines": ("short lines", "short lines: 77%; at most 67% allowed"),  # 10 of 13
    "fineweb/duplicate_lines": (  # one sentence of 21
        "text in repeated lines",
        "characters in repeated lines: 5% of the text; at most 1% allowed",
    ),
    "fineweb/newlines_per_word": ("many line breaks", "line breaks per word: 0.31; at most 0.3 allowed"),
    "classifier/low_score": ("low quality score", "score of the quality classifier: 0.02; at least 0.5 required"),
    "dedup/exact_duplicate": (
        "exact copy",
        "the same text as a page that stays: one of 3 copies and near copies; 1 is kept",
    ),
    "dedup/near_duplicate": (
        "near copy",
        "nearly the same text as a page that stays: one of 3 copies and near copies; 1 is kept",
    ),
}
"""Rule to the title and the sentence on its card."""


def recorded_drops() -> list[dict[str, Any]]:
    paths = sorted(RECORDED.glob("corpus/*/shards/dropped-*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def family(name: str) -> str:
    return name if name in RULES else re.sub(r"_\d+_", "_{n}_", name, count=1)


def cards_of_line(page: Page, url: str, line: str) -> Iterator[tuple[str, str, str, str | None]]:
    """Rule, title, sentence and the gauge's side of every card of every step of `line`."""
    page.goto(f"{url}/#/run/{line}/documents")
    steps = page.locator(".funnel-row:not(.outlet)")
    expect(steps.first).to_be_visible()
    for number in range(steps.count()):
        if "−" not in steps.nth(number).inner_text():  # drops none
            continue
        steps.nth(number).click()
        expect(page.locator(".card").first).to_be_visible()
        while True:
            yield from page.locator(".card").evaluate_all(
                """cards => cards.map((card) => [card.querySelector(".verdict-rule").title,
                    card.querySelector(".verdict-rule").innerText, card.querySelector(".verdict-words").innerText,
                    card.querySelector(".verdict-gauge")?.dataset.stays ?? null])"""
            )
            turn = page.get_by_role("button", name="Next")
            if not turn.count() or turn.is_disabled():
                break
            first = page.locator(".card .url").first.inner_text()
            turn.click()
            expect(page.locator(".card .url").first).not_to_have_text(first)
        steps.nth(number).click()
        expect(page.locator(".card")).to_have_count(0)


def test_every_rule_that_the_corpus_can_emit_has_a_recorded_page() -> None:
    dropped = {row["rule"] for row in recorded_drops()}
    asked_for = {"exclude/named"}  # a recipe names such documents, see tests/corpus/test_exclude.py
    assert {family(name) for name in dropped} == set(RULES) - asked_for
    assert dropped >= set(CARDS)


def test_the_card_of_every_rule_says_what_its_number_means(open_page: type, every_rule: RunningStudio) -> None:
    watched = open_page(every_rule.url)
    seen = {}
    for line in ("rules", "rules-loose"):
        for rule, title, sentence, stays in cards_of_line(watched.page, every_rule.url, line):
            assert rule not in seen, f"two pages for {rule}"
            seen[rule] = (title, sentence)
            direction = RULES[family(rule)].direction
            sides = {Direction.AT_LEAST: "above", Direction.AT_MOST: "below", Direction.BELOW: "below"}
            assert stays == sides.get(direction), rule
    assert seen == CARDS
    assert not watched.wrongs, "\n".join(watched.wrongs)


def test_the_corpus_of_today_drops_the_pages_for_the_recorded_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails because a rule changed, run `python tests/studio/record.py`, and read the table above again."""
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("rules", "rules-loose"):
        recipe = load_recipe(tmp_path / f"{name}.toml")
        identity = Identity("corpus", corpus.VERSION, settings_identity(settings=recipe.corpus, seed=recipe.seed))
        with open_run(tmp_path / "corpus" / f"{name}-000000", identity, recipe) as run:
            corpus.make(run, recipe.corpus, recipe.seed)
        (recorded,) = RECORDED.glob(f"corpus/{name}-??????")
        reasons = [
            [
                (row.url, row.rule, pytest.approx(row.value), row.bound, row.detail)
                for row in documents(run, dropped=True)
            ]
            for run in (run.path, recorded)
        ]
        assert reasons[0] == reasons[1]


def test_glassmill_why_says_what_the_cards_say() -> None:
    said = {}
    for run in RECORDED.glob("corpus/rules-*"):
        for row in documents(run, dropped=True):
            (way,) = why(run, row.url)
            _, checks = way.steps[-1]
            said[checks[-1].rule] = checks[-1].says
    assert said == {rule: sentence for rule, (_, sentence) in CARDS.items()}


def test_no_page_is_dropped_on_the_side_of_the_bound_where_pages_stay() -> None:
    broken = {
        Direction.AT_LEAST: lambda value, bound: value < bound,
        Direction.AT_MOST: lambda value, bound: value > bound,
        Direction.BELOW: lambda value, bound: value >= bound,
        Direction.IS: lambda value, bound: value != bound,
    }
    for row in recorded_drops():
        rule = rule_named(row["rule"])
        assert rule is not None and broken[rule.direction](row["value"], row["bound"]), row["rule"]


def test_terminal_and_page_write_numbers_alike(open_page: type, every_rule: RunningStudio) -> None:
    numbers = [0.0, 0.005, 0.0104, 0.12, 0.2996, 0.30004, 0.3, 0.3519, 0.65, 1.0, 2.65, 3.0, 12.25, 404.0, 1234567.0]
    cases = [(value, bound, unit.value) for value in numbers for bound in (0.01, 0.3, 3.0, 1000.0) for unit in Unit]
    page: Page = open_page(every_rule.url).page
    shown = page.evaluate(
        """async (cases) => {
            const { written } = await import("/static/js/state/words.js");
            return cases.map(([value, bound, unit]) => written(value, bound, unit));
        }""",
        cases,
    )
    whole = {Unit.COUNT, Unit.STATUS}
    for (value, bound, unit), text in zip(cases, shown, strict=True):
        if Unit(unit) not in whole or value == int(value):
            assert text == written(value, bound, Unit(unit)), (value, bound, unit)


@pytest.mark.parametrize("word", ["/tmp", "/home", "/root", "/usr"])
def test_nothing_recorded_names_a_place_on_the_machine_that_recorded_it(word: str) -> None:
    texts = [path for path in RECORDED.rglob("*") if path.suffix in (".json", ".jsonl", ".toml")]
    assert len(texts) > 30
    for path in texts:
        assert word not in path.read_text(encoding="utf-8"), path


def test_the_recorded_events_are_those_that_the_stages_emit_today() -> None:
    """Each has the fields of its class, no more and no fewer; if this fails, run `python tests/studio/record.py`."""
    lines = [
        line for path in RECORDED.glob("*/*/events.jsonl") for line in path.read_text(encoding="utf-8").splitlines()
    ]
    events = [{name: value for name, value in json.loads(line).items() if name not in ("t", "stage")} for line in lines]
    assert all(kinds.to_json(kinds.from_json(event)) == event for event in events)
    private = {kinds.Failed, kinds.Unknown, kinds.Warned, kinds.ShardProgress, kinds.Alive}
    private |= {kinds.Rollouts}  # of a stage that only runs where it is asked for
    assert {event["kind"] for event in events} >= {kind.kind for kind in get_args(kinds.Event) if kind not in private}
