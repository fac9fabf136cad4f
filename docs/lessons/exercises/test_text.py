"""Tests of lesson 2's exercise: your `text.py`."""

from expect import gives
from text import blocks, f1, main_text

from glassmill.corpus.extract.extract import strip_tags

PAGE = """<!DOCTYPE html><html><head><title>The mill</title><style>p { color: red }</style></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/news">News</a></li></ul></nav>
<main><h1>The mill of Lindenfield</h1>
<p>The miller grinds   <b>rye</b> on Mondays,
and wheat on Thursdays &amp; Fridays.</p>
<p>Ask <a href="/miller">the miller</a> for flour, but never ask him on a Sunday.</p>
<script>document.write("<p>buy</p>")</script></main>
<footer><a href="/imprint">Imprint</a> | <a href="/contact">Contact</a></footer></body></html>"""


def test_the_blocks_of_a_page_are_found_in_order() -> None:
    wanted = [
        "Home",
        "News",
        "The mill of Lindenfield",
        "The miller grinds rye on Mondays, and wheat on Thursdays & Fridays.",
        "Ask the miller for flour, but never ask him on a Sunday.",
        "Imprint | Contact",
    ]
    assert [text for text, _ in blocks(PAGE)] == wanted, f"the blocks are {blocks(PAGE)}"


def test_each_block_has_its_share_of_links() -> None:
    shares = [round(linked, 2) for _, linked in blocks(PAGE)]
    assert shares == [1.0, 1.0, 0.0, 0.0, 0.18, 0.82], f"the shares are {shares}"


def test_a_page_without_tags_is_one_block_and_an_empty_one_is_none() -> None:
    gives(blocks, "Only  text", wanted=[("Only text", 0.0)])
    gives(blocks, " <p> </p>\n", wanted=[])


def test_the_visible_words_are_those_that_glassmill_finds_without_a_model() -> None:
    ours = " ".join(text for text, _ in blocks(PAGE)).split()
    assert ours == strip_tags(PAGE).split(), f"yours: {ours}"


def test_the_main_text_leaves_menu_footer_and_short_blocks_out() -> None:
    wanted = (
        "The miller grinds rye on Mondays, and wheat on Thursdays & Fridays.\n"
        "Ask the miller for flour, but never ask him on a Sunday."
    )
    gives(main_text, PAGE, wanted=wanted)


def test_f1_counts_words_as_often_as_they_occur() -> None:
    gives(f1, "a b c", "a b c", wanted=1.0)
    gives(f1, "a b", "c d", wanted=0.0)
    gives(f1, "a a a", "a", wanted=0.5)
    gives(f1, "a b c d", "a b", wanted=2 / 3)
    gives(f1, "", "", wanted=1.0)
    gives(f1, "a", "", wanted=0.0)
