"""Tests of lesson 3's exercise: your `quality.py`."""

from random import Random

from expect import gives
from quality import repeated_lines, top_phrase, verdict

from glassmill.corpus.judge.gopher import duplicates, split_lines
from glassmill.corpus.judge.words import Words

PROSE = "In the morning the miller went to the mill and looked at the wheel that turned slowly " * 4
LINES = ["the mill", "of rye", "and wheat", "turns"]


def test_repeated_lines_count_from_the_second_time_on() -> None:
    gives(repeated_lines, "a\nb\nc", wanted=0.0)
    gives(repeated_lines, "a\na\nb\na", wanted=0.5)
    gives(repeated_lines, "a\n\n\na", wanted=0.5)
    gives(repeated_lines, "", wanted=0.0)


def test_the_share_is_that_of_glassmill() -> None:
    chance = Random(1)
    for _ in range(50):
        text = "\n".join(chance.choice(LINES) for _ in range(chance.randint(1, 9)))
        lines = split_lines(text)
        gives(repeated_lines, text, wanted=duplicates(lines)[0] / len(lines))


def test_the_top_phrase_is_the_most_frequent_one_and_of_equals_the_first() -> None:
    gives(top_phrase, "to be or not to be".split(), 2, wanted=len("to be") * 2)
    gives(top_phrase, "a long word".split(), 2, wanted=len("a long"))
    gives(top_phrase, "x x x".split(), 1, wanted=3)
    gives(top_phrase, ["one"], 2, wanted=0)


def test_the_top_phrase_is_that_of_glassmill() -> None:
    chance = Random(2)
    for _ in range(50):
        words = [chance.choice(["mill", "rye", "wheel", "go"]) for _ in range(chance.randint(1, 30))]
        for n in (2, 3, 4):
            gives(top_phrase, words, n, wanted=Words(" ".join(words)).top_ngram_characters(n))


def test_prose_stays_and_each_rule_drops_what_it_is_made_for() -> None:
    gives(verdict, PROSE, wanted=None)
    lines = "\n".join([PROSE, PROSE, "an end"])
    pairs = PROSE + "buy now " * 40
    nonsense = " ".join(f"word{number}" for number in range(60))
    gives(verdict, lines, wanted=("duplicate_lines", 1 / 3))
    gives(lambda text: (verdict(text) or ("nothing",))[0], pairs, wanted="top_2_gram")
    gives(verdict, "The miller of Alderbrook grinds rye and wheat on Mondays.", wanted=("too_few_words", 10))
    gives(verdict, nonsense, wanted=("few_stop_words", 0))


def test_the_first_broken_rule_is_the_reason() -> None:
    gives(verdict, "buy\nbuy\nbuy", wanted=("duplicate_lines", 2 / 3))
    gives(verdict, "", wanted=("too_few_words", 0))
