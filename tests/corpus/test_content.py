"""Main content: the native core against its plain twin, what it keeps, and what no page can do to it."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.corpus.extract import content
from glassmill.corpus.extract.content import choose, default_model, extractor, probability, read_model
from glassmill.run.memory import peak_memory

PROSE = "The miller told the story of the river to his children, and they listened until it was dark. "
PAGE = f"""<html><head><title>The mill</title></head><body class="single">
<nav class="menu"><ul><li><a href="/">Home</a></li><li><a href="/shop">Our shop</a></li></ul></nav>
<main><article><h1>The mill</h1><p>{PROSE * 4}</p><p>{PROSE * 3}</p>
<h2>Grain</h2><ul><li>{PROSE}</li><li>{PROSE * 2}</li></ul>
<table><tr><td>Wheat, ground by hand in the old way</td><td>{PROSE}</td></tr></table>
<pre>wheel:
    turns  = 12</pre><p>{PROSE * 5}</p></article></main>
<footer class="site-footer"><a href="/imprint">Imprint</a> Copyright 2024</footer></body></html>"""

needs_native = pytest.mark.skipif(extractor() is None, reason="the native core is not built here")


@needs_native
def test_the_native_core_and_the_plain_twin_agree() -> None:
    names = content._core.html_feature_names()
    for page in (PAGE, "<p>" + PROSE, "<div>a<div>b<div>c", PAGE.replace("article", "div") * 3):
        texts, words, values, likely, kept = extractor().blocks(page)
        rows = np.frombuffer(values, dtype=np.float32).reshape(len(texts), len(names))
        plain = [probability(default_model(), dict(zip(names, row, strict=True))) for row in rows]
        assert np.allclose(plain, likely, atol=1e-4)
        assert kept == choose(likely, words, default_model().least_words)


@needs_native
def test_prose_stays_line_by_line_and_the_frame_goes() -> None:
    text = extractor().text(PAGE)
    assert "Home" not in text and "Imprint" not in text
    assert "- " + PROSE.strip() in text.split("\n")
    assert "Wheat, ground by hand in the old way | " + PROSE.strip() in text.split("\n")
    assert "Home" in extractor().text(PAGE, main_content=False)


@needs_native
def test_preformatted_text_keeps_its_spaces() -> None:
    assert "wheel:\n    turns  = 12" in extractor().text(PAGE, main_content=False)


@needs_native
@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("a &amp; b &copy2024 &#x41;&#66; &nosuch; &#128; &", "a & b \u00a92024 AB &nosuch; \u20ac &"),
        ("<p>one<p>two<br>three<td>four", "one\ntwo\nthree\nfour"),
        ("<b>bo</b>ld <i>and</i>&nbsp;more", "bold and more"),
        ("<a>Home</a><a>Shop</a>", "Home Shop"),
        ("5 < 6 <!-- no --> yes <!- x> <script>no</script><style>no</style>!", "5 < 6 yes !"),
        ("<svg><title>no</title><p>yes", "yes"),
        ("<noscript><p>yes</p></noscript>", "yes"),
        ("yes<!-- open for ever", "yesopen for ever"),
        ("", ""),
    ],
)
def test_markup_becomes_the_text_that_a_browser_shows(page: str, text: str) -> None:
    assert extractor().text(page, main_content=False).replace(" open", "open") == text


@needs_native
@given(st.text(alphabet="<>/!-=\"' &;#ab\n\ud800\u00e9", max_size=200))
def test_no_markup_breaks_the_reader(page: str) -> None:
    extractor().text(page)
    extractor().text(page, main_content=False)


TAGS = [
    "p",
    "div",
    "li",
    "ul",
    "table",
    "tr",
    "td",
    "a",
    "b",
    "select",
    "option",
    "svg",
    "pre",
    "br",
    "h1",
    "script",
    "form",
]


@needs_native
@given(
    st.lists(
        st.tuples(st.sampled_from(["<{}>", "</{}>", "<{} class=nav>x", "text "]), st.sampled_from(TAGS)), max_size=60
    )
)
def test_nesting_of_any_kind_loses_no_order(pieces: list[tuple[str, str]]) -> None:
    texts, words, _, likely, kept = extractor().blocks("".join(shape.format(tag) for shape, tag in pieces))
    assert len(texts) == len(words) == len(likely) == len(kept)
    assert all(0 <= p <= 1 for p in likely)


BOMBS = {
    "200,000 attributes on one tag": "<div " + " ".join(f"a{n}=1" for n in range(200_000)) + ">",
    "100,000 options": "<select>" + "<option>x" * 100_000 + "</select>",
    "100,000 nested div": "<div>" * 100_000,
    "100,000 nested div, with text": "<div>x" * 100_000,
    "1 M br": "<br>" * 1_000_000,
    "200,000 li": "<ul>" + "<li>word" * 200_000,
    "20 MB in one paragraph": "<p>" + PROSE * 200_000,
    "stray ends under a wall": "<i>" + "<td>" * 250 + "</i></b>" * 500_000,
    "1 M tiny paragraphs": "<p>a" * 1_000_000,
    "1 M elements": "<u></u>" * 1_000_000,
    "unclosed script ends": "<script>" + "</s" * 1_000_000,
    "unclosed comments": "<!-- " * 500_000,
    "unclosed titles": "<title>" * 300_000,
    "a million ampersands": "&aaaaaa" * 1_000_000,
    "unclosed quotes": "<a b='\"" * 500_000,
    "unclosed dialogs and one end": "<dialog>" * 300_000 + "</dialog>",
    "unclosed templates and one end": "<template>" * 300_000 + "</template>",
    "drawings in descriptions": "<svg><desc>" * 300_000,
    "paragraphs in drawings": "<svg><g><p>a" * 200_000,
    "self-closing drawings": "<svg/><math/>" * 300_000,
    "hidden spans around blocks": "<b hidden><div>a" * 200_000,
    "articles in metadata": '<script type="application/ld+json">' + '"articleBody":"a b' * 200_000 + "</script>",
    "long styles": f"<b style='{'display:' * 30}'>a" * 60_000,
}


@needs_native
@pytest.mark.parametrize("name", BOMBS)
def test_no_page_takes_two_seconds_or_a_gigabyte(name: str) -> None:
    before, begin = peak_memory(), time.process_time()
    text = extractor().text(f"<p>{PROSE * 5}</p>" + BOMBS[name])
    assert time.process_time() - begin < 2
    assert "The miller told" in text
    assert peak_memory() - before < 1 << 29


def test_the_choice_maximises_expected_f1() -> None:
    likely, words = [0.9, 0.2, 0.55, 0.45], [10.0, 40.0, 30.0, 5.0]
    content_words = sum(p * w for p, w in zip(likely, words, strict=True))

    def expected(kept: list[bool]) -> float:
        common = sum(p * w for p, w, keep in zip(likely, words, kept, strict=True) if keep)
        return 2 * common / (content_words + sum(w for w, keep in zip(words, kept, strict=True) if keep))

    best = max(expected([bool(bits >> k & 1) for k in range(4)]) for bits in range(1, 16))
    assert expected(choose(likely, words, 0)) == pytest.approx(best)
    assert choose([0.1, 0.05], [100.0, 200.0], 1000) == [False] * 2
    assert choose([0.6], [8.0], 10) == [True]  # a page of one short line, most likely content
    assert choose([], [], 0) == []


@needs_native
@pytest.mark.parametrize("tree", ['["links", 0.5, 1.0]', '["no_such_feature", 0.5, 1.0, 2.0]'])
def test_a_model_with_a_broken_tree_is_refused(tree: str) -> None:
    with pytest.raises((KeyError, ValueError)):
        content.native_extractor(read_model(json.dumps({"least_words": 1, "trees": [json.loads(tree)]})))
