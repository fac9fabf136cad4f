"""HTML as a browser renders it: what stays in the line, what breaks it, what is not shown.

`SHOWN` was recorded from Chromium's `innerText` (each line's blanks as one, empty lines left out); where Chromium is
installed, a test compares again. `OURS` are the rows in which we differ on purpose, with the reason.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from glassmill.corpus.extract import content
from glassmill.corpus.extract.content import extractor
from glassmill.corpus.extract.extract import html_to_text, strip_tags
from glassmill.recipe import ExtractSettings

needs_native = pytest.mark.skipif(content._core is None, reason="the native core is not built here")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

SHOWN = {
    # unknown and custom elements have no style, so they are inline
    "go <x-y>by</x-y> boat": "go by boat",
    "<p>The <my-term>weir</my-term>, <unknown>high</unknown> and old</p>": "The weir, high and old",
    "10 <nobr>kW</nobr> of power": "10 kW of power",
    "a <blink>b</blink> <acronym>c</acronym> <big>d</big> <rb>e</rb> <isindex>f": "a b c d e f",
    "<x-a>one<div>two</div>three</x-a>": "one\ntwo\nthree",
    "<x-a><p>one</p></x-a><x-b>two</x-b>": "one\ntwo",
    # Word
    "to <st1:place w:st=on><st1:City w:st=on>Bath</st1:City></st1:place>, by train": "to Bath, by train",
    "<p>one<o:p></o:p></p><p>two<o:p>&nbsp;</o:p></p>": "one\ntwo",
    "<!--[if gte mso 9]><xml><w:x>no</w:x></xml><![endif]-->yes": "yes",
    "<![if !supportLists]>1.<![endif]> yes": "1. yes",
    "a <?xml:namespace prefix = o ns = 'urn:x' />b": "a b",
    # drawings
    "a<svg/>b <svg viewBox='0 0 9 9'><path d='x'/></svg>c": "ab c",
    "a <svg><title>no</title><path/></svg> b": "a b",
    "a <svg><title/><desc/></svg> b": "a b",
    "a <svg><script/><style/><path/></svg> b": "a b",
    "a <svg><desc><p>no</p></desc></svg> b": "a b",
    "a <svg><svg><path/></svg></svg> b": "a b",
    "<svg><![CDATA[ <p>no</p> ]]></svg>b": "b",
    "<p>a <svg><path d='x'/><p>b": "a\nb",
    "a <a href=x>link <svg><use href='#i'/></svg></a> b": "a link b",
    # the rest of HTML's own
    "a <ins>b</ins><del>c</del> <output>d</output> <data>e</data> <map>f</map> <slot>g</slot>": "a bc d e f g",
    "a <button>b</button> <label>c</label> <picture>d</picture> <marquee>e</marquee> f": "a b c d e f",
    "a <legend>b</legend> c": "a\nb\nc",
    "<fieldset><legend>a</legend>b</fieldset>c": "a\nb\nc",
    "a <center>b</center> c <search>d</search> e <hgroup>f</hgroup> g": "a\nb\nc\nd\ne\nf\ng",
    "a <address>b</address> c <figure>d<figcaption>e</figcaption></figure> f": "a\nb\nc\nd\ne\nf",
    "<dl><dt>a<dd>b<dt>c</dl>": "a\nb\nc",
    "a <listing>b</listing> c": "a\nb\nc",
    "a <xmp>b <b>c</xmp> d": "a\nb <b>c\nd",
    "<ins><p>a</p></ins>b": "a\nb",
    "<b>a<p>b</b>c": "a\nbc",
    "a </p> b": "a\nb",
    "a</br>b<br/>c<br><br>d": "a\nb\nc\nd",
    "ba<wbr>by a&shy;b": "baby ab",
    "<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp>字<rp>(</rp><rt>ji</rt><rp>)</rp></ruby>": "漢kan字ji",
    "<details open><summary>a</summary>b</details>": "a\nb",
    "a<dialog open>b</dialog>c<dialog>no</dialog>": "a\nb\nc",
    "a <dialog><p>no</p><dialog>no</dialog></dialog> b": "a b",
    "a <object data=x><param><embed>b</object> c": "a b c",
    "a <iframe>no</iframe> b <video controls><p>no</p></video> c <audio>no</audio> d": "a b c d",
    "a <canvas>no</canvas> b <span style='visibility:hidden'>no</span> c": "a b c",
    "a <progress>no</progress> b <meter>no</meter> c <textarea>no</textarea> d": "a b c d",
    "a <datalist><option>no</datalist> b <noembed>no</noembed> c <noframes>no</noframes> d": "a b c d",
    "a <template>no<template>no</template>no</template> b": "a b",
    "a <span hidden>no</span> b <i style='color: red; display : none'>no</i> c": "a b c",
    "a <span aria-hidden=true>b</span> c": "a b c",
    "<span style='display:block'>a</span>b": "a\nb",
    "<div style='display: inline'>a</div>b": "ab",
    "a<input value=no> <img alt=no> b": "a b",
}
OURS = {
    # a formula's parts lie in lines of their own in innerText, and its letters are slanted ones
    "a <math><mi>x</mi><mo>=</mo><mn>2</mn></math> b": "a x=2 b",
    "a <math><mfrac><mi>x</mi><mn>2</mn></mfrac></math> b": "a x 2 b",
    "a <math><mtable><mtr><mtd>1</mtd><mtd>2</mtd></mtr></mtable></math> b": "a 1 2 b",
    "a <math display=block><mi>x</mi></math> b": "a\nx\nb",
    "a <math><semantics><mi>x</mi><annotation encoding=x-tex>no</annotation></semantics></math> b": "a x b",
    "a <math><semantics><mi>x</mi><annotation-xml><ci>no</ci></annotation-xml></semantics></math> b": "a x b",
    "a <math><mi>f</mi><mo>&#x2061;</mo><mi>x</mi><mspace/></math> b": "a fx b",
    # several copies of one formula: the first counts
    "a <span class=katex><span class=katex-mathml><math><mi>x</mi><annotation>x</annotation></math></span>"
    "<span class=katex-html aria-hidden=true><span class=base>x</span></span></span> b": "a x b",
    "a <span class=katex><span class=katex-html aria-hidden=true>x</span></span> b": "a x b",
    "a <span class=MathJax_Preview></span><span class=MathJax><nobr aria-hidden=true><span>x</span></nobr>"
    "<span class=MJX_Assistive_MathML role=presentation><math><mi>x</mi></math></span></span>"
    "<script type='math/tex'>x</script> b": "a x b",
    "a <mjx-container><mjx-math aria-hidden=true><mjx-c></mjx-c></mjx-math><mjx-assistive-mml><math><mi>x</mi></math>"
    "</mjx-assistive-mml></mjx-container> b": "a x b",
    "a <span class=mwe-math-element><span class=mwe-math-mathml-inline style='display: none;'><math><mi>x</mi>"
    "<annotation>no</annotation></math></span><img alt=no class=mwe-math-fallback-image-inline></span> b": "a x b",
    # text of a drawing is no text of the page
    "a <svg><text>no</text><g><text><tspan>no</tspan></text></g></svg> b": "a b",
    "a <svg><foreignObject><div><p>no</p></div></foreignObject></svg> b": "a b",
    "a <svg><foreignObject><table><tr><td><div>no</svg> b": "a b",
    # shown once somebody opens or chooses it; innerText lists all options
    "<details><summary>a</summary>b</details>": "a\nb",
    "a <select><option>no<option>no</select> b <select><optgroup label=no><option>no</optgroup></select> c": "a b c",
    # without scripts
    "a <noscript>b</noscript> c": "a b c",
    # declarative shadow trees, which `innerText` of the page leaves out
    "<div><template shadowrootmode=open><style>no</style><p>a</p></template>b</div>": "a\nb",
    "<x-card><template shadowrootmode='closed'>a <slot></slot></template></x-card> b": "a b",
    # links and buttons without a blank between them are menus more often than parts of a word
    "<a href=x>Home</a><a href=y>Shop</a><button>Buy</button>": "Home Shop Buy",
    # a table's cells stay on one line
    "<table><caption>a</caption><tr><td>b<td>c<tr><td>d</table>e": "a\nb | c\nd\ne",
    # hidden blocks stay, for the model to judge: menus and answers that a click unfolds
    "<div style='display:none'>a</div>b": "a\nb",
    "<span hidden>no<p>a</p></span>b": "a\nb",
    # what never ends hides nothing
    "a <template>b": "a b",
    "a <dialog>b": "a\nb",
}


PROSE = """The ferry left the harbour before sunrise with nine passengers on board. A boy counted the gulls on the
railing. His sister slept under a heavy coat that smelled of tar. Nobody spoke while the pilot searched for the second
buoy. When the fog rose they saw the lighthouse and a row of painted houses. The baker had already opened her shop and
gave each of them a roll. Two fishermen mended a net beside the wall. An old dog followed the children up the hill."""


def lines(text: str) -> str:
    return "\n".join(line for line in (" ".join(line.split()) for line in text.split("\n")) if line)


@needs_native
@pytest.mark.parametrize("page", [*SHOWN, *OURS])
def test_text_is_what_a_browser_shows(page: str) -> None:
    expected = {**SHOWN, **OURS}[page]
    assert lines(extractor().text(f"<!doctype html><body>{page}", main_content=False)) == expected


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_table_says_what_chromium_shows() -> None:
    from playwright.sync_api import sync_playwright

    short = {**os.environ, "TMPDIR": "/tmp"} if Path("/tmp").is_dir() else dict(os.environ)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], env=short)
        tab = chromium.new_page()
        tab.route("**/*", lambda route: route.abort())
        shown = {}
        for page in SHOWN:
            tab.set_content(f"<!doctype html><body>{page}", wait_until="commit")
            shown[page] = lines(tab.evaluate("document.body.innerText").replace("\xad", "").replace("\u200b", ""))
        chromium.close()
    assert shown == SHOWN


# One formula, and a sentence in one line, with the other engine and with the linear fallback too.
IN_A_LINE = {
    "The <x-term>weir</x-term> was high.": "The weir was high.",
    "It gave <nobr>10 kW</nobr> of power.": "It gave 10 kW of power.",
    "They went to <st1:City>Bath</st1:City><o:p></o:p> by train.": "They went to Bath by train.",
    "Read it <svg><title>no</title><desc>no</desc><text>no</text></svg> today.": "Read it today.",
    "The sum <math><semantics><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><annotation encoding=x>a+b</annotation>"
    "</semantics></math> is small.": "The sum a+b is small.",
    'The law <span class="katex"><span class="katex-mathml"><math><mi>a</mi><annotation>no</annotation></math></span>'
    '<span class="katex-html" aria-hidden="true">a</span></span> holds.': "The law a holds.",
    "A <template>no</template>plain one.": "A plain one.",
    "A <template shadowrootmode=open>shadow</template> tree.": "A shadow tree.",
}


@pytest.mark.parametrize("page", IN_A_LINE)
@pytest.mark.parametrize("way", ["glassmill", "resiliparse", "strip_tags"])
def test_a_sentence_stays_in_one_line_whichever_way_it_is_read(page: str, way: str) -> None:
    if way == "glassmill" and content._core is None:
        pytest.skip("the native core is not built here")
    body = f"<!doctype html><body><p>Before.</p><p>{page}</p><p>After.</p>"
    settings = ExtractSettings(engine="resiliparse" if way == "resiliparse" else "auto", main_content=False)
    text = strip_tags(body) if way == "strip_tags" else html_to_text(body, settings)
    assert lines(text) == f"Before.\n{IN_A_LINE[page]}\nAfter."


@needs_native
def test_a_page_with_an_icon_in_every_sentence_is_not_dropped_as_repetitive() -> None:
    from glassmill.corpus.judge.gopher import gopher_repetition
    from glassmill.corpus.judge.quality import fineweb
    from glassmill.corpus.judge.words import count_words
    from glassmill.recipe import FinewebSettings, GopherRepetitionSettings

    sentences = [sentence.strip() for sentence in PROSE.split(".") if sentence.strip()]
    icon = "<svg><title>map</title><desc>Made with Sketch.</desc><path/></svg>"
    page = "".join(f"<p>{' '.join([*words[:3], icon, *words[3:]])}.</p>" for words in map(str.split, sentences))
    text = extractor().text(f"<article>{page}</article>")
    assert len(text.split("\n")) == len(sentences)
    assert gopher_repetition(text, count_words(text), GopherRepetitionSettings()) is None
    assert fineweb(text, FinewebSettings()) is None


@needs_native
def test_silence_holds_below_the_deepest_level_and_ends_with_its_element() -> None:
    deep = "<i><b>" * 300
    assert extractor().text(f"{deep}a <svg><desc>no</desc><text>no</text></svg> b", main_content=False) == "a b"
    assert extractor().text(f"<p>a {'<svg><desc>' * 400}no{'</desc></svg>' * 400} b", main_content=False) == "a b"
